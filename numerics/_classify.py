"""Classified geometry: which features of a batch of models share dimensions, and which polytopes they form."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array

from ..theory import InputError, feature_dimensionality
from ..theory._checks import real_array

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

STORED = 0.5
"""A feature whose norm is at most this fraction of the model's largest is dropped."""
LINK = 0.3
"""Features with |cos| above this are never in different blocks. Noise and slow training leave less between orthogonal features (at low
density an obtuse angle costs the loss almost nothing); triangle, tetrahedron and polygons are linked by at least 1/3."""
SPANNED = 0.1
"""A direction is spanned by unit vectors with more than this sum of squared projections on it; of a tight frame it is k/d >= 1."""
LEAK = 0.25
"""Largest share of Σ_i Σ_j cos² of a block's features i that features j of other blocks have."""
REGULAR = 0.2
"""Largest sine of the angle between the Gram matrices of a named block and of its polytope, both of unit vectors: about half of the sines
at which shapes meet their neighbours, 0.36 (hexagon, heptagon short of a vertex), 0.38 (tetrahedron, triangle and a lone feature), 0.42
(pentagon, hexagon short of a vertex), 0.43 (square antiprism, cube). Noise of relative size ε costs √2 ε."""
ENTRIES = 4_000_000  # of the Gram matrices in memory at a time
LABELLINGS = 50_000
"""Partial labellings kept at most, so that no block takes for ever; under noise up to the tolerance fewer than 2,000 were met."""
POLYGONS = {5: "pentagon", 6: "hexagon", 7: "heptagon", 8: "octagon"}
SIMPLICES = {2: "digon", 3: "triangle", 4: "tetrahedron", 5: "5-cell"}
FIGURES = {
    (8, 3): "square antiprism",
    (10, 4): "rectified 5-cell",
    (12, 3): "icosahedron",
    (16, 5): "5-demicube",
    (27, 6): "2_21 polytope",
}
"""Each the lowest minimum found of the exact loss of n = k equal features in m = d dimensions, at some density between 0.01 and 0.2."""


class Block(NamedTuple):
    """Features that share `rank` dimensions with each other and with no others; symmetry_error is NaN where no polytope is named."""

    name: str
    features: tuple[int, ...]
    rank: int
    symmetry_error: float


@dataclass(frozen=True)
class Geometries:
    """Blocks of a batch of models, each fact of a block at every one of its features.

    block, size, rank, name, symmetry_error (..., n): index of the feature's block in its model, by first feature; how many features and
    dimensions it has; its name; how far it is from its polytope. A dropped feature has -1, 0, 0, 'dropped' and NaN.
    dimensionality (..., n): D_i of `feature_dimensionality`. words (...): e.g. '2 digons, 1 dropped'.
    """

    block: Int[Array, "*models n"]
    size: Int[Array, "*models n"]
    rank: Int[Array, "*models n"]
    name: Array
    symmetry_error: Float[Array, "*models n"]
    dimensionality: Float[Array, "*models n"]
    words: Array

    def blocks(self, *model: int) -> tuple[Block, ...]:
        """The blocks of one model, in the order of their first features; the indices of the model, none for a single one."""
        block = self.block[model]
        if block.ndim != 1:
            raise InputError(f"model must be {self.block.ndim - 1} indices for models {self.words.shape}, got {model}")
        members = [np.flatnonzero(block == b) for b in range(block.max() + 1)]
        name, rank, error = self.name[model], self.rank[model], self.symmetry_error[model]
        return tuple(Block(name[f[0]], tuple(f.tolist()), int(rank[f[0]]), float(error[f[0]])) for f in members)

    def count(self, name: str) -> Int[Array, "*models"]:
        """Number of blocks of this name in each model, or of features that are 'dropped'.

        >>> classify_geometry([[[1.0, -1.0, 0.0], [0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]).count("dedicated").tolist()
        [1, 2]
        """
        share = np.where(self.name == name, 1 / np.maximum(self.size, 1), 0.0)
        count: Int[Array, "*models"] = np.rint(share.sum(-1)).astype(int)
        return count


def classify_geometry(weights: ArrayLike) -> Geometries:
    """Blocks, polytope names, dimensionalities and symmetry errors of a batch of models.

    weights (..., m, n). A feature is dropped when its norm is at most half the model's largest. The others fall into blocks, classes in
    nearly orthogonal subspaces: the irreducible factors of a tegum product (a square is two digons). With Ŵ_i = W_i/|W_i|:

    - Features with |cos(W_i, W_j)| > 0.3 are in one block. The classes so found are the blocks if their ranks add up to that of all and
      none leaks: of Σ_i Σ_j cos² over features i of a block and all j, at most 1/4 comes from the others. Otherwise some classes belong
      together in spite of small cosines, as the vertices of a large simplex do, and the model is cut in two, and again: at the weakest
      link of its maximum spanning tree of |cos| across which neither part leaks, and either ranks add up or both parts have more features
      than dimensions, being packings of their own. Rank counts the directions v on which Σ_i (Ŵ_i·v)² > 0.1.
    - k features of rank d are named if a vertex-transitive irreducible polytope with k vertices in d dimensions is known here and its
      Gram matrix P is near that of the Ŵ_i: E = min_π,s ‖G - s P_π‖ / ‖G‖ <= 0.2, over all relabellings and scales: the sine of the
      angle between the matrices. Names: dedicated (1, 1), simplices (k, k-1) from the digon, polygons (k, 2) from the pentagon, square
      antiprism (8, 3) of any height near 1/√3, rectified 5-cell (10, 4), icosahedron (12, 3), 5-demicube (16, 5), 2_21 polytope (27, 6);
      else '(k, d) block', as for parallel features, (2, 1).
    - symmetry_error is the same E, with the same relabelling, of the Gram matrix of the W_i themselves, so it counts unequal norms too,
      which never cost a block its name.

    A model's result does not depend on the others'; it is invariant under rotation and scaling, and permuted with the features. The
    relabelling is the best by bounded exhaustion for the figures, by order of the angles for polygons (the best one within the tolerance).

    Speed on one core: 4,096 models of n = 5, m = 2 in 0.2 s, of n = 10, m = 4 in 0.5 s, one of n = 400, m = 30 in 10 ms, or 0.1 s where
    it has to be cut; a figure costs 1 ms, the 2_21 polytope 0.2 s. At noise of 10 % of the weights every planted block of 12 shapes is
    found and named, at 15 % 97 %: `benchmarks/geometry_confusion.py`.
    Grade NUMERIC: names are by tolerance. Source of the blocks: Elhage et al. 2022. Raises InputError.

    >>> found = classify_geometry([[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
    >>> str(found.words), found.block.tolist(), found.dimensionality.tolist()
    ('1 dedicated, 1 digon, 1 dropped', [0, 0, 1, -1], [0.5, 0.5, 1.0, 0.0])
    >>> found.blocks()[0]
    Block(name='digon', features=(0, 1), rank=1, symmetry_error=0.0)
    """
    w = real_array("weights", weights)
    if w.ndim < 2 or 0 in w.shape[-2:]:
        raise InputError(f"weights must have shape (..., m, n) with m, n >= 1, got {w.shape}")
    *batch, m, n = w.shape
    models = w.reshape(-1, m, n)
    shape = (len(models), n)
    block, size, rank = np.full(shape, -1), np.zeros(shape, int), np.zeros(shape, int)
    name, error, words = np.full(shape, "dropped", object), np.full(shape, np.nan), np.full(len(models), "", object)
    step = max(1, ENTRIES // (n * max(m, n)))
    for first in range(0, len(models), step):
        part = slice(first, first + step)
        block[part] = _classify(models[part], size[part], rank[part], name[part], error[part])
        words[part] = _words(name[part], size[part])
    per_feature = (*batch, n)
    return Geometries(
        block.reshape(per_feature),
        size.reshape(per_feature),
        rank.reshape(per_feature),
        name.reshape(per_feature),
        error.reshape(per_feature),
        feature_dimensionality(w),
        words.reshape(batch),
    )


def _classify(w: Array, size: Array, rank: Array, name: Array, error: Array) -> Int[Array, "models n"]:
    """Fill in what is known of every feature's block; the indices of the blocks."""
    largest = np.abs(w).max((1, 2), keepdims=True)
    w = w / np.where(largest == 0, 1.0, largest)
    norm = np.linalg.norm(w, axis=1)
    kept = norm > STORED * norm.max(1, keepdims=True)
    unit = np.where(kept[:, None], w / np.where(kept, norm, 1.0)[:, None], 0.0)
    root = _components(unit, kept)
    for one in np.flatnonzero(_doubtful(unit, root)).tolist():
        for part in _split(unit[one], np.flatnonzero(kept[one])):
            root[one, part] = part.min()
    for model, features in _by_size(root):
        at = model[:, None], features
        size[at] = features.shape[1]
        vectors = _columns(unit, model, features)
        names, ranks, copies = _named(vectors)
        rank[at], name[at] = ranks[:, None], names[:, None]
        gram = np.swapaxes(v := vectors * norm[at][:, None], 1, 2) @ v
        error[at] = _sine(gram, copies)[:, None]
    # Numbered by first feature: the roots of a model in increasing order.
    is_root = root == np.arange(root.shape[1])
    return np.where(root >= 0, np.take_along_axis(is_root.cumsum(1) - 1, np.maximum(root, 0), 1), -1)


def _components(unit: Float[Array, "models m n"], kept: Bool[Array, "models n"]) -> Int[Array, "models n"]:
    """Smallest feature of every feature's component under |cos| > LINK; -1 for the dropped."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    models, n = kept.shape
    linked = np.abs(np.swapaxes(unit, 1, 2) @ unit) > LINK
    model, i, j = np.nonzero(linked)
    graph = coo_array((np.ones(len(model), bool), (model * n + i, model * n + j)), (models * n, models * n))
    label = connected_components(graph, directed=False)[1]
    _, first, inverse = np.unique(label, return_index=True, return_inverse=True)
    return np.where(kept, first[inverse].reshape(models, n) % n, -1)


def _doubtful(unit: Float[Array, "models m n"], root: Int[Array, "models n"]) -> Bool[Array, " models"]:
    """Whether the components overlap: their ranks add up to more than the rank of all, or one leaks."""
    total, leaks = np.zeros(len(unit), int), np.zeros(len(unit), bool)
    every = ((np.swapaxes(unit, 1, 2) @ unit) ** 2).sum(2)
    for model, features in _by_size(root):
        vectors = _columns(unit, model, features)
        within = ((np.swapaxes(vectors, 1, 2) @ vectors) ** 2).sum((1, 2))
        np.add.at(total, model, _rank(vectors))
        np.logical_or.at(leaks, model, within < (1 - LEAK) * every[model[:, None], features].sum(1))
    doubtful: Bool[Array, " models"] = leaks | (total > _rank(unit))
    return doubtful


def _by_size(root: Int[Array, "models n"]) -> list[tuple[Int[Array, " b"], Int[Array, "b k"]]]:
    """Models and features of the blocks with k features, for every k."""
    n = root.shape[1]
    model, feature = np.nonzero(root >= 0)
    key = model * n + root[model, feature]
    order = np.argsort(key, kind="stable")
    start, count = np.unique(key[order], return_index=True, return_counts=True)[1:]
    out = []
    for k in np.unique(count):
        places = order[start[count == k][:, None] + np.arange(k)]
        out.append((model[places[:, 0]], feature[places]))
    return out


def _columns(unit: Float[Array, "models m n"], model: Int[Array, " b"], features: Int[Array, "b k"]) -> Array:
    """Vectors of the blocks, (b, m, k)."""
    return np.swapaxes(unit[model[:, None], :, features], 1, 2)


def _rank(vectors: Float[Array, "*b m k"]) -> Int[Array, "*b"]:
    """Number of squared singular values above SPANNED."""
    transposed = np.swapaxes(vectors, -1, -2)
    small = vectors @ transposed if vectors.shape[-2] < vectors.shape[-1] else transposed @ vectors
    rank: Int[Array, "*b"] = (np.linalg.eigvalsh(small) > SPANNED).sum(-1)
    return rank


def _split(unit: Float[Array, "m n"], features: Int[Array, " k"]) -> list[Int[Array, " _"]]:
    """Parts of a set of features, each cut of its tree of strongest links at the weakest link where it can be."""
    from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

    vectors = unit[:, features]
    cosines = vectors.T @ vectors
    k = len(features)
    # A simplex is at a sine of more than √2/k from a smaller one and a lone feature; nearer than half of that it is whole.
    if int(_rank(vectors)) == k - 1 and _sine(cosines[None], _aligned(cosines[None], k - 1))[0] < 1 / (2**0.5 * k):
        return [features]
    square = cosines**2
    # The offset keeps links of |cos| = 1 from reading as absent.
    tree = minimum_spanning_tree(2 - square).toarray()
    for i, j in sorted(zip(*np.nonzero(tree >= 2 - LINK**2), strict=True), key=lambda link: -tree[link]):
        rest = tree.copy()
        rest[i, j] = 0
        side = connected_components(rest, directed=False)[1] == 0
        if _separate(vectors, square, side):
            return _split(unit, features[side]) + _split(unit, features[~side])
    return [features]


def _separate(vectors: Float[Array, "m k"], square: Float[Array, "k k"], side: Bool[Array, " k"]) -> bool:
    """Whether two sets do not leak into each other, and either have dimensions of their own or both have more features than those."""
    across = square[np.ix_(side, ~side)].sum()
    if across * (1 - LEAK) > LEAK * min(square[np.ix_(s, s)].sum() for s in (side, ~side)):
        return False
    one, two = int(_rank(vectors[:, side])), int(_rank(vectors[:, ~side]))
    crowded = one < side.sum() and two < (~side).sum()
    return crowded or one + two <= int(_rank(vectors))


def _named(vectors: Float[Array, "b m k"]) -> tuple[Array, Int[Array, " b"], Float[Array, "b k k"]]:
    """Names and ranks of blocks of k unit vectors, and the Gram matrices of the polytopes so named (NaN elsewhere)."""
    rank, k = _rank(vectors), vectors.shape[2]
    cosines = np.swapaxes(vectors, 1, 2) @ vectors
    names, copies = np.full(len(vectors), "", object), np.full(cosines.shape, np.nan)
    for d in np.unique(rank):
        at = np.flatnonzero(rank == d)
        name = _shape(k, int(d))
        if name is not None:
            copy = _aligned(cosines[at], int(d))
            good = _sine(cosines[at], copy) <= REGULAR
            names[at[good]], copies[at[good]] = name, copy[good]
            at = at[~good]
        names[at] = f"({k}, {d}) block"
    return names, rank, copies


def _shape(k: int, d: int) -> str | None:
    """Name of the irreducible polytope with k vertices in d dimensions."""
    if (k, d) == (1, 1):
        return "dedicated"
    if k == d + 1:
        return SIMPLICES.get(k, f"{d}-simplex")
    if d == 2 and k >= 5:
        return POLYGONS.get(k, f"{k}-gon")
    return FIGURES.get((k, d))


def _aligned(cosines: Float[Array, "b k k"], d: int) -> Float[Array, "b k k"]:
    """Gram matrix of the polytope with k vertices in d dimensions, in the labelling nearest to each block; NaN if none is near."""
    k = cosines.shape[1]
    if k <= d + 1:
        return np.broadcast_to((k * np.eye(k) - 1) / max(k - 1, 1) if k > 1 else np.ones((1, 1)), cosines.shape)
    if d == 2:
        value, vector = np.linalg.eigh(cosines)
        x, y = np.moveaxis(vector[..., -2:] * np.sqrt(np.maximum(value[:, None, -2:], 0)), -1, 0)
        place = np.arctan2(y, x).argsort(1).argsort(1)
        polygon: Float[Array, "b k k"] = np.cos(2 * np.pi / k * (place[:, :, None] - place[:, None, :]))
        return polygon
    parts = _figure(k)
    copies = np.full(cosines.shape, np.nan)
    for b, block in enumerate(cosines):
        places = _places(block, sum(parts[1:], parts[0]))
        if places is not None:
            fitted = [part[np.ix_(places, places)] for part in parts]
            copies[b] = sum((block * part).sum() / (part**2).sum() * part for part in fitted)
    return copies


@cache
def _figure(k: int) -> tuple[Float[Array, "k k"], ...]:
    """Gram matrix of the unit vertices of the figure with k vertices, as a sum of orthogonal parts that may have any scales.

    Those of the square antiprism are its plane and its axis: its height is free. The others have one part.
    """
    if k == 8:
        turn = np.pi * np.array([0, 2, 4, 6, 1, 3, 5, 7]) / 4
        side = np.repeat([1.0, -1.0], 4)
        return 2 / 3 * np.cos(turn[:, None] - turn), np.outer(side, side) / 3
    pairs = np.array([[p in (i, j) for p in range(6)] for i in range(6) for j in range(i)], dtype=float)
    if k == 27:
        # The 27 lines (degree; multiplicities) on a cubic surface: two that meet have cosine -1/2, two that do not 1/4.
        one, two = np.ones((6, 1)), np.eye(6)
        lines = np.block([[0 * one, -two], [np.ones((15, 1)), pairs], [2 * one, 1 - two]])
        meet = lines[:, :1] * lines[:, 0] - lines[:, 1:] @ lines[:, 1:].T
        return ((1 - 3 * meet) / 4,)
    if k == 10:  # midpoints of the edges of a 5-cell
        vertices = pairs[:10, :5] - 0.4
    elif k == 12:
        golden = (1 + 5**0.5) / 2
        quarter = np.array([[0, x, y] for x in (1, -1) for y in (golden, -golden)])
        vertices = np.concatenate([np.roll(quarter, i, 1) for i in range(3)])
    else:  # vertices of a cube with an even number of coordinates -1
        corners = np.array(list(product((1.0, -1.0), repeat=5)))
        vertices = corners[corners.prod(1) > 0]
    return (vertices @ vertices.T / (vertices[0] ** 2).sum(),)


def _places(cosines: Float[Array, "k k"], figure: Float[Array, "k k"]) -> Int[Array, " k"] | None:
    """Vertex of the figure for each feature, such that the cosines agree best; None if that is not within the tolerance.

    Places are given to one feature after the other; the partial labellings are kept whose excess, of squared distance over that to the
    nearest entries of the figure, is not yet too much: at first little is allowed, which under noise is enough, then what the tolerance
    leaves. The first feature takes the first place: the figure's symmetries move it to any.
    """
    k = len(figure)
    one, two = np.linalg.norm(cosines), np.linalg.norm(figure)
    # sine <= REGULAR means <G, P> >= sqrt(1 - REGULAR²) |G| |P|; every pair is counted once.
    most = (one**2 + two**2 - 2 * np.sqrt(1 - REGULAR**2) * one * two) / 2
    # By the rearrangement inequality no labelling is nearer than the sorted entries.
    if ((np.sort(cosines, None) - np.sort(figure, None)) ** 2).sum() > 2 * most:
        return None
    nearest = ((cosines[:, :, None] - np.unique(figure.round(12))) ** 2).min(2)
    spare = most - np.triu(nearest, 1).sum()
    for allowed in spare / np.array([64, 8, 1]):
        places, excess = np.zeros((1, 1), int), np.zeros(1)
        for i in range(1, k):
            total = excess[:, None] - nearest[i, :i].sum() + ((cosines[i, :i, None] - figure[places]) ** 2).sum(1)
            np.put_along_axis(total, places, np.inf, 1)
            row, place = np.nonzero(total <= allowed + 1e-9)
            places, excess = np.column_stack([places[row], place]), total[row, place]
            if len(places) > LABELLINGS:
                best = np.argpartition(excess, LABELLINGS)[:LABELLINGS]
                places, excess = places[best], excess[best]
        if len(excess):
            labelling: Int[Array, " k"] = places[excess.argmin()]
            return labelling
    return None


def _sine(gram: Float[Array, "b k k"], other: Float[Array, "b k k"]) -> Float[Array, " b"]:
    """Sine of the angle between matrices: the relative distance of the first from the multiples of the second."""
    scale = (gram * other).sum((1, 2)) / (other**2).sum((1, 2))
    sine: Float[Array, " b"] = np.linalg.norm(gram - scale[:, None, None] * other, axis=(1, 2)) / np.linalg.norm(
        gram, axis=(1, 2)
    )
    return sine


def _words(name: Array, size: Int[Array, "models n"]) -> Array:
    """E.g. '2 digons, 1 dropped'; equal models are put into words once."""
    kinds, key = np.unique(name.astype(str), return_inverse=True)
    rows, inverse = np.unique(np.sort(key.reshape(name.shape), 1), axis=0, return_inverse=True)
    sizes: dict[Any, int] = {str(a): int(b) for a, b in zip(name.flat, size.flat, strict=True)}
    words = []
    for row in rows:
        values, counts = np.unique(row, return_counts=True)
        found = [
            (sizes[kind], kind, count) for kind, count in zip(kinds[values].tolist(), counts.tolist(), strict=True)
        ]
        blocks = [(count // k, kind) for k, kind, count in sorted(found) if k]
        parts = [f"{c} {kind}{'s' if c > 1 and kind != 'dedicated' else ''}" for c, kind in blocks]
        words.append(", ".join(parts + [f"{count} dropped" for k, _, count in found if not k]))
    out = np.array(words, object)[inverse.reshape(-1)]
    return out
