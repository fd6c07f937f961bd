"""Finite fields by their axioms, and the matrices of signs by the equations that define them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tegum.theory import InputError
from tegum.theory.codes._fields import conference, field_of, hadamard, prime_power, sylvester

SIZES = [2, 3, 4, 5, 7, 8, 9, 13, 16, 25, 27, 49, 64, 81, 125, 243, 256, 625, 1009]


@pytest.mark.parametrize("q", SIZES)
def test_units_are_cyclic_and_trace_is_onto(q):
    numbers = field_of(q)
    assert numbers.q == q
    assert sorted(numbers.powers.tolist()) == list(range(1, q))
    assert (numbers.powers[numbers.logarithm[1:]] == np.arange(1, q)).all()
    # Tr is linear and onto the prime field: every value equally often.
    assert np.bincount(numbers.trace, minlength=numbers.p).tolist() == [q // numbers.p] * numbers.p


@given(st.sampled_from(SIZES), st.data())
def test_axioms_of_a_field(q, data):
    numbers = field_of(q)
    a, b, c = (data.draw(st.integers(0, q - 1)) for _ in range(3))
    plus, times = numbers.plus, numbers.times
    assert times(a, plus(b, c)) == plus(times(a, b), times(a, c))
    assert times(a, times(b, c)) == times(times(a, b), c)
    assert plus(plus(a, b), c) == plus(a, plus(b, c))
    assert plus(plus(a, b), b, -1) == a
    assert times(a, 1) == a
    assert plus(a, 0) == a
    if a:
        assert times(a, numbers.power(a, 2 * q - 3)) == 1
        assert times(a, b) != 0 or b == 0
    p = numbers.p
    # Frobenius is additive and keeps the trace.
    assert numbers.power(plus(a, b), p) == plus(numbers.power(a, p), numbers.power(b, p))
    assert numbers.trace[numbers.power(a, p)] == numbers.trace[a]
    assert numbers.trace[plus(a, b)] == (numbers.trace[a] + numbers.trace[b]) % p


@given(st.sampled_from([2, 3, 5, 7, 13, 1009]), st.data())
def test_prime_fields_are_residues(p, data):
    a, b = data.draw(st.integers(0, p - 1)), data.draw(st.integers(0, p - 1))
    numbers = field_of(p)
    assert numbers.times(a, b) == a * b % p
    assert numbers.trace[a] == a


@pytest.mark.parametrize("q", [5, 9, 13, 25, 27, 49])
def test_character_marks_squares(q):
    numbers = field_of(q)
    squares = {int(numbers.times(a, a)) for a in range(1, q)}
    assert [a for a in range(q) if numbers.character(a) == 1] == sorted(squares)


@pytest.mark.parametrize("q", [3, 5, 7, 9, 13, 25, 27, 49, 81])
def test_conference_matrices(q):
    matrix = conference(q).astype(np.int64)
    assert (matrix @ matrix.T == q * np.eye(q + 1)).all()
    assert (matrix == (matrix.T if q % 4 == 1 else -matrix.T)).all()
    assert set(np.unique(matrix)) == {-1, 0, 1}
    assert not np.diag(matrix).any()


def test_hadamard_matrices_of_all_orders_known():
    found = []
    for order in range(1, 121):
        try:
            matrix = hadamard(order).astype(np.int64)
        except InputError:
            continue
        assert (abs(matrix) == 1).all()
        assert (matrix @ matrix.T == order * np.eye(order)).all()
        found.append(order)
    # Those of Williamson (92) and Baumert (116) are neither Paley's nor products.
    assert found == [1, 2, *(k for k in range(4, 121, 4) if k not in (92, 116))]


def test_sylvester_is_the_character_table():
    a, x = np.arange(32)[:, None], np.arange(32)
    assert (sylvester(5) == (-1) ** np.bitwise_count(a & x).astype(int)).all()


@pytest.mark.parametrize("q", [1, 6, 12, 100, 2**25])
def test_no_such_field(q):
    with pytest.raises(InputError, match="prime power"):
        field_of(q)


def test_prime_powers_by_trial():
    for q in range(2, 400):
        p = next(d for d in range(2, q + 1) if q % d == 0)
        k = next(k for k in range(1, 10) if p**k >= q)
        assert prime_power(q) == ((p, k) if p**k == q else (0, 0))
