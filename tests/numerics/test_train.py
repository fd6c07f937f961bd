"""Training: steps against torch's autograd and AdamW, models that do not know of each other, and what a run records."""

import numpy as np
import pytest
import torch

from tegum.numerics import _steps, _torch_steps, train
from tegum.numerics._recipe import MODELS, Recipe
from tegum.numerics._steps import State, compiled_steps, population_loss
from tegum.numerics._streams import Problem, TorchSampler
from tegum.numerics._torch_steps import TorchStep, graphed, same_effect, torch_steps
from tegum.numerics._train import find_device, starting_weights
from tegum.theory import Features, InputError, expected_loss, optimal_model, phase_diagram
from tegum.theory._descent import descend
from tegum.theory._law import beta_values

CPU = torch.device("cpu")
# Dense and sparse features, groups, values of another law.
SETTINGS = [
    Features(np.array([[0.02] * 5, [0.3, 0.1, 0.6, 0.05, 0.2], [1.0] * 5]), 0.8 ** np.arange(5)),
    Features.correlated(np.array([[0.02], [0.3], [0.9]]), n=5, size=[2, 3], values=beta_values(2, 2)),
    Features.anticorrelated(np.array([[0.02], [0.2], [0.33]]), n=5, size=[3, 2]),
]


def start(features, model, dtype="float64", m=3):
    return State.start(features, np.arange(len(features.density)), m, model, dtype)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("features", SETTINGS, ids=lambda f: f.law.kind)
def test_steps_are_those_of_autograd_and_torch(features, model):
    """Written out as in a notebook, on the same samples: equal to rounding, by compiled loops and by the batched torch code."""
    recipe = Recipe(model, steps=40, batch=300, learning_rate=0.02)
    ours, batched = start(features, model), start(features, model)
    initial = start(features, model)
    compiled_steps(ours, recipe, 0, 25)
    compiled_steps(ours, recipe, 25, 40)
    torch_steps(batched, recipe, 0, 25, CPU)
    torch_steps(batched, recipe, 25, 40, CPU)
    kind = MODELS[model]
    sample = TorchSampler(Problem.of(features, "float64", signed=kind.absolute), initial.keys, 300, CPU)
    encoder, bias = (torch.tensor(a, requires_grad=True) for a in (initial.encoder, initial.bias))
    decoder = torch.tensor(initial.decoder, requires_grad=True)
    parameters = [encoder, bias] if kind.tied else [encoder, bias, decoder]
    optimiser = torch.optim.AdamW(parameters, lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 40)
    importance = torch.tensor(features.importance)[:, :, None]
    for step in range(40):
        x = sample(torch.tensor(step))
        hidden = encoder @ x
        hidden = hidden.relu() if kind.bend else hidden
        output = (encoder if kind.tied else decoder).mT @ hidden + bias[:, :, None]
        output = output.relu() if kind.rectified else output
        target = x.abs() if kind.absolute else x
        optimiser.zero_grad()
        (importance * (target - output) ** 2).sum(1).mean(1).sum().backward()
        optimiser.step()
        schedule.step()
    for state in (ours, batched):
        found = [state.encoder, state.bias, state.decoder][: len(parameters)]
        for mine, expected in zip(found, parameters, strict=True):
            assert np.allclose(mine, expected.detach().numpy(), rtol=1e-9, atol=1e-11)
    assert np.abs(ours.encoder - initial.encoder).max() > 0.1


def test_a_graph_is_used_only_where_it_does_what_the_step_does(monkeypatch):
    """Captures stood in for: the step itself, one that does a bit more, one that torch refuses. The tensors stay as they were."""
    tensors = [torch.tensor([1.0, 2.0]), torch.tensor(3)]

    def step():
        tensors[0].mul_(0.5)
        tensors[1].add_(1)

    def more():
        step()
        tensors[0][0] += 1e-6

    def refused(step, tensors):
        raise torch.AcceleratorError("operation not permitted when stream is capturing")

    def replay():
        step()

    for capture, expected in ((lambda *_: replay, replay), (lambda *_: more, step), (refused, step)):
        monkeypatch.setattr(_torch_steps, "_captured", capture)
        assert graphed(step, tensors) is expected
        assert [t.tolist() for t in tensors] == [[1.0, 2.0], 3]
    assert same_effect(step, step, tensors)
    assert not same_effect(step, lambda: tensors[1].add_(1), tensors)


def test_a_diverged_model_does_not_hide_that_two_steps_are_one():
    """NaN is NaN, and nothing else is."""
    tensors = [torch.tensor([[1.0, float("nan")], [float("inf"), 2.0]]), torch.tensor(3)]

    def step():
        tensors[0].mul_(0.5)
        tensors[1].add_(1)

    def lost():
        step()
        tensors[0][1, 1] = float("nan")

    def more():
        step()
        tensors[0][1, 1] += 1e-7

    assert same_effect(step, step, tensors)
    assert not same_effect(step, lost, tensors)
    assert not same_effect(step, more, tensors)
    assert tensors[0][1].tolist() == [float("inf"), 2.0]


def test_single_precision_follows_the_same_samples():
    recipe = Recipe("absolute", steps=40, batch=300, learning_rate=0.02)
    states = [start(SETTINGS[0], "absolute", dtype) for dtype in ("float32", "float64")]
    for state in states:
        compiled_steps(state, recipe, 0, 40)
    assert np.abs(states[0].encoder - states[1].encoder).max() < 1e-4
    other = start(SETTINGS[0], "absolute", "float64")
    torch_steps(other, Recipe("absolute", steps=40, batch=301, learning_rate=0.02), 0, 40, CPU)
    assert np.abs(other.encoder - states[1].encoder).max() > 1e-3


@pytest.mark.parametrize(
    "settings",
    [
        {"model": "relu"},
        {"model": "relu", "dtype": "float64", "history": 4, "stop": 0.01},
        {"model": "hidden"},
        {"model": "untied"},
        {"model": "absolute", "snapshots": (0, 30)},
        {"loss": "exact"},
        {"loss": "exact", "optimiser": "bfgs"},
        {"loss": "exact", "optimiser": "bfgs", "model": "untied"},
    ],
    ids=str,
)
@pytest.mark.parametrize("features", SETTINGS, ids=lambda f: f.law.kind)
def test_a_model_does_not_know_of_the_others(features, settings):
    """Bit for bit: alone, in another order, in other replicas, with other pauses and threads."""
    settings = {"steps": 60, "batch": 100, "learning_rate": 0.02, **settings}
    together = train(features, 2, replicas=3, seed=5, **settings)
    for row in range(3):
        alone = Features(features.density[row], features.importance[row])
        alone.law = features.law
        single = train(alone, 2, seed=7, **settings)
        assert np.array_equal(single.weights[0], together.weights[row, 2])
        assert np.array_equal(single.bias[0], together.bias[row, 2])
        assert single.loss[0] == together.loss[row, 2]
        assert single.taken[0] == together.taken[row, 2]
        assert np.array_equal(single.history[0], together.history[row, 2], equal_nan=True)
        if single.decoder is not None:
            assert np.array_equal(single.decoder[0], together.decoder[row, 2])
    assert not np.array_equal(together.weights[0, 0], together.weights[0, 1])


def test_neither_pauses_nor_threads_change_anything():
    settings = {"replicas": 40, "steps": 60, "batch": 100, "learning_rate": 0.02}
    plain = train(SETTINGS[0], 2, **settings)
    watched = train(SETTINGS[0], 2, history=7, snapshots=(1, 13, 59), **settings)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        threaded = train(SETTINGS[0], 2, **settings)
    finally:
        torch.set_num_threads(threads)
    assert np.array_equal(plain.weights, watched.weights)
    assert np.array_equal(plain.weights, threaded.weights)


def test_seeds_broadcast():
    features = Features(np.array([[0.1], [0.5]]), n=2)
    settings = {"steps": 5, "batch": 10}
    grid = train(features, 1, seed=np.array([[3], [4], [9]]), **settings)
    assert grid.weights.shape == (3, 2, 1, 1, 2)
    assert np.array_equal(
        grid.weights[:2, :, 0], train(features, 1, replicas=2, seed=3, **settings).weights.swapaxes(0, 1)
    )
    assert np.array_equal(grid.weights[2], train(features, 1, seed=9, **settings).weights)


def test_seeds_of_any_kind_are_integers():
    """Unsigned ones are not rounded to floats, up to the last that 63 bits hold; keys are those of Python's integers."""
    features, settings = Features(0.3, n=2), {"steps": 2, "batch": 4}
    for kind in (np.uint64, np.int64, np.uint8):
        same = train(features, 1, replicas=2, seed=kind(5), **settings).weights
        assert np.array_equal(same, train(features, 1, replicas=2, seed=5, **settings).weights)
    near = train(features, 1, seed=np.array([2**53, 2**53 + 1], np.uint64), **settings).weights
    assert not np.array_equal(near[0], near[1])
    assert np.array_equal(near[1], train(features, 1, seed=2**53 + 1, **settings).weights)
    train(features, 1, replicas=2, seed=2**63 - 2, **settings)
    for seed, replicas in ((2**63 - 1, 2), (np.uint64(2**63), 1), (2**64, 1)):
        with pytest.raises(InputError, match=r"seed must be an integer >= 0 .* at most 2\*\*63 - replicas, got"):
            train(features, 1, replicas=replicas, seed=seed, **settings)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_reaches_the_exact_optimum(dtype):
    p, importance = 0.3, 0.6
    run = train(Features(p, [1.0, importance]), 1, replicas=12, steps=1500, batch=256, learning_rate=0.02, dtype=dtype)
    best = phase_diagram([p], [importance]).loss[0, 0]
    assert (run.loss >= best - 1e-9).all()
    assert run.loss.min() < 1.01 * best


@pytest.mark.parametrize(
    "features", [Features(0.05, n=3), Features.anticorrelated(0.2, n=3, size=3)], ids=lambda f: f.law.kind
)
def test_exact_training_reaches_the_optimum(features):
    best = optimal_model(Features(0.05, n=3), 2).loss if features.law.kind == "independent" else None
    newton = train(features, 2, loss="exact", optimiser="bfgs", replicas=8, steps=500)
    adam = train(features, 2, loss="exact", replicas=8, steps=1500, learning_rate=0.02)
    assert adam.loss.min() == pytest.approx(newton.loss.min(), rel=1e-3, abs=1e-7)
    assert newton.loss.min() <= adam.loss.min() + 1e-12
    if best is not None:
        assert newton.loss.min() == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize(("n", "m"), [(200, 20), pytest.param(400, 30, marks=pytest.mark.slow)])
def test_bfgs_takes_models_of_any_size(n, m):
    """4,200 and 12,400 parameters: linear ones keep the m directions of most I Var, which is the minimum; the rest is lost."""
    importance = np.where(np.arange(n) < m, 1.0, 0.1)
    features = Features(np.full((1, n), 0.1), importance)
    run = train(features, m, model="linear", loss="exact", optimiser="bfgs", replicas=2, steps=400)
    variance = features.variance[0]
    assert np.allclose(run.loss, (0.1 * variance[m:]).sum(), rtol=1e-12)
    alone = train(features, m, model="linear", loss="exact", optimiser="bfgs", seed=1, steps=400)
    assert np.array_equal(alone.weights[0, 0], run.weights[0, 1])


@pytest.mark.parametrize(("n", "m"), [(5, 2), pytest.param(20, 5, marks=pytest.mark.slow)])
def test_bfgs_finds_the_minima_of_the_dense_method(n, m, monkeypatch):
    """From the same starts: the same minimum to rounding for most, another one for the rest, and the lowest is the same."""
    features = Features(np.full((1, n), 0.3), np.geomspace(1, 0.3, n))
    settings = {"loss": "exact", "optimiser": "bfgs", "replicas": 24 if n < 10 else 4, "steps": 1500}
    limited = train(features, m, **settings).loss
    monkeypatch.setattr(_steps, "descend", lambda *args, memory, **settings: descend(*args, **settings))
    dense = train(features, m, **settings).loss
    assert np.mean(np.abs(limited / dense - 1) < 1e-8) > 0.5
    assert limited.min() == pytest.approx(dense.min(), rel=1e-8)


@pytest.mark.parametrize("model", ["relu", "linear", "untied"])
def test_the_two_losses_agree_in_the_limit(model):
    """From the same start; the distance of the paths falls as one over the root of the batch: 1/16 is allowed to be 1/5."""
    features = Features(np.array([[0.3]]), [1.0, 0.8, 0.6])
    settings = {"model": model, "replicas": 6, "steps": 30, "learning_rate": 0.01, "dtype": "float64"}
    exact = train(features, 2, loss="exact", **settings)
    assert np.array_equal(
        train(features, 2, loss="exact", **{**settings, "steps": 1, "learning_rate": 1e-300}).weights[0],
        starting_weights(features, 2, replicas=6, model=model)[0],
    )
    near, far = (
        np.abs(train(features, 2, batch=batch, **settings).weights - exact.weights).mean() for batch in (64 * 256, 64)
    )
    assert near < far / 5
    assert near < 0.01


@pytest.mark.parametrize("model", ["hidden", "absolute"])
def test_loss_without_formula_is_sampled_with_its_error(model):
    """Against samples of numpy; the recorded error is that of 262,144 of them."""
    features = Features(np.full((1, 4), 0.3), [1.0, 0.9, 0.8, 0.7])
    run = train(features, 3, model=model, steps=200, batch=128, learning_rate=0.02)
    rng, p = np.random.default_rng(0), 0.3
    x = np.where(rng.random((2**18, 4)) < p, rng.random((2**18, 4)), 0)
    target = x
    if model == "absolute":
        x = x * rng.choice([-1, 1], x.shape)
    w = run.weights[0, 0]
    out = w.T if run.decoder is None else run.decoder[0, 0]
    each = (
        features.importance[0] * (target - np.maximum(np.maximum(x @ w.T, 0) @ out.T + run.bias[0, 0], 0)) ** 2
    ).sum(1)
    error = each.std() / np.sqrt(len(each))
    assert run.loss_error[0, 0] == pytest.approx(error, rel=0.3)
    assert abs(run.loss[0, 0] - each.mean()) < 5 * np.hypot(error, run.loss_error[0, 0])
    assert run.grade.name == "SAMPLED"


def test_sampled_loss_is_the_exact_one():
    """The compiled loss at the evaluation's steps against the theory: five standard errors, and ten per cent more density is seen."""
    features = Features(np.array([[0.05] * 6, [0.4] * 6]))
    state = start(features, "hidden", "float32", m=3)
    state.encoder[:] = np.abs(state.encoder)  # its hidden ReLU then does nothing
    loss, error = population_loss(state, "hidden")
    exact = expected_loss(state.encoder.astype(float), state.bias.astype(float), features)
    assert (np.abs(loss - exact) < 5 * error).all()
    other = expected_loss(state.encoder.astype(float), state.bias.astype(float), Features(features.density * 1.1))
    assert (np.abs(loss - other) > 8 * error).all()


def test_a_hidden_relu_computes_the_absolute_value():
    """One feature, two hidden units: |x| exactly; with one hidden unit half of it is lost."""
    features = Features(np.array([[0.5]]))
    settings = {"model": "absolute", "replicas": 8, "steps": 1500, "batch": 128, "learning_rate": 0.02}
    assert train(features, 2, **settings).loss.min() < 1e-5
    assert train(features, 1, **settings).loss.min() > 0.02


def test_a_run_records_the_exact_loss_and_repeats():
    features = Features(np.array([[0.2], [0.8]]), n=3)
    settings = {"replicas": 3, "steps": 20, "batch": 32, "seed": 4}
    one, two = (train(features, 2, **settings) for _ in range(2))
    assert one.weights.shape == (2, 3, 2, 3)
    assert one.loss.shape == (2, 3)
    assert np.array_equal(one.weights, two.weights)
    assert not np.array_equal(one.weights, train(features, 2, **{**settings, "seed": 5}).weights)
    assert one.loss[1, 2] == pytest.approx(float(expected_loss(one.weights[1, 2], one.bias[1, 2], Features(0.8, n=3))))
    assert not one.loss_error.any()
    weights, bias, loss = one.best()
    assert (weights.shape, bias.shape) == ((2, 2, 3), (2, 3))
    assert np.array_equal(loss, one.loss.min(-1))
    assert one.settings["seed"] == 4


def test_history_and_snapshots():
    features = Features(0.2, n=3)
    run = train(features, 2, replicas=2, steps=100, batch=32, learning_rate=0.02, history=3, snapshots=(0, 10, 100))
    assert run.recorded.tolist() == [0, 1, 10, 100]
    assert [s.step for s in run.snapshots] == [0, 10, 100]
    assert np.allclose(run.snapshots[0].weights, starting_weights(features, 2, replicas=2), atol=1e-7)
    assert np.array_equal(run.snapshots[2].weights, run.weights)
    for at, snapshot in ((0, 0), (2, 1), (3, 2)):
        there = run.snapshots[snapshot]
        assert np.array_equal(run.history[:, at], expected_loss(there.weights, there.bias, features))
    assert np.array_equal(train(features, 2, replicas=2, steps=100, batch=32, learning_rate=0.02).weights, run.weights)
    assert train(features, 2, model="untied", steps=2, batch=8, snapshots=(1,)).snapshots[0].decoder.shape == (1, 3, 2)


def test_early_stop_leaves_a_model_where_it_was():
    features = Features(np.array([[0.05, 0.05], [0.9, 0.9]]))
    settings = {
        "replicas": 6,
        "steps": 1000,
        "batch": 512,
        "learning_rate": 0.02,
        "history": 12,
        "schedule": "constant",
    }
    whole = train(features, 1, **settings)
    short = train(features, 1, stop=0.05, snapshots=(0, 1000), **settings)
    recorded = short.recorded.tolist()
    assert (short.taken < 1000).any()
    for index in np.ndindex(short.taken.shape):
        end = recorded.index(short.taken[index])
        drops = 1 - whole.history[index][1 : end + 1] / whole.history[index][:end]
        assert (drops[:-1] >= 0.05).all()
        assert short.taken[index] == 1000 or drops[-1] < 0.05
        assert np.array_equal(short.history[index][: end + 1], whole.history[index][: end + 1])
        assert np.isnan(short.history[index][end + 1 :]).all()
        assert short.loss[index] == short.history[index][end]
    stopped = short.taken < 1000
    assert np.isnan(short.snapshots[1].weights[stopped]).all()
    assert np.isfinite(short.snapshots[0].weights).all()


def test_constant_rate_and_cosine():
    assert np.array_equal(Recipe(steps=10, learning_rate=0.1, schedule="constant").rates(3, 5), [0.1, 0.1])
    cosine = Recipe(steps=10, learning_rate=0.1).rates(0, 10)
    assert cosine[0] == 0.1
    assert cosine[5] == pytest.approx(0.05)
    assert (np.diff(cosine) < 0).all()


def test_progress_goes_to_stderr(capsys):
    train(Features(0.5, n=2), 1, steps=3, batch=4, progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "training 1 models" in captured.err


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")


def test_a_model_that_diverges_leaves_the_others_alone():
    """Weights grow until they are not finite, or too large for the accuracy that losses have otherwise."""
    wild = Features(0.1, np.concatenate([np.ones((2, 20)), np.full((1, 20), 1e6)]))
    run = train(wild, 5, steps=20, batch=32)
    assert np.isfinite(run.loss).all()
    alone = train(Features(0.1, np.ones((2, 20))), 5, steps=20, batch=32)
    assert np.array_equal(run.loss[:2], alone.loss)
    exact = expected_loss(run.weights[2, 0], run.bias[2, 0], Features(0.1, n=20))
    assert run.loss[2, 0] == pytest.approx(1e6 * exact, rel=1e-6)
    lost = train(Features(0.1, n=20), 5, steps=50, batch=32, learning_rate=1e6, replicas=2)
    assert np.isnan(lost.loss).all()
    assert np.isnan(lost.best()[2])


@pytest.mark.gpu
@needs_cuda
def test_cuda_reaches_the_same_optimum():
    run = train(Features(0.3, n=2), 1, replicas=12, steps=1500, batch=256, learning_rate=0.02, device="cuda")
    assert run.loss.min() < 1.01 * phase_diagram([0.3], [1.0]).loss[0, 0]


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("features", SETTINGS, ids=lambda f: f.law.kind)
def test_cuda_captures_the_step(features, dtype):
    """A replay differs from the step in no bit, or it would not be taken."""
    recipe = Recipe("absolute", steps=30, batch=200)
    step = TorchStep(start(features, "absolute", dtype), recipe, 0, 30, torch.device("cuda"))
    with torch.no_grad():
        assert graphed(step, step.tensors) is not step
    assert step.number.item() == 0


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("features", SETTINGS, ids=lambda f: f.law.kind)
def test_cuda_follows_the_cpu(features, model):
    """In float64 rounding is 1e-16 and a step of AdamW amplifies it little: 1e-9 after 300 steps."""
    settings = {"model": model, "replicas": 2, "steps": 300, "batch": 200, "learning_rate": 0.01, "dtype": "float64"}
    cpu, cuda = (train(features, 3, device=device, **settings) for device in ("cpu", "cuda"))
    assert np.abs(cpu.weights - cuda.weights).max() < 1e-9
    assert np.abs(cpu.bias - cuda.bias).max() < 1e-9


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"m": 0}, "m must be an integer >= 1, got 0"),
        ({"steps": 0}, "steps must be"),
        ({"batch": 1.5}, "batch must be an integer"),
        ({"replicas": 0}, "replicas must be"),
        ({"learning_rate": -1.0}, "learning_rate must be positive and finite, .* got -1"),
        ({"learning_rate": float("nan")}, "got nan"),
        ({"learning_rate": True}, "learning_rate must be positive and finite, a number such as 0.001, got True"),
        ({"learning_rate": "a"}, "learning_rate must be .* got 'a'"),
        ({"learning_rate": None}, "learning_rate must be .* got None"),
        ({"learning_rate": [0.1]}, r"learning_rate must be .* got \[0.1\]"),
        ({"learning_rate": 10**400}, "learning_rate must be .* got 1000"),
        ({"dtype": "float16"}, "dtype must be one of float32, float64, got 'float16'"),
        ({"model": "relo"}, "model must be one of relu, linear, hidden, untied, absolute, got 'relo'"),
        ({"loss": "huber"}, "loss must be one of sampled, exact"),
        ({"optimiser": "sgd"}, "optimiser must be one of adamw, bfgs"),
        ({"optimiser": "bfgs"}, "loss must be 'exact' for optimiser 'bfgs'"),
        ({"schedule": "step"}, "schedule must be one of cosine, constant"),
        ({"loss": "exact", "model": "hidden"}, "loss must be 'sampled' for model 'hidden'"),
        ({"loss": "exact", "optimiser": "bfgs", "history": 2}, "history, snapshots and stop are for optimiser 'adamw'"),
        ({"seed": -1}, "seed must be an integer >= 0"),
        ({"seed": 0.5}, "seed must be an integer >= 0"),
        ({"seed": [1, 2, 3], "features": Features(np.full((2, 2), 0.1))}, "seed of shape"),
        ({"snapshots": (5,)}, "snapshots must be .* steps from 0 to 2, .* got 5"),
        ({"snapshots": (1.7,)}, r"snapshots must be a sequence of whole steps from 0 to 2, such as \(0, 2\), got 1.7"),
        ({"snapshots": (float("nan"),)}, "snapshots must be .* got nan"),
        ({"snapshots": (True,)}, "snapshots must be .* got True"),
        ({"snapshots": "12"}, "snapshots must be .* got '1'"),
        ({"snapshots": ("a",)}, "snapshots must be .* got 'a'"),
        ({"snapshots": 5}, "snapshots must be .* got 5"),
        ({"snapshots": None}, "snapshots must be .* got None"),
        ({"history": -1}, "history must be"),
        ({"stop": "a", "history": 2}, "stop must be a fraction between 0 and 1, such as 0.01, got 'a'"),
        ({"stop": [0.1], "history": 2}, r"stop must be a fraction .* got \[0.1\]"),
        ({"stop": float("nan"), "history": 2}, "stop must be a fraction .* got nan"),
        ({"model": ["relu"]}, r"model must be one of .* got \['relu'\]"),
        ({"loss": ["exact"]}, r"loss must be one of .* got \['exact'\]"),
        ({"optimiser": np.array(["adamw", "bfgs"])}, "optimiser must be one of .* got array"),
        ({"schedule": {}}, "schedule must be one of .* got {}"),
        ({"dtype": ["float32"]}, r"dtype must be one of .* got \['float32'\]"),
        ({"dtype": np.array(["float32", "a"])}, "dtype must be one of .* got array"),
        ({"seed": [[1], [2, 3]]}, "seed must be an integer >= 0"),
        ({"features": 0.1}, "features must be Features, such as .* got 0.1"),
        ({"features": Features(np.full((3, 0, 2), 0.1))}, "features must hold at least one instance, got leading axes"),
        ({"replicas": 10**14}, "replicas must be smaller, got 100000000000000: training would take at least .* GiB"),
        ({"m": 10**14}, "m must be smaller, got 100000000000000"),
        ({"batch": 10**14}, "batch must be smaller, got 100000000000000"),
        ({"history": 10**14}, "history must be smaller, got 100000000000000"),
        ({"device": None}, "device must be 'cpu' or 'cuda', got None"),
        ({"device": ["cpu"]}, "device must be 'cpu' or 'cuda'"),
        ({"device": "cuda:256"}, "device must be 'cpu' or 'cuda', got 'cuda:256'"),
        ({"stop": 0.1}, "history must be at least 1 for an early stop"),
        ({"stop": 1.5, "history": 2}, "stop must be a fraction"),
        ({"features": Features(1e-7, n=2)}, "density must be at least 1e-06 to be sampled"),
        ({"device": "abacus"}, "device must be 'cpu' or 'cuda', got 'abacus'"),
        ({"device": "meta"}, "device must be"),
        pytest.param(
            {"device": "cuda"},
            "no CUDA device",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device"),
        ),
    ],
)
def test_bad_settings_are_named(change, words):
    arguments = {"features": Features(0.1, n=2), "m": 1, "steps": 2, "batch": 2, **change}
    with pytest.raises(InputError, match=words):
        train(arguments.pop("features"), arguments.pop("m"), **arguments)


def test_a_device_beyond_the_last_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert find_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(InputError, match=r"device must be at most 'cuda:1', .* got 'cuda:9'"):
        find_device("cuda:9")
