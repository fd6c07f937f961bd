"""The exact loss: rational, float and Monte Carlo agree, and the invariants hold."""

from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from tegum.theory import (
    Features,
    InputError,
    expected_loss,
    feature_losses,
    integrated_loss,
    loss_and_gradient,
    rational_loss,
)


@st.composite
def models(draw, largest=4):
    """(weights, bias, features): entries of very different size, exact integers and zeros included."""
    n, m = draw(st.integers(1, largest)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weights, bias = rng.standard_normal((m, n)), 0.5 * rng.standard_normal(n)
    shape = draw(st.sampled_from(["plain", "integer", "tiny columns", "no bias", "zero column"]))
    if shape == "integer":
        weights, bias = np.round(weights), np.round(2 * bias) / 2
    elif shape == "tiny columns":
        weights = weights * 10.0 ** rng.integers(-9, 1, n)
    elif shape == "no bias":
        bias = np.zeros(n)
    elif shape == "zero column":
        weights[:, rng.integers(n)] = 0
    density = rng.uniform(0.01, 1, n) if draw(st.booleans()) else np.ones(n)
    return weights, bias, Features(density, rng.uniform(0.1, 2, n))


def exactly(weights, bias, features):
    return rational_loss(
        weights.tolist(), bias.tolist(), density=features.density.tolist(), importance=features.importance.tolist()
    )


def scale(weights, bias, features):
    """Size of the loss's largest intermediate: rounding is relative to it."""
    reach = 1 + (np.abs(weights.T @ weights).sum(1) + np.abs(bias)).max()
    return reach**2 * features.importance.sum()


@given(models())
def test_float_agrees_with_rational(model):
    assert abs(float(exactly(*model)) - expected_loss(*model, atol=1e-6)) <= 1e-15 * scale(*model)


@pytest.mark.slow
@pytest.mark.parametrize("n", range(1, 7))
def test_float_agrees_with_rational_to_1e_12_up_to_six_features(n):
    rng = np.random.default_rng(n)
    for trial in range(6):
        weights = rng.standard_normal((2, n)) * (10.0 ** rng.integers(-6, 1, n) if trial % 2 else 1)
        model = weights, 0.3 * rng.standard_normal(n), Features(rng.uniform(0.05, 1, n), rng.uniform(0.1, 1, n))
        assert abs(float(exactly(*model)) - expected_loss(*model)) <= 1e-12


@pytest.mark.parametrize("weights", [[[1, -1]], [[2, 1]], [[1, 0]]])
def test_rational_agrees_with_symbolic_integration(weights):
    p, r = Fraction(2, 7), Fraction(3, 5)
    bias = [Fraction(0), Fraction(1, 7)]
    integral = integrated_loss(
        weights, [sympy.Rational(b) for b in bias], [sympy.Rational(p)] * 2, [1, sympy.Rational(r)]
    )
    exact = rational_loss(weights, bias, density=[p, p], importance=[1, r])
    assert integral == sympy.Rational(exact.numerator, exact.denominator)
    assert exact != rational_loss(weights, bias, density=[p, p], importance=[1, r + 1])  # the comparison can fail


@pytest.mark.slow
@given(models(), st.integers(0, 1000))
def test_monte_carlo_agrees_on_random_models(model, seed):
    """Six standard errors of 100,000 samples; the sparsest features still appear a thousand times."""
    weights, bias, features = model
    rng = np.random.default_rng(seed)
    shape = (100_000, features.n)
    x = np.where(rng.random(shape) < features.density, rng.random(shape), 0)
    errors = ((x - np.maximum(x @ weights.T @ weights + bias, 0)) ** 2) @ features.importance
    sigma = errors.std() / np.sqrt(len(errors))
    assert abs(errors.mean() - expected_loss(*model, atol=1e-6)) <= 6 * sigma + 1e-14 * scale(*model)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_monte_carlo_within_five_standard_errors(seed):
    rng = np.random.default_rng(seed)
    n, m, samples = 6, 3, 400_000
    weights, bias = rng.standard_normal((m, n)), 0.3 * rng.standard_normal(n)
    features = Features(rng.uniform(0.1, 1, n), rng.uniform(0.1, 1, n))
    x = np.where(rng.random((samples, n)) < features.density, rng.random((samples, n)), 0)
    errors = ((x - np.maximum(x @ weights.T @ weights + bias, 0)) ** 2) @ features.importance
    sigma = errors.std() / np.sqrt(samples)
    assert abs(errors.mean() - expected_loss(weights, bias, features)) < 5 * sigma
    assert abs(errors.mean() - expected_loss(weights, bias + 0.1, features)) > 5 * sigma


@given(models(), st.integers(0, 1000))
def test_rotation_of_weights_changes_nothing(model, seed):
    weights, bias, features = model
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(weights), len(weights))))[0]
    turned = expected_loss(turn @ weights, bias, features, atol=1e-6)
    assert abs(turned - expected_loss(*model, atol=1e-6)) <= 1e-13 * scale(*model)


@given(models(), st.randoms(use_true_random=False))
def test_permuting_features_permutes_their_losses(model, random):
    weights, bias, features = model
    order = random.sample(range(features.n), features.n)
    moved = Features(features.density[order], features.importance[order])
    losses = feature_losses(weights[:, order], bias[order], moved)
    assert np.allclose(losses, feature_losses(*model)[order], rtol=0, atol=1e-14 * scale(*model))


@given(models(), st.floats(0.01, 100))
def test_scaling_importance_scales_the_loss(model, factor):
    weights, bias, features = model
    scaled = Features(features.density, factor * features.importance)
    loss = expected_loss(*model, atol=1e-6)
    assert np.isclose(expected_loss(weights, bias, scaled, atol=1e-4), factor * loss, rtol=1e-12, atol=0)


@given(models(largest=3), models(largest=3))
def test_tegum_additivity(one, two):
    """Blocks in orthogonal subspaces: the loss is the sum of theirs."""
    (w1, b1, f1), (w2, b2, f2) = one, two
    weights = np.zeros((len(w1) + len(w2), f1.n + f2.n))
    weights[: len(w1), : f1.n], weights[len(w1) :, f1.n :] = w1, w2
    features = Features(np.concatenate([f1.density, f2.density]), np.concatenate([f1.importance, f2.importance]))
    together = expected_loss(weights, np.concatenate([b1, b2]), features, atol=1e-6)
    apart = expected_loss(*one, atol=1e-6) + expected_loss(*two, atol=1e-6)
    assert abs(together - apart) <= 1e-14 * (scale(*one) + scale(*two))


def test_blocks_that_touch_are_not_additive():
    pair = Features(0.5, n=2)
    single = expected_loss([[1.0]], [0.0], Features(0.5, n=1))
    assert expected_loss([[1.0, 0.5]], [0.0, 0.0], pair) > 2 * single + 0.01


@given(models())
def test_loss_is_not_negative(model):
    assert (feature_losses(*model) >= -1e-15 * scale(*model)).all()


@given(models(largest=3))
def test_gradient_against_differences(model):
    weights, bias, features = model
    # A zero column with zero bias puts its output exactly on the kink of the ReLU, where there is no derivative.
    bias = np.where(np.any(weights, axis=0), bias, bias - 0.1)
    model = weights, bias, features
    loss, d_weights, d_bias = loss_and_gradient(*model, atol=1e-6)
    assert loss == pytest.approx(expected_loss(*model, atol=1e-6), rel=1e-12, abs=1e-14)
    rng = np.random.default_rng(0)
    step_w, step_b = rng.standard_normal(weights.shape), rng.standard_normal(bias.shape)
    h = 1e-6

    def at(t):
        return expected_loss(weights + t * step_w, bias + t * step_b, features, atol=1e-6)

    slope = (d_weights * step_w).sum() + (d_bias * step_b).sum()
    # Central differences err by h² times a third derivative, and by h at a kink of the gradient; rounding adds 1e-16/h.
    assert abs((at(h) - at(-h)) / (2 * h) - slope) <= 1e-5 * scale(*model)


def test_leading_axes_broadcast_and_do_not_mix():
    rng = np.random.default_rng(1)
    weights, bias = rng.standard_normal((4, 1, 2, 3)), rng.standard_normal((5, 3))
    features = Features(rng.uniform(0.1, 1, (5, 3)))
    loss, d_weights, d_bias = loss_and_gradient(weights, bias, features)
    assert (loss.shape, d_weights.shape, d_bias.shape) == ((4, 5), (4, 5, 2, 3), (4, 5, 3))
    for i, j in np.ndindex(4, 5):
        alone = loss_and_gradient(weights[i, 0], bias[j], Features(features.density[j]))
        assert np.allclose(loss[i, j], alone[0], rtol=1e-14)
        assert np.allclose(d_weights[i, j], alone[1], atol=1e-14)


def test_a_model_of_a_large_batch_has_the_loss_that_it_has_alone():
    rng = np.random.default_rng(2)
    weights, bias, features = rng.standard_normal((5000, 2, 4)), rng.standard_normal((5000, 4)), Features(0.3, n=4)
    whole = expected_loss(weights, bias, features)
    for k in (0, 2499, 2500, 4999):
        assert whole[k] == expected_loss(weights[k], bias[k], features)


@pytest.mark.parametrize(
    ("weights", "bias", "features", "words"),
    [
        ([[1.0, 0.0]], [0.0], Features(0.1, n=2), r"bias must have shape \(..., n\) with n = 2"),
        ([[1.0]], [0.0, 0.0], Features(0.1, n=2), "weights must have shape"),
        ([1.0, 0.0], [0.0, 0.0], Features(0.1, n=2), "weights must have shape"),
        ([[1.0, float("nan")]], [0.0, 0.0], Features(0.1, n=2), "weights must be finite, got nan"),
        ([["a", "b"]], [0.0, 0.0], Features(0.1, n=2), "weights must be a number"),
        (np.zeros((3, 1, 2)), np.zeros((2, 2)), Features(0.1, n=2), "leading axes do not fit"),
    ],
)
def test_bad_models_are_named(weights, bias, features, words):
    with pytest.raises(InputError, match=words):
        expected_loss(weights, bias, features)


def test_atol_out_of_reach_is_refused():
    with pytest.raises(InputError, match=r"atol must be at least .* got 1e-20"):
        expected_loss([[1.0, -1.0]], [0.0, 0.0], Features(0.1, n=2), atol=1e-20)
    with pytest.raises(InputError, match="got nan"):
        expected_loss([[1.0, -1.0]], [0.0, 0.0], Features(0.1, n=2), atol=float("nan"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"density": [1, 2]}, "density must be in"),
        ({"importance": [0, 1]}, "importance must be positive, got 0"),
        ({"bias": [0]}, "must agree on n"),
        ({"weights": [[float("inf"), 1]]}, "weights must hold finite"),
        ({"weights": [[0] * 11], "bias": [0] * 11, "density": [1] * 11, "importance": [1] * 11}, "n <= 10"),
    ],
)
def test_bad_rational_models_are_named(change, words):
    model = {"weights": [[1, -1]], "bias": [0, 0], "density": [1, 1], "importance": [1, 1], **change}
    with pytest.raises(InputError, match=words):
        rational_loss(model["weights"], model["bias"], density=model["density"], importance=model["importance"])
