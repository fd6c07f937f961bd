"""Closed-form losses of two features in one dimension, their boundary, and the bias."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import sympy

from ...theory import DENSITY, IMPORTANCE, Grade, naive_theory, rational_loss
from .._claim import Check, Claim, Finding

if TYPE_CHECKING:
    from .._lab import Lab

LOSSES = ("only_first", "only_second", "antipodal")
MODELS: dict[str, tuple[list[int], list[Fraction]]] = {  # weights, and bias in units of p
    "only_first": ([1, 0], [Fraction(0), Fraction(1, 2)]),
    "only_second": ([0, 1], [Fraction(1, 2), Fraction(0)]),
    "antipodal": ([1, -1], [Fraction(0), Fraction(0)]),
}
Formulas = dict[str, str]
NAIVE = {"only_first": "r*(p/3 - p**2/4)", "only_second": "p/3 - p**2/4", "antipodal": "(1 + r)*p**2/6"}


def naive_losses(p: np.ndarray, r: np.ndarray) -> np.ndarray:
    """The three closed-form losses on a grid, shape (3, density, importance)."""
    theory = naive_theory()
    functions = [sympy.lambdify((DENSITY, IMPORTANCE), getattr(theory, name), "numpy") for name in LOSSES]
    grid: np.ndarray = np.stack([np.broadcast_to(f(p[:, None], r[None]), (len(p), len(r))) for f in functions])
    return grid


def _parse(text: str) -> sympy.Expr:
    return sympy.sympify(text, locals={"p": DENSITY, "r": IMPORTANCE})


def _same_formulas(statement: Formulas, lab: Lab) -> Finding:
    """Are the formulas identically those that sympy derives from the model?"""
    theory = naive_theory()
    wrong = [k for k, text in statement.items() if sympy.simplify(_parse(text) - getattr(theory, k)) != 0]
    words = "; ".join(f"{k.replace('_', ' ')} = {getattr(theory, k)}" for k in statement)
    return Finding(
        not wrong, Grade.EXACT, f"Derived: {words}.", float(len(statement) - len(wrong)), f"of {len(statement)} agree"
    )


def _vertex_formulas(statement: Formulas, lab: Lab) -> Finding:
    """The losses at rational points by the vertex formula, which shares nothing with the symbolic integration."""
    worst = Fraction(0)
    for p in (Fraction(1, 7), Fraction(2, 5), Fraction(1)):
        for r in (Fraction(1, 3), Fraction(5, 2)):
            for name, text in statement.items():
                w, b = MODELS[name]
                exact = rational_loss([w], [x * p for x in b], density=[p, p], importance=[1, r])
                value = _parse(text).subs({DENSITY: sympy.Rational(p), IMPORTANCE: sympy.Rational(r)})
                worst = max(worst, abs(Fraction(int(value.p), int(value.q)) - exact))
    return Finding(
        worst == 0, Grade.EXACT, f"Largest difference at six rational (p, r): {worst}.", -float(worst), "loss"
    )


def _sampled_formulas(statement: Formulas, lab: Lab) -> Finding:
    """The losses by simulating the model on a million inputs."""
    rng = np.random.default_rng(15)
    p, r, samples = 0.3, 0.5, 1_000_000
    x = np.where(rng.random((samples, 2)) < p, rng.random((samples, 2)), 0.0)
    worst = 0.0
    for name, text in statement.items():
        w, b = (np.array([float(v) for v in values]) for values in MODELS[name])
        output = np.maximum(np.outer(x @ w, w) + b * p, 0.0)
        loss = ((x - output) ** 2) @ np.array([1.0, r])
        distance = abs(loss.mean() - float(_parse(text).subs({DENSITY: p, IMPORTANCE: r})))
        worst = max(worst, float(distance / (loss.std() / np.sqrt(samples))))
    return Finding(
        worst < 5, Grade.SAMPLED, f"Simulation is {worst:.2f} standard errors away.", worst, "standard errors away"
    )


def _kept_and_dropped_bias(statement: dict[str, str], lab: Lab) -> Finding:
    """Best bias of a feature alone in its direction (|W_i| = 1) and of a dropped one, by minimising the error over all b."""
    b, c, u = sympy.symbols("b c u", positive=True)
    p = DENSITY
    dropped = p * sympy.integrate((u - b) ** 2, (u, 0, 1)) + (1 - p) * b**2  # b >= 0; b < 0 gives the value at 0
    (best,) = sympy.solve(sympy.diff(dropped, b), b)
    # Kept: bias +b errs by b for every input; bias -c (c <= 1) errs by min(u, c) on active inputs. Both positive unless zero.
    raised = sympy.expand(p * b**2 + (1 - p) * b**2)
    lowered = sympy.factor(p * (sympy.integrate(u**2, (u, 0, c)) + sympy.integrate(c**2, (u, c, 1))))
    zero_is_best = raised == b**2 and sympy.simplify(lowered - p * c**2 * (3 - 2 * c) / 3) == 0
    truth = {"kept": sympy.Integer(0), "dropped": best}
    wrong = [k for k, text in statement.items() if sympy.simplify(_parse(text) - truth[k]) != 0]
    words = f"Kept: error b² above zero, p c²(3 - 2c)/3 at -c, so b = 0. Dropped: b = {best} = E x."
    return Finding(not wrong and zero_is_best, Grade.EXACT, words)


LOSS_CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="elhage2022.06",
        locator="Demonstrating superposition, basic results, on the bias",
        statement="The bias is zero for features that are passed through and the expected value for the others.",
        restatement="Without superposition the optimal bias is b_i = 0 if |W_i| = 1 and b_i = E x_i = p/2 if W_i = 0.",
        kind="identity",
        domain="0 < p <= 1, one feature per direction",
        claimed={"kept": "0", "dropped": "p/2"},
        control={"kept": "0", "dropped": "p/3"},
        checks=(
            Check(
                "symbolic minimum",
                "Minimise the expected squared error of one feature over its bias with sympy, on both sides of zero.",
                "the definition of the model",
                _kept_and_dropped_bias,
                whole=True,
            ),
        ),
    ),
    Claim(
        id="elhage2022.15",
        locator="Superposition as a phase change, theory for n = 2, m = 1",
        statement="There are three natural ways to store two features in one dimension, with simple closed-form losses.",
        restatement="Importances (1, r), density p: W = (1, 0) loses r(p/3 - p²/4), W = (0, 1) loses p/3 - p²/4 (dropped bias p/2), "
        "W = (1, -1) with zero bias loses (1 + r)p²/6.",
        kind="identity",
        domain="0 < p <= 1, r > 0",
        claimed=NAIVE,
        control={**NAIVE, "antipodal": "(1 + r)*p**2/3"},
        checks=(
            Check(
                "symbolic integration",
                "Integrate the squared error over every set of active features with sympy and compare identically.",
                "the definition of the model",
                _same_formulas,
                whole=True,
            ),
            Check(
                "vertex formula",
                "Exact rational loss at six points (p, r).",
                "signed sums over cube vertices in fractions",
                _vertex_formulas,
                independent=True,
            ),
            Check(
                "simulation",
                "A million sampled inputs at p = 0.3, r = 0.5; within 5 standard errors.",
                "numpy's random generator and the model's forward pass",
                _sampled_formulas,
                independent=True,
                seed=15,
            ),
        ),
        figures=("phase_diagram",),
    ),
    Claim(
        id="elhage2022.16",
        locator="Superposition as a phase change, theoretical diagram for n = 2, m = 1",
        statement="Comparing the three losses, superposition wins in a region of the (density, importance) plane.",
        restatement="For r <= 1 the antipodal pair has the lowest of the three losses iff p < 4r/(2 + 5r); at r = 1 iff p < 4/7.",
        kind="identity",
        domain="0 < p <= 1, 0 < r <= 1, the three fixed models",
        claimed={"critical_density": "4*r/(2 + 5*r)", "boundary": "2*p/(4 - 5*p)"},
        control={"critical_density": "4*r/(3 + 5*r)", "boundary": "2*p/(4 - 5*p)"},
        checks=(
            Check(
                "symbolic solution",
                "Equate the derived losses and solve for p and for r with sympy.",
                "the definition of the model",
                _same_formulas,
                whole=True,
            ),
        ),
        figures=("phase_diagram",),
    ),
)
