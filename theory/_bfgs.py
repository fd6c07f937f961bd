"""BFGS: the update of a batch of inverse Hessians and the next directions, in compiled loops."""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy import ndarray as Array

compiled = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})


@compiled
def turn(inverse: Array, rows: Array, s: Array, y: Array, gradient: Array, fresh: Array, direction: Array) -> None:
    """Update the inverse Hessians H of `rows` by their steps s and gradient differences y, and set their directions to -H ∇f.

    H' = H + (1 + ρ yᵀHy) ρ s sᵀ - ρ (H y sᵀ + s yᵀ H), ρ = 1/sᵀy, skipped without curvature; the first H is scaled to sᵀy / yᵀy.
    A direction that does not descend makes H the identity again.
    """
    d = s.shape[1]
    hy = np.empty(d)
    for k in range(len(rows)):
        row = rows[k]
        h = inverse[row]
        sy, ss, yy = 0.0, 0.0, 0.0
        for i in range(d):
            sy += s[k, i] * y[k, i]
            ss += s[k, i] ** 2
            yy += y[k, i] ** 2
        if sy > 1e-14 * math.sqrt(ss) * math.sqrt(yy):
            if fresh[row]:
                h *= sy / yy
                fresh[row] = False
            yhy = 0.0
            for i in range(d):
                total = 0.0
                for j in range(d):
                    total += h[i, j] * y[k, j]
                hy[i] = total
                yhy += total * y[k, i]
            rho = 1 / sy
            outer = (1 + rho * yhy) * rho
            for i in range(d):
                one, two = outer * s[k, i] - rho * hy[i], rho * s[k, i]
                for j in range(d):
                    h[i, j] += one * s[k, j] - two * hy[j]
        fall = 0.0
        for i in range(d):
            total = 0.0
            for j in range(d):
                total += h[i, j] * gradient[row, j]
            direction[row, i] = -total
            fall += total * gradient[row, i]
        if not fall > 0:
            h[:] = np.eye(d)
            direction[row] = -gradient[row]
            fresh[row] = True
