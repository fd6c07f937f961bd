"""Rectified moments: E Π_j x_j^{r_j} (a·x + β)₊^q / q! of sparse features, without sampling or quadrature.

The mean over one coordinate is a divided difference of the next power,
E_u (t + a u)₊^q/q! = [(t + a)₊^{q+1} - t₊^{q+1}] / (a (q+1)!), so the mean over all n coordinates is a sum over
the 2ⁿ vertices. Evaluated as it stands that sum cancels catastrophically when some |a_j| is small. Here

* coordinates are split off in the order of falling |a_j|, and
* as soon as the sign of t + Σ_{remaining} a_j x_j is settled, the rest is a polynomial moment, written with all
  terms positive (negative slopes are reflected, x → 1 - x), so nothing cancels.

A division by a_j therefore only happens while 0 lies within the range of the remaining sum, which is at most n |a_j|
wide: every step loses a factor of about n/q, whatever the slopes. The inactive state x_j = 0 joins the active one in
the same step, so the cost is O(2ⁿ n) per moment and not 3ⁿ.
"""

from __future__ import annotations

from math import factorial

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray as Array

# Slopes below this change no moment by more than 1e-70, but their cubes would underflow.
NEGLIGIBLE_SLOPE = 1e-75
# Floats in one block of the widest level: 32 MiB.
BLOCK = 1 << 22


def rectified_moments(
    slopes: Float[Array, "batch n"],
    offset: Float[Array, " batch"],
    density: Float[Array, "batch n"],
    marks: Int[Array, "*batch passes n"],
) -> Float[Array, "batch passes 3"]:
    """E Π_j x_j^{r_j} (a·x + β)₊^q / q! for q = 0, 1, 2, with (·)₊⁰ the indicator of a positive argument.

    slopes a, offset β, density p: one row each per moment wanted. marks: the exponents r, 0 to 2, one row per pass,
    every row with the same sum; a batch entry of its own marks is given by `marks` of shape (batch, passes, n).

    Grade NUMERIC: rounding only, below 1e-15 max(|β| + Σ|a|, 1)² in comparisons with rational arithmetic.

    Both features on: E (u₁ - u₂)₊² = 1/12.

    >>> half = rectified_moments(np.array([[1.0, -1.0]]), np.zeros(1), np.ones((1, 2)), np.zeros((1, 2), int))
    >>> round(2 * float(half[0, 0, 2]), 15)
    0.083333333333333
    """
    batch, n = slopes.shape
    each = np.broadcast_to(marks, (batch, *marks.shape[-2:]))
    passes = each.shape[1]
    out = np.empty((batch, passes, 3))
    step = max(1, BLOCK // (passes * (1 << n) * (n + 5)))
    for start in range(0, batch, step):
        part = slice(start, start + step)
        out[part] = _block(slopes[part], offset[part], density[part], each[part])
    return out


def _block(
    slopes: Float[Array, "batch n"],
    offset: Float[Array, " batch"],
    density: Float[Array, "batch n"],
    marks: Int[Array, "batch passes n"],
) -> Float[Array, "batch passes 3"]:
    """The moments of one block. Inside, the batch is the last axis and the power q the first: slices are contiguous."""
    n = slopes.shape[-1]
    slopes = np.where(np.abs(slopes) < NEGLIGIBLE_SLOPE, 0.0, slopes)
    order = np.argsort(-np.abs(slopes), axis=-1, kind="stable")
    a = np.take_along_axis(slopes, order, -1).T
    p = np.take_along_axis(density, order, -1).T
    mark = np.take_along_axis(marks, order[:, None, :], -1).transpose(2, 1, 0)
    top = 2 + int(marks[0, 0].sum())  # highest power needed once every coordinate has been split off, less n

    # heights[j]: the value of β + Σ_{l<j} a_l v_l at the 2^j vertices of the first j coordinates.
    heights = [offset[None]]
    for j in range(n):
        heights.append(np.concatenate([heights[j], heights[j] + a[j]]))
    below = np.cumsum(np.minimum(a, 0)[::-1], 0)[::-1]
    above = np.cumsum(np.maximum(a, 0)[::-1], 0)[::-1]

    # values[q, vertex, pass, batch] at the current level; series[r, pass, batch] = E Π x^marks z^r/r! of what remains.
    values = np.broadcast_to(_powers(heights[n], n + top)[:, :, None], (n + top + 1, 1 << n, *mark.shape[1:]))
    series = np.zeros((n + top + 1, *mark.shape[1:]))
    series[0] = 1.0
    for j in reversed(range(n)):
        terms = j + top + 1
        series = _multiply(series[:terms], _coordinate_series(a[j], p[j], mark[j], terms))
        low, high = heights[j] + below[j], heights[j] + above[j]
        values = _split(values, a[j], p[j], mark[j], terms)
        values *= (high > 0)[:, None]
        positive = (low >= 0) & (high > 0)
        if positive.any():
            settled = _shifted_moments(_powers(low, terms - 1), series)
            np.copyto(values, settled, where=positive[None, :, None])
    return values[:3, 0].transpose(2, 1, 0)


def _powers(t: Float[Array, "vertices batch"], top: int) -> Float[Array, "powers vertices batch"]:
    """t₊^q / q! for q = 0 … top; the zeroth power is the indicator of t > 0."""
    positive = np.maximum(t, 0.0)
    out = np.empty((top + 1, *t.shape))
    out[0] = t > 0
    out[1:2] = positive
    for q in range(2, top + 1):
        np.multiply(out[q - 1], positive / q, out=out[q])
    return out


def _coordinate_series(
    a: Float[Array, " batch"], p: Float[Array, " batch"], mark: Int[Array, "passes batch"], terms: int
) -> Float[Array, "terms passes batch"]:
    """E x^mark (|a| y)^s / s! for s < terms, where y = x, or y = 1 - x when a < 0."""
    s = np.arange(terms)[:, None]
    rising = np.stack([p / (s + r + 1) for r in range(3)])  # E x^{r+s} = p/(r+s+1)
    rising[0, 0] = 1.0
    falling = np.stack([p / (s + 1), p / ((s + 1) * (s + 2)), 2 * p / ((s + 1) * (s + 2) * (s + 3))])
    falling[0] += 1 - p
    moments = np.where(a < 0, falling, rising)
    scale = np.ones((terms, len(a)))
    for r in range(1, terms):
        np.multiply(scale[r - 1], np.abs(a) / r, out=scale[r])
    moments *= scale
    chosen: Float[Array, "terms passes batch"] = moments[mark[None], s[:, :, None], np.arange(len(a))]
    return chosen


def _multiply(
    x: Float[Array, "terms passes batch"], y: Float[Array, "terms passes batch"]
) -> Float[Array, "terms passes batch"]:
    """Product of two power series, truncated."""
    out: Float[Array, "terms passes batch"] = x[0] * y
    for r in range(1, len(x)):
        out[r:] += x[r] * y[:-r]
    return out


def _shifted_moments(
    powers: Float[Array, "terms vertices batch"], series: Float[Array, "terms passes batch"]
) -> Float[Array, "terms vertices passes batch"]:
    """Σ_r t^{q-r}/(q-r)! series_r for every q, vertex and pass; t⁰ counts as 1 also at t = 0, where the caller has settled
    that the argument is positive."""
    terms = len(powers)
    out = np.empty((terms, powers.shape[1], *series.shape[1:]))
    out[:] = series[:, None]
    for r in range(terms - 1):
        out[r + 1 :] += powers[1 : terms - r, :, None] * series[r]
    return out


def _split(
    values: Float[Array, "powers vertices passes batch"],
    a: Float[Array, " batch"],
    p: Float[Array, " batch"],
    mark: Int[Array, "passes batch"],
    terms: int,
) -> Float[Array, "terms half passes batch"]:
    """Mean over one coordinate from the values at its two ends, for each power below `terms`.

    Integration by parts: ∫ u^r f_q(t + a u) du = Σ_{d=0}^{r} (-1)^d r!/(r-d)! f_{q+d+1}(t + a)/a^{d+1}
    - (-1)^r r! f_{q+r+1}(t)/a^{r+1}, where f_q = (·)₊^q/q! averaged over the coordinates already done.
    Powers beyond the end of `values` are left out: an entry that misses one is past what its own pass still needs.
    """
    half = values.shape[1] // 2
    left, right = values[:, :half], values[:, half:]
    inverse = 1 / np.where(a == 0, 1.0, a)
    out: Float[Array, "terms half passes batch"] = np.where(mark == 0, 1 - p, 0.0) * left[:terms]
    for d in range(int(mark.max()) + 1):
        falling = np.array([factorial(r) / factorial(r - d) if r >= d else 0.0 for r in range(3)])[mark]
        weight = (-1) ** d * falling * p * inverse ** (d + 1)
        piece = weight * right[d + 1 : d + 1 + terms]
        piece -= np.where(mark == d, weight, 0.0) * left[d + 1 : d + 1 + terms]
        out[: len(piece)] += piece
    return out
