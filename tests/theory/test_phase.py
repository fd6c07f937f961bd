"""Phases of two features in one dimension."""

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from tegum.theory import (
    DENSITY,
    IMPORTANCE,
    Features,
    InputError,
    expected_loss,
    naive_theory,
    optimal_model,
    pair_phase,
    phase_boundary,
    phase_diagram,
    rational_loss,
    spinodal,
)
from tegum.theory._pair import ANTIPODAL_RATIO, superposed_states

# Measured independently when the project began (truncated contour integrals, other code): six decimals.
KNOWN = {0.1: 0.048722, 0.3: 0.204699}


@pytest.mark.slow
@pytest.mark.parametrize(("density", "importance"), KNOWN.items())
def test_boundary_agrees_with_the_known_values(density, importance):
    boundary = float(phase_boundary(density).importance)
    assert abs(boundary - importance) < 1e-6
    naive = float(phase_boundary(density).naive)
    assert abs(naive - importance) > 1e-3  # the fixed models would not pass


@pytest.mark.slow
@pytest.mark.parametrize("density", [0.05, 0.3, 0.55, 0.7, 0.9, 1.0])
def test_boundary_separates_the_optimal_states(density):
    """Independent of the ratio minimised: on either side the global optimum by general descent stores one or two features."""
    boundary = float(phase_boundary(density).importance)
    for factor, stored in ((0.97, False), (min(1.03, 0.999 / boundary), True)):
        best = optimal_model(Features(density, [1.0, boundary * factor]), 1, restarts=8)
        alone = boundary * factor * (density / 3 - density**2 / 4)
        assert (best.loss < alone * (1 - 1e-7)) is stored


def test_boundary_state_is_a_witness():
    """At a first-order boundary the superposed state loses exactly what ignoring does."""
    boundary = phase_boundary(0.2)
    features = Features(0.2, [1.0, float(boundary.importance)])
    loss = expected_loss(boundary.weights[None], boundary.bias, features)
    assert loss == pytest.approx(float(boundary.importance) * (0.2 / 3 - 0.04 / 4), rel=1e-12)


@pytest.mark.slow
def test_order_of_the_transition_changes():
    assert phase_boundary([0.1, 0.45, 0.6, 0.8, 0.9]).order.tolist() == [
        "first",
        "first",
        "continuous",
        "continuous",
        "first",
    ]


def test_spinodal_against_its_polynomial():
    """I_c = Q(β*)/V with Q as written in the notes of the derivation, minimised here on a grid of β."""
    for p in (0.05, 0.4, 0.8):
        beta = np.linspace(0, 1, 200_001)
        q = (
            beta**2 * (1 - p + p**2)
            + p * (1 - p) * beta**3 / 3
            - 0.75 * p * (beta - p / 2) ** 2
            - p**2 * beta
            + p**2 / 3
        )
        assert spinodal(p) == pytest.approx(q.min() / (p / 3 - p**2 / 4), rel=1e-8)  # the grid of β is 5e-6 wide


@pytest.mark.parametrize("density", [0.2, 0.6])
def test_spinodal_is_where_ignoring_loses_its_stability(density):
    """Just above I_c a small opposite second weight lowers the loss, just below none of the perturbations tried does."""
    limit = float(spinodal(density))
    eps = 1e-3
    beta = np.linspace(0, 1.2 * density, 61)
    gamma = np.linspace(-1, 1, 41)
    b, g = (x.ravel() for x in np.meshgrid(beta, gamma))
    weights = np.stack([1 + eps * g / 2, np.full_like(b, -eps)], -1)[:, None]
    bias = np.stack([eps * b, density / 2 + eps * density / 2 * np.ones_like(b)], -1)
    for factor, lower in ((1.02, True), (0.98, False)):
        features = Features(density, [1.0, limit * factor])
        alone = limit * factor * (density / 3 - density**2 / 4)
        assert bool((expected_loss(weights, bias, features) < alone).any()) is lower


@pytest.mark.slow
@settings(max_examples=15)
@given(st.floats(0.02, 1), st.floats(0.05, 0.9), st.floats(0.05, 0.9))
def test_optimal_loss_is_concave_and_increasing_in_importance(p, one, two):
    low, high = sorted([one, two])
    middle = (low + high) / 2
    loss = phase_diagram([p], [low, middle, high]).loss[0]
    assert loss[1] >= (loss[0] + loss[2]) / 2 - 1e-12
    assert loss[0] <= loss[1] + 1e-12 <= loss[2] + 2e-12


@pytest.mark.slow
@settings(max_examples=15)
@given(st.floats(0.02, 1), st.floats(0.05, 20))
def test_exchanging_the_features(p, importance):
    """L*(p, I) = I L*(p, 1/I)."""
    one, other = phase_diagram([p], [importance]), phase_diagram([p], [1 / importance])
    assert one.loss[0, 0] == pytest.approx(importance * other.loss[0, 0], rel=1e-12)


@pytest.mark.slow
@settings(max_examples=15)
@given(st.floats(0.02, 1), st.floats(0.05, 20))
def test_diagram_is_never_above_the_naive_losses(p, importance):
    diagram = phase_diagram([p], [importance])
    v = p / 3 - p**2 / 4
    naive = min(importance * v, v, (1 + importance) * p**2 / 6)
    assert diagram.loss[0, 0] <= naive + 1e-14
    features = Features(p, [1.0, importance])
    assert expected_loss(diagram.weights[0, 0][None], diagram.bias[0, 0], features) == pytest.approx(
        diagram.loss[0, 0], rel=1e-10
    )


def test_dense_features_of_nearly_equal_importance_are_superposed_exactly():
    """A rational witness at p = 1, I = 0.99: less than 0.99/12, which any model that ignores a feature loses at least."""
    from fractions import Fraction as F

    found = rational_loss(
        [[F(983, 1000), F(-201, 1000)]], [F(23, 200), F(579, 1000)], density=[1, 1], importance=[1, F(99, 100)]
    )
    assert found < F(99, 100) / 12
    assert phase_diagram([1.0], [0.98, 0.99]).label.tolist() == [["only 1", "weak"]]


def test_known_losses():
    """L* at I = 1 as measured independently when the project began."""
    loss = phase_diagram([0.1, 0.3], [1.0]).loss[:, 0]
    assert np.allclose(loss, [0.00331948, 0.02931036], rtol=0, atol=5e-9)


@pytest.mark.slow
def test_the_ratio_gap_between_weak_and_antipodal():
    """No optimal state has |w2/w1| in (0.5605, 0.586): the label is a matter of fact, not of threshold."""
    assert 0.5605 < ANTIPODAL_RATIO < 0.586
    p = np.concatenate([np.linspace(0.52, 0.74, 12), [0.005, 0.05, 0.2]])
    onset = phase_boundary(p).importance[:, None] * 1.0005
    importance = onset + (1 - onset) * np.linspace(0, 1, 50)
    states = superposed_states(np.repeat(p, 50), importance.ravel())
    ratio = -states.weights[:, 1] / states.weights[:, 0]
    assert not ((ratio > 0.5605) & (ratio < 0.586)).any()
    assert (ratio < 0.5605).any()
    assert (ratio > 0.586).any()


def test_naive_theory_is_what_the_paper_prints():
    p, r = DENSITY, IMPORTANCE
    theory = naive_theory()
    assert sympy.simplify(theory.only_first - r * (p / 3 - p**2 / 4)) == 0
    assert sympy.simplify(theory.boundary - (p**2 / 6) / (p / 3 - p**2 / 4 - p**2 / 6)) == 0
    assert theory.critical_density.subs(r, 1) == sympy.Rational(4, 7)


def test_to_xarray_names_the_axes():
    data = phase_diagram([0.1, 0.2], [0.5]).to_xarray()
    assert dict(data.sizes) == {"density": 2, "importance": 1, "feature": 2}
    assert data.attrs["grade"] == "NUMERIC"


def test_pair_phase_resolution():
    assert pair_phase([1.0, -0.05]).item() == "weak"
    assert pair_phase([1.0, -0.05], resolution=0.1).item() == "only 1"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: phase_boundary(0.0), "density must be in"),
        (lambda: phase_boundary(0.1, n=3, m=2), "n = 2, m = 1, got n = 3, m = 2"),
        (lambda: phase_diagram([0.1], [-1.0]), "importances must be positive.*got -1"),
        (lambda: phase_diagram([[0.1]], [1.0]), "one-dimensional"),
        (lambda: spinodal(2.0), "got 2"),
        (lambda: pair_phase([1.0, 2.0, 3.0]), r"shape \(..., 2\)"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(InputError, match=words):
        call()
