"""Enumeration by halves against every set of active features, in rationals, in floats and by convolution of integer heights."""

from dataclasses import replace
from fractions import Fraction
from itertools import combinations
from math import prod

import numpy as np
import pytest

from tegum.theory import _enumeration
from tegum.theory._enumeration import enumerated_errors, states
from tegum.theory._law import CONSTANT, Law, independent
from tegum.theory._rows import RowProblems

LAWS = [
    independent(1, CONSTANT),
    independent(2, CONSTANT),
    independent(7, CONSTANT),
    Law("correlated", (3,), CONSTANT),
    Law("correlated", (1, 3, 2), CONSTANT),
    Law("anticorrelated", (4,), CONSTANT),
    Law("anticorrelated", (2, 1, 3, 1), CONSTANT),
]


def problems(law, rng, rows=3, square=1.0):
    """Random rows; densities that the law allows, differing from row to row."""
    n = sum(law.sizes)
    density = rng.uniform(0.05, 0.95, (rows, n))
    for group in law.groups:
        if law.kind == "correlated":
            density[:, group] = density[:, [group[0]]]
        if law.kind == "anticorrelated":
            density[:, group] /= len(group)
    a, c = rng.standard_normal((2, rows, n))
    return RowProblems(a, rng.standard_normal(rows), density, c, rng.standard_normal(rows), law, square)


def exact(p, row):
    """F and its derivatives in the slopes and the offset, as rationals, with the floats taken as they are."""
    a, b, density, c, c0 = (np.vectorize(Fraction, otypes=[object])(x[row]) for x in p.arrays())
    q, value, slope = int(p.square), Fraction(0), [Fraction(0)] * (len(a) + 1)
    for active, chance in p.law.patterns(list(density)):
        on = list(active)
        y, t = b[()] + sum(a[on]), c0[()] + sum(c[on])
        if y > 0:
            value += chance * (q * y * y - 2 * t * y)
            for j in (*on, -1):
                slope[j] += 2 * chance * (q * y - t)
    return value, slope[:-1], slope[-1]


def agree(p, bound=1e-14):
    """The largest error of F and of the derivatives, relative to the heights, is below the bound."""
    found = enumerated_errors(p, True)
    height = np.abs(p.offset) + np.abs(p.slopes).sum(1)
    height = np.maximum(height, np.abs(p.constant) + np.abs(p.target).sum(1)) + 1e-300
    for row in range(len(p.offset)):
        value, d_slopes, d_offset = exact(p, row)
        errors = [(value - Fraction(found.value[row])) / Fraction(height[row])]
        errors += [x - Fraction(y) for x, y in zip(d_slopes, found.d_slopes[row], strict=True)]
        errors.append(d_offset - Fraction(found.d_offset[row]))
        if max(map(abs, errors)) > bound * height[row]:
            return False
    return np.array_equal(found.value, enumerated_errors(p, False).value)


@pytest.mark.parametrize("square", [1.0, 0.0])
@pytest.mark.parametrize("law", LAWS, ids=lambda law: f"{law.kind}{law.sizes}")
def test_against_every_set_of_active_features(law, square):
    assert agree(problems(law, np.random.default_rng(sum(law.sizes)), square=square))


@pytest.mark.parametrize("law", LAWS, ids=lambda law: f"{law.kind}{law.sizes}")
def test_control_a_probability_that_is_off_is_noticed(law):
    p = problems(law, np.random.default_rng(sum(law.sizes)))
    right = enumerated_errors(p, True)
    off = p.density.copy()
    off[:, law.groups[-1]] += 1e-6
    wrong = enumerated_errors(replace(p, density=off), True)
    for x, y in zip(right.arrays()[2:4], wrong.arrays()[2:4], strict=True):
        assert np.abs(x - y).max() > 1e-8
    assert np.abs(right.value - wrong.value).max() > 1e-8


def test_special_rows():
    """Slopes zero, all features on, densities at which nothing is random, and no target."""
    p = problems(independent(4, CONSTANT), np.random.default_rng(1), rows=6)
    p.slopes[0] = 0
    p.slopes[1], p.offset[1] = 0, 0
    p.density[2] = 1
    p.density[3, :2] = 1
    p.target[4], p.constant[4] = 0, 0
    p.slopes[5] = p.slopes[5, 0]
    assert agree(p)
    one = problems(Law("anticorrelated", (3, 1), CONSTANT), np.random.default_rng(2), rows=1)
    one.density[0, :3] = 0.5, 0.25, 0.25
    assert agree(one)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: f"{law.kind}{law.sizes}")
def test_atoms_at_zero_are_off(law):
    """Integer slopes and offsets: many states have y = 0 exactly, and add nothing to the derivatives."""
    rng = np.random.default_rng(3)
    p = problems(law, rng, rows=8)
    p.slopes[:], p.offset[:] = rng.integers(-1, 2, p.slopes.shape), rng.integers(-1, 2, p.offset.shape)
    assert agree(p)


def test_atoms_that_rounding_moves_off_zero():
    """0.1 + 0.2 - 0.3 is not zero in floats, in any order of the sum; its state counts as off all the same."""
    law = independent(3, CONSTANT)
    for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0]):
        slopes = np.array([[0.1, 0.2, -0.3], [1.0, 2.0, -3.0]])[:, order]
        p = RowProblems(slopes, np.zeros(2), np.full((2, 3), 0.5), np.ones((2, 3)), np.zeros(2), law, 0.0)
        found = enumerated_errors(p, True)
        # On: {0.1}, {0.2} with T = 1, {0.1, 0.2} with T = 2; all three with T = 3 are not.
        np.testing.assert_allclose(found.d_offset, -2 * (1 + 1 + 2) / 8, rtol=1e-15)
        np.testing.assert_allclose(found.d_slopes[:, np.argsort(order)], [[-0.75, -0.75, 0]] * 2, atol=1e-15)


def test_blocks_of_rows_are_rows(monkeypatch):
    p = problems(Law("anticorrelated", (2, 1, 3, 1), CONSTANT), np.random.default_rng(4), rows=9)
    whole = enumerated_errors(p, True)
    monkeypatch.setattr(_enumeration, "BLOCK", 60)
    for x, y in zip(whole.arrays(), enumerated_errors(p, True).arrays(), strict=True):
        np.testing.assert_array_equal(x, y)


def test_eighteen_features_against_all_states():
    n = 18
    p = problems(independent(n, CONSTANT), np.random.default_rng(5), rows=1)
    on = (np.arange(1 << n)[:, None] >> np.arange(n)) & 1
    chance = np.prod(np.where(on, p.density, 1 - p.density), 1)
    y, t = p.offset + on @ p.slopes[0], p.constant + on @ p.target[0]
    slope = 2 * chance * (y - t) * (y > 0)
    found = enumerated_errors(p, True)
    height = np.abs(p.slopes).sum() + abs(p.offset[0])
    assert abs(found.value[0] - (chance * (y - 2 * t) * y * (y > 0)).sum()) < 1e-14 * height**2
    np.testing.assert_allclose(found.d_slopes[0], slope @ on, atol=1e-14 * height)
    np.testing.assert_allclose(found.d_offset[0], slope.sum(), atol=1e-14 * height)


@pytest.mark.parametrize("density", [0.02, 0.5, 0.9])
def test_thirty_features_against_integer_heights(density):
    """With integer slopes the law of y is a convolution, all of positive terms. One target feature and a constant.

    Equal densities near 1 are where rounding adds up in one direction: sums made in one run miss the bound.
    """
    n, rng = 30, np.random.default_rng(6)
    a, b, c, c0 = rng.integers(-5, 100, n), -300, 1500.0, 40.0
    below, above = a.clip(max=0).sum(), a.clip(min=0).sum()

    def mean(f, on):
        """E f(y) given that feature `on` is active."""
        law = np.zeros(above - below + 1)
        law[-below] = 1
        for j, step in enumerate(a):
            law = np.roll(law, step) if j == on else (1 - density) * law + density * np.roll(law, step)
        return (law * f(b + np.arange(below, above + 1))).sum()

    def value(y):
        return (y - 2 * c0) * y * (y > 0)

    target = np.eye(n)[:1] * c
    p = RowProblems(
        a[None].astype(float), np.array([b]), np.full((1, n), density), target, np.array([c0]), independent(n, CONSTANT)
    )
    height = np.abs(a).sum() + abs(b)
    expected = mean(value, -1) - 2 * c * density * mean(lambda y: np.maximum(y, 0), 0)
    assert abs(enumerated_errors(p, False).value[0] - expected) < 1e-14 * height**2
    if density == 0.5:
        found = enumerated_errors(replace(p, target=0 * target), True)
        slopes = [2 * density * mean(lambda y: (y - c0) * (y > 0), j) for j in range(n)]
        np.testing.assert_allclose(found.d_slopes[0], slopes, atol=1e-14 * height)


def test_states_is_the_best_split_and_grows():
    rng = np.random.default_rng(7)
    for _ in range(100):
        sizes = tuple(int(x) for x in rng.integers(1, 7, rng.integers(1, 8)))
        counts = [size + 1 for size in sizes]
        halves = (prod(half) for k in range(len(counts) + 1) for half in combinations(counts, k))
        law = Law("anticorrelated", sizes, CONSTANT)
        assert states(law) == min(max(x, prod(counts) // x) for x in halves)
        assert states(Law("anticorrelated", (*sizes, 2), CONSTANT)) >= states(law)
    assert states(independent(1000, CONSTANT)) > 1 << 500
