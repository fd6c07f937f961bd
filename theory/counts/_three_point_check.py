"""Check of a three-point bound on a code: matrices of integers verified in exact arithmetic. No solver, no floats.

**Theorem** (Bachoc and Vallentin 2008, rearranged). C: N unit vectors in R^n, n >= 3, with <x, y> <= s for any two. With P_k^n the
Gegenbauer polynomial of R^n, P_k^n(1) = 1, let

    Q_k(u, v, t) = w^(k/2) P_k^(n-1)((t - u v)/√w),  w = (1 - u²)(1 - v²),    K = Σ_k Q_k(u, v, t) Σ_ij F_k[i, j] u^i v^j,

F_k positive semidefinite for k = 0 .. d, and a_k >= 0 for k >= 1 (a_0 is any number). Suppose that

    f(u) = Σ_k a_k P_k^n(u) + K(u, u, 1) + K(u, 1, u) + K(1, u, u) <= 0 on [-1, s], and the mean of K over the orders of its arguments
    is <= -β on D = {(u, v, t): each in [-1, s], 1 + 2uvt - u² - v² - t² >= 0}, with β >= 0.

Then  a_0 N + β (N - 1)(N - 2) <= W = Σ_k a_k + K(1, 1, 1) = Σ_k a_k + Σ_ij F_0[i, j].

Proof. For a unit vector z let x = u z + √(1 - u²) x', x' in the sphere of R^(n-1): Q_k(<x,z>, <y,z>, <x,y>) is a product of a factor of x,
the same of y, and P_k^(n-1)(<x', y'>), which is positive semidefinite (Schoenberg 1942). With F_k a sum of c cᵀ, Σ_xy K >= 0 for every
z, so the sum of K over all triples of C is >= 0; so is Σ_xy Σ_{k>=1} a_k P_k^n(<x, y>). In the sum of both, x = y = z and x = y give
N (W - a_0); triples and pairs of exactly two different vectors give Σ_{x≠y} (f - a_0) <= -a_0 N (N - 1), as K(u, u, 1) is the
triple x = y, K(u, 1, u) is y = z, K(1, u, u) is x = z; the Gram matrix of three different vectors is positive semidefinite, so
they give <= -β N (N - 1)(N - 2). Divide by N. Without K this is Delsarte's bound, N <= f(1)/f_0.

**Second condition.** K = T - Σ_m g_m σ_m with sums of squares σ_m and g_m >= 0 on D: 1, Σ p(u), Σ p(u) p(v), p(u) p(v) p(t) for
p(u) = (u + 1)(s - u), and 1 + 2uvt - u² - v² - t². They are symmetric, and |u|, |v|, |t| <= 1 on D: there the mean of K is at most
the constant of T plus Σ |sum of the coefficients of T over the orders of a monomial|. That number is -β: no identity has to hold exactly.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

from flint import fmpq, fmpq_mpoly_ctx, fmpq_poly, fmpz_mat

from .._checks import CertificateError
from ._sign import nonpositive

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flint import fmpq_mpoly

RING = fmpq_mpoly_ctx.get(("u", "v", "t"))
U, V, T = RING.gens()


def check_three_point(proof: Mapping[str, Any], n: int, cosine: fmpq) -> int:
    """The number of unit vectors in R^n with <x, y> <= cosine that `proof` shows to be the most, by the theorem of this module.

    proof: as `three_point_bound` gives it: "degree" d, "count", and in one unit, which does not matter: "a" (a_0 .. a_2d), "loss" β,
    "total" W, and for each matrix in "forms" (F_0 .. F_d) and "squares" (σ's in the order of `squares`) its lower triangle by rows. All
    are integers but β. Raises CertificateError, which names the first thing that is not shown.
    """
    try:
        degree, count = int(proof["degree"]), int(proof["count"])
        a, stated = [int(x) for x in proof["a"]], (fmpq(proof["loss"]), fmpq(proof["total"]))
        forms, sums = ([[int(x) for x in m] for m in proof[key]] for key in ("forms", "squares"))
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise CertificateError(f"a three-point proof lacks numbers, or has others: {error!r}") from None
    _require(n >= 3 and -1 < cosine < 1, "three-point bounds need n >= 3 and a cosine between -1 and 1")
    _require(1 <= degree <= 30, f"degree must be 1 to 30, got {degree}")
    _require(len(a) == 2 * degree + 1 and min(a[1:]) >= 0, "a must be 2 degree + 1 numbers, only the first negative")
    triples, pairs = expand(n, cosine, degree, a, forms, sums)
    constant = triples.pop((0, 0, 0), fmpq(0))
    loss = -constant - sum((abs(c) for c in triples.values()), fmpq(0))
    # Q_k(1, 1, 1) = 0 for k >= 1, and f(1) counts K(1, 1, 1) three times.
    total = (pairs(1) + 2 * sum(a)) / 3
    _require(stated == (loss, total), "loss or total are not those of the matrices")
    _require(loss >= 0, "the kernel is not shown to be at most 0 on triples")
    _require(nonpositive(pairs, fmpq(-1), cosine), "f is not shown to be at most 0 from -1 to the cosine")
    # a_0 N + β (N - 1)(N - 2) rises from its second summand on if a_0 + β (2 N - 3) >= 0: then neither this nor a larger N is possible.
    for size in (count, count + 1):
        rises = a[0] + loss * (2 * size - 3) >= 0
        out = rises and a[0] * size + loss * (size - 1) * (size - 2) > total
        _require(out == (size > count), f"the count that follows is not {count}")
    return count


def expand(
    n: int, cosine: fmpq, degree: int, a: Sequence[int], forms: Sequence[Sequence[int]], sums: Sequence[Sequence[int]]
) -> tuple[dict[tuple[int, ...], fmpq], fmpq_poly]:
    """T as sums of coefficients over the orders of a monomial, by its sorted exponents, and f; CertificateError for indefinite matrices."""
    kernel, one = RING.constant(0), RING.constant(1)
    _require(len(forms) == degree + 1, "forms must be degree + 1 matrices")
    for k, q in enumerate(gegenbauer(n - 1, degree, T - U * V, (1 - U**2) * (1 - V**2))):
        kernel += q * quadratic(forms[k], [U**i for i in range(degree + 1 - k)], [V**i for i in range(degree + 1 - k)])
    f = kernel.compose(U, U, one) + 2 * kernel.compose(U, one, U)
    f += sum((x * p for x, p in zip(a, gegenbauer(n, 2 * degree, U, one), strict=True)), RING.constant(0))
    expected = list(squares(degree, cosine))
    _require(len(sums) == len(expected), f"squares must be {len(expected)} matrices")
    for entries, (factor, basis) in zip(sums, expected, strict=True):
        kernel += factor * quadratic(entries, basis, basis)
    orders: dict[tuple[int, ...], fmpq] = {}
    for exponents, c in kernel.to_dict().items():
        key = tuple(sorted(exponents))
        orders[key] = orders.get(key, fmpq(0)) + c
    powers = f.to_dict()
    return orders, fmpq_poly([powers.get((i, 0, 0), fmpq(0)) for i in range(2 * degree + 1)])


def squares(degree: int, cosine: fmpq) -> Iterator[tuple[fmpq_mpoly, list[fmpq_mpoly]]]:
    """Factors g and bases b of the terms g bᵀ G b of degree at most 2 `degree`: b invariant, alternating, and symmetric in v, t only.

    For G >= 0 the means over the orders of u, v, t are all symmetric sums of squares: by the irreducible representations of S_3
    (Gatermann and Parrilo 2004). Any basis is sound.
    """
    e1, e2, e3 = U + V + T, U * V + V * T + T * U, U * V * T
    p, q, r = ((x + 1) * (cosine - x) for x in (U, V, T))
    factors = (RING.constant(1), p + q + r, p * q + q * r + r * p, p * q * r, 1 + 2 * e3 - U**2 - V**2 - T**2)
    alternating, first, second = (U - V) * (V - T) * (T - U), 2 * U - V - T, 2 * U**2 - V**2 - T**2

    def invariants(d: int) -> list[fmpq_mpoly]:
        return [e1**i * e2**j * e3**k for i, j, k in product(range(d + 1), repeat=3) if i + 2 * j + 3 * k <= d]

    for factor in factors:
        half = (2 * degree - factor.total_degree()) // 2
        mixed = [first * b for b in invariants(half - 1)] + [second * b for b in invariants(half - 2)]
        bases = (invariants(half), [alternating * b for b in invariants(half - 3)], mixed)
        yield from ((factor, basis) for basis in bases if basis)


def gegenbauer(n: int, degree: int, t: fmpq_mpoly, w: fmpq_mpoly) -> list[fmpq_mpoly]:
    """w^(k/2) P_k(t/√w) of R^n for k = 0 .. degree: (k + n - 2) P_{k+1} = (2k + n - 2) t P_k - k w P_{k-1}."""
    family = [RING.constant(1), t]
    for k in range(1, degree):
        family.append(((2 * k + n - 2) * t * family[k] - k * w * family[k - 1]) / fmpq(k + n - 2))
    return family


def quadratic(entries: Sequence[int], left: Sequence[fmpq_mpoly], right: Sequence[fmpq_mpoly]) -> fmpq_mpoly:
    """leftᵀ G right for G with the lower triangle `entries`; CertificateError unless G is positive semidefinite.

    The characteristic polynomial of a symmetric matrix has real roots only: none is negative if and only if its signs alternate.
    """
    m = len(left)
    _require(len(entries) == m * (m + 1) // 2, f"a matrix of {m} rows has {len(entries)} entries in its lower triangle")
    rows = [[entries[max(i, j) * (max(i, j) + 1) // 2 + min(i, j)] for j in range(m)] for i in range(m)]
    signs = fmpz_mat(rows).charpoly()
    definite = all((-1) ** (m - k) * signs[k] >= 0 for k in range(m))
    _require(definite, f"a matrix of {m} rows is not positive semidefinite")
    total = RING.constant(0)
    for x, row in zip(left, rows, strict=True):
        total += x * sum((y * g for y, g in zip(right, row, strict=True)), RING.constant(0))
    return total


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise CertificateError(message)
