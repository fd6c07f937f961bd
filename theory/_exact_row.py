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


def row_bound(a: Interval, t: Interval, b: Interval, laws: Sequence[Weights]) -> list[fmpq]:
    """A number below R(a, t, b) on the box, per law: the least of `vertex_bounds`, with what the vertices share taken out."""
    centre = tuple((lo + hi) * HALF for lo, hi in (a, t, b))
    half = tuple((hi - lo) * HALF for lo, hi in (a, t, b))
    middle, slope = square(*centre), slopes(*centre)
    corners = []
    for i, k in product((0, 1), repeat=2):
        one, base = _first(1, a[i], b[k]), _first(2, a[i], b[k])
        for j, v in enumerate(t):
            corners.append((i, j, k, 2 * one, 2 * ((_first(2, a[i], b[k] + v) - base) / v if v else one)))
    out = []
    for law in laws:
        level = (law[1] + law[3]) / 3 + _dot(law, middle)
        da, dt, db = (_dot(law, s) * h for s, h in zip(slope, half, strict=True))
        planes = ((level - da - dt, level - da + dt), (level + da - dt, level + da + dt))
        ends = (-db, db)
        out.append(min([planes[i][j] + ends[k] - law[1] * x - law[3] * y for i, j, k, x, y in corners]))
    return out


def _dot(law: Weights, values: Weights) -> fmpq:
    total: fmpq = law[0] * values[0] + law[1] * values[1] + law[2] * values[2] + law[3] * values[3]
    return total
