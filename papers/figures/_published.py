"""Two features in one dimension by the published recipe: stored models of a fine grid beside the exact optimum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...theory import pair_phase, phase_boundary
from .._lab import Lab
from ._phases import plot_excess
from ._style import COLOURS, WORDS, density_ticks, new_figure

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# A run has arrived when its exact loss is within this of the optimum.
ARRIVED = 0.02


def draw_published_phases(lab: Lab | None = None) -> Figure:
    """State of the best model per cell, share of models that arrive at the optimum, and excess of the best: stored preset phase-2-1."""
    from matplotlib.colors import ListedColormap
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    lab = lab or Lab("fast")
    cells, losses = lab.published_pair_cells, lab.preset("phase-2-1").data["loss"]
    p, weight, optimum = cells.theory.density, cells.theory.importance, cells.theory.loss
    labels = pair_phase(cells.weights, resolution=0.1)
    names = [name for name in COLOURS if name in labels]
    codes = np.select([labels == name for name in names], range(len(names)))
    arrived = (losses <= (1 + ARRIVED) * optimum[..., None]).mean(-1)
    figure = new_figure(16, 5.2)
    left, middle, right = figure.subplots(1, 3, sharey=True)
    colours = ListedColormap([COLOURS[name] for name in names])
    left.pcolormesh(
        p, weight, codes.T, cmap=colours, vmin=-0.5, vmax=len(names) - 0.5, shading="nearest", rasterized=True
    )
    keys: list[Artist] = [
        Patch(facecolor=COLOURS[k], edgecolor="#222222", linewidth=0.5, label=WORDS[k]) for k in names
    ]
    keys += [
        Line2D([], [], color="black", lw=1.6, label="boundary of the exact optimum"),
        Line2D([], [], color="black", lw=1, ls=":", label="ends of its hysteresis"),
    ]
    left.legend(handles=keys, fontsize=8, loc="lower left", framealpha=1)
    left.set_title(f"State of the best of {losses.shape[-1]} trained models", fontsize=10)
    image = middle.pcolormesh(p, weight, arrived.T, vmin=0, vmax=1, cmap="Greys_r", shading="nearest", rasterized=True)
    figure.colorbar(image, ax=middle)
    middle.set_title(f"Share of models within {100 * ARRIVED:g} % of the optimal loss", fontsize=10)
    plot_excess(right, p, weight, cells.loss / optimum - 1)
    for ax, colour in ((left, "black"), (middle, "#d1495b"), (right, "white")):
        _boundaries(ax, p, colour)
        density_ticks(ax)
        ax.set(yscale="log", xlabel="density p = 1 - sparsity", ylim=(weight[0] * 0.96, weight[-1] * 1.04))
    left.set_ylabel("importance of feature 2 (feature 1: 1)")
    return figure


def _boundaries(ax: Axes, density: np.ndarray, colour: str) -> None:
    """The boundary of the exact optimum, and dotted the ends of its hysteresis, for either feature."""
    p = np.unique(np.concatenate([np.geomspace(density[0], 0.95, 50), [0.98, 1.0]]))
    true = phase_boundary(p)
    for sign in (1, -1):
        ax.plot(p, true.importance**sign, color=colour, lw=1.6)
        for end in true.spinodals.T:
            ax.plot(p, end**sign, color=colour, lw=0.8, ls=":")
