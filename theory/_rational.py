"""Rational loss: the exact loss of a small toy model with rational weights, by the vertex formula."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, product
from math import factorial, prod
from typing import TYPE_CHECKING

import numpy as np

from ._checks import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

Number = int | float | Fraction
LARGEST_N = 10


def rational_loss(
    weights: Sequence[Sequence[Number]],
    bias: Sequence[Number],
    *,
    density: Sequence[Number],
    importance: Sequence[Number],
) -> Fraction:
    """Exact loss L = Σ_i I_i E (x_i - ReLU(g_i·x + b_i))² as a rational number.

    Sum over the sets A of active features; given A the active x_j are uniform on the unit cube, and
    E ReLU(a·u + β)² = Σ_{v ∈ {0,1}^A} (-1)^{|A|-|v|} 2 (a·v + β)₊^{k+2} / ((k+2)! Π_j a_j), k = |A|
    (coordinates with a_j = 0 drop out), while E u_i ReLU(a·u + β) is half its derivative in a_i.
    Cost 3ⁿ n rational terms: it is the reference for the other methods, not the fast one.

    weights (m, n), bias (n,), density (n,) in (0, 1], importance (n,) positive: ints, Fractions or floats
    (a float counts as the dyadic rational that it is). n <= 10.

    Grade EXACT. Raises InputError for shapes that do not fit or values out of range.

    An antipodal pair at density 1/10, importances 1 and 1/2: (1 + 1/2)/6/100 = 1/400.

    >>> rational_loss([[1, -1]], [0, 0], density=[Fraction(1, 10)] * 2, importance=[1, Fraction(1, 2)])
    Fraction(1, 400)
    """
    w = [[_rational("weights", x) for x in row] for row in weights]
    b = [_rational("bias", x) for x in bias]
    p = [_rational("density", x) for x in density]
    weight = [_rational("importance", x) for x in importance]
    n = len(b)
    if not w or n == 0 or any(len(row) != n for row in w) or len(p) != n or len(weight) != n:
        raise InputError(
            f"weights (m, n), bias, density and importance (n,) must agree on n, got rows of "
            f"{[len(row) for row in w]} and lengths {n}, {len(p)}, {len(weight)}"
        )
    if n > LARGEST_N:
        raise InputError(f"rational_loss handles n <= {LARGEST_N} features (it has 3^n terms), got n = {n}")
    if not all(0 < x <= 1 for x in p):
        raise InputError(f"density must be in (0, 1], got {next(str(x) for x in p if not 0 < x <= 1)}")
    if not all(x > 0 for x in weight):
        raise InputError(f"importance must be positive, got {next(str(x) for x in weight if x <= 0)}")
    gram = [[sum((row[i] * row[j] for row in w), Fraction(0)) for j in range(n)] for i in range(n)]
    total = Fraction(0)
    for size in range(n + 1):
        for active in combinations(range(n), size):
            chance = prod((p[j] if j in active else 1 - p[j] for j in range(n)), start=Fraction(1))
            if chance:
                errors = (weight[i] * _squared_error(gram[i], b[i], i, active) for i in range(n))
                total += chance * sum(errors, Fraction(0))
    return total


def _rational(name: str, value: Number) -> Fraction:
    try:
        return Fraction(value.item() if isinstance(value, np.generic) else value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{name} must hold finite rational numbers, got {value!r}") from None


def _squared_error(row: list[Fraction], bias: Fraction, i: int, active: tuple[int, ...]) -> Fraction:
    """E (x_i - ReLU(g_i·x + b_i))² given the set of active features."""
    slopes = {j: row[j] for j in active if row[j]}
    square = _vertex_sum(slopes, bias, 2)
    if i not in active:
        return square
    if i in slopes:
        # Differentiate the vertex formula in a_i: the vertices with v_i = 1 move, and 1/a_i shrinks.
        a = slopes[i]
        moved = _vertex_sum({j: s for j, s in slopes.items() if j != i}, bias + a, 2)
        cross = (moved - square) / a / 2
    else:
        cross = _vertex_sum(slopes, bias, 1) / 2
    return Fraction(1, 3) - 2 * cross + square


def _vertex_sum(slopes: dict[int, Fraction], bias: Fraction, power: int) -> Fraction:
    """E (a·u + β)₊^power over the unit cube of the given nonzero slopes."""
    a = list(slopes.values())
    k = len(a)
    total = Fraction(0)
    for vertex in product((0, 1), repeat=k):
        height = bias + sum((s for s, v in zip(a, vertex, strict=True) if v), Fraction(0))
        if height > 0:
            total += (-1) ** (k - sum(vertex)) * height ** (k + power)
    return total * factorial(power) / factorial(k + power) / prod(a, start=Fraction(1))
