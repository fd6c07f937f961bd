"""Symbolic loss: the exact loss of a small toy model as a piecewise rational function of its weights, by the vertex formula."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations, product
from math import factorial
from typing import TYPE_CHECKING

import sympy

from ._candidates import DENSITY, IMPORTANCE
from ._checks import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

LARGEST_N = 3
# Beyond this many kinks a loss has too many regions for `SymbolicLoss.stationary` to solve each.
LARGEST_KINKS = 4
# Up to this many symbols polynomials are factored: it is quick and reads well. Beyond, sympy can take minutes.
LARGEST_FACTORED = 3
# A piecewise sum under construction: coefficients of e^k [e > 0] by (e, k); (1, 0) holds the smooth part.
Pieces = defaultdict[tuple[sympy.Expr, int], sympy.Expr]
SMOOTH = (sympy.Integer(1), 0)


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
        return _loss(sympy.diff(self.smooth, s), ((e, sympy.diff(a, s)) for e, a in self.kinks), self.symbols)

    def at(self, **values: object) -> sympy.Expr:
        """The value where the named symbols have these values (numbers or expressions); a number if all are given numbers.

        Raises InputError for an unknown name and for a value outside the pattern of signs, where the formula is another.

        >>> pair_loss((1, -1)).at(w1=1, w2=1)
        Traceback (most recent call last):
        tegum.theory._checks.InputError: w2 = 1 is not within the pattern of signs: the formula holds for w2 negative
        """
        return self._given(self._point(values)).expression

    def near(self, **values: object) -> sympy.Expr:
        """The rational function, in all symbols, that this is in the region around a point given by name.

        Raises InputError as `at` does, and where the point is on a kink or leaves the sign of one open.

        >>> pair_loss((1, 0), (0, 1)).near(w1=1, b2=1)  # a kept and a dropped feature
        b2**2*r*(1 - p) + p*r*(3*b2**2 - 3*b2 + 1)/3 + p*(w1 - 1)**2*(w1 + 1)**2/3
        """
        point, total = self._point(values), self.smooth
        for e, a in self.kinks:
            height = sympy.factor_terms(sympy.expand(e.xreplace(point)))
            if height.is_positive:
                total += a
            elif not height.is_negative:
                raise InputError(f"the point must be off every kink, on a known side, but there {e} = {height}")
        return _tidy(total)

    def stationary(self, *names: str) -> tuple[tuple[dict[sympy.Symbol, sympy.Expr], sympy.Basic], ...]:
        """Points where the derivatives in the named symbols vanish, the others fixed: pairs (point, condition).

        Every region is solved by sympy.solve: for systems that have closed forms. A point that leaves one of the symbols out is
        stationary for every value of it. It counts where its condition holds: true, or what sympy cannot decide of the
        inequalities of its region and of the signs of its symbols.
        Raises InputError for an unknown name, or for more than 4 kinks: solve the gradient of `near` then.

        >>> pair_loss((1, 0), (0, 1)).stationary("w1", "b2")
        (({b2: p/2, w1: 1}, True),)
        """
        if len(self.kinks) > LARGEST_KINKS:
            raise InputError(f"stationary handles at most {LARGEST_KINKS} kinks, got {len(self.kinks)}; use near")
        unknowns = [self._symbol(name) for name in names]
        found = []
        for above in product((True, False), repeat=len(self.kinks)):
            total = sympy.Add(self.smooth, *(a for (_, a), up in zip(self.kinks, above, strict=True) if up))
            gradient = [sympy.numer(sympy.together(sympy.diff(total, s))) for s in unknowns]
            for point in sympy.solve(gradient, unknowns, dict=True):
                heights = [sympy.factor(e.xreplace(point)) for e, _ in self.kinks]
                condition = sympy.And(
                    *(h > 0 if up else h <= 0 for h, up in zip(heights, above, strict=True)),
                    *(x > 0 for s, x in point.items() if s.is_positive),
                    *(x < 0 for s, x in point.items() if s.is_negative),
                )
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

    def _given(self, point: Mapping[sympy.Symbol, sympy.Expr]) -> SymbolicLoss:
        """With values put in, and the kinks gone whose side these settle."""
        total, left = self.smooth, []
        for e, a in self.kinks:
            height = sympy.factor_terms(sympy.expand(e.xreplace(point)))
            if height.is_positive:
                total += a
            elif not height.is_nonpositive:
                left.append((height, a.xreplace(point)))
        return _loss(total.xreplace(point), left, self.symbols)

    def _point(self, values: Mapping[str, object]) -> dict[sympy.Symbol, sympy.Expr]:
        point = {self._symbol(name): _exact(name, value) for name, value in values.items()}
        for symbol, value in point.items():
            for sign in ("positive", "negative", "nonnegative", "nonpositive"):
                if getattr(symbol, f"is_{sign}") and not getattr(value, f"is_{sign}"):
                    raise InputError(
                        f"{symbol} = {value} is not within the pattern of signs: the formula holds for {symbol} {sign}"
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
    11/8
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
    >>> symbolic_gram_loss([[1, -g], [-g, 1]], [0, 0], [1, 1], [1, 1]).expression
    Piecewise(((2*g - 1)/(3*g), g > 1), (-g**2*(g - 2)/3, True))
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
        g[i][j] = sympy.factor_terms(sympy.expand(g[i][j]))
        if not (g[i][j].is_zero or g[i][j].is_positive or g[i][j].is_negative):
            raise InputError(
                f"the sign of the Gram entry G[{i}, {j}] = {g[i][j]} must be known; use symbols declared positive=True "
                "or negative=True, or symbolic_gram_loss with such a symbol for the entry itself"
            )
        if j < i and sympy.expand(g[i][j] - g[j][i]) != 0:
            raise InputError(f"gram must be symmetric, got G[{i}, {j}] = {g[i][j]} and G[{j}, {i}] = {g[j][i]}")
    entries = [*b, *p, *weight, *(x for row in g for x in row)]
    symbols = tuple(sorted(set().union(*(x.free_symbols for x in entries)), key=lambda s: s.name))
    if len({s.name for s in symbols}) < len(symbols):
        raise InputError(f"symbols must have different names, got {', '.join(s.name for s in symbols)}")
    total: Pieces = defaultdict(int)
    for i in range(n):
        # Features that enter neither output i nor its error are summed out.
        relevant = [j for j in range(n) if j == i or g[i][j] != 0]
        for size in range(len(relevant) + 1):
            for active in combinations(relevant, size):
                chance = sympy.Mul(*(p[j] if j in active else 1 - p[j] for j in relevant))
                for key, a in _squared_error(g[i], b[i], i, active).items():
                    total[key] += chance * weight[i] * a
    smooth = total.pop(SMOOTH)
    kinks = []
    for e in sorted({e for e, _ in total}, key=sympy.default_sort_key):
        least = min(k for d, k in total if d == e)
        kinks.append((e, e**least * sympy.Add(*(a * e ** (k - least) for (d, k), a in total.items() if d == e))))
    return _loss(smooth, kinks, symbols)


def pair_loss(weights: tuple[int, int] = (1, -1), bias: tuple[int | None, int | None] = (0, 0)) -> SymbolicLoss:
    """The loss of n = 2, m = 1, importances (1, r) and density p for both, in the symbols w1, w2, b1, b2 of given signs.

    weights, bias: a sign for each of w1, w2 and b1, b2: 1 or -1, 0 for an entry that is zero, and None for a bias of
    either sign (its own sign is then one more kink). The default is the antipodal pair with zero bias.
    Grade EXACT. Raises InputError for other signs.

    Norms of equal length, zero bias: the best ones are longer than 1, w² = (8 - 5p)/(8 - 6p).

    >>> loss = pair_loss((1, -1))
    >>> w = sympy.Symbol("w", positive=True)
    >>> slope = sympy.factor(sympy.diff(loss.at(w1=w, w2=-w), w))
    >>> sympy.solve(slope / w, w**2)
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
    """A number or expression as a sympy expression without floats."""
    try:
        exact = sympy.sympify(value, strict=True)
    except sympy.SympifyError:
        exact = sympy.nan
    if not isinstance(exact, sympy.Expr) or exact.is_real is False or exact.has(sympy.nan):
        raise InputError(f"{name} must hold finite numbers or real sympy expressions, got {value!r}")
    return exact.xreplace({x: sympy.Rational(x) for x in exact.atoms(sympy.Float)})


def _squared_error(row: list[sympy.Expr], bias: sympy.Expr, i: int, active: tuple[int, ...]) -> Pieces:
    """E (x_i - ReLU(g_i·x + b_i))² given the set of active features."""
    # In letters of their own for slopes and bias, expanding finds every cancellation of the denominators Π a_j.
    letters = {sympy.Dummy(): row[j] for j in active if row[j] != 0}
    slopes = list(letters)
    total: Pieces = defaultdict(int)

    def add(scale: sympy.Expr, varying: Sequence[sympy.Symbol], fixed: Sequence[sympy.Symbol], power: int) -> None:
        for key, a in _vertices(varying, fixed, bias, letters, power):
            total[key] += scale * a

    add(1, slopes, [], 2)
    if i in active:
        total[SMOOTH] += sympy.Rational(1, 3)
        if row[i] == 0:
            add(-1, slopes, [], 1)  # -2 E u_i ReLU, and u_i does not enter the output
        else:
            own = slopes[[j for j in active if row[j] != 0].index(i)]
            add(1 / own, slopes, [], 2)
            add(-1 / own, [a for a in slopes if a is not own], [own], 2)
    return defaultdict(int, {key: _tidy(sympy.expand(a).xreplace(letters)) for key, a in total.items()})


def _vertices(
    varying: Sequence[sympy.Symbol],
    fixed: Sequence[sympy.Symbol],
    bias: sympy.Expr,
    letters: Mapping[sympy.Symbol, sympy.Expr],
    power: int,
) -> Iterator[tuple[tuple[sympy.Expr, int], sympy.Expr]]:
    """E (Σ varying u + Σ fixed + β)₊^power over u in the unit cube, as pairs ((kink e, exponent k), coefficient of e^k)."""
    k = len(varying)
    scale = sympy.Rational(factorial(power), factorial(k + power)) / sympy.Mul(*varying)
    for vertex in product((0, 1), repeat=k):
        lettered = bias + sympy.Add(*fixed, *(a for a, v in zip(varying, vertex, strict=True) if v))
        height = sympy.factor_terms(sympy.expand(lettered.xreplace(letters)))
        signed = (-1) ** (k - sum(vertex)) * scale
        whole = signed * lettered ** (k + power)
        if height.is_nonnegative:
            yield SMOOTH, whole
        elif not height.is_nonpositive:
            factors = sympy.Mul.make_args(height)
            known = sympy.Mul(*(f for f in factors if f.is_positive or f.is_negative))
            e = sympy.Mul(*(f for f in factors if not (f.is_positive or f.is_negative)))
            if e.could_extract_minus_sign():
                e, known = -e, -known  # one orientation for each kink
            if known.is_positive:
                yield (e, k + power), signed * known ** (k + power)
            else:
                # [-e > 0] = 1 - [e > 0], and the power vanishes in between.
                yield SMOOTH, whole
                yield (e, k + power), -signed * known ** (k + power)


def _loss(
    smooth: sympy.Expr, kinks: Iterable[tuple[sympy.Expr, sympy.Expr]], symbols: tuple[sympy.Symbol, ...]
) -> SymbolicLoss:
    """A `SymbolicLoss` tidied up, without the kinks that cancelled."""
    pairs = tuple((e, _tidy(a)) for e, a in kinks if sympy.expand(a) != 0)
    return SymbolicLoss(_tidy(smooth), pairs, symbols)


def _tidy(expression: sympy.Expr) -> sympy.Expr:
    """Factored if it has few symbols, else as it stands."""
    if len(expression.free_symbols) > LARGEST_FACTORED:
        return expression
    return sympy.factor(sympy.expand(expression))
