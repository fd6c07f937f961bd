"""What a sweep costs beyond its task: 100 cells of 50 ms of work each, in this process and in two, with progress and store.

The work is counted (matrix products calibrated to 50 ms), not timed, so that waiting for the disk is not hidden in it. Overhead is
the time of the sweep over that of the bare loop around the same calls, minus one; with two workers, over that of the same executor
mapping the same calls. The last columns are the sweep with hardly any work, less the bare calls, over the time of the bare loop: what
a machine that is busy with other things blurs less. Bare and swept runs alternate and the fastest of each counts.

Run: python benchmarks/sweep_overhead.py
"""

import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one cell, one core

import numpy as np

from tegum.numerics._sweep import cell_seeds, sweep

CELLS, REPEATS, MILLISECONDS = 100, 3, 50


@dataclass(frozen=True)
class Products:
    """A final weight matrix, a history and a loss per cell, after `rounds` matrix products."""

    rounds: int
    block: dict = field(default_factory=dict)
    name: str = "products"
    version: int = 1
    inner = {"step": range(100), "m": range(5), "n": range(20)}  # noqa: RUF012
    variables = {"weights": (("m", "n"), "float32"), "history": (("step",), "float32"), "loss": ((), "float64")}  # noqa: RUF012

    @property
    def config(self):
        return {"rounds": self.rounds}

    def __call__(self, cells):
        seeds = cell_seeds(cells)
        out = {
            name: np.empty((*seeds.shape, *(len(self.inner[d]) for d in dims)), dtype)
            for name, (dims, dtype) in self.variables.items()
        }
        for at, seed in np.ndenumerate(seeds):
            rng = np.random.default_rng(seed)
            x = rng.standard_normal((64, 64))
            for _ in range(self.rounds):
                x = np.tanh(x @ x.T / 64)
            out["weights"][at], out["history"][at], out["loss"][at] = x[:5, :20], rng.random(100), x.mean()
        return out


def calibrated():
    """The number of products that takes 50 ms, when nothing disturbs."""
    one = {"seed": np.arange(1)}
    rounds, best = 100, np.inf
    for _ in range(20):
        start = time.perf_counter()
        Products(rounds)(one)
        best = min(best, time.perf_counter() - start)
    return max(1, round(rounds * MILLISECONDS / 1000 / best))


def blocks(size):
    return [{"seed": np.arange(start, start + size)} for start in range(0, CELLS, size)]


def main():
    rounds = calibrated()
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs"
    print(f"{CELLS} cells of {MILLISECONDS} ms of work, fastest of {REPEATS}, {load}\n")
    print("| workers | cells per block | bare s | sweep s | overhead | without the work: s | of bare |")
    print("|---|---|---|---|---|---|---|")
    with ProcessPoolExecutor(2) as pool, tempfile.TemporaryDirectory() as folder:
        list(pool.map(Products(1), blocks(1)))  # workers started, modules imported
        sweep({"seed": range(4)}, Products(1), store=Path(folder) / "first.zarr", progress=False)
        for executor, size in ((None, 1), (None, 10), (pool, 1), (pool, 10)):

            def pair(rounds, name, executor=executor, size=size):
                """Seconds of the bare calls and of the sweep."""
                task, store = Products(rounds, {"seed": size}), Path(folder) / f"{bool(executor)}-{size}-{name}.zarr"
                start = time.perf_counter()
                list((pool.map if executor else map)(task, blocks(size)))
                middle = time.perf_counter()
                sweep({"seed": range(CELLS)}, task, store=store, executor=executor)
                return middle - start, time.perf_counter() - middle

            bare, swept = np.min([pair(rounds, repeat) for repeat in range(REPEATS)], 0)
            nothing, alone = np.min([pair(1, f"alone-{repeat}") for repeat in range(10)], 0)
            cost = f"{swept / bare - 1:+.1%} | {alone - nothing:.3f} | {(alone - nothing) / bare:.1%}"
            print(f"| {2 if executor else 'none'} | {size} | {bare:.2f} | {swept:.2f} | {cost} |", flush=True)


if __name__ == "__main__":
    main()
