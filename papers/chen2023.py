"""Claims of Chen et al. 2023 on the limit of very sparse features: one active feature at a time."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from ..theory import Features, Grade, Law, expected_loss, optimal_model, rational_loss
from ._claim import Check, Claim, Finding, Source

if TYPE_CHECKING:
    from ._lab import Lab

SOURCE = Source(
    "chen2023",
    "Chen Z., Lau E., Mendel J., Wei S., Murfet D.",
    "Dynamical versus Bayesian Phase Transitions in a Toy Model of Superposition",
    2023,
    "arXiv:2310.06301",
)
# Norm and bias of the regular k-gons, table A.1.
PARAMETERS = {4: ("1", "0"), 5: ("1.17046", "-0.28230"), 6: ("1.32053", "-0.61814")}
# A feature beyond the k-gon: zero weights, and a bias of either sign; the best positive one is the mean 1/(2c).
DEAD = Fraction(-1, 10)


def polygon(name: str, c: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """k of c features at the vertices of a regular k-gon; each "+" after k gives one of the others the best positive bias."""
    k, rising = int(name.rstrip("+")), name.count("+")
    norm, bias = (float(x) for x in PARAMETERS[k])
    angle = 2 * np.pi * np.arange(k) / k
    w, b = np.zeros((2, c)), np.full(c, float(DEAD))
    w[:, :k], b[:k] = norm * np.array([np.cos(angle), np.sin(angle)]), bias
    b[k : k + rising] = 1 / (2 * c)
    return w, b


def _rational_losses(statement: dict[str, str], lab: Lab) -> Finding:
    """Loss of the k-gons at the published parameters (c = 6), as rationals; entries of W rounded to 12 decimals."""
    law, chance = Law("anticorrelated", (6,)), [Fraction(1, 6)] * 6
    words, worst = [], 0.0
    for name, stated in statement.items():
        k, rising = int(name.rstrip("+")), name.count("+")
        w, _ = polygon(name)
        rows = [[Fraction(round(x * 10**12), 10**12) for x in row] for row in w]
        bias = [Fraction(PARAMETERS[k][1])] * k + [Fraction(1, 12)] * rising + [DEAD] * (6 - k - rising)
        loss = rational_loss(rows, bias, density=chance, importance=[1] * 6, law=law)
        worst = max(worst, abs(float(loss - Fraction(stated))))
        words.append(f"{name}: {float(loss):.7f}")
    tolerance = 5.001e-6
    return Finding(
        worst <= tolerance, Grade.EXACT, "Rational losses: " + ", ".join(words) + ".", tolerance - worst, "loss"
    )


def _lowest(statement: str, lab: Lab) -> Finding:
    """Which of the k-gons is the lowest loss found by descents from every start, c = 6?"""
    features = Features.anticorrelated(1 / 6, n=6, size=6)
    best = optimal_model(features, 2, restarts=48)
    losses = {name: float(expected_loss(*polygon(name), features)) for name in ("4++", "5+", "6")}
    nearest = min(losses, key=lambda name: abs(losses[name] - best.loss))
    words = ", ".join(f"{name} {loss:.7f}" for name, loss in losses.items())
    return Finding(
        nearest == statement and abs(losses[nearest] - best.loss) < 1e-6,
        Grade.NUMERIC,
        f"Lowest of {best.starts} descents: {best.loss:.7f} ({best.agreeing} of them); k-gons: {words}.",
        losses[statement] - best.loss,
        "loss",
    )


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="chen2023.03",
        locator="table of losses of the k-gons, c = 6",
        statement="In the limit of very sparse features the k-gons of six features lose 1/9, 0.10417, 0.09722, 0.06874, 0.06180, 0.04819.",
        restatement="With one of six features active at a time, uniform on [0, 1], at the published norms and biases: L(4) = 0.11111, "
        "L(4+) = 0.10417, L(4++) = 0.09722, L(5) = 0.06874, L(5+) = 0.06180, L(6) = 0.04819.",
        kind="numeric value",
        domain="m = 2, c = 6",
        claimed={"4": "0.11111", "4+": "0.10417", "4++": "0.09722", "5": "0.06874", "5+": "0.06180", "6": "0.04819"},
        control={"4": "0.11111", "4+": "0.10417", "4++": "0.09722", "5": "0.06874", "5+": "0.06180", "6": "0.04829"},
        tolerance="half a unit of the fifth digit",
        checks=(
            Check(
                "rational losses",
                "The loss of exclusive features at the published parameters as a rational number.",
                "the vertex formula in fractions",
                _rational_losses,
                whole=True,
                independent=True,
            ),
        ),
    ),
    Claim(
        id="chen2023.10",
        locator="k-gons compared at c = 6",
        statement="The hexagon has the lowest loss of the k-gons with six features.",
        restatement="With one of six features active at a time and two dimensions, the lowest loss over all W and b is that of the "
        "regular hexagon.",
        kind="optimality",
        domain="m = 2, c = 6",
        claimed="6",
        control="5+",
        tolerance="1e-6 in loss; that no lower model exists is not proved",
        checks=(
            Check(
                "descents from every start",
                "Minimise the exact loss over all weights and biases.",
                "the exact loss without sampling",
                _lowest,
            ),
        ),
    ),
)
