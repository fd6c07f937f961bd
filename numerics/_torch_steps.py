"""Steps in torch: batches of models on any device, on the samples of the compiled loops; on a GPU every step is one CUDA graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ._recipe import MODELS, WEIGHT_DECAY
from ._streams import Problem, TorchSampler

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy import ndarray as Array

    from ._recipe import Model, Recipe
    from ._steps import State

# Entries of x on a device at once.
ENTRIES = 1 << 26


def torch_steps(state: State, recipe: Recipe, first: int, last: int, device: torch.device) -> None:
    """Steps on the sampled loss in torch, on the same samples as `compiled_steps`, in place."""
    size = max(1, ENTRIES // (state.features.n * recipe.batch))
    for start in range(0, len(state), size):
        part = state.take(slice(start, start + size))
        step = TorchStep(part, recipe, first, last, device)
        with torch.no_grad():
            advance = graphed(step, step.tensors) if device.type == "cuda" else step
            for _ in range(first, last):
                advance()
        step.store(part)


class TorchStep:
    """A step of AdamW for a batch of models. Nothing but its tensors changes from one call to the next, not even its own number."""

    def __init__(self, state: State, recipe: Recipe, first: int, last: int, device: torch.device) -> None:
        self.model, self.first = MODELS[recipe.model], first
        problem = Problem.of(state.features, str(state.encoder.dtype), signed=self.model.absolute)
        self.sample = TorchSampler(problem, state.keys, recipe.batch, device)
        arrays, slots = _arrays(state)
        self.weights = [torch.tensor(a, device=device) for a in arrays]
        self.means, self.squares = ([torch.tensor(a[:, k], device=device) for a in slots] for k in (0, 1))
        self.importance = torch.tensor(problem.importance, device=device)
        self.number = torch.tensor(first, device=device)
        rate, count = recipe.rates(first, last), np.arange(first, last) + 1.0
        # Per step: what weights shrink by, the root of the share of squares seen, and the length of a step over that of means seen.
        table = [1 - rate * WEIGHT_DECAY, np.sqrt(1 - 0.999**count), -rate / (1 - 0.9**count)]
        self.table = torch.tensor(np.array(table), dtype=self.importance.dtype, device=device)

    @property
    def tensors(self) -> list[Tensor]:
        """All that a step changes, but for the samples."""
        return [*self.weights, *self.means, *self.squares, self.number]

    def __call__(self) -> None:
        tied = len(self.weights) == 2
        encoder, bias = self.weights[:2]
        x = self.sample(self.number)
        d_encoder, d_bias, d_decoder = torch_gradient(
            encoder, encoder if tied else self.weights[2], bias, x, self.importance, self.model
        )
        slopes = [d_encoder + d_decoder, d_bias] if tied else [d_encoder, d_bias, d_decoder]
        keep, root, length = self.table.index_select(1, (self.number - self.first).view(1))
        for weight, slope, mean, square in zip(self.weights, slopes, self.means, self.squares, strict=True):
            mean.lerp_(slope, 0.1)
            square.mul_(0.999).addcmul_(slope, slope, value=0.001)
            weight.mul_(keep).addcmul_(mean / (square.sqrt() / root).add_(1e-8), length)
        self.number += 1

    def store(self, state: State) -> None:
        """Write weights and moments back to the models they came from."""
        arrays, slots = _arrays(state)
        for array, weight in zip(arrays, self.weights, strict=True):
            array[:] = weight.cpu().numpy()
        for slot, mean, square in zip(slots, self.means, self.squares, strict=True):
            slot[:, 0], slot[:, 1] = mean.cpu().numpy(), square.cpu().numpy()


def _arrays(state: State) -> tuple[list[Array], list[Array]]:
    """Encoder, bias and, if it is another, decoder, and the moments of each."""
    count = 2 if state.tied else 3
    of_encoder, of_decoder, of_bias = state.moments
    return [state.encoder, state.bias, state.decoder][:count], [of_encoder, of_bias, of_decoder][:count]


def graphed(step: Callable[[], None], tensors: Sequence[Tensor]) -> Callable[[], None]:
    """A step on a GPU as one launch of its hundred kernels, where a captured graph does the same to the tensors bit for bit."""
    try:
        replay = _captured(step, tensors)
    except RuntimeError:  # an operation of this version of torch that no graph may hold
        return step
    return replay if same_effect(step, replay, tensors) else step


def _captured(step: Callable[[], None], tensors: Sequence[Tensor]) -> Callable[[], None]:
    """A CUDA graph of the step; the tensors are left as they are."""
    with torch.cuda.device(tensors[0].device):
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        # What compiles or allocates at its first call may not do so while captured.
        with torch.cuda.stream(aside):
            same_effect(step, step, tensors)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
    replay: Callable[[], None] = graph.replay
    return replay


def same_effect(one: Callable[[], None], other: Callable[[], None], tensors: Sequence[Tensor]) -> bool:
    """Whether both do the same to the tensors, to the last digit, NaN where a model has diverged included; they are put back."""
    before = [t.clone() for t in tensors]
    after = []
    for call in (one, other):
        call()
        after.append([t.clone() for t in tensors])
        for tensor, value in zip(tensors, before, strict=True):
            tensor.copy_(value)
    return all(torch.allclose(a, b, rtol=0, atol=0, equal_nan=True) for a, b in zip(*after, strict=True))


def torch_gradient(
    encoder: Tensor, decoder: Tensor, bias: Tensor, x: Tensor, importance: Tensor, model: Model
) -> tuple[Tensor, Tensor, Tensor]:
    """Derivatives in encoder, bias and decoder of the mean over samples of Σ_i I_i (T_i - x'_i)²; x (models, n, batch)."""
    hidden = torch.bmm(encoder, x)
    if model.bend:
        hidden.relu_()
    output = torch.baddbmm(bias[:, :, None], decoder.mT, hidden)
    shown = output.relu() if model.rectified else output
    pull = (shown - (x.abs() if model.absolute else x)).mul_(importance[:, :, None] * (2 / x.shape[2]))
    if model.rectified:
        pull = torch.where(output > 0, pull, 0.0)
    back = torch.bmm(decoder, pull)
    if model.bend:
        back = torch.where(hidden > 0, back, 0.0)
    return torch.bmm(back, x.mT), pull.sum(2), torch.bmm(hidden, pull.mT)
