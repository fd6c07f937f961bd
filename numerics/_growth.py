"""Growth: how many almost-orthogonal lines a numerical search finds at a fixed coherence, and rounding of what it finds to integers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from flint import fmpq, fmpz_mat

from ..theory import Grade, InputError, construct, count_bounds
from ..theory._checks import real_array, whole
from ._polish import coherence, normalised
from ._search_packing import lbfgs, search_packing

if TYPE_CHECKING:
    from jaxtyping import Float
    from numpy import ndarray as Array
    from torch import Tensor

    from ..theory.counts import CountBounds

# Coherences in floats above the one asked for by no more than this count as equal to it: optimal sets attain it.
ROUNDING = 1e-12
# Fruitless rounds after which growth ends, when single vectors are tried.
PATIENCE = 10
# Up to this dimension packings of larger counts are searched for as well.
SMALL = 8
# Sets stop growing there: a round computes the products of all pairs a few hundred times.
LARGEST = 4000
# Bits of the coordinates that are tried in rounding.
BITS = range(3, 46)


@dataclass(frozen=True)
class Growth:
    """vectors (count, n), unit rows of coherence at most the cosine up to 1e-12; count; coherence; how they were obtained, in words.
    grade NUMERIC: larger sets may exist, and the count is a lower bound up to rounding only (see `integer_vectors`)."""

    vectors: Float[Array, "count n"]
    count: int
    coherence: float
    how: str
    grade: Grade = Grade.NUMERIC


def grow(n: int, cosine: float, *, seed: int = 0, seconds: float | None = None) -> Growth:
    """A large set of lines through the origin of R^n with |<x, y>| <= cosine, as large as a search by descent finds.

    Starts from the largest set that `count_bounds` can construct. Each round adds random lines, descends Σ max(0, <x, y>² - cosine²)² over
    all, drops greedily the lines that still violate, and keeps what is larger. For n <= 8 `search_packing` then tries larger counts one by
    one. It ends at the certified upper bound, or when nothing more is found.

    1 <= n <= 1000, 0 < cosine < 1. Sets are grown up to 4000 lines, in about `seconds` (60 unless given). The same seed gives the same
    result on one machine unless time ends the search. Grade NUMERIC: floats check the cosine to 1e-12. Raises InputError.

    >>> grow(7, 1 / 3).count, grow(5, 0.1).how
    (28, 'construction, as many as are possible')
    """
    n, seed = whole("n", n, 1), whole("seed", seed, 0)
    if n > 1000:
        raise InputError(f"n must be at most 1000 for growth by descent, got {n}; use count_bounds beyond")
    if isinstance(cosine, bool) or not (isinstance(cosine, int | float) and 0 < cosine < 1):
        raise InputError(f"cosine must be in (0, 1), got {cosine!r}; within d degrees of a right angle it is sin d")
    if seconds is not None and not (isinstance(seconds, int | float) and seconds > 0):
        raise InputError(f"seconds must be a positive number, got {seconds!r}; leave it out for a minute")
    end = time.monotonic() + (60.0 if seconds is None else seconds)
    rng = np.random.default_rng(seed)
    bounds = count_bounds(n, cosine=min(cosine + ROUNDING / 2, (1 + cosine) / 2))
    x, how = _constructed(bounds), "construction"
    if len(x) == bounds.upper:
        how = "construction, as many as are possible"
    more, failures = max(1, n // 4), 0
    while failures < PATIENCE and len(x) < min(LARGEST, bounds.upper) and time.monotonic() < end:
        more = min(more, LARGEST - len(x), bounds.upper - len(x))
        larger = _round(rng, x, cosine, more)
        if len(larger) > len(x):
            more = 2 * more if len(larger) == len(x) + more else max(1, more // 2)
            x, how, failures = larger, "growth by descent", 0
        else:
            failures += more == 1
            more = max(1, more // 2)
    if n <= SMALL:
        for count in range(len(x) + 1, bounds.upper + 1):
            left = end - time.monotonic()
            if left <= 0:
                break
            found = search_packing(n, count, starts=256, seed=seed, seconds=left)
            if found.coherence <= cosine + ROUNDING:
                x, how = found.vectors, "search for packings"
    return Growth(x, len(x), coherence(x, True) if len(x) > 1 else 0.0, how)


def integer_vectors(vectors: Float[Array, "N n"], square: fmpq) -> list[list[int]] | None:
    """Integer vectors along `vectors` with <x, y>² <= square <x, x> <y, y> exactly for all pairs; None if no rounding has that.

    Coordinates are multiplied by 2^3, 2^4, … 2^45 and rounded; the first set that the exact test passes is given. A set whose coherence
    lies below √square by ε is rounded with about log2(√n/ε) bits; one that attains it has coordinates that floats do not tell,
    so its lattice must be known otherwise.

    vectors (N, n): no zero rows. square: a rational in (0, 1). What is given is a certified lower bound N on the number of lines.
    Raises InputError.

    >>> integer_vectors(np.array([[1.0, 0.0], [-0.5, 0.75**0.5], [-0.5, -(0.75**0.5)]]), fmpq(26, 100))
    [[8, 0], [-4, 7], [-4, -7]]
    """
    x = real_array("vectors", vectors)
    if x.ndim != 2 or not len(x) or not np.linalg.norm(x, axis=1).all():
        raise InputError(f"vectors must have shape (N, n) and no zero row, got shape {x.shape}")
    if not (isinstance(square, fmpq) and 0 < square < 1):
        raise InputError(f"square must be a flint.fmpq in (0, 1), got {square!r}")
    x = normalised(x)
    for bits in BITS:
        rounded = np.rint(np.ldexp(x, bits)).astype(np.int64)
        if _holds(rounded, square):
            return [[int(entry) for entry in row] for row in rounded]
    return None


def _holds(rounded: Array, square: fmpq) -> bool:
    """Whether <x, y>² <= square <x, x> <y, y> for all pairs of integer rows, in floats first and then exactly."""
    lengths = np.linalg.norm(rounded, axis=1)
    # The float test only saves time: it refuses what is wrong by far more than its rounding.
    if not lengths.all() or (
        len(rounded) > 1 and coherence(rounded / lengths[:, None], True) > float(square) ** 0.5 + 1e-9
    ):
        return False
    rows = fmpz_mat([[int(entry) for entry in row] for row in rounded])
    products = (rows * rows.transpose()).table()
    p, q = int(square.p), int(square.q)
    norms = [int(row[k]) for k, row in enumerate(products)]
    return all(q * int(products[i][j]) ** 2 <= p * norms[i] * norms[j] for i in range(len(norms)) for j in range(i))


def _constructed(bounds: CountBounds) -> Float[Array, "N n"]:
    """The largest set of at most LARGEST lines among the lower bounds whose proof gives the vectors."""
    best = np.eye(bounds.n)
    for bound in bounds.race:
        if bound.side == "lower" and bound.value is not None and len(best) < bound.value <= LARGEST:
            try:
                code = construct(bound.proof)
            except InputError:  # a proof that a set exists
                continue
            best = code.units(0, code.count)
    return best


def _round(rng: np.random.Generator, x: Float[Array, "N n"], cosine: float, more: int) -> Float[Array, "M n"]:
    """The lines x with `more` random ones, descended to fewer violations and freed of those that are left."""
    added = normalised(rng.standard_normal((more, x.shape[1])))
    # Strictly inside, so that descent, which reaches the boundary from outside, ends within the cosine.
    inside = (cosine * (1 - 1e-6)) ** 2

    def violations(y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        length = y.norm(dim=2, keepdim=True)
        z = y / length
        t = z @ z.mT
        over = (t * t - inside).clamp_min_(0.0)
        over.diagonal(dim1=1, dim2=2).zero_()
        value = (over * over).sum((1, 2)) / 8
        pull = (over * t) @ z
        return value, (pull - (pull * z).sum(2, keepdim=True) * z) / length, value

    start = torch.from_numpy(np.concatenate([x, added]))[None]
    end, _ = lbfgs(violations, start, 400)
    return _pruned(normalised(end[0].numpy()), cosine)


def _pruned(x: Float[Array, "N n"], cosine: float) -> Float[Array, "M n"]:
    """Rows without those that violate |<x, y>| <= cosine: the worst, by the sum of its excesses, goes until none is left."""
    over = np.maximum(np.abs(x @ x.T) - cosine - ROUNDING, 0.0)
    np.fill_diagonal(over, 0.0)
    kept = np.arange(len(x))
    while over.any():
        worst = int(over.sum(1).argmax())
        kept = np.delete(kept, worst)
        over = np.delete(np.delete(over, worst, 0), worst, 1)
    return x[kept]
