"""Records of the count: a bound, a part of a lower bound, and their statements as certificates."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log2
from typing import Any

from flint import fmpz

Proof = dict[str, Any]


def digits(number: int) -> str:
    """All decimal digits, also of the numbers that Python refuses to print for their length.

    >>> len(digits(10**5000))
    5001
    """
    return str(fmpz(number))


def size(number: int) -> str:
    """A count as people read it: all digits up to 10^15, a power of two beyond.

    >>> size(8392704), size(2**100)
    ('8,392,704', '2^100.00')
    """
    return f"{number:,}" if number < 10**15 else f"2^{log2(number):.2f}"


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        shown = "does not apply" if self.value is None else size(self.value)
        return f"Bound({self.side}, {self.name}: {shown})"


@dataclass(frozen=True)
class Part:
    """A set of `count` lines in R^n whose coherence is at most the one that was asked for: one summand of a lower bound.

    proof: family and parameters, in the form that `check_count` verifies.
    """

    n: int
    count: int
    proof: Proof = field(repr=False)
