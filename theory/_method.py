"""Method: which of the ways computes the rows of a model: vertices, enumeration, or a contour sum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._contour import contour_errors
from ._enumeration import enumerated_errors, states
from ._law import CONSTANT, UNIFORM, Law
from ._vertex import VERTEX_N, vertex_errors

if TYPE_CHECKING:
    from jaxtyping import Float
    from numpy import ndarray as Array

    from ._rows import RowErrors, RowProblems


# States of half of the groups up to which constant values are enumerated: 30 independent features, 25 ms per output.
ENUMERATED_STATES = 1 << 15


def is_exact(law: Law) -> bool:
    """Whether rows of this law are computed to rounding, whatever the tolerance."""
    return (law.values == UNIFORM and sum(law.sizes) <= VERTEX_N) or _is_enumerated(law)


def _is_enumerated(law: Law) -> bool:
    return law.values == CONSTANT and states(law) <= ENUMERATED_STATES


def solve_rows(problems: RowProblems, tolerance: Float[Array, " rows"], gradient: bool) -> RowErrors:
    """F of every row: by vertices for a few uniform features, by enumeration for constant ones, else by a contour sum."""
    if _is_enumerated(problems.law):
        return enumerated_errors(problems, gradient)
    if is_exact(problems.law):
        return vertex_errors(problems, gradient)
    return contour_errors(problems, tolerance, gradient)
