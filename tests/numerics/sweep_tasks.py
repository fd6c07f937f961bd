"""Tasks of the sweep tests, in a module that worker processes can import."""

import contextlib
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tegum.numerics._sweep import cell_seeds


@dataclass(frozen=True)
class Walks:
    """Random walks from the seeds of the cells, with faults to order."""

    block: dict = field(default_factory=dict)
    length: int = 6
    seconds: float = 0.0  # per cell
    log: str | None = None  # gets one line per call
    die: str | None = None  # if this file is there: remove it and kill the worker
    fail: int | None = None  # seed at which to raise
    version: int = 1
    name: str = "walks"

    @property
    def config(self):
        return {"length": self.length}

    @property
    def inner(self):
        return {"step": range(self.length)}

    @property
    def variables(self):
        return {"position": (("step",), "float32"), "total": ((), "float64"), "positive": ((), "int16")}

    def __call__(self, cells):
        if self.die:
            with contextlib.suppress(FileNotFoundError):  # another worker took it
                Path(self.die).unlink()
                os.kill(os.getpid(), signal.SIGKILL)
        if self.fail is not None and self.fail in cells["seed"]:
            raise ZeroDivisionError(f"seed {self.fail}")
        if self.log:
            with Path(self.log).open("a") as handle:
                handle.write(f"{[values.tolist() for values in cells.values()]}\n")
        seeds = cell_seeds(cells)
        time.sleep(self.seconds * seeds.size)
        steps = np.array([np.random.default_rng(seed).standard_normal(self.length) for seed in seeds.flat])
        walks = steps.cumsum(1).reshape(*seeds.shape, self.length)
        positive = (walks > 0).sum(-1).astype(np.int16)
        return {"position": walks.astype(np.float32), "total": walks[..., -1], "positive": positive}
