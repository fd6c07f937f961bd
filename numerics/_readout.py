"""Readout: a stored sign vector looked for in a sum of random ones, by trial."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..theory._checks import whole
from ..theory._grade import Grade
from ..theory.counts import readout_accuracy


@dataclass(frozen=True)
class ReadoutExperiment:
    """Share of trials in which the stored vector is read, its standard error, and what the theory `predicted`. Grade SAMPLED."""

    accuracy: float
    error: float
    predicted: float
    grade: Grade = Grade.SAMPLED


def readout_experiment(
    n: int, stored: int, alternatives: int, *, repeats: int = 10_000, seed: int = 0
) -> ReadoutExperiment:
    """How often the stored one of `alternatives` random sign vectors has the largest product with a sum of `stored` sign vectors.

    Each trial draws the sum and all alternatives anew; among equal products one is picked at random. Beside it `readout_accuracy`.
    n, stored, repeats >= 1, alternatives >= 2; n alternatives repeats operations. Raises InputError.

    >>> found = readout_experiment(256, 40, 27, repeats=2000, seed=1)
    >>> abs(found.accuracy - found.predicted) < 4 * found.error
    True
    """
    predicted = readout_accuracy(n, stored, alternatives)
    rng = np.random.default_rng(whole("seed", seed, 0))
    whole("repeats", repeats, 1)
    batch = max(1, 2**22 // (n * alternatives))
    correct = []
    for start in range(0, repeats, batch):
        trials = min(batch, repeats - start)
        # By symmetry the stored vector is all ones; the other M - 1 are independent of the alternatives.
        total = 1.0 + 2 * rng.binomial(stored - 1, 0.5, (trials, n)) - (stored - 1)
        others = 2 * rng.integers(0, 2, (trials, alternatives - 1, n), np.int8) - 1
        scores = (others.astype(np.float64) @ total[..., None])[..., 0]
        hit = total.sum(1)[:, None]
        correct.append(np.where((scores > hit).any(1), 0, 1 / (1 + (scores == hit).sum(1))))
    share = np.concatenate(correct)
    return ReadoutExperiment(float(share.mean()), float(share.std() / math.sqrt(repeats)), predicted)
