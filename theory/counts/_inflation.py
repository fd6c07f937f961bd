"""Inflation: a frame v_1 .. v_M of larger coherence, each vector replaced by a simplex about it, opened up until the angle is reached.

Group g has m_g vectors √(1 - r²) s_i + r v_g, s_i a simplex of its own in m_g - 1 dimensions and r² = (1 - (m_g - 1) c)/m_g, so that
products inside the group are -c; between groups they are at most α r_g r_h in size (Bukh and Cox 2018). M' <= M groups make Σ m_g lines
in d + Σ (m_g - 1) dimensions: M' - d lines more than dimensions, whatever the sizes. So the sizes are as small as they can be: r
decreases with m, and α r_g r_h <= c lets one group at most be smaller than m, the least size with α r² <= c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from flint import arb, ctx, fmpq

from ._families import Frame, Members, chirp, complements, conference, frames, listed
from ._random_coding import floor

if TYPE_CHECKING:
    from numpy import ndarray

    Array = ndarray[Any, np.dtype[Any]]

PARTIAL = 2**15
"""Up to this many dimensions frames are inflated with any number of their vectors, above only with all."""
POINTS, POLYGON = 64, 12
"""Most copies of one vector, and lines of a polygon, to inflate; frames of more dimensions do better with more groups."""


class Sizes(NamedTuple):
    """Least sizes of the groups of many frames: all but one of m vectors, one of `last`."""

    m: Array
    last: Array


def inflated(n_max: int, cosine: fmpq, square: fmpq) -> list[Members]:
    """Complements of tight frames that reach the angle, n <= n_max, and all frames inflated to it."""
    whole = list(complements(n_max))
    bases = listed([f for f in [*frames(n_max), *whole, *_plane()] if f.square > square])
    # d m <= n_max and m >= α/(2 c) bound d = (q + 1)/2 and d = 2 q, α = 1/√q: √q <= 4 c n_max and √q <= c n_max.
    most = int((1 / square).ceil()) - 1
    reach = int((16 * n_max * n_max * square).floor()) + 1
    bases += [conference((min(most, reach) + 1) // 2, fmpq(1, 5)), chirp(2 * min(most, reach), fmpq(1, 3), 2)]
    found = listed([f for f in whole if f.square <= square])
    for base in bases:
        found += _inflate(base, n_max, cosine)
    return found


def _plane() -> list[Frame]:
    """Copies of one vector, in R^1, and polygons, in R^2."""
    one = fmpq(1)
    found = [
        Frame(1, k + 1, one, {"family": "naimark", "of": {"family": "simplex", "n": k}}) for k in range(2, POINTS + 1)
    ]
    exact = {3: fmpq(1, 4), 4: fmpq(1, 2), 6: fmpq(3, 4)}
    with ctx.workprec(128):
        for count in range(3, POLYGON + 1):
            upper = fmpq(-floor(-((arb.pi() / count).cos() ** 2) * 2**64), 2**64)
            found.append(Frame(2, count, exact.get(count, upper), {"family": "polygon", "count": count}))
    return found


def _inflate(base: Members, n_max: int, cosine: fmpq) -> list[Members]:
    """All inflated frames of n <= n_max dimensions of many bases."""
    count = base.n + base.excess
    n = base.n.astype(np.float64)
    # At the least, d + 1 groups of m.
    keep = np.flatnonzero(n * _float_size(base.squares, cosine) <= n_max + 1)
    if not len(keep):
        return []
    n, count, squares = n[keep], count[keep], base.squares[keep]
    sizes = _sizes(base, keep, squares, cosine, 0)
    full = n + count * (sizes.m - 1) - (sizes.m - sizes.last)
    fits = np.flatnonzero(full <= n_max)

    def whole(i: int) -> Frame:
        k = int(fits[i])
        return _frame(base.frame(int(keep[k])), int(count[k]), int(sizes.m[k]), int(sizes.last[k]), cosine)

    found = [
        Members(
            full[fits].astype(np.int64),
            (count - n)[fits],
            np.full(len(fits), float(cosine.p) / float(cosine.q)) ** 2,
            whole,
        )
    ]
    return [*found, _partial(base, keep, sizes, min(n_max, PARTIAL), cosine)]


def _partial(base: Members, keep: Array, sizes: Sizes, n_max: int, cosine: fmpq) -> Members:
    """The best frame of each dimension <= n_max that is inflated from some vectors of a base."""
    best = np.zeros(n_max + 1, np.int64)
    label = np.zeros(n_max + 1, np.int64)
    options: list[tuple[int, int, int]] = []
    start = base.n[keep]
    most = base.excess[keep]
    close = np.flatnonzero(start * sizes.m <= n_max)
    for more in range(3):
        # Larger groups allow a smaller last one, and pay where the groups are few.
        varied = sizes if more == 0 else _sizes(base, keep, base.squares[keep], cosine, more)
        for k in close.tolist():
            m, last, d = int(varied.m[k]), int(varied.last[k]), int(start[k])
            first = d + (d + 1) * (m - 1) - (m - last)
            groups = min(int(most[k]), m - d if more else n_max, (n_max - first) // (m - 1) + 1)
            if groups < 1:
                continue
            span = slice(first, first + (groups - 1) * (m - 1) + 1, m - 1)
            excess = np.arange(1, groups + 1)
            better = excess > best[span]
            if better.any():
                best[span] = np.maximum(best[span], excess)
                label[span] = np.where(better, len(options), label[span])
                options.append((k, m, last))
    at = np.flatnonzero(best > np.concatenate([[0], np.maximum.accumulate(best)[:-1]]))

    def frame(i: int) -> Frame:
        k, m, last = options[label[at[i]]]
        return _frame(base.frame(int(keep[k])), int(start[k] + best[at[i]]), m, last, cosine)

    c = float(cosine.p) / float(cosine.q)
    return Members(at, best[at].astype(np.float64), np.full(len(at), c * c), frame)


def _frame(base: Frame, groups: int, m: int, last: int, cosine: fmpq) -> Frame:
    """One inflated frame."""
    sizes = [[m, groups]] if last == m else [[m, groups - 1], [last, 1]]
    dimensions = base.n + groups * (m - 1) - (m - last)
    proof = {"family": "inflated", "base": base.proof, "cosine": str(cosine), "sizes": sizes}
    return Frame(dimensions, groups * m - (m - last), cosine * cosine, proof)


def _float_size(squares: Array, cosine: fmpq) -> Array:
    """The solution m of α (1 - (m - 1) c)/m = c."""
    c, alpha = float(cosine.p) / float(cosine.q), np.sqrt(squares)
    return np.asarray(alpha * (1 + c) / (c * (1 + alpha)))


def _sizes(base: Members, keep: Array, squares: Array, cosine: fmpq, more: int) -> Sizes:
    """The least m with α r(m)² <= c, plus `more`, and the least `last` with α r(m) r(last) <= c; exact where floats leave a doubt."""
    c = float(cosine.p) / float(cosine.q)
    wanted = _float_size(squares, cosine)
    m = np.ceil(wanted * (1 + 1e-12))
    for i in np.flatnonzero(np.abs(wanted - np.rint(wanted)) < 1e-9 * wanted).tolist():
        size = round(float(wanted[i]))
        m[i] = size if _fits(base.frame(int(keep[i])).square, size, size, cosine) else size + 1
    m += more
    open_ = np.maximum((1 + c - m * c) / m, 1e-300)
    wanted = (1 + c) / (c * c / (squares * open_) + c)
    last = np.clip(np.ceil(wanted * (1 + 1e-9)), 1, m)
    for i in np.flatnonzero(np.abs(wanted - np.rint(wanted)) < 1e-6 * wanted).tolist():
        size = max(round(float(wanted[i])), 1)
        last[i] = size if _fits(base.frame(int(keep[i])).square, size, int(m[i]), cosine) else min(size + 1, m[i])
    return Sizes(m.astype(np.int64), last.astype(np.int64))


def _fits(square: fmpq, m: int, other: int, cosine: fmpq) -> bool:
    """Is α² r(m)² r(other)² <= c²?"""
    first, second = (max((1 - (size - 1) * cosine) / size, fmpq(0)) for size in (m, other))
    return bool(square * first * second <= cosine * cosine)
