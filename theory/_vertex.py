"""Vertex sums: the rows of a model with a few uniform features, exact to rounding."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray as Array

from ._rectified import rectified_moments
from ._rows import RowErrors, RowProblems

# Up to here the 2^n vertices are as fast as the contour.
VERTEX_N = 8


def vertex_errors(problems: RowProblems, gradient: bool) -> RowErrors:
    """F for every row, values uniform: one vertex sum for independent features, one per set of active features for groups.

    Grade NUMERIC: rounding only, below 1e-15 (|β| + Σ|a|)². 2^n n steps per moment.

    The antipodal pair at density 1: E ReLU(x₁ - x₂)² - 2 E x₁ ReLU(x₁ - x₂) = 1/12 - 2/8.

    >>> from tegum.theory._law import independent
    >>> pair = RowProblems(np.array([[1.0, -1.0]]), np.zeros(1), np.ones((1, 2)), np.array([[1.0, 0]]), np.zeros(1), independent(2))
    >>> round(float(vertex_errors(pair, False).value[0]), 15)
    -0.166666666666667
    """
    rows, n = problems.slopes.shape
    total = RowErrors.empty(rows, n)
    if problems.law.kind == "independent":
        _add(total, problems, list(range(n)), problems.density, np.ones(rows), gradient)
        return total
    for active, chance in problems.law.patterns(list(problems.density.T)):
        _add(total, problems, list(active), np.ones((rows, len(active))), np.broadcast_to(chance, (rows,)), gradient)
    return total


def _add(
    total: RowErrors,
    problems: RowProblems,
    kept: list[int],
    density: Float[Array, "rows kept"],
    chance: Float[Array, " rows"],
    gradient: bool,
) -> None:
    """Add the contribution of the features in `kept`, the others being zero, weighted with `chance`."""
    rows, k = len(chance), len(kept)
    a, c = problems.slopes[:, kept], problems.target[:, kept]
    if k == 0:
        # A feature of slope zero that is never on stands for none at all.
        a, c, density, k = np.zeros((rows, 1)), np.zeros((rows, 1)), np.zeros((rows, 1)), 1

    def moments(marks: Int[Array, "*rows passes k"]) -> Float[Array, "rows passes 3"]:
        return rectified_moments(a, problems.offset, density, marks)

    q, c0 = problems.square, problems.constant
    every = np.eye(k, dtype=int)
    none = moments(np.zeros((1, k), int))[:, 0]
    value = 2 * q * none[:, 2] - 2 * c0 * none[:, 1]
    d_offset = 2 * q * none[:, 1] - 2 * c0 * none[:, 0]
    d_slopes = np.zeros((rows, k))
    if gradient:
        once = moments(every)
        d_slopes = 2 * q * once[..., 1] - 2 * c0[:, None] * once[..., 0]
    # One pass per target feature of a row: mostly there is one, its own.
    places = np.argsort(c == 0, axis=1, kind="stable")[:, : int((c != 0).sum(1).max(initial=0))]
    row = np.arange(rows)
    for place in places.T:
        weight = c[row, place]
        mark = every[place][:, None]
        cross = moments(mark)[:, 0]
        value -= 2 * weight * cross[:, 1]
        d_offset -= 2 * weight * cross[:, 0]
        if gradient:
            d_slopes -= 2 * weight[:, None] * moments(mark + every)[..., 0]
    total.value[:] += chance * value
    if gradient:
        total.d_offset[:] += chance * d_offset
        if kept:
            total.d_slopes[:, kept] += chance[:, None] * d_slopes
