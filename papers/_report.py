"""Report: one static folder of HTML and Markdown, with the evidence beside it."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..numerics._files import write_atomically
from ._evidence import age, hardware, now, versions
from ._registry import sources
from ._verdict import Status
from .figures import save_figures

if TYPE_CHECKING:
    from ._lab import Lab
    from ._result import Report, Result
    from ._verdict import Verdict

TEMPLATES = Path(__file__).parent / "templates"


def write_report(report: Report, lab: Lab) -> None:
    """Write index.html, a page per claim, report.md, figures, replay scripts and style into the report's folder.

    Figures come first and pages link only what is there, so an interrupted run leaves a report of what was finished.
    """
    assert report.out is not None
    out = report.out
    shown = {name for result in report.results for name in result.claim.figures}
    captions = {} if report.interrupted else save_figures(lab, out / "figures", shown)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["margin"] = margin
    environment.filters["grade"] = grade
    environment.filters["age"] = age
    environment.filters["readable"] = readable
    common: dict[str, Any] = {
        "report": report,
        "results": report.results,
        "sources": sources(),
        "captions": captions,
        "when": now(),
        "versions": versions(),
        "hardware": hardware(),
        "counts": [(s, n) for s in Status if (n := sum(r.verdict.status is s for r in report.results))],
        "runs": {run.name: run.provenance for run in lab.used},
    }
    for result in report.results:
        page = environment.get_template("claim.html").render(result=result, **common)
        write_atomically(out / "claims" / f"{result.claim.id}.html", page)
        if result.claim.replay:
            write_atomically(out / "replay" / f"{result.claim.id}.py", result.claim.replay)
    write_atomically(out / "report.md", environment.get_template("report.md").render(**common))
    write_atomically(out / "index.html", environment.get_template("index.html").render(**common))
    shutil.copyfile(TEMPLATES / "style.css", out / "style.css")


def margin(result: Result) -> str:
    """By how much the deciding check holds or fails, in its unit."""
    deciding = result.verdict.deciding
    if deciding is None or deciding.margin is None:
        return ""
    return f"{deciding.margin:.3g} {deciding.unit}"


def grade(verdict: Verdict) -> str:
    """The grade of a verdict; of a corrected claim both that of the refutation and that of the restatement, or of a part of it."""
    if verdict.grade is None:
        return "-"
    if verdict.restated is not None and verdict.deciding is not None:
        assert verdict.restated.grade is not None
        part = " in part" if verdict.restated.status is Status.CERTIFIED_ON_SUBDOMAIN else ""
        return f"{verdict.deciding.grade} / {verdict.restated.grade.name}{part}"
    return verdict.grade.name


def readable(statement: str) -> str:
    """A statement's data as short text."""
    data = json.loads(statement)
    if isinstance(data, dict):
        return ", ".join(f"{key}: {value}" for key, value in data.items())
    return str(data)


def as_json(report: Report) -> str:
    """The results for machines: id, verdict, grade, margin, reason and all evidence."""
    rows = [
        {
            "id": r.claim.id,
            "statement": r.claim.statement,
            "correction": r.claim.correction if r.verdict.status is Status.CORRECTED else None,
            "verdict": r.verdict.status.value,
            "grade": r.verdict.grade.name if r.verdict.grade else None,
            "restatement": r.verdict.restated.status.value if r.verdict.restated else None,
            "margin": r.verdict.deciding.margin if r.verdict.deciding else None,
            "unit": r.verdict.deciding.unit if r.verdict.deciding else None,
            "reason": r.verdict.reason,
            "recorded": r.recorded.status.value if r.recorded else None,
            "evidence": [asdict(e) for e in r.evidence],
        }
        for r in report.results
    ]
    return json.dumps({"tier": report.tier, "interrupted": report.interrupted, "results": rows}, indent=1)
