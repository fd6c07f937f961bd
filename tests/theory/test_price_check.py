"""The price of a dimension: its lemmas at random points and models in exact numbers; certificates that are tampered with fail."""

import copy
import json
from fractions import Fraction
from math import cos, sin

import numpy as np
import pytest
from flint import fmpq
from hypothesis import given, settings
from hypothesis import strategies as st

from tegum.theory import (
    CertificateError,
    Features,
    _dimension_price,
    check_lower,
    lower_bound,
    optimal_model,
    rational_loss,
)
from tegum.theory import _price_check as check
from tegum.theory._row_box import row_error

DENSITY, IMPORTANCE, M = np.array([0.25, 0.5, 0.5]), np.array([1.0, 1.0, 0.75]), 1


def exact(x):
    return fmpq(*float(x).as_integer_ratio())


@pytest.fixture(scope="module")
def coarse():
    """A part of a certificate for three unequal features in one dimension, of few cells: quick to check, and somewhat lower."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_dimension_price, "SLACK", 0.3)
        patch.setattr(_dimension_price, "SLOPES", (0.25, 0.75, 1.0, 1.4))
        return _dimension_price.proved_offer(DENSITY, IMPORTANCE, _dimension_price.offer_of(DENSITY, IMPORTANCE, M))


@pytest.fixture(scope="module")
def levels(coarse):
    return check.price_levels(list(map(exact, DENSITY)), coarse)


@pytest.fixture(scope="module")
def certificate(coarse, levels):
    value = sum(levels) - M * check.rational(coarse["price"])
    return {
        "kind": "lower bound",
        "m": M,
        "density": [str(exact(p)) for p in DENSITY],
        "importance": [str(exact(x)) for x in IMPORTANCE],
        "tables": [],
        "subsets": [],
        "price": coarse,
        "value": str(value),
    }


def test_dimensionalities_add_up_to_the_dimension():
    """Also of shortened columns; equal to m for orthogonal bases and digons."""
    rng = np.random.default_rng(0)

    def total(weights):
        short = weights / np.maximum(1, np.linalg.norm(weights, axis=0))
        gram = short.T @ short
        return (np.diag(gram) ** 2 / np.maximum((gram**2).sum(1), 1e-300)).sum()

    for _ in range(200):
        m, n = rng.integers(1, 4), rng.integers(1, 9)
        assert total(rng.normal(size=(m, n)) * rng.choice([0.3, 1, 3], n)) <= m + 1e-12
    assert total(np.array([[1, -1, 0, 0], [0, 0, 0.5, -0.5]])) == pytest.approx(2)


@given(st.fractions(-256, 256, max_denominator=10**6))
def test_circle(x):
    found = check.circle(fmpq(x.numerator, x.denominator))
    assert float(found[0]) == pytest.approx(cos(x), abs=1e-13)
    assert float(found[1]) == pytest.approx(sin(x), abs=1e-13)


def test_circle_is_far_more_precise_than_floats():
    """cos² + sin² = 1 and the doubled angle, within a few roundings."""
    for k in range(-500, 500, 7):
        (c, s), (c2, s2) = check.circle(fmpq(k, 4)), check.circle(fmpq(k, 2))
        assert abs(c * c + s * s - 1) < 4 * check.SLOP
        assert max(abs(c2 - 2 * c * c + 1), abs(s2 - 2 * s * c)) < 8 * check.SLOP


def modulus(tau, p):
    return np.abs(1 - p + p * (np.exp(1j * tau) - 1) / (1j * tau))


@given(
    st.sampled_from([0.05, 0.3, 0.7, 1.0]),
    st.integers(1, 14),
    st.integers(1, 40),
    st.integers(0, 8),
    st.integers(0, 10**6),
)
@settings(max_examples=30, deadline=None)
def test_rates_are_below_the_decay(p, twice, low, width, seed):
    """-ln |M(θ t)| >= r y² for all t, and r is not much less than the largest such number."""
    cell = fmpq(low, 16), fmpq(low + width, 16)
    r = float(check.rate(exact(p), fmpq(twice, 2), cell))
    t = np.concatenate([np.linspace(1e-3, 4, 2000), np.random.default_rng(seed).uniform(0, 60, 300)])
    y2 = np.minimum(min(float(cell[1]), 1), t**2 / max(float(cell[0]), 1))
    ratio = -np.log(modulus(twice / 2 * t, p) + 1e-300) / y2
    assert 0.8 * ratio.min() - 1e-9 < r <= ratio.min() + 1e-12


def psi(a, z, p):
    a, z = np.broadcast_arrays(a, z)
    return row_error(a, np.zeros(a.shape), z, np.array([[1 - p, p, 0, 0]]))[..., 0]


def test_waves_are_below_the_error(coarse):
    """The floors that were proved, at random slopes and offsets, also far out."""
    rng = np.random.default_rng(1)
    for table in coarse["tables"]:
        q, cells = check._read(table)
        touched = []
        for cell in cells:
            a, z = (
                rng.uniform(*map(float, cell.a), 400),
                np.concatenate([rng.uniform(-3, 2, 300), rng.uniform(-40, 40, 100)]),
            )
            part = (a - float(cell.a[0])) / float(cell.a[1] - cell.a[0])
            low = float(cell.floors[0]) * (1 - part) + float(cell.floors[1]) * part
            for size, theta, shift in cell.waves:
                low = low + float(size) * (1 - np.cos(float(theta) * (z - float(shift))))
            rest = psi(a, z, float(q)) - low
            assert rest.min() > -1e-12
            touched.append(rest.min() / float(q))
        assert min(touched) < 0.02


def test_a_floor_too_high_is_not_proved():
    """At a = 1 the error at z = 0 is 0; the waves are worth p/3 at most."""
    wave = check.Wave(fmpq(1, 32), fmpq(2), fmpq(0))
    cell = check.Cell((fmpq(15, 16), fmpq(1)), (fmpq(-1, 100), fmpq(-1, 100)), (wave,))
    check.prove_floors(cell, fmpq(1, 4))
    for floors in [(fmpq(1, 100),) * 2, (fmpq(-1, 100), fmpq(1, 10000)), (fmpq(1, 10), fmpq(-1, 100))]:
        with pytest.raises(CertificateError, match="not shown"):
            check.prove_floors(cell._replace(floors=floors), fmpq(1, 4))
    for wrong in [wave._replace(size=fmpq(1, 8)), wave._replace(theta=fmpq(40))]:
        with pytest.raises(CertificateError):
            check.prove_floors(cell._replace(waves=(wrong,)), fmpq(1, 4))
    for wrong in [wave._replace(size=fmpq(-1, 32)), wave._replace(theta=fmpq(7, 3)), wave._replace(theta=fmpq(0))]:
        with pytest.raises(CertificateError, match="multiples of 1/2"):
            check.prove_floors(cell._replace(waves=(wrong,)), fmpq(1, 4))


def test_waves_far_from_the_error_count_too():
    """Waves that lie below the error near the output's zero, and above p/3 where it never fires."""
    p = fmpq(1, 4)
    # Two waves in phase at 0 and again a period later.
    waves = (check.Wave(fmpq(1, 40), fmpq(1, 2), fmpq(0)), check.Wave(fmpq(1, 40), fmpq(1), fmpq(-3)))
    cell = check.Cell((fmpq(1, 2), fmpq(1, 2)), (fmpq(0), fmpq(0)), waves)
    assert float(waves[0].size + waves[1].size) * 2 > float(p) / 3
    z = np.linspace(-14, 2, 4000)
    high = sum(float(c) * (1 - np.cos(float(th) * (z - float(s)))) for c, th, s in waves)
    assert high.max() > float(p) / 3
    with pytest.raises((CertificateError, ZeroDivisionError)):
        check.prove_floors(cell._replace(a=(fmpq(1, 2), fmpq(9, 16))), p)


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_level_of_a_cell_is_below_error_and_share(seed):
    """For a and Q in the cell: A + Σ C (1 - exp(-Σ r y²)) scaled, plus λ D, with y² shared out at random."""
    rng = np.random.default_rng(seed)
    low = int(rng.integers(0, 40))
    a = fmpq(low, 32), fmpq(low + int(rng.integers(1, 12)), 32)
    floors = fmpq(int(rng.integers(0, 9)), 64), fmpq(int(rng.integers(0, 9)), 64)
    waves = tuple(
        check.Wave(fmpq(int(rng.integers(1, 9)), 64), fmpq(int(rng.integers(1, 12)), 2), fmpq(0)) for _ in range(2)
    )
    cell, others, price = check.Cell(a, floors, waves), [fmpq(1, 4), fmpq(1, 2), fmpq(1, 2)], rng.uniform(0, 1)
    level = float(check.cell_level(cell, check.ends(cell, others), fmpq(1, 1000), fmpq(2), exact(price)))
    least = np.inf
    for _ in range(300):
        part = rng.uniform()
        slope = float(a[0]) * (1 - part) + float(a[1]) * part
        s = min(slope, 1)
        y2 = s * rng.uniform(size=3) ** rng.choice([0.2, 1, 5])
        error = float(floors[0]) * (1 - part) + float(floors[1]) * part
        for size, theta, _ in waves:
            rates = np.array([float(check.rate(p, theta, a)) for p in others])
            error += float(size) * (1 - np.exp(-rates @ y2))
        value = 2 * error + price * s**2 / max(s**2 + y2.sum(), 1e-300)
        assert level <= value + 1e-9
        least = min(least, value)


def draw_model(seed, n, m, scale=8):
    rng = np.random.default_rng(seed)
    weights = [[Fraction(int(k), scale) for k in row] for row in rng.integers(-scale - 2, scale + 3, (m, n))]
    return weights, [Fraction(int(k), 2 * scale) for k in rng.integers(-scale, scale, n)]


@given(st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_every_row_of_every_model_is_above_its_level(coarse, levels, seed):
    """J E_i + λ D_i, the error exact, and the whole loss above the bound."""
    weights, bias = draw_model(seed, 3, M)
    density = [Fraction(p) for p in DENSITY]
    w = np.array(weights, float)
    short = w / np.maximum(1, np.linalg.norm(w, axis=0))
    gram = short.T @ short
    total, price = 0.0, float(Fraction(coarse["price"]))
    for i, level in enumerate(levels):
        # Only row i: the others weigh nothing to speak of.
        importance = [Fraction(IMPORTANCE[i]) if j == i else Fraction(1, 10**30) for j in range(3)]
        error = float(rational_loss(weights, bias, density=density, importance=importance))
        share = gram[i, i] ** 2 / max((gram[i] ** 2).sum(), 1e-300)
        assert error + price * share >= float(level) - 1e-9
        total += error
    assert total >= float(sum(levels)) - M * price > 0


def test_scale_of_a_row_of_another_density():
    a, z = np.random.default_rng(2).uniform(0, 2, 500), np.random.default_rng(3).uniform(-2, 2, 500)
    for p, q in [(0.2, 0.5), (0.5, 0.2), (1.0, 0.5), (0.5, 1.0)]:
        scale = float(check.row_scale(exact(p), exact(q)))
        assert (psi(a, z, p) >= scale * psi(a, z, q) - 1e-12).all()
    assert check.row_scale(fmpq(1), fmpq(1)) == 1


def tampered(certificate, *path, to):
    other = copy.deepcopy(certificate)
    place = other
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to(place[path[-1]]) if callable(to) else to
    return other


def larger(text, by=Fraction(11, 10)):
    return str(Fraction(text) * by)


def central(certificate):
    """The first cell from a = 1 on, and its largest wave."""
    cells = certificate["price"]["tables"][0]["cells"]
    k = next(k for k, cell in enumerate(cells) if Fraction(cell[0]) > 1)
    return k, max(range(len(cells[k][3])), key=lambda wave: Fraction(cells[k][3][wave][0]))


def test_certificate_holds(certificate):
    check_lower(json.loads(json.dumps(certificate)))
    optimum = optimal_model(Features(DENSITY, IMPORTANCE), M, restarts=2).loss
    assert 0.3 * optimum < float(Fraction(certificate["value"])) < optimum
    check_lower(tampered(certificate, "value", to=lambda x: larger(x, Fraction(1, 2))))
    # Lower floors: a weaker statement, which the value claims too much for.
    with pytest.raises(CertificateError, match="more than what is proved"):
        check_lower(tampered(certificate, "value", to=larger))


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("m",), 2),
        (("density", 1), "1/8"),
        (("importance", 0), "1/2"),
        (("price", "price"), lambda x: larger(x, Fraction(2))),
        (("price", "price"), lambda x: larger(x, Fraction(1, 2))),
        (("price", "price"), "-1"),
        (("price", "importance", 1), larger),
        (("price", "importance", 1), "-1"),
        (("price", "importance"), lambda x: x[:-1]),
        (("price", "rows"), lambda x: x[:-1]),
        (("price", "rows", 0), 7),
        (("price", "tables", 0, "density"), "1"),
        (("price", "tables", 0, "density"), "0"),
        (("price", "tables", 0, "cells"), lambda x: x[:-1]),
        (("price", "tables", 0, "cells"), lambda x: x[1:]),
        (("price", "tables", 0, "cells"), lambda x: x[::-1]),
        (("price", "tables", 0, "cells"), []),
        (("price",), None),
    ],
)
def test_tampered_certificates_fail(certificate, path, to):
    with pytest.raises(CertificateError):
        check_lower(tampered(certificate, *path, to=to))


@pytest.mark.parametrize(
    ("place", "to"),
    [
        ((1,), lambda x: str(Fraction(x) + Fraction(1, 20))),
        ((2,), lambda x: str(Fraction(x) + Fraction(1, 20))),
        ((3, 0), lambda x: larger(x, Fraction(4))),
        ((3, 0), "0.5"),
        ((3, 1), "1/3"),
        ((3, 2), lambda x: str(Fraction(x) + 1)),
    ],
)
def test_tampered_cells_fail(certificate, place, to):
    k, wave = central(certificate)
    place = place if len(place) == 1 else (3, wave, place[1])
    with pytest.raises(CertificateError):
        check_lower(tampered(certificate, "price", "tables", 0, "cells", k, *place, to=to))


@pytest.mark.slow
def test_dense_features_are_bounded_within_a_third():
    """Five features of density 1/2 in two dimensions: what patterns of two features and any decoder give is a quarter."""
    features = Features(0.5, n=5)
    bound = lower_bound(features, 2)
    check_lower(json.loads(json.dumps(bound.certificate)))
    assert bound.certificate["price"] is not None
    assert 0.75 < bound.value / optimal_model(features, 2, restarts=0).loss < 1
