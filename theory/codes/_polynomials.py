"""Lines from polynomials over finite fields: dual BCH codes, chirps, graphs, and Reed-Solomon codes of lines."""

from __future__ import annotations

from math import isqrt

import numpy as np
from flint import arb, ctx, fmpq

from .._checks import InputError
from .._grade import Grade
from ._code import (
    BITS,
    Array,
    Code,
    Coherence,
    above,
    basis,
    explicit,
    orthogonal_sum,
    require_below_one,
    require_certified,
    union,
)
from ._fields import Field, field_of, hadamard
from ._quadratic import signs_coherence, with_basis
from ._verify_code import root_above, walsh

SUMS = 2**30
"""Terms of exponential sums that a check may add up: about a minute."""


def numbered(i: int, j: int) -> Array:
    """The integers i, ..., j - 1; as Python integers where they exceed int64."""
    return np.arange(i, j) if j < 2**62 else np.array(range(i, j), dtype=object)


def _digits(indices: Array, base: int, k: int) -> Array:
    """Digit k of each index, as int64."""
    power = base**k
    digits: Array = ((indices if power < 2**62 else indices.astype(object)) // power % base).astype(np.int64)
    return digits


def evaluate(numbers: Field, indices: Array, exponents: tuple[int, ...]) -> Array:
    """Values (N, q) of the polynomials Σ_k a_k x^exponents[k], a_k the digits of the index to base q, at all x of the field.

    indices: (N,), of Python integers (dtype object) where they exceed int64.
    """
    x = np.arange(numbers.q)
    values = np.zeros((len(indices), numbers.q), dtype=np.int64)
    for k, exponent in enumerate(exponents):
        power = numbers.power(x, exponent) if exponent else np.ones(numbers.q, dtype=np.int64)
        digits = _digits(indices, numbers.q, k)
        values = numbers.plus(values, numbers.times(digits[:, None], power))
    return values


def bch(m: int, t: int, drop: int = 0) -> Code:
    """Signs (-1)^Tr(a_1 x + a_3 x³ + ... + a_(2t-1) x^(2t-1)) over GF(2^m) without `drop` coordinates, then the unit vectors.

    The words are a linear code, so products are sums S of one word. Weil (1948), as Carlitz and Uchiyama (1957) have it:
    |S| <= (2t - 2) 2^(m/2), as the degree is odd; so the coherence is at most (2t - 2)/2^(m/2), and 2^(mt) words are different where that
    is below 1. The actual largest |S| is computed where 2^(mt) sums are few: the Walsh transforms of the words without linear term.
    """
    if not (2 <= m <= 24 and t >= 2):
        raise InputError(f"m must be in 2..24 and t >= 2, got m = {m}, t = {t}")
    require_below_one(fmpq((2 * t - 2) ** 2, 2**m), f"the dual BCH code m = {m}, t = {t}")
    numbers, exponents = field_of(2**m), tuple(range(3, 2 * t, 2))

    def signs(indices: Array) -> Array:
        return (1 - 2 * numbers.trace[evaluate(numbers, indices, exponents)]).astype(np.int8)

    def argument() -> Coherence:
        words = 2 ** (m * (t - 1))
        if words * 2**m * m > SUMS:
            product = isqrt((2 * t - 2) ** 2 * 2**m)
            return signs_coherence(product, 2**m, drop, "bound of Weil, Carlitz and Uchiyama", Grade.CERTIFIED)
        largest, step = 0, max(1, 2**22 >> m)
        for start in range(0, words, step):
            sums = abs(walsh(signs(np.arange(start, min(start + step, words)))))
            if start == 0:
                sums[0, 0] = 0  # the word 0 with itself
            largest = max(largest, int(sums.max()))
        return signs_coherence(largest, 2**m, drop, f"Walsh transforms of {words} words of a linear code", Grade.EXACT)

    def one(g: int) -> Array:
        row: Array = signs(np.array([g], dtype=object))[0]
        return row

    return with_basis(m, 2 ** (m * t), one, argument, drop)


def chirp(q: int, degree: int) -> Code:
    """Phases ψ(f(x)), f over F_q of degree <= D with f(0) = 0, ψ(y) = exp(2πi Tr(y)/p), as real vectors, times 1 and i; and unit vectors.

    2 q^D + 2q lines in R^(2q), q odd. Weil (1948): |Σ_x ψ(f(x))| <= (D - 1)√q where p does not divide the degree of f, which is so for
    p > D; so the coherence is at most (D - 1)/√q, and 1/√q with unit vectors. Equality for D = 2: Gauss sums have |S|² = q.

    Rows 2f and 2f + 1 are z and iz, z in C^q written as (Re z, Im z), f with digits a_1, ..., a_D to base q.
    """
    if degree < 2:
        raise InputError(f"degree must be an integer >= 2, got {degree}")
    numbers = field_of(q)
    if numbers.p <= degree:
        raise InputError(f"q must be a power of a prime above the degree {degree}, got {q}")
    require_below_one(fmpq((degree - 1) ** 2, q), f"chirps of degree {degree} for q = {q}")
    p, exponents = numbers.p, tuple(range(1, degree + 1))
    angles = 2 * np.pi * np.arange(p) / p
    real, imaginary = np.cos(angles) / np.sqrt(q), np.sin(angles) / np.sqrt(q)

    def take(i: int, j: int) -> Array:
        phase = numbers.trace[evaluate(numbers, numbered(i // 2, (j + 1) // 2), exponents)]
        x, y = real[phase], imaginary[phase]
        both = np.stack([np.concatenate([x, y], axis=1), np.concatenate([-y, x], axis=1)], axis=1)
        rows: Array = both.reshape(-1, 2 * q)[i % 2 : i % 2 + j - i]
        return rows

    def argument() -> Coherence:
        weil = fmpq((degree - 1) ** 2, q)
        if q ** (degree + 1) > SUMS // 4:
            return Coherence(weil, Grade.CERTIFIED, "Weil's bound")
        with ctx.workprec(BITS):
            top, constant = _largest_sum(numbers, exponents)
        if degree == 2:
            require_certified(constant, "a Gauss sum must have |S|² = q or 0")
            return Coherence(weil, Grade.EXACT, f"|S|² = q or 0 for all {q**2 - 1} Gauss sums, in Z[ζ]")
        # Weil's bound is attained now and then, and the enclosure of that number is a little above it.
        return Coherence(
            min(weil, max(top / q**2, fmpq(1, q))), Grade.ENCLOSED, f"all {q**degree - 1} exponential sums, enclosed"
        )

    lines = Code(2 * q, 2 * q**degree, take, False)
    return union([lines, basis(2 * q)], argument)


def _largest_sum(numbers: Field, exponents: tuple[int, ...]) -> tuple[fmpq, bool]:
    """Upper bound of (Re S)² and (Im S)² over S = Σ_x ψ(f(x)), f not 0; and whether |S|² is always q or 0, decided in Z[ζ]."""
    q, p = numbers.q, numbers.p
    seen: set[tuple[int, ...]] = set()
    step = max(1, 2**20 // q)
    for start in range(0, q ** len(exponents), step):
        indices = np.arange(max(start, 1), min(start + step, q ** len(exponents)))
        phases = numbers.trace[evaluate(numbers, indices, exponents)]
        # How often each phase occurs is all that matters.
        flat = (np.arange(len(indices))[:, None] * p + phases).ravel()
        seen.update(map(tuple, np.bincount(flat, minlength=len(indices) * p).reshape(-1, p).tolist()))
    turns = [(arb(2 * k) / p).cos_pi() for k in range(p)], [(arb(2 * k) / p).sin_pi() for k in range(p)]
    top, constant = arb(0), True
    for counts in seen:
        for turn in turns:
            part = sum((int(c) * z for c, z in zip(counts, turn, strict=True)), arb(0))
            top = top.max(part * part)  # not ** 2, which fails about 0
        # |S|² = Σ_k r_k ζ^k with r the autocorrelation; 1 + ζ + ... = 0 is the only relation.
        row = np.array(counts)
        r = [int(row @ np.roll(row, k)) for k in range(p)]
        constant = constant and len(set(r[1:])) == 1 and r[0] - r[1] in (0, q)
    return above(top), constant


def devore(p: int, r: int) -> Code:
    """Indicators of the graphs of the polynomials of degree <= r over F_p, p a prime power: p^(r+1) lines in R^(p²) of coherence r/p.

    Two graphs share at most r points, and some do share r < p (DeVore 2007).
    """
    if not 1 <= r < p:
        raise InputError(f"r must be in 1..{p - 1}, got {r}")
    return _net(p, r + 1, p, np.ones((1, p), dtype=np.int8))


def words(numbers: Field, indices: Array, k: int, places: int) -> Array:
    """Symbols (N, places) of Reed-Solomon words: values at the elements of the field in turn, then the coefficient of x^(k-1)."""
    values = evaluate(numbers, indices, tuple(range(k)))
    if places > numbers.q:
        values = np.concatenate([values, _digits(indices, numbers.q, k - 1)[:, None]], axis=1)
    return values[:, :places]


def net(q: int, k: int, places: int, order: int, inside: int = 0) -> Code:
    """Words of a Reed-Solomon code of dimension k at r <= q + 1 places, times the signs of the rows of a Hadamard matrix, order r or r + 1.

    Places are the elements of F_q in turn, the last of q + 1 the coefficient of x^(k-1); a symbol is a unit vector of R^q. q^k `order`
    lines in R^(qr): two words agree in at most k - 1 places, and in just that many for some pairs; one word with two rows of signs has
    product 0, or ±1/r for order r + 1, where the first column is left out. So the coherence is (k - 1)/r.

    inside: 0, or the order q or q + 1 of a Hadamard matrix whose rows, without the first column for q + 1, are lines in each of the r
    blocks R^q too. They have products ±1/√(qr) with the words, each of which has one nonzero coordinate in a block, and 0 or ±1/q with
    one another.
    """
    if order not in (places, places + 1) or not 2 <= k <= places <= q + 1:
        raise InputError(
            f"places must be from k = {k} >= 2 to q + 1 = {q + 1}, and order be places or one more, got {places}, {order}"
        )
    require_below_one(fmpq(k - 1, places) ** 2, "the net")
    lines = _net(q, k, places, hadamard(order)[:, order - places :])
    if inside == 0:
        return lines
    if inside not in (q, q + 1):
        raise InputError(f"inside must be 0, q or q + 1 for q = {q}, got {inside}")

    def argument() -> Coherence:
        square = max(fmpq(k - 1, places) ** 2, fmpq(1, q * places), fmpq(inside - q, q) ** 2)
        return Coherence(square, Grade.EXACT, "words of a Reed-Solomon code, and a Hadamard matrix in each block")

    block = explicit(hadamard(inside)[:, inside - q :])
    return union([lines, orthogonal_sum([(block, places)], argument)], argument)


def _net(q: int, k: int, places: int, signs: Array) -> Code:
    """Row w h + i: word w with row i of the (h, places) signs."""
    numbers, rows_of_signs = field_of(q), len(signs)

    def take(i: int, j: int) -> Array:
        first, last = i // rows_of_signs, -(-j // rows_of_signs)
        indices = numbered(first, last)
        points = np.repeat(words(numbers, indices, k, places) + np.arange(places) * q, rows_of_signs, axis=0)
        where = slice(i - first * rows_of_signs, j - first * rows_of_signs)
        rows = np.zeros((j - i, places * q), dtype=np.int8)
        np.put_along_axis(rows, points[where], np.tile(signs, (last - first, 1))[where], axis=1)
        return rows

    def argument() -> Coherence:
        method = "words of a Reed-Solomon code agree in at most k - 1 places, some in as many"
        return Coherence(fmpq(k - 1, places) ** 2, Grade.EXACT, method)

    return Code(places * q, q**k * rows_of_signs, take, True, places, argument)


def concatenation(q: int, k: int, inner: Code, square: fmpq) -> Code:
    """Reed-Solomon words of length q, degree < k over F_q, symbol s written as line s of `inner`; its squared coherence is `square`.

    q^k lines in R^(q n) for the inner ones in R^n: two words agree in at most k - 1 places, so the coherence is at most
    (k - 1)/q + (1 - (k - 1)/q) √square.
    """
    if not 1 <= k <= q <= inner.count:
        raise InputError(f"q must be from k = {k} to the {inner.count} inner lines, got {q}")
    numbers = field_of(q)
    symbols = inner.take(0, q)
    # Lines of several norms, or floats, are scaled to length 1.
    integer = inner.integer and len({int(x) for x in (symbols.astype(np.int64) ** 2).sum(axis=1)}) == 1
    symbols = symbols if integer else inner.units(0, q) / np.sqrt(q)
    agree = fmpq(k - 1, q)
    bound = (agree + (1 - agree) * root_above(square)) ** 2
    require_below_one(bound, "the concatenation")

    def take(i: int, j: int) -> Array:
        values = evaluate(numbers, numbered(i, j), tuple(range(k)))
        rows: Array = symbols[values].reshape(j - i, -1)
        return rows

    def argument() -> Coherence:
        # Orthogonal symbols: two polynomials that agree in k - 1 points attain it.
        grade = Grade.CERTIFIED if square else Grade.EXACT
        return Coherence(bound, grade, "polynomials of degree < k agree in at most k - 1 points")

    norm2 = q * int((symbols[0].astype(np.int64) ** 2).sum()) if integer else None
    return Code(q * inner.n, q**k, take, integer, norm2, argument)
