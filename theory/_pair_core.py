"""Pair core: the part of a proof of the ignored state that covers |w1 w2| <= δ, where L - I V vanishes to second order.

Why shells of trees over the slopes of output 1 suffice there is point 4 of `_pair_check`.
"""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy import ndarray as Array

from ._pair_cell import ROOM
from ._pair_cover import Cover, Row
from ._pair_tree import RefutedError, prove_tree
from ._row_box import row_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._pair_cell import Cell, Line

# Shares of the size of a shell of the core at which the next one is tried to begin, and how many shells there may be.
SHARES, SHELLS = (0.0, 0.5, 0.75, 0.9, 0.96), 60


def pair_core(cell: Cell, density: Line, line: Line) -> tuple[dict[str, object], float] | None:
    """The part of a certificate that covers |w1 w2| <= δ, with δ as large as is found; see `_pair_check` for the argument."""
    highest = float(max(line))
    low = np.floor(2**20 * (1 - np.sqrt(highest))) / 2**20
    if low <= 0:
        return None
    # δ + δ²/low is so small that an output within [0, δ + δ²/low] errs by V or more.
    reach = 1 - np.cbrt(1 - 0.75 * float(density[0])) - 1e-9
    delta = (np.sqrt(low * low + 4 * low * reach) - low) / 2
    for _ in range(12):
        delta = _floor(delta, 5)
        eta = -_floor(-1.05 * delta * np.sqrt(2 * highest), 6)
        if eta < 0.5 and low * (1 - low) ** 2 >= highest * delta**2 * (2 - low) <= (1 - eta) * eta**2:
            shells, left = _shells(cell, delta, 1 - eta, highest)
            if shells:
                core: dict[str, object] = {"eta": str(Fraction(eta)), "low": str(Fraction(low)), "shells": shells}
                return None if left else (core, delta)
        delta *= 0.7
    return None


def _shells(cell: Cell, delta: float, least: float, highest: float) -> tuple[list[dict[str, object]], float]:
    """Shells of the core from δ inwards, each as thick as is proved, and where they end: at 0 if all is well."""
    shells: list[dict[str, object]] = []
    first = 0
    while delta and len(shells) < SHELLS:
        # Needs change slowly from one shell to the next.
        for k in range(first, len(SHARES)):
            inner = _floor(SHARES[k] * delta, 5)
            found = _shell(cell, delta, inner / delta, least, highest)
            if found is not None:
                break
        else:
            break
        first = max(k - 1, 0)
        shells.append(found)
        delta = inner
    return shells, delta


def _shell(cell: Cell, delta: float, share: float, least: float, highest: float) -> dict[str, object] | None:
    """Trees over the own slope a' with the other one ±δ, in which the error is as high as point 4d asks."""
    root = np.sqrt((3 * delta**2 * cell.ignored / (cell.cubic @ cell.active)).max()) * (1 + 1e-6)
    top = 1 - _floor(-2 * root / (1 - root), 6)
    bottom = 1 + _floor(-delta * np.sqrt(highest * (2 / least - 1)) * (1 + 1e-6), 6)
    trees = []

    def need(low: Array, high: Array) -> Array:
        near = np.where(low >= 1, 1 + share * (low - 1), np.maximum(low, least))
        far = 1 + share * np.maximum(high - 1, 0)
        goal: Array = (2 / near - 1 - (share * delta / far) ** 2 + ROOM)[:, None] * delta**2 * cell.ignored[0]
        return goal

    for other in (-delta, delta):
        for ends in ((1.0, top), (bottom, 1.0)):
            attempt = partial(_prove_row, cell, other, need)
            tree = prove_tree(np.array([ends]), attempt, lambda box: box[..., 1] - box[..., 0], 300)
            if tree is None:
                return None
            trees.append(tree)
    return {k: str(Fraction(v)) for k, v in (("delta", delta), ("bottom", bottom), ("top", top))} | {"trees": trees}


def _prove_row(cell: Cell, other: float, need: Callable[[Array, Array], Array], box: Array) -> list[str | None]:
    """Per interval of the own slope, a partition of the offset on which the error of output 1 is above `need`, or None."""
    none = np.zeros((len(box), 2))
    row = Row(box[:, 0], np.full((len(box), 2), other), none, none)
    cover = Cover(row, cell.laws, cell.density, np.arange(len(box)))
    goal, middle = need(*box[:, 0].T), box[:, 0].mean(1)
    while True:
        bounds = cover.minima()
        spare = (bounds @ cell.cubic.T - goal).min(1)
        if not len(cover.split(np.where(spare[:, None] <= 0, bounds - spare[:, None], -np.inf))):
            break
    at = row_error(middle, np.full(len(box), other), cover.middles(len(box)), cell.laws)
    if (at @ cell.cubic.T < need(middle, middle)).any():
        raise RefutedError
    return [cover.log(k, bounds[k] - spare[k]) if spare[k] > 0 else None for k in range(len(box))]


def _floor(value: float, bits: int) -> float:
    """Largest number of so many bits that is not above `value`."""
    mantissa, exponent = np.frexp(value)
    return float(np.ldexp(np.floor(mantissa * 2**bits), exponent - bits))
