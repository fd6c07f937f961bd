"""Derivation: a closed form that sympy derived, with its assumptions, checked against ball arithmetic at sampled points."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import flint
import numpy as np
import sympy

from ._candidates import DENSITY, IMPORTANCE, naive_theory
from ._checks import whole
from ._enclosure import enclose_loss
from ._features import Features
from ._pair import BETA, VARIANCE, landau
from ._symbolic import pair_loss, symbolic_gram_loss

if TYPE_CHECKING:
    from collections.abc import Mapping

# Samples are multiples of this, so that floats and rationals are the same numbers.
GRAIN = 2**-20
# Both sides enclosed this well, relative to the largest term, decide an equality; width asked for, working bits of the closed form.
DECIDED, ATOL, BITS = 1e-10, 1e-15, 200


@dataclass(frozen=True)
class Model:
    """A toy model in symbols: weights (m, n) and bias (n,), densities and importances (n,) of its features."""

    weights: tuple[tuple[sympy.Expr, ...], ...]
    bias: tuple[sympy.Expr, ...]
    density: tuple[sympy.Expr, ...]
    importance: tuple[sympy.Expr, ...]


@dataclass(frozen=True)
class Checked:
    """Counts of sampled points: `true`, `undecided` (enclosures too wide to tell) and `false` (proved wrong there)."""

    true: int
    undecided: int
    false: int


@dataclass(frozen=True)
class Derivation:
    """The claim that Σ factor · loss(model) over `terms` equals `value` (relation '=') or is at most that ('<=').

    name, title: an identifier and a sentence; `steps`, how sympy gets there
    terms        pairs (factor, Model)
    domain       for every free symbol the interval it is sampled from
    assumptions  relations in those symbols under which the claim is made
    """

    name: str
    title: str
    steps: str
    terms: tuple[tuple[sympy.Expr, Model], ...]
    relation: str
    value: sympy.Expr
    domain: Mapping[sympy.Symbol, tuple[float, float]]
    assumptions: tuple[sympy.Basic, ...] = ()

    def latex(self) -> str:
        r"""The claim as LaTeX: the models, the relation, and where it is made.

        >>> closed_forms()["ignored"].latex().splitlines()[-1]
        'L_{1} = - \\frac{p r \\left(3 p - 4\\right)}{12}'
        """
        lines = []
        for k, (_, model) in enumerate(self.terms, 1):
            w, b = sympy.Matrix(model.weights), sympy.Matrix([model.bias])
            lines.append(rf"L_{{{k}}}:\quad W = {sympy.latex(w)},\; b = {sympy.latex(b)} \\")
        left = sympy.Add(*(f * sympy.Symbol(f"L_{k}") for k, (f, _) in enumerate(self.terms, 1)), evaluate=False)
        sign = {"=": "=", "<=": r"\le"}[self.relation]
        return "\n".join([*lines, f"{sympy.latex(left)} {sign} {sympy.latex(self.value)}"])

    def check(self, samples: int = 100, seed: int = 0) -> Checked:
        """The claim at `samples` random points of the domain that satisfy the assumptions.

        The loss of each model is enclosed by `enclose_loss` (which shares nothing with the symbolic derivation), entries that
        are irrational in balls of their own; `value` is evaluated in ball arithmetic. An equality counts as true where the two
        enclosures meet and both are narrower than 1e-10 of the largest term, as false where they are apart; an inequality as true or
        false where the enclosures are on the right or on the wrong side. Raises InputError for samples < 1.

        >>> closed_forms()["antipodal"].check(samples=5)
        Checked(true=5, undecided=0, false=0)
        """
        whole("samples", samples, 1)
        rng = np.random.default_rng(seed)
        count = {"true": 0, "undecided": 0, "false": 0}
        done = 0
        while done < samples:
            point = {
                s: sympy.Rational(int(rng.integers(round(lo / GRAIN), round(hi / GRAIN) + 1)), round(1 / GRAIN))
                for s, (lo, hi) in self.domain.items()
            }
            if all(relation.xreplace(point) == sympy.true for relation in self.assumptions):
                count[self._verdict(point)] += 1
                done += 1
        return Checked(**count)

    def _verdict(self, point: dict[sympy.Symbol, sympy.Expr]) -> str:
        with flint.ctx.workprec(BITS):
            right = _ball(self.value, point)
            left = sum((_ball(f, point) * _loss(model, point) for f, model in self.terms), flint.arb(0))
            if self.relation == "<=":
                return "true" if left <= right else "false" if left > right else "undecided"
            if not left.overlaps(right):
                return "false"
            # An equality between terms that cancel is measured against the terms.
            scale = max((abs(_ball(f, point) * _loss(m, point)).upper() for f, m in self.terms), default=flint.arb(0))
            return "true" if left.rad() + right.rad() <= DECIDED * scale else "undecided"


@cache
def closed_forms() -> dict[str, Derivation]:
    """The closed forms for small toy models, by name: losses, best norms and biases, and where fixed models exchange.

    Grade EXACT, each derived by sympy when called and not typed in; `Derivation.check` tests them against ball arithmetic.

    >>> forms = closed_forms()
    >>> forms["antipodal best"].value
    p**2*(25*p - 32)*(r + 1)/(48*(3*p - 4))
    """
    return {d.name: d for d in (*_pairs(), *_onsets(), *_triangles())}


def _pairs() -> list[Derivation]:
    p, r = DENSITY, IMPORTANCE
    w, v, beta = sympy.symbols("w v beta", positive=True)
    both, weight = (p, p), (sympy.Integer(1), r)
    zero, one = sympy.Integer(0), sympy.Integer(1)
    unit, size = {p: (0.0625, 1.0), r: (0.0625, 1.0)}, (0.2, 2.0)
    dropped = pair_loss((1, 0), (0, 1))
    free = sympy.factor(dropped.at(w1=1, b2=beta))
    ((best, _),) = dropped.stationary("w1", "b2")
    bias = next(x for s, x in best.items() if s.name == "b2")
    ignored = Model(((one, zero),), (zero, bias), both, weight)
    antipodal = pair_loss((1, -1))
    equal = sympy.factor(antipodal.at(w1=w, w2=-w))
    (square,) = sympy.solve(sympy.factor(sympy.diff(equal, w) / w), w**2)
    norm = sympy.sqrt(square)
    together = sympy.factor(pair_loss((1, 1)).at(w1=w, w2=w))
    (side,) = sympy.solve(sympy.factor(sympy.diff(together, w) / w), w**2)
    naive = naive_theory()
    signed = {s: {"w1": w, "w2": -v}.get(s.name, s) for s in antipodal.symbols}

    def pair(first: sympy.Expr, second: sympy.Expr) -> Model:
        return Model(((first, -second),), (zero, zero), both, weight)

    return [
        Derivation(
            "kept and dropped",
            "One feature kept exactly, the other replaced by a constant β.",
            "the vertex formula at w₁ = 1, w₂ = 0, b₁ = 0",
            ((one, Model(((one, zero),), (zero, beta), both, weight)),),
            "=",
            free,
            {**unit, beta: (0.0625, 1.0)},
        ),
        Derivation(
            "ignored",
            "The constant is best at the mean p/2, and what is lost is the variance.",
            "∂L/∂w₁ = ∂L/∂b₂ = 0, solved",
            ((one, ignored),),
            "=",
            sympy.factor(free.subs(beta, bias)),
            unit,
        ),
        Derivation(
            "antipodal",
            "Two features of opposite direction and equal norm w, zero biases.",
            "the vertex formula at w₁ = w, w₂ = -w",
            ((one, pair(w, w)),),
            "=",
            equal,
            {**unit, w: size},
        ),
        Derivation(
            "antipodal best",
            f"The best norm of the antipodal pair with zero biases is longer than one, w² = {square}.",
            "∂L/∂w = 0, solved; L is a parabola in w² that opens upwards",
            ((one, pair(norm, norm)),),
            "=",
            sympy.factor(equal.subs(w, norm)),
            unit,
        ),
        Derivation(
            "unequal norms",
            "Opposite directions with norms w > v, zero biases: the longer output fires when both features are equally active.",
            "the vertex formula, on the side of its one kink where w > v",
            ((one, pair(w, v)),),
            "=",
            sympy.factor(antipodal.near(w1=2, w2=-1).subs(signed)),
            {**unit, w: size, v: size},
            (w > v,),
        ),
        Derivation(
            "aligned, no bias",
            f"Equal weights and no biases: best at w² = {side}, at every density; what is lost is what ignoring one feature loses.",
            "∂L/∂w = 0 at w₁ = w₂ = w, solved; L is a parabola in w² that opens upwards",
            ((one, Model(((sympy.sqrt(side), sympy.sqrt(side)),), (zero, zero), both, weight)),),
            "=",
            sympy.factor(together.subs(w, sympy.sqrt(side))),
            unit,
        ),
        Derivation(
            "naive boundary",
            "The fixed models W = (1, 0) and W = (1, -1) have equal loss on this line; the true optimum changes elsewhere.",
            "the two losses equated and solved for r",
            (
                (one, Model(((one, zero),), (zero, bias), both, (one, naive.boundary))),
                (-one, Model(((one, -one),), (zero, zero), both, (one, naive.boundary))),
            ),
            "=",
            zero,
            {p: (0.0625, float(naive.critical_density.subs(r, 1)))},
        ),
    ]


def _onsets() -> list[Derivation]:
    """Where a second weight of either sign begins to pay: upper bounds that are sharp to second order in c = |w₁ w₂|."""
    p, r = DENSITY, IMPORTANCE
    c, beta = sympy.symbols("c beta", positive=True)
    forms = []
    for sign, name in ((-1, "onset, opposite signs"), (1, "onset, equal signs")):
        found = landau(sign)
        size = -sign * c
        a = 1 + 2 * found.tilt.subs(BETA, beta) * size
        d = c**2 / a
        (best,) = (x for x in sympy.solve(found.slope, BETA) if 0 < x.subs(p, sympy.Rational(1, 2)) < 1)
        spinodal = sympy.factor((found.q / VARIANCE).subs(BETA, best))
        where = f"is {spinodal}" if spinodal.is_rational_function(p) else f"is attained at β = {best}"
        weights = ((sympy.sqrt(a), sign * c / sympy.sqrt(a)),)
        bias = (beta * size, p / 2 * (1 - d - sign * c))
        forms.append(
            Derivation(
                name,
                "A second weight of this sign, w₁w₂ = ±c, costs output 1 at most Q(β)c² and leaves output 2 the variance of an affine map.",
                "Q(β) expands the loss in c with the norm of w₁ adapted; the cost over c² falls as c grows, so Q bounds it for every "
                f"c. The best β gives the importance min Q/(p/3 - p²/4) from which ignoring feature 2 is unstable; it {where}",
                ((sympy.Integer(1), Model(weights, bias, (p, p), (sympy.Integer(1), r))),),
                "<=",
                c**2 * found.q.subs(BETA, beta) + r * VARIANCE * ((1 - d) ** 2 + c**2),
                {p: (0.25, 1.0), r: (0.0625, 1.0), beta: (0.0625, 0.9375), c: (0.03125, 0.125)},
                # Output 2 is affine: its lowest preactivation is not negative.
                (bias[1] >= (c if sign < 0 else 0), a > 0),
            )
        )
    return forms


def _triangles() -> list[Derivation]:
    p = DENSITY
    g = sympy.Symbol("g", positive=True)
    zero, half, height = sympy.Integer(0), sympy.Rational(1, 2), sympy.sqrt(3) / 2
    gram = [[g if i == j else -g / 2 for j in range(3)] for i in range(3)]
    loss = sympy.factor(symbolic_gram_loss(gram, [0, 0, 0], [p] * 3, [1] * 3).expression)
    (best,) = sympy.solve(sympy.diff(loss, g), g)

    def triangle(square: sympy.Expr) -> Model:
        w = sympy.sqrt(square)
        rows = ((w, -half * w, -half * w), (zero, height * w, -height * w))
        return Model(rows, (zero,) * 3, (p,) * 3, (sympy.Integer(1),) * 3)

    return [
        Derivation(
            "triangle",
            "Three equal features at 120° with squared norm g, zero biases.",
            "the vertex formula of the Gram matrix with g on and -g/2 off the diagonal",
            ((sympy.Integer(1), triangle(g)),),
            "=",
            loss,
            {p: (0.0625, 1.0), g: (0.2, 2.0)},
        ),
        Derivation(
            "triangle best",
            "The triangle at its best norm with zero biases.",
            "∂L/∂g = 0, solved; L is a parabola in g that opens upwards",
            ((sympy.Integer(1), triangle(best)),),
            "=",
            sympy.factor(loss.subs(g, best)),
            {p: (0.0625, 1.0)},
        ),
    ]


def _ball(expression: sympy.Expr, point: dict[sympy.Symbol, sympy.Expr]) -> flint.arb:
    """An expression of rational numbers, sums, products and rational powers at a rational point, in ball arithmetic."""
    return _evaluate(sympy.sympify(expression).xreplace(point))


def _evaluate(e: sympy.Expr) -> flint.arb:
    if isinstance(e, sympy.Rational):
        return flint.arb(flint.fmpq(int(e.p), int(e.q)))
    if isinstance(e, sympy.Add):
        return sum((_evaluate(x) for x in e.args), flint.arb(0))
    if isinstance(e, sympy.Mul):
        product = flint.arb(1)
        for x in e.args:
            product *= _evaluate(x)
        return product
    if isinstance(e, sympy.Pow) and isinstance(e.exp, sympy.Rational):
        base = _evaluate(e.base)
        return base ** int(e.exp) if e.exp.is_Integer else base ** flint.arb(flint.fmpq(int(e.exp.p), int(e.exp.q)))
    raise TypeError(f"a closed form holds rationals, sums, products and rational powers, got {e}")


def _loss(model: Model, point: dict[sympy.Symbol, sympy.Expr]) -> flint.arb:
    """An enclosure of the loss of a model, whose irrational entries are enclosed by a box around their floats."""
    entries = [[_ball(x, point) for x in row] for row in (*model.weights, model.bias)]
    middle = [[float(x.mid()) for x in row] for row in entries]
    gap = max(
        abs(x - y).upper() for row, mid in zip(entries, middle, strict=True) for x, y in zip(row, mid, strict=True)
    )
    importance = [_ball(x, point) for x in model.importance]
    features = Features(
        [float(x.xreplace(point)) for x in model.density],  # multiples of GRAIN, exact as floats
        [float(x.mid()) for x in importance],
    )
    found = enclose_loss(
        middle[:-1], middle[-1], features, radius=math.nextafter(float(gap), math.inf) if gap else 0.0, atol=ATOL
    )
    # The loss is linear in the importances, with coefficients that are not negative.
    ratio = flint.arb(1)
    for exact, rounded in zip(importance, features.importance, strict=True):
        ratio = ratio.union(exact / flint.arb(float(rounded)))
    return flint.arb(found.lower).union(flint.arb(found.upper)) * ratio
