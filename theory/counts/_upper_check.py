"""Check of an upper bound: theorems on how many lines or vectors fit, each applied to the numbers of a proof.

x = t² from 0 (lines) or x = t from -1 (code) up to `top`, the largest value allowed; P_k are Gegenbauer polynomials with P_k(1) = 1.
"""

from __future__ import annotations

from math import comb, isqrt, prod
from typing import TYPE_CHECKING, Any

from flint import arb, fmpq, fmpq_poly

from .._checks import CertificateError

if TYPE_CHECKING:
    from collections.abc import Mapping


def upper_bound(proof: Mapping[str, Any], n: int, top: fmpq, lines: bool) -> int | tuple[int, int]:
    by = proof["by"]
    if by == "nodes":
        return _by_nodes(n, top, lines, int(proof["end"]), [fmpq(z) for z in proof["nodes"]])
    if by == "polynomial":
        return _by_polynomial(n, top, lines, [fmpq(f) for f in proof["coefficients"]])
    if by == "kernel":
        return _by_kernel(n, top, lines, int(proof["order"]))
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
        half = upper_bound(proof["proof"], n, cosine, False)
        return half // 2 if isinstance(half, int) else (half[0] // 2, half[1] // 2)
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
        # Alon 2009: the k-th Hadamard power of the Gram matrix has rank at most C(n + k - 1, k).
        rank = comb(n + k - 1, k)
        _require(rank * top**k < 1, "the k-th power of c² is too large for the rank")
        return int(((1 - top**k) * rank / (1 - rank * top**k)).floor())
    _require(by == "power", f"proof by {by!r} is unknown")
    # Sidelnikov 1974: f = x^k - c^2k, whose mean is (2k - 1)!!/(n (n + 2) ... (n + 2k - 2)) - c^2k; powers of x are positive definite.
    if k <= 64:
        moment = fmpq(prod(range(1, 2 * k, 2)), prod(range(n, n + 2 * k, 2)))
        _require(moment > top**k, "the k-th power of c² is too large for the moment")
        return int(((1 - top**k) / (moment - top**k)).floor())
    half, power = arb(n) / 2, arb(top) ** k
    ball = (arb(k) + arb(1) / 2).lgamma() - arb(1) / 2 * arb.pi().log() + half.lgamma() - (half + k).lgamma()
    _require(ball.exp() > power, "the k-th power of c² is too large for the moment")
    return _floors((1 - power) / (ball.exp() - power))


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
    pending = [(lo, top, 0)]
    polynomial = sum((basis[k] * f[k] for k in range(len(f))), fmpq_poly([0]))
    while pending:
        a, b, depth = pending.pop()
        # Descartes: with x = (a + b y)/(1 + y) the signs of the coefficients decide on 0 <= y <= ∞.
        moved = polynomial(fmpq_poly([a, b - a])).coeffs()
        moved += [fmpq(0)] * (len(f) - len(moved))
        if max(fmpq_poly(moved[::-1])(fmpq_poly([1, 1])).coeffs(), default=0) > 0:
            _require(depth < 60, f"the polynomial is not shown to be <= 0 from {a} to {b}")
            pending += [(a, (a + b) / 2, depth + 1), ((a + b) / 2, b, depth + 1)]
    return _linear_programming(f)


def _by_kernel(n: int, top: fmpq, lines: bool, order: int) -> tuple[int, int]:
    """f = (p_{k+1}(x) p_k(s) - p_k(x) p_{k+1}(s))²/(x - s), s = top, k = `order`.

    By Christoffel and Darboux the square is A (x - s) Σ_i<=k r_i p_i(x) p_i(s) times p_{k+1}(x) p_k(s) - p_k(x) p_{k+1}(s), with
    A = l_{k+1}/(l_k r_k), l the leading coefficients and r_i the dimension of the harmonics. Products of p's have non-negative
    coefficients, so those of f are where p_i(s) >= 0 for i <= k and p_{k+1}(s) <= 0; f <= 0 below s; f_0 = -A p_k(s) p_{k+1}(s).
    """
    _require(n >= 3 and order >= 1, "the kernel needs n >= 3 and an order of at least 1")
    step = 2 if lines else 1
    t = arb(top).sqrt() if lines else arb(top)
    # Ratios of neighbours: above the largest root the recurrence contracts, so the balls stay small.
    ratio = t
    for k in range(1, step * order):
        _require(ratio > 0, f"the polynomial of degree {k} is not positive at the angle")
        ratio = (t * (2 * k + n - 2) - k / ratio) / (k + n - 2)
    _require(ratio > 0, f"the polynomial of degree {step * order} is not positive at the angle")
    before, next_ = 1 / ratio, arb(1)
    for k in range(step * order, step * (order + 1)):
        before, next_ = next_, (t * next_ * (2 * k + n - 2) - before * k) / (k + n - 2)
    _require(next_ < 0, "the next polynomial must be negative at the angle")
    k = step * order
    leading = prod((fmpq(2 * i + n - 2, i + n - 2) for i in range(k, k + step)), start=fmpq(1))
    harmonics = comb(n + k - 1, k) - (comb(n + k - 3, k - 2) if k >= 2 else 0)
    return _floors((1 - next_) ** 2 * harmonics / (-next_ * (1 - arb(top)) * arb(leading)))


def _by_circle(n: int, top: fmpq, lines: bool) -> int:
    """N points on a circle are within 360/N degrees of a neighbour, N lines within 180/N."""
    _require(n == 2, f"the circle is for n = 2, got {n}")
    # Rational values of cos² (lines) and cos at a rational part of the circle (Niven): the ball alone cannot decide these.
    exact = {fmpq(0): 2, fmpq(1, 4): 3, fmpq(1, 2): 4, fmpq(3, 4): 6}
    codes = {fmpq(-1): 2, fmpq(-1, 2): 3, fmpq(0): 4, fmpq(1, 2): 6}
    if top in (exact if lines else codes):
        return (exact if lines else codes)[top]
    angle = (arb(top).sqrt() if lines else arb(top)).acos()
    least, most = _floors(arb.pi() * (1 if lines else 2) / angle)
    _require(least == most, "the ball does not decide the number on the circle")
    return least


def _floors(ball: arb) -> tuple[int, int]:
    """The floor of both ends of a ball."""
    return int(ball.lower().floor().unique_fmpz()), int(ball.upper().floor().unique_fmpz())


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise CertificateError(message)
