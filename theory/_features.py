"""Features: the law of the input vector x and how much each coordinate matters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from ._checks import InputError, densities, importances, whole

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class Features:
    """Independent sparse features: x_i = 0 with probability 1 - p_i, else uniform on [0, 1].

    `density` p (probability that a feature is active, 1 - sparsity, in (0, 1]) and `importance` I (positive)
    broadcast against each other to shape (..., n); leading axes are instances. Give `n` when both are scalars
    or when a trailing axis of length one is to be repeated.

    Moments of one feature: E x = p/2, E x² = p/3, Var x = p/3 - p²/4.

    Raises InputError for a density outside (0, 1], an importance that is not positive, NaN, or shapes that
    do not fit.

    >>> features = Features(0.6, importance=[1.0, 0.5])
    >>> features.n, features.variance.round(15).tolist()
    (2, [0.11, 0.11])
    """

    density: Float[Array, "*instances n"]
    importance: Float[Array, "*instances n"]

    def __init__(self, density: ArrayLike, importance: ArrayLike = 1.0, n: int | None = None) -> None:
        p, weight = densities("density", density), importances("importance", importance)
        if n is None and p.ndim == 0 and weight.ndim == 0:
            raise InputError("n is needed when density and importance are both scalars, e.g. Features(0.1, n=5)")
        trailing = () if n is None else (whole("n", n, 1),)
        try:
            shape = np.broadcast_shapes(p.shape, weight.shape, trailing)
        except ValueError:
            raise InputError(
                f"density of shape {p.shape}, importance of shape {weight.shape}"
                f"{'' if n is None else f' and n = {n}'} do not fit: the last axis is the feature, of one length"
            ) from None
        if n is not None and shape[-1] != n:
            raise InputError(f"n = {n} but density and importance have {shape[-1]} features on their last axis")
        if shape[-1] == 0:
            raise InputError("density must hold at least one feature, got an empty axis")
        self.density = np.broadcast_to(p, shape)
        self.importance = np.broadcast_to(weight, shape)

    @property
    def n(self) -> int:
        """Number of features."""
        return int(self.density.shape[-1])

    @property
    def mean(self) -> Float[Array, "*instances n"]:
        """E x = p/2."""
        return self.density / 2

    @property
    def mean_square(self) -> Float[Array, "*instances n"]:
        """E x² = p/3."""
        return self.density / 3

    @property
    def variance(self) -> Float[Array, "*instances n"]:
        """Var x = p/3 - p²/4, the loss of a feature that the model ignores."""
        return self.density / 3 - self.density**2 / 4

    def __repr__(self) -> str:
        """The densities and importances, arrays in full."""
        return f"Features(density={self.density.tolist()}, importance={self.importance.tolist()})"
