"""Special points and the line of exchange of the diagram of two features in one dimension."""

from fractions import Fraction as F

import flint
import mpmath
import numpy as np
import pytest
import sympy

from tegum.theory import (
    DENSITY,
    Features,
    Grade,
    InputError,
    critical_points,
    exchange_line,
    expected_loss,
    pair_loss,
    phase_boundary,
    spinodal,
)
from tegum.theory._pair import chart, enclose_states, heights, model, stationarity, superposed_states
from tegum.theory._root import NoRootError

POINTS = critical_points()


def losses(point):
    """Of the states of a point, and of ignoring feature 2."""
    features = Features(point.density, [1.0, point.importance])
    p = point.density
    return expected_loss(point.weights[:, None], point.bias, features), point.importance * (p / 3 - p**2 / 4)


def test_every_enclosure_is_narrow_and_holds_its_point():
    assert len(POINTS) == 8
    for point in POINTS.values():
        assert point.grade is Grade.ENCLOSED
        lower, upper = point.enclosure.T
        assert (lower <= [point.density, point.importance]).all()
        assert ([point.density, point.importance] <= upper).all()
        assert (upper - lower <= 2.3e-16).all()


def test_three_states_have_the_same_loss_at_the_triple_points():
    found, ignored = losses(POINTS["triple"])
    assert np.allclose(found, ignored, rtol=1e-13, atol=0)
    found, ignored = losses(POINTS["equal triple"])
    assert found[0] == pytest.approx(found[1], rel=1e-13)
    assert found[0] < ignored * 0.99
    assert found[0] != pytest.approx(ignored, rel=1e-3)


@pytest.mark.slow
def test_triple_point_lies_on_three_lines():
    point = POINTS["triple"]
    p = np.array([point.density - 1e-7, point.density + 1e-7])
    boundary = phase_boundary(p)
    assert np.allclose(boundary.importance, point.importance, atol=1e-6)
    assert boundary.jump[0] == pytest.approx(0.7555453, abs=1e-6)  # into the antipodal state
    assert boundary.jump[1] == pytest.approx(0.00337006, abs=1e-7)  # into the weak one
    line = exchange_line(p)
    assert np.isnan(line.importance[0])
    assert line.importance[1] == pytest.approx(point.importance, abs=1e-6)


@pytest.mark.slow
def test_triple_point_by_mpmath_from_the_symbolic_loss():
    """Ten equations for two states, density and importance, from `pair_loss`; the enclosure uses none of its formulas."""
    point = POINTS["triple"]
    names = ("w1", "w2", "b1", "b2")
    unknowns, equations = [], []
    r, p = sympy.symbols("r p", positive=True)
    for k, (w, b) in enumerate(zip(point.weights, point.bias, strict=True)):
        state = [float(x) for x in (*w, *b)]
        loss = pair_loss((1, -1), (1, 1)).near(
            **{n: sympy.Rational(str(round(x, 8))) for n, x in zip(names, state, strict=True)}
        )
        own = [sympy.Symbol(f"{n}_{k}") for n in names]
        loss = loss.xreplace({s: own[names.index(s.name)] for s in loss.free_symbols if s.name in names})
        unknowns += own
        equations += [*(sympy.diff(loss, s) for s in own), loss - r * (DENSITY / 3 - DENSITY**2 / 4)]
    with mpmath.workdps(40):
        function = sympy.lambdify([*unknowns, r, p], equations, "mpmath")
        start = [x for w, b in zip(point.weights, point.bias, strict=True) for x in (*w, *b)]
        found = mpmath.findroot(function, [*map(float, start), point.importance, point.density], tol=1e-50)
        for value, (lower, upper) in zip((found[9], found[8]), point.enclosure.tolist(), strict=True):
            assert mpmath.mpf(lower) <= value <= mpmath.mpf(upper)


@pytest.mark.parametrize(
    ("name", "coefficients"),
    [
        ("tricritical", (81, -756, 3546, -9882, 17265, -19449, 14188, -6496, 1696, -192)),
        ("dense tricritical", (81, -756, 3546, -9882, 17265, -19449, 14188, -6496, 1696, -192)),
        ("aligned tricritical", (27, -51, 16, 7)),
    ],
)
def test_tricritical_densities_are_roots_of_integer_polynomials(name, coefficients):
    """Exact sign change over the enclosure, in fractions; next to it there is none."""
    point = POINTS[name]

    def sign(p):
        value = F(0)
        for c in coefficients:
            value = value * F(p) + c
        return value > 0

    lower, upper = point.enclosure[0].tolist()
    assert sign(lower) is not sign(upper)
    assert sign(upper) is sign(upper + 1e-9)
    aligned = 1 if name.startswith("aligned") else -1
    assert point.importance == pytest.approx(float(spinodal(point.density, sign=aligned)), rel=1e-14)


@pytest.mark.slow
def test_order_of_the_onset_changes_at_the_tricritical_points():
    sparse, dense = POINTS["tricritical"].density, POINTS["dense tricritical"].density
    p = [sparse - 1e-4, sparse + 1e-4, dense - 1e-4, dense + 1e-4]
    assert phase_boundary(p).order.tolist() == ["first", "continuous", "continuous", "first"]


def test_symmetric_state_loses_stability_at_the_symmetry_breaking():
    """Descent from a slightly uneven start at I = 1 returns to equal norms below, and leaves them above."""
    point = POINTS["symmetry breaking"]
    state = np.concatenate([point.weights[0], point.bias[0]])
    assert state[0] == pytest.approx(-state[1], rel=1e-14)
    start = state + np.array([1e-3, 1e-3, -6e-4, 6e-4])
    density = point.density + np.array([-2e-3, 2e-3])
    found = superposed_states(density, np.ones(2), np.tile(start, (2, 1, 1)))
    ratio = -found.weights[:, 1] / found.weights[:, 0]
    assert ratio[0] == pytest.approx(1, abs=1e-5)
    assert min(ratio[1], 1 / ratio[1]) < 0.6


def test_weak_state_exists_from_the_weak_limit_on():
    point = POINTS["weak limit"]
    state = np.concatenate([point.weights[0], point.bias[0]])
    density = point.density + np.array([-1e-3, 1e-3])
    found = superposed_states(density, np.ones(2), np.tile(state, (2, 1, 1)))
    ratio = -found.weights[:, 1] / found.weights[:, 0]
    assert ratio[0] == pytest.approx(1, abs=1e-4)
    assert ratio[1] < 0.62


def test_weak_and_aligned_state_are_mirror_images_at_density_1():
    """x_2 -> 1 - x_2 turns row biases into b + c and flips c; output 2 is affine, so it turns into 1 - x_2' of the same error."""
    point = POINTS["dense onset"]
    (w1, w2), (b1, b2) = point.weights[0], point.bias[0]
    features = Features(1.0, [1.0, point.importance])
    mirrored = expected_loss([[w1, -w2]], [b1 + w1 * w2, 1 - w2**2 - b2], features)
    weak = expected_loss([[w1, w2]], [b1, b2], features)
    assert mirrored == pytest.approx(weak, rel=1e-13)
    assert weak == pytest.approx(point.importance / 12, rel=1e-13)


@pytest.mark.slow
def test_line_of_exchange():
    p = np.array([[0.5, 0.52, 0.6], [0.65, 0.7, 0.75]])
    line = exchange_line(p)
    known = np.isfinite(line.importance)
    assert known.tolist() == [[False, True, True], [True, True, False]]
    lower, upper = line.enclosure[known].T
    assert (lower <= line.importance[known]).all()
    assert (line.importance[known] <= upper).all()
    assert (upper - lower < 3e-16).all()
    for k in zip(*np.nonzero(known), strict=True):
        features = Features(p[k], [1.0, line.importance[k]])
        weak = expected_loss(line.weak_weights[k][None], line.weak_bias[k], features)
        antipodal = expected_loss(line.antipodal_weights[k][None], line.antipodal_bias[k], features)
        assert weak == pytest.approx(antipodal, rel=1e-13)
        # Beside the line the lower one is as the docstring says, by descent from all starts.
        below, above = superposed_states(np.full(2, p[k]), line.importance[k] + np.array([-1e-3, 1e-3])).weights
        assert -below[1] / below[0] < 0.575 < -above[1] / above[0]


def test_a_state_on_a_kink_is_rejected():
    """A claim about a region whose boundary the state lies on cannot be verified, whatever the root of the formula."""
    point = POINTS["dense onset"]
    state = [float(x) for x in (*point.weights[0], *point.bias[0])]
    r = point.importance

    region = tuple(bool(h > 0) for h in heights(state))

    def equations(x, _):
        return stationarity(x, flint.arb(r), flint.arb(1), region)[0]

    start = chart(state, 1.0)
    assert enclose_states(equations, lambda x: [model(x, flint.arb(1))], start).ball[3] > 0
    with pytest.raises(NoRootError, match="within one region"):
        enclose_states(equations, lambda x: [[*model(x, flint.arb(1))[:2], flint.arb(0), flint.arb(1)]], start)


def test_the_formula_of_another_region_gives_another_root():
    """Told that output 1 fires everywhere, Newton's method finds a root elsewhere, or none: the check of regions matters."""
    point = POINTS["dense onset"]
    state = [float(x) for x in (*point.weights[0], *point.bias[0])]

    def wrong(x, regions):
        return stationarity(x, flint.arb(point.importance), flint.arb(1), (True,) * 8)[0]

    with pytest.raises(NoRootError):
        enclose_states(wrong, lambda x: [model(x, flint.arb(1))], chart(state, 1.0))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: critical_points(n=3), "n = 2, m = 1, got n = 3, m = 1"),
        (lambda: exchange_line(1.5), "density must be in"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(InputError, match=words):
        call()
