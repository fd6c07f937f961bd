"""Packings by integer program and the search for low minima of many features."""

from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import minimize

from tegum.theory import CONSTANT, Features, expected_loss, loss_and_gradient, optimal_model
from tegum.theory._assignment import assigned_models
from tegum.theory._packing import block_models


def digon_losses(features):
    """Loss of every pair as a digon, by the block's own descent."""
    pairs = list(combinations(range(features.n), 2))
    return dict(zip(pairs, block_models("digon", features, np.array(pairs))[0], strict=True))


def best_by_hand(features, m, losses, free=None):
    """Smallest total over every way to give m dimensions to single features and digons: plain recursion."""
    free = tuple(range(features.n)) if free is None else free
    variance = features.importance * features.variance
    if m == 0 or not free:
        return sum(variance[j] for j in free)
    first, rest = free[0], free[1:]
    options = [
        variance[first] + best_by_hand(features, m, losses, rest),
        best_by_hand(features, m - 1, losses, rest),
    ]
    for j in rest:
        others = tuple(k for k in rest if k != j)
        options.append(losses[first, j] + best_by_hand(features, m - 1, losses, others))
    return min(options)


@pytest.mark.parametrize("density", [0.05, 0.3, 0.6])
def test_integer_program_against_recursion(density):
    """All products of dedicated dimensions and digons of seven features in three dimensions, densities and importances mixed."""
    rng = np.random.default_rng(3)
    features = Features(density * rng.uniform(0.5, 1, 7), 0.7 ** np.arange(7))
    ((weights, bias),) = assigned_models(features, 3, [("dedicated", "digon")])
    assert expected_loss(weights, bias, features) == pytest.approx(
        best_by_hand(features, 3, digon_losses(features)), rel=1e-6
    )


def test_nested_digons_of_twenty_features():
    """Importance 0.7^i at density 0.1: the first alone, then the next four with the four after them in reverse."""
    features = Features(0.1, 0.7 ** np.arange(20))
    ((weights, _),) = assigned_models(features, 5, [("dedicated", "digon")])
    gram = weights.T @ weights
    partners = [int(np.argmin(gram[i])) for i in range(1, 5)]
    assert partners == [8, 7, 6, 5]
    assert not weights[:, 9:].any()


@pytest.mark.slow
def test_no_worse_than_packings_or_shuffles():
    features = Features(0.1, 0.8 ** np.arange(10))
    best = optimal_model(features, 3, restarts=4)
    again = optimal_model(features, 3, restarts=4)
    assert best.loss == again.loss
    for weights, bias in assigned_models(features, 3, [("dedicated", "digon"), ("dedicated", "digon", "triangle")]):
        assert best.loss <= expected_loss(weights, bias, features) + 1e-9
    rng = np.random.default_rng(0)
    for _ in range(20):
        order = np.concatenate([rng.permutation(6), np.arange(6, 10)])
        assert best.loss <= expected_loss(best.weights[:, order], best.bias[order], features) + 1e-9
    assert best.slope < 1e-5
    _, d_weights, d_bias = loss_and_gradient(best.weights, best.bias, features, atol=1e-10)
    assert max(np.abs(d_weights).max(), np.abs(d_bias).max()) < 1e-5


def test_features_that_exclude_each_other_share_a_dimension_for_free():
    best = optimal_model(Features.anticorrelated(0.2, n=4, size=2), 2, restarts=8)
    assert best.loss < 1e-7
    assert optimal_model(Features(0.2, n=4), 2, restarts=4).loss > 0.01


@pytest.mark.slow
def test_features_that_come_together_do_not_share():
    """Correlated pairs, one dimension for two: the same as of independent ones is worse, since both are on together."""
    together = optimal_model(Features.correlated(0.1, n=4, size=2), 2, restarts=8)
    gram = together.weights.T @ together.weights
    assert abs(gram[0, 1]) < 0.1
    assert abs(gram[2, 3]) < 0.1
    assert together.loss <= optimal_model(Features(0.1, n=4), 2, restarts=4).loss + 1e-9


def test_constant_values_are_searched_too():
    """Constant values: an antipodal pair W = (1, -1), b = 0 loses p² per feature; the search does not do worse."""
    features = Features(0.1, n=2, values=CONSTANT)
    assert float(expected_loss([[1.0, -1.0]], 0, features)) == pytest.approx(0.02, abs=1e-15)
    assert optimal_model(features, 1, restarts=8).loss <= 0.02 + 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("atol", [1e-9, 1e-6])
def test_an_optimiser_cannot_exploit_the_error(atol):
    """500 L-BFGS iterations from random starts: what is reported is what a tighter evaluation gives."""
    n, m = 20, 5
    features = Features(0.05, 0.7 ** np.arange(n))
    rng = np.random.default_rng(0)

    def objective(x):
        loss, d_weights, d_bias = loss_and_gradient(x[: m * n].reshape(m, n), x[m * n :], features, atol=atol)
        return float(loss), np.concatenate([d_weights.ravel(), d_bias])

    for _ in range(2):
        start = np.concatenate([0.3 * rng.standard_normal(m * n), np.zeros(n)])
        found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 500, "ftol": 0, "gtol": 0})
        again = expected_loss(found.x[: m * n].reshape(m, n), found.x[m * n :], features, atol=atol / 20)
        assert abs(found.fun - again) <= atol
        # It has come far: below what the five most important features kept alone would leave.
        assert found.fun < (features.importance * features.variance)[5:].sum()
