"""Classified geometry of batches of models: `theory.describe_geometry` with the features and the symmetry error of every block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray as Array

from ..theory import InputError, feature_dimensionality
from ..theory._blocks import Blocks, find_blocks, put_in_words
from ..theory._checks import real_array

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

ENTRIES = 4_000_000  # of the Gram matrices in memory at a time


class Block(NamedTuple):
    """Features that share `rank` dimensions with each other and with no others; symmetry_error is NaN where no polytope is named."""

    name: str
    features: tuple[int, ...]
    rank: int
    symmetry_error: float


@dataclass(frozen=True, eq=False)
class Geometries:
    """Blocks of a batch of models, each fact of a block at every one of its features.

    block, size, rank, name, symmetry_error (..., n): index of the feature's block in its model, by first feature; how many features and
    dimensions it has; its name; how far it is from its polytope. A dropped feature has -1, 0, 0, 'dropped' and NaN.
    dimensionality (..., n): D_i of `feature_dimensionality`. words (...): e.g. '2 digons, 1 dropped'.
    """

    block: Int[Array, "*models n"]
    size: Int[Array, "*models n"]
    rank: Int[Array, "*models n"]
    name: Array
    symmetry_error: Float[Array, "*models n"]
    dimensionality: Float[Array, "*models n"]
    words: Array

    def blocks(self, *model: int) -> tuple[Block, ...]:
        """The blocks of one model, in the order of their first features; the indices of the model, none for a single one."""
        block = self.block[model]
        if block.ndim != 1:
            raise InputError(f"model must be {self.block.ndim - 1} indices for models {self.words.shape}, got {model}")
        members = [np.flatnonzero(block == b) for b in range(block.max() + 1)]
        name, rank, error = self.name[model], self.rank[model], self.symmetry_error[model]
        return tuple(Block(name[f[0]], tuple(f.tolist()), int(rank[f[0]]), float(error[f[0]])) for f in members)

    def count(self, name: str) -> Int[Array, "*models"]:
        """Number of blocks of this name in each model, or of features that are 'dropped'.

        >>> classify_geometry([[[1.0, -1.0, 0.0], [0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]).count("dedicated").tolist()
        [1, 2]
        """
        share = np.where(self.name == name, 1 / np.maximum(self.size, 1), 0.0)
        count: Int[Array, "*models"] = np.rint(share.sum(-1)).astype(int)
        return count


def classify_geometry(weights: ArrayLike) -> Geometries:
    """Blocks, polytope names, dimensionalities and symmetry errors of a batch of models.

    weights (..., m, n). Blocks and names are those of `theory.describe_geometry`, which defines them. The symmetry error of a named block
    is min_π,s ‖G - s P_π‖ / ‖G‖ over scales s, the sine of the angle between the Gram matrix G of its weights, of any norms, and that of
    its polytope, P, in the labelling π that suits the directions best (of a square antiprism, of the height that does).

    A model's result does not depend on the others'; it is invariant under rotation and scaling, and permuted with the features.

    Speed on one core: 4,096 models of n = 5, m = 2 in 0.05 s, of n = 10, m = 4 in 0.1 s, one of n = 400, m = 30 in 3 ms; 33
    11-simplices, which have to be cut apart, in 0.4 s; a figure costs 1 ms, the 2_21 polytope 0.1 s. At noise of 5 % of the weights every
    planted block of 14 shapes is found and named, at 10 % 99 % (88 % of 11-simplices), at 15 % 93 %: `benchmarks/geometry_confusion.py`.
    Grade NUMERIC: names are by tolerance. Source of the blocks: Elhage et al. 2022. Raises InputError.

    >>> found = classify_geometry([[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
    >>> str(found.words), found.block.tolist(), found.dimensionality.tolist()
    ('1 dedicated, 1 digon, 1 dropped', [0, 0, 1, -1], [0.5, 0.5, 1.0, 0.0])
    >>> found.blocks()[0]
    Block(name='digon', features=(0, 1), rank=1, symmetry_error=0.0)
    """
    w = real_array("weights", weights)
    if w.ndim < 2 or 0 in w.shape[-2:]:
        raise InputError(f"weights must have shape (..., m, n) with m, n >= 1, got {w.shape}")
    *batch, m, n = w.shape
    models = w.reshape(-1, m, n)
    step = max(1, ENTRIES // (n * max(m, n)))
    parts = [find_blocks(models[first : first + step]) for first in range(0, max(len(models), 1), step)]
    found = Blocks(*(np.concatenate(fact) for fact in zip(*parts, strict=True)))
    words = np.empty(len(models), object)
    words[:] = put_in_words(found)
    block, size, rank, name, error = (fact.reshape(*batch, n) for fact in found)
    return Geometries(block, size, rank, name, error, feature_dimensionality(w), words.reshape(batch))
