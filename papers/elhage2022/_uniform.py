"""Uniform superposition: dimensions per feature, its independence of size, and where feature dimensionalities lie."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import sympy

from ...theory import Grade, dimensions_per_feature, exact_dimensionality, feature_dimensionality
from .._claim import Check, Claim, Finding
from .._lab import STORED, load_run
from ..uniform_theory import best_mixture

if TYPE_CHECKING:
    from numpy import ndarray as Array

    from .._lab import Lab

TRAINED = "AdamW on sampled batches, the paper's recipe"
DESCENT = "stochastic gradient descent on samples"
# D* within this of a level, relative, counts as at the level: 0.03 at 1/2, half of what one in ten digons turned into a triangle moves.
BAND = 0.06
# A curve is sticky at a level where it stays at least so many times as long as it would at an even pace.
STICKY = 2.0
# One of the twenty dimensions of the smaller models stored otherwise moves ‖W‖²/m by up to 5 %; the median is an average of such moves.
ONE, MEDIAN = 0.05, 0.02
# What Σ D_i may miss of m where the packing is called efficient, and what rounding of float32 weights can leave of an equality.
EFFICIENT, ROUNDING = 0.02, 1e-4
# A line is counted in windows of half width CORE, its background in two of the same width at FLANK on either side.
CORE, FLANK = 0.005, 0.0125
# The vertices of a polytope share a dimensionality and count as one for the noise of a line, which must exceed three deviations.
VERTICES = {"3/4": 4, "2/3": 3, "1/2": 2, "2/5": 5, "3/8": 8, "0": 1}
MOST, DEVIATIONS = 8, 3.0


def stickiness(density: Array, ratio: Array, level: float) -> float:
    """How many times longer D* stays within BAND of a level, in ln 1/p, than a curve with the same ends at an even pace.

    D* (P,) at increasing density (P,), ln D* linear in ln p between. Of the band counts what lies between the extremes of D*: of level 1
    only the lower half, as no D* is larger.

    >>> p = np.geomspace(0.1, 1, 20)
    >>> round(stickiness(p, p, 0.5), 12)
    1.0
    """
    x, y = np.log(density), np.log(ratio)
    low, high = np.log(level * (1 - BAND)), np.log(level * (1 + BAND))
    reachable = min(high, y.max()) - max(low, y.min())
    if reachable <= 0:
        return 0.0
    # On a piece from y0 to y1 the share within the band.
    y0, y1 = np.minimum(y[:-1], y[1:]), np.maximum(y[:-1], y[1:])
    inside = np.clip(np.minimum(high, y1) - np.maximum(low, y0), 0, None)
    flat = (y0 >= low) & (y1 <= high)
    share = np.where(flat, 1.0, inside / np.maximum(y1 - y0, 1e-300))
    pace = (y.max() - y.min()) / (x[-1] - x[0])
    return float((share * np.diff(x)).sum() * pace / reachable)


def _trained_sticky(statement: list[str], lab: Lab) -> Finding:
    """The curve of the trained models, n = 400 and m = 30, at the median of the seeds."""
    data = lab.preset("uniform-400-30").data
    p, ratio = data["density"], np.median(dimensions_per_feature(data["weights"]), axis=1)
    found = {text: stickiness(p, ratio, float(Fraction(text))) for text in statement}
    least = min(found.values())
    shown = ", ".join(f"{text}: {value:.2f}" for text, value in found.items())
    nothing = data["weights"].shape[-1] * (p / 3 - p**2 / 4)
    failed = int((np.median(data["loss"], axis=1) > nothing).sum())
    words = f"Trained models stay near these levels so many times longer than at an even pace: {shown}."
    if failed:
        words += f" At the {failed} largest densities they lose more than a model that stores nothing: part of their outputs never fires."
    return Finding(least >= STICKY, Grade.SAMPLED, words, least - STICKY, "times an even pace")


def _same_per_dimension(statement: dict[str, str], lab: Lab) -> Finding:
    """Does ‖W‖_F² of n = 400, m = 30 exceed that of n = 200, m = 20 by (30/20)^exponent, at equal density?

    ln ‖W‖² of the larger models is interpolated in ln p, and where the curve is steep its values within a step of its grid are allowed.
    """
    small, large = (lab.preset(name).data for name in ("uniform-200-20", "uniform-400-30"))
    norms = [np.median((run["weights"].astype(float) ** 2).sum((-2, -1)), axis=1) for run in (small, large)]
    (m, big), x = (run["weights"].shape[-2] for run in (small, large)), np.log(large["density"])
    step = np.diff(x).max()
    at = np.log(small["density"])
    expected = float(Fraction(statement["exponent"])) * np.log(big / m)
    near = np.array([np.interp(at + shift, x, np.log(norms[1])) for shift in np.linspace(-step, step, 21)])
    off = near - np.log(norms[0]) - expected
    # Zero where the values within a step lie on both sides.
    worst = np.where(off.min(0) * off.max(0) <= 0, 0.0, np.abs(off).min(0))
    middle = float(np.abs(np.median(off[10])))
    holds = bool(worst.max() <= ONE and middle <= MEDIAN)
    return Finding(
        holds,
        Grade.SAMPLED,
        f"‖W‖² per m^{statement['exponent']} of both sizes differs by {100 * worst.max():.1f} % at most over {len(at)} densities, within a "
        f"step of the grid, and by {100 * middle:.1f} % in the median.",
        float(min(ONE - worst.max(), MEDIAN - middle)),
        "relative, to spare",
    )


def _same_mixture(statement: dict[str, str], lab: Lab) -> Finding:
    """The same of best mixtures of blocks, m = 30, 60 and 120 of n = 400, 800, 1600: the program scales."""
    data = load_run(STORED / "uniform_theory.json").data
    norm = {m: m / best_mixture(data, 40 * m // 3, m).dimensions_per_feature for m in (30, 60, 120)}
    # The number of blocks and of features over, both times 2, is again a point of the program, and so is its half.
    exponents = np.array([np.log2(norm[2 * m] / norm[m]) for m in (30, 60)])
    worst = float(np.abs(exponents - float(Fraction(statement["exponent"]))).max())
    return Finding(
        worst < 1e-6,
        Grade.NUMERIC,
        f"Doubling m multiplies ‖W‖² by 2^{exponents.mean():.6f}.",
        1e-6 - worst,
        "exponent",
    )


@cache
def _identity() -> bool:
    """(aᵀFa)(aᵀF⁺a) - (aᵀa)² = a1² a2² (λ1 - λ2)²/(λ1 λ2) in eigenvectors of F with eigenvalues λ.

    Every term of the left side has one a_k² a_l², with a factor of λ_k and λ_l alone: the identity for two of them, summed over pairs, is
    the identity for all. It is zero only if a is zero but for equal λ, an eigenvector of F.
    """
    a, b = sympy.symbols("a b", real=True)
    x, y = sympy.symbols("x y", positive=True)
    left = (a**2 * x + b**2 * y) * (a**2 / x + b**2 / y) - (a**2 + b**2) ** 2
    return bool(sympy.simplify(left - a**2 * b**2 * (x - y) ** 2 / (x * y)) == 0)


def _leverage(statement: str, lab: Lab) -> Finding:
    """D_i against the leverage scores W_iᵀF⁺W_i, which add up to the rank of F = WWᵀ: an identity, and small matrices in rationals.

    D_i = |W_i|⁴ / W_iᵀFW_i, as Σ_j (W_i·W_j)² = W_iᵀFW_i; (aᵀa)² <= (aᵀFa)(aᵀF⁺a) for a in the range of F is `_identity`.
    """
    rng = np.random.default_rng(27)
    matrices = [sympy.Matrix(rng.integers(-2, 3, (m, n)).tolist()) for m, n in product((1, 2, 3), (2, 3, 4, 5))]
    # Orthogonal copies of one frame: every column is an eigenvector of F.
    matrices += [sympy.Matrix([[1, -1, 0, 0], [0, 0, 2, -2]]), sympy.Matrix([[1, 0, -1, 0], [0, 1, 0, -1]])]
    equal = less = odd = 0
    for matrix in matrices:
        w = matrix[:, [j for j in range(matrix.cols) if any(matrix[:, j])]]
        frame, rank = w * w.T, w.rank()
        total = sum(exact_dimensionality(w), sympy.Integer(0))
        eigen = all((frame * w[:, j]).row_join(w[:, j]).rank() == 1 for j in range(w.cols))
        equal, less = equal + (total == rank), less + bool(total < rank)
        odd += bool(total > rank) or (total == rank) != eigen
    holds = {
        "at most the rank, equal for eigenvectors": _identity() and odd == 0,
        "equal to the rank for every W": less == 0,
    }[statement]
    return Finding(
        bool(holds),
        Grade.EXACT,
        "D_i <= W_iᵀ(WWᵀ)⁺W_i by Cauchy and Schwarz, with equality for eigenvectors of WWᵀ alone; these add up to the rank. Of "
        f"{len(matrices)} rational matrices Σ D_i equals the rank in {equal}, those of eigenvectors, and is less in {less}.",
    )


def _trained_sum(statement: str, lab: Lab) -> Finding:
    """Σ D_i / m of the trained models, n = 400 and m = 30."""
    weights = lab.preset("uniform-400-30").data["weights"]
    total = feature_dimensionality(weights).sum(-1) / weights.shape[-2]
    holds = {
        "at most the rank, equal for eigenvectors": total.max() <= 1 + ROUNDING and total.min() >= 1 - EFFICIENT,
        "equal to the rank for every W": np.abs(total - 1).max() <= ROUNDING,
    }[statement]
    return Finding(
        bool(holds),
        Grade.SAMPLED,
        f"Trained models: Σ D_i / m from {total.min():.5f} to {total.max():.5f}, {np.median(total):.5f} in the median.",
        float(total.min() - 1 + EFFICIENT),
        "of m to spare",
    )


def line_counts(values: Array, level: float) -> tuple[int, float]:
    """Feature dimensionalities within CORE of a level, and how many the windows beside it make one expect there."""
    distance = values - level
    core = int((np.abs(distance) <= CORE).sum())
    sides = [(np.abs(distance - side) <= CORE).sum() for side in (-FLANK, FLANK)]
    if level < FLANK + CORE:
        # Nothing lies below 0: half a window at the level, the one above beside it.
        return core, float(sides[1] / 2)
    return core, float(np.mean(sides))


def is_line(core: int, expected: float, vertices: int) -> bool:
    """Whether there are more than twice as many as expected, by more than DEVIATIONS deviations of independent blocks of so many."""
    noise = np.sqrt(vertices * (core + expected / 2))
    return bool(core > 2 * expected and core - expected > DEVIATIONS * noise)


def _trained_lines(statement: list[str], lab: Lab) -> Finding:
    """Is there a line of D_i at every level, over all densities and seeds of n = 400, m = 30?"""
    values = feature_dimensionality(lab.preset("uniform-400-30").data["weights"]).ravel()
    words, missing = [], []
    for text in statement:
        level = float(Fraction(text))
        core, expected = line_counts(values, level)
        words.append(f"{text}: {core} against {expected:g}")
        if not is_line(core, expected, VERTICES.get(text, MOST)):
            missing.append(text)
    found = f"D_i in windows at the levels, against those beside: {'; '.join(words)}"
    found += f". No line at {', '.join(missing)}." if missing else "."
    return Finding(not missing, Grade.SAMPLED, found, float(-len(missing)), "lines missing")


MIXTURES = "Best mixture of blocks by exact block losses and a linear program (runs/uniform_theory.json)."
UNIFORM_CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="elhage2022.25",
        locator="Uniform superposition, graph of D*",
        statement="The graph of D* = m/‖W‖_F² against 1/(1-S) is sticky at 1 and 1/2.",
        restatement="n = 400, m = 30, equal importance, 1/p from 1 to 30: D* stays within 6 % of 1, and of 1/2, at least twice as long in "
        "ln p as a curve that falls at an even pace between the same ends.",
        kind="empirical trend",
        domain="n = 400, m = 30, 40 densities",
        claimed=["1", "1/2"],
        control=["3/4"],
        tolerance="6 % is 0.03 at 1/2; a curve at an even pace scores 1, which is the control of the score itself",
        checks=(
            Check(
                "trained models", f"{TRAINED}; D* of the weights.", DESCENT, _trained_sticky, independent=True, seed=0
            ),
        ),
        figures=("uniform",),
    ),
    Claim(
        id="elhage2022.26",
        locator="Uniform superposition",
        statement="Doubling the number of hidden dimensions just doubles the number of features the model learns.",
        restatement="‖W‖_F² is proportional to m at equal density: n = 400, m = 30 against n = 200, m = 20, 1/p from 1 to 20.",
        kind="asymptotic",
        domain="n = 200, m = 20 and n = 400, m = 30",
        claimed={"exponent": "1"},
        control={"exponent": "3/4"},
        tolerance="5 % at every density, one of 20 dimensions stored otherwise, within a step of the grid (where D* falls steeply the step "
        "decides); 2 % in the median",
        checks=(
            Check(
                "trained models",
                f"{TRAINED}; ‖W‖² at equal density.",
                DESCENT,
                _same_per_dimension,
                independent=True,
                seed=0,
            ),
            Check(
                "best mixture of blocks",
                f"{MIXTURES} The program scales as long as features are dropped.",
                "the exact population loss",
                _same_mixture,
            ),
        ),
        figures=("uniform",),
    ),
    Claim(
        id="elhage2022.27",
        locator="Feature dimensionality",
        statement="The dimensionalities of all features add up to the number of embedding dimensions when they are packed efficiently.",
        restatement="Σ_i D_i <= rank W <= m for every W, with equality to the rank if and only if every W_i that is not zero is an "
        "eigenvector of WWᵀ; trained models of n = 400, m = 30 come within 2 % of m.",
        kind="inequality",
        domain="every W; trained models of uniform superposition",
        claimed="at most the rank, equal for eigenvectors",
        control="equal to the rank for every W",
        tolerance="none for the theorem; 2 % of m for trained models, which are never exactly at a minimum",
        checks=(
            Check(
                "leverage scores",
                "Bound D_i by the leverage score of W_i, which add up to the rank: an identity, and rational matrices.",
                "the definition of D_i in exact arithmetic",
                _leverage,
                whole=True,
                seed=27,
            ),
            Check("trained models", f"{TRAINED}; Σ D_i / m.", DESCENT, _trained_sum, independent=True, seed=0),
        ),
        figures=("uniform",),
    ),
    Claim(
        id="elhage2022.29",
        locator="Why these geometric structures",
        statement="Feature dimensionalities cluster at 3/4, 2/3, 1/2, 2/5, 3/8 and 0.",
        restatement="n = 400, m = 30, the trained models of 40 densities between 1/30 and 1: within 0.005 of each of these levels lie more "
        "than twice as many D_i as in windows beside it, by more than three deviations.",
        kind="empirical trend",
        domain="the stored trained models of n = 400, m = 30",
        claimed=["3/4", "2/3", "1/2", "2/5", "3/8", "0"],
        corrected=["1/2", "0"],
        control=["1/2", "3/5", "0"],
        correction="In these models only digons (1/2) and dropped features (0) make lines; "
        "other clusters lie beside the fractions, not at them.",
        tolerance="windows of half width 0.005, beside them at ±0.0125; the vertices of a polytope count as one "
        "in a deviation",
        checks=(
            Check(
                "trained models", f"{TRAINED}; D_i of all features.", DESCENT, _trained_lines, independent=True, seed=0
            ),
        ),
        figures=("uniform",),
    ),
)
