"""The landscape of two features in one dimension."""

from fractions import Fraction as F

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from tegum.theory import (
    Features,
    InputError,
    existence,
    expected_loss,
    landscape,
    loss_and_gradient,
    pair_states,
    phase_diagram,
    rational_loss,
    spinodal,
)
from tegum.theory._descent import descend
from tegum.theory._loss import model_gradient
from tegum.theory._pair_curve import ANGLES, SIDES, PairCurve, _model
from tegum.theory._pair_row import pair_gradient, pair_hessian

PLACES = [(0.05, 1.0), (0.05, 0.5), (0.02, 0.015), (0.3, 0.317), (0.6, 0.8), (0.15, 0.2), (0.9, 1.0), (0.72, 2.5)]


def features(p, importance):
    return Features(p, [1.0, importance])


def gradient(x, p, importance):
    """By the general code for any n, independent of `pair_gradient`."""
    _, d_weights, d_bias = model_gradient(x[..., None, :2], x[..., 2:], features(p, importance), 0.0)
    return np.concatenate([d_weights[..., 0, :], d_bias], -1)


def vector(point):
    return np.concatenate([point.weights, point.bias])


@pytest.mark.parametrize(
    ("w", "b", "p"),
    [
        ((F(3, 4), F(-1, 2)), (F(1, 8), F(1, 5)), F(1, 3)),
        ((F(1), F(2, 5)), (F(-1, 6), F(1, 100)), F(1, 20)),
        ((F(1), F(0)), (F(0), F(1, 40)), F(1, 20)),
        ((F(0), F(6, 5)), (F(-1, 2), F(-1, 3)), F(1)),
        ((F(9, 10), F(11, 10)), (F(-3, 2), F(-7, 10)), F(1, 2)),
    ],
)
def test_pair_rows_against_rationals(w, b, p):
    exact = rational_loss([list(w)], list(b), density=[p, p], importance=[1, F(2, 7)])
    x = np.array([float(z) for z in (*w, *b)])
    found = pair_gradient(x, np.array(float(p)), np.array(2 / 7))[0]
    assert found == pytest.approx(float(exact), rel=1e-13)
    assert pair_gradient(x, np.array(0.999 * float(p)), np.array(2 / 7))[0] != pytest.approx(float(exact), rel=1e-6)


def test_pair_rows_against_the_general_code():
    rng = np.random.default_rng(0)
    x, p, weight = (
        rng.standard_normal((2000, 4)) * [1, 1, 0.5, 0.5],
        rng.uniform(0.01, 1, 2000),
        10 ** rng.uniform(-1, 1, 2000),
    )
    many = Features(np.stack([p, p], 1), np.stack([np.ones_like(weight), weight], 1))
    loss, d_weights, d_bias = loss_and_gradient(x[:, None, :2], x[:, 2:], many)
    found, slope = pair_gradient(x, p, weight)
    assert np.allclose(found, loss, rtol=1e-12, atol=1e-13)
    assert np.allclose(slope, np.concatenate([d_weights[:, 0], d_bias], 1), rtol=1e-11, atol=1e-12)


def test_second_derivative_of_pair_rows():
    rng = np.random.default_rng(1)
    x, p, weight = (
        rng.standard_normal((500, 4)) * [1, 1, 0.5, 0.5],
        rng.uniform(0.05, 1, 500),
        10 ** rng.uniform(-1, 1, 500),
    )
    step = 1e-6
    numeric = [
        (pair_gradient(x + step * e, p, weight)[1] - pair_gradient(x - step * e, p, weight)[1]) for e in np.eye(4)
    ]
    gap = np.abs(np.stack(numeric, -1) / (2 * step) - pair_hessian(x, p, weight)).max((1, 2))
    # Differences that straddle a kink of the second derivative are off: a few of them, by chance.
    assert np.quantile(gap, 0.98) < 1e-6


@pytest.mark.parametrize(("p", "importance"), PLACES)
def test_points_are_critical_with_the_index_stated(p, importance):
    found = landscape(p, importance)
    assert found.points[0].lowest
    for point in found.points:
        x = vector(point)
        assert np.abs(gradient(x, p, importance)).max() < 1e-12
        assert point.loss == pytest.approx(float(expected_loss(x[None, :2], x[2:], features(p, importance))), abs=1e-14)
        if point.index is not None and point.kind != "flat":
            step = 1e-8  # biases as small as 1e-7 sit beside a kink
            bend = np.array(
                [gradient(x + step * e, p, importance) - gradient(x - step * e, p, importance) for e in np.eye(4)]
            )
            eigenvalues = np.linalg.eigvalsh((bend + bend.T) / (4 * step))
            assert np.allclose(eigenvalues, point.curvature, atol=1e-5)
            assert (point.kind == "minimum") is (point.index == 0)


def characteristic(points):
    signs = {"minimum": 1, "saddle": -1, "shoulder": 0}
    return sum(
        signs[point.kind] if point.index is None else (-1) ** point.index
        for point in points
        if point.kind != "flat" and point.name != "nothing"
    )


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(st.floats(0.01, 0.99), st.floats(-1.5, 1.5))
def test_indices_add_up(p, exponent):
    """Σ (-1)^index over all points but the origin, one of each mirror pair, is (χ - 1)/2 = 0; a single missing point shows."""
    found = landscape(p, 10**exponent)
    assert characteristic(found.points) == 0
    assert any(characteristic([q for q in found.points if q is not point]) for point in found.minima)


@pytest.mark.slow
@pytest.mark.parametrize(("p", "importance"), PLACES)
def test_descent_finds_no_other_minimum(p, importance):
    """BFGS with the general loss from 150 random models ends in a listed minimum, on a shoulder, or in a flat family."""
    rng = np.random.default_rng(3)
    start = rng.standard_normal((150, 4)) * [0.9, 0.9, 0.2, 0.2]
    one = features(p, importance)

    def objective(x, _):
        loss, d_weights, d_bias = model_gradient(x[:, None, :2], x[:, 2:], one, 0.0)
        return loss / p, np.concatenate([d_weights[:, 0], d_bias], 1) / p

    end = descend(objective, start, tolerance=1e-10)
    value = p * end.value[end.slope < 1e-8]
    points = landscape(p, importance).points
    losses = np.array([q.loss for q in points if q.kind in ("minimum", "shoulder", "flat")])
    # Rows that die while the other stores nothing are stationary too: p/3 of one and the variance of the other.
    variance = p / 3 - p**2 / 4
    losses = np.concatenate(
        [losses, [p / 3 + importance * variance, variance + importance * p / 3, (1 + importance) * variance]]
    )

    def unlisted(levels):
        return (np.abs(value[:, None] - levels).min(1) > 1e-7 * p).sum()

    assert len(value) > 120
    assert unlisted(losses) == 0
    assert unlisted(losses[losses > losses.min() + 1e-9]) > 0  # without the lowest minimum the same runs would not pass


@pytest.mark.slow
def test_newton_from_random_starts_finds_no_other_point():
    """Thousands of random starts, biases down to where an output dies: every regular critical point is listed."""
    rng = np.random.default_rng(4)
    for p, importance in ((0.15, 0.2), (0.05, 1.0), (0.6, 0.8)):
        w = rng.uniform(-1.5, 1.5, (1500, 2))
        reach = w**2 + np.maximum(w[:, :1] * w[:, 1:], 0)
        x = np.concatenate([w, 0.5 - rng.random((1500, 2)) * (0.5 + reach)], 1)
        level, weight = np.full(1500, p), np.full(1500, importance)
        for _ in range(50):
            bend = pair_hessian(x, level, weight) + 1e-11 * np.eye(4)
            step = -np.linalg.solve(bend, pair_gradient(x, level, weight)[1][..., None])[..., 0]
            x = x + step * np.minimum(1, 0.15 / np.abs(step).max(1, keepdims=True).clip(1e-300))
        bend = np.abs(np.linalg.eigvalsh(pair_hessian(x, level, weight))).min(1)
        fires = (x[:, :2] ** 2 + np.maximum(x[:, :1] * x[:, 1:2], 0) + x[:, 2:] > 1e-3).all(1)
        good = (
            (np.abs(pair_gradient(x, level, weight)[1]).max(1) < 1e-12) & (bend > 1e-7) & fires & (np.abs(x) < 4).all(1)
        )
        listed = np.array([vector(q) for q in landscape(p, importance).points if q.kind != "flat"])
        listed = np.concatenate([listed, listed * [-1, -1, 1, 1]])
        distance = np.abs(x[good][:, None] - listed).max(2).min(1)
        assert good.sum() > 200
        assert distance.max() < 1e-5


@pytest.mark.parametrize(("p", "importance"), [(0.05, 0.5), (0.15, 0.2), (0.6, 0.8)])
def test_exchanging_the_features(p, importance):
    """L(p, I) = I L(p, 1/I) with the features exchanged, point by point."""
    here, there = landscape(p, importance), landscape(p, 1 / importance)
    assert len(here.points) == len(there.points)
    assert np.allclose([q.loss for q in here.points], [importance * q.loss for q in there.points], rtol=1e-9)
    names = sorted(q.name for q in here.minima)
    assert ("aligned" in names) is ("aligned exchanged" in [q.name for q in there.minima])


@pytest.mark.parametrize(("p", "importance"), PLACES)
def test_lowest_point_is_the_phase_diagram(p, importance):
    assert landscape(p, importance).points[0].loss == pytest.approx(
        float(phase_diagram([p], [importance]).loss[0, 0]), rel=1e-9
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("p", "name"),
    [
        (0.05, "only 1"),
        (0.05, "antipodal"),
        (0.05, "aligned"),
        (0.4, "weak"),
        (0.9, "weak"),
        (0.9, "aligned"),
        (0.4, "only 2"),
    ],
)
def test_spinodals_are_where_minima_appear_and_disappear(p, name):
    """Just inside each end of a state's range the landscape has it, just outside it has not."""
    found = existence([p], [1.0])
    row = found.states.index(name)
    for end, inward in ((found.lower[row, 0], 1.004), (found.upper[row, 0], 1 / 1.004)):
        if np.isfinite(end) and end > 0:
            assert name in [q.name for q in landscape(p, end * inward).minima]
            assert name not in [q.name for q in landscape(p, end / inward).minima]


def test_existence_on_a_grid():
    """States that a density has not are nan and nowhere; exchanged states mirror; the grid is the intervals."""
    p, weight = np.array([0.05, 0.2, 0.6, 0.8]), np.geomspace(0.1, 10, 9)
    found = existence(p, weight)
    row = {name: k for k, name in enumerate(found.states)}
    assert np.isnan(found.lower[row["weak"]]).tolist() == [True, True, False, False]
    assert np.isnan(found.lower[row["antipodal"]]).tolist() == [False, False, False, True]
    assert not found.exists[row["weak"], :2].any()
    assert np.array_equal(found.exists[row["aligned"]], found.exists[row["aligned exchanged"]][:, ::-1])
    assert np.allclose(found.lower[row["aligned"], :3], spinodal(p[:3], sign=1), rtol=1e-12)
    assert found.exists[row["antipodal"], 0].all()


def test_curve_is_critical_and_its_slope_tells_minima():
    """At every angle the gradient vanishes; a piece is stable exactly where the importance rises along it, away from the folds."""
    p = np.array([0.02, 0.2, 0.55, 0.95])
    curve = PairCurve.follow(p)
    for j, side in enumerate(SIDES):
        z = curve.unknown[:, j]
        x = _model(z, side * ANGLES[:, None])
        slope = pair_gradient(x, np.broadcast_to(p, x.shape[:-1]), np.exp(z[..., 3]))[1]
        assert np.abs(slope).max() < 1e-12
        rising = np.diff(z[..., 3], axis=0) > 0
        clear = (np.abs(np.diff(z[..., 3], axis=0)) > 1e-3)[:-1]
        assert np.array_equal(rising[:-1][clear], curve.stable[1:-1, j][clear])


def test_aligned_onset_from_first_principles():
    """The cost of a second weight ε integrated by sympy over all four cases of which feature is on, minimised by brute force."""
    p, beta, gamma, u, v = sympy.symbols("p beta gamma u v")
    on = (1 - p) * sympy.integrate((beta + gamma * u) ** 2, (u, 0, 1))
    on += p * sympy.integrate((beta + gamma * u + v) ** 2, (u, 0, 1), (v, 0, 1))
    off = p * sympy.integrate((beta + v) ** 2, (v, -beta, 1))  # -1 <= β <= 0
    cost = sympy.lambdify((p, beta, gamma), p * on + (1 - p) * off)
    b, g = np.meshgrid(np.linspace(-1, 0, 1001), np.linspace(0, 2, 1001))
    for density in (0.02, 0.3, 0.9):
        variance = density / 3 - density**2 / 4
        assert spinodal(density, sign=1) == pytest.approx(cost(density, b, g).min() / variance, rel=2e-5)
        assert spinodal(density, sign=1) > spinodal(density)
    assert spinodal(1e-13, sign=1) == pytest.approx(5 / 16, rel=1e-12)
    assert spinodal(1.0, sign=1) == 1.0


@pytest.mark.parametrize("density", [0.05, 0.5])
def test_aligned_onset_in_the_exact_loss(density):
    """Just above it some small second weight of the same sign lowers the loss, just below none does."""
    limit, eps = float(spinodal(density, sign=1)), 1e-3
    beta, gamma = (z.ravel() for z in np.meshgrid(np.linspace(-1, 0, 101), np.linspace(-0.5, 1.5, 81)))
    weights = np.stack([1 + eps * gamma / 2, np.full_like(beta, eps)], -1)[:, None]
    bias = np.stack([eps * beta, np.full_like(beta, density / 2 * (1 - eps))], -1)
    for factor, lower in ((1.02, True), (0.98, False)):
        alone = limit * factor * (density / 3 - density**2 / 4)
        assert bool((expected_loss(weights, bias, features(density, limit * factor)) < alone).any()) is lower


def test_flat_families_are_flat_and_stand_above():
    p, importance = 0.1, 0.7
    rng = np.random.default_rng(5)
    for point in landscape(p, importance).points:
        if point.kind == "flat":
            x = np.tile(vector(point), (200, 1))
            x[:, 2:] = np.where(x[:, 2:] < 0, -rng.uniform(0.01, 5, (200, 2)), x[:, 2:])
            assert np.allclose(pair_gradient(x, np.full(200, p), np.full(200, importance))[0], point.loss, rtol=1e-12)
            near = vector(point) + 1e-3 * rng.standard_normal((500, 4))
            assert (pair_gradient(near, np.full(500, p), np.full(500, importance))[0] >= point.loss - 1e-15).all()


def test_late_minimum():
    """Both biases negative, no output dead, losing more than storing either feature: a true minimum all the same."""
    found = {q.name: q for q in landscape(0.15, 0.2).minima}
    late = found["late"]
    assert (late.bias < 0).all()
    assert late.curvature.min() > 0
    assert late.loss > (0.15 / 3 - 0.15**2 / 4)
    assert "late" not in [q.name for q in landscape(0.15, 0.4).minima]


def test_names_by_weights_and_bias():
    names = pair_states(
        [[0.7, 0.9], [0.7, 0.9], [-1.0, 0.995], [1.0, 0.005]], [[-0.3, 0.1], [-0.3, -0.2], [0, 0], [0, 0.1]], 0.2
    )
    assert names.tolist() == ["aligned exchanged", "late", "antipodal", "only 1"]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: landscape(0.0, 1.0), "density must be in"),
        (lambda: landscape(0.5, -1.0), "importance must be positive"),
        (lambda: landscape(0.5, 1e9), "between 1e-6 and 1e6"),
        (lambda: landscape([0.1, 0.2], 1.0), "single numbers"),
        (lambda: existence([[0.1]], [1.0]), "one-dimensional"),
        (lambda: pair_states([1.0, 2.0], [0.0], 0.1), "same shape"),
        (lambda: pair_states([1.0, 2.0], [0.0, 0.0], [0.1, 0.2]), "broadcast"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(InputError, match=words):
        call()
