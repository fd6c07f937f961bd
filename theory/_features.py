"""Features: the law of the input vector x and how much each coordinate matters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from ._checks import InputError, densities, importances, whole
from ._law import UNIFORM, Kind, Law, Values, independent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike


class Features:
    """Independent sparse features: x_i = 0 with probability 1 - p_i, else a value in [0, 1], uniform unless said otherwise.

    `density` p (probability that a feature is active, 1 - sparsity, in (0, 1]) and `importance` I (positive)
    broadcast against each other to shape (..., n); leading axes are instances. Give `n` when both are scalars
    or when a trailing axis of length one is to be repeated. `values`: `UNIFORM`, `CONSTANT` (an active feature is 1) or
    `beta_values(α, β)`. `Features.correlated` and `Features.anticorrelated` make features that are not independent.

    Moments of one uniform feature: E x = p/2, E x² = p/3, Var x = p/3 - p²/4.

    Raises InputError for a density outside (0, 1], an importance that is not positive, NaN, shapes that
    do not fit, or values of another kind.

    >>> features = Features(0.6, importance=[1.0, 0.5])
    >>> features.n, features.variance.round(15).tolist()
    (2, [0.11, 0.11])
    """

    density: Float[Array, "*instances n"]
    importance: Float[Array, "*instances n"]
    law: Law

    def __init__(
        self, density: ArrayLike, importance: ArrayLike = 1.0, n: int | None = None, *, values: Values = UNIFORM
    ) -> None:
        if not isinstance(values, Values):
            raise InputError(f"values must be UNIFORM, CONSTANT or beta_values(alpha, beta), got {values!r}")
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
        self.law = independent(shape[-1], values)

    @classmethod
    def correlated(
        cls,
        density: ArrayLike,
        importance: ArrayLike = 1.0,
        n: int | None = None,
        *,
        size: int | Sequence[int] = 2,
        values: Values = UNIFORM,
    ) -> Features:
        """Groups of consecutive features that are active together: all of a group with probability p, else none.

        size: of every group, or a sequence of sizes adding up to n; a group of one is an independent feature. The density is
        that of the group, the same for all its features. Values within a group are independent. Other arguments and errors
        as for `Features`.

        >>> Features.correlated(0.1, n=4, size=2).covariance[0].round(4).tolist()  # p/3 - p²/4 and p/4 - p²/4
        [0.0308, 0.0225, 0.0, 0.0]
        """
        features = cls(density, importance, n, values=values)
        features.law = _law("correlated", features.n, size, values)
        for group in features.law.groups:
            part = features.density[..., group]
            if np.any(part != part[..., :1]):
                raise InputError(
                    f"density must be equal within a correlated group (its features are active together), got "
                    f"{part.reshape(-1, len(group))[0].tolist()} for features {group[0]} to {group[-1]}"
                )
        return features

    @classmethod
    def anticorrelated(
        cls,
        density: ArrayLike,
        importance: ArrayLike = 1.0,
        n: int | None = None,
        *,
        size: int | Sequence[int] = 2,
        values: Values = UNIFORM,
    ) -> Features:
        """Groups of consecutive features of which at most one is active: feature j with its density p_j, none with 1 - Σ p_j.

        size: of every group, or a sequence of sizes adding up to n. The densities of a group add up to at most 1. Other arguments
        and errors as for `Features`.

        >>> Features.anticorrelated(0.1, n=4, size=2).covariance[0].round(4).tolist()  # p/3 - p²/4 and -p²/4
        [0.0308, -0.0025, 0.0, 0.0]
        """
        features = cls(density, importance, n, values=values)
        features.law = _law("anticorrelated", features.n, size, values)
        for group in features.law.groups:
            total = features.density[..., group].sum(-1).max(initial=0)
            if total > 1 + 1e-12:
                raise InputError(
                    f"density must add up to at most 1 within an anticorrelated group (at most one is active), got {total:g} "
                    f"for features {group[0]} to {group[-1]}"
                )
        return features

    @property
    def n(self) -> int:
        """Number of features."""
        return int(self.density.shape[-1])

    @property
    def mean(self) -> Float[Array, "*instances n"]:
        """E x = p E V, for uniform values p/2."""
        return self.density * float(self.law.values.moment(1))

    @property
    def mean_square(self) -> Float[Array, "*instances n"]:
        """E x² = p E V², for uniform values p/3."""
        return self.density * float(self.law.values.moment(2))

    @property
    def variance(self) -> Float[Array, "*instances n"]:
        """Var x, for uniform values p/3 - p²/4: the loss of a feature that the model ignores."""
        variance: Float[Array, "*instances n"] = self.mean_square - self.mean**2
        return variance

    @property
    def covariance(self) -> Float[Array, "*instances n n"]:
        """Cov(x_i, x_j): within a correlated group (p - p²) (E V)², within an anticorrelated one -p_i p_j (E V)², else 0."""
        mean = self.mean
        within = np.zeros((self.n, self.n), bool)
        for group in self.law.groups:
            within[group.start : group.stop, group.start : group.stop] = True
        product = mean[..., :, None] * mean[..., None, :]
        both = np.zeros((1, 1))
        if self.law.kind == "correlated":
            both = (self.density * float(self.law.values.moment(1)) ** 2)[..., None]
        out = np.where(within, both - product, 0.0)
        out[..., range(self.n), range(self.n)] = self.variance
        return out

    def __repr__(self) -> str:
        """The densities and importances, arrays in full, and the law where it is not the plain one."""
        law = "" if self.law == independent(self.n) else f", law={self.law}"
        return f"Features(density={self.density.tolist()}, importance={self.importance.tolist()}{law})"


def _law(kind: Kind, n: int, size: int | Sequence[int], values: Values) -> Law:
    """Groups of `size` among n features."""
    if isinstance(size, int | np.integer):
        k = whole("size", size, 1)
        if n % k:
            raise InputError(f"size must divide the number of features, got size = {k} for n = {n}; or give every size")
        sizes = (k,) * (n // k)
    else:
        sizes = tuple(whole("size", k, 1) for k in size)
        if sum(sizes) != n:
            raise InputError(f"size must add up to the number of features, got {list(sizes)} for n = {n}")
    return independent(n, values) if set(sizes) == {1} else Law(kind, sizes, values)
