"""Training: batches of toy models by stochastic gradient descent on the sampled loss, one optimiser step for all at once."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray as Array
from tqdm import tqdm

from ..theory import Features, InputError, expected_loss
from ..theory._checks import whole
from ..theory._law import independent

DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True)
class TrainedModels:
    """Final state of a batch of trained models; leading axes are those of the features, then the replicas.

    weights (..., replicas, m, n), bias (..., replicas, n); loss (..., replicas): the *exact* population loss of the final
    weights, not a batch estimate. settings: everything needed to repeat the run.
    """

    weights: Float[Array, "*instances replicas m n"]
    bias: Float[Array, "*instances replicas n"]
    loss: Float[Array, "*instances replicas"]
    features: Features
    settings: dict[str, str | int | float] = field(repr=False)

    def best(self) -> tuple[Float[Array, "*instances m n"], Float[Array, "*instances n"], Float[Array, "*instances"]]:
        """Weights, bias and exact loss of the replica with the lowest exact loss, per instance."""
        index = self.loss.argmin(-1)
        take = np.take_along_axis
        return (
            take(self.weights, index[..., None, None, None], -3)[..., 0, :, :],
            take(self.bias, index[..., None, None], -2)[..., 0, :],
            take(self.loss, index[..., None], -1)[..., 0],
        )


def train(
    features: Features,
    m: int,
    *,
    replicas: int = 1,
    steps: int = 10_000,
    batch: int = 1024,
    learning_rate: float = 1e-3,
    seed: int = 0,
    device: str = "cpu",
    dtype: str = "float32",
    progress: bool = False,
) -> TrainedModels:
    """Train x' = ReLU(WᵀW x + b) on sampled batches of Σ_i I_i (x_i - x'_i)², every instance and replica at once.

    The recipe of Elhage et al. 2022: AdamW (torch's defaults otherwise, weight decay 0.01), Xavier-normal weights, zero
    bias, fresh samples at every step, here with the learning rate decayed to zero along a cosine. The optimiser acts
    entry by entry and the losses are summed, so the models do not influence each other.

    features: instances (..., n); m >= 1; replicas per instance; `batch` samples per step and model; seed of the
    one random generator; device 'cpu' or 'cuda'; dtype 'float32' or 'float64'. progress: a bar on stderr.
    Grade of the result SAMPLED, of the recorded loss NUMERIC. Raises InputError.

    >>> run = train(Features(0.1, n=2), m=1, replicas=8, steps=400, batch=256, learning_rate=0.03)
    >>> run.weights.shape, bool(0.00331948 < run.best()[2] < 0.0040)
    ((8, 1, 2), True)
    """
    m, replicas = whole("m", m, 1), whole("replicas", replicas, 1)
    steps, batch, seed = whole("steps", steps, 1), whole("batch", batch, 1), whole("seed", seed, 0)
    if not (np.isfinite(learning_rate) and learning_rate > 0):
        raise InputError(f"learning_rate must be positive and finite, got {learning_rate}")
    if dtype not in DTYPES:
        raise InputError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    if features.law != independent(features.n):
        raise InputError(
            "features must be independent with uniform values to be trained on; other laws have an exact loss only"
        )
    where = find_device(device)
    kind = DTYPES[dtype]
    n = features.n
    shape = (*features.density.shape[:-1], replicas)
    models = int(np.prod(shape))
    started = time.time()

    # Samples are laid out (model, feature, sample): the matrix products then run along the long axis.
    def column(per_feature: Array) -> torch.Tensor:
        full = np.broadcast_to(per_feature[..., None, :], (*shape, n)).reshape(models, n, 1)
        return torch.tensor(full, dtype=kind, device=where)

    density, importance = column(features.density), column(features.importance)
    setup = torch.Generator().manual_seed(seed)
    initial = torch.randn(models, m, n, generator=setup, dtype=torch.float64) * np.sqrt(2 / (n + m))
    weights, bias = initial.to(where, kind), torch.zeros(models, n, 1, dtype=kind, device=where)
    optimiser = torch.optim.AdamW([weights, bias], lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    stream = torch.Generator(where).manual_seed(seed + 1)
    x = torch.empty(models, n, batch, dtype=kind, device=where)
    weights.grad, bias.grad = torch.empty_like(weights), torch.empty_like(bias)
    with torch.no_grad():
        for _ in tqdm(range(steps), desc=f"training {models} models", disable=not progress, mininterval=1.0):
            sample_features(x, density, stream)
            sampled_gradient(weights, bias, x, importance, weights.grad, bias.grad)
            optimiser.step()
            schedule.step()
    w = weights.double().cpu().numpy().reshape(*shape, m, n)
    b = bias.double().cpu().numpy().reshape(*shape, n)
    each = Features(features.density[..., None, :], features.importance[..., None, :])
    return TrainedModels(
        weights=w,
        bias=b,
        loss=expected_loss(w, b, each),
        features=features,
        settings={
            "m": m,
            "replicas": replicas,
            "steps": steps,
            "batch": batch,
            "learning_rate": learning_rate,
            "seed": seed,
            "device": torch.cuda.get_device_name(where) if where.type == "cuda" else "cpu",
            "dtype": dtype,
            "torch": torch.__version__,
            "seconds": round(time.time() - started, 1),
        },
    )


def sample_features(x: torch.Tensor, density: torch.Tensor, stream: torch.Generator) -> None:
    """Fill x (model, n, sample): zero with probability 1 - p, else uniform; one uniform r per entry, x = r/p if r < p."""
    x.uniform_(generator=stream).div_(density)
    x.masked_fill_(x >= 1, 0.0)


def sampled_gradient(
    weights: torch.Tensor,
    bias: torch.Tensor,
    x: torch.Tensor,
    importance: torch.Tensor,
    d_weights: torch.Tensor,
    d_bias: torch.Tensor,
) -> None:
    """Gradient of the mean over samples of Σ_i I_i (x_i - ReLU(W_i·W x + b_i))², written into d_weights and d_bias."""
    hidden = torch.bmm(weights, x)
    output = torch.baddbmm(bias, weights.transpose(1, 2), hidden)
    pull = torch.where(output > 0, (output - x).mul_(importance * (2 / x.shape[2])), 0.0)
    torch.bmm(hidden, pull.transpose(1, 2), out=d_weights)
    d_weights.baddbmm_(torch.bmm(weights, pull), x.transpose(1, 2))
    torch.sum(pull, dim=2, keepdim=True, out=d_bias)


def find_device(name: str) -> torch.device:
    """The torch device called 'cpu' or 'cuda'; InputError if there is none of that name on this machine.

    >>> find_device("cpu")
    device(type='cpu')
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"device must be 'cpu' or 'cuda', got {name!r}") from None
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"device must be 'cpu' or 'cuda', got {name!r}")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device {name!r} asked for, but torch finds no CUDA device; use device='cpu'")
    return device
