"""Compiled loops of the contour sums: what each row needs before the sum, the sum over nodes, and the closed forms beside it.

The formulas are those of `_contour`; everything here is per row and in plain loops, so that memory grows with the number of
nodes only and no temporaries are made. One file on purpose: the cache of compiled code follows changes of the caller's file only.
`law` is packed as (starts of the groups, correlated?, atom, coefficients c_r, E V, E V²).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import ndarray as Array

from ._compiled import compiler

# c P: balances the growth e^{cP} of the integrand against the weight e^{-cP} of the aliases.
TILT = 2.0
# Below RADIUS[r] the recursion for ∫ u^r e^{zu} du loses digits in |z|, and the Taylor series Σ_k z^k / (k! (k + r + 1)) takes over;
# its coefficients from the highest down.
RADIUS = np.array([0.15, 0.3, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5])
SERIES = np.array([[1 / (math.factorial(k) * (k + r + 1)) for k in range(28, -1, -1)] for r in range(len(RADIUS))])
# Variance, in tolerances, of the entries that the reference law holds at their mean.
SMALL = 3.0
# Entries below this fraction of a row's largest are a cloud if the kink lies among what they alone add up to.
TINY = 0.01
# From this many inverse frequencies on, a width is seen by every window, and what lies at this distance by none.
RESOLVED, FAR = 12.0, 60.0
# Gauss-Legendre on [0, 1], exact for every polynomial that one feature's moments need.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(6)
GAUSS_X, GAUSS_W = (1 + _NODES) / 2, _WEIGHTS / 2

compiled = compiler(nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})


@compiled
def _cumulant(a: Array, p: Array, beta: float, theta: float, law: Any) -> float:
    """log E e^{θ y}, or for Beta values an upper bound by the chord, E e^{zV} <= 1 + (e^z - 1) E V; infinite where it overflows."""
    starts, correlated, atom, coefficients, mean, _ = law
    total = theta * beta
    for g in range(len(starts) - 1):
        # Sums of positive terms: a difference from 1 would lose e^{-40}, which counts beside the e^{40} of another group.
        active, inside, quiet = 0.0, 0.0, 1.0
        for j in range(starts[g], starts[g + 1]):
            z = a[j] * theta
            if z > 300:
                return math.inf
            if atom:
                factor = math.exp(z)
            elif len(coefficients) == 1:
                factor = 1 + z / 2 if abs(z) < 1e-8 else math.expm1(z) / z
            else:
                factor = 1 - mean + mean * math.exp(z)
            if correlated:
                active += math.log(factor)
                quiet = 1 - p[j]
            else:
                inside += p[j] * factor
                quiet -= p[j]
        if correlated:
            if active > 600:
                return math.inf
            inside = p[starts[g]] * math.exp(active)
        total += math.log(max(max(quiet, 0.0) + inside, 1e-300))
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
def _mark_cloud(
    a: Array, p: Array, beta: float, law: Any, small: Array, thin: Array, bare: Array
) -> tuple[float, float]:
    """Take the entries far below the largest for small, and bound what y = β + Σ_small a_j x_j does beyond the kink: E|y| and E y²
    there, given that no other entry is active (Chernoff: t₊^k <= (k/(eθ))^k e^{θt}); zeros if it stays on one side."""
    most = np.abs(a).max()
    low, high, first, second = beta, beta, 0.0, 0.0
    for j in range(len(a)):
        small[j] = abs(a[j]) < TINY * most
        bare[j] = a[j] if small[j] else 0.0
        low += min(bare[j], 0.0)
        high += max(bare[j], 0.0)
    if not low < 0 < high:
        return 0.0, 0.0
    cloud_density(p, small, law, thin)
    # Without β, which only holds y back; then the better of that and Chernoff's bound.
    for j in range(len(a)):
        first += law[4] * thin[j] * abs(bare[j])
        second += law[5] * thin[j] * bare[j] ** 2
    second += first**2
    sign = 1.0 if beta < 0 else -1.0
    scale = math.sqrt(second) + np.abs(bare).max() + 1e-300
    for k in range(20):
        theta = 0.2 * 1.5**k / scale
        mass = _cumulant(bare, thin, beta, sign * theta, law)
        if mass < 300:
            first = min(first, math.exp(mass - 1) / theta)
            second = min(second, math.exp(mass - 2) * 4 / theta**2)
    return first, second


@compiled
def cloud_density(p: Array, small: Array, law: Any, out: Array) -> None:
    """Densities of the small entries given that no other one is active; the others get 0."""
    starts, correlated = law[0], law[1]
    for g in range(len(starts) - 1):
        large = 0.0
        for j in range(starts[g], starts[g + 1]):
            if not small[j]:
                large = p[j] if correlated else large + p[j]
        for j in range(starts[g], starts[g + 1]):
            kept = small[j] and (not correlated or large == 0) and large < 1
            out[j] = (p[j] if correlated else p[j] / (1 - large)) if kept else 0.0


@compiled
def prepare(rows: Any, law: Any, tolerance: Array, setup: Any) -> None:
    """Fill the arrays of `_contour.Setup`: period, small, shift, none, single, lean, cloud, width, rough."""
    slopes, offset, density, target, constant = rows
    starts, correlated, _, _, mean, square = law
    period, small, shift, none, single, lean, cloud, width, rough = setup
    n = slopes.shape[1]
    groups = len(starts) - 1
    quiet, before, after = np.empty(groups), np.empty(groups + 1), np.empty(groups + 1)
    thin, bare = np.empty((2, n))
    for r in range(len(slopes)):
        a, p, c = slopes[r], density[r], target[r]
        size = abs(constant[r]) + 1.0
        for j in range(n):
            size += abs(c[j])
        period[r] = _period(a, p, offset[r], tolerance[r] / size, law)
        share = (square * p - (mean * p) ** 2) * a**2
        first, second = _mark_cloud(a, p, offset[r], law, small[r], thin, bare)
        # The target while no large entry is active, and the chance of that.
        chance, weight = 1.0, abs(constant[r])
        for g in range(groups):
            large = 0.0
            for j in range(starts[g], starts[g + 1]):
                if small[r, j]:
                    weight += mean * abs(c[j])
                else:
                    large = p[j] if correlated else large + p[j]
            chance *= max(1 - large, 0.0)
        cloud[r] = chance * (weight * first + second) > tolerance[r] / 20
        width[r] = math.sqrt((share * small[r]).sum())
        if not cloud[r]:
            # Entries that together change nothing of the order of the tolerance, the smallest first.
            total = 0.0
            for j in np.argsort(share):
                total += share[j]
                small[r, j] = total <= SMALL * tolerance[r] / size and c[j] == 0
        cloud_density(p, small[r], law, thin)
        shift[r] = mean * (thin * a).sum()
        for g in range(groups):
            live, chance = 0, 0.0
            for j in range(starts[g], starts[g + 1]):
                if not small[r, j]:
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
            live, rest = 0, 0.0
            for j in range(starts[g], starts[g + 1]):
                live += not small[r, j]
                if small[r, j]:
                    rest += mean * ((1.0 if correlated else 0.0) - thin[j]) * a[j]
            for j in range(starts[g], starts[g + 1]):
                # Two or more members of a correlated group that is active make no edge, and are left to the sum.
                alone = not small[r, j] and (not correlated or live == 1)
                single[r, j] = p[j] * before[g] * after[g + 1] if alone else 0.0
                lean[r, j] = rest if alone else 0.0
        # What the small entries do to an edge or atom at the kink, where one large entry is active: E ReLU(y) there changes by half
        # their variance times the density, E x_j ReLU(y) and E ReLU(y)² by the third order, as x_j and ReLU(y) are small as well.
        rough[r] = 0.0
        for j in range(n):
            if cloud[r] and single[r, j] > 0:
                if law[2]:
                    rough[r] += single[r, j] * (weight + abs(c[j]) + width[r]) * width[r]
                else:
                    third = (1 + abs(c[j] / a[j])) * width[r]
                    rough[r] += single[r, j] / abs(a[j]) * (weight / 2 + third) * width[r] ** 2


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
    period, small, shift, none, single, lean, cloud, width, rough = setup
    counts, table, wide, narrow, narrower, lead, lead_narrower = windows
    value, estimate, d_slopes, d_offset, nodes = found
    # The odd width keeps the rows of the work arrays out of each other's cache lines.
    groups, most = len(starts) - 1, counts[-1] + 41
    # What the nodes so far have given, and room for the nodes of one stage.
    s, over, weight, product, mixed, reference, reference_mixed, cloudy, cloudy_mixed = np.empty((9, 2, most))
    term = np.empty(most)
    part_s, part_over, part_product, part_mixed, part_reference, part_mixed_reference = np.empty((6, 2, most))
    part_cloudy, part_cloudy_mixed = np.empty((2, 2, most))
    phi, inverse, marked, u, v, alpha, gamma = np.empty((7, 2, most))
    power, values = np.empty((len(law[3]) + 3, 2, most)), np.empty((3, 2, most))
    room = (power, values, phi, inverse, marked)
    thin, scratch, nothing = np.zeros((3, slopes.shape[1]))
    pulls = np.zeros(groups)
    for r in range(len(slopes)):
        a, p, c, c0 = slopes[r], density[r], target[r], constant[r]
        cloud_density(p, small[r], law, thin)
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
            _fill(part_reference, 0.0 if cloud[r] else none[r], count)
            _fill(part_mixed_reference, 0.0 if cloud[r] else c0 * none[r], count)
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
                            _lean(lean[r, j], part, values, 2 if c[j] != 0 else 1, power[0])
                        level = _level(c, c0, g, small[r], thin, law) if cloud[r] else c0
                        _add(part_reference, single[r, j], values[0], count)
                        if level != 0:
                            _add(part_mixed_reference, level * single[r, j], values[0], count)
                        if c[j] != 0:
                            _add(part_mixed_reference, c[j] * single[r, j], values[1], count)
            if cloud[r]:
                _fill(part_cloudy, none[r], count)
                _fill(part_cloudy_mixed, c0, count)
                for g in range(groups):
                    has_target = _factors(a, thin, c, g, part, law, room)
                    _multiply(part_cloudy, phi, count)
                    if has_target:
                        _add_product(part_cloudy_mixed, marked, inverse, count)
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
                if cloud[r]:
                    cloudy[0, k], cloudy[1, k] = part_cloudy[0, i], part_cloudy[1, i]
                    cloudy_mixed[0, k], cloudy_mixed[1, k] = part_cloudy_mixed[0, i], part_cloudy_mixed[1, i]
                    reference[0, k] += cloudy[0, k]
                    reference[1, k] += cloudy[1, k]
                    x, y = _times(cloudy[0, k], cloudy[1, k], cloudy_mixed[0, k], cloudy_mixed[1, k])
                    e, f = e + x, f + y
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
            # What the period leaves out is bounded by the tolerance behind it; the cloud is given a quarter.
            estimate[r] = gap + tolerance[r] / 3 + (tolerance[r] / 4 if cloud[r] else 0.0)
            # Below these frequencies no window sees how the small entries blur what lies at the kink.
            if h * last * width[r] < RESOLVED and h * last * abs(offset[r] + shift[r]) < FAR:
                estimate[r] += rough[r]
            first = last
            if estimate[r] <= tolerance[r]:
                met = True
                nodes[r] = last
                break
        if not (met and gradient):
            continue
        drift = 0.0
        # From here on the weight has the window in it: w.
        _exponentials(shift[r], tilt, h, 0, first, marked)
        for k in range(first):
            weight[0, k], weight[1, k] = wide[at + k] * weight[0, k], wide[at + k] * weight[1, k]
            w0, w1 = weight[0, k], weight[1, k]
            e, f = _times(w0, w1, marked[0, k], marked[1, k])
            alpha[0, k], alpha[1, k] = q * e, q * f
            x, y = _times(e, f, s[0, k], s[1, k])
            gamma[0, k], gamma[1, k] = -x, -y
            x, y = _times(w0, w1, s[0, k], s[1, k])
            pulled = q * (w0 * reference[0, k] - w1 * reference[1, k])
            pulled -= x * reference_mixed[0, k] - y * reference_mixed[1, k]
            drift += pulled
        _sides(weight, s, product, mixed, q, first, u, v)
        d_offset[r] = u[0, :first].sum() - drift
        sides = (u, v, alpha, gamma)
        whole = (s, over, tilt, h, 0, first)
        for g in range(groups):
            level = _level(c, c0, g, small[r], thin, law) if cloud[r] else c0
            reference_of = (single[r], lean[r], level)
            pulls[g] = _slopes(a, p, c, g, whole, law, room, sides, reference_of, d_slopes[r])
        if cloud[r]:
            # The cloud is moved by its own entries, not by their mean: the same derivatives with its law in place of the whole.
            _sides(weight, s, cloudy, cloudy_mixed, q, first, u, v)
            drift -= u[0, :first].sum()
            for g in range(groups):
                _slopes(a, thin, c, g, whole, law, room, sides, (nothing, nothing, 0.0), scratch)
            d_slopes[r] -= scratch
        for g in range(groups):
            for j in range(starts[g], starts[g + 1]):
                if small[r, j]:
                    # Small entries move the reference law by their mean, which in their own group depends on its state.
                    moved = thin[j] * (drift - pulls[g]) + (pulls[g] if law[1] else 0.0)
                    d_slopes[r, j] -= law[4] * moved


@compiled
def _sides(w: Array, s: Array, product: Array, mixed: Array, q: float, count: int, u: Array, v: Array) -> None:
    """u = w Φ (q - s R) and v = -w s Φ of a law with product Φ and mean target R."""
    for k in range(count):
        x, y = _times(s[0, k], s[1, k], mixed[0, k], mixed[1, k])
        e, f = _times(w[0, k], w[1, k], product[0, k], product[1, k])
        u[0, k], u[1, k] = _times(e, f, q - x, -y)
        x, y = _times(e, f, s[0, k], s[1, k])
        v[0, k], v[1, k] = -x, -y


@compiled
def _slopes(
    a: Array, p: Array, c: Array, g: int, nodes: Any, law: Any, room: Any, sides: Any, reference: Any, out: Array
) -> float:
    """Derivatives of the sum in the slopes of one group; returned is that in the shift of its part of the reference law.

    A feature by itself shares its group with no small entry, and its part is not asked for.
    """
    if law[0][g + 1] - law[0][g] == 1:
        _feature_gradient(a, p, c, law[0][g], nodes, law, room, sides, reference, out)
        return 0.0
    return _group_gradient(a, p, c, g, nodes, law, room, sides, reference, out)


@compiled
def _real_sum(x: Array, y: Array, count: int) -> float:
    """Re Σ x y."""
    total = 0.0
    for k in range(count):
        total += x[0, k] * y[0, k] - x[1, k] * y[1, k]
    return total


@compiled
def _lean(lean: float, nodes: Any, values: Array, orders: int, room: Array) -> None:
    """values *= e^{s lean}."""
    if lean != 0:
        _, _, tilt, h, first, last = nodes
        _exponentials(lean, tilt, h, first, last, room)
        for k in range(orders):
            _multiply(values[k], room, last - first)


@compiled
def _level(c: Array, c0: float, g: int, small: Array, thin: Array, law: Any) -> float:
    """Mean of the target without its large entries, while one of these, in group g, is the only one active."""
    starts, correlated = law[0], law[1]
    total = c0
    for k in range(len(c)):
        if small[k] and c[k] != 0:
            inside = starts[g] <= k < starts[g + 1]
            total += c[k] * law[4] * ((1.0 if correlated else 0.0) if inside else thin[k])
    return total


@compiled
def _reference_gradient(
    j: int, c: Array, reference: Any, values: Array, sides: Any, nodes: Any, room: Array
) -> tuple[float, float]:
    """What the state of the reference law with only j active contributes to the derivatives in slope j and in the shift."""
    single, lean, level = reference
    if single[j] <= 0:
        return 0.0, 0.0
    last, alpha, gamma = nodes[5], sides[2], sides[3]
    _lean(lean[j], nodes, values, 3 if c[j] != 0 else 2, room)
    slope = _real_sum(alpha, values[1], last)
    pull = _real_sum(alpha, values[0], last)
    if level != 0:
        slope += level * _real_sum(gamma, values[1], last)
        pull += level * _real_sum(gamma, values[0], last)
    if c[j] != 0:
        slope += c[j] * _real_sum(gamma, values[2], last)
        pull += c[j] * _real_sum(gamma, values[1], last)
    return single[j] * slope, single[j] * pull


@compiled
def _feature_gradient(
    a: Array, p: Array, c: Array, j: int, nodes: Any, law: Any, room: Any, sides: Any, reference: Any, out: Array
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
    out[j] = total - _reference_gradient(j, c, reference, values, sides, nodes, power[0])[0]


@compiled
def _group_gradient(
    a: Array, p: Array, c: Array, g: int, nodes: Any, law: Any, room: Any, sides: Any, reference: Any, out: Array
) -> float:
    """Derivatives of the sum in the slopes of one group: Re Σ (u r_j + v ρ_j), r_j = ∂_j φ/φ, ρ_j = Σ_k c_k ∂_k r_j.

    Returned is the derivative in the shift of the group's part of the reference law.
    """
    starts, correlated = law[0], law[1]
    power, values, phi, inverse, marked = room
    u, v, last = sides[0], sides[1], nodes[5]
    has_target = _factors(a, p, c, g, nodes, law, room)
    chance, pull = p[starts[g]], 0.0
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
        slope, moved = _reference_gradient(j, c, reference, values, sides, nodes, power[0])
        out[j] = total - slope
        pull += moved
    return pull


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
def _moments(a: Array, p: Array, c: Array, c0: float, beta: float, law: Any) -> tuple[float, float, float, float]:
    """E y, E T, Var y and Cov(y, T)."""
    starts, correlated, _, _, mu, mu2 = law
    mean, mean_target, variance, covariance = beta, c0, 0.0, 0.0
    for g in range(len(starts) - 1):
        chance = p[starts[g]]
        sum_a, sum_c, sum_aa, sum_ac = 0.0, 0.0, 0.0, 0.0
        for j in range(starts[g], starts[g + 1]):
            # Correlated: sums of what is active together, to be weighted with the one density.
            weight = 1.0 if correlated else p[j]
            sum_a += weight * a[j]
            sum_c += weight * c[j]
            sum_aa += weight * a[j] * a[j]
            sum_ac += weight * a[j] * c[j]
        if correlated:
            mean += chance * mu * sum_a
            mean_target += chance * mu * sum_c
            variance += chance * (mu * mu * sum_a * sum_a * (1 - chance) + (mu2 - mu * mu) * sum_aa)
            covariance += chance * (mu * mu * sum_a * sum_c * (1 - chance) + (mu2 - mu * mu) * sum_ac)
        else:
            mean += mu * sum_a
            mean_target += mu * sum_c
            variance += mu2 * sum_aa - (mu * sum_a) ** 2
            covariance += mu2 * sum_ac - mu * mu * sum_a * sum_c
    return mean, mean_target, variance, covariance


@compiled
def _add_alias_slopes(
    a: Array,
    p: Array,
    c: Array,
    q: float,
    mean: float,
    mean_target: float,
    s0: float,
    s1: float,
    law: Any,
    scale: float,
    out: Array,
) -> None:
    """out += scale times the derivatives of the aliases of a law in its slopes."""
    starts, correlated, _, _, mu, mu2 = law
    for g in range(len(starts) - 1):
        sum_a, sum_c = 0.0, 0.0
        for j in range(starts[g], starts[g + 1]):
            weight = 1.0 if correlated else p[j]
            sum_a += weight * a[j]
            sum_c += weight * c[j]
        for j in range(starts[g], starts[g + 1]):
            if correlated:
                half = p[j] * (mu * mu * sum_a * (1 - p[j]) + (mu2 - mu * mu) * a[j])
                lean = p[j] * (mu * mu * sum_c * (1 - p[j]) + (mu2 - mu * mu) * c[j])
            else:
                half = p[j] * (mu2 * a[j] - mu * mu * sum_a)
                lean = p[j] * (mu2 * c[j] - mu * mu * sum_c)
            m = mu * p[j]
            change = q * (2 * s0 * (mean * m + half) + 2 * s1 * m) - 2 * s0 * (mean_target * m + lean)
            out[j] += scale * change


@compiled
def close(rows: Any, q: float, law: Any, setup: Any, gradient: bool, found: Any) -> None:
    """Add the closed forms to the sums: the reference law's own F, less the aliases of the law without the reference law.

    The own F of a cloud is not a closed form; `_contour` adds it.
    """
    slopes, offset, density, target, constant = rows
    starts, correlated, _, _, mu, mu2 = law
    period, small, shift, none, single, lean, cloud, _, _ = setup
    value, _, d_slopes, d_offset, _ = found
    tail = math.exp(-TILT)
    thin, moves = np.zeros(slopes.shape[1]), np.zeros(len(starts) - 1)
    for r in range(len(slopes)):
        a, p, c, c0 = slopes[r], density[r], target[r], constant[r]
        b = offset[r] + shift[r]
        s0 = tail / (1 - tail)
        s1 = period[r] * tail / (1 - tail) ** 2
        s2 = period[r] ** 2 * tail * (1 + tail) / (1 - tail) ** 3
        mean, mean_target, variance, covariance = _moments(a, p, c, c0, offset[r], law)
        own, pull = 0.0, 0.0
        around, around_target = b, c0
        second, target_first = none[r] * b * b, none[r] * c0 * b
        cloud_density(p, small[r], law, thin)
        if cloud[r]:
            around, around_target, spread, tie = _moments(a, thin, c, c0, offset[r], law)
            second = none[r] * (around**2 + spread)
            target_first = none[r] * (around * around_target + tie)
        else:
            own = none[r] * (q * max(b, 0.0) ** 2 - 2 * c0 * max(b, 0.0))
            pull = none[r] * (2 * q * max(b, 0.0) - (2 * c0 if b > 0 else 0.0))
        mass, first, target_mass = none[r], none[r] * around, none[r] * around_target
        # What moves with the shift: all but the cloud, and of that each group's part.
        moved = 0.0 if cloud[r] else pull + q * (2 * s0 * first + 2 * s1 * mass) - 2 * s0 * target_mass
        for g in range(len(starts) - 1):
            moves[g] = 0.0
            level = _level(c, c0, g, small[r], thin, law) if cloud[r] else c0
            for j in range(starts[g], starts[g + 1]):
                w, e = single[r, j], b + lean[r, j]
                if w <= 0:
                    continue
                here = e + a[j] * mu
                mass += w
                first += w * here
                target_mass += w * (level + c[j] * mu)
                second += w * (e * e + 2 * e * a[j] * mu + a[j] ** 2 * mu2)
                target_first += w * (level * here + c[j] * (e * mu + a[j] * mu2))
                own += w * (q * _one(a[j], e, law, 0, 2) - 2 * level * _one(a[j], e, law, 0, 1))
                if c[j] != 0:
                    own -= w * 2 * c[j] * _one(a[j], e, law, 1, 1)
                if gradient:
                    tug = 2 * q * _one(a[j], e, law, 0, 1) - 2 * level * _one(a[j], e, law, 0, 0)
                    if c[j] != 0:
                        tug -= 2 * c[j] * _one(a[j], e, law, 1, 0)
                    pull += w * tug
                    moves[g] += w * (tug + q * (2 * s0 * here + 2 * s1) - 2 * s0 * (level + c[j] * mu))
            moved += moves[g]
        alias = q * (s0 * (mean * mean + variance - second) + 2 * s1 * (mean - first) + s2 * (1 - mass))
        alias -= 2 * (s0 * (mean * mean_target + covariance - target_first) + s1 * (mean_target - target_mass))
        value[r] += own - alias
        if not gradient:
            continue
        alias_pull = q * (2 * s0 * first + 2 * s1 * mass) - 2 * s0 * target_mass
        d_offset[r] += pull - (q * (2 * s0 * mean + 2 * s1) - 2 * s0 * mean_target - alias_pull)
        _add_alias_slopes(a, p, c, q, mean, mean_target, s0, s1, law, -1.0, d_slopes[r])
        if cloud[r]:
            _add_alias_slopes(a, thin, c, q, around, around_target, s0, s1, law, none[r], d_slopes[r])
        for g in range(len(starts) - 1):
            level = _level(c, c0, g, small[r], thin, law) if cloud[r] else c0
            for j in range(starts[g], starts[g + 1]):
                w, e = single[r, j], b + lean[r, j]
                if small[r, j]:
                    d_slopes[r, j] += mu * (thin[j] * (moved - moves[g]) + (moves[g] if correlated else 0.0))
                elif w > 0:
                    change = q * (2 * s0 * (e * mu + a[j] * mu2) + 2 * s1 * mu) - 2 * s0 * (level * mu + c[j] * mu2)
                    change += 2 * q * _one(a[j], e, law, 1, 1) - 2 * level * _one(a[j], e, law, 1, 0)
                    if c[j] != 0:
                        change -= 2 * c[j] * _one(a[j], e, law, 2, 0)
                    d_slopes[r, j] += w * change
