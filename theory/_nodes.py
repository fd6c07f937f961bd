"""Compiled loops of the contour sums: what each row needs before the sum, the sum over nodes, and the closed forms beside it.

The formulas are those of `_contour`; everything here is per row and in plain loops, so that memory grows with the number of
nodes only and no temporaries are made. `law` is packed as (starts of the groups, correlated?, atom, coefficients c_r, E V, E V²).
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numpy import ndarray as Array

# c P: balances the growth e^{cP} of the integrand against the weight e^{-cP} of the aliases.
TILT = 2.0
# Below RADIUS[r] the recursion for ∫ u^r e^{zu} du loses digits in |z|, and the Taylor series Σ_k z^k / (k! (k + r + 1)) takes over;
# its coefficients from the highest down.
RADIUS = np.array([0.15, 0.3, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5])
SERIES = np.array([[1 / (math.factorial(k) * (k + r + 1)) for k in range(28, -1, -1)] for r in range(len(RADIUS))])
# Variance, in tolerances, of the entries that the reference law holds at their mean.
SMALL = 3.0
# Gauss-Legendre on [0, 1], exact for every polynomial that one feature's moments need.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(6)
GAUSS_X, GAUSS_W = (1 + _NODES) / 2, _WEIGHTS / 2

compiled = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})


@compiled
def _cumulant(a: Array, p: Array, beta: float, theta: float, law: Any) -> float:
    """log E e^{θ y}, or for Beta values an upper bound by the chord, E e^{zV} <= 1 + (e^z - 1) E V; infinite where it overflows."""
    starts, correlated, atom, coefficients, mean, _ = law
    total = theta * beta
    for g in range(len(starts) - 1):
        active, inside = (1.0 if correlated else 0.0), 0.0
        for j in range(starts[g], starts[g + 1]):
            z = a[j] * theta
            if z > 300:
                return math.inf
            excess = mean * math.expm1(z)
            if len(coefficients) == 1 and not atom:
                excess = z / 2 if abs(z) < 1e-8 else math.expm1(z) / z - 1
            if correlated:
                active *= 1 + excess
            else:
                inside += p[j] * excess
        if correlated:
            inside = p[starts[g]] * (active - 1)
            if active > 1e300:
                return math.inf
        total += math.log1p(inside)
    return total


@compiled
def _period(a: Array, p: Array, beta: float, tolerance: float, law: Any) -> float:
    """P with y in [-P, P] up to a probability that changes no moment by more than a quarter of the tolerance.

    ReLU(t)² <= (2/(eθ))² e^{θt} turns E e^{θ y} into a bound on what lies beyond P, the best of a range of θ > 0 for either sign of y.
    """
    up, down, square, most = beta, -beta, 0.0, 0.0
    for j in range(len(a)):
        up += max(a[j], 0.0)
        down -= min(a[j], 0.0)
        square += p[j] * a[j] ** 2
        most = max(most, abs(a[j]))
    sure = max(up, down)
    scale = math.sqrt(square / 3) + 1e-3 * most + 1e-12
    worst = 0.0
    for sign in (1.0, -1.0):
        best = math.inf
        for k in range(12):
            theta = 0.5 * 1.5**k / scale
            bound = _cumulant(a, p, beta, sign * theta, law) + math.log(16 * (1 / theta + 1 / theta**2) / tolerance)
            reach = (bound + TILT) / theta
            if reach > best:
                break
            best = reach
        worst = max(worst, best)
    # The aliases have their kinks at y = ±P, so no atom of the law may lie there; positive also when y is a constant zero.
    period = 1.25 * max(min(sure, worst), 1e-12)
    # A tolerance may allow rare values far beyond P, but e^{c y} must not make them outweigh everything else in the sum.
    for _ in range(80):
        theta = TILT / period
        if max(_cumulant(a, p, beta, theta, law), _cumulant(a, p, beta, -theta, law)) <= TILT + 5:
            break
        period *= 1.5
    return period


@compiled
def prepare(rows: Any, law: Any, tolerance: Array, setup: Any) -> None:
    """Fill the arrays of `_contour.Setup`: period, small, shift, none, single."""
    slopes, offset, density, target, constant = rows
    starts, correlated, _, _, mean, square = law
    period, small, shift, none, single = setup
    n = slopes.shape[1]
    groups = len(starts) - 1
    quiet, before, after = np.empty(groups), np.empty(groups + 1), np.empty(groups + 1)
    for r in range(len(slopes)):
        a, p, c = slopes[r], density[r], target[r]
        size = abs(constant[r]) + 1.0
        for j in range(n):
            size += abs(c[j])
        period[r] = _period(a, p, offset[r], tolerance[r] / size, law)
        # Entries that together change nothing of the order of the tolerance, the smallest first.
        share = (square * p - (mean * p) ** 2) * a**2
        total = 0.0
        for j in np.argsort(share):
            total += share[j]
            small[r, j] = total <= SMALL * tolerance[r] / size and c[j] == 0
        shift[r] = 0.0
        for g in range(groups):
            live, chance = 0, 0.0
            for j in range(starts[g], starts[g + 1]):
                if small[r, j]:
                    shift[r] += mean * p[j] * a[j]
                else:
                    live += 1
                    chance = p[j] if correlated else chance + p[j]
            quiet[g] = max(1 - chance, 0.0) if live else 1.0
        before[0], after[groups] = 1.0, 1.0
        for g in range(groups):
            before[g + 1] = before[g] * quiet[g]
        for g in range(groups - 1, -1, -1):
            after[g] = after[g + 1] * quiet[g]
        none[r] = before[groups]
        for g in range(groups):
            live = 0
            for j in range(starts[g], starts[g + 1]):
                live += not small[r, j]
            for j in range(starts[g], starts[g + 1]):
                # Two or more members of a correlated group that is active make no edge, and are left to the sum.
                alone = not small[r, j] and (not correlated or live == 1)
                single[r, j] = p[j] * before[g] * after[g + 1] if alone else 0.0


@compiled
def _times(x: float, y: float, u: float, v: float) -> tuple[float, float]:
    """(x + iy)(u + iv)."""
    return x * u - y * v, x * v + y * u


@compiled
def _over(x: float, y: float) -> tuple[float, float]:
    """1/(x + iy), without the guards of a complex division."""
    scale = 1 / (x * x + y * y)
    return x * scale, -y * scale


@compiled
def _exponentials(a: float, c: float, h: float, first: int, last: int, out: Array) -> None:
    """e^{a s} on the grid s_k = c + i h k, first <= k < last, by e^{a s_{k+m}} = e^{a s_k} e^{i a h m} with m doubling."""
    size = math.exp(a * c)
    real, imaginary = out[0], out[1]
    real[0], imaginary[0] = size * math.cos(a * h * first), size * math.sin(a * h * first)
    filled, count = 1, last - first
    x, y = math.cos(a * h), math.sin(a * h)
    while filled < count:
        width = min(filled, count - filled)
        more_real, more_imaginary = real[filled : filled + width], imaginary[filled : filled + width]
        for k in range(width):
            more_real[k], more_imaginary[k] = _times(real[k], imaginary[k], x, y)
        x, y = x * x - y * y, 2 * x * y
        filled += width


@compiled
def _powers(a: float, s: Array, over: Array, count: int, top: int, power: Array, out: Array) -> None:
    """out[r] = ∫ u^r e^{zu} du, r < top, at z = a s; power holds e^z."""
    inverse = 1 / a if a != 0 else 0.0
    lowest = out[0]
    for i in range(count):
        x, y = over[0, i] * inverse, over[1, i] * inverse
        lowest[0, i], lowest[1, i] = _times(power[0, i] - 1.0, power[1, i], x, y)
    for r in range(1, top):
        below, here = out[r - 1], out[r]
        for i in range(count):
            x, y = over[0, i] * inverse, over[1, i] * inverse
            here[0, i], here[1, i] = _times(power[0, i] - r * below[0, i], power[1, i] - r * below[1, i], x, y)
    # That loses digits where z is small, which is at the first nodes: |a s_k| grows with k. There the recursion is stable
    # downwards, ∫ u^{r-1} e^{zu} = (e^z - z ∫ u^r e^{zu}) / r, from a series for the highest power.
    near, reach = 0, (RADIUS[top - 1] * inverse) ** 2
    while near < count and (a == 0 or s[0, near] ** 2 + s[1, near] ** 2 < reach):
        near += 1
    if near == 0:
        return
    highest = out[top - 1]
    start, left = SERIES.shape[1] - 1, abs(a) * math.hypot(s[0, near - 1], s[1, near - 1])
    largest = left
    while left > 1e-17 and start > 0:
        start -= 1
        left *= largest / (SERIES.shape[1] - start)
    for i in range(near):
        highest[0, i], highest[1, i] = SERIES[top - 1, start], 0.0
    for k in range(start + 1, SERIES.shape[1]):
        term = SERIES[top - 1, k]
        for i in range(near):
            x, y = _times(highest[0, i], highest[1, i], a * s[0, i], a * s[1, i])
            highest[0, i], highest[1, i] = x + term, y
    for r in range(top - 1, 0, -1):
        above, here = out[r], out[r - 1]
        for i in range(near):
            x, y = _times(above[0, i], above[1, i], a * s[0, i], a * s[1, i])
            here[0, i], here[1, i] = (power[0, i] - x) / r, (power[1, i] - y) / r


@compiled
def _generating(a: float, nodes: Any, law: Any, orders: int, power: Array, out: Array) -> None:
    """out[k] = E V^k e^{zV}, k < orders, at z = a s for every node. `power` is room for e^z and ∫ u^r e^{zu} du."""
    atom, coefficients = law[2], law[3]
    s, over, tilt, h, first, last = nodes
    count, degree = last - first, len(coefficients)
    _exponentials(a, tilt, h, first, last, power[0])
    if degree == 1 and not atom:
        _powers(a, s, over, count, orders, power[0], out)
        return
    for k in range(orders):
        for i in range(count):
            out[k, 0, i] = power[0, 0, i] if atom else 0.0
            out[k, 1, i] = power[0, 1, i] if atom else 0.0
    if degree:
        _powers(a, s, over, count, degree + orders - 1, power[0], power[1:])
    for r in range(degree):
        for k in range(orders):
            for i in range(count):
                out[k, 0, i] += coefficients[r] * power[1 + r + k, 0, i]
                out[k, 1, i] += coefficients[r] * power[1 + r + k, 1, i]


@compiled
def _add(out: Array, scale: float, x: Array, count: int) -> None:
    """out += scale x."""
    for i in range(count):
        out[0, i] += scale * x[0, i]
        out[1, i] += scale * x[1, i]


@compiled
def _multiply(out: Array, x: Array, count: int) -> None:
    """out *= x."""
    for i in range(count):
        out[0, i], out[1, i] = _times(out[0, i], out[1, i], x[0, i], x[1, i])


@compiled
def _add_product(out: Array, x: Array, y: Array, count: int) -> None:
    """out += x y."""
    for i in range(count):
        u, v = _times(x[0, i], x[1, i], y[0, i], y[1, i])
        out[0, i] += u
        out[1, i] += v


@compiled
def _invert(out: Array, x: Array, count: int) -> None:
    """out = 1/x."""
    for i in range(count):
        out[0, i], out[1, i] = _over(x[0, i], x[1, i])


@compiled
def _fill(out: Array, value: float, count: int) -> None:
    """out = value."""
    for i in range(count):
        out[0, i], out[1, i] = value, 0.0


@compiled
def _factors(a: Array, p: Array, c: Array, g: int, nodes: Any, law: Any, room: Any) -> bool:
    """1/φ and φ of a group in E e^{s a·x}, and Σ_k c_k ∂φ/∂z_k if the group has a target: into `inverse`, `phi`, `marked`."""
    starts, correlated = law[0], law[1]
    power, values, phi, inverse, marked = room
    count = nodes[5] - nodes[4]
    begin, end = starts[g], starts[g + 1]
    has_target, quiet = False, 1.0
    for j in range(begin, end):
        has_target |= c[j] != 0
        quiet -= p[j]
    _fill(phi, 1.0 if correlated else quiet, count)
    if has_target:
        _fill(marked, 0.0, count)
    for j in range(begin, end):
        _generating(a[j], nodes, law, 2 if c[j] != 0 else 1, power, values)
        if correlated:
            _multiply(phi, values[0], count)
            if c[j] != 0:
                for i in range(count):
                    x, y = _over(values[0, 0, i], values[0, 1, i])
                    x, y = _times(x, y, values[1, 0, i], values[1, 1, i])
                    marked[0, i] += c[j] * x
                    marked[1, i] += c[j] * y
        else:
            _add(phi, p[j], values[0], count)
            if c[j] != 0:
                _add(marked, p[j] * c[j], values[1], count)
    if correlated:
        chance = p[begin]
        for i in range(count):
            phi[0, i], phi[1, i] = chance * phi[0, i], chance * phi[1, i]
        if has_target:
            _multiply(marked, phi, count)
        for i in range(count):
            phi[0, i] += 1 - chance
    if has_target:
        _invert(inverse, phi, count)
    return has_target


@compiled
def sums(rows: Any, q: float, law: Any, tolerance: Array, setup: Any, windows: Any, gradient: bool, found: Any) -> None:
    """The windowed sum over nodes for every row, nodes added until the estimate meets the tolerance; optionally its derivatives.

    windows: (counts, starts into the tables, widest, narrow, narrower, leads of the two). found: (value, estimate, d_slopes, d_offset,
    nodes); nodes stays 0 for a row whose tolerance is not met at the last count. Complex numbers are kept as (real, imaginary) rows,
    which is what lets the loops over nodes run several at a time.
    """
    slopes, offset, density, target, constant = rows
    starts = law[0]
    period, small, shift, none, single = setup
    counts, table, wide, narrow, narrower, lead, lead_narrower = windows
    value, estimate, d_slopes, d_offset, nodes = found
    # The odd width keeps the rows of the work arrays out of each other's cache lines.
    groups, most = len(starts) - 1, counts[-1] + 41
    # What the nodes so far have given, and room for the nodes of one stage.
    s, over, weight, product, mixed, reference, reference_mixed = np.empty((7, 2, most))
    term = np.empty(most)
    part_s, part_over, part_product, part_mixed, part_reference, part_mixed_reference = np.empty((6, 2, most))
    phi, inverse, marked, u, v, alpha, gamma = np.empty((7, 2, most))
    power, values = np.empty((len(law[3]) + 3, 2, most)), np.empty((3, 2, most))
    room = (power, values, phi, inverse, marked)
    for r in range(len(slopes)):
        a, p, c, c0 = slopes[r], density[r], target[r], constant[r]
        tilt, h = TILT / period[r], 2 * math.pi / period[r]
        first, met, at = 0, False, 0
        for stage in range(len(counts)):
            last, at = counts[stage], table[stage]
            count = last - first
            for i in range(count):
                part_s[0, i], part_s[1, i] = tilt, h * (first + i)
                part_over[0, i], part_over[1, i] = _over(part_s[0, i], part_s[1, i])
            _fill(part_product, 1.0, count)
            _fill(part_mixed, c0, count)
            _fill(part_reference, none[r], count)
            _fill(part_mixed_reference, c0 * none[r], count)
            part = (part_s, part_over, tilt, h, first, last)
            for g in range(groups):
                begin, end = starts[g], starts[g + 1]
                has_target = _factors(a, p, c, g, part, law, room)
                _multiply(part_product, phi, count)
                if has_target:
                    _add_product(part_mixed, marked, inverse, count)
                for j in range(begin, end):
                    if single[r, j] > 0:
                        if end - begin > 1:
                            _generating(a[j], part, law, 2 if c[j] != 0 else 1, power, values)
                        _add(part_reference, single[r, j], values[0], count)
                        if c0 != 0:
                            _add(part_mixed_reference, c0 * single[r, j], values[0], count)
                        if c[j] != 0:
                            _add(part_mixed_reference, c[j] * single[r, j], values[1], count)
            _exponentials(offset[r], tilt, h, first, last, u)
            _exponentials(shift[r], tilt, h, first, last, v)
            for i in range(count):
                k = first + i
                s[0, k], s[1, k], over[0, k], over[1, k] = part_s[0, i], part_s[1, i], part_over[0, i], part_over[1, i]
                # 2 e^{sβ}/s² and the step of the rule, over 2π and once for each of a node and its conjugate.
                x, y = _times(over[0, k], over[1, k], over[0, k], over[1, k])
                x, y = _times(x, y, u[0, i], u[1, i])
                weight[0, k], weight[1, k] = 2 * h / math.pi * x, 2 * h / math.pi * y
                x, y = v[0, i], v[1, i]
                reference[0, k], reference[1, k] = _times(part_reference[0, i], part_reference[1, i], x, y)
                e, f = _times(part_mixed_reference[0, i], part_mixed_reference[1, i], x, y)
                reference_mixed[0, k], reference_mixed[1, k] = e, f
                product[0, k], product[1, k] = part_product[0, i], part_product[1, i]
                mixed[0, k], mixed[1, k] = part_mixed[0, i], part_mixed[1, i]
                x, y = product[0, k] - reference[0, k], product[1, k] - reference[1, k]
                x, y = _times(x, y, q * over[0, k], q * over[1, k])
                g0, g1 = _times(product[0, k], product[1, k], mixed[0, k], mixed[1, k])
                term[k] = weight[0, k] * (x - g0 + e) - weight[1, k] * (y - g1 + f)
            sum_wide, sum_narrow, sum_narrower = 0.0, 0.0, 0.0
            for k in range(last):
                sum_wide += wide[at + k] * term[k]
                sum_narrow += narrow[at + k] * term[k]
                sum_narrower += narrower[at + k] * term[k]
            gap = max(abs(sum_wide - sum_narrow) / lead, abs(sum_wide - sum_narrower) / lead_narrower)
            value[r] = sum_wide
            # What the period leaves out is bounded by the tolerance behind it.
            estimate[r] = gap + tolerance[r] / 3
            first = last
            if estimate[r] <= tolerance[r]:
                met = True
                nodes[r] = last
                break
        if not (met and gradient):
            continue
        drift, slope_offset = 0.0, 0.0
        _exponentials(shift[r], tilt, h, 0, first, marked)
        for k in range(first):
            w0, w1 = wide[at + k] * weight[0, k], wide[at + k] * weight[1, k]
            # With w = window · law: u = w Φ (q - s R), v = -w s Φ, and the same of the reference law.
            x, y = _times(s[0, k], s[1, k], mixed[0, k], mixed[1, k])
            e, f = _times(w0, w1, product[0, k], product[1, k])
            u[0, k], u[1, k] = _times(e, f, q - x, -y)
            x, y = _times(e, f, s[0, k], s[1, k])
            v[0, k], v[1, k] = -x, -y
            e, f = _times(w0, w1, marked[0, k], marked[1, k])
            alpha[0, k], alpha[1, k] = _times(e, f, q - c0 * s[0, k], -c0 * s[1, k])
            x, y = _times(e, f, s[0, k], s[1, k])
            gamma[0, k], gamma[1, k] = -x, -y
            x, y = _times(w0, w1, s[0, k], s[1, k])
            pulled = q * (w0 * reference[0, k] - w1 * reference[1, k])
            pulled -= x * reference_mixed[0, k] - y * reference_mixed[1, k]
            drift += pulled
            slope_offset += u[0, k] - pulled
        d_offset[r] = slope_offset
        sides = (u, v, alpha, gamma)
        whole = (s, over, tilt, h, 0, first)
        for g in range(groups):
            if starts[g + 1] - starts[g] == 1:
                _feature_gradient(a, p, c, starts[g], whole, law, room, sides, single[r], d_slopes[r])
            else:
                _group_gradient(a, p, c, g, whole, law, room, sides, single[r], d_slopes[r])
            for j in range(starts[g], starts[g + 1]):
                if small[r, j]:
                    # Small entries move the reference law as a whole.
                    d_slopes[r, j] -= law[4] * p[j] * drift


@compiled
def _real_sum(x: Array, y: Array, count: int) -> float:
    """Re Σ x y."""
    total = 0.0
    for k in range(count):
        total += x[0, k] * y[0, k] - x[1, k] * y[1, k]
    return total


@compiled
def _reference_gradient(j: int, c: Array, single: Array, values: Array, sides: Any, last: int) -> float:
    """What the reference law contributes to the derivative of the sum in slope j."""
    total = 0.0
    if single[j] > 0:
        total = _real_sum(sides[2], values[1], last)
        if c[j] != 0:
            total += c[j] * _real_sum(sides[3], values[2], last)
    scaled: float = single[j] * total
    return scaled


@compiled
def _feature_gradient(
    a: Array, p: Array, c: Array, j: int, nodes: Any, law: Any, room: Any, sides: Any, single: Array, out: Array
) -> None:
    """Derivative of the sum in the slope of a feature that is a group by itself: Re Σ (u r + v ρ), r = p ψ'/φ, ρ = c (p ψ''/φ - r²)."""
    power, values = room[0], room[1]
    u, v, last = sides[0], sides[1], nodes[5]
    pj, cj = p[j], c[j]
    _generating(a[j], nodes, law, 3 if cj != 0 else 2, power, values)
    psi, slope, bend = values[0], values[1], values[2]
    total = 0.0
    if cj == 0:
        for k in range(last):
            x, y = _over(1 - pj + pj * psi[0, k], pj * psi[1, k])
            x, y = _times(x, y, slope[0, k], slope[1, k])
            total += u[0, k] * x - u[1, k] * y
        total *= pj
    else:
        for k in range(last):
            x, y = _over(1 - pj + pj * psi[0, k], pj * psi[1, k])
            bend_x, bend_y = _times(pj * x, pj * y, bend[0, k], bend[1, k])
            x, y = _times(pj * x, pj * y, slope[0, k], slope[1, k])
            square_x, square_y = _times(x, y, x, y)
            total += u[0, k] * x - u[1, k] * y
            total += cj * (v[0, k] * (bend_x - square_x) - v[1, k] * (bend_y - square_y))
    out[j] = total - _reference_gradient(j, c, single, values, sides, last)


@compiled
def _group_gradient(
    a: Array, p: Array, c: Array, g: int, nodes: Any, law: Any, room: Any, sides: Any, single: Array, out: Array
) -> None:
    """Derivatives of the sum in the slopes of one group: Re Σ (u r_j + v ρ_j), r_j = ∂_j φ/φ, ρ_j = Σ_k c_k ∂_k r_j."""
    starts, correlated = law[0], law[1]
    power, values, phi, inverse, marked = room
    u, v, last = sides[0], sides[1], nodes[5]
    has_target = _factors(a, p, c, g, nodes, law, room)
    chance = p[starts[g]]
    for k in range(last):
        # Σ_k c_k r_k, in place of its numerator.
        inverse[0, k], inverse[1, k] = _over(phi[0, k], phi[1, k])
        marked[0, k], marked[1, k] = _times(marked[0, k], marked[1, k], inverse[0, k], inverse[1, k])
    for j in range(starts[g], starts[g + 1]):
        _generating(a[j], nodes, law, 3 if has_target else 2, power, values)
        total = 0.0
        for k in range(last):
            x, y = inverse[0, k], inverse[1, k]
            if correlated:
                # p Π ψ / φ = 1 - (1 - p)/φ; the own factor enters as ψ'/ψ and ψ''/ψ.
                whole_x, whole_y = 1 - (1 - chance) * x, -(1 - chance) * y
                e, f = _over(values[0, 0, k], values[0, 1, k])
                own_x, own_y = _times(e, f, values[1, 0, k], values[1, 1, k])
                x, y = _times(own_x, own_y, whole_x, whole_y)
            else:
                x, y = _times(p[j] * x, p[j] * y, values[1, 0, k], values[1, 1, k])
            total += u[0, k] * x - u[1, k] * y
            if has_target:
                bend_x, bend_y = _times(x, y, marked[0, k], marked[1, k])
                if correlated:
                    # Σ_k c_k ∂_j ∂_k φ/φ: the other marks with ψ'_j/ψ_j, the own one with ψ''_j/ψ_j.
                    e, f = _times(e, f, values[2, 0, k], values[2, 1, k])
                    square_x, square_y = _times(own_x, own_y, own_x, own_y)
                    e, f = _times(whole_x, whole_y, c[j] * (e - square_x), c[j] * (f - square_y))
                    other_x, other_y = _times(own_x, own_y, marked[0, k], marked[1, k])
                    e, f = e + other_x, f + other_y
                else:
                    e, f = inverse[0, k], inverse[1, k]
                    e, f = _times(p[j] * c[j] * e, p[j] * c[j] * f, values[2, 0, k], values[2, 1, k])
                total += v[0, k] * (e - bend_x) - v[1, k] * (f - bend_y)
        out[j] = total - _reference_gradient(j, c, single, values, sides, last)


@compiled
def _one(a: float, b: float, law: Any, k: int, power: int) -> float:
    """E V^k (b + aV)₊^power, the zeroth power an indicator: a polynomial over the part of [0, 1] where b + au > 0."""
    atom, coefficients = law[2], law[3]
    total = 0.0
    if atom:
        if b + a > 0:
            total = (b + a) ** power
        return total
    low, high = 0.0, 1.0
    if b <= 0 and b + a <= 0:
        return 0.0
    if b < 0:
        low = -b / a
    elif b + a < 0:
        high = -b / a
    for i in range(len(GAUSS_X)):
        u = low + (high - low) * GAUSS_X[i]
        density = 0.0
        for r in range(len(coefficients) - 1, -1, -1):
            density = density * u + coefficients[r]
        total += GAUSS_W[i] * (high - low) * density * u**k * max(b + a * u, 0.0) ** power
    return total


@compiled
def close(rows: Any, q: float, law: Any, setup: Any, gradient: bool, found: Any) -> None:
    """Add the closed forms to the sums: the reference law's own F, less the aliases of the law without the reference law."""
    slopes, offset, density, target, constant = rows
    starts, correlated, _, _, mu, mu2 = law
    period, small, shift, none, single = setup
    value, _, d_slopes, d_offset, _ = found
    n = slopes.shape[1]
    tail = math.exp(-TILT)
    for r in range(len(slopes)):
        a, p, c, c0 = slopes[r], density[r], target[r], constant[r]
        b = offset[r] + shift[r]
        s0 = tail / (1 - tail)
        s1 = period[r] * tail / (1 - tail) ** 2
        s2 = period[r] ** 2 * tail * (1 + tail) / (1 - tail) ** 3
        mean, mean_target, variance, covariance = offset[r], c0, 0.0, 0.0
        for g in range(len(starts) - 1):
            sum_a, sum_c, sum_aa, sum_ac = 0.0, 0.0, 0.0, 0.0
            for j in range(starts[g], starts[g + 1]):
                sum_a += p[j] * a[j]
                sum_c += p[j] * c[j]
                sum_aa += p[j] * a[j] * a[j]
                sum_ac += p[j] * a[j] * c[j]
            mean += mu * sum_a
            mean_target += mu * sum_c
            if correlated:
                # All active together: p V_j V_k has mean p (E V)² off the diagonal.
                p0 = p[starts[g]]
                variance += mu * mu * sum_a * sum_a * (1 / p0 - 1) + (mu2 - mu * mu) * sum_aa
                covariance += mu * mu * sum_a * sum_c * (1 / p0 - 1) + (mu2 - mu * mu) * sum_ac
            else:
                variance += mu2 * sum_aa - (mu * sum_a) ** 2
                covariance += mu2 * sum_ac - mu * mu * sum_a * sum_c
        mass, first, second = none[r], none[r] * b, none[r] * b * b
        target_mass, target_first = c0 * none[r], c0 * none[r] * b
        pull = none[r] * (2 * q * max(b, 0.0) - (2 * c0 if b > 0 else 0.0))
        own = none[r] * (q * max(b, 0.0) ** 2 - 2 * c0 * max(b, 0.0))
        for j in range(n):
            w = single[r, j]
            if w <= 0:
                continue
            mass += w
            first += w * (b + a[j] * mu)
            second += w * (b * b + 2 * b * a[j] * mu + a[j] ** 2 * mu2)
            target_mass += w * (c0 + c[j] * mu)
            target_first += w * (c0 * (b + a[j] * mu) + c[j] * (b * mu + a[j] * mu2))
            own += w * (q * _one(a[j], b, law, 0, 2) - 2 * c0 * _one(a[j], b, law, 0, 1))
            if c[j] != 0:
                own -= w * 2 * c[j] * _one(a[j], b, law, 1, 1)
            if gradient:
                pull += w * (2 * q * _one(a[j], b, law, 0, 1) - 2 * c0 * _one(a[j], b, law, 0, 0))
                if c[j] != 0:
                    pull -= w * 2 * c[j] * _one(a[j], b, law, 1, 0)
        alias = q * (s0 * (mean * mean + variance - second) + 2 * s1 * (mean - first) + s2 * (1 - mass))
        alias -= 2 * (s0 * (mean * mean_target + covariance - target_first) + s1 * (mean_target - target_mass))
        value[r] += own - alias
        if not gradient:
            continue
        alias_pull = q * (2 * s0 * first + 2 * s1 * mass) - 2 * s0 * target_mass
        d_offset[r] += pull - (q * (2 * s0 * mean + 2 * s1) - 2 * s0 * mean_target - alias_pull)
        for g in range(len(starts) - 1):
            sum_a, sum_c = 0.0, 0.0
            for j in range(starts[g], starts[g + 1]):
                sum_a += p[j] * a[j]
                sum_c += p[j] * c[j]
            for j in range(starts[g], starts[g + 1]):
                if correlated:
                    # p E V_j S given the group: p Σ a = sum_a as the density is one.
                    half = mu * mu * sum_a * (1 - p[j]) + (mu2 - mu * mu) * p[j] * a[j]
                    lean = mu * mu * sum_c * (1 - p[j]) + (mu2 - mu * mu) * p[j] * c[j]
                else:
                    half = mu2 * p[j] * a[j] - mu * mu * p[j] * sum_a
                    lean = mu2 * p[j] * c[j] - mu * mu * p[j] * sum_c
                m = mu * p[j]
                change = q * (2 * s0 * (mean * m + half) + 2 * s1 * m) - 2 * s0 * (mean_target * m + lean)
                if small[r, j]:
                    change -= m * alias_pull
                    d_slopes[r, j] += m * pull
                elif single[r, j] > 0:
                    w = single[r, j]
                    change -= w * (q * (2 * s0 * (b * mu + a[j] * mu2) + 2 * s1 * mu) - 2 * s0 * (c0 * mu + c[j] * mu2))
                    d_slopes[r, j] += w * (2 * q * _one(a[j], b, law, 1, 1) - 2 * c0 * _one(a[j], b, law, 1, 0))
                    if c[j] != 0:
                        d_slopes[r, j] -= w * 2 * c[j] * _one(a[j], b, law, 2, 0)
                d_slopes[r, j] -= change
