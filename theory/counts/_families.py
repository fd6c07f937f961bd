"""Families: the explicit sets of lines, by size and coherence, and which of them matter at an angle.

Each family lists (n, N, coherence²) of its members; `_family_check` states the theorems behind them, one by one. A member matters if no
other has as many lines beyond an orthonormal basis, N - n, in as few dimensions, and if random coding does not beat it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import isqrt, log, prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from flint import arb, ctx, fmpq

from ._family_check import LAMBDA, SECTIONS
from ._primes import hadamard_orders, odd_prime_powers
from ._random_coding import SIGNS, floor, growth, signs_count
from ._record import Part, digits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy import ndarray

    from ._record import Proof

    Array = ndarray[Any, np.dtype[Any]]

DEGREES = 40
"""No polynomials of higher degree than this: they are sets of lines only where random coding, with (1 - c²)^(-(n-1)/2) lines, has more.
Degree D needs n c² >= (D - 1)²; random coding has e^((D-1)²/2) and more, the family at most n^(D+1) with n <= 2^24, less for D > 37."""
TENSOR = 1024
"""Largest dimension of a tensor product; above, signs and phases of polynomials have more lines."""
WORDS = 4
"""Most symbols of a Reed-Solomon word that determine it, k: n >= (k - 1)²/c², where phases of degree k - 1, 2 (k - 2)²/c², do better."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A set of `count` lines in R^n whose squared cosines are at most `square`."""

    n: int
    count: int
    square: fmpq
    proof: Proof


class Members(NamedTuple):
    """Many frames: arrays n (int64), N - n and coherence² (floats, a few ulps off), and `frame(i)`, the exact frame i."""

    n: Array
    excess: Array
    squares: Array
    frame: Callable[[int], Frame]


class Frontier(NamedTuple):
    """The members that matter, n and N - n both strictly increasing: n (int64), N - n exactly, and as floats; `proof(i)` of each."""

    n: Array
    excess: list[int]
    floats: Array
    proof: Callable[[int], Proof]


def parts(n_max: int, cosine: fmpq, square: fmpq) -> tuple[Part, ...]:
    """All members of explicit families in at most n_max dimensions, with coherence² <= square, that matter: by increasing n and N - n.

    cosine² <= square are both at most the squared cosine c² that is allowed, 0 < c < 1: cosine is what frames are inflated to.

    >>> [(part.n, part.count) for part in parts(20, fmpq(1, 5), fmpq(1, 25))]
    [(5, 6), (7, 9), (9, 12), (10, 16), (13, 26), (15, 30), (17, 48), (18, 56), (19, 72), (20, 90)]
    """
    found = frontier(n_max, cosine, square)
    return tuple(
        Part(n, n + e, found.proof(i)) for i, (n, e) in enumerate(zip(found.n.tolist(), found.excess, strict=True))
    )


def frontier(n_max: int, cosine: fmpq, square: fmpq) -> Frontier:
    """`parts`, as arrays."""
    return select(members(n_max, cosine, square), square)


def members(n_max: int, cosine: fmpq, square: fmpq) -> list[Members]:
    """All members with n <= n_max and coherence² <= square of all families, each Members of one family."""
    # Inflation starts from the families, and they are complete only with it.
    from ._inflation import inflated

    few = [*frames(n_max), *simplex(n_max, square), *polygon(square), *punctured(n_max, square), *words(n_max, square)]
    few = [f for f in few if f.square <= square and f.n <= n_max and f.count > f.n]
    found = [*listed([*few, *tensor(few, n_max), *random_signs(n_max, square)]), conference(n_max, square)]
    for degree in range(2, DEGREES):
        if 2 * (degree - 1) ** 2 > n_max * square:
            break
        found.append(chirp(n_max, square, degree))
    return [kind for kind in [*found, *inflated(n_max, cosine, square)] if len(kind.n)]


def select(found: Iterable[Members], square: fmpq) -> Frontier:
    """The members that matter."""
    found = list(found)
    kept = [np.flatnonzero(matters(kind, square)) for kind in found]
    if not any(len(k) for k in kept):
        return Frontier(np.zeros(0, np.int64), [], np.zeros(0), lambda i: {})
    family = np.repeat(np.arange(len(found)), [len(k) for k in kept])
    index = np.concatenate(kept)
    n = np.concatenate([kind.n[k] for kind, k in zip(found, kept, strict=True)])
    excess = np.concatenate([kind.excess[k] for kind, k in zip(found, kept, strict=True)])
    order = np.lexsort((-excess, n))
    # Floats first, with room for rounding; then exactly.
    best = np.maximum.accumulate(excess[order])
    order = order[excess[order] > np.concatenate([[0.0], best[:-1]]) * (1 - 1e-12)]
    sizes: list[int] = []
    exact: list[int] = []
    members_of: list[int] = []
    most = 0
    for o in order.tolist():
        size, value = int(n[o]), float(excess[o])
        # Whole numbers up to 2^50 are exact as floats here.
        count = round(value) if value < 2**50 else found[family[o]].frame(int(index[o])).count - size
        if count > most:
            if sizes and sizes[-1] == size:
                sizes.pop(), exact.pop(), members_of.pop()
            sizes.append(size)
            exact.append(count)
            members_of.append(o)
            most = count
    return Frontier(
        np.array(sizes, np.int64),
        exact,
        np.array([float(e) for e in exact]),
        lambda i: found[family[members_of[i]]].frame(int(index[members_of[i]])).proof,
    )


def matters(kind: Members, square: fmpq) -> Array:
    """Which members random coding does not beat: N > (1 - c²)^(-(n-1)/2), a lower bound of what it gives."""
    return np.asarray(np.log(kind.excess + kind.n) > growth(square) * (kind.n - 1) - 1e-9)


def listed(found: Iterable[Frame]) -> list[Members]:
    """Frames given one by one, as the members of each family."""
    kinds: dict[str, list[Frame]] = {}
    for frame in found:
        kinds.setdefault(frame.proof["family"], []).append(frame)
    return [
        Members(
            np.array([f.n for f in kind], np.int64),
            np.array([float(f.count - f.n) for f in kind]),
            np.array([float(f.square.p) / float(f.square.q) for f in kind]),
            kind.__getitem__,
        )
        for kind in kinds.values()
    ]


def conference(n_max: int, square: fmpq, least: int = 5) -> Members:
    """Conference frames ((q + 1)/2, q + 1), coherence² 1/q <= square, n <= n_max, q = 1 mod 4 a prime power and at least `least`."""
    q = _between(max(int((1 / square).ceil()), least), 2 * n_max - 1)[0]
    q = q[q % 4 == 1]
    half = (q + 1) // 2

    def frame(i: int) -> Frame:
        s = int(q[i])
        return Frame((s + 1) // 2, s + 1, fmpq(1, s), {"family": "conference", "q": s})

    return Members(half, half.astype(np.float64), 1 / q, frame)


def chirp(n_max: int, square: fmpq, degree: int) -> Members:
    """Polynomial phases (2 q, 2 q^D + 2 q), coherence² (D - 1)²/q <= square, n <= n_max, q a power of a prime above D."""
    q, p = _between(int((fmpq((degree - 1) ** 2) / square).ceil()), n_max // 2)
    q = q[p > degree]

    def frame(i: int) -> Frame:
        s = int(q[i])
        return Frame(
            2 * s,
            2 * s**degree + 2 * s,
            fmpq((degree - 1) ** 2, s),
            {"family": "chirp", "q": s, "degree": degree},
        )

    return Members(2 * q, 2.0 * q.astype(np.float64) ** degree, (degree - 1) ** 2 / q, frame)


def frames(n_max: int) -> list[Frame]:
    """Members with n <= n_max of the families that are few: lattices, quadratic forms, BCH codes, Steiner and symplectic frames."""
    found = [*_fixed(), *_steiner(_power_above(n_max)), *_symplectic(n_max)]
    found += [frame for frame, _ in signs(n_max)]
    return [f for f in found if f.n <= n_max]


def complements(n_max: int) -> Iterator[Frame]:
    """Naimark complements (N - n, N) with N - n <= n_max of tight frames: coherence scaled by n/(N - n).

    Steiner frames, nets of most places, and any number of the orthonormal bases of a Kerdock or Gold set.
    """
    for f in [*_steiner(_power_above(n_max)), *_nets(_power_above(n_max))]:
        if f.count - f.n <= n_max:
            yield complement(f)
    for m in range(2, n_max.bit_length()):
        n = 2**m
        most = 2 ** (m - 1 if m % 2 == 0 else m) + 1
        for bases in range(2, min(n_max // n + 1, most) + 1):
            proof: Proof = {"family": "quadratic", "m": m, "d": m // 2, "bases": bases}
            yield complement(Frame(n, n * bases, fmpq(1, 4 ** (m // 2)), proof))


def complement(f: Frame) -> Frame:
    """The Naimark complement of a tight frame."""
    left = f.count - f.n
    return Frame(left, f.count, f.square * fmpq(f.n, left) ** 2, {"family": "naimark", "of": f.proof})


def signs(n_max: int) -> Iterator[tuple[Frame, int]]:
    """Quadratic forms (Kerdock, Delsarte-Goethals, Gold) and dual BCH codes in R^(2^m), 2^m <= n_max, and the largest product of signs."""
    for m in range(2, n_max.bit_length()):
        n = 2**m
        for d in range(1, m // 2 + 1):
            exponent = (m - 1) * (m // 2 - d + 1) if m % 2 == 0 else m * ((m - 1) // 2 - d + 1)
            proof: Proof = {"family": "quadratic", "m": m, "d": d}
            yield Frame(n, 2 ** (exponent + m) + n, fmpq(1, 4**d), proof), n // 2**d
        for t in range(2, DEGREES):
            # Coherence 1 says nothing, and 2 t - 1 <= 2^⌈m/2⌉ follows.
            if (2 * t - 2) ** 2 >= n:
                break
            proof = {"family": "bch", "m": m, "t": t}
            yield Frame(n, 2 ** (m * t) + n, fmpq((2 * t - 2) ** 2, n), proof), isqrt((2 * t - 2) ** 2 * n)


def punctured(n_max: int, square: fmpq) -> Iterator[Frame]:
    """The signs of `signs` in the fewest dimensions k < n that the angle allows: (w + n - k)² <= square k², and 1 <= square k."""
    root = (float(square.p) / float(square.q)) ** 0.5
    # k >= n/(1 + c) > n/2.
    for frame, largest in signs(2 * n_max):
        n = frame.n
        k = max(int((largest + n) / (1 + root)) - 1, int((1 / square).ceil()))
        while k < n and fmpq(largest + n - k, k) ** 2 > square:
            k += 1
        if k < n and k <= n_max:
            proof: Proof = {"family": "puncture", "of": frame.proof, "drop": n - k}
            yield Frame(k, frame.count - n + k, max(fmpq(largest + n - k, k) ** 2, fmpq(1, k)), proof)


def simplex(n_max: int, square: fmpq) -> Iterator[Frame]:
    """The smallest simplex that the angle allows."""
    inverse = (1 / square).ceil()
    n = isqrt(int(inverse) - 1) + 1
    if n <= n_max:
        yield Frame(n, n + 1, fmpq(1, n * n), {"family": "simplex", "n": n})


def polygon(square: fmpq) -> Iterator[Frame]:
    """The most lines of a regular 2N-gon that the angle allows: cos(π/N)² <= square."""
    exact = {fmpq(1, 4): 3, fmpq(1, 2): 4, fmpq(3, 4): 6}
    with ctx.workprec(128):
        count = exact.get(square) or floor(arb.pi() / arb(square).sqrt().acos())
    if count > 2:
        yield Frame(2, count, square, {"family": "polygon", "count": count})


def words(n_max: int, square: fmpq) -> Iterator[Frame]:
    """Words of Reed-Solomon codes as 0-1 vectors (DeVore), and times signs (nets), of as few places as the angle allows."""
    for q in _prime_powers(isqrt(n_max)):
        r = min(isqrt(int((square * q * q).floor())), q - 1, DEGREES)
        if r >= 1:
            yield Frame(q * q, q ** (r + 1), fmpq(r * r, q * q), {"family": "devore", "p": q, "r": r})
    for k in range(2, WORDS + 1):
        # r >= (k - 1)/c, and n = q r >= (r - 1) r.
        least = isqrt(int((fmpq((k - 1) ** 2) / square).ceil()) - 1) + 1
        if (least - 1) * least > n_max:
            break
        order = next(h for h in hadamard_orders(2 * _power_above(least + 1)) if h > least or h == least)
        r = max(least, order - 1)
        for q in _prime_powers(n_max // r):
            # Once random coding has more, by `matters`, it has for all larger q: ln N grows by k/q, n by r.
            if growth(square) * r * q > k and growth(square) * (q * r - 1) > log(order) + k * log(q):
                break
            if r <= q + 1:
                yield net(q, k, r, order, _inside(q, r, square))


def _inside(q: int, r: int, square: fmpq) -> int:
    """Order of the Hadamard matrix, q + 1 or q, whose rows fit into the blocks of a net besides; 0 if neither does."""
    orders = hadamard_orders(2 * _power_above(q + 1))
    if square * q * r < 1:
        return 0
    return next((h for h in (q + 1, q) if h in orders and square * q * q >= (h - q)), 0)


def net(q: int, k: int, places: int, order: int, inside: int = 0) -> Frame:
    """Reed-Solomon words of r `places`, symbols as unit vectors of R^q, times rows of a Hadamard matrix of order r or r + 1.

    Words have ±1/√r once in every block R^q: lines ±1/√q of a block, rows of a Hadamard matrix of order `inside`, have product 1/√(qr)
    with them, and 0 or 1/q with one another.
    """
    proof: Proof = {"family": "net", "q": q, "k": k, "places": places, "order": order}
    if not inside:
        return Frame(q * places, q**k * order, fmpq((k - 1) ** 2, places**2), proof)
    square = max(fmpq((k - 1) ** 2, places**2), fmpq(1, q * places), fmpq(inside - q, q * q))
    return Frame(q * places, q**k * order + places * inside, square, {**proof, "inside": inside})


def random_signs(n_max: int, square: fmpq) -> Iterator[Frame]:
    """Vectors of signs that no other can be added to, in few dimensions."""
    for n in range(2, min(n_max, SIGNS) + 1):
        count = signs_count(n, square)
        if count > n:
            yield Frame(n, count, square, {"family": "signs", "n": n, "count": digits(count)})


def tensor(few: Iterable[Frame], n_max: int) -> Iterator[Frame]:
    """Tensor products of two frames, neither with fewer lines than another of as many dimensions, of at most TENSOR dimensions."""
    reach = min(n_max, TENSOR)
    best: list[Frame] = []
    for f in sorted(few, key=lambda f: (f.n, -f.count)):
        if 2 <= f.n <= reach // 2 and (not best or f.count - f.n > best[-1].count - best[-1].n):
            best.append(f)
    for i, f in enumerate(best):
        for g in best[i:]:
            if f.n * g.n <= reach:
                proof: Proof = {"family": "tensor", "factors": [f.proof, g.proof]}
                yield Frame(f.n * g.n, f.count * g.count, max(f.square, g.square), proof)


@lru_cache(maxsize=1)
def _fixed() -> tuple[Frame, ...]:
    """Root lattices, Barnes-Wall lattices, the Leech lattice and its sections, and the equiangular and nearly such lines in R^23."""
    lattices: list[tuple[int, int, Proof]] = [
        *((n, n * (n + 1) // 2, {"name": "A", "n": n}) for n in (2, 3)),
        *((n, n * (n - 1), {"name": "D", "n": n}) for n in range(4, 25)),
        *((n, count, {"name": name}) for name, n, count in (("E6", 6, 36), ("E7", 7, 63), ("E8", 8, 120))),
        *((n, count, {"name": "Lambda", "n": n}) for n, count in LAMBDA.items()),
        (24, 98280, {"name": "Leech"}),
        *((2**m, prod(2**i + 2 for i in range(1, m + 1)) // 2, {"name": "Barnes-Wall", "m": m}) for m in range(4, 24)),
    ]
    # Axes, diagonals of the faces and of the whole of a cube: cosines² up to 1/3, 1/2, 2/3; in R^4 the roots of F4.
    cubes = [
        Frame(n, len(rows), square, {"family": "vectors", "vectors": rows})
        for n, weights, square in (
            (3, (1, 3), fmpq(1, 3)),
            (3, (1, 2), fmpq(1, 2)),
            (3, (1, 2, 3), fmpq(2, 3)),
            (4, (1, 2, 4), fmpq(1, 2)),
            (5, (1, 2), fmpq(1, 2)),
        )
        for rows in [[list(x) for x in product((0, 1, -1), repeat=n) if sum(map(abs, x)) in weights and x > (0,) * n]]
    ]
    return (
        *cubes,
        *(Frame(n, count, fmpq(1, 4), {"family": "lattice", **proof}) for n, count, proof in lattices),
        *(
            Frame(n, count, fmpq(1, inverse), {"family": "named", "name": name, "n": n})
            for name, (inverse, counts) in SECTIONS.items()
            for n, count in counts.items()
        ),
    )


@lru_cache(maxsize=4)
def _steiner(n_max: int) -> tuple[Frame, ...]:
    """Steiner equiangular frames of blocks of 2 and 3 points (Fickus, Mixon and Tremain 2012), n <= n_max."""
    found = []
    for order in hadamard_orders(isqrt(2 * n_max) + 8):
        # k = 2: v = order points, a Hadamard matrix of order r + 1 = v; k = 3: v = 2 r + 1.
        for k, v in ((2, order), (3, 2 * order - 1)):
            if v >= 4 and (k == 2 or v % 6 in (1, 3)):
                r = order - 1
                found.append(Frame(v * r // k, v * order, fmpq(1, r * r), {"family": "steiner", "k": k, "v": v}))
    return tuple(f for f in found if f.n <= n_max)


@lru_cache(maxsize=4)
def _nets(n_max: int) -> tuple[Frame, ...]:
    """Nets of two-symbol words with as many places, or nearly, as a prime power q allows, with complements in at most n_max dimensions."""
    found = []
    orders = hadamard_orders(1 << 12)
    for q in _prime_powers(isqrt(n_max)):
        for order in [h for h in orders if q - 6 <= h <= q + 2]:
            for places in (order - 1, order):
                if 2 <= places <= q + 1 and q * q * order - q * places <= n_max:
                    found.append(net(q, 2, places, order))
    return tuple(found)


def _symplectic(n_max: int) -> Iterator[Frame]:
    """Equiangular frames (2^(m-1) (2^m - s), 4^m) of coherence 1/(2^m - s), s = 1 or -1 (Lemmens and Seidel 1973)."""
    for m in range(2, n_max.bit_length() // 2 + 2):
        for sign in (1, -1):
            side = 2**m - sign
            proof: Proof = {"family": "symplectic", "m": m, "sign": sign}
            yield Frame(2 ** (m - 1) * side, 4**m, fmpq(1, side * side), proof)


def _prime_powers(limit: int) -> list[int]:
    """All prime powers <= limit."""
    odd = _between(3, limit)[0].tolist()
    return sorted([*odd, *(2**m for m in range(1, limit.bit_length()) if 2**m <= limit)])


def _between(least: int, most: int) -> tuple[Array, Array]:
    """Odd prime powers from `least` to `most`, and their primes; sieves are kept by the power of two above."""
    if most < max(least, 3):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    q, p = odd_prime_powers(_power_above(most))
    span = slice(int(np.searchsorted(q, least)), int(np.searchsorted(q, most, side="right")))
    return q[span], p[span]


def _power_above(limit: int) -> int:
    """The smallest power of two >= limit."""
    return 1 << (limit - 1).bit_length() if limit > 1 else 1
