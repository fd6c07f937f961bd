"""Training: batches of toy models by gradient descent on the sampled or the exact loss, each as if it were alone."""

from __future__ import annotations

import math
import os
import time
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray as Array
from tqdm import tqdm

from ..theory import Features, Grade, InputError
from ..theory._checks import whole
from ._instances import add_axis, flatten
from ._recipe import MODELS, Recipe
from ._steps import State, bfgs, compiled_steps, exact_steps, population_loss
from ._torch_steps import torch_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike

DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class Snapshot:
    """Models after `step` steps: weights (..., replicas, m, n), bias (..., replicas, n), decoder (..., replicas, n, m) or None if tied.

    NaN for models that had stopped.
    """

    step: int
    weights: Float[Array, "*instances replicas m n"]
    bias: Float[Array, "*instances replicas n"]
    decoder: Float[Array, "*instances replicas n m"] | None


@dataclass(frozen=True)
class TrainedModels:
    """Final state of a batch of trained models; leading axes are those of features and seeds, then the replicas.

    weights (..., replicas, m, n), bias (..., replicas, n); decoder (..., replicas, n, m), or None where it is the transposed weights.
    loss, loss_error (..., replicas): the population loss of the final weights, *exact* with error 0, not a batch estimate, unless a
    hidden ReLU leaves only fresh samples and their standard error; NaN if it diverged. grade: NUMERIC or SAMPLED accordingly.
    taken (..., replicas): steps until the early stop. recorded (times,): steps at which history and history_error
    (..., replicas, times) are the population loss; NaN after a stop. settings: everything needed to repeat the run.
    """

    weights: Float[Array, "*instances replicas m n"]
    bias: Float[Array, "*instances replicas n"]
    decoder: Float[Array, "*instances replicas n m"] | None
    loss: Float[Array, "*instances replicas"]
    loss_error: Float[Array, "*instances replicas"]
    grade: Grade
    taken: Int[Array, "*instances replicas"]
    recorded: Int[Array, " times"]
    history: Float[Array, "*instances replicas times"]
    history_error: Float[Array, "*instances replicas times"]
    snapshots: tuple[Snapshot, ...] = field(repr=False)
    features: Features
    settings: dict[str, Any] = field(repr=False)

    def best(self) -> tuple[Float[Array, "*instances m n"], Float[Array, "*instances n"], Float[Array, "*instances"]]:
        """Weights, bias and loss of the replica with the lowest loss, per instance; one that diverged only if all did."""
        index = np.where(np.isnan(self.loss), np.inf, self.loss).argmin(-1)
        at = np.take_along_axis
        return (
            at(self.weights, index[..., None, None, None], -3)[..., 0, :, :],
            at(self.bias, index[..., None, None], -2)[..., 0, :],
            at(self.loss, index[..., None], -1)[..., 0],
        )


def train(
    features: Features,
    m: int,
    *,
    model: str = "relu",
    loss: str = "sampled",
    optimiser: str = "adamw",
    replicas: int = 1,
    steps: int = 10_000,
    batch: int = 1024,
    learning_rate: float = 1e-3,
    schedule: str = "cosine",
    seed: ArrayLike = 0,
    history: int = 0,
    snapshots: Sequence[int] = (),
    stop: float | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    progress: bool = False,
) -> TrainedModels:
    """Train x' = ReLU(WᵀW x + b), or another toy model, on Σ_i I_i (x_i - x'_i)², every instance and replica at once.

    The defaults are the recipe of Elhage et al. 2022: AdamW (β = 0.9, 0.999, weight decay 0.01) from Xavier-normal weights and zero bias,
    with fresh samples at every step; but the learning rate decays to zero along a cosine, where schedule='constant' is theirs.

    What becomes of a model depends on its own seed, features and m only, bit for bit on one device, not on the models beside it: its random
    numbers are functions of a key made from these. Replica r has the seed `seed` + r. The one process that compiles the loops, the first
    after an installation, may round otherwise in the last bit than those that load them. A GPU draws the same samples; its sums round
    differently, so weights agree to rounding until training amplifies it, in float64 to 1e-9 over hundreds of steps.

    features: instances (..., n), of any law. m >= 1.
    model    'relu', tied as above; 'linear', WᵀW x + b; 'hidden', ReLU(Wᵀ ReLU(W x) + b); 'untied', ReLU(W₂ W₁ x + b);
             'absolute', computation in superposition (ibid., section 7): values of random sign, |x| from ReLU(W₂ ReLU(W₁ x) + b).
             Of the last two `weights` are W₁ and `decoder` is W₂.
    loss     'sampled', on `batch` samples per step, or 'exact', the population loss (models without hidden ReLU; float64).
    optimiser 'adamw', or on the exact loss 'bfgs' (of limited memory, for any size): at most `steps` evaluations to the nearest minimum.
    seed     integers, broadcast with the leading axes of features; replicas per instance and seed.
    history  number of logarithmically spaced steps at which the loss is recorded, besides step 0; snapshots: steps to keep the weights of.
    stop     a model ends at the recorded step where its loss has fallen by less than this fraction since the one before.
    device   'cpu' (compiled loops, in torch.get_num_threads() threads) or 'cuda'; dtype 'float32' or 'float64' of the sampled loss.
    progress a bar on stderr.

    Speed on one CPU core at batch 1024: see `_kernels`; about 3 µs per model and step for n = 2, m = 1, less for sparse features.
    Grade of the result SAMPLED (on the exact loss: NUMERIC, from random starts), of the recorded loss `grade`. Raises InputError.

    >>> run = train(Features(0.1, n=2), m=1, replicas=8, steps=400, batch=256, learning_rate=0.03)
    >>> run.weights.shape, bool(0.00331948 < run.best()[2] < 0.0040)
    ((8, 1, 2), True)
    """
    m, replicas = whole("m", m, 1), whole("replicas", replicas, 1)
    recipe = Recipe(model, loss, optimiser, steps, batch, learning_rate, schedule, history, snapshots, stop)
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise InputError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    where = find_device(device)
    if where.type == "cuda" and loss == "exact":
        raise InputError("device must be 'cpu' for loss 'exact'")
    flat, seeds, shape = _instances(features, seed, m, replicas, recipe)
    started = time.time()
    state = State.start(flat, seeds, m, model, dtype if loss == "sampled" else "float64")
    count = len(state)
    with tqdm(
        total=count * steps, desc=f"training {count} models", disable=not progress, mininterval=1.0, unit_scale=True
    ) as bar:

        def advance(part: State, first: int, last: int) -> None:
            if loss == "exact":
                exact_steps(part, recipe, first, last)
            elif where.type == "cpu":
                compiled_steps(part, recipe, first, last)
            else:
                torch_steps(part, recipe, first, last, where)
            bar.update(len(part) * (last - first))

        if optimiser == "bfgs":
            bfgs(state, recipe)
            diary = _Diary.blank(state, recipe)
        else:
            diary = _run(state, recipe, advance)
    final, error = population_loss(state, model)
    return TrainedModels(
        *_shaped(state, np.arange(count), shape),
        loss=final.reshape(shape),
        loss_error=error.reshape(shape),
        grade=Grade.NUMERIC if MODELS[model].exact else Grade.SAMPLED,
        taken=diary.taken.reshape(shape),
        recorded=np.array(recipe.recorded, int),
        history=diary.loss.reshape(*shape, -1),
        history_error=diary.error.reshape(*shape, -1),
        snapshots=tuple(Snapshot(step, *_shaped(*diary.kept[step], shape)) for step in recipe.snapshots),
        features=features,
        settings={
            "m": m,
            **asdict(recipe),
            "replicas": replicas,
            "seed": np.asarray(seed).tolist(),
            "device": torch.cuda.get_device_name(where) if where.type == "cuda" else "cpu",
            "dtype": str(state.encoder.dtype),
            "torch": torch.__version__,
            "seconds": round(time.time() - started, 1),
        },
    )


@dataclass
class _Diary:
    """What happens on the way: steps taken (k,), loss and its error (k, times), and the models left at the steps to keep."""

    taken: Array
    loss: Array
    error: Array
    kept: dict[int, tuple[State, Array]]

    @classmethod
    def blank(cls, state: State, recipe: Recipe) -> _Diary:
        """Nothing has happened."""
        empty = np.full((len(state), len(recipe.recorded)), np.nan)
        return cls(np.full(len(state), recipe.steps), empty, empty.copy(), {})


def _run(state: State, recipe: Recipe, advance: Callable[[State, int, int], None]) -> _Diary:
    """Take the models through all steps, in place; those that stop early are left where they are."""
    diary = _Diary.blank(state, recipe)
    alive, part = np.arange(len(state)), state
    for first, last in pairwise([*recipe.marks, recipe.steps]):
        if first in recipe.recorded and len(part):
            at = recipe.recorded.index(first)
            diary.loss[alive, at], diary.error[alive, at] = population_loss(part, recipe.model)
            if recipe.stop is not None and at:
                going = diary.loss[alive, at] <= diary.loss[alive, at - 1] * (1 - recipe.stop)
                diary.taken[alive[~going]] = first
                state.put(alive, part)
                alive, part = alive[going], part.take(going)
        if first in recipe.snapshots:
            diary.kept[first] = part.take(np.arange(len(part))), alive
        if last > first and len(part):
            advance(part, first, last)
    state.put(alive, part)
    return diary


def _shaped(state: State, where: Array, shape: tuple[int, ...]) -> tuple[Array, Array, Array | None]:
    """Weights, bias and decoder in float64 as users see them, of the models at these positions among all; NaN for others."""
    arrays = [state.encoder, state.bias, *([] if state.tied else [np.swapaxes(state.decoder, 1, 2)])]
    full = [np.full((int(np.prod(shape)), *a.shape[1:]), np.nan) for a in arrays]
    for out, a in zip(full, arrays, strict=True):
        out[where] = a
    weights, bias, *decoder = (out.reshape(*shape, *out.shape[1:]) for out in full)
    return weights, bias, decoder[0] if decoder else None


def starting_weights(
    features: Features, m: int, *, replicas: int = 1, seed: ArrayLike = 0, model: str = "relu"
) -> Float[Array, "*instances replicas m n"]:
    """The weights from which `train` with these arguments starts (the encoder's, if the decoder has its own), in float64."""
    m, replicas = whole("m", m, 1), whole("replicas", replicas, 1)
    flat, seeds, shape = _instances(features, seed, m, replicas, Recipe(model, batch=1))
    return State.start(flat, seeds, m, model, "float64").encoder.reshape(*shape, m, features.n)


def _instances(
    features: Features, seed: ArrayLike, m: int, replicas: int, recipe: Recipe
) -> tuple[Features, Array, tuple[int, ...]]:
    """Features (models, n) and seeds (models,) of all models, and the shape of the batch, which fits the memory."""
    if not isinstance(features, Features):
        raise InputError(f"features must be Features, such as Features(0.1, n=5), got {features!r}")
    if features.density.size == 0:
        raise InputError(f"features must hold at least one instance, got leading axes {features.density.shape[:-1]}")
    try:
        seeds = np.asarray(seed)
    except ValueError:
        seeds = np.empty(0)
    # Beside the largest seed there must be room for those of the replicas: sums of unsigned and signed integers are floats.
    good = seeds.dtype.kind in "iu" and seeds.size > 0 and seeds.min() >= 0
    if not good or int(seeds.max()) + replicas > 2**63:
        raise InputError(f"seed must be an integer >= 0 or an array of them, at most 2**63 - replicas, got {seed!r}")
    seeds = seeds.astype(np.int64)
    try:
        leading = np.broadcast_shapes(features.density.shape[:-1], seeds.shape)
    except ValueError:
        raise InputError(
            f"seed of shape {seeds.shape} does not fit the leading axes {features.density.shape[:-1]} of features"
        ) from None
    shape = (*leading, replicas)
    _check_memory(math.prod(leading), features.n, m, replicas, recipe)
    flat = flatten(add_axis(features), shape)
    each = np.broadcast_to(seeds[..., None] + np.arange(replicas), shape)
    return flat, each.reshape(-1), shape


def _check_memory(instances: int, n: int, m: int, replicas: int, recipe: Recipe) -> None:
    """InputError naming what asks for most, if weights, moments, records and one batch in float32 exceed the memory of this machine."""
    if not hasattr(os, "sysconf"):  # Windows does not tell
        return
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    models = instances * replicas
    largest = max((m, "m"), (replicas, "replicas"), (instances, "the number of instances of features and seed"))
    needs = {
        (recipe.batch, "batch"): 4 * n * recipe.batch if recipe.loss == "sampled" else 0,
        (recipe.history, "history"): 8 * recipe.history + 16 * models * min(recipe.history, recipe.steps),
        largest: 16 * models * m * n,
    }
    if sum(needs.values()) > memory:
        value, name = max(needs, key=lambda what: needs[what])
        raise InputError(
            f"{name} must be smaller, got {value}: training would take at least {sum(needs.values()) / 2**30:.3g} GiB "
            f"of the {memory / 2**30:.3g} GiB of this machine"
        )


def find_device(name: str) -> torch.device:
    """The torch device called 'cpu' or 'cuda'; InputError if there is none of that name on this machine.

    >>> find_device("cpu")
    device(type='cpu')
    """
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        raise InputError(f"device must be 'cpu' or 'cuda', got {name!r}") from None
    # torch takes the number of a device modulo 256.
    if device.type not in ("cpu", "cuda") or str(device) != str(name):
        raise InputError(f"device must be 'cpu' or 'cuda', got {name!r}")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device {name!r} asked for, but torch finds no CUDA device; use device='cpu'")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"device must be at most 'cuda:{torch.cuda.device_count() - 1}', the last one that torch finds, got {name!r}"
        )
    return device
