"""Enumeration: rows with constant values, exact to rounding, by meeting in the middle.

An active feature is 1, so y = β + a·x takes one value per set of active features, 2ⁿ of them. The groups of the law are dealt into
two halves A and B, and y > 0 means S_B > -(β + S_A), S the sum of slopes over a half. With the states of B in falling order of S_B
that is a leading part of them, and F given a state of A needs five sums over it only: of p, pS, pS², pT and pTS. One sort and one
binary search per state of A take the place of the other half of the exponent. Derivatives in the slopes of B are those of A
with the halves exchanged.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import isqrt, prod

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from ._law import Law
from ._rows import RowErrors, RowProblems

# States of both halves, over all rows worked on at once: some twenty arrays of so many floats, 5 MB.
BLOCK = 1 << 15
# The smaller half has no more states than this: bounds the search for the best split where no split is affordable.
MOST_STATES = 1 << 20
# y up to so many units in the last place of |β| + Σ|a| counts as zero: sums of slopes in another order differ by as much.
ZERO_ULPS = 4


def states(law: Law) -> int:
    """Number of states of the larger half, in the split of the groups that makes it least; more groups never make it smaller.

    >>> from tegum.theory._law import independent
    >>> states(independent(30)), states(Law("anticorrelated", (3, 3, 1))), states(Law("correlated", (9,)))
    (32768, 8, 2)
    """
    return _split(law)[2]


def enumerated_errors(problems: RowProblems, gradient: bool) -> RowErrors:
    """F = q E ReLU(y)² - 2 E T ReLU(y) for every row, values constant, and its derivatives (zero unless `gradient`).

    y = β + a·x, T = c·x + c₀; ∂F/∂a_j = 2 E x_j (q ReLU(y) - T 1(y > 0)), and ∂F/∂β the same without x_j. Where y has an atom at zero
    that is the derivative from the side where it is off. An atom within 4 ulp of |β| + Σ|a| from zero counts as one at zero, since its
    sign is a matter of rounding: F does not notice, the derivatives do.

    slopes, density, target (rows, n), offset, constant (rows,): as in `RowProblems`; densities may differ from row to row. Assumes
    that the values of the law are constant, which is not checked.
    Grade NUMERIC: rounding only, below 1e-14 (|β| + Σ|a|)² for F where |T| <= |β| + Σ|a|. The estimate is 0, and so are the nodes.
    Cost s log s per row, s = `states(law)`, about 2^{n/2}; memory for 2^15 states, or for one row.

    Two independent features of density 1/2, y = x₁ - x₂ and T = x₁: F = E ReLU(y)² - 2 E x₁ ReLU(y) = 1/4 - 2/4.

    >>> from tegum.theory._law import CONSTANT, independent
    >>> law = independent(2, CONSTANT)
    >>> pair = RowProblems(np.array([[1.0, -1]]), np.zeros(1), np.full((1, 2), 0.5), np.array([[1.0, 0]]), np.zeros(1), law)
    >>> float(enumerated_errors(pair, False).value[0])
    -0.25
    """
    rows, n = problems.slopes.shape
    found = RowErrors.empty(rows, n)
    step = max(1, BLOCK // (2 * states(problems.law)))
    for start in range(0, rows, step):
        part = slice(start, start + step)
        _fill(found, part, problems.take(np.arange(rows)[part]), gradient)
    return found


@lru_cache(maxsize=256)
def _split(law: Law) -> tuple[tuple[range, ...], tuple[range, ...], int]:
    """The groups of each half, and the number of states of the first, the larger one.

    Every product of group sizes up to the root of the whole is formed, and the largest is the smaller half.
    """
    density = (0,) * sum(law.sizes)
    sizes = [len(law.states(group, density)) for group in law.groups]
    total = prod(sizes)
    reached: dict[int, frozenset[int]] = {1: frozenset()}
    for i, size in enumerate(sizes):
        larger = {size * count: chosen | {i} for count, chosen in reached.items()}
        reached |= {count: x for count, x in larger.items() if count * count <= total and count <= MOST_STATES}
    small = reached[max(reached)]
    one, other = (tuple(g for i, g in enumerate(law.groups) if (i in small) == side) for side in (False, True))
    return one, other, total // max(reached)


@dataclass(frozen=True)
class _Half:
    """The states of some groups, first group slowest: their probability p, sum of slopes S and sum of targets T, per row.

    members: the active features of each state of each group.
    """

    members: list[list[list[int]]]
    chance: Float[Array, "rows states"]
    slope: Float[Array, "rows states"]
    target: Float[Array, "rows states"]

    @classmethod
    def of(cls, groups: tuple[range, ...], problems: RowProblems) -> _Half:
        """The states of `groups`; no group has one state."""
        rows = len(problems.offset)
        members, p, s, t = [], np.ones((rows, 1)), np.zeros((rows, 1)), np.zeros((rows, 1))
        for group in groups:
            choices = problems.law.states(group, list(problems.density.T))
            members.append([list(on) for on, _ in choices])
            chance = np.stack([chance for _, chance in choices], 1)
            a, c = (np.stack([x[:, on].sum(1) for on in members[-1]], 1) for x in (problems.slopes, problems.target))
            p = (p[:, :, None] * chance[:, None]).reshape(rows, -1)
            s = (s[:, :, None] + a[:, None]).reshape(rows, -1)
            t = (t[:, :, None] + c[:, None]).reshape(rows, -1)
        return cls(members, p, s, t)

    def above(self, threshold: Float[Array, "rows others"]) -> Float[Array, "5 rows others"]:
        """Sums of p, pS, pT, pS², pTS over the states with S > threshold, for every threshold."""
        # The sums come partly sorted, which stable sorting uses: half the time of the default.
        order = np.argsort(-self.slope, axis=1, kind="stable")
        p, s, t = (np.take_along_axis(x, order, 1) for x in (self.chance, self.slope, self.target))
        sums = _running(np.stack((p, p * s, p * t, p * s * s, p * t * s)))
        found = np.empty((5, *threshold.shape))
        for row, least in enumerate(threshold):
            found[:, row] = sums[:, row].take(np.searchsorted(-s[row], -least), 1)
        return found

    def add_means(self, weights: Float[Array, "rows states"], out: Float[Array, "rows n"]) -> None:
        """Add Σ weight x_j over the states to column j of `out`, for every feature j of the half."""
        for choices in reversed(self.members):
            weights = weights.reshape(len(weights), -1, len(choices))
            for on, mean in zip(choices, weights.sum(1).T, strict=True):
                out[:, on] += mean[:, None]
            weights = weights.sum(2)


def _running(terms: Float[Array, "*batch states"]) -> Float[Array, "*batch more"]:
    """Sums of the first 0, 1, 2, … terms, the last one repeated.

    In pieces of the root of their number: the rounding errors of many equal terms add up in one direction, and reach 1e-13.
    """
    *batch, count = terms.shape
    width = isqrt(count) + 1
    padded = np.zeros((*batch, width * width))
    padded[..., 1 : count + 1] = terms
    sums: Float[Array, "*batch width width"] = np.cumsum(padded.reshape(*batch, width, width), -1)
    sums[..., 1:, :] += np.cumsum(sums[..., :-1, -1], -1)[..., None]
    return sums.reshape(*batch, -1)


def _fill(found: RowErrors, part: slice, problems: RowProblems, gradient: bool) -> None:
    """Fill the rows `part` of `found`, whose problems are given."""
    q, c0, offset = problems.square, problems.constant[:, None], problems.offset[:, None]
    zero = ZERO_ULPS * np.spacing(np.abs(offset) + np.abs(problems.slopes).sum(1, keepdims=True))
    one, other = (_Half.of(groups, problems) for groups in _split(problems.law)[:2])

    def given(half: _Half, rest: _Half) -> tuple[Array, Array]:
        """F and half of its derivative in β, given a state of the half, times its probability: y = h + S and T = τ + T_rest."""
        h, tau = offset + half.slope, c0 + half.target
        p, ps, pt, pss, pts = rest.above(zero - h)
        y = h * p + ps
        value = q * (h * (y + ps) + pss) - 2 * (tau * y + h * pt + pts)
        return half.chance * value, half.chance * (q * y - tau * p - pt)

    value, slope = given(one, other)
    found.value[part] = value.sum(1)
    if gradient:
        found.d_offset[part] = 2 * slope.sum(1)
        one.add_means(2 * slope, found.d_slopes[part])
        other.add_means(2 * given(other, one)[1], found.d_slopes[part])
