"""Optimum: the best model found by many deterministic descents of the exact loss."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray as Array

from ._checks import InputError, whole
from ._descent import descend
from ._features import Features
from ._geometry import describe_geometry
from ._grade import Grade
from ._law import independent
from ._loss import expected_loss, model_gradient
from ._packing import ASSIGNMENTS, packings
from ._search import search
from ._vertex import VERTEX_N


@dataclass(frozen=True)
class Optimum:
    """Lowest end point of many descents.

    loss, weights (m, n), bias (n,); geometry in words; starts, and how many of them agree with the lowest loss to 1e-9 (beyond 8
    features: within 1e-4 of it before any exchange); slope, the largest gradient entry there.
    grade NUMERIC: nothing is proved about lower minima.
    """

    loss: float
    weights: Float[Array, "m n"]
    bias: Float[Array, " n"]
    geometry: str
    starts: int
    agreeing: int
    slope: float
    grade: Grade = Grade.NUMERIC


def optimal_model(features: Features, m: int, *, restarts: int = 32, seed: int = 0) -> Optimum:
    """Best (W, b) found for the exact loss, by descents from packings of regular blocks and from random models.

    Independent uniform features, n <= 8: every packing that fits and `restarts` random models, each to a minimum. Otherwise the best
    packings by an integer program (independent uniform features only), random models, and exchanges of features between them, the
    best followed to a minimum. `restarts=0` takes packings only: seconds at n = 80, and the best known where the optimum is close to a
    product of regular blocks; random starts matter for sparse features (20 of density 0.01: about 20 s).

    features: one instance of shape (n,), any law; m >= 1 hidden dimensions; `restarts` random starts, fixed by the seed.
    Grade NUMERIC. Raises InputError for a batch of instances or values out of range.

    >>> best = optimal_model(Features(0.1, n=2), 1, restarts=4)
    >>> round(best.loss, 8), best.geometry
    (0.00331948, '1 digon')
    """
    if features.density.ndim != 1:
        raise InputError(f"features must be a single instance of shape (n,), got {features.density.shape}")
    n, m = features.n, whole("m", m, 1)
    # Packings are starts for independent uniform features only.
    restarts = whole("restarts", restarts, 0 if features.law == independent(features.n) else 1)
    if n > VERTEX_N or features.law != independent(n):
        low = search(features, m, restarts, seed)
        loss = float(expected_loss(low.weights, low.bias, features))
        words = describe_geometry(low.weights)
        return Optimum(loss, low.weights, low.bias, words, low.starts, low.agreeing, low.slope)
    order = np.argsort(-features.importance * features.variance, kind="stable")
    rng = np.random.default_rng(seed)
    starts: list[Float[Array, " d"]] = []
    for packing in packings(n, m):
        for assignment in islice(packing.assignments(), ASSIGNMENTS):
            w = packing.weights([int(order[j]) for j in assignment], m, n)
            starts.append(np.concatenate([w.ravel(), np.where(np.any(w, axis=0), 0.0, features.mean)]))
    for _ in range(restarts):
        starts.append(np.concatenate([0.6 * rng.standard_normal(m * n), 0.1 * rng.standard_normal(n)]))

    def objective(x: Float[Array, "b d"], _: Int[Array, " b"]) -> tuple[Array, Array]:
        loss, d_weights, d_bias = model_gradient(x[:, : m * n].reshape(-1, m, n), x[:, m * n :], features, 0.0)
        return loss, np.concatenate([d_weights.reshape(len(x), -1), d_bias], axis=1)

    found = descend(objective, np.array(starts), tolerance=1e-9)
    best = int(found.value.argmin())
    weights = found.point[best, : m * n].reshape(m, n)
    return Optimum(
        loss=float(expected_loss(weights, found.point[best, m * n :], features)),
        weights=weights,
        bias=found.point[best, m * n :],
        geometry=describe_geometry(weights),
        starts=len(starts),
        agreeing=int((found.value <= found.value[best] + 1e-9).sum()),
        slope=float(found.slope[best]),
    )
