"""Transitions against closed forms, against symmetric families minimised by scipy, and against many restarts of another optimiser."""

import numpy as np
import pytest
from scipy.optimize import brentq, minimize

from tegum.theory import (
    Features,
    InputError,
    expected_loss,
    loss_and_gradient,
    loss_curves,
    optimal_model,
    phase_boundary,
    polytope,
    spinodal,
    transitions,
)
from tegum.theory import geometry_diagram as diagram_of
from tegum.theory._states import State, track


def regular(block, density):
    """Loss of a block of equal features with one common norm and bias: two unknowns, left to scipy with numerical gradients."""
    unit = np.array(polytope(block).evalf(20), dtype=float)
    features = Features(density, n=unit.shape[1])
    start = [1.15, -0.2] if block == "pentagon" else [0.9, 0.1]
    return minimize(
        lambda x: float(expected_loss(x[0] * unit, x[1], features)), start, method="BFGS", options={"gtol": 1e-9}
    ).fun


def dropped(density):
    return density / 3 - density**2 / 4


def restarts(features, m, count, seed=0):
    """Lowest end of scipy's BFGS from random starts: shares no code with the descents under test but the loss itself."""
    n, rng = features.n, np.random.default_rng(seed)

    def loss(x):
        value, d_weights, d_bias = loss_and_gradient(x[: m * n].reshape(m, n), x[m * n :], features)
        return float(value), np.r_[d_weights.ravel(), d_bias]

    ends = [minimize(loss, jac=True, x0=np.r_[0.6 * rng.standard_normal(m * n), np.full(n, 0.1)]) for _ in range(count)]
    return min(ends, key=lambda end: end.fun)


def test_pair_has_the_boundaries_of_the_closed_forms():
    found = transitions(lambda i: Features(0.7, [1.0, i]), 1, np.geomspace(0.5, 0.97, 6), restarts=2).transitions
    (onset,) = found
    assert (onset.order, onset.below, onset.above) == ("continuous", "1 dedicated, 1 dropped", "1 digon (1 weak)")
    assert onset.parameter == pytest.approx(float(spinodal(0.7)), rel=1e-10)
    assert onset.error < 1e-9
    assert onset.jump == onset.kink == 0
    (jump,) = transitions(lambda i: Features(0.1, [1.0, i]), 1, [0.03, 0.1], restarts=2).transitions
    assert jump.parameter == pytest.approx(float(phase_boundary(0.1).importance), rel=1e-9)
    assert jump.order == "first"
    assert jump.jump > 0.5
    # Slope below the boundary: the ignored feature's error V; above: what is left of it.
    assert jump.kink == pytest.approx(
        float(Features(0.1, n=2).variance[0]) * -1
        + float(expected_loss(jump.weights[1], jump.bias[1], Features(0.1, [1e-9, 1.0]))),
        rel=1e-5,
    )


@pytest.mark.slow
def test_a_jump_of_little_loss_is_put_where_the_proof_has_it():
    """At density 0.9 the ignored feature stays a minimum beyond the jump, and 4e-6 further on a third state takes over."""
    found = transitions(lambda i: Features(0.9, [1.0, 1.0, i]), 2, [0.93, 0.96], restarts=4).transitions
    assert [t.order for t in found] == ["first", "first"]
    lower, upper = phase_boundary(0.9).enclosure
    assert lower - 1e-11 < found[0].parameter < upper + 1e-11
    assert found[0].error < 1e-10
    assert abs(found[1].parameter - upper) > 1e-6  # negative control: the next transition is told apart


def test_a_minimum_is_tracked_to_its_fold_and_no_further():
    features, start = Features(0.9, [1.0, 0.9]), State(np.array([[1.0, 0.0]]), np.array([0.0, 0.45]), np.nan)
    kept = track(features, start, free=True)
    assert kept.loss == pytest.approx(0.9 * float(features.variance[1]), rel=1e-12)
    # Past the spinodal the ignored feature is a saddle.
    assert track(Features(0.9, [1.0, float(spinodal(0.9)) * 1.01]), start, free=True) is None
    assert track(features, State(np.array([[1.0, -3.0]]), start.bias, np.nan), free=True) is None


@pytest.mark.slow
def test_triangle_gives_way_where_the_regular_losses_cross():
    (found,) = transitions(lambda p: Features(p, n=3), 2, [0.3, 0.45, 0.6, 0.8], restarts=4).transitions
    assert (found.below, found.above) == ("1 dedicated, 1 digon", "1 triangle")
    where = brentq(lambda p: regular("digon", p) - regular("triangle", p), 0.4, 0.65, xtol=1e-11)
    assert found.parameter == pytest.approx(where, abs=1e-8)
    assert found.kink < 0
    # Another optimiser sees the change at the same place, and not a little beside it.
    for shift, words in ((-2e-3, "digon"), (2e-3, "triangle")):
        p = found.parameter + shift
        assert restarts(Features(p, n=3), 2, 8).fun == pytest.approx(regular(words, p), abs=1e-8)


@pytest.mark.slow
def test_pentagon_digons_triangle():
    found = transitions(lambda p: Features(p, n=5), 2, np.linspace(0.15, 0.75, 9), restarts=4).transitions
    assert [(t.below, t.above) for t in found] == [
        ("1 pentagon", "2 digons, 1 dropped"),
        ("2 digons, 1 dropped", "1 triangle, 2 dropped"),
    ]
    first = brentq(lambda p: regular("pentagon", p) - 2 * regular("digon", p) - dropped(p), 0.2, 0.25, xtol=1e-11)
    second = brentq(
        lambda p: 2 * regular("digon", p) + dropped(p) - regular("triangle", p) - 2 * dropped(p), 0.6, 0.7, xtol=1e-11
    )
    assert [t.parameter for t in found] == pytest.approx([first, second], abs=1e-8)
    # Negative control: the same with one loss off by a ten-thousandth misses.
    wrong = brentq(
        lambda p: 1.0001 * regular("pentagon", p) - 2 * regular("digon", p) - dropped(p), 0.2, 0.25, xtol=1e-11
    )
    assert abs(found[0].parameter - wrong) > 1e-6


@pytest.mark.slow
def test_one_sparser_feature_breaks_the_pentagon():
    """Elhage et al. say that the pentagon collapses at a factor of about 2.5; at their density 0.05 it takes 3.716."""

    def family(factor):
        return Features([0.05] * 4 + [0.05 * factor], n=5)

    found = transitions(family, 2, np.geomspace(0.2, 3, 8), restarts=4).transitions
    (t,) = found
    assert (t.below, t.above) == ("2 digons, 1 dropped", "1 pentagon")
    assert 1 / t.parameter == pytest.approx(3.71635091, abs=1e-7)
    assert optimal_model(family(t.parameter * 0.99), 2, restarts=8).geometry == "2 digons, 1 dropped"
    assert optimal_model(family(t.parameter * 1.01), 2, restarts=8).geometry == "1 pentagon"
    # At the paper's factor the pentagon still wins, by scipy from random starts as well.
    at_paper = family(1 / 2.5)
    digons = 2 * regular("digon", 0.05) + float(at_paper.variance[4])
    assert optimal_model(at_paper, 2, restarts=8).loss < digons * (1 - 1e-3)
    # The two digons' loss is a closed family; the other branch is an explicit model at the crossing.
    crossing = 2 * regular("digon", 0.05) + float(family(t.parameter).variance[4])
    assert t.loss == pytest.approx(crossing, rel=1e-9)
    assert float(expected_loss(t.weights[1], t.bias[1], family(t.parameter))) == pytest.approx(crossing, rel=1e-9)


def test_exclusive_pairs_have_no_transition_and_no_loss():
    found = transitions(lambda p: Features.anticorrelated(p, n=4, size=2), 2, [0.05, 0.2, 0.5], restarts=2)
    assert found.transitions == ()
    assert set(found.geometry) == {"2 digons"}
    assert found.loss.max() < 1e-14


@pytest.mark.slow
def test_loss_is_concave_in_importance_and_the_grid_does_not_matter():
    grid = np.geomspace(0.02, 3, 9)
    found = transitions(lambda i: Features(0.3, [1.0, 1.0, i]), 2, grid, restarts=3)
    again = transitions(lambda i: Features(0.3, [1.0, 1.0, i]), 2, np.geomspace(0.03, 2.5, 6), restarts=3, seed=1)
    assert [t.parameter for t in found.transitions] == pytest.approx([t.parameter for t in again.transitions], rel=1e-9)
    slope = np.diff(found.loss) / np.diff(grid)
    assert (np.diff(slope) <= 1e-13).all()
    found.loss[5] *= 0.9  # negative control: a loss too low for its neighbours
    assert np.diff(np.diff(found.loss) / np.diff(grid)).max() > 1e-6
    assert all(t.kink < 0 for t in found.transitions)


def test_without_bias_the_model_is_the_best_without_bias():
    found = transitions(lambda p: Features(p, n=2), 1, [0.4, 0.55, 0.7], bias=False, restarts=4)
    (t,) = found.transitions
    assert not found.bias.any()
    assert not t.bias.any()

    def best(p, starts):
        ends = [minimize(lambda w: float(expected_loss(w[None], 0, Features(p, n=2))), s).fun for s in starts]
        return min(ends)

    opposite, alike = [[1.0, -1.0], [1.0, -0.6]], [[0.7, 0.7], [0.9, 0.5]]
    where = brentq(lambda p: best(p, opposite) - best(p, alike), 0.56, 0.62, xtol=1e-9)
    assert t.parameter == pytest.approx(where, abs=1e-7)


@pytest.mark.slow
def test_diagram_is_optimal_and_concave():
    calls = []
    weight = np.geomspace(0.02, 2, 7)
    diagram = diagram_of([0.1, 0.6], weight, restarts=2, progress=lambda *x: calls.append(x))
    assert calls == [(1, 2), (2, 2)]
    assert diagram.label[0, 0] == "2 dedicated, 1 dropped"
    assert diagram.label[0, 4] == "1 dedicated, 1 digon"
    for i, p in enumerate((0.1, 0.6)):
        for j in (0, 3, 6):
            features = Features(p, [1.0, 1.0, weight[j]])
            assert diagram.loss[i, j] <= optimal_model(features, 2, restarts=8).loss + 1e-11
            assert expected_loss(diagram.weights[i, j], diagram.bias[i, j], features) == pytest.approx(
                diagram.loss[i, j], abs=1e-13
            )
        assert (np.diff(np.diff(diagram.loss[i]) / np.diff(weight)) <= 1e-12).all()


@pytest.mark.slow
def test_curves_cross_where_the_pair_does():
    curves = loss_curves(Features(1.0, [1.0, 0.7]), 1, [0.3, 0.5, 0.7])
    (smooth,) = curves.crossings
    assert smooth.order == "continuous"
    assert float(spinodal(smooth.density)) == pytest.approx(0.7, abs=1e-12)
    (jump,) = loss_curves(Features(1.0, [1.0, 0.3]), 1, [0.2, 0.35, 0.6]).crossings
    assert jump.order == "first"
    assert float(phase_boundary(jump.density).importance) == pytest.approx(0.3, abs=1e-8)
    (triangle,) = loss_curves(Features(1.0, n=3), 2, [0.4, 0.6]).crossings
    where = brentq(lambda p: regular("digon", p) - regular("triangle", p), 0.4, 0.65, xtol=1e-11)
    assert triangle.density == pytest.approx(where, abs=1e-8)


def test_input_is_checked():
    with pytest.raises(InputError, match="parameters must be one-dimensional"):
        transitions(lambda p: Features(p, n=2), 1, [0.5, 0.1])
    with pytest.raises(InputError, match="at most 8 uniform features"):
        transitions(lambda p: Features(p, n=9), 1, [0.1, 0.5])
    with pytest.raises(InputError, match="m must be an integer >= 1, got 0"):
        transitions(lambda p: Features(p, n=2), 0, [0.1, 0.5])
    with pytest.raises(InputError, match="importances must be one-dimensional"):
        diagram_of([0.1], [0.5])
