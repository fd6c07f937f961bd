"""Any decoder: what must be lost where more than m features are active, whatever makes x' of Wx; in rational arithmetic.

**Chords.** Of m + 1 active features, uniform on a cube, Wx leaves a line unresolved, of direction q scaled to max |q_j| = 1. On a chord of
length T (in units of q) the variance of x_i is q_i² T²/12, and E T² = 6 ∫ t Π (1 - t |q_j|) dt, from the volume of the cube and its shift.
So the squared errors add up to at least

    ε_{m+1},    ε_k = min over q of ½ Σ q_j² ∫_0^1 t Π_j (1 - t q_j) dt,

and those of k > m active ones, by averaging over subsets, given the others, to k ε_{m+1}/(m + 1). For fixed q_i + q_j the minimand is
strictly concave in q_i q_j, so at a minimum all q_j strictly between 0 and 1 agree: ε_k is the least of polynomials of one variable.
ε_2 = 25/324 at q = (1, 1/3).

**Entropy.** With d = k - m and z the components of x in a space of m dimensions that holds the rows of W, h(x | z) = -h(z), the cube having
volume 1, and h(z) <= (m/2) ln(2πe/12), the normal law of its covariance. An error in d dimensions is at least d/(2πe) exp(2 h/d), so

    the squared errors add up to at least  (k - m)/(2πe) (12/(2πe))^(m/(k - m)).

Ignoring k - m features costs (k - m)/12, which is 1.42 times that for k much larger than m.
"""

from __future__ import annotations

from functools import lru_cache
from math import comb, factorial

from flint import fmpq

from ._exact_row import HALF, ZERO

ONE = fmpq(1)
# Parts of [0, 1] on which the polynomials of `decoder_error` are bounded by their Bernstein coefficients.
PARTS = 64
# Binary digits of a root that is rounded down.
BITS = 80


@lru_cache
def decoder_error(k: int) -> fmpq:
    """A number below ε_k: of j coordinates 1 and l coordinates r, ½ (j + l r²) ∫ t (1 - t)^j (1 - t r)^l dt, by Bernstein coefficients."""
    least = ONE
    for j in range(1, k + 1):
        for rest in range(k - j + 1):
            line = [
                fmpq((-1) ** e * comb(rest, e) * factorial(e + 1) * factorial(j), factorial(e + j + 2))
                for e in range(rest + 1)
            ]
            curve = [fmpq(j) * c * HALF for c in line] + [ZERO, ZERO]
            for e, c in enumerate(line):
                curve[e + 2] += rest * c * HALF
            least = min(least, *(_bernstein(curve, fmpq(i, PARTS), fmpq(1, PARTS)) for i in range(PARTS)))
    return least


def _bernstein(curve: list[fmpq], start: fmpq, width: fmpq) -> fmpq:
    """The least Bernstein coefficient of a polynomial on [start, start + width]: below it there."""
    d = len(curve)
    shifted = [sum((curve[e] * comb(e, i) * start ** (e - i) for e in range(i, d)), ZERO) * width**i for i in range(d)]
    return min(sum((shifted[i] * fmpq(comb(e, i), comb(d - 1, i)) for i in range(e + 1)), ZERO) for e in range(d))


def _entropy_error(k: int, m: int) -> fmpq:
    """(k - m)/(2πe) (12/(2πe))^(m/(k - m)), rounded down."""
    d, x = k - m, 6 / (fmpq(31415927, 10**7) * fmpq(27182819, 10**7))
    root = fmpq((x**m * 2 ** (BITS * d)).floor().root(d), 2**BITS)
    return d * x / 12 * root


def any_decoder(n: int, m: int, p: fmpq, least: int) -> fmpq:
    """The error of patterns with at least `least` > m active features, by statement 3."""
    return sum(
        (
            max(k * decoder_error(m + 1) / (m + 1), _entropy_error(k, m)) * comb(n, k) * p**k * (1 - p) ** (n - k)
            for k in range(least, n + 1)
        ),
        ZERO,
    )
