"""Dimension price: waves under the error of a row and the price λ of a dimension, for the lower bound of `_price_check`.

For each length of the own column the best waves are a linear program; the price maximises a concave function. Both in floats;
`_price_check` repeats in rational arithmetic what is kept of them.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array
from scipy.optimize import linprog

from ._checks import CertificateError
from ._pair_bound import exact, text_of
from ._price_check import PERIOD, STEPS, Cell, Wave, cell_level, ends, prove_floors, rate, row_scale
from ._row_box import row_error

# Waves to choose from: θ, and shifts in units of the own slope (at least a third).
THETAS = (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.5)
SHIFTS = (-0.3, -0.2, -0.125, -0.0625, 0.0, 0.0625, 0.125, 0.2, 0.3)
WAVES = tuple(product(THETAS, SHIFTS))
# Own slopes at which prices are compared, prices per importance and third of the density, and those to begin with.
SLOPES = (1 / 64, 0.125, 0.25, 0.45, 0.65, 0.8, 0.9, 1.0, 1.125, 1.4, 2.0)
PRICES = 0.01 * 1.5 ** np.arange(13)
BEGIN = (4, 8)
# Share of the bound that the cells may lose; width of the first cell, of the narrowest, and what widths are multiples of.
SLACK, WIDTH, NARROW, UNIT = 0.02, 0.25, 1 / 512, 1 / 8192
# What the floors may lose to their proof at least, in units of the density.
MARGIN = 1.5e-4
# Features whose prices per importance are within this factor share their cells; densities of tables at most.
ALIKE, LARGEST_TABLES = 2.5, 3


class Rows(NamedTuple):
    """Waves for rows of one density: `error` bounds E at slopes a (first axis) and grid points of Q, `share` is D there, and what
    of `WAVES` is of use."""

    error: Float[Array, "a q"]
    share: Float[Array, "a q"]
    used: frozenset[int]

    def level(self, scale: float, price: Float[Array, "*k"]) -> Float[Array, "*k"]:
        """min over a and Q of scale E + price D."""
        least: Array = (scale * self.error + price[..., None, None] * self.share).min((-2, -1))
        return least


class Offer(NamedTuple):
    """A price and what it promises: the bound (in floats, not proved) and each feature's least of J E + λ D; densities of its tables."""

    bound: float
    price: float
    level: Float[Array, " n"]
    base: Float[Array, " n"]
    used: tuple[int, ...]


def offer_of(density: Float[Array, " n"], importance: Float[Array, " n"], m: int) -> Offer:
    """The price with the largest bound, as far as the waves at `SLOPES` tell."""
    distinct = np.unique(density)
    some = distinct[np.unique(np.linspace(0, len(distinct) - 1, min(len(distinct), LARGEST_TABLES)).astype(int))]
    worth = np.array([[float(row_scale(exact(p), exact(q))) for q in some] for p in density])
    base, scale = some[worth.argmax(1)], worth.max(1) * importance
    others = {q: tuple(np.sort(np.delete(density, np.argmax(base == q)))) for q in np.unique(base)}
    grid: Array = np.geomspace((scale * base).min() / 300, (scale * base).max(), 400)
    wanted = {(q, k) for q in others for k in BEGIN}
    known: dict[float, list[Rows]] = {q: [] for q in others}
    done: set[tuple[float, int]] = set()
    while wanted - done:
        for q, k in wanted - done:
            known[q].append(_rows(float(q), others[q], float(PRICES[k] * q / 3)))
        done |= wanted
        levels = np.array(
            [np.max([rows.level(c, grid) for rows in known[q]], 0) for q, c in zip(base, scale, strict=True)]
        )
        bounds = levels.sum(0) - m * grid
        best = int(np.argmax(bounds))
        nearest = np.abs(np.log(3 * grid[best] / (scale * base))[:, None] - np.log(PRICES)).argmin(1)
        wanted = set(zip(base, map(int, nearest), strict=True))
    used = frozenset[int]().union(*(rows.used for part in known.values() for rows in part))
    return Offer(float(bounds[best]), float(grid[best]), levels[:, best], base, tuple(sorted(used)))


def proved_offer(density: Float[Array, " n"], importance: Float[Array, " n"], offer: Offer) -> dict[str, Any]:
    """The part of a certificate that `price_bound` reads."""
    n = len(density)
    # Short rationals.
    price = float(np.float32(offer.price))
    targets = offer.level - SLACK * offer.bound / n
    tables: list[dict[str, Any]] = []
    rows = [0] * n
    order = np.lexsort((importance, offer.base))
    first = None
    for i in order:
        q = offer.base[i]
        if first is None or offer.base[first] != q or importance[i] > ALIKE * importance[first]:
            first = i
            group = [j for j in order if offer.base[j] == q and importance[i] <= importance[j] <= ALIKE * importance[i]]
            tables.append(_table(group, float(q), density, importance, price, targets, offer.used))
        rows[i] = len(tables) - 1
    return {"price": text_of(price), "importance": [text_of(x) for x in importance], "tables": tables, "rows": rows}


def _table(
    group: list[int],
    q: float,
    density: Float[Array, " n"],
    importance: Float[Array, " n"],
    price: float,
    targets: Float[Array, " n"],
    used: tuple[int, ...],
) -> dict[str, Any]:
    """Cells that reach the targets of a group of features, each as wide as it can be, or too narrow."""
    goals = {(density[i], importance[i]): targets[i] for i in group}
    scales = {(p, weight): weight * float(row_scale(exact(p), exact(q))) for p, weight in goals}
    # The middle of the group.
    some = sorted(goals, key=lambda key: scales[key])[len(goals) // 2]

    def others(p: float) -> list[float]:
        rest = sorted(map(float, density))
        rest.remove(p)
        return rest

    def levels(cell: Cell) -> dict[tuple[float, float], float]:
        """J E + λ D at least over the cell."""
        waves = {p: ends(cell, list(map(exact, others(p)))) for p, _ in goals}
        return {
            key: float(cell_level(cell, waves[key[0]], exact(q), exact(scales[key]), exact(price))) for key in goals
        }

    cells: list[Cell] = []
    low, width, margin = 0.0, WIDTH, MARGIN * q
    while low < 1 or any(
        scales[key] * q / 3 * ((low - 1) / (low + 1)) ** 2 + price / len(density) < goal for key, goal in goals.items()
    ):
        high = low + max(np.floor(width / UNIT), 1) * UNIT
        # At 1 the length of a shortened column stays.
        high = min(high, 1.0) if low < 1 else high
        fit = _fit(low, high, q, tuple(others(some[0])), price / scales[some], used)
        reached = levels(_cell(low, high, fit.floors, fit.waves))
        spare = min((reached[key] - goal) / scales[key] for key, goal in goals.items())
        narrow = high - low <= NARROW
        if spare >= margin or narrow:
            cell = _cell(low, high, fit.floors - max(0.9 * spare, margin), fit.waves)
            try:
                prove_floors(cell, exact(q))
            except CertificateError:
                margin *= 2 if narrow else 1
            else:
                cells.append(cell)
                # What this cell misses the others need not reach.
                goals = {key: min(goals[key], level) for key, level in levels(cell).items()}
                low, width, margin = high, (high - low) * (1.6 if spare > 4 * margin else 1.25), MARGIN * q
                continue
        width = max(0.6 * (high - low), NARROW)
    written = [[str(c.a[1]), *map(str, c.floors), [[str(x) for x in wave] for wave in c.waves]] for c in cells]
    return {"density": text_of(q), "cells": written}


def _cell(low: float, high: float, floors: Float[Array, " 2"], waves: list[Wave]) -> Cell:
    """The cell with short rationals."""
    unit = 2.0**-44
    first, last = (exact(np.floor(floor / unit) * unit) for floor in floors)
    return Cell((exact(low), exact(high)), (first, last), tuple(waves))


class Fit(NamedTuple):
    """Floors at both ends, waves, E at both ends (first axis) and the grid points of Q, and what of `WAVES` is used."""

    floors: Float[Array, " 2"]
    waves: list[Wave]
    error: Float[Array, "2 q"]
    used: frozenset[int]


def _fit(
    low: float,
    high: float,
    p: float,
    others: tuple[float, ...],
    price: float,
    choice: tuple[int, ...] = tuple(range(len(WAVES))),
) -> Fit:
    """Those of a choice of `WAVES` that maximise the least E + price D over low <= a <= high and Q."""
    top, n = min(high, 1.0), len(others)
    z = np.concatenate([-high * np.linspace(1, 0, 50) ** 1.7, np.linspace(0, 1, 20)[1:] ** 2])
    # Shifts from where the error is least.
    middle = np.linspace(-high, 1, 300)
    least = middle[np.argmin(_under((low + high) / 2, high, middle, p, 1)[0])]
    waves = [(WAVES[k][0], np.round(256 * (least + WAVES[k][1] * max(high, 1 / 3))) / 256) for k in choice]
    cell = (exact(low), exact(high))
    rates = [sorted(float(rate(exact(q), exact(theta), cell)) for q in others) for theta, _ in waves]
    filled = np.concatenate([np.zeros((len(waves), 1)), np.cumsum(np.repeat(rates, STEPS, 1), 1)], 1) * top / STEPS
    gain = (1 - np.exp(-filled)).T
    far = np.linspace(-high - float(PERIOD), -high, 300)
    near, away = _shapes(z, waves), _shapes(far, waves)
    # Variables: the least, the floors at both ends and the higher of them, sizes.
    left = [np.concatenate([np.ones((len(far), 1)) * [0, 0, 0, 1], away], 1)]
    right = [np.full(len(far), p / 3)]
    for first, last, s in ((1, 0, low), (0, 1, top)):
        ones = np.ones((len(gain), 1)) * [1, -first, -last, 0]
        left += [np.concatenate([ones, -gain], 1)[::2], np.array([[0, first, last, -1, *np.zeros(len(waves))]])]
        right += [price * _share(s, top, n)[::2], np.zeros(1)]
    for part, bound in zip((0, 0.5, 1), _under(low, high, z, p, 3), strict=True):
        left.append(np.concatenate([np.ones((len(z), 1)) * [0, 1 - part, part, 0], near], 1))
        right.append(bound)
    bounds = [(None, None)] * 4 + [(0, None)] * len(waves)
    goal = -np.eye(1, len(bounds))[0]
    solved = linprog(goal, A_ub=np.concatenate(left), b_ub=np.concatenate(right) / p, bounds=bounds)
    found = p * np.asarray(solved.x, float)
    # Amplitudes short, and below what was found.
    unit = 2.0 ** (np.floor(np.log2(p)) - 20)
    sizes = np.maximum(np.floor(found[4:] / unit) * unit, 0)
    kept = [Wave(*map(exact, (size, *wave))) for size, wave in zip(sizes, waves, strict=True) if size > 0]
    # Between the points of the program.
    fine = np.concatenate([np.linspace(-high, 1, 300), np.linspace(-0.3, 0.1, 100)])
    parts = np.linspace(0, 1, 5)[:, None]
    over = found[1] * (1 - parts) + found[2] * parts + _shapes(fine, waves) @ sizes - _under(low, high, fine, p, 5)
    apart = np.linspace(far[0], far[-1], 500)
    excess = max(over.max(), found[1:3].max() + (_shapes(apart, waves) @ sizes).max() - p / 3, 0)
    floors = found[1:3] - excess
    return Fit(
        floors, kept, floors[:, None] + gain @ sizes, frozenset(k for k, x in zip(choice, sizes, strict=True) if x > 0)
    )


def _shapes(z: Float[Array, " z"], waves: list[tuple[float, float]]) -> Float[Array, "z w"]:
    """1 - cos θ (z - shift)."""
    theta, shift = np.array(waves).T
    shape: Array = 1 - np.cos(theta * (z[:, None] - shift))
    return shape


def _under(low: float, high: float, z: Float[Array, " z"], p: float, count: int) -> Float[Array, "a z"]:
    """ψ at some slopes from low to high."""
    a = np.linspace(low, high, count)[:, None]
    under: Array = row_error(a, np.zeros_like(a), z[None], np.array([[1 - p, p, 0, 0]]))[..., 0]
    return under


def _share(s: float, top: float, others: int) -> Float[Array, " q"]:
    """D at the grid points of Q up to that of the length `top`."""
    q = np.arange(STEPS * others + 1) * top / STEPS
    share: Array = min(s, 1.0) ** 2 / np.maximum(min(s, 1.0) ** 2 + q, 1e-300)
    return share


@lru_cache
def _rows(p: float, others: tuple[float, ...], price: float) -> Rows:
    """The best waves for a price (per importance) at `SLOPES`."""
    fits = [_fit(a, a, p, others, price) for a in SLOPES]
    share = np.array([_share(a, min(a, 1.0), len(others)) for a in SLOPES])
    return Rows(np.array([fit.error[0] for fit in fits]), share, frozenset[int]().union(*(fit.used for fit in fits)))
