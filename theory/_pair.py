"""Pair: the true optimum of two features in one dimension, over both weights and both biases."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import flint
import numpy as np
import sympy
from jaxtyping import Float, Int
from numpy import ndarray as Array

from ._candidates import DENSITY, IMPORTANCE
from ._checks import InputError, densities
from ._descent import descend
from ._features import Features
from ._loss import model_gradient, row_errors
from ._root import NoRootError, Number, Root, derivatives, enclose_root
from ._symbolic import pair_loss

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike

# Starts (w1, w2, b1, b2 / (p/2)) for the superposed states; the ignored state is known in closed form.
STARTS = np.array([[1.0, -1.0, 0.0, 0.0], [1.0, -0.7, 0.0, 0.2], [1.0, -0.4, 0.0, 0.9], [1.0, -0.1, 0.0, 1.0]])
# |w2/w1| tells the weak state (at most 0.5643 wherever it is optimal, on the line of exchange near density 0.7016) from the antipodal
# one (at least 0.5853, on the onset near density 0.016): measured, and a test repeats it. The ratio jumps where the two exchange.
ANTIPODAL_RATIO = 0.575
# `Landau` expansions: β, and V = Var(x) as an expression.
BETA = sympy.Symbol("beta", positive=True)
VARIANCE = DENSITY / 3 - DENSITY**2 / 4
# Precision in which signs are read off enclosures.
ROOT_BITS = 160
# Regions tried in turn by `enclose_states`.
ROUNDS = 4


@dataclass(frozen=True)
class PairStates:
    """Lowest superposed state found per problem: weights (..., 2), bias (..., 2), loss (...)."""

    weights: Float[Array, "*k 2"]
    bias: Float[Array, "*k 2"]
    loss: Float[Array, "*k"]


def superposed_states(
    density: Float[Array, " k"], importance: Float[Array, " k"], starts: Float[Array, "k s 4"] | None = None
) -> PairStates:
    """Best local minimum with w1 > 0 > w2 reached from `STARTS` (or `starts`), importances (1, I).

    Grade NUMERIC: stationary to 1e-11, global only as far as the starts reach.
    """
    k = len(density)
    starts = _starts(density) if starts is None else starts
    s = starts.shape[1]
    p, weight = np.repeat(density, s), np.repeat(importance, s)

    def objective(x: Float[Array, "b 4"], which: Int[Array, " b"]) -> tuple[Array, Array]:
        loss, d_weights, d_bias = model_gradient(x[:, None, :2], x[:, 2:], _features(p[which], weight[which]), 0.0)
        return loss, np.concatenate([d_weights[:, 0], d_bias], axis=1)

    found = descend(objective, starts.reshape(-1, 4), tolerance=1e-11)
    points, values = found.point.reshape(k, s, 4), found.value.reshape(k, s)
    best = values.argmin(1)
    chosen = points[np.arange(k), best]
    return PairStates(chosen[:, :2], chosen[:, 2:], values[np.arange(k), best])


def onset(density: Float[Array, " k"], rounds: int = 40) -> tuple[Float[Array, " k"], PairStates]:
    """Smallest importance at which a superposed state is no worse than ignoring feature 2, with that state.

    With F_i the error of feature i and V = p/3 - p²/4, superposition wins iff F_1 + I F_2 < I V, so the boundary is
    I* = inf F_1 / (V - F_2) over (W, b) with F_2 < V. Dinkelbach's iteration: minimise F_1 + I F_2 at the present I, then
    set I to the ratio at the minimiser; it falls monotonically and its limit is a minimum of the ratio.
    """
    variance = density / 3 - density**2 / 4
    importance = np.ones(len(density))
    witness = trial = superposed_states(density, importance)
    everywhere = True  # whether `trial` came from all starts; most rounds only follow the witness
    for _ in range(rounds):
        errors = row_errors(
            trial.weights[:, None], trial.bias, _features(density, importance), np.zeros_like(trial.bias)
        )
        gain = variance - errors[:, 1]
        ratio = np.where(gain > 1e-9 * variance, errors[:, 0] / np.where(gain > 0, gain, 1), np.inf)
        lower = ratio < importance * (1 - 1e-14)
        if everywhere and not lower.any():
            break
        importance = np.where(lower, ratio, importance)
        witness = PairStates(
            np.where(lower[:, None], trial.weights, witness.weights),
            np.where(lower[:, None], trial.bias, witness.bias),
            np.where(lower, trial.loss, witness.loss),
        )
        everywhere = not lower.any()
        here = np.concatenate([witness.weights, witness.bias], 1)[:, None]
        trial = superposed_states(density, importance, _starts(density) if everywhere else here)
    return importance, witness


@dataclass(frozen=True)
class Landau:
    """Loss of a weakly superposed model above the ignored state, L - I V = ε² (Q - I V) + ε³ C + O(ε⁴), as sympy expressions.

    The model is `model` of (α, β, δ, ±ε): second weight ∓ε. δ and α are at their best; β (`BETA`) is left, as the root in [0, 1] of
    `slope`, the derivative ∂Q/∂β up to a positive factor. Q and C depend on the density p and on β alone, as I = Q / V was put into C.

    q, cubic, slope  Q, C and the slope, polynomials in p and β (C divided by a power of V at most)
    beta             the root, in p
    tilt             α, in p and β
    """

    q: sympy.Expr
    cubic: sympy.Expr
    slope: sympy.Expr
    beta: sympy.Expr
    tilt: sympy.Expr


@cache
def landau(sign: int) -> Landau:
    """The expansion for a second weight of this sign: -1 as in the weak state, +1 as in the aligned one. Grade EXACT."""
    p, r = DENSITY, IMPORTANCE
    alpha, delta, eps = sympy.symbols("alpha delta epsilon", real=True)
    size = -sign * eps  # the second weight is minus `size`; eps > 0
    symbolic = pair_loss((1, sign), (-sign, 1))
    # Any point so near the ignored state lies in the same region.
    tiny = sympy.Rational(1, 10**6)
    loss = symbolic.near(p=p, r=r, w1=1, w2=sign * tiny, b1=-sign * tiny / 2, b2=sympy.Rational(1, 2))
    names = {s.name: s for s in symbolic.symbols}
    at = dict(
        zip(
            (names[x] for x in ("w1", "w2", "b1", "b2")),
            (1 + alpha * size, -size, BETA * size, p / 2 + delta * size),
            strict=True,
        )
    )
    rows = sympy.expand(loss)
    (q, q3), (gain, gain3) = (
        _coefficients(sympy.cancel(rows.coeff(r, k).subs(at, simultaneous=True)), eps)[2:] for k in (0, 1)
    )
    (shift,) = sympy.solve(sympy.diff(gain, delta), delta)
    (tilt,) = sympy.solve(sympy.diff(q, alpha), alpha)
    best = {delta: shift, alpha: tilt}
    q = sympy.expand(q.subs(best))
    cubic = sympy.expand(q3.subs(best)) + q / VARIANCE * sympy.expand(gain3.subs(best))
    slope = sympy.expand(sympy.diff(q, BETA))
    c2, c1, c0 = ([sympy.Integer(0)] * 3 + sympy.Poly(slope, BETA).all_coeffs())[-3:]
    # The root of c2 β² + c1 β + c0 in [0, 1], written so that c2 -> 0 (p -> 1) is harmless.
    beta = -2 * c0 / (c1 + sympy.sqrt(sympy.factor(c1**2 - 4 * c2 * c0)))
    return Landau(q, sympy.factor(cubic), slope, beta, tilt)


@cache
def _spinodal(sign: int) -> Callable[[Array], Array]:
    found = landau(sign)
    function: Callable[[Array], Array] = sympy.lambdify(DENSITY, (found.q / VARIANCE).subs(BETA, found.beta), "numpy")
    return function


def spinodal(density: ArrayLike, *, sign: int = -1) -> Float[Array, "*densities"]:
    """Importance I_c = Q(β*)/V above which ignoring feature 2 is no longer a local minimum (n = 2, m = 1).

    Perturb the ignored state W = (1, 0), b = (0, p/2) by a second weight of size ε: output 1 loses Q ε², minimised over its bias βε
    and its gain, output 2 gains I V ε², V = p/3 - p²/4. Q and its minimiser β* are derived with sympy.
    The ignored state is stable below the smaller of the two: that of sign -1, a second weight opposite to the first, where the weak
    state comes in. With sign +1 (the aligned state) b1 = -ε/2 whatever p, and I_c = (5 + 8p - 9p²) / (16 - 12p), 5/16 as p -> 0.
    density in (0, 1]; sign -1 or 1. Grade EXACT as a formula, evaluated in float64. I_c(1) = 1 for both. Raises InputError.

    >>> float(spinodal(1.0)), round(float(spinodal(0.6)), 6), round(float(spinodal(0.6, sign=1)), 6)
    (1.0, 0.665399, 0.745455)
    """
    if sign not in (-1, 1):
        raise InputError(f"sign must be -1 (opposite weights) or 1 (equal signs), got {sign!r}")
    value: Float[Array, "*densities"] = _spinodal(sign)(densities("density", density))
    return value


def model(chart: Sequence[Number], density: Number) -> list[Number]:
    """Weights and biases (w1, w2, b1, b2) = (1 + αε, -ε, βε, p/2 + δε) of chart coordinates (α, β, δ, ε).

    All superposed states are regular in these, those that grow from the ignored state (ε = 0) too. ε < 0 is the aligned sign.
    """
    alpha, beta, delta, eps = chart
    return [1 + alpha * eps, -1 * eps, beta * eps, density / 2 + delta * eps]


def chart(state: Sequence[float], density: float) -> list[float]:
    """The inverse of `model`, in floats."""
    w1, w2, b1, b2 = map(float, state)
    return [(1 - w1) / w2, -b1 / w2, (density / 2 - b2) / w2, -w2]


def heights(state: Sequence[Number]) -> list[Number]:
    """b, b + c, b + a and b + a + c of both outputs (own slope a, other slope c): their signs fix the formula of the loss."""
    w1, w2, b1, b2 = state
    other = w1 * w2
    return [b + x for b, own in ((b1, w1 * w1), (b2, w2 * w2)) for x in (0, other, own, own + other)]


def pair_errors(state: Sequence[Number], density: Number, above: Sequence[bool]) -> tuple[Number, Number]:
    """Errors F_1, F_2 of the two outputs, by the formula of the region where `heights` are positive as `above` says.

    Runs on balls and `Dual` numbers; the density is a ball (a float would round 1 - p).
    """
    w1, w2, b1, b2 = state
    other = w1 * w2
    return (
        _row_error(w1 * w1, other, b1, density, above[:4]),
        _row_error(w2 * w2, other, b2, density, above[4:]),
    )


def _row_error(a: Number, c: Number, b: Number, p: Number, above: Sequence[bool]) -> Number:
    """E (x - ReLU(a x + c y + b))², x and y independent: the vertex formula by number of active features."""
    if all(above):
        # Affine output. The general formula would divide by a and c, which are small where feature 2 is hardly stored.
        shift = p / 2 * (1 - a - c) - b
        return (p / 3 - p * p / 4) * ((1 - a) * (1 - a) + c * c) + shift * shift
    h, hc, ha, hac = (
        height if up else 0 * height for height, up in zip((b, b + c, b + a, b + a + c), above, strict=True)
    )
    third = flint.arb(1) / 3
    h3, hc3, ha3, hac3 = (x * x * x for x in (h, hc, ha, hac))
    only_x = third + (ha3 - h3) * third / a - ha * ha / a + (ha3 - h3) * third / (a * a)
    only_y = (hc3 - h3) * third / c
    fourth = hac3 * hac - hc3 * hc - ha3 * ha + h3 * h
    both = third + (fourth * (1 + a) / (12 * a * a * c) - (hac3 - ha3) * third / (a * c))
    return (1 - p) * (1 - p) * h * h + p * (1 - p) * (only_x + only_y) + p * p * both


def stationarity(
    point: Sequence[Number], importance: Number, density: Number, above: Sequence[bool]
) -> tuple[list[Number], list[Number]]:
    """Two systems in chart coordinates, both regular at ε = 0, of Φ = (F_1 + I (F_2 - V)) / ε².

    State: ∂Φ/∂α = ∂Φ/∂β = ∂Φ/∂δ = 0 and 2Φ + ε ∂Φ/∂ε = 0: the gradient of the loss vanishes.
    Onset: ∇Φ = 0 and Φ = 0: besides, the loss is that of ignoring feature 2.
    """

    def excess(x: list[Number]) -> list[Number]:
        first, second = pair_errors(model(x, density), density, above)
        return [(first + importance * (second - _variance(density))) / (x[3] * x[3])]

    (value,), ((alpha, beta, delta, eps),) = derivatives(excess, point)
    return [alpha, beta, delta, 2 * value + point[3] * eps], [alpha, beta, delta, eps, value]


def enclose_states(
    equations: Callable[[list[Number], list[tuple[bool, ...]]], Sequence[Number]],
    states: Callable[[Sequence[Number]], list[list[Number]]],
    start: Sequence[float],
) -> Root:
    """`enclose_root` of equations(unknowns, regions), with the region of every state proved to be that of the formulas used.

    states: the models (w1, w2, b1, b2) among the unknowns. Regions are those of the start; where the root lies in others, again.
    Grade ENCLOSED. Raises NoRootError.
    """
    point = [float(x) for x in start]
    for _ in range(ROUNDS):
        regions = [tuple(bool(h > 0) for h in heights(s)) for s in states([flint.arb(x) for x in point])]
        root = enclose_root(lambda x, regions=regions: equations(x, regions), point)  # type: ignore[misc]
        with flint.ctx.workprec(ROOT_BITS):
            found = [heights(s) for s in states(root.ball)]
        if all(
            h > 0 if up else h < 0
            for hs, region in zip(found, regions, strict=True)
            for h, up in zip(hs, region, strict=True)
        ):
            return root
        point = [float(x) for x in root.ball]
    raise NoRootError(f"no root within one region near {list(start)}")


def enclose_onset(state: Sequence[float], importance: float, density: float) -> Root:
    """(α, β, δ, ε, I) where a stationary state near this one has the loss of the ignored state. Raises NoRootError."""
    return enclose_states(
        lambda x, regions: stationarity(x[:4], x[4], flint.arb(density), regions[0])[1],
        lambda x: [model(x[:4], flint.arb(density))],
        [*chart(state, density), importance],
    )


def enclose_fold(state: Sequence[float], importance: float, density: float) -> Root:
    """(α, β, δ, ε, and α', β', δ' of the null vector with ε' = 1, I) of a fold: a stationary state of singular Hessian.

    The one that Newton's method reaches from a state at a nearby importance. Raises NoRootError.
    """
    start = chart(state, density)

    def equations(x: list[Number], regions: list[tuple[bool, ...]]) -> list[Number]:
        return fold_equations(x[:4], x[4:7], x[7], flint.arb(density), regions[0])

    return enclose_states(
        equations,
        lambda x: [model(x[:4], flint.arb(density))],
        [*start, *tangent(start, importance, density), importance],
    )


def fold_equations(
    point: Sequence[Number], direction: Sequence[Number], importance: Number, density: Number, above: Sequence[bool]
) -> list[Number]:
    """The state system of `stationarity`, and its derivative along (α', β', δ', 1)."""

    def moved(t: list[Number]) -> list[Number]:
        x = [entry + t[0] * slope for entry, slope in zip(point, [*direction, 1], strict=True)]
        return stationarity(x, importance, density, above)[0]

    values, slopes = derivatives(moved, [flint.arb(0)])
    return [*values, *(row[0] for row in slopes)]


def tangent(point: Sequence[float], importance: float, density: float) -> list[float]:
    """(α', β', δ') of the direction (…, 1) in which the state system changes least, in floats."""
    p = flint.arb(density)
    above = [bool(h > 0) for h in heights(model([flint.arb(x) for x in point], p))]
    _, rows = derivatives(lambda x: stationarity(x, flint.arb(importance), p, above)[0], [flint.arb(x) for x in point])
    least = np.linalg.svd(np.array([[float(x) for x in row] for row in rows]))[2][-1]
    return [float(x) for x in least[:3] / least[3]]


@cache
def landau_functions(
    sign: int,
) -> tuple[Callable[..., list[Number]], Callable[[float], float], Callable[[float], float]]:
    """Q - I V, the slope and C up to positive integer factors, as functions of (β, I, p) on balls and Duals; β*(p), α*(p) in floats."""
    found = landau(sign)
    # Integer coefficients: a rational one would be printed as a rounded float.
    cleared = [
        sympy.Poly(e, BETA, IMPORTANCE, DENSITY).clear_denoms(convert=True)[1]
        for e in (found.q - IMPORTANCE * VARIANCE, found.slope, found.cubic)
    ]
    polynomials = sympy.lambdify((BETA, IMPORTANCE, DENSITY), [poly.as_expr() for poly in cleared], modules=[])
    floats = (sympy.lambdify(DENSITY, e, "math") for e in (found.beta, found.tilt.subs(BETA, found.beta)))
    return polynomials, *floats


def enclose_spinodal(density: float, sign: int = -1) -> tuple[Root, int]:
    """(β*, I_c) of `spinodal`, enclosed, and the sign of C there: 0 if the enclosure leaves it open. Raises NoRootError."""
    polynomials, beta, _ = landau_functions(sign)
    root = enclose_root(
        lambda x: polynomials(*x, flint.arb(density))[:2], [float(beta(density)), float(spinodal(density, sign=sign))]
    )
    with flint.ctx.workprec(ROOT_BITS):
        cubic = polynomials(*root.ball, flint.arb(density))[2]
    return root, int(cubic > 0) - int(cubic < 0)


def _coefficients(expression: sympy.Expr, eps: sympy.Symbol) -> list[sympy.Expr]:
    """Of eps⁰ to eps³ in a rational function, by long division of power series."""
    top, bottom = (
        [sympy.expand(part).coeff(eps, k) for k in range(4)] for part in sympy.fraction(sympy.together(expression))
    )
    series: list[sympy.Expr] = []
    for k in range(4):
        series.append(sympy.expand((top[k] - sum(bottom[k - j] * series[j] for j in range(k))) / bottom[0]))
    return series


def antipodal_start(density: Float[Array, " k"]) -> Float[Array, "k 1 4"]:
    """The start of `STARTS` that leads to the antipodal state."""
    return _starts(density)[:, :1]


def weak_start(density: float, eps: float = 0.01) -> list[float]:
    """A state of second weight -ε on the branch that leaves the ignored state, to first order."""
    _, beta, tilt = landau_functions(-1)
    return [float(x) for x in model([tilt(density), beta(density), density / 2, eps], density)]


def _variance(p: Number) -> Number:
    return p / 3 - p * p / 4


def _starts(density: Float[Array, " k"]) -> Float[Array, "k s 4"]:
    starts = np.tile(STARTS, (len(density), 1, 1))
    starts[:, :, 3] *= density[:, None] / 2
    return starts


def _features(density: Float[Array, " k"], importance: Float[Array, " k"]) -> Features:
    return Features(np.stack([density, density], 1), np.stack([np.ones_like(importance), importance], 1))
