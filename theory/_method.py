"""Method: which of the three ways computes the rows of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._contour import contour_errors
from ._law import UNIFORM, Law
from ._vertex import VERTEX_N, vertex_errors

if TYPE_CHECKING:
    from jaxtyping import Float
    from numpy import ndarray as Array

    from ._rows import RowErrors, RowProblems


def is_exact(law: Law) -> bool:
    """Whether rows of this law are computed to rounding, whatever the tolerance."""
    return law.values == UNIFORM and sum(law.sizes) <= VERTEX_N


def solve_rows(problems: RowProblems, tolerance: Float[Array, " rows"], gradient: bool) -> RowErrors:
    """F of every row: by vertices for a few uniform features, else by a contour sum."""
    if is_exact(problems.law):
        return vertex_errors(problems, gradient)
    return contour_errors(problems, tolerance, gradient)
