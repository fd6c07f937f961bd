"""Upper bounds: known counts, polynomials rebuilt in rationals, linear programming, failure outside the interval, monotonicity."""

from itertools import pairwise
from math import comb, isqrt, sqrt

import numpy as np
import pytest
from flint import arb, ctx, fmpq, fmpq_poly
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from tegum.theory._checks import InputError
from tegum.theory.counts._classical import bukh_cox, circle_code, circle_lines, power, rank
from tegum.theory.counts._gegenbauer import BITS, floor_of
from tegum.theory.counts._levenshtein import code_values, line_values
from tegum.theory.counts._upper import code_upper_bounds, upper_bounds


def best(bounds):
    return min(b.value for b in bounds if b.value is not None)


def named(bounds, name):
    return next(b for b in bounds if b.name == name)


def sine_squared(degrees):
    """sin² from above."""
    with ctx.workprec(200):
        mantissa, exponent = ((arb(fmpq(degrees)) * arb.pi() / 180).sin() ** 2).upper().man_exp()
    return fmpq(mantissa) * fmpq(2) ** int(exponent)


# --- known counts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "count", "name"),
    [
        (57, 57, "relative"),
        (58, 59, "relative"),
        (85, 86, "Bukh-Cox"),
        (100, 102, "Bukh-Cox"),
        (300, 330, "relative"),
        (1000, 1437, "relative"),
        (2000, 5115, "relative"),
        (4096, 9578862, "Levenshtein"),
        (10000, 170703724578, "Levenshtein"),
    ],
)
def test_one_degree(n, count, name):
    bounds = upper_bounds(n, sine_squared(1))
    assert best(bounds) == count == named(bounds, name).value


@pytest.mark.parametrize(
    ("n", "square", "count"),
    [
        # Sets that exist with just this number of lines: the bound is exact, and less would be false.
        (1, "1/2", 1), (2, "1/4", 3), (2, "1/2", 4), (2, "3/4", 6), (3, "1/9", 4), (3, "1/5", 6), (4, "1/9", 6),
        (4, "1/4", 12), (5, "1/9", 10), (5, "1/5", 16), (6, "1/9", 16), (7, "1/9", 28), (8, "1/4", 120), (8, "1/64", 9),
        (13, "1/25", 26), (15, "1/25", 36), (16, "1/16", 144), (21, "1/25", 126), (23, "1/25", 276), (23, "1/9", 2300),
        (24, "1/4", 98280), (28, "1/49", 64), (64, "1/64", 2112), (256, "1/256", 33024), (4096, "1/4096", 8392704),
    ],
)  # fmt: skip
def test_sharp_lines(n, square, count):
    square = fmpq(square)
    # 5, 1/5: 16 lines exist, the bound is above.
    assert best(upper_bounds(n, square)) == (count if (n, count) != (5, 16) else 17)
    # A little below the angle the bound must not be larger, a little above not smaller.
    assert best(upper_bounds(n, square - fmpq(1, 10**12))) <= best(upper_bounds(n, square))
    assert best(upper_bounds(n, square + fmpq(1, 10**12))) >= count


@pytest.mark.parametrize(
    ("n", "cosine", "count"),
    [
        (1, "1/2", 2), (2, "-1/2", 3), (2, "0", 4), (2, "1/2", 6), (3, "-1", 2), (3, "-1/2", 3), (3, "-1/3", 4), (3, "-1/5", 4),
        (3, "0", 6), (9, "0", 18), (5, "1/5", 16), (6, "1/4", 27), (7, "1/3", 56), (8, "1/2", 240), (21, "1/9", 112), (21, "1/7", 162),
        (22, "1/6", 275), (22, "1/4", 891), (23, "1/5", 552), (23, "1/3", 4600), (24, "1/2", 196560), (52, "1/16", 325),
    ],
)  # fmt: skip
def test_sharp_codes(n, cosine, count):
    assert best(code_upper_bounds(n, fmpq(cosine))) == count


# Least largest cosine known for N vectors in R^3 (from above): Tammes' problem.
TAMMES = [
    (7, 0.210138313),
    (8, 0.261203875),
    (9, 1 / 3),
    (10, 0.404394326),
    (12, 1 / sqrt(5)),
    (13, 0.542636487),
    (24, 0.723573193),
]


@pytest.mark.parametrize(("count", "cosine"), TAMMES)
def test_known_codes_are_not_excluded(count, cosine):
    assert best(code_upper_bounds(3, fmpq(int((cosine + 1e-8) * 10**10), 10**10))) >= count


@pytest.mark.parametrize("n", [5, 8, 100, 4096])
def test_meeting_points_of_theorems(n):
    # At n c² = 1 the bound of degree 4 is that of n/2 + 1 orthonormal bases; just below, the orthoplex.
    assert best(upper_bounds(n, fmpq(1, n))) == n * (n + 2) // 2
    below = upper_bounds(n, fmpq(1, n) - fmpq(1, 10**15))
    assert best(below) == named(below, "orthoplex").value == n * (n + 1) // 2
    # Where g_2 vanishes all lines of degree 2 and 4 meet Gerzon's number.
    assert best(upper_bounds(n, fmpq(1, n + 2))) == n * (n + 1) // 2
    assert "equal angles" in named(below, "Gerzon").note
    assert str(n * (n + 1) // 2) in named(below, "Gerzon").note


# --- the polynomial, in rationals -------------------------------------------------------------------------------------

T = fmpq_poly([0, 1])


def gegenbauer(n, count):
    p = [fmpq_poly([1]), T]
    while len(p) < count:
        k = len(p) - 1
        p.append((T * p[k] * (2 * k + n - 2) - p[k - 1] * k) / (k + n - 2))
    return p


def expansion(f, p):
    found = []
    for k in range(f.degree(), -1, -1):
        found.append(f[k] / p[k][k])
        f -= p[k] * found[-1]
    return found[::-1]


def darboux(high, low, s):
    """D and D/(t - s) for two polynomials."""
    d = high * low(s) - low * high(s)
    quotient, rest = divmod(d, T - s)
    assert rest == 0
    return d, quotient


def line_polynomial(n, x, degree):
    """f in t² = x, from its definition."""
    m = degree // 2 - 1
    g = gegenbauer(n + 2, m + 3)
    low, high = (fmpq_poly(g[j].coeffs()[j % 2 :: 2]) for j in (m, m + 2))
    d, k = darboux(high, low, x)
    # The factor t of odd polynomials, twice.
    return d * k * T ** (m % 2), [fmpq_poly(p.coeffs()[::2]) for p in gegenbauer(n, degree + 1)[::2]]


def code_polynomial(n, s, degree):
    """f in t, with the kernels summed up."""
    p, k = gegenbauer(n, degree + 2), degree // 2
    if degree % 2:
        r = [comb(n + j - 1, j) - (comb(n + j - 3, j - 2) if j >= 2 else 0) for j in range(k + 2)]
        kernels = [sum((p[j] * r[j] for j in range(i + 1)), fmpq_poly([0])) for i in (k, k + 1)]
        d, kernel = darboux(kernels[1] / kernels[1](1), kernels[0] / kernels[0](1), s)
        return d * kernel, p
    g = gegenbauer(n + 2, k + 1)
    d, kernel = darboux(g[k], g[k - 1], s)
    return d * kernel * (T + 1), p


def check_polynomial(f, basis, lo, top, ball):
    coefficients = expansion(f, basis)
    assert min(coefficients) >= 0
    assert coefficients[0] > 0
    assert all(f(lo + (top - lo) * fmpq(i, 200)) <= 0 for i in range(201))
    with ctx.workprec(BITS):
        assert ball.overlaps(arb(f(1) / coefficients[0]))
    return f(1) / coefficients[0]


fractions = st.fractions(min_value="1/500", max_value="9/10", max_denominator=500).map(
    lambda x: fmpq(x.numerator, x.denominator)
)


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 60), fractions)
def test_polynomials_of_lines(n, x):
    values = line_values(n, x)
    assert values
    for degree, ball in values.items():
        if degree <= 40:
            check_polynomial(*line_polynomial(n, x, degree), fmpq(0), x, ball)


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 60), fractions, st.booleans())
def test_polynomials_of_codes(n, s, obtuse):
    s = -s if obtuse else s
    values = code_values(n, s)
    assert values
    for degree, ball in values.items():
        if degree <= 40:
            check_polynomial(*code_polynomial(n, s, degree), fmpq(-1), s, ball)


# --- outside the interval ---------------------------------------------------------------------------------------------


def closed_formula(n, degree, s):
    """Levenshtein's L_degree(n, s), with no look at the interval."""
    k = (degree + 1) // 2
    p = [q(s) for q in gegenbauer(n, k + 2)]
    if degree % 2:
        return comb(k + n - 3, k - 1) * (fmpq(2 * k + n - 3, n - 1) - (p[k - 1] - p[k]) / ((1 - s) * p[k]))
    ratio = (1 + s) * (p[k] - p[k + 1]) / ((1 - s) * (p[k] + p[k + 1]))
    return comb(k + n - 2, k) * (fmpq(2 * k + n - 1, n - 1) - ratio)


@pytest.mark.parametrize(
    ("n", "s", "degree", "claim", "exists"),
    [(8, "1/2", 9, "30", 240), (4, "1/2", 8, "10", 24), (6, "1/4", 6, "126/13", 27), (5, "1/5", 5, "240/17", 16)],
)
def test_closed_formula_is_false_outside_and_ours_is_silent(n, s, degree, claim, exists):
    s = fmpq(s)
    assert closed_formula(n, degree, s) == fmpq(claim) < exists
    assert degree not in code_values(n, s)
    # The polynomial itself is not valid there.
    with pytest.raises(AssertionError):
        check_polynomial(*code_polynomial(n, s, degree), fmpq(-1), s, arb(0, 10**9))
    # Inside, the formula is right.
    values = code_values(n, s)
    inside = min(values, key=lambda d: floor_of(values[d]))
    with ctx.workprec(BITS):
        assert values[inside].overlaps(arb(closed_formula(n, inside, s)))


@pytest.mark.parametrize("n", [4, 10, 1000])
def test_interval_of_degree_four(n):
    # n (n + 2) (1 - c²)/(3 - (n + 2) c²) up to c² = 3/(n + 4) only.
    for square, valid in ((fmpq(3, n + 4), True), (fmpq(3, n + 4) + fmpq(1, 10**9), False), (fmpq(1, n + 3), True)):
        values = line_values(n, square)
        formula = n * (n + 2) * (1 - square) / (3 - (n + 2) * square)
        # At the end itself the next degree is the same number.
        assert (4 in values or (valid and floor_of(values[6]) == formula.floor())) == valid
        if 4 in values:
            assert floor_of(values[4]) == formula.floor()


# --- linear programming -----------------------------------------------------------------------------------------------


def linear_program(n, grid, degrees):
    """min 1 + Σ f_k with 1 + Σ f_k P_k <= 0 on the grid: at most the true optimum, which has all points of the interval."""
    p = [np.ones_like(grid), grid]
    while len(p) <= max(degrees):
        k = len(p) - 1
        p.append(((2 * k + n - 2) * grid * p[k] - k * p[k - 1]) / (k + n - 2))
    found = linprog(np.ones(len(degrees)), A_ub=np.array([p[k] for k in degrees]).T, b_ub=-np.ones(len(grid)))
    return 1 + found.fun


@pytest.mark.parametrize(("n", "s"), [(3, 0.5), (4, 0.5), (4, 0.3), (5, -0.1), (7, 0.45), (9, 0.2), (12, 0.4)])
def test_codes_against_linear_programming(n, s):
    grid = -1 + (1 + s) * (1 - np.cos(np.linspace(0, np.pi, 3001))) / 2
    with ctx.workprec(BITS):
        values = {degree: float(ball.mid()) for degree, ball in code_values(n, fmpq(round(s * 100), 100)).items()}
    degree = min(values, key=values.__getitem__)
    # Best of its degree (Sidelnikov 1980, Levenshtein), and no better than the optimum of any.
    assert linear_program(n, grid, range(1, degree + 1)) == pytest.approx(values[degree], rel=2e-5)
    assert linear_program(n, grid, range(1, 20)) <= values[degree] * (1 + 1e-7)


@pytest.mark.parametrize(("n", "c"), [(3, 0.5), (4, 0.4), (5, 0.2), (8, 0.45), (12, 0.4), (30, 0.25), (50, 0.1)])
def test_lines_against_linear_programming(n, c):
    grid = c * (1 - np.cos(np.linspace(0, np.pi / 2, 2001)))
    with ctx.workprec(BITS):
        values = {degree: float(ball.mid()) for degree, ball in line_values(n, fmpq(round(c * 100), 100) ** 2).items()}
    degree = min(values, key=values.__getitem__)
    assert linear_program(n, grid, range(2, degree + 1, 2)) == pytest.approx(values[degree], rel=2e-5)
    assert linear_program(n, grid, range(2, 21, 2)) <= values[degree] * (1 + 1e-7)


# --- the other theorems -----------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), fractions)
def test_best_orders_are_the_best_of_all(n, x):
    moments, ranks = [fmpq(1)], [fmpq(1)]
    for k in range(1, 65):
        moments.append(moments[-1] * fmpq(2 * k - 1, n + 2 * k - 2))
        ranks.append(fmpq(1, comb(n + k - 1, k)))
    for found, shares in ((power(n, x), moments), (rank(n, x), ranks)):
        options = [int(((1 - x**k) / (a - x**k)).floor()) for k, a in enumerate(shares) if k and a > x**k]
        if found[0] <= 60 or options:
            assert found[1] == min(options)


def test_large_orders_in_balls_agree_with_rationals(monkeypatch):
    exact = [(power(n, fmpq(3, 4)), rank(n, fmpq(3, 4))) for n in (2, 5, 9)]
    monkeypatch.setattr("tegum.theory.counts._classical.EXACT", 0)
    assert [(power(n, fmpq(3, 4)), rank(n, fmpq(3, 4))) for n in (2, 5, 9)] == exact


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(2, 4000))
def test_bukh_cox_is_the_first_excess_that_is_excluded(n, denominator):
    # c = 1/√d: n + k lines are excluded where ((n + k) B_k - 1)² < d, with √(k + 2) exact or from above.
    scale, excluded = 10**40, []
    for k in range(1, n + 1):
        root = fmpq(isqrt((k + 2) * scale**2), scale)
        if isqrt(k + 2) ** 2 != k + 2:
            root += fmpq(1, scale)
        least = (n + k) * (2 + (k - 1) * root) / (k * (k + 1)) - 1
        if least**2 < denominator:
            excluded.append(k)
    found = bukh_cox(n, fmpq(1, denominator))
    assert found == ((excluded[0], n + excluded[0] - 1) if excluded else None)
    assert excluded == list(range(excluded[0], n + 1)) if excluded else True


@pytest.mark.parametrize("k", [2, 3, 7])
def test_bound_on_projections_behind_bukh_cox(k):
    # Σ |P_ij| <= N k B_k for projections of rank k, with equality for k (k + 1)/2 equiangular lines.
    b = (2 + (k - 1) * sqrt(k + 2)) / (k * (k + 1))
    rng = np.random.default_rng(k)
    lines = {
        2: [[np.cos(a), np.sin(a)] for a in np.pi * np.arange(3) / 3],
        3: [[0, 1, x] for x in (1, -1)],
        7: [[3 if i in (a, c) else -1 for i in range(8)] for a in range(8) for c in range(a)],
    }[k]
    frame = np.array(lines, dtype=float)
    if k == 3:
        golden = (1 + sqrt(5)) / 2
        frame = np.array([np.roll([0, 1, sign * golden], i) for i in range(3) for sign in (1, -1)])
    p = frame @ np.linalg.pinv(frame)
    total = np.abs(p).sum()
    assert total == pytest.approx(len(frame) * k * b, rel=1e-12)
    for size in (k + 1, k + 3, 3 * k, 10 * k):
        for _ in range(20):
            q = np.linalg.qr(rng.normal(size=(size, k)) * rng.gamma(1, size=(size, 1)))[0]
            assert np.abs(q @ q.T).sum() <= size * k * b * (1 + 1e-12)


def test_circle():
    for m in range(3, 12):
        # Rational values on both sides of cos²(π/m) and cos(2π/m).
        for formula, cosine in ((circle_lines, np.cos(np.pi / m) ** 2), (circle_code, np.cos(2 * np.pi / m))):
            middle = fmpq(round(cosine * 10**12), 10**12)
            assert formula(middle - fmpq(1, 10**11)) == m - 1
            assert formula(middle + fmpq(1, 10**11)) == m
    assert [circle_lines(fmpq(q, 4)) for q in (1, 2, 3)] == [3, 4, 6]
    assert [circle_code(fmpq(s, 2)) for s in (-2, -1, 0, 1)] == [2, 3, 4, 6]
    # 10^-90 below a quarter: undecided at 256 bits.
    assert circle_lines(fmpq(1, 4) - fmpq(1, 10**90)) == 2


# --- all of them ------------------------------------------------------------------------------------------------------


def test_silence_has_a_reason():
    for n in (1, 2, 3, 1000):
        for bounds in (
            upper_bounds(n, fmpq(1, 3)),
            code_upper_bounds(n, fmpq(1, 3)),
            code_upper_bounds(n, fmpq(-1, 3)),
        ):
            assert best(bounds) >= 1
            for b in bounds:
                assert b.side == "upper"
                assert (b.value is None) == (not b.proof)
                assert b.value is not None or b.note
            assert len({b.name for b in bounds}) == len(bounds)
    assert named(upper_bounds(10, fmpq(1, 10)), "relative").value is None
    assert named(upper_bounds(10, fmpq(1, 10)), "orthoplex").value is None
    assert named(code_upper_bounds(10, fmpq(1, 10)), "Rankin").value is None


def larger(x, bits):
    return x + (1 - x) / fmpq(2) ** bits


@settings(max_examples=70, deadline=None)
@given(st.integers(1, 3000), fractions, st.integers(1, 80))
def test_lines_never_fall(n, x, bits):
    value = best(upper_bounds(n, x))
    assert n <= value <= best(upper_bounds(n + 1, x))
    assert value <= best(upper_bounds(n, larger(x, bits)))


@settings(max_examples=70, deadline=None)
@given(st.integers(1, 3000), fractions, st.booleans(), st.integers(1, 80))
def test_codes_never_fall(n, s, obtuse, bits):
    s = -s if obtuse else s
    value = best(code_upper_bounds(n, s))
    assert value <= best(code_upper_bounds(n + 1, s))
    assert value <= best(code_upper_bounds(n, larger(s, bits)))


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 300), fractions)
def test_lines_are_codes(n, s):
    # x and -x of every line: the code of twice as many is allowed by each bound on codes with -1.
    lines, codes = best(upper_bounds(n, s * s)), best(code_upper_bounds(n, s))
    assert lines <= codes


def test_one_degree_never_falls_along_the_dimensions():
    square = sine_squared(1)
    values = [
        best(upper_bounds(n, square)) for n in (*range(1, 120), *range(3270, 3300), *range(9830, 9860), 10**5, 10**6)
    ]
    assert all(a <= b for a, b in pairwise(values))


@pytest.mark.parametrize(("n", "degrees"), [(10**6, 10), (10**7, 1), (10**7, 10), (10**7, 60)])
def test_large_dimensions(n, degrees):
    bounds = upper_bounds(n, sine_squared(degrees))
    assert best(bounds) == named(bounds, "Levenshtein").value
    # Its logarithm is n times the exponent of Kabatiansky and Levenshtein, in the limit and from above at these n.
    sine = np.cos(np.radians(degrees))
    a, b = (1 + sine) / (2 * sine), (1 - sine) / (2 * sine)
    assert 1 < best(bounds).bit_length() / (n * (a * np.log2(a) - b * np.log2(b))) < 1.03


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: upper_bounds(0, fmpq(1, 2)), "n must be an integer >= 1"),
        (lambda: upper_bounds(2.5, fmpq(1, 2)), "n must be an integer"),
        (lambda: upper_bounds(3, fmpq(0)), "above 0 and below 1"),
        (lambda: upper_bounds(3, fmpq(1)), "above 0 and below 1"),
        (lambda: code_upper_bounds(3, fmpq(1)), "below 1"),
        (lambda: code_upper_bounds(3, fmpq(-3, 2)), "at least -1"),
        (lambda: code_upper_bounds(-1, fmpq(0)), "n must be an integer"),
    ],
)
def test_bad_input(call, rule):
    with pytest.raises(InputError, match=rule):
        call()
