"""Where training of two features in one dimension ends: predicted without noise, and trained."""

import numpy as np
import pytest

from tegum.numerics import OUTCOMES, basins, reached_minima, settle, train
from tegum.papers._lab import STORED, load_run
from tegum.papers.pair_runs import RECIPE, SEEDS
from tegum.theory import Features, InputError, existence, optimal_model, spinodal


@pytest.fixture(scope="module")
def trained():
    """The recorded runs: densities, importances, predicted and trained states (density, importance, seed)."""
    data = load_run(STORED / "landscape.json").data
    p, weight, w, b = data["density"], data["importance"], data["weights"], data["bias"]
    level, scale = (np.broadcast_to(z, w.shape[:3]).ravel() for z in (p[:, None, None], weight[:, None]))
    state = settle(w.reshape(-1, 2), b.reshape(-1, 2), level, scale)[0].reshape(w.shape[:3])
    return p, weight, np.array(OUTCOMES)[data["predicted"].astype(int)], state


def test_starts_are_those_of_the_trainer():
    """One step so small that the models stay where they start."""
    p, weight = np.array([0.05, 0.5]), np.array([0.2, 1.0])
    pairs = np.stack([np.ones(2), weight], -1)[None]
    run = train(
        Features(p[:, None, None], pairs), 1, replicas=3, steps=1, batch=2, learning_rate=1e-12, seed=7, dtype="float64"
    )
    flat = run.weights.reshape(-1, 2), run.bias.reshape(-1, 2), np.repeat(p, 6), np.tile(np.repeat(weight, 3), 2)
    expected = settle(*flat)[1][:, :2].reshape(2, 2, 3, 2)
    found = basins(p, weight, seeds=3, seed=7, steps=1, learning_rate=1e-12)
    assert np.allclose(found.weights, expected, atol=1e-6)
    assert not np.allclose(
        basins(p, weight, seeds=3, seed=8, steps=1, learning_rate=1e-12).weights, expected, atol=1e-2
    )


def test_trained_states_are_where_they_exist(trained):
    """Of several thousand trained models at most a handful is in a state that is no minimum there."""
    p, weight, _, state = trained

    def outside(scale):
        found = existence(p, weight * scale)
        allowed = np.zeros(state.shape, bool)
        for name, exists in zip(found.states, found.exists, strict=True):
            allowed |= (state == name) & exists[..., None]
        return (~allowed & ~np.isin(state, ("dead", "late"))).sum()

    assert outside(1.0) <= 5
    assert outside(1.5) > 100  # spinodals half as far off again would not pass


def test_prediction_tells_the_fate_of_each_run(trained):
    """From the same start the noise-free descent ends in the state that training ends in, nearly always where batches have
    a dozen active samples (p >= 0.045, batches of 256); sparser, noise kills outputs."""
    p, _, predicted, state = trained
    dense = p > 0.045
    assert (predicted == state)[dense].mean() > 0.97
    shuffled = np.random.default_rng(0).permuted(predicted, axis=-1)
    assert (shuffled == state)[dense].mean() < 0.9
    dead = (state == "dead").mean((1, 2))
    assert dead[0] > 0.2
    assert dead[dense].max() < 0.02
    assert (predicted == "dead").mean() < 0.01


def test_fractions_per_cell(trained):
    """Predicted and trained shares of every state differ by less than binomial noise of independent seeds would give."""
    p, _, predicted, state = trained
    for name in OUTCOMES[:-2]:
        a, b = ((z == name).mean(-1)[p > 0.045] for z in (predicted, state))
        spread = np.sqrt(np.maximum(a * (1 - a), 0).mean() * 2 / SEEDS)
        assert np.sqrt(((a - b) ** 2).mean()) <= spread + 1e-12


@pytest.mark.slow
def test_recorded_prediction_is_reproduced(trained):
    p, weight, predicted, _ = trained
    assert (basins(p[:2], weight, seeds=SEEDS, seed=0, **RECIPE).state == predicted[:2]).mean() > 0.99


def test_share_of_the_aligned_state():
    """Equal sparse features: about 44 % of Xavier starts end with weights of equal sign; none at importance 0.3, below its onset."""
    found = basins([0.05], [0.3, 1.0], seeds=400, steps=600, learning_rate=2e-2)
    share = sum(found.fraction[found.outcomes.index(name)][0] for name in ("aligned", "aligned exchanged"))
    assert spinodal(0.05, sign=1) > 0.3
    assert share[0] == 0
    assert 0.44 - 0.1 < share[1] < 0.44 + 0.1  # four standard errors


def test_a_shoulder_is_left_and_a_minimum_kept():
    p = 0.05
    between, below = (spinodal(p) + spinodal(p, sign=1)) / 2, 0.9 * spinodal(p)
    ignored = [[1.0, 0.0]], [[0.0, p / 2]]
    assert settle(*ignored, p, between)[0].item() == "antipodal"
    assert settle(*ignored, p, below)[0].item() == "only 1"


def test_minima_of_three_features_in_two_dimensions():
    """Each of the three pairs may become the digon: three minima, the lowest the optimum, shares adding to one."""
    features = Features(0.2, [1.0, 1.0, 0.3])
    found = reached_minima(features, 2, seeds=48, steps=300)
    assert found[0].loss == pytest.approx(optimal_model(features, 2, restarts=8).loss, rel=1e-8)
    assert sum(x.share for x in found) == pytest.approx(1)
    losses = sorted({round(x.loss, 6) for x in found if x.share > 0.05})
    assert losses == [0.008416, 0.013185]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: basins([0.0], [1.0]), "densities must be in"),
        (lambda: basins([[0.1]], [1.0]), "one-dimensional"),
        (lambda: basins([0.1], [1.0], spread=0.0), "spread must be positive"),
        (lambda: basins([0.1], [1.0], seeds=0), "seeds must be an integer"),
        (lambda: settle([1.0, 2.0], [0.0, 0.0], 0.1, 1.0), r"shape \(k, 2\)"),
        (lambda: reached_minima(Features(0.1, n=9), 2), "at most 8"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(InputError, match=words):
        call()
