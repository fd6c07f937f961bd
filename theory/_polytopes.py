"""Polytopes in which features pack, with exact vertices, and their exact feature dimensionality."""

from __future__ import annotations

from itertools import combinations, product
from typing import TYPE_CHECKING

import sympy

from ._checks import InputError

if TYPE_CHECKING:
    from collections.abc import Callable


def _simplex(k: int) -> sympy.Matrix:
    """Regular simplex of k unit vectors in k - 1 dimensions, one per column."""
    columns: list[list[sympy.Expr]] = []
    for i in range(k):
        vector: list[sympy.Expr] = []
        for d in range(k - 1):
            if d < i:  # fixed by the inner product -1/(k-1) with column d
                known = sum((a * b for a, b in zip(vector, columns[d], strict=False)), sympy.Integer(0))
                vector.append(sympy.radsimp((sympy.Rational(-1, k - 1) - known) / columns[d][d]))
            elif d == i:
                vector.append(sympy.sqrt(1 - sum((a**2 for a in vector), sympy.Integer(0))))
            else:
                vector.append(sympy.Integer(0))
        columns.append(vector)
    return sympy.Matrix(columns).T


def _polygon(k: int) -> sympy.Matrix:
    turn = [2 * sympy.pi * j / k for j in range(k)]
    return sympy.Matrix([[sympy.cos(t) for t in turn], [sympy.sin(t) for t in turn]])


def _square_antiprism() -> sympy.Matrix:
    """The tight one: height ±1/√3, so that the second moments are equal."""
    h, r = 1 / sympy.sqrt(3), sympy.sqrt(sympy.Rational(2, 3))
    rings = [(sympy.pi * j / 2, h) for j in range(4)] + [(sympy.pi * (2 * j + 1) / 4, -h) for j in range(4)]
    return sympy.Matrix([[r * sympy.cos(t), r * sympy.sin(t), z] for t, z in rings]).T


def _rectified_5_cell() -> sympy.Matrix:
    """Midpoints of the edges of the 5-cell."""
    simplex = _simplex(5)
    edges = [simplex.col(i) + simplex.col(j) for i, j in combinations(range(5), 2)]
    return sympy.Matrix.hstack(*edges) * sympy.sqrt(sympy.Rational(2, 3))


def _icosahedron() -> sympy.Matrix:
    """Four vertices ±1, ±φ in each coordinate plane, φ the golden ratio."""
    golden = (1 + sympy.sqrt(5)) / 2
    plane = [[sympy.Integer(0), s, t * golden] for s, t in product((1, -1), repeat=2)]
    vertices = sympy.Matrix([v[-i:] + v[:-i] for i in range(3) for v in plane])
    # 1/√(1 + φ²), which sympy would leave as a root within a root.
    return vertices.T * sympy.sqrt((5 - sympy.sqrt(5)) / 10)


def _demicube() -> sympy.Matrix:
    """Vertices of the cube in five dimensions with an even number of coordinates below zero."""
    corners = [c for c in product((1, -1), repeat=5) if c.count(-1) % 2 == 0]
    return sympy.Matrix(corners).T / sympy.sqrt(5)


def _gosset() -> sympy.Matrix:
    """The 27 vertices of 2_21 in layers along one axis: an apex, a 5-demicube, a cross-polytope (one weight of E6 for each)."""
    one, cube, cross = sympy.eye(5), _demicube(), sympy.sqrt(3) / 2
    side = sympy.Matrix.hstack(sympy.zeros(5, 1), cube * sympy.sqrt(15) / 4, cross * one, -cross * one)
    height = [sympy.Integer(1)] + [sympy.Rational(1, 4)] * 16 + [sympy.Rational(-1, 2)] * 10
    return sympy.Matrix.vstack(side, sympy.Matrix([height]))


def tegum_product(*blocks: sympy.Matrix) -> sympy.Matrix:
    """Tegum product: the blocks side by side in mutually orthogonal subspaces."""
    return sympy.diag(*blocks)


POLYTOPES: dict[str, Callable[[], sympy.Matrix]] = {
    "digon": lambda: _simplex(2),
    "triangle": lambda: _simplex(3),
    "tetrahedron": lambda: _simplex(4),
    "square": lambda: _polygon(4),
    "pentagon": lambda: _polygon(5),
    "hexagon": lambda: _polygon(6),
    "octahedron": lambda: tegum_product(_simplex(2), _simplex(2), _simplex(2)),
    "triangular bipyramid": lambda: tegum_product(_simplex(3), _simplex(2)),
    "square antiprism": _square_antiprism,
    "rectified 5-cell": _rectified_5_cell,
    "icosahedron": _icosahedron,
    "5-demicube": _demicube,
    "2_21 polytope": _gosset,
}


def polytope(name: str) -> sympy.Matrix:
    """Vertices of a named polytope, unit vectors as the columns of an exact sympy matrix (m, n).

    Grade EXACT. Raises InputError for an unknown name.

    >>> polytope("digon")
    Matrix([[1, -1]])
    """
    if name not in POLYTOPES:
        raise InputError(f"polytope must be one of {', '.join(POLYTOPES)}, got {name!r}")
    return POLYTOPES[name]()


def exact_dimensionality(vectors: sympy.Matrix) -> list[sympy.Expr]:
    """Feature dimensionality D_i = |W_i|⁴ / Σ_j (W_i·W_j)² of the columns, in exact arithmetic.

    vectors (m, n), no zero column. Grade EXACT. `feature_dimensionality` is the same in floats.

    >>> exact_dimensionality(polytope("triangle"))
    [2/3, 2/3, 2/3]
    """
    gram = (vectors.T * vectors).expand()
    n = gram.shape[0]
    return [sympy.radsimp(sympy.simplify(gram[i, i] ** 2 / sum(gram[i, j] ** 2 for j in range(n)))) for i in range(n)]
