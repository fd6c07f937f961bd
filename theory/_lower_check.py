"""Lower check: a certificate of a lower bound of the optimal loss, verified in rational arithmetic. No solver, no floats.

The statements that the numbers of a certificate are put into, with their proofs; features are independent and uniform, L* is the
least loss over all models in m dimensions, v(k) a number below L* of k features of importance 1 and density p.

1 **Subsets.** Given the values of the other features, the rows of a subset S are a model of S with shifted biases. Hence
  Σ_{i∈S} E (x_i - x'_i)² >= L*_S, and L*(I) >= Σ_S y_S v(S) whenever y >= 0 and Σ_{S∋i} y_S <= I_i.
2 **Densities.** A feature of density p_i >= p is, with probability q_i = (p_i - p)/(1 - p), always active, else of density p. Given
  which are, statement 1 drops those: v(S) = Σ_k P(k of S are not) v(k).
3 **Any decoder.** With more than m active features every decoder errs, by `_any_decoder`.
4 **Two active features.** Patterns with at most two active features have the error Σ_i Σ_{j≠i} R(a_i, t_ij, b_i), a_i = |w_i|²,
  t_ij = w_i·w_j, R the error of `_exact_row` with the weights `_pair_law`. Shorten columns longer than 1 to 1: a -> s = min(a, 1), t -> y,
  of the sign of t, |y| <= min(1, |t|, |t|/√a_i). In R^m Σ_ij y_ij and Σ y³ are >= 0, Σ y² >= (Σ s)²/m, Σ y⁴ >= 3 (Σ s²)²/(m (m + 2)).
  With f(y) = Σ c_k y^k, c >= 0, and z² >= 2 τ z - τ²,
      L >= n (n - 1) min h - d2²/(c2 m) - 3 d4²/(c4 m (m + 2)),
      h(a, t, b) = R(a, t, b) - max{f(y): y possible} + k(s),   k(s) = [2 d2 s/m + 6 d4 s²/(m (m + 2)) - f(s)]/(n - 1).
  For 3 c3 <= c2 f is convex on [-1, 1], so the maximum is f at the largest |y| if t > 0, else the larger of that and 0. With
  |t| (1 + 1/a)/2 >= |t|/√a it is convex along a and along t, k is concave with a tangent of s², and R is at least a concave function on a
  box: the sum is least at a vertex. Trees of boxes bound h over a <= A, |t| <= T, `_tails` elsewhere.
5 In one dimension the columns of one sign have t_ij >= 0. With only those boxes 4 bounds the loss of k features of one sign by S(k), and
  v(n) = min_j S(j) + S(n - j), by 1.
6 Patterns of three and more active features may have the error of 3 on top of 4; and v(n) >= (n/k) v(k), by 1.
7 **A price of a dimension** bounds all rows with all patterns, for a part of each importance: `_price_check`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from flint import fmpq

from ._any_decoder import any_decoder
from ._checks import CertificateError
from ._exact_row import HALF, ZERO, Weights, vertex_bounds
from ._price_check import price_bound, rational

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ._exact_row import Interval

ONE = fmpq(1)
# Reach of the trees of boxes in a and |t|.
A, T = fmpq(4), fmpq(8)
NORMS = ((ZERO, ONE), (ONE, A))
PRODUCTS = ((-T, -ONE), (-ONE, ZERO), (ZERO, ONE), (ONE, T))
# Weights of patterns are rounded down to this many bits, which only lowers the bound and keeps rationals short.
BITS = 80


class Multipliers(NamedTuple):
    """c1 .. c4 of f, and d2 = c2 τ, d4 = c4 τ' of the two squares."""

    c1: fmpq
    c2: fmpq
    c3: fmpq
    c4: fmpq
    d2: fmpq
    d4: fmpq

    def f(self, y: fmpq) -> fmpq:
        """f(y)."""
        return y * (self.c1 + y * (self.c2 + y * (self.c3 + y * self.c4)))


class Pairs(NamedTuple):
    """Problem of statement 4: n equal features in m dimensions, weights of the patterns, multipliers."""

    n: int
    m: int
    law: Weights
    by: Multipliers

    def own(self, s: fmpq, middle: fmpq) -> fmpq:
        """k(s) with s² replaced by its tangent at `middle`, so that it is concave."""
        square = middle * (2 * s - middle)
        lift = 2 * self.by.d2 * s / self.m + 6 * self.by.d4 * square / (self.m * (self.m + 2))
        return (lift - self.by.f(s)) / (self.n - 1)


def _pair_law(n: int, p: fmpq) -> Weights:
    """Weights of a pair (i, j): its share of "none" and "only i", "only j", "both", no other active."""
    q = 1 - p
    exact = (q**n / (n - 1), p * q ** (n - 1) / (n - 1), p * q ** (n - 1), p * p * q ** (n - 2))
    return tuple(fmpq((w * 2**BITS).floor(), 2**BITS) for w in exact)  # type: ignore[return-value]


def _leaves(tree: str, box: tuple[Interval, ...]) -> Iterator[tuple[Interval, ...]]:
    """Boxes of a tree written depth first: "a", "t" or "b" halves a box along that axis, "." keeps it."""
    stack = [box]
    for letter in tree:
        if not stack:
            raise CertificateError("a tree of boxes goes on after its last box")
        part = stack.pop()
        if letter == ".":
            yield part
            continue
        axis = "atb".index(letter)
        lo, hi = part[axis]
        middle = (lo + hi) * HALF
        stack += [(*part[:axis], half, *part[axis + 1 :]) for half in ((middle, hi), (lo, middle))]
    if stack:
        raise CertificateError("a tree of boxes ends before its last box")


def _shorter(a: fmpq) -> fmpq:
    """At least 1/√max(a, 1): (1 + 1/a)/2, convex from a = 1 on."""
    return (1 + 1 / a) * HALF if a > 1 else ONE


def _box_bound(pairs: Pairs, box: tuple[Interval, ...], cap: bool) -> fmpq:
    """A number below h on a box that crosses neither a = 1 nor t = -1, 0, 1; `cap`: in the limit t -> -∞, for any t in the box."""
    a, t, b = box
    law = (pairs.law[0], pairs.law[1], ZERO, ZERO) if cap else pairs.law
    clipped = cap or max(abs(t[0]), abs(t[1])) * _shorter(a[0]) > 1
    sign = ONE if t[1] > 0 and not cap else -ONE
    middle = min((a[0] + a[1]) * HALF, ONE)
    bounds = []
    for vertex, (error,) in vertex_bounds(a, t, b, [law]):
        reward = pairs.by.f(sign if clipped else vertex[1] * _shorter(vertex[0]))
        bounds.append(error - max(reward, ZERO) + pairs.own(min(vertex[0], ONE), middle))
    return min(bounds) + (pairs.law[3] / 3 if cap else ZERO)


def roots(cap: bool, same: bool) -> list[tuple[Interval, ...]]:
    """Boxes at the roots of the trees; `same`: for columns of one sign, t >= 0.

    For b > 1 + max(-t, 0) every output is at least 1, so R rises with b; for b < -A - T no output fires and R is constant.
    """
    if cap:
        return [] if same else [(a, (ZERO, ZERO), (-A, ONE)) for a in NORMS]
    return [(a, t, (-A - T, 1 + T)) for a in NORMS for t in PRODUCTS[2 * same :]]


def _tails(pairs: Pairs) -> fmpq:
    """A number below h for a >= A, and for |t| >= T as far as the trees do not settle it.

    a >= A: with only i active, or both, given x_j, the error E (u - a (u - τ)₊)² is least at τ = (a - 1)/(a + 1) and then
    ((a - 1)/(a + 1))²/3, which increases. |t| >= T, a <= A: move t at fixed b (t < 0) or fixed b + t (t > 0). As long as the output
    is dead at its low end, min(b, b + t) <= -a, R is affine in 1/|t|, so least at |t| = T, in the trees, or as |t| -> ∞: an output that
    never fires when j is active, the cap (t < 0), or never fires at all, also in the trees (t > 0). Where min(b, b + t) >= -a,
    R >= π_other E (|t| v - a)₊² >= π_other (T - A)³/(3 T).
    """
    law, top = pairs.law, pairs.by.f(ONE)
    far = (law[1] + law[3]) * ((A - 1) / (A + 1)) ** 2 / 3 + pairs.own(ONE, ONE)
    # k without its square is concave: least at s = 0 or 1.
    least = min(ZERO, (2 * pairs.by.d2 / pairs.m - top) / (pairs.n - 1))
    corner = law[2] * (T - A) ** 3 / (3 * T) + least
    return min(far, corner) - top


def two_level(n: int, m: int, p: fmpq, same: bool, proof: dict[str, Any]) -> fmpq:
    """The bound of statement 4, or with `same` of 5, that `proof` proves; CertificateError where a box does not reach the claimed level."""
    by = Multipliers(*map(rational, proof["multipliers"]))
    if min(by) < 0 or 3 * by.c3 > by.c2 or (by.d2 and not by.c2) or (by.d4 and not by.c4):
        raise CertificateError(f"multipliers {by} must be non-negative, 3 c3 <= c2, and d2, d4 zero with c2, c4")
    pairs, level = Pairs(n, m, _pair_law(n, p), by), rational(proof["level"])
    if _tails(pairs) < level:
        raise CertificateError(f"the tails do not reach the level {level}")
    for cap, trees in ((False, proof["trees"]), (True, proof["caps"])):
        for tree, root in zip(trees, roots(cap, same), strict=True):
            for box in _leaves(tree, root):
                if _box_bound(pairs, box, cap) < level:
                    raise CertificateError(f"h is not shown to be at least {level} on the box {box}")
    squares = by.d2**2 / (by.c2 * m) if by.c2 else ZERO
    fourth = 3 * by.d4**2 / (by.c4 * m * (m + 2)) if by.c4 else ZERO
    return n * (n - 1) * level - squares - fourth


def subset_bounds(n: int, m: int, p: fmpq, pairs: dict[tuple[int, bool], fmpq]) -> list[fmpq]:
    """v(0), ..., v(n) from the bounds of statements 4 (False) and 5 (True) known for some sizes."""
    values = [ZERO] * (m + 1)
    aligned = [ZERO] * 2
    for k in range(2, n + 1):
        aligned.append(max(pairs.get((k, True), ZERO), *(k * aligned[j] / j for j in range(1, k))))
    for k in range(m + 1, n + 1):
        options = [any_decoder(k, m, p, m + 1), *(k * values[j] / j for j in range(1, k))]
        if m == 1:
            options.append(min(aligned[j] + aligned[k - j] for j in range(k + 1)))
        if (k, False) in pairs:
            options.append(pairs[k, False] + any_decoder(k, m, p, max(3, m + 1)))
        values.append(max(options))
    return values[: n + 1]


def mixed_bound(density: Sequence[fmpq], p: fmpq, values: Sequence[fmpq]) -> fmpq:
    """v(S) of statement 2 for features of the given densities, from v(k) at density p."""
    if min(density) < p:
        raise CertificateError(f"densities {density} of a subset must be at least {p}")
    chance = [ONE]
    for p_i in density:
        q = (p_i - p) / (1 - p) if p < 1 else ZERO
        chance = [(1 - q) * low + q * high for low, high in zip([ZERO, *chance], [*chance, ZERO], strict=True)]
    return sum((c * values[k] for k, c in enumerate(chance)), ZERO)


def check_lower(certificate: dict[str, Any]) -> None:
    """Verify a certificate of `lower_bound` from scratch, in rational arithmetic, without the solvers that found it.

    It states: every model of m dimensions loses at least `value` on independent uniform features of the given `density` and
    `importance`. CertificateError names the first thing that is not shown.
    """
    try:
        claimed, proved = rational(certificate["value"]), _proved(certificate)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        if isinstance(error, CertificateError):
            raise
        raise CertificateError(f"the certificate cannot be read: {error!r}") from error
    if claimed > proved:
        raise CertificateError(f"value {claimed} is more than what is proved, {float(proved)!r}")


def _proved(certificate: dict[str, Any]) -> fmpq:
    m = int(certificate["m"])
    density, importance = (list(map(rational, certificate[key])) for key in ("density", "importance"))
    if m < 1 or not all(0 < p <= 1 for p in density) or not all(i > 0 for i in importance):
        raise CertificateError("m must be at least 1, densities in (0, 1] and importances positive")
    tables = []
    for table in certificate["tables"]:
        p = rational(table["density"])
        if not 0 < p <= 1:
            raise CertificateError(f"density {p} of a table must be in (0, 1]")
        pairs = {
            (int(k), same): two_level(int(k), m, p, same, proof)
            for same, key in ((False, "pairs"), (True, "aligned"))
            for k, proof in table[key].items()
            if int(k) >= 2
        }
        tables.append((p, subset_bounds(len(density), m, p, pairs)))
    spent, value = [ZERO] * len(density), ZERO
    for part in certificate["subsets"]:
        members, weight, (p, values) = part["features"], rational(part["weight"]), tables[part["table"]]
        if weight < 0 or len(set(members)) < len(members) or min(members) < 0:
            raise CertificateError(f"subset {part} must have distinct features and a non-negative weight")
        for i in members:
            spent[i] += weight
        value += weight * mixed_bound([density[i] for i in members], p, values)
    if certificate.get("price") is not None:
        value += price_bound(density, m, certificate["price"])
        spent = [used + rational(i) for used, i in zip(spent, certificate["price"]["importance"], strict=True)]
    if any(used > i for used, i in zip(spent, importance, strict=True)):
        raise CertificateError("the weights of some feature add up to more than its importance")
    return value
