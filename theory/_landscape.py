"""Landscape: every critical point of the exact loss of two features in one dimension, and where each of them exists.

Those that store both features lie on the curve I(θ) of `_pair_curve`, with exceptions: with weights of equal sign a row has, besides its
best bias, a second local minimum in the bias where it fires mainly if both features are on. Critical points there are off the curve and
found by search.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array

from ._checks import InputError, densities, importances, real_array
from ._grade import Grade
from ._pair import spinodal
from ._pair_curve import SIDES, PairCurve
from ._pair_row import pair_gradient, pair_hessian

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# Below this density the border between weak and antipodal is that of p -> 0 to eight digits, and Newton's method meets a singular matrix.
SPARSEST = 1e-4
STATES = ("only 1", "only 2", "weak", "weak exchanged", "antipodal", "aligned", "aligned exchanged")
EXCHANGED = {"only 1": "only 2", "weak": "weak exchanged", "aligned": "aligned exchanged", "antipodal": "antipodal"}


@dataclass(frozen=True)
class CriticalPoint:
    """A critical point up to the sign of W, importances (1, I).

    name       'only 1', 'only 2', 'antipodal', 'weak', 'aligned' (the first weight the larger; otherwise '… exchanged'), 'late' (equal
               signs, both biases negative), 'nothing', or for an output that never fires 'dead 1', 'dead 2', 'both dead'; saddles between
               them are 'opposite saddle', 'equal saddle' or 'late saddle' by the signs
    kind       'minimum'; 'saddle'; 'shoulder' (downhill for one sign of the missing weight only); 'flat' (a family of equal loss)
    weights, bias, loss
    curvature  eigenvalues of the Hessian in (w1, w2, b1, b2), ascending; nan where the gradient has a kink
    lowest     whether no other critical point loses less
    """

    name: str
    kind: str
    weights: Float[Array, " two"]
    bias: Float[Array, " two"]
    loss: float
    curvature: Float[Array, " four"]
    lowest: bool

    @property
    def index(self) -> int | None:
        """Number of downhill directions of the Hessian; None where it does not exist."""
        return None if np.isnan(self.curvature).any() else int((self.curvature < 0).sum())


@dataclass(frozen=True)
class Landscape:
    """Critical points of n = 2, m = 1 at one density and importance, by rising loss. grade NUMERIC: see `landscape`."""

    density: float
    importance: float
    points: tuple[CriticalPoint, ...]
    grade: Grade = Grade.NUMERIC

    @property
    def minima(self) -> tuple[CriticalPoint, ...]:
        """The strict local minima, lowest first."""
        return tuple(point for point in self.points if point.kind == "minimum")


@dataclass(frozen=True)
class Existence:
    """Importances between which each of `states` is a strict local minimum, and where that holds on a grid.

    lower, upper  (state, density) spinodals; nan where the state does not occur at that density, 0 and inf where it has no end
    exists        (state, density, importance)
    grade         NUMERIC; the spinodals at which one feature is only just stored are closed forms
    """

    density: Float[Array, " density"]
    importance: Float[Array, " importance"]
    states: tuple[str, ...]
    lower: Float[Array, "state density"]
    upper: Float[Array, "state density"]
    exists: Bool[Array, "state density importance"]
    grade: Grade = Grade.NUMERIC


def landscape(density: float, importance: float) -> Landscape:
    """Every local minimum and saddle of the exact loss of n = 2, m = 1 at one density and one importance, up to the sign of W.

    Intersections of the curve I(θ) (see `_pair_curve`) with the importance, polished by Newton's method; what Newton's method finds besides
    from a fixed grid of several hundred starts; the states that store one feature or none, in closed form; and the flat families in which
    an output has so negative a bias that it never fires: 'dead 1' W = (0, ±1), b2 = 0, any b1 < 0, loss p/3; 'dead 2' likewise, loss
    I p/3; 'both dead', loss (1 + I) p/3. Flat families of unstable models (one output dead, the other constant) are not listed.

    density in (0, 1], importance of feature 2 in [1e-6, 1e6], that of feature 1 being 1. Grade NUMERIC: nothing proves the list complete.
    What speaks for it: the points other than 'nothing' have Σ (-1)^index = 0, as the Euler characteristic of the plane asks
    (shoulders count 0), and in tests thousands of other starts find no further point. Pairs about to annihilate (importance within about
    1e-4 of a fold) can be missed. Raises InputError.

    >>> found = landscape(0.05, 1.0)
    >>> [(point.name, round(point.loss, 6)) for point in found.minima]
    [('antipodal', 0.000832), ('aligned', 0.015359), ('aligned exchanged', 0.015359)]
    """
    p, weight = densities("density", density), importances("importance", importance)
    if p.ndim or weight.ndim:
        raise InputError(f"density and importance must be single numbers, got shapes {p.shape} and {weight.shape}")
    if not 1e-6 <= weight <= 1e6:
        raise InputError(f"importance must be between 1e-6 and 1e6 of the other feature's, got {float(weight):g}")
    curve = PairCurve.follow(p[None])
    points = _simple_points(float(p), float(weight))
    for swapped in (False, True):
        target = -np.log(weight) if swapped else np.log(weight)
        for x, name in curve.crossings(float(target), float(p)):
            middle = abs(x[0]) == abs(x[1])
            if not (swapped and middle):  # equal weights lie on both halves of the curve
                points.append(_described(_exchange(x) if swapped else x, name, float(p), float(weight), swapped))
    known = np.array([np.concatenate([q[2], q[3]]) for q in points])
    for x in _sought(float(p), float(weight)):
        if np.abs(known - x).max(1).min() > 1e-6:
            points.append(_described(x, _found_name(x, float(p), float(weight)), float(p), float(weight), False))
    lowest = min(point[4] for point in points)
    ordered = sorted(points, key=lambda point: point[4])
    return Landscape(float(p), float(weight), tuple(CriticalPoint(*q, lowest=q[4] <= lowest) for q in ordered))


def existence(densities_: ArrayLike, importances_: ArrayLike) -> Existence:
    """Where each state of n = 2, m = 1 is a local minimum: its two spinodals at every density, and a grid of importances.

    'only 1' ends at `spinodal`; 'aligned' begins at the `spinodal` of sign +1 (or at a fold a little below it, near density 1); the other
    spinodals are folds of the curve I(θ), which is followed for all densities at once. The exchanged states follow by I -> 1/I.
    'weak' and 'antipodal' are separate stable pieces of the curve: the one that reaches equal weights is antipodal. The 'late' minimum that
    `landscape` finds for sparse features in a narrow range of importances below about 1/4 (or above 4) is not on the curve and not covered.

    densities_, importances_: one-dimensional, in (0, 1] and positive. Grade NUMERIC. Raises InputError.

    >>> found = existence([0.05], [0.3, 0.5, 1.0])
    >>> found.exists[found.states.index("aligned"), 0].tolist(), found.upper[0].round(6).tolist()
    ([False, True, True], [0.05048])
    """
    p, weight = (
        np.atleast_1d(densities("densities", densities_)),
        np.atleast_1d(importances("importances", importances_)),
    )
    if p.ndim != 1 or weight.ndim != 1:
        raise InputError(f"densities and importances must be one-dimensional, got shapes {p.shape} and {weight.shape}")
    lower, upper = np.full((len(STATES), len(p)), np.nan), np.full((len(STATES), len(p)), np.nan)
    row = {name: k for k, name in enumerate(STATES)}
    lower[row["only 1"]], upper[row["only 1"]] = 0.0, spinodal(p)
    curve = PairCurve.follow(p)
    for name, k, low, high in curve.stable_pieces():
        lower[row[name], k], upper[row[name], k] = np.exp([low, high])
    for name, other in EXCHANGED.items():
        if name != other:
            with np.errstate(divide="ignore"):
                lower[row[other]], upper[row[other]] = 1 / upper[row[name]], 1 / lower[row[name]]
    inside = (weight > lower[..., None]) & (weight < upper[..., None])
    return Existence(p, weight, STATES, lower, upper, inside)


def pair_states(weights: ArrayLike, bias: ArrayLike, density: ArrayLike) -> Array:
    """Name of the local minimum that each model is, as in `landscape`; 'dead' if an output never fires.

    Only one feature counts as stored if the smaller weight is below a hundredth of the larger. With opposite signs the model is antipodal
    beyond the angle from which on the curve of critical points at its density is stable up to equal weights, else weak.

    weights, bias (..., 2) of models at a minimum; density (...). Grade NUMERIC. Raises InputError.

    >>> pair_states([[1.0, -0.7], [1.0, -0.7]], [[0.1, 0.1], [0.1, 0.1]], [0.1, 0.8]).tolist()
    ['antipodal', 'weak']
    >>> pair_states([[0.4, 1.0], [0.0, 1.0]], [[0.1, 0.1], [-1.0, 0.0]], 0.1).tolist()
    ['aligned exchanged', 'dead']
    """
    w, b, p = real_array("weights", weights), real_array("bias", bias), densities("density", density)
    if w.ndim < 1 or w.shape[-1] != 2 or b.shape != w.shape:
        raise InputError(f"weights and bias must have the same shape (..., 2), got {w.shape} and {b.shape}")
    try:
        p = np.broadcast_to(p, w.shape[:-1])
    except ValueError:
        raise InputError(f"density must broadcast to the models' shape {w.shape[:-1]}, got {p.shape}") from None
    levels, where = np.unique(p, return_inverse=True)
    border = PairCurve.follow(np.maximum(levels, SPARSEST)).border()[where.reshape(p.shape)] if p.size else p
    product, size = w[..., 0] * w[..., 1], np.abs(w)
    small, large = size.min(-1), size.max(-1)
    first = size[..., 0] >= size[..., 1]
    opposite = np.where(np.arctan2(small, large) > border, "antipodal", np.where(first, "weak", "weak exchanged"))
    equal = np.where((b < 0).all(-1), "late", np.where(first, "aligned", "aligned exchanged"))
    both = np.where(product < 0, opposite, equal)
    names = np.where(small > 0.01 * large, both, np.where(first, "only 1", "only 2"))
    fires = (w**2 + np.maximum(product, 0)[..., None] + b > 0).all(-1)
    labels: Array = np.where(fires, names, "dead")
    return labels


def _sought(p: float, weight: float) -> list[Float[Array, " four"]]:
    """Critical points at which both outputs fire and both weights count, by Newton's method from a grid of starts."""
    size, share = np.array([0.1, 0.35, 0.6, 0.85, 1.1, 1.4]), np.array([0.1, 0.4, 0.65, 0.9])
    grid = np.array([z.ravel() for z in np.meshgrid(size, SIDES[:, None] * size, share, share, indexing="ij")]).T
    reach = grid[:, :2] ** 2 + np.maximum(grid[:, 0] * grid[:, 1], 0)[:, None]
    # With weights of opposite sign the row errors have one minimum in the bias: a single small bias will do.
    x = np.concatenate([grid[:, :2], p / 4 - grid[:, 2:] * (p / 4 + reach)], 1)
    x = x[(grid[:, 1] > 0) | (grid[:, 2:] == share[0]).all(1)]
    scale = p * max(1.0, weight)
    found, nudge = [], 1e-10 * scale * np.eye(4)
    for _ in range(40):
        level, importance = np.full(len(x), p), np.full(len(x), weight)
        gradient, hessian = pair_gradient(x, level, importance)[1], pair_hessian(x, level, importance)
        settled = np.abs(gradient).max(1) < 1e-13 * scale
        regular = np.abs(np.linalg.eigvalsh(hessian)).min(1) > 1e-8 * scale
        live = (x[:, :2] ** 2 + np.maximum(x[:, 0] * x[:, 1], 0)[:, None] + x[:, 2:] > 1e-3).all(1)
        live &= (np.abs(x[:, :2]) > 1e-3).all(1) & (np.abs(x).max(1) < 5)
        found += list(x[settled & regular & live])
        go = ~settled & live
        x, gradient, hessian = x[go], gradient[go], hessian[go]
        if not len(x):
            break
        step = -np.linalg.solve(hessian + nudge, gradient[..., None])[..., 0]
        x = x + step * np.minimum(1, 0.15 / np.maximum(np.abs(step).max(1), 1e-300))[:, None]
    distinct: list[Float[Array, " four"]] = []
    for y in found:
        y = y * np.array([np.sign(y[0]), np.sign(y[0]), 1, 1])
        if all(np.abs(y - z).max() > 1e-6 for z in distinct):
            distinct.append(y)
    return distinct


def _found_name(x: Float[Array, " four"], p: float, weight: float) -> str:
    stable = np.linalg.eigvalsh(pair_hessian(x, np.array(p), np.array(weight)))[0] > 0
    sign = "opposite" if x[1] < 0 else ("late" if (x[2:] < 0).all() else "equal")
    if not stable:
        return f"{sign} saddle"
    return str(pair_states(x[:2], x[2:], p))


def _exchange(x: Float[Array, " four"]) -> Float[Array, " four"]:
    """The features exchanged, with the sign that makes the first weight positive."""
    turned: Float[Array, " four"] = x[[1, 0, 3, 2]] * np.array([np.sign(x[1]), np.sign(x[1]), 1, 1])
    return turned


_Described = tuple[str, str, Array, Array, float, Array]


def _described(x: Float[Array, " four"], name: str, p: float, weight: float, swapped: bool) -> _Described:
    level, importance = np.array(p), np.array(weight)
    curvature = np.linalg.eigvalsh(pair_hessian(x, level, importance))
    if x[0] == x[1]:
        curvature = np.full(4, np.nan)  # both biases vanish: a kink
    kind = "saddle" if name.endswith("saddle") else "minimum"
    if swapped and kind == "minimum":
        name = EXCHANGED[name]
    return name, kind, x[:2], x[2:], float(pair_gradient(x, level, importance)[0]), curvature


def _simple_points(p: float, weight: float) -> list[_Described]:
    """The states that store one feature or none, and the flat families."""
    variance, kinked = p / 3 - p**2 / 4, np.full(4, np.nan)
    ends = np.array([float(spinodal(p, sign=sign)) for sign in (-1, 1)])
    kinds = ("minimum", "shoulder", "saddle")
    nothing = np.array([0.0, 0.0, p / 2, p / 2])
    bend = np.linalg.eigvalsh(pair_hessian(nothing, np.array(p), np.array(weight)))
    return [
        ("only 1", kinds[(ends <= weight).sum()], np.array([1.0, 0]), np.array([0, p / 2]), weight * variance, kinked),
        ("only 2", kinds[(ends <= 1 / weight).sum()], np.array([0, 1.0]), np.array([p / 2, 0]), variance, kinked),
        ("nothing", "saddle", nothing[:2], nothing[2:], (1 + weight) * variance, bend),
        ("dead 1", "flat", np.array([0, 1.0]), np.array([-1.0, 0]), p / 3, kinked),
        ("dead 2", "flat", np.array([1.0, 0]), np.array([0, -1.0]), weight * p / 3, kinked),
        ("both dead", "flat", np.zeros(2), np.array([-1.0, -1.0]), (1 + weight) * p / 3, np.zeros(4)),
    ]
