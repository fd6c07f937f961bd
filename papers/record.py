"""Make a report's evidence and runs the recorded ones: `python -m tegum.papers.record REPORT` in a checkout.

Evidence is appended, runs are replaced. From then on `tegum verify` compares its verdicts with the ones this evidence gives.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ..theory import InputError
from ._evidence import RECORDED, append_evidence, latest, load_folder
from ._lab import STORED, load_run, save_run


def record(report: Path) -> int:
    """Append the newest evidence of a report folder to the record and copy its runs; the number of new records."""
    if not (report / "evidence").is_dir():
        raise InputError(f"report must be a folder that tegum verify --out wrote, got {str(report)!r}")
    known = {e.line() for e in load_folder(RECORDED)}
    new = [e for e in latest(load_folder(report / "evidence")).values() if e.line() not in known]
    append_evidence(RECORDED, new)
    for path in sorted((report / "runs").glob("*.json")):
        save_run(STORED / path.name, load_run(path))
    return len(new)


if __name__ == "__main__":
    try:
        count = record(Path(sys.argv[1] if len(sys.argv) > 1 else "report"))
    except InputError as error:
        sys.exit(f"tegum: {error}")
    sys.stdout.write(f"{count} new records in {RECORDED.name}/, runs copied to {STORED.name}/\n")
