"""Price check: a lower bound of the loss from a price λ of a dimension, in rational arithmetic. No solver, no floats.

Row i of a model has the error E_i = E ψ(b_i + Z), Z = Σ_{j≠i} t_ij x_j, with a = |w_i|², t_ij = w_i·w_j and

    ψ(z) = (1 - p_i) z₊² + p_i E (u - (a u + z)₊)²,    u uniform on [0, 1].

1 **Dimensionality.** Shorten columns longer than 1 to 1: s_i = min(a_i, 1), inner products y_ij, y_ij² <= min(s_i, t_ij²/max(a_i, 1)).
  D_i = s_i²/(s_i² + Σ_{j≠i} y_ij²) (0 where s_i = 0) add up to at most m: with P the projection to the range of the Gram matrix Y,
  D_i = <P e_i, Y e_i>²/|Y e_i|² <= P_ii, and tr P = rank Y. Hence for any λ >= 0 and J <= I
      L >= Σ_i min over all rows of (J_i E_i + λ D_i) - λ m.
2 **Waves.** If ψ(z) >= A + Σ_k C_k (1 - cos θ_k (z - z_k)) for all z, C >= 0, then whatever the bias
      E_i >= A + Σ_k C_k (1 - Π_j |M_j(θ_k t_ij)|),    M_j(τ) = E exp(iτ x_j),
  |M|² = (1 - p)² + 2 p (1 - p) sin τ/τ + 2 p² (1 - cos τ)/τ²: E cos θ(b + Z - z_k) is at most |E exp(iθZ)|.
3 **Rates.** With -ln |M_j(θ t)| >= r_j y² for all t, of y² as in 1, the product is at most exp(-Σ r_j y_j²); given Q = Σ y_j² this is
  largest with the least rates filled first, y_j² <= s. So a row is bounded by a function of Q alone, over 0 <= Q <= (n - 1) s: between
  grid points the waves' part is concave and above its chord, D convex and above its tangent, and the sum is least at an end.
4 **Cells.** All this for a in cells [a0, a1], A linear in a, y² <= min(s1, t²/max(a0, 1)). In s the second derivative of D,
  2 Q (Q - 3 s²)/(s² + Q)³, falls where it is positive and is at most 1/(2 s²). So D is above its chord less (s1 - s0)²/8 times a bound
  of it at s0, and the bound of 3 least at an end. For z <= -a1 ψ is p_i/3, for z >= 1 more: there A + the waves <= p_i/3 is enough,
  over one period, as all θ are multiples of 1/2. Between, ψ over a box is above a function concave along the axes (`_exact_row`), the
  waves below their Taylor polynomial of order 2 at the centre and Σ C θ³ |δ|³/6: the difference is least at a vertex.
  From a >= 1 on, also ψ >= (p_i/3) ((a - 1)/(a + 1))² and D >= 1/n.
5 **Densities.** ψ is linear in p_i: (1 - p)/(1 - q) or p/q, the less, times the ψ of density q is below that of density p.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from flint import fmpq

from ._checks import CertificateError
from ._exact_row import HALF, ZERO, vertex_bounds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._exact_row import Interval

ONE = fmpq(1)
# At least the period 4π of the waves.
PERIOD = fmpq(88, 7)
# Sines and cosines are rounded to so many bits and off by less than `SLOP`; exponentials are rounded up, to as many.
BITS = 80
SLOP = fmpq(1, 2**50)
# Cells of τ from 1 on.
EDGES = [fmpq(k, 64) for k in range(64, 256)] + [fmpq(k, 16) for k in range(64, 257)]
# Both terms of |M|² decrease up to here: sin τ/τ to 4.49, (1 - cos τ)/τ² to 2π.
FALLING = fmpq(22, 5)
SQUARES = [x * x for x in EDGES[1:]]
# Grid points of Q per feature, and halvings of a box of (a, z) at most.
STEPS, DEPTH = 6, 14


class Wave(NamedTuple):
    """C (1 - cos θ (z - z0))."""

    size: fmpq
    theta: fmpq
    shift: fmpq


class Cell(NamedTuple):
    """a0 <= a <= a1, where ψ is at least A + the waves, A linear between the floors at both ends."""

    a: Interval
    floors: Interval
    waves: tuple[Wave, ...]


def circle(x: fmpq) -> tuple[fmpq, fmpq]:
    """cos x and sin x within `SLOP`, |x| <= 256: by Taylor for x/256, doubled eight times, in whole multiples of 2^-BITS."""
    if abs(x) > 256:
        raise CertificateError(f"the angle {x} of a wave is too large")
    one, small = 1 << BITS, int((x * fmpq(2**BITS, 256)).floor())
    square, cos, sin = small * small >> BITS, one, one
    for k in range(20, -1, -2):
        cos = one - (cos * square >> BITS) // ((k + 1) * (k + 2))
        sin = one - (sin * square >> BITS) // ((k + 2) * (k + 3))
    sin = sin * small >> BITS
    for _ in range(8):
        cos, sin = one - (sin * sin >> BITS - 1), sin * cos >> BITS - 1
    return fmpq(cos, one), fmpq(sin, one)


def _down(x: fmpq) -> fmpq:
    return fmpq((x * 2**BITS).floor(), 2**BITS)


def _up(x: fmpq) -> fmpq:
    return -_down(-x)


class Decay(NamedTuple):
    """What -ln |M(τ)| is at least: `near` τ² up to 1; then per cell of τ, the least over it and all after it, and over τ² of its end,
    the least of it and all before it."""

    near: fmpq
    after: list[fmpq]
    before: list[fmpq]


@lru_cache(maxsize=64)
def decay(p: fmpq) -> Decay:
    """The rates of statement 3 before y² is put in.

    Up to τ = 1, with q = τ²: |M|² <= 1 - x, x = v q - w q², v = p/3 - p²/4, w = p (1 - p)/60 + p²/360, and -ln(1 - x)/q is at least
    (v - w q) + q (v - w q)²/2, concave in q as 3 w <= 2 v: least at an end.
    """
    v, w = p / 3 - p * p / 4, p * (1 - p) / 60 + p * p / 360
    least = [_minus_log(_modulus(p, lo, hi)) for lo, hi in pairwise(EDGES)]
    # From the last edge on.
    far = EDGES[-1]
    least.append(_minus_log((1 - p) ** 2 + 2 * p * (1 - p) / far + 4 * p * p / far**2))
    after, before = least[:], [x / (hi * hi) for x, hi in zip(least, EDGES[1:], strict=False)]
    for k in range(len(after) - 2, -1, -1):
        after[k] = min(after[k], after[k + 1])
    for k in range(1, len(before)):
        before[k] = min(before[k], before[k - 1])
    return Decay(min(v, v - w + (v - w) ** 2 * HALF) * HALF, after, before)


def _modulus(p: fmpq, lo: fmpq, hi: fmpq) -> fmpq:
    """A number above |M(τ)|² for lo <= τ <= hi."""
    # At the low end, or at the centre and as steep as they can be: sin τ/τ less than 1/τ + 1/τ², the other twice 1/τ² + 2/τ³.
    falls = hi <= FALLING
    at = lo if falls else (lo + hi) * HALF
    cos, sin = circle(at)
    steep = (
        ZERO if falls else (hi - lo) * HALF * (2 * p * (1 - p) * (1 + 1 / lo) / lo + 2 * p * p * (1 + 2 / lo) / lo**2)
    )
    return (1 - p) ** 2 + 2 * p * (1 - p) * (sin + SLOP) / at + 2 * p * p * (1 - cos + SLOP) / at**2 + steep


def _minus_log(square: fmpq) -> fmpq:
    """A number below -ln √square: atanh z = z + z³/3 + ..., z = (1 - square)/(1 + square)."""
    z = (1 - square) / (1 + square)
    return max(_down(z + z**3 / 3 + z**5 / 5 + z**7 / 7), ZERO) if z > 0 else ZERO


@lru_cache(maxsize=1 << 14)
def rate(p: fmpq, theta: fmpq, a: Interval) -> fmpq:
    """r of statement 3 for a in a cell."""
    table, cap, norm = decay(p), min(a[1], ONE), max(a[0], ONE)
    # Cells of τ = θ |t| before y² reaches its cap: those that end below θ √(cap norm).
    scale = theta * theta * norm
    full = scale * cap
    k = bisect_left(SQUARES, full)
    best = min(table.near * scale, table.after[k] / cap)
    return min(best, table.before[k - 1] * scale) if k else best


def _step(x: fmpq) -> fmpq:
    """A number above exp(-x), x >= 0."""
    total = term = ONE
    for k in range(1, 9):
        term = term * x / k
        total += term
    return _up(1 / total)


def prove_floors(cell: Cell, p: fmpq) -> None:
    """Statement 4 for a cell: ψ >= A + the waves for all a in it and all z, or CertificateError."""
    if any(wave.size < 0 or wave.theta <= 0 or (2 * wave.theta).q != 1 for wave in cell.waves):
        raise CertificateError(f"waves of the cell {cell.a} must be positive, of frequencies that are multiples of 1/2")
    low = -cell.a[1]
    # And the waves over a period, where ψ is p/3 or more.
    stack: list[tuple[Interval | None, Interval, int]] = [
        (cell.a, (low, ONE), DEPTH),
        (None, (low, low + PERIOD), DEPTH),
    ]
    while stack:
        a, z, depth = stack.pop()
        if _spare(cell, p, a, z) >= 0:
            continue
        if not depth:
            raise CertificateError(f"the floors {cell.floors} are not shown for a in {a or cell.a}, z in {z}")
        if a is not None and a[1] - a[0] > z[1] - z[0]:
            middle = (a[0] + a[1]) * HALF
            stack += [((a[0], middle), z, depth - 1), ((middle, a[1]), z, depth - 1)]
        else:
            middle = (z[0] + z[1]) * HALF
            stack += [(a, (z[0], middle), depth - 1), (a, (middle, z[1]), depth - 1)]


def _spare(cell: Cell, p: fmpq, a: Interval | None, z: Interval) -> fmpq:
    """A number below ψ - A - the waves over a box of (a, z), or below p/3 - A - the waves where a is None."""
    centre, half = (z[0] + z[1]) * HALF, (z[1] - z[0]) * HALF
    height = slope = bend = third = ZERO
    for size, theta, shift in cell.waves:
        cos, sin = circle(theta * (centre - shift))
        height += size * (1 - cos + SLOP * (1 + theta * half) ** 2)
        slope += size * theta * sin
        bend += size * theta**2 * cos
        third += size * theta**3
    # Taylor at the centre: a quadratic, convex or below its tangent, and the rest.
    height += max(bend, ZERO) * half**2 * HALF + third * half**3 / 6
    if a is None:
        return p / 3 - max(cell.floors) - height - abs(slope) * half
    (low, floor), rise = (cell.a[0], cell.floors[0]), (cell.floors[1] - cell.floors[0]) / (cell.a[1] - cell.a[0])
    corners = vertex_bounds(a, (ZERO, ZERO), z, [(1 - p, p, ZERO, ZERO)])
    return min(value - floor - rise * (at[0] - low) - height - slope * (at[2] - centre) for at, (value,) in corners)


def ends(cell: Cell, others: Sequence[fmpq]) -> list[fmpq]:
    """The waves' part of E_i at Q = 0, s1/STEPS, 2 s1/STEPS, ...; others: the densities of the other features."""
    top = min(cell.a[1], ONE)
    values = [ZERO] * (STEPS * len(others) + 1)
    for size, theta, _ in cell.waves:
        left, k = ONE, 0
        for r in sorted(rate(p, theta, cell.a) for p in others):
            step = _step(_down(r * top / STEPS))
            for _ in range(STEPS):
                left, k = _up(left * step), k + 1
                values[k] += size * (1 - left)
    return values


def cell_level(cell: Cell, values: Sequence[fmpq], p: fmpq, scale: fmpq, price: fmpq) -> fmpq:
    """A number below scale E + λ D over a cell: `values` as from `ends`."""
    s0, s1 = (min(a, ONE) for a in cell.a)
    width, square = s1 / STEPS, s0 * s0
    # What a chord of D in s may be too high, per interval of Q; from 0 on it is replaced by its left end, 0.
    bends = [ZERO] * (len(values) - 1)
    if 0 < s0 < s1:
        for k in range(len(bends)):
            right = (k + 1) * width
            steep = max(right * (right - 3 * square), ZERO) / (square + k * width) ** 3
            bends[k] = (s1 - s0) ** 2 / 4 * min(steep, 1 / (4 * square))
    least = []
    for s, floor in zip((s0, s1), cell.floors, strict=True):
        square = s * s if s0 else ZERO
        for k, bend in enumerate(bends):
            middle = square + (k + HALF) * width
            share, fall = square / middle - bend, square * width * HALF / middle**2
            left, right = floor + values[k], floor + values[k + 1]
            least += [scale * left + price * (share + fall), scale * right + price * (share - fall)]
    return max(min(least), _far(cell.a[0], len(values) // STEPS + 1, p, scale, price))


def _far(a: fmpq, n: int, p: fmpq, scale: fmpq, price: fmpq) -> fmpq:
    """The same for all slopes from a on: of the own feature's error alone, with D >= 1/n."""
    return scale * p / 3 * ((a - 1) / (a + 1)) ** 2 + price / n if a >= 1 else ZERO


def row_scale(p: fmpq, q: fmpq) -> fmpq:
    """Statement 5: the error of a row of density p is at least this times that of density q."""
    if p == q or q == 1:
        return p / q
    return min(p / q, (1 - p) / (1 - q))


def price_bound(density: Sequence[fmpq], m: int, part: dict[str, Any]) -> fmpq:
    """The bound of statement 1 that `part` proves: a price λ, the importances J, tables of cells and the table of each feature."""
    return sum(price_levels(density, part), ZERO) - rational(part["price"]) * m


def price_levels(density: Sequence[fmpq], part: dict[str, Any]) -> list[fmpq]:
    """Per feature a number below J E + λ D of every row."""
    price, importance = rational(part["price"]), list(map(rational, part["importance"]))
    if price < 0 or min(importance) < 0 or not len(density) == len(importance) == len(part["rows"]) > 1:
        raise CertificateError(
            "a price and importances must be non-negative, one importance and row per feature, two at least"
        )
    tables = [_read(table) for table in part["tables"]]
    found: dict[tuple[fmpq, fmpq, int], fmpq] = {}
    rows = list(zip(density, importance, part["rows"], strict=True))
    for p, weight, k in rows:
        if (p, weight, k) not in found:
            others = list(density)
            others.remove(p)
            q, cells = tables[k]
            found[p, weight, k] = row_level(q, cells, others, weight * row_scale(p, q), price)
    return [found[row] for row in rows]


def row_level(q: fmpq, cells: Sequence[Cell], others: Sequence[fmpq], scale: fmpq, price: fmpq) -> fmpq:
    """The least of scale E + λ D over all rows of a feature of density q."""
    least = (cell_level(cell, ends(cell, others), q, scale, price) for cell in cells)
    return min(*least, _far(cells[-1].a[1], len(others) + 1, q, scale, price))


def _read(table: dict[str, Any]) -> tuple[fmpq, list[Cell]]:
    """Density and cells of a table, their floors proved; the cells follow each other from 0 on."""
    q, low, cells = rational(table["density"]), ZERO, []
    if not 0 < q <= 1:
        raise CertificateError(f"density {q} of a table must be in (0, 1]")
    for edge, *floors, waves in table["cells"]:
        high = rational(edge)
        if high <= low:
            raise CertificateError(f"the cell from {low} to {high} must have a width")
        first, last = map(rational, floors)
        cells.append(Cell((low, high), (first, last), tuple(Wave(*map(rational, wave)) for wave in waves)))
        prove_floors(cells[-1], q)
        low = high
    return q, cells


def rational(text: str) -> fmpq:
    """A rational written "numerator/denominator" or as an integer; nothing else, so no float slips in."""
    top, _, bottom = text.partition("/")
    return fmpq(int(top), int(bottom or 1))
