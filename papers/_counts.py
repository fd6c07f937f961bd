"""Checks of claims about how many almost-orthogonal vectors there are."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import sympy

from ..theory import AngleLaw, Grade, count_bounds
from ..theory.counts import exponent
from ._claim import Check, Claim, Finding

if TYPE_CHECKING:
    from ._lab import Lab


def _exponential(statement: dict[str, str], lab: Lab) -> Finding:
    """Is L(n, c) >= (1 - c²)^(-e (n - 2)) for every n >= 3 and every c in (0, 1)?

    A set of lines that cannot be enlarged has at least 1/P of them, P = P(|x_1| > c) = ∫_c^1 (1 - t²)^((n-3)/2) dt over the same from 0.
    With t² = c² + (1 - c²) s², 1 - t² = (1 - c²)(1 - s²) and dt = (1 - c²) s/t ds <= √(1 - c²) ds, so P <= (1 - c²)^((n-2)/2).
    """
    e = Fraction(statement["exponent"])
    c, s = sympy.symbols("c s", positive=True)
    t = sympy.sqrt(c**2 + (1 - c**2) * s**2)
    steps = (
        sympy.simplify(1 - t**2 - (1 - c**2) * (1 - s**2)),
        sympy.simplify(sympy.diff(t, s) - (1 - c**2) * s / t),
        sympy.simplify(t**2 - (1 - c**2) * s**2 - c**2),
    )
    if e <= Fraction(1, 2):
        return Finding(
            steps == (0, 0, 0) or None,
            Grade.EXACT,
            f"P(|x_1| > c) <= (1 - c²)^((n-2)/2), so a set that cannot be enlarged has at least (1 - c²)^(-(n-2)/2) vectors. {_sizes()}",
            float(Fraction(1, 2) - e),
            "exponent",
        )
    for n in (8, 16, 24):
        most, claimed = count_bounds(n, cosine="1/2").upper, (n - 2) * float(e) * np.log2(4 / 3)
        if np.log2(most) < claimed:
            found = f"In R^{n} at most {most:,} lines have |cos| <= 1/2, fewer than 2^{claimed:.1f}."
            return Finding(False, Grade.CERTIFIED, found, float(np.log2(most) - claimed), "bits")
    return Finding(None, Grade.NUMERIC, "no counterexample among n = 8, 16, 24 at c = 1/2")


def _sizes() -> str:
    """What the asymptotic statement means at sizes in use."""
    few, known = count_bounds(57, degrees=1), count_bounds(12288, degrees=1)
    bits = 12288 * exponent(float(np.sin(np.radians(1))))
    return (
        f"Yet within 1° of a right angle exactly {few.upper} vectors fit in 57 dimensions, and at n = 12,288 the formula promises "
        f"{2**bits:.1f}, against at least {known.lower:,} that are known."
    )


def _exponential_certificates(statement: dict[str, str], lab: Lab) -> Finding:
    """The same on a grid of dimensions and angles, from certificates of both sides."""
    e, worst = float(Fraction(statement["exponent"])), np.inf
    for n in (3, 10, 30, 100, 300, 1000, 3000):
        for degrees in (1, 3, 10, 30, 60):
            found, promised = (
                count_bounds(n, degrees=degrees),
                2 * e * (n - 2) * exponent(float(np.sin(np.radians(degrees)))),
            )
            if found.log2_upper < promised:
                short = found.log2_upper - promised
                words = (
                    f"At n = {n} within {degrees}° at most 2^{found.log2_upper:.1f} vectors fit, not 2^{promised:.1f}."
                )
                return Finding(False, Grade.CERTIFIED, words, short, "bits")
            worst = min(worst, found.log2_lower - promised)
    holds = worst >= 0 or None
    return Finding(
        holds, Grade.CERTIFIED, f"The certified lower bounds exceed it by at least {worst:.2f} bits.", worst, "bits"
    )


EXPONENTIAL = (
    Check(
        "maximal sets",
        "A set that cannot be enlarged covers the sphere with its caps; their measure is bounded by a substitution, verified by sympy.",
        "Shannon 1959, Wyner 1965",
        _exponential,
        whole=True,
    ),
    Check(
        "certificates of both sides",
        "Best certified lower and upper bounds at 35 pairs of dimension and angle.",
        "explicit families and Delsarte's method",
        _exponential_certificates,
        independent=True,
    ),
)


def growth_claim(id: str, locator: str, statement: str, domain: str = "every angle, every n >= 3") -> Claim:
    """The claim of a source that almost-orthogonal vectors are exponentially many."""
    return Claim(
        id=id,
        locator=locator,
        statement=statement,
        restatement="For every c in (0, 1) and n >= 3 there are at least (1 - c²)^(-(n-2)/2) unit vectors in R^n with |<x, y>| <= c "
        "for any two.",
        kind="asymptotic",
        domain=domain,
        claimed={"exponent": "1/2"},
        control={"exponent": "8"},
        checks=EXPONENTIAL,
        figures=("counts", "count_card"),
    )


def _fits(statement: dict[str, float], lab: Lab) -> Finding:
    """Do that many vectors fit? By certified bounds on both sides."""
    n, count, degrees = int(statement["dimensions"]), int(statement["vectors"]), statement["degrees"]
    found = count_bounds(n, degrees=degrees)
    low, high = found.winner("lower"), found.winner("upper")
    where = f"in {n} dimensions within {degrees}° of a right angle"
    if count > found.upper:
        words = f"At most {found.upper:,} vectors fit {where} ({high.name}, {high.source})."
        return Finding(False, Grade.CERTIFIED, words, float(found.upper - count), "vectors")
    if count <= found.lower:
        words = f"At least {found.lower:,} vectors fit {where} ({low.name}: {low.note}); at most {found.upper:,}."
        return Finding(True, Grade.CERTIFIED, words, float(found.lower - count), "vectors")
    return Finding(None, Grade.CERTIFIED, f"Between {found.lower:,} and {found.upper:,} vectors fit {where}.")


FITS = Check(
    "certified bounds",
    "Best lower and upper bound on the number of lines at the angle, each with a certificate in exact arithmetic.",
    "explicit families; Welch, Levenshtein, Bukh and Cox",
    _fits,
    whole=True,
)


def _near_right_angle(statement: dict[str, float], lab: Lab) -> Finding:
    """Is a pair of uniform unit vectors within `degrees` of 90° with at least this probability? The exact Beta law in ball arithmetic."""
    n, degrees, least = int(statement["dimensions"]), statement["degrees"], statement["probability"]
    ball = AngleLaw(n).within(degrees)
    share = float(ball)
    words = f"Two random unit vectors of R^{n} are within {degrees}° of a right angle with probability {share:.6f}."
    return Finding(bool(ball >= least), Grade.ENCLOSED, words, share - least, "probability")


def _near_right_angle_sampled(statement: dict[str, float], lab: Lab) -> Finding:
    """The same from pairs of normal vectors; None within four standard errors of the claimed probability."""
    n, degrees, least = int(statement["dimensions"]), statement["degrees"], statement["probability"]
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 40_000, n), dtype=np.float32)
    cosine = np.einsum("ij,ij->i", x, y) / np.sqrt(np.einsum("ij,ij->i", x, x) * np.einsum("ij,ij->i", y, y))
    share = float((np.abs(cosine) <= np.sin(np.radians(degrees))).mean())
    error = float(np.sqrt(share * (1 - share) / len(x)))
    holds = None if abs(share - least) < 4 * error else share >= least
    return Finding(holds, Grade.SAMPLED, f"{share:.4f} ± {error:.4f} of 40,000 pairs.", share - least, "probability")


NEAR = (
    Check(
        "exact law of the angle",
        "cos² of two independent uniform unit vectors follows Beta(1/2, (n - 1)/2), evaluated in ball arithmetic.",
        "the definition of the uniform law",
        _near_right_angle,
        whole=True,
    ),
    Check(
        "random pairs",
        "40,000 pairs of normal vectors.",
        "Monte Carlo",
        _near_right_angle_sampled,
        independent=True,
        seed=0,
    ),
)
