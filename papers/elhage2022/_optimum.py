"""The optimum over all weights and biases against the closed forms: where superposition really begins."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from ...theory import Grade, check_pair, phase_boundary, rational_loss
from .._claim import Check, Claim, Finding
from .._proofs import load_proofs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._lab import Lab

# What rounding the stated values to six decimals may add.
TOLERANCE = Fraction(1, 10**6)
REPLAY = """from fractions import Fraction as F
from itertools import product
from math import factorial, prod

def moment(slopes, beta, power):          # E max(0, slopes.u + beta)^power over the unit cube
    slopes = [s for s in slopes if s]
    k, total = len(slopes), F(0)
    for v in product((0, 1), repeat=k):
        t = beta + sum(s for s, x in zip(slopes, v) if x)
        if t > 0:
            total += (-1) ** (k - sum(v)) * t ** (k + power)
    return total * factorial(power) / factorial(k + power) / prod(slopes, start=F(1))

def loss(w, b, p, r):                     # two features, one dimension, importances 1 and r
    total = F(0)
    for on in product((0, 1), repeat=2):
        chance = prod(p if x else 1 - p for x in on)
        for i in (0, 1):
            a = [w[i] * w[j] * on[j] for j in (0, 1)]
            square = moment(a, b[i], 2)
            error = square
            if on[i] and a[i]:
                rest = moment([a[1 - i]], b[i] + a[i], 2)
                error += F(1, 3) - (rest - square) / a[i]
            elif on[i]:
                error += F(1, 3) - moment(a, b[i], 1)
            total += (1, r)[i] * chance * error
    return total

"""


def rationally(
    weights: Sequence[float] | np.ndarray, bias: Sequence[float] | np.ndarray, p: Fraction, r: Fraction
) -> tuple[Fraction, str]:
    """Exact loss of a two-feature model rounded to six decimals, and the model in words."""
    w, b = ([Fraction(round(float(x) * 10**6), 10**6) for x in values] for values in (weights, bias))
    words = "W = ({:.6f}, {:.6f}), b = ({:.6f}, {:.6f})".format(*map(float, w + b))
    return rational_loss([w], b, density=[p, p], importance=[1, r]), words


def _linear_optimum_is_optimal(statement: dict[str, str], lab: Lab) -> Finding:
    """n = 2, m = 1 at density 1, importances (1, r): is r/12, the loss of the linear (PCA) optimum, the lowest?"""
    r = Fraction(statement["importance ratio"])
    boundary = phase_boundary(1.0)
    loss, model = rationally(boundary.weights, boundary.bias, Fraction(1), r)
    gap = float(loss / (r / 12) - 1)
    if loss < r / 12:
        return Finding(
            False,
            Grade.EXACT,
            f"{model} has loss {float(loss):.9f}, below r/12 = {float(r / 12):.9f} (both exact rationals).",
            gap,
            "relative loss",
        )
    return Finding(
        bool(r < float(boundary.importance)),
        Grade.NUMERIC,
        f"Superposition first pays at r = {float(boundary.importance):.6f} on dense features.",
        float(boundary.importance) - float(r),
        "importance",
    )


def _is_true_boundary(statement: dict[str, str], lab: Lab) -> Finding:
    """Is I(p) the importance at which the optimum over all (W, b) starts to represent feature 2?

    If a superposed model loses less than I V, V = p/3 - p²/4, at some I below the stated value, that value is too high: every
    model that ignores feature 2 loses at least I V. The losses are compared as rationals.
    """
    words, worst, witnessed, holds = [], 0.0, False, True
    for density, value in statement.items():
        p, stated = Fraction(density), Fraction(value)
        boundary = phase_boundary(float(p))
        truth = float(boundary.importance)
        # Above the true boundary and below the stated one, nearer to the true one; with nothing between there is no witness.
        trial = Fraction(truth) + (stated - Fraction(truth)) / 10
        loss, model = rationally(boundary.weights, boundary.bias, p, trial)
        ignoring = trial * (p / 3 - p**2 / 4)
        error = float(stated) / truth - 1
        worst = max(worst, abs(error))
        if abs(float(stated) - truth) <= 1e-6:
            words.append(f"p = {density}: {truth:.6f}")
            continue
        holds = False
        if stated > trial and loss < ignoring:
            witnessed = True
            words.append(
                f"p = {density}: at I = {float(trial):.6f} < {float(stated):.6f}, {model} loses {float(loss):.9f} < "
                f"{float(ignoring):.9f} = I V; true boundary {truth:.6f}, stated {100 * error:+.1f} %"
            )
        else:
            words.append(f"p = {density}: true boundary {truth:.6f}, stated {100 * error:+.2f} %")
    grade = Grade.EXACT if witnessed else Grade.NUMERIC
    return Finding(holds, grade, "; ".join(words) + ".", worst if holds else -worst, "relative error")


@cache
def _proved_below(density: str) -> Fraction | None:
    """The highest importance up to which a stored certificate, replayed, shows that ignoring feature 2 is optimal at this density."""
    proofs = [c for c in load_proofs()[0] if c["state"] == "ignored" and c["density"] == [density, density]]
    if not proofs:
        return None
    line = check_pair(max(proofs, key=lambda c: Fraction(c["importance"][1][0]))).importance[1]
    return Fraction(int(line[0].p), int(line[0].q))


def _is_enclosed(statement: dict[str, str], lab: Lab) -> Finding:
    """Does the stated value lie between a proof that below nothing beats ignoring feature 2 and a model that does above?

    From below: the stored certificate of the highest importance at that density, replayed in rationals. From above: of a superposed
    rational model, F_1/(V - F_2), the importance from which on it beats I V.
    """
    words, worst, holds, missing = [], math.inf, True, False
    for density, value in statement.items():
        p, stated = Fraction(density), Fraction(value)
        below = _proved_below(density)
        lower, missing = below or Fraction(0), missing or below is None
        boundary = phase_boundary(float(p))
        first, both = (rationally(boundary.weights, boundary.bias, p, Fraction(r))[0] for r in (1, 2))
        second = both - first
        upper = (first - second) / (p / 3 - p**2 / 4 - second)
        room = min(stated - lower, upper + TOLERANCE - stated)
        worst, holds = min(worst, float(room)), holds and room >= 0
        words.append(
            f"p = {density}: {float(lower):.6f} <= I* <= {float(upper):.9f} ({100 * float(1 - lower / upper):.2f} %)"
        )
    # Without a proof from below nothing is established.
    return Finding(None if holds and missing else holds, Grade.CERTIFIED, "; ".join(words) + ".", worst, "importance")


OPTIMUM_CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="elhage2022.07",
        locator="Demonstrating superposition, basic results, n = 20, m = 5, density 1",
        statement="On dense features the ReLU output model behaves like the linear model: no superposition.",
        restatement="n = 2, m = 1, p = 1, importances (1, r): the lowest loss is r/12, that of the linear (PCA) optimum. As a general "
        "statement it covers r = 0.99.",
        kind="optimality",
        domain="p = 1, 0 < r < 1",
        claimed={"importance ratio": "99/100"},
        corrected={"importance ratio": "7/10"},
        control={"importance ratio": "199/200"},
        correction="For two features in one dimension: true at the paper's own ratio of neighbouring importances, 0.7; "
        "false above r ≈ 0.98885, where even dense features are stored in (weak) superposition.",
        tolerance="none for the counterexample; the threshold is NUMERIC",
        checks=(
            Check(
                "exact rational model",
                "Compare the rational loss of the best superposed model with r/12; every model that ignores a feature loses that much.",
                "the vertex formula in fractions",
                _linear_optimum_is_optimal,
            ),
        ),
        replay=REPLAY
        + """p, r = F(1), F(99, 100)
found = loss([F(983, 1000), F(-201, 1000)], [F(23, 200), F(579, 1000)], p, r)
print(found < r / 12, float(found), float(r / 12))      # True: below the linear optimum
""",
    ),
    Claim(
        id="elhage2022.61",
        locator="Superposition as a phase change: the theoretical diagram read as the model's own",
        statement="The line where the closed-form losses cross is the phase boundary of the toy model.",
        restatement="I = 2p/(4 - 5p) is where the optimum over all (W, b) starts to represent feature 2, at p = 0.1, 0.3, 0.5.",
        kind="optimality",
        domain="n = 2, m = 1, p = 0.1, 0.3, 0.5",
        claimed={"1/10": "2/35", "3/10": "6/25", "1/2": "2/3"},
        corrected={"1/10": "0.048722", "3/10": "0.204699", "1/2": "0.535739"},
        control={"1/10": "0.048772", "3/10": "0.204699", "1/2": "0.535739"},
        correction="With norms and biases free, superposition pays from I = 0.048722, 0.204699 and 0.535739 on: earlier than the "
        "naive line says.",
        tolerance="1e-6 in importance, the rounding of the stated values; the control is off by 5e-5",
        checks=(
            Check(
                "exact rational model",
                "Below the stated boundary, exhibit a superposed model whose rational loss is less than what any model that ignores "
                "feature 2 must lose.",
                "the vertex formula in fractions",
                _is_true_boundary,
            ),
            Check(
                "certified enclosure",
                "Replay stored proofs that ignoring feature 2 is optimal up to some importance; a superposed rational model bounds I* from "
                "above.",
                "interval branch and bound, replayed in rational arithmetic",
                _is_enclosed,
                tier="slow",
            ),
        ),
        figures=("boundary", "proved_phases", "phase_diagram"),
        replay=REPLAY
        + """p, r = F(1, 10), F(5, 100)               # below the naive boundary 2/35 = 0.05714
found = loss([F(10140, 10000), F(-6240, 10000)], [F(6, 10000), F(323, 10000)], p, r)
ignoring = r * (p / 3 - p ** 2 / 4)       # the least that any model without feature 2 can lose
print(found < ignoring, float(found), float(ignoring))  # True: superposition already pays
""",
    ),
)
