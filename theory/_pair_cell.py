"""Pair cell: the inequalities by which a state of two features in one dimension is optimal on a cell of (density, importance), in floats.

A cell is p0 <= p <= p1 with the importance between two lines in p. For a fixed model L is quadratic in p and linear in I, so along a
line L - target is a cubic in p: it is positive on the cell if its four Bernstein coefficients are, on both lines. Each coefficient is
an error under weights of the patterns of activity, the laws of the cell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy import ndarray as Array

from ._row_box import row_error

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    Line = tuple[Fraction, Fraction]

# What float bounds need to survive exact arithmetic.
ROOM = 1e-10


class Cell(NamedTuple):
    """The inequalities of a cell: `cubic` F_1 + `lines` F_2 > target, F_i the errors of the outputs under the laws.

    laws (k, 4)  weights of the patterns, whose errors are the Bernstein coefficients in p; k = 3, or 1 at a single density
    variance (k,)  V for each law
    cubic (c, k)  coefficients of a quadratic to those of the same polynomial as a cubic
    lines (l, c, k)  ... and to those of its product with the importance along each line
    target, ignored (l, c)  loss to be beaten, and I V
    """

    laws: Array
    variance: Array
    cubic: Array
    lines: Array
    target: Array
    ignored: Array
    density: float

    def excess(self, first: Array, second: Array) -> Array:
        """(boxes, lines, c): what bounds (boxes, k) on the errors leave above the target."""
        total: Array = (first @ self.cubic.T)[:, None] + np.einsum("bk,lck->blc", second, self.lines)
        return total - self.target * (1 + ROOM)

    @property
    def active(self) -> Array:
        """(k,): the density under each law."""
        active: Array = self.laws[:, 1] + self.laws[:, 3]
        return active

    def slope_bound(self, own: Array) -> Array:
        """Bounds (boxes, laws) by the own slope (boxes, 2) alone: (1 - a)² V below 1, p φ(a) above, φ(a) = ((a - 1)/(a + 1))²/3."""
        low, high = own[:, :1], own[:, 1:]
        below = np.maximum(1 - high, 0) ** 2 * self.variance
        bounds: Array = below + np.maximum((low - 1) / (low + 1), 0) ** 2 / 3 * self.active
        return bounds

    def extent(self) -> list[float] | None:
        """(w1, w2) beyond which p φ(w1²), or I p φ(w2²), is above the target; None if there is no such pair."""
        extent = []
        for factors in (self.cubic, self.lines):
            root = np.sqrt((3 * self.target / (factors @ self.active)).max())
            if root >= 0.999:
                return None
            extent.append(float(np.ceil(64.01 * np.sqrt((1 + root) / (1 - root)))) / 64)
        return extent


def pair_cell(density: Line, lines: Sequence[Line], witness: Sequence[Fraction] | None) -> Cell:
    """Inequalities L > loss of the witness model, or I V without one, on a cell."""
    p, q = map(float, density)
    # The law of density p is quadratic in p; these are its Bernstein coefficients (none, only own, only other, both).
    pairs = ((p, p), (p, q), (q, q)) if p < q else ((p, p),)
    laws = np.array([[(1 - x) * (1 - y), *2 * [(x * (1 - y) + y * (1 - x)) / 2], x * y] for x, y in pairs])
    variance = np.array([(x + y) / 6 - x * y / 4 for x, y in pairs])
    ends = [tuple(map(float, line)) for line in lines]
    cubic, *times = [_times_line(*line) if p < q else np.array([[line[0]]]) for line in [(1.0, 1.0), *ends]]
    products = np.stack(times)
    ignored = products @ variance
    target = ignored
    if witness is not None:
        w1, w2, b1, *rest = map(np.array, map(float, witness))
        second = variance * ((1 - w2 * w2) ** 2 + (w1 * w2) ** 2)
        if rest:
            second = row_error(w2 * w2, w1 * w2, rest[0], laws)
        target = cubic @ row_error(w1 * w1, w1 * w2, b1, laws) + products @ second
    return Cell(laws, variance, cubic, products, target, ignored, (p + q) / 2)


def _times_line(start: float, end: float) -> Array:
    """(4, 3): Bernstein coefficients of a quadratic to those of its product with the line from `start` to `end`."""
    return np.array([[start, 0, 0], [end / 3, 2 * start / 3, 0], [0, 2 * end / 3, start / 3], [0, 0, end]])
