"""Readout: how often one of many random sign vectors is recognised in a sum of them."""

from __future__ import annotations

import math

from .._checks import whole


def readout_accuracy(n: int, stored: int, alternatives: int) -> float:
    """p = ∫ φ(h) Φ(h + s)^(D - 1) dh: how often the stored one of D vectors is read from a sum of M random sign vectors, s = √(n/M).

    The score <x, sum> of the stored vector is n + noise, of the others noise; both noises are taken as normal with variance M n, which is
    the limit of large M (the exact variances are (M - 1) n and M n). n, stored = M >= 1, alternatives = D >= 2. Raises InputError.
    Grade NUMERIC.
    Source: Frady, Kleyko, Sommer 2018.

    For D = 2 the integral is Φ(s/√2):

    >>> round(readout_accuracy(100, 50, 2), 12), round((1 + math.erf(1 / math.sqrt(2))) / 2, 12)
    (0.841344746069, 0.841344746069)
    """
    import numpy as np
    from scipy.special import log_ndtr

    signal = math.sqrt(whole("n", n, 1) / whole("stored", stored, 1))
    others = whole("alternatives", alternatives, 2) - 1
    # Trapezoids on an analytic integrand that dies off like exp(-h²/2): the error falls faster than any power of the step.
    h = np.linspace(-12, 12, 2401)
    return float(np.exp(others * log_ndtr(h + signal) - h**2 / 2).sum() * (h[1] - h[0]) / math.sqrt(2 * math.pi))
