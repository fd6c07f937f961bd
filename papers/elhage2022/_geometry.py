"""Geometry of features: the intro figure, feature dimensionality, polytopes and tegum products."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import flint
import numpy as np
import sympy

from ...theory import Grade, describe_geometry, exact_dimensionality, polytope
from .._claim import Check, Claim, Finding
from .._lab import INTRO_SPARSITIES

if TYPE_CHECKING:
    from .._lab import Lab

Geometry = dict[str, str]


def _optimal_geometry(statement: Geometry, lab: Lab) -> Finding:
    """Geometry of the exact optimum at each sparsity, from every packing and 32 random starts."""
    found = {f"{s:g}": best for s, best in zip(INTRO_SPARSITIES, lab.intro_theory, strict=True)}
    wrong = [s for s, words in statement.items() if found[s].geometry != words]
    words = "; ".join(
        f"S = {s}: {o.geometry} (loss {o.loss:.8f}, {o.agreeing} of {o.starts} starts)" for s, o in found.items()
    )
    return Finding(
        not wrong, Grade.NUMERIC, f"Lowest exact loss found: {words}.", float(-len(wrong)), "sparsities differ"
    )


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
        words.append(
            f"S = {s:g}: {trained} ({agreeing} of {len(loss)} models, best {100 * excess:.3f} % above the optimum)"
        )
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
        f"The Coulomb energy of the square antiprism has a minimum at h = {float(low):.9f}, where every D_i = {lower:.9f} and "
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


INTRO = {"0": "2 dedicated, 3 dropped", "0.8": "2 digons, 1 dropped", "0.9": "1 pentagon"}
TRAINED = "AdamW on sampled batches"

EXACT_VERTICES = Check(
    "exact vertices",
    "Dimensionality of exact vertices with sympy.",
    "the definition of D_i",
    _dimensionalities,
    whole=True,
)

GEOMETRY_CLAIMS: tuple[Claim, ...] = (
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
        tolerance="geometry by name; features with |cos| above 0.3 are linked; a block and its polytope differ by at most 0.2 in the sine "
        "between their Gram matrices",
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
        figures=("geometries", "loss_curves"),
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
            EXACT_VERTICES,
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
        domain="square antiprisms with rings at height ±h, 1/2 < h < 3/5; the literature has the N = 8 Thomson solution among them",
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
        checks=(EXACT_VERTICES,),
    ),
)
