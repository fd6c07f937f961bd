"""Contour sums in torch against the compiled ones, row by row."""

import numpy as np
import pytest
import torch

from tegum.numerics import _sums
from tegum.numerics._sums import torch_contour_errors
from tegum.theory import CONSTANT, UNIFORM, InputError, beta_values
from tegum.theory._contour import contour_errors, window_tables
from tegum.theory._law import Law
from tegum.theory._rows import RowProblems

SIZES = {"independent": (1,) * 6, "correlated": (2, 3, 1), "anticorrelated": (1, 3, 2)}
VALUES = [UNIFORM, CONSTANT, beta_values(2, 2), beta_values(1, 4)]
# Constant values leave many atoms, and need a thousand times the nodes for the tolerance of the others.
TOLERANCE = {CONSTANT: 1e-6}


def problems_of(law, *, square=1.0, target="dense", rows=4, seed=0):
    """Rows of every kind: one with a slope of zero, one with tiny slopes, one with both, all with a kink off zero."""
    rng = np.random.default_rng(seed)
    n = sum(law.sizes)
    density = rng.uniform(0.02, 0.3, (rows, n))
    if law.kind == "correlated":
        for group in law.groups:
            density[:, group] = density[:, [group[0]]]
    slopes = rng.standard_normal((rows, n)) * 0.6
    slopes[0, 0], slopes[1, :2], slopes[2, 1:] = 0, 1e-9, 1e-4
    targets = {
        "dense": rng.standard_normal((rows, n)),
        "one": np.eye(n)[rng.integers(0, n, rows)],
        "uneven": np.where(np.arange(n) < np.arange(rows)[:, None], 0.5, 0.0),
        "none": np.zeros((rows, n)),
    }
    constant = np.zeros(rows) if target == "one" else rng.standard_normal(rows)
    offset = rng.uniform(0.1, 0.4, rows) * rng.choice([-1, 1], rows)
    return RowProblems(slopes, offset, density, targets[target], constant, law, square)


def largest_differences(found, expected):
    """Of values, derivatives in slopes and in the offset, relative to the largest of them."""
    pairs = [(found.value, expected.value), (found.d_slopes, expected.d_slopes), (found.d_offset, expected.d_offset)]
    return [np.abs(x - y).max() / max(1, np.abs(y).max()) for x, y in pairs]


@pytest.mark.parametrize("values", VALUES, ids=lambda values: values.name)
@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize(("square", "target"), [(1.0, "one"), (1.0, "dense"), (0.0, "uneven"), (0.0, "none")])
def test_same_nodes_and_numbers_as_the_compiled_sums(kind, values, square, target):
    problems = problems_of(Law(kind, SIZES[kind], values), square=square, target=target)
    tolerance = np.full(4, TOLERANCE.get(values, 1e-8))
    expected = contour_errors(problems, tolerance, gradient=True)
    found = torch_contour_errors(problems, tolerance, True, "cpu")
    assert (found.nodes == expected.nodes).all()
    value, d_slopes, d_offset = largest_differences(found, expected)
    assert value < 1e-12
    assert max(d_slopes, d_offset) < 1e-10
    assert np.allclose(found.estimate, expected.estimate, rtol=0, atol=1e-12)


def test_without_a_gradient_the_value_is_the_same():
    problems = problems_of(Law("independent", SIZES["independent"]))
    tolerance = np.full(4, 1e-8)
    found = torch_contour_errors(problems, tolerance, False, "cpu")
    assert (found.value == torch_contour_errors(problems, tolerance, True, "cpu").value).all()
    assert not found.d_slopes.any()
    assert not found.d_offset.any()


@pytest.mark.parametrize("other", [Law("correlated", (2, 3, 1)), Law("independent", (1,) * 6, beta_values(2, 1))])
def test_control_another_law_is_another_number(other):
    problems = problems_of(Law("correlated", (2, 3, 1), beta_values(2, 2)))
    wrong = RowProblems(*problems.arrays(), other, problems.square)
    tolerance = np.full(4, 1e-8)
    expected = contour_errors(problems, tolerance, gradient=True)
    assert min(largest_differences(torch_contour_errors(wrong, tolerance, True, "cpu"), expected)) > 1e-3


@pytest.mark.parametrize("kind", SIZES)
def test_a_block_smaller_than_a_row_gives_the_same_numbers(kind, monkeypatch):
    problems, tolerance = problems_of(Law(kind, SIZES[kind]), rows=7), np.full(7, 1e-8)
    whole = torch_contour_errors(problems, tolerance, True, "cpu")
    taken = []
    derivatives = _sums._derivatives
    monkeypatch.setattr(_sums, "_derivatives", lambda x, *rest: (taken.append(len(x.offset)), derivatives(x, *rest))[1])
    monkeypatch.setitem(_sums.BUDGET, "cpu", 1)
    split = torch_contour_errors(problems, tolerance, True, "cpu")
    assert taken == [1] * 7
    assert (split.nodes == whole.nodes).all()
    # Sums over another shape are taken in another order.
    assert max(largest_differences(split, whole)) < 1e-14


def test_a_tolerance_out_of_reach_is_named(monkeypatch):
    counts, *rest = window_tables(False)
    monkeypatch.setattr(_sums, "window_tables", lambda _: (counts[:2], *rest))
    problems = problems_of(Law("independent", SIZES["independent"]))
    with pytest.raises(InputError, match=r"atol asks for an error of 1\.0e-12 in one output"):
        torch_contour_errors(problems, np.full(4, 1e-12), True, "cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
@pytest.mark.parametrize("values", VALUES, ids=lambda values: values.name)
@pytest.mark.parametrize("kind", SIZES)
def test_a_gpu_gives_the_same_numbers(kind, values):
    problems = problems_of(Law(kind, SIZES[kind], values))
    tolerance = np.full(4, TOLERANCE.get(values, 1e-8))
    expected = contour_errors(problems, tolerance, gradient=True)
    found = torch_contour_errors(problems, tolerance, True, "cuda")
    assert (found.nodes == expected.nodes).all()
    value, d_slopes, d_offset = largest_differences(found, expected)
    assert value < 1e-12
    assert max(d_slopes, d_offset) < 1e-10
