"""Complements of tight frames, by explicit vectors: N in R^(N-n) for N in R^n, the products scaled by -n/(N - n)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from flint import fmpq

from .._checks import InputError
from .._grade import Grade
from ._code import Array, Code, Coherence
from ._fields import field_of, hadamard
from ._frames import simplex_rows, steiner, steiner_system
from ._polynomials import net, words
from ._verify_code import verify_code

LONGEST = 2**27
"""Longest vector that is made."""


def _complement(frame: Code, take: Callable[[int, int], Array]) -> Code:
    """The complement of a frame that is tight by its theorem, Σ x xᵀ = (N/n) I, given by its unit vectors.

    Naimark: with the Gram matrix G of the frame, (n/N) G is a projection, so 1 - (n/N) G is one too, of rank N - n; N/(N - n) times that
    is the Gram matrix of N unit vectors in R^(N-n).
    """
    n, left = frame.n, frame.count - frame.n
    if left > LONGEST:
        raise InputError(f"a complement must have at most {LONGEST} dimensions, got {left}")

    def argument() -> Coherence:
        found = verify_code(frame, fmpq(1))
        return Coherence(found.square * fmpq(n, left) ** 2, found.grade, f"complement of a tight frame: {found.method}")

    return Code(left, frame.count, take, False, None, argument)


def steiner_complement(k: int, v: int) -> Code:
    """Complement of a Steiner frame.

    A block's row of the frame is Σ e_p ⊗ H_b over its k points, H_b the column of the block at p, in R^v ⊗ R^(r+1). What is left of the k
    vectors e_p ⊗ H_b is the space of a simplex with the points for vertices; besides there is e_p ⊗ H_0. So line (p, i) is H_i0 e_p and,
    for each block on p, √(1 - 1/k) H_ib s, s the vertex p of a simplex in R^(k-1), all over √(1 + r (1 - 1/k)).
    """
    blocks, on, signs = steiner_system(k, v)
    order = len(signs)
    vertices = simplex_rows(k - 1, np.arange(k)) * np.sqrt(1 - 1 / k)

    def take(i: int, j: int) -> Array:
        rows = np.zeros((j - i, v + len(blocks) * (k - 1)))
        for row in range(i, j):
            point, s = divmod(row, order)
            rows[row - i, point] = signs[s, 0]
            own = np.stack([vertices[blocks[b].index(point)] for b in on[point]]) * signs[s, 1:, None]
            where = v + np.array(on[point])[:, None] * (k - 1) + np.arange(k - 1)
            rows[row - i, where] = own
        scaled: Array = rows / np.sqrt(1 + (order - 1) * (1 - 1 / k))
        return scaled

    return _complement(steiner(k, v), take)


def net_complement(q: int, k: int, places: int, order: int) -> Code:
    """Complement of a net.

    A row of the frame is 1_(j,s) ⊗ H_j, 1_(j,s) the words with symbol s at place j, F = q^(k-1) of them. What is left of R^F, on these
    words, ⊗ H_j is the space of a simplex with the words for vertices; besides there is R^(q^k) ⊗ H_0 for a matrix of order r + 1. So
    line (w, i) is, for each place, √(1 - 1/F) H_ij s, s the vertex w of the simplex of its symbol, and H_i0 e_w, over √(r (1 - 1/F) [+ 1]).
    """
    frame, numbers, fibre = net(q, k, places, order), field_of(q), q ** (k - 1)
    extra, signs = order - places, hadamard(order)
    after = q * places * (fibre - 1)

    def take(i: int, j: int) -> Array:
        rows = np.zeros((j - i, frame.count - frame.n))
        for row in range(i, j):
            word, s = divmod(row, order)
            symbols = words(numbers, np.array([word], dtype=object), k, places)[0]
            for place, symbol in enumerate(symbols.tolist()):
                # A value and all coefficients but the constant one give the word; so does the last coefficient with the others.
                vertex = simplex_rows(fibre - 1, np.array([word // q if place < q else word % fibre]))[0]
                start = (place * q + symbol) * (fibre - 1)
                rows[row - i, start : start + fibre - 1] = signs[s, place + extra] * np.sqrt(1 - 1 / fibre) * vertex
            if extra:
                rows[row - i, after + word] = signs[s, 0]
        scaled: Array = rows / np.sqrt(places * (1 - 1 / fibre) + extra)
        return scaled

    return _complement(frame, take)


def twisted(bases: Code, outer: Code) -> Code:
    """Lines s_k ⊗ b, b in the k-th of K orthonormal bases of R^n, s_k the k-th of K lines in R^d: K n lines in R^(d n).

    Products are 0 in one basis and <s_k, s_l><b, b'> in two: the coherence is at most the product of both, and is that where it is
    attained in all pairs of bases or all products of the outer lines are equal. With a simplex outside it is the complement of the union of
    the bases. Vectors k n, ..., (k + 1) n - 1 of `bases` must be the k-th basis.
    """
    n, outside = bases.n, outer.count
    if bases.count != n * outside or outer.n * n > LONGEST:
        raise InputError(
            f"the outer lines must be as many as the {bases.count // n} bases, in at most {LONGEST // n} dimensions, "
            f"got {outside} in {outer.n}"
        )

    def take(i: int, j: int) -> Array:
        pieces = []
        while i < j:
            k, start = divmod(i, n)
            stop = min(n, start + j - i)
            pieces.append(np.kron(outer.units(k, k + 1), bases.units(i, i + stop - start)))
            i += stop - start
        return np.concatenate(pieces)

    def argument() -> Coherence:
        inside, around = verify_code(bases, fmpq(1)), verify_code(outer, fmpq(1))
        # All products of the outer lines are equal where they meet Welch's bound.
        equal = around.square == fmpq(outside - outer.n, outer.n * (outside - 1))
        grade = min(inside.grade, around.grade, Grade.EXACT if equal else Grade.CERTIFIED)
        return Coherence(inside.square * around.square, grade, f"bases: {inside.method}; outside: {around.method}")

    return Code(outer.n * n, bases.count, take, False, None, argument)
