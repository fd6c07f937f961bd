"""Geometry, polytopes, packings and the optimum of small models."""

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from tegum.theory import (
    Features,
    InputError,
    describe_geometry,
    dimensions_per_feature,
    exact_dimensionality,
    expected_loss,
    feature_dimensionality,
    loss_curves,
    optimal_model,
    packings,
    polytope,
    tegum_product,
)
from tegum.theory._polytopes import POLYTOPES

HALF, THIRD2, QUARTER3 = sympy.Rational(1, 2), sympy.Rational(2, 3), sympy.Rational(3, 4)
TABLE = {
    "digon": [HALF] * 2,
    "triangle": [THIRD2] * 3,
    "tetrahedron": [QUARTER3] * 4,
    "square": [HALF] * 4,
    "pentagon": [sympy.Rational(2, 5)] * 5,
    "hexagon": [sympy.Rational(1, 3)] * 6,
    "octahedron": [HALF] * 6,
    "triangular bipyramid": [THIRD2] * 3 + [HALF] * 2,
    "square antiprism": [sympy.Rational(3, 8)] * 8,
    "rectified 5-cell": [sympy.Rational(2, 5)] * 10,
    "icosahedron": [sympy.Rational(1, 4)] * 12,
    "5-demicube": [sympy.Rational(5, 16)] * 16,
    "2_21 polytope": [sympy.Rational(2, 9)] * 27,
}


@pytest.mark.parametrize("name", POLYTOPES)
def test_polytopes_and_their_dimensionality(name):
    vertices = polytope(name)
    assert all(sympy.simplify((vertices.col(i).T * vertices.col(i))[0] - 1) == 0 for i in range(vertices.shape[1]))
    assert exact_dimensionality(vertices) == TABLE[name]
    floats = feature_dimensionality(np.array(vertices.evalf(), dtype=float))
    assert np.allclose(floats, np.array(TABLE[name], dtype=float), rtol=0, atol=1e-14)


@given(st.integers(1, 4), st.integers(1, 7), st.integers(0, 10_000), st.floats(1e-150, 1e150))
def test_dimensionality_is_invariant_and_bounded(m, n, seed, size):
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((m, n))
    d = feature_dimensionality(w)
    turn = np.linalg.qr(rng.standard_normal((m, m)))[0]
    assert np.allclose(feature_dimensionality(size * turn @ w), d, rtol=1e-10)
    assert ((d >= 0) & (d <= 1 + 1e-12)).all()
    assert d.sum() <= np.linalg.matrix_rank(w) + 1e-9


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.integers(0, 10_000))
def test_dimensionality_of_a_tegum_product(m, n1, n2, seed):
    rng = np.random.default_rng(seed)
    one, two = rng.standard_normal((m, n1)), rng.standard_normal((2, n2))
    product = np.array(tegum_product(sympy.Matrix(one), sympy.Matrix(two)), dtype=float)
    parts = np.concatenate([feature_dimensionality(one), feature_dimensionality(two)])
    assert np.allclose(feature_dimensionality(product), parts, rtol=1e-12)


def test_dimensions_per_feature_of_stacked_instances():
    w = np.stack([np.eye(2), 2 * np.eye(2)])
    assert dimensions_per_feature(w).tolist() == [1.0, 0.25]
    with pytest.raises(InputError, match="all zero"):
        dimensions_per_feature(np.zeros((2, 3)))
    with pytest.raises(InputError, match="shape"):
        feature_dimensionality([1.0, 2.0])


@pytest.mark.parametrize("name", sorted(set(TABLE) - {"square", "octahedron", "triangular bipyramid"}))
def test_geometry_of_planted_blocks_under_noise(name):
    w = np.array(polytope(name).evalf(), dtype=float)
    noisy = w + 0.03 * np.random.default_rng(0).standard_normal(w.shape)
    assert describe_geometry(noisy) == f"1 {name}"


def angles(*degrees):
    turn = np.radians(degrees)
    return np.array([np.cos(turn), np.sin(turn)])


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        # Parallel features are no digon, five of six vertices no pentagon, two features at 120° no triangle.
        ([[1.0, 1.0]], "1 (2, 1) block"),
        (angles(0, 60, 120, 180, 240), "1 (5, 2) block"),
        (angles(0, 72, 144, 216, 288), "1 pentagon"),
        (angles(0, 120), "1 (2, 2) block"),
        # Blocks askew are blocks: |cos| is 0.21 at 78°, 0.34 at 70°.
        (angles(0, 180, 78, 258), "2 digons"),
        (angles(0, 180, 70, 250), "1 (4, 2) block"),
        # The cosines of nine vertices of a simplex are 1/8.
        (np.eye(9) - 1 / 9, "1 8-simplex"),
        (np.kron(np.eye(2), np.eye(6) - 1 / 6), "2 5-simplices"),
        (np.zeros((2, 3)), "3 dropped"),
        ([[1.0, -1.0, 0, 0, 0.5], [0, 0, 2.0, -2.0, 0]], "1 digon, 3 dropped"),
        ([[1.0, -1.0, 0, 0, 0.5], [0, 0, 1.9, -1.9, 0]], "2 digons, 1 dropped"),
    ],
)
def test_geometry_words(weights, words):
    assert describe_geometry(weights) == words


def test_geometry_of_products():
    """In the order of their sizes; the square and the octahedron are digons."""
    parts = [polytope(name) for name in ("triangle", "hexagon", "square", "digon", "triangle")]
    w = np.array(tegum_product(*parts).evalf(), dtype=float)
    assert describe_geometry(np.concatenate([w, np.zeros((len(w), 1))], 1)) == (
        "3 digons, 2 triangles, 1 hexagon, 1 dropped"
    )
    assert describe_geometry(np.array(polytope("octahedron").evalf(), dtype=float)) == "3 digons"
    with pytest.raises(InputError, match="one model"):
        describe_geometry(np.zeros((2, 2, 3)))


def test_packings_fill_the_dimensions():
    for n, m in ((2, 1), (5, 2), (6, 3)):
        for packing in packings(n, m):
            assert packing.features <= n
            assert packing.dimensions == m or packing.features == n
    assert "digon + digon + digon" in [p.name for p in packings(6, 3)]


def test_packing_assignments_up_to_symmetry():
    counts = {p.name: len(list(p.assignments())) for p in packings(5, 2)}
    assert counts == {
        "dedicated + dedicated": 1,
        "dedicated + digon": 3,
        "digon + digon": 3,
        "triangle": 1,
        "pentagon": 12,
    }


@pytest.mark.slow
def test_loss_curves_are_attained_and_not_above_fixed_packings():
    """Every packing's loss is at most that of its unit block with zero bias, and not below the general optimum."""
    importance = 0.9 ** np.arange(4)
    p = np.array([0.1, 0.5])
    curves = loss_curves(Features(1.0, importance), 2, p)
    for packing, loss in zip(curves.packings, curves.loss, strict=True):
        w = packing.weights(range(packing.features), 2, 4)
        fixed = expected_loss(w, np.where(w.any(0), 0, p[:, None] / 2), Features(p[:, None], importance))
        assert (loss <= fixed + 1e-12).all()
    for k in range(2):
        best = optimal_model(Features(p[k], importance), 2, restarts=8)
        assert best.loss <= curves.loss[:, k].min() + 1e-10


@pytest.mark.slow
def test_crossing_of_pentagon_and_digons():
    curves = loss_curves(Features(1.0, n=5), 2, np.geomspace(0.05, 0.4, 8))
    (crossing,) = curves.crossings
    assert (crossing.below, crossing.above) == ("pentagon", "digon + digon")
    names = [p.name for p in curves.packings]
    low, high = (loss_curves(Features(1.0, n=5), 2, [crossing.density * f]).loss[:, 0] for f in (1 - 1e-4, 1 + 1e-4))
    assert low[names.index("pentagon")] < low[names.index("digon + digon")]
    assert high[names.index("pentagon")] > high[names.index("digon + digon")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sparsity", "geometry", "loss"),
    [(0.0, "2 dedicated, 3 dropped", 0.182925), (0.8, "2 digons, 1 dropped", 0.05983710), (0.9, "1 pentagon", None)],
)
def test_optimum_of_five_features_in_two_dimensions(sparsity, geometry, loss):
    best = optimal_model(Features(1 - sparsity, 0.9 ** np.arange(5)), 2, restarts=16)
    assert best.geometry == geometry
    assert best.slope < 1e-6
    if loss is not None:
        assert best.loss == pytest.approx(loss, abs=5e-9)


def test_optimum_is_deterministic_and_checked():
    one, two = (optimal_model(Features(0.3, n=2), 1, restarts=3, seed=5) for _ in range(2))
    assert one.loss == two.loss
    assert np.array_equal(one.weights, two.weights)
    with pytest.raises(InputError, match="single instance"):
        optimal_model(Features(np.ones((2, 2))), 1)
    with pytest.raises(InputError, match="m must be an integer >= 1, got 0"):
        optimal_model(Features(0.3, n=2), 0)
    with pytest.raises(InputError, match="increasing"):
        loss_curves(Features(0.3, n=2), 1, [0.5, 0.1])
    with pytest.raises(InputError, match="polytope must be one of"):
        polytope("blob")
