"""The optimum of few features: never beaten by another optimiser, the published geometries, its second-order condition."""

from itertools import permutations

import numpy as np
import pytest
from scipy.optimize import minimize

from tegum.theory import (
    CONSTANT,
    Features,
    InputError,
    beta_values,
    expected_loss,
    loss_curves,
    optimal_model,
)
from tegum.theory._curvature import smallest_curvature
from tegum.theory._multistart import Objective

GEOMETRIC = 0.9 ** np.arange(5)
RIVALS = [
    (Features(0.1, n=2), 1),
    (Features(0.9, [1.0, 0.7]), 1),
    (Features(0.03, [1.0, 0.9, 0.2]), 1),
    (Features(0.3, [1.0, 1.0, 0.5]), 2),
    (Features(0.05, n=4), 2),
    (Features([0.1, 0.2, 0.3, 0.4], 0.8 ** np.arange(4)), 2),
    (Features(0.5, 0.5 ** np.arange(4)), 3),
    (Features(0.1, GEOMETRIC), 2),
    (Features(0.2, GEOMETRIC), 2),
    (Features(0.02, [0.2, 1.0, 0.4, 0.8, 0.6]), 3),
    (Features.correlated(0.1, n=4), 2),
    (Features.anticorrelated(0.1, [1.0, 0.8, 0.6, 0.4]), 1),
]


def rival(features, m, restarts=200):
    """Lowest loss of L-BFGS-B from random models, all in one vector: their losses add up, and each has its own minima."""
    objective = Objective(features, m, True)
    rng = np.random.default_rng(17)
    n = features.n
    start = rng.standard_normal((restarts, m * n + n)) * ([0.7] * (m * n) + [0.2] * n)

    def total(x):
        loss, gradient = objective(x.reshape(restarts, -1))
        return loss.sum(), gradient.ravel()

    options = {"maxiter": 400, "maxfun": 500, "maxcor": 20, "ftol": 0, "gtol": 1e-9}
    found = minimize(total, start.ravel(), jac=True, method="L-BFGS-B", options=options).x.reshape(restarts, -1)
    return expected_loss(*objective.models(found), features).min()


@pytest.mark.slow
@pytest.mark.parametrize(("features", "m"), RIVALS, ids=lambda x: str(x)[:60])
def test_not_beaten_by_two_hundred_restarts_of_another_optimiser(features, m):
    best = optimal_model(features, m, restarts=16)
    lowest = rival(features, m)
    assert best.loss <= lowest + 1e-9
    # The rival gets there or near, so that it could have won.
    assert lowest <= best.loss * 1.05
    assert best.slope < 1e-7
    assert best.curvature > 1e-6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("density", "importance", "m", "geometry", "loss"),
    [
        (1.0, GEOMETRIC, 2, "2 dedicated, 3 dropped", 0.182925),
        (0.2, GEOMETRIC, 2, "2 digons, 1 dropped", 0.05983710),
        (0.1, GEOMETRIC, 2, "1 pentagon", 0.02140393691798),
        (0.1, 0.9 ** np.arange(6), 3, "3 digons", 0.00777284997229),
    ],
)
def test_published_geometries(density, importance, m, geometry, loss):
    features = Features(density, importance)
    best = optimal_model(features, m, restarts=16)
    assert best.geometry == geometry
    assert best.curvature > 1e-6
    assert best.loss == pytest.approx(loss, abs=5e-9)
    curves = loss_curves(features, m, [density])
    assert best.loss <= curves.loss.min() + 1e-10


def test_a_dropped_feature_costs_its_variance():
    """Density 1: two features are kept without error, and I (1/3 - 1/4) is lost of each of the others."""
    best = optimal_model(Features(1.0, GEOMETRIC), 2, restarts=4)
    assert best.loss == pytest.approx(GEOMETRIC[2:].sum() / 12, abs=1e-15)


def test_no_feature_order_is_better():
    """The features of the optimum trade places in every way: none is better with what they have."""
    features = Features(0.15, 0.7 ** np.arange(4))
    best = optimal_model(features, 2, restarts=8)
    orders = [list(order) for order in permutations(range(4))]
    losses = [float(expected_loss(best.weights[:, o], best.bias[o], features)) for o in orders]
    assert losses[0] == best.loss
    assert min(losses) >= best.loss


@pytest.mark.slow
def test_same_seed_same_answer():
    one, two, other = (optimal_model(Features(0.05, GEOMETRIC), 2, restarts=8, seed=s) for s in (3, 3, 4))
    assert np.array_equal(one.weights, two.weights)
    assert np.array_equal(one.bias, two.bias)
    assert (one.agreeing, one.starts, one.curvature) == (two.agreeing, two.starts, two.curvature)
    assert other.loss == pytest.approx(one.loss, abs=1e-9)


def test_without_bias():
    """Antipodal, W = (w, -w): the loss is a parabola in w² with minimum 2 (p/3 - h²/g)."""
    for p in (0.05, 0.2):
        h, g = p * (1 - p) / 3 + p**2 / 8, p * (1 - p) / 3 + p**2 / 12
        best = optimal_model(Features(p, n=2), 1, restarts=8, bias=False)
        assert best.loss == pytest.approx(2 * (p / 3 - h**2 / g), abs=1e-14)
        assert best.weights[0, 0] ** 2 == pytest.approx(h / g, abs=1e-7)
        assert not best.bias.any()
        assert best.curvature > 1e-3
        assert best.loss > optimal_model(Features(p, n=2), 1, restarts=8).loss
    with pytest.raises(InputError, match="bias must be True for more than 8 features, got bias=False for n = 9"):
        optimal_model(Features(0.1, n=9), 2, bias=False)


def test_without_bias_nothing_is_ignored():
    """Column zero is no minimum without bias: the loss falls linearly as the column grows along another one."""
    features = Features(0.5, [1.0, 0.05])
    best = optimal_model(features, 1, restarts=8, bias=False)
    assert best.loss < 0.05 * 0.5 / 3 - 5e-5
    assert np.abs(best.weights).min() > 0.01


@pytest.mark.parametrize(
    "features",
    [
        Features(0.1, n=3, values=CONSTANT),
        Features(0.1, n=2, values=beta_values(2, 1)),
        Features.anticorrelated(0.2, n=3, size=3),
    ],
    ids=lambda x: x.law.kind + " " + x.law.values.name,
)
def test_other_laws_without_random_starts(features):
    best = optimal_model(features, 1, restarts=0)
    assert best.slope < 1e-6
    assert best.loss <= (features.importance * features.variance)[1:].sum()
    assert best.curvature > 0


def test_curvature_at_a_kink_is_that_of_the_lower_side():
    """One feature in one dimension, W = 1, b = 0. Against (w, b) the second derivatives are (8p/3, 2p, 2) for b > 0 and
    (8p/3, 2p, 2p) for b < 0, where the output is cut off when the feature is inactive."""
    p = 0.3
    objective = Objective(Features(p, n=1), 1, True)
    above, below = (np.array([[8 * p / 3, 2 * p], [2 * p, last]]) for last in (2, 2 * p))
    # Along v and -v together both sides are met; the lower one is b < 0.
    vectors = np.linalg.eigh((above + below) / 2)[1].T
    expected = min(v @ below @ v for v in vectors)
    found = smallest_curvature(objective, objective.point(np.ones((1, 1)), np.zeros(1)))
    # The eigenvectors are those of differences of step 1e-4 across the kink.
    assert found == pytest.approx(expected, abs=2e-5)
    assert found < np.linalg.eigvalsh((above + below) / 2).min() - 1e-2


def test_curvature_is_negative_at_a_saddle():
    """Everything ignored: to represent a feature pays, but only at second order."""
    features = Features(0.1, n=3)
    objective = Objective(features, 2, True)
    nothing = objective.point(np.zeros((2, 3)), features.mean)
    assert np.abs(objective(nothing[None])[1]).max() < 1e-15
    assert smallest_curvature(objective, nothing) < -1e-3


def test_curvature_bounds_every_direction():
    """At the pentagon second differences of the loss itself, along random directions across rotations, are not below it."""
    features = Features(0.1, GEOMETRIC)
    best = optimal_model(features, 2, restarts=8)
    turn = np.concatenate([(np.array([[0, -1], [1, 0]]) @ best.weights).ravel(), np.zeros(5)])
    turn /= np.linalg.norm(turn)
    rng = np.random.default_rng(0)
    directions = rng.standard_normal((200, 15))
    directions -= (directions @ turn)[:, None] * turn
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    h = 1e-3

    def second(v):
        """Second difference along each row of v."""
        moves = [(best.weights + s * v[:, :10].reshape(-1, 2, 5), best.bias + s * v[:, 10:]) for s in (h, -h)]
        return (sum(expected_loss(*move, features) for move in moves) - 2 * best.loss) / h**2

    assert second(directions).min() >= best.curvature - 1e-6
    # Along a rotation there is none.
    assert best.curvature > 1e-3
    assert abs(second(turn[None])[0]) < 1e-4
