"""Commands of the papers: `tegum verify` and `figures`."""

from __future__ import annotations

import argparse
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..papers import Report
    from ._output import Command


def add(command: Command) -> None:
    """Add the commands to the parser."""
    verify = command("verify", _verify, "check the claims of papers", "Check claims and derive verdicts.")
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

    figures = command(
        "figures",
        _figures,
        "draw theory and trained models",
        "Draw figures of theory and trained models from the results that come with tegum.",
    )
    figures.add_argument("names", nargs="*", metavar="FIGURE", help="e.g. phase_diagram; all without")
    figures.add_argument(
        "--out", type=Path, metavar="DIR", default=Path("figures"), help="folder for the PNG files (figures)"
    )
    figures.add_argument("--list", action="store_true", help="list the figures, draw nothing")


def _verify(arguments: argparse.Namespace) -> int:
    from ..papers import claims, verify
    from ..papers._report import as_json

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


def _figures(arguments: argparse.Namespace) -> int:
    from difflib import get_close_matches

    from ..papers._lab import Lab
    from ..papers.figures import FIGURES, save_figures
    from ..theory import InputError

    if arguments.list:
        for name, (_, caption) in FIGURES.items():
            print(f"{name:<16} {caption}")
        return 0
    for name in arguments.names:
        if name not in FIGURES:
            near = get_close_matches(name, FIGURES, 1, 0.0)[0]
            raise InputError(f"no figure is called {name!r}; the nearest is {near!r} (tegum figures --list shows all)")
    try:
        drawn = save_figures(Lab("fast"), arguments.out, arguments.names or FIGURES, progress=True)
    except OSError as error:
        raise InputError(
            f"--out must be a folder that can be written, but {arguments.out} is not: {error.strerror}"
        ) from None
    for name in drawn:
        print(arguments.out / f"{name}.png")
    return 0


def _table(report: Report) -> str:
    from ..papers._evidence import age
    from ..papers._report import grade, margin

    lines = [f"{'claim':<18} {'what the source says':<58} {'verdict':<22} {'grade':<29} margin"]
    for r in report.results:
        short = textwrap.shorten(r.claim.statement, 58, placeholder="…")
        lines.append(
            f"{r.claim.id:<18} {short:<58} {r.verdict.status.value:<22} {grade(r.verdict):<29} {margin(r)}".rstrip()
        )
        if r.stored:
            made = age(min(e.when for e in r.evidence if e.check in r.stored))
            lines.append(f"{'':<18} from the record: {', '.join(sorted(r.stored))} ({made})")
    return "\n".join(lines)
