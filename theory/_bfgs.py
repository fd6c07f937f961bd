"""BFGS: a batch of inverse Hessians, dense or remembered by their last updates, and the next directions, in compiled loops."""

from __future__ import annotations

import math

import numpy as np
from numpy import ndarray as Array

from ._compiled import compiler

compiled = compiler(nogil=True, error_model="numpy", fastmath={"contract"})


@compiled
def dot(a: Array, b: Array) -> float:
    """aᵀb, summed in order, so that no row depends on the library or on the others."""
    total = 0.0
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


@compiled
def turn(inverse: Array, fresh: Array, rows: Array, s: Array, y: Array, gradient: Array, direction: Array) -> None:
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


@compiled
def recall(
    steps: Array, differences: Array, known: Array, rows: Array, s: Array, y: Array, gradient: Array, direction: Array
) -> None:
    """`turn` without the matrix: H is what the last pairs s, y make of (sᵀy / yᵀy) 1, the scale that of the newest (Liu & Nocedal 1989).

    steps and differences (batch, memory, d): the pairs, of which number k is at k mod memory; known (batch,): pairs so far.
    """
    memory, d = steps.shape[1:]
    rho, share = np.empty(memory), np.empty(memory)
    for k in range(len(rows)):
        row = rows[k]
        sy, ss, yy = dot(s[k], y[k]), dot(s[k], s[k]), dot(y[k], y[k])
        if sy > 1e-14 * math.sqrt(ss) * math.sqrt(yy):
            steps[row, known[row] % memory] = s[k]
            differences[row, known[row] % memory] = y[k]
            known[row] += 1
        last, first = known[row], max(0, known[row] - memory)
        move = -gradient[row]
        for pair in range(last - 1, first - 1, -1):
            one, two, at = steps[row, pair % memory], differences[row, pair % memory], pair % memory
            rho[at] = 1 / dot(one, two)
            share[at] = rho[at] * dot(one, move)
            for i in range(d):
                move[i] -= share[at] * two[i]
        if last:
            newest = differences[row, (last - 1) % memory]
            move *= 1 / (rho[(last - 1) % memory] * dot(newest, newest))
        for pair in range(first, last):
            one, two, at = steps[row, pair % memory], differences[row, pair % memory], pair % memory
            rest = share[at] - rho[at] * dot(two, move)
            for i in range(d):
                move[i] += rest * one[i]
        if not dot(move, gradient[row]) < 0:
            move[:] = -gradient[row]
            known[row] = 0
        direction[row] = move
