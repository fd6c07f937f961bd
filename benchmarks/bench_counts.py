"""Counts of almost-orthogonal vectors: how long one answer takes, with its certificate. `make bench` prints the table."""

import subprocess
import sys

import pytest
from flint import fmpq

from tegum.theory import count_bounds, verify_certificate
from tegum.theory.counts import angle, best_angle, delsarte_bound, dimensions_needed

# Peak memory and time of one pass over all 8,392,704 lines of R^4096, in blocks of 4,096.
STREAM = """
import resource, sys
from tegum.theory import construct
code = construct({"family": "quadratic", "m": 12, "d": 6})
rows = sum(len(block) for block in code.blocks(4096))
assert rows == 8392704, rows
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@pytest.mark.parametrize("degrees", [0.01, 1, 10, 60])
@pytest.mark.parametrize("n", [10**4, 10**6])
def test_count_bounds(benchmark, n, degrees):
    benchmark.pedantic(count_bounds, (n,), {"degrees": degrees}, rounds=3)


@pytest.mark.parametrize("n", [10**4, 10**6])
def test_verify(benchmark, n):
    found = count_bounds(n, degrees=1)
    benchmark(lambda: [verify_certificate(c) for c in (found.lower_certificate, found.upper_certificate)])


@pytest.mark.parametrize("lines", [True, False])
def test_linear_program(benchmark, lines):
    """n = 50, degree 20, with an exact certificate."""
    top = angle(None, 30)
    benchmark(delsarte_bound, 50, top.square_above if lines else fmpq(1, 2), lines=lines, degree=20)


def test_command_line(benchmark):
    """A fresh process: what a reader waits for."""
    benchmark.pedantic(
        subprocess.run,
        ([sys.executable, "-m", "tegum", "count", "12288", "--degrees", "1"],),
        {"check": True, "capture_output": True},
        rounds=5,
    )


def test_dimensions_needed(benchmark):
    benchmark.pedantic(dimensions_needed, (10**6, 1), rounds=2)


def test_best_angle(benchmark):
    benchmark.pedantic(best_angle, (512, 10**6), rounds=2)


def test_stream_kerdock(benchmark):
    run = benchmark.pedantic(
        subprocess.run,
        ([sys.executable, "-c", STREAM],),
        {"check": True, "capture_output": True, "text": True},
        rounds=1,
    )
    benchmark.extra_info["peak MiB"] = round(float(run.stdout))
    print(f"peak memory {float(run.stdout):.0f} MiB")
