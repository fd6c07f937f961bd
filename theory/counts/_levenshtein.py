"""Levenshtein's bounds of every degree, for lines and codes, in any dimension: the polynomial is rebuilt and its signs are proved.

Notation of `_gegenbauer`: g_k of R^(n+2), P_l of R^n, σ_k = C(n + k - 1, k). Delsarte: where f <= 0 at all allowed products and
f = Σ f_l P_l with f_l >= 0, f_0 > 0, N <= f(1)/f_0. For orthogonal h_k with h_k(1) = 1, and s the largest product, let
    D(t) = h_{k+1}(t) h_k(s) - h_k(t) h_{k+1}(s),   K(t) = D(t)/(t - s) = A Σ_{i<=k} v_i h_i(t) h_i(s),   A, v_i > 0
(Christoffel and Darboux). f = D K = D²/(t - s) is <= 0 for t < s. Where h_0, ..., h_k >= 0 >= h_{k+1} at s, it is a non-negative
combination of products h_j h_i, so f_l >= 0 where those are positive definite.

 lines, order m      h are g_m, g_{m+2}, ... as polynomials in t² (divided by t for odd m):
                     f = (g_{m+2}(t) g_m(c) - g_m(t) g_{m+2}(c))²/(t² - c²), of degree 2m + 2; order 0 is the relative bound.
 codes, degree 2k+1  h_k = q_k = (σ_k g_k + σ_{k-1} g_{k-1})/ϱ_k, ϱ_k = σ_k + σ_{k-1}, which is Σ_{l<=k} r_l P_l/ϱ_k, the kernel at 1,
                     so orthogonal for (1 - t) times the weight of R^n.
 codes, degree 2k+2  h_k = g_k, and (1 + t) D K instead of D K: 1 + t = P_0 + P_1 is positive definite, too.

For i <= j the mean of h_j h_i is that of a product of two kernels at 1: 1/σ_j for g's of one parity; 1/ϱ_j for q's; and for g's with the
factor 1 + t again 1/σ_j, since t g_i is a mean of g_{i+1} and g_{i-1}. Hence f_0 = (h_k(s)/σ_{k+1} - h_{k+1}(s)/σ_k) K(1) for codes of even
degree, where f(1) = 2 D(1) K(1), and in the other cases likewise. With a = h_k(s), b = -h_{k+1}(s):
    N <= (a + b)/(a/M + b/m),
a weighted harmonic mean of m, M = σ_m, σ_{m+2} for lines, ϱ_k, ϱ_{k+1} and 2σ_k, 2σ_{k+1} for codes. Where the signs of h fail, and
the closed formulas are false, there is no bound of that degree.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from flint import arb, ctx

from ._gegenbauer import BITS, monomials, turn

if TYPE_CHECKING:
    from flint import fmpq


def line_values(n: int, square: fmpq) -> dict[int, arb]:
    """degree -> ball of the bound on lines with <x, y>² <= square, for the degrees whose polynomial is proved to be valid there.

    n >= 2, 0 < square < 1; at most two degrees, 2m + 2 for order m, the best included; none where more than a million steps
    would be needed. Levenshtein (1992). Grade ENCLOSED.

    120 lines through the roots of E8; the polynomial has degree 6:

    >>> from flint import fmpq
    >>> {degree: ball.str(9, radius=False) for degree, ball in line_values(8, fmpq(1, 4)).items()}
    {6: '120.000000'}
    """
    found = turn(n, square)
    if found is None:
        return {}
    k, before, last = found
    with ctx.workprec(BITS):
        # -g_{m+2}/g_m at the angle, by the recurrence, for m + 2 = k and k + 1.
        falls = {k - 2: -last * before / square, k - 1: (k - last * (2 * k + n)) / (k + n)}
        return {2 * m + 2: _mean(arb(1), b, monomials(n, m), monomials(n, m + 2)) for m, b in falls.items() if b >= 0}


def code_values(n: int, s: fmpq) -> dict[int, arb]:
    """degree -> ball of the bound on codes with <x, y> <= s, for the degrees whose polynomial is proved to be valid there.

    n >= 2, -1 <= s < 1; at most three degrees, the best included; none where more than a million steps would be needed.
    Levenshtein (1979, 1998). Grade ENCLOSED.

    Kissing numbers of E8 and of the Leech lattice:

    >>> from flint import fmpq
    >>> code_values(8, fmpq(1, 2))[7].unique_fmpz() == 240, code_values(24, fmpq(1, 2))[11].unique_fmpz() == 196560
    (True, True)
    """
    # k: g_0 ... g_{k-1} > 0 and g_k is not proved to be; then `older`, `new` and `newer` are g_{k-2}, g_k and g_{k+1} over g_{k-1}.
    with ctx.workprec(BITS):
        if s <= 0:
            k, older, new = 1, arb(0), arb(s)
        else:
            found = turn(n, s * s)
            if found is None:
                return {}
            k, older, new = found.degree, s / found.before, found.last / s
        newer = (new * s * (2 * k + n) - k) / (k + n)
        sigma = [monomials(n, j) for j in range(k - 2, k + 2)]
        rho = [low + high for low, high in pairwise(sigma)]
        # q_{k-1}, q_k and q_{k+1}; the q before are positive as the g's are.
        g = (older, arb(1), new, newer)
        q = [(g[i] * sigma[i] + g[i + 1] * sigma[i + 1]) / rho[i] for i in range(3)]
        values = {}
        if new <= 0:
            values[2 * k] = 2 * _mean(arb(1), -new, sigma[1], sigma[2])
        if q[1] <= 0:
            values[2 * k - 1] = _mean(q[0], -q[1], rho[0], rho[1])
        if q[1] >= 0 and q[2] <= 0:
            values[2 * k + 1] = _mean(q[1], -q[2], rho[1], rho[2])
        return values


def _mean(a: arb, b: arb, small: arb, large: arb) -> arb:
    """f(1)/f_0 = (a + b)/(a/large + b/small) for a, b >= 0, not both 0."""
    return (a + b) / (a / large + b / small)
