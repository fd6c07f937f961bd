"""Maps: the loss of any rectified or linear affine map of the features, tied or not, and its gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from ._checks import InputError, importances, real_array
from ._features import Features
from ._method import is_exact, solve_rows
from ._rows import RowProblems

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

    from ._rows import RowErrors

    Solver = Callable[[RowProblems, Float[Array, " rows"], bool], RowErrors]

# Rounding of every method, measured against rational arithmetic, in units of max(1, height of the preactivation)².
ROUNDING = 1e-15


@dataclass(frozen=True)
class MapLoss:
    """Loss of a map x' = f(Ax + b) and its derivatives: loss (...), d_matrix (..., k, n), d_bias (..., k).

    For A = decoder @ encoder, d_decoder = d_matrix @ encoder.T and d_encoder = decoder.T @ d_matrix.
    """

    loss: Float[Array, "*instances"]
    d_matrix: Float[Array, "*instances k n"]
    d_bias: Float[Array, "*instances k"]


def rectified_loss(
    matrix: ArrayLike,
    bias: ArrayLike,
    features: Features,
    *,
    target: ArrayLike | None = None,
    importance: ArrayLike | None = None,
    atol: float = 1e-9,
) -> MapLoss:
    """Loss L = Σ_i I_i E (T_i - ReLU(A_i·x + b_i))² of any rectified affine map, targets T = Cx, not sampled.

    Covers what has one ReLU at the output and targets linear in the features: tied weights A = WᵀW (`expected_loss` is the
    shorthand), an untied decoder A = W₂W₁ (gradients by the chain rule, see `MapLoss`), models without bias (bias 0), targets of
    lower dimension, |x| for signed x (`absolute_loss`). It does *not* cover hidden ReLUs, products of features, other
    nonlinearities, or unbounded values.

    matrix A (..., k, n), bias b (..., k) or 0; target C (k, n), the identity unless given (then k = n); importance I of the outputs
    (..., k), that of the features unless given (then k = n). `atol`, methods, grade NUMERIC and errors as for `expected_loss`.

    An untied pair at density 1 that reads feature 1 with slope 2 and ignores 2: E (x - 2x)² + Var x = 1/3 + 1/12.

    >>> found = rectified_loss([[2.0, 0.0], [0.0, 0.0]], [0.0, 0.5], Features(1.0, n=2))
    >>> round(float(found.loss), 12), found.d_matrix[0].round(12).tolist()
    (0.416666666667, [0.666666666667, 0.5])
    """
    return map_loss(matrix, bias, features, target, importance, atol, gradient=True)


def map_loss(
    matrix: ArrayLike,
    bias: ArrayLike,
    features: Features,
    target: ArrayLike | None,
    importance: ArrayLike | None,
    atol: float,
    *,
    gradient: bool,
    solve: Solver = solve_rows,
) -> MapLoss:
    """`rectified_loss`, the derivatives zero unless `gradient`, with the rows solved by `solve`."""
    a, b, c = _checked(matrix, bias, features, target)
    weight = _output_importance(importance, features, b)
    check_atol(atol, a, b, features, float(weight.sum(-1).max(initial=0)))
    tolerance = np.broadcast_to(atol / (b.shape[-1] * weight), b.shape)
    errors, d_matrix, d_bias = map_errors(a, b, features, c, tolerance, gradient=gradient, solve=solve)
    return MapLoss((weight * errors).sum(-1), weight[..., None] * d_matrix, weight * d_bias)


def linear_loss(
    matrix: ArrayLike,
    bias: ArrayLike,
    features: Features,
    *,
    target: ArrayLike | None = None,
    importance: ArrayLike | None = None,
) -> MapLoss:
    """Loss Σ_i I_i E (T_i - A_i·x - b_i)² of the linear model, T = Cx: with D = C - A it is Σ_i I_i [D_i Σ D_iᵀ + (D_i·μ - b_i)²].

    μ and Σ are mean and covariance of the features, of any law. Arguments and errors as for `rectified_loss`; exact to rounding.
    Its optimum keeps the m principal components of I^(1/2) Σ^(1/2), bias D μ: the linear model never superposes.

    Keeping feature 1 of two at density 0.6 costs the variance p/3 - p²/4 of the other:

    >>> round(float(linear_loss([[1.0, 0.0], [0.0, 0.0]], [0.0, 0.3], Features(0.6, n=2)).loss), 15)
    0.11
    """
    a, b, c = _checked(matrix, bias, features, target)
    weight = _output_importance(importance, features, b)
    mean, rest = features.mean, c - a
    lean = (rest * mean[..., None, :]).sum(-1) - b
    spread = rest @ features.covariance
    loss = (weight * ((spread * rest).sum(-1) + lean**2)).sum(-1)
    d_matrix = -2 * weight[..., None] * (spread + lean[..., None] * mean[..., None, :])
    return MapLoss(loss, d_matrix, -2 * weight * lean)


def absolute_loss(matrix: ArrayLike, bias: ArrayLike, features: Features, *, atol: float = 1e-9) -> MapLoss:
    """Loss Σ_i I_i E (|x_i| - ReLU(A_i·x + b_i))² for signed features: each value of `features` has a random sign.

    x_i = x_i⁺ - x_i⁻ with x_i⁺, x_i⁻ of density p_i/2 of which at most one is on, so that |x_i| = x_i⁺ + x_i⁻ is linear in them: the
    map is `rectified_loss` of 2n anticorrelated features. The output is one rectified affine function of x; a network with
    hidden ReLUs (which can compute |x| exactly) is not covered.

    matrix (..., n, n), bias (..., n) or 0, independent features. Grade NUMERIC; raises InputError as `expected_loss` does.

    The half of the values that an output with slope 1 sees is reproduced, the other half, E x²/2 = p/6, is lost:

    >>> round(float(absolute_loss([[1.0]], [0.0], Features(0.3, n=1)).loss), 12)
    0.05
    """
    if features.law.kind != "independent":
        raise InputError(f"features must be independent to be given random signs, got {features.law.kind} ones")
    a, n = real_array("matrix", matrix), features.n
    if a.ndim < 2 or a.shape[-2:] != (n, n):
        raise InputError(f"matrix must have shape (..., {n}, {n}) for n = {n} features, got {a.shape}")
    half = np.repeat(features.density / 2, 2, axis=-1)
    signed = Features.anticorrelated(half, size=2, values=features.law.values)
    both = np.stack([a, -a], axis=-1).reshape(*a.shape[:-1], 2 * n)
    found = rectified_loss(
        both, bias, signed, target=np.repeat(np.eye(n), 2, axis=1), importance=features.importance, atol=atol
    )
    return MapLoss(found.loss, found.d_matrix[..., 0::2] - found.d_matrix[..., 1::2], found.d_bias)


def map_errors(
    a: Float[Array, "*instances k n"],
    b: Float[Array, "*instances k"],
    features: Features,
    target: Float[Array, "k n"],
    tolerance: Float[Array, "*instances k"],
    *,
    gradient: bool,
    solve: Solver = solve_rows,
) -> tuple[Float[Array, "*instances k"], Float[Array, "*instances k n"], Float[Array, "*instances k"]]:
    """E (T_i - ReLU(A_i·x + b_i))² of every output and its derivatives, of arrays already checked and broadcast."""
    k, n = target.shape
    density = np.broadcast_to(features.density, (*b.shape[:-1], n)).reshape(-1, n)
    problems = RowProblems(
        slopes=np.ascontiguousarray(a.reshape(-1, n)),
        offset=np.ascontiguousarray(b.reshape(-1)),
        density=np.repeat(density, k, axis=0),
        target=np.tile(target, (b.size // k, 1)),
        constant=np.zeros(b.size),
        law=features.law,
    )
    found = solve(problems, np.ascontiguousarray(tolerance.reshape(-1)), gradient)
    errors = found.value.reshape(b.shape) + _target_square(target, features)
    return errors, found.d_slopes.reshape(a.shape), found.d_offset.reshape(b.shape)


def _target_square(target: Float[Array, "k n"], features: Features) -> Float[Array, "*instances k"]:
    """E T²."""
    if target.shape[0] == features.n and np.array_equal(target, np.eye(features.n)):
        return features.mean_square
    spread = ((target @ features.covariance) * target).sum(-1)
    square: Float[Array, "*instances k"] = spread + (target * features.mean[..., None, :]).sum(-1) ** 2
    return square


def _checked(
    matrix: ArrayLike, bias: ArrayLike, features: Features, target: ArrayLike | None
) -> tuple[Float[Array, "*instances k n"], Float[Array, "*instances k"], Float[Array, "k n"]]:
    """Matrix, bias and target, checked and broadcast to the leading axes they share with the features."""
    a, b, n = real_array("matrix", matrix), real_array("bias", bias), features.n
    if a.ndim < 2 or a.shape[-1] != n:
        raise InputError(f"matrix must have shape (..., k, n) with n = {n} features, got {a.shape}")
    k = a.shape[-2]
    c = np.eye(n) if target is None else real_array("target", target)
    if c.shape != (k, n):
        rule = f"({k}, {n}) to fit the matrix"
        raise InputError(
            f"target must be given unless the matrix is {n} x {n}, got a matrix {a.shape}"
            if target is None
            else f"target must have shape {rule}, got {c.shape}"
        )
    if b.ndim and b.shape[-1] != k:
        raise InputError(f"bias must have shape (..., {k}), one per row of the matrix, or be 0, got {b.shape}")
    shape = shared_axes(a.shape[:-2], b.shape[:-1], features, "matrix")
    return np.broadcast_to(a, (*shape, k, n)), np.broadcast_to(b, (*shape, k)), c


def shared_axes(weights: tuple[int, ...], bias: tuple[int, ...], features: Features, name: str) -> tuple[int, ...]:
    """The leading axes of model and features, broadcast; InputError if they do not fit."""
    try:
        return np.broadcast_shapes(weights, bias, features.density.shape[:-1])
    except ValueError:
        raise InputError(
            f"leading axes do not fit: {name} {weights}, bias {bias}, features {features.density.shape[:-1]}"
        ) from None


def _output_importance(
    importance: ArrayLike | None, features: Features, b: Float[Array, "*instances k"]
) -> Float[Array, "*instances k"]:
    """Importance of the outputs, that of the features unless given."""
    weight = features.importance if importance is None else importances("importance", importance)
    try:
        return np.broadcast_to(weight, b.shape)
    except ValueError:
        raise InputError(
            f"importance must have shape (..., {b.shape[-1]}), one per output, got {weight.shape}"
        ) from None


def check_atol(atol: float, a: Array, b: Array, features: Features, importance: float) -> None:
    """InputError for an atol below the rounding of float64 for maps of this size."""
    if not a.size:
        return
    # Exact sums have terms as high as the preactivation can be; contour terms are as high as it usually is.
    height = np.abs(a)
    reach = 1.0 + (height.sum(-1) if is_exact(features.law) else height.max(-1)).max() + np.abs(b).max()
    floor = ROUNDING * reach**2 * importance
    if not atol >= floor:
        raise InputError(
            f"atol must be at least {floor:.1e} for weights and importances of this size (float64 rounding), "
            f"got {atol}; use rational_loss for more"
        )
