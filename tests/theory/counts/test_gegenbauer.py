"""Gegenbauer polynomials: the facts behind the ratios, and the ratios against exact recurrences."""

from math import comb

import pytest
from flint import arb, ctx, fmpq, fmpq_poly
from hypothesis import given, settings
from hypothesis import strategies as st

from tegum.theory.counts._gegenbauer import BITS, Turn, _climb, floor_of, monomials, turn

X = fmpq_poly([0, 1])


def polynomials(n, count):
    """P_0 ... of R^n with P_k(1) = 1, n >= 2."""
    p = [fmpq_poly([1]), X]
    while len(p) < count:
        k = len(p) - 1
        p.append((X * p[k] * (2 * k + n - 2) - p[k - 1] * k) / (k + n - 2))
    return p


def expansion(f, p):
    """Coefficients of f in the basis p."""
    found = []
    for k in range(f.degree(), -1, -1):
        found.append(f[k] / p[k][k])
        f -= p[k] * found[-1]
    return found[::-1]


def harmonics(n, k):
    return comb(n + k - 1, k) - (comb(n + k - 3, k - 2) if k >= 2 else 0)


def exact_ratios(n, x, count):
    """w_0, ..., stopping after the first that is not positive."""
    w = [x]
    while w[-1] > 0 and len(w) < count:
        k = len(w)
        w.append(x * ((2 * k + n) - k / w[-1]) / (k + n))
    return w


@pytest.mark.parametrize("n", [2, 3, 4, 7, 30])
def test_kernel_of_one_parity_is_the_polynomial_two_dimensions_up(n):
    p, g = polynomials(n, 9), polynomials(n + 2, 9)
    for k in range(9):
        kernel = sum((p[j] * harmonics(n, j) for j in range(k, -1, -2)), fmpq_poly([0]))
        assert g[k] * comb(n + k - 1, k) == kernel
        assert monomials(n, k).overlaps(arb(comb(n + k - 1, k)))


@pytest.mark.parametrize("n", [2, 3, 5, 24])
def test_products_are_positive_definite(n):
    p, g = polynomials(n, 16), polynomials(n + 2, 8)
    for a in range(8):
        for b in range(8):
            assert min(expansion(g[a] * g[b], p)) >= 0
    # The other way round it is false: P_2 of R^n is not positive definite on R^(n+2).
    assert min(expansion(p[2], polynomials(n + 2, 3))) < 0


fractions = st.fractions(min_value="1/5000", max_value="19/20", max_denominator=5000).map(
    lambda x: fmpq(x.numerator, x.denominator)
)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 200), fractions)
def test_turn_is_that_of_the_exact_recurrence(n, x):
    found, w = turn(n, x), exact_ratios(n, x, 60)
    if w[-1] > 0:
        assert found is None or found.degree > 60
        return
    assert found.degree == len(w)
    with ctx.workprec(BITS):
        assert found.last.overlaps(arb(w[-1]))
        assert found.before.overlaps(arb(w[-2]))
        assert found.last.rad() < 2.0**-150


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 400), fractions)
def test_ends_of_the_start_enclose_the_ratios(n, x):
    w = exact_ratios(n, x, 40)
    for k in range(1, len(w)):
        kappa = fmpq(k, k + n)
        if x * (1 + kappa) ** 2 < 4 * kappa:
            break
        # The larger root of the quadratic is at most w_k: w_k is beyond the vertex, and the quadratic is not negative there.
        assert w[k] ** 2 - x * (1 + kappa) * w[k] + kappa * x >= 0
        assert 2 * w[k] >= x * (1 + kappa)
        assert w[k] <= x


@pytest.mark.parametrize(
    ("n", "x"),
    [
        (1000, fmpq(1, 2)),
        (10**4, fmpq(3, 4)),
        (10**4, fmpq(1, 10)),
        (10**6, fmpq(1, 1000)),
        (10**5, fmpq(1, 33)),
        (3, fmpq(9999, 10000)),
    ],
)
def test_short_cut_agrees_with_every_step(n, x):
    found = turn(n, x)
    with ctx.workprec(BITS):
        slow = _climb(n, x, 0)
        assert isinstance(slow, Turn)
        assert found.degree == slow.degree
        for ball, other in zip(found[1:], slow[1:], strict=True):
            assert ball.overlaps(other)
            assert ball.rad() < 2.0**-190


def test_start_too_close_to_the_turn_is_not_accepted():
    n, x = 10**6, fmpq(3, 4)
    degree = turn(n, x).degree
    with ctx.workprec(BITS):
        # 470,000 steps are saved by an early start; from a late one the two ends do not meet.
        assert isinstance(_climb(n, x, 499_999), int)
        assert isinstance(_climb(n, x, 470_000), Turn)
    assert degree > 500_000


def test_equality_is_left_undecided():
    # g_3 vanishes at t² = 3/(n + 4): degree 3 is where positivity is no longer proved.
    found = turn(10, fmpq(3, 14))
    assert found.degree == 3
    assert found.last.contains(arb(0))


def test_out_of_steps(monkeypatch):
    monkeypatch.setattr("tegum.theory.counts._gegenbauer.STEPS", 1000)
    assert turn(3, 1 - fmpq(1, 10**5)) is None
    assert turn(3, 1 - fmpq(1, 10**8)) is None


def test_floor_of_a_ball():
    with ctx.workprec(BITS):
        assert floor_of(arb(240) + arb(0, "1e-60")) == 240
        assert floor_of(arb(240) - arb("1e-20")) == 239
        big = arb(2) ** 5000 + arb(2) ** 4990
    assert floor_of(big) >= 2**5000 + 2**4990
    assert floor_of(big) - 2**5000 - 2**4990 <= 2 ** (5001 - BITS)
