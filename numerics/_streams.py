"""Streams: random numbers of one model that do not depend on the company it trains in, nor on the device.

Word j of a stream is a pure function of (key of the model, step, purpose, index, j): Philox4x32-10 (Salmon et al. 2011), a bijection of
the counter (call, step, purpose, index) for every key. The key hashes what the model is: seed, features, architecture. Samples of
sparse features follow from words by integer comparison and IEEE operations in fixed order, so the compiled loops of `_kernels` and
torch on any device draw the same samples bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray as Array
from scipy.special import ndtri
from torch import Tensor

from ..theory import InputError
from . import _kernels
from ._kernels import BLOCK, CHOICE, DENSE, GAP, SIGN, START, VALUE

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..theory import Features
    from ..theory._law import Law

LOW = 0xFFFFFFFF
KINDS = {"independent": 0, "correlated": 1, "anticorrelated": 2}
# Probabilities are compared with 32 random bits: to 2e-4 of themselves from here on.
SPARSEST = 1e-6


def stream_keys(features: Features, seeds: Int[Array, " models"], *facts: object) -> Array:
    """Key (models,) of every model: a 64-bit hash of its seed, its densities and importances, the law, and further facts.

    features: (models, n). Models that differ in any of these have independent streams, wherever they stand.

    >>> from tegum.theory import Features
    >>> one, two, three = stream_keys(Features([[0.1], [0.2], [0.1]], n=2), np.array([5, 5, 6]))
    >>> bool(one == stream_keys(Features([[0.1]], n=2), np.array([5]))[0]), len({one, two, three})
    (True, 3)
    """
    shared = repr((features.law, *facts)).encode()
    keys = np.empty(len(seeds), np.uint64)
    for k, (seed, p, weight) in enumerate(zip(seeds.tolist(), features.density, features.importance, strict=True)):
        text = b"|".join([str(seed).encode(), shared, p.astype("<f8").tobytes() + weight.astype("<f8").tobytes()])
        keys[k] = int.from_bytes(blake2b(text, digest_size=8).digest(), "little")
    return keys


def initial_weights(keys: Array, m: int, n: int, index: int = 0) -> Float[Array, "models m n"]:
    """Xavier-normal weights, variance 2 / (n + m), of every model: normal quantiles of its words. index: 0 encoder, 1 decoder."""
    blocks = -(-m * n // BLOCK)
    word = np.empty((len(keys), BLOCK * blocks), np.uint32)
    for k, key in enumerate(keys):
        _kernels.words(key, 0, START, index, 0, blocks, word[k])
    normal = ndtri((word[:, : m * n] + 0.5) / 2.0**32) * np.sqrt(2 / (n + m))
    weights: Float[Array, "models m n"] = normal.reshape(-1, m, n)
    return weights


@dataclass(frozen=True)
class Problem:
    """The law of the samples of a batch of models as `_kernels.sample` takes it.

    threshold (models, n): p 2³²; scale (models, n): 1 / threshold; over (models, groups): -1 / log(1 - P) of the probability P that a group
    is active; share (models, n): 2³² times the cumulated share of a feature of an anticorrelated group; importance (models, n).
    law: first features of the groups and n, kind, uniforms per value (none: 1), which of them in order, whether signs are random.
    """

    threshold: Array
    scale: Array
    over: Array
    share: Array
    importance: Array
    law: tuple[Any, ...]

    @classmethod
    def of(cls, features: Features, kind: str, *, signed: bool) -> Problem:
        """The problem of features (models, n), in float32 or float64. Raises InputError for a density below 1e-6."""
        p, importance = np.ascontiguousarray(features.density), np.ascontiguousarray(features.importance)
        if p.min() < SPARSEST:
            raise InputError(
                f"density must be at least {SPARSEST:g} to be sampled, got {p.min():g}; train sparser features on loss='exact'"
            )
        law = features.law
        threshold = np.rint(p * 2.0**32).astype(np.uint64)
        chance, share = np.empty((len(p), len(law.sizes))), np.full(p.shape, 2**32, np.uint64)
        for g, group in enumerate(law.groups):
            part = p[:, group.start : group.stop]
            chance[:, g] = part[:, 0]
            if law.kind == "anticorrelated":
                total = part.cumsum(1)
                chance[:, g] = np.minimum(total[:, -1], 1.0)
                share[:, group.start : group.stop - 1] = np.rint(total[:, :-1] / total[:, -1:] * 2.0**32)
        with np.errstate(divide="ignore"):
            over = -1 / np.log1p(-chance)
        starts = np.cumsum([0, *law.sizes])
        packed = (starts, KINDS[law.kind], *_order_statistic(law), signed)
        return cls(
            threshold,
            (1 / threshold.astype(float)).astype(kind),
            over,
            share,
            importance.astype(kind),
            packed,
        )

    def arrays(self, part: slice = slice(None)) -> tuple[Array, ...]:
        """The arrays of some of the models."""
        return tuple(a[part] for a in (self.threshold, self.scale, self.over, self.share, self.importance))


def _order_statistic(law: Law) -> tuple[int, int]:
    """Number of uniforms and which of them in order (from 0) has the law of the values; (0, 0) for the constant 1.

    Beta(α, β) with whole α, β is the α-th smallest of α + β - 1 uniforms; its density starts with u^{α-1} and has β terms.
    """
    coefficients = law.values.coefficients
    if not coefficients:
        return 0, 0
    return len(coefficients), int(np.flatnonzero(coefficients)[0])


def torch_words(key: Tensor, step: Tensor, purpose: int, index: Tensor, blocks: int) -> Int[Tensor, "rows words"]:
    """The first blocks of words of a stream for every row: key (rows,) as int64 bits, index (rows,), step 0-dimensional."""
    k0, k1 = key[:, None, None] & LOW, (key[:, None, None] >> 32) & LOW
    c0 = torch.arange(8 * blocks, device=key.device).view(1, blocks, 8)
    c1, c2, c3 = step.view(1, 1, 1), torch.full_like(k0, purpose), index[:, None, None]
    for _ in range(10):
        # Products wrap to negative numbers; their bits are right.
        one, two = c0 * 0xD2511F53, c2 * 0xCD9E8D57
        c0, c1, c2, c3 = ((two >> 32) & LOW) ^ c1 ^ k0, two & LOW, ((one >> 32) & LOW) ^ c3 ^ k1, one & LOW
        k0, k1 = (k0 + 0x9E3779B9) & LOW, (k1 + 0xBB67AE85) & LOW
    shape = len(key), blocks, 8
    return torch.stack([c.expand(shape) for c in (c0, c1, c2, c3)], 2).flatten(1)


@cache
def fused_words(device: torch.device) -> Callable[..., Tensor]:
    """`torch_words`, on a GPU as one kernel where torch can compile it: a hundred integer operations in one pass over memory."""
    if device.type == "cuda":
        trial = torch.arange(3, device=device), torch.tensor(5, device=device), VALUE, torch.arange(3, device=device), 2
        try:
            compiled: Callable[..., Tensor] = torch.compile(torch_words, dynamic=True)
            if torch.equal(compiled(*trial), torch_words(*trial)):
                return compiled
        except Exception:
            # No compiler on this machine, or none that takes 64-bit integers.
            return torch_words
    return torch_words


def torch_gaps(word: Tensor, over: Tensor) -> Int[Tensor, "rows words"]:
    """`_kernels.gaps`, operation by operation; over (rows, 1)."""
    mantissa, exponent = torch.frexp((word + 1).double())
    u = mantissa * 2
    s = (u - 1.0) / (u + 1.0)
    z = s * s
    total = z / 21.0 + 1.0 / 19.0
    for odd in (17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0):
        total = total * z + 1.0 / odd
    log = (33 - exponent).double() * _kernels.LOG2 - (s + s) * total
    return (log.clamp_min(0.0) * over).long()


class TorchSampler:
    """The samples of `_kernels.sample` on any device, for all models at once and as dense tensors."""

    def __init__(self, problem: Problem, keys: Array, batch: int, device: torch.device) -> None:
        def move(a: Array) -> Tensor:
            return torch.tensor(a.astype(np.int64) if a.dtype == np.uint64 else a, device=device)

        starts, self.kind, self.uniforms, self.rank, self.signed = problem.law
        self.batch, (models, self.n) = batch, problem.share.shape
        self.words = fused_words(device)
        key = move(keys.view(np.int64))
        threshold, scale, over, share, _ = map(move, problem.arrays())
        # One column more than samples takes what falls beyond the batch.
        self.x = torch.zeros(models * self.n * (batch + 1), dtype=scale.dtype, device=device)
        plain = self.kind == 0 and self.uniforms == 1
        dense = threshold >= (DENSE if plain else 2**33)
        model, feature = dense.nonzero(as_tuple=True)
        self.dense = key[model], feature, model, threshold[dense][:, None], scale[dense][:, None]
        sparse = ~dense if plain else torch.ones_like(over, dtype=torch.bool)
        model, group = sparse.nonzero(as_tuple=True)
        size = move(np.diff(starts))[group]
        self.sparse = key[model], group, model, over[sparse][:, None], move(starts)[group], size
        self.share, self.most = share, int(np.diff(starts).max())
        # Rows whose group has a member number e, as indices: a mask would wait for the device at every step.
        self.members = [(size > e).nonzero()[:, 0] for e in range(self.most)]
        # Beyond as many active samples the probability is below 1e-30.
        chance = float((-np.expm1(-1 / np.maximum(problem.over, 1e-300))).max())
        self.blocks = -(-min(batch, int(batch * chance + 12 * (batch * chance) ** 0.5 + 40)) // BLOCK)

    def __call__(self, now: Int[Tensor, ""]) -> Float[Tensor, "models n batch"]:
        """The samples of step number `now`, a tensor of the device; the next call overwrites them."""
        self.x.zero_()
        key, feature, model, threshold, scale = self.dense
        if len(key):
            blocks = -(-self.batch // BLOCK)
            word = self.words(key, now, VALUE, feature, blocks)
            value = self._signed(torch.where(word < threshold, word.to(scale.dtype) * scale, 0.0), key, now, feature)
            place = torch.arange(BLOCK * blocks, device=key.device)
            self._put(model[:, None], feature[:, None], place, value)
        key, group, model, over, first, size = self.sparse
        if len(key):
            gap = torch_gaps(self.words(key, now, GAP, group, self.blocks), over)
            place = (gap + 1).cumsum(1) - 1
            if self.kind == KINDS["anticorrelated"]:
                word, member = self.words(key, now, CHOICE, group, self.blocks), first[:, None].expand_as(place)
                for e in range(self.most - 1):
                    inside = torch.minimum(first + e, first + size - 1)
                    member = member + (word >= self.share[model, inside][:, None])
                self._put(model[:, None], member, place, self._values(key, now, first))
            else:
                for e, rows in enumerate(self.members):
                    i = first[rows] + e
                    self._put(model[rows, None], i[:, None], place[rows], self._values(key[rows], now, i))
        return self.x.view(-1, self.n, self.batch + 1)[:, :, : self.batch]

    def _put(self, model: Tensor, feature: Tensor, place: Tensor, value: Tensor) -> None:
        """Write values to their samples."""
        flat = (model * self.n + feature) * (self.batch + 1) + place.clamp_max(self.batch)
        self.x.scatter_(0, flat.flatten(), value.flatten())

    def _values(self, key: Tensor, now: Tensor, index: Tensor) -> Tensor:
        """Values of active features, (rows, words)."""
        if self.uniforms:
            drawn = torch.stack([self.words(key, now, VALUE + a, index, self.blocks) for a in range(self.uniforms)])
            value = drawn.sort(0).values[self.rank].to(self.x.dtype) * 2.0**-32
        else:
            value = torch.ones(len(key), BLOCK * self.blocks, dtype=self.x.dtype, device=key.device)
        return self._signed(value, key, now, index)

    def _signed(self, value: Tensor, key: Tensor, now: Tensor, index: Tensor) -> Tensor:
        """Values with random signs where the model asks for them."""
        if not self.signed:
            return value
        word = self.words(key, now, SIGN, index, value.shape[1] // BLOCK)
        return torch.where(word >= 1 << 31, -value, value)


def compiled_samples(problem: Problem, key: int, step: int, batch: int) -> Float[Array, "n batch"]:
    """The samples of the first model of a problem from the compiled loops."""
    threshold, scale, over, share, _ = problem.arrays(slice(0, 1))
    x = np.zeros((threshold.shape[1], batch), scale.dtype)
    work = _kernels.workspace(batch, over.shape[1], x)
    used = _kernels.sample(
        np.uint64(key), step, batch, (threshold[0], scale[0], over[0], share[0]), problem.law, work, x
    )
    out = np.zeros((len(x), batch), x.dtype)
    out[:, work[-2][:used]] = x[:, :used]
    return out
