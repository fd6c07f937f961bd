"""Random codes: angles of all pairs and the largest |cosine|, sampled and put beside the exact laws of `tegum.theory.counts`.

Cosines of pairs are not independent of each other, only pairwise so (statement 1 of `_angles`). What is compared therefore uses second
moments alone: fractions have the variance p (1 - p)/M with M = N (N - 1)/2 pairs, exactly, and the distance of the distributions has the
critical value below, whatever the joint law. The largest |cosine| of a repeat is independent of those of the others.

**Critical value of the distance.** Let S_k be the error of the fraction of pairs up to edge k = 0 .. 2^L. It is a sum of the errors
of disjoint dyadic blocks of bins, at most one from each level, each the first half of a block of the level above (or all, for k = 2^L). By
Minkowski's inequality the root of E max S_k² is at most the sum over levels of the root of Σ_blocks p (1 - p)/M, and Markov's inequality
gives the value that is exceeded with probability at most α: that sum / √α.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray as Array

from ..theory import InputError
from ..theory._checks import whole
from ..theory._grade import Grade
from ..theory.counts import AngleLaw, extreme_angle, extreme_limit

# Bins of the histogram of |cos|, 2^L of equal width; what is larger is counted as beyond the last edge.
BINS = 128
# Width of the histogram in standard deviations 1/√n of a cosine.
REACH = 5.0
# Vectors per block, of the generator and of the products.
ROWS = 2048
# Entries of a code that are held at a time, in single precision 4 GiB.
LARGEST = 2**30
# Dimension up to which products are taken in double precision: the largest |cos| may be close to 1, where its law is steep.
LOW = 32
# Probability of a false alarm of the critical values.
LEVEL = 0.01


@dataclass(frozen=True)
class RandomCode:
    """`count` independent random vectors with the given law, made block by block; block k depends on the seed and k alone."""

    law: AngleLaw
    count: int
    seed: int

    @property
    def norm(self) -> float:
        """Length of the vectors that `block` gives: 1 for the uniform law, √s for s entries ±1."""
        return 1.0 if self.law.weight is None else math.sqrt(self.law.weight)

    def block(self, k: int) -> Array:
        """Vectors k ROWS .. (k + 1) ROWS - 1, as rows: float64 of length 1 (uniform), or int8 with entries -1, 0, 1."""
        rows, n, s = min(ROWS, self.count - whole("k", k, 0) * ROWS), self.law.n, self.law.weight
        if rows <= 0:
            raise InputError(f"k must be below {-(-self.count // ROWS)}, the number of blocks, got {k}")
        rng = np.random.default_rng([self.seed, k])
        if s is None:
            x: Float[Array, "rows n"] = rng.standard_normal((rows, n))
            x /= np.linalg.norm(x, axis=1, keepdims=True)
            return x
        signs = 2 * rng.integers(0, 2, (rows, s), np.int8) - 1
        if s == n:
            return signs
        places = np.argpartition(rng.random((rows, n)), s - 1, axis=1)[:, :s]
        out = np.zeros((rows, n), np.int8)
        np.put_along_axis(out, places, signs, 1)
        return out

    def blocks(self) -> Iterator[Array]:
        """All blocks in turn; no more than one is held."""
        return (self.block(k) for k in range(-(-self.count // ROWS)))

    def vectors(self) -> Float[Array, "count n"]:
        """All vectors at unit length, float64. InputError beyond 2^30 entries: use `blocks`."""
        _affordable(self.count, self.law.n)
        return np.concatenate([block / self.norm for block in self.blocks()])


@dataclass(frozen=True)
class AngleExperiment:
    """Pairwise angles of `repeats` codes of `count` vectors. Grade SAMPLED; `against` puts it beside a law.

    edges (bins + 1,) of |cos|, from 0; for ±1 vectors half-way between the possible values. counts (repeats, bins): pairs in each bin.
    extreme (repeats,): the largest |cos|, of ±1 vectors without error, else to 1e-6 (n > 32) or 1e-15. mean_square (repeats,): mean of
    cos² over all pairs.
    """

    law: AngleLaw
    count: int
    seed: int
    edges: Float[Array, " edges"]
    counts: Int[Array, "repeats bins"]
    extreme: Float[Array, " repeats"]
    mean_square: Float[Array, " repeats"]
    grade: Grade = Grade.SAMPLED

    @property
    def pairs(self) -> int:
        """Pairs of vectors in one code."""
        return self.count * (self.count - 1) // 2

    def against(self, law: AngleLaw) -> AngleComparison:
        """The experiment beside what `law` says, its own or another as a control."""
        trials = self.pairs * len(self.extreme)
        within = np.array([1 - float(law.tail(edge)) for edge in self.edges])
        # The first bin holds the pairs with cos = 0.
        within[0] = 0.0
        excess = np.cumsum(self.counts.sum(0)) / trials - within[1:]
        # Where the law leaves no doubt, one pair that contradicts it is a score of 1 or more.
        error = np.maximum(np.sqrt(within * (1 - within) / trials), 1 / trials)[1:]
        mean, variance = (float(x.p) / float(x.q) for x in law.square_moments)
        return AngleComparison(
            law=law,
            distance=float(np.abs(excess).max()),
            critical=critical_distance(np.diff(within), trials),
            scores=excess / error,
            square_score=float((self.mean_square.mean() - mean) / math.sqrt(variance / trials)) if variance else 0.0,
            extreme=np.array([self._extreme(law, c) for c in self.extreme]),
        )

    def limit_distance(self, regime: str) -> float:
        """Kolmogorov-Smirnov distance of the largest |cos| of the repeats from the limit law `extreme_limit` of the regime."""
        chances = np.array([extreme_limit(self.law.n, self.count, float(c), regime) for c in self.extreme])
        return _from_uniform(chances, chances)

    def _extreme(self, law: AngleLaw, c: float) -> tuple[float, float]:
        s = self.law.weight
        at = below = Fraction(c)
        if s is not None:
            at = Fraction(round(c * s), s)
            below = at - Fraction(1, 2 * s)
        low = float(extreme_angle(law, self.count, below).lower) if below >= 0 else 0.0
        return low, float(extreme_angle(law, self.count, at).upper)


@dataclass(frozen=True)
class AngleComparison:
    """An experiment beside a law.

    distance: largest |sampled - exact| distribution function of |cos| over the edges (Kolmogorov-Smirnov), all codes together;
    critical: what it exceeds with probability at most LEVEL if the law is right, proved from pairwise independence alone.
    scores (bins,): error of the fraction of pairs up to each edge in its exact standard errors; so `square_score` for the mean of cos².
    A score beyond k has probability at most 1/k².
    extreme (repeats, 2): bounds on P(max |cos| < observed) and P(max |cos| <= observed); between them lies a uniform variable if the law
    is right.
    """

    law: AngleLaw
    distance: float
    critical: float
    scores: Float[Array, " bins"]
    square_score: float
    extreme: Float[Array, "repeats 2"]

    @property
    def extreme_distance(self) -> float:
        """Least Kolmogorov-Smirnov distance from uniform of any numbers between the bounds of `extreme`, over the repeats."""
        return _from_uniform(*self.extreme.T)

    @property
    def extreme_critical(self) -> float:
        """What `extreme_distance` exceeds with probability at most LEVEL: √(log(2/LEVEL)/(2 repeats)), Massart 1990."""
        return math.sqrt(math.log(2 / LEVEL) / (2 * len(self.extreme)))


def random_code(n: int, count: int, *, kind: str = "uniform", sparsity: int | None = None, seed: int = 0) -> RandomCode:
    """`count` independent random vectors in R^n: uniform on the sphere, random signs, or `sparsity` random signs at random places.

    Nothing is made before it is asked for, so count may be in the millions. Raises InputError for arguments out of range.

    >>> code = random_code(64, 5000, kind="sparse", sparsity=4, seed=1)
    >>> code.vectors().shape, [len(block) for block in code.blocks()], float((code.vectors() ** 2).sum())
    ((5000, 64), [2048, 2048, 904], 5000.0)
    """
    return RandomCode(AngleLaw(n, kind, sparsity), whole("count", count, 1), whole("seed", seed, 0))


def angle_experiment(
    n: int,
    count: int,
    *,
    kind: str = "uniform",
    sparsity: int | None = None,
    repeats: int = 1,
    seed: int = 0,
    device: str = "cpu",
) -> AngleExperiment:
    """Histogram of |cos| over all pairs and its extreme, of `repeats` random codes: blocked products in single precision.

    Inner products of ±1 vectors are exact integers. n, count as for `random_code`, count >= 2, at most 2^30 entries n count; n count²/2
    operations a repeat. Raises InputError for arguments out of range.

    >>> found = angle_experiment(100, 300, repeats=4, seed=0).against(AngleLaw(100))
    >>> found.distance < found.critical
    True
    """
    law = random_code(n, whole("count", count, 2), kind=kind, sparsity=sparsity).law
    _affordable(count, n)
    seeds = np.random.SeedSequence(whole("seed", seed, 0)).generate_state(whole("repeats", repeats, 1), np.uint64)
    s = law.weight
    # In units of 1/s for ±1 vectors, of 1 otherwise: the bins start at `low` and are `width` wide, low = 0 standing for |cos| = 0.
    width, low = REACH / math.sqrt(n) / BINS, 0.0
    if s is not None:
        width, low = float(math.ceil(width * s)), -0.5
    elif width * BINS > 1:
        width = 1 / BINS
    histogram = (BINS, low, low + width * BINS)
    edges = np.maximum(low + width * np.arange(BINS + 1), 0) / (s or 1)
    dtype = torch.float64 if n <= LOW else torch.float32
    counts, extremes, squares = [], [], []
    for seed_of_code in seeds:
        code = RandomCode(law, count, int(seed_of_code))
        x = torch.cat([torch.from_numpy(block).to(device, dtype) for block in code.blocks()])
        bins, extreme = _pairs(x, histogram, s or 1)
        counts.append(bins)
        extremes.append(extreme / (s or 1))
        squares.append(_mean_square(x) / (s or 1) ** 2)
    # Edges past 1 add nothing: all pairs are below them.
    return AngleExperiment(
        law, count, seed, np.minimum(edges, 1), np.array(counts), np.array(extremes), np.array(squares)
    )


def critical_distance(probabilities: Float[Array, " bins"], pairs: int) -> float:
    """The value that the distance at the edges of these bins exceeds with probability at most LEVEL, of pairwise independent `pairs`.

    Σ_levels √(Σ_blocks p (1 - p)) / √(pairs LEVEL), as above; the number of bins is a power of two. Grade NUMERIC.

    One bin of probability 1/2 is Chebyshev's inequality:

    >>> critical_distance(np.array([0.5]), 10_000)
    0.05
    """
    blocks, total = probabilities, 0.0
    while len(blocks) > 1:
        total += math.sqrt((blocks[::2] * (1 - blocks[::2])).sum())
        blocks = blocks[::2] + blocks[1::2]
    total += math.sqrt(max((blocks * (1 - blocks)).sum(), 0.0))
    return total / math.sqrt(pairs * LEVEL)


def _from_uniform(low: Float[Array, " repeats"], high: Float[Array, " repeats"]) -> float:
    """A lower bound, equal if low = high, of the Kolmogorov-Smirnov distance from uniform of numbers between `low` and `high`."""
    steps = np.arange(len(low) + 1) / len(low)
    return float(max((steps[1:] - np.sort(high)).max(), (np.sort(low) - steps[:-1]).max(), 0.0))


def _pairs(x: torch.Tensor, histogram: tuple[int, float, float], top: int) -> tuple[Int[Array, " bins"], float]:
    """Histogram of |products| over all pairs of rows, and their largest; no product is larger than `top` but by rounding."""
    bins, low, high = histogram
    counts = torch.zeros(bins, dtype=torch.float64, device=x.device)
    extreme = torch.zeros((), dtype=x.dtype, device=x.device)
    parts = [x[k : k + ROWS] for k in range(0, len(x), ROWS)]
    for i, left in enumerate(parts):
        for j in range(i, len(parts)):
            products = (left @ parts[j].T).abs_().clamp_(max=top)
            if i == j:
                # Pairs once, and no vector with itself; the zeros put in their place go to the first bin and are taken out again.
                products.triu_(1)
                counts[0] -= len(left) * (len(left) + 1) / 2
            # At most ROWS² < 2^24 per bin: single precision counts exactly.
            counts += torch.histc(products, bins, low, high)
            extreme = torch.maximum(extreme, products.max())
    return counts.round().to(torch.int64).cpu().numpy(), float(extreme)


def _mean_square(x: torch.Tensor) -> float:
    """Mean of <x_i, x_j>² over pairs, from the smaller of the two Gram matrices: |XᵀX|² = Σ_ij <x_i, x_j>²."""
    count, n = x.shape
    x = x.double()
    gram = x.T @ x if n < count else x @ x.T
    own = (x * x).sum(1).square().sum()
    return float((gram.square().sum() - own) / (count * (count - 1)))


def _affordable(count: int, n: int) -> None:
    if count * n > LARGEST:
        raise InputError(
            f"count = {count} vectors in R^{n} have more than 2^30 entries; take fewer, or `random_code(...).blocks()`"
        )
