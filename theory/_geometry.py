"""Geometry of weights: feature dimensionality, dimensions per feature, and the blocks a packing is made of."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from ._checks import InputError, real_array

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

NAMES = {(1, 1): "dedicated", (2, 1): "digon", (3, 2): "triangle", (4, 3): "tetrahedron", (5, 2): "pentagon"}


def feature_dimensionality(weights: ArrayLike) -> Float[Array, "*instances n"]:
    """Share of a dimension that each feature has to itself, D_i = |W_i|² / Σ_j (Ŵ_i·W_j)², Ŵ_i = W_i/|W_i|.

    weights (..., m, n); the result has shape (..., n), in [0, 1], and a zero column has D_i = 0. Invariant under rotation and
    scaling of W; Σ_i D_i <= rank W. Source: Elhage et al. 2022, "feature dimensionality".
    Grade NUMERIC; `exact_dimensionality` works on exact vectors. Raises InputError.

    >>> feature_dimensionality([[1.0, -1.0, 0.0], [0.0, 0.0, 2.0]]).tolist()
    [0.5, 0.5, 1.0]
    """
    w = _weights(weights)
    largest = np.abs(w).max(axis=(-2, -1), keepdims=True)
    w = w / np.where(largest == 0, 1.0, largest)
    gram = np.swapaxes(w, -1, -2) @ w
    square = np.diagonal(gram, axis1=-2, axis2=-1)
    total = (gram**2).sum(-1)
    dimensionality: Float[Array, "*instances n"] = np.where(total > 0, square**2 / np.where(total > 0, total, 1), 0.0)
    return dimensionality


def dimensions_per_feature(weights: ArrayLike) -> Float[Array, "*instances"]:
    """Dimensions per represented feature, D* = m / ‖W‖_F²: features count by their squared norms.

    weights (..., m, n), not all zero. Source: Elhage et al. 2022, "uniform superposition". Grade NUMERIC. Raises InputError.

    >>> float(dimensions_per_feature([[1.0, -1.0]]))
    0.5
    """
    w = _weights(weights)
    norm: Float[Array, "*instances"] = (w**2).sum((-2, -1))
    if not np.all(norm > 0):
        raise InputError("weights must not be all zero: D* = m / ‖W‖_F² has no value there")
    ratio: Float[Array, "*instances"] = w.shape[-2] / norm
    return ratio


def describe_geometry(weights: ArrayLike, *, tolerance: float = 0.15) -> str:
    """The blocks of one weight matrix in words, e.g. '2 digons, 1 dropped'.

    A feature is dropped when its norm is below half the largest. The others fall into blocks, the connected components of
    |cos(W_i, W_j)| > tolerance; a block of k features of numerical rank d is named (k, d). The default tolerance lies between the
    noise of a trained model and the smallest non-zero |cos| of the named shapes, cos 72° = 0.309.

    >>> describe_geometry([[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
    '1 dedicated, 1 digon, 1 dropped'
    """
    w = _weights(weights)
    if w.ndim != 2:
        raise InputError(f"weights must have shape (m, n) for one model, got {w.shape}")
    norm = np.linalg.norm(w, axis=0)
    kept = [int(i) for i in np.flatnonzero((norm > 0.5 * norm.max()) & (norm > 0))]
    unit = w / np.where(norm == 0, 1, norm)
    linked = np.abs(unit.T @ unit) > tolerance
    counts: Counter[tuple[int, str]] = Counter()
    while kept:
        block, frontier = set[int](), {kept[0]}
        while frontier:
            block |= frontier
            frontier = {j for i in frontier for j in kept if linked[i, j]} - block
        kept = [i for i in kept if i not in block]
        rank = int((np.linalg.svd(unit[:, sorted(block)], compute_uv=False) > tolerance).sum())
        counts[len(block), NAMES.get((len(block), rank), f"({len(block)}, {rank}) block")] += 1
    dropped = w.shape[1] - sum(k * c for (k, _), c in counts.items())
    words = [f"{c} {name}{'s' if c > 1 and name != 'dedicated' else ''}" for (_, name), c in sorted(counts.items())]
    return ", ".join(words + ([f"{dropped} dropped"] if dropped else []))


def _weights(weights: ArrayLike) -> Float[Array, "*instances m n"]:
    w = real_array("weights", weights)
    if w.ndim < 2 or 0 in w.shape[-2:]:
        raise InputError(f"weights must have shape (..., m, n) with m, n >= 1, got {w.shape}")
    return w
