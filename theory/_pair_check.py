"""Pair check: replays a certificate of `_pair_proof` in rational arithmetic. No solver, no floats, nothing taken on trust.

Two features, uniform values, common density p, importances (1, I), one hidden dimension. Output 1 has slopes a = w1² and c = w1 w2,
output 2 has d = w2² and c, and L = F1 + I F2. V = p/3 - p²/4; ignoring feature 2 costs I V. W and -W are one model, so w1 >= 0.

1. Polynomials. F1 and F2 of a fixed model are quadratic in p, with Bernstein coefficients on [p0, p1] their values under the laws
   of `_Cell`. I = e0 + (e1 - e0) s along a line makes L - target a cubic; L is linear in I. So L > target on the cell if all
   coefficients are positive on both lines. Bounds are per law: they hold for each coefficient.
2. Offsets. Below b = -(a + c₊) output 1 is 0; above b = 1 + (-c)₊ it is at least x1 and F1 rises. Between, F1 is bounded on cells.
3. Slopes. Given x2, x1 - y has slope >= 1 - a in x1, so F1 >= (1 - a)² V for a <= 1. For a >= 1 the least error of a ramp of
   slope a is F1 >= p φ(a), φ(a) = ((a - 1)/(a + 1))²/3, increasing. Likewise F2. They end the range of the weights.
4. Core, 'ignored' only: |c| <= δ, where L - I V vanishes to second order.
   a. a <= low: F1 >= (1 - low)² V >= I V. And c = 0 with a > 0 is d = 0: F2 >= V. Else d = c²/a <= δ²/low.
   b. If |c| + d <= p/4 then F2 >= V - V max(2d - c², 0): output 2 is affine, and F2 >= V ((1-d)² + c²), or at most |c| + d, and
      F2 >= p/3 - p (|c| + d) >= V. So L - I V >= F1 - I V c² (2/a - 1)₊.
   c. low <= a <= 1 - η: F1 >= (1-a)² V suffices if a (1-a)² >= I δ² (2 - low) at both ends (unimodal between).
   d. F1(1 + kγ, ±k, kβ)/k² does not rise with k > 0: in each pattern error/k is min(z, u/k), or z₊, with z free of k. So with
      k = |c|: F1/c² >= F1(a', ±δ, b')/δ² for some b' and an a' (possibly negative) on the same side of 1 as a. It suffices that
      F1(a', ±δ, b') >= δ² I V for a' >= 1, and (1+η)/(1-η) times that for a' <= 1; outside [bottom, top], bottom >= 0, this is
      point 3 (for a' < 0 the slope of x1 - y is at least 1, so F1 >= V).
5. Tilts. On a box with centre (w1', w2') the bounds may be for F1 - p T1 and F2 - p T2, T1 = α (a - w1'²) + σ (c - w1' w2'),
   T2 = β (d - w2'²) + ρ (c - w1' w2'), any α, σ, β, ρ; the least p T1 + I p T2 on the box is added.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flint import fmpq

from ._bernstein import above, loss, product, reaches
from ._checks import CertificateError
from ._exact_row import ZERO, error, row_bound
from ._grade import Grade

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ._exact_row import Interval

    Box = tuple[Interval, ...]

RATIO = fmpq(23, 40)
FLAT = ((ZERO, ZERO), (ZERO, ZERO))
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+/"


@dataclass(frozen=True)
class PairClaim:
    """What a certificate proves (see `prove_pair`): `state` on density[0] <= p <= density[1] between two lines of importance.

    importance: lower and upper line, each (value at density[0], value at density[1]). Grade EXACT: rational arithmetic.
    """

    state: str
    density: Interval
    importance: tuple[Interval, Interval]
    grade: Grade = Grade.EXACT


def check_pair(certificate: Mapping[str, Any]) -> PairClaim:
    """The claim of a certificate, after replaying it in exact arithmetic; CertificateError says which step fails.

    Anything in a certificate may be changed: then it fails, or what it says now is true and proved.

    >>> check_pair({"state": "ignored", "density": ["1/2", "1/3"], "importance": [["0", "0"], ["1/9", "1/9"]]})
    Traceback (most recent call last):
    tegum.theory._checks.CertificateError: density must satisfy 0 < p0 <= p1 <= 1
    """
    state = certificate.get("state")
    p0, p1 = _numbers(certificate.get("density"), 2)
    lines = [_numbers(line, 2) for line in _items(certificate.get("importance"), 2)]
    lower, upper = lines
    _demand(0 < p0 <= p1 <= 1, "density must satisfy 0 < p0 <= p1 <= 1")
    rising = all(0 <= x <= y <= 1 for x, y in zip(*lines, strict=True))
    _demand(rising, "importance must satisfy 0 <= lower <= upper <= 1")
    _demand(p0 < p1 or all(x == y for x, y in lines), "a single density has one importance per line")
    cell = _Cell([(p0, p0), (p0, p1), (p1, p1)] if p0 < p1 else [(p0, p0)])
    if state == "ignored":
        _demand(lower == [0, 0], "an ignored state is proved down to importance 0")
        lines = [upper]
    targets = [product(cell.variance, line) for line in lines]
    if state == "ignored":
        delta = _check_core(certificate.get("core"), p0, upper, cell)
    else:
        _demand(state in ("weak", "antipodal"), f"unknown state {state!r}")
        w1, w2, b1, b2 = _numbers(certificate.get("witness"), 4)
        errors = [[error(w * w, w1 * w2, b, law) for law in cell.laws] for w, b in ((w1, b1), (w2, b2))]
        ignored, targets = targets, [loss(errors[0], errors[1], line) for line in lines]
        _demand(state != "weak" or above(ignored, targets), "the witness is no better than ignoring feature 2")
    extent = _numbers(certificate.get("extent"), 2)
    for k, end in enumerate(extent):
        ramp = cell.slope_bound((end * end, end * end))
        zero = [ZERO] * len(ramp)
        bounds = (zero, ramp) if k else (ramp, zero)
        enough = above([loss(*bounds, line) for line in lines], targets)
        _demand(end >= 1 and enough, f"w{k + 1} ends too early")

    def leaf(box: Box, log: Iterator[str], mark: str) -> None:
        if mark == "." and (_small(box, delta) if state == "ignored" else _left_out(box, str(state))):
            return
        corners = [x * y for x in box[0] for y in box[1]]
        cross = (min(corners), max(corners))
        mid = [(lo + hi) / 2 for lo, hi in box]
        bounds, tilts = [], []
        for k, (low, high) in enumerate(map(_sizes, box)):
            own = (low * low, high * high)
            mark = next(log, "") if k and mark != "." else mark
            tilt = (_short(log), _short(log)) if mark == "t" else (ZERO, ZERO)
            mark = next(log, "") if mark == "t" else mark
            rise = [[tilt[0] * (a - mid[k] ** 2) + tilt[1] * (c - mid[0] * mid[1]) for c in cross] for a in own]
            plain = mark in (".", "-") and not any(tilt) and mark
            bounds.append(cell.slope_bound(own) if plain else cell.partition(own, cross, log, mark, rise))
            tilts.append(tilt)
        sums = [loss(bounds[0], bounds[1], line) for line in lines]
        for total, line in zip(sums, lines, strict=True):
            rates = zip(product(cell.active, (1, 1)), product(cell.active, line), strict=True)
            total[:] = [x + _least_tilt(box, tilts, *rate) for x, rate in zip(total, rates, strict=True)]
        _demand(above(sums, targets), "no proof on a box of weights")

    _walk(certificate.get("tree"), ((fmpq(0), extent[0]), (-extent[1], extent[1])), leaf)
    return PairClaim(str(state), (p0, p1), ((lower[0], lower[1]), (upper[0], upper[1])))


def _check_core(data: Any, p0: fmpq, line: Sequence[fmpq], cell: _Cell) -> fmpq:
    """δ, after checking point 4 of the module."""
    _demand(isinstance(data, dict), "an ignored state needs a core")
    delta, eta, low, bottom, top = _numbers([data.get(name) for name in ("delta", "eta", "low", "bottom", "top")], 5)
    most, one = max(line), fmpq(1)
    # bottom >= 0: below it F1 >= V for a < 0 too, where y falls with x1 and x1 - y has slope 1 only where y = 0.
    _demand(delta > 0 and 0 < eta < 1 and 0 < low < 1 and 0 <= bottom <= 1 <= top, "core: numbers out of range")
    _demand((1 - low) ** 2 >= most, "core: low is too large")
    _demand(delta + delta * delta / low <= p0 / 4, "core: delta is too large for output 2 to be affine")
    for a in (low, 1 - eta):
        _demand(a * (1 - a) ** 2 >= most * delta * delta * (2 - low), "core: eta or low is too small")
    sides = (((one, top), top, one), ((bottom, one), bottom, (1 + eta) / (1 - eta)))
    plan = [(cross, *side) for cross in (-delta, delta) for side in sides]
    for text, (cross, side, end, factor) in zip(_items(data.get("trees"), 4), plan, strict=True):
        goal = [factor * delta * delta * x for x in product(cell.variance, line)]
        _demand(reaches(cell.slope_bound((end, end)), goal), "core: bottom or top is too near 1")

        def leaf(box: Box, log: Iterator[str], mark: str, cross: fmpq = cross, goal: list[fmpq] = goal) -> None:
            _demand(reaches(cell.partition(box[0], (cross, cross), log, mark), goal), "core: a bound is too low")

        _walk(text, (side,), leaf)
    return delta


class _Cell:
    """What depends on the densities alone: per law its weights, V and the density itself."""

    def __init__(self, pairs: list[tuple[fmpq, fmpq]]) -> None:
        # Weights of the patterns (none, only own, only other, both): bilinear, symmetric, the law of density p at q = p.
        single = [(p + q) / 2 - p * q for p, q in pairs]
        self.laws = [((1 - p) * (1 - q), s, s, p * q) for s, (p, q) in zip(single, pairs, strict=True)]
        self.active = [(p + q) / 2 for p, q in pairs]
        self.variance = [(p + q) / 6 - p * q / 4 for p, q in pairs]

    def slope_bound(self, own: Interval) -> list[fmpq]:
        """Point 3 of the module."""
        low, high = own
        if low > 1:
            return [((low - 1) / (low + 1)) ** 2 / 3 * p for p in self.active]
        return [max(1 - high, ZERO) ** 2 * v for v in self.variance]

    def partition(
        self, own: Interval, cross: Interval, log: Iterator[str], mark: str, rise: Sequence[Sequence[fmpq]] = FLAT
    ) -> list[fmpq]:
        """Least bound over a partition of the offset, per law: b bisects, c is a cell. `rise` is point 5's T at ends of a and c."""
        tilts = [[[p * x for x in row] for row in rise] for p in self.active] if any(map(any, rise)) else None
        todo = [(-(own[1] + max(cross[1], ZERO)), 1 + max(-cross[0], ZERO))]
        least: list[fmpq] = []
        while todo:
            lo, hi = todo.pop()
            if mark == "b":
                todo += [((lo + hi) / 2, hi), (lo, (lo + hi) / 2)]
            else:
                _demand(mark == "c", "a partition is broken off or holds a foreign mark")
                values = row_bound(own, cross, (lo, hi), self.laws, tilts)
                least = [min(pair) for pair in zip(least or values, values, strict=True)]
            mark = next(log, "") if todo else mark
        return least


def _walk(text: Any, root: Box, leaf: Callable[[Box, Iterator[str], str], None]) -> None:
    """Visit the leaves of a tree in preorder: x or y bisects a box along its first or second axis, all else is for the leaf."""
    _demand(isinstance(text, str), "a tree must be a string")
    log, todo = iter(text), [root]
    while todo:
        box, mark = todo.pop(), next(log, "")
        axis = "xy".find(mark) if mark else -1
        if not 0 <= axis < len(box):
            leaf(box, log, mark)
            continue
        lo, hi = box[axis]
        todo += [(*box[:axis], half, *box[axis + 1 :]) for half in (((lo + hi) / 2, hi), (lo, (lo + hi) / 2))]
    _demand(next(log, "") == "", "a tree goes on after its last leaf")


def _short(log: Iterator[str]) -> fmpq:
    """A number of two digits: multiples of 1/256 within ±8."""
    high, low = (DIGITS.find(next(log, "?")) for _ in range(2))
    _demand(high >= 0 and low >= 0, "a tilt needs two digits per number")
    return fmpq(64 * high + low - 2048, 256)


def _least_tilt(box: Box, tilts: Sequence[Interval], u: fmpq, v: fmpq) -> fmpq:
    """A number below u T1 + v T2 on the box (point 5), by its Taylor polynomial at the centre."""
    (c1, h1), (c2, h2) = (((lo + hi) / 2, (hi - lo) / 2) for lo, hi in box)
    x, y, s = u * tilts[0][0], v * tilts[1][0], u * tilts[0][1] + v * tilts[1][1]
    slopes = abs(2 * c1 * x + c2 * s) * h1 + abs(2 * c2 * y + c1 * s) * h2
    return min(x, ZERO) * h1 * h1 + min(y, ZERO) * h2 * h2 - abs(s) * h1 * h2 - slopes


def _sizes(weight: Interval) -> Interval:
    lo, hi = weight
    return (ZERO if lo < 0 < hi else min(abs(lo), abs(hi))), max(abs(lo), abs(hi))


def _small(box: Box, delta: fmpq) -> bool:
    return all(abs(x * y) <= delta for x in box[0] for y in box[1])


def _left_out(box: Box, state: str) -> bool:
    """Whether all models of the box are of the kind that the claim allows to be optimal."""
    (low1, high1), (low2, high2) = map(_sizes, box)
    if state == "antipodal":
        return box[0][0] >= 0 and box[1][1] < 0 and low2 > RATIO * high1 and low1 > RATIO * high2
    return high2 < RATIO * low1 or high1 < RATIO * low2


def _items(values: Any, count: int) -> list[Any]:
    _demand(isinstance(values, list) and len(values) == count, f"{values!r} must be a list of {count}")
    return list(values)


def _numbers(values: Any, count: int) -> list[fmpq]:
    matches = [re.fullmatch(r"(-?\d+)(?:/([1-9]\d*))?", str(value)) for value in _items(values, count)]
    _demand(all(matches), f"{values!r} must be rational numbers in words like '1/3'")
    return [fmpq(int(m[1]), int(m[2] or 1)) for m in matches if m]


def _demand(holds: bool, message: str) -> None:
    if not holds:
        raise CertificateError(message)
