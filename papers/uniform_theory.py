"""Theory of uniform superposition, n = 400 and m = 30: `python -m tegum.papers.uniform_theory`, some ten minutes on one core.

Writes runs/uniform_theory.json of the checkout. Equal features of density p, importance 1. By tegum additivity a product of blocks, f of
them with k features in d dimensions, loses Σ f ℓ(k, d; p) + dropped · v, v = p/3 - p²/4: the best mixture of the blocks of `BLOCKS` is a
linear program. A tight frame of ρ features per dimension in infinitely many dimensions is the other limit, `dense_limit`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linprog, minimize
from scipy.special import ndtr
from tqdm import tqdm

from ..theory import Features, expected_loss
from ..theory._descent import descend
from ..theory._loss import model_gradient
from ._evidence import provenance
from ._lab import STORED, Run, save_run

if TYPE_CHECKING:
    from jaxtyping import Float
    from numpy import ndarray as Array

# The densities of the preset uniform-400-30, increasing.
DENSITIES = 30.0 ** (np.arange(-39, 1) / 39)
FEATURES, DIMENSIONS = 400, 30
# Features and dimensions of the blocks, in the order in which they are searched: each grows out of the one before it in its dimensions.
BLOCKS = (
    *((1, 1), (2, 1), (3, 2), (5, 2), (6, 2)),
    *((4, 3), (7, 3), (8, 3), (9, 3), (10, 3), (11, 3), (12, 3)),
    *((5, 4), (8, 4), (10, 4), (11, 4), (12, 4), (13, 4), (14, 4), (16, 4), (18, 4)),
    *((16, 5), (17, 5), (20, 5), (22, 5), (27, 5)),
    *((20, 6), (26, 6)),
)
# More than EXACT features cost contour sums: such blocks are searched below density SPARSE, where more than two features share a dimension.
EXACT, SPARSE = 8, 0.2
# Random starts per block and density, and norm and bias of what they start from.
STARTS, NORM, BIAS = {True: 16, False: 3}, 1.1, -0.2
# Accuracy of contour sums and slope at a minimum, in units of the loss of dropping a feature; evaluations per descent.
ACCURACY, SLOPE, EVALUATIONS = 1e-6, 1e-5, 120
# What a start from a neighbouring density must gain, in the same units, to be passed on.
GAIN = 1e-5
# Gauss-Legendre nodes for the mean over the value of a feature: the integrand is smooth over the width of the interference.
NODES, WEIGHTS = np.polynomial.legendre.leggauss(64)


def variance(density: Float[Array, " P"]) -> Float[Array, " P"]:
    """v = p/3 - p²/4, the loss of a dropped feature."""
    v: Float[Array, " P"] = density / 3 - density**2 / 4
    return v


@dataclass(frozen=True)
class Mixture:
    """The best mixture of blocks: how many of each (P, B), features dropped (P,), loss (P,), and D* = m/‖W‖_F² (P,)."""

    count: Float[Array, "P B"]
    dropped: Float[Array, " P"]
    loss: Float[Array, " P"]
    dimensions_per_feature: Float[Array, " P"]


def best_mixture(data: dict[str, Array], n: int, m: int) -> Mixture:
    """min Σ f ℓ + dropped v subject to Σ k f + dropped = n, Σ d f <= m, f, dropped >= 0, at every density of `data`.

    data: density (P,), block (B, 2), loss (P, B), norm (P, B) as `block_run` makes them. f need not be whole: an upper bound of what
    products of these blocks lose in the limit of many dimensions, and within a block of it for finite ones. Grade NUMERIC.
    """
    k, d = np.asarray(data["block"], float).T
    v = variance(data["density"])
    rows = []
    for loss, drop in zip(data["loss"], v, strict=True):
        cost = np.append(loss, drop) / drop
        found = linprog(cost, A_ub=[np.append(d, 0.0)], b_ub=[m], A_eq=[np.append(k, 1.0)], b_eq=[n], method="highs")
        rows.append(np.append(found.x, found.fun * drop))
    x = np.array(rows)
    count = x[:, :-2]
    return Mixture(count, x[:, -2], x[:, -1], m / (count * data["norm"]).sum(1))


@dataclass(frozen=True)
class DenseLimit:
    """Tight frames in the limit d → ∞: features per dimension ρ, squared norm g, bias b, gain per dimension ρ (v - ℓ), and D* = 1/(ρ g)."""

    per_dimension: Float[Array, " P"]
    square: Float[Array, " P"]
    bias: Float[Array, " P"]
    gain: Float[Array, " P"]
    dimensions_per_feature: Float[Array, " P"]


def dense_loss(per_dimension: float, square: float, bias: float, density: float) -> float:
    """ℓ of one feature in a tight frame of ρ features of squared norm g per dimension, d → ∞.

    WWᵀ = ρ g 1 gives Σ_{j≠i} G_ij² = ρ g² - g²: the interference on an output is Gaussian with variance σ² = g² (ρ - 1) v, its mean is part
    of the bias, and ℓ = (1-p) E ReLU(b + σξ)² + p E_u E_ξ (u - ReLU(g u + b + σξ))² with the normal moments of ReLU,
    E ReLU(μ + σξ) = μ Φ(μ/σ) + σ φ(μ/σ), E ReLU(μ + σξ)² = (μ² + σ²) Φ(μ/σ) + μ σ φ(μ/σ). The fourth moments of the Gram entries must
    vanish against the second (Lindeberg), as those of random frames do. Grade NUMERIC.
    """
    sigma = square * np.sqrt((per_dimension - 1) * float(variance(np.array(density))))
    u = np.append((1 + NODES) / 2, 0.0)
    weight = np.append(density * WEIGHTS / 2, 1 - density)
    mean = square * u + bias
    z = mean / sigma
    bell = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    first, second = mean * ndtr(z) + sigma * bell, (mean**2 + sigma**2) * ndtr(z) + mean * sigma * bell
    return float((weight * (u**2 - 2 * u * first + second)).sum())


def dense_limit(density: Float[Array, " P"], most: float = FEATURES / DIMENSIONS) -> DenseLimit:
    """The tight frames of largest gain per dimension, ρ <= `most`; by Nelder-Mead from a few ρ. Grade NUMERIC."""
    rows = []
    for p, v in zip(density, variance(density), strict=True):

        def loss(x: Float[Array, " 3"], p: float = float(p), v: float = float(v)) -> float:
            rho = 1 + (most - 1) / (1 + np.exp(-x[0]))
            return float(rho * (dense_loss(rho, float(np.exp(x[1])), x[2], p) / v - 1))

        starts = [np.array([np.log(s / (1 - s)), 0.1, -0.3 * np.sqrt(p)]) for s in (0.05, 0.2, 0.5)]
        tight = {"xatol": 1e-9, "fatol": 1e-13, "maxiter": 4000}
        found = min((minimize(loss, s, method="Nelder-Mead", options=tight) for s in starts), key=lambda f: f.fun)
        rho, g = 1 + (most - 1) / (1 + np.exp(-found.x[0])), np.exp(found.x[1])
        rows.append((rho, g, found.x[2], -found.fun * v, 1 / (rho * g)))
    return DenseLimit(*np.array(rows).T)


def predicted(data: dict[str, Array], n: int, m: int) -> tuple[Float[Array, " P"], Float[Array, " P"]]:
    """Loss and D* of the better of the best mixture of blocks and the dense limit, whose loss is n v minus m gains; grade NUMERIC.

    The mixture's loss is that of models, the limit's is what many dimensions tend to.
    """
    mixture = best_mixture(data, n, m)
    limit = n * variance(data["density"]) - m * data["dense_gain"]
    dense = 1 / (data["dense_per_dimension"] * data["dense_square"])
    return np.minimum(mixture.loss, limit), np.where(limit < mixture.loss, dense, mixture.dimensions_per_feature)


def block_losses(
    k: int, d: int, density: Float[Array, " P"], smaller: Float[Array, "P d j"] | None, seed: int = 0
) -> tuple[Float[Array, " P"], Float[Array, "P d k"]]:
    """ℓ(k, d; p) at increasing densities and the weights that attain it: the lowest of descents from random directions, from the weights of
    a smaller block with random ones added, and then from the minima of neighbouring densities until that brings nothing. Grade NUMERIC."""
    count, rng = len(density), np.random.default_rng([seed, k, d])
    starts = []
    for trial in range(STARTS[k <= EXACT]):
        w = rng.standard_normal((count, d, k))
        w *= NORM / np.linalg.norm(w, axis=1, keepdims=True)
        if smaller is not None and trial % 3 == 0:
            w[:, :, : smaller.shape[2]] = smaller
        starts.append(np.concatenate([w.reshape(count, -1), np.full((count, k), BIAS)], axis=1))
    points, where = np.concatenate(starts), np.tile(np.arange(count), len(starts))
    best, value = np.zeros((count, (d + 1) * k)), np.full(count, np.inf)
    while len(points):
        ends, losses = _descend(points, density[where], k, d)
        moved = []
        for i in np.unique(where):
            mine = np.flatnonzero(where == i)
            low = mine[losses[mine].argmin()]
            if losses[low] < value[i] - GAIN:
                moved.append(i)
            if losses[low] < value[i]:
                best[i], value[i] = ends[low], losses[low]
        pairs = [(i, j) for i in moved for j in (i - 1, i + 1) if 0 <= j < count]
        points, where = best[[i for i, _ in pairs]], np.array([j for _, j in pairs], int)
    weights, bias = best[:, : d * k].reshape(count, d, k), best[:, d * k :]
    accuracy = 1e-9 * k * float(variance(density).min())
    return expected_loss(weights, bias, Features(density[:, None], n=k), atol=accuracy), weights


def _descend(
    start: Float[Array, "b x"], density: Float[Array, " b"], k: int, d: int
) -> tuple[Float[Array, "b x"], Float[Array, " b"]]:
    """End points and losses in units of the loss of dropping one feature."""
    unit = variance(density)

    def objective(x: Float[Array, "c x"], which: Array) -> tuple[Array, Array]:
        w, b = x[:, : d * k].reshape(-1, d, k), x[:, d * k :]
        part = Features(density[which, None], n=k)
        loss, d_weights, d_bias = model_gradient(w, b, part, ACCURACY * float(unit[which].min()))
        gradient = np.concatenate([d_weights.reshape(len(x), -1), d_bias], axis=1)
        return loss / unit[which], gradient / unit[which, None]

    noise = 1e-12 if k <= EXACT else ACCURACY
    found = descend(objective, start, tolerance=SLOPE, evaluations=EVALUATIONS, noise=noise)
    return found.point, found.value


def block_run(*, progress: bool = False) -> Run:
    """density (P,), block (B, 2) of (k, d), loss (P, B), norm (P, B) = ‖W‖_F² of a block, and the dense limit.

    Where a block is not searched (`SPARSE`) its features count as dropped, which loses k v.
    """
    p = DENSITIES
    sizes = np.array(BLOCKS)
    loss, norm = variance(p)[:, None] * sizes[:, 0], np.zeros((len(p), len(BLOCKS)))
    grown: dict[int, Array] = {}
    for c, (k, d) in enumerate(tqdm(BLOCKS, disable=not progress, desc="blocks")):
        low = p < SPARSE if k > EXACT else p <= 1
        found, weights = block_losses(k, d, p[low], grown[d][low] if d in grown else None)
        loss[low, c], norm[low, c] = found, (weights**2).sum((1, 2))
        grown[d] = np.zeros((len(p), d, k))
        grown[d][low] = weights
    dense = dense_limit(p)
    data = {
        "density": p,
        "block": sizes,
        "loss": loss,
        "norm": norm,
        "dense_gain": dense.gain,
        "dense_per_dimension": dense.per_dimension,
        "dense_square": dense.square,
        "dense_bias": dense.bias,
    }
    return Run("uniform_theory", data, provenance("python -m tegum.papers.uniform_theory"))


if __name__ == "__main__":
    save_run(STORED / "uniform_theory.json", block_run(progress=True))
