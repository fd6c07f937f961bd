"""Training the grid of the first phase diagram: the batched trainer against a loop in the style of a notebook."""

import numpy as np
import pytest
import torch

from tegum.numerics import train
from tegum.theory import Features

STEPS, BATCH = 50, 256


def grid(models):
    rng = np.random.default_rng(0)
    return Features(rng.uniform(0.05, 1, (models, 1)), np.stack([np.ones(models), rng.uniform(0.1, 1, models)], 1))


@pytest.mark.parametrize("models", [64, 1024])
def test_batched(benchmark, models):
    benchmark.pedantic(train, (grid(models), 1), {"steps": STEPS, "batch": BATCH}, rounds=3)
    benchmark.extra_info["model steps per second"] = models * STEPS / benchmark.stats["mean"]


def test_notebook_style_loop(benchmark):
    """One model after the other: a module, autograd, AdamW."""
    features = grid(4)

    def loop():
        for density, importance in zip(features.density, features.importance, strict=True):
            weights = torch.nn.Parameter(torch.randn(1, 2))
            bias = torch.nn.Parameter(torch.zeros(2))
            optimiser = torch.optim.AdamW([weights, bias], lr=1e-3)
            p, scale = torch.tensor(density).float(), torch.tensor(importance).float()
            for _ in range(STEPS):
                x = torch.where(torch.rand(BATCH, 2) < p, torch.rand(BATCH, 2), 0.0)
                output = torch.relu(x @ weights.T @ weights + bias)
                loss = (scale * (x - output) ** 2).sum(1).mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()

    benchmark.pedantic(loop, rounds=3)
    benchmark.extra_info["model steps per second"] = 4 * STEPS / benchmark.stats["mean"]
