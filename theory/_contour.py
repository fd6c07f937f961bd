"""Contour sums: rectified moments of one output of a toy model with any number of features, on a vertical line.

For y = β + a·x, E ReLU(y)² = (1/2πi) ∫ 2 s⁻³ E e^{s y} ds on Re s = c > 0, and E e^{s y} = e^{sβ} Π_j φ_j(a_j s) is a product.
The trapezoid rule of step h = 2π/P has errors of three kinds only.

* Alias. By Poisson summation the rule gives Σ_r e^{-crP} E ReLU(y + rP)². With |y| <= P the terms r < 0 vanish and those with r > 0
  are polynomial moments, known in closed form. P is the least bound that a Chernoff estimate gives for the tolerance.
* Truncation. A smooth window replaces the sharp end of the sum. What it neglects is local: only the law of y within a few dozen
  1/Ω of the kink matters, Ω the last frequency. The parts of the law with an atom or an edge there (no feature or one active)
  are taken out of the sum and added in closed form; entries of a too small to matter there are replaced by their mean.
* Rounding.

Nodes are added until narrower windows, which end at 0.7 and at half of the frequency, agree to the tolerance:
their differences are mostly errors of the narrower ones, several times that of the widest, whose sum is returned.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Complex, Float, Int
from numpy import ndarray as Array
from scipy.special import erfc

from ._checks import InputError
from ._rectified import rectified_moments

# c P: balances the growth e^{cP} of the integrand against the weight e^{-cP} of the aliases.
TILT = 2.0
FIRST_NODES, GROWTH, MOST_NODES = 64, 1.5, 1 << 15
# Complex numbers in one block of (rows, n, nodes); 1 MiB an array.
BLOCK = 1 << 16
# erfc((x - 1/2) STEEPNESS)/2 is 1 at x = 0 and 0 at x = 1 to rounding.
STEEPNESS = 11.8
# Windows that measure the error: the fraction of the frequency at which one ends, and by how much less accurate it counts.
NARROWER = ((0.7, 0.5), (0.5, 2.0))
# Below this |z| the quotients of (e^z - 1)/z lose digits and their Taylor series take over.
SERIES_RADIUS = 0.5
SERIES_TERMS = 14


@dataclass(frozen=True)
class RowProblems:
    """Outputs of a toy model: slopes a (rows, n), offset β, densities (rows, n), and which feature the output reproduces."""

    slopes: Float[Array, "rows n"]
    offset: Float[Array, " rows"]
    density: Float[Array, "rows n"]
    own: Int[Array, " rows"]

    def take(self, rows: Array) -> RowProblems:
        """A subset of the rows."""
        return RowProblems(self.slopes[rows], self.offset[rows], self.density[rows], self.own[rows])


@dataclass(frozen=True)
class RowErrors:
    """Per output: E (x_i - ReLU(y))², its estimated error, its derivatives in the slopes and the offset, and the nodes used."""

    value: Float[Array, " rows"]
    estimate: Float[Array, " rows"]
    d_slopes: Float[Array, "rows n"]
    d_offset: Float[Array, " rows"]
    nodes: Int[Array, " rows"]


def contour_errors(problems: RowProblems, tolerance: Float[Array, " rows"], gradient: bool) -> RowErrors:
    """E (x_i - ReLU(β + a·x))² for every row to its tolerance; derivatives (zero unless `gradient`) are those of the sum.

    Grade NUMERIC: the error is estimated, not proved. Raises InputError when a tolerance would need too many nodes.
    """
    rows, n = problems.slopes.shape
    value, estimate, d_offset = np.empty(rows), np.empty(rows), np.zeros(rows)
    d_slopes, nodes = np.zeros((rows, n)), np.zeros(rows, int)
    setup = _Setup.of(problems, tolerance)
    left, integrand = np.arange(rows), np.empty((rows, 0), complex)
    first, last = 0, FIRST_NODES
    while len(left):
        if last > MOST_NODES:
            raise InputError(
                f"atol asks for an error of {tolerance[left].min():.1e} in one output, but {MOST_NODES} contour nodes leave "
                f"{estimate[left].max():.1e}; ask for a larger atol"
            )
        # The grid does not change, so more nodes only add to the integrand.
        more = np.empty((len(left), last - first), complex)
        step = max(1, BLOCK // (n * (last - first)))
        for start in range(0, len(left), step):
            part = left[start : start + step]
            more[start : start + step] = _Transform(problems.take(part), setup.take(part), first, last).integrand()
        integrand = np.concatenate([integrand, more], axis=1)
        value[left], gap = _windowed(integrand)
        # What the period leaves out is bounded by the tolerance behind it.
        estimate[left] = gap + setup.neglected[left]
        nodes[left] = last
        rough = estimate[left] > tolerance[left]
        left, integrand = left[rough], integrand[rough]
        first, last = last, int(GROWTH * last)
    if gradient:
        for count in np.unique(nodes):
            same = np.flatnonzero(nodes == count)
            step = max(1, BLOCK // (n * int(count)))
            for start in range(0, len(same), step):
                part = same[start : start + step]
                transform = _Transform(problems.take(part), setup.take(part), 0, int(count))
                d_slopes[part], d_offset[part] = transform.gradient(_window(np.arange(count) / count))
    closed = [x - y for x, y in zip(_reference(problems, setup, gradient), _alias(problems, setup), strict=True)]
    value += problems.density[np.arange(rows), problems.own] / 3 + closed[0]
    if gradient:
        d_slopes += closed[1]
        d_offset += closed[2]
    return RowErrors(value, estimate, d_slopes, d_offset, nodes)


@dataclass(frozen=True)
class _Setup:
    """Per row: the period P, which entries are small, and the weights of the reference law.

    The reference law has every small entry at its mean and at most one of the others active: mass `none` at
    β' = β + shift, and `single[j]` times the uniform law on [β', β' + a_j]; `others[j]` is the probability that none but j is active.
    """

    neglected: Float[Array, " rows"]
    period: Float[Array, " rows"]
    small: Bool[Array, "rows n"]
    shift: Float[Array, " rows"]
    none: Float[Array, " rows"]
    others: Float[Array, "rows n"]
    single: Float[Array, "rows n"]

    @classmethod
    def of(cls, problems: RowProblems, tolerance: Float[Array, " rows"]) -> _Setup:
        a, p = problems.slopes, problems.density
        share = (p / 3 - p**2 / 4) * a**2
        order = np.argsort(share, axis=1, kind="stable")
        total = np.cumsum(np.take_along_axis(share, order, 1), axis=1)
        small = np.empty(a.shape, bool)
        np.put_along_axis(small, order, total <= tolerance[:, None] / 50, 1)
        small[np.arange(len(a)), problems.own] = False
        shift = np.where(small, p * a / 2, 0).sum(1)
        inactive = np.where(small, 1.0, 1 - p)
        ones = np.ones((len(a), 1))
        before = np.cumprod(np.concatenate([ones, inactive], 1), 1)
        after = np.cumprod(np.concatenate([ones, inactive[:, ::-1]], 1), 1)[:, ::-1]
        others = before[:, :-1] * after[:, 1:]
        single = np.where(small, 0.0, p * others)
        return cls(tolerance / 3, _period(problems, tolerance), small, shift, before[:, -1], others, single)

    def take(self, rows: Array) -> _Setup:
        return _Setup(*(getattr(self, field.name)[rows] for field in fields(self)))


def _period(problems: RowProblems, tolerance: Float[Array, " rows"]) -> Float[Array, " rows"]:
    """P with y in [-P, P] up to a probability that changes no moment by more than a quarter of the tolerance.

    ReLU(t)² <= (2/(eθ))² e^{θt} turns E e^{θ y} into a bound on what lies beyond P, the best of a range of θ > 0 for either sign of y.
    """
    a, p, beta = problems.slopes, problems.density, problems.offset
    sure = np.maximum(beta + np.maximum(a, 0).sum(1), -(beta + np.minimum(a, 0).sum(1)))
    scale = np.sqrt(((p / 3) * a**2).sum(1)) + 1e-3 * np.abs(a).max(1) + 1e-12
    best = np.full((2, len(a)), np.inf)
    for factor in np.geomspace(0.5, 60, 18):
        theta = factor / scale
        for k, sign in enumerate((1.0, -1.0)):
            generating = _cumulant(problems, sign * theta)
            reach = (generating + np.log(16 * (1 / theta + 1 / theta**2) / tolerance) + TILT) / theta
            best[k] = np.minimum(best[k], reach)
    # The aliases have their kinks at y = ±P, so no atom of the law may lie there; positive also when y is a constant zero.
    period: Float[Array, " rows"] = 1.25 * np.maximum(np.minimum(sure, best.max(0)), 1e-12)
    # A tolerance may allow rare values far beyond P, but e^{c y} must not make them outweigh everything else in the sum.
    for _ in range(80):
        wild = np.maximum(_cumulant(problems, TILT / period), _cumulant(problems, -TILT / period)) > TILT + 5
        if not wild.any():
            break
        period = np.where(wild, 1.5 * period, period)
    return period


def _cumulant(problems: RowProblems, theta: Float[Array, " rows"]) -> Float[Array, " rows"]:
    """log E e^{θ y}; infinite where a factor overflows."""
    a, p, beta = problems.slopes, problems.density, problems.offset
    z = a * theta[:, None]
    capped = np.minimum(z, 300.0)
    quotient = np.where(np.abs(z) < 1e-8, 1 + z / 2, np.expm1(capped) / np.where(z == 0, 1, capped))
    total: Float[Array, " rows"] = theta * beta + np.log1p(p * (quotient - 1)).sum(1)
    total[z.max(1) > 300] = np.inf
    return total


class _Transform:
    """The product Π_j φ_j and its companions at the nodes first <= k < last of every row, and what is summed over them."""

    def __init__(self, problems: RowProblems, setup: _Setup, first: int, last: int) -> None:
        a, p, own = problems.slopes, problems.density, problems.own
        self.row = row = np.arange(len(a))
        self.problems, self.setup = problems, setup
        own_p, others = p[row, own][:, None], setup.others[row, own][:, None]
        step = 2 * np.pi / setup.period
        s = TILT / setup.period[:, None] + 1j * step[:, None] * np.arange(first, last)
        self.over_s = 1 / s
        self.exponential = _exponentials(a, s, step)
        self.z, self.own_z = _Arguments(a, self.over_s), _Arguments(a[row, own], self.over_s)
        self.q0 = self.z.quotient(self.exponential, None, 0)
        self.phi = p[:, :, None] * self.q0
        self.phi += (1 - p)[:, :, None]
        self.product = self.phi.prod(1)
        self.shifted = np.exp(s * setup.shift[:, None])
        self.reference = (setup.none[:, None] + (setup.single[:, None] @ self.q0)[:, 0]) * self.shifted
        self.own_slope = own_p * self.own_z.quotient(self.exponential[row, own], self.q0[row, own], 1)
        self.without = self.product / self.phi[row, own]
        self.alone = others * self.shifted
        # 2 e^{sβ}/s² and the step of the rule, over 2π and once for each of a node and its conjugate.
        law = np.exp(s * problems.offset[:, None]) * (2 * step / np.pi)[:, None]
        self.law = law * self.over_s * self.over_s

    def integrand(self) -> Complex[Array, "rows nodes"]:
        """Integrand of E ReLU(y)² - 2 E x_i ReLU(y), the reference law taken out."""
        rest, mixed = self.product - self.reference, self.own_slope * (self.without - self.alone)
        total: Complex[Array, "rows nodes"] = self.law * (self.over_s * rest - mixed)
        return total

    def gradient(self, window: Float[Array, " nodes"]) -> tuple[Float[Array, "rows n"], Float[Array, " rows"]]:
        """Derivatives of the windowed sum of the integrand in the slopes and in the offset."""
        p, own, setup, row = self.problems.density, self.problems.own, self.setup, self.row
        own_p = p[row, own][:, None]
        weight = self.law * window
        weight[:, 0] /= 2
        q1 = self.z.quotient(self.exponential, self.q0, 1)
        own_ratio = q1[row, own] / self.phi[row, own]
        bend = own_p * self.own_z.quotient(self.exponential[row, own], q1[row, own], 2)
        # d/da_j brings down s ψ'(a_j s): the s turns 2/s³ into 2/s², and 2/s² into 2/s.
        steep = weight / self.over_s
        chain = weight * self.product - steep * self.own_slope * self.without
        d_slopes = p * ((q1 / self.phi) @ chain[:, :, None])[..., 0].real
        d_slopes -= setup.single * (q1 @ (weight * self.shifted)[:, :, None])[..., 0].real
        # Small entries move the reference law as a whole.
        drift = (weight * self.reference - steep * self.own_slope * self.alone).real.sum(1)
        d_slopes -= np.where(setup.small, p / 2, 0) * drift[:, None]
        # The own entry enters E x_i ReLU(y) through ψ'(a_i s), not through φ_i.
        own_term = own_p * self.own_slope * self.without * own_ratio - bend * (self.without - self.alone)
        d_slopes[row, own] += (steep * own_term).real.sum(1)
        rest, mixed = self.product - self.reference, self.own_slope * (self.without - self.alone)
        return d_slopes, (weight * rest - steep * mixed).real.sum(1)


def _windowed(integrand: Complex[Array, "rows nodes"]) -> tuple[Float[Array, " rows"], Float[Array, " rows"]]:
    """The sum over all nodes under the widest window, and how far narrower windows are from it."""
    count = integrand.shape[1]
    k = np.arange(count)
    sums = []
    for width in (1.0, *(width for width, _ in NARROWER)):
        window = _window(k / (width * count))
        window[0] /= 2
        sums.append((integrand @ window).real)
    gaps = [np.abs(sums[0] - one) / lead for one, (_, lead) in zip(sums[1:], NARROWER, strict=True)]
    return sums[0], np.maximum(*gaps)


def _alias(problems: RowProblems, setup: _Setup) -> tuple[Array, Array, Array]:
    """Σ_{r>=1} e^{-crP} E [(y + rP)² - 2 x_i (y + rP)] of the law less the reference law, and its derivatives."""
    a, p, beta, own = problems.slopes, problems.density, problems.offset, problems.own
    row = np.arange(len(a))
    single = setup.single
    own_p, own_a, alone = p[row, own], a[row, own], single[row, own]
    variance = p / 3 - p**2 / 4
    q = np.exp(-TILT)
    s0, s1, s2 = q / (1 - q), setup.period * q / (1 - q) ** 2, setup.period**2 * q * (1 + q) / (1 - q) ** 3
    none, b = setup.none, beta + setup.shift
    mean = beta + (p * a).sum(1) / 2
    square = mean**2 + (variance * a**2).sum(1)
    mass = none + single.sum(1)
    tilt = 2 * none * b + (single * (2 * b[:, None] + a)).sum(1)  # derivative of the reference's second moment in β'
    first = none * b + (single * (b[:, None] + a / 2)).sum(1)
    second = none * b**2 + (single * (b[:, None] ** 2 + b[:, None] * a + a**2 / 3)).sum(1)
    cross = own_p * mean / 2 + variance[row, own] * own_a - alone * (b / 2 + own_a / 3)
    value = s0 * (square - second) + 2 * s1 * (mean - first) + s2 * (1 - mass)
    value = value - 2 * (s0 * cross + s1 * (own_p - alone) / 2)

    moved = np.where(setup.small, p / 2 * tilt[:, None], single * (b[:, None] + 2 * a / 3))
    shifted = np.where(setup.small, p / 2 * mass[:, None], single / 2)
    d_slopes = s0 * (p * mean[:, None] + 2 * variance * a - moved) + 2 * s1[:, None] * (p / 2 - shifted)
    d_cross = own_p[:, None] * p / 4 - np.where(setup.small, p / 2 * alone[:, None] / 2, 0.0)
    d_cross[row, own] += variance[row, own] - alone / 3
    d_slopes -= 2 * s0 * d_cross
    d_offset = s0 * (2 * mean - tilt) + 2 * s1 * (1 - mass) - 2 * s0 * (own_p - alone) / 2
    return value, d_slopes, d_offset


def _reference(problems: RowProblems, setup: _Setup, gradient: bool) -> tuple[Array, Array, Array]:
    """E [ReLU(y)² - 2 x_i ReLU(y)] of the reference law in closed form, with derivatives in the slopes and in β."""
    a, own = problems.slopes, problems.own
    row = np.arange(len(a))
    single = setup.single
    alone = single[row, own]
    b = problems.offset + setup.shift
    plain = _uniform_moments(a, b, 0)
    slope_own = _uniform_moments(a[row, own][:, None], b, 1)[:, 0]
    value = setup.none * np.maximum(b, 0) ** 2 + 2 * (single * plain[..., 2]).sum(1) - 2 * alone * slope_own[:, 1]
    if not gradient:
        return value, np.zeros(1), np.zeros(1)
    tilt = 2 * setup.none * np.maximum(b, 0) + 2 * (single * plain[..., 1]).sum(1) - 2 * alone * slope_own[:, 0]
    d_slopes = (
        2 * single * _uniform_moments(a, b, 1)[..., 1] + np.where(setup.small, problems.density / 2, 0) * tilt[:, None]
    )
    d_slopes[row, own] -= 2 * alone * _uniform_moments(a[row, own][:, None], b, 2)[:, 0, 0]
    return value, d_slopes, tilt


def _uniform_moments(a: Float[Array, "rows j"], b: Float[Array, " rows"], mark: int) -> Float[Array, "rows j 3"]:
    """E u^mark (b + a u)₊^q / q! for u uniform on [0, 1], every entry a by itself."""
    flat = a.reshape(-1, 1)
    moments = rectified_moments(flat, np.repeat(b, a.shape[1]), np.ones_like(flat), np.array([[mark]]))
    return moments[:, 0].reshape(*a.shape, 3)


def _window(x: Float[Array, " nodes"]) -> Float[Array, " nodes"]:
    """Smooth step from 1 at 0 to 0 at 1, flat at both ends to rounding."""
    window: Float[Array, " nodes"] = erfc(STEEPNESS * (x - 0.5)) / 2
    return window


def _exponentials(
    a: Float[Array, "rows n"], s: Complex[Array, "rows nodes"], step: Float[Array, " rows"]
) -> Complex[Array, "rows n nodes"]:
    """e^{a s} on the grid s_k = c + i h k, by e^{a s_{k+m}} = e^{a s_k} e^{i a h m} with m doubling."""
    count = s.shape[1]
    out = np.empty((*a.shape, count), complex)
    out[..., 0] = np.exp(a * s[:, :1])
    filled = 1
    while filled < count:
        width = min(filled, count - filled)
        turn = np.exp(1j * a * (step[:, None] * filled))
        np.multiply(out[..., :width], turn[..., None], out=out[..., filled : filled + width])
        filled += width
    return out


class _Arguments:
    """z = a s for every slope and node, kept as 1/z and as the places where z is small."""

    def __init__(self, a: Float[Array, "*slopes"], over_s: Complex[Array, "rows nodes"]) -> None:
        over = over_s[:, None] if a.ndim == 2 else over_s
        a = a[..., None]
        over_a = np.where(a == 0, 0.0, 1 / np.where(a == 0, 1.0, a))
        self.inverse = over_a * over
        self.near = np.nonzero(np.abs(a) < SERIES_RADIUS * np.abs(over))
        shape = self.inverse.shape
        self.small = np.broadcast_to(a, shape)[self.near] / np.broadcast_to(over, shape)[self.near]

    def quotient(self, exponential: Array, previous: Array | None, order: int) -> Array:
        """ψ^(m)(z) = ∫ u^m e^{z u} du = (e^z - m ψ^(m-1)(z))/z, m = order; by its series where that would cancel."""
        out: Array = exponential - (1.0 if previous is None else order * previous)
        out *= self.inverse
        if len(self.small):
            total, term = np.zeros_like(self.small), np.ones_like(self.small)
            for k in range(SERIES_TERMS):
                total += term / (k + order + 1)
                term = term * self.small / (k + 1)
            out[self.near] = total
        return out
