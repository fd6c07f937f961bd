"""Phases: which state of two features in one dimension is optimal, and where that changes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from ._candidates import naive_boundary
from ._checks import InputError, densities, importances, real_array
from ._grade import Grade
from ._pair import (
    ANTIPODAL_RATIO,
    antipodal_start,
    enclose_fold,
    enclose_onset,
    enclose_spinodal,
    model,
    onset,
    spinodal,
    superposed_states,
    weak_start,
)
from ._root import NoRootError

if TYPE_CHECKING:
    import xarray
    from numpy.typing import ArrayLike

# A second weight below this fraction of the first counts as none: the onset can be continuous.
RESOLUTION = 1e-3
# Relative distance below which descent, which stops some 1e-5 above a vanishing second weight, may have missed the lower branch.
CLOSE = 1e-3


@dataclass(frozen=True)
class Boundary:
    """Where the optimum of n = 2, m = 1 starts to represent the less important feature; arrays shaped like `density`.

    importance  I*: below it (I < I*) feature 2 is ignored; by symmetry feature 1 is ignored above 1/I*
    order       'first' (the second weight jumps) or 'continuous' (it grows from zero)
    weights, bias  (..., 2) the superposed state at the boundary; the ignored one is W = (1, 0), b = (0, p/2)
    naive       boundary of the fixed models W = (1, 0) and (1, -1), 2p/(4 - 5p); nan where that exceeds 1
    enclosure   (..., 2) floats [lower, upper], rounded outwards, proved to hold the crossing of this branch: the importance at which a
                stationary superposed state has the loss of the ignored one (order 'first'), or the closed form `spinodal`
    grade       NUMERIC: the crossing is ENCLOSED, that no other state is lower there is only searched for
    """

    density: Float[Array, "*densities"]
    importance: Float[Array, "*densities"]
    order: Array
    weights: Float[Array, "*densities 2"]
    bias: Float[Array, "*densities 2"]
    naive: Float[Array, "*densities"]
    enclosure: Float[Array, "*densities 2"]
    grade: Grade = Grade.NUMERIC

    @property
    def jump(self) -> Float[Array, "*densities"]:
        """How far |w2| jumps across the boundary: its value in the superposed state there, 0 where the order is 'continuous'."""
        size: Array = np.abs(self.weights[..., 1])
        return size

    @cached_property
    def spinodals(self) -> Float[Array, "*densities 2"]:
        """Ends (..., 2) of the hysteresis: the least importance at which the superposed state of the boundary is a local minimum,
        and the largest at which the ignored one is, `spinodal`. Both are I* where the order is 'continuous'.

        The least is the fold where that minimum meets a saddle (singular Hessian), 15 digits by `enclose_root`. That the minimum
        reaches down to the fold found is NUMERIC. Computed when first asked for, 0.1 s for each density of order 'first'.
        """
        ends = np.stack([self.importance, np.where(self.order == "first", spinodal(self.density), self.importance)], -1)
        for k in np.ndindex(self.density.shape):
            if self.order[k] == "first":
                state = [*self.weights[k], *self.bias[k]]
                ends[k][0] = enclose_fold(state, float(self.importance[k]), float(self.density[k])).ball[-1]
        return ends


@dataclass(frozen=True)
class PhaseDiagram:
    """Optimal states of n = 2, m = 1 on a grid: density along the first axis, importance of feature 2 along the second.

    label    'only 1', 'weak', 'antipodal' or 'only 2'
    loss     optimal loss, importances (1, I)
    margin   gap in loss between the best single-feature state and the best superposed local minimum, the lower of which is
             `loss`; 0 where descent finds no separate superposed minimum
    weights, bias  (density, importance, 2) an optimal model
    grade    NUMERIC
    """

    density: Float[Array, " density"]
    importance: Float[Array, " importance"]
    label: Array
    loss: Float[Array, "density importance"]
    margin: Float[Array, "density importance"]
    weights: Float[Array, "density importance feature"]
    bias: Float[Array, "density importance feature"]
    grade: Grade = Grade.NUMERIC

    def to_xarray(self) -> xarray.Dataset:
        """The diagram as an xarray Dataset with dimensions density, importance and feature."""
        import xarray

        grid, model = ("density", "importance"), ("density", "importance", "feature")
        return xarray.Dataset(
            {
                "label": (grid, self.label),
                "loss": (grid, self.loss),
                "margin": (grid, self.margin),
                "weights": (model, self.weights),
                "bias": (model, self.bias),
            },
            coords={"density": self.density, "importance": self.importance, "feature": [1, 2]},
            attrs={"grade": self.grade.name, "n": 2, "m": 1},
        )


def pair_phase(weights: ArrayLike, *, resolution: float = RESOLUTION) -> Array:
    """Phase of two-feature weights (..., 2): 'only 1', 'weak', 'antipodal', 'only 2' or 'aligned'.

    Both features are stored when the ratio of the smaller to the larger weight exceeds `resolution` (raise it for trained
    weights, which are noisy). With opposite signs the ratio 0.575 tells weak from antipodal: no optimal model has one between
    0.5643 and 0.5853 (measured). With equal signs the state is 'aligned': metastable for sparse features, and at p = 1 the mirror
    image (x_2 -> 1 - x_2) of the weak state, of the same loss. Raises InputError.

    >>> pair_phase([[1.0, 0.0], [1.0, -0.4], [-1.0, 1.0], [0.0, 0.9], [0.9, 0.4]]).tolist()
    ['only 1', 'weak', 'antipodal', 'only 2', 'aligned']
    """
    w = real_array("weights", weights)
    if w.ndim < 1 or w.shape[-1] != 2:
        raise InputError(f"weights must have shape (..., 2), got {w.shape}")
    size = np.abs(w)
    ratio = size.min(-1) / np.maximum(size.max(-1), np.finfo(float).tiny)
    opposite = np.where(ratio > ANTIPODAL_RATIO, "antipodal", "weak")
    shared = np.where(w[..., 0] * w[..., 1] < 0, opposite, "aligned")
    labels: Array = np.where(ratio > resolution, shared, np.where(size[..., 0] >= size[..., 1], "only 1", "only 2"))
    return labels


def phase_boundary(density: ArrayLike, *, n: int = 2, m: int = 1) -> Boundary:
    """Importance I* at which the optimal model starts to represent feature 2 (two features, one dimension).

    I* = inf over (W, b) of F_1 / (V - F_2), with F_i the exact error of feature i and V = p/3 - p²/4: the true optimum, all
    weights and biases free. The infimum is attained at a finite second weight (order 'first') or in the limit of a vanishing
    one, where it is the closed form `spinodal` (order 'continuous'; between the tricritical densities of `critical_points`).

    density: scalar or array in (0, 1]. n = 2, m = 1 only. Grade NUMERIC: the crossing of the branch found is proved and enclosed
    (`enclosure`, 15 digits, for the float density as it stands), so I* is not larger than its upper end. That no other state crosses
    earlier is the outcome of descent from a few starts, not proved here. `Boundary.spinodals` is the region of hysteresis.
    Raises InputError for a density out of range or another (n, m).

    >>> boundary = phase_boundary(0.1)
    >>> round(float(boundary.importance), 6), round(float(boundary.naive), 6), str(boundary.order)
    (0.048722, 0.057143, 'first')
    """
    _only_two_in_one(n, m)
    p = densities("density", density)
    flat = p.ravel()
    found, states = onset(flat)
    # Where two branches cross within the error of descent, `onset` may have followed the wrong one: try them all.
    limit = spinodal(flat)
    antipodal = superposed_states(flat, limit, antipodal_start(flat))
    close = antipodal.loss <= limit * (flat / 3 - flat**2 / 4) * (1 + CLOSE)
    importance, order = limit.copy(), np.full(flat.shape, "continuous")
    weights, bias = np.tile([1.0, 0.0], (len(flat), 1)), np.stack([np.zeros_like(flat), flat / 2], 1)
    enclosure = np.empty((len(flat), 2))
    for k, density_ in enumerate(flat.tolist()):
        closed, cubic = enclose_spinodal(density_)
        importance[k], enclosure[k] = float(closed.ball[1]), closed.bounds[1]
        starts = [([*states.weights[k], *states.bias[k]], found[k])]
        if close[k]:
            starts.append(([*antipodal.weights[k], *antipodal.bias[k]], limit[k]))
        if cubic < 0 and found[k] > limit[k] * (1 - CLOSE):
            starts.append((weak_start(density_), limit[k]))
        for state, start in starts:
            try:
                root = enclose_onset(state, float(start), density_)
            except NoRootError:  # the branch meets the ignored state continuously
                continue
            if root.ball[3] > 0 and root.bounds[4, 1] < enclosure[k, 0]:
                importance[k], order[k], enclosure[k] = float(root.ball[4]), "first", root.bounds[4]
                solution = [float(x) for x in model(root.ball[:4], density_)]
                weights[k], bias[k] = solution[:2], solution[2:]
    return Boundary(
        density=p,
        importance=importance.reshape(p.shape),
        order=order.reshape(p.shape),
        weights=weights.reshape(*p.shape, 2),
        bias=bias.reshape(*p.shape, 2),
        naive=naive_boundary(flat).reshape(p.shape),
        enclosure=enclosure.reshape(*p.shape, 2),
    )


def phase_diagram(densities_: ArrayLike, importances_: ArrayLike, *, n: int = 2, m: int = 1) -> PhaseDiagram:
    """Optimal state for every pair of a density and an importance of feature 2 (that of feature 1 is 1).

    Minimum of the exact loss over (W, b): the two single-feature states in closed form, the superposed ones by descent
    from four starts. Importances above 1 follow from L*(p, I) = I L*(p, 1/I) with the features exchanged.

    densities_, importances_: one-dimensional, in (0, 1] and positive. Grade NUMERIC. Raises InputError.

    >>> diagram = phase_diagram([0.1], [0.045, 0.053, 1.0])
    >>> diagram.label.tolist(), round(float(diagram.loss[0, 2]), 8)
    ([['only 1', 'antipodal', 'antipodal']], 0.00331948)
    """
    _only_two_in_one(n, m)
    p, weight = (
        np.atleast_1d(densities("densities", densities_)),
        np.atleast_1d(importances("importances", importances_)),
    )
    if p.ndim != 1 or weight.ndim != 1:
        raise InputError(f"densities and importances must be one-dimensional, got shapes {p.shape} and {weight.shape}")
    swapped = weight > 1
    small = np.where(swapped, 1 / weight, weight)
    levels, index = np.unique(small, return_inverse=True)
    grid_p, grid_i = (x.ravel() for x in np.meshgrid(p, levels, indexing="ij"))
    states = superposed_states(grid_p, grid_i)
    alone = grid_i * (grid_p / 3 - grid_p**2 / 4)
    superposed = (states.loss < alone) & np.isin(pair_phase(states.weights), ("weak", "antipodal"))
    loss = np.where(superposed, states.loss, alone)
    weights = np.where(superposed[:, None], states.weights, [1.0, 0.0])
    bias = np.where(superposed[:, None], states.bias, np.stack([np.zeros_like(grid_p), grid_p / 2], 1))

    shape = (len(p), len(levels))
    scale = np.where(swapped, weight, 1.0)

    def spread(x: Array) -> Array:
        full = x.reshape(*shape, *x.shape[1:])[:, index]
        if x.ndim == 1:
            return full
        return np.where(swapped[None, :, None], full[..., ::-1], full)

    optimal = spread(weights)
    return PhaseDiagram(
        density=p,
        importance=weight,
        label=pair_phase(optimal),
        loss=spread(loss) * scale,
        margin=spread(np.abs(states.loss - alone)) * scale,
        weights=optimal,
        bias=spread(bias),
    )


def _only_two_in_one(n: int, m: int) -> None:
    if (n, m) != (2, 1):
        raise InputError(f"phases are derived for n = 2, m = 1, got n = {n}, m = {m}")
