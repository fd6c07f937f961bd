"""Pair proof: which state of two features in one dimension is optimal, proved on cells of (density, importance).

A cell is p0 <= p <= p1 with the importance between two lines in p. For a fixed model L is quadratic in p and linear in I, so along a
line L - target is a cubic in p: it is positive on the cell if its four Bernstein coefficients are, on both lines. Each coefficient is
an error under weights of the patterns of activity (`_laws`), bounded below over boxes of models by `_row_box`.

For fixed W the two biases decouple, so a box of (w1, w2) needs min over b1 and min over b2 apart, each over a partition of its range.
Boxes are bisected until their bounds suffice. What is left out, and why that is allowed, stands in `_pair_check`, which replays
the log in rational arithmetic; floats here only look for it.
"""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy import ndarray as Array

from ._checks import InputError
from ._pair import superposed_states
from ._pair_check import DIGITS
from ._row_box import VERTICES, row_bounds, row_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

STATES = ("ignored", "weak", "antipodal")
# |w2/w1| (or its inverse) that parts the two superposed states.
RATIO = 23 / 40
# Own slopes from FAR on are bounded by φ alone; boxes give up below SMALLEST; float bounds need ROOM to survive exact arithmetic.
FAR, SMALLEST, ROOM = 3.0, 2.0**-16, 1e-10
# Shares of the size of a shell of the core at which the next one is tried to begin, and how many shells there may be.
SHARES, SHELLS = (0.0, 0.5, 0.75, 0.9, 0.96), 60
# Density below which tilts seldom pay.
LOW = 0.15
# Boxes handled at once.
BATCH = 1500

Number = float | str | Fraction
Line = tuple[Fraction, Fraction]


class Cell(NamedTuple):
    """The inequalities of a cell: `cubic` F_1 + `lines` F_2 > target, F_i the errors of the outputs under the laws.

    laws (k, 4)  weights of the patterns, whose errors are the Bernstein coefficients in p; k = 3, or 1 at a single density
    variance (k,)  V for each law
    cubic (c, k)  coefficients of a quadratic to those of the same polynomial as a cubic
    lines (l, c, k)  ... and to those of its product with the importance along each line
    target, ignored (l, c)  loss to be beaten, and I V
    """

    laws: Array
    variance: Array
    cubic: Array
    lines: Array
    target: Array
    ignored: Array
    density: float

    def excess(self, first: Array, second: Array) -> Array:
        """(boxes, lines, c): what bounds (boxes, k) on the errors leave above the target."""
        total: Array = (first @ self.cubic.T)[:, None] + np.einsum("bk,lck->blc", second, self.lines)
        return total - self.target * (1 + ROOM)


class Row(NamedTuple):
    """Boxes of one output: own slope a and other slope t, each (k, 2), and the tilt of its bounds.

    tilt (k, 2): the bounds are for the error minus p (α (a - a') + σ (t - t')), `at` (k, 2) being (a', t')
    """

    own: Array
    other: Array
    tilt: Array
    at: Array

    def offsets(self) -> Array:
        """(k, 2): below, the output is 0; above, it is at least 1 and the error rises with b. Neither end is beaten outside."""
        low = -(self.own[:, 1] + np.maximum(self.other[:, 1], 0))
        return np.stack([low, 1 + np.maximum(-self.other[:, 0], 0)], 1)


class Cover:
    """Partitions of the offsets of boxes, with the bounds on their cells: nodes that know their first child."""

    def __init__(self, row: Row, law: Array, density: float, box: Array) -> None:
        self.row, self.law, self.density = row, law, density
        self.box = box
        self.offset = row.offsets()[box]
        self.bound = self._bounds(self.box, self.offset)
        self.child = np.full(len(box), -1)

    def _bounds(self, box: Array, offset: Array) -> Array:
        ends = np.stack([self.row.own[box], self.row.other[box], offset], 1)
        centre, half = ends.mean(2), (ends[..., 1] - ends[..., 0]) / 2
        tilt = self.row.tilt[box]
        rise = (
            np.einsum("ki,ki->k", tilt, centre[:, :2] - self.row.at[box])[:, None]
            + (tilt * half[:, :2]) @ VERTICES[:, :2].T
        )
        active = self.law[:, 1] + self.law[:, 3]
        bounds: Array = (row_bounds(centre, half, self.law) - rise[..., None] * active).min(1)
        return bounds

    def minima(self) -> Array:
        """(k, laws): least bound over the leaves of each box, inf where it has none."""
        leaf = self.child < 0
        least = np.full((len(self.row.own), len(self.law)), np.inf)
        np.minimum.at(least, self.box[leaf], self.bound[leaf])
        return least

    def split(self, need: Array) -> Array:
        """Bisect the leaves whose bound is below `need` (k, laws) while that can help; the boxes touched."""
        leaf = np.flatnonzero(self.child < 0)
        leaf = leaf[(self.bound[leaf] < need[self.box[leaf]]).any(1)]
        lo, hi = self.offset[leaf].T
        # The bound loses E (x1 da + x2 dt + db)² where the output is positive: no use in db far below the other two.
        own, other = self.row.own[self.box[leaf]], self.row.other[self.box[leaf]]
        floor = self.density * ((own[:, 1] - own[:, 0]) ** 2 + (other[:, 1] - other[:, 0]) ** 2) / 3
        mass = np.where(hi > 0, 1.0, min(1.0, 2 * self.density))
        leaf = leaf[mass * (hi - lo) ** 2 > floor]
        if not len(leaf):
            return np.empty(0, int)
        lo, hi = self.offset[leaf].T
        middle = (lo + hi) / 2
        self.child[leaf] = len(self.box) + 2 * np.arange(len(leaf))
        box = np.repeat(self.box[leaf], 2)
        offset = np.stack([lo, middle, middle, hi], 1).reshape(-1, 2)
        self.box = np.concatenate([self.box, box])
        self.offset = np.concatenate([self.offset, offset])
        self.bound = np.concatenate([self.bound, self._bounds(box, offset)])
        self.child = np.concatenate([self.child, np.full(len(box), -1)])
        touched: Array = np.unique(box)
        return touched

    def middles(self, count: int) -> Array:
        """(count,): an offset of each box, the middle of its leaf of least bound."""
        leaf = np.flatnonzero(self.child < 0)
        leaf = leaf[np.argsort(-self.bound[leaf].min(1), kind="stable")]
        out: Array = np.zeros(count)
        out[self.box[leaf]] = self.offset[leaf].mean(1)
        return out

    def log(self, node: int, goal: Array) -> str:
        """Partition below a node in preorder: b bisected, c a cell. No deeper than the goal asks."""
        child = int(self.child[node])
        if child < 0 or (self.bound[node] >= goal).all():
            return "c"
        return "b" + self.log(child, goal) + self.log(child + 1, goal)


def prove_pair(
    density: Sequence[Number],
    importance: Sequence[Number | Sequence[Number]],
    state: str | None = None,
    *,
    limit: int = 40000,
) -> dict[str, object] | None:
    """A certificate that `state` is optimal for n = 2, m = 1 on a cell of (density, importance of feature 2), or None.

    The cell is density = (p0, p1), 0 < p0 <= p1 <= 1, with the importance between two lines in p, importance = (lower, upper), each
    a number or (value at p0, value at p1), 0 <= lower <= upper <= 1; feature 1 has importance 1 and I > 1 follows by exchange.
    What the states claim, of all models at every point of the cell (V = p/3 - p²/4):

        'ignored'    no model has a loss below I V, that of W = (1, 0), b = (0, p/2); the lower line is taken to be 0
        'antipodal'  every optimal model has w1 w2 < 0 and min(|w1|, |w2|) > 23/40 max(|w1|, |w2|)
        'weak'       every optimal model has w1 w2 != 0 and min(|w1|, |w2|) < 23/40 max(|w1|, |w2|); either sign, since at p = 1
                     the mirror image x2 -> 1 - x2 ties

    None for `state` takes the one that descent finds at the centre. Numbers may be strings like '1/3'; a float stands for its
    shortest decimal. None is returned when the search passes `limit` boxes or meets a model that contradicts the claim; it means
    undecided. Grade of the claim: EXACT once `check_pair` accepts the certificate, a JSON-able dict. Raises InputError.

    >>> from tegum.theory import check_pair
    >>> proof = prove_pair(("1/10", "1/10"), ("1/2", "1/2"))
    >>> proof["state"], check_pair(proof).state
    ('antipodal', 'antipodal')
    """
    p = _pair_of(density)
    lines = [_pair_of((line, line) if isinstance(line, float | int | str | Fraction) else line) for line in importance]
    if not 0 < p[0] <= p[1] <= 1:
        raise InputError(f"density must be (low, high) with 0 < low <= high <= 1, got {density!r}")
    single = p[0] < p[1] or all(low == high for low, high in lines)
    if len(lines) != 2 or not single or not all(0 <= low <= high <= 1 for low, high in zip(*lines, strict=True)):
        raise InputError(
            "importance must be (lower, upper) within [0, 1], a line being one number at a single density; "
            f"exchange the features beyond 1; got {importance!r}"
        )
    centre = optimal_state((p[0] + p[1]) / 2, sum((x + y for x, y in lines), Fraction(0)) / 4)
    state = state or centre[0]
    if state not in STATES:
        raise InputError(f"state must be one of {', '.join(STATES)} or None, got {state!r}")
    head: dict[str, object] = {"kind": "pair phase", "state": state, "density": [str(x) for x in p]}
    if state != "ignored" and not all(lines[0]):
        return None
    if state == "ignored":
        lines = [lines[1]]
        cell = _cell(p, lines, None)
        found = _core(cell, p, lines[0])
        if found is None:
            return None
        core, delta = found
        skip = _near(delta)
        head |= {"importance": [["0", "0"], [str(x) for x in lines[0]]], "core": core}
    else:
        # Close to the onset the state at the lower line is the one that beats ignoring on the whole cell.
        ends = [x + y for x, y in lines]
        for weight in ((ends[0] + ends[1]) / 4, ends[0] / 2):
            witness = _witness(optimal_state((p[0] + p[1]) / 2, weight)[1], p)
            cell = _cell(p, lines, witness)
            if (cell.target < cell.ignored * (1 - ROOM)).all():
                break
        else:
            return None
        skip = _within if state == "antipodal" else _beside
        if not skip(np.array([[[float(x)] * 2 for x in witness[:2]]])).all():
            return None
        head |= {"importance": [[str(x) for x in line] for line in lines], "witness": [str(x) for x in witness]}
    extent = _extent(cell)
    if extent is None:
        return None
    root = np.array([[0, extent[0]], [-extent[1], extent[1]]])
    tree = _tree(root, lambda box: _prove(cell, skip, box), lambda box: _costs(cell, box), limit)
    return None if tree is None else head | {"extent": [str(Fraction(x)) for x in extent], "tree": tree}


def _pair_of(values: Sequence[Number]) -> Line:
    try:
        first, second = (Fraction(repr(float(x))) if isinstance(x, float) else Fraction(x) for x in values)
    except (TypeError, ValueError, ZeroDivisionError):
        raise InputError(f"density and importance must be pairs of finite numbers, got {values!r}") from None
    return first, second


def optimal_state(density: Fraction, importance: Fraction) -> tuple[str, list[float]]:
    """State at a point as descent finds it, and the best superposed model (w1, w2, b1, b2)."""
    p, weight = float(density), float(importance)
    found = superposed_states(np.array([p]), np.array([weight]))
    w1, w2 = np.abs(found.weights[0])
    superposed = "antipodal" if min(w1, w2) > RATIO * max(w1, w2) else "weak"
    state = superposed if found.loss[0] < weight * (p / 3 - p**2 / 4) * (1 - ROOM) else "ignored"
    return state, [*found.weights[0], *found.bias[0]]


def _witness(model: Sequence[float], density: Line) -> list[Fraction]:
    """A model (w1, w2, b1, b2) in short fractions; without b2 if output 2 is affine, which is then best off with b2 = p (1 - c - d)/2."""
    witness = [Fraction(round(x * 2**16), 2**16) for x in model]
    w1, w2 = witness[:2]
    affine = min(density) * (1 - w1 * w2 - w2 * w2) / 2 + min(w1 * w2, Fraction(0)) >= 0
    return witness[:3] if affine else witness


def _times_line(start: float, end: float) -> Array:
    """(4, 3): Bernstein coefficients of a quadratic to those of its product with the line from `start` to `end`."""
    return np.array([[start, 0, 0], [end / 3, 2 * start / 3, 0], [0, 2 * end / 3, start / 3], [0, 0, end]])


def _cell(density: Line, lines: Sequence[Line], witness: Sequence[Fraction] | None) -> Cell:
    """Inequalities L > loss of the witness model, or I V without one, on a cell."""
    p, q = map(float, density)
    # The law of density p is quadratic in p; these are its Bernstein coefficients (none, only own, only other, both).
    pairs = ((p, p), (p, q), (q, q)) if p < q else ((p, p),)
    laws = np.array([[(1 - x) * (1 - y), *2 * [(x * (1 - y) + y * (1 - x)) / 2], x * y] for x, y in pairs])
    variance = np.array([(x + y) / 6 - x * y / 4 for x, y in pairs])
    ends = [tuple(map(float, line)) for line in lines]
    cubic, *times = [_times_line(*line) if p < q else np.array([[line[0]]]) for line in [(1.0, 1.0), *ends]]
    products = np.stack(times)
    ignored = products @ variance
    target = ignored
    if witness is not None:
        w1, w2, b1, *rest = map(np.array, map(float, witness))
        second = variance * ((1 - w2 * w2) ** 2 + (w1 * w2) ** 2)
        if rest:
            second = row_error(w2 * w2, w1 * w2, rest[0], laws)
        target = cubic @ row_error(w1 * w1, w1 * w2, b1, laws) + products @ second
    return Cell(laws, variance, cubic, products, target, ignored, (p + q) / 2)


def _extent(cell: Cell) -> list[float] | None:
    """(w1, w2) beyond which p φ(w1²), or I p φ(w2²), is above the target: φ(a) = ((a - 1)/(a + 1))²/3."""
    extent = []
    for factors in (cell.cubic, cell.lines):
        root = np.sqrt((3 * cell.target / (factors @ _active(cell))).max())
        if root >= 0.999:
            return None
        extent.append(float(np.ceil(64.01 * np.sqrt((1 + root) / (1 - root)))) / 64)
    return extent


def _active(cell: Cell) -> Array:
    """(k,): the density under each law."""
    active: Array = cell.laws[:, 1] + cell.laws[:, 3]
    return active


def _sides(box: Array) -> tuple[Array, Array]:
    """|w1| and |w2| over boxes (k, 2, 2): [feature, end]."""
    size = np.sort(np.abs(box), axis=2)
    size[:, 1, 0] = np.where((box[:, 1] < 0).any(1) & (box[:, 1] > 0).any(1), 0.0, size[:, 1, 0])
    return size[:, 0], size[:, 1]


def _rows(box: Array) -> tuple[Row, Row]:
    corners = box[:, 0, :, None] * box[:, 1, None]
    cross = np.stack([corners.min((1, 2)), corners.max((1, 2))], 1)
    middle = box.mean(2)
    none, t = np.zeros_like(middle), middle.prod(1)
    first, second = (
        Row(side**2, cross, none, np.stack([w**2, t], 1)) for side, w in zip(_sides(box), middle.T, strict=True)
    )
    return first, second


def _within(box: Array) -> Array:
    """Boxes all of whose models are what 'antipodal' claims."""
    first, second = _sides(box)
    inside: Array = (second[:, 0] > RATIO * first[:, 1]) & (first[:, 0] > RATIO * second[:, 1]) & (box[:, 1, 1] < 0)
    return inside


def _beside(box: Array) -> Array:
    """Boxes all of whose models have a ratio below that of 'antipodal'."""
    first, second = _sides(box)
    outside: Array = (second[:, 1] < RATIO * first[:, 0]) | (first[:, 1] < RATIO * second[:, 0])
    return outside


def _near(delta: float) -> Callable[[Array], Array]:
    """Boxes with |w1 w2| <= delta, which the core covers."""
    return lambda box: np.abs(_rows(box)[0].other).max(1) <= delta


def _tree(
    root: Array, attempt: Callable[[Array], list[str | None]], costs: Callable[[Array], Array], limit: int
) -> str | None:
    """Bisect boxes (d, 2) along their costliest axis until `attempt` logs each; the tree in preorder, an x or y per bisection."""
    boxes, log, child, todo = [root], [""], [-1], [0]
    while todo:
        which, todo = todo[-BATCH:], todo[:-BATCH]
        batch = np.array([boxes[i] for i in which])
        try:
            logs = attempt(batch)
        except _RefutedError:
            return None
        axes = costs(batch).argmax(1)
        for i, found, axis in zip(which, logs, axes, strict=True):
            if found is not None:
                log[i] = found
                continue
            if len(boxes) > limit or boxes[i][axis, 1] - boxes[i][axis, 0] < SMALLEST:
                return None
            halves = np.repeat(boxes[i][None], 2, 0)
            halves[0, axis, 1] = halves[1, axis, 0] = boxes[i][axis].mean()
            log[i], child[i] = "xy"[axis], len(boxes)
            todo += [len(boxes), len(boxes) + 1]
            boxes += list(halves)
            log += ["", ""]
            child += [-1, -1]
    order, stack = [], [0]
    while stack:
        i = stack.pop()
        order.append(log[i])
        if child[i] >= 0:
            stack += [child[i] + 1, child[i]]
    return "".join(order)


class _RefutedError(Exception):
    """A model contradicts the claim."""


def _costs(cell: Cell, box: Array) -> Array:
    """What the bound loses through the widths of w1 and of w2: E (x1 da + x2 dt)² and the like for output 2."""
    first, second = np.abs(box).max(2).T ** 2
    weight = cell.lines.max()
    rate = np.stack([4 * first + (1 + weight) * second, (1 + weight) * first + 4 * weight * second], 1)
    costs: Array = (box[..., 1] - box[..., 0]) ** 2 * rate
    return costs


def _prove(cell: Cell, skip: Callable[[Array], Array], box: Array) -> list[str | None]:
    """Per box of (w1, w2): '.' if it need not be covered or follows from the slopes alone, else partitions of b1 and b2, or None."""
    logs: list[str | None] = ["." if s else None for s in skip(box)]
    rows = _rows(box)
    plain = [_plain(cell, row) for row in rows]
    for k in np.flatnonzero((cell.excess(*plain) > 0).all((1, 2))):
        logs[k] = "."
    # Tilts pay where the slopes of the outputs cancel, and cost where several offsets compete; both are tried where one law is all.
    order = (False, True) if cell.density < LOW else (True, False)
    for tilted in order if len(cell.laws) == 1 else order[:1]:
        left = np.array([k for k, found in enumerate(logs) if found is None], int)
        if len(left):
            found = _prove_boxes(cell, skip, box[left], tuple(Row(*(x[left] for x in row)) for row in rows), tilted)
            for k, log in zip(left, found, strict=True):
                logs[k] = log
    return logs


def _prove_boxes(
    cell: Cell, skip: Callable[[Array], Array], box: Array, rows: Sequence[Row], tilted: bool
) -> list[str | None]:
    """Per box partitions of b1 and b2 on which the inequalities hold, or None."""
    logs: list[str | None] = [None] * len(box)
    plain = [_plain(cell, row) for row in rows]
    far = [row.own[:, 0] >= FAR for row in rows]
    if tilted:
        rows = [_tilted(cell, row, ~f) for row, f in zip(rows, far, strict=True)]
    least = _least_tilt(cell, box, rows[0].tilt, rows[1].tilt)
    covers = [Cover(row, cell.laws, cell.density, np.flatnonzero(~f)) for row, f in zip(rows, far, strict=True)]
    active = np.ones(len(box), bool)
    weights = cell.lines.sum(2)
    while True:
        bounds = [np.where(f[:, None], p, cover.minima()) for f, p, cover in zip(far, plain, covers, strict=True)]
        gap = cell.excess(*bounds) + least
        # What the bounds of output 1, and of output 2, may fall by, or must rise by, for the inequalities to hold.
        spare = [gap.min((1, 2)), (gap / weights).min((1, 2))]
        active &= spare[0] <= 0
        needs = [np.where(active[:, None], b - s[:, None], -np.inf) for b, s in zip(bounds, spare, strict=True)]
        touched = [cover.split(need) for cover, need in zip(covers, needs, strict=True)]
        if not any(map(len, touched)):
            break
        active[np.setdiff1d(np.arange(len(box)), np.concatenate(touched))] = False
    _refute(cell, skip, box, [cover.middles(len(box)) for cover in covers])
    # What is to spare is shared by the two partitions, which are logged no finer than needed.
    goals = [b - s[:, None] / 2 for b, s in zip(bounds, spare, strict=True)]
    roots = [np.cumsum(~f) - 1 for f in far]
    for k in np.flatnonzero(spare[0] > 0):
        parts = [
            "-" if f[k] else _word(c.row.tilt[k]) + c.log(int(r[k]), g[k])
            for f, c, r, g in zip(far, covers, roots, goals, strict=True)
        ]
        logs[k] = "".join(parts)
    return logs


def _tilted(cell: Cell, row: Row, wanted: Array) -> Row:
    """The row with the slopes of the error at (a', t') and the best offset there as its tilt, rounded to multiples of 1/256."""
    law = cell.laws.mean(0)
    a, t = row.at.T[..., None]
    low, high = (x[:, None] for x in row.offsets().T)
    for count in (16, 8):
        offset = low + (high - low) * (np.arange(count) + 0.5) / count
        values = row_error(a, t, offset, law[None])[..., 0]
        best = np.take_along_axis(offset, values.argmin(1)[:, None], 1)
        low, high = best - (high - low) / count, best + (high - low) / count
    step = 1e-5  # any tilt will do: it is rounded anyway
    slope = [
        (row_error(a + d * step, t + (1 - d) * step, best, law[None]) - row_error(a, t, best, law[None]))[:, 0, 0]
        / step
        for d in (1, 0)
    ]
    tilt = np.clip(np.round(256 * np.stack(slope, 1) / _active(cell).mean()), -2048, 2047) / 256
    return row._replace(tilt=np.where(wanted[:, None], tilt, 0.0))


def _least_tilt(cell: Cell, box: Array, first: Array, second: Array) -> Array:
    """(boxes, lines, c): least of what the tilts take out of both outputs, over the models of each box; see `_pair_check`."""
    centre, half = box.mean(2), (box[..., 1] - box[..., 0]) / 2
    c1, c2, h1, h2 = (x[:, None, None] for x in (*centre.T, *half.T))
    u, v = cell.cubic @ _active(cell), cell.lines @ _active(cell)
    x, y = u * first[:, 0, None, None], v * second[:, 0, None, None]
    s = u * first[:, 1, None, None] + v * second[:, 1, None, None]
    slopes = np.abs(2 * c1 * x + c2 * s) * h1 + np.abs(2 * c2 * y + c1 * s) * h2
    least: Array = np.minimum(x, 0) * h1**2 + np.minimum(y, 0) * h2**2 - np.abs(s) * h1 * h2 - slopes
    return least


def _word(tilt: Array) -> str:
    """A tilt in the words of `_pair_check`: t and two digits per number, nothing if it is 0."""
    if not tilt.any():
        return ""
    return "t" + "".join(DIGITS[n // 64] + DIGITS[n % 64] for n in (256 * tilt + 2048).astype(int).tolist())


def _refute(cell: Cell, skip: Callable[[Array], Array], box: Array, offsets: Sequence[Array]) -> None:
    """Raise if the model in the middle of a box contradicts the inequalities: no partition can then prove them."""
    middle = box.mean(2)
    w1, w2 = middle.T
    errors = [row_error(w * w, w1 * w2, b, cell.laws) for w, b in zip((w1, w2), offsets, strict=True)]
    bad = (cell.excess(*errors) < 0).any((1, 2)) & ~skip(np.repeat(middle[..., None], 2, 2))
    if bad.any():
        raise _RefutedError


def _plain(cell: Cell, row: Row) -> Array:
    """Bounds (boxes, laws) by the own slope alone: (1 - a)² V below 1, p φ(a) above."""
    low, high = row.own[:, :1], row.own[:, 1:]
    below = np.maximum(1 - high, 0) ** 2 * cell.variance
    bounds: Array = below + np.maximum((low - 1) / (low + 1), 0) ** 2 / 3 * _active(cell)
    return bounds


def _core(cell: Cell, density: Line, line: Line) -> tuple[dict[str, object], float] | None:
    """The part of a certificate that covers |w1 w2| <= δ, with δ as large as is found; see `_pair_check` for the argument."""
    highest = float(max(line))
    low = np.floor(2**20 * (1 - np.sqrt(highest))) / 2**20
    if low <= 0:
        return None
    # δ + δ²/low is so small that an output within [0, δ + δ²/low] errs by V or more.
    reach = 1 - np.cbrt(1 - 0.75 * float(density[0])) - 1e-9
    delta = (np.sqrt(low * low + 4 * low * reach) - low) / 2
    for _ in range(12):
        delta = _floor(delta, 5)
        eta = -_floor(-1.05 * delta * np.sqrt(2 * highest), 6)
        if eta < 0.5 and low * (1 - low) ** 2 >= highest * delta**2 * (2 - low) <= (1 - eta) * eta**2:
            shells, left = _shells(cell, delta, 1 - eta, highest)
            if shells:
                core: dict[str, object] = {"eta": str(Fraction(eta)), "low": str(Fraction(low)), "shells": shells}
                return None if left else (core, delta)
        delta *= 0.7
    return None


def _shells(cell: Cell, delta: float, least: float, highest: float) -> tuple[list[dict[str, object]], float]:
    """Shells of the core from δ inwards, each as thick as is proved, and where they end: at 0 if all is well."""
    shells: list[dict[str, object]] = []
    first = 0
    while delta and len(shells) < SHELLS:
        # Needs change slowly from one shell to the next.
        for k in range(first, len(SHARES)):
            inner = _floor(SHARES[k] * delta, 5)
            found = _shell(cell, delta, inner / delta, least, highest)
            if found is not None:
                break
        else:
            break
        first = max(k - 1, 0)
        shells.append(found)
        delta = inner
    return shells, delta


def _shell(cell: Cell, delta: float, share: float, least: float, highest: float) -> dict[str, object] | None:
    """Trees over the own slope a' with the other one ±δ, in which the error is as high as point 4d asks."""
    root = np.sqrt((3 * delta**2 * cell.ignored / (cell.cubic @ _active(cell))).max()) * (1 + 1e-6)
    top = 1 - _floor(-2 * root / (1 - root), 6)
    bottom = 1 + _floor(-delta * np.sqrt(highest * (2 / least - 1)) * (1 + 1e-6), 6)
    trees = []

    def need(low: Array, high: Array) -> Array:
        near = np.where(low >= 1, 1 + share * (low - 1), np.maximum(low, least))
        far = 1 + share * np.maximum(high - 1, 0)
        goal: Array = (2 / near - 1 - (share * delta / far) ** 2 + ROOM)[:, None] * delta**2 * cell.ignored[0]
        return goal

    for other in (-delta, delta):
        for ends in ((1.0, top), (bottom, 1.0)):
            attempt = partial(_prove_row, cell, other, need)
            tree = _tree(np.array([ends]), attempt, lambda box: box[..., 1] - box[..., 0], 300)
            if tree is None:
                return None
            trees.append(tree)
    return {k: str(Fraction(v)) for k, v in (("delta", delta), ("bottom", bottom), ("top", top))} | {"trees": trees}


def _prove_row(cell: Cell, other: float, need: Callable[[Array, Array], Array], box: Array) -> list[str | None]:
    """Per interval of the own slope, a partition of the offset on which the error of output 1 is above `need`, or None."""
    none = np.zeros((len(box), 2))
    row = Row(box[:, 0], np.full((len(box), 2), other), none, none)
    cover = Cover(row, cell.laws, cell.density, np.arange(len(box)))
    goal, middle = need(*box[:, 0].T), box[:, 0].mean(1)
    while True:
        bounds = cover.minima()
        spare = (bounds @ cell.cubic.T - goal).min(1)
        if not len(cover.split(np.where(spare[:, None] <= 0, bounds - spare[:, None], -np.inf))):
            break
    at = row_error(middle, np.full(len(box), other), cover.middles(len(box)), cell.laws)
    if (at @ cell.cubic.T < need(middle, middle)).any():
        raise _RefutedError
    return [cover.log(k, bounds[k] - spare[k]) if spare[k] > 0 else None for k in range(len(box))]


def _floor(value: float, bits: int) -> float:
    """Largest number of so many bits that is not above `value`."""
    mantissa, exponent = np.frexp(value)
    return float(np.ldexp(np.floor(mantissa * 2**bits), exponent - bits))
