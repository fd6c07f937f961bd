"""Blocks: which features of a model share dimensions with each other and with no others.

The one definition, for weights (..., m, n) with unit columns Ŵ_i = W_i/|W_i|; rotation and scaling change nothing.

- A feature is dropped when its norm is at most STORED times the model's largest.
- The others fall into blocks, classes in nearly orthogonal subspaces: the irreducible factors of a tegum product (a square is two digons).
  Features with |cos(W_i, W_j)| > LINK are in one block. The classes so found are the blocks if their ranks add up to that of all and none
  leaks: of Σ_i Σ_j cos² over features i of a block and all j, at most the share LEAK comes from the others. Rank counts the directions v
  on which Σ_i (Ŵ_i·v)² > SPANNED.
- Otherwise some classes belong together in spite of small cosines, as the vertices of a large simplex do, and the model is cut in two, and
  again: at the weakest link of its maximum spanning tree of |cos| across which neither part leaks, and either ranks add up or both parts
  have more features than dimensions, being packings of their own; unless the whole is a simplex that they are no better a picture of.
- A block has the name of the polytope that its unit vectors form (`_shapes`), and its symmetry error is that of the vectors W_i themselves.

Source of the blocks: Elhage et al. 2022. The tolerances are chosen, nothing is proved.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array

from ._shapes import REGULAR, name_shapes, simplex, sine

STORED = 0.5
"""As a fraction of the largest norm."""
LINK = 0.3
"""Noise and slow training leave less between orthogonal features (at low density an obtuse angle costs the loss almost nothing); triangle,
tetrahedron and polygons are linked by at least 1/3."""
SPANNED = 0.1
"""Of a tight frame the sum of squared projections is k/d >= 1 in every direction."""
LEAK = 0.25


class Blocks(NamedTuple):
    """Facts of a batch of models, those of a block at every one of its features: index in its model by first feature, number of features,
    rank, name, symmetry error (NaN without a polytope). A dropped feature has -1, 0, 0, 'dropped' and NaN."""

    block: Int[Array, "models n"]
    size: Int[Array, "models n"]
    rank: Int[Array, "models n"]
    name: Array
    symmetry_error: Float[Array, "models n"]


def find_blocks(w: Float[Array, "models m n"]) -> Blocks:
    """Blocks of a batch of models; no model depends on the others.

    >>> found = find_blocks(np.array([[[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]]))
    >>> found.block.tolist(), found.name.tolist()
    ([[0, 0, 1, -1]], [['digon', 'digon', 'dedicated', 'dropped']])
    """
    largest = np.abs(w).max((1, 2), keepdims=True)
    w = w / np.where(largest == 0, 1.0, largest)
    norm = np.sqrt((w * w).sum(1))
    kept = norm > STORED * norm.max(1, keepdims=True)
    unit = np.where(kept[:, None], w / np.where(kept, norm, 1.0)[:, None], 0.0)
    gram = _gram(unit)
    root = np.where(kept, _roots(np.abs(gram) > LINK), -1)
    groups = _by_size(unit, gram, root)
    doubtful = np.flatnonzero(_overlapping(unit, gram, groups)).tolist()
    for one in doubtful:
        for part in _split(unit[one], np.flatnonzero(kept[one])):
            root[one, part] = part.min()
    size, rank = np.zeros((2, *root.shape), int)
    name, error = np.full(root.shape, "dropped", object), np.full(root.shape, np.nan)
    for model, features, cosines, ranks in _by_size(unit, gram, root) if doubtful else groups:
        at = model[:, None], features
        names, copies = name_shapes(cosines, ranks)
        size[at], rank[at], name[at] = features.shape[1], ranks[:, None], names[:, None]
        error[at] = sine(cosines * norm[at][:, :, None] * norm[at][:, None, :], copies)[:, None]
    # Numbered by first feature: the roots of a model in increasing order.
    number = (root == np.arange(root.shape[1])).cumsum(1) - 1
    block = np.where(root >= 0, np.take_along_axis(number, np.maximum(root, 0), 1), -1)
    return Blocks(block, size, rank, name, error)


def put_in_words(found: Blocks) -> list[str]:
    """One text a model, by number of features, e.g. '1 dedicated, 2 digons, 1 dropped'; equal models are put into words once."""
    known: dict[tuple[tuple[int, str], ...], str] = {}
    out = []
    for sizes, names in zip(found.size.tolist(), found.name.tolist(), strict=True):
        key = tuple(sorted(zip(sizes, names, strict=True)))
        if key not in known:
            counts = Counter(key)
            blocks = [(count // size, name) for (size, name), count in counts.items() if size]
            words = [f"{c} {name if c == 1 else _plural(name)}" for c, name in blocks]
            known[key] = ", ".join(words + [f"{count} dropped" for (size, _), count in counts.items() if not size])
        out.append(known[key])
    return out


def _plural(name: str) -> str:
    return name if name == "dedicated" else name.replace("simplex", "simplice") + "s"


def _gram(vectors: Float[Array, "*b m k"]) -> Float[Array, "*b k k"]:
    gram: Float[Array, "*b k k"] = np.swapaxes(vectors, -1, -2) @ vectors
    return gram


def _roots(linked: Bool[Array, "*b n n"]) -> Int[Array, "*b n"]:
    """Smallest member of everyone's component: all take the least root among their links until none changes."""
    n = linked.shape[-1]
    root = np.broadcast_to(np.arange(n), linked.shape[:-1])
    while True:
        least: Int[Array, "*b n"] = np.minimum(np.where(linked, root[..., None, :], n).min(-1), root)
        if np.array_equal(least, root):
            return least
        root = np.take_along_axis(least, least, -1)


class _Group(NamedTuple):
    """The blocks of k features in a batch."""

    model: Int[Array, " b"]
    features: Int[Array, "b k"]
    cosines: Float[Array, "b k k"]
    rank: Int[Array, " b"]


def _by_size(
    unit: Float[Array, "models m n"], gram: Float[Array, "models n n"], root: Int[Array, "models n"]
) -> list[_Group]:
    """The blocks, those of equal size together."""
    n = root.shape[1]
    model, feature = np.nonzero(root >= 0)
    key = model * n + root[model, feature]
    order = np.argsort(key, kind="stable")
    count = np.bincount(key)
    count = count[count > 0]
    start = count.cumsum() - count
    groups = []
    for k in sorted(set(count.tolist())):
        places = order[start[count == k][:, None] + np.arange(k)]
        models, features = model[places[:, 0]], feature[places]
        cosines = gram[models[:, None, None], features[:, :, None], features[:, None, :]]
        vectors = np.swapaxes(unit[models[:, None], :, features], 1, 2)
        groups.append(_Group(models, features, cosines, _rank(vectors)))
    return groups


def _overlapping(
    unit: Float[Array, "models m n"], gram: Float[Array, "models n n"], groups: list[_Group]
) -> Bool[Array, " models"]:
    """Whether the ranks of the blocks of a model add up to more than the rank of all, or one leaks."""
    total, leaks = np.zeros(len(unit)), np.zeros(len(unit), bool)
    every = (gram * gram).sum(2)
    for model, features, cosines, rank in groups:
        total += np.bincount(model, rank, len(unit))
        within = (cosines * cosines).sum((1, 2))
        leaks[model[within < (1 - LEAK) * every[model[:, None], features].sum(1)]] = True
    overlapping: Bool[Array, " models"] = leaks | (total > _rank(unit))
    return overlapping


def _rank(vectors: Float[Array, "*b m k"]) -> Int[Array, "*b"]:
    """Number of squared singular values above SPANNED."""
    tall = vectors if vectors.shape[-2] >= vectors.shape[-1] else np.swapaxes(vectors, -1, -2)
    rank: Int[Array, "*b"] = (np.linalg.eigvalsh(_gram(tall)) > SPANNED).sum(-1)
    return rank


def _split(unit: Float[Array, "m n"], features: Int[Array, " k"]) -> list[Int[Array, " _"]]:
    """Parts of a set of features, each cut of its tree of strongest links at the weakest link where it can be."""
    from scipy.sparse.csgraph import minimum_spanning_tree

    vectors = unit[:, features]
    cosines = _gram(vectors)
    k = len(features)
    # A simplex is at a sine of more than √2/k from a smaller one and a lone feature; nearer than half of that it is whole.
    whole = sine(cosines[None], simplex(k)[None])[0] if int(_rank(vectors)) == k - 1 else np.inf
    if whole < 1 / (2**0.5 * k):
        return [features]
    square = cosines**2
    # The offset keeps links of |cos| = 1 from reading as absent.
    tree = minimum_spanning_tree(2 - square).toarray()
    for i, j in sorted(zip(*np.nonzero(tree >= 2 - LINK**2), strict=True), key=lambda link: -tree[link]):
        rest = tree + tree.T > 0
        rest[i, j] = rest[j, i] = False
        side = _roots(rest) == 0
        if _separate(vectors, square, side):
            parts = _split(unit, features[side]) + _split(unit, features[~side])
            # With noise, a simplex whose parts are no better a picture of it is whole too.
            return [features] if whole <= min(REGULAR, _apart(unit, features, parts)) else parts
    return [features]


def _apart(unit: Float[Array, "m n"], features: Int[Array, " k"], parts: list[Int[Array, " _"]]) -> float:
    """Sine between the cosines of features and those of their parts, each a simplex where it has the rank of one, with nothing across."""
    ideal = np.zeros((len(features), len(features)))
    for part in parts:
        vectors, places = unit[:, part], np.searchsorted(features, part)
        regular = int(_rank(vectors)) == len(part) - 1
        ideal[np.ix_(places, places)] = simplex(len(part)) if regular else _gram(vectors)
    return float(sine(_gram(unit[:, features])[None], ideal[None])[0])


def _separate(vectors: Float[Array, "m k"], square: Float[Array, "k k"], side: Bool[Array, " k"]) -> bool:
    """Whether two sets do not leak into each other, and either have dimensions of their own or both have more features than those."""
    across = square[np.ix_(side, ~side)].sum()
    if across * (1 - LEAK) > LEAK * min(square[np.ix_(s, s)].sum() for s in (side, ~side)):
        return False
    one, two = int(_rank(vectors[:, side])), int(_rank(vectors[:, ~side]))
    crowded = one < side.sum() and two < (~side).sum()
    return crowded or one + two <= int(_rank(vectors))
