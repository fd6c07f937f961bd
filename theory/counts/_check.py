"""Check of a count: a certificate verified in exact and ball arithmetic, with no search and no solver.

Lines are unit vectors in R^n with <x, y>² <= `square` for any two; a code has <x, y> <= `cosine`. What is proved from above is in
`_upper_check`, the sizes of the explicit families in `_family_check`: each can be read in one sitting and needs nothing else of the
package.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from flint import arb, ctx, fmpq, fmpz

from .._checks import CertificateError
from ._family_check import cosines_at_most, family, rank
from ._record import size
from ._upper_check import upper_bound

if TYPE_CHECKING:
    from collections.abc import Mapping

BITS = 384
SPECIAL = {fmpq(30): fmpq(1, 4), fmpq(45): fmpq(1, 2), fmpq(60): fmpq(3, 4)}
"""The angles between 0 and 90 degrees, rational in degrees, whose squared sine is rational (Niven)."""


def check_count(certificate: Mapping[str, Any]) -> int:
    """The number that the certificate proves: no more (side "upper") or at least as many (side "lower") fit.

    `digest` (SHA-256 of the canonical JSON without it) covers every number, so that a slip of the pen is found even where the altered
    statement happens to be true; the proof does not rest on it. Raises CertificateError, which names the first thing that is not shown.
    Grade: CERTIFIED; exact arithmetic, and balls of 384 bits where a number is irrational.

    >>> certificate = {"kind": "count", "set": "lines", "side": "upper", "n": 23, "square": "1/25", "count": "276",
    ...                "proof": {"by": "nodes", "end": 0, "nodes": []}}
    >>> check_count(signed(certificate))
    276
    >>> check_count(signed({**certificate, "count": "275"}))
    Traceback (most recent call last):
    tegum.theory._checks.CertificateError: count must be 276, which the proof gives, got 275
    """
    if certificate.get("digest") != digest(certificate):
        raise CertificateError(
            "digest does not belong to this certificate: a number was changed, or the file is damaged"
        )
    try:
        lines, upper = _choice(certificate, "set", "lines", "code"), _choice(certificate, "side", "upper", "lower")
        n, count, proof = int(certificate["n"]), int(fmpz(certificate["count"])), certificate["proof"]
        top = fmpq(certificate["square" if lines else "cosine"])
        _require(n >= 1, f"n must be at least 1, got {n}")
        _require((top > 0 if lines else top >= -1) and top < 1, f"the largest cosine must be below 1, got {top}")
        with ctx.workprec(BITS):
            if "degrees" in certificate:
                _check_angle(fmpq(certificate["degrees"]), top, upper)
            if proof["by"] == "circle" and "degrees" in certificate:
                _require(lines and n == 2, "the circle is for lines in two dimensions")
                # N lines have two within 180/N degrees, those of a regular 2N-gon just that.
                bound = int((180 / (90 - fmpq(certificate["degrees"]))).floor())
            elif upper:
                bound = upper_bound(proof, n, top, lines)
            else:
                bound = lower_bound(proof, n, top, lines)
    except (KeyError, TypeError, ValueError, ZeroDivisionError, AttributeError) as error:
        raise CertificateError(f"the certificate is not complete: {type(error).__name__} {error}") from None
    # Numbers of more than a hundred bits come from balls; a bound may be weaker than the proof by what shorter balls lose.
    slack = bound >> 100
    if not (bound <= count <= bound + slack if upper else bound - slack <= count <= bound):
        raise CertificateError(f"count must be {size(bound)}, which the proof gives, got {size(count)}")
    return count


def lower_bound(proof: Mapping[str, Any], n: int, top: fmpq, lines: bool) -> int:
    """How many lines with <x, y>² <= top, or vectors with <x, y> <= top, the proof shows to fit in R^n."""
    by = proof["by"]
    if by == "sum":
        # Vectors of orthogonal summands have product 0.
        _require(lines, "orthogonal sums are sums of lines")
        total, dimensions = 0, 0
        for part in proof["parts"]:
            copies, member = int(part["copies"]), family(part, top)
            _require(copies >= 1 and member.square <= top, f"{part['family']} has a larger cosine than allowed")
            total, dimensions = total + copies * member.count, dimensions + copies * member.n
        _require(dimensions == n, f"the parts fill {dimensions} dimensions, not {n}")
        return total
    _require(not lines, f"proof by {by!r} is unknown, or is for codes")
    if by == "twice":
        # x and -x of every line.
        square = fmpq(proof["square"])
        _require(top >= 0 and 0 <= square <= top**2, "the lines must keep the angles of the code")
        return 2 * lower_bound(proof["proof"], n, square, True)
    if by == "simplex":
        # N vectors of products -1/(N - 1), in N - 1 dimensions.
        return n + 1 if top * n >= -1 else int((1 - 1 / top).floor())
    _require(by == "vectors", f"proof by {by!r} is unknown")
    vectors = [[int(x) for x in row] for row in proof["vectors"]]
    # Vectors of rank n are vectors of R^n, in whatever coordinates they are integers.
    _require(
        rank(vectors) <= n and cosines_at_most(vectors, top), "two vectors are too close, or they need more dimensions"
    )
    return len(vectors)


def digest(certificate: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of a certificate, its own field `digest` left out."""
    content = {key: value for key, value in certificate.items() if key != "digest"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def signed(certificate: Mapping[str, Any]) -> dict[str, Any]:
    """The certificate with its digest."""
    return {**certificate, "digest": digest(certificate)}


def _check_angle(degrees: fmpq, square: fmpq, upper: bool) -> None:
    """An upper bound must allow at least the angle, a lower bound at most."""
    sine = SPECIAL.get(degrees)
    if sine is None:
        ball = (arb(degrees) * arb.pi() / 180).sin() ** 2
        holds = ball <= square if upper else ball >= square
    else:
        holds = sine <= square if upper else sine >= square
    _require(0 < degrees < 90 and holds, f"square {square} is on the wrong side of the angle {degrees}")


def _choice(certificate: Mapping[str, Any], key: str, *options: str) -> bool:
    _require(certificate[key] in options, f"{key} must be one of {', '.join(options)}, got {certificate[key]!r}")
    return bool(certificate[key] == options[0])


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise CertificateError(message)
