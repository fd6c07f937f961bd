"""Pair curve: one critical model of two features in one dimension for every angle of its weights, and the importance at which it is one.

At fixed density the loss is F_1 + I F_2, so a model is critical for some importance I when the gradients of F_1 and F_2 are parallel. In
polar coordinates W = s (cos θ, sin θ) this leaves, near the biases that are best for θ, one model (s, b1, b2) and one importance I(θ) for
every θ: a curve on which the critical points of one importance are where I(θ) takes its value. It starts on the states that store
one feature only, at their spinodals. Its extrema are folds, where a minimum and a saddle annihilate. Exchanging the features
takes θ to 90° - θ and I to 1/I, so half the curve is enough.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array

from ._pair import spinodal
from ._pair_row import pair_gradient, pair_hessian

# Angles at which the curve is followed from the state that stores feature 1 (0°) to equal weights (45°).
ANGLES = np.concatenate([[1e-3], np.radians(np.arange(0.5, 45.01, 0.5))])
SIDES = np.array([-1.0, 1.0])  # sign of the second weight


@dataclass(frozen=True)
class PairCurve:
    """Half the curve per side and density: unknowns (s, b1, b2, log I) at ANGLES, whether the model is a local minimum there, and the
    log I at which the curve starts."""

    density: Float[Array, " k"]
    onset: Float[Array, "side k"]
    unknown: Float[Array, "angle side k 4"]
    stable: Bool[Array, "angle side k"]

    @classmethod
    def follow(cls, p: Float[Array, " k"]) -> PairCurve:
        """Newton's method at each angle in turn, for both sides and all densities at once, from the value extrapolated so far."""
        k = len(p)
        side, both = np.repeat(SIDES, k), np.tile(p, 2)
        onset = np.concatenate([spinodal(p), spinodal(p, sign=1)])
        beta = np.concatenate([_opposite_bias(p), np.full(k, -0.5)])
        found: list[Float[Array, "j 4"]] = []
        tangent = np.stack([0 * beta, beta, -side * both / 2, 0 * beta], -1)
        start = np.stack([np.ones_like(both), 0 * both, both / 2, np.log(onset)], -1)
        for i, angle in enumerate(ANGLES):
            if i < 2:
                guess = start + tangent * angle
            else:
                guess = found[-1] + (found[-1] - found[-2]) * (angle - ANGLES[i - 1]) / (ANGLES[i - 1] - ANGLES[i - 2])
            found.append(_solve(guess, side * angle, both))
        unknown = np.array(found)
        unknown[-1, :, 3] = 0.0  # equal weights belong to equal importances
        x = _model(unknown, side * ANGLES[:, None])
        level = np.broadcast_to(both, x.shape[:-1])
        stable = np.linalg.eigvalsh(pair_hessian(x, level, np.exp(unknown[..., 3])))[..., 0] > 0
        # The middle of the aligned side is a kink (both biases vanish): a saddle, being the maximum of a symmetric path.
        stable[-1, k:] = False
        shape = (len(ANGLES), 2, k)
        return cls(p, np.log(onset).reshape(2, k), unknown.reshape(*shape, 4), stable.reshape(shape))

    def crossings(self, target: float, p: float) -> list[tuple[Float[Array, " four"], str]]:
        """Critical points at log I = target on the half curves of the first density, with their names."""
        out = []
        for j, side in enumerate(SIDES):
            z = self.unknown[:, j, 0]
            gap = z[:, 3] - target
            for i in np.flatnonzero((gap[:-1] * gap[1:] < 0) | (gap[1:] == 0)):
                share = gap[i] / (gap[i] - gap[i + 1])
                mixed = (1 - share) * z[i] + share * z[i + 1]
                angle = (1 - share) * ANGLES[i] + share * ANGLES[i + 1]
                if gap[i + 1] == 0 and i + 2 == len(ANGLES):
                    x = _model(z[-1], side * ANGLES[-1])
                    x[1] = side * x[0]
                else:
                    x = _polish(_model(mixed, side * angle), p, np.exp(target))
                kink = bool(x[0] == x[1])
                stable = not kink and bool(np.linalg.eigvalsh(pair_hessian(x, np.array(p), np.exp(target)))[0] > 0)
                opposite = "antipodal" if abs(np.arctan(x[1] / x[0])) > self.border()[0] else "weak"
                names = (opposite, "aligned") if stable else ("opposite saddle", "equal saddle")
                out.append((x, names[j]))
        return out

    def border(self) -> Float[Array, " k"]:
        """|θ| per density above which a minimum with weights of opposite sign belongs to the piece that reaches equal weights."""
        last_unstable = len(ANGLES) - 1 - self.stable[::-1, 0].argmin(0)
        some = ~self.stable[:, 0].all(0)
        return np.where(some, ANGLES[last_unstable], 0.0)

    def stable_pieces(self) -> list[tuple[str, int, float, float]]:
        """(state, density index, lowest and highest log I) of every stable piece of the half curves."""
        ends: list[tuple[int, int, int, int]] = []
        where: list[tuple[str, int, int, bool]] = []
        for j in range(2):
            for k in range(len(self.density)):
                flags = np.concatenate([[False], self.stable[:, j, k], [False]])
                edges = np.flatnonzero(flags[1:] != flags[:-1])
                for first, last in zip(edges[::2], edges[1::2] - 1, strict=True):
                    name = "aligned" if j else ("antipodal" if last == len(ANGLES) - 1 else "weak")
                    where.append((name, k, len(ends), first == 0))
                    ends += [(j, k, first - 1, first), (j, k, last, last + 1)]
        fold = self._folds(ends)
        pieces = []
        for name, k, e, from_start in where:
            low = self.onset[ends[e][0], k] if from_start else fold[e]
            high = -low if name == "antipodal" else fold[e + 1]
            pieces.append((name, k, float(low), float(high)))
        return pieces

    def _folds(self, ends: list[tuple[int, int, int, int]]) -> Float[Array, " e"]:
        """log I at the extremum between two neighbouring angles of a half curve; that at the end for an end of the curve."""
        top = len(ANGLES) - 1
        sides, ks = np.array([e[0] for e in ends]), np.array([e[1] for e in ends])
        lo, hi = (np.clip([e[i] for e in ends], 0, top) for i in (2, 3))
        side, p = SIDES[sides], self.density[ks]
        left, right = ANGLES[lo], ANGLES[hi]
        z = self.unknown[lo, sides, ks]
        golden = (np.sqrt(5) - 1) / 2
        rising = np.where(self.stable[lo, sides, ks], 1.0, -1.0)  # a maximum of I ends a piece, a minimum begins one
        for _ in range(24):
            one, two = right - golden * (right - left), left + golden * (right - left)
            a, b = _solve(z, side * one, p), _solve(z, side * two, p)
            keep = rising * a[:, 3] > rising * b[:, 3]
            right, left = np.where(keep, two, right), np.where(keep, left, one)
            z = np.where(keep[:, None], a, b)
        level: Float[Array, " e"] = z[:, 3]
        return level


def _opposite_bias(p: Float[Array, "*k"]) -> Float[Array, "*k"]:
    """β of the best bias β ε for w2 = -ε: the root in [0, 1] of the quadratic that `spinodal` derives."""
    c2, c1, c0 = p * (1 - p), 2 * (1 - p + p**2) - 1.5 * p, 0.75 * p**2 - p**2
    root: Float[Array, "*k"] = -2 * c0 / (c1 + np.sqrt(c1**2 - 4 * c2 * c0))
    return root


def _model(z: Float[Array, "*k 4"], theta: Float[Array, "*k"]) -> Float[Array, "*k 4"]:
    """(w1, w2, b1, b2) of the unknowns (s, b1, b2, log I) at angle θ."""
    return np.stack([z[..., 0] * np.cos(theta), z[..., 0] * np.sin(theta), z[..., 1], z[..., 2]], -1)


def _solve(z: Float[Array, "j 4"], theta: Float[Array, " j"], p: Float[Array, " j"]) -> Float[Array, "j 4"]:
    """Newton's method for (s, b1, b2, log I) at given angles: radial, angular and both bias derivatives of the loss vanish."""
    z = z.copy()
    cos, sin, none, one = np.cos(theta), np.sin(theta), np.zeros_like(theta), np.ones_like(theta)
    # Rows: the four equations as combinations of the gradient; the angular one over sin θ, regular at the axes.
    frame = np.stack(
        [cos, sin, none, none, -1 * one, cos / sin, none, none, none, none, one, none, none, none, none, one], -1
    )
    frame = frame.reshape(-1, 4, 4)
    radial = np.stack([cos, sin, none, none], -1)
    active = np.arange(len(z))
    for _ in range(40):
        x, level, weight = _model(z[active], theta[active]), p[active], np.exp(z[active, 3])
        gradient = pair_gradient(x, level, weight)[1]
        second = gradient - pair_gradient(x, level, np.zeros_like(weight))[1]
        hessian, rows = pair_hessian(x, level, weight), frame[active].copy()
        rows[:, 3] /= weight[:, None]
        jacobian = np.empty_like(hessian)
        jacobian[..., 0] = np.einsum("kij,kj->ki", hessian, radial[active])
        jacobian[..., 1:3], jacobian[..., 3] = hessian[..., 2:], second
        jacobian, residual = rows @ jacobian, np.einsum("kij,kj->ki", rows, gradient)
        jacobian[:, 3, 3] -= residual[:, 3]
        step = -np.linalg.solve(jacobian, residual[..., None])[..., 0]
        size = np.abs(step[:, :3]).max(1)
        step *= np.minimum(1, 0.1 / np.maximum(size, 1e-300))[:, None]
        z[active] += np.clip(step, -1, 1)
        active = active[np.abs(step).max(1) > 1e-9]  # convergence is quadratic
        if not len(active):
            break
    return z


def _polish(x: Float[Array, " four"], p: float, weight: float) -> Float[Array, " four"]:
    """Newton's method for the gradient from a model close to a critical point."""
    level, importance = np.array(p), np.array(weight)
    for _ in range(30):
        step = -np.linalg.solve(pair_hessian(x, level, importance), pair_gradient(x, level, importance)[1])
        x = x + step * min(1.0, 0.05 / max(float(np.abs(step).max()), 1e-300))
        if np.abs(step).max() < 1e-14:
            break
    return x
