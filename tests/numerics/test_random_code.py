"""Random codes against brute force over all pairs and against the exact laws; wrong laws must be rejected."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tegum.numerics._random_code import (
    BINS,
    LEVEL,
    ROWS,
    angle_experiment,
    critical_distance,
    random_code,
)
from tegum.numerics._readout import readout_experiment
from tegum.theory import InputError
from tegum.theory.counts import AngleLaw

KINDS = [("uniform", None), ("signs", None), ("sparse", 7)]


@pytest.mark.parametrize(("kind", "sparsity"), KINDS)
def test_vectors(kind, sparsity):
    code = random_code(40, ROWS + 10, kind=kind, sparsity=sparsity, seed=3)
    x = code.vectors()
    assert x.shape == (ROWS + 10, 40)
    np.testing.assert_allclose((x**2).sum(1), 1, rtol=1e-14)
    np.testing.assert_array_equal(code.block(1) / code.norm, x[ROWS:])
    assert not np.allclose(x[:10], x[ROWS:])
    assert not np.allclose(x, random_code(40, ROWS + 10, kind=kind, sparsity=sparsity, seed=4).vectors())
    if sparsity:
        assert ((x != 0).sum(1) == sparsity).all()
        # Every place is as likely: 5 standard errors of a binomial share.
        share = (x != 0).mean(0)
        assert np.abs(share - sparsity / 40).max() < 5 * math.sqrt(sparsity / 40 / len(x))
    if kind != "uniform":
        assert np.unique(np.abs(code.block(0))).tolist() == ([0, 1] if sparsity else [1])


@pytest.mark.parametrize(("kind", "sparsity"), KINDS)
@pytest.mark.parametrize("n", [20, 50])
def test_counts_against_all_pairs(kind, sparsity, n):
    count = ROWS + 300  # two blocks, so that pairs inside and between blocks occur
    found = angle_experiment(n, count, kind=kind, sparsity=sparsity, seed=5)
    seed = int(np.random.SeedSequence(5).generate_state(1, np.uint64)[0])
    x = random_code(n, count, kind=kind, sparsity=sparsity, seed=seed).vectors()
    cosines = np.minimum(np.abs((x @ x.T)[np.triu_indices(count, 1)]), 1)
    counts = np.histogram(cosines, found.edges[np.diff(found.edges, prepend=-1) > 0])[0]
    # Single precision moves a few pairs of the uniform law across an edge.
    assert np.abs(found.counts[0][: len(counts)] - counts).max() <= (3 if kind == "uniform" else 0)
    assert found.extreme[0] == pytest.approx(cosines.max(), abs=1e-6)
    assert found.mean_square[0] == pytest.approx((cosines**2).mean(), rel=1e-5)


CASES = [
    (2, 300, "uniform", None),
    (3, 400, "uniform", None),
    (10, 600, "uniform", None),
    (128, 600, "uniform", None),
    (101, 600, "signs", None),
    (101, 600, "sparse", 20),
    (64, 600, "sparse", 1),
]


@pytest.mark.parametrize(("n", "count", "kind", "sparsity"), CASES)
def test_agreement_with_the_exact_law(n, count, kind, sparsity):
    """At a fixed seed; by Chebyshev a score beyond 5 would be rarer than 1 in 25, nearly normal ones far rarer."""
    found = angle_experiment(n, count, kind=kind, sparsity=sparsity, repeats=40, seed=11)
    own = found.against(found.law)
    assert own.distance < own.critical
    assert np.abs(own.scores).max() < 5
    assert abs(own.square_score) < 5
    assert own.extreme_distance < own.extreme_critical
    assert (own.extreme[:, 0] <= own.extreme[:, 1]).all()


@pytest.mark.parametrize(("n", "wrong", "kind"), [(10, 12, "uniform"), (128, 150, "uniform"), (101, 120, "signs")])
def test_a_wrong_dimension_is_rejected(n, wrong, kind):
    found = angle_experiment(n, 600, kind=kind, repeats=25, seed=2).against(AngleLaw(wrong, kind))
    assert found.distance > found.critical
    assert np.abs(found.scores).max() > 50
    assert found.square_score > 50
    assert found.extreme_distance > found.extreme_critical


def test_a_wrong_kind_is_rejected():
    """Signs and uniform vectors have the same mean of cos²; only the distribution tells them apart."""
    found = angle_experiment(100, 600, kind="signs", repeats=25, seed=2).against(AngleLaw(100))
    assert abs(found.square_score) < 5
    assert found.distance > found.critical


@pytest.mark.slow
def test_fractions_of_pairs_have_the_variance_of_independent_pairs():
    """Statement 1: in R^3 with 12 vectors, where triples are strongly dependent. The standard error of a variance is from its kurtosis."""
    found = angle_experiment(3, 12, repeats=1500, seed=6)
    k = BINS // 4
    share = found.counts[:, :k].sum(1) / found.pairs
    p = found.edges[k]  # |cos| is uniform in R^3
    deviation = (share - p) ** 2
    expected = p * (1 - p) / found.pairs
    error = deviation.std() / math.sqrt(len(share))
    assert deviation.mean() == pytest.approx(expected, abs=5 * error)
    assert 2 * expected > expected + 5 * error  # a factor of two would be seen


def test_critical_distance_is_exceeded_rarely_but_is_not_far_off():
    rng = np.random.default_rng(0)
    pairs, p = 40_000, rng.dirichlet(np.ones(BINS))
    counts = rng.multinomial(pairs, p, size=2000)
    distance = np.abs(np.cumsum(counts, 1) / pairs - np.cumsum(p)).max(1)
    critical = critical_distance(p, pairs)
    assert (distance > critical).mean() <= LEVEL
    # The price of using second moments only: Markov's factor 1/√LEVEL = 10, and some √(1/2) for each of eight levels.
    assert critical < 60 * np.sqrt((distance**2).mean())


@pytest.mark.slow
def test_the_largest_cosine_follows_the_limit_of_its_regime():
    """log N/n = 0.07: between sub-exponential and exponential, far from the other two."""
    found = angle_experiment(100, 1000, repeats=60, seed=4)
    critical = found.against(found.law).extreme_critical
    assert found.limit_distance("exponential") < critical
    assert found.limit_distance("super-exponential") > critical
    assert found.limit_distance("fixed") > critical


def test_orthogonal_vectors_of_one_entry():
    found = angle_experiment(10**4, 5, kind="sparse", sparsity=1, repeats=3, seed=0)
    assert (found.extreme == 0).all()
    assert found.against(found.law).extreme[:, 0].tolist() == [0, 0, 0]


def test_repeatable():
    first, second = (angle_experiment(30, 200, repeats=2, seed=9) for _ in range(2))
    np.testing.assert_array_equal(first.counts, second.counts)
    assert (first.counts[0] != first.counts[1]).any()
    assert replace(first, seed=1).seed == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_same_on_cuda():
    arguments = {"n": 100, "count": 5000, "kind": "signs", "seed": 9}
    here, there = (angle_experiment(**arguments, device=device) for device in ("cpu", "cuda"))
    np.testing.assert_array_equal(here.counts, there.counts)


@pytest.mark.slow
def test_readout():
    """The formula is the limit of many stored vectors: it is met by 300 of them and missed by 10."""
    many = readout_experiment(750, 300, 10, repeats=4000, seed=1)
    assert abs(many.accuracy - many.predicted) < 4 * many.error
    few = readout_experiment(64, 10, 27, repeats=20_000, seed=1)
    assert abs(few.accuracy - few.predicted) > 6 * few.error
    assert readout_experiment(64, 1, 4, repeats=50).accuracy == 1.0


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: random_code(5, 0), "count"),
        (lambda: random_code(5, 3, seed=-1), "seed"),
        (lambda: random_code(5, 3).block(1), "k must"),
        (lambda: random_code(5, 3, kind="sparse"), "sparsity"),
        (lambda: random_code(10**5, 10**6).vectors(), "entries"),
        (lambda: angle_experiment(5, 1), "count"),
        (lambda: angle_experiment(5, 3, repeats=0), "repeats"),
        (lambda: angle_experiment(10**5, 10**6), "entries"),
        (lambda: readout_experiment(5, 0, 3), "stored"),
        (lambda: readout_experiment(5, 3, 3, repeats=0), "repeats"),
    ],
)
def test_bad_input(call, named):
    with pytest.raises(InputError, match=named):
        call()
