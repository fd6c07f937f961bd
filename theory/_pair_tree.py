"""Pair tree: boxes bisected until each of them is proved, and the log that `_pair_check` replays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy import ndarray as Array

if TYPE_CHECKING:
    from collections.abc import Callable

# Width below which boxes are given up.
SMALLEST = 2.0**-16
# Boxes handled at once.
BATCH = 1500


class RefutedError(Exception):
    """A model contradicts the claim."""


def prove_tree(
    root: Array, attempt: Callable[[Array], list[str | None]], costs: Callable[[Array], Array], limit: int
) -> str | None:
    """Bisect boxes (d, 2) along their costliest axis until `attempt` logs each; the tree in preorder, an x or y per bisection.

    None if a model refutes the claim, a box gets too small, or there are more than `limit`.
    """
    boxes, log, child, todo = [root], [""], [-1], [0]
    while todo:
        which, todo = todo[-BATCH:], todo[:-BATCH]
        batch = np.array([boxes[i] for i in which])
        try:
            logs = attempt(batch)
        except RefutedError:
            return None
        axes = costs(batch).argmax(1)
        for i, found, axis in zip(which, logs, axes, strict=True):
            if found is not None:
                log[i] = found
                continue
            if len(boxes) > limit or boxes[i][axis, 1] - boxes[i][axis, 0] < SMALLEST:
                return None
            halves = np.repeat(boxes[i][None], 2, 0)
            halves[0, axis, 1] = halves[1, axis, 0] = boxes[i][axis].mean()
            log[i], child[i] = "xy"[axis], len(boxes)
            todo += [len(boxes), len(boxes) + 1]
            boxes += list(halves)
            log += ["", ""]
            child += [-1, -1]
    order, stack = [], [0]
    while stack:
        i = stack.pop()
        order.append(log[i])
        if child[i] >= 0:
            stack += [child[i] + 1, child[i]]
    return "".join(order)
