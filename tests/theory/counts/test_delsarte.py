"""Delsarte's bound against certified values, another solver, and the theorem's own conditions, checked in another way."""

from __future__ import annotations

import math

import numpy as np
import pytest
from flint import arb, fmpq, fmpq_poly
from hypothesis import given, settings
from hypothesis import strategies as st

from tegum.theory import InputError
from tegum.theory.counts._delsarte import delsarte_bound, gegenbauer, gegenbauer_sum
from tegum.theory.counts._sign import nonpositive

# (lines, n, cosine, degree, float optimum of another solver at that degree). Its floor may be one too small: 196559.9995.
TABLE = [
    (False, 3, fmpq(1, 2), 18, 13.158314347141731),
    (False, 4, fmpq(1, 2), 10, 25.558429094012833),
    (False, 5, fmpq(1, 2), 10, 46.33757252866028),
    (False, 8, fmpq(1, 2), 6, 239.99999956434348),
    (False, 24, fmpq(1, 2), 14, 196559.99945586605),
    (False, 9, fmpq(1, 2), 14, 380.09907158509367),
    (False, 6, fmpq(1, 4), 6, 26.999999998800433),
    (False, 7, fmpq(1, 3), 18, 56.0),
    (False, 16, fmpq(1, 2), 14, 8313.780832775206),
    (False, 3, fmpq(1, 3), 18, 9.51918464377574),
    (False, 10, fmpq(1, 4), 6, 79.99999986371373),
    (True, 3, fmpq(1, 2), 10, 6.417038837629409),
    (True, 7, fmpq(1, 3), 6, 27.999999999999986),
    (True, 8, fmpq(1, 2), 6, 119.99999999999991),
    (True, 23, fmpq(1, 5), 6, 276.0000000000005),
    (True, 16, fmpq(1, 4), 6, 144.0),
    (True, 10, fmpq(1, 3), 6, 63.999999999999986),
    (True, 20, fmpq(1, 5), 6, 96.00000000000001),
    (True, 32, fmpq(1, 4), 6, 1165.7142857142853),
    (True, 5, fmpq(1, 2), 6, 21.0),
    (True, 100, fmpq(1, 10), 6, 5100.0),
]
# Numbers of lines or vectors that exist, so no bound may be below.
SHARP = [
    (False, 8, fmpq(1, 2), 240),
    (False, 24, fmpq(1, 2), 196560),
    (False, 7, fmpq(1, 3), 56),
    (False, 6, fmpq(1, 4), 27),
    (False, 22, fmpq(1, 6), 275),
    (False, 23, fmpq(1, 5), 552),
    (False, 21, fmpq(1, 9), 112),
    (False, 5, fmpq(1, 5), 16),
    (True, 8, fmpq(1, 2), 120),
    (True, 24, fmpq(1, 2), 98280),
    (True, 23, fmpq(1, 5), 276),
    (True, 23, fmpq(1, 3), 2300),
    (True, 16, fmpq(1, 4), 144),
    (True, 7, fmpq(1, 3), 28),
]


def top_of(lines, cosine):
    return cosine * cosine if lines else cosine


def coefficients(bound):
    return [fmpq(*map(int, (c + "/1").split("/")[:2])) for c in bound.proof["coefficients"]]


def assert_proves(bound, n, top, lines):
    """The conditions of the theorem: coefficients, the value at 1, and no sign change, by isolated roots in place of Descartes' rule."""
    f = coefficients(bound)
    assert f[0] == 1
    assert all(c >= 0 for c in f)
    p = gegenbauer_sum(n, f, lines=lines)
    assert p(fmpq(1)) == sum(f, fmpq(0))
    assert bound.value == math.floor(sum(f, fmpq(0)))
    low = 0 if lines else -1
    assert p(fmpq(low)) <= 0
    assert p(top) <= 0
    if p.degree() > 0:
        roots = [z for z, _ in p.numer().complex_roots()]
        assert not any(z.imag.contains(0) and z.real > low and z.real < arb(top) for z in roots)
    assert all(p(low + (top - low) * fmpq(k, 97)) <= 0 for k in range(98))


@pytest.mark.parametrize(("lines", "n", "cosine", "degree", "optimum"), TABLE)
def test_values_of_another_solver_at_the_same_degree(lines, n, cosine, degree, optimum):
    top = top_of(lines, cosine)
    bound = delsarte_bound(n, top, lines=lines, degree=degree)
    assert_proves(bound, n, top, lines)
    exact = float(sum(coefficients(bound), fmpq(0)))
    # The certificate is above the optimum, by no more than the 1e-8 of its own raising and the error of the other solver, 3e-9.
    assert -3e-9 < exact / optimum - 1 < 1e-8
    assert bound.value == math.floor(optimum * (1 + 1e-8))
    assert delsarte_bound(n, top, lines=lines).value <= bound.value


@pytest.mark.parametrize(("lines", "n", "cosine", "count"), SHARP)
def test_sharp_sets_are_met_exactly(lines, n, cosine, count):
    bound = delsarte_bound(n, top_of(lines, cosine), lines=lines)
    assert bound.value == count
    assert_proves(bound, n, top_of(lines, cosine), lines)


def test_floats_alone_would_prove_less_than_there_is():
    from scipy.optimize import linprog

    # Without the raising, a grid of points misses the maxima of f between them.
    x = np.linspace(-1, 0.5, 3001)
    rows = np.array([[float(p(fmpq(*t.as_integer_ratio()))) for t in x[::10]] for p in gegenbauer(24, 14)[1:]])
    result = linprog(np.ones(14), A_ub=rows.T, b_ub=-np.ones(rows.shape[1]))
    assert result.fun + 1 < 196560
    assert delsarte_bound(24, fmpq(1, 2), lines=False).value == 196560


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.integers(2, 50), st.integers(1, 900), st.booleans())
def test_every_certificate_holds(n, thousandths, lines):
    cosine = fmpq(thousandths, 1000)
    bound = delsarte_bound(n, top_of(lines, cosine), lines=lines)
    if bound.value is None:
        assert bound.proof == {}
        assert "no polynomial" in bound.note
        return
    assert_proves(bound, n, top_of(lines, cosine), lines)
    # Orthonormal bases exist; so do simplices.
    assert bound.value >= (n if lines else 2 * n)
    assert bound.value >= n + 1 or cosine * n < 1


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.integers(3, 12), st.integers(50, 600), st.integers(1, 100))
def test_monotone_in_the_cosine_and_lines_are_half_a_code(n, thousandths, more):
    low, high = fmpq(thousandths, 1000), fmpq(thousandths + more, 1000)
    codes = [delsarte_bound(n, s, lines=False).value for s in (low, high)]
    lines = [delsarte_bound(n, s * s, lines=True).value for s in (low, high)]
    assert codes[0] <= codes[1]
    assert lines[0] <= lines[1]
    assert 2 * lines[0] <= codes[0] + 1


def test_rankin_for_negative_cosines():
    # -1/4 > -1/5: a simplex of 5 vectors in R^4 is the most for n >= 4.
    assert delsarte_bound(6, fmpq(-1, 4), lines=False).value == 5
    assert delsarte_bound(6, fmpq(0), lines=False).value == 12


@pytest.mark.parametrize("n", [2, 3, 4, 7, 24])
def test_gegenbauer_polynomials_are_orthogonal(n):
    # E t^2j = (2j-1)!!/(n(n+2)...(n+2j-2)) on the sphere; dim Harm_k = 1/E P_k².
    def mean(p):
        moments = [fmpq(1)]
        for j in range(p.degree() // 2):
            moments.append(moments[-1] * fmpq(2 * j + 1, n + 2 * j))
        return sum((p[2 * j] * m for j, m in enumerate(moments)), fmpq(0))

    family = gegenbauer(n, 8)
    for k, p in enumerate(family):
        assert p(fmpq(1)) == 1
        dimension = math.comb(n + k - 1, k) - (math.comb(n + k - 3, k - 2) if k > 1 else 0)
        assert mean(p * p) == fmpq(1, dimension)
        assert all(mean(p * q) == 0 for q in family[:k])


def test_sign_check_on_close_calls():
    t = fmpq_poly([0, 1])
    half, tiny = fmpq(1, 2), fmpq(1, 2**80)
    touch = -((t - half) ** 2) * (t + fmpq(1, 3)) ** 2
    assert nonpositive(touch - tiny, fmpq(-1), fmpq(1))
    assert not nonpositive(touch + tiny, fmpq(-1), fmpq(1))
    assert nonpositive(touch, fmpq(-1), half) is False  # an inner double zero at -1/3 is left open
    assert nonpositive(-((t - half) ** 2), fmpq(-1), half)  # one at an end is not
    assert nonpositive(t - 1, fmpq(-1), fmpq(1))
    assert not nonpositive(fmpq_poly([1]), fmpq(0), fmpq(1))
    assert nonpositive(fmpq_poly([0]), fmpq(0), fmpq(1))


def test_a_smaller_coefficient_is_no_proof():
    bound = delsarte_bound(8, fmpq(1, 2), lines=False)
    f = coefficients(bound)
    assert nonpositive(gegenbauer_sum(8, f, lines=False), fmpq(-1), fmpq(1, 2))
    for k in range(1, len(f)):
        less = [*f[:k], f[k] * fmpq(99, 100), *f[k + 1 :]]
        assert not nonpositive(gegenbauer_sum(8, less, lines=False), fmpq(-1), fmpq(1, 2))


@pytest.mark.parametrize(
    ("n", "top", "options", "match"),
    [
        (1, fmpq(1, 2), {"lines": True}, "n must be an integer >= 2, got 1"),
        (3, fmpq(1), {"lines": True}, "top must be c² of lines, between 0 and 1, got 1"),
        (3, fmpq(-1, 2), {"lines": True}, "top must be c² of lines"),
        (3, fmpq(-1), {"lines": False}, "top must be the cosine of a code, between -1 and 1, got -1"),
        (3, fmpq(1, 2), {"lines": False, "degree": 0}, "degree must be an integer >= 1, got 0"),
        (3, fmpq(1, 2), {"lines": True, "degree": 5}, "use 6"),
    ],
)
def test_bad_input(n, top, options, match):
    with pytest.raises(InputError, match=match):
        delsarte_bound(n, top, **options)


def test_no_polynomial_of_too_low_a_degree():
    bound = delsarte_bound(8, fmpq(1, 2), lines=False, degree=2)
    assert bound.value is None
    assert bound.note == "no polynomial of degree up to 2 found"
