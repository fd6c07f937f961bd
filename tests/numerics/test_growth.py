"""Growth at a fixed cosine: what it finds lies between certified bounds, and what is rounded is proved by the verifier of certificates."""

import numpy as np
import pytest
from flint import fmpq

from tegum.numerics._growth import _pruned, _round, grow, integer_vectors
from tegum.numerics._polish import coherence, normalised
from tegum.theory import Grade, InputError
from tegum.theory._checks import CertificateError
from tegum.theory.counts import check_count, count_bounds
from tegum.theory.counts._check import signed


@pytest.mark.parametrize(
    ("n", "cosine", "count"),
    [(1, 0.5, 1), (2, 0.5, 3), (3, 0.1, 3), (7, 1 / 3, 28), (8, 0.5, 120), (8, 0.1736, 9), (100, 0.01746, 102)],
)
def test_known_counts(n, cosine, count):
    """Where the certified bounds meet growth has nothing to add, and gives the vectors."""
    found = grow(n, cosine, seconds=5.0)
    assert found.count == count == len(found.vectors)
    assert found.how == "construction, as many as are possible"


@pytest.mark.parametrize(("n", "cosine"), [(4, 0.45), (5, 0.42), (12, 0.3)])
def test_between_the_certified_bounds(n, cosine):
    found, bounds = grow(n, cosine, seconds=0.4), count_bounds(n, cosine=cosine)
    gram = found.vectors @ found.vectors.T
    assert np.allclose(np.diag(gram), 1, atol=1e-14)
    assert np.abs(gram - np.diag(np.diag(gram))).max() == pytest.approx(found.coherence, abs=1e-15)
    assert found.coherence <= cosine + 1e-12
    assert bounds.lower <= found.count <= bounds.upper
    assert found.grade is Grade.NUMERIC


@pytest.mark.slow
def test_growth_beats_what_is_constructed():
    """In R^50 at 10 degrees descent adds to the construction of 393 lines."""
    found = grow(50, 0.17364, seconds=30.0)
    assert found.count > count_bounds(50, cosine=0.17364).lower
    assert found.how == "growth by descent"


def test_a_round_adds_lines():
    """From a basis of R^6, 10 lines at 0.45, where 16 are possible; at a cosine below 1/6 nothing can be added."""
    rng = np.random.default_rng(0)
    larger = _round(rng, np.eye(6), 0.45, 4)
    assert len(larger) == 10
    assert coherence(larger, True) <= 0.45
    assert len(_round(rng, np.eye(6), 0.16, 1)) <= 6


def test_pruning_leaves_no_violation():
    rng = np.random.default_rng(1)
    x = normalised(rng.standard_normal((40, 5)))
    left = _pruned(x, 0.6)
    assert coherence(x, True) > 0.6 >= coherence(left, True)
    # Greedy, not lazy: every line that went, but the last, had a partner among those at hand.
    assert 4 <= len(left) < 40
    assert np.array_equal(_pruned(left, 0.6), left)


def test_rounded_vectors_are_a_certificate():
    """A grown set of R^5 becomes a certified count; one changed entry is refused."""
    x = _round(np.random.default_rng(2), np.eye(5), 0.44, 5)
    assert len(x) == 10
    square = fmpq(45, 100) ** 2
    rows = integer_vectors(x, square)
    assert rows is not None
    p, q = int(square.p), int(square.q)
    for i, a in enumerate(rows):
        for b in rows[:i]:
            inner = sum(s * t for s, t in zip(a, b, strict=True))
            assert q * inner**2 <= p * sum(s * s for s in a) * sum(t * t for t in b)

    def certificate(vectors):
        part = {"family": "vectors", "vectors": vectors, "n": 5, "copies": 1}
        body = {"kind": "count", "set": "lines", "side": "lower", "n": 5, "square": str(square), "count": str(len(x))}
        return signed({**body, "proof": {"by": "sum", "parts": [part]}})

    assert check_count(certificate(rows)) == 10
    rows[3] = list(rows[4])
    with pytest.raises(CertificateError):
        check_count(certificate(rows))


def test_what_attains_the_cosine_irrationally_is_not_rounded():
    """Three lines at 60 degrees: no integer vectors of the plane have all cosines at most 1/2."""
    angle = np.pi / 3 * np.arange(3)
    lines = np.stack([np.cos(angle), np.sin(angle)], 1)
    assert integer_vectors(lines, fmpq(1, 4)) is None
    assert integer_vectors(lines, fmpq(1, 4) + fmpq(1, 10**6)) is not None
    assert integer_vectors(np.eye(3), fmpq(1, 10**9)) is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0.5), "n must be an integer >= 1"),
        ((1001, 0.5), "n must be at most 1000"),
        ((3, 0.0), "cosine must be in"),
        ((3, 1.0), "cosine must be in"),
        ((3, float("nan")), "cosine must be in"),
        ((3, "0.5"), "cosine must be in"),
        ((3, True), "cosine must be in"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(InputError, match=message):
        grow(*arguments)


def test_bad_input_of_limits_and_rounding():
    with pytest.raises(InputError, match="seconds must be a positive number"):
        grow(3, 0.5, seconds=-1.0)
    with pytest.raises(InputError, match="no zero row"):
        integer_vectors(np.zeros((2, 3)), fmpq(1, 4))
    with pytest.raises(InputError, match="square must be"):
        integer_vectors(np.eye(2), 0.25)
    with pytest.raises(InputError, match="finite"):
        integer_vectors(np.full((2, 2), np.nan), fmpq(1, 4))
