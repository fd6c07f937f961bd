"""Expected loss of a toy model and its gradient, without sampling, for any number of features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from ._checks import InputError, real_array
from ._maps import check_atol, map_errors, shared_axes

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ._features import Features


def feature_losses(
    weights: ArrayLike, bias: ArrayLike, features: Features, *, atol: float = 1e-9
) -> Float[Array, "*instances n"]:
    """Error of each feature, E (x_i - ReLU(W_i·W x + b_i))², without its importance.

    With M₂(a, β) = E ReLU(a·x + β)² and g_i row i of the Gram matrix WᵀW it is
    E x_i² + M₂(g_i, b_i) - ∂M₂/∂a_i(g_i, b_i), where ∂M₂/∂a_i = 2 E x_i ReLU(a·x + β).

    weights (..., m, n), bias (..., n) or 0; leading axes broadcast with those of `features`. atol: absolute error of each entry.
    Grade NUMERIC. Raises InputError as `expected_loss` does.

    A dropped feature with its best bias p/2 costs the variance p/3 - p²/4:

    >>> from tegum.theory import Features
    >>> feature_losses([[1.0, 0.0]], [0.0, 0.3], Features(0.6, n=2)).round(15).tolist()
    [0.0, 0.11]
    """
    w, b = _model(weights, bias, features)
    check_atol(atol, gram(w), b, features, 1.0)
    return row_errors(w, b, features, np.broadcast_to(atol, b.shape))


def expected_loss(
    weights: ArrayLike, bias: ArrayLike, features: Features, *, atol: float = 1e-9
) -> Float[Array, "*instances"]:
    """Population loss L = Σ_i I_i E (x_i - ReLU(W_i·W x + b_i))² of the ReLU output model, not sampled.

    weights (..., m, n), bias (..., n), or 0 for the model without bias; leading axes broadcast with those of `features`, and the
    result has their shape. Any n, and every law that `Features` can have: independent, correlated or anticorrelated groups, values
    uniform, constant or Beta. Uniform with n <= 8, and constant values of up to some thirty groups: exact to rounding. Otherwise a
    contour sum whose a posteriori error estimate is at most `atol` (an estimate, not a proof: of models made to mislead it,
    one output in thousands misses it). `rectified_loss` takes untied and other maps, and says what is not covered.
    Grade NUMERIC; `rational_loss` gives the same number as a rational for small n. Raises InputError for shapes that do not
    fit, values that are not finite, or an `atol` that float64 or the contour cannot reach.

    Two features of density 0.1 as an antipodal pair lose 2 p²/6 = 1/300, and nothing if they exclude each other:

    >>> from tegum.theory import Features
    >>> round(float(expected_loss([[1.0, -1.0]], 0, Features(0.1, n=2))), 16)
    0.0033333333333333
    >>> abs(float(expected_loss([[1.0, -1.0]], 0, Features.anticorrelated(0.1, n=2)))) < 1e-17
    True
    """
    w, b = _model(weights, bias, features)
    check_atol(atol, gram(w), b, features, features.importance.sum(-1).max())
    errors = row_errors(w, b, features, _row_tolerance(atol, features, b.shape))
    loss: Float[Array, "*instances"] = (features.importance * errors).sum(-1)
    return loss


def loss_and_gradient(
    weights: ArrayLike, bias: ArrayLike, features: Features, *, atol: float = 1e-9
) -> tuple[Float[Array, "*instances"], Float[Array, "*instances m n"], Float[Array, "*instances n"]]:
    """`expected_loss` with its gradient in the weights and in the bias: (loss, d_weights, d_bias).

    Row i contributes I_i (2 E x_j ReLU(y_i) - 2 E x_i x_j 1(y_i > 0)) to the derivative in the Gram entry G_ij, and
    ∂L/∂W = W (D + Dᵀ) for those derivatives D. Where the preactivation has an atom at zero the ReLU's derivative
    there counts as 0. A contour sum gives its own derivative, so value and gradient agree to rounding and a descent
    cannot profit from the truncation. Arguments, grade and errors as for `expected_loss`.

    The antipodal pair sits at no stationary point: at p = 0.1 the loss falls as the bias rises.

    >>> from tegum.theory import Features
    >>> loss_and_gradient([[1.0, -1.0]], [0.0, 0.0], Features(0.1, n=2))[2].round(12).tolist()
    [-0.003333333333, -0.003333333333]
    """
    w, b = _model(weights, bias, features)
    check_atol(atol, gram(w), b, features, features.importance.sum(-1).max())
    return model_gradient(w, b, features, atol)


def _model(
    weights: ArrayLike, bias: ArrayLike, features: Features
) -> tuple[Float[Array, "*instances m n"], Float[Array, "*instances n"]]:
    """Checked weights and bias, broadcast to the leading axes they share with the features."""
    w, b, n = real_array("weights", weights), real_array("bias", bias), features.n
    if w.ndim < 2 or w.shape[-1] != n:
        raise InputError(f"weights must have shape (..., m, n) with n = {n} features, got {w.shape}")
    if b.ndim and b.shape[-1] != n:
        raise InputError(f"bias must have shape (..., n) with n = {n} features, or be 0, got {b.shape}")
    shape = shared_axes(w.shape[:-2], b.shape[:-1], features, "weights")
    return np.broadcast_to(w, (*shape, *w.shape[-2:])), np.broadcast_to(b, (*shape, n))


def _row_tolerance(atol: float, features: Features, shape: tuple[int, ...]) -> Float[Array, "*instances n"]:
    """Error allowed in each row so that the importance-weighted errors add up to atol."""
    return np.broadcast_to(atol / (features.n * features.importance), shape)


def gram(w: Float[Array, "*instances m n"]) -> Float[Array, "*instances n n"]:
    """WᵀW."""
    product: Float[Array, "*instances n n"] = np.swapaxes(w, -1, -2) @ w
    return product


def row_errors(
    w: Float[Array, "*instances m n"],
    b: Float[Array, "*instances n"],
    features: Features,
    tolerance: Float[Array, "*instances n"],
) -> Float[Array, "*instances n"]:
    """`feature_losses` of arrays already checked and broadcast, each to its tolerance."""
    return map_errors(gram(w), b, features, np.eye(features.n), tolerance, gradient=False)[0]


def model_gradient(
    w: Float[Array, "*instances m n"], b: Float[Array, "*instances n"], features: Features, atol: float
) -> tuple[Float[Array, "*instances"], Float[Array, "*instances m n"], Float[Array, "*instances n"]]:
    """`loss_and_gradient` of arrays already checked and broadcast."""
    importance, tolerance = features.importance, _row_tolerance(atol, features, b.shape)
    errors, d_gram, d_bias = map_errors(gram(w), b, features, np.eye(features.n), tolerance, gradient=True)
    d_gram = importance[..., None] * d_gram
    return (importance * errors).sum(-1), w @ (d_gram + np.swapaxes(d_gram, -1, -2)), importance * d_bias
