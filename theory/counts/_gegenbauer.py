"""Gegenbauer polynomials of R^(n+2) by the ratios of neighbours: which of them are positive at an angle, proved in ball arithmetic.

g_k is the Gegenbauer polynomial of R^(n+2) with g_k(1) = 1, (k + n) g_{k+1} = (2k + n) t g_k - k g_{k-1}, and P_l that of R^n. Facts:

1 σ_k g_k = Σ r_l P_l over l <= k, l = k mod 2, with r_l = dim of the harmonics of degree l on R^n and σ_k = C(n + k - 1, k): the sum is
  the part of one parity of the reproducing kernel at 1, hence orthogonal for the weight of R^(n+2), (1 - t²) times that of R^n.
2 Products of P's, so by 1 also of g's, are positive definite on R^n: non-negative combinations of P's (Schoenberg 1942).
3 With w_k = t g_{k+1}(t)/g_k(t), x = t²:  w_0 = x,  w_k = F_k(w_{k-1}),  F_k(w) = x ((2k + n) - k/w)/(k + n),  increasing in w > 0.
4 Start. Let κ_k = k/(k + n) and w⁺_k the larger root of w² - x (1 + κ_k) w + κ_k x, the fixed points of F_k, real as long as
  x (1 + κ_k)² >= 4 κ_k. With w = t ρ, 0 < t < 1: ρ² - t (1 + κ) ρ + κ = 0, dρ/dκ = (t ρ - 1)/(2ρ - t (1 + κ)) < 0, so w⁺_k falls in k.
  w_0 = w⁺_0, and w_{k-1} >= w⁺_{k-1} >= w⁺_k gives w_k >= F_k(w⁺_k) = w⁺_k. Also F_k(x) <= x. So g_0 ... g_{k+1} > 0 and
  w⁺_k <= w_k <= x without a single step of the recurrence. From there on F contracts, and the two ends meet.
"""

from __future__ import annotations

from math import floor, sqrt
from typing import NamedTuple

from flint import arb, ctx, fmpq

BITS = 256
# The two ends of the start are taken for one once they agree to this many bits; natural logarithm of the contraction for that.
MET = 236
CONTRACTION = MET * 0.7
# Steps of the recurrence after which the search is given up: some two seconds, for angles below 10^-5 only.
STEPS = 1_000_000


class Turn(NamedTuple):
    """g_0 ... g_{k-1} are positive at t, and g_k is not proved to be: k = `degree` >= 2, w_{k-2} = `before`, w_{k-1} = `last`."""

    degree: int
    before: arb
    last: arb


def turn(n: int, x: fmpq) -> Turn | None:
    """The first k for which g_k is not proved to be positive at t = √x, 0 < x < 1; None if that takes more than STEPS steps.

    Facts 3 and 4 of the module, in balls of 256 bits. n >= 2. The start is chosen in floats and checked exactly; it only saves steps:
    some (n x)^(1/3)/√(1 - x) of them are left. Grade ENCLOSED; g_k(√x) <= 0 wherever `last` <= 0.

    g_1 = t and g_2 = ((n + 2) t² - 1)/(n + 1), at t² = 1/20 for R^10 equal to -2/55:

    >>> found = turn(10, fmpq(1, 20))
    >>> found.degree, (-1 / found.last).str(9, radius=False)
    (2, '27.5000000')
    """
    rest = sqrt(float(1 - x))
    # Past the last w⁺ an oscillation of the angle arcsin `rest` a step begins: more steps than 1/`rest` to its first zero.
    if rest * STEPS < 1:
        return None
    turning = n / 2 * (1 / rest - 1)
    reach = 1.5 * (0.375 * CONTRACTION) ** (2 / 3) * (n * float(x)) ** (1 / 3) / rest
    with ctx.workprec(BITS):
        while True:
            start = max(0, floor(turning - reach))
            if x * (2 * start + n) ** 2 < 4 * start * (start + n):
                reach += 1
                continue
            found = _climb(n, x, start)
            if isinstance(found, Turn):
                return found
            if start == 0 or found > STEPS:
                return None
            reach *= 2


def _climb(n: int, x: fmpq, start: int) -> Turn | int:
    """The turn found from w_start on, or the number of steps made in vain: too many, or the two ends had not met."""
    top = arb(x)
    half = top * (2 * start + n) / (2 * (start + n))
    before = low = half + (half**2 - top * start / (start + n)).sqrt() if start else top
    high = top
    # Index of the first w that is enclosed by `low` alone; before that `low` and `high` enclose it together.
    met = None if start else 0
    k = start + 1
    while low > 0 and k <= start + STEPS:
        # Here low is w_{k-1}.
        before, low = low, top * ((2 * k + n) - k / low) / (k + n)
        if met is None:
            high = top * ((2 * k + n) - k / high) / (k + n)
            if high - low < top * arb(2) ** -MET:
                low, met = low.union(high), k
        k += 1
    enclosed = met is not None and met <= k - 2
    return Turn(k, before, low) if enclosed and not low > 0 else k - start


def monomials(n: int, k: int) -> arb:
    """σ_k = C(n + k - 1, k), the number of monomials of degree k in n variables, as a ball of the working precision; 0 for k < 0.

    >>> monomials(3, 2).unique_fmpz() == 6
    True
    """
    return (arb(n + k).lgamma() - arb(n).lgamma() - arb(k + 1).lgamma()).exp() if k >= 0 else arb(0)


def floor_of(ball: arb) -> int:
    """The floor of the upper end of a ball as an integer, however long: a count below the ball is at most that.

    >>> floor_of(arb(7) / 2)
    3
    """
    with ctx.workprec(BITS):
        mantissa, exponent = ball.upper().man_exp()
    shift = int(exponent)
    return int(mantissa) << shift if shift >= 0 else int(mantissa) >> -shift
