"""Features: shapes and ranges."""

import numpy as np
import pytest

from tegum.theory import Features, InputError


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
