"""Polytopes in which features pack, with exact vertices, and their exact feature dimensionality."""

from __future__ import annotations

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
    gram = vectors.T * vectors
    n = gram.shape[0]
    return [sympy.radsimp(sympy.simplify(gram[i, i] ** 2 / sum(gram[i, j] ** 2 for j in range(n)))) for i in range(n)]
