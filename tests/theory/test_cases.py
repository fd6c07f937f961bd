"""One table of models on which every way to the loss agrees: rational formula, enclosure, contour sum, public function, simulation.

Tolerances. The contour is held to the tolerance it was given, with nothing added. Methods that are exact to rounding are held to the
1e-15 of the squared height of the preactivation that `expected_loss` states. Simulation is held to four standard errors.
"""

from fractions import Fraction
from functools import cache

import numpy as np
import pytest

from tegum.theory import (
    CONSTANT,
    UNIFORM,
    Features,
    InputError,
    Law,
    beta_values,
    enclose_loss,
    expected_loss,
    feature_losses,
    rational_loss,
    rational_map_loss,
)
from tegum.theory._contour import contour_errors
from tegum.theory._enumeration import enumerated_errors
from tegum.theory._method import is_exact
from tegum.theory._rows import RowProblems

VALUES = (UNIFORM, CONSTANT, beta_values(2, 2), beta_values(1, 4))
IMPORTANCE = np.array([1.0, 0.5, 2.0, 0.25, 1.5])
# Of groups that are always on, the densities add up to one exactly, in floats too.
GROUPINGS = {
    "one feature": lambda v: Features(0.3, 1.5, n=1, values=v),
    "independent": lambda v: Features([0.9, 0.4, 0.2, 0.1, 0.02], IMPORTANCE, values=v),
    "correlated": lambda v: Features.correlated([0.3, 0.3, 0.1, 0.1, 0.1], IMPORTANCE, size=(2, 3), values=v),
    "a correlated three": lambda v: Features.correlated(
        [0.5, 0.2, 0.2, 0.2, 0.9], IMPORTANCE, size=(1, 3, 1), values=v
    ),
    "anticorrelated": lambda v: Features.anticorrelated([0.3, 0.2, 0.1, 0.4, 0.3], IMPORTANCE, size=(2, 3), values=v),
    "always one of four": lambda v: Features.anticorrelated(
        [0.3, 0.5, 0.25, 0.125, 0.125], IMPORTANCE, size=(1, 4), values=v
    ),
}
LAWS = {f"{name}, {v.name}": make(v) for name, make in GROUPINGS.items() for v in VALUES} | {
    "density 1": Features(1.0, IMPORTANCE),
    "density 1e-6": Features(1e-6, IMPORTANCE),
    "density 1 to 1e-6": Features([1.0, 1e-6, 0.5, 1e-3, 0.1], IMPORTANCE),
}
PLAIN = np.array([[0.9, -0.7, 0.3, 0.5, -0.4], [0.2, 0.6, -0.8, 0.1, 0.7]])
OFFSET = np.array([-0.1, 0.2, 0.05, -0.3, 0.12])
KEPT = np.array([1.0, 0.0, 1.0, 0.0, 1.0])
MODELS = {
    "plain": (PLAIN, OFFSET),
    "rows zero": (PLAIN * KEPT, np.array([-0.1, 0.2, 0.0, -0.3, 0.1])),
    "equal weights": (np.full((1, 5), 0.5), np.full(5, -0.2)),
    "tiny weights": (1e-12 * PLAIN, np.array([0.0, 1e-12, 0.1, -0.1, 0.0])),
    "large weights": (10 * PLAIN, OFFSET),
    "large bias": (PLAIN, OFFSET + 50),
    "very negative bias": (PLAIN, OFFSET - 50),
}
SAMPLES = 10_000_000


def model(name, features):
    weights, bias = MODELS[name]
    return weights[:, : features.n], bias[: features.n]


def exactly(weights, bias, features):
    given = {"density": features.density.tolist(), "importance": features.importance.tolist(), "law": features.law}
    return rational_loss(weights.tolist(), bias.tolist(), **given)


@cache
def exact(name, law):
    return exactly(*model(name, LAWS[law]), LAWS[law])


def rounding(weights, bias, features):
    """What `expected_loss` states for methods that are exact to rounding, and its default tolerance for the others."""
    reach = 1 + np.abs(weights.T @ weights).sum(1).max() + np.abs(bias).max()
    return 1e-15 * reach**2 * features.importance.sum() if is_exact(features.law) else 1e-9


def rows_of(weights, bias, features):
    n = features.n
    density = np.tile(features.density, (n, 1))
    return RowProblems(weights.T @ weights, bias.astype(float), density, np.eye(n), np.zeros(n), features.law)


def exact_rows(rows):
    """F of every row as rationals, the float slopes taken as they are: E (x_i - ReLU(y_i))² less E x_i²."""
    out = []
    for i, (a, b, p) in enumerate(zip(rows.slopes.tolist(), rows.offset.tolist(), rows.density.tolist(), strict=True)):
        given = {"density": p, "importance": [1], "law": rows.law, "target": np.eye(len(a))[i : i + 1].tolist()}
        out.append(rational_map_loss([a], [b], **given) - Fraction(p[i]) * rows.law.values.moment(2))
    return out


@pytest.mark.parametrize("law", LAWS)
def test_enclosure_and_public_function_agree_with_the_rational_formula(law):
    """Catches a wrong mean over a group in any one of the three: each composes the groups in its own way."""
    features = LAWS[law]
    for name in MODELS:
        weights, bias = model(name, features)
        loss = exact(name, law)
        # Relative where the loss is large: its float neighbours are further apart than 1e-12.
        found = enclose_loss(weights, bias, features, atol=1e-12 * (1 + float(loss)))
        assert found.lower <= loss <= found.upper, name
        bound = rounding(weights, bias, features)
        atol = max(1e-9, 2 * bound)
        assert abs(expected_loss(weights, bias, features, atol=atol) - float(loss)) <= bound, name
        errors = feature_losses(weights, bias, features, atol=atol)
        assert abs((features.importance * errors).sum() - float(loss)) <= max(bound, 1e-9 * features.importance.sum())


@pytest.mark.parametrize("law", LAWS)
def test_contour_is_within_its_tolerance(law):
    """Row by row, for few features too: catches a wrong alias, reference law or period, whatever the tolerance hides of it."""
    features = LAWS[law]
    for name in MODELS:
        rows = rows_of(*model(name, features), features)
        wanted = np.array(exact_rows(rows))
        for tolerance in (1e-4, 1e-6, 1e-9):
            found = contour_errors(rows, np.full(features.n, tolerance), gradient=False)
            assert (np.abs(found.value - wanted.astype(float)) <= tolerance).all(), (name, tolerance)


@pytest.mark.parametrize("law", LAWS)
def test_control_a_weight_off_by_a_thousandth_is_noticed(law):
    features = LAWS[law]
    weights, bias = model("plain", features)
    off = weights.copy()
    off[0, -1] += 1e-3
    right, wrong = exact("plain", law), exactly(off, bias, features)
    # The last feature is active at all with its density, and the loss is quadratic in its errors.
    assert abs(float(right - wrong)) > 1e-6 * features.density.max()
    found = enclose_loss(off, bias, features)
    assert not found.lower <= right <= found.upper
    assert abs(expected_loss(off, bias, features, atol=1e-13) - float(right)) > 0.5 * abs(float(right - wrong))
    rows = rows_of(off, bias, features)
    value = contour_errors(rows, np.full(features.n, 1e-13), gradient=False).value
    wanted = np.array(exact_rows(rows_of(weights, bias, features)), dtype=float)
    assert np.abs(value - wanted).max() > 1e-6 * features.density.max()


def test_ten_features_are_more_than_the_vertex_sum_takes():
    """n = 10, where `expected_loss` is a contour sum for uniform values too and the rational formula still reaches."""
    rng = np.random.default_rng(10)
    weights, bias = rng.standard_normal((3, 10)) / 2, 0.2 * rng.standard_normal(10)
    for features in (
        Features(rng.uniform(0.05, 1, 10)),
        Features.correlated(0.2, n=10, size=(4, 1, 5)),
        Features.anticorrelated(0.125, n=10, size=(2, 8)),
    ):
        loss = float(exactly(weights, bias, features))
        assert abs(expected_loss(weights, bias, features) - loss) <= 1e-9
        assert abs(expected_loss(weights + 1e-3, bias, features) - loss) > 1e-6


@pytest.mark.parametrize("values", VALUES, ids=lambda v: v.name)
@pytest.mark.parametrize("grouping", [g for g in GROUPINGS if g != "one feature"])
def test_twenty_features_in_turned_blocks(grouping, values):
    """Four blocks of five in orthogonal subspaces, turned together: the loss is the sum of four rational ones.

    Catches what grows with n: small entries (rotation leaves 1e-17 between the blocks), many groups, threads over rows.
    """
    block = GROUPINGS[grouping](values)
    rng = np.random.default_rng(20)
    turn = np.linalg.qr(rng.standard_normal((8, 8)))[0]
    weights, bias, wanted = np.zeros((8, 20)), np.zeros(20), 0.0
    for k, name in enumerate(("plain", "rows zero", "equal weights", "plain")):
        part, offset = model(name, block)
        own = slice(5 * k, 5 * k + 5)
        weights[2 * k : 2 * k + len(part), own], bias[own] = part, offset - 0.01 * k
        wanted += float(exactly(part, bias[own], block))
    density, importance = np.tile(block.density, 4), np.tile(block.importance, 4)
    law = block.law
    features = Features(density, importance, values=values)
    features.law = Law(law.kind, law.sizes * 4, values)
    if values == CONSTANT and grouping != "independent":
        assert is_exact(features.law)  # 5⁴ or 3·5… states: enumerated
    assert abs(expected_loss(turn @ weights, bias, features) - wanted) <= 1e-9
    weights[0, 0] += 1e-3
    assert abs(expected_loss(turn @ weights, bias, features) - wanted) > 1e-6


def draw(features, count, rng, dtype=float):
    """Inputs drawn one feature at a time: active where a uniform number of its group falls into its interval, then its value."""
    n, law = features.n, features.law
    low, number = np.zeros(n), np.zeros(n, int)
    for g, group in enumerate(law.groups):
        number[group] = g
        if law.kind == "anticorrelated":
            low[group] = np.cumsum(features.density[group]) - features.density[group]
    u = rng.random((count, len(law.groups)), dtype=dtype)
    if len(law.groups) < n:
        u = u[:, number]
    active = u < (low + features.density).astype(dtype)
    if law.kind == "anticorrelated":
        active &= u >= low.astype(dtype)

    def value():
        return rng.random((count, n), dtype=dtype)

    if law.values == CONSTANT:
        return active.astype(dtype)
    if law.values == beta_values(2, 2):  # the median of three
        x, y, z = value(), value(), value()
        return active * np.maximum(np.minimum(x, y), np.minimum(np.maximum(x, y), z))
    if law.values == beta_values(1, 4):  # the least of four, by its distribution function 1 - (1 - u)⁴
        return active * (1 - np.sqrt(np.sqrt(value())))
    assert law.values == UNIFORM
    return active * value()


def simulate(features, models, samples=SAMPLES, seed=0, dtype=float):
    """(mean, standard error) of the loss of every model on the same inputs."""
    rng = np.random.Generator(np.random.SFC64(seed))
    block = max(1000, 400_000 // features.n)
    sums = np.zeros((2, len(models)))
    models = [(w.astype(dtype), b.astype(dtype)) for w, b in models]
    importance, done = features.importance.astype(dtype), 0
    while done < samples:
        x = draw(features, min(block, samples - done), rng, dtype)
        done += len(x)
        for k, (w, b) in enumerate(models):
            error = (x @ w.T) @ w
            error += b
            np.maximum(error, 0, out=error)
            error -= x
            np.square(error, out=error)
            loss = error @ importance
            sums[:, k] += loss.sum(dtype=float), np.square(loss).sum(dtype=float)
    mean, square = sums / samples
    return list(zip(mean, np.sqrt((square - mean**2) / samples), strict=True))


# Each law with some of the models, so that every model comes with several laws.
SIMULATED = {
    "one feature, uniform": ("plain", "rows zero", "large weights"),
    "independent, uniform": tuple(MODELS),
    "independent, constant": ("plain", "rows zero", "very negative bias"),
    "independent, beta(2, 2)": ("plain", "large bias"),
    "independent, beta(1, 4)": ("plain", "equal weights"),
    "density 1": ("plain", "tiny weights", "large weights"),
    "density 1e-6": ("plain", "large weights"),
    "density 1 to 1e-6": ("plain", "rows zero"),
    "correlated, uniform": ("plain", "equal weights", "large bias"),
    "correlated, constant": ("plain", "large weights"),
    "correlated, beta(1, 4)": ("plain", "rows zero"),
    "a correlated three, beta(2, 2)": ("plain", "very negative bias"),
    "anticorrelated, uniform": ("plain", "equal weights", "large weights"),
    "anticorrelated, beta(2, 2)": ("plain", "tiny weights"),
    "always one of four, constant": ("plain", "large bias"),
    "always one of four, beta(1, 4)": ("plain", "large weights"),
}


@pytest.mark.slow
@pytest.mark.parametrize("law", SIMULATED)
def test_simulation_of_ten_million_inputs(law):
    """Four standard errors. Catches what the rational formula and the others share: the law itself, read another way."""
    features = LAWS[law]
    found = simulate(features, [model(name, features) for name in SIMULATED[law]])
    for name, (mean, sigma) in zip(SIMULATED[law], found, strict=True):
        # What the mean of 10⁷ float64 losses may lose where the losses are all nearly the same.
        assert abs(mean - float(exact(name, law))) <= 4 * sigma + 1e-13 * mean, name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("law", "name", "entry"), [("density 1", "equal weights", 2), ("independent, uniform", "rows zero", 0)]
)
def test_control_simulation_notices_a_weight_off_by_a_thousandth(law, name, entry):
    """Where the loss varies little and depends much on a weight: there a thousandth is more than eight standard errors."""
    features = LAWS[law]
    weights, bias = model(name, features)
    (mean, sigma), *_ = simulate(features, [(weights, bias)])
    off = weights.copy()
    off[0, entry] += 1e-3
    assert abs(mean - float(exact(name, law))) <= 4 * sigma
    assert abs(mean - float(exactly(off, bias, features))) > 4 * sigma


def large_model(n, m, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((m, n)) / np.sqrt(m), -0.05 * np.ones(n)


LARGE = {
    "20 independent": (5, Features(0.1, 0.9 ** np.arange(20)), 1e-10, SAMPLES),
    "20 in correlated groups": (
        5,
        Features.correlated(np.repeat([0.5, 0.1, 0.05, 0.02], [2, 3, 5, 10]), size=(2, 3, 5, 10), values=VALUES[3]),
        1e-10,
        SAMPLES,
    ),
    "80 in anticorrelated groups": (
        20,
        Features.anticorrelated(0.05, n=80, size=4, values=VALUES[2]),
        1e-10,
        SAMPLES // 2,
    ),
    "400 independent": (30, Features(0.05, n=400), 3e-10, SAMPLES // 50),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", LARGE)
def test_large_models_against_simulation_and_a_tighter_tolerance(case):
    """No exact value here. 10⁷ inputs of n = 20, 5·10⁶ of n = 80 and 2·10⁵ of n = 400, of which 10⁷ would take minutes.

    The inputs are float32: their densities are right to 2⁻²⁴, some 1e-6 of themselves, the standard errors 1e-4 and more.
    """
    m, features, tight, samples = LARGE[case]
    weights, bias = large_model(features.n, m)
    loss = expected_loss(weights, bias, features)
    best = expected_loss(weights, bias, features, atol=tight)
    assert abs(loss - best) <= 1e-9 + tight
    assert abs(expected_loss(weights, bias, features, atol=1e-5) - best) <= 1e-5 + tight
    (mean, sigma), *_ = simulate(features, [(weights, bias)], samples, dtype=np.float32)
    assert abs(mean - loss) <= 4 * sigma
    assert sigma < 2e-3 * loss
    weights[0, 0] += 1e-3
    assert abs(expected_loss(weights, bias, features) - best) > 1e-7


@pytest.mark.slow
def test_forty_constant_features():
    """2²⁰ states of either half are too many to enumerate by default: a contour to 1e-5, beside a row enumerated all the same.

    A law of atoms has edges everywhere, and 1e-9 would take more nodes than there are; that is refused in words.
    """
    features = Features(0.1, n=40, values=CONSTANT)
    weights, bias = large_model(40, 10)
    assert not is_exact(features.law)
    loss = expected_loss(weights, bias, features, atol=1e-5)
    with pytest.raises(InputError, match=r"atol asks for an error of .* contour nodes leave .* ask for a larger atol"):
        expected_loss(weights, bias, features, atol=1e-9)
    rows = rows_of(weights, bias, features).take(np.arange(1))
    wanted = enumerated_errors(rows, gradient=False).value
    for tolerance in (1e-3, 1e-5, 1e-7):
        found = contour_errors(rows, np.full(1, tolerance), gradient=False)
        assert (np.abs(found.value - wanted) <= tolerance).all()
    rows.slopes[0, 0] += 1e-3
    assert np.abs(contour_errors(rows, np.full(1, 1e-7), gradient=False).value - wanted) > 1e-6
    (mean, sigma), *_ = simulate(features, [(weights, bias)], dtype=np.float32)
    assert abs(mean - loss) <= 4 * sigma + 1e-5
