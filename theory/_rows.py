"""Rows: one output of a model at a time, which is all that a loss needs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray as Array

from ._law import Law


@dataclass(frozen=True)
class RowProblems:
    """Outputs y = β + a·x with what they are to reproduce, T = c·x + c₀: wanted is F = q E ReLU(y)² - 2 E T ReLU(y).

    slopes a, offset β, target c, constant c₀, densities: one row each per output; square q (0 or 1) and the law are shared.
    The error of an output is E (T - ReLU(y))² = E T² + F (q = 1); M₂ is F with T = 0; M₁ is F with q = 0, c = 0, c₀ = -1/2.
    """

    slopes: Float[Array, "rows n"]
    offset: Float[Array, " rows"]
    density: Float[Array, "rows n"]
    target: Float[Array, "rows n"]
    constant: Float[Array, " rows"]
    law: Law
    square: float = 1.0

    def arrays(self) -> tuple[Array, ...]:
        """slopes, offset, density, target, constant."""
        return self.slopes, self.offset, self.density, self.target, self.constant

    def take(self, rows: Array) -> RowProblems:
        """A subset of the rows."""
        slopes, offset, density, target, constant = (x[rows] for x in self.arrays())
        return replace(self, slopes=slopes, offset=offset, density=density, target=target, constant=constant)


@dataclass(frozen=True)
class RowErrors:
    """Per row: F, its estimated error, its derivatives in the slopes and the offset (empty unless asked for), and the nodes used.

    Where y has an atom at zero the ReLU's derivative there counts as 0.
    """

    value: Float[Array, " rows"]
    estimate: Float[Array, " rows"]
    d_slopes: Float[Array, "rows n"]
    d_offset: Float[Array, " rows"]
    nodes: Int[Array, " rows"]

    def arrays(self) -> tuple[Array, ...]:
        """The fields in order."""
        return self.value, self.estimate, self.d_slopes, self.d_offset, self.nodes

    @classmethod
    def empty(cls, rows: int, n: int) -> RowErrors:
        """Zeros, to be filled."""
        return cls(np.zeros(rows), np.zeros(rows), np.zeros((rows, n)), np.zeros(rows), np.zeros(rows, int))
