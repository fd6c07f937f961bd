"""Polish: unit vectors near a local minimum of their coherence, brought to it in float64 accuracy.

The coherence is max over pairs of σ <x, y>, σ = sign <x, y> for lines and σ = 1 for codes. In tangent coordinates d_i ⊥ x_i the steps are
 - **sequential linear programs**: least m with σ_ij (<x_i, x_j> + <x_j, d_i> + <x_i, d_j>) <= m, |d| <= radius in every coordinate;
 - **Newton on the active pairs**: stationarity of Σ λ_ij σ_ij <x_i, x_j>, Σ λ = 1, and σ_ij <x_i, x_j> = m on the pairs of largest |.|. The
   step is the least-norm solution, so rotations, rattlers and multipliers that are not unique do no harm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float
    from numpy import ndarray as Array
    from scipy.sparse import csr_array

# Pairs this far below the largest are tried as active pairs, in turn.
GAPS = (1e-8, 1e-6, 1e-5, 1e-4)
# Unknowns of Newton's method that are solved for densely; beyond this by LSMR.
DENSE = 900


def coherence(vectors: Float[Array, "N n"], lines: bool) -> float:
    """Largest |<x, y>| (lines) or <x, y> (codes) over pairs of rows.

    >>> coherence(np.array([[1.0, 0.0], [-0.6, 0.8]]), True), coherence(np.array([[1.0, 0.0], [-0.6, 0.8]]), False)
    (0.6, -0.6)
    """
    products = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
    return float((np.abs(products) if lines else products).max())


def normalised(vectors: Float[Array, "N n"]) -> Float[Array, "N n"]:
    """Rows divided by their lengths."""
    unit: Float[Array, "N n"] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def polish(
    vectors: Float[Array, "N n"], lines: bool, *, radius: float = 0.01, steps: int = 40
) -> tuple[Float[Array, "N n"], float]:
    """Unit vectors of locally least coherence near `vectors` (N, n >= 2 unit rows), and that coherence; never a larger one.

    At most `steps` linear programs, the first of the trust radius `radius`. Newton's method is tried before them and after every third;
    the first point that it confirms as stationary ends the polish. Grade NUMERIC.

    >>> near = np.array([[1.0, 0.02], [-0.5, 0.9], [-0.5, -0.8]])
    >>> round(polish(normalised(near), True)[1], 12)
    0.5
    """
    x, best = vectors, coherence(vectors, lines)
    for step in range(steps + 1):
        # The first round is Newton alone: a symmetric configuration needs no linear program.
        if step:
            candidate, promised = _linear_program(x, best, lines, radius)
            value = best if candidate is None else coherence(candidate, lines)
            gain = best - value
            radius *= 2 if gain > 0.7 * promised else 1 if gain > 0.3 * promised else 0.25
            if candidate is not None and gain > 0:
                x, best = candidate, value
            if promised < 1e-14 or radius < 1e-12:
                break
            if step % 3:
                continue
        tried = 0
        for gap in GAPS:
            active = _pairs(x, lines, best - gap)
            if len(active[0]) == tried:
                continue
            tried = len(active[0])
            newton, level = _newton(x, active)
            value = coherence(newton, lines)
            # A pair that was left out may have risen above the level.
            if value <= min(level, best) + 1e-14:
                return (newton, value) if value < best else (x, best)
            if value < best:
                x, best = newton, value
    return x, best


def _pairs(x: Float[Array, "N n"], lines: bool, least: float) -> tuple[Array, Array, Array, Array]:
    """i, j, σ and σ <x_i, x_j> of the pairs whose σ <x_i, x_j> is at least `least`."""
    i, j = np.triu_indices(len(x), 1)
    t = (x @ x.T)[i, j]
    sign = np.sign(t) if lines else np.ones_like(t)
    near = sign * t >= least
    return i[near], j[near], sign[near], (sign * t)[near]


def _tangents(x: Float[Array, "N n"]) -> Float[Array, "N n d"]:
    """Orthonormal bases of the tangent spaces, d = n - 1."""
    count, n = x.shape
    spans = np.concatenate([x[:, :, None], np.broadcast_to(np.eye(n), (count, n, n))], axis=2)
    return np.linalg.qr(spans)[0][:, :, 1:n]


def _rows(x: Float[Array, "N n"], basis: Float[Array, "N n d"], i: Array, j: Array, sign: Array) -> csr_array:
    """Derivatives of σ_ij <x_i, x_j> - m, one row per pair; columns are the N (n - 1) tangent coordinates, then m."""
    from scipy.sparse import csr_array

    count, _, d = basis.shape
    k = len(i)
    left = sign[:, None] * np.einsum("kn,knd->kd", x[j], basis[i])
    right = sign[:, None] * np.einsum("kn,knd->kd", x[i], basis[j])
    columns = np.concatenate(
        [i[:, None] * d + np.arange(d), j[:, None] * d + np.arange(d), np.full((k, 1), count * d)], axis=1
    )
    values = np.concatenate([left, right, np.full((k, 1), -1.0)], axis=1)
    starts = np.arange(k + 1) * columns.shape[1]
    return csr_array((values.ravel(), columns.ravel(), starts), shape=(k, count * d + 1))


def _moved(x: Float[Array, "N n"], basis: Float[Array, "N n d"], step: Array) -> Float[Array, "N n"]:
    return normalised(x + np.einsum("knd,kd->kn", basis, step.reshape(len(x), -1)))


def _linear_program(
    x: Float[Array, "N n"], best: float, lines: bool, radius: float
) -> tuple[Float[Array, "N n"] | None, float]:
    """Point that the linear program proposes, None if the solver fails, and the decrease that it promises."""
    from scipy.optimize import linprog

    # Moving both vectors changes an inner product by at most 2 radius sqrt(n): pairs farther below cannot matter.
    i, j, sign, value = _pairs(x, lines, best - 4 * radius * np.sqrt(x.shape[1]))
    basis = _tangents(x)
    rows = _rows(x, basis, i, j, sign)
    unknowns = rows.shape[1]
    cost = np.zeros(unknowns)
    cost[-1] = 1.0
    # In units of the radius, so that the solver's absolute tolerance is a relative one.
    bounds = [(-1.0, 1.0)] * (unknowns - 1) + [(None, 0.0)]
    found = linprog(cost, A_ub=rows, b_ub=(best - value) / radius, bounds=bounds, method="highs")
    if found.x is None:
        return None, np.inf
    return _moved(x, basis, radius * found.x[:-1]), -radius * float(found.fun)


def _newton(x: Float[Array, "N n"], active: tuple[Array, Array, Array, Array]) -> tuple[Float[Array, "N n"], float]:
    """Newton's method on the pairs that `_pairs` gave: the point reached, and their m; -∞ if it is not stationary with λ >= 0."""
    from scipy.sparse import block_array

    i, j, sign, value = active
    level = float(value.mean())
    weights: Array | None = None
    for _ in range(8):
        basis = _tangents(x)
        rows = _rows(x, basis, i, j, sign)
        unknowns = rows.shape[1]
        target = np.zeros(unknowns)
        target[-1] = -1.0
        if weights is None:
            weights = _multipliers(rows, target)
        value = sign * np.einsum("kn,kn->k", x[i], x[j])
        residual = np.concatenate([rows.T @ weights - target, value - level])
        if np.abs(residual).max() < 1e-14:
            break
        step = _least_norm(
            block_array([[_curvature(x, basis, i, j, sign, weights), rows.T], [rows, None]], format="csr"), -residual
        )
        if not np.isfinite(step).all() or np.abs(step[: unknowns - 1]).max() > 0.1:
            return x, -np.inf
        x = _moved(x, basis, step[: unknowns - 1])
        level, weights = level + float(step[unknowns - 1]), weights + step[unknowns:]
    assert weights is not None
    stationary = np.abs(residual).max() < 1e-12 and weights.min() > -1e-9
    return x, level if stationary else -np.inf


def _curvature(
    x: Float[Array, "N n"], basis: Float[Array, "N n d"], i: Array, j: Array, sign: Array, weights: Array
) -> csr_array:
    """Second derivatives of Σ λ_ij σ_ij <x_i, x_j> along the spheres; the last row and column, of m, are zero."""
    from scipy.sparse import bsr_array, coo_array

    count, _, d = basis.shape
    weighted = weights * sign
    blocks = weighted[:, None, None] * np.einsum("knd,kne->kde", basis[i], basis[j])
    pull = np.bincount(i, weighted * (x[i] * x[j]).sum(1), count) + np.bincount(
        j, weighted * (x[i] * x[j]).sum(1), count
    )
    across = np.concatenate([i, j, np.arange(count)])
    along = np.concatenate([j, i, np.arange(count)])
    data = np.concatenate([blocks, blocks.transpose(0, 2, 1), -pull[:, None, None] * np.eye(d)])
    order = np.lexsort((along, across))
    starts = np.searchsorted(across[order], np.arange(count + 1))
    inner = bsr_array((data[order], along[order], starts), shape=(count * d, count * d)).tocoo()
    return coo_array((inner.data, (inner.row, inner.col)), shape=(count * d + 1, count * d + 1)).tocsr()


def _multipliers(rows: csr_array, target: Array) -> Array:
    """λ of least residual in stationarity: nonnegative ones where the size allows, since of many solutions the shortest may not be."""
    from scipy.optimize import nnls

    if max(rows.shape) <= DENSE:
        try:
            return np.asarray(nnls(rows.T.toarray(), target)[0])
        except RuntimeError:  # too many exchanges
            pass
    return _least_norm(rows.T.tocsr(), target)


def _least_norm(matrix: csr_array, right: Array) -> Array:
    """Least-squares solution of least norm. Singular values below 1e-9 of the largest count as zero: rotations leave them."""
    from scipy.sparse.linalg import lsmr

    if max(matrix.shape) <= DENSE:
        return np.asarray(np.linalg.lstsq(matrix.toarray(), right, rcond=1e-9)[0])
    return np.asarray(lsmr(matrix, right, atol=1e-14, btol=1e-14, maxiter=400)[0])
