"""Recipe: which toy model is trained, on which loss, and how."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from ..theory import InputError
from ..theory._checks import whole

if TYPE_CHECKING:
    from collections.abc import Sequence


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


def _real(value: object) -> float:
    """The value in float64; NaN, which keeps no rule, if it is no number: a truth, a text or a sequence."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf


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
    snapshots: Sequence[int] = ()
    stop: float | None = None

    def __post_init__(self) -> None:
        """Check."""
        for name, choices in (("model", MODELS), ("loss", LOSSES), ("optimiser", OPTIMISERS), ("schedule", SCHEDULES)):
            value = getattr(self, name)
            if not isinstance(value, str) or value not in choices:
                raise InputError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
        whole("batch", self.batch, 1)
        if whole("steps", self.steps, 1) > MOST_STEPS:
            raise InputError(f"steps must be at most {MOST_STEPS}, got {self.steps}")
        whole("history", self.history, 0)
        if not 0 < _real(self.learning_rate) < math.inf:
            raise InputError(
                f"learning_rate must be positive and finite, a number such as 0.001, got {self.learning_rate!r}"
            )
        object.__setattr__(self, "snapshots", self._kept())
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
            if not 0 < _real(self.stop) < 1:
                raise InputError(f"stop must be a fraction between 0 and 1, such as 0.01, got {self.stop!r}")
            if not self.history:
                raise InputError(
                    "history must be at least 1 for an early stop: the loss is looked at when it is recorded"
                )

    def _kept(self) -> tuple[int, ...]:
        """The snapshots as a tuple of whole numbers, none rounded to be one."""
        rule = f"snapshots must be a sequence of whole steps from 0 to {self.steps}, such as (0, {self.steps})"
        try:
            given = tuple(self.snapshots)
        except TypeError:
            raise InputError(f"{rule}, got {self.snapshots!r}") from None
        for step in given:
            if isinstance(step, bool) or not isinstance(step, int | np.integer) or not 0 <= step <= self.steps:
                raise InputError(f"{rule}, got {step!r}")
        return tuple(int(step) for step in given)

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
