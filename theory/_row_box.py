"""Row box: lower bounds of the error of one output, over boxes of its two slopes and its offset.

The output y = (a x1 + t x2 + b)₊ is to be x1; x1 and x2 are 0 or uniform on [0, 1], in a law that gives each pattern of activity its
weight π (none, only x1, only x2, both; linear in the law, so any non-negative weights will do). Its error is

    R(a, t, b) = (π_1 + π_12)/3 + M(a, t, b) - 2 N(a, t, b),    M = E y², N = E x1 y,

and both M and N are convex. Over a box, M is at least its tangent plane at the centre and -2N, concave, is least at a vertex:

    R >= (π_1 + π_12)/3 + min over the 8 vertices v of  M(c) + ∇M(c)·(v - c) - 2 N(v).

What is lost is the curvature of M over the box: the square of its widths. Everything is linear in π, so several laws share the work.
Floats here; `_exact_row` repeats the bound in rational arithmetic, by formulas of its own.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

NONE, OWN, OTHER, BOTH = range(4)
# Vertices of a box in units of its half widths, along (a, t, b).
VERTICES = np.array(list(product((-1.0, 1.0), repeat=3)))
# Division guard: slopes below this are taken for it, which moves no value by more than itself.
TINY = 1e-300


class Terms(NamedTuple):
    """Per pattern of activity, last axis (none, only x1, only x2, both): E y², E x1 y, E x2 y and E y given the pattern."""

    square: Array
    own: Array
    other: Array
    mean: Array


def terms(a: Float[Array, "*k"], t: Float[Array, "*k"], b: Float[Array, "*k"]) -> Terms:
    """The conditional moments at slopes a >= 0 (own) and t (other, either sign) and offset b; sums of terms of one sign."""
    a, t, b = np.broadcast_arrays(a, t, b)
    zero = np.zeros(a.shape)
    none = np.maximum(b, 0)
    own = _one(a, b)
    # A negative slope is a positive one in 1 - v.
    c, low, flipped = np.abs(t), b + np.minimum(t, 0), t < 0
    alone = _one(c, low)
    alone_v = np.where(flipped, alone[0] - alone[1], alone[1])
    # Over v, the moments in u are cubics between the v where u = 1 and u = 0 begin to rectify: Simpson's rule is exact.
    scale = np.maximum(c, TINY)
    first, second = np.clip(-(low + a) / scale, 0, 1), np.clip(-low / scale, 0, 1)
    square = mean = both_u = both_v = zero
    for lo, hi in ((first, second), (second, np.ones_like(first))):
        for v, weight in ((lo, 1 / 6), ((lo + hi) / 2, 4 / 6), (hi, 1 / 6)):
            part_mean, part_u, part_square = _one(a, low + c * v)
            step = weight * (hi - lo)
            mean, both_u, square = mean + step * part_mean, both_u + step * part_u, square + step * part_square
            both_v = both_v + step * part_mean * np.where(flipped, 1 - v, v)
    return Terms(
        np.stack([none**2, own[2], alone[2], square], -1),
        np.stack([zero, own[1], zero, both_u], -1),
        np.stack([zero, zero, alone_v, both_v], -1),
        np.stack([none, own[0], alone[0], mean], -1),
    )


def row_error(
    a: Float[Array, "*k"], t: Float[Array, "*k"], b: Float[Array, "*k"], law: Float[Array, "*laws 4"]
) -> Float[Array, "*k *laws"]:
    """R(a, t, b) for every law (weights of the patterns)."""
    at = terms(a, t, b)
    weight = np.moveaxis(law, -1, 0)
    error: Array = np.tensordot(at.square - 2 * at.own, weight, 1) + (weight[OWN] + weight[BOTH]) / 3
    return error


def row_bounds(
    centre: Float[Array, "k 3"], half: Float[Array, "k 3"], law: Float[Array, "laws 4"]
) -> Float[Array, "k vertices laws"]:
    """The bound at each vertex of the boxes centre ± half in (a, t, b), per law; their minimum over the vertices bounds R below.

    The vertices stay apart so that a caller can add a concave function of (a, t, b) before taking the minimum.
    """
    at = terms(*centre.T)
    # ∂M/∂(a, t, b) = 2 E (x1, x2, 1) y.
    slope = 2 * np.stack([at.own, at.other, at.mean], 1)
    shift = VERTICES * half[:, None]
    tangent = at.square[:, None] + np.einsum("kvx,kxs->kvs", shift, slope)
    corner = terms(*np.moveaxis(centre[:, None] + shift, -1, 0)).own
    bounds: Array = (tangent - 2 * corner) @ law.T + (law[:, OWN] + law[:, BOTH]) / 3
    return bounds


def _one(a: Array, s: Array) -> tuple[Array, Array, Array]:
    """E (a u + s)₊, E u (a u + s)₊ and E (a u + s)₊² over u in [0, 1], a >= 0."""
    full, top = s >= 0, np.maximum(a + s, 0)
    # Rectified below u = τ.
    tau = np.clip(-s / np.maximum(a, TINY), 0, 1)
    rest = 1 - tau
    mean = np.where(full, a / 2 + s, top * rest / 2)
    own = np.where(full, a / 3 + s / 2, top * rest * (2 + tau) / 6)
    square = np.where(full, a**2 / 3 + a * s + s**2, top**2 * rest / 3)
    return mean, own, square
