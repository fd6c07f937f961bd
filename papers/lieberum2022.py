"""Claims of forum comments on superposition by Tom Lieberum (2022): two features of probability 0.05 sharing a neuron."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import sympy

from ..theory import Grade, integrated_loss
from ._claim import Check, Claim, Finding, Source
from ._counts import growth_claim

if TYPE_CHECKING:
    from ._lab import Lab

SOURCE = Source(
    "lieberum2022",
    "Lieberum T.",
    "Forum comments on features, sparsity and superposition",
    2022,
    "public forum profile, comments on superposition in neural networks",
)
P = Fraction(1, 20)
SAMPLES = 4_000_000


def _event(name: str) -> Fraction:
    """Exact probability of an event for two independent features, by enumerating the four states."""
    total = hit = Fraction(0)
    for a in (0, 1):
        for b in (0, 1):
            chance = (P if a else 1 - P) * (P if b else 1 - P)
            given = {"both": True, "both, given any": a or b}[name]
            if given:
                total += chance
                hit += chance * (a and b)
    return hit / total


def _exactly(statement: dict[str, str], lab: Lab) -> Finding:
    truth = {name: _event(name) for name in statement}
    off = {name: Fraction(value) / truth[name] for name, value in statement.items()}
    worst = max(off.values(), key=lambda ratio: abs(float(ratio) - 1))
    words = ", ".join(f"P({name}) = {value} = {float(value):.6g}" for name, value in truth.items())
    return Finding(all(r == 1 for r in off.values()), Grade.EXACT, words + ".", float(worst), "× the exact value")


def _by_sampling(statement: dict[str, str], lab: Lab) -> Finding:
    active = np.random.default_rng(20).random((2, SAMPLES)) < float(P)
    both, any_ = (active[0] & active[1]).sum(), (active[0] | active[1]).sum()
    holds, worst, words = True, 0.0, []
    for name, value in statement.items():
        trials = SAMPLES if name == "both" else int(any_)
        q = float(Fraction(value))
        distance = abs(both / trials - q) / np.sqrt(max(q * (1 - q), 1e-12) / trials)
        holds, worst = holds and distance < 5, max(worst, float(distance))
        words.append(f"P({name}) ≈ {both / trials:.6f} in {trials:,} draws")
    return Finding(bool(holds), Grade.SAMPLED, "; ".join(words) + ".", worst, "standard errors away")


PROBABILITY = (
    Check(
        "enumeration",
        "Enumerate the four joint states of two independent features of probability 1/20 in rationals.",
        "the definition of independence",
        _exactly,
        whole=True,
    ),
    Check(
        "coin tosses",
        f"Draw {SAMPLES:,} pairs of independent indicators and count; within 5 standard errors.",
        "numpy's random generator",
        _by_sampling,
        independent=True,
        seed=20,
    ),
)

REPLAY = """from fractions import Fraction
p = Fraction(1, 20)
both = p * p
print(both, float(both))                      # 1/400 = 0.0025, ten times 0.00025
print(both / (1 - (1 - p) ** 2))              # given that any is present: 1/39
"""


def _errors_on(states: dict[str, str], lab: Lab) -> Finding:
    """Loss of the antipodal pair restricted to states with the given numbers of active features."""
    found = {
        "none active": integrated_loss([[1, -1]], [0, 0], [0, 0], [1, 1]),
        "one active": integrated_loss([[1, -1]], [0, 0], [1, 0], [1, 1])
        + integrated_loss([[1, -1]], [0, 0], [0, 1], [1, 1]),
        "both active": integrated_loss([[1, -1]], [0, 0], [1, 1], [1, 1]),
    }
    wrong = [k for k, v in states.items() if sympy.simplify(sympy.sympify(v) - found[k]) != 0]
    words = ", ".join(f"{k}: {v}" for k, v in found.items())
    return Finding(not wrong, Grade.EXACT, f"Squared error of W = (1, -1), b = 0 by active set: {words}.")


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="lieberum2022.01",
        locator="comment on networks at irreducible loss, the two-feature example",
        statement="Two features, each present independently with probability 0.05, are both present with probability 0.00025.",
        restatement="For independent events A, B of probability 1/20: P(A and B) = 1/4000.",
        kind="numeric value",
        domain="p = 0.05, independent",
        claimed={"both": "1/4000"},
        corrected={"both": "1/400"},
        control={"both": "1/200"},
        correction="P(both present) = 0.05² = 0.0025, ten times the number given.",
        checks=PROBABILITY,
        replay=REPLAY,
    ),
    Claim(
        id="lieberum2022.02",
        locator="same comment: two features for the price of one",
        statement="Sharing one neuron between these two features gives an error rate of 0.025 %.",
        restatement="The antipodal code W = (1, -1), b = 0 errs only when both are present; the probability of that, "
        "per data point, is 1/4000.",
        kind="numeric value",
        domain="p = 0.05, independent",
        claimed={"both": "1/4000"},
        corrected={"both": "1/400", "both, given any": "1/39"},
        control={"both": "1/400", "both, given any": "1/20"},
        correction="0.25 % of data points are decoded wrongly, and 2.56 % (1/39) of those in which either feature is present.",
        checks=PROBABILITY,
        replay=REPLAY,
    ),
    Claim(
        id="lieberum2022.03",
        locator="comment on a one-dimensional bottleneck",
        statement="Two features in a one-dimensional bottleneck are reconstructed perfectly as long as they do not appear together.",
        restatement="W = (1, -1), b = 0 has zero error whenever at most one feature is active, and a positive one when both are.",
        kind="identity",
        domain="every x in [0, 1]² with at most one non-zero entry",
        claimed={"none active": "0", "one active": "0", "both active": "1/3"},
        control={"none active": "0", "one active": "0", "both active": "0"},
        checks=(
            Check(
                "integration by active set",
                "Integrate the squared error over each set of active features with sympy. The integrand is a square of a "
                "continuous function, so a zero integral is zero error at every point.",
                "the definition of the model",
                _errors_on,
                whole=True,
            ),
        ),
    ),
    growth_claim(
        "lieberum2022.05",
        "comment on almost orthogonal directions",
        "There are exponentially many almost orthogonal vectors for a given dimension.",
    ),
)
