"""Three features in two dimensions: how they share them, in the exact optimum, in trained models and between four fixed models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._lab import Lab
from ..elhage2022._joint import exact_diagram, fixed_models, storage, thinned
from ._phases import plot_excess
from ._style import density_ticks, model_keys, new_figure, plot_models

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ...theory import GeometryDiagram

COLOURS = {
    "1 and 2": "#dfe6ee",
    "2 and 3": "#f3e3d3",
    "digon of 2 and 3": "#8fc1a9",
    "digon of 1 and 2": "#3b74b9",
    "joint": "#b3403a",
    "other": "#c77dba",
}
WORDS = {
    "1 and 2": "feature 3 ignored",
    "2 and 3": "one of 1, 2 ignored",
    "digon of 2 and 3": "digon of 3 with one of 1, 2; the other by itself",
    "digon of 1 and 2": "digon of 1 and 2; 3 by itself",
    "joint": "all three in joint superposition",
    "other": "other",
}


def plot_joint(ax: Axes, optimum: GeometryDiagram, trained: np.ndarray) -> list[Artist]:
    """How the exact optimum stores the features as areas, the best trained models as dots, boundaries of the fixed models as lines."""
    from matplotlib.colors import ListedColormap
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    names = list(COLOURS)
    p, r = optimum.density, optimum.importance
    exact = storage(optimum.weights)
    codes = np.array([[names.index(x) for x in row] for row in exact])
    artists: list[Artist] = [
        ax.pcolormesh(
            p,
            r,
            codes.T,
            cmap=ListedColormap(list(COLOURS.values())),
            vmin=-0.5,
            vmax=len(names) - 0.5,
            shading="nearest",
            rasterized=True,
        )
    ]
    density_ticks(ax)
    odd = trained != exact
    artists += plot_models(ax, p, r, [COLOURS[k] for k in trained.ravel()], odd)
    fine_p, fine_r = np.geomspace(p[0], p[-1], 400), np.geomspace(r[0], r[-1], 400)
    fixed, _ = fixed_models(fine_p, fine_r)
    for name in np.unique(fixed):
        artists.append(ax.contour(fine_p, fine_r, (fixed == name).T, levels=[0.5], colors="black", linewidths=1.6))
    shown = [k for k in names if k in exact or k in trained]
    keys: list[Artist] = [
        Patch(facecolor=COLOURS[k], edgecolor="#222222", linewidth=0.5, label=WORDS[k]) for k in shown
    ]
    keys += [
        Line2D([], [], color="black", lw=1.6, label="boundaries of the four fixed models"),
        *model_keys(odd, "stores otherwise than the optimum"),
    ]
    artists.append(ax.legend(handles=keys, loc="upper left", fontsize=8, framealpha=0.93))
    ax.set(yscale="log", xlabel="density p = 1 - sparsity", ylabel="importance of feature 3 (features 1 and 2: 1)")
    ax.set_xlim(p[0] * 0.9, p[-1] * 1.1)
    ax.set_ylim(r[0] * 0.9, r[-1] * 1.1)
    ax.set_title("Three features, two dimensions: exact optimum (areas) and trained models (dots)", fontsize=10)
    return artists


def draw_joint(lab: Lab | None = None) -> Figure:
    """`plot_joint` with its residuals beside it; the stored models of n = 3, m = 2 without a lab, a third of them per axis."""
    lab = lab or Lab("fast")
    p, r, weights, _, loss = thinned(lab.preset("phase-3-2"))
    optimum = exact_diagram(p, r)
    figure = new_figure(13, 5.4)
    left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
    plot_joint(left, optimum, storage(weights))
    plot_excess(right, p, r, loss / optimum.loss - 1)
    right.set_ylabel("importance of feature 3")
    return figure
