"""Bernstein coefficients on a cell of densities: a quadratic has three, its product with a line four; a constant has one of either.

A polynomial is positive on the cell if all its coefficients are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flint import fmpq

if TYPE_CHECKING:
    from collections.abc import Sequence


def product(values: Sequence[fmpq], line: Sequence[fmpq | int]) -> list[fmpq]:
    """Coefficients of a quadratic times a line (of a constant times a constant)."""
    if len(values) == 1:
        return [values[0] * line[0]]
    (a, b, c), (s, e) = values, line
    return [a * s, (a * e + 2 * b * s) / 3, (2 * b * e + c * s) / 3, c * e]


def loss(first: Sequence[fmpq], second: Sequence[fmpq], line: Sequence[fmpq | int]) -> list[fmpq]:
    """Coefficients of F1 + I F2, I along the line."""
    return [x + y for x, y in zip(product(first, (1, 1)), product(second, line), strict=True)]


def reaches(values: Sequence[fmpq], goal: Sequence[fmpq]) -> bool:
    """Whether every coefficient of a quadratic, as a cubic, is at least its goal."""
    return all(x >= y for x, y in zip(product(values, (1, 1)), goal, strict=True))


def above(values: Sequence[Sequence[fmpq]], targets: Sequence[Sequence[fmpq]]) -> bool:
    """Whether every coefficient on every line is above its target."""
    return all(x > y for v, t in zip(values, targets, strict=True) for x, y in zip(v, t, strict=True))
