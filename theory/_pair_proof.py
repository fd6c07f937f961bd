"""Pair proof: which state of two features in one dimension is optimal, proved on cells of (density, importance).

The inequalities are those of a `Cell`. Boxes of (w1, w2) are bisected until the bounds of a `Cover` per output suffice for them.
What is left out, and why that is allowed, stands in `_pair_check`, which replays the log in rational arithmetic; floats here only
look for it.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy import ndarray as Array

from ._checks import InputError
from ._pair import superposed_states
from ._pair_cell import ROOM, pair_cell
from ._pair_check import DIGITS
from ._pair_core import pair_core
from ._pair_cover import Cover, Row
from ._pair_tree import RefutedError, prove_tree
from ._row_box import row_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ._pair_cell import Cell, Line

STATES = ("ignored", "weak", "antipodal")
# |w2/w1| (or its inverse) that parts the two superposed states.
RATIO = 23 / 40
# Own slopes from FAR on are bounded by φ alone.
FAR = 3.0
# Density below which tilts seldom pay.
LOW = 0.15

Number = float | str | Fraction


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
        cell = pair_cell(p, lines, None)
        found = pair_core(cell, p, lines[0])
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
            cell = pair_cell(p, lines, witness)
            if (cell.target < cell.ignored * (1 - ROOM)).all():
                break
        else:
            return None
        skip = _within if state == "antipodal" else _beside
        if not skip(np.array([[[float(x)] * 2 for x in witness[:2]]])).all():
            return None
        head |= {"importance": [[str(x) for x in line] for line in lines], "witness": [str(x) for x in witness]}
    extent = cell.extent()
    if extent is None:
        return None
    root = np.array([[0, extent[0]], [-extent[1], extent[1]]])
    tree = prove_tree(root, lambda box: _prove(cell, skip, box), lambda box: _costs(cell, box), limit)
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
    plain = [cell.slope_bound(row.own) for row in rows]
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
    plain = [cell.slope_bound(row.own) for row in rows]
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
    tilt = np.clip(np.round(256 * np.stack(slope, 1) / cell.active.mean()), -2048, 2047) / 256
    return row._replace(tilt=np.where(wanted[:, None], tilt, 0.0))


def _least_tilt(cell: Cell, box: Array, first: Array, second: Array) -> Array:
    """(boxes, lines, c): least of what the tilts take out of both outputs, over the models of each box; see `_pair_check`."""
    centre, half = box.mean(2), (box[..., 1] - box[..., 0]) / 2
    c1, c2, h1, h2 = (x[:, None, None] for x in (*centre.T, *half.T))
    u, v = cell.cubic @ cell.active, cell.lines @ cell.active
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
        raise RefutedError
