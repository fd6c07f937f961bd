"""Claims of Elhage et al. 2022, "Toy Models of Superposition": phase diagram, intro figure, feature geometry."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import flint
import numpy as np
import sympy

from ..theory import (
    DENSITY,
    IMPORTANCE,
    Grade,
    describe_geometry,
    exact_dimensionality,
    naive_theory,
    phase_boundary,
    polytope,
    rational_loss,
)
from ._claim import Check, Claim, Finding, Source
from ._lab import INTRO_SPARSITIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._lab import Lab

SOURCE = Source(
    "elhage2022",
    "Elhage N., Hume T., Olsson C., Schiefer N., et al.",
    "Toy Models of Superposition",
    2022,
    "arXiv:2209.10652; transformer-circuits.pub/2022/toy_model",
)
LOSSES = ("only_first", "only_second", "antipodal")
MODELS: dict[str, tuple[list[int], list[Fraction]]] = {  # weights, and bias in units of p
    "only_first": ([1, 0], [Fraction(0), Fraction(1, 2)]),
    "only_second": ([0, 1], [Fraction(1, 2), Fraction(0)]),
    "antipodal": ([1, -1], [Fraction(0), Fraction(0)]),
}
Formulas = dict[str, str]


def _parse(text: str) -> sympy.Expr:
    return sympy.sympify(text, locals={"p": DENSITY, "r": IMPORTANCE})


def _same_formulas(statement: Formulas, lab: Lab) -> Finding:
    """Are the formulas identically those that sympy derives from the model?"""
    theory = naive_theory()
    wrong = [k for k, text in statement.items() if sympy.simplify(_parse(text) - getattr(theory, k)) != 0]
    words = "; ".join(f"{k.replace('_', ' ')} = {getattr(theory, k)}" for k in statement)
    return Finding(not wrong, Grade.EXACT, f"Derived: {words}.", float(len(statement) - len(wrong)), f"of {len(statement)} agree")


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
    return Finding(worst == 0, Grade.EXACT, f"Largest difference at six rational (p, r): {worst}.", -float(worst), "loss")


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
    return Finding(worst < 5, Grade.SAMPLED, f"Simulation is {worst:.2f} standard errors away.", worst, "standard errors away")


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


def _linear_optimum_is_optimal(statement: dict[str, str], lab: Lab) -> Finding:
    """n = 2, m = 1 at density 1, importances (1, r): is r/12, the loss of the linear (PCA) optimum, the lowest?"""
    r = Fraction(statement["importance ratio"])
    boundary = phase_boundary(1.0)
    loss, model = _rationally(boundary.weights, boundary.bias, Fraction(1), r)
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


def _rationally(
    weights: Sequence[float] | np.ndarray, bias: Sequence[float] | np.ndarray, p: Fraction, r: Fraction
) -> tuple[Fraction, str]:
    """Exact loss of a two-feature model rounded to six decimals, and the model in words."""
    w, b = ([Fraction(round(float(x) * 10**6), 10**6) for x in values] for values in (weights, bias))
    words = "W = ({:.6f}, {:.6f}), b = ({:.6f}, {:.6f})".format(*map(float, w + b))
    return rational_loss([w], b, density=[p, p], importance=[1, r]), words


def _is_true_boundary(statement: dict[str, str], lab: Lab) -> Finding:
    """Is I(p) the importance at which the optimum over all (W, b) starts to represent feature 2?

    If a superposed model loses less than I V, V = p/3 - p²/4, at some I below the stated value, that value is too high: every
    model that ignores feature 2 loses at least I V. The losses are compared as rationals.
    """
    words, worst, grade, holds = [], 0.0, Grade.EXACT, True
    for density, value in statement.items():
        p, stated = Fraction(density), Fraction(value)
        boundary = phase_boundary(float(p))
        truth = float(boundary.importance)
        # Above the true boundary and below the stated one, nearer to the true one; with nothing between there is no witness.
        trial = Fraction(truth) + (stated - Fraction(truth)) / 10
        loss, model = _rationally(boundary.weights, boundary.bias, p, trial)
        ignoring = trial * (p / 3 - p**2 / 4)
        error = float(stated) / truth - 1
        worst = max(worst, abs(error))
        if abs(float(stated) - truth) <= 1e-6:
            grade = min(grade, Grade.NUMERIC)
            words.append(f"p = {density}: {truth:.6f}")
            continue
        if stated > trial and loss < ignoring:
            words.append(
                f"p = {density}: at I = {float(trial):.6f} < {float(stated):.6f}, {model} loses {float(loss):.9f} < "
                f"{float(ignoring):.9f} = I V; true boundary {truth:.6f}, stated {100 * error:+.1f} %"
            )
        else:
            grade = min(grade, Grade.NUMERIC)
            words.append(f"p = {density}: true boundary {truth:.6f}, stated {100 * error:+.2f} %")
        holds = False
    return Finding(holds, grade, "; ".join(words) + ".", worst if holds else -worst, "relative error")


def _superposed(w: np.ndarray) -> np.ndarray:
    """Both features represented, with opposite signs: |smaller weight| above a tenth of the larger."""
    size = np.abs(w)
    opposite = w[..., 0] * w[..., 1] < 0
    result: np.ndarray = opposite & (size.min(-1) > 0.1 * size.max(-1))
    return result


def _kind(w: np.ndarray) -> np.ndarray:
    first = np.abs(w[..., 0]) > np.abs(w[..., 1])
    kinds: np.ndarray = np.where(_superposed(w), "both", np.where(first, "only 1", "only 2"))
    return kinds


def naive_losses(p: np.ndarray, r: np.ndarray) -> np.ndarray:
    """The three closed-form losses on a grid, shape (3, density, importance)."""
    theory = naive_theory()
    functions = [sympy.lambdify((DENSITY, IMPORTANCE), getattr(theory, name), "numpy") for name in LOSSES]
    grid: np.ndarray = np.stack([np.broadcast_to(f(p[:, None], r[None]), (len(p), len(r))) for f in functions])
    return grid


def _trained_regions(statement: str, lab: Lab) -> Finding:
    """Does the best trained model of every decided cell store the features that the named theory says?

    A cell is decided when ignoring and superposing differ by more than 1 % in exact optimal loss. A trained model of
    another kind than the naive theory's, whose exact rational loss is below all three of its losses, is a verified counterexample.
    """
    run, theory = lab.pairs.data, lab.pairs_theory
    naive = naive_losses(theory.density, theory.importance)
    candidates = np.array(["only 1", "only 2", "both"])
    regions = {
        "three fixed models": candidates[naive.argmin(0)],
        "exact optimum": np.where(np.isin(theory.label, ("weak", "antipodal")), "both", theory.label),
        "fixed models, density halved": candidates[naive_losses(theory.density / 2, theory.importance).argmin(0)],
    }[statement]
    decided = theory.margin > 0.01 * theory.loss
    wrong = decided & (_kind(run["weights"]) != regions)
    verified = 0
    for i, j in np.argwhere(wrong):
        p, r = Fraction(theory.density[i]), Fraction(theory.importance[j])
        loss = rational_loss(
            [run["weights"][i, j].tolist()], run["bias"][i, j].tolist(), density=[p, p], importance=[1, r]
        )
        rivals = (rational_loss([w], [x * p for x in b], density=[p, p], importance=[1, r]) for w, b in MODELS.values())
        verified += loss < min(rivals)
    count, total = int(wrong.sum()), int(decided.sum())
    found = f"{total - count} of {total} decided cells agree"
    if count:
        found += f"; in {verified} of the other {count} the trained model's exact rational loss is below all three closed forms"
    grade = Grade.CERTIFIED if verified else Grade.SAMPLED
    return Finding(count == 0, grade, found + ".", float(-count), "cells disagree")


def _loss_is_lowest(statement: str, lab: Lab) -> Finding:
    """Is the named loss a lower bound on what training reaches, and is it reached within 2 %?"""
    run, theory = lab.pairs.data, lab.pairs_theory
    predicted = {
        "three fixed models": naive_losses(theory.density, theory.importance).min(0),
        "exact optimum": theory.loss,
        "exact optimum, 5 % low": 0.95 * theory.loss,
    }[statement]
    excess = run["loss"] / predicted - 1
    below = np.argwhere(excess < -1e-9)
    if len(below):
        i, j = below[excess[tuple(below.T)].argmin()]
        p, r = Fraction(theory.density[i]), Fraction(theory.importance[j])
        exact = rational_loss([run["weights"][i, j].tolist()], run["bias"][i, j].tolist(), density=[p, p], importance=[1, r])
        rivals = [rational_loss([w], [x * p for x in b], density=[p, p], importance=[1, r]) for w, b in MODELS.values()]
        verified = statement == "three fixed models" and exact < min(rivals)
        found = (
            f"Trained models lose less in {len(below)} of {excess.size} cells, by up to {-100 * excess.min():.1f} % "
            f"(at p = {float(p):.3f}, I = {float(r):.3f}: {float(exact):.8f} against {float(min(rivals)):.8f}, exact rationals)."
        )
        return Finding(False, Grade.CERTIFIED if verified else Grade.SAMPLED, found, float(excess.min()), "relative loss")
    found = f"No trained model is below it; median excess {np.median(excess):.1e}, largest {excess.max():.1e}."
    return Finding(bool(excess.max() < 0.02), Grade.SAMPLED, found, 0.02 - float(excess.max()), "relative loss to spare")


Geometry = dict[str, str]


def _optimal_geometry(statement: Geometry, lab: Lab) -> Finding:
    """Geometry of the exact optimum at each sparsity, from every packing and 32 random starts."""
    found = {f"{s:g}": best for s, best in zip(INTRO_SPARSITIES, lab.intro_theory, strict=True)}
    wrong = [s for s, words in statement.items() if found[s].geometry != words]
    words = "; ".join(f"S = {s}: {o.geometry} (loss {o.loss:.8f}, {o.agreeing} of {o.starts} starts)" for s, o in found.items())
    return Finding(not wrong, Grade.NUMERIC, f"Lowest exact loss found: {words}.", float(-len(wrong)), "sparsities differ")


def _trained_geometry(statement: Geometry, lab: Lab) -> Finding:
    """Geometry of the best of the trained models at each sparsity, and how close its exact loss comes to the optimum."""
    run = lab.intro.data
    words, wrong, worst = [], 0, 0.0
    for s, weights, loss, best in zip(INTRO_SPARSITIES, run["weights"], run["loss"], lab.intro_theory, strict=True):
        trained = describe_geometry(weights[loss.argmin()])
        wrong += trained != statement[f"{s:g}"]
        agreeing = sum(describe_geometry(w) == trained for w in weights)
        excess = float(loss.min() / best.loss - 1)
        worst = max(worst, excess)
        words.append(f"S = {s:g}: {trained} ({agreeing} of {len(loss)} models, best {100 * excess:.3f} % above the optimum)")
    return Finding(wrong == 0, Grade.SAMPLED, "; ".join(words) + ".", worst, "relative excess loss")


def _dimensionalities(statement: dict[str, str], lab: Lab) -> Finding:
    """Exact feature dimensionality of every vertex; several values are listed with commas."""
    words, wrong = [], 0
    for name, text in statement.items():
        values = exact_dimensionality(polytope(name))
        distinct = sorted(set(values), reverse=True)
        stated = sorted({sympy.Rational(x) for x in text.split(",")}, reverse=True)
        wrong += distinct != stated
        words.append(f"{name} {', '.join(f'{v} (×{values.count(v)})' for v in distinct)}")
    return Finding(wrong == 0, Grade.EXACT, "Exactly: " + "; ".join(words) + ".", float(-wrong), "shapes differ")


def _float_dimensionalities(statement: dict[str, str], lab: Lab) -> Finding:
    """The same from the definition in floats, on a random rotation of the vertices."""
    rng = np.random.default_rng(28)
    worst = 0.0
    for name, text in statement.items():
        w = np.array(polytope(name).evalf(), dtype=float)
        w = np.linalg.qr(rng.standard_normal((len(w), len(w))))[0] @ w
        unit = w / np.linalg.norm(w, axis=0)
        values = (w**2).sum(0) / ((unit.T @ w) ** 2).sum(1)
        stated = np.array([float(Fraction(x)) for x in text.split(",")])
        worst = max(worst, float(np.abs(values[:, None] - stated).min(1).max()))
    return Finding(worst < 1e-12, Grade.NUMERIC, f"Largest difference {worst:.1e}.", 1e-12 - worst, "dimensionality")


def _thomson_slope(height: flint.arb) -> flint.arb:
    """dE/dh of the Coulomb energy of the square antiprism with rings at ±h on the unit sphere, as a ball."""
    one, root2 = flint.arb(1), flint.arb(2).sqrt()
    ring, h = one - height**2, height
    # Squared distances are a·ring + b·h²; d(1/d)/dh = -(1/2) d^{-3} (2 h)(b - a).
    kinds = [(8, 2 * one, 0 * one), (4, 4 * one, 0 * one), (8, 2 - root2, 4 * one), (8, 2 + root2, 4 * one)]
    slope = flint.arb(0)
    for count, a, b in kinds:
        distance = (a * ring + b * h**2).sqrt()
        slope -= count * h * (b - a) / distance**3
    return slope


def _antiprism_dimensionality(h: flint.arb) -> flint.arb:
    ring = 1 - h**2
    # Frame eigenvalues of the eight vertices: 8 h² along the axis, 4 (1 - h²) across it.
    return 1 / (8 * h**2 * h**2 + 4 * ring * ring)


def _thomson_antiprism(statement: str, lab: Lab) -> Finding:
    """Dimensionality of the square antiprism that minimises the Coulomb energy, from a sign change of dE/dh in ball arithmetic."""
    low, high = Fraction(1, 2), Fraction(3, 5)

    def ball(x: Fraction) -> flint.arb:
        return flint.arb(flint.fmpq(x.numerator, x.denominator))

    if not (_thomson_slope(ball(low)) < 0 < _thomson_slope(ball(high))):
        return Finding(None, Grade.ENCLOSED, "No sign change of dE/dh between h = 1/2 and 3/5.")
    for _ in range(40):
        middle = (low + high) / 2
        if _thomson_slope(ball(middle)) < 0:
            low = middle
        else:
            high = middle
    lower, upper = sorted(float(_antiprism_dimensionality(ball(h)).mid()) for h in (low, high))
    stated = float(Fraction(statement))
    decimals = len(statement.split(".")[1]) if "." in statement else 12
    off = max(lower - stated, stated - upper, 0.0)
    tight = _thomson_slope(flint.arb(1) / flint.arb(3).sqrt())
    found = (
        f"The Coulomb energy of the square antiprism is least at h = {float(low):.9f}, where every D_i = {lower:.9f} and "
        f"Σ D_i = {8 * lower:.6f}. D = 3/8 needs h² = 1/3, where dE/dh = {float(tight.mid()):.4f}, not 0."
    )
    return Finding(off <= 0.5 * 10.0**-decimals, Grade.ENCLOSED, found, -off, "dimensionality")


def _definite(statement: str, lab: Lab) -> Finding:
    """Definiteness of WᵀW for more features than dimensions: rank W <= m < n leaves a kernel vector, exhibited exactly."""
    w = polytope("pentagon")
    gram = (w.T * w).applyfunc(sympy.nsimplify)
    kernel = sympy.ones(5, 1)  # the vertices sum to zero
    null = sympy.simplify((kernel.T * gram * kernel)[0]) == 0
    # xᵀWᵀWx = |Wx|² >= 0 for every W: semidefinite always, and x = e_1 gives 1 > 0.
    holds = {"positive definite": not null, "positive semidefinite": True, "negative semidefinite": False}[statement]
    return Finding(
        holds,
        Grade.EXACT,
        "xᵀWᵀWx = |Wx|² >= 0 always; for the pentagon x = (1, 1, 1, 1, 1) gives exactly 0, so WᵀW is semidefinite, not definite.",
    )


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
NAIVE = {"only_first": "r*(p/3 - p**2/4)", "only_second": "p/3 - p**2/4", "antipodal": "(1 + r)*p**2/6"}
INTRO = {"0": "2 dedicated, 3 dropped", "0.8": "2 digons, 1 dropped", "0.9": "1 pentagon"}
TRAINED = "AdamW on sampled batches"

CLAIMS: tuple[Claim, ...] = (
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
        correction="True at the paper's own ratio of neighbouring importances, 0.7; false above r ≈ 0.98885, where even dense "
        "features are stored in (weak) superposition.",
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
        id="elhage2022.10",
        locator="introduction, figure with n = 5, m = 2",
        statement="As sparsity rises from 0 to 0.8 and 0.9, the model stores two, four and five features in two dimensions.",
        restatement="n = 5, m = 2, I_i = 0.9^i: the optimum is two dedicated dimensions at S = 0, two antipodal pairs at S = 0.8 and "
        "a pentagon at S = 0.9.",
        kind="optimality",
        domain="S = 0, 0.8, 0.9",
        claimed=INTRO,
        control={**INTRO, "0.8": "1 pentagon"},
        tolerance="geometry by name; features with |cos| above 0.15 are linked (the pentagon's is 0.309)",
        checks=(
            Check(
                "exact optimum",
                "Lowest exact loss over descents from every packing and 32 random starts; geometry of the winner.",
                "the exact population loss",
                _optimal_geometry,
                seed=0,
            ),
            Check(
                "trained models",
                f"{TRAINED}, Xavier start; geometry of the model with the lowest exact loss.",
                "stochastic gradient descent on samples, which does not see the exact loss",
                _trained_geometry,
                independent=True,
                tier="slow",
                seed=0,
            ),
        ),
        figure="geometries",
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
        figure="phase_diagram",
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
        figure="phase_diagram",
    ),
    Claim(
        id="elhage2022.20",
        locator="Superposition as a phase change, empirical diagram for n = 2, m = 1",
        statement="Trained models fall into the regions of the theoretical diagram.",
        restatement="On a 21 × 21 grid of p in [0.01, 1], r in [0.1, 10], the best trained model of every decided cell (exact margin "
        "over 1 %) stores the features that the best of the three fixed models stores.",
        kind="empirical trend",
        domain="n = 2, m = 1, the grid",
        claimed="three fixed models",
        corrected="exact optimum",
        control="fixed models, density halved",
        correction="Trained models follow the regions of the exact optimum over (W, b) in every decided cell, not those of the "
        "three fixed models.",
        tolerance="every decided cell; both features count as stored when the smaller weight exceeds a tenth of the larger",
        checks=(
            Check(
                "trained models",
                f"{TRAINED}; the best replica per cell by exact loss. Deviations are verified with rational losses.",
                "stochastic gradient descent on samples",
                _trained_regions,
                independent=True,
                tier="slow",
                seed=0,
            ),
        ),
        figure="phase_diagram",
    ),
    Claim(
        id="elhage2022.24",
        locator="Aside: polytopes and low-rank matrices",
        statement="Feature geometries correspond to symmetric, positive-definite, low-rank matrices WᵀW.",
        restatement="WᵀW is positive definite when there are more features than dimensions.",
        kind="identity",
        domain="every W of shape (m, n) with m < n",
        claimed="positive definite",
        corrected="positive semidefinite",
        control="negative semidefinite",
        correction="WᵀW is positive semidefinite of rank at most m; with m < n it has a kernel and is never definite.",
        checks=(
            Check(
                "kernel vector",
                "Exhibit x with Wx = 0 for the pentagon in exact arithmetic; semidefiniteness is xᵀWᵀWx = |Wx|².",
                "linear algebra",
                _definite,
                whole=True,
            ),
        ),
    ),
    Claim(
        id="elhage2022.28",
        locator="Feature dimensionality",
        statement="An antipodal pair has feature dimensionality 1/2; triangle, tetrahedron and pentagon have 2/3, 3/4 and 2/5.",
        restatement="D_i = |W_i|²/Σ_j (Ŵ_i·W_j)² for every vertex of the regular digon, triangle, tetrahedron and pentagon.",
        kind="identity",
        domain="the four polytopes",
        claimed={"digon": "1/2", "triangle": "2/3", "tetrahedron": "3/4", "pentagon": "2/5"},
        control={"digon": "1/2", "triangle": "2/3", "tetrahedron": "3/4", "pentagon": "1/2"},
        checks=(
            Check(
                "exact vertices",
                "Dimensionality of exact vertices with sympy.",
                "the definition of D_i",
                _dimensionalities,
                whole=True,
            ),
            Check(
                "rotated floats",
                "The definition in floats after a random rotation, within 1e-12 (rounding).",
                "numpy",
                _float_dimensionalities,
                independent=True,
                seed=28,
            ),
        ),
    ),
    Claim(
        id="elhage2022.30",
        locator="Why these geometric structures, the square antiprism",
        statement="Eight features in three dimensions have dimensionality 3/8, as the square antiprism that solves the Thomson problem.",
        restatement="Every vertex of the square antiprism of least Coulomb energy has D_i = 3/8.",
        kind="numeric value",
        domain="square antiprisms on the sphere; that the N = 8 Thomson solution is one of them is taken from the literature",
        claimed="3/8",
        corrected="0.37438",
        control="0.37528",
        correction="The Thomson solution has D_i = 0.37438 and Σ D_i = 2.995; exactly 3/8 needs the tight antiprism (h² = 1/3), which "
        "is not a Thomson solution.",
        tolerance="half a unit of the last decimal stated",
        checks=(
            Check(
                "ball arithmetic",
                "Bracket the root of dE/dh between rationals by its sign in ball arithmetic, and evaluate D there.",
                "Coulomb energy of the antiprism",
                _thomson_antiprism,
                whole=True,
            ),
        ),
    ),
    Claim(
        id="elhage2022.31",
        locator="Tegum products",
        statement="In a tegum product the features of each factor keep their own dimensionality: 3 × 2/3 and 2 × 1/2, not 5 × 3/5.",
        restatement="Triangular bipyramid: D = 2/3 (three), 1/2 (two); octahedron: D = 1/2 (six).",
        kind="identity",
        domain="the two polytopes",
        claimed={"triangular bipyramid": "2/3,1/2", "octahedron": "1/2"},
        control={"triangular bipyramid": "3/5", "octahedron": "1/2"},
        checks=(
            Check(
                "exact vertices",
                "Dimensionality of exact vertices with sympy.",
                "the definition of D_i",
                _dimensionalities,
                whole=True,
            ),
        ),
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
        correction="With norms and biases free, superposition pays from I = 0.048722, 0.204699 and 0.535739: the naive line is 17 %, 17 % "
        "and 24 % too high.",
        tolerance="1e-6 in importance, the rounding of the stated values; the control is off by 5e-5",
        checks=(
            Check(
                "exact rational model",
                "Below the stated boundary, exhibit a superposed model whose rational loss is less than what any model that ignores "
                "feature 2 must lose.",
                "the vertex formula in fractions",
                _is_true_boundary,
                independent=True,
            ),
        ),
        figure="phase_diagram",
        replay=REPLAY
        + """p, r = F(1, 10), F(5, 100)               # below the naive boundary 2/35 = 0.05714
found = loss([F(10140, 10000), F(-6240, 10000)], [F(6, 10000), F(323, 10000)], p, r)
ignoring = r * (p / 3 - p ** 2 / 4)       # the least that any model without feature 2 can lose
print(found < ignoring, float(found), float(ignoring))  # True: superposition already pays
""",
    ),
    Claim(
        id="elhage2022.62",
        locator="Superposition as a phase change: the closed-form losses read as the optimal loss",
        statement="The lowest of the three closed-form losses is the optimal loss of the toy model.",
        restatement="No model over (W, b) loses less than the lowest of the three on the 21 × 21 grid, and training comes within 2 % of it.",
        kind="optimality",
        domain="n = 2, m = 1, the grid",
        claimed="three fixed models",
        corrected="exact optimum",
        control="exact optimum, 5 % low",
        correction="The exact optimum over (W, b) is lower by up to a tenth; trained models reach it and never pass below.",
        tolerance="2 %: what is left of the learning noise with the recipe used",
        checks=(
            Check(
                "trained models",
                f"{TRAINED}; exact loss of the best replica per cell against the stated loss, the witness as a rational.",
                "stochastic gradient descent on samples",
                _loss_is_lowest,
                independent=True,
                tier="slow",
                seed=0,
            ),
        ),
        figure="phase_diagram",
    ),
)
