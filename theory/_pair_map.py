"""Pair map: the diagram of two features in one dimension, covered with proved cells and what stays undecided between them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from ._pair_proof import prove_pair
from ._phase import phase_boundary

if TYPE_CHECKING:
    from collections.abc import Sequence

    Line = tuple[Fraction, Fraction]

# Relative distances below the boundary at which the ignored state is tried, and the closest the superposed ones are tried above.
BELOW, CLOSEST = (0.04, 0.1, 0.2, 0.4), 0.05


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

    Each column is cut along lines near the curves I*^(1 - u), I* the numeric boundary, with u = 1, 1/2, 1/4, ... down to 5 % above it;
    a cell that is not proved within `limit` boxes is halved `depth` times. The ignored state is proved as close to the
    boundary as `limit` allows. Grade of the claims: EXACT once `check_pair` accepts the proofs. Raises InputError.

    >>> found = pair_map([0.2, 0.21], limit=300, depth=0)
    >>> sorted({proof["state"] for proof in found.proofs})
    ['antipodal']
    """
    proofs: list[dict[str, object]] = []
    undecided: list[tuple[Line, Line, Line]] = []
    for low, high in pairwise(edges):
        density = (_decimal(low), _decimal(high))
        onset = phase_boundary([low, high]).importance.tolist()

        def line(u: float, scale: float = 1.0, onset: list[float] = onset) -> Line:
            first, second = (_decimal(min(1.0, scale * x ** (1 - u))) for x in onset)
            return first, second

        below = (Fraction(0), Fraction(0))
        for gap in BELOW:
            proof = prove_pair(density, (below, line(0, 1 - gap)), "ignored", limit=limit)
            if proof is not None:
                proofs.append(proof)
                below = line(0, 1 - gap)
                break
        levels = [1.0]
        while min(onset) ** -(levels[-1] / 2) - 1 > CLOSEST:
            levels.append(levels[-1] / 2)
        todo = [(b, a, depth) for a, b in pairwise(levels)]
        undecided.append((density, below, line(levels[-1])))
        while todo:
            start, end, rest = todo.pop()
            proof = prove_pair(density, (line(start), line(end)), limit=limit)
            if proof is not None:
                proofs.append(proof)
            elif rest:
                middle = (start + end) / 2
                todo += [(start, middle, rest - 1), (middle, end, rest - 1)]
            else:
                undecided.append((density, line(start), line(end)))
    return PairMap(tuple(proofs), tuple(undecided))


def _decimal(value: float) -> Fraction:
    return Fraction(f"{float(value):.7g}")
