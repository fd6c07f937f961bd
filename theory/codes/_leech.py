"""Lines from the Leech lattice: its minimal vectors, and sections of them that are laminated lattices, two-graphs and the like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np
from flint import fmpz_mat

from .._checks import InputError
from ._code import Array, Code, Coherence, explicit, require_certified
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


def laminated_normals(k: int) -> Array:
    """k <= 8 vectors of the Leech lattice, times √8, on one octad of the Golay code: a basis of Λ_k, and of √2 E8 = Λ_8 for k = 8.

    The vectors of the Leech lattice orthogonal to Λ_k are Λ_(24-k) (Conway and Sloane 1999, chapter 6).
    """
    octad = next(np.flatnonzero(word) for word in golay() if word.sum() == 8)
    rows = np.zeros((8, 24), dtype=np.int64)
    rows[:, octad] = 2 * ROOTS
    return rows[:k]


def projected(normals: Array, products: Array) -> Array:
    """The parts, orthogonal to the normals, of the minimal vectors x of the Leech lattice that have the given products with them.

    As integer vectors, one of each pair ±: x and w - x give one line where <x, w> = |w|²/2.
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


def _thirds() -> tuple[Array, Array]:
    w = _minimal(8)[:1]
    return projected(w, np.array([16])), w


def _fifths() -> tuple[Array, Array]:
    w = _minimal(-8).sum(axis=0, keepdims=True)
    return projected(w, np.array([24])), w


def _quarters() -> tuple[Array, Array]:
    w = _minimal(8)
    return projected(w, np.array([16, 16])), w


def _sixteen() -> tuple[Array, Array]:
    rows, normals = leech().astype(np.int64), laminated_normals(8)
    return rows[~(rows @ normals.T).any(axis=1)], normals


# Lines to begin with, in how many dimensions, and the least that sections of them are taken in.
SYSTEMS: dict[str, tuple[Callable[[], tuple[Array, Array]], int, int]] = {
    "thirds": (_thirds, 23, 11),
    "fifths": (_fifths, 23, 17),
    "quarters": (_quarters, 22, 21),
    "laminated": (_sixteen, 16, 9),
}


@lru_cache(maxsize=64)
def _narrowed(name: str, n: int) -> tuple[Array, Array]:
    """Lines of a system in R^n, as vectors of R^24, and the normals of their space.

    Of those in R^(n+1) the ones orthogonal to the first minimal vector of the Leech lattice to which most are, but not all. Nothing is
    claimed to be largest; the counts that come of it are known ones.
    """
    start, most, _ = SYSTEMS[name]
    if n == most:
        return start()
    rows, normals = _narrowed(name, n + 1)
    found, candidates = rows.astype(np.float32), leech()
    best, index = 0, 0
    for i in range(0, len(candidates), 8192):
        # Products are integers far below 2^24: exact in float32.
        orthogonal = (found @ candidates[i : i + 8192].T.astype(np.float32) == 0).sum(axis=0)
        orthogonal[orthogonal == len(found)] = 0
        if orthogonal.max() > best:
            best, index = int(orthogonal.max()), i + int(orthogonal.argmax())
    normal = candidates[index].astype(np.int64)
    return rows[rows @ normal == 0], np.concatenate([normals, normal[None]])


def system(name: str, n: int) -> Code:
    """Lines of the Leech lattice of one coherence, or of less, in R^n.

    thirds, 11 <= n <= 23: products 0, ±1/3; the parts orthogonal to w of minimal vectors x with <x, w> = 16, w minimal; 2300 in R^23.
    fifths, 17 <= n <= 23: products ±1/5, equiangular; <x, w> = 24, |w|² = 48; 276 in R^23 (Lemmens and Seidel 1973).
    quarters, n = 21, 22: products up to 1/4; <x, w> = 16 for two minimal w with product 8; 275 in R^22.
    laminated, 9 <= n <= 16: minimal vectors orthogonal to √2 E8. In fewer dimensions sections, of all.
    """
    _, most, least = SYSTEMS[name]
    if not least <= n <= most:
        raise InputError(f"n must be in {least}..{most} for {name}, got {n}")
    return section(*_narrowed(name, n))


def laminated(n: int) -> Code:
    """Lines of the laminated lattice Λ_n, 9 <= n <= 23."""
    return orthogonal_to(leech(), laminated_normals(24 - n)) if n > 16 else system("laminated", n)


def named(part: Mapping[str, Any]) -> Code:
    """Lines of the Leech lattice by their largest cosine, {"name": "thirds", "n"}, "fifths" or "quarters"."""
    if part["name"] not in ("thirds", "fifths", "quarters"):
        raise InputError(f"name must be thirds, fifths or quarters, got {part['name']!r}")
    return system(part["name"], int(part["n"]))
