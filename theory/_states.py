"""States: local minima of the exact loss for a batch of problems, and the symmetry they have."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np

from ._descent import descend
from ._features import Features
from ._geometry import describe_geometry
from ._loss import model_gradient
from ._pair import ANTIPODAL_RATIO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float, Int
    from numpy import ndarray as Array


# A column shorter than this fraction of the longest stores nothing.
STORED = 1e-3
# A stored column shorter than this fraction of the longest is weak: the ratio that tells the weak from the antipodal pair.
WEAK = ANTIPODAL_RATIO
# Cosine above which two features share a direction, for words only.
ALIGNED = 0.9
# Gram entries closer than this count as equal, below it as zero; descents leave them within about 1e-8 of each other.
EQUAL = 1e-5
# Curvatures (second derivatives in units of the loss of storing nothing) below this are zero within the error of differences.
SOFT = 1e-8
# Evaluations per descent; only minima at a kink, as without bias, need more.
LONGEST = 400
# Steps of those differences, and off a saddle.
STEP, LEAP = 1e-5, 0.03
# Gradient entries, in the same units, that are rounding.
ROUNDING = 3e-15
# Newton steps of `track`, the longest of them, and the length of one that no longer matters.
NEWTON, REACH, SETTLED = 12, 0.2, 1e-12
# Losses closer than this, in units of the loss of storing nothing, belong to the same state.
SAME = 1e-10


@dataclass(frozen=True)
class State:
    """One model, weights (m, n) and bias (n,), with its loss."""

    weights: Float[Array, "m n"]
    bias: Float[Array, " n"]
    loss: float

    @property
    def gram(self) -> Float[Array, "n n"]:
        """WᵀW."""
        product: Float[Array, "n n"] = self.weights.T @ self.weights
        return product

    @property
    def words(self) -> str:
        """The blocks of the stored features, e.g. '1 dedicated, 1 digon'; a short column counts like a long one, and is said to be weak.

        Features stored in (nearly) the same direction are said to be aligned.
        """
        norm = np.linalg.norm(self.weights, axis=0)
        stored = norm > STORED * norm.max()
        if not stored.any():
            return f"{len(norm)} dropped"
        unit = np.where(stored, self.weights / np.where(stored, norm, 1.0), 0.0)
        weak = int((stored & (norm < WEAK * norm.max())).sum())
        aligned = int(((unit.T @ unit - np.eye(len(norm))).max(1, initial=0) > ALIGNED).sum())
        notes = [f"{k} {what}" for k, what in ((weak, "weak"), (aligned, "aligned")) if k]
        return describe_geometry(unit) + (f" ({', '.join(notes)})" if notes else "")


@dataclass(frozen=True)
class Pattern:
    """Exact features of a state: which Gram entries vanish, and which exchanges of features leave the model as it is.

    They are constant along a smooth branch, so where they change the branch is not analytic.
    """

    zeros: tuple[bool, ...]
    symmetries: tuple[tuple[int, ...], ...]

    @property
    def size(self) -> tuple[int, int]:
        """How constrained: number of symmetries, then of vanishing entries."""
        return len(self.symmetries), sum(self.zeros)

    def amplitude(self, state: State) -> float:
        """Distance of a state from this pattern: its entries that should vanish, and its spread over the exchanges."""
        g, b = state.gram, state.bias
        moved = np.array([g[np.ix_(s, s)] for s in self.symmetries])
        shifted = np.array([b[list(s)] for s in self.symmetries])
        squares = (g.ravel()[list(self.zeros)] ** 2).sum()
        return float(np.sqrt(squares + ((g - moved.mean(0)) ** 2).sum() + ((b - shifted.mean(0)) ** 2).sum()))


def pattern(state: State, exchanges: Sequence[tuple[int, ...]]) -> Pattern:
    """The pattern of a state, among the exchanges of features that the problem allows."""
    g, b = state.gram, state.bias
    kept = [s for s in exchanges if np.abs(g[np.ix_(s, s)] - g).max() < EQUAL and np.abs(b[list(s)] - b).max() < EQUAL]
    return Pattern(tuple((np.abs(g) < EQUAL).ravel().tolist()), tuple(kept))


def exchanges(problems: Sequence[Features]) -> list[tuple[int, ...]]:
    """Permutations of the features that leave density, importance and groups of every problem as they are."""
    n = problems[0].n
    group = np.zeros(n, int)
    for index, members in enumerate(problems[0].law.groups):
        group[list(members)] = index
    together = group[:, None] == group
    facts = np.concatenate([np.stack([f.density, f.importance]) for f in problems])
    found = []
    for s in permutations(range(n)):
        order = list(s)
        if np.array_equal(facts[:, order], facts) and np.array_equal(together[np.ix_(order, order)], together):
            found.append(s)
    return found


def stack(problems: Sequence[Features]) -> Features:
    """Single instances of one law as a batch."""
    batch = Features(np.array([f.density for f in problems]), np.array([f.importance for f in problems]))
    batch.law = problems[0].law
    return batch


def settle(
    problems: Sequence[Features], weights: Float[Array, "b m n"], bias: Float[Array, "b n"], *, free: bool
) -> list[State]:
    """The local minimum below each start, one problem per start; the bias stays as it is unless `free`."""
    batch = stack(problems)
    count, m, n = weights.shape
    scale = (batch.importance * batch.variance).sum(1)

    def objective(x: Float[Array, "k d"], which: Int[Array, " k"]) -> tuple[Array, Array]:
        part = Features(batch.density[which], batch.importance[which])
        part.law = batch.law
        w = x[:, : m * n].reshape(-1, m, n)
        loss, d_weights, d_bias = model_gradient(w, x[:, m * n :] if free else bias[which], part, 0.0)
        gradient = d_weights.reshape(len(x), -1)
        if free:
            gradient = np.concatenate([gradient, d_bias], axis=1)
        return loss / scale[which], gradient / scale[which, None]

    start = weights.reshape(count, -1)
    found = descend(
        objective, np.concatenate([start, bias], axis=1) if free else start, tolerance=1e-11, evaluations=LONGEST
    )
    ends = found.point[:, : m * n].reshape(-1, m, n)
    biases = found.point[:, m * n :] if free else bias
    return [State(w, b, float(v)) for w, b, v in zip(ends, biases, found.value * scale, strict=True)]


def sharpen(problem: Features, state: State, *, free: bool) -> State:
    """A settled state followed to rounding: soft directions are left where the curvature is negative, then Newton steps.

    A descent ends where the loss no longer falls beyond rounding, which leaves a direction of curvature λ within about 1e-8/√λ.
    """
    for _ in range(3):
        x, slope, values, vectors = _curvatures(problem, state, free)
        if values[0] > -SOFT:
            break
        m, n = state.weights.shape
        two = np.stack([x + LEAP * vectors[:, 0], x - LEAP * vectors[:, 0]])
        bias = two[:, m * n :] if free else np.stack([state.bias] * 2)
        ends = settle([problem] * 2, two[:, : m * n].reshape(2, m, n), bias, free=free)
        lower = min(ends, key=lambda s: s.loss)
        if lower.loss >= state.loss - 1e-16:
            break
        state = lower
    best, least = state, np.inf
    for _ in range(5):
        x, slope, values, vectors = _curvatures(problem, state, free)
        # The first step along a soft direction may raise the gradient across it.
        if np.abs(slope).max() < least:
            best, least = state, float(np.abs(slope).max())
        stiff = np.abs(values) > SOFT
        step = vectors[:, stiff] @ ((vectors[:, stiff].T @ slope) / values[stiff])
        if least < ROUNDING or np.abs(step).max(initial=0) > LEAP:
            break
        state = _at(problem, x - step, state, free)
    return best


def track(problem: Features, state: State, *, free: bool) -> State | None:
    """The minimum that a state moves to as its problem changes a little, by Newton's method; None where there is none nearby.

    Unlike a descent it cannot leap a barrier, however low: a minimum is followed until it ceases to be one.
    """
    here = state
    for _ in range(NEWTON):
        x, slope, values, vectors = _curvatures(problem, here, free)
        stiff = values > SOFT
        step = vectors[:, stiff] @ ((vectors[:, stiff].T @ slope) / values[stiff])
        length = np.abs(step).max(initial=0)
        if values[0] < -SOFT or not length < REACH:
            return None
        if np.abs(slope).max() < ROUNDING or (length < SETTLED and np.abs(slope).max() < 10 * SETTLED):
            return _at(problem, x, here, free)
        here = _at(problem, x - step, here, free)
    return None


def _curvatures(
    problem: Features, state: State, free: bool
) -> tuple[Float[Array, " d"], Float[Array, " d"], Float[Array, " d"], Float[Array, "d d"]]:
    """Point, gradient, and eigenvalues and eigenvectors of the Hessian by central differences, in units of storing nothing."""
    x = np.concatenate([state.weights.ravel(), state.bias]) if free else state.weights.ravel()
    d, (m, n) = len(x), state.weights.shape
    moved = x + STEP * np.concatenate([np.eye(d), -np.eye(d), np.zeros((1, d))])
    bias = moved[:, m * n :] if free else np.tile(state.bias, (len(moved), 1))
    _, d_weights, d_bias = model_gradient(moved[:, : m * n].reshape(-1, m, n), bias, stack([problem] * len(moved)), 0.0)
    slopes = d_weights.reshape(len(moved), -1)
    if free:
        slopes = np.concatenate([slopes, d_bias], axis=1)
    slopes = slopes / float((problem.importance * problem.variance).sum())
    hessian = (slopes[:d] - slopes[d : 2 * d]) / (2 * STEP)
    values, vectors = np.linalg.eigh((hessian + hessian.T) / 2)
    return x, slopes[-1], values, vectors


def _at(problem: Features, x: Float[Array, " d"], state: State, free: bool) -> State:
    m, n = state.weights.shape
    w, b = x[: m * n].reshape(m, n), x[m * n :] if free else state.bias
    return State(w, b, float(model_gradient(w[None], b[None], stack([problem]), 0.0)[0][0]))


def lowest(states: Sequence[State], count: int, scale: float) -> list[State]:
    """The lowest states of different loss."""
    kept: list[State] = []
    for state in sorted(states, key=lambda s: s.loss):
        if len(kept) < count and (not kept or state.loss > kept[-1].loss + SAME * scale):
            kept.append(state)
    return kept
