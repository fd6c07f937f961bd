"""Pair: the true optimum of two features in one dimension, over both weights and both biases."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import sympy
from jaxtyping import Float, Int
from numpy import ndarray as Array

from ._candidates import DENSITY
from ._checks import densities
from ._descent import descend
from ._features import Features
from ._loss import model_gradient, row_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

# Starts (w1, w2, b1, b2 / (p/2)) for the superposed states; the ignored state is known in closed form.
STARTS = np.array([[1.0, -1.0, 0.0, 0.0], [1.0, -0.7, 0.0, 0.2], [1.0, -0.4, 0.0, 0.9], [1.0, -0.1, 0.0, 1.0]])
# |w2/w1| tells the weak state (at most 0.5602 wherever it is optimal) from the antipodal one (at least 0.5865): measured on
# 57 densities x 300 importances, and a test repeats it. The ratio jumps across the gap where the two exchange.
ANTIPODAL_RATIO = 0.575


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


@cache
def _spinodal() -> tuple[Callable[[Array], Array], sympy.Expr, sympy.Expr]:
    """I_c(p) as a numpy function, with Q(β) and V as sympy expressions: derived by perturbing the ignored state."""
    p, beta, gamma = DENSITY, sympy.Symbol("beta", positive=True), sympy.Symbol("gamma", real=True)
    u, v = sympy.symbols("u v", nonnegative=True)
    # Second weight -ε. Output 1 errs by ε (β + γ u - x2) when x1 = u is active and by ReLU(ε (β - x2)) when it is not.
    active = sympy.integrate((1 - p) * (beta + gamma * u) ** 2, (u, 0, 1)) + sympy.integrate(
        p * (beta + gamma * u - v) ** 2, (u, 0, 1), (v, 0, 1)
    )
    inactive = (1 - p) * beta**2 + p * sympy.integrate((beta - v) ** 2, (v, 0, beta))
    cost = sympy.expand(p * active + (1 - p) * inactive)
    (slope,) = sympy.solve(sympy.diff(cost, gamma), gamma)
    q = sympy.expand(cost.subs(gamma, slope))
    # Output 2 is affine near the ignored state, so it gains I Var(x) ε² with its bias refitted.
    variance = p / 3 - p**2 / 4
    derivative = sympy.Poly(sympy.diff(q, beta), beta)
    c2, c1, c0 = ([sympy.Integer(0)] * 3 + derivative.all_coeffs())[-3:]
    # The root of c2 β² + c1 β + c0 in [0, 1], written so that c2 -> 0 (p -> 1) is harmless.
    root = -2 * c0 / (c1 + sympy.sqrt(c1**2 - 4 * c2 * c0))
    function = sympy.lambdify(p, q.subs(beta, root) / variance, "numpy")
    return function, q, variance


def spinodal(density: ArrayLike) -> Float[Array, "*densities"]:
    """Importance I_c = Q(β*)/V above which ignoring feature 2 is no longer a local minimum (n = 2, m = 1).

    Perturb the ignored state W = (1, 0), b = (0, p/2) by w2 = -ε: output 1 loses Q ε², minimised over its bias βε and its
    gain, output 2 gains I V ε², V = p/3 - p²/4. Q and its minimiser β* are derived with sympy.
    density in (0, 1]. Grade EXACT as a formula, evaluated in float64. I_c(1) = 1. Raises InputError.

    >>> float(spinodal(1.0)), round(float(spinodal(0.6)), 6)
    (1.0, 0.665399)
    """
    value: Float[Array, "*densities"] = _spinodal()[0](densities("density", density))
    return value


def _starts(density: Float[Array, " k"]) -> Float[Array, "k s 4"]:
    starts = np.tile(STARTS, (len(density), 1, 1))
    starts[:, :, 3] *= density[:, None] / 2
    return starts


def _features(density: Float[Array, " k"], importance: Float[Array, " k"]) -> Features:
    return Features(np.stack([density, density], 1), np.stack([np.ones_like(importance), importance], 1))
