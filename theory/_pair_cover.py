"""Pair cover: partitions of the offset of an output of two features, with bounds on its error over boxes of slopes.

For fixed W the two biases decouple, so a box of (w1, w2) needs min over b1 and min over b2 apart, each over a partition of its range.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from ._row_box import VERTICES, row_bounds


class Row(NamedTuple):
    """Boxes of one output: own slope a and other slope t, each (k, 2), and the tilt of its bounds.

    tilt (k, 2): the bounds are for the error minus p (α (a - a') + σ (t - t')), `at` (k, 2) being (a', t')
    """

    own: Array
    other: Array
    tilt: Array
    at: Array

    def offsets(self) -> Array:
        """(k, 2): below, the output is 0; above, it is at least 1 and the error rises with b. Neither end is beaten outside."""
        low = -(self.own[:, 1] + np.maximum(self.other[:, 1], 0))
        return np.stack([low, 1 + np.maximum(-self.other[:, 0], 0)], 1)


class Cover:
    """Partitions of the offsets of boxes, with the bounds on their cells: nodes that know their first child."""

    def __init__(self, row: Row, law: Array, density: float, box: Array) -> None:
        self.row, self.law, self.density = row, law, density
        self.box = box
        self.offset = row.offsets()[box]
        self.bound = self._bounds(self.box, self.offset)
        self.child = np.full(len(box), -1)

    def _bounds(self, box: Array, offset: Array) -> Array:
        ends = np.stack([self.row.own[box], self.row.other[box], offset], 1)
        centre, half = ends.mean(2), (ends[..., 1] - ends[..., 0]) / 2
        tilt = self.row.tilt[box]
        rise = (
            np.einsum("ki,ki->k", tilt, centre[:, :2] - self.row.at[box])[:, None]
            + (tilt * half[:, :2]) @ VERTICES[:, :2].T
        )
        active = self.law[:, 1] + self.law[:, 3]
        bounds: Array = (row_bounds(centre, half, self.law) - rise[..., None] * active).min(1)
        return bounds

    def minima(self) -> Array:
        """(k, laws): least bound over the leaves of each box, inf where it has none."""
        leaf = self.child < 0
        least = np.full((len(self.row.own), len(self.law)), np.inf)
        np.minimum.at(least, self.box[leaf], self.bound[leaf])
        return least

    def split(self, need: Array) -> Array:
        """Bisect the leaves whose bound is below `need` (k, laws) while that can help; the boxes touched."""
        leaf = np.flatnonzero(self.child < 0)
        leaf = leaf[(self.bound[leaf] < need[self.box[leaf]]).any(1)]
        lo, hi = self.offset[leaf].T
        # The bound loses E (x1 da + x2 dt + db)² where the output is positive: no use in db far below the other two.
        own, other = self.row.own[self.box[leaf]], self.row.other[self.box[leaf]]
        floor = self.density * ((own[:, 1] - own[:, 0]) ** 2 + (other[:, 1] - other[:, 0]) ** 2) / 3
        mass = np.where(hi > 0, 1.0, min(1.0, 2 * self.density))
        leaf = leaf[mass * (hi - lo) ** 2 > floor]
        if not len(leaf):
            return np.empty(0, int)
        lo, hi = self.offset[leaf].T
        middle = (lo + hi) / 2
        self.child[leaf] = len(self.box) + 2 * np.arange(len(leaf))
        box = np.repeat(self.box[leaf], 2)
        offset = np.stack([lo, middle, middle, hi], 1).reshape(-1, 2)
        self.box = np.concatenate([self.box, box])
        self.offset = np.concatenate([self.offset, offset])
        self.bound = np.concatenate([self.bound, self._bounds(box, offset)])
        self.child = np.concatenate([self.child, np.full(len(box), -1)])
        touched: Array = np.unique(box)
        return touched

    def middles(self, count: int) -> Array:
        """(count,): an offset of each box, the middle of its leaf of least bound."""
        leaf = np.flatnonzero(self.child < 0)
        leaf = leaf[np.argsort(-self.bound[leaf].min(1), kind="stable")]
        out: Array = np.zeros(count)
        out[self.box[leaf]] = self.offset[leaf].mean(1)
        return out

    def log(self, node: int, goal: Array) -> str:
        """Partition below a node in preorder: b bisected, c a cell. No deeper than the goal asks."""
        child = int(self.child[node])
        if child < 0 or (self.bound[node] >= goal).all():
            return "c"
        return "b" + self.log(child, goal) + self.log(child + 1, goal)
