"""Branches: minima along a one-parameter family of problems, and how they continue from one parameter to the next."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy import ndarray as Array

from ._checks import InputError
from ._loss import model_gradient
from ._method import is_exact
from ._packing import ASSIGNMENTS, packings
from ._states import SAME, State, exchanges, lowest, settle, sharpen, stack, track

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Float

    from ._features import Features

    Family = Callable[[float], Features]

# Grid points at which descents start from packings and random models; the others continue what was found there.
COARSE = 9
# Starts, the lowest, from which a crossing is searched for a third state.
MOST = 64
# Local minima kept per grid point.
POOL = 4
# Size of the fixed random step that a continuation starts with: a state that has become a saddle is left.
SHAKE = 1e-4


class Branches:
    """Minima along a family and their continuation.

    pools      per parameter the lowest minima found, the best first
    exchanges  permutations of the features that leave every problem as it is
    """

    def __init__(self, family: Family, t: Float[Array, " K"], m: int, free: bool) -> None:
        self.family, self.t, self.m, self.free = family, t, m, free
        self.problems = [family(float(x)) for x in t]
        for problem in self.problems:
            if problem.density.ndim != 1 or not is_exact(problem.law) or problem.law != self.problems[0].law:
                raise InputError(
                    f"family must give single instances of one law with at most 8 uniform features, got {problem}"
                )
        self.exchanges = exchanges(self.problems)
        self.pools: list[list[State]] = []
        self.restarts, self.seed = 0, 0
        n, rng = self.problems[0].n, np.random.default_rng(0)
        self.shake = SHAKE * rng.standard_normal((m, n)), SHAKE * free * rng.standard_normal(n)

    def explore(self, restarts: int, seed: int) -> None:
        """Fill the pools: the lowest minima at every parameter, the best first."""
        self.restarts, self.seed = restarts, seed
        count = len(self.t)
        coarse = np.unique(np.linspace(0, count - 1, min(COARSE, count)).round().astype(int)).tolist()
        first = self._all({k: _starts(self.problems[k], self.m, restarts, seed + k, free=self.free) for k in coarse})
        near = {k: [c for c in coarse if abs(c - k) <= count / (COARSE - 1)] for k in range(count)}
        rest = self._all({k: [s for c in near[k] for s in first[c]] for k in range(count) if k not in first})
        pools = {**first, **rest}
        stale = set(range(count))
        while stale:
            trial = {}
            for k in range(count):
                best = [pools[j][0] for j in (k - 1, k + 1) if j in stale and 0 <= j < count]
                if best:
                    trial[k] = best
            stale = set()
            for k, states in self._all(trial).items():
                scale = self.scale(self.t[k])
                if states[0].loss < pools[k][0].loss - SAME * scale:
                    stale.add(k)
                pools[k] = lowest(pools[k] + states, POOL, scale)
        self.pools = [pools[k] for k in range(count)]

    def adopt(self, other: Branches) -> None:
        """Continue the best states of another family, at the same parameters, in this one."""
        for k, states in self._all({k: [pool[0]] for k, pool in enumerate(other.pools)}).items():
            self.pools[k] = lowest(self.pools[k] + states, POOL, self.scale(self.t[k]))

    def follow(self, state: State, t: float) -> State:
        """The minimum that a state leads to at parameter t: its own as long as there is one, else where a descent ends."""
        problem = self.family(float(t))
        kept = track(problem, state, free=self.free)
        if kept is not None:
            return kept
        weights, bias = state.weights + self.shake[0], state.bias + self.shake[1]
        return sharpen(problem, settle([problem], weights[None], bias[None], free=self.free)[0], free=self.free)

    def persists(self, state: State, t: float) -> bool:
        """Whether the minimum is followed to parameter t without a descent."""
        return track(self.family(t), state, free=self.free) is not None

    def found(self, t: float) -> list[State]:
        """Minima at t from packings and random models: at a crossing a state can win that wins at no grid point."""
        problem = self.family(float(t))
        starts = _starts(problem, self.m, self.restarts, self.seed, free=self.free)
        starts = sorted(starts, key=lambda s: s.loss)[:MOST]
        weights, bias = (np.array([getattr(s, part) for s in starts]) for part in ("weights", "bias"))
        ends = settle([problem] * len(starts), weights + self.shake[0], bias + self.shake[1], free=self.free)
        return [self.follow(s, t) for s in lowest(ends, POOL, self.scale(t))]

    def scale(self, t: float) -> float:
        """Loss of storing nothing."""
        problem = self.family(float(t))
        return float((problem.importance * problem.variance).sum())

    def distance(self, low: State, high: State) -> float:
        """Smallest Frobenius distance of the two Gram matrices over exchanges of features."""
        return float(min(np.linalg.norm(low.gram - high.gram[np.ix_(s, s)]) for s in self.exchanges))

    def slope(self, state: State, t: float) -> float:
        """dL*/dt of a branch: by the envelope theorem the derivative at fixed model."""
        h = 1e-4 * min(t - self.t[0], self.t[-1] - t)
        two = stack([self.family(float(t - h)), self.family(float(t + h))])
        loss = model_gradient(np.stack([state.weights] * 2), np.stack([state.bias] * 2), two, 0.0)[0]
        return float((loss[1] - loss[0]) / (2 * h))

    def _all(self, trial: dict[int, list[State]]) -> dict[int, list[State]]:
        """The lowest minima below the given starts, per grid point, all in one batch."""
        flat = [(k, s) for k, states in trial.items() for s in states]
        if not flat:
            return {}
        ends = settle(
            [self.problems[k] for k, _ in flat],
            np.array([s.weights for _, s in flat]) + self.shake[0],
            np.array([s.bias for _, s in flat]) + self.shake[1],
            free=self.free,
        )
        owner = np.array([k for k, _ in flat])
        return {k: lowest([ends[i] for i in np.flatnonzero(owner == k)], POOL, self.scale(self.t[k])) for k in trial}


def _starts(features: Features, m: int, restarts: int, seed: int, *, free: bool) -> list[State]:
    """Starts for one problem: every packing of regular blocks that fits, one per class of equal losses, and random models."""
    n = features.n
    order = np.argsort(-features.importance * features.variance, kind="stable")
    models = []
    for packing in packings(n, m):
        for assignment in islice(packing.assignments(), ASSIGNMENTS):
            w = packing.weights([int(order[j]) for j in assignment], m, n)
            models.append((w, np.where(np.any(w, axis=0), 0.0, features.mean)))
    rng = np.random.default_rng(seed)
    models += [(0.6 * rng.standard_normal((m, n)), 0.1 * rng.standard_normal(n)) for _ in range(restarts)]
    weights = np.array([w for w, _ in models])
    bias = np.array([b for _, b in models]) * free
    loss = model_gradient(weights, bias, stack([features] * len(models)), 0.0)[0]
    # One arrangement per class: unlike features get unlike norms here, else all arrangements of a pentagon would have the same loss.
    value = features.importance * features.density
    unlike = model_gradient(weights * (1 + 0.1 * value / value.max()), bias, stack([features] * len(models)), 0.0)[0]
    _, first = np.unique(unlike.round(12), return_index=True)
    return [State(weights[k], bias[k], float(loss[k])) for k in sorted(first)]
