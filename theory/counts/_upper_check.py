"""Check of an upper bound: theorems on how many lines or vectors fit, each applied to the numbers of a proof.

x = t² from 0 (lines) or x = t from -1 (code) up to `top`, the largest value allowed; P_k are Gegenbauer polynomials with P_k(1) = 1.
"""

from __future__ import annotations

from math import comb, isqrt, prod
from typing import TYPE_CHECKING, Any

from flint import arb, fmpq, fmpq_poly

from .._checks import CertificateError
from ._sign import nonpositive

if TYPE_CHECKING:
    from collections.abc import Mapping

HALF = fmpq(1, 2)
EXACT = 64
"""Orders up to here are worked out in rationals, larger ones in balls."""


def upper_bound(proof: Mapping[str, Any], n: int, top: fmpq, lines: bool) -> int:
    """How many lines with <x, y>² <= top, or vectors with <x, y> <= top, the proof leaves room for in R^n."""
    by = proof["by"]
    if by == "nodes":
        return _by_nodes(n, top, lines, int(proof["end"]), [fmpq(z) for z in proof["nodes"]])
    if by == "polynomial":
        return _by_polynomial(n, top, lines, [fmpq(f) for f in proof["coefficients"]])
    if by == "Levenshtein":
        return _by_levenshtein(n, top, lines, int(proof["degree"]))
    if by == "three-point":
        from ._three_point_check import check_three_point

        _require(not lines, "three-point bounds are bounds on codes")
        return check_three_point(proof, n, top)
    if by == "line":
        _require(n == 1, f"one line only in one dimension, got n = {n}")
        return 1 if lines else 2
    if by == "circle":
        return _by_circle(n, top, lines)
    if by == "Rankin":
        # Rankin 1955: |Σ x|² >= 0 gives N <= 1 - 1/s; s < 0 never allows more than n + 1, s = 0 no more than 2n.
        _require(not lines and top <= 0, "Rankin's bound is for codes with a cosine of at most 0")
        return 2 * n if top == 0 else min(n + 1, int((1 - 1 / top).floor()))
    _require(lines, f"{by!r} is a bound on lines, or unknown")
    if by == "half":
        # x and -x of every line are a code.
        cosine = fmpq(proof["cosine"])
        _require(cosine > 0 and cosine**2 >= top, "the code must allow the angles of the lines")
        return upper_bound(proof["proof"], n, cosine, False) // 2
    if by == "orthoplex":
        # The projections x xᵀ - I/n have negative inner products in n(n+1)/2 - 1 dimensions (Conway, Hardin and Sloane 1996).
        _require(n * top < 1, "the orthoplex bound needs n c² < 1")
        return n * (n + 1) // 2
    k = int(proof["excess" if by == "Bukh-Cox" else "order"])
    _require(k >= 1, "the order must be at least 1")
    if by == "Bukh-Cox":
        # n + k lines have coherence at least 1/((n + k) B - 1), B = (2 + (k - 1) √(k + 2))/(k (k + 1)) (Bukh and Cox 2018).
        scale = 10**40
        root = fmpq(isqrt((k + 2) * scale**2) + 1, scale)
        least = (n + k) * (2 + (k - 1) * root) / (k * (k + 1)) - 1
        _require(least > 0 and top * least**2 < 1, f"{n + k} lines are not excluded")
        return n + k - 1
    if by == "rank":
        # Alon 2009: the k-th Hadamard power of the Gram matrix has rank at most C(n + k - 1, k), so N <= C (1 + (N - 1) c^2k).
        mean = 1 / _monomials(n, k) if k > EXACT else fmpq(1, comb(n + k - 1, k))
        return _by_power(mean, top, k)
    _require(by == "power", f"proof by {by!r} is unknown")
    # Sidelnikov 1974: f = x^k - c^2k, of mean (2k - 1)!!/(n (n + 2) ... (n + 2k - 2)) - c^2k; powers of x are positive definite.
    if k <= EXACT:
        return _by_power(fmpq(prod(range(1, 2 * k, 2)), prod(range(n, n + 2 * k, 2))), top, k)
    half = arb(n) / 2
    return _by_power((arb(k + HALF).lgamma() - arb(HALF).lgamma() + half.lgamma() - (half + k).lgamma()).exp(), top, k)


def _by_power(mean: fmpq | arb, top: fmpq, k: int) -> int:
    """N <= (1 - c^2k)/(mean - c^2k)."""
    power = top**k if isinstance(mean, fmpq) else arb(top) ** k
    _require(mean > power, "the k-th power of c² is too large for its mean")
    bound = (1 - power) / (mean - power)
    return int(bound.floor()) if isinstance(bound, fmpq) else _floor(bound)


def _monomials(n: int, k: int) -> arb:
    """C(n + k - 1, k); 0 for k < 0."""
    return (arb(n + k).lgamma() - arb(n).lgamma() - arb(k + 1).lgamma()).exp() if k >= 0 else arb(0)


def gegenbauer(n: int, degree: int, lines: bool) -> list[fmpq_poly]:
    """P_0 ... P_degree of R^n with P(1) = 1, (k + n - 2) P_{k+1} = (2k + n - 2) t P_k - k P_{k-1}; for lines P_2k in x = t²."""
    count = 2 * degree + 1 if lines else degree + 1
    t = fmpq_poly([0, 1])
    result = [fmpq_poly([1]), t]
    for k in range(1, count - 1):
        result.append((t * result[k] * (2 * k + n - 2) - result[k - 1] * k) / (k + n - 2))
    return [fmpq_poly(p.coeffs()[::2]) for p in result[:count:2]] if lines else result[:count]


def _linear_programming(f: list[fmpq]) -> int:
    """Delsarte, Goethals and Seidel 1977: Σ f(<x, y>) >= f_0 N², and <= f(1) N where f <= 0 off the diagonal: N <= f(1)/f_0."""
    _require(f[0] > 0 and min(f) >= 0, "the coefficients must be non-negative, the first positive")
    return int((sum(f, fmpq(0)) / f[0]).floor())


def _by_nodes(n: int, top: fmpq, lines: bool, end: int, nodes: list[fmpq]) -> int:
    """f = (x - top)(x - lo)^end Π (x - z)²: not positive from lo to top, since every other factor is not negative there."""
    _require(n >= 2 and end in (0, 1), "end must be 0 or 1, n at least 2")
    f = fmpq_poly([-top, 1]) * fmpq_poly([0 if lines else 1, 1]) ** end
    for z in nodes:
        f *= fmpq_poly([-z, 1]) ** 2
    basis, coefficients = gegenbauer(n, f.degree(), lines), []
    for k in range(f.degree(), -1, -1):
        coefficients.append(f[k] / basis[k][k])
        f -= basis[k] * coefficients[-1]
    return _linear_programming(coefficients[::-1])


def _by_polynomial(n: int, top: fmpq, lines: bool, f: list[fmpq]) -> int:
    basis, lo = gegenbauer(n, len(f) - 1, lines), fmpq(0 if lines else -1)
    _require(n >= 2 and lo < top, "the interval is empty")
    polynomial = sum((basis[k] * f[k] for k in range(len(f))), fmpq_poly([0]))
    _require(nonpositive(polynomial, lo, top), "the polynomial is not shown to be <= 0 where it must be")
    return _linear_programming(f)


def _by_levenshtein(n: int, top: fmpq, lines: bool, degree: int) -> int:
    """Levenshtein's polynomial of the given degree in t; f(1)/f_0 = (a + b)/(a/M + b/m).

    g_k are the Gegenbauer polynomials of R^(n+2), positive definite on R^n: σ_k g_k = Σ r_l P_l over l <= k of the parity of k,
    σ_k = C(n + k - 1, k), r_l = dim of the harmonics. Let h be orthogonal, h_0, ..., h_k >= 0 >= h_{k+1} at s, a = h_k(s), b = -h_{k+1}(s),
    D(t) = h_{k+1}(t) a + h_k(t) b, K = D/(t - s) = A Σ_{i<=k} v_i h_i(t) h_i(s) (Christoffel and Darboux, A, v_i > 0). f = D K <= 0 below
    s, and is a non-negative combination of products h_j h_i, whose means are 1/σ_j, 1/ϱ_j for i <= j: f_0 = (a/M + b/m) K(1).
    Lines, degree 2m + 2: h = g_m, g_{m+2} in t²; m, M are σ_m, σ_{m+2}.
    Codes, degree 2k: h = g_{k-1}, g_k with f = (1 + t) D K; m, M are 2σ_{k-1}, 2σ_k.
    Codes, degree 2k - 1: h = q_{k-1}, q_k, ϱ_j q_j = σ_j g_j + σ_{j-1} g_{j-1}, the kernel Σ_{l<=j} r_l P_l; ϱ_j = σ_j + σ_{j-1}.
    """
    _require(
        n >= 2 and degree >= 1 and not (lines and degree % 2),
        "n must be at least 2, the degree positive, of lines even",
    )
    t, half = arb(top).sqrt() if lines else arb(top), degree // 2
    # Ratio of g_k and g_{k-1}: above the largest root the recurrence contracts, so the balls stay small.
    ratio = t
    for k in range(1, half):
        _require(ratio > 0, f"the polynomial of degree {k} is not positive at the angle")
        ratio = (t * (2 * k + n) - k / ratio) / (k + n)
    older, now = (arb(1), ratio) if half else (arb(0), arb(1))
    newer = (t * now * (2 * half + n) - older * half) / (half + n)

    low, middle, high = (_monomials(n, k) for k in (half - 1, half, half + 1))
    if lines:
        a, b, least, most = older, -newer, low, high
    elif degree % 2 == 0:
        a, b, least, most = older, -now, 2 * low, 2 * middle
    else:
        least, most = low + middle, middle + high
        a, b = (now * middle + older * low) / least, -(newer * high + now * middle) / most
    _require(a >= 0 and b >= 0, "the polynomial is not shown to be valid at the angle")
    return _floor((a + b) / (a / most + b / least))


def _by_circle(n: int, top: fmpq, lines: bool) -> int:
    """N points on a circle are within 360/N degrees of a neighbour, N lines within 180/N."""
    _require(n == 2, f"the circle is for n = 2, got {n}")
    # Rational values of cos² (lines) and cos at a rational part of the circle (Niven): the ball alone cannot decide these.
    exact = {fmpq(0): 2, fmpq(1, 4): 3, fmpq(1, 2): 4, fmpq(3, 4): 6}
    codes = {fmpq(-1): 2, fmpq(-1, 2): 3, fmpq(0): 4, fmpq(1, 2): 6}
    if top in (exact if lines else codes):
        return (exact if lines else codes)[top]
    angle = (arb(top).sqrt() if lines else arb(top)).acos()
    return _floor(arb.pi() * (1 if lines else 2) / angle)


def _floor(ball: arb) -> int:
    """The floor of the upper end: a count below the ball is at most that."""
    floor = ball.upper().floor().unique_fmpz()
    _require(floor is not None, "the ball is too wide for its floor")
    return int(floor or 0)


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise CertificateError(message)
