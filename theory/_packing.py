"""Packings: blocks of features in mutually orthogonal subspaces, and their exact loss as a function of density."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import islice, pairwise, permutations
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray as Array
from scipy.optimize import brentq

from ._checks import InputError, densities, importances, whole
from ._descent import descend
from ._features import Features
from ._grade import Grade
from ._law import independent
from ._loss import model_gradient
from ._polytopes import polytope

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike

# Features and dimensions of the blocks that packings are built from; a square is two digons.
BLOCKS = {
    "dedicated": (1, 1),
    "digon": (2, 1),
    "triangle": (3, 2),
    "pentagon": (5, 2),
    "hexagon": (6, 2),
    "tetrahedron": (4, 3),
}
# Losses closer than this count as equal; it places a continuous onset to about its square root.
TIE = 1e-10
# Assignments of features to places that are tried per packing, of the equivalence classes in order of importance.
ASSIGNMENTS = 60


@dataclass(frozen=True)
class Packing:
    """A multiset of blocks: regular shapes in mutually orthogonal subspaces, the features beyond them dropped."""

    blocks: tuple[str, ...]

    @property
    def name(self) -> str:
        """E.g. 'digon + digon'."""
        return " + ".join(self.blocks)

    @property
    def features(self) -> int:
        """Number of features kept."""
        return sum(BLOCKS[b][0] for b in self.blocks)

    @property
    def dimensions(self) -> int:
        """Dimensions used."""
        return sum(BLOCKS[b][1] for b in self.blocks)

    def weights(self, order: Sequence[int], m: int, n: int) -> Float[Array, "m n"]:
        """Unit weights with feature order[j] at the j-th place and the others zero."""
        w = np.zeros((m, n))
        place = row = 0
        for block in self.blocks:
            k, d = BLOCKS[block]
            w[row : row + d, list(order[place : place + k])] = directions(block)
            place, row = place + k, row + d
        return w

    def assignments(self) -> Iterator[tuple[int, ...]]:
        """Orders of the kept features that differ by more than a symmetry of the blocks."""
        seen = set()
        for order in permutations(range(self.features)):
            key = frozenset((b, _arrangement(b, part)) for b, part in self.parts(order))
            if key not in seen:
                seen.add(key)
                yield order

    def parts(self, order: Sequence[int]) -> list[tuple[str, tuple[int, ...]]]:
        """The blocks with the features placed in them."""
        ends = np.cumsum([0] + [BLOCKS[b][0] for b in self.blocks])
        return [(b, tuple(order[i:j])) for b, (i, j) in zip(self.blocks, pairwise(ends), strict=True)]


def directions(block: str) -> Float[Array, "d k"]:
    """Unit vectors of a block as floats, one per column."""
    if block == "dedicated":
        return np.ones((1, 1))
    return np.array(polytope(block).evalf(20), dtype=float)


def packings(n: int, m: int) -> list[Packing]:
    """Every packing of blocks that keeps at most n features and fills min(m, n) dimensions.

    >>> [p.name for p in packings(5, 2)]
    ['dedicated + dedicated', 'dedicated + digon', 'digon + digon', 'triangle', 'pentagon']
    """
    found: list[Packing] = []
    names = list(BLOCKS)

    def extend(chosen: tuple[str, ...], first: int) -> None:
        packing = Packing(chosen)
        if packing.dimensions > m or packing.features > n:
            return
        if packing.dimensions == min(m, n) or packing.features == n:
            found.append(packing)
        for index in range(first, len(names)):
            extend((*chosen, names[index]), index)

    extend((), 0)
    return found


@dataclass(frozen=True)
class Crossing:
    """A density at which the lowest packing changes: `below` wins for sparser features, `above` for denser ones."""

    density: float
    below: str
    above: str


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
        """Where the lowest packing changes, by Brent's method on the difference of the two exact losses."""
        out = []
        for k in np.flatnonzero(np.diff(self.envelope)):
            pair = sorted((int(self.envelope[k]), int(self.envelope[k + 1])))

            def excess(p: float, pair: list[int] = pair) -> float:
                few, many = (packing_loss(self.packings[i], self.importance, np.array([p]))[0] for i in pair)
                return float(few - many - TIE)

            where = brentq(excess, self.density[k], self.density[k + 1], xtol=1e-7, rtol=1e-7)
            below, above = (self.packings[self.envelope[i]].name for i in (k, k + 1))
            out.append(Crossing(float(where), below, above))
        return out


def loss_curves(features: Features, m: int, densities_: ArrayLike) -> LossCurves:
    """Exact loss of every packing of n features in m dimensions at the given densities.

    A packing fixes the directions (regular blocks in orthogonal subspaces) and which features it keeps, the most important
    ones; norms and biases are optimised, and so is the assignment of features to places. By tegum additivity a packing's loss
    is the sum over its blocks, plus I (p/3 - p²/4) per dropped feature.

    features: its importances are used, its density is replaced by each of `densities_` (one-dimensional, increasing).
    Grade NUMERIC. Every value is an upper bound of the optimal loss. Raises InputError.

    >>> curves = loss_curves(Features(1.0, [1.0, 0.5]), 1, [0.1, 0.7])
    >>> [curves.packings[k].name for k in curves.envelope]
    ['digon', 'dedicated']
    """
    p = densities("densities", densities_)
    if p.ndim != 1 or np.any(np.diff(p) <= 0):
        raise InputError("densities must be one-dimensional and increasing, e.g. numpy.geomspace(0.01, 1, 40)")
    if features.importance.ndim != 1:
        raise InputError(f"features must be a single instance of shape (n,), got {features.importance.shape}")
    if features.law != independent(features.n):
        raise InputError(f"features must be independent with uniform values, got {features.law}")
    found = tuple(packings(features.n, whole("m", m, 1)))
    loss = np.stack([packing_loss(packing, features.importance, p) for packing in found])
    return LossCurves(features.importance, p, found, loss)


def packing_loss(packing: Packing, importance: Float[Array, " n"], density: Float[Array, " k"]) -> Float[Array, " k"]:
    """Loss of one packing per density, minimised over norms, biases and assignments."""
    weight = importances("importance", importance)
    order = np.argsort(-weight, kind="stable")
    kept = weight[order[: packing.features]]
    placed = [
        [(block, tuple(kept[list(places)])) for block, places in packing.parts(assignment)]
        for assignment in islice(packing.assignments(), ASSIGNMENTS)
    ]
    distinct = {part for parts in placed for part in parts}
    known: dict[tuple[str, tuple[float, ...]], Array] = {}
    for block in set(packing.blocks):
        choices = sorted(part[1] for part in distinct if part[0] == block)
        losses = _block_losses(block, np.array(choices), density)
        known.update({(block, choice): loss for choice, loss in zip(choices, losses, strict=True)})
    best = np.min([np.sum([known[part] for part in parts], axis=0) for parts in placed], axis=0)
    dropped = weight[order[packing.features :]].sum()
    total: Float[Array, " k"] = best + dropped * (density / 3 - density**2 / 4)
    return total


def _block_losses(
    block: str, importance: Float[Array, "choices k"], density: Float[Array, " densities"]
) -> Float[Array, "choices densities"]:
    """Loss of one block with regular directions, norms and biases free, per choice of importances and density."""
    shape = (len(importance), len(density))
    p = np.tile(density, len(importance))[:, None]
    each = np.repeat(importance, len(density), axis=0)
    return _best_block(block, Features(p, each))[0].reshape(shape)


def block_models(
    block: str, features: Features, members: Int[Array, "choices k"]
) -> tuple[Float[Array, " choices"], Float[Array, "choices rows k"]]:
    """Loss and model of a block per choice of members, in the order given: the d rows of its weights, then its biases."""
    return _best_block(block, Features(features.density[members], features.importance[members]))


def _best_block(block: str, features: Features) -> tuple[Float[Array, " batch"], Float[Array, "batch rows k"]]:
    """Norms and biases of a block with regular directions by descent from equal ones: its loss, and weights and biases."""
    batch, k = features.density.shape
    w = directions(block)
    if block == "dedicated":
        # W_i = e, b_i = 0 reproduces x_i.
        return np.zeros(batch), np.tile([[1.0], [0.0]], (batch, 1, 1))
    # Polygons beyond the square are held apart by negative biases and larger norms, the others stay near unit norm.
    start = np.array([1.15] * k + [-0.25] * k if k > w.shape[0] + 1 else [1.0] * k + [0.0] * k)

    def objective(x: Float[Array, "b 2k"], which: Int[Array, " b"]) -> tuple[Array, Array]:
        part = Features(features.density[which], features.importance[which])
        loss, d_weights, d_bias = model_gradient(w * x[:, None, :k], x[:, k:], part, 0.0)
        return loss, np.concatenate([(d_weights * w).sum(1), d_bias], axis=1)

    found = descend(objective, np.tile(start, (batch, 1)), tolerance=1e-7)
    models = np.concatenate([w * found.point[:, None, :k], found.point[:, None, k:]], axis=1)
    return found.value, models


def _arrangement(block: str, part: tuple[int, ...]) -> object:
    """What distinguishes two ways to place features in a block: the set, and for polygons the cyclic order up to reflection."""
    if block not in ("pentagon", "hexagon"):
        return frozenset(part)
    return frozenset(frozenset((part[i - 1], part[i])) for i in range(len(part)))
