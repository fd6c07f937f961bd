"""Steps: what takes a batch of models from one step to a later one, on sampled or on exact loss, in compiled loops or in numpy."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray as Array

from ..theory import Features, InputError, expected_loss, linear_loss, rectified_loss
from ..theory._descent import descend
from . import _kernels
from ._instances import take
from ._recipe import MODELS, WEIGHT_DECAY, Model, Recipe
from ._streams import Problem, initial_weights, stream_keys

# Samples that estimate a loss without exact formula: so many batches, which are steps that no training reaches.
EVALUATION, EVALUATION_BATCH, EVALUATION_START = 256, 1024, 2**32 - 256
# Entries of the pairs that BFGS keeps at once; pairs per model.
PAIR_ENTRIES, MEMORY = 1 << 25, 20


@dataclass
class State:
    """Models in training: keys (k,), features (k, n), encoder and decoder (k, m, n), the same array if tied, bias (k, n), and the
    running means of gradients and squares (k, 2, ...) of each. The decoder is stored transposed."""

    keys: Array
    features: Features
    encoder: Array
    decoder: Array
    bias: Array
    moments: tuple[Array, Array, Array]

    @classmethod
    def start(cls, features: Features, seeds: Array, m: int, model: str, kind: str) -> State:
        """Xavier-normal weights and zero bias; features (k, n), seeds (k,)."""
        n = features.n
        keys = stream_keys(features, seeds, m, model)
        encoder = initial_weights(keys, m, n).astype(kind)
        decoder = encoder if MODELS[model].tied else initial_weights(keys, m, n, 1).astype(kind)
        bias = np.zeros((len(keys), n), kind)
        of_encoder = np.zeros((len(keys), 2, m, n), kind)
        of_decoder = of_encoder if decoder is encoder else np.zeros_like(of_encoder)
        return cls(keys, features, encoder, decoder, bias, (of_encoder, of_decoder, np.zeros((len(keys), 2, n), kind)))

    @property
    def tied(self) -> bool:
        """Whether the decoder is the encoder."""
        return self.decoder is self.encoder

    def __len__(self) -> int:
        """Number of models."""
        return len(self.keys)

    def take(self, part: slice | Array) -> State:
        """Some of the models: views for a slice, copies else."""
        encoder, moments = self.encoder[part], self.moments[0][part]
        return State(
            self.keys[part],
            take(self.features, part),
            encoder,
            encoder if self.tied else self.decoder[part],
            self.bias[part],
            (moments, moments if self.tied else self.moments[1][part], self.moments[2][part]),
        )

    def put(self, where: Array, part: State) -> None:
        """Set the models at these positions to those of `part`, which may be itself."""
        if part is not self:
            for mine, other in ((self.encoder, part.encoder), (self.decoder, part.decoder), (self.bias, part.bias)):
                mine[where] = other


def compiled_steps(state: State, recipe: Recipe, first: int, last: int) -> None:
    """Steps on the sampled loss by compiled loops, in place, in as many threads as torch has."""
    model, rates = MODELS[recipe.model], recipe.rates(first, last)
    problem = Problem.of(state.features, str(state.encoder.dtype), signed=model.absolute)

    def work(part: slice) -> None:
        some = state.take(part)
        weights = some.encoder, some.decoder, some.bias
        _kernels.train_models(
            some.keys,
            first,
            rates,
            WEIGHT_DECAY,
            recipe.batch,
            problem.arrays(part),
            problem.law,
            tuple(model),
            weights,
            some.moments,
        )

    threads = torch.get_num_threads()
    size = max(1, min(64, -(-len(state) // (4 * threads))))
    parts = [slice(start, start + size) for start in range(0, len(state), size)]
    if threads == 1 or len(parts) == 1:
        for part in parts:
            work(part)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, parts))


def exact_gradient(state: State, model: Model) -> tuple[Array, Array, Array, Array]:
    """Population loss (k,) of models without hidden ReLU, and its derivatives in encoder, decoder and bias; float64."""
    encoder, decoder = state.encoder.astype(float), state.decoder.astype(float)
    matrix = np.swapaxes(decoder, 1, 2) @ encoder
    found = (rectified_loss if model.rectified else linear_loss)(matrix, state.bias.astype(float), state.features)
    return found.loss, decoder @ found.d_matrix, encoder @ np.swapaxes(found.d_matrix, 1, 2), found.d_bias


def exact_steps(state: State, recipe: Recipe, first: int, last: int) -> None:
    """AdamW steps on the exact loss, in place, in float64."""
    model = MODELS[recipe.model]
    for step, rate in enumerate(recipe.rates(first, last), first):
        _, d_encoder, d_decoder, d_bias = exact_gradient(state, model)
        moves = [(state.encoder, d_encoder + d_decoder if state.tied else d_encoder, state.moments[0])]
        moves += [] if state.tied else [(state.decoder, d_decoder, state.moments[1])]
        for point, slope, moment in (*moves, (state.bias, d_bias, state.moments[2])):
            mean, square = moment[:, 0], moment[:, 1]
            point *= 1 - WEIGHT_DECAY * rate
            mean += 0.1 * (slope - mean)
            square += 0.001 * (slope**2 - square)
            size = np.sqrt(square) / np.sqrt(1 - 0.999 ** (step + 1)) + 1e-8
            point -= rate / (1 - 0.9 ** (step + 1)) * mean / size


def bfgs(state: State, recipe: Recipe) -> None:
    """Descent of the exact loss to its minima by BFGS of limited memory, in place, `steps` evaluations at most; no weight decay."""
    model, (_, m, n) = MODELS[recipe.model], state.encoder.shape
    parts = [state.encoder, state.bias] if state.tied else [state.encoder, state.bias, state.decoder]
    cuts = np.cumsum([p[0].size for p in parts])
    # The loss of storing nothing makes one tolerance suit all models.
    unit = (state.features.importance * state.features.variance).sum(1)
    size = max(1, PAIR_ENTRIES // (2 * MEMORY * int(cuts[-1])))
    for start in range(0, len(state), size):
        some = slice(start, start + size)
        block, scale = state.take(some), unit[some]

        def objective(point: Array, which: Array, block: State = block, scale: Array = scale) -> tuple[Array, Array]:
            pieces = np.split(point, cuts[:-1], axis=1)
            encoder = pieces[0].reshape(-1, m, n)
            decoder = encoder if block.tied else pieces[2].reshape(-1, m, n)
            chosen = replace(
                block, features=take(block.features, which), encoder=encoder, decoder=decoder, bias=pieces[1]
            )
            loss, d_encoder, d_decoder, d_bias = exact_gradient(chosen, model)
            slopes = [d_encoder + d_decoder, d_bias] if block.tied else [d_encoder, d_bias, d_decoder]
            flat = np.concatenate([s.reshape(len(point), -1) for s in slopes], axis=1)
            return loss / scale[which], flat / scale[which, None]

        first = np.concatenate([p[some].reshape(len(block), -1) for p in parts], axis=1)
        end = descend(objective, first, tolerance=1e-9, evaluations=recipe.steps, memory=MEMORY)
        for array, piece in zip(parts, np.split(end.point, cuts[:-1], axis=1), strict=True):
            array[some] = piece.reshape(array[some].shape)


def population_loss(state: State, name: str) -> tuple[Float[Array, " k"], Float[Array, " k"]]:
    """Loss of every model on its features and its standard error: 0 where the theory knows the loss, else from 262,144 fresh samples.

    NaN for models that have diverged.
    """
    model = MODELS[name]
    if model.exact:
        finite = np.flatnonzero(np.isfinite(state.encoder).all((1, 2)) & np.isfinite(state.bias).all(1))
        finite = finite[np.isfinite(state.decoder[finite]).all((1, 2))]
        loss = np.full(len(state), np.nan)
        if len(finite):
            loss[finite] = _exact_loss(state if len(finite) == len(state) else state.take(finite), name)
        return loss, np.zeros(len(state))
    problem = Problem.of(state.features, str(state.encoder.dtype), signed=model.absolute)
    losses = np.empty((len(state), EVALUATION))
    weights = state.encoder, state.decoder, state.bias
    _kernels.batch_losses(
        state.keys, EVALUATION_START, EVALUATION_BATCH, problem.arrays(), problem.law, tuple(model), weights, losses
    )
    return losses.mean(1), losses.std(1, ddof=1) / np.sqrt(EVALUATION)


def _exact_loss(state: State, name: str) -> Float[Array, " k"]:
    """Exact losses to 1e-9, or as accurately as float64 can for weights and importances of such a size."""
    if name != "relu":
        return exact_gradient(state, MODELS[name])[0]
    encoder, bias = state.encoder.astype(float), state.bias.astype(float)
    try:
        return expected_loss(encoder, bias, state.features)
    except InputError:
        if len(state) > 1:  # one of them is too large; it must not change the others
            return np.concatenate([_exact_loss(state.take(slice(k, k + 1)), name) for k in range(len(state))])
    for power in range(-8, 300):
        with contextlib.suppress(InputError):
            return expected_loss(encoder, bias, state.features, atol=10.0**power)
    return np.full(1, np.nan)
