"""Multistart: low minima of the exact loss of a few features, from structured and random starts and exchanges around the best."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, islice
from typing import TYPE_CHECKING

import numpy as np

from ._descent import descend
from ._loss import model_gradient
from ._method import is_exact
from ._packing import ASSIGNMENTS, packings

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from numpy import ndarray as Array

    from ._features import Features

# In units of the loss of a model that ignores everything: gradient entries at a minimum, of the best one, and losses that are the same.
STATIONARY, FINAL, SAME = 1e-8, 1e-11, 1e-9
# The same units, where the loss is a contour sum: its accuracy while searching and at the end, and losses that are the same.
ROUGH, FINE, ROUGHLY_SAME = 1e-6, 1e-9, 1e-5
# Starts whose losses are this close to the lowest agree with it (contour sums: as close as losses that are the same).
AGREEMENT = 1e-9
# Evaluations that decide which starts are followed, and how many of them are: the best of so many, or of this share if more.
GLANCE, FOLLOWED, SHARE = 6, 32, 4
# Minima around which features are exchanged.
ELITE = 6
# Norms, with the sign, at which a feature is put along the direction of another.
NORMS = (-1.0, -0.3, 0.3, 1.0)
# |cos| from which two directions count as one.
PARALLEL = 0.98
# Norm of the columns that are dropped where there is no bias: at zero the loss has a kink, and descent would not leave it.
SPECK = 0.1


@dataclass(frozen=True)
class Lowest:
    """The lowest model (weights, bias), how many starts there were, and how many ended at its loss: within 1e-9 (contour sums: within
    1e-5 of the loss of a model that ignores everything)."""

    weights: Float[Array, "m n"]
    bias: Float[Array, " n"]
    starts: int
    agreeing: int


class Objective:
    """Loss and gradient of a batch of models x = (W, b) or, without bias, x = (W), for one instance of features.

    Exact for uniform values of up to eight features and for constant values, else a contour sum of the given accuracy, in units of
    `ignored`, the loss of a model that ignores everything.
    """

    def __init__(self, features: Features, m: int, bias: bool) -> None:
        self.features, self.m, self.bias = features, m, bias
        self.ignored = float((features.importance * features.variance).sum())
        self.exact = is_exact(features.law)
        self.dimension = m * features.n + (features.n if bias else 0)

    def models(self, x: Float[Array, "b d"]) -> tuple[Float[Array, "b m n"], Float[Array, "b n"]]:
        """Weights and biases."""
        n = self.features.n
        w, b = x[:, : self.m * n].reshape(-1, self.m, n), x[:, self.m * n :]
        return w, (b if self.bias else np.zeros((len(x), n)))

    def point(self, w: Float[Array, "m n"], b: Float[Array, " n"]) -> Float[Array, " d"]:
        """The inverse of `models`."""
        return np.concatenate([w.ravel(), b]) if self.bias else w.ravel()

    def __call__(
        self, x: Float[Array, "b d"], accuracy: float = FINE
    ) -> tuple[Float[Array, " b"], Float[Array, "b d"]]:
        """Loss and gradient."""
        w, b = self.models(x)
        loss, d_weights, d_bias = model_gradient(w, b, self.features, accuracy * self.ignored)
        gradient = d_weights.reshape(len(x), self.m * self.features.n)
        return loss, np.concatenate([gradient, d_bias], axis=1) if self.bias else gradient


def multistart(objective: Objective, restarts: int, seed: int) -> Lowest:
    """The lowest minimum found for at most eight features of any law.

    Starts: every packing of regular blocks, with up to ASSIGNMENTS assignments of features to places; principal components; and
    `restarts` random models. The structured ones are followed for GLANCE evaluations, the best of them and all random ones to a
    minimum. Then features are exchanged between roles in the ELITE lowest minima (two trade places, one goes along or
    against another at a large or a small norm, one leaves), and in the new minima among the lowest, until there are none.

    Grade NUMERIC.
    """
    rng = np.random.default_rng(seed)
    descents = _Descents(objective)
    structured = _structured(objective, rng)
    random = _random(objective, restarts, rng)
    followed = max(FOLLOWED, len(structured) // SHARE)
    x, value = (
        np.concatenate(both) for both in zip(descents.halving(structured, followed), descents.run(random), strict=True)
    )
    ends = value
    expanded: set[float] = set()
    while True:
        x, value = _distinct(x, value, descents.same)
        fresh = [k for k in range(len(x)) if value[k] not in expanded]
        if not fresh:
            break
        expanded.update(value[fresh].tolist())
        children = np.concatenate([_exchanges(objective, x[k]) for k in fresh])
        x, value = (np.concatenate(both) for both in zip((x, value), descents.halving(children, FOLLOWED), strict=True))
    x, value = descents.finish(x[[value.argmin()]])
    w, b = objective.models(x)
    return Lowest(w[0], b[0], len(structured) + len(random), int((ends <= value[0] + descents.agreement).sum()))


class _Descents:
    """Descents of a batch of models in units of the loss of a model that ignores everything.

    Columns are scaled with the root of their importance, which makes the Hessian even.
    """

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        features = objective.features
        worth = features.importance * features.variance
        stretch = np.sqrt(worth / worth.max() + 0.01)
        self.stretch = objective.point(np.tile(stretch, (objective.m, 1)), stretch)
        self.same = objective.ignored * (SAME if objective.exact else ROUGHLY_SAME)
        self.agreement = AGREEMENT if objective.exact else self.same

    def run(
        self, x: Float[Array, "b d"], evaluations: int = 2000, tolerance: float = STATIONARY, accuracy: float = ROUGH
    ) -> tuple[Float[Array, "b d"], Float[Array, " b"]]:
        """End points and losses."""
        unit, exact = self.objective.ignored, self.objective.exact

        def scaled(y: Float[Array, "c d"], _: Int[Array, " c"]) -> tuple[Array, Array]:
            value, gradient = self.objective(y / self.stretch, accuracy)
            return value / unit, gradient / (self.stretch * unit)

        found = descend(
            scaled,
            x * self.stretch,
            tolerance=tolerance if exact else 10 * accuracy,
            evaluations=evaluations,
            noise=1e-17 if exact else accuracy,
        )
        return found.point / self.stretch, found.value * unit

    def finish(self, x: Float[Array, "b d"]) -> tuple[Float[Array, "b d"], Float[Array, " b"]]:
        """The same to the last digits."""
        return self.run(x, tolerance=FINAL, accuracy=FINE)

    def halving(self, x: Float[Array, "b d"], count: int) -> tuple[Float[Array, "c d"], Float[Array, " c"]]:
        """A few evaluations for all, a few more for the lowest of them, until `count` are left: those to a minimum."""
        while len(x) > count:
            x, value = self.run(x, GLANCE)
            x = x[np.argsort(value, kind="stable")[: max(count, len(x) // SHARE)]]
        return self.run(x)


def _structured(objective: Objective, rng: np.random.Generator) -> Float[Array, "b d"]:
    """Packings, the features that matter most kept, and principal components."""
    features, m, n = objective.features, objective.m, objective.features.n
    order = np.argsort(-features.importance * features.variance, kind="stable")
    starts = []
    for packing in packings(n, m):
        for assignment in islice(packing.assignments(), ASSIGNMENTS):
            w = packing.weights([int(order[j]) for j in assignment], m, n)
            dropped = ~w.any(0)
            b = np.where(dropped, features.mean, 0.0)
            if not objective.bias:
                w[:, dropped] = SPECK * rng.standard_normal((m, int(dropped.sum())))
            starts.append(objective.point(w, b))
    root = np.sqrt(features.importance)
    _, axes = np.linalg.eigh(root[:, None] * features.covariance * root)
    w = np.zeros((m, n))
    w[: min(m, n)] = axes[:, ::-1].T[:m]
    starts.append(objective.point(w, features.mean - w.T @ (w @ features.mean)))
    return np.array(starts)


def _random(objective: Objective, restarts: int, rng: np.random.Generator) -> Float[Array, "b d"]:
    m, n = objective.m, objective.features.n
    starts = [objective.point(0.6 * rng.standard_normal((m, n)), 0.1 * rng.standard_normal(n)) for _ in range(restarts)]
    return np.array(starts).reshape(restarts, objective.dimension)


def _exchanges(objective: Objective, x: Float[Array, " d"]) -> Float[Array, "b d"]:
    """The neighbours of a model: two features trade places, one leaves, or one goes along or against the direction of another."""
    (w,), (b,) = objective.models(x[None])
    n, mean = objective.features.n, objective.features.mean
    axes = _axes(w)
    out = []

    def add(columns: Array, places: list[int], biases: list[float]) -> None:
        weights, bias = w.copy(), b.copy()
        weights[:, places], bias[places] = columns, biases
        out.append(objective.point(weights, bias))

    for i, j in combinations(range(n), 2):
        add(w[:, [j, i]], [i, j], [b[j], b[i]])
    for i in range(n):
        add(w[:, [i]] * 0.0 if objective.bias else SPECK * axes[:, :1], [i], [mean[i]])
        for axis in axes.T:
            for norm in NORMS:
                add(norm * axis[:, None], [i], [mean[i] if abs(norm) < 0.5 else 0.0])
    return np.array(out)


def _axes(w: Float[Array, "m n"]) -> Float[Array, "m k"]:
    """Directions of the columns, those once that agree up to sign."""
    norm = np.linalg.norm(w, axis=0)
    kept: list[Array] = [np.eye(len(w))[0]] if norm.max() <= SPECK else []
    for j in np.argsort(-norm, kind="stable"):
        axis = w[:, j] / max(norm[j], SPECK)
        if norm[j] > SPECK and all(abs(axis @ other) < PARALLEL for other in kept):
            kept.append(axis)
    return np.array(kept).T


def _distinct(
    x: Float[Array, "b d"], value: Float[Array, " b"], same: float
) -> tuple[Float[Array, "k d"], Float[Array, " k"]]:
    """The ELITE lowest models of different loss, lowest first."""
    kept: list[int] = []
    for i in np.argsort(value, kind="stable"):
        if len(kept) < ELITE and (not kept or value[i] > value[kept[-1]] + same):
            kept.append(int(i))
    return x[kept], value[kept]
