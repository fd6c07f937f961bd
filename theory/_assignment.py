"""Assignment: the best product of regular blocks for given features, by exact block losses and an integer program."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from ._packing import BLOCKS, block_models

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from numpy import ndarray as Array

    from ._features import Features

# Blocks of k features are tried on every choice of k among WINDOW[block] features that follow each other in importance (digons: any).
WINDOW = {"triangle": 5, "tetrahedron": 5, "pentagon": 5, "hexagon": 6}
# Features beyond this many per dimension are dropped without a trial.
PER_DIMENSION = 4
# Seconds for the integer program; its best point so far is a start like any other.
TIME_LIMIT = 5.0


def assigned_models(
    features: Features, m: int, families: Sequence[Sequence[str]]
) -> list[tuple[Float[Array, "m n"], Float[Array, " n"]]]:
    """The best packing of each family of blocks: models (weights, bias) whose loss is Σ_blocks ℓ + Σ_dropped I_j Var x_j.

    By tegum additivity the loss of a product of blocks in orthogonal subspaces is the sum of the blocks' losses ℓ, each minimised over
    norms and biases (regular directions). Which features go into which block is a set packing problem: every feature in at most
    one block, at most m dimensions in all. `families`: the blocks allowed, e.g. [["dedicated", "digon"]].

    Independent uniform features, one instance. Grade NUMERIC: an upper bound of the optimum, best among the candidates tried.
    """
    n = features.n
    order = np.argsort(-features.importance * features.variance, kind="stable")[: PER_DIMENSION * m]
    pools: dict[str, tuple[Array, Array, Array]] = {}
    for block in {block for family in families for block in family}:
        k = BLOCKS[block][0]
        if k <= len(order):
            members = np.array(_choices(block, k, len(order)))
            pools[block] = (order[members], *block_models(block, features, order[members]))
    models = []
    for family in families:
        chosen = _pack([(block, *pools[block][:2]) for block in family if block in pools], features, m)
        weights, bias, row = np.zeros((m, n)), features.mean.copy(), 0
        for block, which in chosen:
            members, _, model = (part[which] for part in pools[block])
            d = BLOCKS[block][1]
            weights[row : row + d, members] = model[:d]
            bias[members] = model[d]
            row += d
        models.append((weights, bias))
    return models


def _choices(block: str, k: int, n: int) -> list[tuple[int, ...]]:
    """Sets of ranks that a block is tried on."""
    if k <= 2:
        return list(combinations(range(n), k))
    width = min(WINDOW[block], n)
    return sorted({tuple(sorted(c)) for s in range(n - width + 1) for c in combinations(range(s, s + width), k)})


def _pack(
    candidates: list[tuple[str, Array, Float[Array, " choices"]]], features: Features, m: int
) -> list[tuple[str, int]]:
    """The cheapest set of disjoint blocks in m dimensions, as (block, index of the choice)."""
    names = [(block, i) for block, members, _ in candidates for i in range(len(members))]
    gain = np.concatenate(
        [loss - (features.importance * features.variance)[members].sum(1) for _, members, loss in candidates]
    )
    rows = np.concatenate([members.ravel() for _, members, _ in candidates])
    columns = np.repeat(np.arange(len(names)), [BLOCKS[block][0] for block, _ in names])
    once = coo_array((np.ones(len(rows)), (rows, columns)), shape=(features.n, len(names)))
    dimensions = np.array([[BLOCKS[block][1] for block, _ in names]])
    found = milp(
        gain,
        integrality=np.ones(len(names), int),
        bounds=Bounds(0, 1),
        constraints=[LinearConstraint(once.tocsc(), ub=1), LinearConstraint(dimensions, ub=m)],
        options={"time_limit": TIME_LIMIT},
    )
    return [names[i] for i in np.flatnonzero(found.x > 0.5)] if found.x is not None else []
