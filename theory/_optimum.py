"""Optimum: the best model found by many deterministic descents of the exact loss."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from ._checks import InputError, whole
from ._curvature import smallest_curvature
from ._features import Features
from ._geometry import describe_geometry
from ._grade import Grade
from ._law import independent
from ._loss import expected_loss
from ._lower import LowerBound, lower_bound
from ._multistart import Objective, multistart
from ._search import search
from ._vertex import VERTEX_N


@dataclass(frozen=True)
class Optimum:
    """Lowest end point of many descents.

    loss, weights (m, n), bias (n,); geometry in words; starts, and how many of them end within 1e-9 of the lowest loss: not counted are
    starts given up early and exchanges, so 0 says that an exchange found it (contour sums: within 1e-5 of the loss of a model that
    ignores everything; beyond 8 features: within a relative 1e-4, before any exchange).
    slope      largest entry of the gradient
    curvature  smallest second derivative across the directions in which the loss is constant (rotations W -> QW, biases of outputs
               that never fire); where two smooth pieces of the loss meet, the lower of both sides along each eigenvector. Positive:
               a strict local minimum up to rotation, as far as differences tell. Zero within rounding: degenerate. None beyond 8
               features, where it is not computed.
    grade      NUMERIC: nothing is proved about lower minima.
    """

    loss: float
    weights: Float[Array, "m n"]
    bias: Float[Array, " n"]
    geometry: str
    starts: int
    agreeing: int
    slope: float
    curvature: float | None
    features: Features = field(repr=False)
    grade: Grade = Grade.NUMERIC

    @cached_property
    def lower_bound(self) -> LowerBound:
        """What every model of these features and dimensions loses at least, with its certificate: `lower_bound`, some seconds.

        Raises InputError where there is none: groups, values that are not uniform, more than 8 features.

        >>> best = optimal_model(Features(0.1, n=2), 1, restarts=4)
        >>> 0.97 < best.lower_bound.value / best.loss <= 1
        True
        """
        return lower_bound(self.features, len(self.weights))

    @property
    def gap(self) -> float:
        """loss - lower_bound.value: no model is better by more. Raises InputError as `lower_bound` does."""
        return self.loss - self.lower_bound.value


def _loss(weights: Float[Array, "m n"], bias: Float[Array, " n"], features: Features) -> float:
    """Exact loss, to 1e-9 of the importances where these are large."""
    return float(expected_loss(weights, bias, features, atol=1e-9 * max(1.0, float(features.importance.sum()))))


def optimal_model(features: Features, m: int, *, restarts: int = 32, seed: int = 0, bias: bool = True) -> Optimum:
    """Best (W, b) found for the exact loss, by descents from packings of regular blocks and from random models.

    n <= 8: starts are every packing that fits, principal components and `restarts` random models, then exchanges of features
    between roles in the lowest minima. Beyond (independent uniform features): the best packing by an integer program over blocks, regular
    ones and, where those would be polygons, blocks of any directions searched at their own size from random starts fixed by the seed;
    then `restarts` random models and exchanges. Other laws beyond 8 features: random models and exchanges. `restarts=0` leaves the random
    models out: a second to ten for 20 features, some 20 s for 80.

    features: one instance of shape (n,), any law; m >= 1 hidden dimensions; `restarts` random starts, fixed by the seed.
    bias: False for the model without bias, x' = ReLU(WᵀWx), the b of the result being zero; n <= 8 only.
    Grade NUMERIC. Raises InputError for a batch of instances or values out of range.

    >>> best = optimal_model(Features(0.1, n=2), 1, restarts=4)
    >>> round(best.loss, 8), best.geometry
    (0.00331948, '1 digon')

    Without bias the digon of p = 0.1 loses 2 (p/3 - h²/g), h = p (1-p)/3 + p²/8, g = p (1-p)/3 + p²/12:

    >>> round(optimal_model(Features(0.1, n=2), 1, restarts=4, bias=False).loss, 12)
    0.003322072072
    """
    if features.density.ndim != 1:
        raise InputError(f"features must be a single instance of shape (n,), got {features.density.shape}")
    n, m = features.n, whole("m", m, 1)
    if n > VERTEX_N:
        if not bias:
            raise InputError(f"bias must be True for more than {VERTEX_N} features, got bias=False for n = {n}")
        # Packings are starts for independent uniform features only.
        restarts = whole("restarts", restarts, 0 if features.law == independent(n) else 1)
        found = search(features, m, restarts, seed)
        loss = _loss(found.weights, found.bias, features)
        words = describe_geometry(found.weights)
        return Optimum(
            loss, found.weights, found.bias, words, found.starts, found.agreeing, found.slope, None, features
        )
    objective = Objective(features, m, bias)
    low = multistart(objective, whole("restarts", restarts, 0), seed)
    x = objective.point(low.weights, low.bias)
    return Optimum(
        loss=_loss(low.weights, low.bias, features),
        weights=low.weights,
        bias=low.bias,
        geometry=describe_geometry(low.weights),
        starts=low.starts,
        agreeing=low.agreeing,
        slope=float(np.abs(objective(x[None])[1]).max()),
        curvature=smallest_curvature(objective, x),
        features=features,
    )
