"""Count of almost-orthogonal vectors: what is proved from both sides, and what a search finds between."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..theory import Grade, count_bounds
from ..theory._checks import whole
from ..theory.counts import angle, digits, signed
from ._growth import grow, integer_vectors

if TYPE_CHECKING:
    from fractions import Fraction

    from jaxtyping import Float
    from numpy import ndarray as Array

SEARCHED = 200
"""Largest n that is searched; beyond, a round of descent takes longer than anyone waits."""


@dataclass(frozen=True)
class AlmostOrthogonal:
    """At least `lower` and at most `upper` vectors keep the angle, both CERTIFIED; `estimate` of them were found in floats.

    how: where the estimate comes from. vectors (estimate, n): the set found, None where nothing was searched.
    lower_certificate, upper_certificate: verified by `verify_certificate`. estimate_grade: NUMERIC, or CERTIFIED where it equals `lower`.
    """

    n: int
    lower: int
    estimate: int
    upper: int
    how: str
    estimate_grade: Grade
    lower_certificate: dict[str, Any] = field(repr=False)
    upper_certificate: dict[str, Any] = field(repr=False)
    vectors: Float[Array, "count n"] | None = field(repr=False)
    grade: Grade = Grade.CERTIFIED


def count_almost_orthogonal(
    n: int,
    *,
    cosine: float | str | Fraction | None = None,
    degrees: float | str | Fraction | None = None,
    seed: int = 0,
    seconds: float = 20.0,
) -> AlmostOrthogonal:
    """How many unit vectors of R^n have |<x, y>| <= c for any two: proved bounds and, for n <= 200, an estimate by search between them.

    n, cosine, degrees: as in `count_bounds`. The search (`grow`) starts from the largest explicit set and takes at most `seconds`. A set it
    finds is rounded to integers where that can be done; then it is a proof, and `lower` counts it. Raises InputError.

    >>> found = count_almost_orthogonal(7, cosine="1/3")
    >>> found.lower, found.estimate, found.upper, found.how
    (28, 28, 28, 'the proved bounds meet')
    """
    seed = whole("seed", seed, 0)
    bounds = count_bounds(n, cosine=cosine, degrees=degrees)
    certificates = bounds.lower_certificate, bounds.upper_certificate

    def result(lower: int, estimate: int, how: str, vectors: Float[Array, "count n"] | None) -> AlmostOrthogonal:
        grade = Grade.CERTIFIED if estimate == lower else Grade.NUMERIC
        return AlmostOrthogonal(n, lower, estimate, bounds.upper, how, grade, *certificates, vectors)

    if bounds.exact:
        return result(bounds.lower, bounds.lower, "the proved bounds meet", None)
    if n > SEARCHED:
        return result(
            bounds.lower, bounds.lower, f"the proved lower bound; nothing is searched beyond n = {SEARCHED}", None
        )
    target = angle(cosine, degrees)
    found = grow(n, target.cosine, seed=seed, seconds=seconds)
    if found.count <= bounds.lower:
        return result(bounds.lower, bounds.lower, "the proved lower bound; a search found no more", None)
    rows = integer_vectors(found.vectors, target.square_below)
    if rows is None:
        return result(bounds.lower, found.count, found.how, found.vectors)
    proof = {"by": "sum", "parts": [{"family": "vectors", "vectors": rows, "copies": 1}]}
    rank = int(np.linalg.matrix_rank(np.array(rows, dtype=float)))
    if rank < n:
        proof["parts"].append({"family": "basis", "n": n - rank, "copies": 1})  # type: ignore[attr-defined]
    count = found.count + n - rank
    certificates = signed({**certificates[0], "count": digits(count), "proof": proof}), certificates[1]
    return result(count, count, f"{found.how}, rounded to integers", found.vectors)
