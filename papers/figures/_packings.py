"""Packings of five features in two dimensions: loss curves and geometries, predicted and trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...theory import Features, LossCurves, loss_curves
from .._lab import INTRO_SPARSITIES, Lab, Run
from ._style import FEATURE_COLOURS, PACKING_COLOURS, density_ticks, new_figure

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_loss_curves(ax: Axes, below: Axes, curves: LossCurves, run: Run, optima: np.ndarray) -> list[Artist]:
    """Loss of every packing relative to storing nothing, crossings marked, trained models as dots; residuals below."""
    nothing = curves.importance.sum() * (curves.density / 3 - curves.density**2 / 4)
    artists: list[Artist] = []
    for packing, loss, colour in zip(curves.packings, curves.loss, PACKING_COLOURS, strict=False):
        artists += ax.plot(curves.density, loss / nothing, color=colour, lw=1.8, label=packing.name)
    for k, crossing in enumerate(curves.crossings):
        style = ":" if crossing.order == "first" else "-"
        artists.append(ax.axvline(crossing.density, color="#555555", lw=0.8, ls=style))
        ax.annotate(
            f"p = {crossing.density:.4f} ({crossing.order})\n{crossing.below} |\n{crossing.above}",
            (crossing.density, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(-4, -4 - 38 * k),
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=7,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
    p, loss = run.data["density"], run.data["loss"]
    base = curves.importance.sum() * (p / 3 - p**2 / 4)
    artists.append(
        ax.scatter(
            np.repeat(p, loss.shape[1]),
            (loss / base[:, None]).ravel(),
            s=14,
            color="black",
            alpha=0.5,
            label="trained models",
            zorder=3,
        )
    )
    ax.set(xscale="log", ylabel="loss / loss of storing nothing", ylim=(0, 1))
    ax.legend(fontsize=8, frameon=False, loc="upper left")
    ax.set_title("Five features in two dimensions, importance 0.9^i: loss of each packing", fontsize=10)
    excess = 100 * (loss / optima[:, None] - 1)
    artists.append(below.scatter(np.repeat(p, loss.shape[1]), excess.ravel(), s=14, color="black", alpha=0.5))
    artists.append(below.axhline(0, color="#888888", lw=0.8))
    density_ticks(below)
    below.set(xlabel="density p = 1 - sparsity", ylabel="trained above\nexact optimum (%)")
    below.set_yscale("symlog", linthresh=0.01)
    below.set_ylim(-0.005, 2 * excess.max())
    return artists


def plot_geometry(ax: Axes, weights: np.ndarray, title: str) -> list[Artist]:
    """Columns of a (2, n) weight matrix as arrows, turned so that feature 1 points right."""
    first = weights[:, 0] / np.linalg.norm(weights[:, 0])
    turn = np.array([[first[0], first[1]], [-first[1], first[0]]])
    w = turn @ weights
    if w.shape[1] > 1 and w[1, np.abs(w[1]).argmax()] < 0:
        w = w * np.array([[1], [-1]])  # a reflection leaves the model as it is
    artists: list[Artist] = []
    for i, (x, y) in enumerate(w.T):
        colour = FEATURE_COLOURS[i % len(FEATURE_COLOURS)]
        if np.hypot(x, y) < 0.1:
            artists.append(ax.scatter([x], [y], color=colour, s=18, zorder=3))
            continue
        artists.append(ax.annotate("", (x, y), (0, 0), arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 2}))
        ax.text(1.13 * x, 1.13 * y, str(i + 1), color=colour, ha="center", va="center", fontsize=9)
    ax.set(xlim=(-1.45, 1.45), ylim=(-1.45, 1.45), aspect="equal", xticks=[], yticks=[])
    ax.set_title(title, fontsize=9)
    return artists


def draw_loss_curves(lab: Lab | None = None) -> Figure:
    """`plot_loss_curves` for the intro figure's five features; the recorded trained models without a lab."""
    lab = lab or Lab("fast")
    figure = new_figure(8.5, 6.5)
    curves = loss_curves(Features(1.0, 0.9 ** np.arange(5)), 2, np.geomspace(0.01, 1, 33))
    optima = np.array([best.loss for best in lab.intro_theory])
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    plot_loss_curves(upper, lower, curves, lab.intro, optima)
    return figure


def draw_geometries(lab: Lab | None = None) -> Figure:
    """Predicted and trained weights of five features in two dimensions; the recorded trained models without a lab."""
    lab = lab or Lab("fast")
    from ...theory import describe_geometry

    figure = new_figure(8.5, 6.2)
    axes = figure.subplots(2, 3)
    run = lab.intro.data
    for column, (sparsity, best) in enumerate(zip(INTRO_SPARSITIES, lab.intro_theory, strict=True)):
        plot_geometry(axes[0, column], best.weights, f"S = {sparsity:g}, predicted: {best.geometry}")
        weights = run["weights"][column, run["loss"][column].argmin()]
        plot_geometry(axes[1, column], weights, f"trained: {describe_geometry(weights)}")
    return figure
