"""Phases of two features in one dimension."""

from fractions import Fraction

import flint
import mpmath
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
    exchange_line,
    expected_loss,
    naive_boundaries,
    naive_candidates,
    naive_theory,
    optimal_model,
    pair_loss,
    pair_phase,
    phase_boundary,
    phase_diagram,
    rational_loss,
    spinodal,
)
from tegum.theory._loss import model_gradient
from tegum.theory._pair import ANTIPODAL_RATIO, BETA, VARIANCE, enclose_onset, landau, superposed_states

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
    """No optimal state has |w2/w1| in (0.5643, 0.5853): the label is a matter of fact, not of threshold."""
    assert 0.5643 < ANTIPODAL_RATIO < 0.5853
    p = np.concatenate([np.linspace(0.52, 0.74, 12), [0.005, 0.016, 0.05, 0.2]])
    boundary = phase_boundary(p)
    onset = boundary.importance[:, None]
    importance = onset + (1 - onset) * np.linspace(1e-6, 1, 50)
    states = superposed_states(np.repeat(p, 50), importance.ravel())
    ratio = -states.weights[:, 1] / states.weights[:, 0]
    line = exchange_line(np.linspace(0.70, 0.7035, 8))  # where the weak state is strongest
    at_onset = -boundary.weights[:, 1] / boundary.weights[:, 0]
    ratio = np.concatenate([ratio, at_onset, -line.weak_weights[:, 1] / line.weak_weights[:, 0]])
    assert not ((ratio > 0.5643) & (ratio < 0.5853)).any()
    assert (ratio < 0.5643).any()
    assert (ratio > 0.5853).any()
    assert ratio[ratio < 0.5643].max() > 0.5642  # the bounds are sharp
    assert ratio[ratio > 0.5853].min() < 0.5854


@pytest.mark.slow
@pytest.mark.parametrize(("density", "importance"), [(0.1, 0.048721898), (0.3, 0.204699076), (1.0, 0.988846482)])
def test_enclosure_holds_the_boundary_computed_by_other_means(density, importance):
    """30 digits by mpmath from the symbolic loss of `pair_loss`, which shares no formula with the enclosure."""
    boundary = phase_boundary(density)
    assert float(boundary.importance) == pytest.approx(importance, abs=1e-9)
    lower, upper = boundary.enclosure.tolist()
    assert lower <= float(boundary.importance) <= upper
    assert upper - lower < 1e-15
    start = [float(x) for x in (*boundary.weights, *boundary.bias)]
    names = ("w1", "w2", "b1", "b2")
    # Enough digits of the state to name its region.
    rounded = {name: sympy.Rational(round(x, 6)).limit_denominator(10**6) for name, x in zip(names, start, strict=True)}
    loss = pair_loss((1, -1), (1, 1)).near(**rounded)
    symbols = {s.name: s for s in loss.free_symbols}
    unknowns = [*(symbols[name] for name in names), symbols["r"]]
    excess = loss - symbols["r"] * (DENSITY / 3 - DENSITY**2 / 4)
    equations = [*(sympy.diff(loss, symbols[name]) for name in names), excess]
    with mpmath.workdps(40):
        function = sympy.lambdify([*unknowns, symbols["p"]], equations, "mpmath")
        found = mpmath.findroot(lambda *x: function(*x, mpmath.mpf(density)), [*start, importance], tol=1e-60)[4]
        assert mpmath.mpf(lower) <= found <= mpmath.mpf(upper)
        ball = enclose_onset(start, importance, density).ball[4]
        with flint.ctx.workprec(160):
            assert ball.overlaps(flint.arb(mpmath.nstr(found, 35), 1e-34))
            assert not ball.overlaps(flint.arb(mpmath.nstr(found + mpmath.mpf(10) ** -32, 35), 1e-34))


@pytest.mark.slow
def test_float_values_lie_in_their_enclosures():
    boundary = phase_boundary([0.05, 0.5, 0.515, 0.6, 0.8, 0.9])
    lower, upper = boundary.enclosure.T
    assert (lower <= boundary.importance).all()
    assert (boundary.importance <= upper).all()
    assert (upper - lower < 1e-15).all()
    assert boundary.jump.tolist()[3:5] == [0.0, 0.0]
    assert boundary.jump[2] == pytest.approx(2.065e-3, abs=1e-6)  # a jump so small that descent alone cannot tell
    assert boundary.order.tolist() == ["first", "first", "first", "continuous", "continuous", "first"]


def hessian(state, density, importance, step=1e-5):
    """Of the loss in (w1, w2, b1, b2), by differences of its exact gradient."""
    ends = np.concatenate([state + step * np.eye(4), state - step * np.eye(4)])
    features = Features(np.full((8, 2), density), np.tile([1.0, importance], (8, 1)))
    _, d_weights, d_bias = model_gradient(ends[:, None, :2], ends[:, 2:], features, 0.0)
    gradient = np.concatenate([d_weights[:, 0], d_bias], 1)
    return (gradient[:4] - gradient[4:]) / (2 * step)


def descent_from(state, density, importance):
    found = superposed_states(np.array([density]), np.array([importance]), np.array(state)[None, None])
    return np.concatenate([found.weights[0], found.bias[0]])


@pytest.mark.slow
@pytest.mark.parametrize("density", [0.1, 0.45, 0.95])
def test_hysteresis(density):
    """Between the spinodals both states are minima; beyond either one of them is gone."""
    boundary = phase_boundary(density)
    low, high = boundary.spinodals.tolist()
    assert low < float(boundary.importance) < high
    state = np.concatenate([boundary.weights, boundary.bias])
    ignored = np.array([1.0, 0.0, 0.0, density / 2])

    def is_ignored(importance):
        """Whether no small second weight lowers the loss: the quadratic form is not smooth there, so by descent."""
        start = ignored + np.array([0.0, -1e-3, 5e-4, 0.0]) * density
        return abs(descent_from(start, density, importance)[1]) < 1e-2 * density

    for t in (0.02, 0.5, 0.98):
        importance = low + t * (high - low)
        # Follow the superposed minimum from the boundary in small steps.
        here = state
        for r in np.linspace(float(boundary.importance), importance, 12):
            here = descent_from(here, density, r)
        assert abs(here[1]) > 0.6 * boundary.jump
        assert np.linalg.eigvalsh(hessian(here, density, importance)).min() > 0
    assert is_ignored(high - 0.1 * (high - low))
    assert not is_ignored(high + 0.1 * (high - low))
    # A little below the fold the minimum is gone: descent leaves for the ignored state.
    for r in np.linspace(float(boundary.importance), low - 0.02 * (high - low), 20):
        state = descent_from(state, density, r)
    assert abs(state[1]) < 0.3 * boundary.jump


@pytest.mark.slow
def test_spinodals_coincide_where_the_onset_is_continuous():
    assert phase_boundary(0.6).spinodals == pytest.approx(float(spinodal(0.6)), rel=1e-14)


def test_spinodal_towards_the_aligned_state():
    """The closed form of the docstring, the limit 5/16, and that it lies above the other one: the weak state comes first."""
    p = np.linspace(1e-6, 1, 201)
    assert np.allclose(spinodal(p, sign=1), (5 + 8 * p - 9 * p**2) / (16 - 12 * p), rtol=1e-13, atol=0)
    assert spinodal(1e-9, sign=1) == pytest.approx(5 / 16, abs=1e-8)
    assert (spinodal(p[:-1], sign=1) > spinodal(p[:-1])).all()


@pytest.mark.parametrize(("density", "sign"), [(0.3, -1), (0.6, -1), (0.9, -1), (0.3, 1), (0.95, 1)])
def test_landau_coefficients_against_the_exact_loss(density, sign):
    """(L - I_c V) / ε³ at the best first-order model tends to C; at another α it diverges like 1/ε."""
    from fractions import Fraction as F

    found = landau(sign)
    p = F(density).limit_denominator(100)
    at = {DENSITY: sympy.Rational(p.numerator, p.denominator)}
    beta = found.beta.subs(at).evalf(40)
    at[BETA] = beta
    exact = lambda e: F(str(e.subs(at).evalf(40)))  # noqa: E731
    b, tilt, critical = F(str(beta)), exact(found.tilt), exact(found.q / VARIANCE)
    variance = p / 3 - p**2 / 4

    def ratio(eps, tilt):
        size = -sign * eps  # minus the second weight
        loss = rational_loss(
            [[1 + tilt * size, -size]], [b * size, p / 2 + p / 2 * size], density=[p, p], importance=[1, critical]
        )
        return float((loss - critical * variance) / eps**3)

    coefficient = float(found.cubic.subs(at))
    assert ratio(F(1, 10**6), tilt) == pytest.approx(coefficient, abs=1e-5)
    assert abs(ratio(F(1, 10**6), tilt + F(1, 10)) - coefficient) > 10


def test_naive_candidates_of_three_features_are_those_models():
    p, r = Fraction(1, 5), Fraction(1, 3)
    models = {
        "1 and 2": ([[1, 0, 0], [0, 1, 0]], [0, 0, p / 2]),
        "2 and 3": ([[0, 1, 0], [0, 0, 1]], [p / 2, 0, 0]),
        "digon of 2 and 3": ([[1, 0, 0], [0, 1, -1]], [0, 0, 0]),
        "digon of 1 and 2": ([[1, -1, 0], [0, 0, 1]], [0, 0, 0]),
    }
    losses = naive_candidates(3)
    assert set(losses) == set(models)
    for name, (w, b) in models.items():
        wanted = rational_loss(w, b, density=[p] * 3, importance=[1, 1, r])
        assert losses[name].subs({DENSITY: sympy.Rational(1, 5), IMPORTANCE: sympy.Rational(1, 3)}) == sympy.Rational(
            wanted.numerator, wanted.denominator
        )
    for (first, second), root in naive_boundaries(3).items():
        assert sympy.cancel((losses[first] - losses[second]).subs(IMPORTANCE, root)) == 0
    with pytest.raises(InputError, match="n must be 2"):
        naive_candidates(4)


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
        (lambda: spinodal(0.5, sign=0), "sign must be -1 .*got 0"),
        (lambda: pair_phase([1.0, 2.0, 3.0]), r"shape \(..., 2\)"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(InputError, match=words):
        call()
