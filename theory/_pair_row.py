"""Pair rows: the error of one output that sees two features, with two derivatives, in closed form."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

# Two Gauss nodes are exact for cubics, which is what every integrand below is between its breaks.
GAUSS = np.array([-1.0, 1.0]) / np.sqrt(3.0)
TINY = 1e-300


def pair_row(
    a: Float[Array, "*k"], c: Float[Array, "*k"], b: Float[Array, "*k"], p: Float[Array, "*k"]
) -> tuple[Float[Array, "*k"], Float[Array, "*k 3"]]:
    """F = E (x1 - ReLU(a x1 + c x2 + b))² and its gradient in (a, c, b), for a >= 0 and both features of density p.

    For each x2 = v the output is on for x1 above l = clip(-(b + c v)/a, 0, 1), so the mean over x1 is a cubic of v between the two v at
    which l reaches 0 or 1, and the mean over x2 a sum over two Gauss nodes in each of the three pieces: exact, without cancellation.

    Grade NUMERIC (rounding only). Features of density 1 and an output that repeats x1 + x2 err by E x2² = 1/3:

    >>> f, gradient = pair_row(*(np.array(z) for z in (1.0, 1.0, 0.0, 1.0)))
    >>> round(float(f), 15), gradient.round(12).tolist()
    (0.333333333333333, [0.5, 0.666666666667, 1.0])
    """
    v, weight, t, low = _strips(a, c, b, p)
    on, off, slope = p * weight, (1 - p) * weight, a - 1
    zero, one, two = 1 - low, (1 - low**2) / 2, (1 - low**3) / 3
    first = on * (slope * one + t * zero) + off * np.maximum(t, 0)
    value = on * (low**3 / 3 + slope**2 * two + 2 * slope * t * one + t**2 * zero) + off * np.maximum(t, 0) ** 2
    gradient = np.stack([(on * (slope * two + t * one)).sum(0), (v * first).sum(0), first.sum(0)], -1)
    return value.sum(0), 2 * gradient


def pair_row_curvature(
    a: Float[Array, "*k"], c: Float[Array, "*k"], b: Float[Array, "*k"], p: Float[Array, "*k"]
) -> Float[Array, "*k 3 3"]:
    """Second derivative of `pair_row`'s F in (a, c, b): 2 E z zᵀ 1(y > 0) - 2 E z zᵀ x1 δ(y), z = (x1, x2, 1), y = a x1 + c x2 + b.

    Where y has an atom at zero (b = 0, or c = b = 0) the gradient has a kink, and this is the derivative from below.
    """
    v, weight, t, low = _strips(a, c, b, p)
    edge = np.where((low > 0) & (low < 1), low / np.maximum(a, TINY), 0.0)
    on = p * weight
    bb = on * (1 - low - edge) + (1 - p) * weight * (t > 0)
    ab = on * ((1 - low**2) / 2 - low * edge)
    aa = on * ((1 - low**3) / 3 - low**2 * edge)
    entries = [aa, v * ab, ab, v * ab, v**2 * bb, v * bb, ab, v * bb, bb]
    stacked = 2 * np.stack([x.sum(0) for x in entries], -1)
    return stacked.reshape(*stacked.shape[:-1], 3, 3)


def _strips(
    a: Float[Array, "*k"], c: Float[Array, "*k"], b: Float[Array, "*k"], p: Float[Array, "*k"]
) -> tuple[Float[Array, "nodes ..."], Float[Array, "nodes ..."], Float[Array, "nodes ..."], Float[Array, "nodes ..."]]:
    """Nodes v of the sparse x2 with weights, t = b + c v, and the lower end l of the x1 for which the output is on."""
    with np.errstate(over="ignore"):
        crossing = np.where(np.abs(c) < TINY, TINY, c)
        one, two = np.clip(-b / crossing, 0, 1), np.clip(-(a + b) / crossing, 0, 1)
        cuts = np.stack([np.zeros_like(one), np.minimum(one, two), np.maximum(one, two), np.ones_like(one)])
        half = np.diff(cuts, axis=0) / 2
        inner = (cuts[:-1] + half)[:, None] + half[:, None] * GAUSS.reshape(2, *[1] * one.ndim)
        v = np.concatenate([np.zeros_like(one)[None], inner.reshape(6, *one.shape)])
        weight = np.concatenate([(1 - p + 0 * one)[None], p * np.repeat(half, 2, axis=0)])
        t = b + c * v
        low = np.clip(-t / np.maximum(a, TINY), 0, 1)
    return v, weight, t, low


def pair_gradient(
    x: Float[Array, "*k 4"], p: Float[Array, "*k"], importance: Float[Array, "*k"]
) -> tuple[Float[Array, "*k"], Float[Array, "*k 4"]]:
    """Loss F_1 + I F_2 of the model x = (w1, w2, b1, b2) of n = 2, m = 1 with importances (1, I), and its gradient in x.

    >>> x = np.array([1.0, -1.0, 0.0, 0.0])
    >>> [y.round(12).tolist() for y in pair_gradient(x, np.array(0.1), np.array(1.0))]
    [0.003333333333, [-0.001666666667, 0.001666666667, -0.003333333333, -0.003333333333]]
    """
    u, v = x[..., 0], x[..., 1]
    first, d = pair_row(u * u, u * v, x[..., 2], p)
    second, e = pair_row(v * v, u * v, x[..., 3], p)
    cross = d[..., 1] + importance * e[..., 1]
    entries = [2 * u * d[..., 0] + v * cross, 2 * v * importance * e[..., 0] + u * cross]
    return first + importance * second, np.stack([*entries, d[..., 2], importance * e[..., 2]], -1)


def pair_hessian(
    x: Float[Array, "*k 4"], p: Float[Array, "*k"], importance: Float[Array, "*k"]
) -> Float[Array, "*k 4 4"]:
    """Second derivative in x of the loss of `pair_gradient`, from below where the gradient has a kink."""
    total = np.zeros((*x.shape, 4))
    for own, other, bias, scale in ((0, 1, 2, np.ones_like(importance)), (1, 0, 3, importance)):
        w, r = x[..., own], x[..., other]
        slopes = (w * w, w * r, x[..., bias], p)
        gradient, curvature = pair_row(*slopes)[1], pair_row_curvature(*slopes)
        chain = np.zeros((*x.shape[:-1], 3, 4))  # derivative of (a, c, b) = (w², w r, b) in x
        chain[..., 0, own], chain[..., 1, own], chain[..., 1, other], chain[..., 2, bias] = 2 * w, r, w, 1.0
        part = np.swapaxes(chain, -1, -2) @ curvature @ chain
        part[..., own, own] += 2 * gradient[..., 0]
        part[..., own, other] += gradient[..., 1]
        part[..., other, own] += gradient[..., 1]
        total += scale[..., None, None] * part
    return total
