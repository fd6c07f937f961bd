"""Growth with n: seconds, nodes and memory of one value and gradient of the exact loss, and the exponents of the fit.

    python benchmarks/growth.py            about two minutes on 2 cores
    python benchmarks/growth.py --table    the table of the recorded results

m = n/10, density 2/n·5 so that ten features are active on average, uniform importance, atol 1e-9. The cost is n² times the nodes of a
row, memory is n² for matrix and gradient and the nodes of one row per thread, never n² times nodes.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from tegum.theory import Features, loss_and_gradient
from tegum.theory._contour import contour_errors
from tegum.theory._rows import RowProblems

RESULTS = Path(__file__).parent / "results" / "growth.json"
SIZES = (20, 40, 80, 160, 320, 640)
ATOL = 1e-9


def one(n):
    m = n // 10 or 1
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((m, n)) / np.sqrt(m)
    features = Features(min(1.0, 10 / n), n=n)
    bias = np.full(n, -0.05)
    loss_and_gradient(weights, bias, features, atol=ATOL)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        loss_and_gradient(weights, bias, features, atol=ATOL)
        seconds.append(time.perf_counter() - start)
    rows = RowProblems(
        weights.T @ weights, bias, np.tile(features.density, (n, 1)), np.eye(n), np.zeros(n), features.law
    )
    nodes = contour_errors(rows, np.full(n, ATOL / n), gradient=False).nodes.mean()
    return {"n": n, "seconds": min(seconds), "nodes": float(nodes)}


def run():
    rows = []
    for n in SIZES:
        # A process of its own, so that its peak of memory is its own.
        out = subprocess.run([sys.executable, __file__, "--one", str(n)], capture_output=True, text=True, check=True)
        rows.append(json.loads(out.stdout))
        print(rows[-1], file=sys.stderr, flush=True)
    result = {
        "command": "python benchmarks/growth.py",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": f"{platform.processor() or platform.machine()}, {os.cpu_count()} threads",
        "rows": rows,
    }
    temporary = RESULTS.with_suffix(".tmp")
    temporary.write_text(json.dumps(result, indent=1) + "\n")
    temporary.replace(RESULTS)


def table():
    recorded = json.loads(RESULTS.read_text())
    rows = recorded["rows"]
    n, seconds, nodes, memory = (np.array([row[k] for row in rows]) for k in ("n", "seconds", "nodes", "megabytes"))
    print(f"{recorded['date']}, {recorded['hardware']}\n")
    print("| n | seconds | nodes per row | ns per n² · node | MiB above import |\n|---|---|---|---|---|")
    for k in range(len(n)):
        each = seconds[k] / (n[k] ** 2 * nodes[k]) * 1e9
        print(f"| {n[k]} | {seconds[k]:.4f} | {nodes[k]:.0f} | {each:.1f} | {memory[k]:.0f} |")
    slope = np.polyfit(np.log(n), np.log(seconds), 1)[0]
    rest = np.polyfit(np.log(n), np.log(seconds / nodes), 1)[0]
    print(f"\nseconds ~ n^{slope:.2f}; seconds per node ~ n^{rest:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Growth of the exact loss with n.")
    parser.add_argument("--table", action="store_true", help="only print the table of the recorded results")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        loss_and_gradient(np.ones((2, 10)), 0, Features(0.1, n=10))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        row = one(arguments.one)
        row["megabytes"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(json.dumps(row))
    else:
        if not arguments.table:
            run()
        table()
