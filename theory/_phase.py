"""Phases: which state of two features in one dimension is optimal, and where that changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from ._candidates import naive_boundary
from ._checks import InputError, densities, importances, real_array
from ._grade import Grade
from ._pair import ANTIPODAL_RATIO, onset, spinodal, superposed_states

if TYPE_CHECKING:
    import xarray
    from numpy.typing import ArrayLike

# A second weight below this fraction of the first counts as none: the onset can be continuous.
RESOLUTION = 1e-3


@dataclass(frozen=True)
class Boundary:
    """Where the optimum of n = 2, m = 1 starts to represent the less important feature; arrays shaped like `density`.

    importance  I*: below it (I < I*) feature 2 is ignored; by symmetry feature 1 is ignored above 1/I*
    order       'first' (the second weight jumps) or 'continuous' (it grows from zero)
    weights, bias  (..., 2) the superposed state at the boundary; the ignored one is W = (1, 0), b = (0, p/2)
    naive       boundary of the fixed models W = (1, 0) and (1, -1), 2p/(4 - 5p); nan where that exceeds 1
    grade       NUMERIC
    """

    density: Float[Array, "*densities"]
    importance: Float[Array, "*densities"]
    order: Array
    weights: Float[Array, "*densities 2"]
    bias: Float[Array, "*densities 2"]
    naive: Float[Array, "*densities"]
    grade: Grade = Grade.NUMERIC


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
    0.5602 and 0.5865 (measured). With equal signs the state is 'aligned': metastable for sparse features, and at p = 1 the mirror
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
    one, where it is the closed form `spinodal` (order 'continuous'; so found for p between about 0.51 and 0.84).

    density: scalar or array in (0, 1]. n = 2, m = 1 only. Grade NUMERIC: about ten digits, global as far as the starts reach.
    The value errs upwards only: every finite state is a witness that I* is not larger.
    Raises InputError for a density out of range or another (n, m).

    >>> boundary = phase_boundary(0.1)
    >>> round(float(boundary.importance), 6), round(float(boundary.naive), 6), str(boundary.order)
    (0.048722, 0.057143, 'first')
    """
    _only_two_in_one(n, m)
    p = densities("density", density)
    flat = p.ravel()
    importance, states = onset(flat)
    limit = spinodal(flat)
    ratio = np.abs(states.weights[:, 1] / states.weights[:, 0])
    first = (importance < limit) & (ratio > RESOLUTION)
    continuous = ~first[:, None]
    weights = np.where(continuous, [1.0, 0.0], states.weights)
    bias = np.where(continuous, np.stack([np.zeros_like(flat), flat / 2], 1), states.bias)
    return Boundary(
        density=p,
        importance=np.where(first, importance, limit).reshape(p.shape),
        order=np.where(first, "first", "continuous").reshape(p.shape),
        weights=weights.reshape(*p.shape, 2),
        bias=bias.reshape(*p.shape, 2),
        naive=naive_boundary(flat).reshape(p.shape),
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
