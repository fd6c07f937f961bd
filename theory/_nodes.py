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
# Below this |z| the quotients of (e^z - 1)/z lose digits and their Taylor series take over; it grows with the power of u.
SERIES_RADIUS, RADIUS_PER_POWER = 0.5, 0.5
SERIES_TERMS = 14
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
            if len(coefficients) == 1 and not atom:
                excess = z / 2 if abs(z) < 1e-8 else math.expm1(z) / z - 1
            else:
                excess = mean * math.expm1(z)
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
            small[r, j] = total <= tolerance[r] / (50 * size) and c[j] == 0
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
def _exponentials(a: float, c: float, h: float, first: int, last: int, out: Array) -> None:
    """e^{a s} on the grid s_k = c + i h k, first <= k < last, by e^{a s_{k+m}} = e^{a s_k} e^{i a h m} with m doubling."""
    size = math.exp(a * c)
    angle = a * h * first
    out[0] = complex(size * math.cos(angle), size * math.sin(angle))
    filled, count = 1, last - first
    while filled < count:
        width = min(filled, count - filled)
        turn = complex(math.cos(a * h * filled), math.sin(a * h * filled))
        for k in range(width):
            out[filled + k] = out[k] * turn
        filled += width


@compiled
def _series(z: complex, power: int, terms: int) -> complex:
    """∫ u^power e^{zu} du for small z."""
    total, term = complex(0.0, 0.0), complex(1.0, 0.0)
    for k in range(terms):
        total += term * (1.0 / (k + power + 1))
        term *= z * (1.0 / (k + 1))
    return total


@compiled
def _generating(
    a: float, s: Array, over: Array, first: int, last: int, law: Any, orders: int, power: Array, out: Array
) -> None:
    """out[k] = E V^k e^{zV}, k < orders, at z = a s for the nodes first <= k < last. `power` is a buffer for e^z and ∫ u^r e^{zu} du."""
    atom, coefficients = law[2], law[3]
    count = last - first
    exponential, integral = power[0], power[1]
    c, h = s[0].real, (s[1] - s[0]).imag
    _exponentials(a, c, h, first, last, exponential)
    degree = len(coefficients)
    for k in range(orders):
        for i in range(count):
            out[k, i] = exponential[i] if atom else 0.0
    if degree == 0:
        return
    top = degree + orders - 1
    radius = SERIES_RADIUS + RADIUS_PER_POWER * max(top - 3, 0)
    terms = SERIES_TERMS + 5 * max(top - 3, 0)
    # |a s_k| grows with k, so the series is for the first nodes.
    near = 0
    while near < count and abs(a) * abs(s[first + near]) < radius:
        near += 1
    inverse = 1 / a if a != 0 else 0.0
    for r in range(top):
        if r == 0:
            for i in range(near, count):
                integral[i] = (exponential[i] - 1.0) * (over[first + i] * inverse)
        else:
            for i in range(near, count):
                integral[i] = (exponential[i] - r * integral[i]) * (over[first + i] * inverse)
        for i in range(near):
            integral[i] = _series(a * s[first + i], r, terms)
        for k in range(orders):
            if 0 <= r - k < degree and coefficients[r - k] != 0:
                weight = coefficients[r - k]
                for i in range(count):
                    out[k, i] += weight * integral[i]


@compiled
def _reciprocal(x: complex) -> complex:
    """1/x without the guards of a complex division."""
    scale = 1 / (x.real * x.real + x.imag * x.imag)
    return complex(x.real * scale, -x.imag * scale)


@compiled
def _factors(
    a: Array, p: Array, c: Array, g: int, s: Array, over: Array, first: int, last: int, law: Any, buffers: Any
) -> bool:
    """The factor φ of a group in E e^{s a·x}, and Σ_k c_k ∂φ/∂z_k if the group has a target; into the buffers phi and marked."""
    starts, correlated = law[0], law[1]
    power, values, phi, marked = buffers[:4]
    count = last - first
    begin, end = starts[g], starts[g + 1]
    has_target, quiet = False, 1.0
    for j in range(begin, end):
        has_target |= c[j] != 0
        quiet -= p[j]
    for i in range(count):
        phi[i] = 1.0 if correlated else quiet
        marked[i] = 0.0
    for j in range(begin, end):
        _generating(a[j], s, over, first, last, law, 2 if c[j] != 0 else 1, power, values)
        if correlated:
            for i in range(count):
                phi[i] *= values[0, i]
            if c[j] != 0:
                for i in range(count):
                    marked[i] += c[j] * values[1, i] * _reciprocal(values[0, i])
        else:
            for i in range(count):
                phi[i] += p[j] * values[0, i]
            if c[j] != 0:
                for i in range(count):
                    marked[i] += (p[j] * c[j]) * values[1, i]
    if correlated:
        chance = p[begin]
        for i in range(count):
            marked[i] *= chance * phi[i]
            phi[i] = 1 - chance + chance * phi[i]
    return has_target


@compiled
def sums(
    rows: Any, q: float, law: Any, tolerance: Array, setup: Any, windows: Any, gradient: bool, found: Any
) -> None:
    """The windowed sum over nodes for every row, nodes added until the estimate meets the tolerance; optionally its derivatives.

    windows: (counts, starts into the tables, widest, narrow, narrower, leads of the two). found: (value, estimate, d_slopes, d_offset,
    nodes); nodes stays 0 for a row whose tolerance is not met at the last count.
    """
    slopes, offset, density, target, constant = rows
    starts = law[0]
    period, small, shift, none, single = setup
    counts, table, wide, narrow, narrower, lead, lead_narrower = windows
    value, estimate, d_slopes, d_offset, nodes = found
    n, groups, most = slopes.shape[1], len(starts) - 1, counts[-1]
    complexes = np.empty((14, most), np.complex128)
    s, over, weight, product, mixed, reference, reference_mixed, moved = complexes[:8]
    power, values = np.empty((2, most), np.complex128), np.empty((3, most), np.complex128)
    phi, marked, u, v, alpha, gamma = complexes[8:]
    for r in range(len(slopes)):
        a, p, c, c0 = slopes[r], density[r], target[r], constant[r]
        h = 2 * math.pi / period[r]
        first = 0
        met = False
        for stage in range(len(counts)):
            last = counts[stage]
            if first == 0:
                # The first two nodes carry the spacing.
                s[0], s[1] = complex(TILT / period[r], 0.0), complex(TILT / period[r], h)
            for k in range(first, last):
                s[k] = complex(TILT / period[r], h * k)
                over[k] = _reciprocal(s[k])
                product[k], mixed[k] = 1.0, c0
                reference[k], reference_mixed[k] = none[r], c0 * none[r]
            for g in range(groups):
                begin, end = starts[g], starts[g + 1]
                has_target = _factors(a, p, c, g, s, over, first, last, law, (power, values, phi, marked))
                for i in range(last - first):
                    product[first + i] *= phi[i]
                if has_target:
                    for i in range(last - first):
                        mixed[first + i] += marked[i] * _reciprocal(phi[i])
                for j in range(begin, end):
                    if single[r, j] > 0:
                        if end - begin > 1:
                            _generating(a[j], s, over, first, last, law, 2 if c[j] != 0 else 1, power, values)
                        for i in range(last - first):
                            reference[first + i] += single[r, j] * values[0, i]
                        if c0 != 0:
                            for i in range(last - first):
                                reference_mixed[first + i] += (c0 * single[r, j]) * values[0, i]
                        if c[j] != 0:
                            for i in range(last - first):
                                reference_mixed[first + i] += (c[j] * single[r, j]) * values[1, i]
            # 2 e^{sβ}/s² and the step of the rule, over 2π and once for each of a node and its conjugate.
            _exponentials(offset[r], TILT / period[r], h, first, last, u)
            _exponentials(shift[r], TILT / period[r], h, first, last, v)
            for i in range(last - first):
                k = first + i
                weight[k] = (2 * h / math.pi) * u[i] * over[k] * over[k]
                moved[k] = v[i]
            sum_wide, sum_narrow, sum_narrower = 0.0, 0.0, 0.0
            at = table[stage]
            for k in range(last):
                rest = q * over[k] * (product[k] - reference[k] * moved[k])
                term = (weight[k] * (rest - (product[k] * mixed[k] - reference_mixed[k] * moved[k]))).real
                sum_wide += wide[at + k] * term
                sum_narrow += narrow[at + k] * term
                sum_narrower += narrower[at + k] * term
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
        for k in range(last):
            w = wide[at + k] * weight[k]
            u[k] = w * product[k] * (q - s[k] * mixed[k])
            v[k] = -w * s[k] * product[k]
            alpha[k] = w * moved[k] * (q - s[k] * c0)
            gamma[k] = -w * s[k] * moved[k]
            pulled = (w * moved[k] * (q * reference[k] - s[k] * reference_mixed[k])).real
            drift += pulled
            slope_offset += u[k].real - pulled
        d_offset[r] = slope_offset
        for g in range(groups):
            begin, end = starts[g], starts[g + 1]
            _group_gradient(
                a, p, c, g, s, over, last, law, (power, values, phi, marked, u, v, alpha, gamma), single[r], d_slopes[r]
            )
            for j in range(begin, end):
                if small[r, j]:
                    # Small entries move the reference law as a whole.
                    d_slopes[r, j] -= law[4] * p[j] * drift


@compiled
def _group_gradient(
    a: Array, p: Array, c: Array, g: int, s: Array, over: Array, last: int, law: Any, buffers: Any, single: Array, out: Array
) -> None:
    """Derivatives of the sum in the slopes of one group: Re Σ (u r_j + v ρ_j) less those of the reference law."""
    starts, correlated = law[0], law[1]
    power, values, phi, marked, u, v, alpha, gamma = buffers
    begin, end = starts[g], starts[g + 1]
    alone = end - begin == 1
    if alone:
        j = begin
        has_target = c[j] != 0
        _generating(a[j], s, over, 0, last, law, 3 if has_target else 2, power, values)
        for k in range(last):
            phi[k] = 1 - p[j] + p[j] * values[0, k]
        if has_target:
            for k in range(last):
                marked[k] = (p[j] * c[j]) * values[1, k]
    else:
        has_target = _factors(a, p, c, g, s, over, 0, last, law, (power, values, phi, marked))
    for k in range(last):
        phi[k] = _reciprocal(phi[k])
    for j in range(begin, end):
        if not alone:
            _generating(a[j], s, over, 0, last, law, 3 if has_target else 2, power, values)
        total = 0.0
        if not correlated or alone:
            if has_target:
                for k in range(last):
                    ratio = p[j] * values[1, k] * phi[k]
                    bend = (p[j] * c[j]) * values[2, k] * phi[k] - ratio * marked[k] * phi[k]
                    total += (u[k] * ratio + v[k] * bend).real
            else:
                for k in range(last):
                    total += (u[k] * (p[j] * values[1, k] * phi[k])).real
        else:
            chance = p[begin]
            for k in range(last):
                # With φ = 1 - p + p Π ψ, all that depends on the group follows from p Π ψ / φ = 1 - (1 - p)/φ.
                whole = 1 - (1 - chance) * phi[k]
                own = values[1, k] * _reciprocal(values[0, k])
                total += (u[k] * (whole * own)).real
                if has_target:
                    # marked φ⁻¹ = whole Σ c_k ψ'_k/ψ_k; without the own term, whose second derivative is ψ''/ψ.
                    sum_marks = marked[k] * phi[k]
                    bend = own * (sum_marks - whole * c[j] * own) - whole * own * sum_marks
                    bend += whole * (c[j] * values[2, k] * _reciprocal(values[0, k]))
                    total += (v[k] * bend).real
        if single[j] > 0:
            taken = 0.0
            for k in range(last):
                taken += (alpha[k] * values[1, k]).real
            if c[j] != 0:
                for k in range(last):
                    taken += (gamma[k] * (c[j] * values[2, k])).real
            total -= single[j] * taken
        out[j] = total


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
