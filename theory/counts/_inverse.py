"""Inverse of the count: how many dimensions a number of vectors needs, and the best angle of a number of vectors."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from .._checks import InputError, whole
from .._grade import Grade
from ._angle import angle
from ._count import LARGEST, CountBounds, count_bounds, dimension, lower_race, upper_race
from ._sum import tabulate

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Dimensions:
    """`count` vectors do not fit in fewer than `lower` dimensions, and fit in `upper`; grade CERTIFIED.

    impossible: the bounds one dimension below `lower` (None at 1); possible: those at `upper`.
    """

    count: int
    lower: int
    upper: int
    impossible: CountBounds | None
    possible: CountBounds
    grade: Grade = Grade.CERTIFIED


@dataclass(frozen=True)
class BestAngle:
    """`count` vectors of R^n keep within `upper` degrees of a right angle, and cannot all be within `lower`; grade CERTIFIED."""

    n: int
    count: int
    lower: float
    upper: float
    impossible: CountBounds | None
    possible: CountBounds | None
    grade: Grade = Grade.CERTIFIED


def dimensions_needed(count: int, degrees: float | str | Fraction) -> Dimensions:
    """How many dimensions `count` vectors need that keep within `degrees` of a right angle.

    Both bounds on the count grow with n, so bisection finds the least n whose upper bound reaches the count and the least n whose lower
    bound does. count >= 1; n up to 10^7. Raises InputError, also where the number does not fit in 10^7 dimensions.

    >>> need = dimensions_needed(102, 1)
    >>> need.lower, need.upper
    (100, 100)
    """
    count = whole("count", count, 1)
    lowest = _least(count, lambda n: _most(n, degrees) >= count)
    if lowest is None:
        raise InputError(f"count must fit in {LARGEST} dimensions, got {count}; allow more degrees")
    enough = _least(count, lambda n: _fewest(n, degrees) >= count, lowest)
    if enough is None:
        raise InputError(f"count is not known to fit in {LARGEST} dimensions, got {count}; allow more degrees")
    below = count_bounds(lowest - 1, degrees=degrees) if lowest > 1 else None
    return Dimensions(count, lowest, enough, below, count_bounds(enough, degrees=degrees))


def first_dimensions(degrees: float | str | Fraction) -> tuple[int, int, int]:
    """The first n in which at least n + 1, 2n and n² vectors are known that keep within `degrees` of a right angle; 0 where not tabulated.

    The table reaches 32,768 dimensions, less where counts pass 2^62. Lower bounds, so the true first dimensions may be smaller.
    Grade CERTIFIED. Raises InputError.

    >>> first_dimensions(1)
    (58, 1651, 8178)
    """
    target = angle(None, degrees)
    table = tabulate(2**15, target.below, target.square_below)
    n = np.arange(len(table))
    enough = [n + 1, 2 * n, n * n]
    found = [np.flatnonzero((table >= least) & (n > 0) & (table > 1)) for least in enough]
    return tuple(int(hits[0]) if len(hits) else 0 for hits in found)  # type: ignore[return-value]


def _least(count: int, holds: Callable[[int], bool], start: int = 1) -> int | None:
    """The least n from `start` for which a monotone property holds; n = count always does (a basis)."""
    low, high = start - 1, start
    while not holds(high):
        if high >= min(LARGEST, count):
            return None
        low, high = high, min(2 * high, LARGEST, count)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def best_angle(n: int, count: int) -> BestAngle:
    """How close to pairwise orthogonal `count` vectors of R^n can be: certified bounds on the largest deviation in degrees.

    Bisection to a relative 1e-7 over the degrees at which the bounds on the count pass `count`: both grow with the angle. n from 1 to
    10^7, count >= 1. Lower and upper are 0 for count <= n; at most 89.9 degrees are tried. Raises InputError.

    >>> best = best_angle(3, 6)
    >>> round(best.lower, 5), round(best.upper, 5)  # the icosahedron's diagonals: arcsin(1/√5)
    (26.56505, 26.56505)
    """
    n, count = dimension(n), whole("count", count, 1)
    if count <= n:
        return BestAngle(n, count, 0.0, 0.0, None, None)
    lower = _bisect(lambda d: _most(n, d) >= count)[0]
    upper = _bisect(lambda d: _fewest(n, d) >= count)[1]
    if upper is None:
        raise InputError(
            f"count is not known to fit in R^{n} within {WIDEST} degrees, got {count}; give more dimensions"
        )
    impossible = count_bounds(n, degrees=lower) if lower else None
    return BestAngle(n, count, float(lower), float(upper), impossible, count_bounds(n, degrees=upper))


WIDEST = Fraction(899, 10)


def _bisect(holds: Callable[[Fraction], bool]) -> tuple[Fraction, Fraction | None]:
    """Degrees between which a monotone property begins to hold; None where it does not up to WIDEST."""
    low, high = Fraction(0), Fraction(1)
    while not holds(high):
        if high == WIDEST:
            return WIDEST, None
        low, high = high, min(2 * high, WIDEST)
    while not low and high > Fraction(1, 10**6):
        low, high = (low, high / 16) if holds(high / 16) else (high / 16, high)
    while high - low > high / 10**7:
        middle = Fraction(round((low + high) * 10**12), 2 * 10**12)
        low, high = (low, middle) if holds(middle) else (middle, high)
    return low, high


def _most(n: int, degrees: float | str | Fraction) -> int:
    return min(bound.value for bound in upper_race(n, angle(None, degrees)) if bound.value is not None)


def _fewest(n: int, degrees: float | str | Fraction) -> int:
    return max(bound.value for bound in lower_race(n, angle(None, degrees)) if bound.value is not None)
