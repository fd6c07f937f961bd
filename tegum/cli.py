"""Command line: `tegum verify` and `tegum phase`. Results go to stdout, progress to stderr."""

from __future__ import annotations

import argparse
import json
import os
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .papers import Report

EXAMPLES = """examples:
  tegum verify                              every claim, report in ./report; trained models from the record (half a minute)
  tegum verify elhage2022 --tier slow       one paper, its models trained beside it
  tegum verify lieberum2022.01 --json       one claim, for machines
  tegum verify --list                       what there is to verify
  tegum phase --density 0.1                 where two features start to share one dimension
  tegum phase --density 0.1 --importance 0.05

exit codes: 0 as expected, 1 a verdict differs from the recorded one, 2 bad usage, 130 interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the `tegum` command; returns the exit code."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    from .theory import InputError

    try:
        code: int = arguments.run(arguments)
    except InputError as error:
        print(f"tegum: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("tegum: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of stdout has gone (`tegum verify | head`); nothing is left to tell it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _parser() -> argparse.ArgumentParser:
    from . import __version__

    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="tegum", description="Theory of superposition that you can check.", epilog=EXAMPLES, formatter_class=form
    )
    parser.add_argument("--version", action="version", version=f"tegum {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    verify = commands.add_parser(
        "verify",
        help="check the claims of papers",
        description="Check claims and derive verdicts.",
        epilog=EXAMPLES,
        formatter_class=form,
    )
    verify.add_argument("names", nargs="*", metavar="PAPER|CLAIM", help="e.g. elhage2022 or elhage2022.16; all without")
    verify.add_argument(
        "--tier",
        choices=("fast", "slow", "full"),
        default="fast",
        help="fast: theory, trained models from the record (default); slow: train them now, a minute on two cores; "
        "full: the papers' own training, an hour or a GPU",
    )
    verify.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        default=Path("report"),
        help="folder for the report and the evidence (report)",
    )
    verify.add_argument("--json", action="store_true", help="results as JSON on stdout")
    verify.add_argument("--device", default="cpu", metavar="DEVICE", help="where models train: cpu (default) or cuda")
    verify.add_argument("--list", action="store_true", help="list papers and claims, check nothing")
    verify.set_defaults(run=_verify)

    phase = commands.add_parser(
        "phase",
        help="optimal state of two features in one dimension",
        description="Optimal state of two features in one dimension, importances 1 and I, density p each.",
        epilog=EXAMPLES,
        formatter_class=form,
    )
    phase.add_argument(
        "--density", type=float, required=True, metavar="P", help="probability that a feature is active, in (0, 1]"
    )
    phase.add_argument(
        "--importance", type=float, metavar="I", help="importance of feature 2, positive; without it, the boundary only"
    )
    phase.add_argument("--json", action="store_true", help="results as JSON on stdout")
    phase.set_defaults(run=_phase)
    return parser


def _verify(arguments: argparse.Namespace) -> int:
    from .papers import claims, verify
    from .papers._report import as_json

    if arguments.list:
        for claim in claims(arguments.names):
            print(f"{claim.id:<20} {claim.statement}")
        return 0
    report = verify(arguments.names, tier=arguments.tier, out=arguments.out, progress=True, device=arguments.device)
    if arguments.json:
        print(as_json(report))
    else:
        print(_table(report))
    if report.interrupted:
        print(f"tegum: interrupted after {len(report.results)} claims; what was finished is kept", file=sys.stderr)
        return 130
    changed = [r for r in report.results if r.differs]
    for r in changed:
        assert r.recorded is not None
        print(
            f"tegum: {r.claim.id} is {r.verdict.status.value}, on record {r.recorded.status.value}: {r.verdict.reason}",
            file=sys.stderr,
        )
    if report.out is not None:
        print(f"report: {report.out / 'index.html'}", file=sys.stderr)
    return 1 if changed else 0


def _table(report: Report) -> str:
    from .papers._evidence import age
    from .papers._report import grade, margin

    lines = [f"{'claim':<18} {'what the source says':<58} {'verdict':<22} {'grade':<18} margin"]
    for r in report.results:
        short = textwrap.shorten(r.claim.statement, 58, placeholder="…")
        lines.append(
            f"{r.claim.id:<18} {short:<58} {r.verdict.status.value:<22} {grade(r.verdict):<18} {margin(r)}".rstrip()
        )
        if r.stored:
            made = age(min(e.when for e in r.evidence if e.check in r.stored))
            lines.append(f"{'':<18} from the record: {', '.join(sorted(r.stored))} ({made})")
    return "\n".join(lines)


def _phase(arguments: argparse.Namespace) -> int:
    from .theory import phase_boundary, phase_diagram

    boundary = phase_boundary(arguments.density)
    result: dict[str, object] = {
        "density": arguments.density,
        "boundary": float(boundary.importance),
        "order": str(boundary.order),
        "naive_boundary": None if boundary.naive != boundary.naive else float(boundary.naive),
    }
    if arguments.importance is not None:
        diagram = phase_diagram([arguments.density], [arguments.importance])
        result |= {
            "importance": arguments.importance,
            "state": str(diagram.label[0, 0]),
            "loss": float(diagram.loss[0, 0]),
            "margin": float(diagram.margin[0, 0]),
            "weights": diagram.weights[0, 0].tolist(),
            "bias": diagram.bias[0, 0].tolist(),
        }
    result["grade"] = boundary.grade.name
    if arguments.json:
        print(json.dumps(result))
        return 0
    for key, value in result.items():
        shown = (
            [f"{x:.8f}" for x in value]
            if isinstance(value, list)
            else [value if value is not None else "none up to importance 1"]
        )
        print(f"{key.replace('_', ' '):<15} {' '.join(str(x) for x in shown)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
