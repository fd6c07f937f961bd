"""Search: low minima of the exact loss of many features, by packings, blocks found on their own, random starts, and swaps."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from ._assignment import Candidates, best_packing, regular_blocks
from ._descent import descend
from ._features import Features
from ._law import UNIFORM
from ._loss import model_gradient, row_errors
from ._vertex import VERTEX_N

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from numpy import ndarray as Array

FAMILIES = (
    ("dedicated", "digon"),
    ("dedicated", "digon", "triangle", "tetrahedron"),
    ("dedicated", "digon", "triangle", "tetrahedron", "pentagon", "hexagon"),
)
# Accuracies in units of the loss of a model that ignores everything: of a first look, while searching, and at the end.
LOOSE, ROUGH, FINE = 1e-4, 1e-5, 1e-8
# Evaluations of a first look at a random start, of the descents that follow, and of the last one.
LOOK, DESCENT, LAST = 25, 60, 400
# Random starts that are pursued, models that are kept, of which so many are varied at a time, into so many that are pursued.
PURSUED, ELITE, PARENTS, CHILDREN, PATIENCE = 12, 8, 2, 12, 2
# Random directions get this norm and bias, and this many features per dimension share them.
NORM, BIAS, FEWEST, MOST = 1.1, -0.2, 3, 4
# Irregular blocks: random starts, and the fewest dimensions.
STARTS, SMALLEST = 48, 3
# Swaps tried of one model, and dropped features among them.
SWAPS, SPARE = 300, 3
# Columns shorter than this count as dropped.
KEPT = 0.05
# Gram entries above this are features at an acute angle.
ACUTE = 0.1
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
    """The lowest minimum found. Starts: the best packings of regular blocks, packings with irregular blocks, `restarts` random models.

    Irregular blocks are tried where the best regular packing has features at an acute angle. By tegum additivity a block's loss does not
    depend on the others: it is searched for by itself, in three dimensions and more while that brings anything, from random
    directions, and takes part in the integer program. Random starts are followed a little, the best of them swap and exchange features
    and are followed further. Only the best of all is followed to a minimum.

    Grade NUMERIC.
    """
    rng = np.random.default_rng(seed)
    descents = _Descents(features, m)
    x, value, ends = np.zeros((0, (m + 1) * features.n)), np.zeros(0), np.zeros(0)
    if features.law.kind == "independent" and features.law.values == UNIFORM:
        regular = regular_blocks(features, m, FAMILIES[-1])
        families = [[regular[name] for name in family if name in regular] for family in FAMILIES]
        start = _joined([best_packing(features, m, blocks) for blocks in families])
        x, ends, _ = descents.run(start, 2 * DESCENT, ROUGH, everything=True)
        value = ends
        if _acute(x[value.argmin()], m, features.n):
            x, value = _with_blocks(descents, x, value, families[-1], rng)
    if restarts:
        start = _random_models(features, m, restarts, rng)
        found, level, more = _explore(descents, start, rng)
        ends = np.concatenate([ends, more])
        x, value = np.concatenate([x, found[:1]]), np.concatenate([value, level[:1]])
    x, value, slope = x[[value.argmin()]], np.zeros(1), np.zeros(1)
    # A digit at a time: far from the minimum a contour sum need not be accurate.
    accuracy = ROUGH
    while accuracy > FINE * (1 + 1e-9):
        accuracy = max(accuracy / 10, FINE)
        x, value, slope = descents.run(x, LAST, accuracy, everything=True)
    w, b = _split(x, m, features.n)
    return Found(w[0], b[0], float(slope[0]), len(ends), int((ends <= value[0] * (1 + SAME)).sum()))


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
        kept = self._kept(w, everything)
        k, stretch = kept.shape[1], self.stretch[kept]
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
        end = np.concatenate([w.reshape(len(x), -1), b], axis=1)
        return end, found.value + self._rest(kept), found.slope * self.scale

    def loss(self, x: Float[Array, "b d"]) -> Float[Array, " b"]:
        """The losses, loosely; dropped features at their best."""
        w, b = _split(x, self.m, self.features.n)
        kept = self._kept(w, everything=False)
        part = self._part(kept)
        tolerance = LOOSE * self.scale / (kept.shape[1] * np.broadcast_to(part.importance, kept.shape))
        w, b = np.take_along_axis(w, kept[:, None], 2), np.take_along_axis(b, kept, 1)
        errors = (part.importance * row_errors(w, b, part, tolerance)).sum(1)
        loss: Float[Array, " b"] = errors / self.scale + self._rest(kept)
        return loss

    def swapped(self, x: Float[Array, " d"]) -> Float[Array, "swaps d"]:
        """The model with two features in each other's place, in every way: those it keeps, and a few that it drops."""
        w, b = _split(x[None], self.m, self.features.n)
        size = np.linalg.norm(w[0], axis=0)
        order = np.lexsort((-self.dropped, -np.where(size > KEPT, size, 0.0)))
        kept = int((size > KEPT).sum())
        pairs = [(i, j) for i, j in combinations(order[: kept + SPARE], 2) if size[i] > KEPT]
        if len(pairs) > SWAPS:
            pairs = [pairs[i] for i in np.linspace(0, len(pairs) - 1, SWAPS).astype(int)]
        where = np.tile(np.arange(len(size)), (len(pairs), 1))
        for row, (i, j) in zip(where, pairs, strict=True):
            row[i], row[j] = j, i
        columns = w[0][:, where].transpose(1, 0, 2).reshape(len(pairs), w[0].size)
        models: Float[Array, "swaps d"] = np.concatenate([columns, b[0][where]], axis=1)
        return models

    def _kept(self, w: Float[Array, "b m n"], everything: bool) -> Int[Array, "b k"]:
        """The features to compute, in their order."""
        n = w.shape[2]
        size = np.linalg.norm(w, axis=1)
        everything |= self.features.law.kind != "independent"
        # A rough contour sum is faster than the vertex sums of six to eight features.
        k = n if everything else min(n, max(int((size > KEPT).sum(1).max()), VERTEX_N + 1))
        return np.sort(np.argsort(-size, axis=1, kind="stable")[:, :k], axis=1)

    def _part(self, kept: Int[Array, "c k"]) -> Features:
        """The kept features, of each model its own."""
        features = self.features
        if features.law.kind != "independent":
            return features  # all are kept, in their order
        return Features(features.density[kept], features.importance[kept], values=features.law.values)

    def _rest(self, kept: Int[Array, "b k"]) -> Float[Array, " b"]:
        """The loss of the features that are not computed."""
        rest: Float[Array, " b"] = self.dropped.sum() - self.dropped[kept].sum(1)
        return rest


def _explore(
    descents: _Descents, start: Float[Array, "b d"], rng: np.random.Generator | None = None
) -> tuple[Float[Array, "k d"], Float[Array, " k"], Float[Array, " b"]]:
    """The best models from random starts, lowest first, their losses, and the losses of all starts before any swap."""
    x, ends, _ = descents.run(start, LOOK, LOOSE, everything=False)
    best = np.argsort(ends)[:PURSUED]
    x = np.array([_settled(descents, x[i], ends[i]) for i in best])
    x, value, _ = descents.run(x, DESCENT, ROUGH, everything=False)
    return *_improved(descents, x, value, rng), ends


def _settled(descents: _Descents, x: Float[Array, " d"], value: float) -> Float[Array, " d"]:
    """The model after swaps, the best one each time, without any descent, until none brings anything."""
    while True:
        trial = descents.swapped(x)
        loss = descents.loss(trial)
        if loss.min() >= value * (1 - SAME):
            return x
        x, value = trial[loss.argmin()], float(loss.min())


def _improved(
    descents: _Descents, x: Float[Array, "b d"], value: Float[Array, " b"], rng: np.random.Generator | None = None
) -> tuple[Float[Array, "k d"], Float[Array, " k"]]:
    """Swaps followed by descents, of the best models not yet varied, until PATIENCE rounds bring nothing; lowest first.

    With `rng` random exchanges besides: features that depend on each other form blocks that swaps do not reach.
    """
    fresh, idle = np.ones(len(x), bool), 0
    x, value, fresh = _distinct(x, value, fresh)
    while idle < PATIENCE and fresh.any():
        parents = np.flatnonzero(fresh)[:PARENTS]
        fresh[parents] = False
        trial = np.concatenate([descents.swapped(x[i]) for i in parents])
        trial = trial[np.argsort(descents.loss(trial))[:CHILDREN]]
        if rng is not None:
            which = np.where(rng.random(CHILDREN) < 0.5, 0, rng.integers(len(x), size=CHILDREN))
            others = [_exchange(x[i], descents.features, descents.m, rng) for i in which]
            trial = np.concatenate([trial, np.array(others)])
        trial, loss, _ = descents.run(trial, DESCENT, ROUGH, everything=False)
        idle = 0 if loss.min() < value[0] * (1 - SAME) else idle + 1
        x, value = np.concatenate([x, trial]), np.concatenate([value, loss])
        x, value, fresh = _distinct(x, value, np.concatenate([fresh, np.ones(len(trial), bool)]))
    return x, value


def _with_blocks(
    descents: _Descents,
    x: Float[Array, "b d"],
    value: Float[Array, " b"],
    blocks: list[Candidates],
    rng: np.random.Generator,
) -> tuple[Float[Array, "c d"], Float[Array, " c"]]:
    """The models given and those of packings with irregular blocks, of SMALLEST dimensions and more while that brings anything."""
    features, m = descents.features, descents.m
    for d in range(min(SMALLEST, m), m + 1):
        blocks = [*blocks, _block(features, m, d, rng)]
        start = _joined([best_packing(features, m, blocks)])
        start, loss, _ = descents.run(start, DESCENT, ROUGH, everything=False)
        better = loss[0] < value.min() * (1 - SAME)
        x, value = np.concatenate([x, start]), np.concatenate([value, loss])
        if not better:
            break
    return _improved(descents, x, value)


def _block(features: Features, m: int, d: int, rng: np.random.Generator) -> Candidates:
    """An irregular block in d dimensions, found on the features beyond two per dimension left, and moved to those before and after."""
    n = features.n
    order = np.argsort(-features.importance * features.variance, kind="stable")
    first = min(2 * (m - d), max(n - max(MOST * d, VERTEX_N + 1), 0))
    tail = order[first:]
    alone = Features(features.density[tail], features.importance[tail])
    best, _, _ = _explore(_Descents(alone, d), _random_models(alone, d, STARTS, rng))
    w, b = _split(best[:1], d, len(tail))
    size = np.linalg.norm(w[0], axis=0)
    # At least as many as are computed anyway, so that none but the block's grow while it adapts.
    ranks = first + np.sort(np.argsort(-size, kind="stable")[: max(int((size > KEPT).sum()), VERTEX_N + 1)])
    model = np.concatenate([w[0], b])[:, ranks - first]
    members = np.array([order[ranks + t] for t in range(-min(ranks[0], 2 * d), min(n - 1 - ranks[-1], d) + 1)])
    start = np.zeros((len(members), d + 1, n))
    start[:, d] = features.mean
    np.put_along_axis(start, members[:, None], model[None], 2)
    moved = _Descents(features, d)
    x, value, _ = moved.run(start.reshape(len(members), -1), DESCENT, ROUGH, everything=False)
    models = np.take_along_axis(x.reshape(len(members), d + 1, n), members[:, None], 2)
    rest = 1 - moved.dropped[members].sum(1)
    return Candidates(members, (value - rest) * moved.scale, models)


def _random_models(features: Features, m: int, count: int, rng: np.random.Generator) -> Float[Array, "count d"]:
    """Random directions for the most important features, FEWEST to MOST per dimension, the others dropped."""
    n = features.n
    rank = np.argsort(np.argsort(-features.importance * features.variance, kind="stable"))
    sharing = rng.integers(min(FEWEST * m, n), min(MOST * m, n) + 1, size=(count, 1))
    w = rng.standard_normal((count, m, n))
    w *= NORM / np.linalg.norm(w, axis=1, keepdims=True)
    kept = rank < sharing
    w *= kept[:, None]
    return np.concatenate([w.reshape(count, -1), np.where(kept, BIAS, features.mean)], axis=1)


def _joined(models: list[tuple[Float[Array, "m n"], Float[Array, " n"]]]) -> Float[Array, "b d"]:
    return np.array([np.concatenate([w.ravel(), b]) for w, b in models])


def _split(x: Float[Array, "b d"], m: int, n: int) -> tuple[Float[Array, "b m n"], Float[Array, "b n"]]:
    return x[:, : m * n].reshape(-1, m, n), x[:, m * n :]


def _acute(x: Float[Array, " d"], m: int, n: int) -> bool:
    """Whether two features are at an acute angle: more share the dimensions than digons and simplices can hold."""
    w = x[: m * n].reshape(m, n)
    return bool((w.T @ w - np.diag((w**2).sum(0))).max() > ACUTE)


def _distinct(
    x: Float[Array, "b d"], value: Float[Array, " b"], fresh: Bool[Array, " b"]
) -> tuple[Float[Array, "k d"], Float[Array, " k"], Bool[Array, " k"]]:
    """The best ELITE models of different loss, lowest first; one is fresh if all of its loss are."""
    kept: list[int] = []
    new: list[bool] = []
    for i in np.argsort(value):
        if kept and value[i] <= value[kept[-1]] * (1 + SAME):
            new[-1] &= bool(fresh[i])
        elif len(kept) < ELITE:
            kept.append(int(i))
            new.append(bool(fresh[i]))
    return x[kept], value[kept], np.array(new)


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
