"""Certified lower bounds against the best models known: their ratio for n <= 8 features in m <= 3 dimensions.

    python benchmarks/lower_bounds.py            compute what is not recorded yet, about an hour on one core
    python benchmarks/lower_bounds.py --table    the table of the recorded results

Per setting the bound, the loss of `optimal_model` without random starts (an upper bound of the optimum, grade NUMERIC), and the processor
seconds of the bound, proof included; proofs are shared between settings, so only the first use of one pays for it. A ratio of 0 says
that the bound says nothing.
"""

import argparse
import json
import platform
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

import tegum
from tegum.theory import Features, lower_bound, optimal_model

RESULTS = Path(__file__).parent / "results" / "lower_bounds.json"
DENSITIES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.9, 1.0)
RATIOS = (1.0, 0.9)
SETTINGS = [(n, m, p, r) for n in range(2, 9) for m in range(1, min(3, n - 1) + 1) for p in DENSITIES for r in RATIOS]


def measure(n, m, density, ratio):
    features = Features(density, ratio ** np.arange(n))
    start = time.process_time()
    bound = lower_bound(features, m)
    seconds = time.process_time() - start
    loss = optimal_model(features, m, restarts=0).loss
    return {
        "n": n,
        "m": m,
        "density": density,
        "ratio of importances": ratio,
        "bound": bound.value,
        "loss": loss,
        "seconds": round(seconds, 2),
    }


def table(rows):
    found = {(r["n"], r["m"], r["density"], r["ratio of importances"]): r["bound"] / r["loss"] for r in rows}
    for ratio in RATIOS:
        print(f"bound / best known loss, importances {ratio:g}^i")
        print("  n  m" + "".join(f"{f'p = {p:g}':>11}" for p in DENSITIES))
        for n, m in dict.fromkeys((n, m) for n, m, *_ in SETTINGS):
            cells = (found.get((n, m, p, ratio)) for p in DENSITIES)
            print(f"{n:3}{m:3}" + "".join(f"{'-':>11}" if x is None else f"{x:11.3f}" for x in cells))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="only print what is recorded")
    arguments = parser.parse_args()
    recorded = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"rows": []}
    if not arguments.table:
        done = {(r["n"], r["m"], r["density"], r["ratio of importances"]) for r in recorded["rows"]}
        for setting in SETTINGS:
            if setting not in done:
                recorded["rows"].append(measure(*setting))
                recorded |= {
                    "date": datetime.now(UTC).date().isoformat(),
                    "version": tegum.__version__,
                    "machine": f"{platform.processor() or platform.machine()}, Python {platform.python_version()}",
                }
                RESULTS.write_text(json.dumps(recorded, indent=1) + "\n")
    table(recorded["rows"])


if __name__ == "__main__":
    main()
