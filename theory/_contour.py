"""Contour sums: rectified moments of one output with any number of features, on a vertical line.

For y = β + a·x, E ReLU(y)² = (1/2πi) ∫ 2 s⁻³ E e^{s y} ds on Re s = c > 0, and E e^{s y} = e^{sβ} Φ(s), Φ = Π_g φ_g over groups:
φ = 1 - Σ p_j + Σ p_j ψ(a_j s) where at most one feature of the group is active (so also for a single feature), and
φ = 1 - p + p Π ψ(a_j s) where all are active together, ψ(z) = E e^{zV}. E x_k ReLU(y) has ∂Φ/∂z_k in place of Φ and s⁻² for 2 s⁻³.
The trapezoid rule of step h = 2π/P has errors of three kinds only.

* Alias. By Poisson summation the rule gives Σ_r e^{-crP} E ReLU(y + rP)². With |y| <= P the terms r < 0 vanish and those with r > 0
  are polynomial moments, known in closed form. P is the least bound that a Chernoff estimate gives for the tolerance.
* Truncation. A smooth window replaces the sharp end of the sum. What it neglects is local: only the law of y within a few dozen
  1/Ω of the kink matters, Ω the last frequency. The parts of the law with an atom or an edge there (no feature or one active)
  are taken out of the sum and added in closed form; entries of a too small to matter there are replaced by their mean. Where
  entries a hundred times smaller than the largest decide the sign of y while no other is active, what they do is invisible at these
  frequencies. That part of the law is taken out as well, and added as a row of its own, on its own scale.
* Rounding.

Nodes are added until narrower windows, which end at 0.7 and at half of the frequency, agree to the tolerance:
their differences are mostly errors of the narrower ones, several times that of the widest, whose sum is returned.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array
from scipy.special import erfc

from . import _nodes
from ._checks import InputError
from ._rows import RowErrors, RowProblems

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_NODES, GROWTH, MOST_NODES = 32, 1.5, 1 << 16
# erfc((x - 1/2) STEEPNESS)/2 is 1 at x = 0 and 0 at x = 1 to rounding.
STEEPNESS = 11.8
# Windows that measure the error: the fraction of the frequency at which one ends, and by how much less accurate it counts.
NARROWER = ((0.7, 0.5), (0.5, 2.0))
# The error of a law with atoms falls so slowly with the frequency that the narrower windows say little: it counts this many times.
CAUTION = 8
# Rows times features below which a second thread costs more than it saves.
WORTH_A_THREAD = 200


def contour_errors(problems: RowProblems, tolerance: Float[Array, " rows"], gradient: bool) -> RowErrors:
    """F for every row to its tolerance; derivatives (zero unless `gradient`) are those of the sum.

    Grade NUMERIC: the error is estimated, not proved. Raises InputError when a tolerance would need too many nodes.
    """
    found = RowErrors.empty(*problems.slopes.shape)
    law, windows = packed_law(problems), window_tables(bool(problems.law.values.atom))
    setup = Setup.empty(*problems.slopes.shape)

    def work(part: slice) -> None:
        arrays, room, out = (tuple(x[part] for x in y.arrays()) for y in (problems, setup, found))
        _nodes.prepare(arrays, law, tolerance[part], room)
        _nodes.sums(arrays, problems.square, law, tolerance[part], room, windows, gradient, out)
        _nodes.close(arrays, problems.square, law, room, gradient, out)

    in_pieces(work, *problems.slopes.shape)
    check_met(found, tolerance)
    add_clouds(problems, setup, tolerance, gradient, found)
    return found


def add_clouds(
    problems: RowProblems, setup: Setup, tolerance: Float[Array, " rows"], gradient: bool, found: RowErrors
) -> None:
    """Add the F of the clouds, rows of their own on their own scale, to the rows that have one."""
    rows = np.flatnonzero(setup.cloud)
    if not len(rows):
        return
    chance, inside, law = setup.none[rows], setup.small[rows], packed_law(problems)
    part = problems.take(rows)
    density = np.zeros_like(part.density)
    for k in range(len(rows)):
        _nodes.cloud_density(part.density[k], inside[k], law, density[k])
    cloud = replace(part, slopes=np.where(inside, part.slopes, 0.0), density=density)
    own = contour_errors(cloud, tolerance[rows] / (4 * chance), gradient)
    found.value[rows] += chance * own.value
    found.d_slopes[rows] += chance[:, None] * np.where(inside, own.d_slopes, 0.0)
    found.d_offset[rows] += chance * own.d_offset


def in_pieces(work: Callable[[slice], None], rows: int, n: int) -> None:
    """Call `work` on slices that cover the rows, in threads where that pays."""
    threads = min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 16)
    if threads == 1 or rows * n < WORTH_A_THREAD:
        work(slice(None))
    else:
        # Rows differ in their number of nodes: several pieces per thread.
        step = max(1, -(-rows // (4 * threads)))
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, (slice(start, start + step) for start in range(0, rows, step))))


def check_met(found: RowErrors, tolerance: Float[Array, " rows"]) -> None:
    """InputError if a row has not met its tolerance, which is said by no nodes."""
    failed = found.nodes == 0
    if failed.any():
        raise InputError(
            f"atol asks for an error of {tolerance[failed].min():.1e} in one output, but {MOST_NODES} contour nodes leave "
            f"{found.estimate[failed].max():.1e}; ask for a larger atol"
        )


@dataclass(frozen=True)
class Setup:
    """Per row: the period P, which entries are small, and the weights of the reference law.

    The reference law has at most one entry active that is not small, and the small ones at their mean given that: mass `none` at
    β' = β + shift, and `single[j]` times the law of β' + lean[j] + a_j V, where lean is what the state of its group changes.
    Members of a correlated group come in it only when the group has one that is not small. Where `cloud` holds, the small entries
    are much smaller than the others and y changes sign among them: then mass `none` has the law of the small entries alone in
    place of their mean, `width` is their standard deviation, and `rough` bounds what a sum that does not resolve it misses.
    """

    period: Float[Array, " rows"]
    small: Bool[Array, "rows n"]
    shift: Float[Array, " rows"]
    none: Float[Array, " rows"]
    single: Float[Array, "rows n"]
    lean: Float[Array, "rows n"]
    cloud: Bool[Array, " rows"]
    width: Float[Array, " rows"]
    rough: Float[Array, " rows"]

    @classmethod
    def empty(cls, rows: int, n: int) -> Setup:
        """To be filled by `_nodes.prepare`."""
        period, shift, none = np.empty((3, rows))
        single, lean = np.empty((2, rows, n))
        small, cloud = np.empty((rows, n), bool), np.empty(rows, bool)
        return cls(period, small, shift, none, single, lean, cloud, *np.empty((2, rows)))

    def arrays(self) -> tuple[Array, ...]:
        """The fields in order."""
        return tuple(getattr(self, field.name) for field in fields(self))


def packed_law(problems: RowProblems) -> tuple[Array, bool, bool, Array, float, float]:
    """The law as compiled code takes it; see `_nodes`."""
    law = problems.law
    starts = np.cumsum([0, *law.sizes])
    values = law.values
    coefficients = np.array(values.coefficients, dtype=float)
    moments = float(values.moment(1)), float(values.moment(2))
    return starts, law.kind == "correlated", bool(values.atom), coefficients, *moments


@cache
def window_tables(atoms: bool) -> tuple[Any, ...]:
    """Tables of the windows for every number of nodes, the first node counting half."""
    counts = [FIRST_NODES]
    while counts[-1] < MOST_NODES:
        counts.append(min(int(GROWTH * counts[-1]), MOST_NODES))
    starts = np.cumsum([0, *counts[:-1]])
    tables = []
    for width in (1.0, *(width for width, _ in NARROWER)):
        table = np.concatenate([window(np.arange(count) / (width * count)) for count in counts])
        table[starts] /= 2
        tables.append(table)
    leads = [lead / (CAUTION if atoms else 1) for _, lead in NARROWER]
    return np.array(counts), starts, *tables, *leads


def window(x: Float[Array, " nodes"]) -> Float[Array, " nodes"]:
    """Smooth step from 1 at 0 to 0 at 1, flat at both ends to rounding."""
    step: Float[Array, " nodes"] = erfc(STEEPNESS * (x - 0.5)) / 2
    return step
