"""Lines of minimal vectors of lattices: root lattices, Barnes-Wall lattices, and the Leech lattice with its laminated sections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache, partial
from itertools import combinations
from math import comb, prod
from typing import Any

import numpy as np
from flint import fmpq

from .._checks import InputError
from .._grade import Grade
from ._code import Array, Code, Coherence, explicit, require_certified
from ._frames import simplex_rows
from ._leech import ROOTS, laminated, leech, orthogonal_to
from ._quadratic import coset_rows, form_signs
from ._verify_code import by_rows

COMPARED = 2**32
"""Entries of vectors that are compared with a few of them, in a Barnes-Wall lattice of large dimension."""


def _pair(index: Array) -> tuple[Array, Array]:
    """Pairs i < j by their index j (j - 1)/2 + i."""
    j = ((1 + np.sqrt(8 * index.astype(np.float64) + 1)) / 2).astype(np.int64)
    j -= j * (j - 1) // 2 > index
    j += j * (j + 1) // 2 <= index
    return index - j * (j - 1) // 2, j


def root_a(n: int) -> Code:
    """n(n + 1)/2 lines e_i - e_j, i < j <= n, of A_n: products 0 and ±1 of squared norm 2."""

    def take(i: int, j: int) -> Array:
        first, second = _pair(np.arange(i, j))
        rows: Array = (simplex_rows(n, first) - simplex_rows(n, second)) / np.sqrt(2 + 2 / n)
        return rows

    def argument() -> Coherence:
        return Coherence(fmpq(1, 4), Grade.EXACT, "two pairs i < j have at most one in common")

    return Code(n, n * (n + 1) // 2, take, False, None, argument)


def root_d(n: int) -> Code:
    """n(n - 1) lines e_i ± e_j, i < j < n, of D_n: products 0 and ±1 of squared norm 2."""

    def take(i: int, j: int) -> Array:
        index = np.arange(i, j)
        first, second = _pair(index // 2)
        rows = np.zeros((j - i, n), dtype=np.int8)
        rows[np.arange(j - i), first] = 1
        rows[np.arange(j - i), second] = 1 - 2 * (index % 2)
        return rows

    def argument() -> Coherence:
        return Coherence(
            fmpq(1, 4),
            Grade.EXACT,
            "two pairs i < j have at most one in common, and e_i + e_j is orthogonal to e_i - e_j",
        )

    return Code(n, n * (n - 1), take, True, 2, argument)


@lru_cache(maxsize=1)
def e8() -> Array:
    """120 of the roots of E8, times 2, one of each pair ±x, as int8 (120, 8)."""
    signs = 1 - 2 * (np.arange(128)[:, None] >> np.arange(8) & 1)
    even = signs[signs.prod(axis=1) == 1]
    return np.concatenate([2 * root_d(8).take(0, 56), even]).astype(np.int8)


def barnes_wall(m: int) -> Code:
    """Minimal vectors of the Barnes-Wall lattice in R^(2^m), one of each pair ±x: Π_(i=1..m) (2^i + 2) / 2 lines of coherence 1/2.

    2^((D-d)/2) (-1)^Q(u) at the points x of an affine subspace of GF(2)^m, u its d coordinates, for all of them with d even, all
    quadratic forms Q (with linear part); D is the largest d (Broué and Enguehard 1973). The translations, the linear maps, and
    multiplication by (-1)^Q, Q a quadratic form on GF(2)^m, map the set to itself and any two vectors of the same d to one another, up
    to sign. So one vector of each d is compared with all, up to m = 6.
    """
    if m < 2:
        raise InputError(f"m must be an integer >= 2, got {m}")
    dimensions = range(0, m + 1, 2)
    cells = {d: list(_cells(m, d)) for d in dimensions}
    subspaces = {d: sum(2 ** len(free) for _, free in cells[d]) for d in dimensions}
    forms = {d: 2 ** (d + comb(d, 2)) for d in dimensions}
    starts = [0]
    for d in dimensions:
        starts.append(starts[-1] + subspaces[d] * 2 ** (m - d) * forms[d])
    tables = {d: coset_rows(d, partial(_alternating_signs, d)) for d in dimensions}

    def take(i: int, j: int) -> Array:
        out, at = np.zeros((j - i, 2**m), dtype=np.int8), 0
        while i < j:
            k = next(k for k in range(len(starts)) if i < starts[k + 1])
            d = dimensions[k]
            where, first = divmod(i - starts[k], forms[d])
            stop = min(forms[d], first + j - i)
            subspace, shift = divmod(where, 2 ** (m - d))
            scale = 2 ** ((dimensions[-1] - d) // 2)
            out[at : at + stop - first, _points(m, cells[d], subspace, shift)] = scale * tables[d](first, stop)
            i, at = i + stop - first, at + stop - first
        return out

    def argument() -> Coherence:
        if code.count * code.n > COMPARED:
            return Coherence(fmpq(1, 4), Grade.CERTIFIED, "Barnes and Wall 1959")
        return by_rows(code, starts[:-1], "one vector of each orbit with all")

    require_certified(starts[-1] == prod(2**i + 2 for i in range(1, m + 1)) // 2, "count of minimal vectors")
    code = Code(2**m, starts[-1], take, True, 2 ** dimensions[-1], argument)
    return code


def _alternating_signs(d: int, g: int) -> Array:
    """(-1)^Q for the quadratic form with coefficients B_ij, i < j, the bits of g."""
    return form_signs(np.array([g >> comb(j, 2) & 2**j - 1 for j in range(d)], dtype=np.uint32))


def _cells(m: int, d: int) -> Iterator[tuple[tuple[int, ...], list[tuple[int, int]]]]:
    """Reduced echelon forms of d-dimensional subspaces of GF(2)^m: pivots, and free entries as (row, column)."""
    for pivots in combinations(range(m), d):
        yield pivots, [(r, c) for r, pivot in enumerate(pivots) for c in range(pivot) if c not in pivots]


def _points(m: int, cells: Sequence[tuple[tuple[int, ...], list[tuple[int, int]]]], subspace: int, shift: int) -> Array:
    """Points of an affine subspace, as integers, in the order of their coordinates u."""
    cell = 0
    while subspace >= 2 ** len(cells[cell][1]):
        subspace -= 2 ** len(cells[cell][1])
        cell += 1
    pivots, free = cells[cell]
    generators = [1 << pivot for pivot in pivots]
    for bit, (r, c) in enumerate(free):
        generators[r] |= (subspace >> bit & 1) << c
    # Points that differ off the pivots are in different cosets.
    start = sum((shift >> k & 1) << c for k, c in enumerate(c for c in range(m) if c not in pivots))
    points = np.array([start])
    for generator in generators:
        points = np.concatenate([points, points ^ generator])
    return points


def lattice(part: Mapping[str, Any]) -> Code:
    """Lines of the minimal vectors of a lattice, of coherence 1/2: {"name": ...} and a dimension where the name does not give it.

    A and D {"n"}, E6, E7, E8, Leech, Barnes-Wall {"m"}, Lambda {"n"}: the laminated lattice Λ_n, n = 9, ..., 23.
    """
    name = part["name"]
    if name in ("E6", "E7", "E8"):
        return orthogonal_to(e8(), ROOTS[: 8 - int(name[1])])
    if name == "Leech":
        return explicit(leech())
    if name == "Barnes-Wall":
        return barnes_wall(int(part["m"]))
    if name not in ("A", "D", "Lambda"):
        raise InputError(f"name must be A, D, E6, E7, E8, Leech, Barnes-Wall or Lambda, got {name!r}")
    n = int(part["n"])
    # Indices of pairs are computed in floats, which are exact that far.
    least, most = {"A": (2, 2**20), "D": (3, 2**20), "Lambda": (9, 23)}[name]
    if not least <= n <= most:
        raise InputError(f"n must be in {least}..{most} for the lattice {name}, got {n}")
    if name == "Lambda":
        return laminated(n)
    return root_a(n) if name == "A" else root_d(n)
