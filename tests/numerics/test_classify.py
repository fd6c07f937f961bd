"""Classified geometry: planted blocks are found, and what is no polytope is not called one."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tegum.numerics import _classify
from tegum.numerics._classify import classify_geometry
from tegum.theory import Features, InputError, describe_geometry, optimal_model, polytope
from tegum.theory._blocks import LINK, _split
from tegum.theory._shapes import FIGURES, REGULAR, _aligned, _figure, _places, sine


def simplex(k):
    return realised((k * np.eye(k) - 1) / (k - 1), k - 1)


def polygon(k):
    turn = 2 * np.pi * np.arange(k) / k
    return np.array([np.cos(turn), np.sin(turn)])


def realised(gram, d):
    """Vectors (d, k) with this Gram matrix of rank d."""
    value, vector = np.linalg.eigh(gram)
    return (vector[:, -d:] * np.sqrt(value[-d:])).T


SHAPES = {
    "dedicated": np.ones((1, 1)),
    "digon": simplex(2),
    "triangle": simplex(3),
    "tetrahedron": simplex(4),
    "5-cell": simplex(5),
    "5-simplex": simplex(6),
    "11-simplex": simplex(12),
    "pentagon": polygon(5),
    "hexagon": polygon(6),
    "heptagon": polygon(7),
    "octagon": polygon(8),
    "9-gon": polygon(9),
} | {name: realised(sum(_figure(name)), d) for (k, d), name in FIGURES.items()}


def tegum(*parts, dropped=0):
    """Blocks in orthogonal subspaces, and zero features."""
    m, n = sum(p.shape[0] for p in parts), sum(p.shape[1] for p in parts) + dropped
    w, row, column = np.zeros((m, n)), 0, 0
    for p in parts:
        w[row : row + p.shape[0], column : column + p.shape[1]] = p
        row, column = row + p.shape[0], column + p.shape[1]
    return w


def turned(w, rng):
    return np.linalg.qr(rng.standard_normal((len(w), len(w))))[0] @ w


@pytest.mark.parametrize("noise", [0.03, 0.05])
@pytest.mark.parametrize("k", [8, 12, 25])
def test_a_noisy_simplex_keeps_its_vertices(k, noise):
    """A large simplex looks like a smaller one and a lone feature; a lone feature beside one is not taken in."""
    rng = np.random.default_rng(k)
    weights = np.zeros((10, k + 1, k + 3))
    weights[:, : k - 1, :k] = simplex(k)
    weights[:, k - 1, k] = weights[:, k, k + 1] = 1
    weights[:, k, k + 2] = -1
    weights = np.linalg.qr(rng.standard_normal((10, k + 1, k + 1)))[0] @ weights
    found = classify_geometry(weights + noise / np.sqrt(k + 1) * rng.standard_normal(weights.shape))
    assert set(found.words) == {f"1 dedicated, 1 digon, 1 {k - 1}-simplex"}


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_is_named_exactly(name):
    d, k = SHAPES[name].shape
    rng = np.random.default_rng(k)
    order = rng.permutation(k + 1)
    w = turned(np.concatenate([tegum(SHAPES[name], dropped=1), np.zeros((2, k + 1))]), rng)[:, order]
    found = classify_geometry(w)
    assert found.words[()] == f"1 {name}, 1 dropped"
    (block,) = found.blocks()
    assert (block.name, block.rank) == (name, d)
    assert block.features == tuple(np.flatnonzero(order < k))
    assert block.symmetry_error < 1e-14
    assert np.allclose(found.dimensionality[order < k], d / k, rtol=0, atol=1e-12)
    kept = order < k
    assert (found.block[kept] == 0).all()
    assert (found.size[kept] == k).all()
    assert (found.block[~kept], found.size[~kept], found.rank[~kept]) == (-1, 0, 0)
    assert found.name[~kept] == "dropped"
    assert np.isnan(found.symmetry_error[~kept])


# Cosines with a vertex and how many of the others have them, as the polytopes are tabulated (Coxeter 1973; Conway and Sloane 1999); those
# of the antiprism follow from its rings of radius √(2/3) at height ±1/√3.
NEIGHBOURS = {
    "square antiprism": {-(2**0.5 + 1) / 3: 2, -1 / 3: 1, (2**0.5 - 1) / 3: 2, 1 / 3: 2},
    "rectified 5-cell": {-2 / 3: 3, 1 / 6: 6},
    "icosahedron": {-1: 1, -(5**-0.5): 5, 5**-0.5: 5},
    "5-demicube": {-3 / 5: 5, 1 / 5: 10},
    "2_21 polytope": {-1 / 2: 10, 1 / 4: 16},
}


@pytest.mark.parametrize(("k", "d"), FIGURES)
def test_figures_are_the_polytopes(k, d):
    """Vertex by vertex the cosines of the books, and a tight frame of its dimension."""
    gram = sum(_figure(FIGURES[k, d]))
    assert gram.shape == (k, k)
    assert np.allclose(gram @ gram, k / d * gram, rtol=0, atol=1e-13)
    for row in gram:
        values, counts = np.unique(np.delete(row, row.argmax()).round(12), return_counts=True)
        expected = sorted(NEIGHBOURS[FIGURES[k, d]].items())
        assert np.allclose(values, [c for c, _ in expected], rtol=0, atol=1e-12)
        assert counts.tolist() == [number for _, number in expected]


NOT_REGULAR = {
    "(2, 1) block": np.ones((1, 2)),
    "(2, 2) block": np.array([[1, 0.5], [0, 3**0.5 / 2]]),
    "(3, 1) block": np.array([[1.0, 1.0, -1.0]]),
    "(3, 2) block": np.array([[1.0, 0.9, 0.5], [0.0, 0.43, -0.86]]),
    "(4, 3) block": np.array([[1, 0.8, 0.8, 0.8], [0, 0.6, -0.3, -0.3], [0, 0, 0.52, -0.52]]),
    # A hexagon short of a vertex, a square with one more of its diagonals, the cube of the antiprism's k and d.
    "(5, 2) block": polygon(6)[:, :5],
    "(6, 2) block": np.concatenate([polygon(4), polygon(8)[:, [1, 5]]], 1),
    "(8, 3) block": np.array([[x, y, z] for x in (1, -1) for y in (1, -1) for z in (1, -1)]).T / 3**0.5,
}


@pytest.mark.parametrize("name", NOT_REGULAR)
def test_what_is_not_regular_has_no_polytopes_name(name):
    found = classify_geometry(turned(NOT_REGULAR[name], np.random.default_rng(0)))
    assert found.words[()] == f"1 {name}"
    assert np.isnan(found.symmetry_error).all()


def test_composites_are_their_factors():
    square, octahedron, bipyramid = (
        np.array(polytope(p).evalf(), dtype=float) for p in ("square", "octahedron", "triangular bipyramid")
    )
    assert classify_geometry(square).words[()] == "2 digons"
    assert classify_geometry(octahedron).words[()] == "3 digons"
    assert classify_geometry(bipyramid).words[()] == "1 digon, 1 triangle"
    mixed = classify_geometry(
        tegum(simplex(5), polygon(5), np.ones((1, 1)), simplex(2), simplex(2), np.ones((1, 2)), dropped=3)
    )
    assert mixed.words[()] == "1 dedicated, 1 (2, 1) block, 2 digons, 1 5-cell, 1 pentagon, 3 dropped"
    assert [b.features[0] for b in mixed.blocks()] == [0, 5, 10, 11, 13, 15]
    assert {name: int(mixed.count(name)) for name in ("digon", "pentagon", "dropped", "triangle")} == {
        "digon": 2,
        "pentagon": 1,
        "dropped": 3,
        "triangle": 0,
    }


def test_simplices_hold_together_by_rank_not_by_cosine():
    """The cosines of an 11-simplex are -1/11, below every tolerance; beside eleven independent features they would be noise."""
    assert (
        classify_geometry(tegum(simplex(12), simplex(6), np.eye(2))).words[()]
        == "2 dedicated, 1 5-simplex, 1 11-simplex"
    )
    # Seven vertices of a 7-simplex do span seven dimensions, if one of them with 1/7 only.
    assert classify_geometry(simplex(8)[:, :7]).words[()] == "7 dedicated"


def test_blocks_that_overlap_a_little_are_blocks():
    """Seven digons in six dimensions overlap, with |cos| < 0.3; seven lone features in six dimensions are not dedicated."""
    rng = np.random.default_rng(3)
    lines = rng.standard_normal((6, 7))
    for _ in range(3000):  # spread them: no two lines are left close
        lines /= np.linalg.norm(lines, axis=0)
        gram = lines.T @ lines - np.eye(7)
        lines -= 0.05 * lines @ (gram * np.abs(gram) ** 6 / np.abs(gram).max() ** 6)
    lines /= np.linalg.norm(lines, axis=0)
    assert np.abs(lines.T @ lines - np.eye(7)).max() < LINK
    assert classify_geometry(np.concatenate([lines, -lines], 1)).words[()] == "7 digons"
    assert "dedicated" not in classify_geometry(lines).words[()]


def test_symmetry_error_is_asine():
    """A digon with norms 1 and 2: <G, P> = 1 + 4 + 2·2, |G| = 5, |P| = 2; and the antiprism of any height is regular."""
    (digon,) = classify_geometry([[1.0, -1.5]]).blocks()
    gram = np.array([[1, -1.5], [-1.5, 2.25]])
    cosine = (gram * [[1, -1], [-1, 1]]).sum() / np.linalg.norm(gram) / 2
    assert digon.symmetry_error == pytest.approx(np.sqrt(1 - cosine**2), rel=1e-12)
    flat = SHAPES["square antiprism"]
    tall = realised(sum(s * p for s, p in zip((0.9, 1.2), _figure("square antiprism"), strict=True)), 3)
    for w in (flat, tall):
        assert classify_geometry(w).words[()] == "1 square antiprism"
        assert classify_geometry(w).symmetry_error.max() < 1e-14


def test_unequal_importances_leave_a_pentagon_with_an_error():
    best = optimal_model(Features(0.1, 0.9 ** np.arange(5)), 2, restarts=3)
    (block,) = classify_geometry(best.weights).blocks()
    assert block.name == "pentagon"
    assert 0.02 < block.symmetry_error < 0.06
    equal = optimal_model(Features(0.1, n=5), 2, restarts=3)
    assert classify_geometry(equal.weights).symmetry_error.max() < 1e-5


@settings(max_examples=25)
@given(
    st.integers(0, 10_000), st.lists(st.sampled_from(sorted(SHAPES)), min_size=1, max_size=3), st.floats(1e-100, 1e100)
)
def test_invariance(seed, names, size):
    """Turned, scaled and permuted models have the same blocks, permuted; nothing else in the batch matters."""
    rng = np.random.default_rng(seed)
    w = tegum(*(SHAPES[name] for name in names if name != "2_21 polytope"), np.ones((1, 1)), dropped=1)
    w += 0.03 / np.sqrt(len(w)) * rng.standard_normal(w.shape)
    order = rng.permutation(w.shape[1])
    plain, other = classify_geometry(w), classify_geometry(size * turned(w, rng)[:, order])
    assert plain.words[()] == other.words[()]
    for field in ("size", "rank", "name"):
        assert (getattr(plain, field)[order] == getattr(other, field)).all()
    same = plain.block[:, None] == plain.block
    assert (same[np.ix_(order, order)] == (other.block[:, None] == other.block)).all()
    assert np.allclose(plain.symmetry_error[order], other.symmetry_error, rtol=1e-8, atol=1e-12, equal_nan=True)
    batch = classify_geometry(np.stack([rng.standard_normal(w.shape), w, np.zeros_like(w)])[:, None])
    assert batch.words.shape == (3, 1)
    assert batch.words[1, 0] == plain.words[()]
    assert np.array_equal(batch.symmetry_error[1, 0], plain.symmetry_error, equal_nan=True)
    assert batch.blocks(1, 0) == plain.blocks()
    assert batch.blocks(2, 0) == ()


@pytest.mark.parametrize("k", [5, 6, 7])
def test_order_of_angles_is_the_best_labelling_of_a_polygon(k):
    """Against all labellings, wherever the tolerance lets a polygon have its name; and it is no rule for points anywhere."""
    rng = np.random.default_rng(k)
    regular = polygon(k).T @ polygon(k)
    labellings = [list(order) for order in permutations(range(k)) if order[0] == 0]
    every = np.stack([regular[np.ix_(order, order)] for order in labellings])
    near = 0
    for spread in np.linspace(0, 1.5, 40):
        turn = 2 * np.pi * np.arange(k) / k + spread / k * 3 * rng.standard_normal(k)
        v = np.array([np.cos(turn), np.sin(turn)])[:, rng.permutation(k)]
        cosines = v.T @ v
        best = sine(np.broadcast_to(cosines, every.shape), every).min()
        found = sine(cosines[None], _aligned(cosines[None], 2))[0]
        assert found >= best - 1e-12
        if best <= REGULAR:
            near += 1
            assert found == pytest.approx(best, abs=1e-12)
    assert 5 < near < 40


def test_labelling_of_the_antiprism_against_all():
    rng = np.random.default_rng(8)
    figure = sum(_figure("square antiprism"))
    rows = np.array([(0, *order) for order in permutations(range(1, 8))])
    every = figure[rows[:, :, None], rows[:, None, :]]
    outcomes = set()
    for noise in (0.0, 0.1, 0.15, 0.2, 0.2, 0.25, 0.3):
        v = SHAPES["square antiprism"] + noise / 3**0.5 * rng.standard_normal((3, 8))
        v = (v / np.linalg.norm(v, axis=0))[:, rng.permutation(8)]
        cosines = v.T @ v
        best = sine(np.broadcast_to(cosines, every.shape), every).min()
        places = _places(cosines, figure)
        outcomes.add(places is None)
        assert (places is None) == (best > REGULAR)
        if places is not None:
            assert sine(cosines[None], figure[np.ix_(places, places)][None])[0] == pytest.approx(best, abs=1e-12)
    assert outcomes == {True, False}


def planted(rng, noise):
    """Weights of a random product of shapes with uneven norms, noise and a dropped feature, and the words for it."""
    names = ["dedicated", "digon", "triangle", "tetrahedron", "pentagon", "square antiprism"]
    chosen = [names[i] for i in rng.integers(len(names), size=3)]
    w = tegum(*(SHAPES[name] * rng.normal(1, 0.05, SHAPES[name].shape[1]) for name in chosen), dropped=1)
    words = classify_geometry(w).words[()]
    return turned(w, rng) + noise / np.sqrt(len(w)) * rng.standard_normal(w.shape), words


@pytest.mark.parametrize(("noise", "least", "most"), [(0.02, 1.0, 1.0), (0.1, 0.95, 1.0), (0.6, 0.0, 0.2)])
def test_planted_geometries_under_noise(noise, least, most):
    """Every model in 50 is right at 2 % of noise; at 60 % nothing is left to find, so that the count means something."""
    rng = np.random.default_rng(0)
    models = [planted(rng, noise) for _ in range(50)]
    right = np.mean([classify_geometry(w).words[()] == words for w, words in models])
    assert least <= right <= most


def test_cutting_a_model_finds_what_its_links_show():
    """Two ways to the blocks: components of strong links, and cuts of the tree, which only models in doubt need."""
    rng = np.random.default_rng(5)
    for _ in range(30):
        w = planted(rng, 0.05)[0]
        blocks = {b.features for b in classify_geometry(w).blocks()}
        kept = np.flatnonzero(classify_geometry(w).size)
        parts = _split(w / np.linalg.norm(w, axis=0), kept)
        assert {tuple(sorted(part.tolist())) for part in parts} == blocks


def test_batches_are_named_as_single_models_are(monkeypatch):
    """In words of `describe_geometry`, in whatever portions the batch is worked off."""
    weights = np.random.default_rng(9).standard_normal((4, 50, 2, 5))
    words = [[describe_geometry(w) for w in row] for row in weights]
    assert len(set(words[0])) > 3
    monkeypatch.setattr(_classify, "ENTRIES", 7 * 25)
    assert classify_geometry(weights).words.tolist() == words


@pytest.mark.slow
def test_trained_models_are_pentagons():
    from tegum.numerics._train import train

    weights = train(Features(0.1, n=5), 2, steps=400, replicas=16, batch=128, learning_rate=0.02).weights
    assert set(classify_geometry(weights).words) >= {"1 pentagon"}


@pytest.mark.slow
@pytest.mark.parametrize(("n", "m", "name"), [(8, 3, "square antiprism"), (10, 4, "rectified 5-cell")])
def test_figures_are_what_the_exact_loss_wants(n, m, name):
    from tegum.numerics._train import train

    weights, _, _ = train(Features(0.05, n=n), m, loss="exact", optimiser="bfgs", replicas=8, steps=500).best()
    (block,) = classify_geometry(weights).blocks()
    assert block.name == name
    assert block.symmetry_error < 1e-3


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, 2.0], r"weights must have shape \(\.\.\., m, n\) with m, n >= 1, got \(2,\)"),
        (np.zeros((2, 0)), r"got \(2, 0\)"),
        ([[1.0, np.nan]], "weights must be finite, got nan"),
        ([[1.0, np.inf]], "weights must be finite, got inf"),
        ([[1.0], [1.0, 2.0]], "rectangular array"),
        (np.array([[1j, 1.0]]), "weights must be real, got complex numbers"),
    ],
)
def test_bad_input(weights, message):
    with pytest.raises(InputError, match=message):
        classify_geometry(weights)


def test_empty_batch_and_indices():
    assert classify_geometry(np.zeros((0, 3, 2, 4))).words.shape == (0, 3)
    batch = classify_geometry(np.zeros((2, 2, 4)))
    assert batch.words.tolist() == ["4 dropped"] * 2
    with pytest.raises(InputError, match=r"model must be 1 indices for models \(2,\), got \(\)"):
        batch.blocks()
