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
   b. If s = |c| + d has (1 - s)³ >= 1 - 3p/4 then F2 >= V - V (2d - d² - c²)₊: output 2 is affine, and F2 >= V ((1-d)² + c²), or
      it stays within [0, s], and F2 >= p (1-s)³/3 >= V. So L - I V >= F1 - I V c² (2/a - 1 - c²/a²)₊.
   c. low <= a <= 1 - η: F1 >= (1-a)² V suffices if a (1-a)² >= I δ² (2 - low) at both ends (unimodal between).
   d. F1(1 + kγ, ±k, kβ)/k² does not rise with k > 0: in each pattern error/k is min(z, u/k), or z₊, with z free of k. The shell
      r δ <= |c| <= δ is seen from its outer end: with k = |c|, F1/c² >= F1(a', ±δ, b')/δ² for some b' and an a' (possibly
      negative) with a = 1 + (a' - 1) |c|/δ. It suffices that F1(a', ±δ, b') >= δ² I V (2/n - 1 - (r δ/m)²) where n <= a and
      m/r >= a δ/|c|: for a' >= 1 both are 1 + r (a' - 1), for a' <= 1 they are max(a', 1 - η) and 1. Outside [bottom, top],
      bottom >= 0, this is point 3 (for a' < 0 the slope of x1 - y is at least 1, so F1 >= V). Shells go from δ down to r = 0.
5. Tilts. On a box with centre (w1', w2') the bounds may be for F1 - p T1 and F2 - p T2, T1 = α (a - w1'²) + σ (c - w1' w2'),
   T2 = β (d - w2'²) + ρ (c - w1' w2'), any α, σ, β, ρ; the least p T1 + I p T2 on the box is added.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
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
        errors = _witness_errors(certificate.get("witness"), (p0, p1), cell)
        ignored, targets = targets, [loss(*errors, line) for line in lines]
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


def _witness_errors(data: Any, density: Interval, cell: _Cell) -> tuple[list[fmpq], list[fmpq]]:
    """Errors of a model (w1, w2, b1, b2), or (w1, w2, b1): then b2 = p (1 - c - d)/2, the best of an affine output 2, for every p."""
    affine = isinstance(data, list) and len(data) == 3
    w1, w2, b1, *rest = _numbers(data, 3 if affine else 4)
    cross, own = w1 * w2, w2 * w2
    first = [error(w1 * w1, cross, b1, law) for law in cell.laws]
    if not affine:
        return first, [error(own, cross, rest[0], law) for law in cell.laws]
    low = [p * (1 - cross - own) / 2 + min(cross, ZERO) for p in density]
    _demand(min(low) >= 0, "the witness without b2 has no affine output 2")
    return first, [v * ((1 - own) ** 2 + cross * cross) for v in cell.variance]


def _check_core(data: Any, p0: fmpq, line: Sequence[fmpq], cell: _Cell) -> fmpq:
    """δ, after checking point 4 of the module."""
    _demand(isinstance(data, dict), "an ignored state needs a core")
    eta, low = _numbers([data.get(name) for name in ("eta", "low")], 2)
    shells = data.get("shells")
    _demand(isinstance(shells, list) and all(isinstance(x, dict) for x in shells), "core: shells must be a list")
    deltas = [*_numbers([shell.get("delta") for shell in shells], len(shells)), ZERO]
    delta, most = deltas[0], max(line)
    _demand(0 < eta < 1 and 0 < low < 1 and all(x > y for x, y in pairwise(deltas)), "core: numbers out of range")
    _demand((1 - low) ** 2 >= most, "core: low is too large")
    reach = delta + delta * delta / low
    _demand(reach < 1 and 4 * (1 - reach) ** 3 >= 4 - 3 * p0, "core: delta is too large for output 2 to be affine")
    for a in (low, 1 - eta):
        _demand(a * (1 - a) ** 2 >= most * delta * delta * (2 - low), "core: eta or low is too small")
    for shell, (outer, inner) in zip(shells, pairwise(deltas), strict=True):
        _check_shell(shell, outer, inner / outer, 1 - eta, product(cell.variance, line), cell)
    return delta


def _check_shell(shell: Any, delta: fmpq, share: fmpq, least: fmpq, ignored: Sequence[fmpq], cell: _Cell) -> None:
    """Point 4d of the module for share δ <= |c| <= δ and a >= least."""
    bottom, top = _numbers([shell.get("bottom"), shell.get("top")], 2)
    # bottom >= 0: below it F1 >= V for a < 0 too, where y falls with x1 and x1 - y has slope 1 only where y = 0.
    _demand(0 <= bottom <= 1 <= top, "core: numbers out of range")

    def enough(bounds: Sequence[fmpq], low: fmpq, high: fmpq) -> bool:
        near = 1 + share * (low - 1) if low >= 1 else max(low, least)
        far = 1 + share * max(high - 1, ZERO)
        goal = (2 / near - 1 - (share * delta / far) ** 2) * delta * delta
        return reaches(bounds, [goal * x for x in ignored])

    # Beyond the ends the bound by slope rises, and what is needed is at most δ² I V above the top, and the goal for n = 1 - η below.
    _demand(enough(cell.slope_bound((bottom, bottom)), ZERO, bottom), "core: bottom is too near 1")
    _demand(reaches(cell.slope_bound((top, top)), [delta * delta * x for x in ignored]), "core: top is too near 1")
    plan = [(cross, side) for cross in (-delta, delta) for side in ((fmpq(1), top), (bottom, fmpq(1)))]
    for text, (cross, side) in zip(_items(shell.get("trees"), 4), plan, strict=True):

        def leaf(box: Box, log: Iterator[str], mark: str, cross: fmpq = cross) -> None:
            bounds = cell.partition(box[0], (cross, cross), log, mark)
            _demand(enough(bounds, *box[0]), "core: a bound is too low")

        _walk(text, (side,), leaf)


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
