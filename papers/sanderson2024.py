"""Claims of Grant Sanderson (3Blue1Brown, 2024), "How might LLMs store facts": nearly perpendicular vectors."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING

import flint
import numpy as np

from ..theory import Grade
from ._claim import Check, Claim, Finding, Source

if TYPE_CHECKING:
    from ._lab import Lab

SOURCE = Source(
    "sanderson2024",
    "Sanderson G. (3Blue1Brown)",
    "How might LLMs store facts (Deep learning, chapter 7)",
    2024,
    "video and lesson page; the demonstration of 10,000 vectors in 100 dimensions",
)


def cosine_squared_above(degrees: int) -> Fraction:
    """A rational at least cos² of (90 - degrees)°: the upper end of a ball, which is a dyadic number."""
    mantissa, exponent = (flint.arb.sin_pi(flint.arb(degrees) / 180) ** 2).upper().man_exp()
    return int(mantissa) * Fraction(2) ** int(exponent)


def welch_count(n: int, square: Fraction) -> int | None:
    """Welch's bound on the number of unit vectors with |<x, y>|² <= c²: n (1 - c²)/(1 - n c²) if n c² < 1, else None."""
    if n * square >= 1:
        return None
    return floor(n * (1 - square) / (1 - n * square))


def _at_most(statement: dict[str, int], lab: Lab) -> Finding:
    """N vectors fit only if N is at most Welch's bound; N fit certainly if N <= n + 1 (the regular simplex)."""
    n, count, degrees = statement["dimensions"], statement["vectors"], statement["degrees"]
    square = cosine_squared_above(degrees)
    most = welch_count(n, square)
    if most is not None and count > most:
        return Finding(
            False,
            Grade.CERTIFIED,
            f"Welch's bound leaves room for at most {most} vectors in {n} dimensions within {degrees}° of a right angle.",
            float(most - count),
            "vectors",
        )
    if count <= n + 1 and Fraction(1, n**2) <= square:
        return Finding(
            True,
            Grade.EXACT,
            f"The regular simplex gives {n + 1} vectors with |cos| = 1/{n}, within {degrees}° of a right angle; "
            f"at most {most} are possible.",
            float(n + 1 - count),
            "vectors",
        )
    return Finding(
        None, Grade.NUMERIC, f"{count} vectors lie between the simplex ({n + 1}) and Welch's bound ({most})."
    )


def _float_gram(statement: dict[str, int], lab: Lab) -> Finding:
    """The same from the trace inequality on Gram matrices, in floats: (tr G)² <= n ‖G‖²."""
    n, count = statement["dimensions"], statement["vectors"]
    if count > n + 1:
        cosine = np.sqrt((count - n) / (n * (count - 1)))
        angle = float(np.degrees(np.arccos(cosine)))
        found = f"Some pair has |cos| >= {cosine:.4f}: their lines meet at {angle:.2f}° or less."
        return Finding(
            bool(90 - angle <= statement["degrees"]), Grade.NUMERIC, found, angle - 90 + statement["degrees"], "degrees"
        )
    simplex = np.eye(n + 1) - 1 / (n + 1)
    simplex /= np.linalg.norm(simplex, axis=0)
    overlap = np.abs(simplex.T @ simplex - np.eye(n + 1)).max()
    angle = float(np.degrees(np.arcsin(overlap)))
    rank = int(np.linalg.matrix_rank(simplex))
    found = f"{n + 1} simplex vertices of rank {rank} deviate from a right angle by {angle:.3f}°."
    return Finding(
        rank == n and angle <= statement["degrees"], Grade.NUMERIC, found, statement["degrees"] - angle, "degrees"
    )


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="sanderson2024.01",
        locator="the 100-dimensional demonstration",
        statement="10,000 vectors in 100 dimensions can be pushed until all pairwise angles lie between 89° and 91°.",
        restatement="There are 10,000 unit vectors in R^100 with |<x, y>| <= cos 89° for every pair.",
        kind="existence",
        domain="n = 100, 89° to 91°",
        claimed={"dimensions": 100, "vectors": 10_000, "degrees": 1},
        corrected={"dimensions": 100, "vectors": 101, "degrees": 1},
        control={"dimensions": 100, "vectors": 104, "degrees": 1},
        correction="101 vectors do fit (a regular simplex) and 104 do not: the largest number is 101, 102 or 103.",
        tolerance="none: cos² 89° enters as a rational upper bound from ball arithmetic",
        checks=(
            Check(
                "Welch's bound and the simplex",
                "N unit vectors of coherence c in R^n satisfy N <= n (1 - c²)/(1 - n c²) when n c² < 1, in rationals; "
                "the simplex has coherence 1/n.",
                "Welch 1974; the rank of a Gram matrix",
                _at_most,
                whole=True,
            ),
            Check(
                "float Gram matrix",
                "Welch's coherence floor in degrees, and the simplex built and measured in floats.",
                "numpy",
                _float_gram,
                independent=True,
            ),
        ),
        replay="""from fractions import Fraction
# cos 89 degrees < 0.0174525, so c2 is an upper bound of its square
c2 = Fraction(174525, 10**7) ** 2
n = 100
print(n * c2 < 1, float(n * (1 - c2) / (1 - n * c2)))   # True 103.1...: at most 103 vectors, not 10,000
""",
    ),
)
