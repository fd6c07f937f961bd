"""Triples of vectors as floats: the matrices of the three-point program, tested against polynomials that are orthonormal on sample triples.

Coefficients of polynomials of degree 12 and more in three variables are useless in doubles; inner products with orthonormal ones are not.
"""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ._three_point_check import squares

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flint import fmpq, fmpq_mpoly
    from jaxtyping import Float
    from numpy import ndarray as Array

# Points on [-1, s] where f <= 0 is imposed.
GRID = 160
# Sample triples for each symmetric polynomial.
SAMPLES = 6


class Problem(NamedTuple):
    """Matrices of floats by test polynomial q, orthonormal on sample triples; forms in Chebyshev polynomials, squares in orthonormal ones.

    triples: q -> F_k; pairs: grid point -> F_k; squares: q -> G; bases: rows of the orthonormal basis in that of the certificate;
    tests: orders of a monomial -> q; family: P_1 .. P_2d on the grid.
    """

    triples: list[Float[Array, "q i i"]]
    pairs: list[Float[Array, "points i i"]]
    squares: list[Float[Array, "q i i"]]
    bases: list[Float[Array, "i i"]]
    tests: dict[tuple[int, ...], Float[Array, " q"]]
    family: Float[Array, "k points"]


def triple_matrices(n: int, cosine: fmpq, degree: int) -> Problem:
    """The data of the program for codes in R^n with <x, y> <= cosine and matrices F_0 .. F_degree."""
    s, half = float(cosine), range(degree + 1)
    u, v, t = triple = _sample(s, SAMPLES * len(_weights(2 * degree)))
    weights = _weights(2 * degree)
    tests = _orthonormal_invariants((u + v + t, u * v + v * t + t * u, u * v * t), weights)
    count = len(u)

    def tested(rows: Float[Array, "i points"]) -> Float[Array, "q i i"]:
        products = (rows[:, None] * rows).reshape(len(rows) ** 2, count)
        return np.asarray(tests @ products.T / count).reshape(-1, len(rows), len(rows))

    triples = [np.zeros((len(weights), degree + 1 - k, degree + 1 - k)) for k in half]
    for order in permutations(triple):
        for total, values in zip(triples, _kernel(n, degree, *order), strict=True):
            total += np.tensordot(tests, values, axes=1) / (6 * count)
    sums, bases = [], []
    orders = [np.array(order) for order in ((u, v, t), (v, t, u), (t, u, v))]
    for factor, basis in squares(degree, cosine):
        roots = [np.sqrt(np.maximum(_values([factor], order)[0], 0.0)) for order in orders]
        # The three orders together, as two orders of v and t give the same product.
        rows = np.hstack([_values(basis, order) * root for order, root in zip(orders, roots, strict=True)])
        change = np.linalg.inv(np.asarray(np.linalg.qr(rows.T, mode="r")).T) * np.sqrt(3 * count)
        sums.append(np.mean([tested(part) for part in np.split(change @ rows, 3, axis=1)], axis=0))
        bases.append(change)
    w = (s - 1) / 2 - (s + 1) / 2 * np.cos(np.linspace(0.0, np.pi, GRID + 1))
    one = np.ones_like(w)
    kernels = (_kernel(n, degree, *order) for order in ((w, w, one), (w, one, w), (one, w, w)))
    pairs = [x + y + z for x, y, z in zip(*kernels, strict=True)]
    monomials: dict[tuple[int, ...], Float[Array, " q"]] = {
        (a, b, c): np.mean([x**a * y**b * z**c for x, y, z in permutations(triple)], axis=0) @ tests.T / count
        for c in range(2 * degree + 1)
        for b in range(c + 1)
        for a in range(b + 1)
        if a + b + c <= 2 * degree
    }
    return Problem(triples, pairs, sums, bases, monomials, _homogeneous(n, 2 * degree, w, one)[1:])


def _weights(degree: int) -> list[tuple[int, int, int]]:
    """Exponents of e1, e2, e3 of degree at most `degree` in u, v, t, by degree: as many as orders of monomials."""
    every = (
        (a, b, c)
        for c in range(degree // 3 + 1)
        for b in range((degree - 3 * c) // 2 + 1)
        for a in range(degree - 3 * c - 2 * b + 1)
    )
    return sorted(every, key=lambda m: m[0] + 2 * m[1] + 3 * m[2])


def _orthonormal_invariants(
    e: Sequence[Float[Array, " points"]], weights: list[tuple[int, int, int]]
) -> Float[Array, "q points"]:
    """Symmetric polynomials orthonormal on the points, each an earlier one times e1, e2 or e3 made orthogonal to all before (Arnoldi)."""
    count = len(e[0])
    found = np.ones((1, count))
    place = {weights[0]: 0}
    for exponents in weights[1:]:
        j = next(i for i in range(3) if exponents[i])
        before = tuple(x - (i == j) for i, x in enumerate(exponents))
        row = e[j] * found[place[before]]  # type: ignore[index]
        for _ in range(2):
            row = row - (found @ row / count) @ found
        place[exponents] = len(found)
        found = np.vstack([found, row / np.sqrt(np.mean(row**2))])
    return found


def _sample(s: float, count: int) -> Float[Array, "3 points"]:
    """Triples in D, denser towards the ends of [-1, s]; always the same ones."""
    random = np.random.default_rng(0)
    found = np.empty((0, 3))
    while len(found) < count:
        x = (s - 1) / 2 - (s + 1) / 2 * np.cos(np.pi * random.random((8 * count, 3)))
        found = np.vstack([found, x[1 + 2 * x.prod(axis=1) >= (x**2).sum(axis=1)]])
    return found[:count].T


def _values(polynomials: list[fmpq_mpoly], at: Float[Array, "3 points"]) -> Float[Array, "i points"]:
    """Polynomials in u, v, t at points."""
    degree = max(p.total_degree() for p in polynomials)
    powers = [np.cumprod(np.vstack([np.ones_like(x)] + [x] * degree), axis=0) for x in at]
    rows = np.zeros((len(polynomials), len(at[0])))
    for row, p in zip(rows, polynomials, strict=True):
        for (i, j, k), c in p.to_dict().items():
            row += float(c) * powers[0][i] * powers[1][j] * powers[2][k]
    return rows


def _kernel(
    n: int, degree: int, u: Float[Array, " points"], v: Float[Array, " points"], t: Float[Array, " points"]
) -> list[Float[Array, "points i i"]]:
    """Q_k(u, v, t) T_i(u) T_j(v), symmetric in i and j, for k = 0 .. degree."""
    q = _homogeneous(n - 1, degree, t - u * v, (1 - u**2) * (1 - v**2))
    left, right = (np.polynomial.chebyshev.chebvander(x, degree) for x in (u, v))
    result = []
    for k in range(degree + 1):
        m = degree + 1 - k
        product = left[:, :m, None] * right[:, None, :m] * q[k][:, None, None]
        result.append((product + product.transpose(0, 2, 1)) / 2)
    return result


def _homogeneous(
    n: int, degree: int, t: Float[Array, " points"], w: Float[Array, " points"]
) -> Float[Array, "k points"]:
    """w^(k/2) P_k(t/√w) of R^n for k = 0 .. degree."""
    rows = [np.ones_like(t), t]
    for k in range(1, degree):
        rows.append(((2 * k + n - 2) * t * rows[k] - k * w * rows[k - 1]) / (k + n - 2))
    return np.array(rows[: degree + 1])
