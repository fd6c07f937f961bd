"""Search for packings: unit vectors whose largest inner product is as small as possible, from many starts at once."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray as Array
from torch import Tensor
from tqdm import tqdm

from ..theory import Grade, InputError, best_angle, construct
from ..theory._checks import whole
from ._polish import coherence, normalised, polish

if TYPE_CHECKING:
    from collections.abc import Callable

    Objective = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]

# Sharpness of the maximum in units of the spread of random vectors: first (drawn between these), after the descent of all, of the best.
FIRST, ROUGH, FINE = (2.0, 30.0), 300.0, 3000.0
# Without a number of starts the search ends when PATIENCE of them bring nothing better, or as many as it took to the best if these are
# more, and when ENOUGH have ended at the best.
PATIENCE, ENOUGH = 1024, 384
# Inner products that one step computes for the whole batch: the arrays stay in the cache.
ENTRIES = 200_000
# Values that agree to this are the same minimum.
SAME = 1e-7
# Minima per batch that are polished at most.
POLISHED = 8
# Coordinates that the linear programs of one polish treat in all, roughly.
PROGRAMS = 6000
# From this many coordinates on there are none, all starts are symmetric, and so many of them make a batch.
LARGE, LARGE_BATCH = 500, 2
# A coherence this close to the limit of the descent, or to a bound, has reached it.
ATTAINED = 1e-11
# Pairs of steps and gradient changes that L-BFGS remembers.
MEMORY = 10


@dataclass(frozen=True)
class PackingSearch:
    """vectors (count, n), unit rows; coherence, max |<x, y>| (lines) or max <x, y> (codes) over pairs; how many starts were made, and how
    many of them ended at that value; active, the pairs (k, 2) of rows within 1e-9 of it. grade NUMERIC: the optimum may be smaller."""

    vectors: Float[Array, "count n"]
    coherence: float
    starts: int
    starts_at_best: int
    active: Int[Array, "k 2"]
    grade: Grade = Grade.NUMERIC


def search_packing(
    n: int,
    count: int,
    *,
    lines: bool = True,
    starts: int | None = None,
    seed: int = 0,
    seconds: float | None = None,
    progress: bool = False,
) -> PackingSearch:
    """Least coherence found of `count` lines through the origin of R^n, or with `lines=False` of `count` unit vectors.

    Minimises max |<x_i, x_j>| (max <x_i, x_j>). Each start descends (batched L-BFGS) the smooth maximum (1/β) log Σ exp(β z_ij),
    z = <x, y>² (<x, y>), with β growing along a schedule of its own. Σ w z with the weights w ~ exp(β z) then tells the limit β -> ∞ to
    O(1/β²), and the lowest limits are polished by linear programs and Newton's method on the active pairs. Starts are in turn uniform,
    orbits of a random cyclic group after descent among sets with that symmetry, and variations of the best set so far; from 500
    coordinates (count n) on the best explicit family comes first, all others are such orbits, and the polish is Newton's method alone.

    n >= 2, count >= 2. starts: how many; by default until 1024 in a row, and half of all, bring nothing better, or 384 have ended at
    the best. seconds: at most about so long. The search ends early at a coherence that no set can beat: the bounds of Welch, Bukh & Cox,
    Rankin and the orthoplex. The same seed
    gives the same result on one machine unless `seconds` ends the search. Grade NUMERIC: the value is attained, an upper bound of the
    least coherence up to rounding. Raises InputError.

    Conway, Hardin & Sloane 1996 (packings of lines); Welch 1974; Rankin 1955.

    >>> found = search_packing(3, 6)
    >>> round(found.coherence, 12) == round(5**-0.5, 12), found.vectors.shape, len(found.active)
    (True, (6, 3), 15)
    """
    n, count, seed = whole("n", n, 2), whole("count", count, 2), whole("seed", seed, 0)
    limit = None if starts is None else whole("starts", starts, 1)
    if seconds is not None and not (isinstance(seconds, int | float) and seconds > 0):
        raise InputError(f"seconds must be a positive number, got {seconds!r}; leave it out for no limit of time")
    if lines and count <= n:
        return PackingSearch(np.eye(n)[:count], 0.0, 0, 0, np.stack(np.triu_indices(count, 1), 1))
    began, least = time.monotonic(), floor(n, count, lines)

    def late() -> bool:
        return seconds is not None and best < np.inf and time.monotonic() - began > seconds

    rng = np.random.default_rng(seed)
    large = count * n >= LARGE
    batch = LARGE_BATCH if large else int(np.clip(ENTRIES // count**2, 2, 128))
    steps = 0 if large else min(40, PROGRAMS // (count * n))
    best, x = np.inf, np.empty((count, n))
    done = improved = hits = 0
    early = -SAME
    for candidate in _constructed(n, count, lines) if large else ():
        value = coherence(candidate, lines)
        if value < best:
            best, x = value, candidate
    with tqdm(desc=f"packing {count} in R^{n}", unit=" starts", disable=not progress) as bar:
        while best > least + ATTAINED and (
            done < limit if limit else done < max(improved + PATIENCE, 2 * improved) and hits < ENOUGH
        ):
            size = batch if limit is None else min(batch, limit - done)
            points, limits = _descend(*_draw(rng, size, count, n, lines, x if best < np.inf else None), lines)
            done += size
            for k in _distinct(limits):
                # On flat ground the descents end early and polishing gains: then higher limits are worth it as well.
                if limits[k] > best + early or late():
                    break
                candidate, value = points[k], coherence(points[k], lines)
                # Sets whose largest products are all equal are at their limit already; of large sets only the best is polished, at the end.
                if value - limits[k] > ATTAINED and not large:
                    candidate, value = polish(candidate, lines, steps=steps)
                early = max(early, limits[k] - value)
                if value < best - SAME:
                    hits, improved = 0, done
                    # A polish that ran out of programs is taken up again while it gains.
                    gain = np.inf
                    while gain > 1e-12 and steps and not late():
                        candidate, again = polish(candidate, lines, steps=steps)
                        gain, value = value - again, again
                if value < best:
                    best, x = value, candidate
            hits += int((np.abs(limits - best) < 1e-5).sum())
            bar.update(size)
            bar.set_postfix_str(f"coherence {best:.9f}")
            if late():
                break
    if large:
        x, best = polish(x, lines, steps=0)
    i, j = np.triu_indices(count, 1)
    product = (x @ x.T)[i, j]
    near = (np.abs(product) if lines else product) >= best - 1e-9
    return PackingSearch(x, coherence(x, lines), done, hits, np.stack([i[near], j[near]], 1))


def floor(n: int, count: int, lines: bool) -> float:
    """A coherence that no set can beat (lines: count > n): Welch, Bukh & Cox, and the orthoplex bound; Rankin for codes."""
    if not lines:
        return -1 / (count - 1) if count <= n + 1 else 0.0 if count <= 2 * n else -1.0
    excess = count - n
    isotropic = (2 + (excess - 1) * np.sqrt(excess + 2)) / (excess * (excess + 1))
    welch = np.sqrt(excess / (n * (count - 1)))
    orthoplex = n**-0.5 if count > n * (n + 1) // 2 else 0.0
    return float(max(welch, orthoplex, 1 / (count * isotropic - 1)))


def _constructed(n: int, count: int, lines: bool) -> list[Float[Array, "count n"]]:
    """Explicit sets to begin with: the family with the best angle for as many lines, for codes also x and -x of half as many lines."""
    found = []
    for wanted in (count,) if lines else (count, -(-count // 2)):
        bounds = best_angle(n, wanted).possible
        if bounds is None or any(
            p["family"] in ("covering", "signs") for p in bounds.lower_certificate["proof"]["parts"]
        ):
            continue
        rows = normalised(next(construct(bounds.lower_certificate["proof"]).blocks(wanted)).astype(float))
        found.append(rows if wanted == count else np.concatenate([rows, -rows])[:count])
    return found


def _draw(
    rng: np.random.Generator, size: int, count: int, n: int, lines: bool, best: Float[Array, "count n"] | None
) -> tuple[Tensor, Tensor]:
    """Unit vectors (size, count, n) to start from, and their first sharpness.

    In turn uniform ones, symmetric ones, and the best set with some members replaced or all moved."""
    points = rng.standard_normal((size, count, n))
    first = FIRST[0] * (FIRST[1] / FIRST[0]) ** rng.random(size)
    large = count * n >= LARGE
    some = slice(None) if large else slice(1, None, 3)
    symmetric = _symmetric(rng, len(points[some]), count, n, lines)
    points[some][: len(symmetric)] = symmetric
    # They have been through the blunt part, and would lose what they have gained.
    first[some][: len(symmetric)] = ROUGH
    if best is not None and not large:
        first[2::3] = FIRST[0] * (ROUGH / FIRST[0]) ** rng.random(len(first[2::3]))
        for k in range(2, size, 3):
            if rng.random() < 0.5:
                kept = rng.permutation(count)[: -int(rng.integers(1, max(2, count // 3) + 1))]
                points[k, kept] = best[kept]
            else:
                points[k] = best + points[k] * 10 ** rng.uniform(-2, -0.5) / n**0.5
    return torch.from_numpy(points / np.linalg.norm(points, axis=2, keepdims=True)), torch.from_numpy(first)


def _symmetric(rng: np.random.Generator, size: int, count: int, n: int, lines: bool) -> Float[Array, "s N n"]:
    """At most `size` sets of orbits under a cyclic group, the best of more such sets after descent among sets with that symmetry.

    One order for all; orders by which the count divides, or nearly so, come more often, and members too many are left out. Symmetry
    makes descent as much cheaper as the group is large, and many good packings have it."""
    orders = np.arange(2, count + 1)
    weights = 1 / (1.0 + -count % orders) ** 2
    order = int(rng.choice(orders, p=weights / weights.sum()))
    orbits = -(-count // order)
    tried = int(np.clip(ENTRIES // max(orbits * count, order * n * n // 4), 2, 128))
    turns = torch.from_numpy(np.stack([_representation(rng, order, n) for _ in range(tried)]))
    seeds = torch.from_numpy(rng.standard_normal((tried, orbits, n)))
    first = torch.from_numpy(FIRST[0] * (FIRST[1] / FIRST[0]) ** rng.random(tried))
    seeds, limit = _rough(seeds, first, lines, turns)
    chosen = limit.argsort(stable=True)[:size]
    rows = _images(seeds[chosen], turns[chosen]).numpy()
    return np.stack([row[rng.permutation(row.shape[0])[:count]] for row in rows])


def _representation(rng: np.random.Generator, order: int, n: int) -> Float[Array, "order n n"]:
    """Powers 0 .. order - 1 of an orthogonal matrix with that order or a divisor of it.

    Its parts (planes that turn by a multiple of 2π/order, lines that stay or change sign) come from shuffled decks of all of them, so
    that none comes twice before each has come once."""
    turn = np.zeros((n, n))
    width = 0
    while width < n:
        for speed in rng.permutation(order // 2 + 1):
            size = 1 if 2 * speed % order == 0 else 2
            if width + size <= n:
                angle = 2 * np.pi * speed / order
                cos, sin = np.cos(angle), np.sin(angle)
                turn[width : width + size, width : width + size] = np.array([[cos, -sin], [sin, cos]])[:size, :size]
                width += size
        if width == n - 1:
            turn[-1, -1] = 1.0
            width = n
    return np.stack([np.linalg.matrix_power(turn, k) for k in range(order)])


def _images(seeds: Tensor, turns: Tensor) -> Tensor:
    """Images (s, r k, n) of seeds (s, r, n) under k matrices (s, k, n, n): the k of the first seed come first."""
    return torch.einsum("skab,srb->srka", turns, seeds).flatten(1, 2)


def _rough(points: Tensor, first: Tensor, lines: bool, turns: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Descents with sharpness growing from `first` to ROUGH: unit vectors, and the coherence to which each tends."""
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        points, limit = _smooth(points, first * (ROUGH / first) ** share, lines, 60 if share < 1 else 150, turns)
    return points, limit


def _descend(points: Tensor, first: Tensor, lines: bool) -> tuple[Float[Array, "s N n"], Float[Array, " s"]]:
    """The same, and on to FINE where the limit may be among the best; the rough limits err by less than the margin."""
    points, limit = _rough(points, first, lines)
    best = (limit <= limit.min() + 3e-4).nonzero()[:, 0]
    for sharpness in (ROUGH * 3, FINE):
        fine, limits = _smooth(points[best], torch.full((len(best),), sharpness, dtype=points.dtype), lines, 100)
        points[best], limit[best] = fine, limits
    return points.numpy(), limit.numpy()


def _distinct(limits: Float[Array, " s"]) -> list[int]:
    """At most POLISHED starts of different limits, lowest first."""
    order = np.argsort(limits, kind="stable")
    new = np.diff(limits[order], prepend=-np.inf) > SAME
    return [int(k) for k in order[new][:POLISHED]]


def _maximum(y: Tensor, sharpness: Tensor, lines: bool, turns: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """(1/β) log Σ exp(β z) over ordered pairs of the normalised rows of y (s, N, n); its gradient by y; and Σ w z.

    With `turns` the pairs are those of a row and an image of a row. Symmetry makes the gradient that
    of the full set, whose value differs by a constant."""
    length = y.norm(dim=2, keepdim=True)
    x = y / length
    images = x if turns is None else _images(x, turns)
    t = x @ images.mT
    z = t * t if lines else t.clone()
    # A row is its own first image.
    itself = torch.arange(y.shape[1])
    own = itself * (images.shape[1] // y.shape[1])
    z[:, itself, own] = -2.0
    top = z.amax((1, 2), keepdim=True)
    w = torch.exp(sharpness[:, None, None] * (z - top))
    w[:, itself, own] = 0.0
    total = w.sum((1, 2), keepdim=True)
    w /= total
    value = top[:, 0, 0] + total[:, 0, 0].log() / sharpness
    mean = (w * z).sum((1, 2))
    pull = (w * t).mul_(4.0) @ images if lines else 2 * (w @ images)
    return value, (pull - (pull * x).sum(2, keepdim=True) * x) / length, mean


def _smooth(
    points: Tensor, sharpness: Tensor, lines: bool, iterations: int, turns: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Minima of the smooth maximum near the points (s, N, n): unit vectors, and the coherence to which each tends for β -> ∞.

    Sharpness is in units of the spread of z between random vectors, 1/√n, or 1/n for lines."""
    beta = sharpness * (points.shape[2] if lines else points.shape[2] ** 0.5)
    end, mean = lbfgs(lambda y: _maximum(y, beta, lines, turns), points, iterations)
    return end / end.norm(dim=2, keepdim=True), mean.clamp_min(0).sqrt() if lines else mean


def lbfgs(objective: Objective, points: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """L-BFGS from each of the points (s, N, n) at once; objective(y) -> value (s,), gradient (s, N, n) and something to report (s,).

    Each start has its own step, halved until the value falls; one evaluation per iteration serves all. It ends when no entry of a gradient
    exceeds 1e-10. Gives the points and the last reports."""
    y = points.flatten(1)
    shape = points.shape

    def at(y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        value, gradient, report = objective(y.view(shape))
        return value, gradient.flatten(1), report

    value, gradient, report = at(y)
    # A first step of a hundredth of a radian for the vector that moves most.
    scale = 0.01 / gradient.view(shape).norm(dim=2).amax(1).clamp_min(1e-12)
    moves, changes, inverse = [torch.zeros(MEMORY, *y.shape, dtype=y.dtype) for _ in range(2)] + [
        torch.zeros(MEMORY, len(y), dtype=y.dtype)
    ]
    direction = -scale[:, None] * gradient
    slope, step = (direction * gradient).sum(1), torch.ones_like(scale)
    for k in range(iterations):
        trial = y + step[:, None] * direction
        value1, gradient1, report1 = at(trial)
        down = value1 <= value + 1e-4 * step * slope
        row = down[:, None]
        move, change = torch.where(row, trial - y, 0.0), torch.where(row, gradient1 - gradient, 0.0)
        curve, square = (move * change).sum(1), (change * change).sum(1)
        usable = curve > 1e-10 * move.norm(dim=1) * square.sqrt()
        newest = k % MEMORY
        moves[newest], changes[newest] = move, change
        inverse[newest] = torch.where(usable, 1 / curve, 0.0)
        scale = torch.where(usable, curve / square, scale)
        y, gradient = torch.where(row, trial, y), torch.where(row, gradient1, gradient)
        value, report = torch.where(down, value1, value), torch.where(down, report1, report)
        # Two loops over the memory, newest first and back; entries of starts that did not move weigh nothing.
        order = [(newest - back) % MEMORY for back in range(min(k + 1, MEMORY))]
        turned, parts = gradient.clone(), {}
        for m in order:
            parts[m] = inverse[m] * (moves[m] * turned).sum(1)
            turned -= parts[m][:, None] * changes[m]
        turned *= scale[:, None]
        for m in reversed(order):
            turned += (parts[m] - inverse[m] * (changes[m] * turned).sum(1))[:, None] * moves[m]
        direction = torch.where(row, -turned, direction)
        slope = (direction * gradient).sum(1)
        uphill = slope >= 0
        direction = torch.where(uphill[:, None], -scale[:, None] * gradient, direction)
        slope = torch.where(uphill, -scale * (gradient * gradient).sum(1), slope)
        step = torch.where(down, 1.0, step / 2)
        if k % 10 == 9 and float(gradient.abs().max()) < 1e-10:
            break
    return y.view(shape), report
