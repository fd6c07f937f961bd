"""Contour sums against the vertex sum, against tighter tolerances, and against simulation; the error estimate itself."""

import numpy as np
import pytest

from tegum.theory import (
    CONSTANT,
    Features,
    InputError,
    expected_loss,
    feature_losses,
    loss_and_gradient,
    rational_moment,
    rectified_moment,
    second_moment,
)
from tegum.theory._contour import contour_errors
from tegum.theory._law import Law, independent
from tegum.theory._rows import RowProblems
from tegum.theory._vertex import VERTEX_N, vertex_errors


def rows_of(weights, bias, density):
    n = len(bias)
    return RowProblems(
        weights.T @ weights, bias.astype(float), np.tile(density, (n, 1)), np.eye(n), np.zeros(n), independent(n)
    )


def random_case(rng, trial):
    """Weights of every kind: plain, columns of very different size, integers; biases that are zero, tiny or large."""
    n, m = int(rng.integers(1, VERTEX_N + 1)), int(rng.integers(1, 4))
    weights = rng.standard_normal((m, n)) * rng.choice([0.3, 0.7, 1.2])
    bias = rng.standard_normal(n) * rng.choice([0, 0.01, 0.3, 1])
    density = rng.uniform(0.01, 1, n)
    if trial % 5 == 0:
        density[:] = rng.choice([1e-4, 0.01, 0.1, 1.0])
    if trial % 7 == 0:
        weights = weights * 10.0 ** rng.integers(-8, 1, (1, n))
    if trial % 11 == 0:
        weights = np.round(2 * weights) / 2
    return weights, bias, density


@pytest.mark.slow
def test_error_is_within_tolerance_and_estimate():
    """Against the exact vertex sum on random models: the tolerance is met, and the estimate is not below the error.

    The estimate is a difference of two approximations and can be small by accident: one row in five hundred may miss it, none by
    more than tenfold. A control: a tolerance a thousand times looser is really used.
    """
    rng = np.random.default_rng(7)
    missed, total, loose = 0, 0, 0.0
    for trial in range(300):
        weights, bias, density = random_case(rng, trial)
        exact = feature_losses(weights, bias, Features(density))
        tolerance = 10.0 ** rng.uniform(-11, -5)
        found = contour_errors(rows_of(weights, bias, density), np.full(len(bias), tolerance), gradient=False)
        error = np.abs(found.value + density / 3 - exact)
        # Rounding of the vertex sum and of the contour, for preactivations of at most about ten.
        assert (error <= 10 * tolerance + 1e-13).all()
        missed += int((error > found.estimate + 1e-13).sum())
        total += len(bias)
        rough = contour_errors(rows_of(weights, bias, density), np.full(len(bias), 1e-3), gradient=False)
        loose = max(loose, np.abs(rough.value + density / 3 - exact).max())
    assert missed <= total / 500
    assert loose > 1e-6


TABLE = {
    "one feature": (np.array([[0.8]]), np.array([-0.1]), np.array([0.3])),
    "zero row": (np.array([[1.0, 0.0, 0.5]]), np.array([0.0, 0.2, -0.1]), np.array([0.2, 0.4, 0.9])),
    "equal weights": (np.ones((1, 5)) / 2, np.full(5, -0.2), np.full(5, 0.3)),
    "tiny weights": (1e-12 * np.ones((1, 4)), np.array([0.0, 1e-12, 0.1, -0.1]), np.full(4, 0.5)),
    "large weights": (10 * np.eye(3, 5) - 3, np.zeros(5), np.full(5, 0.2)),
    "large bias": (np.eye(2, 4) + 0.2, np.array([30.0, -30.0, 3.0, -3.0]), np.full(4, 0.4)),
    "dense": (np.linspace(-1, 1, 12).reshape(2, 6), np.linspace(-0.3, 0.3, 6), np.ones(6)),
    "very sparse": (np.linspace(-1, 1, 12).reshape(2, 6), np.linspace(-0.3, 0.3, 6), np.full(6, 1e-6)),
    "mixed densities": (np.linspace(-1, 1, 12).reshape(2, 6), np.zeros(6), 10.0 ** -np.arange(6)),
}


@pytest.mark.parametrize("case", TABLE)
def test_table_of_cases(case):
    weights, bias, density = TABLE[case]
    exact = feature_losses(weights, bias, Features(density))
    tolerance = 1e-9 * max(1.0, np.abs(weights).max() ** 4, np.abs(bias).max() ** 2)
    found = contour_errors(rows_of(weights, bias, density), np.full(len(bias), tolerance), gradient=True)
    assert (np.abs(found.value + density / 3 - exact) <= tolerance).all()


@pytest.mark.parametrize("trial", [1, 2, 4, 5, 7, 11])
def test_gradient_against_the_vertex_sum(trial):
    rng = np.random.default_rng(trial)
    weights, bias, density = random_case(rng, trial)
    bias = bias + 0.01  # off the kink, where a derivative exists
    found = contour_errors(rows_of(weights, bias, density), np.full(len(bias), 1e-11), gradient=True)
    importance = rng.uniform(0.5, 1, len(bias))
    _, d_weights, d_bias = loss_and_gradient(weights, bias, Features(density, importance))
    d_gram = importance[:, None] * found.d_slopes
    # The gradient converges one order of the frequency more slowly than the value.
    assert np.allclose(weights @ (d_gram + d_gram.T), d_weights, atol=1e-6)
    assert np.allclose(importance * found.d_offset, d_bias, atol=1e-6)


def large_model(n, m, density, seed=0):
    rng = np.random.default_rng(seed)
    features = Features(density, 0.9 ** np.arange(n) if n < 100 else 1.0, n=n)
    return rng.standard_normal((m, n)) / np.sqrt(m), -0.05 * np.ones(n), features


@pytest.mark.parametrize(("n", "m", "density"), [(20, 5, 0.1), (20, 5, 1.0), (40, 10, 0.01)])
def test_gradient_is_that_of_the_value(n, m, density):
    weights, bias, features = large_model(n, m, density)
    rng = np.random.default_rng(3)
    step_w, step_b = rng.standard_normal(weights.shape), rng.standard_normal(n)
    _, d_weights, d_bias = loss_and_gradient(weights, bias, features, atol=1e-10)
    h = 1e-4
    ends = [expected_loss(weights + t * step_w, bias + t * step_b, features, atol=1e-11) for t in (h, -h)]
    slope = (d_weights * step_w).sum() + (d_bias * step_b).sum()
    assert (ends[0] - ends[1]) / (2 * h) == pytest.approx(slope, rel=1e-5, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "m", "density"), [(20, 5, 0.1), (80, 20, 0.05), (400, 30, 0.05)])
def test_large_models_against_simulation_and_tighter_tolerance(n, m, density):
    weights, bias, features = large_model(n, m, density)
    loss = expected_loss(weights, bias, features)
    assert abs(loss - expected_loss(weights, bias, features, atol=1e-6)) < 1e-6
    if n < 400:
        assert abs(loss - expected_loss(weights, bias, features, atol=2e-11)) < 1e-9
    rng = np.random.default_rng(5)
    total, square, samples = 0.0, 0.0, 0
    for _ in range(20):
        x = np.where(rng.random((10_000, n)) < density, rng.random((10_000, n)), 0.0)
        errors = ((x - np.maximum(x @ weights.T @ weights + bias, 0)) ** 2) @ features.importance
        total, square, samples = total + errors.sum(), square + (errors**2).sum(), samples + len(errors)
    sigma = np.sqrt((square / samples - (total / samples) ** 2) / samples)
    assert abs(total / samples - loss) < 4 * sigma


def test_vertex_and_contour_meet_where_one_takes_over(monkeypatch):
    from tegum.theory import _method

    weights, bias, features = large_model(VERTEX_N, 3, 0.2)
    exact = expected_loss(weights, bias, features)
    monkeypatch.setattr(_method, "VERTEX_N", 0)
    assert abs(expected_loss(weights, bias, features) - exact) < 1e-9


def test_orthogonal_blocks_add_up_beyond_the_vertex_sum():
    (w1, b1, f1), (w2, b2, f2) = large_model(6, 2, 0.2), large_model(9, 3, 0.4, seed=1)
    weights = np.zeros((5, 15))
    weights[:2, :6], weights[2:, 6:] = w1, w2
    features = Features(np.concatenate([f1.density, f2.density]), np.concatenate([f1.importance, f2.importance]))
    apart = expected_loss(w1, b1, f1) + expected_loss(w2, b2, f2)
    assert abs(expected_loss(weights, np.concatenate([b1, b2]), features) - apart) < 3e-9


def test_leading_axes_beyond_the_vertex_sum():
    weights, bias, _ = large_model(10, 3, 0.2)
    density = np.array([[0.1], [0.5]])
    loss = expected_loss(np.stack([weights, 2 * weights])[:, None], bias, Features(density, n=10))
    assert loss.shape == (2, 2)
    assert abs(loss[1, 0] - expected_loss(2 * weights, bias, Features(0.1, n=10))) < 2e-9


def test_unreachable_tolerance_is_refused():
    weights, bias, features = large_model(12, 3, 0.2)
    with pytest.raises(InputError, match=r"atol (must be at least|asks for)"):
        expected_loss(weights, bias, features, atol=1e-15)
    with pytest.raises(InputError, match="ask for a larger atol"):
        contour_errors(rows_of(weights, bias, features.density), np.full(12, 1e-20), gradient=False)


@pytest.mark.parametrize("tiny", [1e-2, 1e-3, 1e-4, 1e-6, 1e-9, 1e-12])
@pytest.mark.parametrize("power", [1, 2])
def test_entries_of_very_different_size(tiny, power):
    """The sign of y hangs on entries far below the frequencies that the large one needs: they are a row of their own.

    Without that the first moment is off by up to 2e-7 at 1e-9, unnoticed by the estimate.
    """
    slopes, density = [1.0, *[tiny, -tiny] * 4], 0.3
    features = Features(density, n=9)
    moment = (rectified_moment if power == 1 else second_moment)(slopes, 0.0, features)
    exact = rational_moment(slopes, 0, density=[density] * 9, power=power)
    assert abs(float(moment.value) - float(exact)) <= 1e-9


def mixed_rows(rng, law):
    """Rows with slopes that are plain, zero, or smaller by two to seven digits, and targets among all of them."""
    density = np.repeat(rng.uniform(0.05, 0.3, 2), 3)
    shape = (5, 6)
    slopes = rng.standard_normal(shape) * np.where(rng.random(shape) < 0.5, 1, 10.0 ** -rng.integers(2, 8, shape))
    slopes[rng.random(shape) < 0.3] = 0
    target = rng.standard_normal(shape) * (rng.random(shape) < 0.4)
    return RowProblems(
        slopes, 0.3 * rng.standard_normal(5), np.tile(density, (5, 1)), target, rng.standard_normal(5), law
    )


@pytest.mark.parametrize("kind", ["correlated", "anticorrelated"])
def test_gradient_where_a_group_has_small_entries_beside_large_ones(kind):
    """The small ones are in the reference law at their mean given the state of their group; at their own mean the derivative in
    a zero slope would be off by 1e-3 whatever the tolerance."""
    rng = np.random.default_rng(4)
    for _ in range(20):
        rows = mixed_rows(rng, Law(kind, (3, 3)))
        found, exact = contour_errors(rows, np.full(5, 1e-10), True), vertex_errors(rows, True)
        assert np.allclose(found.value, exact.value, rtol=0, atol=1e-10)
        assert np.allclose(found.d_slopes, exact.d_slopes, rtol=0, atol=1e-5)
        assert np.allclose(found.d_offset, exact.d_offset, rtol=0, atol=1e-5)


def test_gradient_where_small_entries_decide_the_sign():
    """An offset among the small entries, where the density of y, its second derivative, is up to 1/1e-3: a value within ε goes
    with a derivative within about √(2 ε 1e3) = 4e-3 (Landau)."""
    rng = np.random.default_rng(8)
    for law in (independent(6), Law("correlated", (3, 3)), Law("anticorrelated", (3, 3))):
        for _ in range(10):
            rows = mixed_rows(rng, law)
            rows.slopes[:] = np.where(
                np.arange(6) % 3 == 0, np.sign(rows.slopes) + 0.3, 1e-3 * (1 + rng.random((5, 6)))
            )
            rows.slopes[:, 4] *= -1
            rows.offset[:] = 2e-4
            found, exact = contour_errors(rows, np.full(5, 1e-8), True), vertex_errors(rows, True)
            assert np.allclose(found.value, exact.value, rtol=0, atol=1e-8)
            assert np.allclose(found.d_slopes, exact.d_slopes, rtol=0, atol=4e-3)
            assert np.allclose(found.d_offset, exact.d_offset, rtol=0, atol=4e-3)


def test_constant_values_reach_as_far_as_they_do():
    """Groups that are surely or rarely on: a Chernoff bound from differences would lose e^{-40} and end before the values do."""
    weights = np.zeros((1, 64))
    weights[0, :2] = [1, -0.5]
    rare = Features.correlated(0.01, n=64, values=CONSTANT)
    # Both on: (1 - 0.5)² and 1; the other 62 are ignored.
    assert abs(expected_loss(weights, 0, rare, atol=1e-6) - 0.01 * (0.25 + 1 + 62)) < 1e-6
    sure = Features(np.r_[1, np.full(39, 0.01)], values=CONSTANT)
    weights = np.zeros((2, 40))
    weights[0, :2] = [-1, 0.05]
    assert abs(expected_loss(weights, -5, sure, atol=1e-6) - (1 + 39 * 0.01)) < 1e-6
