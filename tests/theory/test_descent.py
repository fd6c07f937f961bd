"""Batched BFGS on problems with known minima."""

import numpy as np

from tegum.theory._descent import descend


def rosenbrock(x, _):
    a, b = x.T
    value = (1 - a) ** 2 + 100 * (b - a**2) ** 2
    return value, np.stack([-2 * (1 - a) - 400 * a * (b - a**2), 200 * (b - a**2)], 1)


def test_rosenbrock_from_many_starts():
    starts = np.random.default_rng(0).uniform(-2, 2, (50, 2))
    found = descend(rosenbrock, starts, tolerance=1e-9)
    assert found.converged.all()
    assert np.allclose(found.point, 1, atol=1e-7)


def test_kinked_gradient():
    """max(0, x)² + max(0, -x)²/100 has a kink in its second derivative at the minimum."""

    def objective(x, _):
        up, down = np.maximum(x, 0), np.maximum(-x, 0)
        return (up**2 + down**2 / 100).sum(1), 2 * up - down / 50

    found = descend(objective, np.array([[3.0, -5.0], [-1.0, 2.0]]))
    assert found.converged.all()
    assert found.value.max() < 1e-16  # the floor at which Armijo compares rounding


def test_starts_do_not_influence_each_other():
    starts = np.random.default_rng(1).uniform(-2, 2, (6, 2))
    together = descend(rosenbrock, starts)
    for start, point in zip(starts, together.point, strict=True):
        assert np.array_equal(descend(rosenbrock, start[None]).point[0], point)


def test_running_out_of_evaluations_is_reported():
    assert not descend(rosenbrock, np.array([[-1.5, 2.0]]), evaluations=3).converged.any()


def test_quasi_newton_steps_learn_the_hessian():
    """Condition number 10^4 in six dimensions: some 25 evaluations; steepest descent would need tens of thousands."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    hessian = axes @ np.diag(np.geomspace(1e-4, 1, 6)) @ axes.T
    found = descend(
        lambda x, _: (((x @ hessian) * x).sum(1) / 2, x @ hessian),
        rng.standard_normal((5, 6)),
        tolerance=1e-9,
        evaluations=60,
    )
    assert found.converged.all()
    assert found.slope.max() <= 1e-9
