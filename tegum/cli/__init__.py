"""Command line. Results go to stdout, progress to stderr; nothing is computed here."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from typing import TYPE_CHECKING

from . import _models, _papers, _theory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TextIO

EXAMPLES = """examples:
  tegum verify                              every claim, report in ./report; trained models from the record (half a minute)
  tegum verify elhage2022 --tier slow       one paper, its models trained beside it
  tegum verify lieberum2022.01 --json       one claim, for machines
  tegum verify --list                       what there is to verify
  tegum count 12288 --degrees 1             how many vectors keep between 89° and 91°
  tegum count 8 --cosine 1/2 --race         every bound that was tried
  tegum phase --density 0.1                 where two features start to share one dimension
  tegum phase --density 0.1 --importance 0.05
  tegum phase --density 0.1 --importance 0.3 --prove proof.json
  tegum bound 5 2 --density 0.1 --out bound.json
  tegum check proof.json                    replay a proof in rational arithmetic
  tegum train --list                        published settings that can be trained
  tegum train phase-2-1 --seeds 1           train one of them into phase-2-1.zarr
  tegum train --refresh phase-2-1           make the stored models again and compare
  tegum inspect model.safetensors --density 0.1 --ratio 0.9
  tegum figures --out figures               draw theory and trained models

exit codes: 0 as expected, 1 a verdict or model differs from the recorded one or a certificate does not hold, 2 bad usage or
nowhere to write, 130 interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the `tegum` command; returns the exit code."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    from ..theory import InputError

    try:
        with warnings.catch_warnings():  # which restores what is shown how
            warnings.showwarning = _show_warning
            code: int = arguments.run(arguments)
    except InputError as error:
        print(f"tegum: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print(f"tegum: {str(stop) or 'interrupted'}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of stdout has gone (`tegum verify | head`); nothing is left to tell it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning as one line, without the place in the source."""
    print(f"tegum: warning: {message}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    from .. import __version__

    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="tegum", description="Theory of superposition that you can check.", epilog=EXAMPLES, formatter_class=form
    )
    parser.add_argument("--version", action="version", version=f"tegum {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[[argparse.Namespace], int], short: str, description: str
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=short, description=description, epilog=EXAMPLES, formatter_class=form)
        added.set_defaults(run=run)
        return added

    for part in (_papers, _theory, _models):
        part.add(command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
