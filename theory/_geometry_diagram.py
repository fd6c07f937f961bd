"""Geometry diagram: the optimal state over density and the importance of the last feature, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from ._branches import Branches
from ._checks import InputError, densities, importances, whole
from ._features import Features
from ._grade import Grade

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike


@dataclass(frozen=True)
class GeometryDiagram:
    """Optimal state on a grid of problems with independent features: density along the first axis, importance of the last along the second.

    label (density, importance): the geometry in words; loss, weights (..., m, n), bias (..., n). grade NUMERIC.
    """

    density: Float[Array, " density"]
    importance: Float[Array, " importance"]
    label: Array
    loss: Float[Array, "density importance"]
    weights: Float[Array, "density importance m n"]
    bias: Float[Array, "density importance n"]
    grade: Grade = Grade.NUMERIC


def geometry_diagram(
    densities_: ArrayLike,
    importances_: ArrayLike,
    *,
    n: int = 3,
    m: int = 2,
    restarts: int = 4,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> GeometryDiagram:
    """Optimal geometry of n features in m dimensions, importances (1, …, 1, I), for every density and I.

    Per density the minima found from packings and random models at a few importances are continued along all of them; then each
    density takes over what its neighbours found where that is lower. By the concavity of the optimal loss in I, a cell above the
    chord of its neighbours would be a missed optimum.

    densities_ and importances_: one-dimensional and increasing, in (0, 1] and positive, two or more importances. `progress` is
    called with the number of densities done and in all. Grade NUMERIC: every loss is an upper bound. Raises InputError.

    >>> diagram = geometry_diagram([0.1, 0.9], [0.02, 0.9], restarts=1)
    >>> diagram.label.tolist()[0]
    ['2 dedicated, 1 dropped', '1 dedicated, 1 digon']
    """
    p, weight = densities("densities", densities_), importances("importances", importances_)
    for name, axis, least in (("densities", p, 1), ("importances", weight, 2)):
        if axis.ndim != 1 or len(axis) < least or np.any(np.diff(axis) <= 0):
            raise InputError(f"{name} must be one-dimensional, at least {least} and increasing, got shape {axis.shape}")
    others, m = [1.0] * (whole("n", n, 1) - 1), whole("m", m, 1)
    rows: list[Branches] = []
    for done, density in enumerate(p):

        def family(importance: float, density: float = float(density)) -> Features:
            return Features(density, [*others, importance])

        rows.append(Branches(family, weight, m, True))
        rows[-1].explore(whole("restarts", restarts, 0), seed)
        for before, after in ((-2, -1), (-1, -2)) if done else ():
            rows[after].adopt(rows[before])
        if progress is not None:
            progress(done + 1, len(p))
    best = [[pool[0] for pool in row.pools] for row in rows]
    return GeometryDiagram(
        density=p,
        importance=weight,
        label=np.array([[state.words for state in row] for row in best]),
        loss=np.array([[state.loss for state in row] for row in best]),
        weights=np.array([[state.weights for state in row] for row in best]),
        bias=np.array([[state.bias for state in row] for row in best]),
    )
