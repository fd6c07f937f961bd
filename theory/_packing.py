"""Packings: blocks of features in mutually orthogonal subspaces, and the best models of one block."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise, permutations
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray as Array

from ._descent import descend
from ._features import Features
from ._loss import model_gradient
from ._polytopes import polytope

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


# Features and dimensions of the blocks that packings are built from; a square is two digons.
BLOCKS = {
    "dedicated": (1, 1),
    "digon": (2, 1),
    "triangle": (3, 2),
    "pentagon": (5, 2),
    "hexagon": (6, 2),
    "tetrahedron": (4, 3),
}
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


@cache
def directions(block: str) -> Float[Array, "d k"]:
    """Unit vectors of a block as floats, one per column; not to be written to."""
    vectors = np.ones((1, 1)) if block == "dedicated" else np.array(polytope(block).evalf(20), dtype=float)
    vectors.flags.writeable = False
    return vectors


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


def block_models(
    block: str, features: Features, members: Int[Array, "choices k"]
) -> tuple[Float[Array, " choices"], Float[Array, "choices rows k"]]:
    """Loss and model of a block per choice of members, in the order given: the d rows of its weights, then its biases."""
    return best_block(block, Features(features.density[members], features.importance[members]))


def best_block(block: str, features: Features) -> tuple[Float[Array, " batch"], Float[Array, "batch rows k"]]:
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
