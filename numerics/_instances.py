"""Instances: the leading axes of features, one more for replicas, flattened, and some of them."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

import numpy as np
from numpy import ndarray as Array

if TYPE_CHECKING:
    from ..theory import Features


def add_axis(features: Features) -> Features:
    """Features (..., 1, n): one more axis, for replicas."""
    more = copy(features)
    more.density, more.importance = features.density[..., None, :], features.importance[..., None, :]
    return more


def flatten(features: Features, shape: tuple[int, ...]) -> Features:
    """Features (k, n) of the k instances that these leading axes have."""
    flat = copy(features)
    flat.density, flat.importance = (
        np.ascontiguousarray(np.broadcast_to(a, (*shape, features.n)).reshape(-1, features.n))
        for a in (features.density, features.importance)
    )
    return flat


def take(features: Features, part: slice | Array | int) -> Features:
    """Some of the instances of features (k, n)."""
    out = copy(features)
    out.density, out.importance = features.density[part], features.importance[part]
    return out
