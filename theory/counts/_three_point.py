"""Three-point semidefinite bound on a code: solved in floats, rounded to integers, certified by `check_three_point`."""

from __future__ import annotations

import warnings
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from flint import fmpq, fmpq_poly, fmpz_mat

from .._checks import CertificateError, InputError, whole
from ._delsarte import delsarte_bound
from ._record import Bound
from ._sign import nonpositive
from ._three_point_check import check_three_point, expand
from ._triples import Problem, triple_matrices

if TYPE_CHECKING:
    from jaxtyping import Float
    from numpy import ndarray as Array

    # Square matrices of various sizes.
    Matrices = list[Float[Array, "i i"]]

NAME = "three-point"
SOURCE = "Bachoc and Vallentin 2008"
# Unit of the integers of a certificate: 2^-BITS. Its residual is far below what the solver leaves.
BITS = 64
# Eigenvalues that the solver is made to leave: the room for rounding.
MARGIN = 1e-9
# Factor of the constraints of squares: brings these matrices to the size of the forms, which the solver likes.
SCALE = 1e-3
# Number of vectors for which that holds: β, and squares with it, fall as the inverse of the number squared.
TYPICAL = 25
# Share of the correction that forms take, by the size of their factors: they are large, and it would cost more of the bound.
SHARE = 1e-2
# Rounds of correction: few in floats and as few in integers, where each gains some seven digits until those of BITS are reached.
REFINEMENTS = 20


def three_point_bound(n: int, cosine: fmpq, *, degree: int = 6) -> Bound:
    """The semidefinite bound of Bachoc and Vallentin on codes in R^n with <x, y> <= cosine, which also looks at triples of vectors.

    The theorem, and what is certified, are those of `_three_point_check`. With matrices F_0 .. F_degree and polynomials of degree
    2 `degree` Clarabel minimises the bound in floats; the matrices, kept definite with room to spare, are moved until the identity holds to
    some 12 digits and rounded to integers, which are checked before they are returned: `value` is what the check gives, None where no
    certificate was found. Grade CERTIFIED.

    n >= 3; cosine in (-1, 1); degree 2 to 9: 5 takes one or two seconds, 6 five, 7 fifteen, 8 a minute, 9 some ten; the check three
    at most. Meant for n up to 10 and bounds up to some hundreds. From degree 5 on it is often below Delsarte's at cosines up to 2/5; at 1/2
    it is 12 for n = 3 from degree 6 on (Delsarte 13), 24 for n = 4 from 7 on (25), and at degree 8, n = 5, 6, 7, it is 45, 79, 137
    (46, 82, 140). Raises InputError for numbers out of range.

    >>> three_point_bound(4, fmpq(1, 10), degree=4).value  # Delsarte: 9
    8
    """
    n, degree = whole("n", n, 3), whole("degree", degree, 2)
    if not -1 < cosine < 1:
        raise InputError(f"cosine must be between -1 and 1, got {cosine}")
    if degree > 9:
        raise InputError(f"degree must be at most 9, got {degree}: the solver's doubles hold no more")
    problem = triple_matrices(n, cosine, degree)
    linear = delsarte_bound(n, cosine, lines=False).value
    found = _solve(problem, degree, max((linear or 1) / TYPICAL, 1.0) ** 2)
    rounded = found and _rounded(n, cosine, degree, problem, *found)
    if not rounded:
        return Bound(NAME, "upper", None, f"no certificate of degree {degree} found", SOURCE)
    proof, root = rounded
    note = f"degree {degree}, {root:.6g} before rounding down"
    return Bound(NAME, "upper", check_three_point(proof, n, cosine), note, SOURCE, proof)


def _solve(problem: Problem, degree: int, weight: float) -> tuple[list[float], Matrices, Matrices] | None:
    """a_1 .. a_2d, the forms and the squares of the best bound.

    The bound is 1 + Σ a_k + K(1, 1, 1) + b, over k >= 1, for [[b, c], [c, β]] >= 0 and a_0 = 1 + 2 c + β: the theorem then gives
    N - 1 <= Σ a_k + K(1, 1, 1) + b, as b + 2 c (N - 1) + β (N - 1)² >= 0. That is linear. The dual program, with multipliers x of pairs
    and y of triples, has far fewer unknowns; the matrices are the multipliers of its constraints. `weight`: the size of y, about N².
    """
    cp: Any = import_module("cvxpy")

    tests = len(problem.triples[0])
    x, y = cp.Variable(len(problem.family[0]), nonneg=True), weight * cp.Variable(tests)

    def paired(matrices: Float[Array, "k i i"], by: Any) -> Any:
        return cp.reshape(matrices.reshape(len(matrices), -1).T @ by, matrices.shape[1:], order="C")

    total = cp.sum(x)
    # Test polynomial 0 is the constant 1.
    second = cp.bmat([[1, total], [total, total + y[0]]])
    scales, forms = [], []
    for k, (triples, pairs) in enumerate(zip(problem.triples, problem.pairs, strict=True)):
        size = len(pairs[0])
        first = np.ones((size, size)) if k == 0 else np.zeros((size, size))
        scale = 1 / np.sqrt(sum(np.abs(m).max(axis=0).diagonal() for m in (triples, pairs)) + first.diagonal())
        scales.append(scale)
        grid = np.outer(scale, scale)
        forms.append(first * grid + paired(pairs * grid, x) + paired(triples * grid, y))
    sums = [SCALE / weight * paired(matrices, y) for matrices in problem.squares]
    room = MARGIN * (sum(cp.trace(m) for m in forms) + sum(cp.trace(m) for m in sums) / SCALE)
    linear = 1 + problem.family @ x >= 0
    conic = [m >> 0 for m in (second, *forms, *sums)]
    program = cp.Problem(cp.Maximize(1 + total + room), [linear, *conic])
    with warnings.catch_warnings():
        # "Solution may be inaccurate": what is inaccurate is corrected, and checked.
        warnings.simplefilter("ignore")
        with suppress(cp.SolverError):
            program.solve(solver=cp.CLARABEL)
    if linear.dual_value is None:
        return None
    found = [(m.dual_value + m.dual_value.T) / 2 for m in conic[1:]]
    whole_forms = [(f + MARGIN * np.eye(len(f))) * np.outer(c, c) for f, c in zip(found, scales, strict=False)]
    whole_sums = [(SCALE * g + MARGIN * np.eye(len(g))) / weight for g in found[degree + 1 :]]
    return [max(float(x), 0.0) for x in linear.dual_value], whole_forms, whole_sums


def _rounded(
    n: int, cosine: fmpq, degree: int, problem: Problem, a: list[float], forms: Matrices, sums: Matrices
) -> tuple[dict[str, Any], float] | None:
    """The proof in integers, and the bound before rounding down. Matrices are moved a little to take up what is left of the identity."""
    unit = 2**BITS
    numbers = [0, *(int(x * unit) for x in a)]
    bases = [*(_chebyshev_rows(len(f)) for f in forms), *problem.bases]
    tested, matrices = (*problem.triples, *problem.squares), [*forms, *sums]
    for _ in range(REFINEMENTS):
        # Moves L X Lᵀ of a matrix L Lᵀ keep it definite while the eigenvalues of X are above -1: the least X is looked for.
        try:
            roots = [(SHARE if i <= degree else 1.0) * np.linalg.cholesky(g) for i, g in enumerate(matrices)]
        except np.linalg.LinAlgError:
            return None
        moves = [np.einsum("ki,qkl,lj->qij", c, m, c, optimize=True) for c, m in zip(roots, tested, strict=True)]
        # Test polynomial 0 is the constant, which is free.
        taking = np.hstack([m.reshape(len(m), -1) for m in moves])[1:]
        normal = taking @ taking.T
        residual = np.sum([np.tensordot(m, g) for m, g in zip(tested, matrices, strict=True)], axis=0)[1:]
        steps = [np.tensordot(np.linalg.solve(normal, -residual), m[1:], axes=1) for m in moves]
        part = min(1.0, 0.5 / max(float(np.linalg.norm(x, 2)) for x in steps))
        matrices = [g + part * c @ x @ c.T for g, c, x in zip(matrices, roots, steps, strict=True)]
        if part == 1:
            break
    integers = [_congruent(g, c) for g, c in zip(matrices, bases, strict=True)]
    least, best = None, None
    for _ in range(REFINEMENTS):
        try:
            orders, pairs = expand(n, cosine, degree, numbers, integers[: degree + 1], integers[degree + 1 :])
        except CertificateError:
            break
        constant = orders.pop((0, 0, 0))
        size = sum((abs(c) for c in orders.values()), fmpq(0))
        if least is not None and 2 * size >= least:
            break
        least, best = size, (-constant - size, pairs, list(integers))
        residual = sum(float(c / unit) * problem.tests[key][1:] for key, c in orders.items())
        weights = np.linalg.solve(normal, -residual)
        for i, (c, m, basis) in enumerate(zip(roots, moves, bases, strict=True)):
            change = _congruent(c @ np.tensordot(weights, m[1:], axes=1) @ c.T, basis)
            integers[i] = [x + y for x, y in zip(integers[i], change, strict=True)]
    if best is None or best[0] <= 0:
        return None
    loss, pairs, integers = best
    first = _first(pairs, cosine, unit)
    total = int((pairs(1) + 2 * sum(numbers)) / 3) + first
    # The larger root of N² + 2 slope N + rest, from a_0 N + β (N - 1)(N - 2) = W: in floats without cancellation, then its floor exactly.
    slope, rest = float((first - 3 * loss) / (2 * loss)), float((2 * loss - total) / loss)
    square = max(slope**2 - rest, 0.0) ** 0.5
    root = -rest / (slope + square) if slope > 0 else square - slope
    count = max(int(root) - 1, 1)
    while first * (count + 1) + loss * count * (count - 1) <= total:
        count += 1
    proof: dict[str, Any] = {
        "by": "three-point",
        "degree": degree,
        "count": count,
        "loss": str(loss),
        "total": str(total),
    }
    proof["a"] = [str(x) for x in (first, *numbers[1:])]
    texts = [[str(x) for x in m] for m in integers]
    proof["forms"], proof["squares"] = texts[: degree + 1], texts[degree + 1 :]
    return proof, root


def _first(pairs: fmpq_poly, cosine: fmpq, unit: int) -> int:
    """The largest a_0, or nearly, with a_0 + f <= 0 on [-1, cosine]."""
    points = [fmpq(-1) + (cosine + 1) * fmpq(k, 2000) for k in range(2001)]
    top = max(pairs(x) for x in points)
    raised = unit >> 48
    while not nonpositive(pairs - top - raised, fmpq(-1), cosine):
        raised *= 2
    return int((-top - raised).floor())


def _congruent(matrix: Float[Array, "i i"], change: Float[Array, "i i"]) -> list[int]:
    """The lower triangle of changeᵀ · matrix · change in units of 2^-BITS, multiplied exactly, so that it stays definite."""
    shift = 60
    c, g = (fmpz_mat([[round(x * 2**shift) for x in row] for row in m.tolist()]) for m in (change, matrix))
    rows = (c.transpose() * g * c).tolist()
    return [int(rows[i][j]) >> (3 * shift - BITS) for i in range(len(rows)) for j in range(i + 1)]


def _chebyshev_rows(size: int) -> Float[Array, "i j"]:
    """Coefficients of T_0 .. T_{size - 1} in powers."""
    rows = np.zeros((size, size))
    for k in range(size):
        rows[k, : k + 1] = np.polynomial.chebyshev.cheb2poly([0.0] * k + [1.0])
    return rows
