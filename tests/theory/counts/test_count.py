"""Counts from both sides against published values, brute force in the plane, and what must hold for any dimension and angle."""

import csv
from fractions import Fraction
from math import acos, log2, pi
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tegum.theory import CertificateError, InputError, best_angle, code_bounds, count_bounds, dimensions_needed
from tegum.theory import verify_certificate as verify
from tegum.theory.counts import check_count, digits, exponent, size

PACKINGS = Path(__file__).parents[2] / "numerics" / "packings.csv"

# Lines within 1° of a right angle: the exact number, or the bounds published with the table of theorems (lower, upper).
ONE_DEGREE = {
    57: (57, 57),
    58: (59, 59),
    85: (86, 86),
    88: (90, 90),
    100: (102, 102),
    300: (315, 330),
    1000: (1199, 1437),
    2000: (3995, 5115),
    3283: (9461, 5392212),
    4096: (8392704, 9578862),
    10000: (67120694, 170703724578),
}
# Kissing numbers: lower and upper bounds of the table of Cohn, 2026.
KISSING = {
    1: (2, 2),
    2: (6, 6),
    3: (12, 12),
    4: (24, 24),
    5: (40, 44),
    6: (72, 77),
    7: (126, 134),
    8: (240, 240),
    9: (306, 363),
    10: (510, 553),
    12: (840, 1355),
    16: (4320, 7320),
    24: (196560, 196560),
}
# Equiangular lines that attain the relative bound: (n, N, 1/c²).
EQUIANGULAR = [(2, 3, 4), (3, 6, 5), (5, 10, 9), (6, 16, 9), (7, 28, 9), (10, 16, 25), (23, 276, 25)]


@pytest.mark.parametrize("n", ONE_DEGREE)
def test_one_degree(n):
    lower, upper = ONE_DEGREE[n]
    found = count_bounds(n, degrees=1)
    assert lower <= found.lower <= found.upper <= upper
    assert found.exact == (lower == upper)


def test_exactly_one_more_than_the_dimension():
    for n in range(58, 86):
        found = count_bounds(n, degrees=1)
        assert (found.lower, found.upper) == (n + 1, n + 1)
    assert count_bounds(86, degrees=1).lower > 87 or count_bounds(86, degrees=1).upper > 87


@pytest.mark.parametrize("n", KISSING)
def test_kissing_numbers(n):
    lower, upper = KISSING[n]
    found = code_bounds(n, "1/2")
    assert found.lower <= lower
    assert upper <= found.upper
    if n in (1, 2, 8, 24):
        assert found.exact


@pytest.mark.parametrize(("n", "count", "inverse"), EQUIANGULAR)
def test_equiangular_lines(n, count, inverse):
    """c is irrational for some: just above it the lines fit, just below they do not."""
    c = Fraction(inverse) ** Fraction(-1, 2)
    assert count_bounds(n, cosine=c + 1e-9).lower >= count
    assert count_bounds(n, cosine=c - 1e-9).upper < count


@pytest.mark.slow
def test_packings_of_the_table():
    """`value` is attained by that many lines or vectors, and known not to be by more than the proved lower bound allows."""
    rows = list(csv.DictReader(PACKINGS.read_text(encoding="utf-8").splitlines()))
    assert len(rows) > 90
    for row in rows:
        n, count, value = int(row["n"]), int(row["count"]), float(row["value"])
        if row["kind"] == "lines" and 0 < value < 1:
            found = count_bounds(n, cosine=value + float(row["tolerance"]))
            assert found.upper >= count, row
        elif row["kind"] == "code":
            assert code_bounds(n, value + float(row["tolerance"])).upper >= count, row
        if row["kind"] == "lines" and row["status"] == "proved optimal" and value > 1e-6:
            assert count_bounds(n, cosine=value - 1e-7).lower < count, row


@pytest.mark.parametrize("n", [8, 23, 24, 4096])
def test_famous_sets_are_exact_or_attained(n):
    expected = {8: ("1/2", 120), 23: ("1/5", 276), 24: ("1/2", 98280), 4096: ("1/64", 8392704)}
    cosine, count = expected[n]
    found = count_bounds(n, cosine=cosine)
    assert (found.lower, found.upper) == (count, count)


@pytest.mark.parametrize("degrees", [1, 10, 17.9, 18, 30, 44.9, 45, 54, 60, 72, 89])
def test_plane_by_brute_force(degrees):
    """N lines are at best 180/N degrees apart: the largest N with 180/N >= 90 - degrees, counted one by one."""
    best = max(k for k in range(1, 400) if k * (90 - Fraction(str(degrees))) <= 180)
    found = count_bounds(2, degrees=degrees)
    assert (found.lower, found.upper) == (best, best)
    verify(found.lower_certificate)
    verify(found.upper_certificate)


@pytest.mark.parametrize("cosine", ["1/2", 0.49, 0.51, 0.9, 0.05, "3/5"])
def test_plane_by_cosine(cosine):
    found = count_bounds(2, cosine=cosine)
    assert found.lower == found.upper == int(pi / acos(Fraction(cosine)) + 1e-12)


@pytest.mark.slow
def test_one_dimension_and_the_ends():
    assert count_bounds(1, degrees=0.01).upper == 1
    assert count_bounds(3, degrees=0.01).exact
    largest = count_bounds(10**7, degrees=10)
    assert largest.lower.bit_length() > 2 * 10**5
    assert largest.log2_lower < largest.log2_upper
    assert len(digits(largest.lower)) > 60_000
    assert "2^" in repr(largest)
    assert "2^" in verify(largest.lower_certificate)


any_n = st.floats(0, 5).map(lambda x: round(10**x))
any_angle = st.floats(-2, log2(60) / log2(10)).map(lambda x: Fraction(round(10**x, 5)).limit_denominator(10**5))


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(any_n, any_angle)
def test_bounds_are_ordered_and_certified(n, degrees):
    found = count_bounds(n, degrees=degrees)
    assert n <= found.lower <= found.upper
    for certificate, count in ((found.lower_certificate, found.lower), (found.upper_certificate, found.upper)):
        assert check_count(certificate) == count


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(any_n, any_angle, st.integers(1, 1000), st.fractions(1, 3))
def test_bounds_grow_with_dimension_and_angle(n, degrees, more, wider):
    here, larger = count_bounds(n, degrees=degrees), count_bounds(n + more, degrees=degrees)
    assert larger.lower >= here.lower + more
    assert larger.upper >= here.upper
    beside = count_bounds(n, degrees=min(degrees * wider, Fraction(60)))
    assert beside.lower >= here.lower
    assert beside.upper >= here.upper


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(any_n, any_n, any_angle)
def test_orthogonal_sums(a, b, degrees):
    parts = count_bounds(a, degrees=degrees).lower + count_bounds(b, degrees=degrees).lower
    assert count_bounds(a + b, degrees=degrees).lower >= parts


def test_race_says_what_does_not_apply():
    race = count_bounds(4096, degrees=1).race
    silent = [bound for bound in race if bound.value is None]
    assert silent
    assert all(bound.note for bound in silent)
    assert {bound.side for bound in race} == {"lower", "upper"}
    # The relative bound is void from n c² = 1 on.
    assert next(b for b in race if b.name == "relative").value is None


def test_the_formulas_in_the_sentence():
    assert "fewer than the 12,288 orthogonal vectors" in count_bounds(12288, degrees=1).sentence
    assert "no bound here" in count_bounds(10000, degrees=1).sentence
    # Doubling every 4,550.7 dimensions at 1°.
    assert 1 / exponent(0.01745240643728351) == pytest.approx(4550.7, abs=0.05)


def test_inverse_questions():
    need = dimensions_needed(102, 1)
    assert (need.lower, need.upper) == (100, 100)
    assert need.impossible.upper < 102 <= need.possible.lower
    best = best_angle(7, 28)
    assert best.lower < 19.47122063449 < best.upper  # arcsin(1/3)
    assert best.upper - best.lower < 1e-5
    assert best.impossible.upper < 28 <= best.possible.lower
    assert best_angle(5, 4).upper == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: count_bounds(10, cosine=1), r"cosine must be in \(0, 1\), got 1"),
        (lambda: count_bounds(10, cosine=0), r"cosine must be in \(0, 1\), got 0"),
        (lambda: count_bounds(10, cosine=-0.1), r"cosine must be in \(0, 1\)"),
        (lambda: count_bounds(10, cosine=float("nan")), "cosine must be a number or a fraction"),
        (lambda: count_bounds(10, cosine="a third"), "cosine must be a number or a fraction"),
        (lambda: count_bounds(10, cosine=0.1, degrees=1), "either cosine or degrees, got both"),
        (lambda: count_bounds(10), "either cosine or degrees, got neither"),
        (lambda: count_bounds(10, degrees=90), r"degrees must be in \(0, 90\), got 90"),
        (lambda: count_bounds(0, degrees=1), "n must be an integer >= 1, got 0"),
        (lambda: count_bounds(2.5, degrees=1), "n must be an integer >= 1, got 2.5"),
        (lambda: count_bounds(10**8, degrees=1), "n must be at most 10000000"),
        (lambda: code_bounds(3, 1), r"cosine must be in \[-1, 1\)"),
        (lambda: dimensions_needed(0, 1), "count must be an integer >= 1"),
        (lambda: best_angle(3, -1), "count must be an integer >= 1"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_sizes_in_words():
    assert size(10**15 - 1) == "999,999,999,999,999"
    assert size(2**60) == "2^60.00"
    with pytest.raises(CertificateError):
        check_count({"kind": "count"})
