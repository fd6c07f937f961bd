"""Pair bound: multipliers and boxes for the error of patterns with at most two active features, statements 4 and 5 of `_lower_check`.

The linear-programming bound of Delsarte and Yudin on the interference energy of the columns, positive-definite kernels and the rank
constraint ‖G‖_F² >= (tr G)²/m in the place of a code's design conditions, reduced by the symmetry of equal features to one row's slopes
and bias (a, t, b). It is a semi-infinite second-order cone program, solved in floats by cutting planes; a tree of boxes then shows it for
all (a, t, b), which `_lower_check` repeats in rational arithmetic.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from flint import fmpq
from jaxtyping import Float, Int
from numpy import ndarray as Array

from ._lower_check import A, T, roots, two_level
from ._row_box import BOTH, OTHER, OWN, VERTICES, row_bounds, row_error, terms

REACH_A, REACH_T = float(A), float(T)
# Rounds of cutting planes at most, and the share of the bound at which they stop.
ROUNDS, CLOSE = 10, 2e-3
# Share of the bound that the trees may lose, the first that takes no more than so many boxes; bits of the multipliers.
SLACKS, BOXES, BITS, ATTEMPTS = (1e-2, 2e-2, 4e-2, 8e-2, 0.16, 0.32), 3000, 30, 15


class Pairs(NamedTuple):
    """n equal features in m dimensions and the weights of the patterns of a pair, in floats."""

    n: int
    m: int
    law: Float[Array, " 4"]

    def own(self, s: Float[Array, "*k"], middle: Float[Array, "*k"]) -> Float[Array, "*k 6"]:
        """Coefficients of k(s) in the multipliers, s² replaced by its tangent at `middle`."""
        square = middle * (2 * s - middle)
        lift = [2 * s / self.m, 6 * square / (self.m * (self.m + 2))]
        return np.stack([-s, -(s**2), -(s**3), -(s**4), *lift], -1) / (self.n - 1)

    def errors(self, points: Float[Array, "k 3"], cap: bool) -> tuple[Float[Array, " k"], Float[Array, "k 6"], Array]:
        """R, the coefficients of k(s), and the largest y at points (a, t, b); `cap`: as t -> -∞."""
        a, t, b = points.T
        own = self.own(np.minimum(a, 1), np.minimum(a, 1))
        if cap:
            law = self.law * np.array([1, 1, 0, 0])
            return row_error(a, np.zeros_like(t), b, law) + self.law[BOTH] / 3, own, np.full_like(a, -1.0)
        return row_error(a, t, b, self.law), own, np.clip(t * _shorter(a), -1, 1)

    def boxes(self, lo: Float[Array, "k 3"], hi: Float[Array, "k 3"], by: Float[Array, " 6"], cap: bool) -> Array:
        """`_lower_check._box_bound` of many boxes."""
        centre, half = (lo + hi) / 2, (hi - lo) / 2
        law = self.law * np.array([1, 1, 0, 0]) if cap else self.law
        vertex = centre[:, None] + half[:, None] * VERTICES
        clipped = (np.maximum(abs(lo[:, 1]), abs(hi[:, 1])) * _shorter(lo[:, 0]) > 1) | cap
        sign = np.where((hi[:, 1] > 0) & (not cap), 1.0, -1.0)
        y = np.where(clipped[:, None], sign[:, None], vertex[:, :, 1] * _shorter(vertex[:, :, 0]))
        middle = np.minimum(centre[:, :1], 1)
        own = self.own(np.minimum(vertex[:, :, 0], 1), np.broadcast_to(middle, y.shape)) @ by
        bounds = row_bounds(centre, half, law[None])[:, :, 0] - np.maximum(_powers(y) @ by[:4], 0) + own
        least: Array = bounds.min(1) + (self.law[BOTH] / 3 if cap else 0.0)
        return least

    def curved(self, lo: Float[Array, "k 3"], hi: Float[Array, "k 3"], cap: bool) -> Int[Array, " k"]:
        """The axis along which M + 2 N bends most over each box: what its bound loses."""
        law = self.law * np.array([1, 1, 0, 0]) if cap else self.law
        centre, half = (lo + hi) / 2, (hi - lo) / 2
        shifts = np.concatenate([np.eye(3), -np.eye(3)])
        at = terms(*np.moveaxis(centre[:, None] + half[:, None] * shifts, -1, 0))
        height = (at.square + 2 * at.own) @ law
        # Half widths decide where nothing bends along the axes, and keep points from being halved.
        axis: Int[Array, " k"] = np.argmax(height[:, :3] + height[:, 3:] + 1e-9 * half - (half == 0), axis=1)
        return axis

    def tails(self) -> tuple[Float[Array, " 3"], Float[Array, "3 6"]]:
        """Constants and coefficients of the three linear bounds of `_lower_check._tails`."""
        top, one = np.array([1.0, 1, 1, 1, 0, 0]), np.ones(1)
        far = self.own(one, one)[0]
        least = far * np.array([1, 1, 1, 1, 1, 0])
        fall = self.law[OTHER] * (REACH_T - REACH_A) ** 3 / (3 * REACH_T)
        reach = (self.law[OWN] + self.law[BOTH]) * ((REACH_A - 1) / (REACH_A + 1)) ** 2 / 3
        return np.array([reach, fall, fall]), np.array([far, least, 0 * least]) - top

    def value(self, level: float, by: Float[Array, " 6"]) -> float:
        """The bound of the loss from a bound of h."""
        squares = by[4] ** 2 / (by[1] * self.m) if by[1] else 0.0
        fourth = 3 * by[5] ** 2 / (by[3] * self.m * (self.m + 2)) if by[3] else 0.0
        return float(self.n * (self.n - 1) * level - squares - fourth)


def _shorter(a: Float[Array, "*k"]) -> Float[Array, "*k"]:
    """At least 1/√max(a, 1): (1 + 1/a)/2, convex from a = 1 on."""
    factor: Float[Array, "*k"] = (1 + 1 / np.maximum(a, 1)) / 2
    return factor


def _powers(y: Float[Array, "*k"]) -> Float[Array, "*k 4"]:
    return np.stack([y, y**2, y**3, y**4], -1)


def pairs_of(n: int, m: int, p: float) -> Pairs:
    """`Pairs` of n equal features of density p in m dimensions."""
    q = 1 - p
    return Pairs(n, m, np.array([q**n / (n - 1), p * q ** (n - 1) / (n - 1), p * q ** (n - 1), p**2 * q ** (n - 2)]))


class _Planes(NamedTuple):
    """Linear constraints constant + rows @ multipliers >= level: h at points."""

    constant: Float[Array, " k"]
    rows: Float[Array, "k 6"]

    def add(self, values: tuple[Array, Array, Array]) -> _Planes:
        """With those of more points, from R, the coefficients of k and y: the reward is f(y), and where y < 0 also none."""
        error, own, y = values
        reward = own - np.concatenate([_powers(y), np.zeros((len(y), 2))], 1)
        return _Planes(
            np.concatenate([self.constant, error, error[y < 0]]), np.concatenate([self.rows, reward, own[y < 0]])
        )


@lru_cache
def multipliers_of(n: int, m: int, p: float, same: bool) -> tuple[float, Float[Array, " 6"], _Planes]:
    """Bound (in floats, not proved), multipliers and constraints: cutting planes, from a grid of points refined where h is least."""
    problem, rng = pairs_of(n, m, p), np.random.default_rng(0)
    grid = _grid(p)
    grid = grid[(grid[:, 1] >= 0) | (not same)]
    tails = planes = _Planes(*problem.tails())
    tables = [(grid, False)] if same else [(grid, False), (np.unique(grid * np.array([1, 0, 1]), axis=0), True)]
    for points, cap in tables:
        planes = planes.add(problem.errors(points[rng.choice(len(points), 400)], cap))
    planes = planes.add(problem.errors(SPECIAL[(SPECIAL[:, 1] >= 0) | (not same)], False))
    best, chosen = 0.0, np.zeros(6)
    values = [problem.errors(points, cap) for points, cap in tables]
    for _ in range(ROUNDS):
        promised, by = _cone_program(problem, planes)
        level = float((tails.constant + tails.rows @ by).min())
        for (points, cap), at in zip(tables, values, strict=True):
            low, h = _refine(problem, points, at, by, cap, rng, same)
            level = min(level, float(h.min()))
            planes = planes.add(problem.errors(low[np.argsort(h)[:60]], cap))
        reached = problem.value(level, by)
        if reached > best:
            best, chosen = reached, by
        if promised - best <= CLOSE * promised:
            break
    return best, chosen, planes


# Where extremal models have their pairs: antipodal, simplices, orthogonal, ignored, coinciding.
SPECIAL = np.array([[1, t, b] for t in (-1, -0.5, -1 / 3, 0, 0.3, 0.5, 1) for b in (0.0, -0.3)] + [[0.0, 0.0, 0.0]])


def _grid(p: float) -> Float[Array, "k 3"]:
    """Points (a, t, b), with offsets of the order of the density among them."""
    a = np.concatenate([np.linspace(0, 1, 9), [1.02, 1.05, 1.1, 1.2, 1.4, 1.7, 2, 2.5, 3, REACH_A]])
    t = np.concatenate([[-REACH_T, -4, -2, -1.5], np.linspace(-1.2, 1.2, 25), [1.5, 2, 3, 5, REACH_T]])
    small = p * np.array([-2, -1, -0.5, -0.2, 0.2, 0.5, 1, 2])
    b = np.concatenate([[-REACH_A - REACH_T, -6, -4, -3, -2, -1.5], np.linspace(-1, 1, 21), small, [1.5, 2, 3]])
    return np.stack([x.ravel() for x in np.meshgrid(a, t, b, indexing="ij")], 1)


def _height(values: tuple[Array, Array, Array], by: Float[Array, " 6"]) -> Float[Array, " k"]:
    error, own, y = values
    h: Array = error + own @ by - np.maximum(_powers(y) @ by[:4], 0)
    return h


def _refine(
    problem: Pairs,
    points: Float[Array, "k 3"],
    table: tuple[Array, Array, Array],
    by: Float[Array, " 6"],
    cap: bool,
    rng: np.random.Generator,
    same: bool,
) -> tuple[Float[Array, "low 3"], Float[Array, " low"]]:
    """The lowest points of a table of h, moved downhill by shrinking random steps."""
    h = _height(table, by)
    order = np.argsort(h)[:200]
    low, h = points[order], h[order]
    for step in 0.2 * 0.7 ** np.arange(14):
        trial = low + rng.normal(size=low.shape) * step
        trial[:, 0] = np.clip(trial[:, 0], 0, REACH_A)
        trial[:, 1] = np.clip(trial[:, 1], 0 if same else -REACH_T, REACH_T)
        reached = _height(problem.errors(trial, cap), by)
        better = reached < h
        low, h = np.where(better[:, None], trial, low), np.where(better, reached, h)
    return low, h


def _cone_program(problem: Pairs, planes: _Planes) -> tuple[float, Float[Array, " 6"]]:
    """Largest n (n - 1) level - d2²/(c2 m) - 3 d4²/(c4 m (m + 2)) with every constraint at the level."""
    # Its import takes seconds, and only these bounds need it.
    cvxpy: Any = import_module("cvxpy")
    by, level = cvxpy.Variable(6), cvxpy.Variable()
    m, scale = problem.m, float(problem.law[BOTH])
    squares = cvxpy.quad_over_lin(by[4], by[1]) / m + 3 * cvxpy.quad_over_lin(by[5], by[3]) / (m * (m + 2))
    value = problem.n * (problem.n - 1) * level - squares
    # Away from 0, where the quotients are not defined.
    allowed = [planes.constant / scale + planes.rows @ by >= level, 3 * by[2] <= by[1], by >= 1e-9]
    program = cvxpy.Problem(cvxpy.Maximize(value), allowed)
    with warnings.catch_warnings():
        # An inaccurate solution is as good as another: what it promises has to be proved.
        warnings.simplefilter("ignore")
        try:
            program.solve(solver=cvxpy.CLARABEL)
        except cvxpy.SolverError:
            return 0.0, np.zeros(6)
    if by.value is None:
        return 0.0, np.zeros(6)
    x = np.maximum(np.asarray(by.value, float), 0)
    # A multiplier of the solver's rounding is none, and a square without its kernel proves nothing.
    x[x < 1e-7] = 0
    x[2] = min(x[2], x[1] / 3)
    x[4:] = np.where(x[[1, 3]] > 0, x[4:], 0)
    return float(program.value) * scale, x * scale


class _Trees(NamedTuple):
    """Boxes of a branch and bound: the least bound of a leaf, points where h itself is too low, the trees as the check reads them."""

    level: float
    below: Float[Array, "k 3"]
    text: list[str]


def _branch(problem: Pairs, by: Float[Array, " 6"], target: float, cap: bool, same: bool) -> _Trees:
    """Halve every box whose bound is below `target`, along its most curved axis, until none is left or the boxes are too many."""
    start = np.array([[[float(x) for x in end] for end in box] for box in roots(cap, same)]).reshape(-1, 3, 2)
    lo, hi = start[:, :, 0], start[:, :, 1]
    bound = problem.boxes(lo, hi, by, cap)
    axis, child = np.full(len(lo), -1), np.zeros(len(lo), int)
    while True:
        todo: Int[Array, " k"] = np.flatnonzero((axis < 0) & (bound < target))
        centre = (lo[todo] + hi[todo]) / 2
        below = centre[_height(problem.errors(centre, cap), by) < target]
        if not len(todo) or len(below) or len(lo) + 2 * len(todo) > 2 * BOXES:
            break
        chosen = problem.curved(lo[todo], hi[todo], cap)
        axis[todo], child[todo] = chosen, len(lo) + 2 * np.arange(len(todo))
        ends = np.stack([lo[todo], hi[todo]])[:, :, None].repeat(2, axis=2)
        pick, middle = np.arange(len(todo)), (lo[todo] + hi[todo])[np.arange(len(todo)), chosen] / 2
        ends[1, pick, 0, chosen] = ends[0, pick, 1, chosen] = middle
        lo, hi = (np.concatenate([old, new.reshape(-1, 3)]) for old, new in zip((lo, hi), ends, strict=True))
        bound = np.concatenate([bound, problem.boxes(ends[0].reshape(-1, 3), ends[1].reshape(-1, 3), by, cap)])
        axis = np.concatenate([axis, np.full(2 * len(todo), -1)])
        child = np.concatenate([child, np.zeros(2 * len(todo), int)])
    return _Trees(
        float(bound[axis < 0].min(initial=np.inf)), below, [_written(root, axis, child) for root in range(len(start))]
    )


def _written(root: int, axis: Int[Array, " k"], child: Int[Array, " k"]) -> str:
    """The tree below a box, depth first."""
    text, stack = [], [root]
    while stack:
        box = stack.pop()
        text.append("atb."[axis[box]])
        if axis[box] >= 0:
            stack += [int(child[box]) + 1, int(child[box])]
    return "".join(text)


@lru_cache
def proof_of(n: int, m: int, p: float, same: bool) -> tuple[fmpq, dict[str, Any]]:
    """The bound of statement 4 as proved, and its proof; boxes that resist are further cutting planes."""
    problem, (aim, by, planes) = pairs_of(n, m, p), multipliers_of(n, m, p, same)
    tails = _Planes(*problem.tails())
    # Short rationals, of the size of the weights of the patterns.
    unit = 2.0 ** (np.floor(np.log2(problem.law[BOTH])) - BITS)
    rng, slacks, attempts = np.random.default_rng(0), list(SLACKS), []
    for _ in range(ATTEMPTS):
        by = np.floor(by / unit) * unit
        by[2] = min(by[2], np.floor(by[1] / unit / 3) * unit)
        end = float((tails.constant + tails.rows @ by).min())
        target = min((aim * (1 - slacks[0]) - problem.value(0.0, by)) / (n * (n - 1)), end)
        trees = [_branch(problem, by, target, cap, same) for cap in (False, True)]
        level = min(end, *(tree.level for tree in trees))
        attempts.append((problem.value(level, by), level, by, trees))
        if level >= target:
            break
        # Either the multipliers promise too much, or the boxes are too coarse for so little slack.
        if any(len(tree.below) for tree in trees):
            for tree, cap in zip(trees, (False, True), strict=True):
                low = _refine(problem, tree.below, problem.errors(tree.below, cap), by, cap, rng, same)[0]
                planes = planes.add(problem.errors(low, cap))
            aim, by = _cone_program(problem, planes)
        elif len(slacks) > 1:
            slacks.pop(0)
    _, level, by, (inner, outer) = max(attempts, key=lambda attempt: attempt[0])
    # Rounding of the floats is far below the weights' 12th digit.
    level -= 1e-12 * float(problem.law.max())
    proof = {
        "multipliers": [text_of(x) for x in by],
        "level": text_of(np.floor(level / unit) * unit),
        "trees": inner.text,
        "caps": outer.text,
    }
    return two_level(n, m, exact(p), same, proof), proof


def exact(x: float) -> fmpq:
    """A float as the rational that it is."""
    return fmpq(*float(x).as_integer_ratio())


def text_of(x: float) -> str:
    """A float as the rational that it is, in the form of certificates."""
    return str(exact(x))
