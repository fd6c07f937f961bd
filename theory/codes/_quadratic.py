"""Lines of signs from quadratic forms over GF(2): sets of Kerdock, Gold, and Delsarte and Goethals, with the unit vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import isqrt

import numpy as np
from flint import fmpq

from .._checks import InputError
from .._grade import Grade
from ._code import Array, Code, Coherence, basis, union
from ._fields import field_of, sylvester
from ._verify_code import ranks

RANKS = 2**26
"""Differences of matrices whose ranks a check may compute: a few minutes."""
CHUNK = 2**16
TILE = 10
"""Signs are made from a Sylvester matrix of at most 2^10 rows, which the cache holds."""


@dataclass(frozen=True)
class Forms:
    """Alternating matrices over GF(2): the sums of one member of `kernel` and one of the span of `span`.

    A matrix is an array of m integers, its rows; bit j of row i is the entry. kernel: indices (N,) in 0..size-1 to matrices (N, m);
    span: (dimension, m), linearly independent; proved: a least rank of differences that a theorem
    gives, 0 without one. Matrix g is kernel(g >> dimension) plus the span's with the low bits of g.
    """

    m: int
    size: int
    kernel: Callable[[Array], Array] = field(repr=False)
    span: Array = field(repr=False)
    proved: int = 0

    @property
    def count(self) -> int:
        """How many matrices."""
        return self.size << len(self.span)

    def matrix(self, g: int) -> Array:
        """Matrix g, as (m,) uint32."""
        low = len(self.span)
        found: Array = self.kernel(np.array([g >> low]))[0]
        for b in range(low):
            if g >> b & 1:
                found = found ^ self.span[b]
        return found

    def differences(self) -> Iterator[Array]:
        """The sums of two different matrices, each at least once, as arrays (N, m)."""
        kernel = self.kernel(np.arange(self.size))
        for linear in self._linear():
            yield linear[linear.any(axis=1)]
            step = max(1, CHUNK // len(linear))
            for k in range(1, self.size):
                pairs = kernel[:k] ^ kernel[k]
                for i in range(0, k, step):
                    yield (pairs[i : i + step, None] ^ linear).reshape(-1, self.m)

    def _linear(self) -> Iterator[Array]:
        """The span, in arrays of at most 2^16 matrices."""
        low = np.zeros((1, self.m), dtype=np.uint32)
        for generator in self.span[:16]:
            low = np.concatenate([low, low ^ generator])
        for g in range(1 << max(0, len(self.span) - 16)):
            high = [self.span[16 + b] for b in range(g.bit_length()) if g >> b & 1]
            yield low ^ np.bitwise_xor.reduce(high) if high else low

    def least_rank(self) -> int:
        """The least rank of the sum of two different matrices, by computing all of them."""
        held: list[Array] = []
        least, size = self.m, 0
        for found in self.differences():
            held, size = [*held, found], size + len(found)
            if size >= CHUNK:
                least, held, size = min(least, int(ranks(np.concatenate(held)).min())), [], 0
        return min([least, *(int(ranks(found).min(initial=self.m)) for found in held)])


def forms(m: int, d: int) -> Forms:
    """A largest set of alternating matrices of order m with differences of rank >= 2d (Delsarte and Goethals 1975).

    m odd, on F = GF(2^m): B_c(x, y) = Σ_(j=1..k) Tr(c_j (x y^(2^j) + x^(2^j) y)), k = (m + 1)/2 - d, all c in F^k. Its kernel is that
    of a linearised polynomial, of degree 2^(2k) after a Frobenius, so of dimension <= 2k, and odd as m minus an even rank: rank >= m -
    2k + 1 = 2d. There are 2^(mk) matrices; d = (m - 1)/2 are Gold's.

    m even, on F x GF(2) with F = GF(2^(m-1)): to such a B_c in x and y alone, k = m/2 - d, add
    K_a((x, e), (y, f)) = Tr(a² x y) + Tr(a x) Tr(a y) + e Tr(a y) + f Tr(a x), a in F.
    For a difference with δ = a + b nonzero the kernel's elements satisfy Tr(a x) = Tr(b x) and δ² x + L_c(x) = (Tr(a x) + e) δ: e is a
    function of x, and x lies where a linearised polynomial of degree 2^(2k) is 0 or δ. So the kernel has dimension <= 2k + 1, hence, being
    even, <= 2k. With δ = 0 it is that of B_c, of odd dimension <= 2k - 1 in F, and e is free. Rank >= m - 2k = 2d. There are
    2^((m-1)(k+1)) matrices; d = m/2 are Kerdock's.

    m in 2..24, 1 <= d <= m // 2; else InputError.

    >>> forms(4, 2).least_rank(), forms(5, 2).count
    (4, 32)
    """
    if not 2 <= m <= 24:
        raise InputError(f"m must be in 2..24, got {m}; choose another dimension 2^m")
    if not 1 <= d <= m // 2:
        raise InputError(f"d must be in 1..{m // 2} for m = {m}, got {d}")
    size = m - 1 + m % 2
    numbers, k = field_of(2**size), (m + m % 2) // 2 - d
    beta = 2 ** np.arange(size)
    span = np.zeros((k * size, m), dtype=np.uint32)
    for j in range(1, k + 1):
        raised = numbers.power(beta, 2**j)
        table = numbers.plus(numbers.times(beta[:, None], raised), numbers.times(raised[:, None], beta))
        for b in range(size):
            span[(j - 1) * size + b, :size] = _pack(numbers.trace[numbers.times(beta[b], table)])
    if m % 2:
        return Forms(m, 1, lambda a: np.zeros((len(a), m), dtype=np.uint32), span, 2 * d)
    # Tr(a² β_i β_j) and Tr(a β_i) are linear in a: one matrix and one vector for each basis element.
    products = numbers.times(beta[:, None], beta)
    squares = np.stack([_pack(numbers.trace[numbers.times(numbers.power(b, 2), products)]) for b in beta])
    traces = _pack(numbers.trace[products])

    def kernel(a: Array) -> Array:
        out = np.zeros((len(a), m), dtype=np.uint32)
        last = np.zeros(len(a), dtype=np.uint32)
        for b in range(size):
            chosen = (a >> b & 1).astype(np.uint32)
            out[:, :size] ^= chosen[:, None] * squares[b]
            last ^= chosen * traces[b]
        bits = last[:, None] >> np.arange(size, dtype=np.uint32) & 1
        out[:, :size] ^= bits * last[:, None] ^ bits << np.uint32(size)
        out[:, size] = last
        return out

    return Forms(m, 2**size, kernel, span, 2 * d)


def _pack(entries: Array) -> Array:
    """Rows of bits (..., j) as integers Σ entry_j 2^j."""
    packed: Array = (entries << np.arange(entries.shape[-1])).sum(axis=-1).astype(np.uint32)
    return packed


def form_signs(matrix: Array) -> Array:
    """(-1)^Q(x) for x = 0, ..., 2^m - 1, as int8, with Q(x) = Σ_(i<j) B_ij x_i x_j.

    >>> form_signs(np.array([2, 1])).tolist()
    [1, 1, 1, -1]
    """
    signs = np.ones(1, dtype=np.int8)
    for row in matrix:
        # Q(x + e_j) = Q(x) + Σ_(i<j) B_ij x_i for x < 2^j.
        signs = np.concatenate([signs, signs * linear_signs(int(row), len(signs))])
    return signs


def linear_signs(a: int, length: int) -> Array:
    """(-1)^(a.x) for x < length, a power of two, as int8."""
    signs = np.ones(1, dtype=np.int8)
    while len(signs) < length:
        signs = np.concatenate([signs, -signs if a & 1 else signs])
        a >>= 1
    return signs


def coset_rows(m: int, signs: Callable[[int], Array], drop: int = 0) -> Callable[[int, int], Array]:
    """Row g 2^m + a: signs(g) times (-1)^(a.x), without the last `drop` coordinates. `take` of a code."""
    tile = min(m, TILE)
    low = sylvester(tile)[:, None, :]

    def take(i: int, j: int) -> Array:
        out, at = np.empty((j - i, 2**m - drop), dtype=np.int8), 0
        held: tuple[int, Array] = (-1, low)
        while i < j:
            g, a = divmod(i, 2**m)
            if g != held[0]:
                held = (g, signs(g).reshape(-1, 2**tile))
            # Row a is a row of the large blocks times a row of the tile.
            high, first = divmod(a, 2**tile)
            stop = min(2**tile, first + j - i)
            outer = held[1] * linear_signs(high, 2 ** (m - tile))[:, None]
            rows = slice(at, at + stop - first)
            if drop:
                out[rows] = (outer * low[first:stop]).reshape(stop - first, -1)[:, : 2**m - drop]
            else:
                np.multiply(outer, low[first:stop], out=out[rows].reshape(stop - first, *outer.shape))
            i, at = i + stop - first, at + stop - first
        return out

    return take


def with_basis(m: int, rows: int, signs: Callable[[int], Array], argument: Callable[[], Coherence], drop: int) -> Code:
    """Vectors of signs of 2^m coordinates, of which the last `drop` are left out, and the unit vectors, scaled where that is integral."""
    n = 2**m - drop
    root = isqrt(n)
    length = root if root * root == n else 1
    return union([Code(n, rows, coset_rows(m, signs, drop), True, n), basis(n, length)], argument)


def quadratic(chosen: Forms, drop: int = 0) -> Code:
    """Lines of the signs (-1)^(Q(x) + a.x), Q in the set, all a; then the unit vectors of R^n, n = 2^m - drop.

    Two forms whose matrices differ by one of rank 2h have products 0 or ±2^(m-h), all a taken together, so with the least rank 2d the
    coherence is max(2^-d, 2^(-m/2)) = 2^-d: exactly, for all vectors, from the ranks of the differences. Without j coordinates it is at
    most max((2^(m-d) + j)/n, n^(-1/2)).
    """

    def argument() -> Coherence:
        pairs = chosen.size * (chosen.size - 1) // 2
        total = (pairs + 1) << len(chosen.span)
        if total <= RANKS:
            rank, grade = chosen.least_rank(), Grade.EXACT
            method = f"ranks of {total - 1} differences of alternating matrices, least {rank}"
        elif chosen.proved:
            rank, grade, method = chosen.proved, Grade.CERTIFIED, "Delsarte and Goethals 1975"
        else:
            raise InputError(f"the differences of forms must be at most {RANKS} to compute their ranks, got {total}")
        return signs_coherence(2 ** (chosen.m - rank // 2), 2**chosen.m, drop, method, grade)

    return with_basis(chosen.m, chosen.count << chosen.m, lambda g: form_signs(chosen.matrix(g)), argument, drop)


def signs_coherence(product: int, length: int, drop: int, method: str, grade: Grade) -> Coherence:
    """Coherence of signs with products of at most `product` and the unit vectors, once `drop` coordinates are left out."""
    n = length - drop
    square = max(fmpq(product + drop, n) ** 2, fmpq(1, n))
    return Coherence(square, grade if drop == 0 else min(grade, Grade.CERTIFIED), method)
