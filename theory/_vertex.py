"""Vertex sums: the rows of a model with a few uniform features, exact to rounding, in compiled loops.

The mean over one coordinate is a divided difference of the next power,
E_u (t + a u)₊^q/q! = [(t + a)₊^{q+1} - t₊^{q+1}] / (a (q+1)!), so the mean over all n coordinates is a sum over the 2ⁿ vertices.
Evaluated as it stands that sum cancels catastrophically when some |a_j| is small. Here

* coordinates are split off in the order of falling |a_j|, and
* as soon as the sign of t + Σ_{remaining} a_j x_j is settled, the rest is a polynomial moment, written with all terms positive
  (negative slopes are reflected, x → 1 - x), so nothing cancels.

A division by a_j therefore only happens while 0 lies within the range of the remaining sum, which is at most n |a_j| wide: every step
loses a factor of about n/q, whatever the slopes. The inactive state x_j = 0 joins the active one in the same step, so the cost is
O(2ⁿ n) per moment and not 3ⁿ.

The sum is a binary tree: a node at depth d has the values of the first d coordinates fixed at 0 or 1, its height is
t = β + Σ_{l<d} a_l v_l, and it holds E Π x_j^{r_j} (t + Σ_{j>=d} a_j x_j)₊^q / q! over the others. Settled branches are never entered, and
below depth j the moments with and without the mark x_j are the same, so the n + 1 moments (times two for the target's mark) of a
gradient cost about as much as four.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy import ndarray as Array

from ._compiled import compiler
from ._contour import in_pieces
from ._rows import RowErrors

if TYPE_CHECKING:
    from ._rows import RowProblems

# Up to here the 2^n vertices are as fast as the contour.
VERTEX_N = 8
# Slopes below this change no moment by more than 1e-70, but their cubes would underflow.
NEGLIGIBLE_SLOPE = 1e-75
# 1/q, for powers over factorials.
INVERSE = np.array([0.0, *(1 / q for q in range(1, 64))])
# No reassociation: the order of summation is what keeps the digits.
compiled = compiler(nogil=True, error_model="numpy", fastmath={"contract"})


def vertex_errors(problems: RowProblems, gradient: bool) -> RowErrors:
    """F and its derivatives for rows of uniform features, independent or in groups, any targets.

    Grade NUMERIC: rounding only, below 1e-15 (|β| + Σ|a|)². At most 2^n n steps per row. A row that is not finite, or whose |β| + Σ|a|
    is not, gives NaN.

    The antipodal pair at density 1: E ReLU(x₁ - x₂)² - 2 E x₁ ReLU(x₁ - x₂) = 1/12 - 2/8.

    >>> from tegum.theory._law import independent
    >>> from tegum.theory._rows import RowProblems
    >>> pair = RowProblems(np.array([[1.0, -1.0]]), np.zeros(1), np.ones((1, 2)), np.array([[1.0, 0]]), np.zeros(1), independent(2))
    >>> round(float(vertex_errors(pair, False).value[0]), 15)
    -0.166666666666667
    """
    rows, n = problems.slopes.shape
    found = RowErrors.empty(rows, n)
    patterns = [(tuple(range(n)), 1.0)]
    if problems.law.kind != "independent":
        patterns = list(problems.law.patterns(list(problems.density.T)))

    def work(part: slice) -> None:
        slopes, offset, density, target, constant = (x[part] for x in problems.arrays())
        value, _, d_slopes, d_offset, _ = (x[part] for x in found.arrays())
        for active, chance in patterns:
            kept = np.array(active, dtype=np.int64)
            inside = density if problems.law.kind == "independent" else np.ones_like(density)
            weight = np.broadcast_to(chance, (rows,))[part]
            arrays = slopes, offset, inside, target, constant
            _rows(*arrays, problems.square, kept, weight, gradient, value, d_slopes, d_offset)

    in_pieces(work, rows, len(patterns))
    return found


@compiled
def _rows(
    slopes: Array,
    offset: Array,
    density: Array,
    target: Array,
    constant: Array,
    square: float,
    kept: Array,
    chance: Array,
    gradient: bool,
    value: Array,
    d_slopes: Array,
    d_offset: Array,
) -> None:
    """Add to every row the contribution of the features in `kept`, the others being zero, weighted with `chance`."""
    n = len(kept)
    marks = n + 1 if gradient else 1
    # Depth d has at most 2^d nodes of 2 (n - d + 1) moments with d + 3 powers each: the last depths are the largest.
    tree = np.empty(2 * (2 << n) * (n + 4))
    height, kind, links = (
        np.empty((n + 2, 1 << n)),
        np.empty((n + 1, 1 << n), np.int8),
        np.empty((n + 1, 1 << n), np.int64),
    )
    low, count = np.empty(n + 1), np.empty(n + 2, np.int64)
    series = np.empty((n + 1, n + 1, 2, n + 4))
    out = np.empty((n + 1, 2, 3))
    a, p, order = np.empty(n), np.empty(n), np.empty(n, np.int64)
    for row in range(len(offset)):
        extent = abs(offset[row])
        for j in range(n):
            a[j] = slopes[row, kept[j]]
            extent += abs(a[j])
            if abs(a[j]) < NEGLIGIBLE_SLOPE:
                a[j] = 0.0
        if not extent < np.inf:
            # A node of no sign would never be settled, and the tree would grow beyond its arrays.
            value[row] = d_offset[row] = np.nan
            d_slopes[row] = np.nan
            continue
        order[:] = np.argsort(-np.abs(a), kind="mergesort")
        a[:] = a[order]
        for j in range(n):
            p[j] = density[row, kept[order[j]]]
        weight, q, c0 = chance[row], square, constant[row]
        # The moments without a mark come with those of the first target, or by themselves (-1) where there is none.
        first = -1
        for at in range(n - 1, -1, -1):
            if target[row, kept[order[at]]] != 0:
                first = at
        for at in range(first, n):
            c = target[row, kept[order[at]]] if at >= 0 else 0.0
            if c == 0 and at != first:
                continue
            _moments(a, p, offset[row], at, marks, tree, height, kind, links, low, count, series, out)
            if at >= 0:
                value[row] -= weight * 2 * c * out[0, 1, 1]
                if gradient:
                    d_offset[row] -= weight * 2 * c * out[0, 1, 0]
                for k in range(1, marks):
                    d_slopes[row, kept[order[k - 1]]] -= weight * 2 * c * out[k, 1, 0]
            if at == first:
                here = slice(row, row + 1)
                _add(out, weight, q, c0, marks, gradient, kept, order, value[here], d_slopes[row], d_offset[here])
            if at < 0:
                break


@compiled
def _add(
    out: Array,
    weight: float,
    q: float,
    c0: float,
    marks: int,
    gradient: bool,
    kept: Array,
    order: Array,
    value: Array,
    d_slopes: Array,
    d_offset: Array,
) -> None:
    """Add what of F has no feature as its target."""
    value[0] += weight * 2 * (q * out[0, 0, 2] - c0 * out[0, 0, 1])
    if gradient:
        d_offset[0] += weight * 2 * (q * out[0, 0, 1] - c0 * out[0, 0, 0])
    for k in range(1, marks):
        d_slopes[kept[order[k - 1]]] += weight * 2 * (q * out[k, 0, 1] - c0 * out[k, 0, 0])


@compiled
def _moments(
    a: Array,
    p: Array,
    offset: float,
    at: int,
    marks: int,
    tree: Array,
    height: Array,
    kind: Array,
    links: Array,
    low: Array,
    count: Array,
    series: Array,
    out: Array,
) -> None:
    """out[k, s, q] = E x_k^[k>0] x_at^s (a·x + β)₊^q / q! for q <= 2 - [k>0] - s, slopes sorted; k = 0 stands for no mark, k - 1 is the
    coordinate. The other arrays are room.

    At depth d a moment with r marks left has powers 0 to d + 2 - r: a split raises the power by one and by one more per mark that it
    takes off.
    """
    n = len(a)
    # Down: which nodes there are. kind 0: zero, 1: settled, 2: split, with its children at `links` and the next place of depth d + 1.
    height[0, 0] = offset
    count[0], count[1:] = 1, 0
    deepest, settled = 0, False
    for d in range(n + 1):
        # A sum of the slopes still to come, not a running difference: nothing is left over where none come.
        below, above = 0.0, 0.0
        for j in range(n - 1, d - 1, -1):
            below += min(a[j], 0.0)
            above += max(a[j], 0.0)
        low[d], children = below, 0
        for node in range(count[d]):
            t = height[d, node]
            if t + above <= 0:
                kind[d, node] = 0
            elif t + below >= 0:
                kind[d, node] = 1
                settled = True
            else:
                kind[d, node], links[d, node] = 2, children
                height[d + 1, children], height[d + 1, children + 1] = t, t + a[d]
                children += 2
        deepest = d
        if children == 0:
            break
        count[d + 1] = children
    if settled:
        _fill_series(a, p, at, marks, series)

    # Up: the values of even and odd depths take turns in the two halves of the room.
    half, powers = len(tree) // 2, np.empty(n + 3)
    for d in range(deepest, -1, -1):
        slots, targets = (n - d + 1 if marks > 1 else 1), (2 if at >= d else 1)
        child_targets = 2 if at > d else 1
        size, child_size = slots * targets * (d + 3), max(slots - 1, 1) * child_targets * (d + 4)
        here, there = (d % 2) * half, (1 - d % 2) * half
        for node in range(count[d]):
            base = here + node * size
            if kind[d, node] == 0:
                tree[base : base + size] = 0.0
            elif kind[d, node] == 1 and d == n:
                tree[base] = 1.0
                for q in range(1, size):
                    tree[base + q] = tree[base + q - 1] * height[d, node] * INVERSE[q]
            elif kind[d, node] == 1:
                _settle(height[d, node] + low[d], series[d], slots, targets, d, powers, tree, base)
            else:
                left = there + links[d, node] * child_size
                _split(a[d], p[d], at == d, slots, targets, child_targets, d, tree, base, left, left + child_size)
    targets = 2 if at >= 0 else 1
    for k in range(marks):
        for s in range(targets):
            for q in range(3 - (k > 0) - s):
                out[k, s, q] = tree[(k * targets + s) * 3 + q]


@compiled
def _split(
    a: float,
    p: float,
    own: bool,
    slots: int,
    targets: int,
    child_targets: int,
    d: int,
    tree: Array,
    base: int,
    left: int,
    right: int,
) -> None:
    """The mean over coordinate d, of slope a, from the values at its ends: slot 1 marks it, and so does s = 1 if it is the target."""
    inverse = 1 / a
    rate, width = p * inverse, d + 4
    for k in range(slots):
        for s in range(targets):
            mark = int(k == 1) + int(own and s == 1)
            child = (max(k - 1, 0) * child_targets + (0 if own else s)) * width
            x, y = left + child, right + child
            to = base + (k * targets + s) * (d + 3)
            top = d + 3 - int(k > 0) - s
            if mark == 0:
                for q in range(top):
                    tree[to + q] = (1 - p) * tree[x + q] + rate * (tree[y + q + 1] - tree[x + q + 1])
            elif mark == 1:
                for q in range(top):
                    tree[to + q] = rate * (tree[y + q + 1] - inverse * (tree[y + q + 2] - tree[x + q + 2]))
            else:
                for q in range(top):
                    rest = tree[y + q + 2] - inverse * (tree[y + q + 3] - tree[x + q + 3])
                    tree[to + q] = rate * (tree[y + q + 1] - 2 * inverse * rest)


@compiled
def _settle(t: float, series: Array, slots: int, targets: int, d: int, powers: Array, tree: Array, base: int) -> None:
    """Σ_r t^{q-r}/(q-r)! series_r for every moment and power q; t >= 0 and the argument is positive, so t⁰ counts as 1."""
    powers[0] = 1.0
    for q in range(1, d + 3):
        powers[q] = powers[q - 1] * t * INVERSE[q]
    for k in range(slots):
        for s in range(targets):
            to = base + (k * targets + s) * (d + 3)
            for q in range(d + 3 - int(k > 0) - s):
                total = 0.0
                for r in range(q + 1):
                    total += powers[q - r] * series[k, s, r]
                tree[to + q] = total


@compiled
def _fill_series(a: Array, p: Array, at: int, marks: int, series: Array) -> None:
    """series[d, k, s, r] = E Π x^marks z^r / r!, z the sum over coordinates j >= d of |a_j| y_j, where y = x, or 1 - x if a_j < 0."""
    n = len(a)
    moment = np.empty((3, n + 3))
    series[n, 0, 0, 0], series[n, 0, 0, 1:] = 1.0, 0.0
    for d in range(n - 1, -1, -1):
        slots, targets = (n - d + 1 if marks > 1 else 1), (2 if at >= d else 1)
        scale = 1.0
        for r in range(d + 3):
            if a[d] < 0:
                moment[0, r] = scale * (p[d] / (r + 1) + (1 - p[d]))
                moment[1, r] = scale * p[d] / ((r + 1) * (r + 2))
                moment[2, r] = scale * 2 * p[d] / ((r + 1) * (r + 2) * (r + 3))
            else:
                moment[0, r] = scale * (p[d] / (r + 1) if r else 1.0)
                moment[1, r] = scale * p[d] / (r + 2)
                moment[2, r] = scale * p[d] / (r + 3)
            scale *= abs(a[d]) / (r + 1)
        for k in range(slots):
            for s in range(targets):
                mark = int(k == 1) + int(at == d and s == 1)
                rest = series[d + 1, max(k - 1, 0), 0 if at == d else s]
                for q in range(d + 3 - int(k > 0) - s):
                    total = 0.0
                    for r in range(q + 1):
                        total += moment[mark, r] * rest[q - r]
                    series[d, k, s, q] = total
