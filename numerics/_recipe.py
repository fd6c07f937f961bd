"""Recipe: which toy model is trained, on which loss, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from ..theory import InputError
from ..theory._checks import whole


class Model(NamedTuple):
    """x' = f(decoder h + b) with h = g(encoder x): whether g is a ReLU, whether f is, whether the target is |x| of signed x, else x,
    and whether the decoder is the encoder transposed."""

    bend: bool
    rectified: bool
    absolute: bool
    tied: bool

    @property
    def exact(self) -> bool:
        """Whether the theory knows the loss: with a ReLU on the hidden layer it does not."""
        return not self.bend


MODELS = {
    "relu": Model(False, True, False, True),
    "linear": Model(False, False, False, True),
    "hidden": Model(True, True, False, True),
    "untied": Model(False, True, False, False),
    "absolute": Model(True, True, True, False),
}
LOSSES, OPTIMISERS, SCHEDULES = ("sampled", "exact"), ("adamw", "bfgs"), ("cosine", "constant")
WEIGHT_DECAY = 0.01
# Counters of steps are 32 bits, of which the last ones are kept for the evaluation of models.
MOST_STEPS = 2**31


@dataclass(frozen=True)
class Recipe:
    """How a model is trained; the fields are arguments of `train`, which explains them. Raises InputError.

    >>> Recipe(steps=1000, history=4).recorded
    (0, 1, 10, 100, 1000)
    """

    model: str = "relu"
    loss: str = "sampled"
    optimiser: str = "adamw"
    steps: int = 10_000
    batch: int = 1024
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    history: int = 0
    snapshots: tuple[int, ...] = ()
    stop: float | None = None

    def __post_init__(self) -> None:
        """Check."""
        for name, choices in (("model", MODELS), ("loss", LOSSES), ("optimiser", OPTIMISERS), ("schedule", SCHEDULES)):
            value = getattr(self, name)
            if value not in choices:
                raise InputError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
        whole("batch", self.batch, 1)
        if whole("steps", self.steps, 1) > MOST_STEPS:
            raise InputError(f"steps must be at most {MOST_STEPS}, got {self.steps}")
        whole("history", self.history, 0)
        rate = self.learning_rate
        if not (np.isfinite(rate) and rate > 0):
            raise InputError(f"learning_rate must be positive and finite, got {rate}")
        for step in self.snapshots:
            if whole("snapshots", step, 0) > self.steps:
                raise InputError(f"snapshots must be steps from 0 to {self.steps}, got {step}")
        if self.loss == "exact" and not MODELS[self.model].exact:
            raise InputError(
                f"loss must be 'sampled' for model {self.model!r}: the exact loss of a ReLU on the hidden layer is not known"
            )
        if self.optimiser == "bfgs":
            if self.loss != "exact":
                raise InputError("loss must be 'exact' for optimiser 'bfgs', whose line search samples would mislead")
            if self.history or self.snapshots or self.stop is not None:
                raise InputError("history, snapshots and stop are for optimiser 'adamw'; 'bfgs' stops by its gradient")
        if self.stop is not None:
            if not 0 < self.stop < 1:
                raise InputError(f"stop must be a fraction between 0 and 1, got {self.stop}")
            if not self.history:
                raise InputError(
                    "history must be at least 1 for an early stop: the loss is looked at when it is recorded"
                )

    @property
    def recorded(self) -> tuple[int, ...]:
        """Steps at which the loss is recorded: 0 and about `history` from 1 to `steps`, equally spaced in logarithm."""
        if not self.history:
            return ()
        return 0, *np.unique(
            np.rint(np.geomspace(1 if self.history > 1 else self.steps, self.steps, self.history)).astype(int)
        ).tolist()

    @property
    def marks(self) -> list[int]:
        """Steps at which training pauses: those recorded or kept, and some more for the progress bar."""
        even = np.linspace(0, self.steps, 51).astype(int).tolist()
        return sorted({*self.recorded, *self.snapshots, *even})

    def rates(self, first: int, last: int) -> Float[Array, " steps"]:
        """Learning rates of the steps first <= step < last."""
        if self.schedule == "constant":
            return np.full(last - first, float(self.learning_rate))
        rates: Float[Array, " steps"] = (
            self.learning_rate * (1 + np.cos(np.pi * np.arange(first, last) / self.steps)) / 2
        )
        return rates
