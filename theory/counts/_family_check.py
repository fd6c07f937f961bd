"""Sizes and cosines of the explicit families of lines, as the check of a count needs them: one theorem each, no construction."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, isqrt, prod
from typing import TYPE_CHECKING, Any

from flint import arb, fmpq, fmpz, fmpz_mat

from .._checks import CertificateError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@dataclass(frozen=True)
class Member:
    """`count` lines in R^n, no two with a squared cosine above `square`."""

    n: int
    count: int
    square: fmpq


LATTICES = {"E6": (6, 36), "E7": (7, 63), "E8": (8, 120), "Leech": (24, 98280)}
"""Pairs of minimal vectors (Conway and Sloane 1999, chapters 4 and 6)."""
LAMBDA = dict(enumerate((136, 168, 219, 324, 453, 711, 1170, 2160, 2673, 3699, 5334, 8700, 13860, 24948, 46575), 9))
"""The same for the laminated lattices, by dimension."""
SECTIONS = {
    "thirds": (9, dict(enumerate((48, 64, 80, 112, 160, 256, 288, 352, 448, 640, 896, 1408, 2300), 11))),
    "quarters": (16, {21: 175, 22: 275}),
    "fifths": (25, dict(enumerate((48, 56, 72, 90, 126, 176, 276), 17))),
}
"""Inverse of the largest squared cosine, and how many lines by dimension; every one is constructed and compared in the tests."""
TIGHT = ("basis", "simplex", "conference", "steiner", "symplectic", "quadratic", "bch", "chirp", "net", "naimark")
"""Families whose vectors satisfy Σ x xᵀ = (N/n) I, most of them because they are unions of orthonormal bases."""


def family(part: Mapping[str, Any], target: fmpq) -> Member:
    """The member of a family that `part` names; `target`, the largest squared cosine allowed, matters for random coding alone.

    Raises CertificateError where the parameters do not belong to the family.

    >>> family({"family": "quadratic", "m": 12, "d": 6}, fmpq(1, 4096))
    Member(n=4096, count=8392704, square=1/4096)
    """
    name = part["family"]
    if name in _FAMILIES:
        return _FAMILIES[name](part)
    if name in ("covering", "signs"):
        return _random(name, int(part["n"]), int(fmpz(part["count"])), target)
    raise CertificateError(f"family {name!r} is unknown")


def _basis(part: Mapping[str, Any]) -> Member:
    n = _whole(part, "n", 1)
    return Member(n, n, fmpq(0))


def _simplex(part: Mapping[str, Any]) -> Member:
    n = _whole(part, "n", 1)
    return Member(n, n + 1, fmpq(1, n * n))


def _polygon(part: Mapping[str, Any]) -> Member:
    """N lines through the corners of a regular 2N-gon."""
    count = _whole(part, "count", 2)
    exact = {2: fmpq(0), 3: fmpq(1, 4), 4: fmpq(1, 2), 6: fmpq(3, 4)}
    return Member(2, count, exact[count] if count in exact else above((arb.pi() / count).cos() ** 2))


def _conference(part: Mapping[str, Any]) -> Member:
    """Conference matrix C of Paley, C² = q I: the Gram matrix I + C/√q has rank (q + 1)/2."""
    q = _whole(part, "q", 5)
    _require(_prime_of(q) > 0 and q % 4 == 1, f"q must be a prime power that is 1 modulo 4, got {q}")
    return Member((q + 1) // 2, q + 1, fmpq(1, q))


def _steiner(part: Mapping[str, Any]) -> Member:
    """Blocks of k points, every pair of points in one block; a Hadamard matrix of order r + 1 (Fickus, Mixon and Tremain 2012)."""
    k, v = _whole(part, "k", 2), _whole(part, "v", 4)
    _require(k == 2 or (k == 3 and v % 6 in (1, 3)), f"there is no system with k = {k}, v = {v} in the family")
    r = (v - 1) // (k - 1)
    _require(hadamard_order(r + 1), f"no Hadamard matrix of order {r + 1} is known to the family")
    return Member(v * r // k, v * (r + 1), fmpq(1, r * r))


def _symplectic(part: Mapping[str, Any]) -> Member:
    """Quadrics of one type over F_2: the equiangular lines of the two-graph on 4^m points (Lemmens and Seidel 1973)."""
    m, sign = _whole(part, "m", 2), int(part["sign"])
    _require(sign in (1, -1), f"sign must be 1 or -1, got {sign}")
    return Member(2 ** (m - 1) * (2**m - sign), 4**m, fmpq(1, (2**m - sign) ** 2))


def _quadratic(part: Mapping[str, Any]) -> Member:
    """Quadratic forms whose differences have rank >= 2d (Delsarte and Goethals 1975), all linear forms added; and the unit vectors."""
    m, d = _whole(part, "m", 2), _whole(part, "d", 1)
    _require(d <= m // 2, f"d must be at most {m // 2}, got {d}")
    exponent = (m - 1) * (m // 2 - d + 1) if m % 2 == 0 else m * ((m - 1) // 2 - d + 1)
    return Member(2**m, _bases(part, 2**exponent + 1) * 2**m, fmpq(1, 4**d))


def _bch(part: Mapping[str, Any]) -> Member:
    """Signs of Tr(a_1 x + a_3 x³ + ... + a_(2t-1) x^(2t-1)) and the unit vectors; Weil 1948, Carlitz and Uchiyama 1957."""
    m, t = _whole(part, "m", 2), _whole(part, "t", 2)
    _require(2 * t - 1 <= 2 ** ((m + 1) // 2), f"t is too large for m = {m}, got {t}")
    return Member(2**m, 2 ** (m * t) + 2**m, fmpq((2 * t - 2) ** 2, 2**m))


def _chirp(part: Mapping[str, Any]) -> Member:
    """Phases of polynomials of degree <= D over F_q without constant, as real vectors, times 1 and i; unit vectors; Weil 1948."""
    q, degree = _whole(part, "q", 3), _whole(part, "degree", 2)
    _require(_prime_of(q) > degree, f"q must be a power of a prime above the degree {degree}, got {q}")
    return Member(2 * q, _bases(part, q ** (degree - 1) + 1) * 2 * q, fmpq((degree - 1) ** 2, q))


def _bases(part: Mapping[str, Any], most: int) -> int:
    """How many of the orthonormal bases that the family is made of are taken: all, or `bases` of them."""
    bases = int(fmpz(part.get("bases", most)))
    _require(2 <= bases <= most, f"bases must be from 2 to {most}, got {bases}")
    return bases


def _net(part: Mapping[str, Any]) -> Member:
    """Words of a Reed-Solomon code of dimension k at r <= q + 1 places, symbols as unit vectors of R^q, times the signs of a Hadamard row.

    Different words agree in at most k - 1 places; the same word with other signs has product 0, or ±1/r if a column of the matrix is left
    out. inside: rows of a Hadamard matrix of order q or, a column left out, q + 1 as lines of each block R^q: a word has one entry ±1/√r
    there, so product 1/√(qr).
    """
    q, k, r, order = (_whole(part, key, 2) for key in ("q", "k", "places", "order"))
    _require(_prime_of(q) > 0 and k <= r <= q + 1, f"places must be from k = {k} to q + 1, q a prime power, got {r}")
    _require(
        order in (r, r + 1) and hadamard_order(order), f"order must be a Hadamard order of {r} or {r + 1}, got {order}"
    )
    inside = int(part.get("inside", 0))
    if not inside:
        return Member(q * r, q**k * order, fmpq(k - 1, r) ** 2)
    _require(
        inside in (q, q + 1) and hadamard_order(inside),
        f"inside must be a Hadamard order of {q} or {q + 1}, got {inside}",
    )
    return Member(q * r, q**k * order + r * inside, max(fmpq(k - 1, r) ** 2, fmpq(1, q * r), fmpq(inside - q, q * q)))


def _devore(part: Mapping[str, Any]) -> Member:
    """Graphs of the polynomials of degree <= r over F_p, which meet in at most r points (DeVore 2007)."""
    p, r = _whole(part, "p", 2), _whole(part, "r", 1)
    _require(_prime_of(p) > 0 and r < p, f"p must be a prime power above r = {r}, got {p}")
    return Member(p * p, p ** (r + 1), fmpq(r * r, p * p))


def _concatenation(part: Mapping[str, Any]) -> Member:
    """Symbols of a Reed-Solomon code [q, k] written as q inner lines; two words agree in at most k - 1 places."""
    q, k, inner = _whole(part, "q", 2), _whole(part, "k", 1), family(part["inner"], fmpq(0))
    _require(_prime_of(q) > 0 and k <= q <= inner.count, f"q must be a prime power from {k} to {inner.count}, got {q}")
    agree = fmpq(k - 1, q)
    return Member(q * inner.n, q**k, (agree + (1 - agree) * _root_above(inner.square)) ** 2)


def _tensor(part: Mapping[str, Any]) -> Member:
    members = [family(factor, fmpq(0)) for factor in part["factors"]]
    return Member(prod(m.n for m in members), prod(m.count for m in members), max(m.square for m in members))


def _puncture(part: Mapping[str, Any]) -> Member:
    """Signs that lose j coordinates, then all unit vectors: |<x, y>| grows by at most j."""
    _require(part["of"]["family"] in ("quadratic", "bch"), "only vectors of signs can be punctured")
    whole, j = family(part["of"], fmpq(0)), _whole(part, "drop", 1)
    left = whole.n - j
    _require(left >= 1, f"drop must be below {whole.n}, got {j}")
    # |<x, y>| is an integer.
    product = isqrt(int((whole.square * whole.n**2).floor()))
    return Member(left, whole.count - j, max(fmpq(product + j, left) ** 2, fmpq(1, left)))


def _inflated(part: Mapping[str, Any]) -> Member:
    """Group g of a frame v: √(1 - r²) s + r v_g, s a simplex of m_g vectors of the group, r² = (1 - (m_g - 1) c)/m_g (Bukh and Cox 2018).

    Inside a group the product is -c; where r² is not positive the group is a simplex alone, of products -1/(m_g - 1) >= -c.
    """
    base, c = family(part["base"], fmpq(0)), fmpq(part["cosine"])
    sizes = [(int(m), int(groups)) for m, groups in part["sizes"]]
    _require(c > 0 and min(min(size) for size in sizes) >= 1, "sizes and cosine must be positive")
    # Fewer groups than the base has vectors use a part of it, which is a frame of the same coherence.
    _require(sum(groups for _, groups in sizes) <= base.count, f"the sizes must be of at most {base.count} groups")
    squares = [max((1 - (m - 1) * c) / m, fmpq(0)) for m, groups in sizes for _ in range(min(groups, 2))]
    first, second = sorted(squares, reverse=True)[:2] if len(squares) > 1 else (squares[0], fmpq(0))
    _require(base.square * first * second <= c * c, "two groups are too close")
    return Member(base.n + sum((m - 1) * g for m, g in sizes), sum(m * g for m, g in sizes), c * c)


def _naimark(part: Mapping[str, Any]) -> Member:
    """Complement of a tight frame: the Gram matrix N/(N - n) (I - (n/N) G)."""
    _require(part["of"]["family"] in TIGHT, f"{part['of']['family']} is not known to be tight")
    whole = family(part["of"], fmpq(0))
    _require(whole.count > whole.n, "the frame has no complement")
    left = whole.count - whole.n
    return Member(left, whole.count, whole.square * fmpq(whole.n, left) ** 2)


def _lattice(part: Mapping[str, Any]) -> Member:
    """Pairs of minimal vectors of a lattice: products are at most half the norm."""
    name = part["name"]
    if name in LATTICES:
        return Member(*LATTICES[name], fmpq(1, 4))
    if name == "Barnes-Wall":
        m = _whole(part, "m", 2)
        return Member(2**m, prod(2**i + 2 for i in range(1, m + 1)) // 2, fmpq(1, 4))
    n = _whole(part, "n", 2)
    if name == "Lambda" and n in LAMBDA:
        return Member(n, LAMBDA[n], fmpq(1, 4))
    _require(name in ("A", "D") and (name == "A" or n >= 3), f"lattice {name!r} of {n} dimensions is unknown")
    return Member(n, n * (n + 1) // 2 if name == "A" else n * (n - 1), fmpq(1, 4))


def _named(part: Mapping[str, Any]) -> Member:
    """Parts of the Leech lattice at one angle to a vector or two, and their sections (Lemmens and Seidel 1973, Delsarte et al. 1977)."""
    n, (inverse, counts) = _whole(part, "n", 1), SECTIONS.get(part["name"], (1, {}))
    _require(n in counts, f"no set is named {part['name']!r} in {n} dimensions")
    return Member(n, counts[n], fmpq(1, inverse))


def _vectors(part: Mapping[str, Any]) -> Member:
    """Explicit integer vectors, compared pair by pair, in as many dimensions as their rank."""
    rows = [[int(x) for x in row] for row in part["vectors"]]
    return Member(rank(rows), len(rows), largest_square(rows))


def rank(rows: Sequence[Sequence[int]]) -> int:
    """The rank of integer vectors of one length."""
    _require(len({len(row) for row in rows}) == 1, "vectors must be of one length")
    return int(fmpz_mat([list(row) for row in rows]).rank())


def largest_square(rows: Sequence[Sequence[int]]) -> fmpq:
    """The largest squared cosine of two integer vectors."""
    return max((fmpq(product**2, norms) for product, norms in _products(rows)), default=fmpq(0))


def cosines_at_most(rows: Sequence[Sequence[int]], top: fmpq) -> bool:
    """Are all cosines of two integer vectors at most `top`?"""
    return all(
        (product <= 0 or (top > 0 and fmpq(product**2, norms) <= top**2))
        if top >= 0
        else (product < 0 and fmpq(product**2, norms) >= top**2)
        for product, norms in _products(rows)
    )


def _products(rows: Sequence[Sequence[int]]) -> Iterator[tuple[int, int]]:
    """<x, y> and |x|²|y|² of every pair."""
    norms = [sum(x * x for x in row) for row in rows]
    _require(min(norms) > 0, "a vector is zero")
    for i, x in enumerate(rows):
        for j in range(i):
            yield sum(a * b for a, b in zip(x, rows[j], strict=True)), norms[i] * norms[j]


def _random(name: str, n: int, count: int, square: fmpq) -> Member:
    """A set that cannot be enlarged: its forbidden caps, of measure P each, cover everything, so it has at least 1/P lines.

    covering: on the sphere, P = P(|x_1| > c) = I_{1-c²}((n - 1)/2, 1/2) (Shannon 1959, Wyner 1965); signs: among vectors of signs,
    P = 2^(1-n) Σ_{i < n (1 - c)/2} C(n, i) (Gilbert 1952).
    """
    _require(n >= 2 and square > 0, "random coding needs n >= 2 and a positive cosine")
    if name == "covering":
        measure = (1 - arb(square)).beta_lower(arb(n - 1) / 2, arb(1) / 2, regularized=True)
    else:
        # i < n (1 - c)/2 says (n - 2 i)² > n² c² and 2 i < n.
        far = isqrt(int((square * n * n).floor()))
        last = (n - far - 1) // 2
        _require(last >= 0, "no two vectors of signs are that close")
        if n <= 2000:
            measure = arb(fmpq(2 * sum(comb(n, i) for i in range(last + 1)), 2**n))
        else:
            measure = 2 * (arb(1) / 2).beta_lower(arb(n - last), arb(last + 1), regularized=True)
    _require((count - 1) * measure < 1, "the lines are more than random coding gives")
    return Member(n, count, square)


def hadamard_order(order: int) -> bool:
    """Is there a Hadamard matrix of this order among products of those of Sylvester and Paley?"""
    if order in (1, 2):
        return True
    if order % 4 or order < 4:
        return False
    half = order // 2 - 1
    if (_prime_of(order - 1) and (order - 1) % 4 == 3) or (half % 4 == 1 and half > 1 and _prime_of(half)):
        return True
    return any(order % d == 0 and hadamard_order(d) and hadamard_order(order // d) for d in range(2, isqrt(order) + 1))


def _prime_of(q: int) -> int:
    """The prime that q is a power of; 0 if there is none."""
    power = fmpz(q).factor() if q > 1 else []
    return int(power[0][0]) if len(power) == 1 else 0


def above(ball: arb) -> fmpq:
    """A rational at least as large as the ball."""
    top, exponent = ball.upper().mid().man_exp()
    return fmpq(int(top) * 2 ** max(int(exponent), 0), 2 ** max(-int(exponent), 0))


def _root_above(square: fmpq) -> fmpq:
    """A rational at least as large as the square root; the root itself where it is rational."""
    p, q = int(square.p), int(square.q)
    scale = 1 if isqrt(p * q) ** 2 == p * q else 10**20
    root = isqrt(p * q * scale * scale)
    return fmpq(root + (root * root < p * q * scale * scale), q * scale)


def _whole(part: Mapping[str, Any], key: str, least: int) -> int:
    value = int(part[key])
    _require(value >= least, f"{key} must be at least {least}, got {value}")
    return value


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise CertificateError(message)


_FAMILIES = {
    "basis": _basis,
    "simplex": _simplex,
    "polygon": _polygon,
    "conference": _conference,
    "steiner": _steiner,
    "symplectic": _symplectic,
    "quadratic": _quadratic,
    "bch": _bch,
    "chirp": _chirp,
    "devore": _devore,
    "net": _net,
    "concatenation": _concatenation,
    "tensor": _tensor,
    "puncture": _puncture,
    "inflated": _inflated,
    "naimark": _naimark,
    "lattice": _lattice,
    "named": _named,
    "vectors": _vectors,
}
