"""Lower bounds: the race of everything that shows how many lines, or vectors, fit."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from flint import fmpq

from ._families import members, select
from ._random_coding import random_coding_bounds
from ._record import Bound
from ._sum import Sums, Total, best_sum

if TYPE_CHECKING:
    from ._families import Frame, Members
    from ._record import Proof

TITLES = {
    "simplex": ("simplex", "regular simplex"),
    "polygon": ("regular polygon", "corners of a regular 2N-gon"),
    "conference": ("conference frame", "Paley 1933, van Lint and Seidel 1966"),
    "steiner": ("Steiner frame", "Fickus, Mixon and Tremain 2012"),
    "symplectic": ("symplectic two-graph", "Lemmens and Seidel 1973"),
    "quadratic": ("quadratic forms", "Kerdock 1972, Gold 1968, Delsarte and Goethals 1975"),
    "bch": ("dual BCH code", "Weil 1948, Carlitz and Uchiyama 1957"),
    "puncture": ("punctured signs", "Delsarte and Goethals 1975, Carlitz and Uchiyama 1957"),
    "chirp": ("polynomial phases", "Weil 1948, Alltop 1980"),
    "devore": ("DeVore", "DeVore 2007"),
    "net": ("net with signs", "Reed and Solomon 1960, Fickus, Mixon and Tremain 2012"),
    "tensor": ("tensor product", "Kronecker product of two sets"),
    "lattice": ("lattice", "Conway and Sloane 1999"),
    "vectors": ("diagonals of a cube", "explicit integer vectors"),
    "named": ("lines of the Leech lattice", "Lemmens and Seidel 1973, Delsarte, Goethals and Seidel 1977"),
    "naimark": ("Naimark complement", "Naimark 1940"),
    "inflated": ("inflated frame", "Bukh and Cox 2018"),
}


def lower_bounds(n: int, cosine: fmpq, square: fmpq) -> tuple[Bound, ...]:
    """Every lower bound on the number of lines in R^n, n >= 1, with |<x, y>| <= c, where cosine <= c, cosine² <= square <= c² < 1.

    Orthonormal basis; the best orthogonal sum of everything, which is at least each other construction; each family alone, its best
    member filled up by a basis; random coding. value is None where a family has no member of more lines than a basis. Grade: CERTIFIED.

    >>> bounds = lower_bounds(23, fmpq(1, 5), fmpq(1, 25))
    >>> [(b.name, b.value) for b in bounds[:2]]
    [('orthogonal sum', 276), ('orthonormal basis', 23)]
    """
    kinds = members(n, cosine, square)
    total = Sums(n, select(kinds, square), square).best(n)
    bounds = [
        Bound("orthogonal sum", "lower", total.count, _list(total.parts), "orthogonal direct sum", _sum(total.parts)),
        Bound(
            "orthonormal basis", "lower", n, "", "orthonormal basis", _sum([{"family": "basis", "n": n, "copies": 1}])
        ),
    ]
    best = _best_of_each(kinds)
    for family, (name, source) in TITLES.items():
        frame = best.get(family)
        if frame is None:
            reason = f"no member in {n} dimensions or fewer keeps the angle with more lines than dimensions"
            bounds.append(Bound(name, "lower", None, reason, source))
            continue
        parts: list[Proof] = [{**frame.proof, "copies": 1}]
        if frame.n < n:
            parts.append({"family": "basis", "n": n - frame.n, "copies": 1})
        bounds.append(Bound(name, "lower", frame.count + n - frame.n, _list(parts), source, _sum(parts)))
    return (*bounds, *random_coding_bounds(n, square))


def code_lower_bounds(n: int, cosine: fmpq) -> tuple[Bound, ...]:
    """Lower bounds on the number of unit vectors in R^n with <x, y> <= cosine, -1 <= cosine < 1, n >= 1. Grade: CERTIFIED.

    Rankin's simplices; x and -x of lines, from cosine 0 on; and Gosset's polytopes. value is None where one does not apply.

    >>> [(b.name, b.value) for b in code_lower_bounds(5, fmpq(1, 5))]
    [('simplex', 6), ('twice the lines', 12), ('Gosset polytope', 16)]
    """
    count = n + 1 if cosine * n >= -1 else int((1 - 1 / cosine).floor())
    bounds = [
        Bound(
            "simplex", "lower", count, f"{count} vectors of products -1/{count - 1}", "Rankin 1955", {"by": "simplex"}
        )
    ]
    if cosine < 0:
        bounds.append(Bound("twice the lines", "lower", None, "x and -x need a cosine of at least 0", "x and -x"))
    else:
        # Orthogonal lines are a basis.
        lines = (
            best_sum(n, cosine, cosine * cosine) if cosine > 0 else Total(n, [{"family": "basis", "n": n, "copies": 1}])
        )
        proof: Proof = {"by": "twice", "square": str(cosine * cosine), "proof": _sum(lines.parts)}
        bounds.append(Bound("twice the lines", "lower", 2 * lines.count, _list(lines.parts), "x and -x", proof))
    rows = _gosset(n, cosine)
    bounds.append(
        Bound(
            "Gosset polytope",
            "lower",
            len(rows),
            "vertex figures of the roots of E8",
            "Gosset 1900",
            {"by": "vectors", "vectors": rows},
        )
        if rows
        else Bound(
            "Gosset polytope",
            "lower",
            None,
            "for 4 to 8 dimensions and cosines 1/6, 1/5, 1/4, 1/3, 1/2, or a little more",
            "Gosset 1900",
        )
    )
    return tuple(bounds)


@lru_cache(maxsize=8)
def _gosset(n: int, cosine: fmpq) -> list[list[int]]:
    """Integer vectors of rank n and products at most `cosine`: 240, 56, 27, 16, 10 in R^8, R^7, R^6, R^5, R^4; none where that is too much.

    Neighbours of a vector v of a polytope whose largest cosine is s, seen along v, have the largest cosine s/(1 + s).
    """
    if not (4 <= n <= 8 and cosine >= fmpq(1, 10 - n)):
        return []
    pairs = [[2 * x for x in row] for row in product((0, 1, -1), repeat=8) if sum(map(abs, row)) == 2]
    rows = np.array(pairs + [list(row) for row in product((1, -1), repeat=8) if sum(row) % 4 == 0])
    for _ in range(8 - n):
        v = rows[0]
        near = rows @ v
        norm = int(v @ v)
        most = int(near[near < norm].max())
        rows = norm * rows[near == most] - most * v
        rows //= np.gcd.reduce(rows, axis=None)
    return [[int(x) for x in row] for row in rows]


def _best_of_each(kinds: list[Members]) -> dict[str, Frame]:
    """Of each family the member with the largest N - n."""
    best: dict[str, Frame] = {}
    for kind in kinds:
        frame = kind.frame(int(np.argmax(kind.excess)))
        family = frame.proof["family"]
        if family not in best or frame.count - frame.n > best[family].count - best[family].n:
            best[family] = frame
    return best


def _sum(parts: list[Proof]) -> Proof:
    return {"by": "sum", "parts": parts}


def _list(parts: list[Proof]) -> str:
    return " + ".join(describe(part) for part in parts)


def describe(part: Proof) -> str:
    """A part in a few words: copies, family and parameters.

    >>> describe({"family": "inflated", "base": {"family": "conference", "q": 5}, "cosine": "1/9", "sizes": [[3, 6]], "copies": 2})
    '2 x inflated(conference(5), 6 of 3)'
    """
    copies = part.get("copies", 1)
    name, inside = part["family"], []
    for key, value in part.items():
        if key in ("base", "of", "inner"):
            inside.append(describe(value))
        elif key == "factors":
            inside += [describe(factor) for factor in value]
        elif key == "sizes":
            inside.append(" and ".join(f"{groups} of {size}" for size, groups in value))
        elif key == "vectors":
            inside.append(f"{len(value)} in {len(value[0])} dimensions")
        elif key not in ("family", "copies", "cosine") and not (key == "count" and len(str(value)) > 20):
            inside.append(str(value))
    text = f"{name}({', '.join(inside)})"
    return text if copies == 1 else f"{copies} x {text}"
