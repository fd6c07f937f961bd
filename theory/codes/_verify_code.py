"""Check of a set of lines: its coherence from the vectors themselves, or from the structure of its family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from flint import fmpq

from .._checks import InputError
from .._grade import Grade
from ._code import BITS, Array, Code, Coherence, require_certified

PAIRS = 2**41
"""Multiplications that a comparison of all pairs may take: a few minutes on one core."""
BOTH = 2**34
"""Below this all pairs are compared even where the structure gives the coherence."""
HELD = 2**26
"""Numbers that a comparison of all pairs may hold."""
TOLERANCE = 1e-9
"""Rounding of inner products of unit vectors in float64, with room to spare: n 2^-53 at most, n < 10^6 where pairs are affordable."""


def verify_code(code: Code, square: fmpq) -> Coherence:
    """The squared coherence of the code; CertificateError where it is above `square`.

    Integer vectors are compared pair by pair in exact arithmetic, up to 2^41 multiplications. Where that is too much, and for vectors
    in float64, the argument of the family decides (ranks of differences, group structure, matrix identities, Weil's bound): its record
    says how and with which grade, and where affordable the vectors are compared as well, to 1e-9. Grade NUMERIC where there is no
    argument. InputError where the code is too large and has none.

    >>> from tegum.theory.codes._construct import construct
    >>> verify_code(construct({"family": "symplectic", "m": 2, "sign": 1}), fmpq(1, 9)).square
    1/9
    >>> verify_code(construct({"family": "symplectic", "m": 2, "sign": 1}), fmpq(1, 10))
    Traceback (most recent call last):
    tegum.theory._checks.CertificateError: the squared coherence must be at most 1/10, got 1/9 by all pairs of integer vectors
    """
    work = code.count**2 * code.n
    feasible = work <= PAIRS and code.count * code.n <= HELD
    if code.argument is None or (feasible and code.integer and work <= BOTH):
        if not feasible:
            raise InputError(
                "the code must have count² n <= 2^41 and count n <= 2^26 to be checked pair by pair, "
                f"got n = {code.n} and a count of {code.count.bit_length()} bits"
            )
        found = by_pairs(code)
    else:
        found = code.argument()
        if feasible and work <= BOTH:
            _require_agreement(by_pairs(code), found)
    if found.grade is Grade.NUMERIC:
        require_certified(
            float(found.square) ** 0.5 <= float(square) ** 0.5 + TOLERANCE,
            f"the squared coherence must be at most {float(square)}, got {float(found.square)} by {found.method}",
        )
    else:
        require_certified(
            found.square <= square,
            f"the squared coherence must be at most {square}, got {found.square} by {found.method}",
        )
    return found


def _require_agreement(seen: Coherence, stated: Coherence) -> None:
    """The vectors are those of the argument: as coherent where it is exact, else at most as much."""
    excess = float(seen.square) ** 0.5 - float(stated.square) ** 0.5
    require_certified(
        excess <= TOLERANCE and (stated.grade is not Grade.EXACT or excess >= -TOLERANCE),
        f"the vectors must have a squared coherence of {stated.square} ({stated.method}), got {float(seen.square)}",
    )


def by_pairs(code: Code) -> Coherence:
    """Coherence by comparing all pairs: EXACT for integer vectors, NUMERIC for others.

    Products of integer matrices are exact in float32 while squared norms are below 2^24, and in float64 below 2^53: every partial sum
    of an inner product is an integer of at most |x||y| (Cauchy-Schwarz), in whatever order and with whatever fusing it is added up.
    """
    found = [code.take(i, min(i + 4096, code.count)) for i in range(0, code.count, 4096)]
    norms = np.concatenate([(block.astype(np.float64) ** 2).sum(axis=1) for block in found])
    require_certified(len(norms) == code.count, f"the code must have {code.count} vectors, got {len(norms)}")
    require_certified(bool(norms.min() > 0), "no vector may be zero")
    if not code.integer:
        require_certified(bool(abs(norms - 1).max() < TOLERANCE), "vectors in float64 must have length 1")
        largest = _largest(np.concatenate(found), None)
        return Coherence(_rational(largest) ** 2, Grade.NUMERIC, "all pairs of vectors in float64")
    kind: Any = np.float32 if norms.max() < 2**24 else np.float64
    require_certified(bool(norms.max() < 2**53), f"squared norms must be below 2^53, got {norms.max()}")
    rows = np.concatenate([block.astype(kind) for block in found])
    del found
    # Few norms occur: the coherence is the largest over pairs of classes of one norm each.
    square, classes = fmpq(0), [(int(norm), rows[norms == norm]) for norm in np.unique(norms)]
    for k, (norm, x) in enumerate(classes):
        for other, y in classes[:k]:
            square = max(square, fmpq(int(_largest(x, y)) ** 2, norm * other))
        square = max(square, fmpq(int(_largest(x, None)) ** 2, norm * norm))
    return Coherence(square, Grade.EXACT, "all pairs of integer vectors")


def _largest(x: Array, y: Array | None) -> float:
    """max |<x_i, y_j>|, or over i != j of the rows of x alone."""
    step = max(1, min(2048, 2**26 // len(x)))
    largest = 0.0
    for i in range(0, len(x), step):
        block = x[i : i + step]
        products = block @ (x[: i + len(block)] if y is None else y).T
        if y is None:
            products[np.arange(len(block)), i + np.arange(len(block))] = 0
        largest = max(largest, float(products.max()), -float(products.min()))
    return largest


def by_rows(code: Code, representatives: Sequence[int], method: str) -> Coherence:
    """Coherence of integer vectors of one norm by comparing some of them with all: enough where symmetries carry one to every vector."""
    norm2 = code.norm2
    if not code.integer or norm2 is None or norm2 >= 2**53:
        raise InputError("the vectors must be integers of one squared norm below 2^53 to be compared exactly")
    kind: Any = np.float32 if norm2 < 2**24 else np.float64  # exact, as in `by_pairs`
    chosen = np.stack([code.row(i) for i in representatives]).astype(kind)
    largest, start, step = 0, 0, max(1, 2**24 // code.n)
    for block in code.blocks(step):
        products = abs(block.astype(kind) @ chosen.T)
        for k, i in enumerate(representatives):
            if start <= i < start + len(block):
                products[i - start, k] = 0
        largest, start = max(largest, int(products.max())), start + len(block)
    return Coherence(fmpq(largest, norm2) ** 2, Grade.EXACT, method)


def ranks(matrices: Array) -> Array:
    """Ranks over GF(2) of matrices (..., m) given by rows, each an integer whose bits are the entries.

    >>> ranks(np.array([[2, 1], [0, 0]])).tolist()
    [2, 0]
    """
    rows = np.array(np.moveaxis(matrices, -1, 0), dtype=np.uint32).reshape(matrices.shape[-1], -1)
    rank = np.zeros(rows.shape[1], dtype=np.int64)
    for i in range(len(rows)):
        # The pivot of row i is its lowest bit; clear it from the rows below. Their span stays the same.
        pivot = rows[i] & (~rows[i] + np.uint32(1))
        rank += pivot != 0
        rows[i + 1 :] ^= np.where(rows[i + 1 :] & pivot, rows[i], np.uint32(0))
    return rank.reshape(matrices.shape[:-1])


def walsh(rows: Array) -> Array:
    """Walsh-Hadamard transform along the last axis, of length 2^m: Σ_x (-1)^(a.x) f(x), exact in int64.

    >>> walsh(np.array([1, 1, 1, -1])).tolist()
    [2, 2, 2, -2]
    """
    out = np.array(rows, dtype=np.int64)
    width = 1
    while width < out.shape[-1]:
        pairs = out.reshape(*out.shape[:-1], -1, 2, width)
        low, high = pairs[..., 0, :].copy(), pairs[..., 1, :]
        pairs[..., 0, :] += high
        pairs[..., 1, :] = low - high
        width *= 2
    return out


def root_above(square: fmpq) -> fmpq:
    """A rational at least as large as the square root, within 2^-256 of it; the root itself where that is rational."""
    p, q = int(square.p), int(square.q)
    exact = fmpq(int(fmpq(p * q).p.isqrt()), q)
    if exact * exact == square:
        return exact
    return fmpq(int((fmpq(p * q).p * 4**BITS).isqrt()) + 1, q * 2**BITS)


def _rational(x: float) -> fmpq:
    return fmpq(*float(x).as_integer_ratio())
