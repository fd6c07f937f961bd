"""Uniform superposition and joint superposition: theory against independent values, claims on planted models."""

from fractions import Fraction

import numpy as np
import pytest

from tegum.papers import uniform_theory
from tegum.papers._lab import STORED, Run, load_run
from tegum.papers._verdict import Status, derive
from tegum.papers._verify import run_check
from tegum.papers.elhage2022 import _joint, _uniform
from tegum.papers.uniform_theory import best_mixture, block_losses, dense_limit, dense_loss, variance
from tegum.theory import Features, Grade, expected_loss, feature_dimensionality, naive_boundaries, optimal_model
from tegum.theory._candidates import DENSITY


class Planted:
    """A lab of made-up runs."""

    tier = "fast"

    def __init__(self, **runs):
        self.runs = {name.replace("_", "-"): Run(name, data, {}) for name, data in runs.items()}

    def preset(self, name):
        return self.runs[name]


def simplices(counts, m, n):
    """Regular simplices of k features in orthogonal subspaces, the rest zero: W (m, n)."""
    w, row, column = np.zeros((m, n)), 0, 0
    for k, count in counts.items():
        for _ in range(count):
            if k == 1:
                block = np.ones((1, 1))
            else:
                block = np.linalg.svd(np.eye(k) - 1 / k)[2][: k - 1]
                block = block / np.linalg.norm(block, axis=0)
            d = len(block)
            w[row : row + d, column : column + k] = block
            row, column = row + d, column + k
    return w


def planted_run(m, n, sharp=True, noise=0.0, seed=0):
    """Dedicated, then digons, then digons of growing norm; or, not sharp, dedicated features of evenly growing norm."""
    p, rng = np.geomspace(1 / 30, 1, 40), np.random.default_rng(seed)
    weights = np.zeros((40, 1, m, n), np.float32)
    for i, x in enumerate(-np.log(p)):
        if sharp:
            pairs = int(np.clip(round((x - 0.6) / 0.5 * m), 0, m))
            w = simplices({2: pairs, 1: m - pairs}, m, n) * np.exp(max(x - 1.9, 0) / 2)
        else:
            w = simplices({1: m}, m, n) * np.exp(x / 3)
        weights[i, 0] = w + noise * rng.standard_normal((m, n))
    return {"density": p, "weights": weights, "loss": np.zeros((40, 1))}


def outcomes(claim, lab, names=None):
    return {
        (c.name, role): run_check(claim, c, role, lab, "").holds
        for c in claim.checks
        if names is None or c.name in names
        for role in claim.statements
    }


CLAIM = {claim.id[-2:]: claim for claim in (*_uniform.UNIFORM_CLAIMS, *_joint.JOINT_CLAIMS)}


# --- theory -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("k", "d"), [(1, 1), (2, 1), (3, 2), (5, 2)])
def test_losses_of_small_blocks_are_those_of_the_optimal_model(k, d):
    p = np.array([0.1, 0.6])
    loss, weights = block_losses(k, d, p, None)
    for i, density in enumerate(p):
        assert loss[i] == pytest.approx(optimal_model(Features(density, n=k), d, restarts=8).loss, abs=1e-8)
    assert weights.shape == (2, d, k)


def test_mixture_by_hand():
    """Four equal features in three dimensions: a digon and two dedicated ones; of five two digons and one; of seven one is dropped."""
    pair = optimal_model(Features(0.1, n=2), 1, restarts=4)
    data = {
        "density": np.array([0.1]),
        "block": np.array([[1, 1], [2, 1]]),
        "loss": np.array([[0.0, pair.loss]]),
        "norm": np.array([[1.0, (pair.weights**2).sum()]]),
    }
    v = 0.1 / 3 - 0.01 / 4
    for n, digons, dropped in ((4, 1, 0), (5, 2, 0), (7, 3, 1)):
        found = best_mixture(data, n, 3)
        assert found.count[0].tolist() == pytest.approx([3 - digons, digons])
        assert found.dropped[0] == pytest.approx(dropped)
        assert found.loss[0] == pytest.approx(digons * pair.loss + dropped * v)
        norm = 3 - digons + digons * (pair.weights**2).sum()
        assert found.dimensions_per_feature[0] == pytest.approx(3 / norm)


def tight_frame(d, k, rng):
    """k unit vectors with WWᵀ = (k/d) 1, by alternating projections from random ones."""
    w = rng.standard_normal((d, k))
    for _ in range(400):
        u, _, vt = np.linalg.svd(w / np.linalg.norm(w, axis=0), full_matrices=False)
        w = np.sqrt(k / d) * u @ vt
    return w


@pytest.mark.slow
def test_dense_loss_is_the_limit_of_exact_losses_of_tight_frames():
    """The difference falls like 1/d: taking it out of two sizes leaves the scatter of frames; another variance would leave per cents."""
    p, rho, g, b = 0.1, 4, 0.94, -0.32
    rng, losses = np.random.default_rng(0), {}
    for d in (15, 30):
        w = np.sqrt(g) * np.array([tight_frame(d, d * rho, rng) for _ in range(8)])
        gram = np.swapaxes(w, 1, 2) @ w
        mean = (gram.sum(2) - g) * p / 2
        losses[d] = expected_loss(w, b - mean, Features(p, n=d * rho), atol=1e-7).mean() / (d * rho)
    limit = dense_loss(rho, g, b, p)
    assert limit < losses[30] < losses[15]
    assert 2 * losses[30] - losses[15] == pytest.approx(limit, rel=0.01)
    assert abs(dense_loss(rho + 0.5, g, b, p) / limit - 1) > 0.02


def test_dense_loss_by_sampling():
    p, rho, g, b = 0.2, 3.0, 0.8, -0.15
    rng = np.random.default_rng(1)
    u = rng.random(400_000) * (rng.random(400_000) < p)
    sigma = g * np.sqrt((rho - 1) * (p / 3 - p**2 / 4))
    error = (u - np.maximum(g * u + b + sigma * rng.standard_normal(len(u)), 0)) ** 2
    assert abs(error.mean() - dense_loss(rho, g, b, p)) < 4 * error.std() / np.sqrt(len(u))


def test_dense_limit_is_stationary():
    p = np.array([0.1, 1 / 30])
    found = dense_limit(p)
    for i, density in enumerate(p):
        v = float(variance(p)[i])

        def gain(rho, g, b, density=float(density), v=v):
            return rho * (v - dense_loss(rho, g, b, density))

        at = found.per_dimension[i], found.square[i], found.bias[i]
        assert gain(*at) == pytest.approx(found.gain[i], rel=1e-12)
        for move in np.eye(3) * 1e-3:
            assert gain(*(np.array(at) + move)) < found.gain[i] > gain(*(np.array(at) - move))


def test_stored_blocks_are_not_beaten_by_products_of_smaller_ones():
    """ℓ(k + j, d + e) <= ℓ(k, d) + ℓ(j, e): tegum products of its own blocks do not beat the search by more than 2 % of the loss."""
    run = load_run(STORED / "uniform_theory.json").data
    blocks = [tuple(b) for b in run["block"].astype(int).tolist()]
    assert blocks == list(uniform_theory.BLOCKS)
    index = {b: i for i, b in enumerate(blocks)}
    searched = run["norm"] > 0
    excess = []
    for k, d in blocks:
        for j, e in blocks:
            if (k + j, d + e) in index:
                whole, one, two = index[k + j, d + e], index[k, d], index[j, e]
                part = (run["loss"][:, whole] - run["loss"][:, one] - run["loss"][:, two]) / run["loss"][:, whole]
                excess += part[searched[:, [whole, one, two]].all(1)].tolist()
    assert len(excess) > 500
    assert max(excess) < 0.02, "relative"


@pytest.mark.slow
def test_stored_blocks_lose_what_the_optimal_model_does():
    run = load_run(STORED / "uniform_theory.json").data
    assert run["density"].tolist() == uniform_theory.DENSITIES.tolist()
    for row in (0, 20, 38):
        for k, d in ((2, 1), (3, 2), (5, 2), (7, 3)):
            best = optimal_model(Features(run["density"][row], n=k), d, restarts=8)
            found = run["loss"][row, uniform_theory.BLOCKS.index((k, d))]
            assert found == pytest.approx(best.loss, rel=2e-4)
    assert run["dense_gain"][::13] == pytest.approx(dense_limit(run["density"][::13]).gain, rel=1e-6)


# --- measures ---------------------------------------------------------------------------------------------------------


def test_stickiness_of_known_curves():
    x = np.linspace(0, 2, 201)
    even = np.exp(-x)
    assert _uniform.stickiness(np.exp(-x[::-1]), even[::-1], 0.5) == pytest.approx(1)
    # ln D* falls by 1 in x = 0 .. 0.5, rests at ln 1/2 for half the range, and falls by 1 again.
    rest = np.interp(x, [0, 0.5, 1.5, 2], [np.log(0.5) + 1, np.log(0.5), np.log(0.5), np.log(0.5) - 1])
    band = np.log(1.06) - np.log(0.94)
    expected = (1.0 + 0.5 * band) * (2 / 2) / band
    assert _uniform.stickiness(np.exp(-x[::-1]), np.exp(rest[::-1]), 0.5) == pytest.approx(expected, rel=1e-9)
    assert _uniform.stickiness(np.exp(-x[::-1]), np.exp(rest[::-1]), 1.0) == pytest.approx(0.5, rel=1e-9)
    assert _uniform.stickiness(np.exp(-x[::-1]), even[::-1], 5.0) == 0


def test_lines_in_counts():
    flat = np.linspace(0, 1, 4001)
    for level in (0.375, 0.5, 2 / 3):
        assert not _uniform.is_line(*_uniform.line_counts(flat, level), 8)
        assert _uniform.is_line(*_uniform.line_counts(np.append(flat, np.full(200, level)), level), 8)
        # One block of eight is no line.
        assert not _uniform.is_line(*_uniform.line_counts(np.full(8, level), level), 8)
    core, expected = _uniform.line_counts(flat, 0.0)
    assert abs(core - 20.5) <= 1
    assert abs(expected - 20.5) <= 1


STORAGE = [
    ([[1, 0, 0], [0, 1, 0]], "1 and 2"),
    ([[1, 0, 0.05], [0, 1, 0]], "1 and 2"),
    ([[1, 0, 0], [0, 0, 1]], "2 and 3"),
    ([[0, 1, 0], [0, 0, 1]], "2 and 3"),
    ([[1, 0, 0], [0, 0.9, -0.3]], "digon of 2 and 3"),
    ([[0, 1, 0], [0.9, 0, -0.8]], "digon of 2 and 3"),
    ([[1, -1, 0], [0, 0, 2]], "digon of 1 and 2"),
    ([[1, -0.5, -0.5], [0, 0.8, -0.8]], "joint"),
    ([[1, 0.7, 0], [0, 0.7, 1]], "joint"),
    ([[1, -1, 0], [0, 0, 0]], "other"),
    ([[1, 0, 0], [0, 0, 0]], "other"),
    ([[0, 0, 0], [0, 0, 0]], "other"),
]


@pytest.mark.parametrize(("weights", "word"), STORAGE)
def test_storage(weights, word):
    angle = 0.7
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    w = np.array(weights, float)
    assert str(_joint.storage(w)) == str(_joint.storage(turn @ w)) == str(_joint.storage(w[:, [1, 0, 2]])) == word


@pytest.mark.slow
def test_fixed_models_change_on_the_derived_boundaries():
    lines = naive_boundaries(3)
    p = 0.3
    where = float(lines["1 and 2", "digon of 2 and 3"].subs(DENSITY, p))
    names, losses = _joint.fixed_models(np.array([p]), np.array([0.99 * where, 1.01 * where, 1.01]))
    assert names[0].tolist() == ["1 and 2", "digon of 2 and 3", "digon of 1 and 2"]
    assert losses[0, 0] == pytest.approx(0.99 * where * (p / 3 - p**2 / 4))


def test_decided_cells():
    label = np.array([["a"] * 4, ["a"] * 4, ["a"] * 3 + ["b"]])
    assert _joint.decided_cells(label).tolist() == [[True] * 4, [True, True, False, False], [True, True, False, False]]


@pytest.mark.slow
def test_a_pair_is_bounded_below_and_not_above_its_optimum(monkeypatch):
    p = Fraction(3, 10)
    best = optimal_model(Features(0.3, n=2), 1, restarts=4).loss
    assert _joint._pair_exceeds(p, Fraction(1, 100))
    assert best > 1 / 100
    monkeypatch.setattr(_joint, "BOXES", 150)
    assert not _joint._pair_exceeds(p, Fraction(best) + Fraction(1, 1000))


# --- claims on planted models -----------------------------------------------------------------------------------------


def test_plateaus_are_seen_where_there_are_any():
    names = ["trained models"]
    sharp = outcomes(CLAIM["25"], Planted(uniform_400_30=planted_run(30, 400)), names)
    assert sharp == {("trained models", "claimed"): True, ("trained models", "control"): False}
    smooth = outcomes(CLAIM["25"], Planted(uniform_400_30=planted_run(30, 400, sharp=False)), names)
    assert smooth["trained models", "claimed"] is False


def test_norms_of_two_sizes():
    names = ["trained models"]
    small, large = planted_run(20, 200), planted_run(30, 400)
    found = outcomes(CLAIM["26"], Planted(uniform_200_20=small, uniform_400_30=large), names)
    assert found == {("trained models", "claimed"): True, ("trained models", "control"): False}
    grown = {**large, "weights": large["weights"] * np.float32(1.06)}
    found = outcomes(CLAIM["26"], Planted(uniform_200_20=small, uniform_400_30=grown), names)
    assert found["trained models", "claimed"] is False


def test_sum_of_dimensionalities():
    lab = Planted(uniform_400_30=planted_run(30, 400, noise=0.01))
    found = outcomes(CLAIM["27"], lab)
    assert found == {
        ("leverage scores", "claimed"): True,
        ("leverage scores", "control"): False,
        ("trained models", "claimed"): True,
        ("trained models", "control"): False,
    }
    rough = outcomes(CLAIM["27"], Planted(uniform_400_30=planted_run(30, 400, noise=0.1)), ["trained models"])
    assert rough["trained models", "claimed"] is False


def test_sum_of_dimensionalities_is_at_most_the_rank_of_random_weights():
    rng = np.random.default_rng(3)
    w = rng.standard_normal((50, 4, 9))
    w[:25, 3] = w[:25, 2]
    total = feature_dimensionality(w).sum(-1)
    assert (total[:25] < 3).all()
    assert (total[25:] < 4).all()


def test_lines_of_planted_polytopes():
    """Digons and triangles, and dropped features: levels that are there hold, others are refuted."""
    rng = np.random.default_rng(4)
    w = np.stack([simplices({2: 10, 3: 10}, 30, 400) + 2e-4 * rng.standard_normal((30, 400)) for _ in range(20)])
    lab = Planted(uniform_400_30={"density": np.geomspace(0.1, 1, 20), "weights": w[:, None].astype(np.float32)})
    assert _uniform._trained_lines(["2/3", "1/2", "0"], lab).holds is True
    refuted = _uniform._trained_lines(["3/4", "1/2"], lab)
    assert refuted.holds is False
    assert refuted.grade is Grade.SAMPLED
    assert "No line at 3/4" in refuted.measured


@pytest.fixture(scope="module")
def optimal_run():
    """The exact optimum on a coarse grid in the place of trained models, and that grid's diagram."""
    p, r = np.geomspace(0.02, 1, 10), np.geomspace(0.1, 10, 9)
    diagram = _joint.exact_diagram(p, r)
    return {
        "density": p,
        "importance": r,
        "weights": diagram.weights[:, :, None],
        "bias": diagram.bias[:, :, None],
        "loss": diagram.loss[:, :, None],
    }


@pytest.mark.slow
def test_models_at_the_optimum_refute_the_fixed_models_map(optimal_run, monkeypatch):
    monkeypatch.setattr(_joint, "STRIDE", 1)
    lab = Planted(phase_3_2=optimal_run)
    assert _joint._trained_map("exact optimum", lab).holds is True
    fixed = _joint._trained_map("four fixed models", lab)
    assert (fixed.holds, fixed.grade) == (False, Grade.CERTIFIED)
    assert _joint._trained_map(CLAIM["21"].control, lab).holds is False
    digons = np.broadcast_to(np.array([[1.0, 0, 0], [0, 1, -1]]), optimal_run["weights"].shape)
    assert _joint._trained_map("exact optimum", Planted(phase_3_2={**optimal_run, "weights": digons})).holds is False


@pytest.mark.slow
def test_joint_superposition_is_proved_to_be_better_somewhere(optimal_run, monkeypatch):
    monkeypatch.setattr(_joint, "STRIDE", 1)
    claim, lab = CLAIM["21"], Planted(phase_3_2=optimal_run)
    verdict = derive(claim, [run_check(claim, c, role, lab, "") for c in claim.checks for role in claim.statements])
    assert (verdict.status, verdict.restated.grade) == (Status.CORRECTED, Grade.EXACT)


@pytest.mark.slow
def test_figures_are_drawn(optimal_run, monkeypatch, tmp_path):
    from tegum.papers.figures import _joint as joint_figure
    from tegum.papers.figures import _uniform as uniform_figure

    monkeypatch.setattr(_joint, "STRIDE", 1)
    run = planted_run(30, 400)
    run = {**run, "loss": 400 * variance(run["density"])[:, None]}
    lab = Planted(phase_3_2=optimal_run, uniform_400_30=run)
    for name, draw in (("joint", joint_figure.draw_joint), ("uniform", uniform_figure.draw_uniform)):
        draw(lab).savefig(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 30_000
