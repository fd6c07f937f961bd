"""Rational loss: the exact loss of a small rectified map with rational entries, by the vertex formula, for every law."""

from __future__ import annotations

from fractions import Fraction
from math import factorial, lcm, perm
from typing import TYPE_CHECKING

import numpy as np

from ._checks import InputError
from ._law import Law, Values, independent

if TYPE_CHECKING:
    from collections.abc import Sequence

Number = int | float | Fraction
# What a mean over some features makes of f_q(t), f_q(t) = t₊^q/q!: Σ coefficient ε^e f_{q+r}(t + h), by (h, r, e).
Terms = dict[tuple[int, int, int], Fraction | int]
LARGEST_N = 10


def rational_loss(
    weights: Sequence[Sequence[Number]],
    bias: Sequence[Number],
    *,
    density: Sequence[Number],
    importance: Sequence[Number],
    law: Law | None = None,
) -> Fraction:
    """Exact loss L = Σ_i I_i E (x_i - ReLU(g_i·x + b_i))², g_i the rows of WᵀW, as a rational number.

    weights (m, n), bias (n,), density (n,) in (0, 1], importance (n,) positive: ints, Fractions or floats
    (a float counts as the dyadic rational that it is). n <= 10. law: groups and values of the n features, None for independent
    uniform ones. It is `rational_map_loss` of the matrix WᵀW, and the reference for the other methods, not the fast one.

    Grade EXACT. Raises InputError for shapes that do not fit or values out of range.

    An antipodal pair at density 1/10, importances 1 and 1/2: (1 + 1/2)/6/100 = 1/400. Never active together, it has no loss.

    >>> pair = {"density": [Fraction(1, 10)] * 2, "importance": [1, Fraction(1, 2)]}
    >>> rational_loss([[1, -1]], [0, 0], **pair)
    Fraction(1, 400)
    >>> rational_loss([[1, -1]], [0, 0], **pair, law=Law("anticorrelated", (2,)))
    Fraction(0, 1)
    """
    w = [_rationals("weights", row) for row in weights]
    n = len(bias)
    if not w or n == 0 or any(len(row) != n for row in w) or len(density) != n or len(importance) != n:
        raise InputError(
            f"weights (m, n), bias, density and importance (n,) must agree on n, got rows of "
            f"{[len(row) for row in w]} and lengths {n}, {len(density)}, {len(importance)}"
        )
    gram = [[sum((row[i] * row[j] for row in w), Fraction(0)) for j in range(n)] for i in range(n)]
    return rational_map_loss(gram, bias, density=density, importance=importance, law=law)


def rational_map_loss(
    matrix: Sequence[Sequence[Number]],
    bias: Sequence[Number],
    *,
    density: Sequence[Number],
    importance: Sequence[Number],
    law: Law | None = None,
    target: Sequence[Sequence[Number]] | None = None,
) -> Fraction:
    """Exact loss L = Σ_i I_i E (c_i·x - ReLU(a_i·x + b_i))² of x' = ReLU(Ax + b) as a rational number.

    The mean over a group of features turns f_q(t) = t₊^q/q! into finitely many terms f_{q+r}(t + h), the same for every q and
    t: for one value V with the density g on [0, 1] and V^k in the mean, by parts with G(u) = u^k g(u),
    E V^k f_q(t + aV) = Σ_d (-1)^d [G⁽ᵈ⁾(1) f_{q+d+1}(t + a) - G⁽ᵈ⁾(0) f_{q+d+1}(t)] / a^{d+1}; an atom at 1 gives f_q(t + a), and
    a = 0 gives E V^k f_q(t). Groups are composed one after the other and equal (h, r) merged: 2ⁿ heights per output.

    matrix A (k, n), bias (k,), importance (k,) positive, one per output; density (n,) in (0, 1]; target C (k, n) with rows c_i,
    None for the identity (then k = n): ints, Fractions or floats (a float counts as the dyadic rational that it is). n <= 10.
    law: groups and values of the n features, None for independent uniform ones. Densities are equal within a correlated group
    and add up to at most 1 within an anticorrelated one, as rationals (give Fractions: ten floats 0.1 are more than 1).

    Grade EXACT. Raises InputError for shapes that do not fit or values out of range.

    The absolute value of a signed feature, x = x⁺ - x⁻ and |x| = x⁺ + x⁻: one output keeps half of it, E (x⁻)² = p/2/3 is lost.

    >>> pair = Law("anticorrelated", (2,))
    >>> p = Fraction(1, 10)
    >>> rational_map_loss([[1, -1]], [0], density=[p / 2] * 2, importance=[1], law=pair, target=[[1, 1]])
    Fraction(1, 60)
    """
    a = [_rationals("matrix", row) for row in matrix]
    b, weight = _rationals("bias", bias), _rationals("importance", importance)
    k, n = len(b), len(density)
    if k == 0 or n == 0 or len(a) != k or any(len(row) != n for row in a) or len(weight) != k:
        raise InputError(
            f"matrix (k, n) must agree with bias and importance (k,) and density (n,), got rows of "
            f"{[len(row) for row in a]} and lengths {k}, {len(weight)}, {n}"
        )
    if target is None:
        if k != n:
            raise InputError(f"target must be given unless there are as many outputs as features, got {k} and {n}")
        c = [[Fraction(i == j) for j in range(n)] for i in range(n)]
    else:
        c = [_rationals("target", row) for row in target]
        if len(c) != k or any(len(row) != n for row in c):
            raise InputError(f"target must have shape ({k}, {n}) like matrix, got rows of {[len(row) for row in c]}")
    p, law = _features(density, law)
    if not all(x > 0 for x in weight):
        raise InputError(f"importance must be positive, got {next(str(x) for x in weight if x <= 0)}")
    errors = (i * _squared_error(row, t, wanted, p, law) for i, row, t, wanted in zip(weight, a, b, c, strict=True))
    return sum(errors, Fraction(0))


def rational_moment(
    slopes: Sequence[Number], offset: Number, *, density: Sequence[Number], power: int, law: Law | None = None
) -> Fraction:
    """Exact moment E ReLU(a·x + β)^power as a rational number, by the terms of `rational_map_loss`.

    slopes a (n,), offset β, density (n,) in (0, 1]: ints, Fractions or floats (a float counts as the dyadic rational that it
    is). n <= 10. power 1 or 2. law: as for `rational_map_loss`.

    Grade EXACT. Raises InputError for shapes that do not fit or values out of range.

    E (u - v)₊ = 1/6 for two uniform values:

    >>> rational_moment([1, -1], 0, density=[1, 1], power=1)
    Fraction(1, 6)
    """
    a, (t,) = _rationals("slopes", slopes), _rationals("offset", [offset])
    if not a or len(a) != len(density):
        raise InputError(f"slopes and density must have one length n >= 1, got {len(a)} and {len(density)}")
    if power not in (1, 2):
        raise InputError(f"power must be 1 or 2, got {power!r}")
    p, law = _features(density, law)
    return _means(a, t, [Fraction(0)] * len(a), p, law, (power, 1))[0]


def edges(values: Values, k: int) -> list[tuple[int, int]]:
    """(G⁽ᵈ⁾(1), G⁽ᵈ⁾(0)) for d = 0, 1, ..., where G(u) = u^k Σ_r c_r u^r: all that the integral of G f by parts needs.

    >>> edges(Values("uniform", 0, (1,)), 1)  # u: 1 and 0, then its derivative 1 and 1
    [(1, 0), (1, 1)]
    """
    powers = [(c, r + k) for r, c in enumerate(values.coefficients) if c]
    return [
        (sum(c * perm(s, d) for c, s in powers), sum(c * factorial(d) for c, s in powers if s == d))
        for d in range(max((s for _, s in powers), default=-1) + 1)
    ]


def _rationals(name: str, values: Sequence[Number]) -> list[Fraction]:
    out = []
    for value in values:
        try:
            out.append(Fraction(value.item() if isinstance(value, np.generic) else value))
        except (TypeError, ValueError, OverflowError):
            raise InputError(f"{name} must hold finite rational numbers, got {value!r}") from None
    return out


def _features(density: Sequence[Number], law: Law | None) -> tuple[list[Fraction], Law]:
    """The densities as Fractions and the law, both checked."""
    p, n = _rationals("density", density), len(density)
    law = independent(n) if law is None else law
    if n > LARGEST_N:
        raise InputError(f"exact rational losses handle n <= {LARGEST_N} features (2^n vertices), got n = {n}")
    if not all(0 < x <= 1 for x in p):
        raise InputError(f"density must be in (0, 1], got {next(str(x) for x in p if not 0 < x <= 1)}")
    if sum(law.sizes) != n or min(law.sizes) < 1 or (law.kind == "independent" and max(law.sizes) > 1):
        raise InputError(
            f"law must have sizes that add up to n = {n}, all 1 if independent, got {law.kind} {law.sizes}"
        )
    for group in law.groups:
        part = p[group.start : group.stop]
        shown = f"got {', '.join(map(str, part))} for features {group[0]} to {group[-1]}"
        if law.kind == "correlated" and len(set(part)) > 1:
            raise InputError(f"density must be equal within a correlated group, {shown}")
        if law.kind == "anticorrelated" and sum(part) > 1:
            raise InputError(f"density must add up to at most 1 within an anticorrelated group, {shown}")
    return p, law


def _squared_error(row: list[Fraction], t: Fraction, wanted: list[Fraction], p: list[Fraction], law: Law) -> Fraction:
    """E (T - ReLU(a·x + t))² for T = c·x."""
    square, cross = _means(row, t, wanted, p, law, (2, 1))
    # E T² adds the variances of the groups, which are independent, to (E T)².
    one, two = law.values.moment(1), law.values.moment(2)
    mean = variance = Fraction(0)
    for group in law.groups:
        first = second = Fraction(0)
        for active, chance in law.states(group, p):
            total = sum((wanted[j] for j in active), Fraction(0))
            first += chance * one * total
            second += chance * (one**2 * total**2 + (two - one**2) * sum(wanted[j] ** 2 for j in active))
        mean, variance = mean + first, variance + second - first**2
    return mean**2 + variance - 2 * cross + square


def _means(
    slopes: list[Fraction], t: Fraction, wanted: list[Fraction], p: list[Fraction], law: Law, powers: tuple[int, int]
) -> list[Fraction]:
    """E ReLU(y)^k and E T ReLU(y)^l for y = t + a·x, T = c·x and powers (k, l): the orders 0 and 1 in ε of E (1 + εT) ReLU(y)^."""
    # Integers throughout, by a common denominator of y and one of the terms: Fractions would spend their time on divisors.
    unit = lcm(t.denominator, *(a.denominator for a in slopes))
    terms: Terms = {(0, 0, 0): 1}
    scale = 1
    for group in law.groups:
        mixed: Terms = {}
        for active, chance in law.states(group, p):
            state: Terms = {(0, 0, 0): chance}
            for j in active:
                state = _product(state, _one_value(int(slopes[j] * unit), wanted[j], law.values))
            for key, x in state.items():
                mixed[key] = mixed.get(key, 0) + x
        common = lcm(*(x.denominator for x in mixed.values()))
        terms, scale = _product(terms, {key: int(x * common) for key, x in mixed.items()}), scale * common
    start, largest = int(t * unit), max(powers) + max(r for _, r, _ in terms)
    sums = [0, 0]
    for (h, r, e), x in terms.items():
        if start + h > 0:
            q = r + powers[e]
            sums[e] += int(x) * (start + h) ** q * perm(largest, largest - q)
    bottom = factorial(largest) * scale
    return [Fraction(factorial(k) * x, bottom * unit**k) for x, k in zip(sums, powers, strict=True)]


def _one_value(a: int, c: Fraction, values: Values) -> Terms:
    """The terms of E (1 + ε c V) f_q(t + aV)."""
    out: Terms = {}
    for k, factor in enumerate((Fraction(1), c) if c else (Fraction(1),)):
        if not a:
            out[0, 0, k] = factor * values.moment(k)
            continue
        if values.atom:
            out[a, 0, k] = factor * values.atom
        for d, (at_one, at_zero) in enumerate(edges(values, k)):
            scale = factor / a * Fraction(-1, a) ** d
            out |= {(h, d + 1, k): scale * edge for h, edge in ((a, at_one), (0, -at_zero)) if edge}
    return out


def _product(one: Terms, two: Terms) -> Terms:
    """One mean after the other: shifts, orders and powers of ε add up, ε² is dropped."""
    out: Terms = {}
    for (h, r, e), x in one.items():
        for (g, s, f), y in two.items():
            if e + f <= 1:
                key = (h + g, r + s, e + f)
                out[key] = out.get(key, 0) + x * y
    return out
