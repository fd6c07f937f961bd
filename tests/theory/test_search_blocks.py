"""Irregular blocks searched for at their own size, and packings that take part of them."""

import numpy as np
import pytest

from tegum.theory import Features, expected_loss, optimal_model
from tegum.theory._assignment import Candidates, best_packing, regular_blocks
from tegum.theory._search import FAMILIES, KEPT, SPARE, _block, _Descents, search

SPARSE = Features(0.01, 0.7 ** np.arange(20))


def joined(weights, bias):
    return np.concatenate([weights.ravel(), bias])


def block_loss(features, block, which):
    """Exact loss of a block's features alone."""
    members, model = block.members[which], block.models[which]
    alone = Features(features.density[members], features.importance[members])
    return float(expected_loss(model[:-1], model[-1], alone))


def test_best_packing_takes_a_block_that_pays_and_leaves_one_that_does_not():
    """A block told to be free of loss is taken, with its weights and biases in its features' columns; told to be costly, it is not."""
    features = Features(0.1, 0.9 ** np.arange(10))
    regular = list(regular_blocks(features, 3, FAMILIES[0]).values())
    members, model = np.array([[0, 3, 5, 7, 9]]), np.arange(1.0, 16.0).reshape(1, 3, 5)
    for loss, taken in ((0.0, True), (1.0, False)):
        weights, bias = best_packing(features, 3, [*regular, Candidates(members, np.array([loss]), model)])
        assert np.array_equal(bias[members[0]], model[0, 2]) is taken
        assert np.array_equal(weights.T[members[0]] @ weights[:, members[0]], model[0, :2].T @ model[0, :2]) is taken


def test_loss_of_a_packing_is_the_sum_over_its_blocks():
    """Tegum additivity, blocks from the integer program against the exact loss of the whole model."""
    features = Features(0.05, 0.8 ** np.arange(12))
    regular = regular_blocks(features, 3, ["digon", "pentagon"])
    pentagon = regular["pentagon"]
    only = Candidates(pentagon.members[:1], pentagon.loss[:1] * 0, pentagon.models[:1])
    weights, bias = best_packing(features, 2, [only])
    dropped = np.setdiff1d(np.arange(12), only.members[0])
    expected = pentagon.loss[0] + (features.importance * features.variance)[dropped].sum()
    assert expected_loss(weights, bias, features) == pytest.approx(expected, rel=1e-7)


def test_swaps_are_all_permutations_by_one_transposition():
    """Every pair of kept features, and every kept one with one of the SPARE most important dropped ones, once; biases go along."""
    rng = np.random.default_rng(0)
    weights = np.where(np.arange(12) % 2 == 0, rng.standard_normal((3, 12)), 0.0)
    bias = rng.standard_normal(12)
    features = Features(0.1, 0.9 ** np.arange(12))
    swapped = _Descents(features, 3).swapped(joined(weights, bias))
    assert len(swapped) == 6 * 5 // 2 + 6 * SPARE
    pairs = set()
    for x in swapped:
        moved = np.flatnonzero(x[36:] != bias)
        assert len(moved) == 2
        assert np.array_equal(x[36:][moved], bias[moved[::-1]])
        assert np.array_equal(x[:36].reshape(3, 12)[:, moved], weights[:, moved[::-1]])
        pairs.add(tuple(moved.tolist()))
    assert len(pairs) == len(swapped)
    assert {j for pair in pairs for j in pair} == {0, 2, 4, 6, 8, 10, 1, 3, 5}


def test_loose_losses_are_those_of_the_model():
    """Also where a model drops features, whose bias is then at its best."""
    rng = np.random.default_rng(1)
    weights = np.where(np.arange(20) < 13, 0.5 * rng.standard_normal((4, 5, 20)), 0.0)
    bias = np.where(np.arange(20) < 13, -0.1, SPARSE.mean) * np.ones((4, 1))
    descents = _Descents(SPARSE, 5)
    loss = descents.loss(np.array([joined(*model) for model in zip(weights, bias, strict=True)]))
    exact = expected_loss(weights, bias, SPARSE)
    assert np.abs(loss * descents.scale - exact).max() <= 1e-4 * descents.scale
    assert np.ptp(exact) > 1e-2 * descents.scale


@pytest.mark.slow
def test_a_block_found_has_the_loss_it_says_wherever_it_is_moved():
    block = _block(SPARSE, 5, 3, np.random.default_rng(0))
    assert block.dimensions == 3
    scale = float((SPARSE.importance * SPARSE.variance).sum())
    for which in range(len(block.loss)):
        assert block_loss(SPARSE, block, which) == pytest.approx(block.loss[which], abs=3e-5 * scale)
    # More than the six features of three digons share its three dimensions.
    assert (np.linalg.norm(block.models[0, :3], axis=0) > KEPT).sum() > 6


@pytest.mark.slow
def test_sparse_features_share_in_irregular_blocks():
    """Density 0.01: more than a percent below what a descent from the best packing of regular blocks reaches."""
    regular = regular_blocks(SPARSE, 5, FAMILIES[-1])
    weights, bias = best_packing(SPARSE, 5, list(regular.values()))
    descents = _Descents(SPARSE, 5)
    _, value, _ = descents.run(joined(weights, bias)[None], 200, 1e-6, everything=True)
    best = search(SPARSE, 5, 0, 0)
    assert float(expected_loss(best.weights, best.bias, SPARSE)) < 0.99 * value[0] * descents.scale


@pytest.mark.slow
def test_dense_features_are_packed_in_digons_without_a_search():
    """No features at an acute angle at density 0.1: the result does not depend on the seed."""
    features = Features(0.1, 0.7 ** np.arange(20))
    one, other = (optimal_model(features, 5, restarts=0, seed=seed) for seed in (0, 1))
    assert one.loss == other.loss
    assert one.starts == len(FAMILIES)
