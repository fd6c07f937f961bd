"""A set of lines given by its vectors, made block by block, and what a check of it found."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import arb, fmpq

from .._checks import CertificateError, InputError
from .._grade import Grade
from ..counts._record import digits

Array = np.ndarray[Any, np.dtype[Any]]

BLOCK = 2**26
"""Entries of a block, unless the caller says how many rows."""
BITS = 256
"""Precision where a coherence is irrational; a rational above it is then closer to it than what is asked for."""
LARGEST = 2**32
"""Bytes of the array that `Code.vectors` makes at most."""


@dataclass(frozen=True)
class Coherence:
    """What a check of a set of lines found.

    square: squared coherence, the largest <x, y>²/(|x|²|y|²) of two vectors. EXACT: it is just that. CERTIFIED: it is not larger, by the
    theorem or the enclosure that `method` names. NUMERIC: it is that up to 1e-9, in floating point.
    """

    square: fmpq
    grade: Grade
    method: str


@dataclass(frozen=True, repr=False)
class Code:
    """`count` lines in R^n, by one vector each. `construct` makes them.

    integer: the vectors are integers (int8 where they fit), all of squared norm `norm2`, or of several where that is None; otherwise
    they are unit vectors in float64. Nothing is held: a block is computed when it is asked for.
    take(i, j): the rows i, ..., j - 1 as an array (j - i, n). argument: the coherence by the structure of the family, where all pairs
    are too many; `verify_code` calls it.
    """

    n: int
    count: int
    take: Callable[[int, int], Array]
    integer: bool = True
    norm2: int | None = None
    argument: Callable[[], Coherence] | None = None

    def __repr__(self) -> str:
        """Size and kind; counts may be too long for Python to print."""
        return f"Code(n={self.n}, count={digits(self.count)}, integer={self.integer}, norm2={self.norm2})"

    def blocks(self, rows: int | None = None) -> Iterator[Array]:
        """The vectors as arrays of at most `rows` rows; by default of as many as have 2^26 entries."""
        rows = max(1, BLOCK // self.n) if rows is None else rows
        for start in range(0, self.count, rows):
            yield self.take(start, min(start + rows, self.count))

    def row(self, i: int) -> Array:
        """Vector i, 0 <= i < count."""
        if not 0 <= i < self.count:
            raise InputError(f"i must be in 0..{digits(self.count - 1)}, got {digits(i)}")
        row: Array = self.take(i, i + 1)[0]
        return row

    def vectors(self) -> Array:
        """All vectors as one array (count, n); InputError where that is over 4 GiB."""
        size = self.count * self.n * self.take(0, 1).itemsize
        if size > LARGEST:
            raise InputError(
                f"the array of all vectors in {self.n} dimensions must be at most 4 GiB, got {size / 2**30:.3g} GiB; iterate over blocks()"
            )
        return np.concatenate(list(self.blocks()))

    def units(self, start: int, stop: int) -> Array:
        """The rows start, ..., stop - 1 as unit vectors in float64."""
        rows = self.take(start, stop)
        return unit(rows) if self.integer else rows


def unit(rows: Array) -> Array:
    """The rows, none of them zero, scaled to length 1, in float64."""
    real = rows.astype(np.float64)
    scaled: Array = real / np.sqrt((real * real).sum(axis=1, keepdims=True))
    return scaled


def explicit(rows: Array, argument: Callable[[], Coherence] | None = None) -> Code:
    """The code of the rows of an array: of integers as they are, of floats scaled to length 1."""
    integer = np.issubdtype(rows.dtype, np.integer)
    norms = np.unique((rows.astype(np.int64) ** 2).sum(axis=1)).tolist() if integer else []
    if integer and norms[0] == 0:
        raise InputError("vectors must not be zero, got a zero vector; remove it")
    rows = rows if integer else unit(rows)
    norm2 = norms[0] if len(norms) == 1 else None
    return Code(rows.shape[1], len(rows), lambda i, j: rows[i:j], bool(integer), norm2, argument)


def basis(n: int, length: int = 1) -> Code:
    """Standard basis of R^n, times `length`."""
    kind = np.int8 if length < 128 else np.int32

    def take(i: int, j: int) -> Array:
        return length * np.eye(j - i, n, i, dtype=kind)

    return Code(n, n, take, True, length * length, lambda: Coherence(fmpq(0), Grade.EXACT, "unit vectors"))


def union(codes: Sequence[Code], argument: Callable[[], Coherence] | None) -> Code:
    """The lines of several codes of one space, one code after the other."""
    starts = [0]
    for code in codes:
        starts.append(starts[-1] + code.count)
    integer = all(code.integer for code in codes)

    def take(i: int, j: int) -> Array:
        found = []
        for code, start in zip(codes, starts, strict=False):
            a, b = max(i - start, 0), min(j - start, code.count)
            if a < b:
                found.append(code.take(a, b) if integer else code.units(a, b))
        return found[0] if len(found) == 1 else np.concatenate(found)

    norms = {code.norm2 for code in codes}
    return Code(codes[0].n, starts[-1], take, integer, norms.pop() if integer and len(norms) == 1 else None, argument)


def first(code: Code, count: int) -> Code:
    """The first `count` lines of a code; its coherence is an upper bound of theirs."""

    def argument() -> Coherence:
        if code.argument is None:
            raise InputError("only a code with an argument can be taken a part of")
        found = code.argument()
        return Coherence(found.square, min(found.grade, Grade.CERTIFIED), f"part of a code: {found.method}")

    return Code(code.n, count, code.take, code.integer, code.norm2, argument)


def orthogonal_sum(parts: Sequence[tuple[Code, int]], argument: Callable[[], Coherence]) -> Code:
    """Copies of codes in mutually orthogonal coordinate spaces, one after the other: parts are (code, copies).

    The coherence is the largest of the parts': products across are 0, as no coordinate is nonzero in both.
    """
    # First row and first coordinate of each part, and of what follows the last.
    rows, columns = [0], [0]
    for code, copies in parts:
        rows.append(rows[-1] + copies * code.count)
        columns.append(columns[-1] + copies * code.n)
    integer = all(code.integer for code, _ in parts)

    def take(i: int, j: int) -> Array:
        pieces = []
        while i < j:
            k = bisect_right(rows, i) - 1
            code, _ = parts[k]
            copy, inside = divmod(i - rows[k], code.count)
            end = min(code.count, inside + j - i)
            piece = code.take(inside, end) if integer else code.units(inside, end)
            block = np.zeros((end - inside, columns[-1]), dtype=piece.dtype)
            first = columns[k] + copy * code.n
            block[:, first : first + code.n] = piece
            pieces.append(block)
            i += end - inside
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    norms = {code.norm2 for code, _ in parts}
    return Code(columns[-1], rows[-1], take, integer, norms.pop() if integer and len(norms) == 1 else None, argument)


def above(ball: arb) -> fmpq:
    """The upper end of a ball, a rational."""
    top, exponent = ball.upper().mid().man_exp()
    return fmpq(int(top)) * fmpq(2) ** int(exponent)


def require_below_one(square: fmpq, what: str) -> None:
    """InputError where two of the lines may be one."""
    if square >= 1:
        raise InputError(f"{what} must have a coherence below 1, got {square} as its square; choose other parameters")


def require_certified(holds: bool, message: str) -> None:
    """CertificateError with the message unless it holds."""
    if not holds:
        raise CertificateError(message)
