"""Curvature: the second-order condition at a minimum of the loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float
    from numpy import ndarray as Array

    from ._multistart import Objective

# Step of the differences: their truncation and rounding errors are both about 1e-8 of the curvature.
STEP = 1e-4


def smallest_curvature(objective: Objective, x: Float[Array, " d"]) -> float:
    """Smallest second derivative of the loss at a stationary x, across the directions in which it is constant.

    Left out are the orbit of rotations W -> QW, tangent to AW for antisymmetric A, and the biases of outputs that never fire,
    b_i + Σ_j max(G_ij, 0) < 0. In the rest the Hessian H is formed from central differences of the exact gradient. The loss is
    once differentiable and piecewise smooth: where pieces meet (a feature alone in its dimension with bias 0 is such a place)
    H is the mean of both sides, so the second derivative is then taken along each eigenvector v of H, from either side by
    one-sided differences, v·(-3∇L(x) + 4∇L(x ± hv) - ∇L(x ± 2hv)) / (±2h); the result is the smallest of these. On a smooth piece
    that is the smallest eigenvalue of H. inf if no direction is left.
    """
    free = _across(objective, x)
    if not free.shape[1]:
        return float("inf")

    def gradients(steps: Float[Array, "d k"]) -> Float[Array, "d k"]:
        # The same along the columns of `steps`, as columns.
        gradient: Float[Array, "d k"] = objective(x + steps.T)[1].T
        return gradient

    h = STEP
    hessian = free.T @ (gradients(h * free) - gradients(-h * free)) / (2 * h)
    v = free @ np.linalg.eigh((hessian + hessian.T) / 2)[1]
    here = gradients(np.zeros_like(v))
    sides = [(v * (4 * gradients(s * v) - gradients(2 * s * v) - 3 * here)).sum(0) / (2 * s) for s in (h, -h)]
    return float(np.min(sides))


def _across(objective: Objective, x: Float[Array, " d"]) -> Float[Array, "d free"]:
    """Orthonormal columns that span what is orthogonal to the directions left out."""
    (w,), (b,) = objective.models(x[None])
    m, n = w.shape
    flat = []
    for i in range(m):
        for j in range(i):
            turn = np.zeros((m, n))
            turn[i], turn[j] = w[j], -w[i]
            flat.append(objective.point(turn, np.zeros(n)))
    if objective.bias:
        dead = b + np.maximum(w.T @ w, 0).sum(1) < 0
        flat += [objective.point(np.zeros((m, n)), row) for row in np.eye(n)[dead]]
    directions = np.array(flat).reshape(len(flat), len(x))
    _, size, rows = np.linalg.svd(directions)
    # Turns of planes that W does not reach move nothing.
    rank = int((size > 1e-9 * max(1.0, size.max(initial=0))).sum())
    return rows[rank:].T
