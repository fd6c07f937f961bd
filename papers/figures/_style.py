"""Style: colours, axes and empty figures that the figures share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from numpy import meshgrid, ndarray

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"only 1": "#dfe6ee", "only 2": "#f3e3d3", "weak": "#f2b134", "antipodal": "#3b74b9", "aligned": "#c77dba"}
WORDS = {
    "only 1": "only feature 1 stored",
    "only 2": "only feature 2 stored",
    "weak": "weak superposition (unequal weights)",
    "antipodal": "antipodal pair",
    "aligned": "weights of equal sign (training only)",
}
FEATURE_COLOURS = ["#1b4f8f", "#3b8ea5", "#7a9e3f", "#e09f3e", "#b3403a"]
PACKING_COLOURS = ["#8d99a6", "#e09f3e", "#3b74b9", "#7a9e3f", "#b3403a", "#6a4c93"]


def density_ticks(ax: Axes) -> None:
    """Plain numbers on logarithmic density axes that span little more than a decade."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator([0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def plot_models(ax: Axes, density: ndarray, importance: ndarray, colours: list[str], odd: ndarray) -> list[Artist]:
    """Trained models on a phase diagram, a dot in its colour for each cell, in the order of the grid, and rings around the odd ones."""
    x, y = meshgrid(density, importance, indexing="ij")
    dots = ax.scatter(x, y, c=colours, edgecolors="#222222", linewidths=0.5, s=22, zorder=3, clip_on=False)
    rings = ax.scatter(x[odd], y[odd], s=90, facecolors="none", edgecolors="#d100d1", linewidths=1.6, zorder=4)
    return [dots, rings]


def model_keys(odd: ndarray, meaning: str) -> list[Artist]:
    """What the legend says of `plot_models`."""
    from matplotlib.lines import Line2D

    ring = {"markersize": 9, "markerfacecolor": "none", "markeredgecolor": "#d100d1"}
    words = f"{meaning} ({int(odd.sum())} of {odd.size})"
    return [
        Line2D(
            [], [], marker="o", ls="", markerfacecolor="white", markeredgecolor="#222222", label="best trained model"
        ),
        Line2D([], [], marker="o", ls="", label=words, **ring),  # type: ignore[arg-type]
    ]


def new_figure(width: float, height: float) -> Figure:
    """A figure in inches that can be saved without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure
