"""The compiled vertex sums against rational arithmetic."""

from fractions import Fraction

import numpy as np
import pytest

from tegum.theory import Features, rational_loss, rational_map_loss
from tegum.theory._law import Law, independent
from tegum.theory._multistart import Objective
from tegum.theory._rows import RowProblems
from tegum.theory._vertex import vertex_errors

LAWS = [independent(n) for n in range(1, 9)] + [
    Law("correlated", (2,)),
    Law("correlated", (3, 1, 4)),
    Law("anticorrelated", (2, 3)),
    Law("anticorrelated", (8,)),
]


def problems(law, rows=40):
    """Slopes over seven orders of magnitude, some zero; any targets; offsets of zero and densities of one among them."""
    n = sum(law.sizes)
    rng = np.random.default_rng(n)
    slopes = rng.standard_normal((rows, n)) * 10.0 ** rng.uniform(-7, 0.5, (rows, n))
    slopes[rng.random((rows, n)) < 0.2] = 0
    offset = rng.standard_normal(rows) * 10.0 ** rng.uniform(-3, 0, rows)
    offset[::5] = 0
    density = rng.uniform(0.02, 1, (rows, n)) / (n if law.kind == "anticorrelated" else 1)
    density[::7] = 1 / (n if law.kind == "anticorrelated" else 1)
    if law.kind == "correlated":
        for group in law.groups:
            density[:, group] = density[:, group.start, None]
    target = np.eye(n)[rng.integers(n, size=rows)]
    target[::3] = rng.standard_normal(target[::3].shape)
    target[1::9] = 0
    return RowProblems(slopes, offset, density, target, rng.standard_normal(rows), law)


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_every_law_and_target_against_rational_arithmetic(law):
    """Value of each row, the mean square of its target taken off, which `vertex_errors` leaves out; and without the gradient."""
    rows = problems(law, rows=12 if sum(law.sizes) < 8 else 5)
    rows = RowProblems(rows.slopes, rows.offset, rows.density, rows.target, np.zeros_like(rows.constant), law)
    found, plain = vertex_errors(rows, True), vertex_errors(rows, False)
    for k in range(len(rows.offset)):
        density = [Fraction(x) for x in rows.density[k]]
        if law.kind == "anticorrelated":
            density = [min(x, Fraction(1, len(density))) for x in density]
        given = {"density": density, "importance": [1], "law": law, "target": [rows.target[k].tolist()]}
        n = len(density)
        wanted = rational_map_loss([rows.slopes[k].tolist()], [rows.offset[k]], **given)
        wanted -= rational_map_loss([[0] * n], [0], **given)
        scale = max(abs(rows.offset[k]) + np.abs(rows.slopes[k]).sum(), 1) ** 2 * (1 + np.abs(rows.target[k]).sum())
        assert abs(float(Fraction(float(found.value[k])) - wanted)) < 2e-15 * scale
        assert abs(found.value[k] - plain.value[k]) < 2e-15 * scale
    assert not plain.d_slopes.any()
    assert not plain.d_offset.any()


@pytest.mark.parametrize("n", [1, 2, 4, 6])
def test_against_rational_arithmetic(n):
    """Entries down to 2^-30: a sum that cancels would lose all digits. The gradient by a rational difference quotient."""
    rng = np.random.default_rng(n)
    numerators, shifts = rng.integers(-16, 17, (2, n)), rng.integers(2, 26, (2, n))
    weights = [
        [Fraction(int(a), 2 ** int(s)) for a, s in zip(*row, strict=True)]
        for row in zip(numerators, shifts, strict=True)
    ]
    weights[0][0] = Fraction(1)
    bias = [Fraction(int(b), 64) for b in rng.integers(-8, 9, n)]
    density, importance = [Fraction(1, 5)] * n, [Fraction(1, 1 + i) for i in range(n)]

    def exact():
        return rational_loss(weights, bias, density=density, importance=importance)

    objective = Objective(Features(0.2, [float(i) for i in importance], n), 2, True)
    x = objective.point(np.array(weights, dtype=float), np.array(bias, dtype=float))
    loss, gradient = (part[0] for part in objective(x[None]))
    assert abs(Fraction(float(loss)) - exact()) < Fraction(1, 10**15)
    h = Fraction(1, 2**20)
    for place, numbers in ((0, weights[0]), (n, weights[1]), (2 * n, bias)):
        for j in range(n):
            numbers[j] += h
            above = exact()
            numbers[j] -= 2 * h
            below = exact()
            numbers[j] += h
            assert abs(float((above - below) / (2 * h)) - gradient[place + j]) < 1e-9


@pytest.mark.parametrize(("slope", "offset"), [(np.nan, 0.0), (0.5, np.nan), (np.inf, -np.inf), (1.7e308, 1.7e308)])
def test_rows_that_are_not_finite_give_nan_and_leave_the_others_alone(slope, offset):
    """Such a row once grew its tree beyond its arrays: no sign of a node was ever settled."""
    good = problems(independent(4))
    slopes, offsets = good.slopes.copy(), good.offset.copy()
    slopes[3, 1], offsets[3] = slope, offset
    bad = RowProblems(slopes, offsets, good.density, good.target, good.constant, good.law)
    found, clean = vertex_errors(bad, True), vertex_errors(good, True)
    assert np.isnan([found.value[3], found.d_offset[3], *found.d_slopes[3]]).all()
    others = np.arange(len(offsets)) != 3
    for x, y in zip(found.arrays()[:4], clean.arrays()[:4], strict=True):
        np.testing.assert_array_equal(x[others], y[others])
