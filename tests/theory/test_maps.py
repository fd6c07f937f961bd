"""Losses of rectified and linear maps of every law: against the rational formula, simulation, quadrature, and each other.

ATOL is asked of contour sums. Values that are exact to rounding are held to 1e-15 of the squared height of the preactivation per unit
of importance, as `expected_loss` states, and their derivatives to 1e-13 of it.
"""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tegum.theory import (
    CONSTANT,
    UNIFORM,
    Features,
    InputError,
    absolute_loss,
    beta_values,
    expected_loss,
    feature_losses,
    linear_loss,
    loss_and_gradient,
    rational_map_loss,
    rectified_loss,
)

ATOL = 1e-11
VALUES = [UNIFORM, CONSTANT, beta_values(2, 2), beta_values(1, 4)]
KINDS = ["independent", "correlated", "anticorrelated"]
SEEDS = st.integers(0, 2**32 - 1)
every_law = pytest.mark.parametrize("kind", KINDS)
every_value = pytest.mark.parametrize("values", VALUES, ids=lambda v: v.name)


def make(kind, rng, sizes, values):
    """Features of a kind in groups of the given sizes, the densities and importances random."""
    importance = rng.uniform(0.5, 2, sum(sizes))
    if kind == "independent":
        return Features(rng.uniform(0.05, 0.9, sum(sizes)), importance, values=values)
    if kind == "correlated":
        density = np.repeat(rng.uniform(0.05, 0.9, len(sizes)), sizes)
        return Features.correlated(density, importance, size=sizes, values=values)
    density = rng.uniform(0.05, 0.9, sum(sizes)) / np.repeat(sizes, sizes)
    return Features.anticorrelated(density, importance, size=sizes, values=values)


def is_contour(features):
    """Whether values come from a contour and are right to its tolerance, not to rounding."""
    return features.law.values not in (UNIFORM, CONSTANT)


def bound(matrix, bias, features, importance=None):
    """Error allowed in a loss."""
    weight = (features.importance if importance is None else np.asarray(importance)).sum()
    reach = 1 + np.abs(matrix).sum(-1).max() + np.abs(bias).max()
    return ATOL if is_contour(features) else 1e-15 * reach**2 * weight


def slope_bound(matrix, bias, features):
    """Error allowed in a derivative: a value right to ε with second derivatives of at most 4 I has one right to √(16 I ε)."""
    return 4 * np.sqrt(2 * ATOL) if is_contour(features) else 100 * bound(matrix, bias, features)


def exactly(matrix, bias, features, target=None, importance=None):
    importance = features.importance if importance is None else importance
    given_ = {"density": features.density.tolist(), "importance": np.asarray(importance).tolist(), "law": features.law}
    matrix = [[Fraction(x) for x in row] for row in np.asarray(matrix).tolist()]
    bias = [Fraction(x) for x in np.asarray(bias).tolist()]
    return rational_map_loss(matrix, bias, target=None if target is None else target.tolist(), **given_)


def inputs(features, count, rng):
    """Independent of `Features` but for the densities: which feature is active, and a value by its distribution function."""
    n, law = features.n, features.law
    active = np.zeros((count, n), bool)
    for group in law.groups:
        u, low = rng.random(count), 0.0
        for j in group:
            active[:, j] = (u >= low) & (u < low + features.density[j])
            low += features.density[j] if law.kind == "anticorrelated" else 0.0
    u = rng.random((count, n))
    if law.values == beta_values(1, 4):
        u = 1 - (1 - u) ** 0.25
    if law.values == beta_values(2, 2):  # u²(3 - 2u), inverted
        u = 0.5 - np.sin(np.arcsin(1 - 2 * u) / 3)
    return active * (1.0 if law.values == CONSTANT else u)


def simulated(errors):
    """Mean and standard error."""
    return errors.mean(), errors.std() / np.sqrt(len(errors))


@every_law
@every_value
def test_tied_maps_are_expected_loss(kind, values):
    """A = WᵀW: the same loss, and its gradient W (D + Dᵀ). Catches a gradient of the rows' transpose."""
    rng = np.random.default_rng(1)
    features = make(kind, rng, (2, 1, 2), values)
    weights, bias = rng.standard_normal((2, 5)), 0.3 * rng.standard_normal(5)
    matrix = weights.T @ weights
    found = rectified_loss(matrix, bias, features)
    loss, d_weights, d_bias = loss_and_gradient(weights, bias, features)
    # The same sums of the same rows, importance multiplied in at another place.
    assert found.loss == pytest.approx(float(expected_loss(weights, bias, features)), rel=1e-13)
    assert found.loss == pytest.approx(float(loss), rel=1e-13)
    np.testing.assert_allclose(weights @ (found.d_matrix + found.d_matrix.T), d_weights, atol=1e-13)
    np.testing.assert_allclose(found.d_bias, d_bias, atol=1e-13)
    assert np.abs(2 * weights @ found.d_matrix - d_weights).max() > 1e-4


@settings(max_examples=80)
@given(SEEDS, st.sampled_from(KINDS), st.sampled_from(VALUES), st.booleans())
def test_any_map_and_target_against_the_rational_formula(seed, kind, values, square):
    """Targets of lower dimension among them. Catches E T² without the covariance of groups, and importances by feature."""
    rng = np.random.default_rng(seed)
    features = make(kind, rng, [(2, 1), (1, 2), (3,), (1, 1)][seed % 4], values)
    k = features.n if square else int(rng.integers(1, 3))
    matrix, bias = rng.standard_normal((k, features.n)), 0.4 * rng.standard_normal(k)
    target = None if square else rng.standard_normal((k, features.n))
    importance = None if square else rng.uniform(0.5, 2, k)
    found = rectified_loss(matrix, bias, features, target=target, importance=importance, atol=ATOL)
    wanted = float(exactly(matrix, bias, features, target, importance))
    # The target's own second moment is as high as the target.
    height = 1 if target is None else 1 + np.abs(target).sum(1).max() ** 2
    allowed = height * bound(matrix, bias, features, importance)
    assert abs(found.loss - wanted) <= allowed
    off = bias + 1e-3 * np.eye(k)[0]
    if abs(found.d_bias[0]) > 0.01:  # an output that is nearly always off has no use for its bias
        assert abs(rectified_loss(matrix, off, features, target=target, importance=importance).loss - wanted) > 1e-6


@settings(max_examples=40)
@given(SEEDS, st.sampled_from(KINDS), st.sampled_from(VALUES))
def test_gradient_of_an_untied_decoder(seed, kind, values):
    """d_decoder = D encoderᵀ, d_encoder = decoderᵀ D, against differences of exact losses in a random direction."""
    rng = np.random.default_rng(seed)
    features = make(kind, rng, [(2, 1), (1, 2), (3,), (1, 1)][seed % 4], values)
    n, h = features.n, 2.0**-30  # rational ends: the difference errs by h² = 1e-18 of the third derivative
    encoder, decoder, bias = rng.standard_normal((2, n)), rng.standard_normal((n, 2)), 0.4 * rng.standard_normal(n)
    found = rectified_loss(decoder @ encoder, bias, features, atol=ATOL)
    steps = [rng.standard_normal(x.shape) for x in (encoder, decoder, bias)]
    slope = (decoder.T @ found.d_matrix * steps[0]).sum()
    slope += (found.d_matrix @ encoder.T * steps[1]).sum() + (found.d_bias * steps[2]).sum()

    def at(t):
        v, w, b = (
            np.vectorize(Fraction, otypes=[object])(x) + Fraction(t) * np.vectorize(Fraction, otypes=[object])(s)
            for x, s in zip((encoder, decoder, bias), steps, strict=True)
        )
        return exactly(w @ v, b, features)

    wanted = float((at(h) - at(-h)) / Fraction(2 * h))
    allowed = slope_bound(decoder @ encoder, bias, features) * sum(np.abs(s).sum() for s in steps)
    # A set of constant values may come as close to the kink as 2^-30; not in these draws.
    assert abs(slope - wanted) <= allowed
    assert abs(slope - wanted + found.d_bias @ (bias + 1)) > allowed or np.abs(found.d_bias).max() < 1e-3  # can fail


@every_law
@every_value
def test_no_bias_is_a_bias_of_zeros(kind, values):
    rng = np.random.default_rng(3)
    features = make(kind, rng, (1, 3), values)
    matrix, zeros = rng.standard_normal((4, 4)), np.zeros(4)
    for loss in (rectified_loss, linear_loss):
        scalar, full = loss(matrix, 0, features), loss(matrix, zeros, features)
        for x, y in zip(vars(scalar).values(), vars(full).values(), strict=True):
            # Sums over nodes are vectorised, and their last bit depends on where the memory lies.
            np.testing.assert_allclose(x, y, rtol=0, atol=1e-15)
        assert abs(loss(matrix, 0.1, features).loss - full.loss).min() > 1e-6
    apart = expected_loss(matrix[:2], 0, features) - expected_loss(matrix[:2], zeros, features)
    assert abs(apart).max() <= 1e-15


@every_value
def test_absolute_value_of_one_feature_by_quadrature(values):
    """Both signs by the midpoint rule, which errs by h² = 1e-10 of the second derivative, about a²: 2e-9 for a <= 3."""
    rng, u = np.random.default_rng(4), (np.arange(100_000) + 0.5) / 100_000
    density = np.polynomial.Polynomial(values.coefficients or [0])(u)
    for p in (0.3, 1.0):
        features = Features(p, 1.5, n=1, values=values)
        for a, b in [(1.0, 0.0), *rng.uniform(-3, 3, (4, 2))]:
            wanted = (1 - p) * max(b, 0) ** 2
            for sign in (1, -1):
                by_value = (u - np.maximum(sign * a * u + b, 0)) ** 2 * density
                wanted += p / 2 * (by_value.mean() + values.atom * (1 - max(sign * a + b, 0)) ** 2)
            found = absolute_loss([[a]], [b], features).loss
            assert abs(found - 1.5 * wanted) <= 5e-9


@every_value
def test_absolute_value_is_not_the_value(values):
    """Control: the output x is that of the positive half, and loses nothing of it."""
    features = Features(0.3, n=1, values=values)
    assert rectified_loss([[1.0]], [0.0], features).loss == pytest.approx(0, abs=1e-9)
    assert absolute_loss([[1.0]], [0.0], features).loss == pytest.approx(0.15 * float(values.moment(2)), abs=1e-9)


@every_value
def test_absolute_value_of_two_features_by_quadrature(values):
    """Every set of active features with all their signs, 600² points: h² = 3e-6 of second derivatives, 4e-5 with all factors."""
    p, matrix, bias = np.array([0.3, 0.6]), np.array([[0.8, -0.5], [0.4, 1.1]]), np.array([0.05, -0.2])
    u, weight = np.ones(1), np.ones(1)
    if values != CONSTANT:
        u = (np.arange(600) + 0.5) / 600
        weight = np.polynomial.Polynomial(values.coefficients)(u) / 600
    wanted = 0.0
    for one in (-1, 0, 1):
        for two in (-1, 0, 1):
            chance = np.prod(np.where([one, two], p / 2, 1 - p))
            x, y = one * u[:, None], two * u[None, :]
            for i, truth in enumerate((np.abs(x), np.abs(y))):
                error = truth - np.maximum(matrix[i, 0] * x + matrix[i, 1] * y + bias[i], 0)
                wanted += chance * (1.0, 2.0)[i] * (weight @ error**2 @ weight)
    features = Features(p, [1.0, 2.0], values=values)
    assert abs(absolute_loss(matrix, bias, features).loss - wanted) <= (1e-14 if values == CONSTANT else 4e-5)
    assert abs(absolute_loss(matrix.T, bias, features).loss - wanted) > 1e-3


@every_value
def test_absolute_value_against_rational_pairs_and_simulation(values):
    """The pairs put together here, and signs drawn: catches x⁺ and x⁻ that are independent, or of density p each."""
    rng = np.random.default_rng(6)
    p = np.array([0.25, 0.5, 0.75])
    features = Features(p, [1.0, 0.5, 2.0], values=values)
    matrix, bias = rng.standard_normal((3, 3)), 0.2 * rng.standard_normal(3)
    found = absolute_loss(matrix, bias, features, atol=ATOL)
    pairs = Features.anticorrelated(np.repeat(p / 2, 2), size=2, values=values)
    both = np.stack([matrix, -matrix], -1).reshape(3, 6)
    target = np.kron(np.eye(3), np.ones((1, 2)))
    wanted = exactly(both, bias, pairs, target, features.importance)
    assert abs(found.loss - float(wanted)) <= bound(both, bias, pairs, features.importance)
    x = inputs(features, 400_000, rng) * rng.choice([-1, 1], (400_000, 3))
    error = (np.abs(x) - np.maximum(x @ matrix.T + bias, 0)) ** 2 @ features.importance
    mean, sigma = simulated(error)
    assert abs(found.loss - mean) <= 4 * sigma
    assert abs(absolute_loss(matrix, bias + 0.1, features).loss - mean) > 4 * sigma
    # Its gradient, by a difference of exact losses; the contour's own as for other derivatives.
    h, step = 2.0**-20, rng.standard_normal((3, 3))
    move = np.stack([step, -step], -1).reshape(3, 6) * h
    ends = [float(exactly(both + s * move, bias, pairs, target, features.importance)) for s in (1, -1)]
    # Differences err by h² and by the rounding of a float, 1e-16/h.
    assert (found.d_matrix * step).sum() == pytest.approx((ends[0] - ends[1]) / (2 * h), abs=1e-5 * np.abs(step).sum())


@every_law
@every_value
def test_linear_loss_against_simulation_and_difference(kind, values):
    """Four standard errors of 400,000 inputs. Catches a covariance of the wrong sign within groups."""
    rng = np.random.default_rng(7)
    features = make(kind, rng, (3, 2), values)
    matrix, bias, target = rng.standard_normal((3, 5)), 0.3 * rng.standard_normal(3), rng.standard_normal((3, 5))
    importance = np.array([1.0, 0.5, 2.0])
    model = {"target": target, "importance": importance}
    found = linear_loss(matrix, bias, features, **model)
    x = inputs(features, 400_000, rng)
    mean, sigma = simulated((x @ (target - matrix).T - bias) ** 2 @ importance)
    assert abs(found.loss - mean) <= 4 * sigma
    assert abs(linear_loss(matrix, bias + 0.1, features, **model).loss - mean) > 4 * sigma
    # Quadratic: central differences are exact up to rounding, 1e-16 of the loss over the step.
    step, rise = rng.standard_normal((3, 5)), rng.standard_normal(3)
    ends = [linear_loss(matrix + s * step, bias + s * rise, features, **model).loss for s in (0.5, -0.5)]
    assert (found.d_matrix * step).sum() + (found.d_bias * rise).sum() == pytest.approx(ends[0] - ends[1], rel=1e-12)


@every_law
@every_value
def test_linear_optimum_keeps_principal_components(kind, values):
    """The m leading axes of I^(1/2) Σ I^(1/2) leave the sum of its other eigenvalues, and no map of rank m is below that."""
    rng = np.random.default_rng(8)
    features = make(kind, rng, (2, 3), values)
    scale, mean = np.sqrt(features.importance), features.mean
    eigenvalues, axes = np.linalg.eigh(scale[:, None] * features.covariance * scale)
    for m in (1, 3):
        best = axes[:, -m:] @ axes[:, -m:].T / scale[:, None] * scale
        bias = mean - best @ mean
        found, least = linear_loss(best, bias, features), eigenvalues[:-m].sum()
        # Rounding of terms of order one; constant values on together have a covariance of rank two, and m = 3 leaves nothing.
        assert abs(found.loss - least) <= 1e-14
        assert linear_loss(best, 0, features).loss == pytest.approx(least + features.importance @ bias**2, abs=1e-14)
        # Stationary among the products of a decoder and an encoder.
        for slope in (best.T @ found.d_matrix, found.d_matrix @ best.T, found.d_bias):
            assert np.abs(slope).max() <= 1e-14
        for _ in range(50):
            matrix = rng.standard_normal((5, m)) @ rng.standard_normal((m, 5)) / m
            near = best + 0.01 * rng.standard_normal((5, 5)) @ best
            for other in (matrix, near):
                assert linear_loss(other, mean - other @ mean, features).loss >= least - 1e-14


@every_law
@every_value
def test_a_relu_that_never_acts_is_linear(kind, values):
    """b = 50: loss and gradient are those of the linear map. Catches a contour without its aliases, 1e3 here."""
    rng = np.random.default_rng(9)
    features = make(kind, rng, (1, 2, 1), values)
    matrix, target = rng.uniform(-1, 1, (3, 4)), rng.uniform(-1, 1, (3, 4))
    model = {"target": target, "importance": np.ones(3)}
    one = rectified_loss(matrix, np.full(3, 50.0), features, **model)
    two = linear_loss(matrix, np.full(3, 50.0), features, **model)
    # Terms of 3·54² with the rounding of all.
    assert abs(one.loss - two.loss) <= (1e-9 if is_contour(features) else 1e-15 * 3 * 55**2)
    np.testing.assert_allclose(one.d_matrix, two.d_matrix, rtol=0, atol=1e-11)
    np.testing.assert_allclose(one.d_bias, two.d_bias, rtol=0, atol=1e-11)
    acting = rectified_loss(matrix, np.zeros(3), features, **model).loss
    assert abs(acting - linear_loss(matrix, np.zeros(3), features, **model).loss) > 1e-3


@pytest.mark.parametrize("loss", [rectified_loss, linear_loss, absolute_loss])
@pytest.mark.parametrize("values", [UNIFORM, beta_values(2, 2)], ids=lambda v: v.name)
def test_leading_axes_broadcast_and_do_not_mix(loss, values):
    rng = np.random.default_rng(10)
    matrix, bias = rng.standard_normal((2, 1, 3, 3)), rng.standard_normal((3, 3))
    density, importance = rng.uniform(0.1, 1, (3, 3)), rng.uniform(0.5, 2, (3, 3))
    found = loss(matrix, bias, Features(density, importance, values=values))
    assert (found.loss.shape, found.d_matrix.shape, found.d_bias.shape) == ((2, 3), (2, 3, 3, 3), (2, 3, 3))
    for i, j in np.ndindex(2, 3):
        alone = loss(matrix[i, 0], bias[j], Features(density[j], importance[j], values=values))
        for x, y in zip(vars(found).values(), vars(alone).values(), strict=True):
            # Sums in another order, and for contours a share of atol by the instance's own importances.
            np.testing.assert_allclose(x[i, j], y, rtol=1e-12, atol=1e-12)


def test_leading_axes_of_groups_and_of_the_importance():
    rng = np.random.default_rng(11)
    matrix, density = rng.standard_normal((2, 3)), np.array([[0.2], [0.6]])
    target, importance = rng.standard_normal((2, 3)), rng.uniform(0.5, 2, (4, 1, 2))
    features = Features.correlated(density, n=3, size=3)
    model = {"target": target, "importance": importance}
    assert linear_loss(matrix, 0, features, target=target, importance=importance[0]).loss.shape == (2,)
    with pytest.raises(InputError, match="importance must have shape"):
        rectified_loss(matrix, np.zeros(2), features, **model)
    bias = np.zeros((4, 2, 2))
    for loss in (rectified_loss, linear_loss):
        found = loss(matrix, bias, features, **model)
        assert found.loss.shape == (4, 2)
        for i, j in np.ndindex(4, 2):
            alone = Features.correlated(density[j, 0], n=3, size=3)
            wanted = loss(matrix, 0, alone, target=target, importance=importance[i, 0]).loss
            assert found.loss[i, j] == pytest.approx(float(wanted), rel=1e-13)


def rigid(seed, kind, values):
    """A model with its features and the generator."""
    rng = np.random.default_rng(seed)
    features = make(kind, rng, [(2, 2), (1, 3), (2, 1), (1, 1)][seed % 4], values)
    return rng.standard_normal((2, features.n)), 0.4 * rng.standard_normal(features.n), features, rng


@settings(max_examples=60)
@given(SEEDS, st.sampled_from(KINDS), st.sampled_from(VALUES))
def test_orthogonal_blocks_add_up(seed, kind, values):
    """Catches a group that reaches into its neighbour: the other block's features have slopes of zero."""
    w1, b1, f1, rng = rigid(seed, kind, values)
    w2, b2, f2, _ = rigid(seed + 1, kind, values)
    weights = np.zeros((4, f1.n + f2.n))
    weights[:2, : f1.n], weights[2:, f1.n :] = w1, w2
    weights = np.linalg.qr(rng.standard_normal((4, 4)))[0] @ weights
    density, importance = (np.concatenate(x) for x in zip(*((f.density, f.importance) for f in (f1, f2)), strict=True))
    sizes = {} if kind == "independent" else {"size": f1.law.sizes + f2.law.sizes}
    features = (Features if kind == "independent" else getattr(Features, kind))(
        density, importance, values=values, **sizes
    )
    together = expected_loss(weights, np.concatenate([b1, b2]), features, atol=ATOL)
    apart = expected_loss(w1, b1, f1, atol=ATOL) + expected_loss(w2, b2, f2, atol=ATOL)
    bounds = [bound(w.T @ w, b, f) for w, b, f in ((w1, b1, f1), (w2, b2, f2), (weights, np.append(b1, b2), features))]
    assert abs(together - apart) <= sum(bounds)


@settings(max_examples=60)
@given(SEEDS, st.sampled_from(KINDS), st.sampled_from(VALUES))
def test_rotation_of_the_hidden_space_changes_nothing(seed, kind, values):
    weights, bias, features, rng = rigid(seed, kind, values)
    turn = np.linalg.qr(rng.standard_normal((2, 2)))[0]
    turned = expected_loss(turn @ weights, bias, features, atol=ATOL)
    loss = expected_loss(weights, bias, features, atol=ATOL)
    # The Gram matrix differs by its rounding, which the loss passes on with its slope.
    assert abs(turned - loss) <= 4 * bound(weights.T @ weights, bias, features)
    assert expected_loss(weights @ np.diag(1 + 1e-3 * np.arange(features.n)), bias, features, atol=ATOL) != loss


@settings(max_examples=60)
@given(SEEDS, st.sampled_from(KINDS), st.sampled_from(VALUES))
def test_permutation_of_groups_and_features_permutes_the_gradient(seed, kind, values):
    weights, bias, features, rng = rigid(seed, kind, values)
    groups = features.law.groups
    turn = rng.permutation(len(groups))
    order = np.concatenate([rng.permutation(list(groups[g])) for g in turn])
    sizes = {} if kind == "independent" else {"size": [features.law.sizes[g] for g in turn]}
    build = Features if kind == "independent" else getattr(Features, kind)
    moved = build(features.density[order], features.importance[order], values=values, **sizes)
    plain = loss_and_gradient(weights, bias, features, atol=ATOL)
    turned = loss_and_gradient(weights[:, order], bias[order], moved, atol=ATOL)
    gram = weights.T @ weights
    assert abs(plain[0] - turned[0]) <= 2 * bound(gram, bias, features)
    # Each derivative in a weight gathers those of 2n entries of the matrix.
    allowed = 4 * features.n * np.abs(weights).max() * slope_bound(gram, bias, features)
    assert np.abs(plain[1][:, order] - turned[1]).max() <= allowed
    assert np.abs(plain[2][order] - turned[2]).max() <= allowed
    losses = feature_losses(weights, bias, features, atol=ATOL)
    assert np.abs(losses[order] - feature_losses(weights[:, order], bias[order], moved, atol=ATOL)).max() <= (
        2 * max(ATOL, bound(gram, bias, features))
    )


@pytest.mark.parametrize("loss", [rectified_loss, linear_loss])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"matrix": [1.0, 2.0, 3.0]}, r"matrix must have shape \(..., k, n\) with n = 3 features, got \(3,\)"),
        ({"matrix": np.ones((2, 2))}, r"matrix must have shape .* n = 3 features, got \(2, 2\)"),
        ({"matrix": [[1.0, 2.0, float("nan")]] * 2}, "matrix must be finite, got nan"),
        ({"matrix": [[1.0, 2.0], [3.0]]}, "matrix must be a number or a rectangular array of numbers"),
        ({"bias": [0.0] * 3}, r"bias must have shape \(..., 2\), one per row of the matrix, or be 0, got \(3,\)"),
        ({"bias": [0.0, float("inf")]}, "bias must be finite, got inf"),
        ({"target": None}, r"target must be given unless the matrix is 3 x 3, got a matrix \(2, 3\)"),
        ({"target": np.ones((3, 3))}, r"target must have shape \(2, 3\) to fit the matrix, got \(3, 3\)"),
        ({"target": np.ones((4, 2, 3))}, r"target must have shape \(2, 3\) to fit the matrix, got \(4, 2, 3\)"),
        ({"target": [[float("nan")] * 3] * 2}, "target must be finite, got nan"),
        ({"importance": None}, r"importance must have shape \(..., 2\), one per output, got \(3,\)"),
        ({"importance": [1.0, 0.0]}, r"importance must be positive .* got 0"),
        ({"importance": [1.0, float("nan")]}, "importance must be finite, got nan"),
        (
            {"matrix": np.ones((4, 2, 3)), "bias": np.ones((3, 2))},
            r"leading axes do not fit: matrix \(4,\), bias \(3,\)",
        ),
        (
            {"matrix": np.ones((4, 2, 3)), "features": Features(np.full((3, 3), 0.1))},
            r"leading axes do not fit: matrix \(4,\), bias \(\), features \(3,\)",
        ),
    ],
)
def test_bad_maps_are_named(loss, change, words):
    model = {"matrix": np.ones((2, 3)), "bias": 0, "features": Features(0.3, n=3)}
    model |= {"target": np.ones((2, 3)), "importance": [1.0, 2.0]} | change
    with pytest.raises(InputError, match=words):
        loss(model.pop("matrix"), model.pop("bias"), model.pop("features"), **model)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"features": Features.correlated(0.3, n=2)}, "features must be independent .* got correlated ones"),
        ({"features": Features.anticorrelated(0.3, n=2)}, "features must be independent .* got anticorrelated ones"),
        ({"matrix": np.ones((1, 2))}, r"matrix must have shape \(..., 2, 2\) for n = 2 features, got \(1, 2\)"),
        ({"matrix": [1.0, 2.0]}, r"matrix must have shape \(..., 2, 2\)"),
        ({"matrix": [[1.0, float("nan")]] * 2}, "matrix must be finite, got nan"),
        ({"bias": [0.0] * 3}, r"bias must have shape \(..., 2\)"),
        ({"atol": 1e-20}, "atol must be at least .* got 1e-20"),
    ],
)
def test_bad_absolute_maps_are_named(change, words):
    model = {"matrix": np.eye(2), "bias": 0, "features": Features(0.3, n=2), **change}
    with pytest.raises(InputError, match=words):
        absolute_loss(model.pop("matrix"), model.pop("bias"), model.pop("features"), **model)


@pytest.mark.parametrize("values", [UNIFORM, CONSTANT, beta_values(1, 4)], ids=lambda v: v.name)
@pytest.mark.parametrize("atol", [1e-20, 0.0, -1.0, float("nan")])
def test_atol_out_of_reach_is_refused(values, atol):
    features = Features.anticorrelated(0.3, n=2, values=values)
    with pytest.raises(InputError, match=r"atol must be at least .* \(float64 rounding\), got .*; use rational_loss"):
        rectified_loss(np.eye(2), 0, features, atol=atol)


def test_atol_is_measured_against_weights_and_importances():
    """The floor rises with the square of the weights and with the importances."""
    assert rectified_loss(np.eye(2), 0, Features(0.3, n=2), atol=1e-13).loss >= 0
    for matrix, features in ((100 * np.eye(2), Features(0.3, n=2)), (np.eye(2), Features(0.3, 1e3, n=2))):
        with pytest.raises(InputError, match=r"atol must be at least [0-9.]+e-1[12]"):
            rectified_loss(matrix, 0, features, atol=1e-13)
