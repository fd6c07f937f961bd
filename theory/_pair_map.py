"""Pair map: the diagram of two features in one dimension, covered with proved cells and what stays undecided between them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy import ndarray as Array

from ._critical import exchange_line
from ._pair_proof import optimal_state, prove_pair
from ._phase import phase_boundary

if TYPE_CHECKING:
    from collections.abc import Sequence

    Line = tuple[Fraction, Fraction]

# Relative distances below the boundary at which the ignored state is tried.
BELOW = (0.02, 0.04, 0.1, 0.3, 0.6)
# Times `limit` that it is given: it has all of the column below I* to prove at once.
MORE = 4
# How close to the boundary and to the line of exchange superposed states are tried.
CLOSEST = 0.01
# Logarithmic height below which a region is not cut before it is tried.
THIN = 0.05


@dataclass(frozen=True)
class PairMap:
    """Cells of density p0 <= p <= p1 between two lines of importance.

    proofs     certificates for `check_pair`
    undecided  (density, lower line, upper line), a line being its importance at p0 and at p1
    """

    proofs: tuple[dict[str, object], ...]
    undecided: tuple[tuple[Line, Line, Line], ...]


def pair_map(edges: Sequence[float], *, limit: int = 1000, depth: int = 1) -> PairMap:
    """Proved phases of n = 2, m = 1 on the columns between increasing densities `edges` in (0, 1], importances in [0, 1].

    Proved and undecided cells together tile the columns. In each the ignored state is proved from I = 0 to as near the boundary I*
    as four times `limit` boxes allow. The regions above I*, and on either side of the line where weak and antipodal exchange, are
    cut ever finer towards where the states compete: I* below the antipodal state, else that line, or I = 1 above the weak state. A
    cell that is not proved within `limit` boxes is halved `depth` times. The curves only say where to cut. Grade of the claims: EXACT
    once `check_pair` accepts the proofs. Raises InputError.

    >>> found = pair_map([0.2, 0.21], limit=300, depth=0)
    >>> "antipodal" in {proof["state"] for proof in found.proofs}, len(found.undecided) > 0
    (True, True)
    """
    proofs: list[dict[str, object]] = []
    undecided: list[tuple[Line, Line, Line]] = []
    for low, high in pairwise(edges):
        density = (_decimal(low), _decimal(high))
        onset = phase_boundary([low, high]).importance
        swap = exchange_line([low, high]).importance
        below = (Fraction(0), Fraction(0))
        found = _closest(density, onset, MORE * limit)
        if found is not None:
            proofs.append(found[0])
            below = found[1]
        above, top = _line(onset * (1 + CLOSEST)), (Fraction(1), Fraction(1))
        undecided.append((density, below, above))
        regions = [(above, top)]
        if np.isfinite(swap).all():
            sides = [_line(swap * x) for x in (1 - CLOSEST, 1 + CLOSEST)]
            first, last = ((max(above[0], x), max(above[1], y)) for x, y in sides)
            undecided.append((density, first, last))
            regions = [(above, first), (last, top)]
        todo = [(*cell, depth) for region in regions for cell in pairwise(_cuts(density, *region))]
        while todo:
            start, end, rest = todo.pop()
            proof = prove_pair(density, (start, end), limit=limit)
            middle = _between(start, end, 0.5)
            if proof is not None and proof["state"] != "ignored":
                proofs.append(proof)
            elif rest and start != middle != end:
                todo += [(start, middle, rest - 1), (middle, end, rest - 1)]
            else:
                undecided.append((density, start, end))
    return PairMap(tuple(proofs), tuple(_merged(undecided)))


def _merged(cells: list[tuple[Line, Line, Line]]) -> list[tuple[Line, Line, Line]]:
    """Cells of no height dropped, cells on top of each other joined."""
    out: list[tuple[Line, Line, Line]] = []
    for density, start, end in sorted(cell for cell in cells if cell[1] != cell[2]):
        if out and out[-1][0] == density and out[-1][2] == start:
            out[-1] = (density, out[-1][1], end)
        else:
            out.append((density, start, end))
    return out


def _closest(density: Line, onset: Array, limit: int) -> tuple[dict[str, object], Line] | None:
    """The proof of the ignored state nearest to the boundary, and its upper line."""
    for gap in BELOW:
        line = _line(onset * (1 - gap))
        proof = prove_pair(density, ((Fraction(0), Fraction(0)), line), "ignored", limit=limit)
        if proof is not None:
            return proof, line
    return None


def _cuts(density: Line, start: Line, end: Line) -> list[Line]:
    """Lines from `start` to `end`, closer and closer towards the one where the states compete, on a logarithmic scale."""
    middle = _between(start, end, 0.5)
    hard = optimal_state((density[0] + density[1]) / 2, (middle[0] + middle[1]) / 2)[0] == "weak"
    share, shares = 1.0, [1.0]
    height = np.log(float(max(y / x for x, y in zip(start, end, strict=True))))
    while share * height > 2 * THIN:
        share /= 2
        shares.append(share)
    lines = [_between(start, end, 1 - x if hard else x) for x in shares[1:]]
    if start == end:
        return [start]
    return [start, *lines, end] if hard else [start, *reversed(lines), end]


def _between(start: Line, end: Line, share: float) -> Line:
    return _line([float(x) * (float(y) / float(x)) ** share for x, y in zip(start, end, strict=True)])


def _line(values: Sequence[float] | Array) -> Line:
    first, second = (_decimal(min(1.0, x)) for x in values)
    return first, second


def _decimal(value: float) -> Fraction:
    """Five digits: short fractions are checked faster."""
    return Fraction(f"{float(value):.5g}")
