"""Angles of all pairs of a random code: seconds of `angle_experiment` and of the exact law beside it.

    python benchmarks/random_codes.py                       20,000 vectors in R^512, 2·10^8 pairs, every kind
    python benchmarks/random_codes.py --device cuda         on a GPU
    python benchmarks/random_codes.py --count 2000 --loop   also one pair of vectors after the other, as in a notebook

The law: 128 probabilities of one pair and the enclosed probability of the largest |cosine|.
"""

import argparse
import os
import platform
import time

import numpy as np
import torch

from tegum.numerics._random_code import angle_experiment, random_code

KINDS = {"uniform": None, "signs": None, "sparse": 32}


def measure(n, count, kind, device):
    start = time.perf_counter()
    experiment = angle_experiment(n, count, kind=kind, sparsity=KINDS[kind], seed=0, device=device)
    sampled = time.perf_counter()
    found = experiment.against(experiment.law)
    return sampled - start, time.perf_counter() - sampled, experiment, found


def loop(n, count):
    x = random_code(n, count).vectors()
    start = time.perf_counter()
    largest = max(abs(np.dot(x[i], x[j])) for i in range(count) for j in range(i))
    return time.perf_counter() - start, largest


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=512)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--loop", action="store_true", help="also a loop over pairs")
    arguments = parser.parse_args()
    n, count, device = arguments.n, arguments.count, arguments.device
    where = torch.cuda.get_device_name() if device.startswith("cuda") else f"{torch.get_num_threads()} threads"
    print(
        f"n = {n}, {count} vectors; {platform.machine()}, {os.cpu_count()} CPUs, {where}, torch {torch.__version__}\n"
    )
    print(
        "| kind | seconds | ns per pair | seconds of the law | largest cosine | P(at most that) | distance | critical |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for kind in KINDS:
        sampled, law, experiment, found = measure(n, count, kind, device)
        low, high = found.extreme[0]
        print(
            f"| {kind} | {sampled:.2f} | {sampled / experiment.pairs * 1e9:.1f} | {law:.3f} | {experiment.extreme[0]:.5f} "
            f"| {low:.4f} to {high:.4f} | {found.distance:.1e} | {found.critical:.1e} |"
        )
    if arguments.loop:
        seconds, largest = loop(n, count)
        print(
            f"\nLoop over pairs: {seconds:.2f} s, {seconds / (count * (count - 1) / 2) * 1e9:.0f} ns per pair, {largest:.5f}"
        )


if __name__ == "__main__":
    main()
