"""Rational losses of every law beside finite enumerations, integrals and closed forms by hand."""

from fractions import Fraction
from itertools import pairwise, product
from math import prod

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from tegum.theory import CONSTANT, UNIFORM, InputError, Law, beta_values, rational_loss
from tegum.theory._rational import rational_map_loss, rational_moment

VALUES = [UNIFORM, CONSTANT, beta_values(2, 1), beta_values(1, 3)]
KINDS = ["independent", "correlated", "anticorrelated"]
seeds = st.integers(0, 10_000)


def groups(sizes):
    ends = np.cumsum([0, *sizes])
    return [range(a, b) for a, b in pairwise(ends)]


def draw(seed, kind):
    """An affine map with a target and the law's sizes and densities, all small Fractions, zeros included."""
    rng = np.random.default_rng(seed)
    sizes = (1,) * rng.integers(1, 5) if kind == "independent" else tuple(rng.integers(1, 4, rng.integers(1, 3)))
    sizes = tuple(int(s) for s in sizes)
    n, k = sum(sizes), int(rng.integers(1, 3))

    def fractions(*shape):
        return np.vectorize(lambda i, d: Fraction(int(i), int(d)), otypes=[object])(
            rng.integers(-4, 5, shape), rng.integers(1, 6, shape)
        ).tolist()

    density = []
    for size in sizes:
        shared = Fraction(int(rng.integers(1, 10)), 9)
        parts = [Fraction(int(i)) for i in rng.integers(1, 5, size)]
        density += [shared] * size if kind != "anticorrelated" else [shared * x / sum(parts) for x in parts]
    importance = [Fraction(int(i), 3) for i in rng.integers(1, 7, k)]
    return fractions(k, n), fractions(k), fractions(k, n), density, importance, sizes


def error(matrix, bias, target, importance, x):
    """Σ_i I_i (T_i - ReLU(y_i))² at one input."""
    out = Fraction(0)
    for a, b, c, weight in zip(matrix, bias, target, importance, strict=True):
        y = b + sum(s * v for s, v in zip(a, x, strict=True))
        out += weight * (sum(s * v for s, v in zip(c, x, strict=True)) - max(y, 0)) ** 2
    return out


def chance(kind, bits, density, sizes):
    """Probability of one 0/1 pattern of activity."""
    out = Fraction(1)
    for group in groups(sizes):
        on = [j for j in group if bits[j]]
        if kind == "correlated":
            p = density[group[0]]
            out *= {0: 1 - p, len(group): p}.get(len(on), 0)
        elif kind == "anticorrelated":
            out *= {0: 1 - sum(density[j] for j in group), 1: density[on[0]] if on else 0}.get(len(on), 0)
        else:
            out *= prod(density[j] if bits[j] else 1 - density[j] for j in group)
    return out


@pytest.mark.parametrize("kind", KINDS)
@given(seed=seeds)
def test_constant_values_are_a_finite_sum(kind, seed):
    matrix, bias, target, density, importance, sizes = draw(seed, kind)
    patterns = list(product((0, 1), repeat=len(density)))
    assert sum(chance(kind, bits, density, sizes) for bits in patterns) == 1
    by_hand = sum(
        chance(kind, bits, density, sizes) * error(matrix, bias, target, importance, bits) for bits in patterns
    )
    model = {"density": density, "importance": importance, "target": target, "law": Law(kind, sizes, CONSTANT)}
    assert rational_map_loss(matrix, bias, **model) == by_hand
    bias[0] += Fraction(10)
    assert rational_map_loss(matrix, bias, **model) != by_hand


@pytest.mark.parametrize("kind", ["correlated", "anticorrelated"])
@pytest.mark.parametrize("values", VALUES, ids=lambda v: v.name)
@given(seed=seeds)
def test_one_group_is_the_mixture_of_its_states(kind, values, seed):
    """Each state is a model of always active features, the empty one is the bias alone."""
    matrix, bias, target, density, importance, sizes = draw(seed, kind)
    n = sizes[0]
    matrix, target, density = [row[:n] for row in matrix], [row[:n] for row in target], density[:n]

    def given_active(features):
        always = Law("independent", (1,) * len(features), values)
        return rational_map_loss(
            [[row[j] for j in features] for row in matrix],
            bias,
            target=[[row[j] for j in features] for row in target],
            density=[1] * len(features),
            importance=importance,
            law=always,
        )

    states = [[j] for j in range(n)] if kind == "anticorrelated" else [list(range(n))]
    none = error(matrix, bias, target, importance, [0] * n)
    mixture = sum(density[s[0]] * given_active(s) for s in states)
    mixture += (1 - sum(density[s[0]] for s in states)) * none
    law = Law(kind, (n,), values)
    assert mixture == rational_map_loss(matrix, bias, target=target, density=density, importance=importance, law=law)


@pytest.mark.parametrize("values", VALUES, ids=lambda v: v.name)
@given(seed=seeds)
def test_groups_of_one_are_independent_features(values, seed):
    matrix, bias, target, density, importance, sizes = draw(seed, "independent")
    model = {"target": target, "density": density, "importance": importance}
    losses = {rational_map_loss(matrix, bias, **model, law=Law(kind, sizes, values)) for kind in KINDS}
    assert len(losses) == 1
    if values is UNIFORM:
        assert losses == {rational_map_loss(matrix, bias, **model)}


@pytest.mark.parametrize("values", VALUES, ids=lambda v: v.name)
def test_antipodal_pair_of_every_law(values):
    """Never active together: no loss. Always: E min(U, V)² each, p/6 if uniform. Independent: p² in the place of p."""
    p, weight = Fraction(2, 7), [1, Fraction(1, 3)]

    def loss(kind):
        sizes = (1, 1) if kind == "independent" else (2,)
        return rational_loss([[1, -1]], [0, 0], density=[p, p], importance=weight, law=Law(kind, sizes, values))

    u, v = sympy.symbols("u v")
    least = Fraction(1)
    if values is not CONSTANT:
        density = sympy.Poly(list(values.coefficients)[::-1], u).as_expr()
        least = fraction(2 * sympy.integrate(density * density.subs(u, v) * u**2, (u, 0, v), (v, 0, 1)))
    assert loss("anticorrelated") == 0
    assert loss("correlated") == p * sum(weight) * least
    assert loss("independent") == p**2 * sum(weight) * least


def fraction(value):
    return Fraction(int(value.p), int(value.q))


u, v = sympy.symbols("u v")
quarter = sympy.Rational(1, 4)


@pytest.mark.parametrize("shape", [(1, 1), (2, 1), (1, 4), (3, 2)])
@pytest.mark.parametrize("power", [1, 2])
def test_beta_moments_by_integration(shape, power):
    """One slope with its kink inside, and u - v/2 - 1/4, positive for v < 2u - 1/2: kinks at u = 1/4 and 3/4."""
    values = beta_values(*shape)
    density = sympy.gamma(sum(shape)) / prod(map(sympy.gamma, shape)) * u ** (shape[0] - 1) * (1 - u) ** (shape[1] - 1)
    one = sympy.integrate(density * (3 * u / 2 - quarter) ** power, (u, quarter * 2 / 3, 1))
    p = Fraction(1, 5)
    law = Law("independent", (1,), values)
    found = rational_moment([Fraction(3, 2)], Fraction(-1, 4), density=[p], power=power, law=law)
    assert found == p * fraction(one)  # inactive, ReLU(-1/4) = 0
    assert found != rational_moment([Fraction(3, 2)], Fraction(-1, 4), density=[p], power=power) or shape == (1, 1)

    term = sympy.expand(density * density.subs(u, v) * (u - v / 2 - quarter) ** power)
    two = sympy.integrate(term, (v, 0, 2 * u - 2 * quarter), (u, quarter, 3 * quarter))
    two += sympy.integrate(term, (v, 0, 1), (u, 3 * quarter, 1))
    one = sympy.integrate(density * (u - quarter) ** power, (u, quarter, 1))
    given_ = {"density": [p, p], "power": power}
    slopes, offset = [1, Fraction(-1, 2)], Fraction(-1, 4)
    for kind, sizes, both, alone in [
        ("independent", (1, 1), p**2, p * (1 - p)),
        ("correlated", (2,), p, 0),
        ("anticorrelated", (2,), 0, p),
    ]:
        found = rational_moment(slopes, offset, **given_, law=Law(kind, sizes, values))
        assert found == both * fraction(two) + alone * fraction(one)


@pytest.mark.parametrize("values", [UNIFORM, beta_values(2, 2)], ids=lambda v: v.name)
def test_absolute_value_of_a_signed_feature(values):
    """x = ±u with density p: x⁺ and x⁻ are an anticorrelated pair of density p/2; |x| ~ ReLU(ax + b), ReLU(-ax - b)."""
    a, b, p = Fraction(5, 4), Fraction(-1, 4), Fraction(3, 10)

    def loss(law):
        model = {"target": [[1, 1], [1, 1]], "density": [p / 2, p / 2], "importance": [1, 2], "law": law}
        return rational_map_loss([[a, -a], [-a, a]], [b, -b], **model)

    density = sympy.Poly(list(values.coefficients)[::-1], u).as_expr()

    def mean(integrand, start=0, end=1):
        return sympy.integrate(sympy.expand(density * integrand), (u, start, end))

    kink, rising = sympy.Rational(1, 5), 5 * u / 4 - quarter  # ax + b > 0 beyond 1/5; -ax - b is its negative
    first = mean(u**2, 0, kink) + mean((u - rising) ** 2, kink) + mean(u**2)
    second = mean((u + rising) ** 2, 0, kink) + mean(u**2, kink) + mean((u - 5 * u / 4 - quarter) ** 2)
    by_hand = p / 2 * fraction(first) + 2 * (p / 2 * fraction(second) + (1 - p) * b**2)
    assert loss(Law("anticorrelated", (2,), values)) == by_hand
    assert loss(Law("independent", (1, 1), values)) != by_hand


@given(seed=seeds, values=st.sampled_from(VALUES), kind=st.sampled_from(KINDS))
def test_loss_is_made_of_moments(seed, values, kind):
    """With target 0 the loss is a second moment; with an offset that keeps y positive it is a quadratic form."""
    matrix, bias, target, density, importance, sizes = draw(seed, kind)
    n, law = len(density), Law(kind, sizes, values)
    model = {"density": density, "law": law}
    zero = rational_map_loss(matrix, bias, importance=importance, target=[[0] * n] * len(bias), **model)
    parts = [rational_moment(a, b, power=2, **model) for a, b in zip(matrix, bias, strict=True)]
    assert zero == sum(i * x for i, x in zip(importance, parts, strict=True))
    far = Fraction(100)
    mean = [p * values.moment(1) for p in density]
    difference = [[c - a for c, a in zip(t, r, strict=True)] for t, r in zip(target, matrix, strict=True)]
    linear = rational_map_loss(matrix, [far] * len(bias), importance=importance, target=target, **model)
    expected = Fraction(0)
    for weight, row in zip(importance, difference, strict=True):
        # E (d·x - far)², by E (d·x + far)₊² = E (d·x + far)² and the mean.
        square = rational_moment(row, far, power=2, **model)
        expected += weight * (square - 4 * far * sum(d * m for d, m in zip(row, mean, strict=True)))
    assert linear == expected
    first = rational_moment(matrix[0], far, power=1, **model)
    assert first == far + sum(a * m for a, m in zip(matrix[0], mean, strict=True))


MODEL = {"density": [Fraction(1, 3)] * 3, "importance": [1, 1, 1]}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"density": [Fraction(1, 3), 1, 1], "law": Law("correlated", (2, 1))},
            "equal within .* got 1/3, 1 for .* 0 to 1",
        ),
        ({"density": [1, 1, 1], "law": Law("anticorrelated", (1, 2))}, "at most 1 within .* got 1, 1 for .* 1 to 2"),
        ({"law": Law("correlated", (2, 2))}, r"add up to n = 3, .* got correlated \(2, 2\)"),
        ({"law": Law("independent", (2, 1))}, r"all 1 if independent, got independent \(2, 1\)"),
        ({"law": Law("correlated", (0, 3))}, "law must have sizes"),
        ({"density": [0, 1, 1]}, r"density must be in \(0, 1\], got 0"),
        ({"importance": [1, -1, 1]}, "importance must be positive, got -1"),
        ({"importance": [1, 1]}, r"matrix \(k, n\) must agree"),
        ({"matrix": [[1, 2, 3]]}, r"matrix \(k, n\) must agree"),
        ({"matrix": [[1], [2], [3]]}, r"matrix \(k, n\) must agree"),
        ({"matrix": [[1, 2, 3]], "bias": [0], "importance": [1]}, "target must be given unless .* got 1 and 3"),
        ({"target": [[1, 1, 1]]}, r"target must have shape \(3, 3\) like matrix"),
        ({"target": [[1, 1, "x"]] * 3}, "target must hold finite rational numbers, got 'x'"),
        ({"matrix": [[1, 2, float("nan")]] * 3}, "matrix must hold finite"),
        (
            {"matrix": [[0] * 11], "bias": [0], "importance": [1], "density": [1] * 11, "target": [[0] * 11]},
            "n <= 10 features .* got n = 11",
        ),
    ],
)
def test_bad_maps_are_named(change, words):
    model = {"matrix": [[1, 0, 2]] * 3, "bias": [0, 0, 0], **MODEL, **change}
    with pytest.raises(InputError, match=words):
        rational_map_loss(model.pop("matrix"), model.pop("bias"), **model)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"power": 3}, "power must be 1 or 2, got 3"),
        ({"density": [1]}, "slopes and density must have one length n >= 1, got 2 and 1"),
        ({"density": [1, 2]}, r"density must be in \(0, 1\], got 2"),
        ({"law": Law("correlated", (3,))}, "law must have sizes"),
    ],
)
def test_bad_moments_are_named(change, words):
    with pytest.raises(InputError, match=words):
        rational_moment([1, 2], 0, **{"density": [1, 1], "power": 1, **change})


def test_floats_count_as_the_rationals_they_are():
    """Ten floats 0.1 add up to a little more than 1."""
    law = Law("anticorrelated", (10,))
    model = {"importance": [1], "law": law, "target": [[1] * 10]}
    with pytest.raises(InputError, match="add up to at most 1"):
        rational_map_loss([[1] * 10], [0], density=[0.1] * 10, **model)
    assert rational_map_loss([[1] * 10], [0], density=[Fraction(1, 10)] * 10, **model) == 0
