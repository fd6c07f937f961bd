"""Random streams: the published words, the law of the samples, independence, and the same numbers in compiled loops and torch."""

from decimal import Decimal, getcontext

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from tegum.numerics import _kernels
from tegum.numerics._streams import (
    Problem,
    TorchSampler,
    compiled_samples,
    initial_weights,
    stream_keys,
    torch_gaps,
    torch_words,
)
from tegum.theory import Features, InputError
from tegum.theory._law import CONSTANT, UNIFORM, beta_values

# Philox4x32-10, counter, key and words: kat_vectors of Random123 (Salmon et al. 2011).
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]
LEVELS = np.array([[0.01, 0.01, 0.01, 0.01], [0.3, 0.05, 0.9, 0.2], [1.0, 1.0, 1.0, 0.001], [0.001, 0.1, 0.1, 0.12]])


def laws():
    for values in (UNIFORM, CONSTANT, beta_values(2, 3)):
        yield Features(LEVELS, values=values)
        yield Features.correlated(LEVELS[:, :1], n=4, size=[1, 3], values=values)
        yield Features.anticorrelated(LEVELS / 4, n=4, size=[3, 1], values=values)


def one(problem, k):
    return Problem(*problem.arrays(slice(k, k + 1)), problem.law)


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_words_are_the_published_ones(counter, key, expected):
    call, step, purpose, index = counter
    out = np.empty(32, np.uint32)
    _kernels.words(np.uint64(key[0] | key[1] << 32), step, purpose, index, call // 8, 1, out)
    assert tuple(out[call % 8 :: 8].tolist()) == expected


def test_torch_draws_the_same_words_and_gaps():
    rng = np.random.default_rng(0)
    keys = rng.integers(0, 2**64, 5, dtype=np.uint64)
    word = torch_words(torch.tensor(keys.view(np.int64)), torch.tensor(2**32 - 2), 9, torch.arange(5) * 1000, 7)
    out = np.empty(7 * 32, np.uint32)
    for k, key in enumerate(keys):
        _kernels.words(key, 2**32 - 2, 9, 1000 * k, 0, 7, out)
        assert np.array_equal(word[k].numpy(), out)
        # A part of a stream is the same part.
        part = np.empty(64, np.uint32)
        _kernels.words(key, 2**32 - 2, 9, 1000 * k, 3, 2, part)
        assert np.array_equal(part, out[96:160])
    u, gap = np.empty(len(out)), np.empty(len(out), np.int64)
    for over in (0.0, 0.4, 9.5, 1e6):
        _kernels.gaps(out, len(out), over, u, u.view(np.int64), gap)
        assert np.array_equal(torch_gaps(word[-1:], torch.tensor([[over]], dtype=torch.float64))[0].numpy(), gap)


def test_gaps_are_quantiles_of_the_geometric_law():
    """Against logarithms of forty digits, at random words and at both ends; a gap is decided to 1e-9 of its probability."""
    getcontext().prec = 40
    words = np.concatenate(
        [np.random.default_rng(1).integers(0, 2**32, 60), [0, 1, 2**31, 2**32 - 2, 2**32 - 1, 0, 0, 0]]
    )
    words = np.resize(words, 64).astype(np.uint32)
    u, gap = np.empty(64), np.empty(64, np.int64)
    for p in (1e-6, 0.003, 0.12, 0.9):
        _kernels.gaps(words, 64, -1 / np.log1p(-p), u, u.view(np.int64), gap)
        rate = -(1 - Decimal(p)).ln()
        for word, found in zip(words.tolist(), gap.tolist(), strict=True):
            exact = -(Decimal(word + 1) / 2**32).ln() / rate
            assert found == int(exact) or abs(exact - round(exact)) < Decimal("1e-9") / rate


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("features", list(laws()), ids=lambda f: f"{f.law.kind}-{f.law.values.name}")
def test_torch_draws_the_same_samples_bit_for_bit(features, signed):
    keys = stream_keys(features, np.arange(4))
    for kind, batch in (("float32", 1024), ("float64", 100), ("float32", 7)):
        problem = Problem.of(features, kind, signed=signed)
        sampler = TorchSampler(problem, keys, batch, torch.device("cpu"))
        for step in (0, 70_000):
            x = sampler(torch.tensor(step)).numpy()
            for k in range(4):
                assert np.array_equal(x[k], compiled_samples(one(problem, k), keys[k], step, batch))
    assert np.abs(x).max() > 0


def distance(features, assumed, *, signed=False):
    """Largest deviation, in standard errors, of first to fourth moments and products of the samples from their exact values."""
    problem, key = Problem.of(features, "float64", signed=signed), stream_keys(features, np.array([3]))[0]
    x = np.concatenate([compiled_samples(problem, key, step, 1000) for step in range(200)], axis=1)
    size = np.abs(x)
    values, p = assumed.law.values, assumed.density[0]
    worst = []
    for power in range(1, 5):
        mean, square = p * float(values.moment(power)), p * float(values.moment(2 * power))
        worst.append(np.abs((size**power).mean(1) - mean) / np.sqrt((square - mean**2) / x.shape[1] + 1e-18))
    # The centred second moments; their spread from the samples themselves.
    middle = size - assumed.mean[0][:, None]
    products = middle[:, None] * middle[None]
    error = products.std(2) / np.sqrt(x.shape[1]) + 1e-9
    worst.append((np.abs(products.mean(2) - assumed.covariance[0]) / error).max(1))
    if signed:
        worst.append(np.abs(x.mean(1)) / (x.std(1) / np.sqrt(x.shape[1])))
    return np.max(worst)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("values", [UNIFORM, CONSTANT, beta_values(2, 3), beta_values(1, 4)], ids=lambda v: v.name)
@pytest.mark.parametrize("p", [0.02, 0.3, 1.0])
def test_samples_have_their_law(p, values, signed):
    """Five standard errors; a density or a law that is not theirs is found."""
    plain = Features([[p, p / 2, p / 3]], values=values)
    assert distance(plain, plain, signed=signed) < 5
    assert distance(plain, Features(plain.density * 0.7, values=values), signed=signed) > 8
    groups = Features.correlated([[p]], n=3, size=[2, 1], values=values)
    assert distance(groups, groups, signed=signed) < 5
    if p < 1:
        assert distance(groups, Features(groups.density, values=values), signed=signed) > 8
    groups = Features.anticorrelated([[p / 2, p / 4, p / 4]], size=[2, 1], values=values)
    assert distance(groups, groups, signed=signed) < 5
    if values is not UNIFORM:
        assert distance(plain, Features(plain.density), signed=signed) > 8


def test_streams_are_independent():
    """Between models, features and steps; a shared stream would show."""
    features = Features(np.full((3, 2), 0.4))
    problem, keys = Problem.of(features, "float64", signed=False), stream_keys(features, np.arange(3))
    batch = 100_000

    def draw(key, step=0):
        return compiled_samples(one(problem, 0), key, step, batch)

    rows = np.concatenate([draw(keys[0]), draw(keys[1]), draw(keys[2]), draw(keys[0], 1)])
    limit = 5 / np.sqrt(batch)
    assert np.abs(np.corrcoef(rows) - np.eye(8)).max() < limit
    assert np.abs(np.corrcoef(rows > 0) - np.eye(8)).max() < limit
    shared = np.corrcoef(np.concatenate([draw(keys[0]), draw(keys[0])]))
    assert shared[0, 2] > 0.99


def test_keys_depend_on_the_model_only():
    base = Features(np.array([[0.1, 0.2], [0.3, 0.4]]), [1.0, 0.5])
    keys = stream_keys(base, np.array([7, 8]), 1)
    assert keys[1] == stream_keys(Features([[0.3, 0.4]], [1.0, 0.5]), np.array([8]), 1)[0]
    others = [
        stream_keys(base, np.array([8, 8]), 1),
        stream_keys(base, np.array([7, 8]), 2),
        stream_keys(Features([[0.1, 0.2], [0.3, 0.4]], [1.0, 0.6]), np.array([7, 8]), 1),
        stream_keys(Features([[0.1, 0.21], [0.3, 0.4]], [1.0, 0.5]), np.array([7, 8]), 1),
        stream_keys(Features([[0.1, 0.2], [0.3, 0.4]], [1.0, 0.5], values=CONSTANT), np.array([7, 8]), 1),
        stream_keys(Features.anticorrelated([[0.1, 0.2], [0.3, 0.4]], [1.0, 0.5]), np.array([7, 8]), 1),
    ]
    assert len({int(k[0]) for k in (keys, *others)}) == 7


def test_starts_are_xavier_normal():
    features = Features(np.full((400, 10), 0.5))
    keys = stream_keys(features, np.arange(400))
    weights, decoder = initial_weights(keys, 6, 10), initial_weights(keys, 6, 10, 1)
    spread = np.sqrt(2 / 16)
    assert kstest(weights.ravel() / spread, "norm").pvalue > 1e-4
    assert kstest(weights.ravel() / spread * 1.05, "norm").pvalue < 1e-4
    assert abs(np.corrcoef(weights.ravel(), decoder.ravel())[0, 1]) < 5 / np.sqrt(weights.size)
    assert np.array_equal(initial_weights(keys[5:6], 6, 10)[0], weights[5])


def test_densities_below_the_resolution_are_refused():
    with pytest.raises(InputError, match="density must be at least 1e-06 to be sampled, got 1e-07"):
        Problem.of(Features([[0.1, 1e-7]]), "float32", signed=False)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
@pytest.mark.parametrize("features", list(laws()), ids=lambda f: f"{f.law.kind}-{f.law.values.name}")
def test_cuda_draws_the_same_samples_bit_for_bit(features):
    problem, keys = Problem.of(features, "float32", signed=True), stream_keys(features, np.arange(4))
    x = TorchSampler(problem, keys, 1000, torch.device("cuda"))(torch.tensor(3, device="cuda")).cpu().numpy()
    for k in range(4):
        assert np.array_equal(x[k], compiled_samples(one(problem, k), keys[k], 3, 1000))
