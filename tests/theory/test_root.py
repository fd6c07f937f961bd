"""Proved enclosures of the roots of square systems, and the differentiation under them."""

import flint
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from tegum.theory import Grade
from tegum.theory._root import NoRootError, _krawczyk, derivatives, enclose_root

fractions = st.fractions(-3, 3, max_denominator=9)


def rational(x):
    return (x[0] ** 3 * x[1] - 2 / x[1] + x[0] / (1 + x[1] ** 2)) / 3 - x[1] ** -2


def test_first_and_second_derivatives_against_sympy():
    x = sympy.symbols("x:2")
    at = dict(zip(x, (sympy.Rational(5, 3), sympy.Rational(-7, 4)), strict=True))
    point = [flint.arb(5) / 3, flint.arb(-7) / 4]
    values, slopes = derivatives(lambda y: derivatives(lambda z: [rational(z)], y)[1][0], point)
    for i in range(2):
        assert float(values[i]) == pytest.approx(float(sympy.diff(rational(x), x[i]).subs(at)), rel=1e-13)
        for j in range(2):
            expected = float(sympy.diff(rational(x), x[i], x[j]).subs(at))
            assert float(slopes[i][j]) == pytest.approx(expected, rel=1e-13)


def test_nested_derivatives_are_not_mixed_up():
    """d/dx [x · d/dt (x + t) ] = 1: it is 2 if the two perturbations are taken for one."""
    _, slopes = derivatives(
        lambda x: [x[0] * derivatives(lambda t: [x[0] + t[0]], [flint.arb(0)])[1][0][0]], [flint.arb(3)]
    )
    assert float(slopes[0][0]) == 1


@settings(max_examples=30)
@given(fractions, fractions)
def test_a_planted_root_is_enclosed(a, b):
    """x = a, y = b solve it, and the Jacobian there has determinant 7: regular."""

    def equations(x):
        u = x[0] - flint.arb(a.numerator) / a.denominator
        v = x[1] - flint.arb(b.numerator) / b.denominator
        return [2 * u - v + u * v, u + 3 * v - u * u * v]

    root = enclose_root(equations, [float(a) + 1e-3, float(b) - 1e-3])
    assert root.grade is Grade.ENCLOSED
    for ball, exact, (lower, upper) in zip(root.ball, (a, b), root.bounds.tolist(), strict=True):
        with flint.ctx.workprec(700):
            assert ball.contains(flint.arb(exact.numerator) / exact.denominator)
        assert ball.rad() < 1e-40
        assert lower <= exact <= upper


@pytest.mark.parametrize(
    ("function", "start"),
    [
        (lambda x: [x[0] ** 2 + 1], [0.5]),  # no real root
        (lambda x: [x[0] ** 2], [0.1]),  # a double root cannot be proved
        (lambda x: [1 / x[0]], [1.0]),  # Newton's method leaves for infinity
        (lambda x: [x[0] + x[1], 2 * x[0] + 2 * x[1]], [0.1, 0.1]),  # a line of roots
    ],
)
def test_without_a_regular_root_it_says_so(function, start):
    with pytest.raises(NoRootError, match="no root could be enclosed near"):
        enclose_root(function, start)


def test_a_box_without_the_root_is_rejected():
    """The test itself, without Newton's method before it: it must not accept a box beside the root."""
    with flint.ctx.workprec(160):
        near = flint.arb(2).sqrt().mid()
        assert _krawczyk(lambda x: [x[0] ** 2 - 2], [near], 160)[0].contains(flint.arb(2).sqrt())
        with pytest.raises(NoRootError):
            _krawczyk(lambda x: [x[0] ** 2 - 2], [flint.arb(0.25)], 160)


def test_uncertain_constants_widen_the_enclosure():
    """x² = c for every c in [2 - 1e-20, 2 + 1e-20]: each of the roots is inside."""
    root = enclose_root(lambda x: [x[0] ** 2 - flint.arb(2, 1e-20)], [1.4])
    with flint.ctx.workprec(160):
        for sign in (-1, 1):
            assert root.ball[0].contains((2 + sign * flint.arb(1e-20)).sqrt().mid())
    assert root.ball[0].rad() > 1e-21
