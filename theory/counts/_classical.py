"""Classical upper bounds on lines and codes: counting dimensions, moments and angles. Each function says None where its theorem is silent.

All take n >= 1 and, for lines, 0 < square < 1 with <x, y>² <= square between any two. Larger n or square never gives a smaller value.
"""

from __future__ import annotations

from math import comb, lgamma, log, log1p, prod
from typing import TYPE_CHECKING

from flint import arb, ctx, fmpq

from ._gegenbauer import BITS, floor_of, monomials

if TYPE_CHECKING:
    from collections.abc import Callable

# Orders up to this one are computed in rationals, later ones in balls.
EXACT = 64
# Values of cos² (lines) and cos (vectors) at rational parts of the circle that are rational (Niven 1956), and how many fit.
LINES = {fmpq(1, 4): 3, fmpq(1, 2): 4, fmpq(3, 4): 6}
VECTORS = {fmpq(-1): 2, fmpq(-1, 2): 3, fmpq(0): 4, fmpq(1, 2): 6}


def circle_lines(square: fmpq) -> int:
    """Lines in the plane: floor(π/arccos √square), since two of N are within 180/N degrees. Exact.

    >>> circle_lines(fmpq(3, 4)), circle_lines(fmpq(3, 4) - fmpq(1, 10**9))
    (6, 5)
    """
    return LINES[square] if square in LINES else _whole(lambda: arb.pi() / arb(square).sqrt().acos())


def circle_code(s: fmpq) -> int:
    """Vectors in the plane: floor(2π/arccos s), since two of N are within 360/N degrees. Exact; -1 <= s < 1.

    >>> circle_code(fmpq(1, 2)), circle_code(fmpq(1, 3))
    (6, 5)
    """
    return VECTORS[s] if s in VECTORS else _whole(lambda: 2 * arb.pi() / arb(s).acos())


def rankin(n: int, s: fmpq) -> int | None:
    """Vectors with <x, y> <= s <= 0: floor(1 - 1/s), from |Σ x|² >= 0, at most n + 1 for s < 0; 2n for s = 0 (Rankin 1955). Exact.

    >>> rankin(3, fmpq(-1, 2)), rankin(3, fmpq(-1, 5)), rankin(3, fmpq(0)), rankin(3, fmpq(1, 5))
    (3, 4, 6, None)
    """
    if s > 0:
        return None
    return min(n + 1, int((1 - 1 / s).floor())) if s < 0 else 2 * n


def relative(n: int, square: fmpq) -> int | None:
    """Relative bound, n (1 - c²)/(1 - n c²) for n c² < 1, n >= 2: f = t² - c² (van Lint and Seidel 1966; Welch 1974 of order 1). Exact.

    >>> relative(23, fmpq(1, 25)), relative(25, fmpq(1, 25))
    (276, None)
    """
    return int((n * (1 - square) / (1 - n * square)).floor()) if n > 1 and n * square < 1 else None


def orthoplex(n: int, square: fmpq) -> int | None:
    """n (n + 1)/2 for n c² < 1, where the projections xxᵀ - I/n have negative products in n (n + 1)/2 - 1 dimensions. Exact.

    Conway, Hardin and Sloane (1996).

    >>> orthoplex(3, fmpq(1, 4)), orthoplex(3, fmpq(1, 3))
    (6, None)
    """
    return n * (n + 1) // 2 if n * square < 1 else None


def bukh_cox(n: int, square: fmpq) -> tuple[int, int] | None:
    """(k, n + k - 1) for the smallest k <= n with 1/((n + k) B_k - 1) > c, B_k = (2 + (k - 1) √(k + 2))/(k (k + 1)).

    n + k vectors have coherence at least that (Bukh and Cox 2018), so n + k - 1 is the most. The left side grows with k; what decides is
    a ball, so at equality the bound does not claim. Grade ENCLOSED.

    Five lines of R^3 have coherence at least 3/7 (the truth is 1/√5), 1/√6 is less:

    >>> bukh_cox(3, fmpq(1, 6)), bukh_cox(3, fmpq(1, 10)), bukh_cox(3, fmpq(1, 4))
    ((2, 4), (1, 3), None)
    """

    def excluded(k: int) -> bool:
        return bool((arb(k + 2).sqrt() * (k - 1) + 2) * (n + k) / (k * (k + 1)) < allowed)

    with ctx.workprec(BITS):
        allowed = 1 + 1 / arb(square).sqrt()
        if not excluded(n):
            return None
        low, high = 0, n
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if excluded(middle) else (middle, high)
    return high, n + high - 1


def power(n: int, square: fmpq) -> tuple[int, int]:
    """(k, value) of the best power bound, N <= (1 - c^2k)/(m_k - c^2k) where c^2k < m_k = E t^2k = (2k - 1)!!/(n (n + 2) ... (n + 2k - 2)).

    f = t^2k - c^2k (Sidelnikov 1974; Welch 1974 with 1/C(n + k - 1, k) in place of m_k). Grade EXACT up to order 64, then
    ENCLOSED.

    Order 1 is the relative bound:

    >>> power(23, fmpq(1, 25)), power(4, fmpq(1, 4))
    ((1, 276), (2, 15))
    """
    half = n / 2

    def likely(k: int) -> float:
        return lgamma(half) + lgamma(k + 0.5) - lgamma(0.5) - lgamma(half + k)

    def moment(k: int) -> fmpq | arb:
        if k <= EXACT:
            return fmpq(prod(range(1, 2 * k, 2)), prod(range(n, n + 2 * k, 2)))
        middle = arb(n) / 2
        return (middle.lgamma() + (arb(k) + 0.5).lgamma() - arb.pi().log() / 2 - (middle + k).lgamma()).exp()

    return _best_order(square, likely, moment)


def rank(n: int, square: fmpq) -> tuple[int, int]:
    """(k, value) of the best rank bound, N <= (1 - c^2k)/(1/C - c^2k) where c^2k < 1/C, C = C(n + k - 1, k). Grade ENCLOSED.

    The k-th entrywise power of the Gram matrix has rank at most C and at least N/(1 + (N - 1) c^2k) (Alon 2003, 2009).

    >>> rank(23, fmpq(1, 25)), rank(4, fmpq(1, 4))
    ((1, 276), (2, 25))
    """

    def likely(k: int) -> float:
        return lgamma(n) + lgamma(k + 1) - lgamma(n + k)

    def share(k: int) -> fmpq | arb:
        return fmpq(1, comb(n + k - 1, k)) if k <= EXACT else 1 / monomials(n, k)

    return _best_order(square, likely, share)


def _best_order(square: fmpq, likely: Callable[[int], float], a: Callable[[int], fmpq | arb]) -> tuple[int, int]:
    """(k, floor of (1 - q)/(a_k - q)), q = square^k, with log a_k = `likely` in floats: the best k of the first few.

    log(a_k/q) = Σ log of factors that grow with k, at last beyond 1: it is convex, and positive from some k on. There a_k still falls
    by a factor per k, so the best k is close; it is guessed in floats, its value is exact or a ball.
    """
    slope = log(float(square)) if square < fmpq(1, 2) else log1p(-float(1 - square))

    def margin(k: int) -> float:
        return likely(k) - k * slope

    high = 1
    while margin(high) <= 0:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if margin(middle) > 0 else (middle, high)
    best, k = None, high
    with ctx.workprec(BITS):
        while True:
            q = (square if k <= EXACT else arb(square)) ** k
            rest = a(k) - q
            # Otherwise the margin was rounding only; the next order is clear.
            if rest > 0:
                bound = (1 - q) / rest
                value = int(bound.floor()) if isinstance(bound, fmpq) else floor_of(bound)
                if best is not None and value >= best[1]:
                    return best
                best = k, value
            k += 1


def _whole(ratio: Callable[[], arb]) -> int:
    """The floor of an irrational number, at the precision that decides it."""
    bits = BITS
    while True:
        with ctx.workprec(bits):
            found = ratio().floor().unique_fmpz()
        if found is not None:
            return int(found)
        bits *= 2
