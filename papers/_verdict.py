"""Verdict: derived from evidence by rule, never typed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from ..theory import Grade

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._claim import Claim
    from ._evidence import Evidence


class Status(Enum):
    """What the evidence says of a claim."""

    PROVED = "proved"
    CERTIFIED_ON_SUBDOMAIN = "certified on subdomain"
    SUPPORTED = "supported"
    CONSISTENT = "consistent"
    UNDECIDED = "undecided"
    CORRECTED = "corrected"
    REFUTED = "refuted"
    NOT_TESTABLE = "not testable"


@dataclass(frozen=True)
class Verdict:
    """Status, the grade it rests on (None where nothing was decided), the reason in words, and the deciding evidence.

    A CORRECTED verdict rests on two findings, and its grade is the lower one: `deciding` refutes the claim as written,
    `restated` is the verdict on the corrected statement.
    """

    status: Status
    grade: Grade | None
    reason: str
    deciding: Evidence | None = None
    restated: Verdict | None = None


def derive(claim: Claim, evidence: Sequence[Evidence]) -> Verdict:
    """The verdict on a claim from one record per check and role.

    * A check counts for a statement only if it tells that statement from the control: it must hold for one and fail for the other.
    * The claim holds: PROVED when a check of grade CERTIFIED or better covers the whole domain, CERTIFIED ON SUBDOMAIN when
      one covers part of it, SUPPORTED when an independent oracle agrees, else CONSISTENT. One failing check vetoes all of these.
    * The claim fails by a verified counterexample (grade CERTIFIED or better): CORRECTED when the corrected statement holds
      and the control does not, REFUTED when there is no correction and the control holds.
    * Anything else is UNDECIDED, with the reason.
    """
    if claim.untestable:
        return Verdict(Status.NOT_TESTABLE, None, claim.untestable)
    found = {(e.check, e.role): e for e in evidence}
    missing = [f"{c.name} ({r})" for c in claim.checks for r in claim.statements if (c.name, r) not in found]
    if missing:
        return Verdict(Status.UNDECIDED, None, f"not run in this tier and not on record: {', '.join(missing)}")
    claimed = [found[c.name, "claimed"] for c in claim.checks]
    failing = [e for e in claimed if e.holds is False]
    if not failing:
        return _positive(claimed, found)
    verified = [e for e in failing if Grade[e.grade] >= Grade.CERTIFIED]
    if not verified:
        return Verdict(
            Status.UNDECIDED,
            None,
            f"{failing[0].check} contradicts it in floats only: no verified counterexample",
            failing[0],
        )
    refutation = max(verified, key=lambda e: Grade[e.grade])
    if claim.corrected is None:
        if found[refutation.check, "control"].holds is not True:
            return Verdict(Status.UNDECIDED, None, f"{refutation.check} rejects its positive control too", refutation)
        return Verdict(Status.REFUTED, Grade[refutation.grade], refutation.measured, refutation)
    restored = _positive([found[c.name, "corrected"] for c in claim.checks], found)
    if restored.grade is None:
        return Verdict(
            Status.UNDECIDED, None, f"refuted, but the correction is not established: {restored.reason}", refutation
        )
    grade = min(Grade[refutation.grade], restored.grade)
    return Verdict(Status.CORRECTED, grade, refutation.measured, refutation, restored)


def _positive(records: list[Evidence], found: dict[tuple[str, str], Evidence]) -> Verdict:
    """Verdict on a statement that no check should reject."""
    for record in records:
        if record.holds is not True:
            word = "could not tell" if record.holds is None else "rejects it"
            return Verdict(Status.UNDECIDED, None, f"{record.check} {word}: {record.measured}", record)
    telling = [r for r in records if found[r.check, "control"].holds is False]
    if not telling:
        return Verdict(Status.UNDECIDED, None, "no check rejects the negative control, so their agreement says nothing")
    best = max(telling, key=lambda r: (Grade[r.grade] >= Grade.CERTIFIED and r.whole, Grade[r.grade], r.independent))
    grade = Grade[best.grade]
    if grade >= Grade.CERTIFIED:
        status = Status.PROVED if best.whole else Status.CERTIFIED_ON_SUBDOMAIN
    else:
        witnesses = [r for r in telling if r.independent]
        best = witnesses[0] if witnesses else best
        status = Status.SUPPORTED if witnesses else Status.CONSISTENT
        grade = Grade[best.grade]
    return Verdict(status, grade, best.measured, best)
