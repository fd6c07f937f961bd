"""Assignment: the best product of regular blocks for given features, by exact block losses and an integer program."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray as Array
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from ._packing import BLOCKS, block_models

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._features import Features

# Blocks of k features are tried on every choice of k among WINDOW[block] features that follow each other in importance (digons: any).
WINDOW = {"triangle": 5, "tetrahedron": 5, "pentagon": 5, "hexagon": 6}
# Features beyond this many per dimension are dropped without a trial.
PER_DIMENSION = 4
# Seconds for the integer program; its best point so far is a start like any other.
TIME_LIMIT = 5.0


@dataclass(frozen=True)
class Candidates:
    """Blocks of one shape on several choices of k features: members, loss, and models, the d rows of weights and then the biases."""

    members: Int[Array, "choices k"]
    loss: Float[Array, " choices"]
    models: Float[Array, "choices rows k"]

    @property
    def dimensions(self) -> int:
        """d."""
        return int(self.models.shape[1]) - 1


def regular_blocks(features: Features, m: int, names: Sequence[str]) -> dict[str, Candidates]:
    """Regular blocks by name, each on the choices of features that are tried, their norms and biases at their best."""
    order = np.argsort(-features.importance * features.variance, kind="stable")[: PER_DIMENSION * m]
    blocks = {}
    for name in names:
        k = BLOCKS[name][0]
        if k <= len(order):
            members = order[np.array(_choices(name, k, len(order)))]
            blocks[name] = Candidates(members, *block_models(name, features, members))
    return blocks


def assigned_models(
    features: Features, m: int, families: Sequence[Sequence[str]]
) -> list[tuple[Float[Array, "m n"], Float[Array, " n"]]]:
    """The best packing of each family of regular blocks, e.g. [["dedicated", "digon"]]: models (weights, bias) of `best_packing`."""
    blocks = regular_blocks(features, m, sorted({name for family in families for name in family}))
    return [best_packing(features, m, [blocks[name] for name in family if name in blocks]) for family in families]


def best_packing(
    features: Features, m: int, blocks: Sequence[Candidates]
) -> tuple[Float[Array, "m n"], Float[Array, " n"]]:
    """The model (weights, bias) of the best packing of the blocks: its loss is Σ_blocks ℓ + Σ_dropped I_j Var x_j.

    By tegum additivity the loss of a product of blocks in orthogonal subspaces is the sum of the blocks' losses ℓ. Which blocks to
    take is a set packing problem: every feature in at most one block, at most m dimensions in all.

    Independent uniform features, one instance. Grade NUMERIC: an upper bound of the optimum, best among the candidates tried.
    """
    weights, bias, row = np.zeros((m, features.n)), features.mean.copy(), 0
    for block, which in _pack(blocks, features, m):
        members, model, d = block.members[which], block.models[which], block.dimensions
        weights[row : row + d, members] = model[:d]
        bias[members] = model[d]
        row += d
    return weights, bias


def _choices(block: str, k: int, n: int) -> list[tuple[int, ...]]:
    """Sets of ranks that a block is tried on."""
    if k <= 2:
        return list(combinations(range(n), k))
    width = min(WINDOW[block], n)
    return sorted({tuple(sorted(c)) for s in range(n - width + 1) for c in combinations(range(s, s + width), k)})


def _pack(blocks: Sequence[Candidates], features: Features, m: int) -> list[tuple[Candidates, int]]:
    """The cheapest set of disjoint blocks in m dimensions, as (block, index of the choice)."""
    names = [(block, i) for block in blocks for i in range(len(block.loss))]
    variance = features.importance * features.variance
    gain = np.concatenate([block.loss - variance[block.members].sum(1) for block in blocks])
    rows = np.concatenate([block.members.ravel() for block in blocks])
    columns = np.repeat(np.arange(len(names)), [block.members.shape[1] for block, _ in names])
    once = coo_array((np.ones(len(rows)), (rows, columns)), shape=(features.n, len(names)))
    dimensions = np.array([[block.dimensions for block, _ in names]])
    found = milp(
        gain,
        integrality=np.ones(len(names), int),
        bounds=Bounds(0, 1),
        constraints=[LinearConstraint(once.tocsc(), ub=1), LinearConstraint(dimensions, ub=m)],
        options={"time_limit": TIME_LIMIT},
    )
    return [names[i] for i in np.flatnonzero(found.x > 0.5)] if found.x is not None else []
