"""Training: the sampled gradient, the law of the samples, and what a run records."""

import numpy as np
import pytest
import torch

from tegum.numerics import train
from tegum.numerics._train import sample_features, sampled_gradient
from tegum.theory import Features, InputError, expected_loss, phase_diagram


def test_sampled_gradient_is_autograd_of_the_written_loss():
    rng = torch.Generator().manual_seed(0)
    w = torch.randn(7, 3, 5, generator=rng, dtype=torch.float64, requires_grad=True)
    b = torch.randn(7, 5, 1, generator=rng, dtype=torch.float64, requires_grad=True)
    importance = torch.rand(7, 5, 1, generator=rng, dtype=torch.float64) + 0.1
    x = torch.rand(7, 5, 64, generator=rng, dtype=torch.float64)
    (importance * (x - torch.relu(w.transpose(1, 2) @ (w @ x) + b)) ** 2).sum(1).mean(1).sum().backward()
    d_w, d_b = torch.empty_like(w), torch.empty_like(b)
    with torch.no_grad():
        sampled_gradient(w, b, x, importance, d_w, d_b)
    assert torch.allclose(d_w, w.grad, rtol=1e-12, atol=1e-14)
    assert torch.allclose(d_b, b.grad, rtol=1e-12, atol=1e-14)


def test_samples_have_the_law_of_sparse_uniform_features():
    density = torch.tensor([0.05, 0.5, 1.0], dtype=torch.float64).reshape(1, 3, 1)
    x = torch.empty(1, 3, 400_000, dtype=torch.float64)
    sample_features(x, density, torch.Generator().manual_seed(3))
    p = density.flatten()
    for power in (1, 2, 3):
        mean = p / (power + 1)
        sigma = torch.sqrt((p / (2 * power + 1) - mean**2) / x.shape[2])
        assert (torch.abs((x**power).mean(2).flatten() - mean) < 5 * sigma).all()
    assert x.min() >= 0
    assert x.max() < 1


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_reaches_the_exact_optimum(dtype):
    p, importance = 0.3, 0.6
    run = train(Features(p, [1.0, importance]), 1, replicas=12, steps=1500, batch=256, learning_rate=0.02, dtype=dtype)
    best = phase_diagram([p], [importance]).loss[0, 0]
    assert (run.loss >= best - 1e-9).all()
    assert run.loss.min() < 1.01 * best


def test_a_run_records_the_exact_loss_and_repeats():
    features = Features(np.array([[0.2], [0.8]]), n=3)
    settings = {"replicas": 3, "steps": 20, "batch": 32, "seed": 4}
    one, two = (train(features, 2, **settings) for _ in range(2))
    assert one.weights.shape == (2, 3, 2, 3)
    assert one.loss.shape == (2, 3)
    assert np.array_equal(one.weights, two.weights)
    assert not np.array_equal(one.weights, train(features, 2, **{**settings, "seed": 5}).weights)
    assert one.loss[1, 2] == pytest.approx(float(expected_loss(one.weights[1, 2], one.bias[1, 2], Features(0.8, n=3))))
    weights, bias, loss = one.best()
    assert (weights.shape, bias.shape) == ((2, 2, 3), (2, 3))
    assert np.array_equal(loss, one.loss.min(-1))
    assert one.settings["seed"] == 4


def test_progress_goes_to_stderr(capsys):
    train(Features(0.5, n=2), 1, steps=3, batch=4, progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "training 1 models" in captured.err


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_cuda_reaches_the_same_optimum():
    run = train(Features(0.3, n=2), 1, replicas=12, steps=1500, batch=256, learning_rate=0.02, device="cuda")
    assert run.loss.min() < 1.01 * phase_diagram([0.3], [1.0]).loss[0, 0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"m": 0}, "m must be an integer >= 1, got 0"),
        ({"steps": 0}, "steps must be"),
        ({"batch": 1.5}, "batch must be an integer"),
        ({"learning_rate": -1.0}, "learning_rate must be positive and finite, got -1"),
        ({"learning_rate": float("nan")}, "got nan"),
        ({"dtype": "float16"}, "dtype must be one of float32, float64, got 'float16'"),
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
