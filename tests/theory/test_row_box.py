"""Row box: the error of one output against the rational reference, and its bounds over boxes, in floats and in rationals."""

from fractions import Fraction

import numpy as np
import pytest
from flint import fmpq
from hypothesis import given
from hypothesis import strategies as st

from tegum.theory import _exact_row as exact
from tegum.theory import rational_map_loss
from tegum.theory._row_box import row_bounds, row_error, terms

DENSITY = Fraction(3, 10)
PATTERNS = [(1 - DENSITY) ** 2, DENSITY * (1 - DENSITY), (1 - DENSITY) * DENSITY, DENSITY**2]
# Not a law of two independent features, as in a bound that leaves patterns out.
ODD = [Fraction(1, 7), Fraction(2), Fraction(1, 3), Fraction(1, 50)]
small = st.fractions(-2, 2, max_denominator=50)


def fmpqs(values):
    return tuple(fmpq(x.numerator, x.denominator) for x in map(Fraction, values))


def reference(a, t, b):
    """The error of the first output as a map with that one row."""
    return rational_map_loss([[a, t]], [b], density=[DENSITY] * 2, importance=[1], target=[[1, 0]])


@given(st.fractions(0, 2, max_denominator=50), small, small)
def test_error_is_the_rational_one(a, t, b):
    wanted = reference(a, t, b)
    found = exact.error(*fmpqs((a, t, b)), fmpqs(PATTERNS))
    assert Fraction(int(found.p), int(found.q)) == wanted
    assert row_error(float(a), float(t), float(b), np.array(PATTERNS, float)) == pytest.approx(float(wanted), abs=1e-14)


def test_tiny_slopes_do_not_cancel():
    law = np.array(PATTERNS, float)
    for a, t in ((1e-9, 0.5), (0.5, -1e-9), (1e-9, 1e-9), (0.0, 0.0), (0.0, -1e-12), (3.0, -1e-14)):
        wanted = reference(Fraction(a), Fraction(t), Fraction(0.25))
        assert row_error(a, t, 0.25, law) == pytest.approx(float(wanted), abs=1e-15)


def test_slopes_are_the_derivatives():
    rng = np.random.default_rng(0)
    step = fmpq(1, 10**12)
    for _ in range(20):
        point = [fmpq(int(k), 64) for k in rng.integers([1, -64, -64], [128, 64, 64])]
        floats = [float(x.p) / float(x.q) for x in point]
        at = terms(*floats)
        gradient = exact.slopes(*point)
        for axis, moment in enumerate((at.own, at.other, at.mean)):
            up, down = ([x + s * (k == axis) for k, x in enumerate(point)] for s in (step, -step))
            for pattern in range(4):
                rise = (exact.square(*up)[pattern] - exact.square(*down)[pattern]) / (2 * step)
                assert abs(gradient[axis][pattern] - rise) < fmpq(1, 10**9)
                assert 2 * moment[pattern] == pytest.approx(float(rise.p) / float(rise.q), abs=1e-9)


@pytest.mark.parametrize("half", [0.3, 0.03])
@pytest.mark.parametrize("weights", [PATTERNS, ODD])
def test_bounds_hold_and_are_tight_to_second_order(half, weights):
    rng = np.random.default_rng(1)
    law = np.array(weights, float)
    centre = np.stack([rng.uniform(0.3, 2, 500), rng.uniform(-1, 1, 500), rng.uniform(-1, 1, 500)], 1)
    low = row_bounds(centre, np.full_like(centre, half), law[None])[..., 0].min(1)
    inside = centre[:, None] + half * rng.uniform(-1, 1, (500, 300, 3))
    corners = centre[:, None] + half * np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    points = np.concatenate([inside, corners], 1)
    lowest = row_error(*np.moveaxis(points, -1, 0), law).min(1)
    assert np.all(low <= lowest + 1e-14)
    # M has curvature at most 2 (1, 1, 1)(1, 1, 1)' in the units of the slopes, weighted by the sum of π.
    assert np.all(lowest - low <= 2 * (3 * half) ** 2 * law.sum())
    # Negative control: without the tangent's curvature being lost, the value at the centre is not a bound.
    assert np.any(row_error(*centre.T, law) > lowest + 1e-6)


def test_rational_bounds_are_the_float_ones():
    rng = np.random.default_rng(2)
    for weights in (PATTERNS, ODD):
        for _ in range(30):
            low = rng.integers([0, -64, -64], [64, 64, 64])
            high = low + rng.integers(0, 8, 3)  # also boxes without width along an axis
            box = [(fmpq(int(x), 64), fmpq(int(y), 64)) for x, y in zip(low, high, strict=True)]
            (found,) = exact.row_bound(*box, [fmpqs(weights)])
            floats = row_bounds((low + high)[None] / 128, (high - low)[None] / 128, np.array([weights], float))
            assert float(found.p) / float(found.q) == pytest.approx(floats.min(), abs=1e-13)
