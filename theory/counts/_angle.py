"""Angle: how far from a right angle two lines may be, as rationals on either side of the cosine."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import asin, degrees
from numbers import Real

from flint import arb, ctx, fmpq, fmpz

from .._checks import InputError
from ._check import SPECIAL

BITS = 80
"""Rationals beside an irrational sine have this many binary places."""


@dataclass(frozen=True)
class Angle:
    """Lines with |<x, y>| <= c: `below` <= c <= `above`, and c² between `square_below` and `square_above`; all equal where c is rational.

    degrees: the deviation from 90 degrees that is allowed, where it was given as such.
    """

    below: fmpq
    above: fmpq
    square_below: fmpq
    square_above: fmpq
    degrees: fmpq | None

    @property
    def cosine(self) -> float:
        """c as a float."""
        return _float(self.above)

    @property
    def deviation(self) -> float:
        """The allowed deviation from a right angle in degrees."""
        return degrees(asin(self.cosine)) if self.degrees is None else _float(self.degrees)

    @property
    def words(self) -> str:
        """The angle in words."""
        if self.degrees is None:
            return f"|cos| <= {self.cosine:.10g}"
        return f"within {self.deviation:.10g}° of a right angle"


def angle(cosine: float | str | Fraction | None, deviation: float | str | Fraction | None) -> Angle:
    """The angle of `cosine`, in (0, 1), or of `deviation` in degrees, in (0, 90); one of the two.

    A float is read as the decimal that it prints as, so 0.2 is 1/5. Raises InputError.

    >>> angle(None, 30).square_above
    1/4
    >>> one = angle(None, 1)
    >>> one.below < one.above < one.below + fmpq(1, 2**79), one.cosine
    (True, 0.01745240643728351)
    """
    if (cosine is None) == (deviation is None):
        raise InputError(
            f"give either cosine or degrees, got {'both' if cosine is not None else 'neither'}; "
            "degrees=1 allows angles from 89 to 91 degrees"
        )
    if cosine is not None:
        c = rational("cosine", cosine)
        if not 0 < c < 1:
            raise InputError(
                f"cosine must be in (0, 1), got {cosine}; orthogonal vectors are at most n, parallel ones any number"
            )
        return Angle(c, c, c * c, c * c, None)
    assert deviation is not None
    d = rational("degrees", deviation)
    if not 0 < d < 90:
        raise InputError(
            f"degrees must be in (0, 90), got {deviation}; it is the deviation from a right angle that is allowed"
        )
    with ctx.workprec(3 * BITS):
        sine = (arb(d) * arb.pi() / 180).sin()
        low, high = (_dyadic(sine, up) for up in (False, True))
    square = SPECIAL.get(d)
    if square is not None and d == 30:
        low = high = fmpq(1, 2)
    return Angle(low, high, low * low if square is None else square, high * high if square is None else square, d)


def code_cosine(cosine: float | str | Fraction) -> fmpq:
    """The largest inner product of a code, in [-1, 1), as a rational; InputError."""
    s = rational("cosine", cosine)
    if not -1 <= s < 1:
        raise InputError(f"cosine must be in [-1, 1) for a code, got {cosine}")
    return s


def rational(name: str, value: object) -> fmpq:
    """A number, or text such as "1/3", as a rational; InputError."""
    try:
        if isinstance(value, bool) or not isinstance(value, Real | str | Fraction):
            raise ValueError
        exact = Fraction(value) if isinstance(value, int | Fraction) else Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        raise InputError(f'{name} must be a number or a fraction such as "1/3", got {value!r}') from None
    return fmpq(exact.numerator, exact.denominator)


def _dyadic(ball: arb, up: bool) -> fmpq:
    scaled = ball * (fmpz(1) << BITS)
    whole = scaled.upper().ceil() if up else scaled.lower().floor()
    number = whole.unique_fmpz()
    assert number is not None
    return fmpq(number, fmpz(1) << BITS)


def _float(x: fmpq) -> float:
    return float(Fraction(int(x.p), int(x.q)))
