"""Symbolic losses: equal to rational arithmetic and to direct integration, and known facts derived from them."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import sympy

from tegum.theory import (
    DENSITY,
    IMPORTANCE,
    InputError,
    integrated_loss,
    naive_theory,
    pair_loss,
    rational_loss,
    symbolic_gram_loss,
    symbolic_loss,
)

p, r = DENSITY, IMPORTANCE
KNOWN = {1: {"positive": True}, -1: {"negative": True}}


def rational(number):
    return Fraction(int(number.p), int(number.q))


def fractions(rng, *shape):
    """Nonzero fractions of size about 1."""
    top, bottom = rng.integers(1, 60, shape), rng.integers(20, 40, shape)
    return np.vectorize(Fraction)(top * rng.choice([-1, 1], shape), bottom)


def model(rng, n, m):
    """Exact weights, bias, density, importance; the bias zero half of the time."""
    bias = fractions(rng, n) / 3 if rng.integers(2) else np.array([Fraction(0)] * n)
    return fractions(rng, m, n), bias, abs(fractions(rng, n)) / 4, abs(fractions(rng, n))


def in_symbols(weights, bias, density, importance):
    """The model's loss in symbols of its own signs, and its place: Gram entries for m > 1, weights for m = 1."""
    m, n = weights.shape
    point = {}

    def symbol(name, value):
        if value == 0:
            return 0
        point[name] = value
        return sympy.Symbol(name, **KNOWN[1 if value > 0 else -1])

    if m == 1:
        w = [symbol(f"w{j}", weights[0, j]) for j in range(n)]
        gram = [[x * y for y in w] for x in w]
    else:
        product_ = weights.T @ weights
        gram = [[symbol(f"g{min(i, j)}{max(i, j)}", product_[i, j]) for j in range(n)] for i in range(n)]
    rest = [
        [symbol(f"{name}{j}", x) for j, x in enumerate(v)]
        for name, v in zip("bpi", (bias, density, importance), strict=True)
    ]
    return symbolic_gram_loss(gram, *rest), point


def exactly(weights, bias, density, importance):
    return rational_loss(weights.tolist(), bias.tolist(), density=density.tolist(), importance=importance.tolist())


@pytest.mark.parametrize(("n", "m", "seed"), [(n, m, s) for n, m in product((1, 2), (1, 2)) for s in range(4)])
def test_equal_to_the_rational_loss(n, m, seed):
    rng = np.random.default_rng([n, m, seed])
    weights, bias, density, importance = model(rng, n, m)
    loss, point = in_symbols(weights, bias, density, importance)
    assert rational(loss.at(**point)) == exactly(weights, bias, density, importance)
    assert rational(loss.near(**point).subs({s: point[s.name] for s in loss.symbols})) == rational(loss.at(**point))


@pytest.mark.slow
@pytest.mark.parametrize(("m", "seed"), list(product((1, 2), range(6))))
def test_equal_to_the_rational_loss_for_three_features(m, seed):
    rng = np.random.default_rng([3, m, seed])
    weights, bias, density, importance = model(rng, 3, m)
    loss, point = in_symbols(weights, bias, density, importance)
    # Other points of the same pattern of signs lie in other regions.
    for _ in range(4 if m == 1 else 1):
        assert rational(loss.at(**point)) == exactly(weights, bias, density, importance)
        weights = np.sign(weights) * abs(fractions(rng, m, 3))
        point |= {f"w{j}": weights[0, j] for j in range(3)} if m == 1 else {}


@pytest.mark.parametrize("seed", range(6))
def test_numbers_give_the_rational_loss(seed):
    rng = np.random.default_rng(seed)
    weights, bias, density, importance = model(rng, 3, 2)
    loss = symbolic_loss(weights.tolist(), bias, density, importance)
    assert rational(loss) == exactly(weights, bias, density, importance)


@pytest.mark.parametrize(
    ("weights", "bias"),
    [([[1, -1]], [0, 0]), ([[2, 1]], [0, 1]), ([[1, 0]], [0, sympy.Symbol("b", positive=True)]), ([[2]], [-1])],
)
def test_equal_to_direct_integration(weights, bias):
    n = len(bias)
    rest = [p] * n, [1, r][:n]
    assert sympy.expand(symbolic_loss(weights, bias, *rest) - integrated_loss(weights, bias, *rest)) == 0


def test_another_pattern_of_signs_has_another_formula():
    opposite, same = pair_loss((1, -1)), pair_loss((1, 1))
    place = {"p": 1, "r": 1, "w1": 1}
    assert opposite.at(**place, w2=-1) != same.at(**place, w2=1)
    with pytest.raises(
        InputError, match="w2 = 1 is not within the pattern of signs: the formula holds for w2 negative"
    ):
        opposite.at(**place, w2=1)
    # Put in by hand, the point gives a number that is not the loss.
    wrong = opposite.expression.subs({s: {**place, "w2": 1}[s.name] for s in opposite.symbols})
    assert rational(wrong) != rational_loss([[1, 1]], [0, 0], density=[1, 1], importance=[1, 1])


@pytest.mark.parametrize("name", ["w1", "w2", "b1", "b2"])
def test_derivative_against_differences(name):
    loss = pair_loss((1, -1), (None, None))
    place = {"w1": Fraction(9, 8), "w2": Fraction(-3, 4), "b1": Fraction(-1, 9), "b2": Fraction(1, 7)}
    density, importance = Fraction(3, 10), Fraction(2, 3)

    def at(step):
        x = {**place, name: place[name] + step}
        weights, bias = [[x["w1"], x["w2"]]], [x["b1"], x["b2"]]
        return rational_loss(weights, bias, density=[density] * 2, importance=[1, importance])

    h = Fraction(1, 10**9)  # central differences of exact numbers err by h² times a third derivative
    slope = rational(loss.derivative(name).at(**place, p=density, r=importance))
    assert abs((at(h) - at(-h)) / (2 * h) - slope) < Fraction(1, 10**15)
    assert abs(slope) > Fraction(1, 1000)


def test_derivative_is_that_of_the_expression_and_continuous():
    loss = pair_loss((1, -1))
    slope = loss.derivative("w1")
    ((kink, a),) = slope.kinks
    w1, w2 = loss.symbols[2:]
    assert kink == w1 + w2
    assert sympy.expand(a.subs(w2, -w1)) == 0
    place = dict(zip(loss.symbols, sympy.sympify("1/3, 1/2, 5/4, -1"), strict=True))
    assert sympy.diff(loss.expression, w1).subs(place) == slope.expression.subs(place)


def test_ignored_state_and_naive_boundary():
    ignored = pair_loss((1, 0), (0, 1))
    ((point, condition),) = ignored.stationary("w1", "b2")
    assert {s.name: x for s, x in point.items()} == {"w1": 1, "b2": p / 2}
    assert condition == sympy.true
    least = ignored.at(w1=1, b2=p / 2)
    assert sympy.expand(least - r * (p / 3 - p**2 / 4)) == 0
    antipodal = pair_loss((1, -1)).at(w1=1, w2=-1)
    (boundary,) = sympy.solve(sympy.Eq(least, antipodal), r)
    assert sympy.cancel(boundary + 2 * p / (5 * p - 4)) == 0
    assert sympy.cancel(boundary - naive_theory().boundary) == 0  # which comes by integration


def test_zero_bias_pair_of_unequal_norms():
    """One active: (1 - w²)²/3 of each. Both active, w > v: feature 2's output is 0, feature 1's is w (w u1 - v u2)₊."""
    w, v, x, y = sympy.symbols("w v x y", positive=True)
    both = sympy.Rational(1, 3) + sum(
        sympy.integrate(((x - w * (w * x - v * y)) ** 2 - x**2).expand(), (y, 0, w * x / v), (x, 0, v / w)).expand()
        if low
        else sympy.integrate(((x - w * (w * x - v * y)) ** 2 - x**2).expand(), (y, 0, 1), (x, v / w, 1)).expand()
        for low in (True, False)
    )
    alone = (1 - w**2) ** 2 / 3 + r * (1 - v**2) ** 2 / 3
    # Output 2 fires where v u2 > w u1.
    two = r / 3 + r * sympy.integrate(((y - v * (v * y - w * x)) ** 2 - y**2).expand(), (x, 0, v * y / w), (y, 0, 1))
    expected = p * (1 - p) * alone + p**2 * (both + two)
    found = pair_loss((1, -1)).near(w1=2, w2=-1)
    w1, w2 = pair_loss((1, -1)).symbols[2:]
    assert sympy.expand(found.subs({w1: w, w2: -v}) - expected) == 0


def test_zero_bias_antipodal_pair_has_norm_above_one():
    w = sympy.Symbol("w", positive=True)
    for density in (Fraction(1, 10), Fraction(1, 2)):
        loss = symbolic_gram_loss([[w**2, -(w**2)], [-(w**2), w**2]], [0, 0], [density] * 2, [1, r])
        assert not loss.kinks
        ((point, condition),) = loss.stationary("w")
        assert condition == sympy.true
        assert rational(point[w] ** 2) == (8 - 5 * density) / (8 - 6 * density)


def test_spinodal_of_the_ignored_state():
    """W = (1 + γε, -ε), b = (βε, p/2 + δε): the loss gains (Q(β) - I V) ε², minimised over γ and δ, Q and V as in theory."""
    eps, beta = sympy.symbols("epsilon beta", positive=True)
    gamma, delta = sympy.symbols("gamma delta", real=True)
    loss = pair_loss((1, -1), (1, 1))
    tenth = sympy.Rational(1, 10)
    branch = loss.near(w1=1, w2=-tenth, b1=tenth / 2, b2=tenth * 3)  # 0 < β < 1 and b2 > ε
    symbols = {s.name: s for s in loss.symbols}
    w1, w2 = symbols["w1"], symbols["w2"]
    # A Laurent polynomial in the weights: clear the denominators, then divide the series.
    numerator = sympy.expand(branch * w1**5 * w2**5)
    place = {w1: 1 + gamma * eps, w2: -eps, symbols["b1"]: beta * eps, symbols["b2"]: p / 2 + delta * eps}
    top = sympy.Poly(numerator.subs(place), eps)
    bottom = sympy.Poly((w1**5 * w2**5).subs(place), eps)
    shift = bottom.monoms()[-1][0]
    a, d = ([poly.coeff_monomial(eps ** (shift + k)) for k in range(3)] for poly in (top, bottom))
    assert all(sympy.expand(top.coeff_monomial(eps**k)) == 0 for k in range(shift))
    c: list[sympy.Expr] = []
    for k in range(3):
        c.append(sympy.expand((a[k] - sum(c[j] * d[k - j] for j in range(k))) / d[0]))
    variance = p / 3 - p**2 / 4
    assert sympy.expand(c[0] - r * variance) == 0
    assert c[1] == 0
    (best,) = sympy.solve([sympy.diff(c[2], gamma), sympy.diff(c[2], delta)], [gamma, delta], dict=True)
    q = (
        beta**2 * (1 - p + p**2)
        + p * (1 - p) * beta**3 / 3
        - sympy.Rational(3, 4) * p * (beta - p / 2) ** 2
        - p**2 * beta
        + p**2 / 3
    )
    assert sympy.expand(c[2].subs(best) - (q - r * variance)) == 0


def test_triangle():
    half, high = sympy.Rational(1, 2), sympy.sqrt(3) / 2
    loss = symbolic_loss([[1, -half, -half], [0, high, -high]], [0] * 3, [p] * 3, [1] * 3)
    assert loss == p**2 * (p + 3) / 8


def test_gram_entries_that_are_sums():
    """m = 2 with positive weights: every Gram entry is a sum of products of known sign."""
    a = sympy.symbols("a:4", positive=True)
    loss = symbolic_loss([a[:2], a[2:]], [0, 0], [1, 1], [1, 1])
    place = [Fraction(1, 2), Fraction(2), Fraction(3, 4), Fraction(1, 5)]
    exact = rational_loss([place[:2], place[2:]], [0, 0], density=[1, 1], importance=[1, 1])
    assert rational(loss.subs(dict(zip(a, place, strict=True)))) == exact


def test_latex_shows_every_kink():
    one, more = pair_loss((1, -1)), pair_loss((1, -1), (1, 1))
    assert r"\text{for}\: w_{1} + w_{2} > 0" in one.latex()
    assert more.latex().count(r"\begin{cases}") == len(more.kinks) == 4
    assert r"b_{1} + w_{1} w_{2} > 0" in more.latex()


def test_floats_count_as_dyadic_rationals():
    found = symbolic_loss([[0.1, np.float64(-0.3)]], [0.0, 0.7], [0.2, 0.3], [1, 2])
    assert rational(found) == rational_loss([[0.1, -0.3]], [0.0, 0.7], density=[0.2, 0.3], importance=[1, 2])


x, g = sympy.Symbol("x", real=True), sympy.Symbol("g", positive=True)
ONE = [[1]], [0], [1], [1]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: symbolic_loss([[g, x]], [0, 0], [1, 1], [1, 1]), r"sign of the Gram entry G\[0, 1\] = g\*x must be"),
        (lambda: symbolic_loss([[1] * 4], [0] * 4, [1] * 4, [1] * 4), "at most n = 3 features, got n = 4"),
        (lambda: symbolic_loss([[1], [1, 2]], *ONE[1:]), r"shape \(m, n\), got rows of lengths \[1, 2\]"),
        (lambda: symbolic_loss([[float("nan")]], *ONE[1:]), "weights must hold finite numbers .* got nan"),
        (lambda: symbolic_loss([["w"]], *ONE[1:]), "got 'w'"),
        (lambda: symbolic_loss([[1]], [sympy.I], [1], [1]), "bias must hold"),
        (lambda: symbolic_loss([[1]], [0], [2], [1]), r"density must be in \[0, 1\], got 2"),
        (lambda: symbolic_loss([[1]], [0], [1], [0]), "importance must be positive, got 0"),
        (lambda: symbolic_gram_loss([[1, g]], [0], [1], [1]), "must agree on n"),
        (lambda: symbolic_gram_loss([[1, g], [0, 1]], [0, 0], [1, 1], [1, 1]), "gram must be symmetric"),
        (lambda: symbolic_gram_loss([[g]], [sympy.Symbol("g")], [1], [1]), "different names"),
        (lambda: pair_loss((1, 2)), "sign of w2 must be 1, 0 or -1"),
        (lambda: pair_loss((1, None)), "sign of w2 must be"),
        (lambda: pair_loss().at(w3=1), "w3 must be a symbol of this loss, which has p, r, w1, w2"),
        (lambda: pair_loss().derivative("b1"), "b1 must be a symbol"),
        (lambda: pair_loss().near(w1=1, w2=-1), r"off every kink, on a known side, but there w1 \+ w2 = 0"),
        (lambda: pair_loss((1, -1), (None, None)).stationary("w1"), "at most 4 kinks, got 8"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(InputError, match=words):
        call()
