"""Count: the best lower and the best upper bound on the number of almost-orthogonal lines, with the race behind them."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, log1p, log2, sqrt
from typing import TYPE_CHECKING, Any

from .._checks import InputError, whole
from .._grade import Grade
from ._angle import Angle, angle, code_cosine
from ._check import signed
from ._delsarte import delsarte_bound
from ._lower import code_lower_bounds, lower_bounds
from ._record import Bound, digits, size
from ._upper import code_upper_bounds, upper_bounds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from flint import fmpq

LARGEST = 10**7
LINEAR_PROGRAM = 50
"""Largest n for which the linear program takes part; beyond, the polynomials in closed form are its optimum or close to it."""


@dataclass(frozen=True, repr=False)
class CountBounds:
    """At least `lower` and at most `upper` unit vectors of R^n keep the angle; both proved, grade CERTIFIED.

    race: every bound that was tried, the winners first on either side; those that do not apply have no value and say why.
    lower_certificate, upper_certificate: JSON-ready, verified by `verify_certificate`.
    """

    n: int
    words: str
    lower: int
    upper: int
    lower_certificate: dict[str, Any]
    upper_certificate: dict[str, Any]
    race: tuple[Bound, ...]
    sentence: str
    grade: Grade = Grade.CERTIFIED

    def __repr__(self) -> str:
        return f"CountBounds(R^{self.n}, {self.words}: at least {size(self.lower)}, at most {size(self.upper)})"

    @property
    def log2_lower(self) -> float:
        """log2 of the lower bound."""
        return log2(self.lower)

    @property
    def log2_upper(self) -> float:
        """log2 of the upper bound."""
        return log2(self.upper)

    @property
    def exact(self) -> bool:
        """Do the bounds meet?"""
        return self.lower == self.upper

    def winner(self, side: str) -> Bound:
        """The best bound of the side "lower" or "upper"."""
        return next(bound for bound in self.race if bound.side == side)


def count_bounds(
    n: int, *, cosine: float | str | Fraction | None = None, degrees: float | str | Fraction | None = None
) -> CountBounds:
    """Certified bounds on L(n, c): how many unit vectors of R^n have |<x, y>| <= c for any two.

    n: dimension, 1 to 10^7. Either cosine: c in (0, 1), a number or a fraction such as "1/3"; or degrees: the allowed deviation from a
    right angle, in (0, 90), c = sin(degrees), so that degrees=1 is "between 89° and 91°". Floats are read as the decimals they print as.

    Lower: the largest orthogonal sum of explicit families, of inflated frames and of random codes. Upper: the least of the bounds of
    Welch, Sidelnikov, Levenshtein (every degree), Bukh and Cox, Delsarte's linear program (n <= 50) and others: `race` lists all.
    Raises InputError.

    >>> bounds = count_bounds(100, degrees=1)
    >>> bounds.lower, bounds.upper, bounds.exact
    (102, 102, True)
    >>> bounds.winner("lower").name, bounds.winner("upper").name
    ('inflated frame', 'Bukh-Cox')
    >>> count_bounds(23, cosine="1/5").upper
    276
    """
    n, target = dimension(n), angle(cosine, degrees)
    return _bounds(n, target, lower_race(n, target), upper_race(n, target))


def lower_race(n: int, target: Angle) -> list[Bound]:
    """Every lower bound on lines in R^n, as count_bounds runs them."""
    race = [*lower_bounds(n, target.below, target.square_below)]
    return race if n != 2 else [*race, *_circle("lower", target)]


def upper_race(n: int, target: Angle) -> list[Bound]:
    """Every upper bound on lines in R^n, as count_bounds runs them."""
    race = [*upper_bounds(n, target.square_above)]
    if n == 2:
        return [*race, *_circle("upper", target)]
    return [*race, delsarte_bound(n, target.square_above, lines=True)] if 3 <= n <= LINEAR_PROGRAM else race


def _circle(side: str, target: Angle) -> list[Bound]:
    """N lines have two within 180/N degrees, those of a regular 2N-gon just that: decided in degrees, as no rational cosine can."""
    if target.degrees is None:
        return []
    return [Bound("circle", side, int((180 / (90 - target.degrees)).floor()), "", "elementary", {"by": "circle"})]


def code_bounds(n: int, cosine: float | str | Fraction) -> CountBounds:
    """Certified bounds on A(n, s): how many unit vectors of R^n have <x, y> <= s for any two, s = `cosine` in [-1, 1), n from 1 to 10^7.

    >>> count = code_bounds(8, "1/2")
    >>> count.lower, count.upper
    (240, 240)
    """
    n, s = dimension(n), code_cosine(cosine)
    upper = [*code_upper_bounds(n, s)]
    if 3 <= n <= LINEAR_PROGRAM and s > 0:
        upper.append(delsarte_bound(n, s, lines=False))
    return _bounds(n, s, [*code_lower_bounds(n, s)], upper)


def code_certificate(n: int, cosine: float | str | Fraction, bound: Bound) -> dict[str, Any]:
    """The certificate of one bound on A(n, s), such as `three_point_bound` gives, for `verify_certificate`.

    >>> from tegum.theory import verify_certificate
    >>> verify_certificate(code_certificate(8, "1/2", code_bounds(8, "1/2").winner("upper")))
    'At most 240 unit vectors of R^8 fit with <x, y> <= 1/2 for any two.'
    """
    if bound.value is None:
        raise InputError(f"bound must have a value, got {bound.name}, which does not apply: {bound.note}")
    return _certificate(dimension(n), code_cosine(cosine), bound)


def _bounds(n: int, target: Angle | fmpq, lower: Sequence[Bound], upper: Sequence[Bound]) -> CountBounds:
    # Of equal bounds the plainer one: a family before the sum that consists of it.
    below = sorted(lower, key=lambda bound: (-(bound.value or 0), bound.name == "orthogonal sum"))
    above = sorted(upper, key=lambda bound: (bound.value is None, bound.value or 0))
    low, high = below[0], above[0]
    assert low.value is not None
    assert high.value is not None
    if low.value > high.value:
        raise AssertionError(f"{low} against {high}: one of the theorems is applied wrongly")
    words, sentence = f"cos <= {target}", ""
    if isinstance(target, Angle):
        words, sentence = target.words, _sentence(n, target, low.value, high.value)
    proofs = _certificate(n, target, low), _certificate(n, target, high)
    return CountBounds(n, words, low.value, high.value, proofs[0], proofs[1], (*below, *above), sentence)


def _certificate(n: int, target: Angle | fmpq, bound: Bound) -> dict[str, Any]:
    content = {"kind": "count", "side": bound.side, "n": n, "count": digits(bound.value or 0), "proof": bound.proof}
    if not isinstance(target, Angle):
        return signed({**content, "set": "code", "cosine": str(target)})
    square = target.square_below if bound.side == "lower" else target.square_above
    stated = {} if target.degrees is None else {"degrees": str(target.degrees)}
    return signed({**content, "set": "lines", "square": str(square), **stated})


def exponent(cosine: float) -> float:
    """Bits per dimension of random coding, log2(1/(1 - c²))/2 (Shannon 1959): what "exponentially many" promises for large n.

    >>> round(1 / exponent(0.01745240643728351), 1)
    4550.7
    """
    return -log1p(-(cosine**2)) / (2 * log(2))


def asymptotic_upper_exponent(cosine: float) -> float:
    """Bits per dimension that no code exceeds as n -> ∞, S = √(1 - c²) (Kabatiansky and Levenshtein 1978); no bound at any finite n.

    (1 + S)/(2 S) log2((1 + S)/(2 S)) - (1 - S)/(2 S) log2((1 - S)/(2 S))

    >>> round(1 / asymptotic_upper_exponent(0.01745240643728351), 2)
    868.17
    """
    root = sqrt(1 - cosine**2)
    a, b = (1 + root) / (2 * root), cosine**2 / ((1 + root) * 2 * root)
    return a * log2(a) - b * log2(b)


def _sentence(n: int, target: Angle, lower: int, upper: int) -> str:
    """What the exponential formula and the asymptotic upper bound say at this n, beside what is proved."""
    bits, most = n * exponent(target.cosine), n * asymptotic_upper_exponent(target.cosine)
    said = f"The exponential formula (1 - c²)^(-n/2) gives {_size(bits)} here"
    if bits < log2(n):
        said += f", fewer than the {n:,} orthogonal vectors that any basis has"
    elif bits < log2(lower) - 1:
        said += f", at least 2^{log2(lower) - bits:.1f} times too few"
    elif bits <= log2(upper):
        said += ", within the proved bounds"
    else:
        said += ", more than fit"
    if most < log2(lower):
        said += (
            f"; the asymptotic upper bound gives {_size(most)} and is no bound here, as more vectors than that exist."
        )
    elif most < log2(upper):
        said += f"; the asymptotic upper bound gives {_size(most)}, which is not proved at this n."
    else:
        said += f"; the asymptotic upper bound gives {_size(most)}, above what is proved here."
    return said


def _size(bits: float) -> str:
    return f"{2**bits:.3g}" if bits < 20 else f"2^{bits:.1f}"


def dimension(n: int) -> int:
    """A dimension from 1 to 10^7; InputError."""
    n = whole("n", n, 1)
    if n > LARGEST:
        raise InputError(f"n must be at most {LARGEST}, got {n}; bounds beyond have not been tried")
    return n
