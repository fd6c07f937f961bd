"""Certificate: a proof as data, verified by the checker of its kind; no solver takes part."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Context, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ._checks import CertificateError
from ._lower_check import check_lower
from ._pair_check import check_pair
from .counts._check import check_count
from .counts._record import size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flint import fmpq

WORDS = {
    "ignored": "ignoring feature 2 is optimal",
    "weak": "every optimum stores both features, the shorter one below 23/40 of the longer",
    "antipodal": "every optimum is antipodal, the shorter weight above 23/40 of the longer",
}


def verify_certificate(certificate: Mapping[str, Any]) -> str:
    """Verify a certificate in rational arithmetic; what it proves, in one sentence.

    certificate: as `lower_bound(...).certificate`, `prove_pair` and `count_bounds(...)` give it (`kind` "lower bound", "pair phase" or
    "count"), also after a round trip through JSON. A bound is CERTIFIED by it, the state of a pair proved (rational arithmetic; balls
    where a count rests on an irrational number). Raises CertificateError, which names the first thing that is not shown, also for
    another kind.

    >>> from tegum.theory import Features, lower_bound
    >>> certificate = lower_bound(Features(0.5, n=2), 1).certificate
    >>> verify_certificate(certificate)
    'Every model of 1 dimension loses at least 0.064327 on features of densities 1/2, 1/2 and importances 1, 1.'
    >>> verify_certificate({"kind": "rumour"})
    Traceback (most recent call last):
    tegum.theory._checks.CertificateError: kind must be 'lower bound', 'pair phase' or 'count', got 'rumour'
    """
    kind = certificate.get("kind") if hasattr(certificate, "get") else None
    if kind == "lower bound":
        check_lower(dict(certificate))
        m = certificate["m"]
        densities, importances = (", ".join(map(_number, certificate[key])) for key in ("density", "importance"))
        return (
            f"Every model of {m} dimension{'s' if m > 1 else ''} loses at least {_floor(certificate['value'])} on features of "
            f"densities {densities} and importances {importances}."
        )
    if kind == "pair phase":
        claim = check_pair(certificate)
        (p0, p1), (lower, upper) = claim.density, claim.importance
        return (
            f"Two features in one dimension, densities {p0} to {p1}, importance of feature 2 from {_line(lower)} to {_line(upper)}: "
            f"{WORDS[claim.state]}."
        )
    if kind == "count":
        return _count(certificate, check_count(certificate))
    raise CertificateError(f"kind must be 'lower bound', 'pair phase' or 'count', got {kind!r}")


def _count(certificate: Mapping[str, Any], count: int) -> str:
    least = "At least" if certificate["side"] == "lower" else "At most"
    if certificate["set"] == "code":
        angle = f"with <x, y> <= {certificate['cosine']} for any two"
    elif "degrees" in certificate:
        angle = f"within {_decimal(certificate['degrees'])}° of a right angle to each other"
    else:
        angle = f"with <x, y>² <= {_number(certificate['square'])} for any two"
    return f"{least} {size(count)} unit vectors of R^{certificate['n']} fit {angle}."


def _decimal(fraction: str) -> str:
    return f"{float(Fraction(fraction)):.10g}"


def _floor(fraction: str) -> str:
    """A rational in words as a decimal of five digits, rounded down."""
    top, _, bottom = fraction.partition("/")
    return str(Context(prec=5, rounding=ROUND_FLOOR).divide(Decimal(top), Decimal(bottom or 1)))


def _number(fraction: str) -> str:
    """A rational in words, or the float that it is where those are long."""
    top, _, bottom = fraction.partition("/")
    return fraction if len(fraction) < 12 else repr(int(top) / int(bottom or 1))


def _line(ends: tuple[fmpq, fmpq]) -> str:
    return str(ends[0]) if ends[0] == ends[1] else f"{ends[0]} (at the first density) and {ends[1]} (at the last)"
