"""Compiled loops of the trainer: random words, sparse samples, and AdamW steps of one toy model after the other.

One model runs through its steps while samples, hidden values and moments stay in the cache, so arithmetic bounds the speed, not
memory: at small m the random words (1.5 cycles each), else the five products of (m, n) with the batch. Sparse features save
both: their active samples are found by geometric gaps, only samples in which something is active get a column, and the
others, which are equal, are counted and handled once.

One file on purpose: the cache of compiled code follows changes of the caller's file only. Streams and packed arguments are those of
`_streams`, where torch follows the same numbers.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import uint32, uint64
from numpy import ndarray as Array

from ..theory._compiled import compiler

# Purposes of the streams: initial weights, gaps between active samples, which feature of a group, signs, and values (up to 7).
# Typed, as Python's integers would have the loops compiled once for each of them.
PURPOSES: Any = np.arange(5, dtype=np.int64)
START, GAP, CHOICE, SIGN, VALUE = PURPOSES
ZERO: Any = np.int64(0)
# Words come in blocks of this many, eight counters each.
BLOCK = 32
# Features at least as dense as this over 2³², an eighth, take one word per sample instead of gaps.
DENSE = 1 << 29
# Samples per tile: everything about a tile should stay in the first or second cache, and sums over it should be long.
TILE = 256
LOG2 = math.log(2.0)

# Whatever decides the samples is compiled without fastmath: every device finds the same numbers.
exact = compiler(nogil=True, error_model="numpy")
fast = compiler(nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz", "nnan", "ninf", "arcp"})


@exact
def _round(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> Any:
    """One round of Philox4x32, 32-bit words held in 64 bits."""
    low = uint64(0xFFFFFFFF)
    one, two = uint64(0xD2511F53) * c0, uint64(0xCD9E8D57) * c2
    return (two >> uint64(32)) ^ c1 ^ k0, two & low, (one >> uint64(32)) ^ c3 ^ k1, one & low


@exact
def _bump(k0: Any, k1: Any) -> Any:
    """The key of the next round."""
    low = uint64(0xFFFFFFFF)
    return (k0 + uint64(0x9E3779B9)) & low, (k1 + uint64(0xBB67AE85)) & low


@exact
def words(key: Any, step: int, purpose: int, index: int, block: int, count: int, out: Array) -> None:
    """`count` blocks of a stream from number `block` on: word 32B + 8l + q is Philox4x32-10(8B + q, step, purpose, index)[l]."""
    low = uint64(0xFFFFFFFF)
    a0, b0 = uint64(key) & low, uint64(key) >> uint64(32)
    a1, b1 = _bump(a0, b0)
    a2, b2 = _bump(a1, b1)
    a3, b3 = _bump(a2, b2)
    a4, b4 = _bump(a3, b3)
    a5, b5 = _bump(a4, b4)
    a6, b6 = _bump(a5, b5)
    a7, b7 = _bump(a6, b6)
    a8, b8 = _bump(a7, b7)
    a9, b9 = _bump(a8, b8)
    for k in range(count):
        # The rounds are written out: only then is the loop over the eight counters vectorised.
        for q in range(8):
            c0, c1, c2, c3 = uint64(8 * (block + k) + q), uint64(step), uint64(purpose), uint64(index)
            c0, c1, c2, c3 = _round(c0, c1, c2, c3, a0, b0)
            c0, c1, c2, c3 = _round(c0, c1, c2, c3, a1, b1)
            c0, c1, c2, c3 = _round(c0, c1, c2, c3, a2, b2)
            c0, c1, c2, c3 = _round(c0, c1, c2, c3, a3, b3)
            c0, c1, c2, c3 = _round(c0, c1, c2, c3, a4, b4)
            c0, c1, c2, c3 = _round(c0, c1, c2, c3, a5, b5)
            c0, c1, c2, c3 = _round(c0, c1, c2, c3, a6, b6)
            c0, c1, c2, c3 = _round(c0, c1, c2, c3, a7, b7)
            c0, c1, c2, c3 = _round(c0, c1, c2, c3, a8, b8)
            c0, c1, c2, c3 = _round(c0, c1, c2, c3, a9, b9)
            out[BLOCK * k + q] = uint32(c0)
            out[BLOCK * k + 8 + q] = uint32(c1)
            out[BLOCK * k + 16 + q] = uint32(c2)
            out[BLOCK * k + 24 + q] = uint32(c3)


@exact
def gaps(word: Array, count: int, over: float, u: Array, bits: Array, out: Array) -> None:
    """Geometric gaps floor(over · -log U), U = (word + 1) / 2³², over = -1 / log(1 - p); bits is u seen as int64.

    The logarithm, good to 1e-11, is a fixed sequence of sums, products and one quotient, which every device rounds alike.
    """
    for k in range(count):
        u[k] = np.float64(word[k]) + 1.0
    for k in range(count):
        out[k] = 1055 - (bits[k] >> 52)
        bits[k] = (bits[k] & 0xFFFFFFFFFFFFF) | 0x3FF0000000000000
    for k in range(count):
        s = (u[k] - 1.0) / (u[k] + 1.0)
        z = s * s
        total = z / 21.0 + 1.0 / 19.0
        total = total * z + 1.0 / 17.0
        total = total * z + 1.0 / 15.0
        total = total * z + 1.0 / 13.0
        total = total * z + 1.0 / 11.0
        total = total * z + 1.0 / 9.0
        total = total * z + 1.0 / 7.0
        total = total * z + 1.0 / 5.0
        total = total * z + 1.0 / 3.0
        total = total * z + 1.0
        out[k] = np.int64(max(np.float64(out[k]) * LOG2 - (s + s) * total, 0.0) * over)


@exact
def _dense(
    key: Any, step: int, batch: int, g: int, threshold: Any, scale: Array, signed: bool, word: Array, x: Array
) -> None:
    """Row g of x from one word r per sample: r / (p 2³²) if r < p 2³², else zero; random signs if asked for."""
    blocks = (batch + BLOCK - 1) // BLOCK
    words(key, step, VALUE, g, ZERO, blocks, word)
    factor, nothing = scale[g], x.dtype.type(0)
    for t in range(batch):
        x[g, t] = x.dtype.type(word[t]) * factor if uint64(word[t]) < threshold else nothing
    if signed:
        words(key, step, SIGN, g, ZERO, blocks, word)
        for t in range(batch):
            x[g, t] = -x[g, t] if word[t] >= uint32(0x80000000) else x[g, t]


@exact
def _values(key: Any, step: int, index: int, count: int, law: Any, word: Array, drawn: Array, out: Array) -> None:
    """The first blocks of values of an active feature: 1, or an order statistic of uniform numbers, with random signs if asked for."""
    _, _, uniforms, rank, signed = law
    unit, draws = out.dtype.type(2.0**-32), BLOCK * count
    if uniforms == 0:
        out[:draws] = 1
    elif uniforms == 1:
        words(key, step, VALUE, index, ZERO, count, word)
        for k in range(draws):
            out[k] = out.dtype.type(word[k]) * unit
    else:
        for a in range(uniforms):
            words(key, step, VALUE + a, index, ZERO, count, word)
            for k in range(draws):
                # Sorted by insertion, each column by itself.
                b = a
                while b > 0 and drawn[b - 1, k] > word[k]:
                    drawn[b, k] = drawn[b - 1, k]
                    b -= 1
                drawn[b, k] = word[k]
        for k in range(draws):
            out[k] = out.dtype.type(drawn[rank, k]) * unit
    if signed:
        words(key, step, SIGN, index, ZERO, count, word)
        for k in range(draws):
            out[k] = -out[k] if word[k] >= uint32(0x80000000) else out[k]


@exact
def _places(key: Any, step: int, batch: Any, g: int, over: float, used: Any, work: Any, spot: Array) -> Any:
    """Columns of the active samples of group g in `spot`; samples active for the first time get the next. Returns how many, and `used`.

    Unsigned numbers, which spare a check of every index.
    """
    word, _, u, bits, gap, _, column, seen, _ = work
    none, one, inside, at, block = np.uint32(0xFFFFFFFF), np.uint64(1), np.uint64(0), np.uint64(0), ZERO
    # About as many blocks at a time as will be needed.
    count = 1 + int(batch / (over + 1.0)) // BLOCK
    while True:
        words(key, step, GAP, g, block, count, word)
        gaps(word, BLOCK * count, over, u, bits, gap)
        for k in range(np.uint64(BLOCK * count)):
            at += np.uint64(gap[k])
            if at >= batch:
                return inside, used
            c = column[at]
            new = c == none
            c = used if new else c
            column[at] = c
            seen[used] = at
            used = np.uint32(used + new)
            spot[inside] = c
            inside += one
            at += one
        if at >= batch:
            return inside, used
        block += count


@exact
def sample(key: Any, step: int, batch: int, problem: Any, law: Any, work: Any, x: Array) -> Any:
    """Fill x (n, batch) with the samples of a step in which something is active; returns the number of its columns that count.

    problem: threshold (n,), scale (n,), over (groups,), share (n,) as `_streams.Problem` has them. The other samples are zero.
    """
    threshold, scale, over, share = problem
    starts, kind, uniforms, _, signed = law
    word, drawn, _, _, _, value, column, seen, spot = work
    groups = len(starts) - 1
    at_least = uint64(DENSE)
    # With a dense feature the columns are the samples, else samples get them as something first is active there.
    every = False
    if kind == 0 and uniforms == 1:
        for g in range(groups):
            every |= threshold[g] >= at_least
    used, many = np.uint32(0), np.empty(groups, np.int64)
    if every:
        used = np.uint32(batch)
        for t in range(batch):
            column[t] = t
            seen[t] = t
    for g in range(groups):
        if every and threshold[g] >= at_least:
            _dense(key, step, batch, g, threshold[g], scale, signed, word, x)
        else:
            inside, used = _places(key, step, np.uint64(batch), g, over[g], used, work, spot[g])
            many[g] = inside
    columns = np.int64(used)
    for g in range(groups):
        if every and threshold[g] >= at_least:
            continue
        first, last = starts[g], starts[g + 1]
        for i in range(first, last):
            for t in range(columns):
                x[i, t] = 0
        inside = many[g]
        filled = (inside + BLOCK - 1) // BLOCK
        if kind == 2:
            _values(key, step, first, filled, law, word, drawn, value)
            words(key, step, CHOICE, g, ZERO, filled, word)
            for k in range(inside):
                i = first
                while uint64(word[k]) >= share[i]:
                    i += 1
                x[i, spot[g, k]] = value[k]
        else:
            for i in range(first, last):
                _values(key, step, i, filled, law, word, drawn, value)
                for k in range(inside):
                    x[i, spot[g, k]] = value[k]
    for c in range(columns):
        column[seen[c]] = np.uint32(0xFFFFFFFF)
    return columns


@exact
def workspace(batch: int, groups: int, value: Array) -> Any:
    """Work arrays of `sample`; those of values have the type of `value`."""
    padded = (batch + 2 * BLOCK - 1) // BLOCK * BLOCK
    u = np.empty(padded)
    return (
        np.empty(padded, np.uint32),
        np.empty((7, padded), np.uint32),
        u,
        u.view(np.int64),
        np.empty(padded, np.int64),
        np.empty(padded, value.dtype),
        np.full(batch, np.uint32(0xFFFFFFFF), np.uint32),
        np.empty(batch + 1, np.uint32),
        np.empty((groups, batch), np.uint32),
    )


@fast
def _combine(a: Array, x: Array, start: int, width: int, out: Array) -> None:
    """out[r, t] += Σ_j a[r, j] x[j, start + t], two rows by four j at a time."""
    rows, inner = a.shape
    if start < 0:
        # Never so; but only when the compiler knows are the loops vectorised.
        return
    for r in range(0, rows - 1, 2):
        j = 0
        while j + 4 <= inner:
            a0, a1, a2, a3 = a[r, j], a[r, j + 1], a[r, j + 2], a[r, j + 3]
            b0, b1, b2, b3 = a[r + 1, j], a[r + 1, j + 1], a[r + 1, j + 2], a[r + 1, j + 3]
            for t in range(width):
                x0, x1, x2, x3 = x[j, start + t], x[j + 1, start + t], x[j + 2, start + t], x[j + 3, start + t]
                out[r, t] += a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3
                out[r + 1, t] += b0 * x0 + b1 * x1 + b2 * x2 + b3 * x3
            j += 4
        while j < inner:
            a0, b0 = a[r, j], a[r + 1, j]
            for t in range(width):
                out[r, t] += a0 * x[j, start + t]
                out[r + 1, t] += b0 * x[j, start + t]
            j += 1
    if rows % 2:
        r, j = rows - 1, 0
        while j + 4 <= inner:
            a0, a1, a2, a3 = a[r, j], a[r, j + 1], a[r, j + 2], a[r, j + 3]
            for t in range(width):
                x0, x1, x2, x3 = x[j, start + t], x[j + 1, start + t], x[j + 2, start + t], x[j + 3, start + t]
                out[r, t] += a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3
            j += 4
        while j < inner:
            a0 = a[r, j]
            for t in range(width):
                out[r, t] += a0 * x[j, start + t]
            j += 1


@fast
def _dots(left: Array, right: Array, start: int, width: int, out: Array) -> None:
    """out[r, j] += Σ_t left[r, t] right[j, start + t], two rows by four j at a time."""
    rows, inner = out.shape
    zero = out.dtype.type(0)
    if start < 0:
        return
    for r in range(0, rows - 1, 2):
        j = 0
        while j + 4 <= inner:
            a0, a1, a2, a3, b0, b1, b2, b3 = zero, zero, zero, zero, zero, zero, zero, zero
            for t in range(width):
                x0, x1, x2, x3 = (
                    right[j, start + t],
                    right[j + 1, start + t],
                    right[j + 2, start + t],
                    right[j + 3, start + t],
                )
                one, two = left[r, t], left[r + 1, t]
                a0 += one * x0
                a1 += one * x1
                a2 += one * x2
                a3 += one * x3
                b0 += two * x0
                b1 += two * x1
                b2 += two * x2
                b3 += two * x3
            out[r, j] += a0
            out[r, j + 1] += a1
            out[r, j + 2] += a2
            out[r, j + 3] += a3
            out[r + 1, j] += b0
            out[r + 1, j + 1] += b1
            out[r + 1, j + 2] += b2
            out[r + 1, j + 3] += b3
            j += 4
        while j < inner:
            a0, b0 = zero, zero
            for t in range(width):
                a0 += left[r, t] * right[j, start + t]
                b0 += left[r + 1, t] * right[j, start + t]
            out[r, j] += a0
            out[r + 1, j] += b0
            j += 1
    if rows % 2:
        r, j = rows - 1, 0
        while j + 4 <= inner:
            a0, a1, a2, a3 = zero, zero, zero, zero
            for t in range(width):
                one = left[r, t]
                a0 += one * right[j, start + t]
                a1 += one * right[j + 1, start + t]
                a2 += one * right[j + 2, start + t]
                a3 += one * right[j + 3, start + t]
            out[r, j] += a0
            out[r, j + 1] += a1
            out[r, j + 2] += a2
            out[r, j + 3] += a3
            j += 4
        while j < inner:
            a0 = zero
            for t in range(width):
                a0 += left[r, t] * right[j, start + t]
            out[r, j] += a0
            j += 1


@fast
def _pull(
    x: Array,
    start: int,
    width: int,
    unit: Any,
    importance: Array,
    rectified: bool,
    absolute: bool,
    y: Array,
    d_bias: Array,
) -> float:
    """Turn preactivations y into the derivatives of the loss in them, add these up in d_bias; returns the loss."""
    if start < 0:
        return 0.0
    loss, zero = 0.0, x.dtype.type(0)
    for i in range(len(importance)):
        scale, square, total = (unit + unit) * importance[i], zero, zero
        for t in range(width):
            goal = abs(x[i, start + t]) if absolute else x[i, start + t]
            shown = max(y[i, t], zero) if rectified else y[i, t]
            miss = shown - goal
            square += miss * miss
            force = scale * miss if y[i, t] > zero or not rectified else zero
            y[i, t] = force
            total += force
        loss += importance[i] * square
        d_bias[i] += total
    return loss


@fast
def gradient(
    x: Array,
    columns: int,
    batch: int,
    encoder: Array,
    decoder: Array,
    bias: Array,
    importance: Array,
    model: Any,
    work: Any,
    out: Any,
) -> float:
    """Mean over the batch of Σ_i I_i (T_i - x'_i)², of which `columns` samples are in x and the others zero; its derivatives in `out`.

    x' = f(decoderᵀ h + b), h = g(encoder x); encoder, decoder (m, n) may be the same array, their derivatives then are to be added.
    model: whether g is a ReLU, whether f is, whether the target is |x|.
    """
    bend, rectified, absolute = model
    hidden, pull, back, across = work
    d_encoder, d_decoder, d_bias = out
    m, n = encoder.shape
    zero, two = x.dtype.type(0), x.dtype.type(2)
    unit = x.dtype.type(1.0 / batch)
    d_encoder[:] = 0
    d_decoder[:] = 0
    d_bias[:] = 0
    for i in range(n):
        for k in range(m):
            across[i, k] = decoder[k, i]
    loss = 0.0
    for start in range(0, columns, TILE):
        width = min(TILE, columns - start)
        hidden[:, :width] = 0
        _combine(encoder, x, start, width, hidden)
        if bend:
            for k in range(m):
                for t in range(width):
                    hidden[k, t] = max(hidden[k, t], zero)
        for i in range(n):
            shift = bias[i]
            for t in range(width):
                pull[i, t] = shift
        _combine(across, hidden, ZERO, width, pull)
        loss += _pull(x, start, width, unit, importance, rectified, absolute, pull, d_bias)
        back[:, :width] = 0
        _combine(decoder, pull, ZERO, width, back)
        if bend:
            for k in range(m):
                for t in range(width):
                    back[k, t] = back[k, t] if hidden[k, t] > zero else zero
        _dots(hidden, pull, ZERO, width, d_decoder)
        _dots(back, x, start, width, d_encoder)
    # Samples without an active feature: h = 0, x' = f(b).
    quiet = x.dtype.type(batch - columns)
    for i in range(n):
        shown = max(bias[i], zero) if rectified else bias[i]
        loss += importance[i] * quiet * shown * shown
        d_bias[i] += two * unit * quiet * importance[i] * shown
    return loss / batch


@fast
def _adam(point: Array, slope: Array, mean: Array, square: Array, c: Array) -> None:
    """A step of AdamW as torch has it. c: decay factor, 1 - β₁, 1 - β₂, rate / (1 - β₁ᵗ), 1 / sqrt(1 - β₂ᵗ), ε."""
    keep, first, second, rate, lift, least = c[0], c[1], c[2], c[3], c[4], c[5]
    for r in range(point.shape[0]):
        for i in range(point.shape[1]):
            g = slope[r, i]
            mean[r, i] += first * (g - mean[r, i])
            square[r, i] += second * (g * g - square[r, i])
            point[r, i] = keep * point[r, i] - rate * mean[r, i] / (math.sqrt(square[r, i]) * lift + least)


@exact
def _tile(m: int, n: int, batch: int, value: Array) -> Any:
    """Work arrays and derivatives of `gradient`."""
    width, kind = min(TILE, batch), value.dtype
    work = np.empty((m, width), kind), np.empty((n, width), kind), np.empty((m, width), kind), np.empty((n, m), kind)
    return work, (np.empty((m, n), kind), np.empty((m, n), kind), np.empty(n, kind))


@exact
def train_models(
    keys: Array,
    first: int,
    rates: Array,
    decay: float,
    batch: int,
    problems: Any,
    law: Any,
    model: Any,
    state: Any,
    moments: Any,
) -> None:
    """AdamW steps first, first + 1, … with learning rates `rates` for one model after the other, in place.

    problems: threshold, scale, over, share, importance, each (models, ...); model: as in `gradient`, then whether the weights are tied;
    state: encoder, decoder (models, m, n) (one array if tied) and bias (models, n); moments: (models, 2, ...) of each.
    """
    threshold, scale, over, share, importance = problems
    bend, rectified, absolute, tied = model
    encoders, decoders, biases = state
    of_encoder, of_decoder, of_bias = moments
    _, m, n = encoders.shape
    x = np.empty((n, batch), encoders.dtype)
    work = workspace(batch, over.shape[1], encoders)
    tile, slopes = _tile(m, n, batch, encoders)
    c = np.empty(6, encoders.dtype)
    c[1], c[2], c[5] = 0.1, 0.001, 1e-8
    for index in range(len(keys)):
        problem = (threshold[index], scale[index], over[index], share[index])
        encoder, decoder, bias = encoders[index], decoders[index], biases[index]
        for k in range(len(rates)):
            step = first + k
            columns = sample(keys[index], step, batch, problem, law, work, x)
            gradient(
                x, columns, batch, encoder, decoder, bias, importance[index], (bend, rectified, absolute), tile, slopes
            )
            c[0] = 1.0 - rates[k] * decay
            c[3] = rates[k] / (1.0 - 0.9 ** (step + 1))
            c[4] = 1.0 / math.sqrt(1.0 - 0.999 ** (step + 1))
            if tied:
                for r in range(m):
                    for i in range(n):
                        slopes[0][r, i] += slopes[1][r, i]
            else:
                _adam(decoder, slopes[1], of_decoder[index, 0], of_decoder[index, 1], c)
            _adam(encoder, slopes[0], of_encoder[index, 0], of_encoder[index, 1], c)
            _adam(bias.reshape(1, n), slopes[2].reshape(1, n), of_bias[index, :1], of_bias[index, 1:], c)


@exact
def batch_losses(
    keys: Array, first: int, batch: int, problems: Any, law: Any, model: Any, state: Any, out: Array
) -> None:
    """out (models, batches): the mean loss of each of the batches of steps first, first + 1, …; arguments as in `train_models`."""
    threshold, scale, over, share, importance = problems
    bend, rectified, absolute, _ = model
    encoders, decoders, biases = state
    _, m, n = encoders.shape
    x = np.empty((n, batch), encoders.dtype)
    work = workspace(batch, over.shape[1], encoders)
    tile, slopes = _tile(m, n, batch, encoders)
    for index in range(len(keys)):
        problem = (threshold[index], scale[index], over[index], share[index])
        for k in range(out.shape[1]):
            columns = sample(keys[index], first + k, batch, problem, law, work, x)
            out[index, k] = gradient(
                x,
                columns,
                batch,
                encoders[index],
                decoders[index],
                biases[index],
                importance[index],
                (bend, rectified, absolute),
                tile,
                slopes,
            )
