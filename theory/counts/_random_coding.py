"""Random coding: how many lines there are because vectors taken at random, or at will, are seldom close.

P is the chance that two random vectors are closer than the angle: |<x, y>| > c for two points of the sphere, or two vectors of signs.

1 A set that cannot be enlarged has at least 1/P lines: what each forbids covers everything (Gilbert 1952, Shannon 1959, Wyner 1965).
2 Of N random vectors some set has no close pair if C(N, 2) P < 1 (union bound), and N - C(N, 2) P of them are left if one of each close
  pair is removed (expurgation).
3 On the sphere P(n) = I_{1-c²}((n - 1)/2, 1/2) = const ∫ (x t)^{n/2} dμ(t), x = 1 - c², μ >= 0 on [0, 1] (Euler's integral). So P(n + k)
  <= x^{k/2} P(n), with P(1) = 1: 1/P grows by at least x^{-1/2} with each dimension.
"""

from __future__ import annotations

from math import comb, isqrt, log1p, pi, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from flint import arb, ctx, fmpq

from ._record import Bound, digits

if TYPE_CHECKING:
    from numpy import ndarray

    from ._record import Proof

BITS = 128
SIGNS = 64
"""Coverings of signs are counted up to this dimension."""


def covering_count(n: int, square: fmpq) -> int:
    """At least this many lines with cosines² <= square are in R^n: the least integer not below 1/P, or a little less if it is large.

    P = I_{1-square}((n - 1)/2, 1/2), 0 < square < 1, n >= 1; 1/P is enclosed with 128 bits, and its lower end is rounded up, which a
    number of lines may be. Exact integer; grade: CERTIFIED. Source: Shannon 1959, Wyner 1965.

    >>> covering_count(3, fmpq(1, 4)), covering_count(100, fmpq(1, 4))
    (2, 9828476)
    """
    if n == 1:
        return 1
    with ctx.workprec(BITS):
        return _ceiling(1 / sphere(n, square))


def growth(square: fmpq) -> float:
    """-ln(1 - c²)/2, a little less: ln 1/P grows by at least that with each dimension, by statement 3."""
    return -log1p(-float(square.p) / float(square.q)) / 2 * (1 - 1e-12)


def covering_above(n: ndarray[Any, np.dtype[np.int64]], square: fmpq) -> ndarray[Any, np.dtype[np.float64]]:
    """At least 1/P for an array of n >= 1, as floats, infinite where they end.

    With a = (n - 1)/2, x = 1 - c²: P = x^a c/(a B(a, 1/2)) Σ_k x^k Π_{j<k} (a + j + 1/2)/(a + j + 1), each factor >= (a + 1/2)/(a + 1), and
    a B(a, 1/2) = √π Γ(a + 1)/Γ(a + 1/2) <= √(π (a + 1/2)) (Gautschi 1959).
    """
    a, s = (n - 1) / 2, float(square.p) / float(square.q)
    # And P >= 1 - 2 c d, with d <= √(n/(2 π)) the density of x_1 at 0.
    near = np.maximum(1 - np.sqrt(2 * n * s / pi), 0)
    with np.errstate(over="ignore", divide="ignore"):
        far = np.sqrt(pi * (a + 0.5)) * np.exp(-a * log1p(-s) * (1 + 1e-9)) * (s + (1 - s) / (2 * a + 2)) / sqrt(s)
        return np.asarray(np.minimum(far, 1 / near) * (1 + 1e-9))


def sphere(n: int, square: fmpq) -> arb:
    """P(|x_1|² > square) for a uniform point of the sphere in R^n, n >= 2; a ball of the working precision."""
    return (1 - arb(square)).beta_lower(arb(n - 1) / 2, arb(1) / 2, regularized=True)


def hypercube(n: int, square: fmpq) -> arb:
    """P(<x, y>² > square n²) for random signs, 2^(1-n) Σ_{i <= k} C(n, i) = 2 I_{1/2}(n - k, k + 1); a ball of the working precision."""
    last = _closest(n, square)
    return 2 * (arb(1) / 2).beta_lower(arb(n - last), arb(last + 1), regularized=True)


def hypercube_exact(n: int, square: fmpq) -> fmpq:
    """The same as an exact rational, for small n.

    >>> hypercube_exact(4, fmpq(1, 4)), hypercube_exact(4, fmpq(1, 5))
    (1/8, 5/8)
    """
    return fmpq(2 * sum(comb(n, i) for i in range(_closest(n, square) + 1)), 2**n)


def _closest(n: int, square: fmpq) -> int:
    """The last k < n/2 with (n - 2 k)² > square n², in integers: k = 0 for equal vectors is one of them."""
    return (n - isqrt(int((square * n * n).floor())) - 1) // 2


def signs_count(n: int, square: fmpq) -> int:
    """⌈1/P⌉ for vectors of signs: at least this many lines among them have cosines² <= square. Exact; grade: EXACT. Source: Gilbert 1952.

    >>> signs_count(13, fmpq(1, 2)), covering_count(13, fmpq(1, 2))
    (293, 214)
    """
    return int((1 / hypercube_exact(n, square)).ceil())


def random_coding_bounds(n: int, square: fmpq) -> tuple[Bound, ...]:
    """What random coding gives for lines in R^n with cosines² <= square, 0 < square < 1, n >= 1; grade: CERTIFIED.

    Coverings of signs are counted up to 64 dimensions. Above, those of the sphere are larger, or smaller by a factor below e^{2c} that
    depends on how c n rounds, which would make the bound fall with n.

    >>> [(b.name, b.value) for b in random_coding_bounds(100, fmpq(1, 4))][:3]
    [('covering the sphere', 9828476), ('covering the signs', None), ('expurgation on the sphere', 4914239)]
    """
    if n == 1:
        none = "two vectors in R^1 are on one line"
        return (Bound("covering the sphere", "lower", None, none, "Shannon 1959, Wyner 1965"),)
    with ctx.workprec(BITS):
        ball, sign = sphere(n, square), hypercube(n, square)
        cover = _ceiling(1 / ball)
        few = signs_count(n, square) if n <= SIGNS else None
        rows: tuple[tuple[str, int | None, arb, str, Proof], ...] = (
            ("covering the sphere", cover, ball, "Shannon 1959, Wyner 1965", _proof("covering", n, cover)),
            ("covering the signs", few, sign, "Gilbert 1952, Varshamov 1957", _proof("signs", n, few) if few else {}),
            ("expurgation on the sphere", _expurgated(ball), ball, "Shannon 1948", {}),
            ("expurgation of signs", _expurgated(sign), sign, "Shannon 1948", {}),
            ("union bound on the sphere", _union(ball), ball, "union bound, exact beta tail", {}),
            ("union bound of signs", _union(sign), sign, "union bound, exact binomial tail", {}),
        )
        hoeffding = 2 * (-arb(square) * n / 2).exp()
        last = Bound("Hoeffding", "lower", _union(hoeffding), f"P <= {_short(hoeffding)}", "Hoeffding 1963")
        return (
            *(
                Bound(
                    name,
                    "lower",
                    value,
                    f"P = {_short(chance)}" if value else "counted up to 64 dimensions",
                    source,
                    proof,
                )
                for name, value, chance, source, proof in rows
            ),
            last,
        )


def _union(chance: arb) -> int:
    """The largest N, or nearly, with N (N - 1) P < 2: P < 2/(N (N - 1)) if N = ⌊√(2/P)⌋, as N (N - 1) < N² <= 2/P."""
    return max(floor((2 / chance).sqrt()), 1)


def _expurgated(chance: arb) -> int:
    """max_N ⌈N - N (N - 1) P/2⌉, nearly at N = 1/P + 1/2."""
    start = floor(1 / chance)
    values = [_ceiling(size - arb(size) * (size - 1) / 2 * chance) for size in (start, start + 1)]
    return max(*values, 1)


def _proof(family: str, n: int, count: int) -> Proof:
    return {"by": "sum", "parts": [{"family": family, "n": n, "count": digits(count), "copies": 1}]}


def _ceiling(ball: arb) -> int:
    """The least integer not below the lower end of the ball."""
    return -floor(-arb(ball.lower()))


def floor(ball: arb) -> int:
    """The largest integer not above the lower end of the ball, however large."""
    mantissa, exponent = (int(part) for part in ball.lower().mid().man_exp())
    return mantissa << exponent if exponent >= 0 else mantissa >> -exponent


def _short(ball: arb) -> str:
    return str(ball.mid().str(6, radius=False))
