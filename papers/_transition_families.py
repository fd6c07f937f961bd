"""Transition families: problems with one parameter whose optimal models change, and values of the places that others give.

The values are closed forms, results of other parts of tegum, and crossings of the losses of regular blocks, which scipy minimises.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
from scipy.optimize import brentq, minimize

from ..theory import Features, critical_points, expected_loss, phase_boundary, polytope, spinodal

DENSITIES: list[float] = [*np.geomspace(0.02, 0.4, 6), *np.linspace(0.45, 0.98, 10)]
Check = tuple[str, Callable[[], float]]


@dataclass(frozen=True)
class Problem:
    """A family of problems: parameter -> Features, m, the grid, and values that some transition must have, with their sources.

    searched: whether another optimiser also looks for lower states on either side of every transition.
    """

    words: str
    family: Callable[[float], Features]
    m: int
    grid: list[float]
    checks: tuple[Check, ...] = ()
    bias: bool = True
    searched: bool = False


@cache
def regular_loss(block: str, density: float) -> float:
    """Loss of a block of equal features with one common norm and bias: two unknowns, by scipy with numerical gradients."""
    if block in ("dropped", "dedicated"):
        return density / 3 - density**2 / 4 if block == "dropped" else 0.0
    unit = np.array(polytope(block).evalf(20), dtype=float)
    features = Features(density, n=unit.shape[1])

    def loss(x: Any) -> float:
        return float(expected_loss(x[0] * unit, x[1], features, atol=1e-6))

    start = [1.15, -0.2] if block == "pentagon" else [0.9, 0.1]
    return float(minimize(loss, start, method="BFGS", options={"gtol": 1e-9}).fun)


def regular_crossing(low: list[str], high: list[str], a: float, b: float) -> float:
    """Density at which two packings of equal features have equal losses."""
    return float(
        brentq(lambda p: sum(regular_loss(x, p) for x in low) - sum(regular_loss(x, p) for x in high), a, b, xtol=1e-12)
    )


def _last(density: float, importance: float) -> Features:
    return Features(density, [1.0, 1.0, importance])


def _denser(density: float, factor: float) -> Features:
    return Features([density] * 4 + [density * factor], n=5)


def _equal(n: int, density: float) -> Features:
    return Features(density, n=n)


def _falling(density: float) -> Features:
    return Features(density, 0.9 ** np.arange(5))


def _regular(low: list[str], high: list[str], a: float, b: float) -> Check:
    return "regular losses", partial(regular_crossing, low, high, a, b)


def _boundary(density: float) -> float:
    return float(phase_boundary(density).importance)


def _limit(density: float) -> float:
    return float(spinodal(density))


def _pair_symmetry() -> float:
    return critical_points()["equal triple"].density


def _closed_form() -> float:
    return float((40 - 4 * np.sqrt(14)) / 43)


def _falling_onset() -> float:
    return float(brentq(lambda p: float(spinodal(p)) - 0.9, 0.7, 0.9, xtol=1e-13))


def _problems() -> dict[str, Problem]:
    found = {
        "pair": Problem(
            "n = 2, m = 1, I = 1, in p", partial(_equal, 2), 1, DENSITIES, (("critical_points", _pair_symmetry),)
        ),
        "three in two": Problem(
            "n = 3, m = 2, I = 1, in p",
            partial(_equal, 3),
            2,
            DENSITIES,
            (_regular(["digon"], ["triangle"], 0.4, 0.65),),
            searched=True,
        ),
    }
    for p in (0.03, 0.1, 0.3, 0.5, 0.6, 0.7, 0.9):
        name, value = ("spinodal", _limit) if p in (0.6, 0.7) else ("phase_boundary", _boundary)
        importances: list[float] = np.geomspace(0.01 if p < 0.2 else 0.1, 3, 14).tolist()
        checks = ((name, partial(value, p)),)
        found[f"last of three, p = {p}"] = Problem(
            f"n = 3, m = 2, (1, 1, I), p = {p}, in I", partial(_last, p), 2, importances, checks, searched=p == 0.9
        )
    pentagon = _regular(["pentagon"], ["digon", "digon", "dropped"], 0.2, 0.25)
    triangle = _regular(["digon", "digon"], ["triangle", "dropped"], 0.6, 0.7)
    found |= {
        "four in three": Problem(
            "n = 4, m = 3, I = 1, in p",
            partial(_equal, 4),
            3,
            DENSITIES,
            (_regular(["digon"], ["tetrahedron"], 0.4, 0.6),),
        ),
        "five in two": Problem(
            "n = 5, m = 2, I = 1, in p", partial(_equal, 5), 2, DENSITIES, (pentagon, triangle), searched=True
        ),
        "five in two, 0.9^i": Problem(
            "n = 5, m = 2, I = 0.9^i, in p",
            _falling,
            2,
            DENSITIES,
            (("stability limit spinodal(p) = 0.9", _falling_onset),),
        ),
        "six in two": Problem("n = 6, m = 2, I = 1, in p", partial(_equal, 6), 2, DENSITIES, (pentagon, triangle)),
        "six in three": Problem("n = 6, m = 3, I = 1, in p", partial(_equal, 6), 3, [0.1, 0.3, 0.5, 0.7]),
    }
    for p in (0.02, 0.05, 0.1):
        found[f"one feature denser, p = {p}"] = Problem(
            f"n = 5, m = 2, p = {p}, one feature f times as dense, in f",
            partial(_denser, p),
            2,
            np.geomspace(0.1, 3, 8).tolist(),
            searched=p == 0.05,
        )
    found |= {
        "pair, no bias": Problem(
            "n = 2, m = 1, I = 1, no bias, in p",
            partial(_equal, 2),
            1,
            DENSITIES,
            (("(40 - 4√14)/43", _closed_form),),
            bias=False,
        ),
        "three in two, no bias": Problem(
            "n = 3, m = 2, I = 1, no bias, in p", partial(_equal, 3), 2, DENSITIES, bias=False
        ),
        "five in two, no bias": Problem(
            "n = 5, m = 2, I = 1, no bias, in p", partial(_equal, 5), 2, DENSITIES, bias=False
        ),
    }
    for count, kind in ((2, "exclusive"), (3, "exclusive"), (2, "correlated"), (3, "correlated")):
        make = Features.anticorrelated if kind == "exclusive" else Features.correlated
        sparse: list[float] = np.geomspace(0.02, 0.5, 8).tolist()
        found[f"{count} {kind} pairs"] = Problem(
            f"{count} {kind} pairs, m = 2, in p",
            partial(make, n=2 * count, size=2),
            2,
            sparse if kind == "exclusive" else DENSITIES,
            searched=(count, kind) == (2, "correlated"),
        )
    return found


PROBLEMS = _problems()
