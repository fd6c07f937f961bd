"""Exact loss, phases and optima: how long one answer takes. `make bench` prints the table; nothing here passes or fails."""

from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import minimize

from tegum.theory import (
    CONSTANT,
    Features,
    beta_values,
    expected_loss,
    geometry_diagram,
    landscape,
    loss_and_gradient,
    loss_curves,
    lower_bound,
    optimal_model,
    phase_boundary,
    phase_diagram,
    rational_loss,
)


def model(n, m, batch=()):
    rng = np.random.default_rng(0)
    return (
        rng.standard_normal((*batch, m, n)) / np.sqrt(m),
        0.2 * rng.standard_normal((*batch, n)),
        Features(0.2, n=n),
    )


@pytest.mark.parametrize(("n", "batch"), [(2, 20_000), (5, 1_000), (8, 50)])
def test_expected_loss(benchmark, n, batch):
    benchmark(expected_loss, *model(n, 2, (batch,)))


@pytest.mark.parametrize(("n", "batch"), [(2, 20_000), (5, 1_000), (8, 50)])
def test_loss_and_gradient(benchmark, n, batch):
    benchmark(loss_and_gradient, *model(n, 2, (batch,)))


@pytest.mark.parametrize(("n", "m", "batch"), [(20, 5, 20), (80, 20, 1), (400, 30, 1)])
@pytest.mark.parametrize("what", [expected_loss, loss_and_gradient])
def test_contour(benchmark, what, n, m, batch):
    """Beyond the vertex sum, to the default 1e-9; divide by the batch for one instance."""
    weights, _, _ = model(n, m, (batch,))
    benchmark.pedantic(what, (weights, np.full(n, -0.05), Features(0.1, n=n)), rounds=3)


LAWS = {
    "correlated pairs": Features.correlated(0.1, n=80),
    "anticorrelated pairs": Features.anticorrelated(0.1, n=80),
    "Beta(2, 2) values": Features(0.1, n=80, values=beta_values(2, 2)),
    "constant values": Features(0.1, n=24, values=CONSTANT),
}


@pytest.mark.parametrize("law", LAWS)
def test_laws(benchmark, law):
    """Value and gradient of one model, m = n/4, to 1e-9."""
    features = LAWS[law]
    weights, bias, _ = model(features.n, features.n // 4)
    benchmark.pedantic(loss_and_gradient, (weights, bias, features), rounds=3)


@pytest.mark.parametrize("n", [3, 6])
def test_rational_loss(benchmark, n):
    rng = np.random.default_rng(0)
    weights = [[Fraction(int(x), 16) for x in row] for row in rng.integers(-16, 17, (2, n))]
    benchmark(rational_loss, weights, [Fraction(1, 8)] * n, density=[Fraction(1, 5)] * n, importance=[1] * n)


def test_monte_carlo_to_three_digits(benchmark):
    """What the exact loss replaces: sampling until the standard error is a thousandth of the loss (n = 5)."""
    weights, bias, _ = model(5, 2)
    rng = np.random.default_rng(1)

    def sample():
        x = np.where(rng.random((2_000_000, 5)) < 0.2, rng.random((2_000_000, 5)), 0)
        errors = ((x - np.maximum(x @ weights.T @ weights + bias, 0)) ** 2).sum(1)
        return errors.mean(), errors.std() / np.sqrt(len(errors))

    mean, error = benchmark.pedantic(sample, rounds=3)
    benchmark.extra_info["relative standard error"] = float(error / mean)


def test_phase_boundary(benchmark):
    benchmark.pedantic(phase_boundary, (np.geomspace(0.02, 1, 20),), rounds=3)


def test_phase_diagram_41_by_41(benchmark):
    benchmark.pedantic(phase_diagram, (np.geomspace(0.05, 1, 41), np.geomspace(0.1, 10, 41)), rounds=3)


def test_phase_diagram_100_by_100(benchmark):
    benchmark.pedantic(phase_diagram, (np.geomspace(0.05, 1, 100), np.geomspace(0.1, 10, 100)), rounds=1)


@pytest.mark.parametrize(("n", "m"), [(5, 2), (8, 3)])
def test_optimal_model_64_restarts(benchmark, n, m):
    found = benchmark.pedantic(
        optimal_model, (Features(0.1, 0.9 ** np.arange(n)), m), {"restarts": 64}, rounds=3, warmup_rounds=1
    )
    benchmark.extra_info |= {"loss": found.loss, "starts": found.starts, "agreeing": found.agreeing}


@pytest.mark.parametrize(("n", "m"), [(5, 2), (8, 3)])
def test_lbfgs_one_start_at_a_time(benchmark, n, m):
    """What `optimal_model` is compared with: scipy's L-BFGS-B on the exact loss from 64 random models, one after the other."""
    features = Features(0.1, 0.9 ** np.arange(n))
    rng = np.random.default_rng(0)
    starts = rng.standard_normal((64, m * n + n)) * ([0.6] * (m * n) + [0.1] * n)

    def objective(x):
        # A line search may try weights so large that no double holds their loss to the default atol.
        size = float(np.abs(x).max(initial=1)) ** 4
        loss, d_weights, d_bias = loss_and_gradient(
            x[: m * n].reshape(m, n), x[m * n :], features, atol=max(1e-9, 1e-9 * size)
        )
        return float(loss), np.concatenate([d_weights.ravel(), d_bias])

    def run():
        options = {"maxiter": 500, "ftol": 0, "gtol": 1e-9}
        return min(minimize(objective, x, jac=True, method="L-BFGS-B", options=options).fun for x in starts)

    benchmark.extra_info["loss"] = benchmark.pedantic(run, rounds=1)


def test_optimal_model_twenty_in_five_from_packings(benchmark):
    benchmark.pedantic(optimal_model, (Features(0.1, 0.7 ** np.arange(20)), 5), {"restarts": 0}, rounds=2)


def test_geometry_diagram_three_in_two_50_by_50(benchmark):
    arguments = np.geomspace(0.02, 1, 50), np.geomspace(0.1, 10, 50)
    benchmark.pedantic(geometry_diagram, arguments, rounds=1)


@pytest.mark.parametrize(("n", "m"), [(2, 1), (5, 2), (8, 3)])
def test_lower_bound(benchmark, n, m):
    """A new density each round: proofs are kept between calls."""
    densities = iter(np.linspace(0.1, 0.11, 3))
    benchmark.pedantic(lambda: lower_bound(Features(next(densities), n=n), m), rounds=2)


def test_landscape_of_a_pair(benchmark):
    benchmark.pedantic(landscape, (0.1, 0.5), rounds=3)


def test_phase_boundary_of_100_densities(benchmark):
    benchmark.pedantic(phase_boundary, (np.geomspace(0.01, 1, 100),), rounds=1)


def test_loss_curves_five_in_two(benchmark):
    benchmark.pedantic(loss_curves, (Features(1.0, 0.9 ** np.arange(5)), 2, np.geomspace(0.01, 1, 17)), rounds=2)
