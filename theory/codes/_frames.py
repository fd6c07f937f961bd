"""Lines of two-graphs, designs and regular polytopes: simplex, polygon, conference matrices, Steiner systems, quadrics."""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np
from flint import arb, ctx, fmpq

from .._checks import InputError
from .._grade import Grade
from ._code import BITS, Array, Code, Coherence, above, require_certified
from ._fields import field_of, hadamard, prime_power
from ._quadratic import coset_rows
from ._verify_code import by_rows

TERMS = 2**30
"""Products of characters that the check of a conference matrix may add up."""


def simplex_rows(n: int, vertices: Array) -> Array:
    """The given ones of the vertices 0, ..., n of a regular simplex of unit vectors in R^n.

    Coordinates of the vertices e_i - (1, ..., 1)/(n + 1) of R^(n+1), scaled, in Helmert's basis of the plane they span:
    (1, ..., 1, -k, 0, ..., 0)/√(k(k+1)), with k ones, for k = 1..n.
    """
    k = np.arange(1, n + 1)
    vertex = vertices[:, None]
    rows: Array = np.where(vertex < k, 1.0, np.where(vertex == k, -k, 0.0)) * np.sqrt((n + 1) / (n * k * (k + 1.0)))
    return rows


def simplex(n: int) -> Code:
    """n + 1 unit vectors in R^n with products -1/n: the Gram matrix is ((n + 1) I - J)/n, of rank n. One line twice for n = 1."""
    if n < 1:
        raise InputError(f"n must be an integer >= 1, got {n}")

    def argument() -> Coherence:
        return Coherence(fmpq(1, n * n), Grade.EXACT, "Gram matrix ((n + 1) I - J)/n")

    return Code(n, n + 1, lambda i, j: simplex_rows(n, np.arange(i, j)), False, None, argument)


def polygon(count: int) -> Code:
    """`count` lines in the plane at equal angles: coherence cos(π/count), exact where its square is rational (2, 3, 4, 6 lines)."""
    if count < 2:
        raise InputError(f"count must be an integer >= 2, got {count}")
    rational = {2: fmpq(0), 3: fmpq(1, 4), 4: fmpq(1, 2), 6: fmpq(3, 4)}

    def take(i: int, j: int) -> Array:
        angles = np.pi * np.arange(i, j) / count
        return np.stack([np.cos(angles), np.sin(angles)], axis=1)

    def argument() -> Coherence:
        if count in rational:
            return Coherence(rational[count], Grade.EXACT, "angles of a regular polygon")
        with ctx.workprec(BITS):
            return Coherence(above((arb(1) / count).cos_pi() ** 2), Grade.ENCLOSED, "angles of a regular polygon")

    return Code(2, count, take, False, None, argument)


def conference(q: int, square: bool = True) -> Code:
    """q + 1 lines in R^((q+1)/2) with products ±1/√q, q a prime power that is 1 mod 4: Gram matrix I + C/√q, C Paley's.

    C² = q I and C has trace 0, so I + C/√q is twice a projection of rank (q + 1)/2. The vectors are its rows in a real basis of
    eigenvectors, characters of F_q: e_0, and for each x in F_q (1, 2 cos(2π Tr(ax)/p), 2 sin(2π Tr(ax)/p), ...)/√q, a over the squares
    up to sign. Check: 1 + 2 Σ_a ψ(a(x - y)) over the squares is ±√q, half of a Gauss sum twice. Over nonsquares (square=False) it is the
    complement, of the same coherence.
    """
    p = prime_power(q)[0]
    if p == 0 or q % 4 != 1:
        raise InputError(f"q must be a prime power that is 1 mod 4, got {q}")
    numbers = field_of(q)
    # a and -a differ by (q - 1)/2 in their logarithm.
    chosen = numbers.powers[np.arange(0 if square else 1, (q - 1) // 2, 2)]
    angles = 2 * np.pi * np.arange(p) / p
    cosine, sine = 2 * np.cos(angles) / np.sqrt(q), 2 * np.sin(angles) / np.sqrt(q)

    def take(i: int, j: int) -> Array:
        phase = numbers.trace[numbers.times(np.arange(max(i - 1, 0), j - 1)[:, None], chosen)]
        rows = np.concatenate([np.full((len(phase), 1), 1 / np.sqrt(q)), cosine[phase], sine[phase]], axis=1)
        if i > 0:
            return rows
        return np.concatenate([np.eye(1, (q + 1) // 2), rows])

    def argument() -> Coherence:
        if q * q > TERMS:
            return Coherence(fmpq(1, q), Grade.CERTIFIED, "Paley 1933")
        character = numbers.character(np.arange(q)).astype(np.int64)
        # The core of C is χ(x - y): C² = q I says this.
        shifted = all(int(character @ character[numbers.plus(np.arange(q), d)]) == -1 for d in range(1, q))
        require_certified(
            shifted and character.sum() == 0 and (abs(character[1:]) == 1).all(),
            "C must be a symmetric conference matrix",
        )
        return Coherence(fmpq(1, q), Grade.EXACT, "C² = q I for the integer matrix C = √q (G - I) of a Gram matrix G")

    return Code((q + 1) // 2, q + 1, take, False, None, argument)


def triple_system(v: int) -> list[tuple[int, int, int]]:
    """Steiner triple system on 0..v-1: every pair in just one triple; v = 3 mod 6 by Bose (1939), v = 1 mod 6 by Skolem (1958).

    >>> len(triple_system(7)), triple_system(3)
    (7, [(0, 1, 2)])
    """
    if v < 3 or v % 6 not in (1, 3):
        raise InputError(f"v must be 1 or 3 modulo 6, at least 3, got {v}")
    t = v // 6
    if v % 6 == 3:
        size = 2 * t + 1
        first = [(x, size + x, 2 * size + x) for x in range(size)]
        product = [(t + 1) * s % size for s in range(size)]
    else:
        size = 2 * t
        first = [(x, size + x, 2 * size + x) for x in range(t)]
        first += [(v - 1, i * size + x + t, (i + 1) % 3 * size + x) for i in range(3) for x in range(t)]
        # Sums s = x + y mod 2t, renamed so that x x = x for x < t and x x = x - t above.
        product = [s // 2 if s % 2 == 0 else (s - 1) // 2 + t for s in range(size)]
    return first + [
        (i * size + x, i * size + y, (i + 1) % 3 * size + product[(x + y) % size])
        for i in range(3)
        for x, y in combinations(range(size), 2)
    ]


class System(NamedTuple):
    """Blocks of points, for each point the blocks on it, and a Hadamard matrix of order one more than these are."""

    blocks: list[tuple[int, ...]]
    on: list[list[int]]
    signs: Array


def steiner_system(k: int, v: int) -> System:
    """All pairs of v points (k = 2), or a triple system (k = 3), with a Hadamard matrix of order r + 1, r = (v - 1)/(k - 1)."""
    if k not in (2, 3):
        raise InputError(f"k must be 2 or 3, got {k}")
    if v < 4:
        raise InputError(f"v must be an integer >= 4, got {v}")
    blocks: list[tuple[int, ...]] = [*(combinations(range(v), 2) if k == 2 else triple_system(v))]
    on: list[list[int]] = [[] for _ in range(v)]
    for index, block in enumerate(blocks):
        for point in block:
            on[point].append(index)
    return System(blocks, on, hadamard((v - 1) // (k - 1) + 1))


def steiner(k: int, v: int) -> Code:
    """Steiner frame of v points, blocks of k = 2 or 3 that hold every pair once, and a Hadamard matrix H of order r + 1.

    There are r = (v - 1)/(k - 1) blocks on a point. For each point and each row of H without its first column: that row's r signs at the
    coordinates of the point's blocks, in R^(v r/k). These are v (r + 1) lines. Products are ±1 at one point (H Hᵀ = (r + 1) I), and ±1
    at two (one common block), of squared norm r: coherence 1/r (Fickus, Mixon and Tremain 2012).
    """
    blocks, on, signs = steiner_system(k, v)
    order = len(signs)

    def take(i: int, j: int) -> Array:
        rows = np.zeros((j - i, len(blocks)), dtype=np.int8)
        for point in range(i // order, (j - 1) // order + 1):
            start = point * order
            a, b = max(i, start), min(j, start + order)
            rows[a - i : b - i, on[point]] = signs[a - start : b - start, 1:]
        return rows

    def argument() -> Coherence:
        pairs = [pair for block in blocks for pair in combinations(sorted(block), 2)]
        gram = signs.astype(np.float64) @ signs.T
        require_certified(
            len(pairs) == len(set(pairs)) == v * (v - 1) // 2 and bool((gram == order * np.eye(order)).all()),
            "every pair of points must be in one block, and the rows of H be orthogonal",
        )
        return Coherence(fmpq(1, (order - 1) ** 2), Grade.EXACT, "one block for each pair of points, H Hᵀ = (r + 1) I")

    return Code(len(blocks), v * order, take, True, order - 1, argument)


def symplectic(m: int, sign: int) -> Code:
    """4^m lines in R^n, n = 2^(m-1) (2^m - sign), with products ±1/(2^m - sign); the vectors are signs.

    Rows of Sylvester's matrix of order 4^m at the columns u with Q(u) = 1 (sign 1) or Q(u) = 0 (sign -1), Q(u) = Σ_(i<m) u_i u_(i+m):
    a product is Σ (-1)^(u.(x+y)) over those u, and (-1)^Q has the Walsh transform ±2^m. The rows are a group, so one compared with all
    is enough.
    """
    if m < 2:
        raise InputError(f"m must be an integer >= 2, got {m}")
    if sign not in (1, -1):
        raise InputError(f"sign must be 1 or -1, got {sign}")
    u = np.arange(4**m)
    form = np.bitwise_count(u & u >> m & 2**m - 1) % 2
    columns = np.flatnonzero(form == (sign == 1))
    rows = coset_rows(2 * m, lambda _: np.ones(4**m, dtype=np.int8))

    def argument() -> Coherence:
        return by_rows(code, [0], "one vector with all, as they are a group under multiplication of coordinates")

    n = len(columns)
    code = Code(n, 4**m, lambda i, j: rows(i, j)[:, columns], True, n, argument)
    return code
