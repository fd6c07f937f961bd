"""Symbolic loss: the exact loss of a small toy model as a piecewise rational function of its weights, by the vertex formula."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, product
from math import factorial
from typing import TYPE_CHECKING

import numpy as np
import sympy

from ._candidates import DENSITY, IMPORTANCE
from ._checks import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

LARGEST_N = 3
# Beyond this many kinks a loss has too many regions for `SymbolicLoss.stationary` to solve each.
LARGEST_KINKS = 4
# A piecewise sum under construction: coefficient by kink e; the key 1 (always positive) holds the smooth part.
Pieces = defaultdict[sympy.Expr, sympy.Expr]
SMOOTH = sympy.Integer(1)


@dataclass(frozen=True)
class SymbolicLoss:
    """A loss, or a derivative of one, as smooth + Σ_k [e_k > 0] A_k within one pattern of signs of the Gram entries.

    smooth   rational function of the symbols
    kinks    pairs (e, A): the rational function A is added where e > 0. Each e comes from the height of a cube vertex of an
             output; factors of known sign are dropped from it, and (-e, A) never stands beside (e, A).
    symbols  of the loss; their declared signs are the pattern. Methods take them by name.

    Grade EXACT.

    The zero-bias pair W = (w1, w2) with w1 > 0 > w2 changes its formula where |w1| = |w2|:

    >>> loss = pair_loss((1, -1))
    >>> [e for e, _ in loss.kinks], loss.symbols
    ([w1 + w2], (p, r, w1, w2))
    >>> loss.at(w1=1, w2=-1)
    p**2*(r + 1)/6
    """

    smooth: sympy.Expr
    kinks: tuple[tuple[sympy.Expr, sympy.Expr], ...]
    symbols: tuple[sympy.Symbol, ...]

    @property
    def expression(self) -> sympy.Expr:
        """The whole as one sympy expression: a Piecewise where there is one kink, else a sum with one for every kink."""
        if len(self.kinks) == 1:
            ((e, a),) = self.kinks
            return sympy.Piecewise((_tidy(self.smooth + a), e > 0), (self.smooth, True))
        return sympy.Add(self.smooth, *(sympy.Piecewise((a, e > 0), (0, True)) for e, a in self.kinks))

    def derivative(self, symbol: str) -> SymbolicLoss:
        """∂/∂symbol, in the same form. Where it jumps, which it can only on a kink, the value there is that of e <= 0.

        The loss is continuous: A_k vanishes where e_k does, so differentiating the coefficients is enough.
        Raises InputError for a name that is not among `symbols`.

        At zero bias the loss of the antipodal pair falls as the bias of either output rises:

        >>> pair_loss((1, -1), (None, 0)).derivative("b1").at(w1=1, w2=-1, b1=0)
        -p**2/3
        """
        s = self._symbol(symbol)
        pairs = ((e, _tidy(sympy.diff(a, s))) for e, a in self.kinks)
        return SymbolicLoss(
            _tidy(sympy.diff(self.smooth, s)), tuple((e, a) for e, a in pairs if a != 0), self.symbols
        )

    def at(self, **values: object) -> sympy.Expr:
        """The value where the named symbols have these values (numbers or expressions); a number if all are given numbers.

        Raises InputError for an unknown name and for a value outside the pattern of signs, where the formula is another.

        >>> pair_loss((1, -1)).at(w1=1, w2=1)
        Traceback (most recent call last):
        tegum.theory._checks.InputError: w2 = 1 is outside the pattern of signs: this loss was derived for w2 negative
        """
        return _tidy(self.expression.xreplace(self._point(values)))

    def near(self, **values: object) -> sympy.Expr:
        """The rational function, in all symbols, that this is in the region around a point given by name.

        Raises InputError as `at` does, and where the point is on a kink or leaves the sign of one open.

        >>> pair_loss((1, 0), (0, 1)).near(w1=1, b2=1)  # a kept and a dropped feature
        p*(w1 - 1)**2*(w1 + 1)**2/3 + r*(3*b2**2 - 3*b2*p + p)/3
        """
        point, total = self._point(values), self.smooth
        for e, a in self.kinks:
            height = e.xreplace(point)
            if height.is_positive:
                total += a
            elif not height.is_negative:
                raise InputError(f"the point must be off every kink with a known side, but there {e} = {height}")
        return _tidy(total)

    def stationary(self, *names: str) -> tuple[tuple[dict[sympy.Symbol, sympy.Expr], sympy.Basic], ...]:
        """Points where the derivatives in the named symbols vanish, the others fixed: pairs (point, condition).

        Every region is solved by sympy.solve, so this ends only where closed forms exist. A point counts where its condition
        holds: true, or the inequality of its region, as far as sympy cannot decide it.
        Raises InputError for an unknown name, or for more than 4 kinks: solve the gradient of `near` then.

        >>> pair_loss((1, 0), (0, 1)).stationary("w1", "b2")
        (({w1: 1, b2: p/2}, True),)
        """
        if len(self.kinks) > LARGEST_KINKS:
            raise InputError(f"stationary handles at most {LARGEST_KINKS} kinks, got {len(self.kinks)}; use near")
        unknowns = [self._symbol(name) for name in names]
        found = []
        for above in product((True, False), repeat=len(self.kinks)):
            total = sympy.Add(self.smooth, *(a for (_, a), up in zip(self.kinks, above, strict=True) if up))
            gradient = [sympy.numer(sympy.together(sympy.diff(total, s))) for s in unknowns]
            for point in sympy.solve(gradient, unknowns, dict=True):
                heights = [sympy.simplify(e.xreplace(point)) for e, _ in self.kinks]
                condition = sympy.And(*(h > 0 if up else h <= 0 for h, up in zip(heights, above, strict=True)))
                if condition != sympy.false:
                    found.append((point, condition))
        return tuple(found)

    def latex(self) -> str:
        r"""`expression` as LaTeX.

        >>> pair_loss((1, -1)).derivative("r").latex().count(r"\begin{cases}")
        1
        """
        text: str = sympy.latex(self.expression)
        return text

    def _symbol(self, name: str) -> sympy.Symbol:
        for symbol in self.symbols:
            if symbol.name == name:
                return symbol
        raise InputError(f"{name} must be a symbol of this loss, which has {', '.join(map(str, self.symbols))}")

    def _point(self, values: Mapping[str, object]) -> dict[sympy.Symbol, sympy.Expr]:
        point = {self._symbol(name): _exact(name, value) for name, value in values.items()}
        for symbol, value in point.items():
            for sign in ("positive", "negative"):
                if getattr(symbol, f"is_{sign}") and getattr(value, f"is_{sign}") is False:
                    raise InputError(
                        f"{symbol} = {value} is outside the pattern of signs: this loss was derived for {symbol} {sign}"
                    )
        return point


def symbolic_loss(
    weights: Sequence[Sequence[object]],
    bias: Sequence[object],
    density: Sequence[object],
    importance: Sequence[object],
) -> sympy.Expr:
    """Loss Σ_i I_i E (x_i - ReLU(W_i·W x + b_i))² as a sympy expression: `symbolic_gram_loss` of WᵀW, `expression`.

    weights (m, n), the rest (n,), n <= 3. Every entry is a number or a sympy expression; a symbol in the weights needs a sign
    (positive=True or negative=True) that settles the sign of every Gram entry, as it always does for m = 1.
    Grade EXACT. Raises InputError as `symbolic_gram_loss` does.

    >>> symbolic_loss([[1, -1]], [0, 0], [DENSITY] * 2, [1, IMPORTANCE])
    p**2*(r + 1)/6

    Unequal norms: the output of the longer of the two still fires when both features are equally active.

    >>> w, v = sympy.symbols("w v", positive=True)
    >>> symbolic_loss([[w, -v]], [0, 0], [1, 1], [1, 1]).subs({w: 2, v: 1})
    29/6
    """
    rows = [list(row) for row in weights]
    if not rows or len({len(row) for row in rows}) != 1:
        raise InputError(f"weights must have shape (m, n), got rows of lengths {[len(row) for row in rows]}")
    w = sympy.Matrix([[_exact("weights", x) for x in row] for row in rows])
    return symbolic_gram_loss((w.T * w).tolist(), bias, density, importance).expression


def symbolic_gram_loss(
    gram: Sequence[Sequence[object]],
    bias: Sequence[object],
    density: Sequence[object],
    importance: Sequence[object],
) -> SymbolicLoss:
    """Loss Σ_i I_i E (x_i - ReLU(g_i·x + b_i))² of the Gram matrix G = WᵀW with rows g_i, for any m.

    Sum over the sets A of active features. Given A, with k of the slopes a_j = G_ij (j in A) not zero, integrate the rectified
    square out, E ReLU(a·u + β)² = Σ_{v ∈ {0,1}^k} (-1)^{k-|v|} 2 (a·v + β)₊^{k+2} / ((k+2)! Π a_j), and by parts
    E u_i ReLU(a·u + β) = (E[ReLU(a·u + β)² | u_i = 1] - E ReLU(a·u + β)²) / (2 a_i).
    A vertex height a·v + β of known sign loses its ReLU; each other one is a kink of the result.

    gram (n, n) symmetric, bias, density, importance (n,): numbers (a float counts as the dyadic rational that it is) or sympy
    expressions. n <= 3: the sum has n 3ⁿ terms and some n 2ⁿ kinks, so beyond that nobody would read it; use `rational_loss`.
    That G is positive semidefinite of rank m is for the caller to see to: the formula does not need it.

    Grade EXACT. Raises InputError for n > 3, shapes that do not fit, a Gram entry whose sign sympy cannot tell, numbers
    out of range.

    >>> g = sympy.Symbol("g", positive=True)
    >>> symbolic_gram_loss([[1, -g], [-g, 1]], [0, 0], [1, 1], [1, 1]).near(g=sympy.Rational(1, 2))
    g**2*(4 - g)/12
    """
    g = [[_exact("gram", x) for x in row] for row in gram]
    b, p, weight = (
        [_exact(name, x) for x in entries]
        for name, entries in (("bias", bias), ("density", density), ("importance", importance))
    )
    n = len(b)
    if n == 0 or [len(row) for row in g] != [n] * n or len(p) != n or len(weight) != n:
        raise InputError(
            f"gram (n, n), bias, density and importance (n,) must agree on n, got rows of "
            f"{[len(row) for row in g]} and lengths {n}, {len(p)}, {len(weight)}"
        )
    if n > LARGEST_N:
        raise InputError(f"symbolic losses have at most n = {LARGEST_N} features, got n = {n}; use rational_loss")
    for x in p:
        if x.is_negative or (x - 1).is_positive:
            raise InputError(f"density must be in [0, 1], got {x}")
    for x in weight:
        if x.is_nonpositive:
            raise InputError(f"importance must be positive, got {x}")
    for i, j in product(range(n), repeat=2):
        g[i][j] = sympy.factor(g[i][j])
        if not (g[i][j].is_zero or g[i][j].is_positive or g[i][j].is_negative):
            raise InputError(
                f"the sign of the Gram entry G[{i}, {j}] = {g[i][j]} must be known; use symbols declared positive=True "
                "or negative=True, or symbolic_gram_loss with such a symbol for the entry itself"
            )
        if j < i and g[i][j] != g[j][i]:
            raise InputError(f"gram must be symmetric, got G[{i}, {j}] = {g[i][j]} and G[{j}, {i}] = {g[j][i]}")
    total: Pieces = defaultdict(lambda: sympy.Integer(0))
    for size in range(n + 1):
        for active in combinations(range(n), size):
            chance = sympy.Mul(*(p[j] if j in active else 1 - p[j] for j in range(n)))
            for i in range(n):
                for e, a in _squared_error(g[i], b[i], i, active).items():
                    total[e] += chance * weight[i] * a
    smooth = _tidy(total.pop(SMOOTH, sympy.Integer(0)))
    kinks = ((e, _tidy(total[e])) for e in sorted(total, key=sympy.default_sort_key))
    entries = sympy.Matrix([*sum(g, []), *b, *p, *weight])
    symbols = tuple(sorted(entries.free_symbols, key=lambda s: s.name))
    return SymbolicLoss(smooth, tuple((e, a) for e, a in kinks if a != 0), symbols)


def pair_loss(weights: tuple[int, int] = (1, -1), bias: tuple[int | None, int | None] = (0, 0)) -> SymbolicLoss:
    """The loss of n = 2, m = 1, importances (1, r) and density p for both, in the symbols w1, w2, b1, b2 of given signs.

    weights, bias: a sign for each of w1, w2 and b1, b2: 1 or -1, 0 for an entry that is zero, and None for a bias of
    either sign (its own sign is then one more kink). The default is the antipodal pair with zero bias.
    Grade EXACT. Raises InputError for other signs.

    Norms of equal length, zero bias: the best ones are longer than 1, w² = (8 - 5p)/(8 - 6p).

    >>> loss = pair_loss((1, -1))
    >>> w = sympy.Symbol("w", positive=True)
    >>> slope = sympy.factor(sympy.diff(loss.at(w1=w, w2=-w), w))
    >>> sympy.solve(slope, w**2)
    [(5*p - 8)/(2*(3*p - 4))]
    """
    signs = {"w1": weights[0], "w2": weights[1], "b1": bias[0], "b2": bias[1]}
    entry: dict[str, sympy.Expr] = {}
    for name, sign in signs.items():
        if sign not in ((1, 0, -1, None) if name.startswith("b") else (1, 0, -1)):
            raise InputError(f"the sign of {name} must be 1, 0 or -1 (or None for a bias), got {sign!r}")
        known = {1: {"positive": True}, -1: {"negative": True}}.get(sign or 2, {"real": True})
        entry[name] = sympy.Integer(0) if sign == 0 else sympy.Symbol(name, **known)
    w = sympy.Matrix([[entry["w1"], entry["w2"]]])
    return symbolic_gram_loss((w.T * w).tolist(), [entry["b1"], entry["b2"]], [DENSITY] * 2, [1, IMPORTANCE])


def _exact(name: str, value: object) -> sympy.Expr:
    """A number or expression as an exact sympy expression."""
    if isinstance(value, np.generic):
        value = value.item()
    try:
        if isinstance(value, str | bool):
            raise TypeError
        exact = sympy.sympify(Fraction(value) if isinstance(value, float) else value)
    except (TypeError, ValueError, OverflowError, sympy.SympifyError):
        exact = sympy.nan
    if not isinstance(exact, sympy.Expr) or exact.is_real is False or exact is sympy.nan:
        raise InputError(f"{name} must hold finite numbers or real sympy expressions, got {value!r}")
    return exact


def _squared_error(row: list[sympy.Expr], bias: sympy.Expr, i: int, active: tuple[int, ...]) -> Pieces:
    """E (x_i - ReLU(g_i·x + b_i))² given the set of active features."""
    slopes = {j: row[j] for j in active if row[j] != 0}
    total: Pieces = defaultdict(lambda: sympy.Integer(0))

    def add(scale: sympy.Expr, given: Mapping[int, sympy.Expr], offset: sympy.Expr, power: int) -> None:
        for e, a in _vertices(list(given.values()), offset, power):
            total[e] += scale * a

    if i not in active:
        add(1, slopes, bias, 2)
    elif i in slopes:
        a = slopes[i]
        add(1 + 1 / a, slopes, bias, 2)
        add(-1 / a, {j: s for j, s in slopes.items() if j != i}, bias + a, 2)
        total[SMOOTH] += sympy.Rational(1, 3)
    else:
        add(1, slopes, bias, 2)
        add(-1, slopes, bias, 1)  # -2 E u_i ReLU, where u_i is independent of the output
        total[SMOOTH] += sympy.Rational(1, 3)
    # Few symbols stand here, so the cancellations between vertices are cheap to find.
    for e in total:
        total[e] = sympy.factor(total[e])
    return total


def _vertices(slopes: list[sympy.Expr], bias: sympy.Expr, power: int) -> Iterator[tuple[sympy.Expr, sympy.Expr]]:
    """E (a·u + β)₊^power over the unit cube of the given nonzero slopes, as pairs (kink, coefficient)."""
    k = len(slopes)
    scale = sympy.Rational(factorial(power), factorial(k + power)) / sympy.Mul(*slopes)
    for vertex in product((0, 1), repeat=k):
        height = sympy.factor(bias + sympy.Add(*(a for a, v in zip(slopes, vertex, strict=True) if v)))
        term = (-1) ** (k - sum(vertex)) * scale * height ** (k + power)
        if height.is_nonnegative:
            yield SMOOTH, term
        elif not height.is_nonpositive:
            e = sympy.Mul(*(f for f in sympy.Mul.make_args(height) if not (f.is_positive or f.is_negative)))
            flips = sum(bool(f.is_negative) for f in sympy.Mul.make_args(height)) % 2
            if e.could_extract_minus_sign():
                # One orientation for each kink: [-e > 0] = 1 - [e > 0], and the term vanishes in between.
                e, flips = -e, 1 - flips
            if flips:
                yield SMOOTH, term
            yield e, -term if flips else term


def _tidy(expression: sympy.Expr) -> sympy.Expr:
    """Factored where that is cheap."""
    return sympy.factor(expression)
