"""Certified counts over dimensions from 1 to a million: `python -m tegum.papers.count_runs`, two minutes on one core.

Writes runs/counts.json of the checkout: at four angles the lower and the upper bound, the best explicit family alone and random coding
alone, as log2; the first dimensions in which more than n + 1, 2n and n² vectors are known; and the counts at well-known sizes.
"""

from __future__ import annotations

from math import log2

import numpy as np
from tqdm import tqdm

from ..theory import CountBounds, count_bounds
from ..theory.counts import first_dimensions
from ._evidence import provenance
from ._lab import STORED, Run, save_run

DEGREES = (1, 2, 5, 10)
SIZES = (100, 768, 4096, 12288)
RANDOM = "covering the sphere"
# Beginnings of the names of lower bounds that are not a family on its own.
OTHERS = ("orthogonal sum", "covering", "union", "expurgation", "Hoeffding")


def count_run(*, progress: bool = False) -> Run:
    """Bounds as log2 (degrees, n), thresholds (degrees, 3) and exact counts at SIZES (degrees, size, side), -1 where not below 10^15."""
    first = {degrees: first_dimensions(degrees) for degrees in DEGREES}
    near = [n + k for found in first.values() for n in found if n for k in (-1, 0)]
    steps = [2**k + j for k in range(6, 20) for j in (-1, 0)]
    n = np.unique([*np.geomspace(1, 10**6, 121).round().astype(int), *near, *steps, *SIZES])
    keys = ("lower", "upper", "explicit", "random")
    data = {key: np.zeros((len(DEGREES), len(n))) for key in keys}
    card = np.zeros((len(DEGREES), len(SIZES), 2, 2))
    cells = tqdm([(i, j) for i in range(len(DEGREES)) for j in range(len(n))], disable=not progress, desc="counts")
    for i, j in cells:
        found = count_bounds(int(n[j]), degrees=DEGREES[i])
        for key, value in zip(keys, _bits(found), strict=True):
            data[key][i, j] = value
        if n[j] in SIZES:
            pair = ((x if x < 10**15 else -1, log2(x)) for x in (found.lower, found.upper))
            card[i, SIZES.index(int(n[j]))] = list(pair)
    made = {
        "degrees": np.array(DEGREES),
        "n": n,
        "first": np.array([first[d] for d in DEGREES]),
        "sizes": np.array(SIZES),
    }
    return Run("counts", {**made, **data, "card": card}, provenance("python -m tegum.papers.count_runs"))


def _bits(found: CountBounds) -> tuple[float, float, float, float]:
    families = [b.value for b in found.race if b.side == "lower" and b.value and not b.name.startswith(OTHERS)]
    random = next(b.value for b in found.race if b.name == RANDOM)
    return found.log2_lower, found.log2_upper, log2(max(families)), log2(random or 1)


if __name__ == "__main__":
    save_run(STORED / "counts.json", count_run(progress=True))
