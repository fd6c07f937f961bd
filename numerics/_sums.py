"""Contour sums in torch: the node sums of `tegum.theory` for many rows at once, on any device that has float64.

The formulas, nodes, windows and error estimate are those of the compiled loops, which take one row at a time; here an operation
is over (rows, n, nodes). What costs O(rows n) only, the setup of a row and the closed forms beside its sum, stays on the CPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import repeat
from math import pi
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Complex, Float, Int
from numpy import ndarray as Array
from torch import Tensor

from ..theory import _nodes
from ..theory._contour import Setup, check_met, contour_errors, in_pieces, packed_law, window_tables
from ..theory._law import Law
from ..theory._rows import RowErrors, RowProblems

# Bytes that the work arrays may take: on a CPU they should stay near the cache, on a GPU a block has to fill the device.
BUDGET = {"cpu": 1 << 26, "cuda": 1 << 31}
# Terms of `_nodes.SERIES` that count at its RADIUS: what is left is below 1e-17, or 1e-16 for the highest powers.
LEFT = np.cumprod(_nodes.RADIUS[:, None] / np.arange(1, _nodes.SERIES.shape[1]), axis=1)
TERMS = 1 + (LEFT > 1e-17).sum(1)


def torch_contour_errors(
    problems: RowProblems, tolerance: Float[Array, " rows"], gradient: bool, device: torch.device | str
) -> RowErrors:
    """`tegum.theory` contour sums with the sums over nodes in torch: F for every row to its tolerance.

    problems, tolerance (rows,): float64 numpy arrays, as are the results; `device`, that of the sums, needs float64 (so not mps).
    Derivatives, zero unless `gradient`, are those of the sum. Memory on the device: `BUDGET`, or one row, beyond the arguments.
    The numbers are those of the compiled loops but for rounding, about 1e-14.
    Grade NUMERIC: the error is estimated, not proved. Raises InputError when a tolerance would need too many nodes.

    Two independent features of density 1, y = x₁ - x₂ and T = x₁: F = E ReLU(y)² - 2 E x₁ ReLU(y) = 1/12 - 2/8.

    >>> from tegum.theory._law import independent
    >>> pair = RowProblems(np.array([[1.0, -1.0]]), np.zeros(1), np.ones((1, 2)), np.array([[1.0, 0]]), np.zeros(1), independent(2))
    >>> found = torch_contour_errors(pair, np.array([1e-11]), True, "cpu")
    >>> round(float(found.value[0]), 11), found.d_offset.round(6).tolist()
    (-0.16666666667, [-0.333333])
    """
    shape = problems.slopes.shape
    found, law, tolerance = RowErrors.empty(*shape), packed_law(problems), np.ascontiguousarray(tolerance)
    setup = Setup.empty(*shape)

    def prepare(part: slice) -> None:
        _nodes.prepare(_cut(problems.arrays(), part), law, tolerance[part], _cut(setup.arrays(), part))

    def close(part: slice) -> None:
        cut = (_cut(x.arrays(), part) for x in (problems, setup, found))
        _nodes.close(next(cut), problems.square, law, next(cut), gradient, next(cut))

    in_pieces(prepare, *shape)
    # Rows on two scales, and those with small entries beside large ones in a group, take more than this kernel knows.
    size = np.array(problems.law.sizes)
    few = np.add.reduceat(setup.small.astype(int), np.cumsum(size) - size, axis=1)
    special = setup.cloud | ((few > 0) & (few < size)).any(1)
    if special.any():
        for chosen, solve in ((special, contour_errors), (~special, partial(torch_contour_errors, device=device))):
            part = solve(problems.take(chosen), tolerance[chosen], gradient)
            for out, result in zip(found.arrays(), part.arrays(), strict=True):
                out[chosen] = result
        return found
    arrays = problems.arrays()
    # The features with a target come first in `marks`, of one length for all rows.
    most = int(np.count_nonzero(problems.target, axis=1).max(initial=0))
    marks = np.argsort(problems.target == 0, axis=1, kind="stable")[:, :most]
    known = (setup.period, setup.small, setup.shift, setup.none, setup.single)
    rows = _Rows(*(torch.tensor(x, device=device) for x in (*arrays, *known, tolerance, marks)))
    _sums(rows, _Groups.of(problems.law, rows.slopes.device), problems.square, gradient, found)
    in_pieces(close, *shape)
    check_met(found, tolerance)
    return found


def _cut(arrays: tuple[Array, ...], part: slice) -> tuple[Array, ...]:
    """A slice of the rows."""
    return tuple(x[part] for x in arrays)


class _Rows(NamedTuple):
    """What the sums need of each row: `RowProblems.arrays`, most of `Setup.arrays`, the tolerance, and the features with a target."""

    slopes: Float[Tensor, "rows n"]
    offset: Float[Tensor, " rows"]
    density: Float[Tensor, "rows n"]
    target: Float[Tensor, "rows n"]
    constant: Float[Tensor, " rows"]
    period: Float[Tensor, " rows"]
    small: Bool[Tensor, "rows n"]
    shift: Float[Tensor, " rows"]
    none: Float[Tensor, " rows"]
    single: Float[Tensor, "rows n"]
    tolerance: Float[Tensor, " rows"]
    marks: Int[Tensor, "rows marked"]

    def take(self, rows: Tensor) -> _Rows:
        """A subset of the rows."""
        return _Rows(*(x[rows] for x in self))

    def marked(self) -> tuple[Tensor, ...]:
        """Slopes, density, target and single of the features with a target, (rows, marked) each."""
        return tuple(x.gather(1, self.marks) for x in (self.slopes, self.density, self.target, self.single))


@dataclass(frozen=True)
class _Groups:
    """The law, and its groups as tensors: first feature and size of every group, and the group of every feature.

    A factor φ of the law has logarithmic derivatives r_j = s_j f ω_j, where f = 1/φ, ω_j = ψ'_j and s_j = p_j if at most one
    feature of the group is active, and f = p Π ψ / φ = 1 - (1 - p)/φ, ω_j = ψ'_j/ψ_j and s_j = 1 if all are active together.
    """

    law: Law
    correlated: bool
    first: Int[Tensor, " groups"]
    size: Int[Tensor, " groups"]
    of_feature: Int[Tensor, " n"]

    @classmethod
    def of(cls, law: Law, device: torch.device) -> _Groups:
        """The groups of a law."""
        size = torch.tensor(law.sizes, device=device)
        group = torch.repeat_interleave(torch.arange(len(size), device=device), size)
        return cls(law, law.kind == "correlated", size.cumsum(0) - size, size, group)

    def fold(self, x: Complex[Tensor, "rows n nodes"], *, times: bool = False) -> Complex[Tensor, "rows groups nodes"]:
        """Sums or products over each group; x itself where every feature is a group, so not to be changed in place."""
        if len(self.law.sizes) == x.shape[1]:
            return x
        out = x[:, self.first]
        for k in range(1, max(self.law.sizes)):
            larger = (self.size > k).nonzero()[:, 0]
            more = x[:, self.first[larger] + k]
            out[:, larger] = out[:, larger] * more if times else out[:, larger] + more
        return out

    def spread(self, x: Complex[Tensor, "rows groups nodes"]) -> Complex[Tensor, "rows n nodes"]:
        """The value of its group, for every feature."""
        return x if len(self.law.sizes) == len(self.of_feature) else x[:, self.of_feature]

    def factors(
        self, psi: Complex[Tensor, "rows n nodes"], density: Float[Tensor, "rows n"]
    ) -> Complex[Tensor, "rows groups nodes"]:
        """φ of every group."""
        if self.correlated:
            p = density[:, self.first, None]
            return self.fold(psi, times=True).mul(p).add_(1 - p)
        quiet = 1 - torch.zeros_like(density[:, self.first]).index_add_(1, self.of_feature, density)
        return self.fold(density[..., None] * psi).add_(quiet[..., None])

    def share(
        self, phi: Complex[Tensor, "rows some nodes"], p: Float[Tensor, "rows some"]
    ) -> Complex[Tensor, "rows some nodes"]:
        """f of groups with factors φ and densities p (of any of their features)."""
        inverse = 1 / phi
        return inverse.mul_(p[..., None] - 1).add_(1) if self.correlated else inverse

    def scale(self, density: Float[Tensor, "rows some"]) -> Float[Tensor, "rows some"]:
        """s of every feature."""
        return torch.ones_like(density) if self.correlated else density


class _Grid(NamedTuple):
    """Nodes s_k = tilt + i step k, first <= k < last, and 1/s."""

    tilt: Float[Tensor, " rows"]
    step: Float[Tensor, " rows"]
    first: int
    last: int
    s: Complex[Tensor, "rows nodes"]
    over: Complex[Tensor, "rows nodes"]

    @classmethod
    def of(cls, period: Float[Tensor, " rows"], first: int, last: int) -> _Grid:
        """The nodes of rows with these periods."""
        tilt, step = _nodes.TILT / period, 2 * pi / period
        k = torch.arange(first, last, device=period.device, dtype=torch.float64)
        s = torch.complex(tilt[:, None].expand(-1, last - first), step[:, None] * k)
        return cls(tilt, step, first, last, s, 1 / s)

    def exponentials(self, a: Float[Tensor, "rows some"]) -> Complex[Tensor, "rows some nodes"]:
        """e^{a s}, by e^{a s_{k+m}} = e^{a s_k} e^{i a step m} with m doubling: a product costs a tenth of an exponential."""
        count = self.last - self.first
        out = torch.empty(*a.shape, count, dtype=torch.complex128, device=a.device)
        angle = a * self.step[:, None]
        out[..., 0] = torch.polar((a * self.tilt[:, None]).exp(), angle * self.first)
        ahead, filled = torch.polar(torch.ones_like(a), angle)[..., None], 1
        while filled < count:
            width = min(filled, count - filled)
            torch.mul(out[..., :width], ahead, out=out[..., filled : filled + width])
            ahead, filled = ahead * ahead, filled + width
        return out

    def powers(self, a: Float[Tensor, "rows some"], top: int) -> list[Complex[Tensor, "rows some nodes"]]:
        """e^z, then ∫ u^r e^{zu} du for r < top, at z = a s."""
        power = self.exponentials(a)
        inverse = torch.where(a == 0, 0.0, 1 / a)[..., None] * self.over[:, None]
        out = [power, (power - 1).mul_(inverse)]
        for r in range(1, top):
            out.append(torch.sub(power, out[-1], alpha=r).mul_(inverse))
        # That loses digits at small z. There the recursion is stable downwards, from a series for the highest power.
        size = (self.s.real**2 + self.s.imag**2)[:, None]
        near = (a**2)[..., None] * size < _nodes.RADIUS[top - 1] ** 2
        row, j, k = near.nonzero(as_tuple=True)
        z, series = a[row, j] * self.s[row, k], _nodes.SERIES[top - 1, -TERMS[top - 1] :].tolist()
        found, power_near = torch.full_like(z, series[0]), power[row, j, k]
        for term in series[1:]:
            found.mul_(z).add_(term)
        for r in range(top - 1, 0, -1):
            out[1 + r][row, j, k] = found
            found = (power_near - z * found) / r
        out[1][row, j, k] = found
        return out

    def generating(
        self, a: Float[Tensor, "rows some"], law: Law, orders: int
    ) -> list[Complex[Tensor, "rows some nodes"]]:
        """ψ and its derivatives E V^k e^{zV}, k < orders, at z = a s. None of them is to be changed in place."""
        coefficients = law.values.coefficients
        if not coefficients:
            return [self.exponentials(a)] * orders
        power = self.powers(a, len(coefficients) + orders - 1)[1:]
        if len(coefficients) == 1:
            return power
        out = [torch.zeros_like(power[0]) for _ in range(orders)]
        for k, total in enumerate(out):
            for r, c in enumerate(coefficients):
                total.add_(power[r + k], alpha=c)
        return out


def _sums(x: _Rows, groups: _Groups, q: float, gradient: bool, found: RowErrors) -> None:
    """Fill `found` with the windowed sums, nodes added until the estimate meets the tolerance; nodes 0 where it does not."""
    counts, starts, *windows, lead, lead_narrower = window_tables(bool(groups.law.values.atom))
    rows, n = x.slopes.shape
    device = x.slopes.device
    # Complex numbers per feature and node: powers of u, and the arrays made of them in `_terms` and `_derivatives`.
    entry = 16 * (2 * len(groups.law.values.coefficients) + 10)
    budget = BUDGET["cpu" if device.type == "cpu" else "cuda"]
    value, estimate, d_offset = torch.zeros(3, rows, dtype=torch.float64, device=device)
    d_slopes, nodes = torch.zeros_like(x.slopes), torch.zeros(rows, dtype=torch.int64, device=device)
    # Rows still to be summed, from which stage on, and the terms of the nodes before.
    todo = [(torch.arange(rows, device=device), 0, value.new_empty(rows, 0))]
    while todo:
        chosen, stage, terms = todo.pop()
        last = int(counts[stage])
        most = max(1, budget // (entry * n * last))
        if len(chosen) > most:
            pieces = -(-len(chosen) // most)
            todo += zip(chosen.chunk(pieces), repeat(stage), terms.chunk(pieces), strict=False)
            continue
        part = x.take(chosen)
        terms = torch.cat([terms, _terms(part, groups, q, terms.shape[1], last)], 1)
        table = torch.tensor(np.stack([w[starts[stage] : starts[stage] + last] for w in windows]), device=device)
        wide, narrow, narrower = table @ terms.T
        gap = torch.maximum((wide - narrow).abs() / lead, (wide - narrower).abs() / lead_narrower)
        value[chosen], estimate[chosen] = wide, gap + part.tolerance / 3
        met = estimate[chosen] <= part.tolerance
        done, left = met.nonzero()[:, 0], (~met).nonzero()[:, 0]
        nodes[chosen[done]] = last
        if gradient and len(done):
            d_slopes[chosen[done]], d_offset[chosen[done]] = _derivatives(part.take(done), groups, q, table[0])
        if len(left) and stage + 1 < len(counts):
            todo.append((chosen[left], stage + 1, terms[left]))
    for out, result in zip(found.arrays(), (value, estimate, d_slopes, d_offset, nodes), strict=True):
        out[:] = result.cpu().numpy()


def _terms(x: _Rows, groups: _Groups, q: float, first: int, last: int) -> Float[Tensor, "rows nodes"]:
    """The terms of the sum at the nodes from `first` to `last`, without the window."""
    grid, law = _Grid.of(x.period, first, last), groups.law
    psi = grid.generating(x.slopes, law, 1)[0]
    phi = groups.factors(psi, x.density)
    product, reference = phi.prod(1), _combine(x.single, psi) + x.none[:, None]
    mixed, reference_mixed = x.constant[:, None], x.constant[:, None] * reference
    if x.marks.shape[1]:
        a, p, c, single = x.marked()
        psi, slope = grid.generating(a, law, 2)
        mine = phi[torch.arange(len(a), device=a.device)[:, None], groups.of_feature[x.marks]]
        own = (slope / psi if groups.correlated else slope) * groups.share(mine, p)
        mixed = mixed + _combine(c * groups.scale(p), own)
        reference_mixed = reference_mixed + _combine(c * single, slope)
    still = grid.exponentials(x.shift[:, None])[:, 0]
    difference = (product - reference * still) * grid.over * q - product * mixed + reference_mixed * still
    return (_weight(x, grid) * difference).real


def _derivatives(
    x: _Rows, groups: _Groups, q: float, window: Float[Tensor, " nodes"]
) -> tuple[Float[Tensor, "rows n"], Float[Tensor, " rows"]]:
    """Derivatives of the windowed sums in the slopes and the offset.

    With w = window · weight and R = c₀ + Σ c_k r_k that in slope j is Re Σ (u r_j + v Σ_k c_k ∂_k r_j), u = w Φ (q - s R), v = -w s Φ,
    where with M the sum of c_k r_k over the group of j
    Σ_k c_k ∂_k r_j = c_j s_j f ψ''_j - r_j M, or c_j f (ψ''_j/ψ_j - ω_j²) + (ω_j - r_j) M if all are active together.
    """
    grid, law, c0 = _Grid.of(x.period, 0, len(window)), groups.law, x.constant[:, None]
    psi, slope = grid.generating(x.slopes, law, 2)
    phi = groups.factors(psi, x.density)
    product, share = phi.prod(1), groups.share(phi, x.density[:, groups.first])
    own = slope / psi if groups.correlated else slope
    rate = own * groups.spread(share)
    w = window * _weight(x, grid)
    pull = w * grid.s
    v, mixed = -pull * product, c0
    d_marked = torch.zeros_like(x.marks, dtype=x.slopes.dtype)
    # The reference law, which is taken out of the sum.
    still = grid.exponentials(x.shift[:, None])[:, 0]
    alpha, gamma = w * still * (q - c0 * grid.s), -pull * still
    moved = alpha * (_combine(x.single, psi) + x.none[:, None])
    if x.marks.shape[1]:
        a, p, c, single = x.marked()
        psi, first, second = grid.generating(a, law, 3)
        at = torch.arange(len(a), device=a.device)[:, None]
        scale, mine = groups.scale(p)[..., None], rate[at, x.marks]
        mixed = mixed + _combine(c * scale[..., 0], mine)
        moved += gamma * _combine(c * single, first)
        bend = second / psi - (first / psi) ** 2 if groups.correlated else second
        bend = scale * share[at, groups.of_feature[x.marks]] * bend
        if law.kind == "independent":
            bend -= (scale * mine) ** 2
        d_marked = c * (v[:, None] * bend - gamma[:, None] * single[..., None] * second).real.sum(-1)
    u = w * product * (q - grid.s * mixed)
    scale = groups.scale(x.density)
    d_slopes = scale * _real_sum(rate, u) - x.single * _real_sum(slope, alpha)
    if law.kind != "independent":
        shared = groups.spread(v[:, None] * groups.fold((x.target * scale)[..., None] * rate))
        d_slopes += scale * (shared * (own - rate if groups.correlated else -rate)).real.sum(-1)
    d_slopes.scatter_add_(1, x.marks, d_marked)
    # Small entries move the reference law as a whole.
    drift = moved.real.sum(-1)
    return d_slopes - x.small * x.density * float(law.values.moment(1)) * drift[:, None], u.real.sum(-1) - drift


def _real_sum(x: Complex[Tensor, "rows some nodes"], y: Complex[Tensor, "rows nodes"]) -> Float[Tensor, "rows some"]:
    """Re Σ x y over the nodes."""
    return (x @ y[..., None])[..., 0].real


def _combine(scale: Float[Tensor, "rows some"], x: Complex[Tensor, "rows some nodes"]) -> Complex[Tensor, "rows nodes"]:
    """Σ_j scale_j x_j."""
    return (scale.to(x.dtype)[:, None] @ x)[:, 0]


def _weight(x: _Rows, grid: _Grid) -> Complex[Tensor, "rows nodes"]:
    """2 e^{sβ}/s² and the step of the rule, over 2π and once for each of a node and its conjugate."""
    return (2 / pi) * grid.step[:, None] * grid.over**2 * grid.exponentials(x.offset[:, None])[:, 0]
