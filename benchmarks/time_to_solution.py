"""Time to solution: a loop in the style of a notebook against descent of the exact loss, side by side, in CPU seconds.

For each setting and accuracy ε: the expected CPU seconds, restarts counted, to be within ε (relative) of the best known exact loss with
probability 95 %. With a run of t seconds that succeeds with probability q that is t max(1, ln 0.05 / ln(1 - q)). Where no run of K
succeeded only a bound can be given: q < 1 - 0.05^(1/K) at 95 % confidence, so the time exceeds K t, shown as "> K t".

    python benchmarks/time_to_solution.py            all settings: loops and searches, about half an hour on 2 cores
    python benchmarks/time_to_solution.py --table    the table of the recorded results

The loop is the recipe of Elhage et al. 2022: AdamW, learning rate 1e-3, batches of 1024, 10,000 steps, Xavier-normal weights, one
model, torch on one thread, its final weights scored by the exact loss. The search is `optimal_model` without random starts of the whole
model (restarts=0): packings of regular blocks, and blocks of any directions where those would be polygons, searched from a seed.
Best known: the lowest loss of all runs here and of those recorded before.
"""

import argparse
import json
import math
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

import tegum
from tegum.theory import Features, expected_loss, optimal_model

RESULTS = Path(__file__).parent / "results" / "time_to_solution.json"
ACCURACIES = (1e-2, 1e-3, 1e-4)
# n, m, density, ratio of importances; runs of the loop and of the search.
SETTINGS = [(20, 5, 0.1, 0.7, 12, 4), (20, 5, 0.01, 0.7, 48, 8), (80, 20, 0.1, 0.9, 30, 4)]


def notebook_loop(features, m, seed, steps=10_000, batch=1024, learning_rate=1e-3):
    torch.manual_seed(seed)
    n = features.n
    weights = torch.nn.Parameter(torch.nn.init.xavier_normal_(torch.empty(m, n)))
    bias = torch.nn.Parameter(torch.zeros(n))
    optimiser = torch.optim.AdamW([weights, bias], lr=learning_rate)
    density, importance = (torch.tensor(x).float() for x in (features.density, features.importance))
    for _ in range(steps):
        x = torch.where(torch.rand(batch, n) < density, torch.rand(batch, n), 0.0)
        output = torch.relu(x @ weights.T @ weights + bias)
        loss = (importance * (x - output) ** 2).sum(1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    w, b = weights.detach().double().numpy(), bias.detach().double().numpy()
    return float(expected_loss(w, b, features)), w, b


def search(features, m, seed):
    found = optimal_model(features, m, restarts=0, seed=seed)
    return found.loss, found.weights, found.bias


def measure(name, runs, best, function, features, m):
    """(CPU seconds, loss) of every seed; the best model so far is kept."""
    out = []
    for seed in range(runs):
        start = time.process_time()
        loss, weights, bias = function(features, m, seed)
        out.append((round(time.process_time() - start, 3), loss))
        if loss < best.get("loss", math.inf):
            best.update(loss=loss, weights=weights.tolist(), bias=bias.tolist(), by=name, seed=seed)
        print(f"{name} {seed}: {out[-1][0]:.1f} s, {loss:.8f}", file=sys.stderr, flush=True)
    return out


def run():
    torch.set_num_threads(1)
    recorded = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"settings": {}}
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    settings = {}
    # Compiled before anything is timed.
    expected_loss(np.ones((2, 10)), 0, Features(0.1, n=10))
    for n, m, density, ratio, loops, searches in SETTINGS:
        key = f"n = {n}, m = {m}, density {density}, importance {ratio}^i"
        features = Features(density, ratio ** np.arange(n))
        best = recorded["settings"].get(key, {}).get("best", {})
        settings[key] = {
            "loop": measure("loop", loops, best, notebook_loop, features, m),
            "search": measure("search", searches, best, search, features, m),
            "best": best,
        }
    result = {
        "command": "python benchmarks/time_to_solution.py",
        "commit": commit,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {
            "tegum": tegum.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "torch": torch.__version__,
        },
        "hardware": f"{platform.processor() or platform.machine()}, loops on one thread",
        "settings": settings,
    }
    temporary = RESULTS.with_suffix(".tmp")
    temporary.write_text(json.dumps(result) + "\n")
    temporary.replace(RESULTS)


def time_to_solution(runs, best, accuracy):
    """(seconds, whether it is only a lower bound)."""
    mean = sum(seconds for seconds, _ in runs) / len(runs)
    hits = sum(loss <= best * (1 + accuracy) for _, loss in runs)
    if not hits:
        return mean * len(runs), True
    q = hits / len(runs)
    return mean * (max(1.0, math.log(0.05) / math.log(1 - q)) if q < 1 else 1.0), False


def table():
    recorded = json.loads(RESULTS.read_text())
    print(f"{recorded['date']}, {recorded['hardware']}, torch {recorded['versions']['torch']}\n")
    print("| setting | best known | within | loop | tegum | ratio |\n|---|---|---|---|---|---|")
    for key, setting in recorded["settings"].items():
        best = setting["best"]["loss"]
        for accuracy in ACCURACIES:
            loop, never = time_to_solution(setting["loop"], best, accuracy)
            ours, missed = time_to_solution(setting["search"], best, accuracy)
            loop_text = f"never in {len(setting['loop'])} (> {loop:.0f} s)" if never else f"{loop:.1f} s"
            our_text = f"never in {len(setting['search'])} (> {ours:.0f} s)" if missed else f"{ours:.1f} s"
            ratio = "?" if missed else f"{'> ' if never else ''}{loop / ours:.0f}"
            print(f"| {key} | {best:.8f} | {accuracy:g} | {loop_text} | {our_text} | {ratio} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Time to solution, in CPU seconds.")
    parser.add_argument("--table", action="store_true", help="only print the table of the recorded results")
    if not parser.parse_args().table:
        run()
    table()
