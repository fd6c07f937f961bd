"""Inspection: trained models beside the theory: exact loss, distance to the nearest minimum and to the optimum, geometry, phase."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array
from tqdm import tqdm

from ..theory import (
    Features,
    Grade,
    InputError,
    expected_loss,
    feature_dimensionality,
    lower_bound,
    optimal_model,
    pair_phase,
    phase_boundary,
    phase_diagram,
)
from ..theory._checks import whole
from ..theory._descent import descend
from ..theory._law import independent
from ..theory._loss import model_gradient
from ..theory._method import is_exact
from ..theory._vertex import VERTEX_N
from ._basins import settle
from ._classify import classify_geometry
from ._instances import flatten, take
from ._model_file import Models, fit

if TYPE_CHECKING:
    from collections.abc import Callable

# A second weight below this fraction of the first counts as none: trained weights are noisy.
RESOLUTION = 0.1
# Length of the step with which a descent from a column of zeros begins.
NUDGE = 1e-3
# Features with a norm below this fraction of the largest count as dropped, as in `classify_geometry`.
DROPPED = 0.5
# Beyond so many features the optimum is not searched for unless asked.
SEARCHED = 20
# Entries of the inverse Hessians, and models, of one block of descents; evaluations of each at each accuracy.
HESSIAN_ENTRIES, BLOCK, EVALUATIONS = 1 << 25, 1000, 800
# Accuracies of contour sums on the way down, and differences that count, in units of the loss of a model that ignores everything.
ACCURACIES, SAME, ROUGHLY_SAME = (1e-5, 1e-6, 1e-7), 1e-9, 1e-6


@dataclass(frozen=True)
class Inspection:
    """What the theory says of models; every array has the leading axes of models and features. NaN or '': unknown or without meaning.

    loss       exact population loss; ignored: that of a model that ignores everything, Σ_i I_i Var x_i
    nearest    loss of the minimum that descent of the exact loss reaches from the model; converged: whether it did within its
               evaluations, which beyond some 30 features it may not: then the loss it came to
    search     loss that the search for the optimum found; optimum: the lower of it and of all `nearest` on the same features
    geometry, optimum_geometry: in words, see `classify_geometry`
    phase, optimum_phase: the state the model is in and the one it should be in. Two equally dense, independent, uniform features in
               one dimension: that of `pair_phase`, a ratio of weights below 0.1 counting as none stored. Else the geometries.
    boundary   of such pairs, the ratio of the smaller to the larger importance at which the optimum changes, `phase_boundary`;
    ratio      theirs; hysteresis: whether at that ratio storing one and storing both are both local minima, `Boundary.spinodals`
    dimensionality  Σ_i D_i, see `feature_dimensionality`; dimensions_per_feature D* = m / ‖W‖_F²; cosine: the largest |cos| between
               features of at least half the largest norm
    grade      NUMERIC: nothing is proved about lower minima; `lower_bound` is what is
    """

    loss: Float[Array, "*instances"]
    ignored: Float[Array, "*instances"]
    nearest: Float[Array, "*instances"]
    converged: Bool[Array, "*instances"]
    search: Float[Array, "*instances"]
    optimum: Float[Array, "*instances"]
    geometry: Array
    optimum_geometry: Array
    phase: Array
    optimum_phase: Array
    ratio: Float[Array, "*instances"]
    boundary: Float[Array, "*instances"]
    hysteresis: Bool[Array, "*instances"]
    dimensionality: Float[Array, "*instances"]
    dimensions_per_feature: Float[Array, "*instances"]
    cosine: Float[Array, "*instances"]
    m: int
    features: Features = field(repr=False)
    grade: Grade = Grade.NUMERIC

    @property
    def excess(self) -> Float[Array, "*instances"]:
        """loss / optimum - 1 >= 0; NaN where the optimum is zero to rounding. 1 + excess = (1 + unsettled) (1 + trapped)."""
        return _over(self.loss, self.optimum, self.ignored)

    @property
    def unsettled(self) -> Float[Array, "*instances"]:
        """loss / nearest - 1: what training on would gain."""
        return _over(self.loss, self.nearest, self.ignored)

    @property
    def trapped(self) -> Float[Array, "*instances"]:
        """nearest / optimum - 1: what no descent would gain."""
        return _over(self.nearest, self.optimum, self.ignored)

    @property
    def missed(self) -> Bool[Array, "*instances"]:
        """Whether a model of the same features led to a lower minimum than the search found, which then is the optimum."""
        return _missed(self.optimum, self.search, self.ignored, self.features)

    @property
    def agrees(self) -> Bool[Array, "*instances"]:
        """Whether the model is in the phase it should be in."""
        agrees: Bool[Array, "*instances"] = self.phase == self.optimum_phase
        return agrees

    @cached_property
    def lower_bound(self) -> Float[Array, "*instances"]:
        """What every model of these features and dimensions loses at least, grade CERTIFIED; some seconds for each distinct features.

        Raises InputError as `tegum.theory.lower_bound` does: for groups, values that are not uniform, more than 8 features.
        """
        shape = self.loss.shape
        flat = flatten(self.features, shape)
        bounds = np.empty(len(flat.density))
        for which, one in _distinct(flat):
            bounds[which] = lower_bound(one, self.m).value
        return bounds.reshape(shape)

    def rows(self) -> list[dict[str, Any]]:
        """One dictionary per model, in plain types as JSON has them, None for what is unknown; 'index' is its place in the axes."""
        own = [x.name for x in fields(self) if x.name not in ("m", "features", "grade")]
        names = dict.fromkeys(["loss", "excess", "unsettled", "trapped", "missed", "agrees", *own])
        columns: dict[str, Array] = {name: getattr(self, name) for name in names}
        known = {
            "missed": ~np.isnan(self.nearest),
            "converged": ~np.isnan(self.nearest),
            "agrees": ~np.isnan(self.optimum),
            "hysteresis": ~np.isnan(self.ratio),
        }
        everywhere = np.ones(self.loss.shape, bool)
        return [
            {"index": list(at)}
            | {name: _plain(x[at]) if known.get(name, everywhere)[at] else None for name, x in columns.items()}
            for at in np.ndindex(self.loss.shape)
        ]


def inspect_models(
    models: Models,
    features: Features | None = None,
    *,
    search: bool | None = None,
    restarts: int = 16,
    progress: bool = False,
) -> Inspection:
    """Put tied models x' = ReLU(WᵀW x + b), trained here or elsewhere, beside the theory of the features they were trained on.

    The exact loss of each; by descent from there the loss of its nearest minimum; the optimum of its features, searched for once per
    distinct (density, importance). A model that leads lower than the search corrects it, and `Inspection.missed` says so.
    The excess over the optimum is the product of what the model lacks to its minimum and what that minimum lacks to the optimum.
    A model without bias is compared with models that have one.

    models: `load_models(path)`, `Models(weights, bias)`. features: of any law, leading axes broadcasting with those of the models
    (one model may be tried on many densities); those in the file if not given.
    search: whether to compute minima and optima; unless given, for at most 20 features. Loss and geometry are immediate, and the optima
    and phases of pairs nearly. On one core the search takes a second for each distinct features up to n = 8 and some ten for n = 20;
    for n = 80 it is minutes, and descent of one model (m = 20) more than a minute, without converging.
    restarts: random starts of `optimal_model`, none beyond n = 8 where packings make better ones; progress: a bar on stderr.

    Grade NUMERIC. Raises InputError for untied, linear and hidden-ReLU models, and features that are missing or do not fit.

    An antipodal pair of norm 1 without bias loses (1 + I) p²/6; at p = 0.1, I = 1 that is 1/300, 0.4 % above the optimum:

    >>> found = inspect_models(Models([[1.0, -1.0]], [0.0, 0.0]), Features(0.1, n=2))
    >>> round(float(found.loss), 12), round(float(found.excess), 4), found.phase.item(), found.optimum_phase.item()
    (0.003333333333, 0.0042, 'antipodal', 'antipodal')
    """
    features = models.features if features is None else features
    if features is None:
        raise InputError(
            "features must be given: the file does not say what the models were trained on; give densities"
        )
    shape, m, n = fit(features, models), models.m, models.n
    if models.model != "relu":
        raise InputError(
            f"models must be tied with ReLU outputs, x' = ReLU(WᵀW x + b), got {models.model!r}; see "
            "tegum.theory.rectified_loss and linear_loss for the exact loss of others"
        )
    restarts = whole("restarts", restarts, 0)
    searched = n <= SEARCHED if search is None else search
    flat = flatten(features, shape)
    k = len(flat.density)
    w = np.broadcast_to(models.weights, (*shape, m, n)).reshape(k, m, n)
    b = np.broadcast_to(models.bias, (*shape, n)).reshape(k, n)
    ignored = (flat.importance * flat.variance).sum(1)
    loss = _losses(w, b, flat)
    found, best = np.full(k, np.nan), np.full(w.shape, np.nan)
    pair = (flat.density == flat.density[:, :1]).all(1) & ((n, m) == (2, 1)) & (flat.law == independent(n))
    ratio, boundary, hysteresis = np.full(k, np.nan), np.full(k, np.nan), np.zeros(k, bool)
    if pair.any():
        theory = _pair_theory(flat.density[pair, 0], flat.importance[pair])
        found[pair], best[pair, 0], ratio[pair], boundary[pair], hysteresis[pair] = theory
    optimum, nearest, converged = found.copy(), np.full(k, np.nan), np.zeros(k, bool)
    if searched:
        groups = _distinct(flat)
        # Without random starts the search beyond VERTEX_N features has only packings to begin with, which other laws lack.
        packings_only = n > VERTEX_N and flat.law == independent(n)
        with tqdm(total=k + len(groups), desc=f"minima of {k} models", disable=not progress) as bar:
            end_w, end_b, converged = _settled(w, b, flat, pair, bar.update)
            end = _losses(end_w, end_b, flat)
            nearest = np.minimum(loss, end)
            lower = np.where((end < loss)[:, None, None], end_w, w)
            for which, one in groups:
                if np.isnan(found[which[0]]):
                    reference = optimal_model(one, m, restarts=0 if packings_only else restarts)
                    found[which], best[which] = reference.loss, reference.weights
                champion = which[nearest[which].argmin()]
                optimum[which] = min(found[champion], nearest[champion])
                if _missed(optimum, found, ignored, flat)[champion]:
                    best[which] = lower[champion]
                bar.update()
    geometry, phase = _described(w, pair)
    best_geometry, best_phase = _described(best, pair)
    square = (w**2).sum(1)
    columns = {
        "loss": loss,
        "ignored": ignored,
        "nearest": nearest,
        "converged": converged,
        "search": found,
        "optimum": optimum,
        "geometry": geometry,
        "optimum_geometry": best_geometry,
        "phase": phase,
        "optimum_phase": best_phase,
        "ratio": ratio,
        "boundary": boundary,
        "hysteresis": hysteresis,
        "dimensionality": feature_dimensionality(w).sum(-1),
        "dimensions_per_feature": m / np.where(square.any(1), square.sum(1), np.nan),
        "cosine": _largest_cosine(w, square),
    }
    return Inspection(**{name: x.reshape(shape) for name, x in columns.items()}, m=m, features=features)


def _pair_theory(density: Float[Array, " k"], importance: Float[Array, "k 2"]) -> tuple[Array, ...]:
    """Of pairs: loss and weights (k, 2) of the optimum, ratio of importances <= 1, its boundary, and whether both sides are stable."""
    ratio = importance[:, 1] / importance[:, 0]
    small = np.minimum(ratio, 1 / ratio)
    levels, at = np.unique(density, return_inverse=True)
    loss, weights = np.empty(len(density)), np.empty((len(density), 2))
    for level in range(len(levels)):
        part = np.flatnonzero(at == level)
        ratios, column = np.unique(ratio[part], return_inverse=True)
        diagram = phase_diagram(levels[[level]], ratios)
        loss[part] = diagram.loss[0, column] * importance[part, 0]
        weights[part] = diagram.weights[0, column]
    edge = phase_boundary(levels)
    least, most = edge.spinodals[at].T
    return loss, weights, small, edge.importance[at], (least < most) & (least <= small) & (small <= most)


def _settled(
    w: Float[Array, "k m n"],
    b: Float[Array, "k n"],
    features: Features,
    pair: Bool[Array, " k"],
    advance: Callable[[int], object],
) -> tuple[Float[Array, "k m n"], Float[Array, "k n"], Bool[Array, " k"]]:
    """Where descent of the exact loss comes to from each model, on its own features (k, n), and whether it ended there."""
    (m, n), exact = w.shape[1:], is_exact(features.law)
    w, b, converged = w.copy(), b.copy(), np.ones(len(w), bool)
    if pair.any():
        ratio = features.importance[pair, 1] / features.importance[pair, 0]
        ends = settle(w[pair, 0], b[pair], features.density[pair, 0], ratio)[1]
        w[pair, 0], b[pair] = ends[:, :2], ends[:, 2:]
        advance(int(pair.sum()))
    worth = features.importance * features.variance
    unit = worth.sum(1)
    # Columns scaled with the root of their importance make the Hessian even.
    stretch = np.sqrt(worth / worth.max(1, keepdims=True) + 0.01)
    size = max(1, min(BLOCK, HESSIAN_ENTRIES // ((m + 1) * n) ** 2))
    others = np.flatnonzero(~pair)
    # A column of zeros is a saddle, with a bias of zero also at the kink of the ReLU: there the gradient says nothing of the way down.
    # Where the bias is negative the output is dead and stays so.
    still = ~w.any(1) & (b >= 0) & ~pair[:, None]
    nudge = NUDGE * np.random.default_rng(0).standard_normal((m + 1, n))
    w += np.where(still[:, None], nudge[:m], 0.0)
    b += np.where(still, np.abs(nudge[m]), 0.0)
    for start in range(0, len(others), size):
        block = others[start : start + size]

        x = (np.concatenate([w[block], b[block][:, None]], 1) * stretch[block][:, None]).reshape(len(block), -1)
        # A digit at a time: far from the minimum a contour sum need not be accurate.
        for accuracy in (0.0,) if exact else ACCURACIES:

            def objective(
                x: Array, which: Array, block: Array = block, accuracy: float = accuracy
            ) -> tuple[Array, Array]:
                row = block[which]
                scale, whole = stretch[row][:, None], unit[row, None]
                y = x.reshape(-1, m + 1, n) / scale
                part = take(features, row)
                loss, d_weights, d_bias = model_gradient(y[:, :m], y[:, m], part, accuracy * whole)
                gradient = np.concatenate([d_weights, d_bias[:, None]], 1) / scale
                return loss / unit[row], gradient.reshape(len(x), -1) / whole

            tolerance, noise = (1e-10, 1e-17) if exact else (10 * accuracy, accuracy)
            end = descend(objective, x, tolerance=tolerance, evaluations=EVALUATIONS, noise=noise)
            x = end.point
        converged[block] = end.converged
        y = x.reshape(-1, m + 1, n) / stretch[block][:, None]
        w[block], b[block] = y[:, :m], y[:, m]
        advance(len(block))
    return w, b, converged


def _losses(w: Float[Array, "k m n"], b: Float[Array, "k n"], features: Features) -> Float[Array, " k"]:
    """Exact losses of models on their own features (k, n), to 1e-6 of what ignoring everything costs or better."""
    atol = 1e-9 * max(1.0, float(features.importance.sum(1).max()))
    if not is_exact(features.law):
        atol = min(atol, 1e-6 * float((features.importance * features.variance).sum(1).min()))
    return expected_loss(w, b, features, atol=atol)


def _missed(optimum: Array, search: Array, ignored: Array, features: Features) -> Bool[Array, "*instances"]:
    """Whether the optimum is lower than the search found, beyond what sums and descents resolve."""
    missed: Array = optimum < search - (SAME if is_exact(features.law) else ROUGHLY_SAME) * ignored
    return missed


def _described(w: Float[Array, "k m n"], pair: Bool[Array, " k"]) -> tuple[Array, Array]:
    """Geometry and phase in words; '' where the weights are NaN."""
    known = ~np.isnan(w[:, 0, 0])
    geometry = np.full(len(w), "", dtype=object)
    if known.any():
        geometry[known] = classify_geometry(w[known]).words
    phase = geometry.copy()
    largest = np.abs(w).max((1, 2))
    pair = pair & (largest > 0)  # a pair that stores nothing has no phase: its geometry says so
    if pair.any():
        phase[pair] = pair_phase(w[pair, 0] / largest[pair, None], resolution=RESOLUTION)
    return geometry.astype(str), phase.astype(str)


def _largest_cosine(w: Float[Array, "k m n"], square: Float[Array, "k n"]) -> Float[Array, " k"]:
    """Largest |cos| between features that are stored; NaN where fewer than two are."""
    stored = (square > DROPPED**2 * square.max(1, keepdims=True)) & (square > 0)
    unit = w / np.sqrt(np.where(stored, square, 1.0))[:, None]
    cosine = np.abs(np.swapaxes(unit, 1, 2) @ unit)
    both = stored[:, :, None] & stored[:, None] & ~np.eye(w.shape[2], dtype=bool)
    largest: Array = np.where(both, cosine, -1.0).max((1, 2))
    return np.where(largest < 0, np.nan, np.minimum(largest, 1.0))


def _distinct(features: Features) -> list[tuple[Array, Features]]:
    """The distinct instances of features (k, n), each with the positions at which it occurs."""
    both = np.concatenate([features.density, features.importance], axis=1)
    _, first, inverse = np.unique(both, axis=0, return_index=True, return_inverse=True)
    order = np.split(np.argsort(inverse, kind="stable"), np.cumsum(np.bincount(inverse))[:-1])
    return [(which, take(features, int(at))) for which, at in zip(order, first, strict=True)]


def _over(loss: Array, least: Array, ignored: Array) -> Float[Array, "*instances"]:
    """loss / least - 1, NaN where the least is zero to rounding."""
    ratio: Array = loss / np.where(least > SAME * ignored, least, np.nan) - 1
    return ratio


def _plain(value: Any) -> float | bool | str | None:
    """A number, truth or word as JSON has it: None for NaN and ''."""
    plain = value.item()
    return None if plain == "" or plain != plain else plain
