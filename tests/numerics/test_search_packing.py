"""Search for packings against the table of best known values (packings.csv), proved bounds and exact coherences."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from tegum.numerics._polish import coherence, normalised, polish
from tegum.numerics._search_packing import _images, _maximum, _representation, floor, search_packing
from tegum.theory import Grade, InputError

with (Path(__file__).parent / "packings.csv").open(encoding="utf-8") as file:
    TABLE = {(row["kind"], int(row["n"]), int(row["count"])): row for row in csv.DictReader(file)}

# Records that few starts reach; all of them are run by benchmarks/packings.py.
FAST = [
    ("code", 3, 4, 8),
    ("code", 3, 5, 8),
    ("code", 3, 7, 8),
    ("code", 3, 9, 8),
    ("code", 4, 10, 8),
    ("code", 4, 12, 8),
    ("code", 5, 16, 12),
    ("lines", 2, 3, 4),
    ("lines", 3, 5, 8),
    ("lines", 3, 6, 8),
    ("lines", 3, 7, 12),
    ("lines", 3, 9, 24),
    ("lines", 4, 6, 8),
    ("lines", 4, 10, 12),
    ("lines", 6, 16, 24),
    ("lines", 7, 28, 24),
]
SLOW = [("code", 3, 13, 64), ("code", 6, 24, 64), ("lines", 5, 19, 1024), ("lines", 8, 12, 64), ("lines", 13, 26, 128)]


def check(kind, n, count, starts):
    """The search reaches the table, and what it gives is what it says, by a Gram matrix of this test."""
    row = TABLE[kind, n, count]
    found = search_packing(n, count, lines=kind == "lines", starts=starts)
    gram = found.vectors @ found.vectors.T
    assert gram.shape == (count, count)
    assert found.vectors.shape == (count, n)
    assert np.allclose(np.diag(gram), 1, atol=1e-14)
    product = np.where(np.eye(count), -1.0, np.abs(gram) if kind == "lines" else gram)
    assert found.coherence == pytest.approx(product.max(), abs=1e-15)
    assert found.coherence <= float(row["value"]) + 1e-8
    if row["status"] == "proved optimal":
        assert found.coherence >= float(row["value"]) - max(1e-9, float(row["tolerance"]) / 5)
    if row["proved_lower_bound"]:
        assert found.coherence >= float(row["proved_lower_bound"]) - 1e-9
    i, j = found.active.T
    assert (i < j).all()
    assert (product[i, j] >= found.coherence - 1.1e-9).all()
    assert 2 * len(found.active) == (product >= found.coherence - 0.9e-9).sum()
    assert 1 <= found.starts_at_best <= found.starts <= starts
    assert found.grade is Grade.NUMERIC


@pytest.mark.parametrize(("kind", "n", "count", "starts"), FAST)
def test_reaches_the_table(kind, n, count, starts):
    check(kind, n, count, starts)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "n", "count", "starts"), SLOW)
def test_reaches_harder_records(kind, n, count, starts):
    check(kind, n, count, starts)


@pytest.mark.parametrize(
    ("lines", "n", "count", "exact"),
    [(True, 3, 6, 5**-0.5), (True, 4, 10, None), (True, 7, 28, 1 / 3), (False, 4, 10, 1 / 6), (False, 5, 16, 1 / 5)],
)
def test_polished_to_rounding(lines, n, count, exact):
    """1e-12 where the value is known; where it is not, two seeds agree to that."""
    found = search_packing(n, count, lines=lines, starts=24).coherence
    other = search_packing(n, count, lines=lines, starts=24, seed=1).coherence if exact is None else exact
    assert found == pytest.approx(other, abs=1e-12)


def test_floor_is_below_every_known_packing():
    """It must be a bound for the search to stop there; it is attained by equiangular frames, 7 lines in R^3 and 6 in R^4."""
    for (kind, n, count), row in TABLE.items():
        assert floor(n, count, kind == "lines") <= float(row["value"]) + 1e-12
    for n, count in ((7, 28), (3, 7), (4, 6), (7, 9), (16, 144)):
        assert floor(n, count, True) == pytest.approx(float(TABLE["lines", n, count]["value"]), abs=1e-12)


def test_same_seed_same_result():
    first, again, other = (search_packing(4, 8, starts=6, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(first.vectors, again.vectors)
    assert not np.array_equal(first.vectors, other.vectors)
    assert first.starts == 6


def test_few_lines_are_orthogonal():
    found = search_packing(5, 4)
    assert found.coherence == 0
    assert np.array_equal(found.vectors @ found.vectors.T, np.eye(4))


@pytest.mark.parametrize("lines", [True, False])
@pytest.mark.parametrize("order", [None, 5, 4])
def test_gradient_of_the_smooth_maximum(lines, order):
    """Against automatic differentiation of the sum over all pairs of the full set: with symmetry it is the same up to log(order)/β."""
    rng = np.random.default_rng(0)
    turns = None if order is None else torch.from_numpy(np.stack([_representation(rng, order, 4) for _ in range(2)]))
    y = torch.from_numpy(rng.standard_normal((2, 3, 4))).requires_grad_()
    beta = torch.tensor([3.0, 7.0], dtype=torch.float64)
    with torch.no_grad():
        value, gradient, mean = _maximum(y, beta, lines, turns)
    x = y / y.norm(dim=2, keepdim=True)
    everyone = x if turns is None else _images(x, turns)
    t = everyone @ everyone.mT
    pairs = ~torch.eye(t.shape[1], dtype=torch.bool)
    z = torch.stack([(t[k] ** 2 if lines else t[k])[pairs] for k in range(2)])
    full = torch.logsumexp(beta[:, None] * z, 1) / beta
    (expected,) = torch.autograd.grad(full.sum(), y)
    assert torch.allclose(gradient, expected, atol=1e-13)
    assert torch.allclose(value, (full - np.log(order or 1) / beta).detach(), atol=1e-13)
    weights = torch.softmax(beta[:, None] * z, 1)
    assert torch.allclose(mean, (weights * z).sum(1).detach(), atol=1e-13)


@pytest.mark.parametrize(("order", "n"), [(2, 3), (5, 4), (7, 8), (12, 5), (9, 1)])
def test_representations_are_orthogonal_and_close(order, n):
    powers = _representation(np.random.default_rng(1), order, n)
    assert np.allclose(powers @ powers.transpose(0, 2, 1), np.eye(n), atol=1e-12)
    assert np.allclose(powers[1] @ powers[-1], np.eye(n), atol=1e-12)


@pytest.mark.parametrize(("kind", "n", "count"), [("code", 3, 10), ("lines", 4, 10), ("lines", 5, 7)])
def test_polish_returns_to_the_optimum(kind, n, count):
    """Moved off the optimum by a thousandth, it comes back to 1e-12, and never goes up."""
    best = search_packing(n, count, lines=kind == "lines", starts=32)
    assert best.coherence <= float(TABLE[kind, n, count]["value"]) + 1e-8
    moved = normalised(best.vectors + 1e-3 * np.random.default_rng(2).standard_normal(best.vectors.shape))
    assert coherence(moved, kind == "lines") > best.coherence + 1e-4
    vectors, value = polish(moved, kind == "lines")
    assert value == pytest.approx(best.coherence, abs=1e-12)
    assert coherence(vectors, kind == "lines") == value
    assert polish(vectors, kind == "lines")[1] <= value


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 1, "count": 3}, "n must be an integer >= 2"),
        ({"n": 3, "count": 1}, "count must be an integer >= 2"),
        ({"n": 3.0, "count": 5}, "n must be an integer"),
        ({"n": 3, "count": 5, "starts": 0}, "starts must be an integer >= 1"),
        ({"n": 3, "count": 5, "seed": -1}, "seed must be an integer >= 0"),
        ({"n": 3, "count": 5, "seconds": 0}, "seconds must be a positive number"),
        ({"n": 3, "count": 5, "seconds": float("nan")}, "seconds must be a positive number"),
        ({"n": 3, "count": 5, "seconds": "1"}, "seconds must be a positive number"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(InputError, match=message):
        search_packing(**arguments)
