"""Orthogonal sums: known values, laws of the true maximum, branch and bound against the table, and certificates of all bounds."""

from __future__ import annotations

from itertools import pairwise
from math import isqrt

import numpy as np
import pytest
from flint import ctx, fmpq
from hypothesis import given, settings
from hypothesis import strategies as st

from tegum.theory.counts import _sum
from tegum.theory.counts._angle import angle
from tegum.theory.counts._check import lower_bound
from tegum.theory.counts._families import frontier
from tegum.theory.counts._lower import code_lower_bounds, describe, lower_bounds
from tegum.theory.counts._random_coding import covering_count
from tegum.theory.counts._sum import Sums, best_sum, tabulate

ONE = angle(None, 1)
# Angles and sizes spread by ratio.
degrees = st.floats(-2, 1.77).map(lambda x: round(10**x, 4))
sizes = st.floats(0, 4.6).map(lambda x: int(10**x))


def count(n: int, deviation: float) -> int:
    at = angle(None, deviation)
    return best_sum(n, at.below, at.square_below).count


def proved(total: _sum.Total, n: int, square: fmpq) -> int:
    with ctx.workprec(192):
        return lower_bound({"by": "sum", "parts": total.parts}, n, square, True)


# n and lines within 1° of a right angle. Exact up to 86, 88 and 100; 1000 and below the sheet of the literature's formulas has less.
LINES = {
    1: 1,
    57: 57,
    58: 59,
    85: 86,
    86: 87,
    87: 89,
    88: 90,
    100: 102,
    300: 318,
    512: 576,
    1000: 1210,
    1024: 1280,
    2000: 3995,
    3481: 212400,
    4096: 8392704,
    10000: 67120694,
}


@pytest.mark.parametrize(("n", "expected"), LINES.items())
def test_lines_within_one_degree(n: int, expected: int) -> None:
    total = best_sum(n, ONE.below, ONE.square_below)
    assert total.count == expected == proved(total, n, ONE.square_below)


@pytest.mark.parametrize(
    ("n", "square", "least"),
    [
        (3, fmpq(1, 5), 6),
        (5, fmpq(1, 9), 10),
        (6, fmpq(1, 9), 16),
        (7, fmpq(1, 9), 28),
        (23, fmpq(1, 25), 276),
        (23, fmpq(1, 9), 2300),
        (8, fmpq(1, 4), 120),
        (24, fmpq(1, 4), 98280),
        (16, fmpq(1, 16), 144),
        (64, fmpq(1, 64), 2112),
        (1024, fmpq(1, 1024), 525312),
        (2, fmpq(3, 4), 6),
        (3, fmpq(1, 3), 7),
        (4, fmpq(1, 2), 24),
    ],
)
def test_optimal_sets_of_lines(n: int, square: fmpq, least: int) -> None:
    cosine = fmpq(isqrt(int((square * 10**40).floor())), 10**20)
    total = best_sum(n, cosine, square)
    assert total.count == least == proved(total, n, square)


BITS = {16384: 40, 32768: 45, 65536: 61, 131072: 80.9, 262144: 119.9, 524288: 162.9, 1048576: 247.9, 2097152: 465.8}


@pytest.mark.slow
@pytest.mark.parametrize(("n", "bits"), BITS.items())
def test_powers_of_two_at_one_degree(n: int, bits: float) -> None:
    total = best_sum(n, ONE.below, ONE.square_below)
    assert total.count == proved(total, n, ONE.square_below)
    assert total.count**10 > 2 ** int(10 * bits)


@settings(deadline=None, max_examples=25)
@given(sizes, sizes, degrees)
def test_superadditive(a: int, b: int, deviation: float) -> None:
    assert count(a + b, deviation) >= count(a, deviation) + count(b, deviation)


@settings(deadline=None, max_examples=25)
@given(sizes, degrees)
def test_one_more_with_each_dimension(n: int, deviation: float) -> None:
    assert count(n + 1, deviation) >= count(n, deviation) + 1


@settings(deadline=None, max_examples=25)
@given(sizes, degrees, st.floats(1e-4, 0.3))
def test_no_fewer_at_a_wider_angle(n: int, deviation: float, wider: float) -> None:
    assert count(n, round(deviation * (1 + wider), 6)) >= count(n, deviation)


@pytest.mark.slow
@settings(deadline=None, max_examples=6)
@given(st.floats(4.6, 6.5).map(lambda x: int(10**x)), st.floats(0, 1), degrees)
def test_laws_in_many_dimensions(n: int, share: float, deviation: float) -> None:
    a = max(1, int(n * share))
    whole = count(n + 1, deviation)
    assert whole >= count(a, deviation) + count(n + 1 - a, deviation)
    assert whole >= count(n, deviation) + 1


@pytest.mark.parametrize("deviation", [0.5, 1, 3, 7, 14.5, 30, 45, 60])
def test_table_is_the_knapsack(deviation: float) -> None:
    """Against the recursion itself, with the covering bound of every dimension as an item."""
    at, n_max = angle(None, deviation), 150
    items = frontier(n_max, at.below, at.square_below)
    best, cover = [0], [covering_count(max(n, 1), at.square_below) - n for n in range(n_max + 1)]
    for n in range(1, n_max + 1):
        values = [best[n - 1], cover[n]]
        values += [e + best[n - m] for m, e in zip(items.n.tolist(), items.excess, strict=True) if m <= n]
        # Two covering bounds, and one beside a basis, too.
        values += [cover[k] + best[n - k] for k in range(1, n)]
        best.append(max(values))
    sums = Sums(n_max, items, at.square_below)
    for n in range(1, n_max + 1):
        total = sums.best(n)
        assert total.count == n + best[n]
        assert proved(total, n, at.square_below) == total.count


@pytest.mark.parametrize(("deviation", "n_max"), [(0.5, 9000), (1, 9000), (4, 2500), (10, 1800), (20, 400)])
def test_branch_and_bound_is_the_table(monkeypatch: pytest.MonkeyPatch, deviation: float, n_max: int) -> None:
    at = angle(None, deviation)
    items = frontier(n_max, at.below, at.square_below)
    full = Sums(n_max, items, at.square_below)
    monkeypatch.setattr(_sum, "TABLE", n_max // 6)
    short = Sums(n_max, items, at.square_below)
    assert len(short.table) < len(full.table)
    for n in np.unique(np.geomspace(n_max // 6, n_max, 25).astype(int)).tolist():
        assert short.best(n).count == full.best(n).count


@pytest.mark.parametrize("square", [fmpq(k, 400) for k in (1, 4, 16, 40, 80, 100, 120, 160, 200, 240, 280, 300)])
def test_one_covering_bound_is_enough(square: fmpq) -> None:
    """C(a) + C(b) <= C(a + b) and C(n + 1) > C(n) wherever covering bounds are larger than a basis, a, b < 60 beyond the first."""
    n = 2
    while covering_count(n, square) <= n:
        n += 1
    cover = [covering_count(m, square) for m in range(n, 2 * n + 122)]
    assert all(c > m for m, c in enumerate(cover, n))
    assert all(a < b for a, b in pairwise(cover))
    for i in range(60):
        for j in range(i, 60):
            assert cover[i] + cover[j] <= cover[n + i + j]


@pytest.mark.parametrize(
    ("n", "deviation"), [(1, 5), (2, 60), (5, 60), (24, 30), (100, 1), (1000, 1), (3600, 1), (5000, 7), (40000, 0.3)]
)
def test_race(n: int, deviation: float) -> None:
    at = angle(None, deviation)
    bounds = lower_bounds(n, at.below, at.square_below)
    assert len({b.name for b in bounds}) == len(bounds)
    assert bounds[0].name == "orthogonal sum"
    for bound in bounds:
        assert bound.side == "lower"
        assert bound.value is not None or bound.note
        if bound.value is not None:
            assert bound.value <= bounds[0].value
        if bound.proof:
            with ctx.workprec(192):
                assert lower_bound(bound.proof, n, at.square_below, True) == bound.value
    assert bounds[1].value == n


def test_race_reports_each_family() -> None:
    value = {b.name: b.value for b in lower_bounds(4096, ONE.below, ONE.square_below)}
    assert value["quadratic forms"] == 8392704
    assert value["simplex"] == 4097
    assert value["conference frame"] == 8177
    assert value["lattice"] is None


@pytest.mark.parametrize(
    ("n", "cosine", "best"),
    [
        (3, fmpq(0), 6),
        (3, fmpq(-1, 3), 4),
        (3, fmpq(-1, 2), 3),
        (3, fmpq(-1), 2),
        (1, fmpq(1, 2), 2),
        (4, fmpq(-1, 100), 5),
        (4, fmpq(1, 6), 10),
        (5, fmpq(1, 5), 16),
        (6, fmpq(1, 4), 27),
        (6, fmpq(1, 4) - fmpq(1, 10**9), 14),
        (7, fmpq(1, 3), 56),
        (8, fmpq(1, 2), 240),
        (23, fmpq(1, 5), 552),
        (24, fmpq(1, 2), 196560),
    ],
)
def test_codes(n: int, cosine: fmpq, best: int) -> None:
    bounds = code_lower_bounds(n, cosine)
    assert max(b.value for b in bounds if b.value is not None) == best
    for bound in bounds:
        if bound.value is not None:
            with ctx.workprec(192):
                assert lower_bound(bound.proof, n, cosine, False) == bound.value


def test_description() -> None:
    base = {"family": "naimark", "of": {"family": "simplex", "n": 2}}
    part = {"family": "inflated", "base": base, "cosine": "1/60", "sizes": [[30, 2], [29, 1]], "copies": 3}
    assert describe(part) == "3 x inflated(naimark(simplex(2)), 2 of 30 and 1 of 29)"


def test_tabulated_values_are_those_found_one_by_one() -> None:
    table = tabulate(400, ONE.below, ONE.square_below)
    assert table.dtype == np.int64
    assert len(table) == 401
    assert table[0] == 0
    assert [int(table[n]) for n in (57, 58, 100, 300, 400)] == [count(n, 1) for n in (57, 58, 100, 300, 400)]
    # Where a covering bound is larger, the table ends.
    assert len(tabulate(400, fmpq(1, 2), fmpq(1, 4))) < 400
