"""Uniform superposition: dimensions per feature and feature dimensionalities, predicted by blocks and by the dense limit, and trained."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ...theory import dimensions_per_feature, feature_dimensionality
from .._lab import STORED, Lab, Run, load_run
from ..uniform_theory import best_mixture, predicted, variance
from ._style import new_figure

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEVELS = {
    "1": "dedicated",
    "3/4": "tetrahedron",
    "2/3": "triangle",
    "1/2": "digon",
    "2/5": "pentagon",
    "3/8": "square antiprism",
}
BLOCK_COLOUR, DENSE_COLOUR, TRAINED_COLOUR = "#3b74b9", "#e09f3e", "#222222"


def _inverse_density(ax: Axes, last: float) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator([1, 2, 3, 5, 10, 20, 30, 50, 100]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.set_xlim(0.96, last * 1.04)


def plot_uniform(ax: Axes, below: Axes, run: Run, theory: Run) -> list[Artist]:
    """D* of trained models (n, m) against 1/p, with the best mixture of blocks and the dense limit; below, their losses against the best of
    the two."""
    data, known = run.data, theory.data
    m, n = data["weights"].shape[-2:]
    p, seeds = data["density"], data["loss"].shape[1]
    mixture = best_mixture(known, n, m)
    x = 1 / known["density"]
    dense = 1 / (known["dense_per_dimension"] * known["dense_square"])
    x_trained = np.repeat(1 / p, seeds)
    artists: list[Artist] = [
        *ax.plot(x, mixture.dimensions_per_feature, color=BLOCK_COLOUR, lw=2, label="best mixture of blocks"),
        *ax.plot(x, dense, color=DENSE_COLOUR, lw=2, ls="--", label="dense limit: tight frames, Gaussian interference"),
        ax.scatter(
            x_trained,
            dimensions_per_feature(data["weights"]).ravel(),
            s=22,
            facecolors="white",
            edgecolors=TRAINED_COLOUR,
            linewidths=1.1,
            zorder=3,
            label=f"trained, n = {n}, m = {m}",
        ),
    ]
    for level in (1.0, 0.5):
        ax.axhline(level, color="#bbbbbb", lw=0.8, zorder=0)
    ax.set(ylabel="dimensions per feature D* = m / ‖W‖²", ylim=(0, 1.1))
    ax.legend(fontsize=8.5, framealpha=0.93, loc="upper right")
    ax.set_title(f"Dimensions per feature of {n} equal features in {m} dimensions", fontsize=10)
    _name_blocks(ax, x, known["block"], mixture.count)
    best, _ = predicted(known, n, m)
    expected = np.interp(np.log(p), np.log(known["density"]), np.log(best))
    excess = 100 * (data["loss"] / np.exp(expected)[:, None] - 1)
    limit = n * variance(known["density"]) - m * known["dense_gain"]
    artists += [
        *below.plot(x, 100 * (mixture.loss / best - 1), color=BLOCK_COLOUR, lw=2),
        *below.plot(x, 100 * (limit / best - 1), color=DENSE_COLOUR, lw=2, ls="--"),
        below.scatter(
            x_trained, excess.ravel(), s=18, facecolors="white", edgecolors=TRAINED_COLOUR, linewidths=1.0, zorder=3
        ),
    ]
    below.set_yscale("symlog", linthresh=1.0)
    below.set_yticks([-10, -1, 0, 1, 10], ["-10", "-1", "0", "1", "10"])
    reach = max(12.0, 1.5 * float(np.abs(excess).max()))
    below.set(xlabel="1 / density = 1/(1-S)", ylabel="exact loss above\nthe best of both (%)", ylim=(-12, reach))
    _inverse_density(below, float(x.max()))
    return artists


def _name_blocks(ax: Axes, x: np.ndarray, block: np.ndarray, count: np.ndarray) -> None:
    """A strip at the bottom that names the block which most dimensions are in, as features:dimensions."""
    ax.text(x.max(), 0.068, "features : dimensions of the leading block", ha="right", fontsize=7, color="#555555")
    share = count * block[:, 1]
    leading = share.argmax(1)
    edges = [0, *(np.flatnonzero(np.diff(leading)) + 1).tolist(), len(leading)]
    for k, (start, end) in enumerate(pairwise(edges)):
        left = x[start] if start == 0 else np.sqrt(x[start - 1] * x[start])
        right = x[end - 1] if end == len(x) else np.sqrt(x[end - 1] * x[end])
        ax.axvspan(
            left,
            right,
            0,
            0.055,
            facecolor=BLOCK_COLOUR if k % 2 else "#8fb0d8",
            alpha=0.55,
            lw=0,
        )
        features, dimensions = block[leading[start]].astype(int)
        if abs(np.log(left / right)) > 0.17:
            ax.text(np.sqrt(left * right), 0.03, f"{features}:{dimensions}", ha="center", va="center", fontsize=7)


def plot_dimensionalities(ax: Axes, run: Run) -> list[Artist]:
    """D_i of all features of trained models against 1/p; lines at the dimensionalities of the regular polytopes."""
    data = run.data
    values = feature_dimensionality(data["weights"])
    x = np.broadcast_to((1 / data["density"])[:, None, None], values.shape)
    # Side by side within a step of the grid, in order of size: dots on one another would hide how many there are.
    order = np.argsort(np.argsort(values, axis=-1), axis=-1) / values.shape[-1] - 0.5
    step = np.median(np.abs(np.diff(np.log(data["density"]))))
    artists: list[Artist] = []
    for text, name in LEVELS.items():
        level = float(Fraction(text))
        artists.append(ax.axhline(level, color="#b3403a", lw=0.8, alpha=0.7, zorder=1))
        ax.annotate(
            f"{text} {name}" if text != "1" else "1 dedicated",
            (1.0, level),
            xycoords=("axes fraction", "data"),
            xytext=(4, -5 if text == "3/8" else 3 if text == "2/5" else 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color="#b3403a",
        )
    stored = values > 0.02
    artists.append(
        ax.scatter(
            (x * np.exp(0.8 * step * order))[stored],
            values[stored],
            s=2.5,
            color=TRAINED_COLOUR,
            alpha=0.45,
            linewidths=0,
            zorder=2,
            rasterized=True,
        )
    )
    _inverse_density(ax, float((1 / data["density"]).max()))
    ax.set(xlabel="1 / density = 1/(1-S)", ylabel="dimensionality D of a feature", ylim=(0, 1.05))
    ax.set_title("Dimensionality of every stored feature of the trained models", fontsize=10)
    return artists


def draw_uniform(lab: Lab | None = None) -> Figure:
    """`plot_uniform` with its residuals, and `plot_dimensionalities`; the stored models of n = 400, m = 30 without a lab."""
    lab = lab or Lab("fast")
    run, theory = lab.preset("uniform-400-30"), load_run(STORED / "uniform_theory.json")
    figure = new_figure(14, 6.2)
    grid = figure.add_gridspec(2, 2, height_ratios=[3, 1], width_ratios=[1.05, 1])
    upper = figure.add_subplot(grid[0, 0])
    lower = figure.add_subplot(grid[1, 0], sharex=upper)
    upper.tick_params(labelbottom=False)
    plot_uniform(upper, lower, run, theory)
    plot_dimensionalities(figure.add_subplot(grid[:, 1]), run)
    return figure
