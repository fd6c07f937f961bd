"""Descent: deterministic BFGS, dense or of limited memory, over a batch of independent starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array

from ._bfgs import recall, turn

if TYPE_CHECKING:
    from collections.abc import Callable

    Objective = Callable[[Float[Array, "k d"], Int[Array, " k"]], tuple[Float[Array, " k"], Float[Array, "k d"]]]


@dataclass(frozen=True)
class Descent:
    """End points of a batch of descents: point (batch, d), value (batch,), largest |gradient| entry, converged."""

    point: Float[Array, "batch d"]
    value: Float[Array, " batch"]
    slope: Float[Array, " batch"]
    converged: Bool[Array, " batch"]


def descend(
    objective: Objective,
    start: Float[Array, "batch d"],
    *,
    tolerance: float = 1e-10,
    evaluations: int = 2000,
    noise: float = 1e-17,
    memory: int | None = None,
) -> Descent:
    """Minimise objective(point, which) -> (value, gradient) from every row of `start` at once.

    Dense BFGS with the bisection line search for the weak Wolfe conditions, which also converges across the kinks in
    the gradient that a ReLU leaves (Lewis & Overton 2013). The starts run asynchronously: each keeps its own step and
    bracket, and one call of the objective serves all that are still moving (`which` gives their rows). A start has
    converged when no gradient entry exceeds `tolerance`, or when its bracket has closed to rounding or promises a decrease
    below `noise`, the relative accuracy of the values. With `memory` the inverse Hessians, d² numbers per start, are replaced
    by their last so many updates, 2 d memory numbers (L-BFGS, Liu & Nocedal 1989): for many dimensions.

    Grade NUMERIC: a stationary point to the tolerance; the descent says nothing of other minima.

    >>> descend(lambda x, _: (((x - 3) ** 2).sum(1), 2 * (x - 3)), np.array([[0.0], [5.0]])).point.ravel().tolist()
    [3.0, 3.0]
    """
    point = np.array(start, dtype=float)
    batch, d = point.shape
    everyone = np.arange(batch)
    value, gradient = objective(point, everyone)
    update: Callable[..., None] = turn if memory is None else recall
    known: tuple[Array, ...]
    if memory is None:
        known = np.broadcast_to(np.eye(d), (batch, d, d)).copy(), np.ones(batch, bool)
    else:
        known = *np.zeros((2, batch, memory, d)), np.zeros(batch, int)
    direction = -gradient
    step = np.minimum(1.0, 1.0 / np.maximum(np.abs(gradient).sum(1), 1e-300))
    low, high = np.zeros(batch), np.full(batch, np.inf)
    done = np.abs(gradient).max(1) <= tolerance
    for _ in range(evaluations):
        k = np.flatnonzero(~done)
        if not len(k):
            break
        trial = point[k] + step[k, None] * direction[k]
        f, g = objective(trial, k)
        slope0 = (gradient[k] * direction[k]).sum(1)
        slope1 = (g * direction[k]).sum(1)
        armijo = f <= value[k] + 1e-4 * step[k] * slope0
        wolfe = slope1 >= 0.9 * slope0
        accept = armijo & wolfe
        high[k] = np.where(armijo, high[k], step[k])
        low[k] = np.where(armijo & ~wolfe, step[k], low[k])
        closed = ~accept & np.isfinite(high[k]) & (high[k] - low[k] <= 1e-15 * high[k])
        step[k] = np.where(np.isinf(high[k]), 2 * step[k], (low[k] + high[k]) / 2)
        done[k[closed]] = True
        # Below the noise Armijo would compare errors.
        done[k[~accept & (np.abs(step[k] * slope0) <= noise * (1 + np.abs(value[k])))]] = True

        a = k[accept]
        if not len(a):
            continue
        s, y = trial[accept] - point[a], g[accept] - gradient[a]
        point[a], value[a], gradient[a] = trial[accept], f[accept], g[accept]
        update(*known, a, s, y, gradient, direction)
        step[a], low[a], high[a] = 1.0, 0.0, np.inf
        done[a] |= np.abs(gradient[a]).max(1) <= tolerance
    return Descent(point, value, np.abs(gradient).max(1), done)
