"""Result: a claim with its evidence and verdict, and the report of a run as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from ._claim import Claim
    from ._evidence import Evidence
    from ._verdict import Verdict


@dataclass(frozen=True)
class Result:
    """A claim with the evidence looked at, the verdict derived from it, and the verdict of the recorded evidence (or None)."""

    claim: Claim
    evidence: tuple[Evidence, ...]
    stored: frozenset[str]
    verdict: Verdict
    recorded: Verdict | None

    @property
    def differs(self) -> bool:
        """Whether this run's verdict is another than the recorded one."""
        return self.recorded is not None and self.recorded.status is not self.verdict.status


@dataclass(frozen=True)
class Report:
    """Results in the order of the registry; `interrupted` when the run was stopped before its end."""

    results: tuple[Result, ...]
    tier: str
    out: Path | None
    interrupted: bool = False
