"""Laws of angles against enumeration, closed forms in low dimension, the exact law of the largest cosine on the circle, and scipy."""

import math
from fractions import Fraction
from itertools import combinations, product

import pytest
from flint import arb, ctx, fmpq
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import betainc, gammaln, ndtr

from tegum.theory import Grade, InputError
from tegum.theory.counts import (
    AngleLaw,
    extreme_angle,
    extreme_limit,
    extreme_quantile,
    mean_square_interference,
    near_orthogonal_dimension,
    readout_accuracy,
)
from tegum.theory.counts._extremes import REGIMES


def all_vectors(n, s):
    """Every vector of n entries with s entries ±1."""
    for places in combinations(range(n), s):
        for signs in product((-1, 1), repeat=s):
            x = [0] * n
            for i, e in zip(places, signs, strict=True):
                x[i] = e
            yield tuple(x)


def inner(x, y):
    return sum(a * b for a, b in zip(x, y, strict=True))


def holds(ball, value):
    """Whether a ball holds a rational; `contains` itself would round it first."""
    with ctx.workprec(300):
        return (ball * value.q).contains(value.p)


def law_of(n, s):
    return AngleLaw(n, "signs") if s == n else AngleLaw(n, "sparse", s)


@pytest.mark.parametrize(("n", "s"), [(1, 1), (6, 6), (7, 7), (4, 2), (5, 3), (6, 4), (7, 1)])
def test_signs_and_sparse_vectors_against_enumeration(n, s):
    vectors = list(all_vectors(n, s))
    products = [abs(inner(vectors[0], y)) for y in vectors]
    law = law_of(n, s)
    for t in range(s + 1):
        assert law.exact_tail(fmpq(t, s)) == fmpq(sum(p > t for p in products), len(products))
        assert holds(law.tail(Fraction(t, s)), law.exact_tail(fmpq(t, s)))
    second, fourth = (fmpq(sum(p**k for p in products), len(products) * s**k) for k in (2, 4))
    assert law.square_moments == (second, fourth - second**2)
    assert second == fmpq(1, n)


def test_ends_are_strict():
    law = AngleLaw(10, "signs")
    at = law.exact_tail(Fraction(2, 5))
    assert law.exact_tail(0.4 - 1e-9) - at == fmpq(2 * math.comb(10, 3), 2**10)  # the pairs with S = ±4
    assert law.exact_tail(0.4 + 1e-9) == at
    # sin 30° is exactly 1/2, which S_4 attains.
    assert holds(AngleLaw(4, "signs").within(30), fmpq(14, 16))
    assert holds(AngleLaw(4, "signs").within(29.999), fmpq(6, 16))


@pytest.mark.parametrize(("n", "t"), [(10_001, 51), (20_000, 600), (20_001, 20_000)])
def test_many_signs_in_balls_against_integers(n, t):
    count, term = 0, 1
    for i in range((n - t - 1) // 2 + 1):
        count, term = count + term, term * (n - i) // (i + 1)
    ball = AngleLaw(n, "signs").tail(Fraction(t, n))
    exact = fmpq(2 * count, 2**n)
    with ctx.workprec(300):
        assert ball.overlaps(arb(exact))
    assert ball.rel_accuracy_bits() > 60


@pytest.mark.parametrize("c", [0.001, 0.25, 0.5, 0.9, 0.999999])
def test_uniform_closed_forms(c):
    with ctx.workprec(200):
        x, pi = arb(c), arb.pi()
        closed = {
            2: 2 * x.acos() / pi,
            3: 1 - x,
            4: 1 - 2 / pi * (x.asin() + x * (1 - x * x).sqrt()),
            5: 1 - (3 * x - x**3) / 2,
        }
        for n, value in closed.items():
            tail = AngleLaw(n).tail(c)
            assert tail.overlaps(value)
            assert tail.rad() < 1e-30
            assert not AngleLaw(n + 1).tail(c).overlaps(value)


@pytest.mark.parametrize("n", [10**3, 10**5, 10**7])
@pytest.mark.parametrize("c", [0.02, 0.3, 0.9])
def test_uniform_tail_in_high_dimension(n, c):
    """By parts: U/(1 + r) <= tail <= U, U = 2 Γ(n/2)/(√π Γ((n-1)/2)) (1 - c²)^((n-1)/2)/((n-1) c), r = (1 - c²)/((n-1) c²)."""
    with ctx.workprec(200):
        half, x = arb(n) / 2, arb(c)
        log = half.lgamma() - (half - 0.5).lgamma() - arb.pi().log() / 2 + (half - 0.5) * (1 - x * x).log()
        upper = 2 * log.exp() / ((n - 1) * x)
        tail = AngleLaw(n).tail(c)
        assert upper / (1 + (1 - x * x) / ((n - 1) * x * x)) < tail < upper
    assert tail.rel_accuracy_bits() > 60


@given(st.integers(2, 3000), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_tails_fall_with_the_cosine_and_the_dimension(n, a, b):
    low, high = sorted((a, b))
    assert not AngleLaw(n).tail(low) < AngleLaw(n).tail(high)
    assert not AngleLaw(n).tail(low) < AngleLaw(n + 1).tail(low)
    assert AngleLaw(n).tail(0).overlaps(arb(1))
    assert AngleLaw(n).tail(1) == 0
    for law in (AngleLaw(n, "signs"), AngleLaw(n, "sparse", 1 + n // 7)):
        assert not law.tail(low) < law.tail(high)
        assert law.exact_tail(1) == 0


@given(st.integers(2, 2000), st.floats(0.01, 0.99))
@settings(max_examples=25, deadline=None)
def test_quantiles_invert_the_law(n, q):
    law = AngleLaw(n)
    c = law.quantile(q)
    assert c.rad() < 1e-17
    with ctx.workprec(128):
        assert 1 - law.tail(c.lower()) < q + 1e-12
        assert 1 - law.tail(c.upper()) > q - 1e-12
    signs = AngleLaw(min(n, 300), "signs")
    step = fmpq(1, signs.n)
    k = round(float(signs.quantile(q)) * signs.n)
    assert 1 - signs.exact_tail(k * step) >= fmpq(*q.as_integer_ratio())
    assert k == 0 or 1 - signs.exact_tail((k - 1) * step) < fmpq(*q.as_integer_ratio())


@pytest.mark.parametrize("n", [100, 300, 512, 768])
@pytest.mark.parametrize("degrees", [1, 5])
def test_share_of_nearly_orthogonal_pairs(n, degrees):
    expected = betainc(0.5, (n - 1) / 2, math.sin(math.radians(degrees)) ** 2)
    # betainc keeps some 13 digits.
    assert float(AngleLaw(n).within(degrees)) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize(("degrees", "share", "n"), [(5, 0.95, 506), (5, 0.99, 872), (10, 0.99, 219), (1, 0.5, 1495)])
def test_first_dimension_with_a_share_of_nearly_orthogonal_pairs(degrees, share, n):
    assert near_orthogonal_dimension(degrees, share) == n
    square = math.sin(math.radians(degrees)) ** 2
    assert betainc(0.5, (n - 1) / 2, square) >= share > betainc(0.5, (n - 2) / 2, square)


def test_pairs_with_a_common_vector_are_independent_but_triangles_are_not():
    for n, s in ((4, 4), (4, 2)):
        vectors = list(all_vectors(n, s))
        p = law_of(n, s).exact_tail(0)
        total = len(vectors) ** 2
        x = vectors[0]
        bad = [(inner(x, y) != 0, inner(x, z) != 0, inner(y, z) != 0) for y in vectors for z in vectors]
        assert fmpq(sum(a and b for a, b, _ in bad), total) == p**2
        assert fmpq(sum(a and c for a, _, c in bad), total) == p**2
        assert fmpq(sum(all(b) for b in bad), total) != p**3


@pytest.mark.parametrize(("n", "s", "count"), [(4, 4, 2), (4, 4, 4), (5, 5, 4), (4, 2, 4), (5, 1, 4), (7, 7, 3)])
def test_largest_cosine_against_enumeration(n, s, count):
    vectors = list(all_vectors(n, s))
    products = {(x, y): abs(inner(x, y)) for x in vectors for y in vectors}
    found = [0] * (s + 1)
    for rest in product(vectors, repeat=count - 1):
        found[max(products[pair] for pair in combinations((vectors[0], *rest), 2))] += 1
    for t in range(s + 1):
        exact = fmpq(sum(found[: t + 1]), len(vectors) ** (count - 1))
        bounds = extreme_angle(law_of(n, s), count, fmpq(t, s))
        assert bounds.lower <= exact
        assert not bounds.upper < exact
        assert bounds.grade == Grade.ENCLOSED


@pytest.mark.parametrize(
    ("count", "rate"),
    [(2, 0.01), (2, 0.7), (3, 2.0), *((n, x) for n in (10, 300, 10**5) for x in (0.01, 0.7, 3.0, 20.0))],
)
def test_largest_cosine_on_the_circle(count, rate):
    """N random lines in the plane are pairwise at least θ apart with probability (1 - N θ/π)₊^(N-1)."""
    with ctx.workprec(128):
        angle = arb(rate) * arb.pi() / (count * (count - 1))
        c = angle.cos()
        found = extreme_angle(AngleLaw(2), count, c)
        exact = (1 - count * angle / arb.pi()).nonnegative_part() ** (count - 1)
        assert found.rate.overlaps(arb(rate))
        assert not exact < found.lower
        assert not exact > found.upper
        # Statements 2 and 3: the relative gap below, the absolute one above.
        assert float(found.upper - (-found.rate).exp()) <= 4 * rate / count + 1e-30
        # The law of another dimension is excluded.
        if count >= 10 and rate < 10:
            other = extreme_angle(AngleLaw(3), count, c)
            assert exact < other.lower


@pytest.mark.parametrize("count", [3, 100, 10**4])
def test_median_of_the_largest_cosine_on_the_circle(count):
    with ctx.workprec(128):
        exact = (arb.pi() / count * (1 - (-arb(2).log() / (count - 1)).exp())).cos()
        found = extreme_quantile(AngleLaw(2), count)
    assert found.overlaps(exact)
    assert 1 - found.lower() < 4 * (1 - exact)


def test_median_of_the_largest_cosine_of_a_million_vectors():
    """A value recorded from this code; the independent side is the Poisson limit with scipy's beta function."""
    found = extreme_quantile(AngleLaw(512), 10**6)
    pairs = 10**6 * (10**6 - 1) / 2
    c = float(found)
    assert c == pytest.approx(0.30604, abs=1e-5)
    assert math.exp(-pairs * betainc(511 / 2, 0.5, 1 - c * c)) == pytest.approx(0.5, abs=1e-5)
    signs = extreme_quantile(AngleLaw(512, "signs"), 10**6)
    assert signs.overlaps(arb(fmpq(160, 512)))


MEDIANS = {
    "fixed": [(3, 10**2), (3, 10**4)],
    "sub-exponential": [(100, 10**4), (10**7, 10**6)],
    "exponential": [(200, 10**30), (10**4, 10**1500)],
    "super-exponential": [(30, 10**39), (3000, 10**3908)],
}


# Regimes whose cases a limit law must miss. The exponential law goes over into its two neighbours as β -> 0 or ∞, and the fixed one holds
# wherever n times the square of the smallest angle vanishes.
STRANGERS = {
    "fixed": ("sub-exponential", "exponential"),
    "sub-exponential": ("fixed", "exponential", "super-exponential"),
    "exponential": ("fixed",),
    "super-exponential": ("fixed", "sub-exponential", "exponential"),
}


@pytest.mark.parametrize("regime", REGIMES)
def test_limits_approach_the_law_in_their_regime_only(regime):
    """At the median of the largest |cosine| the limit law must come to 1/2."""
    gaps = []
    for n, count in MEDIANS[regime]:
        median = float(extreme_quantile(AngleLaw(n), count))
        assert median < 1
        gaps.append(abs(extreme_limit(n, count, median, regime) - 0.5))
    assert gaps[1] < 0.5 * gaps[0] + 1e-4
    assert gaps[1] < 0.02
    for other in STRANGERS[regime]:
        n, count = MEDIANS[other][1]
        median = float(extreme_quantile(AngleLaw(n), count))
        assert abs(extreme_limit(n, count, median, regime) - 0.5) > 0.02


def test_interference_of_a_random_code():
    vectors = list(all_vectors(3, 2))
    total = sum(inner(vectors[0], y) ** 2 + inner(vectors[0], z) ** 2 for y in vectors for z in vectors)
    assert mean_square_interference(3, 3)[0] == fmpq(total, 4 * len(vectors) ** 2)
    # n + 1 lines of a simplex, each cosine -1/n, attain the least; n orthogonal lines have none.
    assert mean_square_interference(7, 8)[1] == 7 * fmpq(1, 7) ** 2
    assert mean_square_interference(7, 7) == (fmpq(6, 7), 0)


@pytest.mark.parametrize(("n", "stored", "alternatives"), [(100, 50, 2), (512, 50, 27), (4096, 100, 10**6)])
def test_readout_accuracy_by_quadrature(n, stored, alternatives):
    s = math.sqrt(n / stored)

    def integrand(h):
        return math.exp(-h * h / 2) / math.sqrt(2 * math.pi) * ndtr(h + s) ** (alternatives - 1)

    expected = quad(integrand, -10, 10, epsabs=1e-12, limit=200)[0]
    assert readout_accuracy(n, stored, alternatives) == pytest.approx(expected, abs=1e-10)
    assert readout_accuracy(1, 10**12, alternatives) == pytest.approx(1 / alternatives, rel=1e-4)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: AngleLaw(1), "n must"),
        (lambda: AngleLaw(10**8), "n must"),
        (lambda: AngleLaw(3.0), "n must"),
        (lambda: AngleLaw(5, "gaussian"), "kind"),
        (lambda: AngleLaw(5, "sparse"), "sparsity"),
        (lambda: AngleLaw(5, "signs", 2), "sparsity"),
        (lambda: AngleLaw(5, "sparse", 6), "sparsity"),
        (lambda: AngleLaw(5).tail(-0.1), "cosine"),
        (lambda: AngleLaw(5).tail(math.nan), "cosine"),
        (lambda: AngleLaw(5).tail("half"), "cosine"),
        (lambda: AngleLaw(5).exact_tail(0.5), "exact_tail"),
        (lambda: AngleLaw(5, "signs").tail(arb(0.6, 1e-3)), "digits"),
        (lambda: AngleLaw(5).within(91), "degrees"),
        (lambda: AngleLaw(5).quantile(1), "probability"),
        (lambda: extreme_angle(AngleLaw(5), 1, 0.5), "count"),
        (lambda: extreme_quantile(AngleLaw(5), 2, 0), "probability"),
        (lambda: extreme_limit(5, 100, 0.5, "linear"), "regime"),
        (lambda: extreme_limit(5, 100, 1.0, "fixed"), "cosine"),
        (lambda: near_orthogonal_dimension(30, 0.5), "attained"),
        (lambda: near_orthogonal_dimension(0.001, 0.9), "no n"),
        (lambda: mean_square_interference(0, 5), "n must"),
        (lambda: readout_accuracy(5, 5, 1), "alternatives"),
    ],
)
def test_bad_input(call, named):
    with pytest.raises(InputError, match=named):
        call()


def test_gamma_of_the_fixed_limit():
    """K N² θ^(n-1) is the first order of λ for small angles: the area of two caps."""
    n, count, theta = 6, 10**3, 1e-3
    log = gammaln(n / 2) - gammaln((n + 1) / 2) - math.log(2 * math.sqrt(math.pi)) + 2 * math.log(count)
    rate = math.exp(log + (n - 1) * math.log(theta))
    with ctx.workprec(128):
        found = extreme_angle(AngleLaw(n), count, arb(theta).cos()).rate
    # The rate counts N (N - 1) pairs and caps to order θ².
    assert float(found) == pytest.approx(rate * (1 - 1 / count), rel=1e-5)
