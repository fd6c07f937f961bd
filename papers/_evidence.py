"""Evidence: what runs found, one JSON line each, appended and never rewritten."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..numerics._files import write_atomically
from ..numerics._sweep_manifest import commit
from ..theory import Grade, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

SCHEMA = "tegum-evidence/1"
RECORDED = Path(__file__).parent / "evidence"


@dataclass(frozen=True)
class Evidence:
    """One finding with its provenance. `role` is claimed, control or corrected; `statement` the data it was run on."""

    claim: str
    check: str
    role: str
    statement: str
    holds: bool | None
    grade: str
    measured: str
    margin: float | None
    unit: str
    whole: bool
    independent: bool
    method: str
    oracle: str
    domain: str
    seed: int | None
    command: str
    versions: dict[str, str]
    hardware: str
    when: str
    seconds: float

    def line(self) -> str:
        """The record as a JSON line that carries a digest of itself."""
        body = {"schema": SCHEMA, **asdict(self)}
        return json.dumps({**body, "digest": _digest(body)}, sort_keys=True)


def read_evidence(path: Path) -> list[Evidence]:
    """All records of one file, oldest first; InputError if any line is not exactly what a run wrote."""
    records = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            body: dict[str, Any] = json.loads(line)
            claimed = body.pop("digest")
            intact = claimed == _digest(body) and body.pop("schema") == SCHEMA
            record = Evidence(**body)
            Grade[record.grade]
        except (ValueError, KeyError, TypeError, AttributeError):
            intact = False
        if not intact:
            raise InputError(
                f"evidence file {path.name}, line {number}, is corrupt: every line must be a {SCHEMA} record whose digest "
                "matches; remove the line or restore the file"
            )
        records.append(record)
    return records


def append_evidence(folder: Path, records: Iterable[Evidence]) -> None:
    """Append records to FOLDER/<source>.jsonl, each file rewritten atomically with the lines it had."""
    by_file: dict[Path, list[str]] = {}
    for record in records:
        by_file.setdefault(folder / f"{record.claim.rsplit('.', 1)[0]}.jsonl", []).append(record.line())
    for path, lines in by_file.items():
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        write_atomically(path, before + "".join(line + "\n" for line in lines))


def load_folder(folder: Path) -> list[Evidence]:
    """Records of every evidence file in a folder."""
    return [record for path in sorted(folder.glob("*.jsonl")) for record in read_evidence(path)]


def latest(records: Iterable[Evidence]) -> dict[tuple[str, str, str, str], Evidence]:
    """The newest record per (claim, check, role, statement)."""
    return {(r.claim, r.check, r.role, r.statement): r for r in sorted(records, key=lambda r: r.when)}


@cache
def versions() -> dict[str, str]:
    """Versions of what a result depends on, and the commit when run from a checkout."""
    out = {"python": platform.python_version()}
    for name in ("tegum", "numpy", "scipy", "sympy", "python-flint", "torch"):
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            out[name] = "unknown"
    if found := commit():
        out["commit"] = found
    return out


def hardware() -> str:
    """The kind of machine, without its name."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} logical cores"


def now() -> str:
    """The present time in UTC, to the second, sortable as text."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def provenance(command: str) -> dict[str, Any]:
    """How and when a run was made: the command that makes it again, the time, the machine, the versions."""
    return {"command": command, "when": now(), "hardware": hardware(), "versions": versions()}


def age(when: str) -> str:
    """How long ago a record was made, in words."""
    days = (datetime.now(UTC) - datetime.strptime(when, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)).days
    return "today" if days < 1 else f"{days} day{'s' if days > 1 else ''} ago"


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:32]
