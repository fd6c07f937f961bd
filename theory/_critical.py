"""Critical: the special points of the phase diagram of two features in one dimension, and the line where its two mixed states exchange."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import flint
import numpy as np
import sympy
from jaxtyping import Float
from numpy import ndarray as Array

from ._candidates import DENSITY
from ._checks import InputError, densities
from ._enclosure import _outward
from ._grade import Grade
from ._pair import (
    ANTIPODAL_RATIO,
    BETA,
    ROOT_BITS,
    chart,
    enclose_onset,
    enclose_states,
    fold_equations,
    landau,
    landau_functions,
    model,
    pair_errors,
    spinodal,
    stationarity,
    superposed_states,
    tangent,
)
from ._root import NoRootError, Number, Root, derivatives, enclose_root

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    Region = tuple[bool, ...]

# Where Newton's method starts: states (w1, w2, b1, b2) to three digits with density and importance, as descent on a grid shows
# them. Which root they lead to is all that they decide; the root itself is proved.
TRIPLE = ((1.0004, -0.003, 0.00025, 0.257), (1.024, -0.756, 0.068, 0.206), 0.5117, 0.5641)
EQUAL_TRIPLE = ((0.916, -0.516, 0.198, 0.425), (0.755, -0.755, 0.334, 0.334), 0.7064)
BREAKING = ((0.751, -0.751, 0.339, 0.339), 0.713)
WEAK_LIMIT = ((0.897, -0.556, 0.217, 0.415), 0.7022)
DENSE = ((0.983, -0.201, 0.115, 0.579), 0.98885)
# Halvings of the interval of importances in which the states exchange, before Newton's method: to 1e-6, as near the triple point
# the weak state hardly outlasts the line.
HALVINGS = 20


@dataclass(frozen=True)
class SpecialPoint:
    """A special point of the diagram of n = 2, m = 1, importances (1, I), I <= 1; by exchange of the features there is one at 1/I too.

    density, importance  the point
    enclosure     (2, 2): [lower, upper] of the density, and of the importance, floats rounded outwards; equal ends are exact
    kind          in words
    weights, bias (states, 2) the superposed states that meet there; the ignored one is W = (1, 0), b = (0, p/2)
    grade         ENCLOSED: in the box there is exactly one solution of the equations that `kind` states. That the states are lowest
                  where it says so rests on descent, as in `phase_diagram`.
    """

    density: float
    importance: float
    enclosure: Float[Array, "2 2"]
    kind: str
    weights: Float[Array, "states 2"]
    bias: Float[Array, "states 2"]
    grade: Grade = Grade.ENCLOSED


@dataclass(frozen=True)
class ExchangeLine:
    """Where the weak and the antipodal state have the same loss; arrays shaped like `density`, nan where they never do for I <= 1.

    importance    I_x: the weak state is lower below it, the antipodal one above
    enclosure     (..., 2) [lower, upper], rounded outwards
    weak_weights, weak_bias, antipodal_weights, antipodal_bias  (..., 2) the two states
    grade         NUMERIC: the crossing of these branches is ENCLOSED, that no third state is lower there is only searched for
    """

    density: Float[Array, "*densities"]
    importance: Float[Array, "*densities"]
    enclosure: Float[Array, "*densities 2"]
    weak_weights: Float[Array, "*densities 2"]
    weak_bias: Float[Array, "*densities 2"]
    antipodal_weights: Float[Array, "*densities 2"]
    antipodal_bias: Float[Array, "*densities 2"]
    grade: Grade = Grade.NUMERIC


def critical_points(*, n: int = 2, m: int = 1) -> dict[str, SpecialPoint]:
    """All special points found of the phase diagram of two features in one dimension (I <= 1), each enclosed by `enclose_root`.

    triple             ignored, weak and antipodal state have the same loss: above this density the weak state comes in first
    tricritical        onset of the weak state turns from a (tiny) jump to continuous: the Landau coefficient C is zero
    dense tricritical  … and back to a jump, towards density 1
    equal triple       I = 1: antipodal state, weak state and its mirror image have the same loss. Here the line of exchange ends; from
                       here to density 1 the line I = 1 is itself a first-order line, between the two weak states
    symmetry breaking  I = 1: the antipodal state with equal norms loses its stability (pitchfork), inside the region where weak is lower
    weak limit         I = 1: the least density at which the weak state is a local minimum (fold)
    dense onset        density 1: onset of the weak state, and by x_2 -> 1 - x_2 of the aligned one, which there has the same loss
    aligned tricritical  onset of the (metastable) aligned state turns from continuous to a jump

    n = 2, m = 1 only. Grade ENCLOSED for every point, NUMERIC for the list being complete. Raises InputError for another (n, m).

    >>> points = critical_points()
    >>> point = points["equal triple"]
    >>> round(point.density, 10), point.importance
    (0.7064036927, 1.0)
    """
    if (n, m) != (2, 1):
        raise InputError(f"critical points are derived for n = 2, m = 1, got n = {n}, m = {m}")
    return dict(_points())


def exchange_line(density: ArrayLike) -> ExchangeLine:
    """Importance I_x(p) at which the weak and the antipodal state of n = 2, m = 1 have the same loss: a first-order line.

    Both gradients vanish and F_1 + I F_2 agrees: nine equations for two states and I, solved and enclosed by `enclose_root` from the
    states that descent finds on either side. It runs from the triple point to I = 1, the points 'triple' and 'equal triple' of
    `critical_points`; at other densities the result is nan.

    density: scalar or array in (0, 1]. Grade NUMERIC, the crossing itself ENCLOSED. Raises InputError.

    >>> line = exchange_line([0.6, 0.9])
    >>> [round(x, 8) for x in line.importance.tolist()]
    [0.80774993, nan]
    """
    p = densities("density", density)
    flat = p.ravel()
    first, last = (_points()[name].density for name in ("triple", "equal triple"))
    inside = np.flatnonzero((flat > first) & (flat < last))
    values = np.full((len(flat), 3), np.nan)
    states = np.full((len(flat), 8), np.nan)
    q = flat[inside]
    low, high = np.full(len(q), 0.0), np.ones(len(q))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        found = superposed_states(q, middle)
        # Where ignoring is lower, the importance is too small as well.
        antipodal = (-found.weights[:, 1] > ANTIPODAL_RATIO * found.weights[:, 0]) & (
            found.loss < middle * (q / 3 - q**2 / 4)
        )
        low, high = np.where(antipodal, low, middle), np.where(antipodal, middle, high)
    below, above = superposed_states(q, low), superposed_states(q, high)
    for j, k in enumerate(inside):
        pair = [[*s.weights[j], *s.bias[j]] for s in (below, above)]
        root = _exchange(pair, float(flat[k]), None, float(high[j]))
        values[k] = [float(root.ball[8]), *root.bounds[8]]
        states[k] = [float(x) for at in (0, 4) for x in model(root.ball[at : at + 4], flint.arb(float(flat[k])))]
    weak_weights, weak_bias, antipodal_weights, antipodal_bias = (
        states[:, at : at + 2].reshape(*p.shape, 2) for at in (0, 2, 4, 6)
    )
    return ExchangeLine(
        density=p,
        importance=values[:, 0].reshape(p.shape),
        enclosure=values[:, 1:].reshape(*p.shape, 2),
        weak_weights=weak_weights,
        weak_bias=weak_bias,
        antipodal_weights=antipodal_weights,
        antipodal_bias=antipodal_bias,
    )


def _exchange(pair: Sequence[Sequence[float]], density: float | None, importance: float | None, start: float) -> Root:
    """Two states (4 + 4 unknowns) of equal loss, and the density or the importance, whichever is None."""

    def values(x: Sequence[Number]) -> tuple[Number, Number]:
        return (
            x[8] if importance is None else flint.arb(importance),
            x[8] if density is None else flint.arb(density),
        )

    def equations(x: list[Number], regions: list[Region]) -> list[Number]:
        r, p = values(x)
        out, excess = [], []
        for at, region in zip((0, 4), regions, strict=True):
            state, onset = stationarity(x[at : at + 4], r, p, region)
            out += state
            excess.append(onset[4] * x[at + 3] * x[at + 3])
        return [*out, excess[0] - excess[1]]

    at = start if density is None else density
    return enclose_states(
        equations,
        lambda x: [model(x[:4], values(x)[1]), model(x[4:8], values(x)[1])],
        [*chart(pair[0], at), *chart(pair[1], at), start],
    )


@cache
def _points() -> dict[str, SpecialPoint]:
    return {
        "triple": _triple(),
        **dict(zip(("tricritical", "dense tricritical"), _tricritical(-1), strict=True)),
        "equal triple": _equal_triple(),
        "symmetry breaking": _symmetry_breaking(),
        "weak limit": _weak_limit(),
        "dense onset": _dense_onset(),
        **dict(zip(("aligned tricritical",), _tricritical(1), strict=True)),
    }


def _triple() -> SpecialPoint:
    weak, antipodal, p, r = TRIPLE

    def equations(x: list[Number], regions: list[Region]) -> list[Number]:
        return [
            y
            for at, region in zip((0, 4), regions, strict=True)
            for y in stationarity(x[at : at + 4], x[9], x[8], region)[1]
        ]

    root = enclose_states(
        equations, lambda x: [model(x[:4], x[8]), model(x[4:8], x[8])], [*chart(weak, p), *chart(antipodal, p), p, r]
    )
    return _point(
        "ignored, weak and antipodal state of equal loss", root.ball[8], root.ball[9], root.ball[:4], root.ball[4:8]
    )


def _equal_triple() -> SpecialPoint:
    weak, antipodal, p = EQUAL_TRIPLE
    root = _exchange([weak, antipodal], None, 1.0, p)
    kind = "antipodal state, weak state and its mirror image of equal loss"
    return _point(kind, root.ball[8], flint.arb(1), root.ball[:4], root.ball[4:8])


def _symmetry_breaking() -> SpecialPoint:
    """State (w, -w, b, b) whose Hessian sends (1, 1, t, -t) to zero: a direction odd under exchange of the features."""
    (w, _, b, _), p = BREAKING

    def equations(x: list[Number], regions: list[Region]) -> list[Number]:
        w, b, t, p = x
        state, direction = [w, -1 * w, b, b], [1, 1, t, -1 * t]

        def gradient(s: list[Number]) -> list[Number]:
            moved = [entry + s[0] * d for entry, d in zip(state, direction, strict=True)]
            return derivatives(lambda y: [sum(pair_errors(y, p, regions[0]), flint.arb(0))], moved)[1][0]

        values, slopes = derivatives(gradient, [flint.arb(0)])
        # The rest vanishes with these, by the symmetry.
        return [values[0], values[2], slopes[0][0], slopes[2][0]]

    root = enclose_states(equations, lambda x: [[x[0], -x[0], x[1], x[1]]], [w, b, -0.6, p])
    with flint.ctx.workprec(ROOT_BITS):
        w_, b_, _, p_ = root.ball
        at = [(1 - w_) / -w_, b_ / w_, (b_ - p_ / 2) / w_, w_]
    return _point("the antipodal state of equal norms turns unstable: pitchfork", p_, flint.arb(1), at)


def _weak_limit() -> SpecialPoint:
    state, p = WEAK_LIMIT
    start = chart(state, p)
    root = enclose_states(
        lambda x, regions: fold_equations(x[:4], x[4:7], flint.arb(1), x[7], regions[0]),
        lambda x: [model(x[:4], x[7])],
        [*start, *tangent(start, 1.0, p), p],
    )
    return _point("the weak state meets a saddle: fold", root.ball[7], flint.arb(1), root.ball[:4])


def _dense_onset() -> SpecialPoint:
    state, r = DENSE
    root = enclose_onset(state, r, 1.0)
    kind = "ignored and weak state of equal loss, and the mirror image of the weak one, which is aligned"
    return _point(kind, flint.arb(1), root.ball[4], root.ball[:4])


def _tricritical(sign: int) -> list[SpecialPoint]:
    """Every density in (0, 1) at which C(β*, p) = 0, by increasing density: all are roots of the resultant of C and the slope in β."""
    found = landau(sign)
    polynomials, beta, tilt = landau_functions(sign)
    resultant = sympy.Poly(sympy.resultant(found.cubic, found.slope, BETA), DENSITY).sqf_part()
    points = []
    for (low, high), _ in resultant.intervals(eps=sympy.Rational(1, 10**12), inf=0, sup=1):
        p = float((low + high) / 2)
        if not 0 < p < 1:
            continue
        try:
            root = enclose_root(lambda x: polynomials(*x), [beta(p), float(spinodal(p, sign=sign)), p])
        except NoRootError:
            continue
        # The other root of the slope has resultants too; Newton's method then ends elsewhere.
        if abs(float(root.ball[2]) - p) > 1e-9 or abs(float(root.ball[0]) - beta(p)) > 1e-6:
            continue
        state = "weak" if sign < 0 else "aligned"
        with flint.ctx.workprec(ROOT_BITS):
            at = [flint.arb(tilt(p)), root.ball[0], root.ball[2] / 2, flint.arb(0)]
        points.append(
            _point(f"onset of the {state} state between continuous and a jump: C = 0", root.ball[2], root.ball[1], at)
        )
    return points


def _point(kind: str, density: flint.arb, importance: flint.arb, *charts: Sequence[flint.arb]) -> SpecialPoint:
    with flint.ctx.workprec(ROOT_BITS):
        states = np.array([[float(x) for x in model(at, density)] for at in charts]).reshape(-1, 4)
    return SpecialPoint(
        density=float(density),
        importance=float(importance),
        enclosure=np.array([_outward(density), _outward(importance)]),
        kind=kind,
        weights=states[:, :2],
        bias=states[:, 2:],
    )
