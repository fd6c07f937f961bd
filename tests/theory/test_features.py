"""Features: shapes and ranges, moments of every law, and its groups."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from tegum.theory import CONSTANT, UNIFORM, Features, InputError, Values, beta_values


def test_scalars_and_arrays_broadcast():
    features = Features(0.1, 0.9 ** np.arange(5))
    assert features.n == 5
    assert features.density.tolist() == [0.1] * 5
    assert Features(np.array([0.1, 0.2])[:, None], n=3).density.shape == (2, 3)


def test_moments_against_integration():
    """E x, E x², Var x of a uniform value with probability 0.3, by the midpoint rule."""
    u = (np.arange(100_000) + 0.5) / 100_000
    features = Features(0.3, n=1)
    assert features.mean[0] == pytest.approx(0.3 * u.mean(), rel=1e-9)
    assert features.mean_square[0] == pytest.approx(0.3 * (u**2).mean(), rel=1e-9)
    assert features.variance[0] == pytest.approx(0.3 * (u**2).mean() - (0.3 * u.mean()) ** 2, rel=1e-9)


@pytest.mark.parametrize(
    ("density", "importance", "n", "words"),
    [
        (0.0, 1.0, 2, r"density must be in \(0, 1\].*got 0"),
        (1.5, 1.0, 2, "got 1.5"),
        ([0.1, -0.2], 1.0, None, "got -0.2"),
        (float("nan"), 1.0, 2, "density must be finite, got nan"),
        (0.1, [1.0, -1.0], None, "importance must be positive.*got -1"),
        (0.1, float("inf"), 2, "importance must be finite"),
        (0.1, 1.0, None, "n is needed"),
        ([0.1, 0.2], [1.0, 1.0, 1.0], None, "do not fit"),
        ([0.1, 0.2], 1.0, 3, "do not fit"),
        (0.1, 1.0, 0, "n must be an integer >= 1, got 0"),
        (0.1, 1.0, 2.5, "n must be an integer >= 1, got 2.5"),
        ([], 1.0, None, "at least one feature"),
        ("dense", 1.0, 2, "density must be a number"),
    ],
)
def test_bad_features_are_named(density, importance, n, words):
    with pytest.raises(InputError, match=words):
        Features(density, importance, n)


VALUES = [UNIFORM, CONSTANT, beta_values(2, 2), beta_values(1, 4)]


@pytest.mark.parametrize("values", VALUES, ids=lambda v: v.name)
def test_moments_of_values_against_integration(values):
    """By the midpoint rule on 100,000 points, right to 1e-10 of the density's second derivative."""
    u = (np.arange(100_000) + 0.5) / 100_000
    density = np.polynomial.Polynomial(values.coefficients or [0])(u)
    assert values.atom + density.mean() == pytest.approx(1, abs=1e-9)
    assert (density >= 0).all()
    features = Features(0.3, n=1, values=values)
    assert features.mean[0] == pytest.approx(0.3 * (values.atom + (density * u).mean()), abs=1e-9)
    assert features.mean_square[0] == pytest.approx(0.3 * (values.atom + (density * u**2).mean()), abs=1e-9)
    assert features.variance[0] == pytest.approx(features.mean_square[0] - features.mean[0] ** 2, rel=1e-14)


def chance(features, active):
    """Probability that just the features of `active` (0 or 1 each) are on, from the words of the docstrings."""
    out = 1.0
    for group in features.law.groups:
        p, on = features.density[list(group)], [active[j] for j in group]
        if features.law.kind == "correlated":
            out *= {0: 1 - p[0], len(group): p[0]}.get(sum(on), 0.0)
        elif features.law.kind == "anticorrelated":
            out *= {0: 1 - p.sum(), 1: p @ on}.get(sum(on), 0.0)
        else:
            out *= p[0] if on[0] else 1 - p[0]
    return out


@pytest.mark.parametrize("values", VALUES, ids=lambda v: v.name)
@pytest.mark.parametrize(
    ("kind", "density", "size"),
    [
        ("correlated", [0.3, 0.3, 0.6, 0.2, 0.2], (2, 1, 2)),
        ("anticorrelated", [0.3, 0.1, 0.6, 0.5, 0.5], (2, 1, 2)),
        ("anticorrelated", [0.125, 0.25, 0.125, 0.25, 0.25], 5),
    ],
)
def test_covariance_against_every_set_of_active_features(kind, density, size, values):
    """Catches p² in the place of p within a correlated group, and a group's own covariance that leaks into the next."""
    features = getattr(Features, kind)(density, size=size, values=values)
    one, two = float(values.moment(1)), float(values.moment(2))
    mean, square, total = np.zeros(5), np.zeros((5, 5)), 0.0
    for active in product((0, 1), repeat=5):
        p, on = chance(features, active), np.array(active)
        total += p
        mean += p * one * on
        square += p * (one**2 * np.outer(on, on) + (two - one**2) * np.diag(on))
    assert total == pytest.approx(1, abs=1e-15)
    np.testing.assert_allclose(features.mean, mean, atol=1e-15)
    np.testing.assert_allclose(features.covariance, square - np.outer(mean, mean), atol=1e-15)
    independent = Features(density, values=values)
    assert np.abs(independent.covariance - features.covariance).max() > 1e-3
    np.testing.assert_allclose(np.diagonal(features.covariance), independent.variance, atol=1e-15)


def test_groups_have_the_sizes_given():
    assert [list(g) for g in Features.correlated(0.1, n=5, size=[2, 3]).law.groups] == [[0, 1], [2, 3, 4]]
    assert Features.anticorrelated(0.1, n=6).law.sizes == (2, 2, 2)
    assert Features.correlated(0.1, n=6, size=np.int64(3)).law.sizes == (3, 3)
    assert Features.anticorrelated(np.full((7, 4), 0.1), size=4).covariance.shape == (7, 4, 4)


@pytest.mark.parametrize("make", [Features.correlated, Features.anticorrelated])
def test_groups_of_one_are_independent_features(make):
    density = [0.3, 1.0, 0.2]
    for size in (1, (1, 1, 1)):
        assert make(density, size=size, values=CONSTANT).law == Features(density, values=CONSTANT).law
    assert make(0.3, n=2, size=2).law != Features(0.3, n=2).law


def test_densities_of_a_group_may_add_up_to_one_in_floats():
    """Ten floats 0.1 and a third three times: off by rounding only, which is allowed; a density more is not."""
    for density, n in ((0.1, 10), (1 / 3, 3), (0.7 / 7, 10)):
        assert Features.anticorrelated(density, n=n, size=n).n == n
    with pytest.raises(InputError, match="add up to at most 1"):
        Features.anticorrelated(0.1 + 1e-9, n=10, size=10)


def test_features_say_what_they_are():
    assert "law" not in repr(Features(0.1, n=2))
    assert "correlated" in repr(Features.correlated(0.1, n=2))
    assert "beta(2, 2)" in repr(Features(0.1, n=2, values=beta_values(2, 2)))


@pytest.mark.parametrize(
    ("make", "change", "words"),
    [
        (Features, {"values": "gaussian"}, r"values must be UNIFORM, CONSTANT or beta_values\(.*\), got 'gaussian'"),
        (Features.correlated, {"values": "gaussian"}, "values must be UNIFORM, .* got 'gaussian'"),
        (Features.anticorrelated, {"values": None}, "values must be UNIFORM, .* got None"),
        (
            Features.correlated,
            {"density": [0.1, 0.2, 0.3, 0.3]},
            r"density must be equal within .* \[0.1, 0.2\] for features 0 to 1",
        ),
        (
            Features.correlated,
            {"density": [[0.1] * 4, [0.1, 0.1, 0.2, 0.3]]},
            "density must be equal within .* for features 2 to 3",
        ),
        (
            Features.anticorrelated,
            {"density": 0.6},
            r"density must add up to at most 1 within .* got 1.2 for features 0 to 1",
        ),
        (
            Features.anticorrelated,
            {"density": [0.1, 0.1, 0.7, 0.4]},
            r"add up to at most 1 .* got 1.1 for features 2 to 3",
        ),
        (Features.correlated, {"size": 3}, "size must divide the number of features, got size = 3 for n = 4"),
        (Features.anticorrelated, {"size": 5}, "size must divide the number of features, got size = 5 for n = 4"),
        (Features.correlated, {"size": (1, 2)}, r"size must add up to the number of features, got \[1, 2\] for n = 4"),
        (Features.anticorrelated, {"size": []}, r"size must add up to the number of features, got \[\] for n = 4"),
        (Features.correlated, {"size": 0}, "size must be an integer >= 1, got 0"),
        (Features.correlated, {"size": (4, 0)}, "size must be an integer >= 1, got 0"),
        (Features.correlated, {"size": (2.0, 2.0)}, "size must be an integer >= 1, got 2.0"),
        (Features.correlated, {"size": True}, "size must be an integer >= 1, got True"),
        (Features.correlated, {"density": 1.5}, r"density must be in \(0, 1\]"),
        (Features.anticorrelated, {"density": float("nan")}, "density must be finite, got nan"),
        (Features.anticorrelated, {"importance": -1.0}, "importance must be positive"),
    ],
)
def test_bad_groups_are_named(make, change, words):
    with pytest.raises(InputError, match=words):
        make(**{"density": 0.1, "n": 4} | change)


@pytest.mark.parametrize(
    ("alpha", "beta", "words"),
    [
        (0, 1, "alpha must be an integer >= 1, got 0"),
        (1, 0.5, "beta must be an integer >= 1, got 0.5"),
        (5, 4, r"alpha \+ beta must be at most 8, got 5 \+ 4"),
    ],
)
def test_bad_beta_values_are_named(alpha, beta, words):
    with pytest.raises(InputError, match=words):
        beta_values(alpha, beta)


def test_beta_values_of_one_and_one_are_uniform():
    assert beta_values(1, 1) is UNIFORM
    assert beta_values(7, 1) == Values("beta(7, 1)", 0, (0,) * 6 + (7,))
    # E V^k of a Beta law: Π (α + i)/(α + β + i).
    assert beta_values(3, 2).moment(2) == Fraction(3, 5) * Fraction(4, 6)
