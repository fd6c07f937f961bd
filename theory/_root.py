"""Root: a box proved to hold exactly one solution of a square system of equations, by interval Newton in ball arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import flint
import numpy as np

from ._enclosure import _outward
from ._grade import Grade

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jaxtyping import Float
    from numpy import ndarray as Array

# A number that functions here compute with: a ball, a float, or a `Dual` of such.
Number = Any
# Working precisions in bits. Most systems close at the first; the others are for ill-conditioned ones.
PRECISIONS = (160, 320, 640)
# Newton doubles the digits: a start of 3 needs five steps at 160 bits and seven at 640; the rest is slack for a poor start.
STEPS = 20
# Levels of `Dual` numbers, one for each differentiation: derivatives of nested ones must not be mixed up.
LEVELS = count(1)


class NoRootError(ArithmeticError):
    """No box about the start could be proved to hold a root (with the properties asked for)."""


@dataclass(frozen=True)
class Root:
    """A box that holds exactly one root of a system: `ball`, one flint.arb per unknown; grade ENCLOSED."""

    ball: tuple[flint.arb, ...]
    grade: Grade = Grade.ENCLOSED

    @property
    def bounds(self) -> Float[Array, "unknowns 2"]:
        """The box as floats [lower, upper], rounded outwards."""
        return np.array([_outward(x) for x in self.ball])


class Dual:
    """A number with its partial derivatives, for forward differentiation: `value` and `slope`, index -> derivative.

    Either may again be Dual, of a lower `level`: that is how second derivatives come about. A number of lower level is a constant to
    one of higher level.
    """

    __slots__ = ("level", "slope", "value")

    def __init__(self, value: Number, slope: dict[int, Number], level: int) -> None:
        self.value, self.slope, self.level = value, slope, level

    def __add__(self, other: Number) -> Number:
        order = _level(other) - self.level
        if order > 0:
            return Dual(self + other.value, other.slope, other.level)
        if order < 0:
            return Dual(self.value + other, self.slope, self.level)
        slope = dict(self.slope)
        for k, d in other.slope.items():
            slope[k] = slope[k] + d if k in slope else d
        return Dual(self.value + other.value, slope, self.level)

    def __mul__(self, other: Number) -> Number:
        order = _level(other) - self.level
        if order > 0:
            return other * self
        if order < 0:
            return Dual(self.value * other, {k: d * other for k, d in self.slope.items()}, self.level)
        slope = {k: d * other.value for k, d in self.slope.items()}
        for k, d in other.slope.items():
            term = self.value * d
            slope[k] = slope[k] + term if k in slope else term
        return Dual(self.value * other.value, slope, self.level)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> Dual:
        return Dual(-self.value, {k: -d for k, d in self.slope.items()}, self.level)

    def __sub__(self, other: Number) -> Number:
        return self + (-other)

    def __rsub__(self, other: Number) -> Number:
        return -self + other

    def __truediv__(self, other: Number) -> Number:
        return self * (1 / (other if isinstance(other, Dual) else flint.arb(other)))

    def __rtruediv__(self, other: Number) -> Number:
        return self**-1 * other

    def __pow__(self, k: int) -> Dual:
        if k < 0:
            inverse = 1 / self.value
            scale = -inverse * inverse
            return Dual(inverse, {i: scale * d for i, d in self.slope.items()}, self.level) ** -k
        # By multiplication: flint's power of a ball that holds zero is not a number.
        power = self
        for _ in range(k - 1):
            power = power * self
        return power


def derivatives(
    function: Callable[[list[Number]], Sequence[Number]], x: Sequence[Number]
) -> tuple[list[Number], list[list[Number]]]:
    """Values and Jacobian [equation][unknown] of a function of + - * / and integer powers, at balls, floats or Duals.

    >>> derivatives(lambda x: [x[0] ** 2 * x[1]], [flint.arb(3), flint.arb(5)])
    ([45.0000000000000], [[30.0000000000000, 9.00000000000000]])
    """
    level = next(LEVELS)  # above all that `function` may have captured
    found = function([Dual(entry, {k: 1}, level) for k, entry in enumerate(x)])
    values = [y.value if _level(y) == level else y for y in found]
    slopes = [y.slope if _level(y) == level else {} for y in found]
    return values, [[slope.get(k, 0) for k in range(len(x))] for slope in slopes]


def enclose_root(function: Callable[[list[Number]], Sequence[Number]], start: Sequence[float | flint.arb]) -> Root:
    """The root of function(x) = 0 near `start`: Newton's method in high precision, then the Krawczyk test.

    With m the end of Newton, Y an approximate inverse of the Jacobian J(m) and X a box about m, let
    K(X) = m - Y f(m) + (1 - Y J(X)) (X - m). If K(X) lies in the interior of X, then X holds exactly one root, and it lies in K(X)
    (Krawczyk 1969; Rump, Acta Numerica 2010, section 13).

    function: a list of as many numbers as it is given, by + - * / and integer powers, of balls and `Dual` numbers. Constants must be
    exact: integers, or balls made when it is called. Where it is wider than a point, for each of its members there is one root.
    The root need not be the one nearest to `start`, and is none of another formula that holds elsewhere: what must hold on it
    (signs, branches) is for the caller to verify on the box.
    Grade ENCLOSED. Raises NoRootError where the test fails at every precision: no root near, or a multiple one.

    >>> root = enclose_root(lambda x: [x[0] ** 2 - 2], [1.4])
    >>> (root.ball[0] ** 2).contains(2), float(root.ball[0].rad()) < 1e-40
    (True, True)
    >>> enclose_root(lambda x: [x[0] ** 2 + 2], [1.4])
    Traceback (most recent call last):
    tegum.theory._root.NoRootError: no root could be enclosed near [1.4]
    """
    for bits in PRECISIONS:
        with flint.ctx.workprec(bits):
            try:
                return Root(_krawczyk(function, _newton(function, [flint.arb(x) for x in start], bits), bits))
            except (ZeroDivisionError, NoRootError):
                continue
    raise NoRootError(f"no root could be enclosed near {[float(x) for x in start]}")


def _newton(function: Callable[[list[Number]], Sequence[Number]], x: list[flint.arb], bits: int) -> list[flint.arb]:
    x = [entry.mid() for entry in x]
    for _ in range(STEPS):
        values, jacobian = derivatives(function, x)
        move = _inverse(jacobian) * _matrix([[y] for y in values])
        x = [(entry - move[k, 0]).mid() for k, entry in enumerate(x)]
        if _largest(move) <= _largest(_matrix([x])) * flint.arb(2) ** (-bits // 2):
            break
    return x


def _krawczyk(
    function: Callable[[list[Number]], Sequence[Number]], m: list[flint.arb], bits: int
) -> tuple[flint.arb, ...]:
    values, jacobian = derivatives(function, m)
    y = _inverse(jacobian)
    move = y * _matrix([[value] for value in values])
    # Room for what Newton left, for the balls in the function, and for rounding.
    radius = 4 * _largest(move) + _largest(_matrix([m])) * flint.arb(2) ** (-bits // 2)
    deviation = _matrix([[flint.arb(0, radius)] for _ in m])
    _, wide = derivatives(function, [entry + deviation[k, 0] for k, entry in enumerate(m)])
    identity = _matrix([[int(i == j) for j in range(len(m))] for i in range(len(m))])
    image = (identity - y * _matrix(wide)) * deviation - move
    if not _largest(image) < radius.lower():
        raise NoRootError("the image of the box is not inside the box")
    return tuple(m[k] + image[k, 0] for k in range(len(m)))


def _inverse(jacobian: list[list[Number]]) -> flint.arb_mat:
    return _matrix(jacobian).mid().inv().mid()


def _largest(entries: flint.arb_mat) -> flint.arb:
    """An upper bound of the absolute values."""
    largest = flint.arb(0)
    for entry in entries.entries():
        largest = largest.max(abs(entry).upper())
    return largest


def _matrix(rows: Sequence[Sequence[Number]]) -> flint.arb_mat:
    return flint.arb_mat([list(row) for row in rows])


def _level(x: Number) -> int:
    return x.level if isinstance(x, Dual) else 0
