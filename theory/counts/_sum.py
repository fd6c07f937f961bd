"""Orthogonal sums: the most lines that members of the families and one random-coding bound make together.

Lines of orthogonal subspaces have product 0, so L(a + b) >= L(a) + L(b). `best_sum` is the largest total over all multisets of parts, an
unbounded knapsack, exact; what no part fills is filled by an orthonormal basis. Hence it is superadditive, grows by at least 1 with each
dimension, and does not fall if the angle widens. In terms of the excess over a basis, X(n) = L(n) - n, X nondecreasing:

    X(n) = max(0, C(n) - n, max_i e_i + X(n - n_i)),    C(n) = ⌈1/P(n)⌉ the covering bound.

One covering bound is enough: with x = 1 - c², 1/P(a + b) >= x^{-b/2}/P(a) and >= x^{-a/2}/P(b), so C(a) + C(b) <= C(a + b) as soon as
x^{a/2} + x^{b/2} stays below 1 by more than the rounding up, which is so wherever C(a) > a and C(b) > b (c -> 0: C(a) > a needs
x^{a/2} < c²; the tests go through the rest). Nor does a basis beside it help: C(n + 1) > C(n) there. Where the covering bound is so large
that (1 - x^{n/2})/P(n) >= n max_i N_i/n_i, nothing can be added: 1/P(n - m) + m max N_i/n_i, convex in m, is then at most 1/P(n).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from typing import TYPE_CHECKING, Any

import numpy as np
from flint import fmpq

from ._families import Frontier, frontier
from ._random_coding import covering_above, covering_count, growth
from ._record import digits

if TYPE_CHECKING:
    from numpy import ndarray

    from ._record import Proof

    Array = ndarray[Any, np.dtype[Any]]

TABLE = 2**15
"""Up to this many dimensions sums are tabulated, above found by branch and bound."""


def tabulate(n_max: int, cosine: fmpq, square: fmpq) -> Array:
    """L(0) = 0, L(1) .. L(m), m <= n_max, as int64: up to 32,768 dimensions, and as far as neither 2^62 nor a covering bound is reached.

    >>> tabulate(100, fmpq(1, 60), fmpq(1, 3600))[[59, 60, 91, 100]].tolist()
    [59, 61, 93, 102]
    """
    table = Sums(n_max, frontier(n_max, cosine, square), square).table
    return np.asarray(table + np.arange(len(table)))


@dataclass(frozen=True)
class Total:
    """`count` lines of parts with multiplicity, in the form that `check_count` verifies."""

    count: int
    parts: list[Proof]


def best_sum(n: int, cosine: fmpq, square: fmpq) -> Total:
    """The largest orthogonal sum in R^n of families with coherence² <= square, of frames inflated to `cosine`, and a covering bound.

    n >= 1, 0 < cosine² <= square < 1. Exact; grade: CERTIFIED.

    >>> best_sum(61, fmpq(1, 60), fmpq(1, 3600))
    Total(count=62, parts=[{'family': 'simplex', 'n': 60, 'copies': 1}, {'family': 'basis', 'n': 1, 'copies': 1}])
    """
    return Sums(n, frontier(n, cosine, square), square).best(n)


class Sums:
    """X(n) for n <= n_max, of the members that matter up to n_max dimensions at one angle."""

    def __init__(self, n_max: int, items: Frontier, square: fmpq) -> None:
        self.square, self.items = square, items
        # x^{k/2} <= exp(-rate k).
        self.rate = growth(square)
        density = self.items.floats / self.items.n if len(self.items.n) else np.zeros(0)
        self.density = np.maximum.accumulate(density) * (1 + 1e-12)
        self.table, self.active = self._tabulate(min(n_max, TABLE))
        self.memo: dict[tuple[int, int], tuple[int, int]] = {}
        self.covers: dict[int, int] = {}

    def best(self, n: int) -> Total:
        """The largest sum in R^n."""
        cap = len(self.items.n) - 1
        count, left, cover = n + self._excess(n, cap), n, 0
        parts: dict[int, int] = {}
        while left >= len(self.table):
            cap = min(cap, int(np.searchsorted(self.items.n, left, side="right")) - 1)
            excess, choice = self.memo[left, cap]
            if choice < 0:
                cover = left + excess if choice == COVERING else 0
                break
            parts[choice] = parts.get(choice, 0) + 1
            left, cap = left - int(self.items.n[choice]), choice
        else:
            left = self._from_table(left, parts)
        found = [{**self.items.proof(i), "copies": copies} for i, copies in sorted(parts.items(), reverse=True)]
        if left:
            found.append(
                {"family": "covering", "n": left, "count": digits(cover), "copies": 1}
                if cover
                else {"family": "basis", "n": left, "copies": 1}
            )
        return Total(count, found)

    def _tabulate(self, n_max: int) -> tuple[Array, list[int]]:
        """X(0) .. X(m), m <= n_max, with 64 bits, as far as the covering bound is not larger; and the items that it took."""
        sizes = self.items.n
        # n max e_i/n_i < 2^62 up to here.
        large = np.flatnonzero(self.density * n_max >= 2.0**62)
        if len(large):
            n_max = min(n_max, int(sizes[large[0]]) - 1)
        table, active = np.zeros(n_max + 1, np.int64), []
        for i in range(int(np.searchsorted(sizes, n_max, side="right"))):
            size, excess = int(sizes[i]), self.items.excess[i]
            # An item that others replace in its own dimensions is of no use.
            if table[size] >= excess:
                continue
            active.append(i)
            for start in range(size, n_max + 1, size):
                part = table[start : start + size]
                np.maximum(part, table[start - size : start - size + len(part)] + excess, out=part)
        return table[: self._first_covering(table)], active

    def _first_covering(self, table: Array) -> int:
        """The first n at which the covering bound is larger than the table; its length if there is none."""
        value = np.arange(len(table)) + table
        for n in np.flatnonzero(covering_above(np.arange(1, len(table)), self.square) + 1 > value[1:]).tolist():
            if covering_count(n + 1, self.square) > value[n + 1]:
                return int(n + 1)
        return len(table)

    def _from_table(self, n: int, parts: dict[int, int]) -> int:
        """Adds the items of the best sum in n dimensions to `parts`; dimensions that are left."""
        active = np.array(self.active, np.int64)
        sizes = self.items.n[active]
        excess = np.array([self.items.excess[i] for i in self.active], np.int64)
        left = 0
        while self.table[n]:
            # Down to the fewest dimensions with this excess.
            least = int(np.searchsorted(self.table[: n + 1], self.table[n]))
            left, n = left + n - least, least
            fits = int(np.searchsorted(sizes, n, side="right"))
            last = int(np.flatnonzero(self.table[n - sizes[:fits]] + excess[:fits] == self.table[n])[-1])
            parts[self.active[last]] = parts.get(self.active[last], 0) + 1
            n -= int(sizes[last])
        return left + n

    def _excess(self, n: int, cap: int) -> int:
        """X(n) of items 0 .. cap in order, the largest first, or more, where the table serves; what it took is kept in `memo`."""
        if n < len(self.table):
            return int(self.table[n])
        cap = min(cap, int(np.searchsorted(self.items.n, n, side="right")) - 1)
        if (n, cap) in self.memo:
            return self.memo[n, cap][0]
        cover = self._covering(n) - n
        best = (cover, COVERING) if cover > 0 else (0, BASIS)
        # A basis alone has N/n = 1.
        lines = (1 + float(self.density[cap])) * n if cap >= 0 else float(n)
        if not ((cover + n) >> 900 or (cover + n) * (1 - exp(-self.rate * n)) * (1 - 1e-9) >= lines):
            bound = self.items.floats[: cap + 1] + self._upper(n, cap, float(cover + n))
            for i in np.argsort(-bound, kind="stable").tolist():
                if bound[i] * (1 + 1e-9) + 1 <= best[0]:
                    break
                value = self.items.excess[i] + self._excess(n - int(self.items.n[i]), i)
                if value > best[0]:
                    best = (value, i)
        self.memo[n, cap] = best
        return best[0]

    def _upper(self, n: int, cap: int, cover: float) -> Array:
        """At least X(n - n_i) of the items up to i, for all i <= cap, from 1/P(n) < cover + 1: 1/P(m) <= x^{(n-m)/2}/P(n)."""
        left = n - self.items.n[: cap + 1]
        bound = np.zeros(cap + 1)
        inside = left < len(self.table)
        bound[inside] = self.table[left[inside]]
        m = left[~inside]
        at = np.minimum(np.searchsorted(self.items.n, m, side="right") - 1, np.flatnonzero(~inside))
        density = np.where(at >= 0, self.density[at], 0.0)
        # A covering bound of k <= m dimensions and items in the rest: convex in k, so largest at an end.
        alone = (cover + 1) * np.exp(-self.rate * (n - m)) + 1 - m
        bound[~inside] = np.maximum(np.maximum(alone, density * m + (cover + 1) * exp(-self.rate * n) + 1), 0)
        return bound

    def _covering(self, n: int) -> int:
        if n not in self.covers:
            self.covers[n] = covering_count(n, self.square)
        return self.covers[n]


BASIS, COVERING = -1, -2
