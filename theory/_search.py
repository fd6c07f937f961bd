"""Search: low minima of the exact loss of many features, by structured and random starts and exchanges between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ._assignment import assigned_models
from ._descent import descend
from ._features import Features
from ._law import UNIFORM
from ._loss import model_gradient
from ._vertex import VERTEX_N

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from numpy import ndarray as Array

FAMILIES = (
    ("dedicated", "digon"),
    ("dedicated", "digon", "triangle", "tetrahedron"),
    ("dedicated", "digon", "triangle", "tetrahedron", "pentagon", "hexagon"),
)
# Accuracies in units of the loss of a model that ignores everything: while searching, and at the end.
ROUGH, FINE = 1e-5, 1e-8
# Evaluations of a first descent, of a longer one for the best, and of one after an exchange.
FIRST, LONGER, AFTER_EXCHANGE, GLANCE, LAST = 60, 60, 60, 12, 400
ELITE, CHILDREN, PATIENCE = 8, 16, 1
# Dropped features that are tried in the place of kept ones.
SPARE = 3
# Columns shorter than this count as dropped while features are exchanged.
KEPT = 0.05
# Gram entries above this tie features into a block.
MELT = 0.1
# Losses closer than this (relative) are taken for the same minimum.
SAME = 1e-4


@dataclass(frozen=True)
class Found:
    """The lowest model (weights, bias), its gradient's largest entry, how many starts there were, and how many ended at that loss."""

    weights: Float[Array, "m n"]
    bias: Float[Array, " n"]
    slope: float
    starts: int
    agreeing: int


def search(features: Features, m: int, restarts: int, seed: int) -> Found:
    """The lowest minimum found. Starts: the best packings of regular blocks, and `restarts` random models of Xavier size.

    The descents share a loose accuracy; then the best random ones are exchanged: a feature takes another's place, turns against
    another, leaves or comes back, two blocks melt, and the descent goes on from there, until PATIENCE rounds bring nothing. Only the
    best of all is followed to a minimum.

    Grade NUMERIC.
    """
    n = features.n
    rng = np.random.default_rng(seed)
    structured = [np.concatenate([w.ravel(), b]) for w, b in _structured(features, m)]
    spread = np.sqrt(2 / (n + m))
    random = [np.concatenate([spread * rng.standard_normal(m * n), np.zeros(n)]) for _ in range(restarts)]
    descents = _Descents(features, m)
    low, level, ends = [], [], []
    # Apart, and packings without exchanges: they are at their best already, and would crowd out what they cannot reach.
    for starts, patience in ((structured, 0), (random, PATIENCE)):
        if not starts:
            continue
        x, value, _ = descents.run(np.array(starts), FIRST, ROUGH, everything=True)
        best = np.argsort(value)[:ELITE]
        ends.append(np.delete(value, best))
        x, value, _ = descents.run(x[best], LONGER, ROUGH, everything=True)
        ends.append(value)
        idle = 0
        while idle < patience:
            x, value = _distinct(x, value)
            parents = np.where(rng.random(CHILDREN) < 0.5, 0, rng.integers(len(x), size=CHILDREN))
            children = np.array([_exchange(x[parent], features, m, rng) for parent in parents])
            children, loss, _ = descents.run(children, AFTER_EXCHANGE, ROUGH, everything=False)
            idle = 0 if loss.min() < value[0] * (1 - SAME) else idle + 1
            x, value = np.concatenate([x, children]), np.concatenate([value, loss])
        if patience:
            x, value = descents.swaps(*_distinct(x, value))
        low.append(x[value.argmin()])
        level.append(value.min())
    x, value, slope = np.array(low)[[int(np.argmin(level))]], np.zeros(1), np.zeros(1)
    # A digit at a time: far from the minimum a contour sum need not be accurate.
    accuracy = ROUGH
    while accuracy > FINE * (1 + 1e-9):
        accuracy = max(accuracy / 10, FINE)
        x, value, slope = descents.run(x, LAST, accuracy, everything=True)
    w, b = _split(x, m, n)
    agreeing = int((np.concatenate(ends) <= value[0] * (1 + SAME)).sum())
    return Found(w[0], b[0], float(slope[0]), len(structured) + len(random), agreeing)


class _Descents:
    """Descents of a batch of models, in units of the loss of a model that ignores everything.

    Columns are scaled with the root of their importance, which makes the Hessian even.
    """

    def __init__(self, features: Features, m: int) -> None:
        self.features, self.m = features, m
        variance = features.importance * features.variance
        self.scale = float(variance.sum())
        self.dropped = variance / self.scale
        self.stretch = np.sqrt(variance / variance.max() + 0.01)

    def run(
        self, x: Float[Array, "b d"], evaluations: int, accuracy: float, *, everything: bool
    ) -> tuple[Float[Array, "b d"], Float[Array, " b"], Float[Array, " b"]]:
        """End points, losses and slopes; unless `everything`, features that a model drops stay dropped and are not computed."""
        m, n = self.m, self.features.n
        w, b = _split(x, m, n)
        size = np.linalg.norm(w, axis=1)
        everything |= self.features.law.kind != "independent"
        # A rough contour sum is faster than the vertex sums of six to eight features.
        k = n if everything else min(n, max(int((size > KEPT).sum(1).max()), VERTEX_N + 1))
        kept = np.sort(np.argsort(-size, axis=1, kind="stable")[:, :k], axis=1)
        stretch = self.stretch[kept]
        start = np.concatenate(
            [
                (np.take_along_axis(w, kept[:, None], 2) * stretch[:, None]).reshape(len(x), -1),
                np.take_along_axis(b, kept, 1) * stretch,
            ],
            axis=1,
        )

        def objective(y: Float[Array, "c e"], which: Array) -> tuple[Array, Array]:
            w, b = _split(y, m, k)
            loss, d_weights, d_bias = model_gradient(
                w / stretch[which, None], b / stretch[which], self._part(kept[which]), accuracy * self.scale
            )
            gradient = np.concatenate(
                [(d_weights / stretch[which, None]).reshape(len(y), -1), d_bias / stretch[which]], axis=1
            )
            return loss / self.scale, gradient / self.scale

        found = descend(objective, start, tolerance=10 * accuracy, evaluations=evaluations, noise=accuracy)
        part_w, part_b = _split(found.point, m, k)
        w, b = np.zeros_like(w), np.tile(self.features.mean, (len(x), 1))
        np.put_along_axis(w, kept[:, None], part_w / stretch[:, None], 2)
        np.put_along_axis(b, kept, part_b / stretch, 1)
        rest = self.dropped.sum() - self.dropped[kept].sum(1)
        return np.concatenate([w.reshape(len(x), -1), b], axis=1), found.value + rest, found.slope * self.scale

    def swaps(
        self, x: Float[Array, "b d"], value: Float[Array, " b"]
    ) -> tuple[Float[Array, "1 d"], Float[Array, " 1"]]:
        """Let any two features of the best model trade places, until no trade brings anything."""
        x, value = x[:1], value[:1]
        while True:
            w, b = _split(x, self.m, self.features.n)
            size = np.linalg.norm(w[0], axis=0)
            order = np.argsort(-size)
            kept = int((size > KEPT).sum())
            children = []
            for first, i in enumerate(order[:kept]):
                for j in order[first + 1 : kept + SPARE]:
                    child = w[0].copy(), b[0].copy()
                    _swap(*child, i, j)
                    children.append(np.concatenate([child[0].ravel(), child[1]]))
            trial, loss, _ = self.run(np.array(children), GLANCE, ROUGH, everything=False)
            trial, loss, _ = self.run(trial[np.argsort(loss)[:CHILDREN]], AFTER_EXCHANGE, ROUGH, everything=False)
            if loss.min() >= value[0] * (1 - SAME):
                return x, value
            x, value = trial[[loss.argmin()]], loss[[loss.argmin()]]

    def _part(self, kept: Int[Array, "c k"]) -> Features:
        """The kept features, of each model its own."""
        features = self.features
        if features.law.kind != "independent":
            return features  # all are kept, in their order
        return Features(features.density[kept], features.importance[kept], values=features.law.values)


def _structured(features: Features, m: int) -> list[tuple[Float[Array, "m n"], Float[Array, " n"]]]:
    """The best packings; none where their losses are not known in closed form."""
    if features.law.kind != "independent" or features.law.values != UNIFORM:
        return []
    return assigned_models(features, m, FAMILIES)


def _split(x: Float[Array, "b d"], m: int, n: int) -> tuple[Float[Array, "b m n"], Float[Array, "b n"]]:
    return x[:, : m * n].reshape(-1, m, n), x[:, m * n :]


def _distinct(x: Float[Array, "b d"], value: Float[Array, " b"]) -> tuple[Float[Array, "k d"], Float[Array, " k"]]:
    """The best ELITE models of different loss, lowest first."""
    kept: list[int] = []
    for i in np.argsort(value):
        if len(kept) < ELITE and (not kept or value[i] > value[kept[-1]] * (1 + SAME)):
            kept.append(int(i))
    return x[kept], value[kept]


def _swap(w: Float[Array, "m n"], b: Float[Array, " n"], i: int, j: int) -> None:
    """Features i and j trade places."""
    two = np.array([i, j])
    w[:, two], b[two] = w[:, two[::-1]], b[two[::-1]]


def _exchange(x: Float[Array, " d"], features: Features, m: int, rng: np.random.Generator) -> Float[Array, " d"]:
    """A neighbour of a model: two features trade places, one turns against another or anywhere, some leave, or some are shaken."""
    n = features.n
    w, b = x[: m * n].reshape(m, n).copy(), x[m * n :].copy()
    norm = np.linalg.norm(w, axis=0) + 1e-6
    kept = norm / norm.sum()
    kind = rng.integers(7)
    if kind <= 1:
        i = rng.choice(n, p=kept)
        j = rng.choice(n, p=kept) if kind else rng.integers(n)
        _swap(w, b, int(i), int(j))
    elif kind == 2:
        j = rng.integers(n)
        direction = -w[:, rng.choice(n, p=kept)] if rng.random() < 0.5 else rng.standard_normal(m)
        w[:, j], b[j] = direction / max(float(np.linalg.norm(direction)), 1e-6), 0.0
    elif kind == 3:
        gone = rng.choice(n, size=int(rng.integers(1, 3)), p=kept)
        w[:, gone], b[gone] = 0.0, features.mean[gone]
    elif kind >= 5:
        # Melt the blocks of two features, with one more: random vectors in their span.
        near = np.abs(w.T @ w[:, rng.choice(n, size=2, p=kept)]).max(1) > MELT
        near[rng.integers(n)] = True
        span = np.linalg.svd(w[:, near], full_matrices=False)
        basis = span.U[:, MELT * span.S.max() < span.S]
        w[:, near] = 0.6 * basis @ rng.standard_normal((basis.shape[1], int(near.sum())))
        b[near] = 0.0
    else:
        shaken = rng.choice(n, size=min(n, int(rng.integers(2, 6))), replace=False)
        w[:, shaken] += 0.5 * rng.standard_normal((m, len(shaken)))
    return np.concatenate([(w + 0.02 * rng.standard_normal(w.shape)).ravel(), b])
