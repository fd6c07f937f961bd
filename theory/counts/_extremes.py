"""Extreme angle: the largest |cos| over all pairs of random vectors, enclosed, with the limit laws beside it.

Pairs are those of `_angles`, whose statement 1 says that cosines along the edges of a forest are independent.

2 **From below.** Let p = P(|cos| > c). If x_1 .. x_k are good, the next vector is bad for one of them with probability at most k p:
      P(max |cos| <= c) >= Π_{k<N} (1 - k p) >= exp(-λ - N (N - 1)(2N - 1) p²/(12 (1 - (N - 1) p))),   λ = N (N - 1) p/2,
  where log(1 - x) >= -x - x²/(2 (1 - x)).
3 **From above** (Chen-Stein, Arratia-Goldstein-Gordon 1989, with one sign of the error used). W, the number of bad pairs, is a sum of
  indicators X_a. f(k) = ∫_0^1 t^(k-1) e^{-λt} dt solves λ f(k+1) - k f(k) = 1{k = 0} - e^{-λ} and is decreasing and convex. With V_a the
  sum over the pairs that share no vector with a, independent of X_a,
      P(W = 0) - e^{-λ} = E[λ f(W+1) - W f(W)] = Σ_a p E[f(W+1) - f(V_a+1)] + E X_a [f(V_a+1) - f(W)].
  The first term is <= 0. In the second W - V_a - 1 counts the bad pairs that share one vector with a, and f falls by at most
  f(1) - f(2) = (λ - 1 + e^{-λ})/λ² a step; by 1 their expected products add up to N (N - 1)(N - 2) p². Together
      P(max |cos| <= c) <= e^{-λ} + 4 (N - 2) (λ - 1 + e^{-λ})/(N (N - 1)).
  By 1 Var W = λ (1 - p), so also P(W = 0) <= Var W/E W² = (1 - p)/(1 - p + λ).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from flint import arb, ctx, fmpq

from .._checks import InputError, whole
from .._grade import Grade
from ._angles import BITS, AngleLaw, Cosine, Rational, least, probability_of

REGIMES = ("fixed", "sub-exponential", "exponential", "super-exponential")


@dataclass(frozen=True)
class ExtremeAngle:
    """P(max |cos| <= cosine) over all pairs of `count` random vectors: between `lower` and `upper`, balls of grade ENCLOSED.

    rate: λ, the expected number of pairs with |cos| > cosine; the Poisson limit of the probability is exp(-λ).
    """

    law: AngleLaw
    count: int
    cosine: Cosine
    rate: arb
    lower: arb
    upper: arb
    grade: Grade = Grade.ENCLOSED


def extreme_angle(law: AngleLaw, count: int, cosine: Cosine) -> ExtremeAngle:
    """The probability that all pairs of `count` independent vectors have |cos| <= c, enclosed by statements 2 and 3 of the module.

    lower = exp(-λ - N (N - 1)(2N - 1) p²/(12 (1 - (N - 1) p))), or 0 where (N - 1) p >= 1;
    upper = min(1, e^{-λ} + 4 (N - 2)(λ - 1 + e^{-λ})/(N (N - 1)), (1 - p)/(1 - p + λ)).
    The gap is at most of order λ/N: some millionths for a million vectors.
    law: of one pair; count >= 2; cosine in [0, 1]. Raises InputError. Source: Arratia-Goldstein-Gordon 1989, theorem 1.

    >>> found = extreme_angle(AngleLaw(512), 10**6, 0.31)
    >>> float(found.lower), float(found.upper - found.lower) < 1e-6
    (0.709099048742606, True)
    """
    n = whole("count", count, 2)
    with ctx.workprec(BITS):
        p = law.tail(cosine)
        pairs = arb(n * (n - 1)) / 2
        rate, crowd = pairs * p, (n - 1) * p
        lower = arb(0)
        if crowd < 1:
            lower = (-rate - pairs * (2 * n - 1) * p * p / (6 * (1 - crowd))).exp()
        poisson = (-rate).exp()
        chen_stein = poisson + 4 * arb(n - 2) / (n * (n - 1)) * (rate - 1 + poisson)
        upper = arb(1).min(chen_stein).min((1 - p) / (1 - p + rate))
        return ExtremeAngle(law, n, cosine, rate, lower, upper)


def extreme_quantile(law: AngleLaw, count: int, probability: Rational = 0.5) -> arb:
    """A ball that holds the least c with P(max |cos| <= c) >= probability over all pairs of `count` vectors. Grade ENCLOSED.

    Both ends by `extreme_angle`: the ball is as wide as its bounds leave open, but for the uniform law no narrower than 2^-60.
    Raises InputError.

    >>> extreme_quantile(AngleLaw(512), 10**6)
    [0.3060383 +/- 4.00e-8]
    """

    def between(c: fmpq) -> tuple[arb, arb]:
        found = extreme_angle(law, count, c)
        return found.lower, found.upper

    whole("count", count, 2)
    return least(law, probability_of(probability), between)


def extreme_limit(n: int, count: int, cosine: float, regime: str) -> float:
    """The limit law of Cai, Fan and Jiang (2013) for P(max |cos| <= c), N = `count` uniform vectors in R^n, taken at finite n and N.

    With θ = arccos c and K twice that of the smallest angle alone, since angles near 0 and near 180° count:
      fixed n:                          exp(-K N² θ^(n-1)),                K = Γ(n/2)/(2 √π Γ((n+1)/2))
      sub-exponential, log N/n -> 0:    exp(-K e^{y/2}),                   K = 1/√(8π), y = n log(1 - c²) + 4 log N - log log N
      exponential, log N/n -> β:        exp(-K e^{(y + 4β)/2}), same y,    K = √(β/(2π (1 - e^{-4β})))
      super-exponential, -> ∞:          exp(-K e^{y/2}),                   K = 1/√(2π), y = n log(1 - c²) + 4n/(n-1) log N - log n
    The constants follow from p ~ √(2/(πn)) (1 - c²)^((n-1)/2)/c. No error is known: compare `extreme_angle`, which has one.
    n >= 2, count >= 3, regime one of REGIMES, 0 < cosine < 1: as a float it settles the result only where 1 - c² is well above n 10^-16.
    Raises InputError. Grade NUMERIC.

    >>> round(extreme_limit(3, 1000, 1 - 1e-6, "fixed"), 4), round(float(extreme_angle(AngleLaw(3), 1000, 1 - 1e-6).lower), 4)
    (0.6065, 0.6067)
    """
    whole("n", n, 2)
    whole("count", count, 3)
    if regime not in REGIMES:
        raise InputError(f"regime must be one of {', '.join(REGIMES)}, got {regime!r}")
    if not 0 < cosine < 1:
        raise InputError(f"cosine must be between 0 and 1, got {cosine}")
    size, sine = math.log(count), math.log1p(-(cosine**2))
    y = n * sine + 4 * size - math.log(size)
    if regime == "fixed":
        constant = math.lgamma(n / 2) - math.lgamma((n + 1) / 2) - math.log(2 * math.sqrt(math.pi))
        log_rate = constant + 2 * size + (n - 1) * math.log(math.acos(cosine))
    elif regime == "sub-exponential":
        log_rate = y / 2 - math.log(8 * math.pi) / 2
    elif regime == "exponential":
        beta = size / n
        log_rate = y / 2 + 2 * beta + math.log(beta / (-2 * math.pi * math.expm1(-4 * beta))) / 2
    else:
        log_rate = (n * sine + 4 * n / (n - 1) * size - math.log(n)) / 2 - math.log(2 * math.pi) / 2
    # Past a rate of e^700 the probability is 0 to all digits.
    return math.exp(-math.exp(min(log_rate, 700)))
