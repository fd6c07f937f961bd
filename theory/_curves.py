"""Curves: exact loss of every packing against density, their lower envelope, and where the lowest one changes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray as Array
from scipy.optimize import brentq

from ._checks import InputError, densities, whole
from ._features import Features
from ._grade import Grade
from ._law import independent
from ._packing import ASSIGNMENTS, Packing, best_block, packings
from ._pair import spinodal
from ._phase import phase_boundary
from ._states import settle

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    Parts = list[tuple[str, tuple[float, ...]]]

# Losses closer than this are equal: a block that has shrunk to fewer features has their loss up to rounding.
TIE = 1e-13


@dataclass(frozen=True)
class Crossing:
    """A density at which the lowest packing changes: `below` wins for sparser features, `above` for denser ones.

    order  'first' (two losses cross) or 'continuous' (the second feature of a digon grows from zero: the closed form `spinodal`)
    loss   of either packing there
    grade  NUMERIC
    """

    density: float
    below: str
    above: str
    order: str
    loss: float
    grade: Grade = Grade.NUMERIC


@dataclass(frozen=True)
class LossCurves:
    """Exact loss of every packing against density.

    density (D,), packings, loss (packing, D); `envelope` the lowest packing per density and `crossings` where it changes.
    grade NUMERIC.
    """

    importance: Float[Array, " n"]
    density: Float[Array, " density"]
    packings: tuple[Packing, ...]
    loss: Float[Array, "packing density"]
    grade: Grade = Grade.NUMERIC

    @cached_property
    def envelope(self) -> Int[Array, " density"]:
        """Index of the packing with the lowest loss, per density; the one that keeps fewest features among equals.

        A digon whose second norm has shrunk to zero *is* a dedicated dimension, so equal losses are the rule, not the exception.
        """
        lowest: Int[Array, " density"] = (self.loss <= self.loss.min(0) + TIE).argmax(0)
        return lowest

    @cached_property
    def crossings(self) -> list[Crossing]:
        """Where the lowest packing changes: the two losses are equal (Brent), or the ignored feature's curvature vanishes."""
        out: list[Crossing] = []
        for k in np.flatnonzero(np.diff(self.envelope)):
            out += self._between(int(self.envelope[k]), int(self.envelope[k + 1]), self.density[k], self.density[k + 1])
        return out

    def _between(self, low: int, high: int, a: float, b: float) -> list[Crossing]:
        """Crossings from packing `low` at a to `high` at b, with a third packing between them if one is lower still."""
        pair = sorted((low, high))

        def excess(p: float) -> float:
            few, many = (self._loss(i, p) for i in pair)
            return few - many

        where = _onset(self.packings[pair[0]], self.packings[pair[1]], self.importance, (a + b) / 2)
        order = "continuous"
        if where is None or not a * (1 - 1e-3) <= where <= b * (1 + 1e-3):
            # The larger packing may shrink to the smaller one beyond the crossing; its losses tie there.
            if abs(excess(b)) > TIE:
                where, order = float(brentq(excess, a, b, xtol=1e-13, rtol=1e-12)), "first"
            else:
                # The larger packing has shrunk to the smaller one at b: halve until it has not, and see how the losses part.
                low_end, where = a, b
                while where - low_end > 1e-12:
                    middle = (low_end + where) / 2
                    low_end, where = (middle, where) if excess(middle) > TIE else (low_end, middle)
                step = 1e-4 * where
                order = "first" if excess(where - step) > 0.4 * excess(where - 2 * step) else "continuous"
        losses = np.array([self._loss(i, where) for i in range(len(self.packings))])
        third = int(losses.argmin())
        if order == "first" and losses[third] < losses[pair].min() - 100 * TIE:
            return self._between(low, third, a, where) + self._between(third, high, where, b)
        below, above = self.packings[low].name, self.packings[high].name
        return [Crossing(where, below, above, order, float(losses[pair[0]]))]

    def _loss(self, index: int, density: float) -> float:
        return float(_packing_loss(self.packings[index], self.importance, np.array([density]))[0][0])


def loss_curves(features: Features, m: int, densities_: ArrayLike) -> LossCurves:
    """Exact loss of every packing of n features in m dimensions at the given densities.

    A packing fixes the directions (regular blocks in orthogonal subspaces) and which features it keeps, the most important
    ones; norms and biases are optimised, and so is the assignment of features to places. By tegum additivity a packing's loss
    is the sum over its blocks, plus I (p/3 - p²/4) per dropped feature. Every value is an upper bound of the optimal loss.

    `crossings` of the result are the phase boundaries among packings. Where the lowest one gives up a feature of a digon
    continuously, the place has a closed form: spinodal(p) = I_j / I_i, for I_j the most important feature given up and I_i the
    least important one that has a dimension to itself. (A small column W_j costs Q (W_i·W_j)² I_i per dedicated feature i and
    gains I_j V |W_j|², V = p/3 - p²/4, so it grows along the cheapest of them.)

    features: its importances are used, its density is replaced by each of `densities_` (one-dimensional, increasing).
    Grade NUMERIC. Raises InputError.

    >>> curves = loss_curves(Features(1.0, [1.0, 0.7]), 1, [0.1, 0.5, 0.7])
    >>> [curves.packings[k].name for k in curves.envelope]
    ['digon', 'digon', 'dedicated']
    >>> (crossing,) = curves.crossings
    >>> crossing.order, round(crossing.density, 8), round(float(spinodal(crossing.density)), 12)
    ('continuous', 0.63122135, 0.7)
    """
    p = densities("densities", densities_)
    if p.ndim != 1 or np.any(np.diff(p) <= 0):
        raise InputError("densities must be one-dimensional and increasing, e.g. numpy.geomspace(0.01, 1, 40)")
    if features.importance.ndim != 1:
        raise InputError(f"features must be a single instance of shape (n,), got {features.importance.shape}")
    if features.law != independent(features.n):
        raise InputError(f"features must be independent with uniform values, got {features.law}")
    found = tuple(packings(features.n, whole("m", m, 1)))
    loss = np.stack([_packing_loss(packing, features.importance, p)[0] for packing in found])
    return LossCurves(features.importance, p, found, loss)


def _packing_loss(
    packing: Packing, importance: Float[Array, " n"], density: Float[Array, " k"]
) -> tuple[Float[Array, " k"], list[Parts]]:
    """Loss of one packing per density, minimised over norms, biases and assignments, and the best assignments."""
    order = np.argsort(-importance, kind="stable")
    kept = importance[order[: packing.features]]
    placed = [
        [(block, tuple(kept[list(places)].tolist())) for block, places in packing.parts(assignment)]
        for assignment in islice(packing.assignments(), ASSIGNMENTS)
    ]
    distinct = {part for parts in placed for part in parts}
    known: dict[tuple[str, tuple[float, ...]], Array] = {}
    for block in set(packing.blocks):
        choices = sorted(part[1] for part in distinct if part[0] == block)
        losses = _block_losses(block, np.array(choices), density)
        known.update({(block, choice): loss for choice, loss in zip(choices, losses, strict=True)})
    each = np.array([np.sum([known[part] for part in parts], axis=0) for parts in placed])
    dropped = importance[order[packing.features :]].sum()
    total: Float[Array, " k"] = each.min(0) + dropped * (density / 3 - density**2 / 4)
    return total, [placed[k] for k in each.argmin(0)]


def _block_losses(
    block: str, importance: Float[Array, "choices k"], density: Float[Array, " densities"]
) -> Float[Array, "choices densities"]:
    """Loss of one block with regular directions, norms and biases free, per choice of importances and density."""
    shape = (len(importance), len(density))
    p = np.tile(density, len(importance))
    each = np.repeat(importance, len(density), axis=0)
    if block == "digon":
        # Its two minima, with like and with second_norm norms, trade places; one norm can vanish.
        first, second = each.max(1), each.min(1)
        alone = second / first * (p / 3 - p**2 / 4)
        problems = [Features(p[i], [1.0, second[i] / first[i]], n=2) for i in range(len(p))] * 2
        second_norm = np.repeat([1.0, 0.4], len(p))
        weights = np.stack([np.ones_like(second_norm), -second_norm], axis=1)[:, None]
        bias = np.stack([np.zeros_like(second_norm), 0.45 * np.where(second_norm < 1, np.tile(p, 2), 0.0)], axis=1)
        loss = np.array([state.loss for state in settle(problems, weights, bias, free=True)]).reshape(2, -1).min(0)
        lowest: Float[Array, "choices densities"] = (first * np.minimum(loss, alone)).reshape(shape)
        return lowest
    losses: Float[Array, "choices densities"] = best_block(block, Features(p[:, None], each))[0].reshape(shape)
    return losses


def _onset(few: Packing, many: Packing, importance: Float[Array, " n"], near: float) -> float | None:
    """Density below which `many` grows continuously out of `few`, dedicated features becoming digons; None if none does."""
    rest = list(few.blocks)
    for block in many.blocks:
        if block in rest:
            rest.remove(block)
        elif block != "digon" or "dedicated" not in rest:
            return None
        else:
            rest.remove("dedicated")
    (parts,) = _packing_loss(few, importance, np.array([near]))[1]
    alone = min(choice[0] for block, choice in parts if block == "dedicated")
    ratio = np.sort(importance)[::-1][few.features] / alone
    if ratio >= 1 or ratio <= spinodal(1e-9):
        return None
    where = float(brentq(lambda p: float(spinodal(p)) - ratio, 1e-9, 1.0, xtol=1e-15, rtol=1e-14))
    return where if str(phase_boundary(where).order) == "continuous" else None
