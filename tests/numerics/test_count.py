"""Counts with a search between the proved bounds."""

import numpy as np
import pytest

from tegum.numerics._count import count_almost_orthogonal
from tegum.theory import Grade, InputError, count_bounds, verify_certificate


@pytest.mark.slow
@pytest.mark.parametrize(("n", "degrees"), [(3, 40), (4, 25), (5, 20), (6, 15), (20, 10)])
def test_estimate_lies_between_and_is_a_set_of_vectors(n, degrees):
    found = count_almost_orthogonal(n, degrees=degrees, seconds=6)
    assert found.lower <= found.estimate <= found.upper
    verify_certificate(found.lower_certificate)
    verify_certificate(found.upper_certificate)
    assert found.lower_certificate["count"] == str(found.lower)
    if found.vectors is not None:
        gram = found.vectors @ found.vectors.T
        np.testing.assert_allclose(np.diag(gram), 1, atol=1e-12)
        assert np.abs(gram - np.diag(np.diag(gram))).max() <= np.sin(np.radians(degrees)) + 1e-11
        assert found.estimate >= len(gram)
    assert (found.estimate_grade is Grade.CERTIFIED) == (found.estimate == found.lower)


@pytest.mark.slow
def test_a_found_set_becomes_a_proof():
    """Ten lines of R^3 within 45° of right angles are no family's; the search finds them and integers prove them."""
    found = count_almost_orthogonal(3, degrees=45, seconds=6)
    assert found.lower == found.estimate == 10 > count_bounds(3, degrees=45).lower
    assert verify_certificate(found.lower_certificate).startswith("At least 10 unit vectors")


def test_large_dimensions_are_not_searched():
    found = count_almost_orthogonal(1000, degrees=1)
    assert found.estimate == found.lower
    assert "nothing is searched" in found.how


def test_bad_input():
    with pytest.raises(InputError, match="either cosine or degrees"):
        count_almost_orthogonal(5)
    with pytest.raises(InputError, match="seed"):
        count_almost_orthogonal(5, degrees=1, seed=-1)
