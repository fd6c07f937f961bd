"""Finite fields by tables, and the matrices of signs that they give: Paley's, Hadamard's and Sylvester's."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from math import isqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from flint import fmpz, nmod_poly

from .._checks import InputError

if TYPE_CHECKING:
    from numpy import ndarray
    from numpy.typing import ArrayLike

    Array = ndarray[Any, np.dtype[Any]]

LARGEST = 2**24
"""Tables of a larger field would not fit the memory that a code is allowed."""


@dataclass(frozen=True, eq=False)
class Field:
    """GF(q), q = p^k: element a_0 + a_1 x + ... + a_(k-1) x^(k-1) is the integer Σ a_i p^i, and x is primitive.

    powers[j] = x^j for 0 <= j < q - 1; logarithm[a], with logarithm[0] = 0 that nothing may use; trace[a] = Tr(a) in 0..p-1.
    All methods take arrays of elements. `field_of(q)` makes it.

    >>> eight = field_of(8)
    >>> eight.times([2, 3], [4, 3]).tolist(), eight.trace.tolist()
    ([3, 5], [0, 1, 0, 1, 0, 1, 0, 1])
    """

    p: int
    k: int
    powers: Array = field(repr=False)
    logarithm: Array = field(repr=False)
    trace: Array = field(repr=False)

    @property
    def q(self) -> int:
        """Number of elements."""
        return int(self.p**self.k)

    def plus(self, a: ArrayLike, b: ArrayLike, sign: int = 1) -> Array:
        """a + b, or a - b where sign is -1."""
        a, b = np.asarray(a), np.asarray(b)
        if self.p == 2:
            total: Array = np.bitwise_xor(a, b)
        elif self.k == 1:
            total = np.mod(a + sign * b, self.p)
        else:
            weights = self.p ** np.arange(self.k)
            total = (a[..., None] // weights + sign * (b[..., None] // weights)) % self.p @ weights
        return total

    def times(self, a: ArrayLike, b: ArrayLike) -> Array:
        """A product."""
        a, b = np.asarray(a), np.asarray(b)
        product = self.powers[(self.logarithm[a] + self.logarithm[b]) % (self.q - 1)]
        return np.where((a == 0) | (b == 0), 0, product)

    def power(self, a: ArrayLike, exponent: int) -> Array:
        """a^exponent, exponent >= 1."""
        a = np.asarray(a)
        return np.where(a == 0, 0, self.powers[self.logarithm[a] * (exponent % (self.q - 1)) % (self.q - 1)])

    def character(self, a: ArrayLike) -> Array:
        """Quadratic character: 0 at 0, 1 at squares, -1 elsewhere, as int8; q odd."""
        a = np.asarray(a)
        return np.where(a == 0, 0, 1 - 2 * (self.logarithm[a] % 2)).astype(np.int8)


@lru_cache(maxsize=8)
def field_of(q: int) -> Field:
    """The field of q elements; InputError where q is no prime power, or above 2^24."""
    p, k = prime_power(q)
    if p == 0 or q > LARGEST:
        raise InputError(f"q must be a prime power of at most {LARGEST}, got {q}; choose another field")
    if q == 2:
        return Field(2, 1, np.array([1]), np.array([0, 0]), np.array([0, 1]))
    # Rows are powers of x in digits; doubling needs k² p² at most, so that small fields of large degree stay in bytes.
    low = _primitive(p, k)
    kind = np.int8 if k * p * p < 128 else np.int64
    step = np.zeros((k, k), dtype=kind)
    step[np.arange(k - 1), np.arange(1, k)] = 1
    step[-1] = [-c % p for c in low]
    digits = np.eye(1, k, dtype=kind)
    while len(digits) < q - 1:
        digits = np.concatenate([digits, digits @ step % p])
        step = step @ step % p
    digits = digits[: q - 1]
    powers = np.zeros(q - 1, dtype=np.int64)
    for i in range(k):
        powers += digits[:, i].astype(np.int64) * p**i
    logarithm = np.zeros(q, dtype=np.int64)
    logarithm[powers] = np.arange(q - 1)
    # Tr(x^i) is a constant: only the digit of 1 is left of the sum of the conjugates.
    traces = [int(sum(int(digits[i * p**j % (q - 1), 0]) for j in range(k)) % p) for i in range(k)]
    trace = np.zeros(q, dtype=np.int64)
    for i in range(k):
        trace += np.arange(q) // p**i % p * traces[i]
    return Field(p, k, powers, logarithm, trace % p)


def prime_power(q: int) -> tuple[int, int]:
    """(p, k) with q = p^k; (0, 0) where there is none.

    >>> prime_power(81), prime_power(12)
    ((3, 4), (0, 0))
    """
    factors = fmpz(q).factor() if q > 1 else []
    return (int(factors[0][0]), int(factors[0][1])) if len(factors) == 1 else (0, 0)


def _primitive(p: int, k: int) -> list[int]:
    """c_0, ..., c_(k-1) for which x has order p^k - 1 modulo x^k + Σ c_i x^i: then every nonzero residue is a power of x."""
    order = p**k - 1
    x, one = nmod_poly([0, 1], p), nmod_poly([1], p)
    for code in count(1):
        low = [code // p**i % p for i in range(k)]
        modulus = nmod_poly([*low, 1], p)
        if (
            low[0]
            and pow(x, order, modulus) == one
            and all(pow(x, order // int(r), modulus) != one for r, _ in fmpz(order).factor())
        ):
            return low
    raise AssertionError("every finite field has a primitive element")


def sylvester(m: int) -> Array:
    """Hadamard matrix of order 2^m as int8: entry (a, x) is (-1)^(a.x), a and x as strings of bits.

    >>> sylvester(1).tolist()
    [[1, 1], [1, -1]]
    """
    rows = np.ones((1, 1), dtype=np.int8)
    for _ in range(m):
        rows = np.block([[rows, rows], [rows, -rows]])
    return rows


def conference(q: int) -> Array:
    """Paley's conference matrix C of order q + 1 as int8: zero diagonal, entries ±1, C Cᵀ = q I; symmetric for q = 1 mod 4, else skew.

    q an odd prime power; else InputError. Paley 1933.

    >>> C = conference(5).astype(int)
    >>> bool((C @ C.T == 5 * np.eye(6)).all())
    True
    """
    if q % 2 == 0:
        raise InputError(f"q must be an odd prime power, got {q}")
    numbers = field_of(q)
    elements = np.arange(q)
    matrix = np.zeros((q + 1, q + 1), dtype=np.int8)
    for x in elements:
        matrix[x + 1, 1:] = numbers.character(numbers.plus(x, elements, -1))
    matrix[0, 1:] = 1
    matrix[1:, 0] = 1 if q % 4 == 1 else -1
    return matrix


def hadamard(order: int) -> Array:
    """A Hadamard matrix as int8, among Kronecker products of those of Sylvester and Paley (1933); InputError where there is none.

    >>> H = hadamard(12).astype(int)
    >>> bool((H @ H.T == 12 * np.eye(12)).all())
    True
    >>> hadamard(92)
    Traceback (most recent call last):
    tegum.theory._checks.InputError: order must be that of a Hadamard matrix of Sylvester, of Paley or of products of these, got 92
    """
    matrix = _hadamard(order)
    if matrix is None:
        raise InputError(
            f"order must be that of a Hadamard matrix of Sylvester, of Paley or of products of these, got {order}"
        )
    return matrix


def _hadamard(order: int) -> Array | None:
    if order in (1, 2):
        return sylvester(order - 1)
    if order < 4 or order % 4:
        return None
    if order & (order - 1) == 0:
        return sylvester(order.bit_length() - 1)
    if prime_power(order - 1)[0]:
        # Skew C: (I + C)(I + C)ᵀ = I + C Cᵀ.
        return conference(order - 1) + np.eye(order, dtype=np.int8)
    half = order // 2 - 1
    if half % 4 == 1 and prime_power(half)[0]:
        # Blocks of a symmetric C, on and off its diagonal; they anticommute where they must.
        off, on = np.array([[1, 1], [1, -1]], dtype=np.int8), np.array([[1, -1], [-1, -1]], dtype=np.int8)
        return np.kron(conference(half), off) + np.kron(np.eye(half + 1, dtype=np.int8), on)
    for d in range(2, isqrt(order) + 1):
        if order % d == 0:
            left = _hadamard(d)
            right = _hadamard(order // d) if left is not None else None
            if left is not None and right is not None:
                return np.kron(left, right)
    return None
