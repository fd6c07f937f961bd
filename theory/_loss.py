"""Expected loss of a toy model and its gradient, exactly: no sampling, no quadrature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray as Array

from ._checks import InputError, real_array
from ._rectified import rectified_moments

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ._features import Features

# The vertex sum has 2^n terms: at n = 12 one value takes about a second.
LARGEST_N = 12
# Rounding of the vertex sum, measured against rational arithmetic, in units of max(1, height of the preactivation)².
ROUNDING = 1e-15


def feature_losses(weights: ArrayLike, bias: ArrayLike, features: Features) -> Float[Array, "*instances n"]:
    """Error of each feature, E (x_i - ReLU(W_i·W x + b_i))², without its importance.

    With M₂(a, β) = E ReLU(a·x + β)² and g_i row i of the Gram matrix WᵀW it is
    E x_i² + M₂(g_i, b_i) - ∂M₂/∂a_i(g_i, b_i), where ∂M₂/∂a_i = 2 E x_i ReLU(a·x + β).

    weights (..., m, n), bias (..., n); leading axes broadcast with those of `features`. n <= 12.
    Grade NUMERIC (rounding only). Raises InputError for shapes that do not fit or values that are not finite.

    A dropped feature with its best bias p/2 costs the variance p/3 - p²/4:

    >>> from tegum.theory import Features
    >>> feature_losses([[1.0, 0.0]], [0.0, 0.3], Features(0.6, n=2)).round(15).tolist()
    [0.0, 0.11]
    """
    w, b = _model(weights, bias, features)
    return row_errors(w, b, features)


def expected_loss(
    weights: ArrayLike, bias: ArrayLike, features: Features, *, atol: float = 1e-9
) -> Float[Array, "*instances"]:
    """Population loss L = Σ_i I_i E (x_i - ReLU(W_i·W x + b_i))² of the ReLU output model, not sampled.

    weights (..., m, n), bias (..., n); leading axes broadcast with those of `features`, and the result has their
    shape. Independent features, n <= 12. `atol` is the absolute error asked for; the method errs by rounding
    only, and a request below that rounding is refused.
    Grade NUMERIC. Raises InputError for shapes that do not fit, values that are not finite, or an `atol` out of reach.
    `rational_loss` gives the same number as a rational.

    Two features of density 0.1 as an antipodal pair lose 2 p²/6 = 1/300:

    >>> from tegum.theory import Features
    >>> round(float(expected_loss([[1.0, -1.0]], [0.0, 0.0], Features(0.1, n=2))), 16)
    0.0033333333333333
    """
    w, b = _model(weights, bias, features)
    _check_atol(atol, w, b, features)
    loss: Float[Array, "*instances"] = (features.importance * row_errors(w, b, features)).sum(-1)
    return loss


def loss_and_gradient(
    weights: ArrayLike, bias: ArrayLike, features: Features, *, atol: float = 1e-9
) -> tuple[Float[Array, "*instances"], Float[Array, "*instances m n"], Float[Array, "*instances n"]]:
    """`expected_loss` with its gradient in the weights and in the bias: (loss, d_weights, d_bias).

    Row i contributes I_i (2 E x_j ReLU(y_i) - 2 E x_i x_j 1(y_i > 0)) to the derivative in the Gram entry G_ij, and
    ∂L/∂W = W (D + Dᵀ) for those derivatives D. Where the preactivation has an atom at zero the ReLU's derivative
    there counts as 0. Arguments, grade and errors as for `expected_loss`.

    The antipodal pair sits at no stationary point: at p = 0.1 the loss falls as the bias rises.

    >>> from tegum.theory import Features
    >>> loss_and_gradient([[1.0, -1.0]], [0.0, 0.0], Features(0.1, n=2))[2].round(12).tolist()
    [-0.003333333333, -0.003333333333]
    """
    w, b = _model(weights, bias, features)
    _check_atol(atol, w, b, features)
    return model_gradient(w, b, features)


def _model(
    weights: ArrayLike, bias: ArrayLike, features: Features
) -> tuple[Float[Array, "*instances m n"], Float[Array, "*instances n"]]:
    """Checked weights and bias, broadcast to the leading axes they share with the features."""
    w, b, n = real_array("weights", weights), real_array("bias", bias), features.n
    if w.ndim < 2 or w.shape[-1] != n:
        raise InputError(f"weights must have shape (..., m, n) with n = {n} features, got {w.shape}")
    if b.ndim < 1 or b.shape[-1] != n:
        raise InputError(f"bias must have shape (..., n) with n = {n} features, got {b.shape}")
    if n > LARGEST_N:
        raise InputError(f"the exact loss handles n <= {LARGEST_N} features (it sums 2^n vertices), got n = {n}")
    try:
        shape = np.broadcast_shapes(w.shape[:-2], b.shape[:-1], features.density.shape[:-1])
    except ValueError:
        raise InputError(
            f"leading axes do not fit: weights {w.shape[:-2]}, bias {b.shape[:-1]}, "
            f"features {features.density.shape[:-1]}"
        ) from None
    return np.broadcast_to(w, (*shape, *w.shape[-2:])), np.broadcast_to(b, (*shape, n))


def _check_atol(atol: float, w: Array, b: Array, features: Features) -> None:
    if not w.size:
        return
    reach = 1.0 + (np.abs(np.swapaxes(w, -1, -2) @ w).sum(-1) + np.abs(b)).max()
    floor = ROUNDING * reach**2 * features.importance.sum(-1).max()
    if not atol >= floor:
        raise InputError(
            f"atol must be at least {floor:.1e} for weights and importances of this size (float64 rounding), "
            f"got {atol}; use rational_loss for more"
        )


def row_errors(
    w: Float[Array, "*instances m n"], b: Float[Array, "*instances n"], features: Features
) -> Float[Array, "*instances n"]:
    """`feature_losses` of arrays already checked and broadcast."""
    gram, offset, p, own = _row_problems(w, b, features)
    square = rectified_moments(gram, offset, p, np.zeros((1, features.n), int))[:, 0, 2]
    cross = rectified_moments(gram, offset, p, own)[:, 0, 1]
    errors: Float[Array, "*instances n"] = features.mean_square + 2 * (square - cross).reshape(b.shape)
    return errors


def model_gradient(
    w: Float[Array, "*instances m n"], b: Float[Array, "*instances n"], features: Features
) -> tuple[Float[Array, "*instances"], Float[Array, "*instances m n"], Float[Array, "*instances n"]]:
    """`loss_and_gradient` of arrays already checked and broadcast."""
    n = features.n
    gram, offset, p, own = _row_problems(w, b, features)
    every = np.eye(n, dtype=int)
    none = rectified_moments(gram, offset, p, np.zeros((1, n), int))[:, 0]
    once = rectified_moments(gram, offset, p, every[None])
    twice = rectified_moments(gram, offset, p, own + every)
    row = np.arange(len(offset))
    cross = once[row, row % n]
    errors = features.mean_square + 2 * (none[:, 2] - cross[:, 1]).reshape(b.shape)
    d_gram = features.importance[..., None] * 2 * (once[..., 1] - twice[..., 0]).reshape(*b.shape, n)
    d_bias = features.importance * 2 * (none[:, 1] - cross[:, 0]).reshape(b.shape)
    return (features.importance * errors).sum(-1), w @ (d_gram + np.swapaxes(d_gram, -1, -2)), d_bias


def _row_problems(
    w: Float[Array, "*instances m n"], b: Float[Array, "*instances n"], features: Features
) -> tuple[Float[Array, "rows n"], Float[Array, " rows"], Float[Array, "rows n"], Int[Array, "rows 1 n"]]:
    """One row per output: Gram row, bias, densities, and the mark on the output's own feature."""
    n = features.n
    gram = (np.swapaxes(w, -1, -2) @ w).reshape(-1, n)
    offset = b.reshape(-1)
    density = np.broadcast_to(features.density, b.shape)
    p = np.repeat(density.reshape(-1, n), n, axis=0)
    own = np.tile(np.eye(n, dtype=int), (len(offset) // n, 1))[:, None, :]
    return gram, offset, p, own
