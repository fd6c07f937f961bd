"""Lines from the Leech lattice: its minimal vectors, and sections of them that are laminated lattices, two-graphs and the like."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np
from flint import fmpz_mat

from .._checks import InputError
from ._code import Array, Code, Coherence, explicit, require_certified
from ._frames import symplectic
from ._verify_code import by_pairs

GOLAY = 0b110001110101
"""Generator polynomial of the binary Golay code of length 23: x^11 + x^10 + x^6 + x^5 + x^4 + x^2 + 1."""
ROOTS = np.array(
    [
        [0, -2, 2, 0, 0, 0, 0, 0],
        [-2, 2, 0, 0, 0, 0, 0, 0],
        [2, 2, 0, 0, 0, 0, 0, 0],
        [0, 0, -2, 2, 0, 0, 0, 0],
        [0, 0, 0, -2, 2, 0, 0, 0],
        [1, -1, -1, -1, -1, -1, -1, 1],
        [0, 0, 0, 0, -2, 2, 0, 0],
        [0, 0, 0, 0, 0, -2, 2, 0],
    ]
)
"""Simple roots of E8, times 2, in an order in which the first k span A1, A2, A3, D4, D5, E6, E7, E8."""


def section(rows: Array, normals: Array) -> Code:
    """Lines of integer vectors of R^D orthogonal to `normals`, as unit vectors of R^n, n = D minus the rank of the normals.

    The vectors in R^n are floats, in an orthonormal basis of the subspace. The argument is about the integers: they are orthogonal to
    the normals, whose rank is D - n, and all pairs are compared exactly.
    """
    ambient = explicit(rows)
    rank = fmpz_mat(normals.tolist()).rank()
    # Householder: the last columns of a complete Q are orthogonal to the normals.
    plane = np.linalg.qr(normals.T.astype(np.float64), mode="complete")[0][:, rank:]

    def argument() -> Coherence:
        require_certified(
            not (rows.astype(np.int64) @ normals.T.astype(np.int64)).any(), "vectors must be orthogonal to the normals"
        )
        found = by_pairs(ambient)
        return Coherence(found.square, found.grade, f"{found.method}, in a section of rank {rows.shape[1] - rank}")

    return Code(rows.shape[1] - rank, len(rows), lambda i, j: ambient.units(i, j) @ plane, False, None, argument)


def orthogonal_to(rows: Array, normals: Array) -> Code:
    """The section of those of the vectors that are orthogonal to the normals."""
    chosen = rows[~(rows.astype(np.int64) @ normals.T).any(axis=1)]
    return section(chosen, normals) if len(normals) else explicit(chosen)


@lru_cache(maxsize=1)
def golay() -> Array:
    """The 4096 words of the binary Golay code of length 24, as int8 (4096, 24)."""
    generators = np.array([[GOLAY << i >> j & 1 for j in range(23)] for i in range(12)])
    words = (np.arange(4096)[:, None] >> np.arange(12) & 1) @ generators % 2
    return np.concatenate([words, words.sum(axis=1, keepdims=True) % 2], axis=1).astype(np.int8)


@lru_cache(maxsize=1)
def leech() -> Array:
    """98280 minimal vectors of the Leech lattice, times √8, one of each pair ±x, as int8 (98280, 24), of squared norm 32.

    Shapes (±4², 0²²); (±2⁸, 0¹⁶) on octads of the Golay code, evenly many minus; (∓3, ±1²³), the upper signs on a word of the code
    (Conway and Sloane 1999, chapter 4).
    """
    words = golay()
    octads = np.array([np.flatnonzero(word) for word in words if word.sum() == 8])
    signs = 1 - 2 * (np.arange(128)[:, None] >> np.arange(8) & 1)
    even = signs[signs.prod(axis=1) == 1]
    twos = np.zeros((len(octads), len(even), 24), dtype=np.int8)
    for k, octad in enumerate(octads):
        twos[k][:, octad] = 2 * even
    # The all-one word is in the code: of a word and its complement one is enough.
    half = 1 - 2 * words[words[:, 0] == 0]
    threes = half[:, None, :] * (1 - 4 * np.eye(24, dtype=np.int8))
    return np.concatenate([4 * _pairs(), twos.reshape(-1, 24), threes.reshape(-1, 24)]).astype(np.int8)


def _pairs() -> Array:
    """e_i ± e_j, i < j < 24."""
    rows = np.zeros((552, 24), dtype=np.int8)
    for k, pair in enumerate(combinations(range(24), 2)):
        rows[2 * k : 2 * k + 2, pair] = [[1, 1], [1, -1]]
    return rows


def narrowed(rows: Array, normals: Array, n: int) -> Code:
    """Lines in R^n among those of R^24 that are orthogonal to `normals`: the section by more minimal vectors of the Leech lattice.

    Each in turn is the first of those to which most of the lines left are orthogonal, but not all: one dimension less. Nothing is claimed
    to be largest; the counts that come of it are known ones.
    """
    found, chosen = rows.astype(np.float32), list(normals)
    candidates = leech()
    for _ in range(24 - len(normals) - n):
        best, index = 0, 0
        for start in range(0, len(candidates), 8192):
            # Products are integers far below 2^24: exact in float32.
            orthogonal = (found @ candidates[start : start + 8192].T.astype(np.float32) == 0).sum(axis=0)
            orthogonal[orthogonal == len(found)] = 0
            if orthogonal.max() > best:
                best, index = int(orthogonal.max()), start + int(orthogonal.argmax())
        chosen.append(candidates[index].astype(np.int64))
        found = found[found @ candidates[index].astype(np.float32) == 0]
    return section(found.astype(np.int64), np.array(chosen))


def laminated_normals(k: int) -> Array:
    """k <= 8 vectors of the Leech lattice, times √8, on one octad of the Golay code: a basis of Λ_k, and of √2 E8 = Λ_8 for k = 8.

    The vectors of the Leech lattice orthogonal to Λ_k are Λ_(24-k) (Conway and Sloane 1999, chapter 6).
    """
    octad = next(np.flatnonzero(word) for word in golay() if word.sum() == 8)
    rows = np.zeros((8, 24), dtype=np.int64)
    rows[:, octad] = 2 * ROOTS
    return rows[:k]


def laminated(n: int) -> Code:
    """Lines of the laminated lattice Λ_n, 9 <= n <= 23."""
    found = orthogonal_to(leech(), laminated_normals(24 - max(n, 16)))
    normals = laminated_normals(min(24 - n, 8))
    if n >= 16:
        return found
    rows = leech()
    return narrowed(rows[~(rows.astype(np.int64) @ normals.T).any(axis=1)], normals, n)


def halves(normals: Array, products: Array) -> Array:
    """The part orthogonal to the normals of the minimal vectors x of the Leech lattice that have the given products with them.

    As integer vectors, one of each pair ±; only of x and one more with opposite parts is one taken.
    """
    rows = np.concatenate([leech(), -leech()]).astype(np.int64)
    rows = rows[(rows @ normals.T == products).all(axis=1)]
    # x - Nᵀ (N Nᵀ)⁻¹ products, times the determinant.
    gram = fmpz_mat((normals @ normals.T).tolist())
    solution = gram.solve(fmpz_mat([[int(p)] for p in products]))
    scale = int(gram.det())
    shift = np.array([int(solution[i, 0] * scale) for i in range(len(normals))]) @ normals
    lines = scale * rows - shift
    lines //= np.gcd.reduce(lines, axis=None)
    first = np.take_along_axis(lines, (lines != 0).argmax(axis=1)[:, None], axis=1)
    return np.unique(lines * np.sign(first), axis=0)


def _minimal(product: int) -> Array:
    """Two minimal vectors with the given product."""
    rows = leech().astype(np.int64)
    products = rows @ rows[0]
    other = int(np.flatnonzero(abs(products) == abs(product))[0])
    return np.stack([rows[0], rows[other] * int(np.sign(products[other] * product))])


def thirds(n: int) -> Code:
    """Lines with products 0 and ±1/3, 11 <= n <= 23: x with <x, w> = 16, w minimal, and sections of them; 2300 in R^23."""
    w = _minimal(8)[:1]
    return narrowed(halves(w, np.array([16])), w, n)


def fifths(n: int) -> Code:
    """Equiangular lines with products ±1/5, 17 <= n <= 23: x with <x, w> = 24, |w|² = 48, and sections of them; 276 in R^23."""
    w = _minimal(-8).sum(axis=0, keepdims=True)
    return narrowed(halves(w, np.array([24])), w, n)


def quarters(n: int) -> Code:
    """Lines with products ±1/4 and less, n = 21 or 22: x with products 16 with two minimal vectors of product 8, and a section; 275 in R^22."""
    w = _minimal(8)
    return narrowed(halves(w, np.array([16, 16])), w, n)


def _lines_28() -> Code:
    """Permutations of (3, 3, -1⁶): products ±8 of squared norm 24."""
    rows = np.full((28, 8), -1, dtype=np.int64)
    for k, pair in enumerate(combinations(range(8), 2)):
        rows[k, pair] = 3
    return section(rows, np.ones((1, 8), dtype=np.int64))


SYSTEMS = {"thirds": (thirds, 11, 23), "fifths": (fifths, 17, 23), "quarters": (quarters, 21, 22)}
NAMED = {"16": lambda: symplectic(2, 1), "28": _lines_28, "276": lambda: fifths(23), "2300": lambda: thirds(23)}


def named(part: Mapping[str, Any]) -> Code:
    """Sets known by their number, {"name": "16"}, "28", "276", "2300", or by their cosine, {"name": "thirds", "n": ...}, fifths, quarters."""
    name = part["name"]
    if name in SYSTEMS:
        make, least, most = SYSTEMS[name]
        n = int(part["n"])
        if not least <= n <= most:
            raise InputError(f"n must be in {least}..{most} for {name}, got {n}")
        return make(n)
    if name not in NAMED:
        raise InputError(f"name must be one of {', '.join([*NAMED, *SYSTEMS])}, got {name!r}")
    return NAMED[name]()
