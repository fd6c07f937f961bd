"""Moments of a rectified affine function of the features, with their derivatives: what every loss is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from ._checks import InputError, real_array
from ._maps import check_atol, shared_axes
from ._method import solve_rows
from ._rows import RowProblems

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ._features import Features


@dataclass(frozen=True)
class Moment:
    """A moment and its derivatives: value (...), d_slopes (..., n), d_offset (...)."""

    value: Float[Array, "*instances"]
    d_slopes: Float[Array, "*instances n"]
    d_offset: Float[Array, "*instances"]


def second_moment(slopes: ArrayLike, offset: ArrayLike, features: Features, *, atol: float = 1e-9) -> Moment:
    """M₂(a, β) = E ReLU(a·x + β)², with ∂M₂/∂a_j = 2 E x_j ReLU(a·x + β) and ∂M₂/∂β = 2 E ReLU(a·x + β).

    The one scalar function that carries the whole loss, L = Σ_i I_i [E x_i² + M₂(g_i, b_i) - ∂M₂/∂a_i(g_i, b_i)]; jointly convex in
    (a, β). By contour integration M₂ = (1/2πi) ∫ 2 s⁻³ e^{sβ} Π_g φ_g(a, s) ds on Re s = c > 0.

    slopes a (..., n), offset β (...); leading axes broadcast with those of `features`, any law. atol: error of the value. Derivatives
    are those of the computed value: exact to rounding where it is, else within about √(2 atol K), K the largest second derivative,
    so far off only where y has an atom, or nearly one, at zero.
    Grade NUMERIC; methods and errors as for `expected_loss`.

    E ReLU(u₁ - u₂)² = 1/12 for two uniform variables:

    >>> from tegum.theory import Features
    >>> moment = second_moment([1.0, -1.0], 0.0, Features(1.0, n=2))
    >>> round(float(moment.value), 12), moment.d_slopes.round(12).tolist(), round(float(moment.d_offset), 12)
    (0.083333333333, [0.25, 0.083333333333], 0.333333333333)
    """
    return _moment(slopes, offset, features, atol, square=1.0, constant=0.0)


def rectified_moment(slopes: ArrayLike, offset: ArrayLike, features: Features, *, atol: float = 1e-9) -> Moment:
    """M₁(a, β) = E ReLU(a·x + β), with ∂M₁/∂a_j = E x_j 1(a·x + β > 0) and ∂M₁/∂β = P(a·x + β > 0).

    M₁ = ½ ∂M₂/∂β, by contour (1/2πi) ∫ s⁻² e^{sβ} Π_g φ_g(a, s) ds. Arguments, accuracy, grade and errors as for `second_moment`.

    E ReLU(u₁ - u₂) = 1/6, and it is positive half of the time:

    >>> from tegum.theory import Features
    >>> moment = rectified_moment([1.0, -1.0], 0.0, Features(1.0, n=2))
    >>> round(float(moment.value), 12), moment.d_slopes.round(12).tolist(), round(float(moment.d_offset), 12)
    (0.166666666667, [0.333333333333, 0.166666666667], 0.5)
    """
    return _moment(slopes, offset, features, atol, square=0.0, constant=-0.5)


def _moment(
    slopes: ArrayLike, offset: ArrayLike, features: Features, atol: float, square: float, constant: float
) -> Moment:
    """F of `RowProblems` without a target."""
    a, beta, n = real_array("slopes", slopes), real_array("offset", offset), features.n
    if a.ndim < 1 or a.shape[-1] != n:
        raise InputError(f"slopes must have shape (..., n) with n = {n} features, got {a.shape}")
    shape = shared_axes(a.shape[:-1], beta.shape, features, "slopes")
    a, beta = np.broadcast_to(a, (*shape, n)), np.broadcast_to(beta, shape)
    check_atol(atol, a[..., None, :], beta[..., None], features, 1.0)
    rows = RowProblems(
        slopes=np.array(a.reshape(-1, n)),
        offset=np.array(beta.reshape(-1)),
        density=np.array(np.broadcast_to(features.density, (*shape, n)).reshape(-1, n)),
        target=np.zeros((beta.size, n)),
        constant=np.full(beta.size, constant),
        law=features.law,
        square=square,
    )
    found = solve_rows(rows, np.full(beta.size, float(atol)), gradient=True)
    return Moment(found.value.reshape(shape), found.d_slopes.reshape(a.shape), found.d_offset.reshape(shape))
