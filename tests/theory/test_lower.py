"""Lower bounds hold: their lemmas at random models, in exact numbers; certificates that are tampered with fail."""

import copy
import json
from fractions import Fraction
from itertools import combinations, product
from math import prod

import numpy as np
import pytest
from flint import fmpq
from hypothesis import given, settings
from hypothesis import strategies as st

from tegum.theory import (
    CONSTANT,
    CertificateError,
    Features,
    Grade,
    InputError,
    _any_decoder,
    _lower,
    _pair_bound,
    check_lower,
    lower_bound,
    optimal_model,
    rational_loss,
)
from tegum.theory import _lower_check as check
from tegum.theory._exact_row import error

PLAIN = Features(0.25, n=2)
MULTIPLIERS = check.Multipliers(*(fmpq(k, 60) for k in (1, 6, 2, 3, 9, 4)))


@pytest.fixture(scope="module")
def coarse():
    """The bound of a pair with few boxes: quick to check, and somewhat lower."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_pair_bound, "SLACKS", (0.32,))
        bound = lower_bound(PLAIN, 1)
    _pair_bound.proof_of.cache_clear()
    return bound


def fraction(x):
    return Fraction(int(x.p), int(x.q))


def draw_model(seed, n, m, scale=8):
    """Weights and biases with small rational entries, around models that are worth something."""
    rng = np.random.default_rng(seed)
    weights = [[Fraction(int(k), scale) for k in row] for row in rng.integers(-scale - 2, scale + 3, (m, n))]
    return weights, [Fraction(int(k), 2 * scale) for k in rng.integers(-scale, scale, n)]


def exact_features(p, n, importance=None):
    return {"density": [p] * n, "importance": importance or [1] * n}


def pair_points(weights, bias):
    n = len(bias)
    gram = [[sum(row[i] * row[j] for row in weights) for j in range(n)] for i in range(n)]
    return [
        [fmpq(x.numerator, x.denominator) for x in (gram[i][i], gram[i][j], bias[i])]
        for i in range(n)
        for j in range(n)
        if i != j
    ]


def height(pairs, a, t, b):
    """h(a, t, b) by its definition, the largest reward by a fine search."""
    reach = min(1.0, abs(float(t)), abs(float(t)) / max(float(a), 1e-9) ** 0.5)
    c = [float(x) for x in pairs.by[:4]]
    y = np.sign(float(t)) * np.linspace(0, reach, 2001)
    s = min(a, fmpq(1))
    reward = (c[0] * y + c[1] * y**2 + c[2] * y**3 + c[3] * y**4).max()
    return float(error(a, t, b, pairs.law)) - reward + float(pairs.own(s, s))


@given(st.integers(0, 10**6), st.sampled_from([(3, 1), (3, 2), (4, 2)]), st.sampled_from([(1, 10), (1, 2)]))
@settings(max_examples=25, deadline=None)
def test_two_active_features_bound_the_loss(seed, size, p):
    """Statement 4 without its boxes: the loss is at least the sum of h over the pairs that the model has."""
    (n, m), p = size, Fraction(*p)
    weights, bias = draw_model(seed, n, m)
    loss = rational_loss(weights, bias, **exact_features(p, n))
    pairs = check.Pairs(n, m, check._pair_law(n, fmpq(p.numerator, p.denominator)), MULTIPLIERS)
    c = MULTIPLIERS
    constant = float(c.d2**2 / (c.c2 * m) + 3 * c.d4**2 / (c.c4 * m * (m + 2)))
    points = pair_points(weights, bias)
    assert float(loss) >= sum(height(pairs, *x) for x in points) - constant - 1e-9
    # The rows alone, without kernels, are the patterns of at most two active features: less than all, and not nothing.
    rows = sum(fraction(error(*x, pairs.law)) for x in points)
    assert 0 < rows <= loss


def test_rows_are_all_patterns_of_two_features():
    weights, bias = draw_model(1, 2, 1)
    p = Fraction(1, 3)
    rows = sum(fraction(error(*x, check._pair_law(2, fmpq(1, 3)))) for x in pair_points(weights, bias))
    loss = rational_loss(weights, bias, **exact_features(p, 2))
    assert loss - Fraction(1, 2**70) <= rows <= loss


@given(st.integers(0, 10**6), st.sampled_from([(2, 1), (3, 1), (3, 2)]))
@settings(max_examples=20, deadline=None)
def test_any_decoder_bounds_the_loss(seed, size):
    n, m = size
    weights, bias = draw_model(seed, n, m)
    for p in (Fraction(1, 2), Fraction(1)):
        bound = fraction(_any_decoder.any_decoder(n, m, fmpq(p.numerator, p.denominator), m + 1))
        assert 0 < bound <= rational_loss(weights, bias, **exact_features(p, n))


def test_decoder_error_is_the_least_over_directions():
    """ε_2 = 25/324 at (1, 1/3); for more, random directions with the integral by Gauss's rule stay above, and one comes close."""
    assert Fraction(25, 324) * Fraction(9999, 10000) < fraction(_any_decoder.decoder_error(2)) <= Fraction(25, 324)
    rng = np.random.default_rng(0)
    node, weight = np.polynomial.legendre.leggauss(12)
    t, weight = (node + 1) / 2, weight / 2
    for k in (2, 3, 4):
        q = np.concatenate([rng.uniform(0, 1, (20000, k)), np.repeat(np.linspace(0, 1, 2001)[:, None], k, 1)])
        q[:, 0] = 1
        values = (q**2).sum(1) / 2 * (weight * t * np.prod(1 - t[:, None] * q[:, None, :], axis=2)).sum(1)
        assert 0.999 * values.min() < float(_any_decoder.decoder_error(k)) <= values.min()


def test_chord_formula_by_sampling():
    """Conditional variance of a cube given what is orthogonal to q: 200,000 chords agree with the integral to 4 standard errors."""
    rng = np.random.default_rng(0)
    q = np.array([1.0, 0.5, 0.25])
    x = rng.uniform(size=(200_000, 3))
    chord = np.minimum((1 - x) / q, np.inf).min(1) + (x / q).min(1)
    sample = chord**2 * (q**2).sum() / 12
    t = np.linspace(0, 1, 100_001)
    exact = (q**2).sum() / 2 * np.trapezoid(t * np.prod(1 - t[:, None] * q, axis=1), t)
    assert abs(sample.mean() - exact) < 4 * sample.std() / len(sample) ** 0.5


def test_entropy_error_is_below_every_projection():
    """Ignoring k - m features costs (k - m)/12, the best model of many; the bound is below it, and above 0.45 of it."""
    for k, m in [(2, 1), (5, 2), (8, 3), (8, 1)]:
        bound = float(_any_decoder._entropy_error(k, m)) * 12 / (k - m)
        exact = 6 / (np.pi * np.e) * (6 / (np.pi * np.e)) ** (m / (k - m))
        assert exact - 1e-6 < bound <= exact < 1


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_subsets_bound_the_loss(coarse, seed):
    """Statement 1: rows of a subset, given the values of the other feature, are a model of the subset with shifted biases."""
    weights, bias = draw_model(seed, 3, 1)
    p = Fraction(1, 4)
    whole = rational_loss(weights, bias, **exact_features(p, 3, [1, 1, Fraction(1, 10**30)]))
    assert whole >= coarse.value > 0


def test_mixed_bound_is_the_mean_over_what_is_always_active():
    density, p, values = [fmpq(1, 2), fmpq(3, 4), fmpq(1, 4)], fmpq(1, 4), [fmpq(0), fmpq(0), fmpq(2), fmpq(7)]
    q = [(x - p) / (1 - p) for x in density]
    mean = sum(
        (prod(x if on else 1 - x for x, on in zip(q, always, strict=True)) * values[3 - sum(always)])
        for always in product((0, 1), repeat=3)
    )
    assert check.mixed_bound(density, p, values) == mean
    with pytest.raises(CertificateError):
        check.mixed_bound(density, fmpq(1, 3), values)


@given(st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_box_bound_is_below_h(seed):
    """Over a box h is at least its bound, and a narrow box loses little."""
    rng = np.random.default_rng(seed)
    pairs = check.Pairs(4, 2, check._pair_law(4, fmpq(1, 5)), MULTIPLIERS)
    for cap in (False, True):
        root = check.roots(cap, False)[rng.integers(len(check.roots(cap, False)))]
        box = []
        for lo, hi in root:
            cut = sorted(int(k) for k in rng.integers(0, 65, 2))
            box.append(tuple(lo + (hi - lo) * fmpq(k, 64) for k in cut))
        bound = float(check._box_bound(pairs, tuple(box), cap))
        for _ in range(5):
            a, t, b = (lo + (hi - lo) * fmpq(int(rng.integers(0, 9)), 8) for lo, hi in box)
            t = fmpq(-(10**6)) if cap else t
            assert bound <= height(pairs, a, t, b) + 1e-6
    point = tuple((x, x) for x in (fmpq(1, 2), fmpq(-1, 2), fmpq(1, 8)))
    assert abs(float(check._box_bound(pairs, point, False)) - height(pairs, *(x[0] for x in point))) < 1e-6


def test_tails_are_below_h_far_away():
    pairs = check.Pairs(4, 2, check._pair_law(4, fmpq(1, 5)), MULTIPLIERS)
    rng = np.random.default_rng(0)
    box_level = min(
        height(pairs, fmpq(int(a), 8), fmpq(int(t), 8), fmpq(int(b), 8))
        for a, t, b in zip(
            rng.integers(0, 33, 1000), rng.choice([-64, 64], 1000), rng.integers(-96, 73, 1000), strict=True
        )
    )
    cap_level = min(
        height(pairs, fmpq(int(a), 8), fmpq(-(10**6)), fmpq(int(b), 8))
        for a, b in product(range(0, 33, 2), range(-32, 9, 2))
    )
    floor = min(float(check._tails(pairs)), box_level, cap_level)
    for _ in range(1000):
        a, t, b = (
            fmpq(int(rng.integers(0, 100)), 8),
            fmpq(int(rng.integers(-300, 300)), 8),
            fmpq(int(rng.integers(-400, 200)), 8),
        )
        if a >= check.A or abs(t) >= check.T:
            assert height(pairs, a, t, b) >= floor - 1e-6


@pytest.mark.slow
def test_bounds_are_below_the_optimum_and_certificates_hold():
    rng = np.random.default_rng(3)
    problems = [
        (Features(0.1, n=2), 1),
        (Features(1.0, [1.0, 0.7, 0.3]), 2),
        (Features([0.1, 0.3, 0.3], rng.uniform(0.3, 2, 3)), 1),
    ]
    for features, m in problems:
        bound = lower_bound(features, m)
        certificate = json.loads(json.dumps(bound.certificate))
        check_lower(certificate)
        assert Fraction(certificate["value"]) == Fraction(bound.value)
        assert 0 < bound.value <= optimal_model(features, m, restarts=4).loss
        assert bound.grade is Grade.CERTIFIED
        assert bound.parts


@pytest.mark.slow
def test_sparse_digon_is_almost_met():
    assert lower_bound(Features(0.01, n=2), 1).value > 0.985 * optimal_model(Features(0.01, n=2), 1, restarts=0).loss


def test_bound_is_below_random_models(coarse):
    for seed in range(30):
        weights, bias = draw_model(seed, 2, 1)
        assert coarse.value <= rational_loss(weights, bias, **exact_features(Fraction(1, 4), 2))


@pytest.fixture(scope="module")
def certificate(coarse):
    return coarse.certificate


def test_columns_of_one_sign_lose_more():
    """Statement 5 for a pair: more than the digon loses, and no more than models with weights of one sign do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_pair_bound, "SLACKS", (0.32,))
        bound, proof = _pair_bound.proof_of(2, 1, 0.25, True)
    _pair_bound.proof_of.cache_clear()
    assert fraction(bound) > optimal_model(PLAIN, 1, restarts=0).loss
    for seed in range(30):
        weights, bias = draw_model(seed, 2, 1)
        loss = rational_loss([[abs(w) for w in weights[0]]], bias, **exact_features(Fraction(1, 4), 2))
        assert fraction(bound) <= loss
    # It proves nothing about columns of either sign.
    with pytest.raises(CertificateError):
        check.two_level(2, 1, fmpq(1, 4), False, proof)


def test_signs_split_the_features():
    """With S(2) = 1 and no other bound: of n features n - 1 may have one sign, and lose (n - 1)/2."""
    values = check.subset_bounds(5, 1, fmpq(1, 10**6), {(2, True): fmpq(1)})
    assert [float(v) for v in values[3:]] == [1, 1.5, 2]
    assert values[2] < fmpq(1, 10**6)


def tampered(certificate, *path, to):
    other = copy.deepcopy(certificate)
    place = other
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to(place[path[-1]]) if callable(to) else to
    return other


def larger(text, by=Fraction(11, 10)):
    return str(Fraction(text) * by)


PROOF = ("tables", 0, "pairs", "2")


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("value",), larger),
        (("m",), 2),
        (("density", 0), "1/8"),
        (("tables", 0, "density"), "1/2"),
        (("tables", 0, "density"), "0"),
        (("importance", 1), "1/2"),
        (("subsets", 0, "weight"), larger),
        (("subsets", 0, "weight"), "-1"),
        (("subsets", 0, "features"), [0, 0]),
        (("subsets", 0, "table"), 1),
        ((*PROOF, "level"), larger),
        ((*PROOF, "multipliers", 1), lambda x: larger(x, Fraction(3, 2))),
        ((*PROOF, "multipliers", 1), lambda x: larger(x, Fraction(1, 2))),
        ((*PROOF, "multipliers", 2), lambda x: "1"),
        ((*PROOF, "multipliers", 4), lambda x: larger(x, Fraction(3, 2))),
        ((*PROOF, "multipliers", 4), "-1"),
        ((*PROOF, "multipliers", 4), "0.5"),
        ((*PROOF, "trees", 5), lambda tree: tree[:-1]),
        ((*PROOF, "trees", 5), lambda tree: tree + "."),
        ((*PROOF, "trees", 5), "."),
        ((*PROOF, "trees"), lambda trees: trees[:-1]),
        ((*PROOF, "caps", 0), "x"),
        (("tables",), []),
    ],
)
def test_tampered_certificates_fail(certificate, path, to):
    with pytest.raises(CertificateError):
        check_lower(tampered(certificate, *path, to=to))


def test_value_above_the_optimum_fails(certificate):
    optimum = optimal_model(PLAIN, 1, restarts=2).loss
    with pytest.raises(CertificateError, match="more than what is proved"):
        check_lower(tampered(certificate, "value", to=str(Fraction(optimum) * 2)))


def test_less_is_proved_too(certificate):
    """A smaller value, or one multiplier too small together with the level that it reaches, is a weaker true statement."""
    check_lower(tampered(certificate, "value", to=lambda x: larger(x, Fraction(1, 2))))
    proof = certificate["tables"][0]["pairs"]["2"]
    weak = tampered(certificate, *PROOF, "level", to=lambda x: larger(x, Fraction(9, 10)))
    found = check.two_level(2, 1, fmpq(1, 4), False, weak["tables"][0]["pairs"]["2"])
    assert (
        found
        < check.two_level(2, 1, fmpq(1, 4), False, proof)
        <= fmpq(*float(optimal_model(PLAIN, 1).loss).as_integer_ratio())
    )


def test_no_bound_where_every_feature_fits():
    bound = lower_bound(Features(0.3, n=2), 2)
    check_lower(bound.certificate)
    assert bound.value == 0
    assert "nothing" in bound.parts[0]


def test_weights_of_a_subset_family_are_a_fractional_cover():
    """With v(k) = k - 1 and importances 3, 2, 1 in one dimension the best is 2·1 (a pair) and so on: the linear program by hand."""
    subsets = [s for k in (2, 3) for s in combinations(range(3), k)]

    class Table:
        p = 0.5

        def values(self, n, m):
            return [fmpq(0), fmpq(0), fmpq(1), fmpq(2)]

    weights, _, worth = _lower._share(subsets, [fmpq(1, 2)] * 3, np.array([3.0, 2.0, 1.0]), [Table()], 1)
    # 1 times all three (2), and what is left of the first two (1); or two pairs with the first.
    assert abs(sum(w * float(v) for w, v in zip(weights, worth, strict=True)) - 3) < 1e-9


@pytest.mark.parametrize(
    ("features", "m", "words"),
    [
        (Features(0.1, n=9), 2, "at most 8"),
        (Features(0.1, n=3, values=CONSTANT), 2, "uniform"),
        (Features.correlated(0.1, n=4), 2, "independent"),
        (Features([[0.1, 0.2], [0.1, 0.3]]), 1, "single instance"),
        (Features(0.1, n=3), 0, "m must be"),
    ],
)
def test_bad_input(features, m, words):
    with pytest.raises(InputError, match=words):
        lower_bound(features, m)
