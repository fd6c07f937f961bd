"""Records of the count: a bound, a part of a lower bound, and their statements as certificates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Proof = dict[str, Any]


@dataclass(frozen=True)
class Bound:
    """One bound on a number of lines or vectors, as the race lists it.

    value: the bound as an exact integer; None where the theorem does not apply, and then `note` says why. Otherwise `note` may give
    the parameters that were best. proof: what the certificate states as proof, in the form that `check_count` verifies.
    """

    name: str
    side: str
    value: int | None
    note: str
    source: str
    proof: Proof = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Part:
    """A set of `count` lines in R^n whose coherence is at most the one that was asked for: one summand of a lower bound.

    proof: family and parameters, in the form that `check_count` verifies.
    """

    n: int
    count: int
    proof: Proof = field(repr=False)
