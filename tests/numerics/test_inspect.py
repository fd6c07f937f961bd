"""Inspection: exact losses, the excess and its two factors, phases, and what happens where the search is beaten."""

import json

import numpy as np
import pytest
import torch

from tegum.numerics import _inspect
from tegum.numerics._inspect import _settled, inspect_models
from tegum.numerics._instances import flatten
from tegum.numerics._model_file import Models, load_models
from tegum.theory import (
    CONSTANT,
    Features,
    InputError,
    Optimum,
    expected_loss,
    loss_and_gradient,
    optimal_model,
    phase_boundary,
    spinodal,
)

DIGON = 0.0033194839904525375  # optimal loss of two equal features of density 0.1 in one dimension


def pair_features(p, ratio):
    """Features (..., 2) with importances (1, ratio)."""
    return Features(np.asarray(p)[..., None], np.stack(np.broadcast_arrays(1.0, ratio), -1), n=2)


def test_loss_of_the_antipodal_pair_in_closed_form():
    """(1 + I) p²/6 for W = (1, -1), b = 0: one model on a grid of features."""
    p, ratio = np.array([[0.1], [1.0]]), np.array([0.1, 1.0, 3.0])
    found = inspect_models(Models([[1.0, -1.0]]), pair_features(np.broadcast_to(p, (2, 3)), ratio), search=False)
    assert np.allclose(found.loss, (1 + ratio) * p**2 / 6, rtol=1e-13, atol=0)
    assert np.allclose(found.ignored, (1 + ratio) * (p / 3 - p**2 / 4), rtol=1e-13, atol=0)
    assert set(found.phase.ravel()) == {"antipodal"}
    assert found.cosine.min() == 1


def test_excess_over_the_known_optimum():
    found = inspect_models(Models([[1.0, -1.0]]), Features(0.1, n=2))
    assert np.isclose(found.excess, 1 / 300 / DIGON - 1, rtol=1e-6)
    assert np.isclose(found.unsettled, found.excess, rtol=1e-6)
    assert abs(found.trapped) < 1e-9
    assert not found.missed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "m", "features"),
    [
        (2, 1, Features(0.3, [1.0, 0.4])),
        (2, 1, Features([0.3, 0.2], [1.0, 0.4])),
        (4, 2, Features(0.2, 0.8 ** np.arange(4))),
        (4, 2, Features.correlated(0.2, n=4)),
        (3, 2, Features(0.2, n=3, values=CONSTANT)),
    ],
    ids=["pair", "unlike pair", "independent", "correlated", "constant"],
)
def test_excess_is_never_negative_and_splits(n, m, features):
    """Into what the model lacks to its minimum and that to the optimum; a model at the optimum lacks nothing."""
    rng = np.random.default_rng(n)
    best = optimal_model(features, m, restarts=4)
    weights = np.concatenate([0.7 * rng.standard_normal((8, m, n)), best.weights[None]])
    bias = np.concatenate([0.1 * rng.standard_normal((8, n)), best.bias[None]])
    found = inspect_models(Models(weights, bias), features, restarts=4)
    assert np.array_equal(found.loss, expected_loss(weights, bias, features))
    assert (found.excess[:8] > 1e-3).all()
    assert np.allclose((1 + found.unsettled) * (1 + found.trapped), 1 + found.excess, rtol=1e-12)
    assert min(found.excess.min(), found.unsettled.min(), found.trapped.min()) >= 0
    assert (found.nearest <= found.loss).all()
    assert found.excess[8] < 1e-7
    assert found.agrees[8]
    # Rotations, and exchanging all features with all else, change nothing.
    turn, order = np.linalg.qr(rng.standard_normal((m, m)))[0], rng.permutation(n)
    if features.law.kind == "independent":
        other = Features(features.density[order], features.importance[order], values=features.law.values)
        again = inspect_models(Models((turn @ weights)[..., order], bias[:, order]), other, restarts=4)
        assert np.allclose(again.loss, found.loss, rtol=1e-12)
        assert np.allclose(again.optimum, found.optimum, rtol=1e-6)
        assert again.geometry.tolist() == found.geometry.tolist()


def test_phases_of_pairs_and_hysteresis():
    """A model that stores feature 1 only, below and above the boundary, and beyond the spinodal, where it is no minimum."""
    p = 0.1
    edge = phase_boundary(p)
    low, high = edge.spinodals
    assert low < edge.importance < high < 1
    ratio = np.array([low * 0.9, np.sqrt(low * edge.importance), edge.importance * 1.01, high * 0.99, high * 1.01])
    found = inspect_models(Models([[1.0, 0.0]], [0.0, p / 2]), pair_features(np.full(5, p), ratio))
    assert found.phase.tolist() == ["only 1"] * 5
    assert found.optimum_phase.tolist() == ["only 1"] * 2 + ["antipodal"] * 3
    assert found.agrees.tolist() == [True] * 2 + [False] * 3
    assert found.hysteresis.tolist() == [False, True, True, True, False]
    assert np.allclose(found.boundary, edge.importance)
    assert np.allclose(high, spinodal(p))
    assert np.allclose(found.excess[:2], 0, atol=1e-9)
    assert np.allclose(found.nearest[:4], ratio[:4] * (p / 3 - p**2 / 4), rtol=1e-9)  # trapped while it is a minimum
    assert (found.trapped[2:4] > 1e-3).all()
    assert found.trapped[4] < 1e-9
    assert found.unsettled[4] > 1e-3


@pytest.mark.slow
def test_pairs_with_features_exchanged():
    """Importances (1, I) and (I, 1) c, features exchanged: losses times c, the same ratio and boundary, phases exchanged."""
    weights, bias = np.array([[[0.9, 0.05]], [[1.0, -0.4]], [[1.0, -1.0]]]), np.array([[0.0, 0.05]] * 3)
    one = inspect_models(Models(weights, bias), Features(0.2, [1.0, 0.06]))
    two = inspect_models(Models(weights[..., ::-1], bias[:, ::-1]), Features(0.2, [0.6, 10.0]))
    for name in ("loss", "nearest", "search", "optimum"):
        assert np.allclose(10 * getattr(one, name), getattr(two, name), rtol=1e-8)
    for name in ("ratio", "boundary", "hysteresis"):
        assert np.allclose(getattr(one, name), getattr(two, name))
    assert one.phase.tolist() == ["only 1", "weak", "antipodal"]
    assert two.phase.tolist() == ["only 2", "weak", "antipodal"]
    assert one.optimum_phase[0].replace("1", "2") == two.optimum_phase[0]


def test_unlike_densities_are_searched_like_any_features():
    """The phase diagram is for equal densities: else the optimum is searched for, and phases are geometries."""
    features = Features([0.1, 0.3], [1.0, 0.4])
    found = inspect_models(Models([[1.0, -1.0]]), features, restarts=4)
    assert np.isclose(found.search, optimal_model(features, 1, restarts=4).loss, rtol=1e-9)
    assert found.phase == found.geometry == "1 digon"
    assert np.isnan(found.boundary)


@pytest.mark.parametrize("transposed", [False, True])
def test_a_notebook_of_optimal_models_has_no_excess(transposed, tmp_path):
    """W (instances, n, m) or its transpose in float32, from torch: pentagon and digons, each on its own density."""
    density = [0.05, 0.2]
    best = [optimal_model(Features(p, n=5), 2, restarts=4) for p in density]
    w = torch.tensor(np.array([x.weights.T for x in best]), dtype=torch.float32)
    b = torch.tensor(np.array([x.bias for x in best]), dtype=torch.float32)
    torch.save({"W": w.mT.clone() if transposed else w, "b_final": b}, tmp_path / "toy.pt")
    found = inspect_models(load_models(tmp_path / "toy.pt"), Features(np.array(density)[:, None], n=5))
    assert found.geometry.tolist() == found.optimum_phase.tolist() == [x.geometry for x in best]
    assert np.allclose(found.optimum, [x.loss for x in best], rtol=1e-9)
    assert (found.excess < 1e-9).all()
    assert "pentagon" in found.geometry[0]
    # The wrong way round is another model: the check can fail.
    wrong = Models(w.mT.double().numpy()[..., ::-1, ::-1] @ np.diag([1, 1, 1, -1, 1]), b.double().numpy())
    assert (inspect_models(wrong, Features(np.array(density)[:, None], n=5)).excess > 1e-3).all()


def poor(features, m, *, restarts):
    """What a search that finds only the first feature would return."""
    w, b = np.eye(m, features.n), features.mean.copy()
    b[:m] = 0
    loss = float(expected_loss(w, b, features))
    return Optimum(loss, w, b, "poor", 1, 1, 0.0, None, features)


def test_a_search_that_is_beaten_is_corrected_and_said_so(monkeypatch):
    """Two models on the same features: the better one leads to the pentagon, which becomes the optimum for both."""
    features = Features(0.05, n=5)
    best = optimal_model(features, 2, restarts=4)
    good, bad = best.weights * 1.01, np.eye(2, 5)
    honest = inspect_models(Models([good, bad], [best.bias, best.bias]), features)
    monkeypatch.setattr(_inspect, "optimal_model", poor)
    found = inspect_models(Models([good, bad], [best.bias, best.bias]), features)
    assert not honest.missed.any()
    assert found.missed.all()
    assert (found.search > 2 * found.optimum).all()
    assert np.allclose(found.optimum, best.loss, rtol=1e-9)
    assert np.allclose(found.excess, honest.excess, rtol=1e-6)
    assert found.optimum_geometry.tolist() == [best.geometry] * 2
    assert [row["missed"] for row in found.rows()] == [True, True]


def test_each_distinct_features_is_searched_once(monkeypatch):
    """A thousand models, three features, in any order and shape."""
    calls = []

    def counted(features, m, *, restarts):
        calls.append(float(features.density[0]))
        return poor(features, m, restarts=restarts)

    monkeypatch.setattr(_inspect, "optimal_model", counted)
    monkeypatch.setattr(_inspect, "_settled", lambda w, b, *_: (w, b, np.ones(len(w), bool)))
    rng = np.random.default_rng(0)
    p = rng.permutation(np.resize([0.3, 0.1, 0.2], 1000)).reshape(20, 50)
    models = Models(rng.standard_normal((20, 50, 2, 3)))
    found = inspect_models(models, Features(p[..., None], n=3))
    assert sorted(calls) == [0.1, 0.2, 0.3]
    assert np.allclose(found.search, p / 3 - p**2 / 4, rtol=1e-12)  # each got its own: one feature ignored
    one = inspect_models(Models(models.weights[3, 7]), Features(p[3, 7], n=3))
    assert np.isclose(one.loss, found.loss[3, 7], rtol=1e-12)


def test_without_search_there_is_loss_and_geometry_only(monkeypatch):
    monkeypatch.setattr(_inspect, "optimal_model", None)  # any use fails
    for n, search in ((5, False), (21, None), (2, False)):
        found = inspect_models(Models(np.eye(1, n)), Features(0.1, n=n), search=search)
        assert np.isclose(found.loss, 0.1 / 3 * (n - 1), rtol=1e-8)
        assert np.isnan(found.nearest)
        assert np.isnan(found.excess) == (n > 2)  # the optimum of a pair needs no search
        assert (found.rows()[0]["agrees"] is None) == (n > 2)
        assert found.rows()[0]["missed"] is found.rows()[0]["converged"] is None
    with pytest.raises(TypeError):
        inspect_models(Models(np.eye(1, 5)), Features(0.1, n=5))


@pytest.mark.slow
@pytest.mark.parametrize(
    "features", [Features(0.1, 0.9 ** np.arange(10)), Features.anticorrelated(0.1, n=10)], ids=lambda f: f.law.kind
)
def test_beyond_exact_sums_descent_ends_at_a_minimum(features):
    """Ten features: the gradient vanishes where the descent ends, and not where it began."""
    rng = np.random.default_rng(1)
    w, b = 0.6 * rng.standard_normal((3, 3, 10)), np.zeros((3, 10))
    flat = flatten(features, (3,))
    end_w, end_b, converged = _settled(w, b, flat, np.zeros(3, bool), lambda _: None)
    assert converged.all()
    unit = (features.importance * features.variance).sum()
    slopes = [
        max(np.abs(loss_and_gradient(x, y, features)[k]).max() / unit for k in (1, 2))
        for x, y in ((w, b), (end_w, end_b))
    ]
    assert slopes[0] > 0.1
    assert slopes[1] < 1e-4
    assert (expected_loss(end_w, end_b, features) < expected_loss(w, b, features)).all()


def test_a_descent_cut_short_says_so(monkeypatch):
    """Three evaluations do not reach a minimum; eight hundred do."""
    models, features = Models(np.random.default_rng(0).standard_normal((2, 4))), Features(0.2, n=4)
    whole = inspect_models(models, features, restarts=4)
    monkeypatch.setattr(_inspect, "EVALUATIONS", 3)
    cut = inspect_models(models, features, restarts=4)
    assert (whole.converged, cut.converged) == (True, False)
    assert whole.nearest < cut.nearest < whole.loss
    assert cut.rows()[0]["converged"] is False


@pytest.mark.parametrize(
    ("weights", "bias", "n", "reached"),
    [
        ([[1.0, 0, 0], [0, 1.0, 0]], 0.0, 3, 1e-6),  # a dropped feature joins another: a digon beside a dedicated one
        (np.zeros((2, 3)), 0.0, 3, 1e-6),
        ([[1.0, 0, 0], [0, 1.0, 0]], [0, 0, -0.5], 3, None),  # a dead output stays dead
    ],
)
def test_a_column_of_zeros_is_no_minimum(weights, bias, n, reached):
    features = Features(0.1, n=n)
    found = inspect_models(Models(weights, bias), features, restarts=4)
    assert found.converged
    if reached is None:
        assert found.nearest == pytest.approx(found.loss, rel=1e-9)
        assert found.loss > 1.5 * found.optimum
    else:
        assert found.nearest == pytest.approx(found.optimum, rel=reached)
        assert found.loss > 1.5 * found.nearest


def test_a_pair_that_stores_nothing_is_in_no_phase():
    features = Features(0.1, [1.0, 0.04])
    row = inspect_models(Models([[0.0, 0.0]]), features).rows()[0]
    assert (row["phase"], row["optimum_phase"], row["agrees"]) == ("2 dropped", "only 1", False)
    tiny = inspect_models(Models([[1e-200, -1e-200]]), features)
    assert tiny.phase == "antipodal"


@pytest.mark.parametrize("p", [1e-3, 7e-5, 1e-5, 1e-7])
def test_sparse_pairs_have_a_phase(p):
    found = inspect_models(Models([[1.0, -1.0]]), Features(p, n=2))
    assert (found.phase, found.optimum_phase) == ("antipodal", "antipodal")
    weak = inspect_models(Models([[1.0, -0.3]]), Features(p, n=2))
    assert weak.phase == "weak"


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_large_and_small_importances_are_inspected(scale):
    """Losses scale with the importances, and nothing else changes."""
    model = Models(np.random.default_rng(0).standard_normal((2, 5)) / 2)
    found, unit = (inspect_models(model, Features(0.1, s * 0.9 ** np.arange(5)), restarts=4) for s in (scale, 1.0))
    assert found.optimum == pytest.approx(scale * unit.optimum, rel=1e-6)
    assert found.geometry == unit.geometry


@pytest.mark.parametrize("importance", [1e-9, 1e6])
def test_optima_of_ten_features_of_any_importance(importance):
    best = optimal_model(Features(0.1, importance, n=10), 2, restarts=1)
    assert best.loss <= importance * 10 * (0.1 / 3 - 0.1**2 / 4) * (1 + 1e-9)


def test_an_optimum_of_zero_has_no_relative_excess():
    """Features that exclude each other share a dimension without loss; with m = n nothing is lost either."""
    for features, weights in (
        (Features.anticorrelated(0.1, n=2), [[1.0, -0.9]]),
        (Features(0.1, n=2), 0.9 * np.eye(2)),
    ):
        row = inspect_models(Models(weights), features).rows()[0]
        assert row["excess"] is row["trapped"] is None
        assert abs(row["optimum"]) < 1e-12 < row["loss"]


def test_models_that_store_nothing():
    found = inspect_models(Models(np.zeros((2, 3)), [0.05] * 3), Features(0.1, n=3))
    assert np.isclose(found.loss, found.ignored, rtol=1e-12)
    assert (found.geometry, found.dimensionality) == ("3 dropped", 0)
    assert np.isnan(found.dimensions_per_feature)
    assert np.isnan(found.cosine)


def test_numbers_of_planted_geometries():
    """A pentagon and a dedicated feature in three dimensions; the feature that is dropped does not count for the angle."""
    angle = 2 * np.pi * np.arange(5) / 5
    w = np.zeros((3, 7))
    w[:2, :5], w[2, 5], w[:, 6] = [np.cos(angle), np.sin(angle)], 1.5, [0.0, 0.0, 0.3]
    found = inspect_models(Models(w), Features(0.1, n=7), search=False)
    assert found.geometry == "1 dedicated, 1 pentagon, 1 dropped"
    assert np.isclose(found.cosine, -np.cos(4 * np.pi / 5))
    assert np.isclose(found.dimensions_per_feature, 3 / (5 + 2.25 + 0.09))
    # The dropped feature shares the dimension of the dedicated one: squares of norms 2.25 and 0.09, of their product 0.2025.
    assert np.isclose(found.dimensionality, 2 + 2.25**2 / (2.25**2 + 0.2025) + 0.09**2 / (0.09**2 + 0.2025))


def test_rows_are_plain():
    """What JSON can hold, one per model, at its place; what is unknown is None."""
    weights = np.array([[1.0, -1.0], [1.0, 0.0]])[:, None, None]
    found = inspect_models(Models(weights), pair_features([0.1, 0.4, 1.0], 1.0), search=False)
    rows = json.loads(json.dumps(found.rows(), allow_nan=False))
    assert [row["index"] for row in rows] == [[i, j] for i in range(2) for j in range(3)]
    for row in rows:
        assert row["loss"] == found.loss[tuple(row["index"])]
        assert row["phase"] == ["antipodal", "only 1"][row["index"][0]]
    assert rows[3]["cosine"] is None


@pytest.mark.slow
def test_lower_bound_is_below_the_optimum():
    found = inspect_models(Models([[[1.0, -1.0]], [[1.0, 0.0]]]), Features(0.1, n=2), search=False)
    assert found.lower_bound.shape == (2,)
    assert (found.lower_bound > 0.97 * DIGON).all()
    assert (found.lower_bound <= found.optimum).all()
    with pytest.raises(InputError, match="uniform"):
        _ = inspect_models(Models(np.eye(1, 2)), Features.correlated(0.1, n=2)).lower_bound


@pytest.mark.parametrize(
    ("models", "features", "more", "message"),
    [
        (Models([[1.0, -1.0]]), None, {}, "features must be given"),
        (Models([[1.0, -1.0]]), Features(0.1, n=3), {}, "features of shape"),
        (Models(np.ones((2, 1, 2))), Features(np.full((3, 1), 0.1), n=2), {}, "features of shape"),
        (Models([[1.0, -1.0]]), 0.1, {}, "features must be"),
        (Models([[1.0, -1.0]]), Features(0.1, n=2), {"restarts": -1}, "restarts"),
        (Models([[1.0, -1.0]], 0.0, [[1.0], [-1.0]], None, "untied"), Features(0.1, n=2), {}, "'untied'"),
        (Models([[1.0, -1.0]], model="linear"), Features(0.1, n=2), {}, "'linear'"),
        (Models([[1.0, -1.0]], model="hidden"), Features(0.1, n=2), {}, "'hidden'"),
    ],
)
def test_what_is_refused(models, features, more, message):
    with pytest.raises(InputError, match=message):
        inspect_models(models, features, **more)
