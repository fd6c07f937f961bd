"""Moments E ReLU(y)² and E ReLU(y) of every law: the exact values, their derivatives, and what convexity and scaling demand.

Few uniform features and constant values are exact to rounding, Beta values come from the contour. HEIGHT is |β| + Σ|a| + 1, and
ROUNDING its square times 1e-13: values of contours are asked for to 4e-14 HEIGHT², so that two of them stay below it.
"""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tegum.theory import (
    CONSTANT,
    UNIFORM,
    Features,
    InputError,
    beta_values,
    feature_losses,
    rational_moment,
    rectified_moment,
    second_moment,
)

ROUNDING, ATOL = 1e-13, 4e-14
VALUES = st.sampled_from([UNIFORM, CONSTANT, beta_values(2, 2), beta_values(1, 4), beta_values(3, 1)])
KINDS = st.sampled_from(["independent", "correlated", "anticorrelated"])
SEEDS = st.integers(0, 2**32 - 1)


def grouped(kind, density, values=UNIFORM, importance=1.0, sizes=None):
    """Features of a kind with such densities as it allows."""
    density = np.array(density, dtype=float)
    sizes = (1,) * len(density) if kind == "independent" else sizes
    starts = np.cumsum([0, *sizes])
    for start, end in pairwise(starts):
        if kind == "correlated":
            density[start:end] = density[start]
        if kind == "anticorrelated":
            density[start:end] /= end - start
    if kind == "independent":
        return Features(density, importance, values=values)
    return getattr(Features, kind)(density, importance, size=sizes, values=values)


@st.composite
def problems(draw):
    """(slopes, offset, features, generator): up to four features, slopes of either sign, some of them equal or integers."""
    rng = np.random.default_rng(draw(SEEDS))
    sizes = tuple(int(k) for k in rng.integers(1, 3, rng.integers(1, 3)))
    n = sum(sizes)
    features = grouped(draw(KINDS), rng.uniform(0.01, 1, n) * 0.999, draw(VALUES), sizes=sizes)
    a = rng.uniform(0.2, 1.5, n) * rng.choice([-1, 1], n)
    shape = draw(st.sampled_from(["plain", "plain", "equal", "halves"]))
    if shape == "equal":
        a[:] = a[0]
    if shape == "halves":
        a = np.round(2 * a) / 2 + 0.5 * (np.round(2 * a) == 0)
    # Constant values have a kink wherever a set of slopes adds up to -β: β is kept off those of the halves.
    return a, float(rng.uniform(-1, 1)) + 1e-3, features, rng


def height(a, b):
    return 1 + abs(b) + np.abs(a).sum()


def value(a, b, features):
    return float(second_moment(a, b, features, atol=ATOL * height(a, b) ** 2).value)


def exactly(a, b, features, power):
    a, b = [Fraction(x) for x in a], Fraction(b)
    return rational_moment(a, b, density=features.density.tolist(), power=power, law=features.law)


def slopes_of(a, b, features, power):
    """Derivatives in every slope and in the offset, by differences of exact values: right to the step where there is no kink."""
    a, b, h = [Fraction(x) for x in a], Fraction(b), Fraction(1, 2**60)
    out = []
    for j in range(len(a) + 1):
        step = [h * (j == k) for k in range(len(a) + 1)]
        ends = [
            exactly([x + s * d for x, d in zip(a, step, strict=False)], b + s * step[-1], features, power)
            for s in (1, -1)
        ]
        out.append(float((ends[0] - ends[1]) / (2 * h)))
    return np.array(out)


@settings(max_examples=100)
@given(problems())
def test_values_are_those_of_the_rational_formula(problem):
    """Catches a constant or a square forgotten on the way from F of a row to the moment."""
    a, b, features, _ = problem
    bound = ROUNDING * height(a, b) ** 2
    for moment, power in ((rectified_moment, 1), (second_moment, 2)):
        found = moment(a, b, features, atol=ATOL * height(a, b) ** 2)
        assert abs(found.value - float(exactly(a, b, features, power))) <= bound
        assert abs(found.value - float(exactly(a, b + 1e-3, features, power))) > bound or found.value < 1e-3


@settings(max_examples=60)
@given(problems())
def test_derivatives_are_those_of_the_exact_moments(problem):
    """Catches a wrong mark or a lost factor two.

    The error of a value with second derivatives at most K is itself at most ε, so that of its derivative is at most √(2 ε 2K)
    (Landau): K = 2 for M₂; for M₁ the density of y where it is zero, at most that of a single value over its slope, 4/0.2.
    """
    a, b, features, _ = problem
    atol = ATOL * height(a, b) ** 2
    for moment, power, most in ((rectified_moment, 1, 20.0), (second_moment, 2, 2.0)):
        found = moment(a, b, features, atol=atol)
        errors = np.append(found.d_slopes, found.d_offset) - slopes_of(a, b, features, power)
        exact = features.law.values in (UNIFORM, CONSTANT)
        assert np.abs(errors).max() <= (ROUNDING * height(a, b) ** 2 if exact else np.sqrt(4 * atol * most)), power
    other = grouped("independent", np.minimum(1.01 * features.density, 1), features.law.values)
    if second_moment(a, b, features).value > 0.01:
        assert np.abs(second_moment(a, b, other).d_offset - found.d_offset) > 1e-5


@settings(max_examples=60)
@given(problems())
def test_first_moment_is_half_the_derivative_of_the_second(problem):
    """M₁ = ½ ∂M₂/∂β, by two sums over different kernels: catches a wrong power of s in either. Tolerances as above."""
    a, b, features, _ = problem
    atol = ATOL * height(a, b) ** 2
    first, second = rectified_moment(a, b, features, atol=atol), second_moment(a, b, features, atol=atol)
    exact = features.law.values in (UNIFORM, CONSTANT)
    bound = ROUNDING * height(a, b) ** 2 if exact else np.sqrt(2 * atol)
    assert abs(first.value - second.d_offset / 2) <= bound
    assert first.d_offset + bound >= 0
    assert first.d_offset <= 1 + bound


@settings(max_examples=100)
@given(problems(), st.floats(0.01, 2))
def test_second_moment_is_jointly_convex(problem, size):
    """The mean of two values is not below the value between. Catches aliases or reference laws subtracted with the wrong sign."""
    a, b, features, rng = problem
    step, rise = size * rng.standard_normal(len(a)), size * rng.standard_normal()
    ends = [value(a + s * step, b + s * rise, features) for s in (1, -1)]
    slack = ROUNDING * max(height(a + s * step, b + s * rise) for s in (1, -1)) ** 2
    assert (ends[0] + ends[1]) / 2 >= value(a, b, features) - slack
    # The same exactly, of the rational formula.
    exact = [exactly(a + s * step, b + s * rise, features, 2) for s in (1, -1)]
    middle = [(Fraction(x) + Fraction(y)) / 2 for x, y in zip(a + step, a - step, strict=True)]
    assert (exact[0] + exact[1]) / 2 >= exactly(middle, (Fraction(b + rise) + Fraction(b - rise)) / 2, features, 2)


@settings(max_examples=100)
@given(problems(), st.floats(1e-3, 2), SEEDS)
def test_second_moment_rises_with_the_offset_and_every_slope(problem, step, seed):
    """x >= 0: catches an inactive feature taken for one of negative value, or a derivative of the wrong sign."""
    a, b, features, _ = problem
    start, slack = value(a, b, features), ROUNDING * (height(a, b) + step) ** 2
    assert value(a, b + step, features) >= start - slack
    j = seed % len(a)
    raised = a + step * (np.arange(len(a)) == j)
    assert value(raised, b, features) >= start - slack
    found = second_moment(a, b, features)
    assert min(found.d_slopes.min(), found.d_offset) >= -1e-6


@settings(max_examples=100)
@given(problems(), st.floats(0.05, 20))
def test_moments_are_homogeneous(problem, factor):
    """M₂(ta, tβ) = t² M₂(a, β), M₁ with t: catches an absolute length in the period or in what counts as small."""
    a, b, features, _ = problem
    for moment, power in ((rectified_moment, 1), (second_moment, 2)):
        atol = ATOL * height(a, b) ** 2
        plain = moment(a, b, features, atol=atol).value
        scaled_atol = ATOL * height(factor * a, factor * b) ** 2
        scaled = moment(factor * a, factor * b, features, atol=scaled_atol).value
        # The errors of both, and the rounding of factor times a float.
        assert abs(scaled - factor**power * plain) <= 2 * (scaled_atol + factor**power * atol)


@settings(max_examples=60)
@given(problems())
def test_order_of_features_does_not_matter(problem):
    """Groups exchanged, and features within: catches densities or slopes read from another feature's place."""
    a, b, features, rng = problem
    law, groups = features.law, features.law.groups
    turn = rng.permutation(len(groups))
    order = np.concatenate([rng.permutation(list(groups[g])) for g in turn])
    sizes = tuple(law.sizes[g] for g in turn)
    given_ = {} if law.kind == "independent" else {"size": sizes}
    make = Features if law.kind == "independent" else getattr(Features, law.kind)
    moved = make(features.density[order], values=law.values, **given_)
    atol = ATOL * height(a, b) ** 2
    plain, turned = second_moment(a, b, features, atol=atol), second_moment(a[order], b, moved, atol=atol)
    assert abs(plain.value - turned.value) <= 2 * atol
    exact = law.values in (UNIFORM, CONSTANT)
    bound = ROUNDING * height(a, b) ** 2 if exact else np.sqrt(8 * atol)  # as for the derivatives above, with K = 2
    assert np.abs(plain.d_slopes[order] - turned.d_slopes).max() <= 2 * bound
    assert abs(plain.d_offset - turned.d_offset) <= 2 * bound


@pytest.mark.parametrize("kind", ["independent", "correlated", "anticorrelated"])
@pytest.mark.parametrize("values", [UNIFORM, CONSTANT, beta_values(2, 2)], ids=lambda v: v.name)
def test_the_loss_is_made_of_second_moments(kind, values):
    """E x_i² + M₂(g_i, b_i) - ∂M₂/∂a_i(g_i, b_i): the formula of the documentation, so both must mean the same by it."""
    rng = np.random.default_rng(1)
    features = grouped(kind, rng.uniform(0.1, 0.9, 4), values, sizes=(1, 3))
    weights, bias = rng.standard_normal((2, 4)), 0.3 * rng.standard_normal(4)
    moment = second_moment(weights.T @ weights, bias, features, atol=1e-12)
    losses = features.mean_square + moment.value - np.diagonal(moment.d_slopes)
    # The derivative of a contour is one order worse than its value.
    assert np.abs(losses - feature_losses(weights, bias, features)).max() <= (1e-6 if values.name[0] == "b" else 1e-13)


@pytest.mark.parametrize("n", [9, 40])
def test_beyond_the_vertex_sum_a_moment_of_many_is_one_of_their_sum(n):
    """Correlated constant features of equal slopes are one; independent uniform ones come close to a normal variable.

    The excess kurtosis -6/(5n) of a sum of uniform values raises E |y| by its 24th part, the next term is of order 1/n².
    """
    together = Features.correlated(0.3, n=n, size=n, values=CONSTANT)
    one = second_moment([float(n)], -0.5, Features(0.3, n=1, values=CONSTANT)).value
    assert second_moment(np.ones(n), -0.5, together).value == pytest.approx(float(one), rel=1e-14)
    found = second_moment(np.ones(n), -n / 2, Features(1.0, n=n), atol=1e-11)
    assert found.value == pytest.approx(n / 24, rel=1e-12)  # half the variance, by symmetry
    assert found.d_offset == pytest.approx(np.sqrt(n / 6 / np.pi) * (1 + 0.05 / n), rel=0.05 / n**2)
    probability = rectified_moment(np.ones(n), -n / 2, Features(1.0, n=n), atol=1e-11).d_offset
    assert probability == pytest.approx(0.5, abs=1e-6)


def test_leading_axes_broadcast_and_do_not_mix():
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((4, 1, 3)), rng.standard_normal(5)
    for values in (UNIFORM, beta_values(1, 4)):
        features = Features(rng.uniform(0.1, 1, (5, 3)), values=values)
        for moment in (second_moment, rectified_moment):
            found = moment(a, b, features)
            assert (found.value.shape, found.d_slopes.shape, found.d_offset.shape) == ((4, 5), (4, 5, 3), (4, 5))
            for i, j in np.ndindex(4, 5):
                alone = moment(a[i, 0], b[j], Features(features.density[j], values=values))
                for x, y in zip(vars(found).values(), vars(alone).values(), strict=True):
                    np.testing.assert_allclose(x[i, j], y, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("moment", [second_moment, rectified_moment])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"slopes": 1.0}, r"slopes must have shape \(..., n\) with n = 2 features, got \(\)"),
        ({"slopes": [1.0, 2.0, 3.0]}, r"slopes must have shape .* n = 2 features, got \(3,\)"),
        ({"slopes": [1.0, float("nan")]}, "slopes must be finite, got nan"),
        ({"slopes": [[1.0], [1.0, 2.0]]}, "slopes must be a number or a rectangular array"),
        ({"offset": float("inf")}, "offset must be finite, got inf"),
        ({"offset": "high"}, "offset must be a number"),
        ({"slopes": np.ones((3, 2)), "offset": np.zeros(2)}, r"leading axes do not fit: slopes \(3,\), bias \(2,\)"),
        ({"atol": 1e-20}, r"atol must be at least .* got 1e-20"),
        ({"atol": float("nan")}, "atol must be at least .* got nan"),
        ({"atol": -1.0}, "atol must be at least .* got -1"),
    ],
)
def test_bad_moments_are_named(moment, change, words):
    model = {"slopes": [1.0, -1.0], "offset": 0.5, "features": Features(0.3, n=2), **change}
    with pytest.raises(InputError, match=words):
        moment(model.pop("slopes"), model.pop("offset"), model.pop("features"), **model)
