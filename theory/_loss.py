"""Expected loss of a toy model and its gradient, without sampling, for any number of features.

Up to eight features the moments of each output are sums over cube vertices, exact to rounding (`_rectified`); beyond that they are
contour sums whose error is estimated and held below the tolerance (`_contour`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray as Array

from ._checks import InputError, real_array
from ._contour import RowErrors, RowProblems, contour_errors
from ._rectified import rectified_moments

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ._features import Features

# Up to here the 2^n vertices are as fast as the contour, and exact to rounding.
VERTEX_N = 8
# Rounding of either method, measured against rational arithmetic, in units of max(1, height of the preactivation)².
ROUNDING = 1e-15


def feature_losses(
    weights: ArrayLike, bias: ArrayLike, features: Features, *, atol: float = 1e-9
) -> Float[Array, "*instances n"]:
    """Error of each feature, E (x_i - ReLU(W_i·W x + b_i))², without its importance.

    With M₂(a, β) = E ReLU(a·x + β)² and g_i row i of the Gram matrix WᵀW it is
    E x_i² + M₂(g_i, b_i) - ∂M₂/∂a_i(g_i, b_i), where ∂M₂/∂a_i = 2 E x_i ReLU(a·x + β).

    weights (..., m, n), bias (..., n); leading axes broadcast with those of `features`. atol: absolute error of each entry.
    Grade NUMERIC. Raises InputError as `expected_loss` does.

    A dropped feature with its best bias p/2 costs the variance p/3 - p²/4:

    >>> from tegum.theory import Features
    >>> feature_losses([[1.0, 0.0]], [0.0, 0.3], Features(0.6, n=2)).round(15).tolist()
    [0.0, 0.11]
    """
    w, b = _model(weights, bias, features)
    _check_atol(atol, w, b, 1.0)
    return row_errors(w, b, features, np.broadcast_to(atol, b.shape))


def expected_loss(
    weights: ArrayLike, bias: ArrayLike, features: Features, *, atol: float = 1e-9
) -> Float[Array, "*instances"]:
    """Population loss L = Σ_i I_i E (x_i - ReLU(W_i·W x + b_i))² of the ReLU output model, not sampled.

    weights (..., m, n), bias (..., n); leading axes broadcast with those of `features`, and the result has their
    shape. Independent features, any n: exact to rounding for n <= 8; beyond, a contour sum whose a posteriori error
    estimate is at most `atol` (an estimate, not a proof: of models made to mislead it, one output in thousands misses it).
    One value takes milliseconds at n = 20 and about a second at n = 400.
    Grade NUMERIC; `rational_loss` gives the same number as a rational for small n. Raises InputError for shapes that do not
    fit, values that are not finite, or an `atol` that float64 or the contour cannot reach.

    Two features of density 0.1 as an antipodal pair lose 2 p²/6 = 1/300:

    >>> from tegum.theory import Features
    >>> round(float(expected_loss([[1.0, -1.0]], [0.0, 0.0], Features(0.1, n=2))), 16)
    0.0033333333333333
    """
    w, b = _model(weights, bias, features)
    _check_atol(atol, w, b, features.importance.sum(-1).max())
    errors = row_errors(w, b, features, _row_tolerance(atol, features, b.shape))
    loss: Float[Array, "*instances"] = (features.importance * errors).sum(-1)
    return loss


def loss_and_gradient(
    weights: ArrayLike, bias: ArrayLike, features: Features, *, atol: float = 1e-9
) -> tuple[Float[Array, "*instances"], Float[Array, "*instances m n"], Float[Array, "*instances n"]]:
    """`expected_loss` with its gradient in the weights and in the bias: (loss, d_weights, d_bias).

    Row i contributes I_i (2 E x_j ReLU(y_i) - 2 E x_i x_j 1(y_i > 0)) to the derivative in the Gram entry G_ij, and
    ∂L/∂W = W (D + Dᵀ) for those derivatives D. Where the preactivation has an atom at zero the ReLU's derivative
    there counts as 0. For n > 8 it is the derivative of the contour sum itself, so value and gradient agree to rounding and a descent
    cannot profit from the truncation. Arguments, grade and errors as for `expected_loss`.

    The antipodal pair sits at no stationary point: at p = 0.1 the loss falls as the bias rises.

    >>> from tegum.theory import Features
    >>> loss_and_gradient([[1.0, -1.0]], [0.0, 0.0], Features(0.1, n=2))[2].round(12).tolist()
    [-0.003333333333, -0.003333333333]
    """
    w, b = _model(weights, bias, features)
    _check_atol(atol, w, b, features.importance.sum(-1).max())
    return model_gradient(w, b, features, atol)


def _model(
    weights: ArrayLike, bias: ArrayLike, features: Features
) -> tuple[Float[Array, "*instances m n"], Float[Array, "*instances n"]]:
    """Checked weights and bias, broadcast to the leading axes they share with the features."""
    w, b, n = real_array("weights", weights), real_array("bias", bias), features.n
    if w.ndim < 2 or w.shape[-1] != n:
        raise InputError(f"weights must have shape (..., m, n) with n = {n} features, got {w.shape}")
    if b.ndim < 1 or b.shape[-1] != n:
        raise InputError(f"bias must have shape (..., n) with n = {n} features, got {b.shape}")
    try:
        shape = np.broadcast_shapes(w.shape[:-2], b.shape[:-1], features.density.shape[:-1])
    except ValueError:
        raise InputError(
            f"leading axes do not fit: weights {w.shape[:-2]}, bias {b.shape[:-1]}, "
            f"features {features.density.shape[:-1]}"
        ) from None
    return np.broadcast_to(w, (*shape, *w.shape[-2:])), np.broadcast_to(b, (*shape, n))


def _check_atol(atol: float, w: Array, b: Array, importance: float) -> None:
    if not w.size:
        return
    # Where the vertex sum is used its terms are as high as the preactivation can be; contour terms are as high as it usually is.
    height = np.abs(np.swapaxes(w, -1, -2) @ w)
    reach = 1.0 + (height.sum(-1) if w.shape[-1] <= VERTEX_N else height.max(-1)).max() + np.abs(b).max()
    floor = ROUNDING * reach**2 * importance
    if not atol >= floor:
        raise InputError(
            f"atol must be at least {floor:.1e} for weights and importances of this size (float64 rounding), "
            f"got {atol}; use rational_loss for more"
        )


def _row_tolerance(atol: float, features: Features, shape: tuple[int, ...]) -> Float[Array, "*instances n"]:
    """Error allowed in each row so that the importance-weighted errors add up to atol."""
    return np.broadcast_to(atol / (features.n * features.importance), shape)


def row_errors(
    w: Float[Array, "*instances m n"],
    b: Float[Array, "*instances n"],
    features: Features,
    tolerance: Float[Array, "*instances n"],
) -> Float[Array, "*instances n"]:
    """`feature_losses` of arrays already checked and broadcast, each to its tolerance."""
    rows = _rows(w, b, features)
    if features.n > VERTEX_N:
        return contour_errors(rows, tolerance.reshape(-1), gradient=False).value.reshape(b.shape)
    square = rectified_moments(rows.slopes, rows.offset, rows.density, np.zeros((1, features.n), int))[:, 0, 2]
    cross = rectified_moments(rows.slopes, rows.offset, rows.density, _marks(rows))[:, 0, 1]
    errors: Float[Array, "*instances n"] = features.mean_square + 2 * (square - cross).reshape(b.shape)
    return errors


def model_gradient(
    w: Float[Array, "*instances m n"], b: Float[Array, "*instances n"], features: Features, atol: float
) -> tuple[Float[Array, "*instances"], Float[Array, "*instances m n"], Float[Array, "*instances n"]]:
    """`loss_and_gradient` of arrays already checked and broadcast."""
    n = features.n
    rows = _rows(w, b, features)
    if n > VERTEX_N:
        found = contour_errors(rows, _row_tolerance(atol, features, b.shape).reshape(-1), gradient=True)
    else:
        found = _vertex_gradient(rows)
    importance = features.importance
    d_gram = importance[..., None] * found.d_slopes.reshape(*b.shape, n)
    loss = (importance * (found.value.reshape(b.shape))).sum(-1)
    return loss, w @ (d_gram + np.swapaxes(d_gram, -1, -2)), importance * found.d_offset.reshape(b.shape)


def _vertex_gradient(rows: RowProblems) -> RowErrors:
    """What `contour_errors` gives, from the vertex sum."""
    count, n = rows.slopes.shape
    every = np.eye(n, dtype=int)
    none = rectified_moments(rows.slopes, rows.offset, rows.density, np.zeros((1, n), int))[:, 0]
    once = rectified_moments(rows.slopes, rows.offset, rows.density, every[None])
    twice = rectified_moments(rows.slopes, rows.offset, rows.density, _marks(rows) + every)
    row = np.arange(count)
    cross = once[row, rows.own]
    return RowErrors(
        value=rows.density[row, rows.own] / 3 + 2 * (none[:, 2] - cross[:, 1]),
        estimate=np.zeros(count),
        d_slopes=2 * (once[..., 1] - twice[..., 0]),
        d_offset=2 * (none[:, 1] - cross[:, 0]),
        nodes=np.zeros(count, int),
    )


def _marks(rows: RowProblems) -> Int[Array, "rows 1 n"]:
    """The mark on each output's own feature."""
    marks: Int[Array, "rows 1 n"] = np.eye(rows.slopes.shape[1], dtype=int)[rows.own][:, None]
    return marks


def _rows(w: Float[Array, "*instances m n"], b: Float[Array, "*instances n"], features: Features) -> RowProblems:
    """One row per output: Gram row, bias, densities."""
    n = features.n
    gram = (np.swapaxes(w, -1, -2) @ w).reshape(-1, n)
    density = np.broadcast_to(features.density, b.shape)
    own = np.tile(np.arange(n), b.size // n)
    return RowProblems(gram, b.reshape(-1), np.repeat(density.reshape(-1, n), n, axis=0), own)
