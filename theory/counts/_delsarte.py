"""Delsarte's linear programming bound: the best polynomial, found in floats by a simplex method, certified in rationals."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from flint import fmpq, fmpq_poly

from .._checks import InputError, whole
from ._record import Bound
from ._sign import nonpositive

if TYPE_CHECKING:
    from jaxtyping import Float
    from numpy import ndarray as Array

NAME = "Delsarte"
SOURCE = "Delsarte, Goethals and Seidel 1977"
# Degrees that are tried when none is given. Where a lower one suffices it is the more reliable in floats; above the last the bound
# hardly falls for n <= 50. Lines have half as many polynomials.
DEGREES = {True: (10, 20, 40), False: (10, 20, 30)}
# Rounds of new points, and exchanges in each: three to fifteen rounds of under 500 are typical, the rest would be rounding noise.
ROUNDS, EXCHANGES = 16, 600
# What the float solver calls zero, and the excess of f over 0 that it leaves to the certificate.
TINY, EXCESS = 1e-11, 1e-10
# Multipliers f_k are multiples of 2^-BITS.
BITS = 60


def delsarte_bound(n: int, top: fmpq, *, lines: bool, degree: int | None = None) -> Bound:
    """The linear programming bound of Delsarte on lines or codes in R^n.

    With P_k the Gegenbauer polynomials of R^n, P_k(1) = 1, the matrices P_k(<x_i, x_j>) are positive semidefinite. So if
    f = f_0 + Σ f_k P_k has f_k >= 0, f_0 > 0 and f <= 0 on [-1, s], a code with <x_i, x_j> <= s has at most f(1)/f_0 vectors:
    N² f_0 <= Σ_ij f(<x_i, x_j>) <= N f(1). For lines with <x_i, x_j>² <= c², f is even and f <= 0 on [-c, c] is enough.

    n: dimension, at least 2; meant for n up to 50 or so, where a double still holds the multipliers. top: c² of lines in (0, 1), s of a
    code in (-1, 1). degree: the highest k, even for lines. The best f is found in floats, then raised by a factor 1 + ε of its
    multipliers, rounded to rationals and shown to be <= 0 exactly. `value` is the floor of the exact f(1)/f_0, so it lies an ε above
    the optimum of its degree; None where no f of this degree is found. Grade CERTIFIED.
    Raises InputError for a top or degree out of range.

    >>> delsarte_bound(8, fmpq(1, 4), lines=True).value, delsarte_bound(24, fmpq(1, 2), lines=False).value
    (120, 196560)
    """
    n = whole("n", n, 2)
    if not (0 if lines else -1) < top < 1:
        what, rule = ("c² of lines", "between 0 and 1") if lines else ("the cosine of a code", "between -1 and 1")
        raise InputError(f"top must be {what}, {rule}, got {top}")
    if degree is not None and whole("degree", degree, 2 if lines else 1) % 2 and lines:
        raise InputError(f"degree must be even for lines (f is even), got {degree}; use {degree + 1}")
    degrees = DEGREES[lines] if degree is None else (int(degree),)
    found = [f for d in degrees if (f := _certified(n, top, lines, d))]
    if not found:
        return Bound(NAME, "upper", None, f"no polynomial of degree up to {degrees[-1]} found", SOURCE)
    value, best = min(((sum(f, fmpq(0)), f) for f in found), key=lambda pair: pair[0])
    note = f"degree {(2 if lines else 1) * (len(best) - 1)}, {float(value):.6g} before rounding down"
    proof: dict[str, Any] = {"by": "polynomial", "coefficients": [str(f) for f in best]}
    return Bound(NAME, "upper", int(value.floor()), note, SOURCE, proof)


def _certified(n: int, top: fmpq, lines: bool, degree: int) -> list[fmpq] | None:
    """f_0 = 1, f_1, ... of the best polynomial, shown to be <= 0 exactly; None where there is none."""
    found = _optimum(n, float(top), lines, degree)
    if found is None:
        return None
    multipliers, excess = found
    # With g = f + ε (f - 1) <= excess - ε (1 - excess): twice the excess is enough, more where floats misjudge it.
    for slack in 2.0 ** np.arange(max(-44, np.ceil(np.log2(2 * excess + 1e-300))), 0, 2):
        raised = [fmpq(1)] + [fmpq(round(x * 2**BITS), 2**BITS) for x in multipliers * (1 + slack)]
        while not raised[-1]:
            raised.pop()
        if nonpositive(gegenbauer_sum(n, raised, lines=lines), fmpq(0) if lines else fmpq(-1), top):
            return raised
    return None


@lru_cache(maxsize=8)
def gegenbauer(n: int, degree: int) -> tuple[fmpq_poly, ...]:
    """P_0 .. P_degree of R^n with P_k(1) = 1: (k + n - 2) P_{k+1} = (2k + n - 2) t P_k - k P_{k-1}.

    >>> gegenbauer(3, 2)[2]
    3/2*x^2 + (-1/2)
    """
    t = fmpq_poly([0, 1])
    family = [fmpq_poly([1]), t]
    for k in range(1, degree):
        family.append(((2 * k + n - 2) * t * family[k] - k * family[k - 1]) / (k + n - 2))
    return tuple(family[: degree + 1])


def gegenbauer_sum(n: int, coefficients: list[fmpq], *, lines: bool) -> fmpq_poly:
    """Σ f_k P_k as a polynomial in t; for lines Σ f_k P_2k, as one in x = t²."""
    step = 2 if lines else 1
    family = gegenbauer(n, step * (len(coefficients) - 1))[::step]
    total = sum((f * p for f, p in zip(coefficients, family, strict=True)), fmpq_poly([0]))
    return fmpq_poly(total.coeffs()[::step])


def _optimum(n: int, top: float, lines: bool, degree: int) -> tuple[Float[Array, " k"], float] | None:
    """Multipliers f_k >= 0 (f_0 = 1) of least sum with f <= 0 up to an excess, and that excess; None where there are none.

    The dual program, max Σ y_i over measures y >= 0 on the interval with -Σ y_i P_k(t_i) <= 1, starts from y = 0. Its simplex
    method on a set of points gives f; the critical points of f join the set, until f nowhere exceeds EXCESS.
    """
    low = 0.0 if lines else -1.0
    count = degree // 2 if lines else degree

    def values(x: Float[Array, " points"]) -> Float[Array, "k points"]:
        t = np.sqrt(x) if lines else x
        rows = [np.ones_like(t), t]
        for k in range(1, degree):
            rows.append(((2 * k + n - 2) * t * rows[k] - k * rows[k - 1]) / (k + n - 2))
        return np.array(rows[2::2] if lines else rows[1 : degree + 1])

    def spread(angle: Float[Array, " points"]) -> Float[Array, " points"]:
        return np.asarray((low + top) / 2 - (top - low) / 2 * np.cos(angle))

    # In high dimensions P_k is tiny on the interval: rows are scaled to their largest entry (without the end -1 of codes).
    reach = values(np.linspace(0.0, top, 201) if lines else np.linspace(-abs(top), abs(top), 201))
    scale = 1 / np.maximum(np.abs(reach).max(axis=1), TINY)
    nodes = np.pi * np.arange(count + 1) / count
    at_nodes = values(spread(nodes))
    columns = np.hstack([np.eye(count), -values(spread(np.linspace(0.0, np.pi, 16 * count + 1))) * scale[:, None]])
    basis = list(range(count))
    best, least = None, np.inf
    for _ in range(ROUNDS):
        dual = _exchange(columns, scale, basis)
        if dual is None:
            return None
        multipliers = np.maximum(dual * scale, 0.0)
        series = np.polynomial.chebyshev.chebfit(-np.cos(nodes), 1 + multipliers @ at_nodes, count)
        critical = np.polynomial.chebyshev.chebroots(np.polynomial.chebyshev.chebder(series)).real
        points = spread(np.arccos(-np.append(np.clip(critical, -1.0, 1.0), [-1.0, 1.0])))
        at_points = values(points)
        above = 1 + multipliers @ at_points
        excess = max(float(above.max()), 0.0)
        # Points that crowd together make the last rounds of hard cases worse: the round of the least raised sum counts.
        if (raised := multipliers.sum() * (1 + 2 * excess)) < least:
            best, least = (multipliers, excess), raised
        if excess < EXCESS:
            break
        columns = np.hstack([columns, -at_points[:, above > TINY] * scale[:, None]])
    return best


def _exchange(
    columns: Float[Array, "rows columns"], right: Float[Array, " rows"], basis: list[int]
) -> Float[Array, " rows"] | None:
    """Multipliers of the program: max Σ of all y but the first `rows` (slacks), columns y = right > 0, y >= 0, by the simplex method.

    basis: a feasible basis, changed in place to the best one. None where the sum is unbounded: the multipliers do not exist.
    """
    cost = (np.arange(columns.shape[1]) >= len(right)).astype(float)
    for _ in range(EXCHANGES):
        square = columns[:, basis]
        dual = np.linalg.solve(square.T, cost[basis])
        gain = cost - dual @ columns
        gain[basis] = 0.0
        enter = int(np.argmax(gain))
        if gain[enter] <= TINY:
            break
        now, change = np.linalg.solve(square, np.stack([right, columns[:, enter]], axis=1)).T
        falls = change > TINY
        if not falls.any():
            return None
        steps = np.full(len(right), np.inf)
        steps[falls] = np.maximum(now[falls], 0.0) / change[falls]
        basis[int(np.argmin(steps))] = enter
    return dual
