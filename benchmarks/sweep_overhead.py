"""What a sweep costs beyond its task: 100 cells of 50 or 200 ms of work, in this process and in two, with progress and store.

200 ms are eight models n = 2, m = 1 in the published recipe; 50 ms with one cell per block is a hard case.

The task notes the CPU time of each cell, so that one run holds both numbers and a machine that changes its speed changes both. With w
workers, overhead is (w · time of the sweep - CPU time of the cells) / CPU time of the cells: everything else is in it, waiting for the
disk, for each other, and for the process that writes the store when it takes a core of theirs. On a busy machine it is too high: the
bare calls of the task, by `map` or by the executor's, stand beside it by the same measure.

Last, a store of 4,096 finished blocks, each of 16 cells with hardly any work, is made and taken up again.

Run: python benchmarks/sweep_overhead.py    ten minutes; the results stand in benchmarks/results/sweep_overhead.json
"""

import itertools
import json
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one cell, one core

import numpy as np

from tegum.numerics import sweep
from tegum.numerics._files import write_atomically
from tegum.numerics._sweep import cell_seeds
from tegum.numerics._sweep_manifest import machine

RESULTS = Path(__file__).parent / "results" / "sweep_overhead.json"
CELLS, REPEATS = 100, 3
BLOCKS = 4096


@dataclass(frozen=True)
class Products:
    """A final weight matrix, a history and a loss per cell, after `rounds` matrix products, and the CPU seconds they took."""

    rounds: int
    block: dict = field(default_factory=dict)
    name: str = "products"
    version: int = 1
    inner = {"step": range(100), "m": range(5), "n": range(20)}  # noqa: RUF012
    variables = {  # noqa: RUF012
        "weights": (("m", "n"), "float32"),
        "history": (("step",), "float32"),
        "loss": ((), "float64"),
        "seconds": ((), "float64"),
    }

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
            start = time.process_time()
            rng = np.random.default_rng(seed)
            x = rng.standard_normal((64, 64))
            for _ in range(self.rounds):
                x = np.tanh(x @ x.T / 64)
            out["weights"][at], out["history"][at], out["loss"][at] = x[:5, :20], rng.random(100), x.mean()
            out["seconds"][at] = time.process_time() - start
        return out


def calibrated():
    """The number of products that takes a millisecond, when nothing disturbs."""
    one = {"seed": np.arange(1)}
    return round(0.1 / min(Products(100)(one)["seconds"][0] for _ in range(20)))


def timed(task, cells, store, executor=None):
    """Seconds of a sweep and CPU seconds of its cells."""
    start = time.perf_counter()
    results = sweep({"seed": range(cells)}, task, store=store, executor=executor)
    wall = time.perf_counter() - start
    return wall, float(results["seconds"].sum())


def bare(task, executor):
    """Seconds of the calls without a sweep, and CPU seconds of its cells."""
    blocks = [
        {"seed": part} for part in np.split(np.arange(CELLS), range(task.block["seed"], CELLS, task.block["seed"]))
    ]
    start = time.perf_counter()
    results = list((executor.map if executor else map)(task, blocks))
    wall = time.perf_counter() - start
    return wall, float(sum(r["seconds"].sum() for r in results))


def main():
    rounds, rows = calibrated(), []
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs"
    print(f"{CELLS} cells, {REPEATS} sweeps each, {load}\n")
    print("| ms of work | workers | cells per block | sweep s | in cells s | overhead, median | range | bare calls |")
    print("|---|---|---|---|---|---|---|---|")
    with ProcessPoolExecutor(2) as pool, tempfile.TemporaryDirectory() as folder:
        for executor in (None, pool):  # modules imported, workers started
            timed(Products(1), 4, Path(folder) / f"first-{bool(executor)}.zarr", executor)
        settings = itertools.product((50, 200), (None, pool), (1, 10))
        for milliseconds, executor, size in settings:
            workers, runs, calls = 2 if executor else 1, [], []
            task = Products(rounds * milliseconds, {"seed": size})
            for repeat in range(REPEATS):
                store = Path(folder) / f"{milliseconds}-{workers}-{size}-{repeat}.zarr"
                wall, cells = bare(task, executor)
                calls.append(workers * wall / cells - 1)
                wall, cells = timed(task, CELLS, store, executor)
                runs.append({"overhead": workers * wall / cells - 1, "sweep": wall, "in cells": cells})
            runs.sort(key=lambda run: run["overhead"])
            least, middle, most = runs[0], runs[REPEATS // 2], runs[-1]
            label, spread = workers if executor else "none", f"{least['overhead']:.1%} to {most['overhead']:.1%}"
            times = f"{middle['sweep']:.2f} | {middle['in cells']:.2f}"
            shown = f"{middle['overhead']:.1%} | {spread} | {sorted(calls)[REPEATS // 2]:.1%}"
            print(f"| {milliseconds} | {label} | {size} | {times} | {shown} |", flush=True)
            rows.append(
                {
                    "milliseconds": milliseconds,
                    "workers": label,
                    "cells per block": size,
                    "runs": runs,
                    "bare": sorted(calls),
                }
            )
        task, store = Products(1, {"seed": 16}), Path(folder) / "many.zarr"
        made, taken_up = (timed(task, 16 * BLOCKS, store)[0] for _ in range(2))
    print(f"\n{BLOCKS} blocks made in {made:.1f} s, taken up in {taken_up:.1f} s")
    head = {"command": "python benchmarks/sweep_overhead.py", "date": datetime.now(UTC).isoformat(timespec="seconds")}
    figures = {"load": load, "rows": rows, "blocks": BLOCKS, "made in": made, "taken up in": taken_up}
    write_atomically(RESULTS, json.dumps({**head, **machine(), **figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
