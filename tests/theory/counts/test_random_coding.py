"""Random coding: closed forms, counting of all vectors of signs, and what the arguments claim about P."""

from __future__ import annotations

from itertools import product
from math import comb, log

import numpy as np
import pytest
from flint import arb, ctx, fmpq
from hypothesis import given, settings
from hypothesis import strategies as st

from tegum.theory._checks import CertificateError
from tegum.theory.counts._check import lower_bound
from tegum.theory.counts._random_coding import (
    BITS,
    _expurgated,
    _union,
    covering_above,
    covering_count,
    hypercube,
    hypercube_exact,
    random_coding_bounds,
    signs_count,
    sphere,
)

squares = st.fractions("1/100000000", "99/100", max_denominator=10**9).map(lambda f: fmpq(f.numerator, f.denominator))


@pytest.mark.parametrize("square", [fmpq(1, 10**7), fmpq(3, 10000), fmpq(1, 9), fmpq(1, 4), fmpq(3, 4), fmpq(99, 100)])
def test_measure_of_caps_in_closed_form(square: fmpq) -> None:
    with ctx.workprec(BITS):
        c = arb(square).sqrt()
        for n, exact in (
            (2, 2 * c.acos() / arb.pi()),
            (3, 1 - c),
            (4, 2 * (c.acos() - c * (1 - c * c).sqrt()) / arb.pi()),
            (5, 1 - c * (3 - c * c) / 2),
            (7, 1 - c * (15 - 10 * c**2 + 3 * c**4) / 8),
        ):
            measure = sphere(n, square)
            assert measure.overlaps(exact)
            assert measure.rel_accuracy_bits() > 90
            assert covering_count(n, square) == int((1 / exact).lower().ceil().unique_fmpz())


def test_covering_is_rounded_up_from_below() -> None:
    """n = 3: 1/P = 1/(1 - c)."""
    assert covering_count(3, fmpq(1, 4)) == 2
    assert covering_count(3, fmpq(4, 9)) == 3
    assert covering_count(3, fmpq(4, 9) + fmpq(1, 10**25)) == 4
    assert covering_count(3, fmpq(4, 9) - fmpq(1, 10**25)) == 3
    assert covering_count(1, fmpq(1, 2)) == 1
    large = covering_count(10**6, fmpq(3, 4))
    # 1/P lies above by 2^-90 of itself at most.
    with ctx.workprec(256):
        ratio = sphere(10**6, fmpq(3, 4)) * large
        assert ratio <= 1
        assert ratio > 1 - arb(2) ** -90


@settings(deadline=None, max_examples=60)
@given(squares, st.integers(1, 3000), st.integers(1, 300))
def test_measure_falls_by_a_factor_with_each_dimension(square: fmpq, n: int, more: int) -> None:
    """Statement 3, and the bound of 1/P from above."""
    with ctx.workprec(BITS):
        first = sphere(n, square) if n > 1 else arb(1)
        assert sphere(n + more, square) <= (1 - arb(square)) ** (arb(more) / 2) * first * (1 + arb(2) ** -60)
        above = float(covering_above(np.array([n]), square)[0])
        assert above == np.inf or 1 / first <= above * (1 + arb(2) ** -40)


@settings(deadline=None, max_examples=60)
@given(squares, st.integers(2, 9))
def test_signs_by_counting_them_all(square: fmpq, n: int) -> None:
    vectors = np.array(list(product((1, -1), repeat=n)))
    dots = vectors @ vectors[0]
    close = sum(1 for d in dots.tolist() if fmpq(d * d) > square * n * n)
    assert hypercube_exact(n, square) == fmpq(close, 2**n)
    assert signs_count(n, square) == -(-(2**n) // close)
    assert hypercube(n, square).contains(hypercube_exact(n, square))


def test_signs_at_equality_and_beyond() -> None:
    """|<x, y>| = c n is allowed: at c = 1/2, n = 4 only equal and opposite vectors are too close."""
    assert hypercube_exact(4, fmpq(1, 4)) == fmpq(1, 8)
    assert hypercube_exact(4, fmpq(1, 4) - fmpq(1, 10**30)) == fmpq(5, 8)
    greedy: list[np.ndarray] = []
    for v in product((1, -1), repeat=7):
        if all(abs(np.dot(v, w)) <= 3 for w in greedy):
            greedy.append(np.array(v))
    assert len(greedy) >= signs_count(7, fmpq(9, 49)) == 8


def test_sizes_of_random_sets() -> None:
    """N (N - 1) P < 2, and the largest N - N (N - 1) P/2, by trying all N."""
    with ctx.workprec(BITS):
        for chance in (fmpq(1, 3), fmpq(1, 10), fmpq(3, 1000), fmpq(7, 10**5), fmpq(2, 9900)):
            union, best = _union(arb(chance)), _expurgated(arb(chance))
            assert fmpq(union * (union - 1)) * chance < 2
            assert fmpq((union + 2) * (union + 1)) * chance >= 2
            values = [int((n - fmpq(n * (n - 1)) * chance / 2).ceil()) for n in range(1, int(3 / chance))]
            assert best == max(values)


@pytest.mark.parametrize("n", [2, 3, 17, 64, 65, 300, 4096])
@pytest.mark.parametrize("square", [fmpq(3, 10000), fmpq(1, 25), fmpq(1, 4), fmpq(3, 4)])
def test_race_of_random_coding(n: int, square: fmpq) -> None:
    bounds = {b.name: b for b in random_coding_bounds(n, square)}
    assert len(bounds) == 7
    value = {name: b.value for name, b in bounds.items()}
    # Each argument is at least as strong as the next on the same vectors.
    for where in ("on the sphere", "of signs"):
        assert value[f"expurgation {where}"] >= value[f"union bound {where}"] >= 1
    assert value["covering the sphere"] >= value["expurgation on the sphere"]
    assert value["union bound of signs"] >= value["Hoeffding"]
    # N = e^{n c²/4}, rounded down.
    assert log(value["Hoeffding"]) == pytest.approx(
        n * float(square.p) / float(square.q) / 4, abs=1 / value["Hoeffding"] + 1e-9
    )
    assert (value["covering the signs"] is None) == (n > 64)
    for name in ("covering the sphere", "covering the signs"):
        if value[name] is not None:
            with ctx.workprec(192):
                assert lower_bound(bounds[name].proof, n, square, True) == value[name]
                part = bounds[name].proof["parts"][0]
                more = {"by": "sum", "parts": [{**part, "count": str(2 * value[name] + 1)}]}
                with pytest.raises(CertificateError):
                    lower_bound(more, n, square, True)


def test_one_dimension() -> None:
    (bound,) = random_coding_bounds(1, fmpq(1, 4))
    assert bound.value is None
    assert bound.note


def test_exact_tail_is_the_binomial_sum() -> None:
    """n = 100, c = 1/2: products above 50 in size, i < 25."""
    tail = fmpq(2 * sum(comb(100, i) for i in range(25)), 2**100)
    assert hypercube_exact(100, fmpq(1, 4)) == tail
    assert hypercube(100, fmpq(1, 4)).contains(tail)
