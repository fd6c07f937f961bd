"""Transitions: where the optimal model of a one-parameter family of problems changes its state, and how."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice, pairwise
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array
from scipy.optimize import brentq

from ._checks import InputError, densities, importances, real_array, whole
from ._features import Features
from ._grade import Grade
from ._loss import model_gradient
from ._method import is_exact
from ._packing import ASSIGNMENTS, packings
from ._states import (
    EQUAL,
    SAME,
    Pattern,
    State,
    exchanges,
    lowest,
    pattern,
    settle,
    sharpen,
    stack,
    track,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike

    Family = Callable[[float], Features]

# Grid points at which descents start from packings and random models; the others continue what was found there.
COARSE = 9
# Starts, the lowest, from which a crossing is searched for a third state.
MOST = 64
# Local minima kept per grid point.
POOL = 4
# Gram matrices of neighbours on one branch may differ by this much (Frobenius) before the interval is halved.
MOVE = 0.3
# By this much where no minimum is followed all the way: two falls from folds would look like one branch.
LEAST_MOVE = 0.05
# Relative width at which halving stops.
FINEST = 1e-8
# A branch whose amplitude falls by less than this factor over a stretch 64 times shorter ends at a finite one.
JUMP = 0.4
# Losses of followed states closer than this, in units of the loss of storing nothing, are equal, and what rounding leaves of them.
EVEN, ROUND = 1e-12, 1e-15
# Gram matrices closer than this, at the two ends of an interval that cannot be halved further, are those of one state.
UNRESOLVED = 1e-4
# Transitions closer than this many of their errors are not told apart.
CLUSTER = 30
# Relative distance from the ends of the range within which no transition is reported.
EDGE = 1e-6
# Size of the fixed random step that a continuation starts with: a state that has become a saddle is left.
SHAKE = 1e-4


@dataclass(frozen=True)
class Transition:
    """A parameter at which the optimal state changes; `below` is the state for smaller parameters, `above` for larger ones.

    order   'first' (both states are local minima there and their losses cross) or 'continuous' (one grows out of the other)
    error   estimated error of `parameter`: Brent's tolerance, or rounding of the losses over the kink; the difference of two
            extrapolations; the width of the interval where changes are too close to be told apart, as near a tricritical point.
            It says nothing of a state that is lower still
    jump    smallest Frobenius distance of the two Gram matrices over exchanges of features; 0 if continuous
    kink    slope of the optimal loss above minus below, never positive; 0 if continuous
    """

    parameter: float
    order: str
    error: float
    loss: float
    below: str
    above: str
    jump: float
    kink: float
    weights: Float[Array, "2 m n"]
    bias: Float[Array, "2 n"]


@dataclass(frozen=True)
class Transitions:
    """The optimal state along a family, and where it changes.

    parameter (K,), loss (K,), weights (K, m, n), bias (K, n), geometry: the best state found at each parameter, in words;
    transitions in increasing order. grade NUMERIC: every loss is that of an explicit model, so an upper bound.
    """

    parameter: Float[Array, " K"]
    loss: Float[Array, " K"]
    weights: Float[Array, "K m n"]
    bias: Float[Array, "K n"]
    geometry: tuple[str, ...]
    transitions: tuple[Transition, ...]
    grade: Grade = Grade.NUMERIC


def transitions(
    family: Family, m: int, parameters: ArrayLike, *, bias: bool = True, restarts: int = 12, seed: int = 0
) -> Transitions:
    """Optimal state along a one-parameter family of problems, and every place where it changes between the given parameters.

    At a few of the parameters descents start from every packing of regular blocks and from random models; the minima found
    are continued to all others in both directions until nothing improves. Where the optimum of one parameter does not continue
    into that of the next, the interval is halved until either both branches persist across it, and then Brent's method finds where
    their exact losses cross (first order), or one has grown out of the other (continuous: a column grows from zero, a right angle
    opens, equal features become unequal). There the amplitude a of the new state is measured at several parameters and
    t(a) extrapolated to a = 0. A change that is neither (a norm that varies smoothly) is no transition, whatever it is called.

    family: parameter -> Features, a single instance of up to 8 features, of one law; m hidden dimensions; parameters: increasing;
    bias: False holds b = 0. A pair of transitions between two neighbouring parameters can be missed.
    Grade NUMERIC. The location errs where an unknown state is lower still. Raises InputError.

    Two features, one dimension, against the importance of the second; at density 0.1 it is stored from I = 0.048722 on.

    >>> found = transitions(lambda i: Features(0.1, [1.0, i]), 1, [0.03, 0.06, 0.1], restarts=2)
    >>> [(t.order, round(t.parameter, 6), t.below, t.above) for t in found.transitions]
    [('first', 0.048722, '1 dedicated, 1 dropped', '1 digon')]
    """
    t = real_array("parameters", parameters)
    if t.ndim != 1 or len(t) < 2 or np.any(np.diff(t) <= 0):
        raise InputError(
            "parameters must be one-dimensional, at least two and increasing, e.g. numpy.linspace(0.1, 1, 20)"
        )
    branches = _Branches(family, t, whole("m", m, 1), bias)
    branches.explore(whole("restarts", restarts, 0), seed)
    best = [branches.follow(pool[0], float(x)) for x, pool in zip(t, branches.pools, strict=True)]
    found = []
    for k in range(len(t) - 1):
        found += branches.between(t[k], best[k], t[k + 1], best[k + 1], branches.pools[k] + branches.pools[k + 1])
    # At the ends themselves nothing can be told: the last digits of a branch decide.
    inside = [x for x in found if t[0] + EDGE * abs(t[0]) < x.parameter < t[-1] - EDGE * abs(t[-1])]
    return Transitions(
        parameter=t,
        loss=np.array([s.loss for s in best]),
        weights=np.array([s.weights for s in best]),
        bias=np.array([s.bias for s in best]),
        geometry=tuple(s.words for s in best),
        transitions=tuple(branches.merged(inside)),
    )


class _Branches:
    """Minima along a family and their continuation."""

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
                scale = self._scale(self.t[k])
                if states[0].loss < pools[k][0].loss - SAME * scale:
                    stale.add(k)
                pools[k] = lowest(pools[k] + states, POOL, scale)
        self.pools = [pools[k] for k in range(count)]

    def adopt(self, other: _Branches) -> None:
        """Continue the best states of another family, at the same parameters, in this one."""
        for k, states in self._all({k: [pool[0]] for k, pool in enumerate(other.pools)}).items():
            self.pools[k] = lowest(self.pools[k] + states, POOL, self._scale(self.t[k]))

    def between(self, a: float, at_a: State, b: float, at_b: State, others: Sequence[State]) -> list[Transition]:
        """Transitions between parameters a < b with their optimal states; `others` may be optimal in between."""
        if b - a <= FINEST * max(abs(a), abs(b)):
            last = self._first((a + b) / 2, at_a, at_b, b - a)
            return [last] if last.jump > UNRESOLVED else []
        forth, back = self.follow(at_a, b), self.follow(at_b, a)
        even = EVEN * self._scale(a)
        # A neighbour's state may turn out lower where this one was best so far.
        at_a, at_b = min(at_a, back, key=_loss), min(at_b, forth, key=_loss)
        if at_a.loss < back.loss - even and at_b.loss < forth.loss - even:
            where, low, high = self._crossing(a, at_a, forth, b, at_b, back)
            lowest_ = min((low, high, *(self.follow(s, where) for s in others), *self._found(where)), key=_loss)
            # A third state is lower, or a branch has been lost on its way.
            lost = max(low.loss, high.loss) - lowest_.loss > 10 * even or self._distance(low, high) < UNRESOLVED
            if lost:
                where = min(max(where, a + (b - a) / 16), b - (b - a) / 16)
                lowest_ = self.follow(lowest_, where)
                left = self.between(a, at_a, where, lowest_, others)
                return left + self.between(where, lowest_, b, at_b, others)
            # Either branch may change continuously on its way to the crossing.
            left, right = self.between(a, at_a, where, low, []), self.between(where, high, b, at_b, [])
            return [*left, self._first(where, low, high), *right]
        # Of equal loss and unlike where two branches cross at an end.
        pairs = (back, at_a), (forth, at_b)
        one_branch = all(abs(s.loss - r.loss) <= even and self._distance(s, r) < UNRESOLVED for s, r in pairs)
        if one_branch and np.linalg.norm(forth.gram - at_a.gram) < MOVE:
            before, after = pattern(at_a, self.exchanges), pattern(forth, self.exchanges)
            smooth = self._distance(forth, at_a) < LEAST_MOVE or track(self.family(b), at_a, free=self.free) is not None
            if before == after and smooth:
                return []
            if before.size > after.size:
                return self._continuous(before, a, b, forth)
            if before.size < after.size:
                # Labels of the constrained end as the free end has them.
                return self._continuous(after, b, a, at_a)
        middle = (a + b) / 2
        best = min((self.follow(s, middle) for s in (at_a, at_b)), key=_loss)
        left = self.between(a, at_a, middle, best, others)
        return left + self.between(middle, best, b, at_b, others)

    def follow(self, state: State, t: float) -> State:
        """The minimum that a state leads to at parameter t: its own as long as there is one, else where a descent ends."""
        problem = self.family(float(t))
        kept = track(problem, state, free=self.free)
        if kept is not None:
            return kept
        weights, bias = state.weights + self.shake[0], state.bias + self.shake[1]
        return sharpen(problem, settle([problem], weights[None], bias[None], free=self.free)[0], free=self.free)

    def _found(self, t: float) -> list[State]:
        """Minima at t from packings and random models: at a crossing a state can win that wins at no grid point."""
        problem = self.family(float(t))
        starts = _starts(problem, self.m, self.restarts, self.seed, free=self.free)
        starts = sorted(starts, key=_loss)[:MOST]
        weights, bias = (np.array([getattr(s, part) for s in starts]) for part in ("weights", "bias"))
        ends = settle([problem] * len(starts), weights + self.shake[0], bias + self.shake[1], free=self.free)
        return [self.follow(s, t) for s in lowest(ends, POOL, self._scale(t))]

    def _crossing(
        self, a: float, at_a: State, forth: State, b: float, at_b: State, back: State
    ) -> tuple[float, State, State]:
        """Where the branches through (a, at_a) and (b, at_b) have equal loss, and their states; each persists at the other end."""

        def states(x: float) -> tuple[State, State]:
            share = (x - a) / (b - a)
            low, high = (
                self.follow(
                    State((1 - share) * p.weights + share * q.weights, (1 - share) * p.bias + share * q.bias, np.nan), x
                )
                for p, q in ((at_a, forth), (back, at_b))
            )
            return low, high

        def excess(x: float) -> float:
            low, high = {a: (at_a, back), b: (forth, at_b)}.get(x) or states(x)
            return low.loss - high.loss

        where = float(brentq(excess, a, b, xtol=1e-13 * max(abs(a), abs(b)), rtol=1e-13))
        return where, *states(where)

    def merged(self, found: Sequence[Transition]) -> list[Transition]:
        """Transitions too close for their own errors, as near a tricritical point, made one that spans them."""
        groups: list[list[Transition]] = []
        for t in found:
            if groups and t.parameter - groups[-1][-1].parameter < CLUSTER * max(t.error, groups[-1][-1].error):
                groups[-1].append(t)
            else:
                groups.append([t])
        out = []
        for group in groups:
            first, last = group[0], group[-1]
            if len(group) == 1:
                out.append(first)
                continue
            where, width = (first.parameter + last.parameter) / 2, last.parameter - first.parameter
            states = [State(one.weights[k], one.bias[k], one.loss) for one, k in ((first, 0), (last, 1))]
            low, high = (self.follow(s, where) for s in states)
            out.append(replace(self._first(where, low, high, width), below=first.below, above=last.above))
        return out

    def _distance(self, low: State, high: State) -> float:
        """Smallest Frobenius distance of the two Gram matrices over exchanges of features."""
        return float(min(np.linalg.norm(low.gram - high.gram[np.ix_(s, s)]) for s in self.exchanges))

    def _first(self, where: float, low: State, high: State, error: float = 0.0) -> Transition:
        kink = self._slope(high, where) - self._slope(low, where)
        return Transition(
            parameter=where,
            order="first",
            # Two losses known to rounding cross within that over the angle between them.
            error=max(error, 1e-13 * abs(where), ROUND * self._scale(where) / max(abs(kink), 1e-300)),
            loss=low.loss,
            below=low.words,
            above=high.words,
            jump=self._distance(low, high),
            kink=kink,
            weights=np.stack([low.weights, high.weights]),
            bias=np.stack([low.bias, high.bias]),
        )

    def _continuous(self, constrained: Pattern, inside: float, outside: float, state: State) -> list[Transition]:
        """Where the amplitude of the branch vanishes that has `constrained` pattern at `inside` and not at `outside`."""
        constrained_state = self.follow(state, inside)
        constrained = pattern(constrained_state, self.exchanges)
        far, best = outside, (np.inf, np.nan)
        here = state
        for _ in range(60):
            # Halve until the amplitude has vanished at `inside`, next to the smallest that has not.
            near = inside
            probe, at_probe = far, here
            while abs(probe - near) > max(abs(far - near) / 64, 1e-14 * abs(near)):
                middle = (probe + near) / 2
                found = self.follow(at_probe, middle)
                if constrained.amplitude(found) > 10 * EQUAL:
                    probe, at_probe = middle, found
                else:
                    near = middle
            if constrained.amplitude(at_probe) > JUMP * constrained.amplitude(here):
                # Both branches end at folds close by: the jump lies among these, where each persists at the other's end.
                ends = [self.follow(constrained_state, x) for x in (near, probe)]
                ends[1] = min(ends[1], at_probe, key=_loss)
                path = list(zip([near, probe, outside], [*ends, state], strict=True))[:: 1 if near < outside else -1]
                return [found for (u, p), (v, q) in pairwise(path) for found in self.between(u, p, v, q, [])]
            points, states, last = [], [], here
            for x in (1.0, 0.72, 0.49, 0.3, 0.16, 0.06):
                last = self.follow(last, near + x * (far - near))
                points.append(near + x * (far - near))
                states.append(last)
            if min(constrained.amplitude(s) for s in states) <= EQUAL:
                inside, far, here = near, points[2], states[2]
                continue
            a = np.array([constrained.amplitude(s) for s in states])
            estimate, rough = (_extrapolate(a[k:], np.array(points[k:])) for k in (0, 1))
            error = abs(estimate - rough)
            if error < best[0]:
                best = error, estimate
            inside, far, here = near, points[2], states[2]
            if best[0] <= 1e-11 * abs(estimate) or error > 100 * best[0] or abs(far - inside) < 1e-6 * abs(far):
                break
        # Without an amplitude to extrapolate, the interval in which it vanishes is all that is known.
        where = float(best[1]) if np.isfinite(best[1]) else (near + probe) / 2
        around = [constrained_state, state] if inside < outside else [state, constrained_state]
        limit = self.follow(constrained_state, where)
        last_one = Transition(
            parameter=where,
            order="continuous",
            error=float(best[0]) if np.isfinite(best[0]) else abs(far - inside),
            loss=limit.loss,
            below=around[0].words,
            above=around[1].words,
            jump=0.0,
            kink=0.0,
            weights=np.stack([limit.weights] * 2),
            bias=np.stack([limit.bias] * 2),
        )
        return [last_one]

    def _slope(self, state: State, t: float) -> float:
        """dL*/dt of a branch: by the envelope theorem the derivative at fixed model."""
        h = 1e-4 * min(t - self.t[0], self.t[-1] - t)
        two = stack([self.family(float(t - h)), self.family(float(t + h))])
        loss = model_gradient(np.stack([state.weights] * 2), np.stack([state.bias] * 2), two, 0.0)[0]
        return float((loss[1] - loss[0]) / (2 * h))

    def _scale(self, t: float) -> float:
        """Loss of storing nothing."""
        problem = self.family(float(t))
        return float((problem.importance * problem.variance).sum())

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
        return {k: lowest([ends[i] for i in np.flatnonzero(owner == k)], POOL, self._scale(self.t[k])) for k in trial}


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


def _loss(state: State) -> float:
    return state.loss


def _extrapolate(a: Float[Array, " k"], t: Float[Array, " k"]) -> float:
    """Value at a = 0 of the polynomial t(a) through all points (Neville)."""
    p = t.copy()
    for j in range(1, len(a)):
        p = (a[j:] * p[:-1] - a[:-j] * p[1:]) / (a[j:] - a[:-j])
    return float(p[0])


@dataclass(frozen=True)
class GeometryDiagram:
    """Optimal state on a grid of problems with independent features: density along the first axis, importance of the last along the second.

    label (density, importance): the geometry in words; loss, weights (..., m, n), bias (..., n). grade NUMERIC.
    """

    density: Float[Array, " density"]
    importance: Float[Array, " importance"]
    label: Array
    loss: Float[Array, "density importance"]
    weights: Float[Array, "density importance m n"]
    bias: Float[Array, "density importance n"]
    grade: Grade = Grade.NUMERIC


def geometry_diagram(
    densities_: ArrayLike,
    importances_: ArrayLike,
    *,
    n: int = 3,
    m: int = 2,
    restarts: int = 4,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> GeometryDiagram:
    """Optimal geometry of n features in m dimensions, importances (1, …, 1, I), for every density and I.

    Per density the minima found from packings and random models at a few importances are continued along all of them; then each
    density takes over what its neighbours found where that is lower. By the concavity of the optimal loss in I, a cell above the
    chord of its neighbours would be a missed optimum.

    densities_ and importances_: one-dimensional and increasing, in (0, 1] and positive, two or more importances. `progress` is
    called with the number of densities done and in all. Grade NUMERIC: every loss is an upper bound. Raises InputError.

    >>> diagram = geometry_diagram([0.1, 0.9], [0.02, 0.9], restarts=1)
    >>> diagram.label.tolist()[0]
    ['2 dedicated, 1 dropped', '1 dedicated, 1 digon']
    """
    p, weight = densities("densities", densities_), importances("importances", importances_)
    for name, axis, least in (("densities", p, 1), ("importances", weight, 2)):
        if axis.ndim != 1 or len(axis) < least or np.any(np.diff(axis) <= 0):
            raise InputError(f"{name} must be one-dimensional, at least {least} and increasing, got shape {axis.shape}")
    others, m = [1.0] * (whole("n", n, 1) - 1), whole("m", m, 1)
    rows: list[_Branches] = []
    for done, density in enumerate(p):

        def family(importance: float, density: float = float(density)) -> Features:
            return Features(density, [*others, importance])

        rows.append(_Branches(family, weight, m, True))
        rows[-1].explore(whole("restarts", restarts, 0), seed)
        for before, after in ((-2, -1), (-1, -2)) if done else ():
            rows[after].adopt(rows[before])
        if progress is not None:
            progress(done + 1, len(p))
    best = [[pool[0] for pool in row.pools] for row in rows]
    return GeometryDiagram(
        density=p,
        importance=weight,
        label=np.array([[state.words for state in row] for row in best]),
        loss=np.array([[state.loss for state in row] for row in best]),
        weights=np.array([[state.weights for state in row] for row in best]),
        bias=np.array([[state.bias for state in row] for row in best]),
    )
