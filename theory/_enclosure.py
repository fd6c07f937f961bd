"""Enclosure: an interval that is guaranteed to hold the loss, at one model or over a box of models."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import flint
import numpy as np

from ._checks import InputError, real_array
from ._grade import Grade
from ._rational import edges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from ._features import Features
    from ._law import Law

LARGEST_N = 10
# Beta values divide by up to the eighth power of a slope, and tiny slopes lose that many digits.
PRECISIONS = (64, 128, 256, 512, 1024, 2048, 4096)


@dataclass(frozen=True)
class Enclosure:
    """lower <= loss <= upper, both floats rounded outwards; `bits`, the working precision that was needed. grade ENCLOSED."""

    lower: float
    upper: float
    bits: int
    grade: Grade = Grade.ENCLOSED


def enclose_loss(
    weights: ArrayLike, bias: ArrayLike, features: Features, *, radius: float = 0.0, atol: float = 1e-12
) -> Enclosure:
    """Interval that holds the loss of every model with weights and bias within `radius` of the given ones, entry by entry.

    The mean over one value V with density g is that of `rational_map_loss`, by parts with f_q(t) = t₊^q/q! and G(u) = u^k g(u),
    E V^k f_q(t + aV) = Σ_d (-1)^d [G⁽ᵈ⁾(1) f_{q+d+1}(t + a) - G⁽ᵈ⁾(0) f_{q+d+1}(t)] / a^{d+1}, evaluated in ball arithmetic, group by
    group of features; where the ball of a slope holds zero, or in a box where that is narrower, it is replaced by E V^k times the
    values of f_q on the whole segment from t to t + a. For single models (radius 0) the precision is raised until the interval is
    narrower than `atol`; for boxes the width is what it is, and shrinks linearly with the radius.

    weights (m, n), bias (n,), features (n,) of any law (independent, correlated or anticorrelated groups; uniform, constant or
    Beta values): floats count as the dyadic rationals they are. n <= 10; 2^n n steps per output, in boxes up to 3^n n, for
    Beta values some (α + β)² times as many. Grade ENCLOSED. Raises InputError for shapes that do not fit, values out of range, or
    an `atol` not reached with 4096 bits.

    The loss 1/300 of the antipodal pair at density 0.1 (the float, which is a little more than 1/10):

    >>> from tegum.theory import Features
    >>> found = enclose_loss([[1.0, -1.0]], [0.0, 0.0], Features(0.1, n=2))
    >>> found.lower <= 0.1**2 / 3 <= found.upper, found.upper - found.lower < 1e-12
    (True, True)
    """
    w, b, n = real_array("weights", weights), real_array("bias", bias), features.n
    if w.ndim != 2 or w.shape[1] != n or b.shape != (n,) or features.density.ndim != 1:
        raise InputError(
            f"one model with weights (m, {n}) and bias ({n},) is enclosed at a time, got {w.shape} and {b.shape}"
        )
    if n > LARGEST_N:
        raise InputError(f"enclose_loss handles n <= {LARGEST_N} features (2^n vertices), got n = {n}")
    if not (math.isfinite(radius) and radius >= 0):
        raise InputError(f"radius must be finite and >= 0, got {radius}")
    if not atol > 0:
        raise InputError(f"atol must be positive, got {atol}")
    for bits in PRECISIONS:
        with flint.ctx.workprec(bits):
            ball = _loss(w, b, features, radius)
            lower, upper = _outward(ball)
        if radius > 0 or upper - lower <= atol:
            return Enclosure(lower, upper, bits)
    raise InputError(
        f"atol = {atol} is not reached with {PRECISIONS[-1]} bits: the interval is {upper - lower:.1e} wide"
    )


def _loss(w: np.ndarray, b: np.ndarray, features: Features, radius: float) -> flint.arb:
    m, n = w.shape
    column = [[flint.arb(float(w[r, i]), radius) for r in range(m)] for i in range(n)]
    density = [flint.arb(float(p)) for p in features.density]
    total = flint.arb(0)
    for i in range(n):
        slopes = [
            sum((_square(x) if i == j else x * y for x, y in zip(column[i], column[j], strict=True)), flint.arb(0))
            for j in range(n)
        ]
        offset = flint.arb(float(b[i]), radius)
        square = _moment(slopes, density, features.law, offset, 2, None, radius > 0)
        cross = _moment(slopes, density, features.law, offset, 1, i, radius > 0)
        own = density[i] * _ball(features.law.values.moment(2))
        total += flint.arb(float(features.importance[i])) * (own + 2 * square - 2 * cross)
    return total


def _ball(x: Fraction) -> flint.arb:
    return flint.arb(x.numerator) / x.denominator


def _square(x: flint.arb) -> flint.arb:
    # The power of a ball that holds zero may be negative or, about zero, not a number.
    return flint.arb(0).union(abs(x).upper() ** 2) if x.contains(0) else x**2


def _moment(
    slopes: Sequence[flint.arb],
    density: Sequence[flint.arb],
    law: Law,
    offset: flint.arb,
    power: int,
    mark: int | None,
    box: bool,
) -> flint.arb:
    """E x_mark (offset + a·x)₊^power / power!, x_mark = 1 without a mark."""
    unit, n, values = flint.arb(0.5, 0.5), len(slopes), law.values
    groups = sorted(law.groups, key=lambda group: -max(float(abs(slopes[j]).mid()) for j in group))
    # A state without the marked feature contributes x_mark = 0.
    states = [[s for s in law.states(group, density) if mark not in group or mark in s[0]] for group in groups]
    corners = [list(enumerate(edges(values, k), 1))[::-1] for k in (0, 1)]
    known: dict[tuple[int, tuple[int, ...], int, int], flint.arb] = {}

    def mean(depth: int, active: tuple[int, ...], vertex: int, height: flint.arb, q: int) -> flint.arb:
        """The mean over the features `active` and the groups from `depth` on, at the vertex reached so far."""
        key = (depth, active, vertex, q)
        if key not in known:
            if active:
                known[key] = one_value(depth, active, vertex, height, q)
            else:
                known[key] = one_group(depth, vertex, height, q) if depth < len(groups) else _rectified_power(height, q)
        return known[key]

    def one_group(depth: int, vertex: int, height: flint.arb, q: int) -> flint.arb:
        out = flint.arb(0)
        for active, p in states[depth]:
            out += p * (one_value if active else mean)(depth + 1, active, vertex, height, q)
        return out

    def one_value(depth: int, active: tuple[int, ...], vertex: int, height: flint.arb, q: int) -> flint.arb:
        j, rest = active[0], active[1:]
        a, k = slopes[j], int(j == mark)

        def left(extra: int) -> flint.arb:
            return mean(depth, rest, vertex, height, q + extra)

        def right(extra: int) -> flint.arb:
            return mean(depth, rest, vertex | 1 << j, height + a, q + extra)

        if a.is_zero():
            return left(0) * _ball(values.moment(k))
        if values.atom:
            return right(0)
        weight = _ball(values.moment(k))

        def hull() -> flint.arb:
            # Everywhere on the segment, by a vertex number of its own so that nothing else is mistaken for it. The density times V^k
            # is never negative, so the mean is E V^k times a value between those on the segment.
            return weight * mean(depth, rest, vertex | 1 << j + n, height + a * unit, q)

        if a.contains(0):
            return hull()
        # By parts, as in `rational_map_loss`; from the highest derivative, so that differences come before divisions.
        out = flint.arb(0)
        for d, (at_one, at_zero) in corners[k]:
            top = at_one * right(d) if at_one else 0
            bottom = at_zero * left(d) if at_zero else 0
            out = (top - bottom - out) / a
        # In a box, dividing by a small ball can make a ball wider than the hull, which holds the ends of the segment.
        if box and out.rad() > (weight * left(0).union(right(0))).rad():
            return out.intersection(hull())
        return out

    return mean(0, (), 0, offset, power)


def _rectified_power(t: flint.arb, q: int) -> flint.arb:
    """t₊^q / q! for q >= 1: increasing in t, so the ends of the ball give the ends of the image."""
    scale = math.factorial(q)
    if t >= 0:
        return t**q / scale
    if t <= 0:
        return flint.arb(0)
    return flint.arb(0).union(t.upper() ** q / scale)


def _outward(ball: flint.arb) -> tuple[float, float]:
    """The ends of a ball as floats, rounded outwards."""
    if not abs(ball) < sys.float_info.max:
        return -math.inf, math.inf
    ends = []
    for end, direction in ((ball.lower(), -math.inf), (ball.upper(), math.inf)):
        mantissa, exponent = end.man_exp()
        exact = int(mantissa) * Fraction(2) ** int(exponent)
        rounded = float(exact)
        inside = Fraction(rounded) > exact if direction < 0 else Fraction(rounded) < exact
        ends.append(math.nextafter(rounded, direction) if inside else rounded)
    return ends[0], ends[1]
