"""Three features in two dimensions: does it matter that joint superposition of all three is left out of the phase diagram?"""

from __future__ import annotations

import heapq
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from flint import fmpq
from sympy import lambdify

from ...theory import (
    DENSITY,
    IMPORTANCE,
    Features,
    GeometryDiagram,
    Grade,
    geometry_diagram,
    naive_candidates,
    optimal_model,
    rational_loss,
)
from ...theory._exact_row import row_bound
from .._claim import Check, Claim, Finding

if TYPE_CHECKING:
    from numpy import ndarray as Array

    from .._lab import Lab, Run

# Every STRIDE-th density and importance of the preset (64 of each): both ends are among them.
STRIDE = 3
# A column below a tenth of the longest is noise of training; features with |cos| above 0.15 are linked.
RESOLUTION, LINKED = 0.1, 0.15
# Share of the decided cells that must agree. Where a random start finds the best state with chance 1/3, eight miss it in 4 % of cells.
AGREEING = 0.95
JOINT = "joint"
# Where the three features are compared in exact arithmetic, with equal importances: near the density of the widest gap, and dyadic.
DENSE = Fraction(5, 8)
# The search for a lower bound gives up after so many boxes, and after so many cuts of the bias in one of them.
BOXES, CUTS = 6000, 14


def storage(weights: Array) -> Array:
    """How W (..., 2, 3) stores three features: 'i and j', 'digon of i and j' and the third by itself, 'joint' or 'other'.

    Features 1 and 2 are alike, so 3 is called the partner of 2 throughout. Joint: a chain of links runs through all three features.

    >>> str(storage(np.array([[1.0, 0.0, 0.0], [0.0, 0.9, -0.8]])))
    'digon of 2 and 3'
    """
    w = np.asarray(weights, float)
    norm = np.linalg.norm(w, axis=-2)
    stored = (norm > RESOLUTION * norm.max(-1, keepdims=True)) & (norm > 0)
    unit = np.where(stored[..., None, :], w / np.where(norm > 0, norm, 1.0)[..., None, :], 0.0)
    cosine = np.abs(np.swapaxes(unit, -1, -2) @ unit)
    pairs = cosine[..., (0, 0, 1), (1, 2, 2)] > LINKED
    every, links = stored.all(-1), pairs.sum(-1)
    label: Array = np.full(norm.shape[:-1], "other", dtype="<U16")
    label[every & (links >= 2)] = JOINT
    label[every & (links == 1)] = "digon of 2 and 3"
    label[every & (links == 1) & pairs[..., 0]] = "digon of 1 and 2"
    two = (stored.sum(-1) == 2) & (links == 0)
    label[two] = "2 and 3"
    label[two & ~stored[..., 2]] = "1 and 2"
    return label


def fixed_models(density: Array, importance: Array) -> tuple[Array, Array]:
    """Best of the four closed forms on a grid: names and losses (P, R)."""
    forms = naive_candidates(3)
    p, r = np.meshgrid(density, importance, indexing="ij")
    losses = np.array([lambdify((DENSITY, IMPORTANCE), form, "numpy")(p, r) + 0 * p for form in forms.values()])
    return np.array(list(forms))[losses.argmin(0)], losses.min(0)


def thinned(run: Run) -> tuple[Array, Array, Array, Array, Array]:
    """Every STRIDE-th density and importance of a run, and weights, bias and loss of the seed with the lowest exact loss there."""
    data = run.data
    p, r = data["density"][::STRIDE], data["importance"][::STRIDE]
    weights, bias, loss = (data[key][::STRIDE, ::STRIDE] for key in ("weights", "bias", "loss"))
    best = loss.argmin(2)[..., None]
    chosen = np.take_along_axis
    return (
        p,
        r,
        chosen(weights, best[..., None, None], 2)[:, :, 0].astype(float),
        chosen(bias, best[..., None], 2)[:, :, 0].astype(float),
        chosen(loss, best, 2)[..., 0],
    )


def exact_diagram(density: Array, importance: Array) -> GeometryDiagram:
    """`geometry_diagram` of three features in two dimensions, computed once per grid (some 20 s for 22 × 22)."""
    return _diagram(tuple(density.tolist()), tuple(importance.tolist()))


@cache
def _diagram(density: tuple[float, ...], importance: tuple[float, ...]) -> GeometryDiagram:
    return geometry_diagram(density, importance, restarts=3)


def decided_cells(label: Array) -> Array:
    """Cells whose eight neighbours (fewer at the edges) have the same label: there no boundary is within a step of the grid."""
    padded = np.pad(label, 1, mode="edge")
    rows, columns = label.shape
    same: Array = np.all(
        [padded[1 + i : 1 + i + rows, 1 + j : 1 + j + columns] == label for i in (-1, 0, 1) for j in (-1, 0, 1)], axis=0
    )
    return same


def _trained_map(statement: str, lab: Lab) -> Finding:
    """Do trained models store the features as the named map says, in cells away from the boundaries of the exact optimum?

    A model that differs from the four fixed models' map and whose rational loss is below all four is a verified counterexample.
    """
    p, r, weights, bias, _ = thinned(lab.preset("phase-3-2"))
    optimum = exact_diagram(p, r)
    stated = {
        "four fixed models": fixed_models(p, r)[0],
        "exact optimum": storage(optimum.weights),
        "four fixed models, density doubled": fixed_models(np.minimum(2 * p, 1), r)[0],
    }[statement]
    found = storage(weights)
    decided = decided_cells(storage(optimum.weights))
    wrong = decided & (found != stated)
    holds = bool(wrong.sum() <= (1 - AGREEING) * decided.sum())
    words = f"{int(decided.sum() - wrong.sum())} of {int(decided.sum())} decided cells agree"
    verified = 0
    if not holds:
        forms = naive_candidates(3)
        for i, j in np.argwhere(wrong):
            q, s = Fraction(float(p[i])), Fraction(float(r[j]))
            model = rational_loss(weights[i, j].tolist(), bias[i, j].tolist(), density=[q] * 3, importance=[1, 1, s])
            values = (form.subs({DENSITY: _symbol(q), IMPORTANCE: _symbol(s)}) for form in forms.values())
            verified += all(model < Fraction(int(v.p), int(v.q)) for v in values)
        words += f"; in {verified} of the other {int(wrong.sum())} the trained model's exact rational loss is below all four closed forms"
    grade = Grade.CERTIFIED if verified else Grade.SAMPLED
    margin = float((1 - AGREEING) * decided.sum() - wrong.sum())
    return Finding(holds, grade, words + ".", margin, "cells to spare")


def _symbol(x: Fraction) -> object:
    from sympy import Rational

    return Rational(x.numerator, x.denominator)


def _joint_is_better(statement: str, lab: Lab) -> Finding:
    """Does the named map put the three features in joint superposition at p = 5/8, I = 1, where that is proved to be better?

    Of the candidates, at any norms and biases, those with a dropped feature lose at least its variance v, and those with a digon at
    least what two features in one dimension do, bounded below by boxes in rationals. The joint model from above: a rational one.
    """
    p = DENSE
    best = optimal_model(Features(float(p), n=3), 2, restarts=8)
    stated = {
        "four fixed models": str(fixed_models(np.array([float(p)]), np.ones(1))[0][0, 0]),
        "exact optimum": str(storage(best.weights)),
        "four fixed models, density doubled": str(fixed_models(np.ones(1), np.ones(1))[0][0, 0]),
    }[statement]
    model = [[Fraction(round(float(x) * 1000), 1000) for x in row] for row in (*best.weights, best.bias)]
    loss = rational_loss(model[:2], model[2], density=[p] * 3, importance=[1] * 3)
    exact = np.array([[float(x) for x in row] for row in model[:2]])
    level = Fraction(int(loss * 2**14) + 1, 2**14)
    if str(storage(exact)) != JOINT or level > p / 3 - p**2 / 4 or not _pair_exceeds(p, level):
        return Finding(None, Grade.NUMERIC, "No joint model was shown to be better than all four candidates.")
    words = (
        f"At p = {p}, I = 1 the joint model W = {[[str(x) for x in row] for row in model[:2]]}, b = {[str(x) for x in model[2]]} loses "
        f"{float(loss):.6f}; every model with a digon or a dropped feature loses more than {float(level):.4f}. In the map it is: {stated}"
    )
    gap = float(level - loss)
    return Finding(stated == JOINT, Grade.EXACT, words + ".", gap if stated == JOINT else -gap, "loss, at least")


@cache
def _pair_exceeds(p: Fraction, level: Fraction) -> bool:
    """Whether every model of two equal features in one dimension loses more than `level`; a digon beside a dedicated feature is one.

    Output 1 has slopes a = w1² and c = w1 w2, output 2 has w2² and c, and the biases decouple. By exchange and sign w1 >= |w2|. A
    slope a > 1 alone costs p ((a - 1)/(a + 1))²/3 (`_pair_check`, point 3), which ends the range of w1. Offsets: ibid., point 2.
    """
    q, target = fmpq(p.numerator, p.denominator), fmpq(level.numerator, level.denominator)
    law = ((1 - q) ** 2, q * (1 - q), q * (1 - q), q * q)
    far = fmpq(5, 2)
    if q * ((far**2 - 1) / (far**2 + 1)) ** 2 / 3 <= target:
        return False
    boxes = [(fmpq(0), far, -far, far)]
    for _ in range(BOXES):
        if not boxes:
            return True
        a, b, c, d = boxes.pop()
        if c > b or d < -b:
            continue
        corners = (a * c, a * d, b * c, b * d)
        other, small = (min(corners), max(corners)), fmpq(0) if c <= 0 <= d else min(c * c, d * d)
        first = _row_least((a * a, b * b), other, law, target)
        if first > target or first + _row_least((small, max(c * c, d * d)), other, law, target - first) > target:
            continue
        u, v = (a + b) / 2, (c + d) / 2
        boxes += [(a, u, c, d), (u, b, c, d)] if b - a >= d - c else [(a, b, c, v), (a, b, v, d)]
    return False


def _row_least(own: tuple[fmpq, fmpq], other: tuple[fmpq, fmpq], law: tuple[fmpq, ...], enough: fmpq) -> fmpq:
    """A lower bound of an output's error over its slopes and all biases; it stops refining above `enough`."""
    low, high = -(own[1] + max(other[1], fmpq(0))), 1 + max(-other[0], fmpq(0))

    def cell(low: fmpq, high: fmpq) -> tuple[fmpq, fmpq, fmpq]:
        return row_bound(own, other, (low, high), [law])[0], low, high  # type: ignore[list-item]

    cells = [cell(low, high)]
    for _ in range(CUTS):
        bound, low, high = cells[0]
        if bound > enough:
            break
        middle = (low + high) / 2
        heapq.heapreplace(cells, cell(low, middle))
        heapq.heappush(cells, cell(middle, high))
    return cells[0][0]


JOINT_CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="elhage2022.21",
        locator="Superposition as a phase change, theory for n = 3, m = 2",
        statement="Four fixed models give the phase diagram; the one with all three features in joint superposition can be left out.",
        restatement="n = 3, m = 2, I = (1, 1, r): at every p in [0.01, 1], r in [0.1, 10] the features are best stored as in the lowest of "
        "the four closed forms, r(p/3 - p²/4), p/3 - p²/4, (1 + r)p²/6 and p²/3.",
        kind="optimality",
        domain="n = 3, m = 2, a grid of 22 × 22, and p = 5/8 at r = 1",
        claimed="four fixed models",
        corrected="exact optimum",
        control="four fixed models, density doubled",
        correction="For dense features of like importance all three share two dimensions: at p = 5/8, r = 1 a rational joint model "
        "beats every model, of any norms and biases, with a dropped feature or a digon. Elsewhere the regions of the exact optimum, not "
        "those of the fixed models, are what trained models show.",
        tolerance="95 % of the cells whose neighbours have the same optimal geometry (eight starts can all miss the best state); stored: "
        "longer than a tenth of the longest column; linked: |cos| > 0.15",
        checks=(
            Check(
                "trained models",
                "AdamW on sampled batches, the paper's recipe, eight seeds: how the best of each cell stores the features.",
                "stochastic gradient descent on samples",
                _trained_map,
                independent=True,
                seed=0,
            ),
            Check(
                "joint model from above, the others from below",
                "A rational joint model against rational bounds of every model of the four kinds, by boxes of weights and biases.",
                "the vertex formula in fractions",
                _joint_is_better,
                tier="slow",
            ),
        ),
        figures=("joint",),
    ),
)
