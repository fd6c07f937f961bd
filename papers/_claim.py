"""Claim: a statement from a paper, made precise, with the checks that can settle it and the control that keeps them honest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..theory import Grade

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._lab import Lab

TIERS = ("fast", "slow", "full")


@dataclass(frozen=True)
class Source:
    """Where claims come from: key (also the module's name), authors, title, year and where to find it."""

    key: str
    authors: str
    title: str
    year: int
    where: str


@dataclass(frozen=True)
class Finding:
    """What one check found about one statement.

    holds     True, False, or None when the check could not tell
    grade     how that is known
    measured  what was found, in words and numbers
    margin    by how much it holds (positive) or fails (negative), in `unit`; None when the answer has no size
    """

    holds: bool | None
    grade: Grade
    measured: str
    margin: float | None = None
    unit: str = ""


@dataclass(frozen=True)
class Check:
    """One way to test a statement: `run(statement, lab)` gives a Finding, for the claim and for its control alike.

    whole        the check covers the claim's whole domain, not samples of it
    independent  its oracle shares no formula or code with what it is compared with
    tier         the cheapest tier of `tegum verify` that runs it; below that, recorded evidence is shown with its age
    """

    name: str
    method: str
    oracle: str
    run: Callable[[Any, Lab], Finding]
    whole: bool = False
    independent: bool = False
    tier: str = "fast"
    seed: int | None = None


@dataclass(frozen=True)
class Claim:
    """A claim and everything needed to settle it.

    id           permanent, e.g. 'elhage2022.16'
    locator      where in the source
    statement    what the source says, in our words
    restatement  what that means precisely
    kind, domain, tolerance   what sort of claim, for which parameters, to which accuracy and why
    claimed      the statement as data, handed to every check
    control      a mutated statement; every check must give it the opposite outcome of the true one
    corrected    the statement put right, where the source is wrong; `correction` says it in words
    untestable   the reason, for a claim that nothing here can decide
    replay       a stand-alone script in plain Python that a reader can run without tegum
    figures      names of the figures that show it
    """

    id: str
    locator: str
    statement: str
    restatement: str
    kind: str
    domain: str
    claimed: Any
    control: Any
    checks: tuple[Check, ...]
    tolerance: str = "none: exact"
    corrected: Any = None
    correction: str = ""
    untestable: str = ""
    replay: str = ""
    figures: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """Key of the source."""
        return self.id.rsplit(".", 1)[0]

    @property
    def statements(self) -> dict[str, Any]:
        """The statements that every check is run on, by role."""
        roles = {"claimed": self.claimed, "control": self.control}
        return roles if self.corrected is None else {**roles, "corrected": self.corrected}
