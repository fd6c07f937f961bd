"""Batched BFGS, dense and of limited memory, on problems with known minima."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tegum.theory._bfgs import recall
from tegum.theory._descent import descend

either = pytest.mark.parametrize("memory", [None, 3, 20])


def rosenbrock(x, _):
    a, b = x.T
    value = (1 - a) ** 2 + 100 * (b - a**2) ** 2
    return value, np.stack([-2 * (1 - a) - 400 * a * (b - a**2), 200 * (b - a**2)], 1)


@either
def test_rosenbrock_from_many_starts(memory):
    starts = np.random.default_rng(0).uniform(-2, 2, (50, 2))
    found = descend(rosenbrock, starts, tolerance=1e-9, memory=memory)
    assert found.converged.all()
    assert np.allclose(found.point, 1, atol=1e-7)


@either
def test_kinked_gradient(memory):
    """max(0, x)² + max(0, -x)²/100 has a kink in its second derivative at the minimum."""

    def objective(x, _):
        up, down = np.maximum(x, 0), np.maximum(-x, 0)
        return (up**2 + down**2 / 100).sum(1), 2 * up - down / 50

    found = descend(objective, np.array([[3.0, -5.0], [-1.0, 2.0]]), memory=memory)
    assert found.converged.all()
    assert found.value.max() < 1e-16  # the floor at which Armijo compares rounding


def wells(x, _):
    """Σ (x_i² - 1)² / 4 + (Σ x_i)² / 2: as many variables as wanted, all coupled."""
    total = x.sum(1, keepdims=True)
    return ((x**2 - 1) ** 2).sum(1) / 4 + total[:, 0] ** 2 / 2, x * (x**2 - 1) + total


@either
@pytest.mark.parametrize(("objective", "d"), [(rosenbrock, 2), (wells, 60), (wells, 400)])
def test_starts_do_not_influence_each_other(objective, d, memory):
    starts = np.random.default_rng(1).uniform(-2, 2, (6, d))
    together = descend(objective, starts, memory=memory, evaluations=80)
    for start, point in zip(starts, together.point, strict=True):
        assert np.array_equal(descend(objective, start[None], memory=memory, evaluations=80).point[0], point)


def test_running_out_of_evaluations_is_reported():
    assert not descend(rosenbrock, np.array([[-1.5, 2.0]]), evaluations=3).converged.any()


@pytest.mark.parametrize(("memory", "enough"), [(None, True), (20, True), (1, False)])
def test_quasi_newton_steps_learn_the_hessian(memory, enough):
    """Condition number 10^4 in six dimensions: some 25 evaluations; steepest descent would need tens of thousands, one pair hundreds."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    hessian = axes @ np.diag(np.geomspace(1e-4, 1, 6)) @ axes.T
    found = descend(
        lambda x, _: (((x @ hessian) * x).sum(1) / 2, x @ hessian),
        rng.standard_normal((5, 6)),
        tolerance=1e-9,
        evaluations=60,
        memory=memory,
    )
    assert found.converged.all() == enough
    assert (found.slope.max() <= 1e-9) == enough


@given(d=st.integers(1, 50), memory=st.integers(1, 25), spread=st.floats(1, 50), seed=st.integers(0, 2**32 - 1))
def test_quadratic_of_known_minimum(d, memory, spread, seed):
    """(x - c)ᵀA(x - c)/2 with eigenvalues from 1 to `spread`: the gradient bounds the distance to c."""
    rng = np.random.default_rng(seed)
    axes, centre = np.linalg.qr(rng.standard_normal((d, d)))[0], rng.uniform(-3, 3, d)
    hessian = axes @ np.diag(np.linspace(1, spread, d)) @ axes.T

    def objective(x, _):
        pull = (x - centre) @ hessian
        return (pull * (x - centre)).sum(1) / 2, pull

    found = descend(objective, rng.standard_normal((3, d)), tolerance=1e-6, memory=memory)
    assert found.converged.all()
    assert found.slope.max() <= 1e-6
    assert np.linalg.norm(found.point - centre, axis=1).max() <= 1e-6 * np.sqrt(d)


def test_two_loops_are_the_product_of_updates():
    """H = (1 - ρ s yᵀ) H (1 - ρ y sᵀ) + ρ s sᵀ over the last four pairs, the matrix written out; pairs without curvature are skipped."""
    rng, d, memory = np.random.default_rng(2), 7, 4
    root = rng.standard_normal((d, d))
    steps, differences, known, seen = np.zeros((2, memory, d)), np.zeros((2, memory, d)), np.zeros(2, int), []

    def dense(gradient, pairs):
        s, y = pairs[-1]
        h = np.eye(d) * (s @ y) / (y @ y)
        for s, y in pairs:
            turn = np.eye(d) - np.outer(s, y) / (s @ y)
            h = turn @ h @ turn.T + np.outer(s, s) / (s @ y)
        return -h @ gradient

    for move in range(10):
        s, gradient, direction = rng.standard_normal((1, d)), rng.standard_normal((2, d)), np.zeros((2, d))
        y = s @ (root @ root.T + np.eye(d)) * (-1 if move == 6 else 1)
        recall(steps, differences, known, np.array([1]), s, y, gradient, direction)
        if move != 6:
            seen.append((s[0], y[0]))
        assert np.allclose(direction[1], dense(gradient[1], seen[-memory:]), rtol=1e-11, atol=1e-13)
        if len(seen) > memory:
            assert not np.allclose(direction[1], dense(gradient[1], seen[-memory - 1 :]), rtol=1e-4)
    assert known.tolist() == [0, 9]
    assert not direction[0].any()
