"""Training speed: the trainer beside loops in the style of a notebook, in one run, in model steps per second.

    python benchmarks/training.py                    about two minutes; one thread unless --threads says otherwise
    python benchmarks/training.py --device cuda      both on a GPU
    python benchmarks/training.py --table            the table of the recorded results

Three programs train the same grids, importance and density spaced evenly in logarithm (0.1 to 10, 0.01 to 1), batch 1024, AdamW, float32:
the public notebook's loop (one torch model with an instance axis, torch.rand, einsum, autograd), the same loop over one model after the
other, and `train`, its setup and its exact losses included. They take turns; each row is the fastest of its turns, in CPU seconds of
all threads on a CPU (other programs on the machine then count little) and in seconds on a GPU. The notebook's cost does not depend on the
density, that of `train` does: dense is the same grid at density 1, the worst case.

The last columns are how near a program is to two limits of the device, both measured in the same run: copying memory and multiplying
matrices. A step that keeps samples and errors in memory writes each once and reads each twice, 24 n B bytes; above 100 % they stayed in
the cache. Its five matrix products take 10 m n B operations; random numbers, the ReLU and AdamW come on top and are not counted.
"""

import argparse
import json
import os
import platform
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

import tegum
from tegum.numerics import train
from tegum.theory import Features

RESULTS = Path(__file__).parent / "results" / "training.json"
BATCH = 1024
# n, m, instances; steps of `train` per turn.
SETTINGS = [(2, 1, 4096, 100), (5, 2, 1024, 150), (20, 5, 256, 300)]
TURNS = 3


def grid(n, instances, *, dense=False):
    side = int(instances**0.5)
    density = np.ones(side) if dense else np.geomspace(0.01, 1, side)
    ratio = np.geomspace(0.1, 10, side)
    importance = np.stack([np.ones(side), *[ratio ** (i / max(n - 1, 1)) for i in range(1, n)]], -1)
    return Features(np.broadcast_to(density[:, None, None], (side, side, n)), importance[None])


class Notebook:
    """One step of the public notebook's `optimize`, for all instances at once."""

    def __init__(self, features, m, device):
        p, weight = features.density.reshape(-1, features.n), features.importance.reshape(-1, features.n)
        self.probability, self.importance = (torch.tensor(x, dtype=torch.float32, device=device) for x in (p, weight))
        self.W = torch.nn.Parameter(torch.nn.init.xavier_normal_(torch.empty(len(p), features.n, m, device=device)))
        self.b = torch.nn.Parameter(torch.zeros(len(p), features.n, device=device))
        self.optimiser = torch.optim.AdamW([self.W, self.b], lr=1e-3)

    def step(self):
        self.optimiser.zero_grad(set_to_none=True)
        shape, device = (BATCH, *self.b.shape), self.b.device
        active = torch.rand(shape, device=device) <= self.probability
        x = torch.where(active, torch.rand(shape, device=device), torch.zeros((), device=device))
        hidden = torch.einsum("...if,ifh->...ih", x, self.W)
        output = torch.relu(torch.einsum("...ih,ifh->...if", hidden, self.W) + self.b)
        error = self.importance * (x.abs() - output) ** 2
        error.mean((0, 2)).sum().backward()
        self.optimiser.step()


def clock(device):
    if device != "cpu":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def measure(n, m, instances, steps, device):
    """Seconds per model and step of each program."""
    features, dense = grid(n, instances), grid(n, instances, dense=True)
    batched, single = Notebook(features, m, device), Notebook(Features(np.full((1, n), 0.3)), m, device)

    def one(f, steps):
        return lambda: train(f, m, steps=steps, batch=BATCH, schedule="constant", device=device)

    programs = {
        "notebook": (batched.step, instances),
        "one by one": (lambda: [single.step() for _ in range(50)], 50),
        "train": (one(features, steps), instances * steps),
        "train, dense": (one(dense, steps), instances * steps),
    }
    one(features, 2)()
    batched.step()
    best = dict.fromkeys(programs, np.inf)
    for _ in range(TURNS):
        for name, (program, count) in programs.items():
            start = clock(device)
            program()
            best[name] = min(best[name], (clock(device) - start) / count)
    return best


def limits(device):
    """Bytes per second of a copy, read and written, and operations per second of a matrix product, in float32: the best of ten."""
    source, factor = torch.ones(1 << 26, device=device), torch.full((2048, 2048), 1e-3, device=device)
    target, best = torch.empty_like(source), [np.inf, np.inf]
    for _ in range(10):
        for k, program in enumerate((lambda: target.copy_(source), lambda: factor @ factor)):
            start = clock(device)
            program()
            best[k] = min(best[k], clock(device) - start)
    return {"bytes per second": 8 * len(source) / best[0], "operations per second": 2 * 2048**3 / best[1]}


def shares(name, seconds, limit):
    """Shares of the limits that a program reaches in a setting."""
    n, m = (int(word) for word in name.split(",")[0].split(" to "))
    least = {"bytes per second": 24 * n * BATCH, "operations per second": 10 * m * n * BATCH}
    return [amount / seconds / limit[key] for key, amount in least.items()]


def table(result):
    print(f"{result['date']}, {result['hardware']}, torch {result['versions']['torch']}, batch {BATCH}\n")
    limit = result["limits"]
    memory, compute = (value / 1e9 for value in limit.values())
    print(f"Copies {memory:.1f} GB/s, products {compute:.0f} Gflop/s\n")
    print(
        "| setting | program | µs per model and step | model steps per second | times the notebook | times one by one "
        "| of the copies | of the products |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, seconds in result["settings"].items():
        for program, s in seconds.items():
            against = [seconds[other] / s for other in ("notebook", "one by one")]
            near = [f"{share:.1%}" for share in shares(name, s, limit)]
            row = [f"{s * 1e6:.2f}", f"{1 / s:,.0f}", *(f"{x:.1f}" for x in against), *near]
            print(f"| {name} | {program} | {' | '.join(row)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="only print the recorded results")
    arguments = parser.parse_args()
    if arguments.table:
        for result in json.loads(RESULTS.read_text()).values():
            table(result)
        return
    torch.set_num_threads(arguments.threads)
    cuda = arguments.device != "cpu"
    where = torch.cuda.get_device_name(arguments.device) if cuda else f"{arguments.threads} threads"
    result = {
        "command": f"python benchmarks/training.py --device {arguments.device} --threads {arguments.threads}",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, {where}",
        "versions": {
            "tegum": tegum.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "torch": torch.__version__,
        },
        "limits": limits(arguments.device),
        "settings": {
            f"{n} to {m}, {instances} models": measure(n, m, instances, steps, arguments.device)
            for n, m, instances, steps in SETTINGS
        },
    }
    recorded = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    temporary = RESULTS.with_suffix(".tmp")
    temporary.write_text(json.dumps({**recorded, where: result}, indent=1) + "\n")
    temporary.replace(RESULTS)
    table(result)


if __name__ == "__main__":
    main()
