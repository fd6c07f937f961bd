"""Geometry of weights: feature dimensionality, dimensions per feature, and the blocks of a model in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from ._blocks import find_blocks, put_in_words
from ._checks import InputError, real_array

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


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


def describe_geometry(weights: ArrayLike) -> str:
    """The blocks of one weight matrix in words, e.g. '2 digons, 1 dropped'.

    weights (m, n). A feature is dropped when its norm is at most half the largest. The others fall into blocks: those with |cos| > 0.3 are
    together, and so are those that share dimensions in spite of smaller cosines, as the vertices of a large simplex. k unit vectors of
    rank d have the name of a polytope whose Gram matrix is within a sine of 0.2 of theirs: dedicated (1, 1), digon, triangle, tetrahedron,
    5-cell, 5-simplex and so on (k, k-1), pentagon, hexagon and so on (k, 2), square antiprism (8, 3), rectified 5-cell (10, 4),
    icosahedron (12, 3), 5-demicube (16, 5), 2_21 polytope (27, 6). Other blocks are a '(k, d) block': irregular ones, parallel features.

    `numerics.classify_geometry` is the same for batches, with the features, rank and symmetry error of every block.
    Grade NUMERIC: names are by tolerance. Source of the blocks: Elhage et al. 2022. Raises InputError.

    >>> describe_geometry([[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
    '1 dedicated, 1 digon, 1 dropped'
    >>> describe_geometry([[1.0, 1.0]])
    '1 (2, 1) block'
    """
    w = _weights(weights)
    if w.ndim != 2:
        raise InputError(f"weights must have shape (m, n) for one model, got {w.shape}")
    (words,) = put_in_words(find_blocks(w[None]))
    return words


def _weights(weights: ArrayLike) -> Float[Array, "*instances m n"]:
    w = real_array("weights", weights)
    if w.ndim < 2 or 0 in w.shape[-2:]:
        raise InputError(f"weights must have shape (..., m, n) with m, n >= 1, got {w.shape}")
    return w
