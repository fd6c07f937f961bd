"""Shapes: the polytope that the unit vectors of a block form, up to rotation.

k vectors of rank d are named if a vertex-transitive irreducible polytope with k vertices in d dimensions is known here and its Gram matrix
P is near that of the vectors, G: E = min_π,s ‖G - s P_π‖ / ‖G‖ <= REGULAR, over all relabellings π and scales s: the sine of the angle
between the matrices. Known are 'dedicated' (1, 1), simplices (k, k-1) from the digon, polygons (k, 2) from the pentagon, and FIGURES, the
square antiprism of any height near 1/√3. Any others are a '(k, d) block', as parallel vectors, (2, 1).

The relabelling is the best by bounded exhaustion for figures, by order of the angles for polygons (the best one within the tolerance).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray as Array

REGULAR = 0.2
"""About half of the sines at which shapes meet their neighbours, 0.36 (hexagon, heptagon short of a vertex), 0.38 (tetrahedron, triangle
and a lone feature), 0.42 (pentagon, hexagon short of a vertex), 0.43 (square antiprism, cube). Noise of relative size ε costs √2 ε."""
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


def name_shapes(cosines: Float[Array, "b k k"], rank: Int[Array, " b"]) -> tuple[Array, Float[Array, "b k k"]]:
    """Names of blocks of k unit vectors, and the Gram matrices of the polytopes so named (NaN elsewhere)."""
    k = cosines.shape[1]
    names, copies = np.full(len(cosines), "", object), np.full(cosines.shape, np.nan)
    for d in sorted(set(rank.tolist())):
        at = np.flatnonzero(rank == d)
        name = _shape(k, d)
        if name is not None:
            copy = _aligned(cosines[at], d)
            good = sine(cosines[at], copy) <= REGULAR
            names[at[good]], copies[at[good]] = name, copy[good]
            at = at[~good]
        names[at] = f"({k}, {d}) block"
    return names, copies


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
        return np.broadcast_to(simplex(k), cosines.shape)
    if d == 2:
        value, vector = np.linalg.eigh(cosines)
        x, y = (vector[..., i] * np.sqrt(value[:, i, None]) for i in (-1, -2))
        place = np.arctan2(y, x).argsort(1).argsort(1)
        polygon: Float[Array, "b k k"] = np.cos(2 * np.pi / k * (place[:, :, None] - place[:, None, :]))
        return polygon
    parts = _figure(FIGURES[k, d])
    copies = np.full(cosines.shape, np.nan)
    for b, block in enumerate(cosines):
        places = _places(block, sum(parts[1:], parts[0]))
        if places is not None:
            fitted = [part[np.ix_(places, places)] for part in parts]
            copies[b] = sum((block * part).sum() / (part**2).sum() * part for part in fitted)
    return copies


@cache
def simplex(k: int) -> Float[Array, "k k"]:
    """Gram matrix of a regular simplex of k unit vectors."""
    return (k * np.eye(k) - 1) / (k - 1) if k > 1 else np.ones((1, 1))


@cache
def _figure(name: str) -> tuple[Float[Array, "k k"], ...]:
    """Gram matrix of the unit vertices of a figure, as a sum of orthogonal parts that may have any scales.

    Those of the square antiprism are its plane and its axis: its height is free. The others have one part.
    """
    from ._polytopes import polytope

    vertices = np.array(polytope(name).evalf(), dtype=float)
    parts = (vertices[:2], vertices[2:]) if name == "square antiprism" else (vertices,)
    return tuple(part.T @ part for part in parts)


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


def sine(gram: Float[Array, "b k k"], other: Float[Array, "b k k"]) -> Float[Array, " b"]:
    """Sine of the angle between matrices: the relative distance of the first from the multiples of the second."""
    scale = (gram * other).sum((1, 2)) / (other * other).sum((1, 2))
    off = gram - scale[:, None, None] * other
    found: Float[Array, " b"] = np.sqrt((off * off).sum((1, 2)) / (gram * gram).sum((1, 2)))
    return found
