"""Transitions: where the optimal model of a one-parameter family of problems changes its state, and how."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array
from scipy.optimize import brentq

from ._branches import Branches
from ._checks import InputError, real_array, whole
from ._grade import Grade
from ._states import EQUAL, State, pattern

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from ._branches import Family

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

    >>> from tegum.theory import Features
    >>> found = transitions(lambda i: Features(0.1, [1.0, i]), 1, [0.03, 0.06, 0.1], restarts=2)
    >>> [(t.order, round(t.parameter, 6), t.below, t.above) for t in found.transitions]
    [('first', 0.048722, '1 dedicated, 1 dropped', '1 digon')]
    """
    t = real_array("parameters", parameters)
    if t.ndim != 1 or len(t) < 2 or np.any(np.diff(t) <= 0):
        raise InputError(
            "parameters must be one-dimensional, at least two and increasing, e.g. numpy.linspace(0.1, 1, 20)"
        )
    branches = Branches(family, t, whole("m", m, 1), bias)
    branches.explore(whole("restarts", restarts, 0), seed)
    best = [branches.follow(pool[0], float(x)) for x, pool in zip(t, branches.pools, strict=True)]
    found = []
    for k in range(len(t) - 1):
        found += _between(branches, t[k], best[k], t[k + 1], best[k + 1], branches.pools[k] + branches.pools[k + 1])
    # At the ends themselves nothing can be told: the last digits of a branch decide.
    inside = [x for x in found if t[0] + EDGE * abs(t[0]) < x.parameter < t[-1] - EDGE * abs(t[-1])]
    return Transitions(
        parameter=t,
        loss=np.array([s.loss for s in best]),
        weights=np.array([s.weights for s in best]),
        bias=np.array([s.bias for s in best]),
        geometry=tuple(s.words for s in best),
        transitions=tuple(_merged(branches, inside)),
    )


def _between(
    branches: Branches, a: float, at_a: State, b: float, at_b: State, others: Sequence[State]
) -> list[Transition]:
    """Transitions between parameters a < b with their optimal states; `others` may be optimal in between."""
    if b - a <= FINEST * max(abs(a), abs(b)):
        last = _first(branches, (a + b) / 2, at_a, at_b, b - a)
        return [last] if last.jump > UNRESOLVED else []
    forth, back = branches.follow(at_a, b), branches.follow(at_b, a)
    even = EVEN * branches.scale(a)
    # A neighbour's state may turn out lower where this one was best so far.
    at_a, at_b = min(at_a, back, key=_loss), min(at_b, forth, key=_loss)
    if at_a.loss < back.loss - even and at_b.loss < forth.loss - even:
        where, low, high = _crossing(branches, a, at_a, forth, b, at_b, back)
        lowest_ = min((low, high, *(branches.follow(s, where) for s in others), *branches.found(where)), key=_loss)
        # A third state is lower, or a branch has been lost on its way.
        lost = max(low.loss, high.loss) - lowest_.loss > 10 * even or branches.distance(low, high) < UNRESOLVED
        if lost:
            where = min(max(where, a + (b - a) / 16), b - (b - a) / 16)
            lowest_ = branches.follow(lowest_, where)
            left = _between(branches, a, at_a, where, lowest_, others)
            return left + _between(branches, where, lowest_, b, at_b, others)
        # Either branch may change continuously on its way to the crossing.
        left, right = _between(branches, a, at_a, where, low, []), _between(branches, where, high, b, at_b, [])
        return [*left, _first(branches, where, low, high), *right]
    # Of equal loss and unlike where two branches cross at an end.
    pairs = (back, at_a), (forth, at_b)
    one_branch = all(abs(s.loss - r.loss) <= even and branches.distance(s, r) < UNRESOLVED for s, r in pairs)
    if one_branch and np.linalg.norm(forth.gram - at_a.gram) < MOVE:
        before, after = pattern(at_a, branches.exchanges), pattern(forth, branches.exchanges)
        smooth = branches.distance(forth, at_a) < LEAST_MOVE or branches.persists(at_a, b)
        if before == after and smooth:
            return []
        if before.size > after.size:
            return _continuous(branches, a, b, forth)
        if before.size < after.size:
            # Labels of the constrained end as the free end has them.
            return _continuous(branches, b, a, at_a)
    middle = (a + b) / 2
    best = min((branches.follow(s, middle) for s in (at_a, at_b)), key=_loss)
    left = _between(branches, a, at_a, middle, best, others)
    return left + _between(branches, middle, best, b, at_b, others)


def _crossing(
    branches: Branches, a: float, at_a: State, forth: State, b: float, at_b: State, back: State
) -> tuple[float, State, State]:
    """Where the branches through (a, at_a) and (b, at_b) have equal loss, and their states; each persists at the other end."""

    def states(x: float) -> tuple[State, State]:
        share = (x - a) / (b - a)
        low, high = (
            branches.follow(
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


def _merged(branches: Branches, found: Sequence[Transition]) -> list[Transition]:
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
        low, high = (branches.follow(s, where) for s in states)
        out.append(replace(_first(branches, where, low, high, width), below=first.below, above=last.above))
    return out


def _first(branches: Branches, where: float, low: State, high: State, error: float = 0.0) -> Transition:
    kink = branches.slope(high, where) - branches.slope(low, where)
    return Transition(
        parameter=where,
        order="first",
        # Two losses known to rounding cross within that over the angle between them.
        error=max(error, 1e-13 * abs(where), ROUND * branches.scale(where) / max(abs(kink), 1e-300)),
        loss=low.loss,
        below=low.words,
        above=high.words,
        jump=branches.distance(low, high),
        kink=kink,
        weights=np.stack([low.weights, high.weights]),
        bias=np.stack([low.bias, high.bias]),
    )


def _continuous(branches: Branches, inside: float, outside: float, state: State) -> list[Transition]:
    """Where the amplitude of the branch through `state` vanishes, which is more constrained at `inside` than at `outside`."""
    constrained_state = branches.follow(state, inside)
    constrained = pattern(constrained_state, branches.exchanges)
    far, best = outside, (np.inf, np.nan)
    here = state
    for _ in range(60):
        # Halve until the amplitude has vanished at `inside`, next to the smallest that has not.
        near = inside
        probe, at_probe = far, here
        while abs(probe - near) > max(abs(far - near) / 64, 1e-14 * abs(near)):
            middle = (probe + near) / 2
            found = branches.follow(at_probe, middle)
            if constrained.amplitude(found) > 10 * EQUAL:
                probe, at_probe = middle, found
            else:
                near = middle
        if constrained.amplitude(at_probe) > JUMP * constrained.amplitude(here):
            # Both branches end at folds close by: the jump lies among these, where each persists at the other's end.
            ends = [branches.follow(constrained_state, x) for x in (near, probe)]
            ends[1] = min(ends[1], at_probe, key=_loss)
            path = list(zip([near, probe, outside], [*ends, state], strict=True))[:: 1 if near < outside else -1]
            return [found for (u, p), (v, q) in pairwise(path) for found in _between(branches, u, p, v, q, [])]
        points, states, last = [], [], here
        for x in (1.0, 0.72, 0.49, 0.3, 0.16, 0.06):
            last = branches.follow(last, near + x * (far - near))
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
    limit = branches.follow(constrained_state, where)
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


def _loss(state: State) -> float:
    return state.loss


def _extrapolate(a: Float[Array, " k"], t: Float[Array, " k"]) -> float:
    """Value at a = 0 of the polynomial t(a) through all points (Neville)."""
    p = t.copy()
    for j in range(1, len(a)):
        p = (a[j:] * p[:-1] - a[:-j] * p[1:]) / (a[j:] - a[:-j])
    return float(p[0])
