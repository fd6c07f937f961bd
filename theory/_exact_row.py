"""Exact row: the bound of `_row_box` in rational arithmetic, for checking certificates. No solver, no floats, formulas of its own.

With f_q(s) = s₊^q / q! the mean over a uniform u is a difference, E f_q(s + a u) = [f_{q+1}(s + a) - f_{q+1}(s)] / a, and
E u f_q(s + a u) = f_{q+1}(s + a)/a - [f_{q+2}(s + a) - f_{q+2}(s)]/a². Rationals lose nothing in the differences.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from math import factorial
from typing import TYPE_CHECKING

from flint import fmpq

if TYPE_CHECKING:
    from collections.abc import Sequence

ZERO, HALF = fmpq(0), fmpq(1, 2)
Interval = tuple[fmpq, fmpq]
# Weights of the patterns of activity: none, only x1, only x2, both.
Weights = tuple[fmpq, fmpq, fmpq, fmpq]


def _power(q: int, s: fmpq) -> fmpq:
    """f_q(s)."""
    return s**q / factorial(q) if s > 0 else ZERO


def _mean(q: int, a: fmpq, s: fmpq) -> fmpq:
    """E f_q(s + a u)."""
    return (_power(q + 1, s + a) - _power(q + 1, s)) / a if a else _power(q, s)


def _first(q: int, a: fmpq, s: fmpq) -> fmpq:
    """E u f_q(s + a u)."""
    if not a:
        return _power(q, s) * HALF
    top = s + a
    return _power(q + 1, top) / a - (_power(q + 2, top) - _power(q + 2, s)) / (a * a)


@lru_cache(maxsize=1 << 16)
def cross(a: fmpq, t: fmpq, b: fmpq) -> tuple[fmpq, fmpq]:
    """E x1 y where only x1 is active, and where both are."""
    one = _first(1, a, b)
    return one, (_first(2, a, b + t) - _first(2, a, b)) / t if t else one


def square(a: fmpq, t: fmpq, b: fmpq) -> Weights:
    """E y² for each pattern."""
    one = _mean(2, a, b)
    both = (_mean(3, a, b + t) - _mean(3, a, b)) / t if t else one
    return 2 * _power(2, b), 2 * one, 2 * _mean(2, t, b), 2 * both


def slopes(a: fmpq, t: fmpq, b: fmpq) -> tuple[Weights, Weights, Weights]:
    """Derivatives of E y² in a, t and b for each pattern."""
    one, both = cross(a, t, b)
    mean = _mean(1, a, b)
    if t:
        difference = _mean(3, a, b + t) - _mean(3, a, b)
        other = _mean(2, a, b + t) / t - difference / (t * t)
        total = (_mean(2, a, b + t) - _mean(2, a, b)) / t
    else:
        other, total = mean * HALF, mean
    return (
        (ZERO, 2 * one, ZERO, 2 * both),
        (ZERO, ZERO, 2 * _first(1, t, b), 2 * other),
        (2 * _power(1, b), 2 * mean, 2 * _mean(1, t, b), 2 * total),
    )


def error(a: fmpq, t: fmpq, b: fmpq, law: Weights) -> fmpq:
    """R(a, t, b)."""
    one, both = cross(a, t, b)
    return (law[1] + law[3]) / 3 + _dot(law, square(a, t, b)) - 2 * (law[1] * one + law[3] * both)


def vertex_bounds(
    a: Interval, t: Interval, b: Interval, laws: Sequence[Weights]
) -> list[tuple[tuple[fmpq, fmpq, fmpq], list[fmpq]]]:
    """The vertices of a box of (a, t, b) with the bound there for each law; the least of a law's bounds R over the box."""
    centre = [(lo + hi) * HALF for lo, hi in (a, t, b)]
    middle, slope = square(*centre), slopes(*centre)
    base = [(law[1] + law[3]) / 3 + _dot(law, middle) for law in laws]
    rise = [[_dot(law, s) for s in slope] for law in laws]
    out = []
    # An interval that is a point has one end.
    for vertex in product(set(a), set(t), set(b)):
        one, both = cross(*vertex)
        shift = [v - c for v, c in zip(vertex, centre, strict=True)]
        values = [
            level
            + sum((g * d for g, d in zip(gradient, shift, strict=True)), ZERO)
            - 2 * (law[1] * one + law[3] * both)
            for law, level, gradient in zip(laws, base, rise, strict=True)
        ]
        out.append((vertex, values))
    return out


def row_bound(
    a: Interval,
    t: Interval,
    b: Interval,
    laws: Sequence[Weights],
    rise: Sequence[Sequence[Sequence[fmpq]]] | None = None,
) -> list[fmpq]:
    """A number below R(a, t, b) on the box, per law: the least of `vertex_bounds`, with what the vertices share taken out.

    rise: [law][end of a][end of t], the values of a function that is linear in (a, t): the number is then below R minus it.
    """
    centre = tuple((lo + hi) * HALF for lo, hi in (a, t, b))
    da, dt, db = ((hi - lo) * HALF for lo, hi in (a, t, b))
    middle, slope = _tangent(*centre)
    ends = _ends(a, t, b[0]), _ends(a, t, b[1])
    out = []
    for k, law in enumerate(laws):
        level = (law[1] + law[3]) / 3 + _dot(law, middle)
        ga, gt, gb = _dot(law, slope[0]) * da, _dot(law, slope[1]) * dt, _dot(law, slope[2]) * db
        planes = [level - ga - gt, level - ga + gt, level + ga - gt, level + ga + gt]
        if rise is not None:
            planes = [x - y for x, y in zip(planes, (y for row in rise[k] for y in row), strict=True)]
        one, both = law[1], law[3]
        out.append(
            min(
                min([x - one * y - both * z for x, (y, z) in zip(planes, ends[0], strict=True)]) - gb,
                min([x - one * y - both * z for x, (y, z) in zip(planes, ends[1], strict=True)]) + gb,
            )
        )
    return out


@lru_cache(maxsize=64)
def _ends(a: Interval, t: Interval, b: fmpq) -> list[tuple[fmpq, fmpq]]:
    """2 E x1 y, only x1 active and both active, at the ends of a and t (the order of `row_bound`'s planes)."""
    out = []
    for x in a:
        one, base = _first(1, x, b), _first(2, x, b)
        out += [(2 * one, 2 * ((_first(2, x, b + v) - base) / v if v else one)) for v in t]
    return out


def _tangent(a: fmpq, t: fmpq, b: fmpq) -> tuple[Weights, tuple[Weights, Weights, Weights]]:
    """`square` and `slopes`, sharing their terms where a and t are not 0."""
    if not a or not t:
        return square(a, t, b), slopes(a, t, b)
    low, high = _powers(b), _powers(a + b)
    side, top = _powers(b + t), _powers(a + b + t)
    # E y (only own, only other), E x y, and the E f_q over x1 at both ends of x2.
    d1, d2, d3 = ((h - x) / a for h, x in zip(high[1:], low[1:], strict=True))
    e2, e3 = ((h - x) / a for h, x in zip(top[2:], side[2:], strict=True))
    mean2 = (side[2] - low[2]) / t
    first = high[1] / a - d2 / a
    both_first = ((top[2] - high[2]) / a - (e3 - d3) / a) / t
    both_other = (e2 - (e3 - d3) / t) / t
    return (
        (2 * low[1], 2 * d2, 2 * mean2, 2 * (e3 - d3) / t),
        (
            (ZERO, 2 * first, ZERO, 2 * both_first),
            (ZERO, ZERO, 2 * (side[1] - mean2) / t, 2 * both_other),
            (2 * low[0], 2 * d1, 2 * (side[1] - low[1]) / t, 2 * (e2 - d2) / t),
        ),
    )


def _powers(s: fmpq) -> tuple[fmpq, fmpq, fmpq, fmpq]:
    """f_1(s), ..., f_4(s)."""
    if s <= 0:
        return ZERO, ZERO, ZERO, ZERO
    two = s * s * HALF
    three = two * s / 3
    return s, two, three, three * s / 4


def _dot(law: Weights, values: Weights) -> fmpq:
    total: fmpq = law[0] * values[0] + law[1] * values[1] + law[2] * values[2] + law[3] * values[3]
    return total
