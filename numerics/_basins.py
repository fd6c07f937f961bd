"""Basins: in which local minimum training of two features in one dimension ends, from random starts, without sampling noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray as Array

from ..theory import Features, Grade, InputError, describe_geometry, feature_losses
from ..theory._checks import densities, importances, real_array, whole
from ..theory._descent import descend
from ..theory._landscape import STATES, pair_states
from ..theory._law import independent
from ..theory._loss import model_gradient
from ..theory._pair_row import pair_gradient
from ..theory._vertex import VERTEX_N
from ._train import starting_weights

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

XAVIER = float(np.sqrt(2 / 3))  # of two features in one dimension
OUTCOMES = (*STATES, "late", "dead")
# Second weight given to a model that stores one feature, to leave it if it is no minimum.
NUDGE = 0.003
# Models per block of the descent: the arrays stay in the cache.
BLOCK = 1000


@dataclass(frozen=True)
class Basins:
    """Ends of descents on a grid: state (density, importance, seed), fraction (outcome, density, importance) for `outcomes`,
    and the minima reached, weights and bias (density, importance, seed, 2). grade SAMPLED: the starts are random."""

    density: Float[Array, " density"]
    importance: Float[Array, " importance"]
    outcomes: tuple[str, ...]
    state: Array
    fraction: Float[Array, "outcome density importance"]
    weights: Float[Array, "density importance seed 2"]
    bias: Float[Array, "density importance seed 2"]
    grade: Grade = Grade.SAMPLED


def basins(
    densities_: ArrayLike,
    importances_: ArrayLike,
    *,
    seeds: int = 16,
    seed: int = 0,
    steps: int = 4000,
    learning_rate: float = 1e-2,
    spread: float = XAVIER,
) -> Basins:
    """Fraction of starts that end in each local minimum of n = 2, m = 1, importances (1, I): AdamW on the exact loss.

    The recipe of `train` in the limit of infinite batches: normal weights of standard deviation `spread` (Xavier's unless given), zero
    bias, weight decay 0.01, learning rate decayed to zero along a cosine; the same starts as `train` on the same grid with the same
    seed and replicas. Where the descent ends, `settle` follows the exact loss to the minimum and names it.

    densities_, importances_: one-dimensional. 0.9 µs per model and step. Grade SAMPLED (binomial in the starts). Raises InputError.

    >>> basins([0.05], [0.1], seeds=4, steps=500, learning_rate=0.03).state.tolist()
    [[['antipodal', 'antipodal', 'antipodal', 'antipodal']]]
    """
    p, weight = (
        np.atleast_1d(densities("densities", densities_)),
        np.atleast_1d(importances("importances", importances_)),
    )
    if p.ndim != 1 or weight.ndim != 1:
        raise InputError(f"densities and importances must be one-dimensional, got shapes {p.shape} and {weight.shape}")
    seeds, seed, steps = whole("seeds", seeds, 1), whole("seed", seed, 0), whole("steps", steps, 1)
    for name, value in (("learning_rate", learning_rate), ("spread", spread)):
        if not (np.isfinite(value) and value > 0):
            raise InputError(f"{name} must be positive and finite, got {value}")
    shape = (len(p), len(weight), seeds)
    levels, scales = np.broadcast_arrays(p[:, None, None], weight[:, None], np.empty(shape))[:2]
    pairs = np.stack([np.ones_like(weight), weight], -1)[None]
    drawn = starting_weights(Features(p[:, None, None], pairs), 1, replicas=seeds, seed=seed).reshape(-1, 2)
    x = np.concatenate([drawn / XAVIER * spread, np.zeros_like(drawn)], 1)
    for start in range(0, len(x), BLOCK):
        part = slice(start, start + BLOCK)
        level, scale = levels.ravel()[part], scales.ravel()[part]
        _adam(x[part], lambda y, p=level, i=scale: pair_gradient(y, p, i)[1], steps, learning_rate)  # type: ignore[misc]
    state, x = settle(x[:, :2], x[:, 2:], levels.ravel(), scales.ravel())
    state = state.reshape(shape)
    fraction = np.stack([(state == name).mean(-1) for name in OUTCOMES])
    return Basins(p, weight, OUTCOMES, state, fraction, x[:, :2].reshape(*shape, 2), x[:, 2:].reshape(*shape, 2))


@dataclass(frozen=True)
class Reached:
    """A minimum that descents reach: exact loss, one model (weights (m, n), bias (n,)), its geometry in words, and the share of starts."""

    loss: float
    weights: Float[Array, "m n"]
    bias: Float[Array, " n"]
    geometry: str
    share: float


def reached_minima(
    features: Features, m: int, *, seeds: int = 64, seed: int = 0, steps: int = 1000, learning_rate: float = 2e-2
) -> tuple[Reached, ...]:
    """Minima in which descent of any small toy model ends from Xavier-normal starts, lowest first, with their shares.

    AdamW on the exact loss as in `basins`, then BFGS. Ends whose losses per feature agree to 1e-6 of the loss of ignoring
    everything count as one minimum, so mirror images and rotations do not count twice, and exchanges of unlike features do.

    features: one instance of n <= 8 independent uniform features; m >= 1. Grade SAMPLED: minima with small basins are missed.
    Raises InputError.

    >>> found = reached_minima(Features(0.05, n=2), 1, seeds=24, steps=600)
    >>> [(x.geometry, round(x.loss, 6)) for x in found][0], len(found) > 1
    (('1 digon', 0.000832), True)
    """
    if features.density.ndim != 1 or features.n > VERTEX_N or features.law != independent(features.n):
        raise InputError(
            f"features must be one instance of at most {VERTEX_N} independent uniform features, got n = {features.n}"
        )
    m, seeds, seed, steps = whole("m", m, 1), whole("seeds", seeds, 1), whole("seed", seed, 0), whole("steps", steps, 1)
    if not (np.isfinite(learning_rate) and learning_rate > 0):
        raise InputError(f"learning_rate must be positive and finite, got {learning_rate}")
    n = features.n
    unit = float((features.importance * features.variance).sum())

    def objective(x: Float[Array, "j d"], _: Int[Array, " j"]) -> tuple[Array, Array]:
        loss, d_weights, d_bias = model_gradient(x[:, : m * n].reshape(-1, m, n), x[:, m * n :], features, 0.0)
        return loss / unit, np.concatenate([d_weights.reshape(len(x), -1), d_bias], axis=1) / unit

    drawn = starting_weights(features, m, replicas=seeds, seed=seed).reshape(seeds, m * n)
    x = np.concatenate([drawn, np.zeros((seeds, n))], 1)
    everyone = np.arange(seeds)
    _adam(x, lambda y: objective(y, everyone)[1], steps, learning_rate)
    end = descend(objective, x, tolerance=1e-9, evaluations=600)
    w, b = end.point[:, : m * n].reshape(-1, m, n), end.point[:, m * n :]
    each = features.importance * feature_losses(w, b, features) / unit
    left, found = np.ones(seeds, bool), []
    for k in np.argsort(end.value, kind="stable"):
        if left[k]:
            same = left & (np.abs(each - each[k]).max(1) < 1e-6)
            left &= ~same
            loss = float(end.value[k] * unit)
            found.append(Reached(loss, w[k], b[k], describe_geometry(w[k]), float(same.mean())))
    return tuple(found)


def settle(
    weights: ArrayLike, bias: ArrayLike, density: ArrayLike, importance: ArrayLike
) -> tuple[Array, Float[Array, "k 4"]]:
    """Names (see `pair_states`) and parameters (w1, w2, b1, b2) of the local minima that descent of the exact loss reaches from k models.

    A state that stores one feature only and is downhill just for the opposite sign of the missing weight (a shoulder, see `landscape`)
    attracts descent from equal signs, but any noise leaves it: the missing weight is set to -0.003 there, and the descent resumed.

    weights, bias (k, 2); density, importance (k,) or scalar. Grade NUMERIC: BFGS, whose steps could cross a low ridge.

    >>> settle([[0.9, -1.2], [0.9, 0.1]], [[0.1, 0.0], [0.0, 0.1]], 0.05, [0.5, 0.04])[0].tolist()
    ['antipodal', 'only 1']
    """
    w, b = real_array("weights", weights), real_array("bias", bias)
    if w.ndim != 2 or w.shape[1] != 2 or b.shape != w.shape:
        raise InputError(f"weights and bias must both have shape (k, 2), got {w.shape} and {b.shape}")
    p = np.broadcast_to(densities("density", density), len(w))
    scale = np.broadcast_to(importances("importance", importance), len(w))

    def objective(x: Float[Array, "j 4"], which: Int[Array, " j"]) -> tuple[Array, Array]:
        # In units of p max(1, I), so that one tolerance suits sparse and dense, important and unimportant features.
        unit = p[which] * np.maximum(1, scale[which])
        loss, gradient = pair_gradient(x, p[which], scale[which])
        return loss / unit, gradient / unit[:, None]

    x = descend(objective, np.concatenate([w, b], 1), tolerance=1e-9, evaluations=600).point
    names = pair_states(x[:, :2], x[:, 2:], p)
    alone = np.flatnonzero(np.isin(names, ("only 1", "only 2")))
    if len(alone):
        start, rows = x[alone], np.arange(len(alone))
        missing = np.abs(start[:, :2]).argmin(1)
        start[rows, missing] = -NUDGE * np.sign(start[rows, 1 - missing])

        def nudged(y: Float[Array, "j 4"], which: Int[Array, " j"]) -> tuple[Array, Array]:
            return objective(y, alone[which])

        x[alone] = descend(nudged, start, tolerance=1e-9, evaluations=600).point
        names = pair_states(x[:, :2], x[:, 2:], p)
    return names, x


def _adam(x: Array, gradient_at: Callable[[Array], Array], steps: int, learning_rate: float) -> None:
    """AdamW as torch has it (weight decay 0.01), learning rate decayed to zero along a cosine, in place."""
    mean, square = np.zeros_like(x), np.zeros_like(x)
    for step in range(steps):
        rate = learning_rate * (1 + np.cos(np.pi * step / steps)) / 2
        gradient = gradient_at(x)
        x *= 1 - 0.01 * rate
        mean += 0.1 * (gradient - mean)
        square += 0.001 * (gradient**2 - square)
        size = np.sqrt(square / (1 - 0.999 ** (step + 1))) + 1e-8
        x -= rate * mean / ((1 - 0.9 ** (step + 1)) * size)
