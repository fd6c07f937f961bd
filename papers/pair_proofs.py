"""Prove the phases of two features in one dimension cell by cell, and replay the proofs: `python -m tegum.papers.pair_proofs`.

About half an hour of processor time, on two cores. Every proof passes the checker in rational arithmetic before runs/pair_proofs.json
is written: the columns of `pair_map`, and at single densities the ignored state as close to the boundary I* as a search of bounded
length proves it.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import pairwise
from pathlib import Path

from ..theory import PairMap, check_pair, pair_map, phase_boundary, prove_pair
from ._proofs import PROOFS, save_proofs

# Columns of density: narrow ones where ignoring needs them, a cut near each end of the line where weak and antipodal exchange.
EDGES = [
    *(0.01, 0.0107, 0.0115, 0.0123, 0.0132, 0.0142, 0.0153, 0.0165, 0.0178, 0.0192, 0.0208, 0.0225, 0.0243, 0.0263),
    *(0.0286, 0.0312, 0.0343, 0.038, 0.042, 0.047, 0.053, 0.06, 0.068, 0.077, 0.088, 0.1, 0.115, 0.132, 0.152, 0.175),
    *(0.205, 0.24, 0.29, 0.35, 0.41, 0.46, 0.49, 0.512, 0.53, 0.55, 0.575, 0.6, 0.62, 0.64, 0.66, 0.68, 0.695, 0.706),
    *(0.73, 0.755, 0.78, 0.81, 0.85, 0.9, 1.0),
]
# Boxes allowed to a cell, and from which density on how many: the losses of the states differ less there.
LIMIT, DENSE, DENSE_LIMIT = 1000, 0.46, 2400
# Single densities at which the boundary is approached from below, the relative distances tried, and the boxes allowed.
SINGLE = (0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
GAPS = (0.001, 0.002, 0.003, 0.005, 0.01, 0.03, 0.1, 0.2, 0.4, 0.6)
CLOSE_LIMIT = 6000


def nearest_ignored(density: float) -> PairMap:
    """The ignored state at one density, proved up to I* (1 - gap) with the smallest of `GAPS` that bisection finds."""
    onset = float(phase_boundary(density).importance)
    found: tuple[dict[str, object], ...] = ()
    first, last = 0, len(GAPS)
    while first < last:
        k = (first + last) // 2
        line = f"{onset * (1 - GAPS[k]):.5g}"
        proof = prove_pair((density, density), ("0", line), "ignored", limit=CLOSE_LIMIT)
        if proof is None:
            first = k + 1
        else:
            found, last = (proof,), k
    return PairMap(found, ())


def _job(edges: tuple[float, ...]) -> tuple[PairMap, float, float]:
    """A column, or a single density, proved and replayed, with the seconds of processor time that each took."""
    start = time.process_time()
    limit = LIMIT if edges[0] < DENSE else DENSE_LIMIT
    found = pair_map(edges, limit=limit) if len(edges) == 2 else nearest_ignored(edges[0])
    proved = time.process_time()
    for proof in found.proofs:
        check_pair(proof)
    return found, proved - start, time.process_time() - proved


def main(out: Path = PROOFS) -> None:
    """Prove, replay, store; progress on stderr."""
    jobs = [*((p,) for p in SINGLE), *pairwise(EDGES)]
    results = {}
    with ProcessPoolExecutor(2) as pool:
        waiting = {pool.submit(_job, job): job for job in jobs}
        for future in as_completed(waiting):
            job = waiting[future]
            results[job] = found, proving, checking = future.result()
            sys.stderr.write(
                f"{len(results)}/{len(jobs)}: density {' to '.join(map(str, job))}: {len(found.proofs)} proofs ({proving:.0f} s) "
                f"replayed ({checking:.0f} s), {len(found.undecided)} undecided\n"
            )
    parts = [results[job] for job in jobs]
    found = PairMap(
        tuple(proof for part in parts for proof in part[0].proofs),
        tuple(cell for part in parts for cell in part[0].undecided),
    )
    proving, replaying = (round(sum(seconds), 1) for seconds in zip(*((x, y) for _, x, y in parts), strict=True))
    save_proofs(out, found, seconds_proving=proving, seconds_replaying=replaying)


if __name__ == "__main__":
    main()
