"""Lines made from other lines: tensor products, and frames whose vectors are blown up to simplices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from flint import fmpq

from .._checks import InputError
from .._grade import Grade
from ._code import Array, Code, Coherence
from ._frames import simplex_rows
from ._verify_code import verify_code


def tensor(first: Code, second: Code) -> Code:
    """All x ⊗ y: products multiply, so the coherence is the larger of the two. Row i N_2 + j is x_i ⊗ y_j."""
    integer = first.integer and second.integer

    def take(i: int, j: int) -> Array:
        pieces = []
        while i < j:
            k, start = divmod(i, second.count)
            stop = min(second.count, start + j - i)
            x = first.take(k, k + 1) if integer else first.units(k, k + 1)
            y = second.take(start, stop) if integer else second.units(start, stop)
            # Entries of the factors may be bytes: their products are not.
            pieces.append(np.kron(x.astype(np.int64) if integer else x, y))
            i += stop - start
        return np.concatenate(pieces)

    def argument() -> Coherence:
        found = [verify_code(code, fmpq(1)) for code in (first, second)]
        method = " and ".join(f.method for f in found)
        return Coherence(max(f.square for f in found), min(f.grade for f in found), f"factors: {method}")

    norm2 = first.norm2 * second.norm2 if first.norm2 and second.norm2 else None
    return Code(first.n * second.n, first.count * second.count, take, integer, norm2, argument)


def inflated(base: Code, cosine: fmpq, sizes: Sequence[tuple[int, int]]) -> Code:
    """Vector g of the base becomes m_g vectors √(1 - r²) s_i + r v_g, s_i a simplex in m_g - 1 dimensions of the group's own.

    r² = (1 - (m_g - 1) c)/m_g makes products inside a group -(1 - r²)/(m_g - 1) + r² = -c; where that is negative r = 0, and they are
    -1/(m_g - 1), above -c. Products of two groups are <v_g, v_h> r_g r_h, of at most α r_g r_h (Bukh and Cox 2018 have equal sizes).
    sizes: pairs (m, how many groups), in the order of the base's vectors, of which the last may be left. n = d + Σ (m_g - 1), N = Σ m_g.
    """
    total = sum(times for _, times in sizes)
    if not 0 < cosine < 1 or not 1 <= total <= base.count or min(min(pair) for pair in sizes) < 1:
        raise InputError(
            f"sizes must be positive, of 1..{base.count} groups, and cosine be in (0, 1), got {total} groups, {cosine}"
        )
    square = {m: max((1 - (m - 1) * cosine) / m, fmpq(0)) for m, _ in sizes}
    groups = np.repeat([m for m, _ in sizes], [times for _, times in sizes])
    # First vector and first coordinate of each group's own, and of what follows the last.
    rows, columns = (np.concatenate([[0], np.cumsum(width)]) for width in (groups, groups - 1))
    d, n = base.n, base.n + int(columns[-1])

    def take(i: int, j: int) -> Array:
        out = np.zeros((j - i, n))
        for g in range(int(np.searchsorted(rows, i, side="right")) - 1, int(np.searchsorted(rows, j))):
            a, b, m = max(i, rows[g]), min(j, rows[g + 1]), int(groups[g])
            r2 = float(square[m])
            out[a - i : b - i, :d] = r2**0.5 * base.units(g, g + 1)
            if m > 1:
                own = simplex_rows(m - 1, np.arange(a, b) - rows[g])
                out[a - i : b - i, d + columns[g] : d + columns[g + 1]] = (1 - r2) ** 0.5 * own
        return out

    def argument() -> Coherence:
        found = verify_code(base, fmpq(1))
        inside = max((cosine if r2 > 0 else fmpq(1, m - 1)) ** 2 if m > 1 else fmpq(0) for m, r2 in square.items())
        largest = sorted(square[m] for m, times in sizes for _ in range(min(times, 2)))[-2:]
        between = found.square * largest[0] * largest[1] if len(largest) == 2 else fmpq(0)
        # Which vectors of the base are the closest pair is not asked, so the second may not be attained.
        grade = found.grade if inside >= between else min(found.grade, Grade.CERTIFIED)
        return Coherence(max(inside, between), grade, f"products of simplices; base: {found.method}")

    return Code(n, int(rows[-1]), take, False, None, argument)
