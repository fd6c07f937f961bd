"""Enclosures hold the rational loss, are narrow where promised, and boxes hold what is in them."""

import flint
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tegum.theory import (
    CONSTANT,
    UNIFORM,
    Features,
    InputError,
    beta_values,
    enclose_loss,
    expected_loss,
    rational_loss,
)


def draw_model(seed, n, kind):
    rng = np.random.default_rng(seed)
    weights, bias = rng.standard_normal((2, n)), 0.4 * rng.standard_normal(n)
    if kind == "tiny":
        weights = weights * 10.0 ** rng.integers(-12, 1, n)
    elif kind == "integer":
        weights, bias = np.round(weights), np.round(bias)
    density = np.ones(n) if kind == "dense" else rng.uniform(0.01, 1, n)
    return weights, bias, Features(density, rng.uniform(0.2, 2, n))


KINDS = st.sampled_from(["plain", "tiny", "integer", "dense"])


@given(st.integers(0, 10_000), st.integers(1, 4), KINDS)
def test_enclosure_holds_the_rational_loss(seed, n, kind):
    weights, bias, features = draw_model(seed, n, kind)
    exact = rational_loss(
        weights.tolist(), bias.tolist(), density=features.density.tolist(), importance=features.importance.tolist()
    )
    found = enclose_loss(weights, bias, features)
    assert found.lower <= exact <= found.upper
    assert found.upper - found.lower <= 1e-12
    assert not found.lower <= exact + 2e-12 <= found.upper  # it does not hold everything


@given(st.integers(0, 10_000), st.integers(1, 4), KINDS, st.sampled_from([1e-6, 1e-3, 0.1]))
def test_box_holds_the_models_in_it(seed, n, kind, radius):
    weights, bias, features = draw_model(seed, n, kind)
    box = enclose_loss(weights, bias, features, radius=radius)
    rng = np.random.default_rng(seed + 1)
    for _ in range(4):
        w = weights + rng.choice([-1, 1, rng.uniform(-1, 1)]) * radius * rng.uniform(-1, 1, weights.shape)
        b = bias + rng.uniform(-radius, radius, n)
        assert box.lower - 1e-13 <= expected_loss(w, b, features, atol=1e-6) <= box.upper + 1e-13


VALUES = st.sampled_from([UNIFORM, CONSTANT, beta_values(2, 1), beta_values(1, 4), beta_values(3, 2)])
LAWS = st.sampled_from(["independent", "correlated", "anticorrelated"])


def with_law(features, seed, law, values):
    """The same importances and such densities as the law allows."""
    rng = np.random.default_rng(seed)
    size = [2, features.n - 2] if features.n > 2 and seed % 2 else features.n
    if law == "independent":
        return Features(features.density, features.importance, values=values)
    if law == "correlated":
        return Features.correlated(rng.uniform(0.01, 1), features.importance, size=size, values=values)
    return Features.anticorrelated(features.density / features.n, features.importance, size=size, values=values)


def exactly(weights, bias, features):
    return rational_loss(
        weights.tolist(),
        bias.tolist(),
        density=features.density.tolist(),
        importance=features.importance.tolist(),
        law=features.law,
    )


@given(st.integers(0, 10_000), st.integers(1, 3), KINDS, LAWS, VALUES)
def test_enclosure_holds_the_rational_loss_of_every_law(seed, n, kind, law, values):
    weights, bias, features = draw_model(seed, n, kind)
    features = with_law(features, seed, law, values)
    exact = exactly(weights, bias, features)
    found = enclose_loss(weights, bias, features)
    assert found.lower <= exact <= found.upper
    assert found.upper - found.lower <= 1e-12
    assert not found.lower <= exact + 2e-12 <= found.upper
    assert not found.lower <= exactly(weights, bias + 2, features) <= found.upper


@given(st.integers(0, 10_000), st.integers(1, 3), KINDS, LAWS, VALUES, st.sampled_from([1e-6, 1e-3, 0.1]))
def test_box_of_every_law_holds_the_models_in_it(seed, n, kind, law, values, radius):
    weights, bias, features = draw_model(seed, n, kind)
    features = with_law(features, seed, law, values)
    box = enclose_loss(weights, bias, features, radius=radius)
    rng = np.random.default_rng(seed + 1)
    for _ in range(2):
        w = weights + 0.999 * radius * rng.choice([-1, 1, rng.uniform(-1, 1)], weights.shape)
        b = bias + 0.999 * radius * rng.choice([-1, 1], n)
        assert box.lower <= exactly(w, b, features) <= box.upper
    # Whatever the divisions do, no wider than the values on the whole cube make it.
    reach = 1 + ((abs(weights) + radius).T @ (abs(weights) + radius)).sum(1) + abs(bias) + radius
    assert box.upper - box.lower <= 4 * (features.importance * reach**2).sum()


def test_box_too_large_for_floats_is_infinite():
    found = enclose_loss([[1.0, 1.0]], [0.0, 0.0], Features(0.5, n=2), radius=1e200)
    assert (found.lower, found.upper) == (-np.inf, np.inf)


def test_boxes_shrink_with_their_radius():
    weights, bias, features = draw_model(3, 3, "plain")
    widths = [(box := enclose_loss(weights, bias, features, radius=r)).upper - box.lower for r in (1e-2, 1e-4, 1e-6)]
    assert widths[0] > 50 * widths[1] > 2500 * widths[2] > 0


@pytest.mark.slow
def test_eight_features_beside_vertex_and_contour_sums():
    weights, bias, features = draw_model(5, 8, "plain")
    found = enclose_loss(weights, bias, features)
    assert found.lower - 1e-12 <= expected_loss(weights, bias, features) <= found.upper + 1e-12


def test_precision_is_left_as_it_was():
    before = flint.ctx.prec
    enclose_loss([[1.0, 1e-9]], [0.1, 0.2], Features(0.5, n=2))
    assert flint.ctx.prec == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weights": [1.0, 2.0]}, "one model with weights"),
        ({"bias": [0.0]}, "one model with weights"),
        ({"radius": -1.0}, "radius must be finite and >= 0, got -1"),
        ({"radius": float("nan")}, "radius must be finite"),
        ({"atol": 0.0}, "atol must be positive, got 0"),
        ({"atol": 1e-300}, "is not reached with 4096 bits"),
        ({"weights": np.zeros((1, 11)), "bias": np.zeros(11), "features": Features(0.1, n=11)}, "n <= 10"),
    ],
)
def test_bad_input_is_named(change, words):
    given_ = {"weights": [[1.0, -0.3]], "bias": [0.1, 0.0], "features": Features(0.3, n=2), **change}
    with pytest.raises(InputError, match=words):
        enclose_loss(given_.pop("weights"), given_.pop("bias"), given_.pop("features"), **given_)
