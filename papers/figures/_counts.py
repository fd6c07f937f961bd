"""Counts of almost-orthogonal vectors: the certified band over the dimension, and a card for well-known sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...theory.counts import exponent, size
from .._lab import STORED, Run, load_run
from ._style import new_figure

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .._lab import Lab

BAND, FAMILIES, RANDOM, FORMULA = "#3b74b9", "#1b4f8f", "#e09f3e", "#b3403a"
MARKS = ("n + 1", "2n", "n²")


def plot_counts(ax: Axes, run: Run, degrees: int) -> list[Artist]:
    """log2 of the count against n at one angle: band between the bounds, families, random coding, formula, first n of n + 1, 2n, n²."""
    data = run.data
    row = int(np.flatnonzero(data["degrees"] == degrees)[0])
    n = data["n"]
    lower, upper, explicit, random = (data[key][row] for key in ("lower", "upper", "explicit", "random"))
    formula = n * exponent(float(np.sin(np.radians(degrees))))
    shown = n > 1
    n = n[shown]
    artists: list[Artist] = [
        ax.fill_between(n, lower[shown], upper[shown], color=BAND, alpha=0.25, lw=0, label="between the proved bounds"),
        *ax.plot(n, upper[shown], color=BAND, lw=1.2),
        *ax.plot(n, lower[shown], color=BAND, lw=1.2),
        *ax.plot(
            n, explicit[shown], color=FAMILIES, lw=1.4, drawstyle="steps-post", label="best explicit family alone"
        ),
        *ax.plot(n, np.where(random > 0, random, np.nan)[shown], color=RANDOM, lw=1.6, label="random coding alone"),
        *ax.plot(n, formula[shown], color=FORMULA, lw=1.4, ls="--", label="exponential formula (1 - c²)^(-n/2)"),
        *ax.plot(n, np.log2(n), color="#666666", lw=0.8, ls=":", label="n orthogonal vectors"),
    ]
    for first, words in zip(data["first"][row], MARKS, strict=True):
        if first:
            artists.append(ax.axvline(first, color="#888888", lw=0.7))
            artists.append(
                ax.annotate(
                    f"{words} at {int(first):,}",
                    (first, 0.97),
                    xycoords=("data", "axes fraction"),
                    rotation=90,
                    fontsize=7,
                    ha="right",
                    va="top",
                )
            )
    ax.set(xscale="log", yscale="log", xlim=(2, 10**6), ylim=(0.8, 4e4))
    ax.set_title(f"angles from {90 - degrees}° to {90 + degrees}°", fontsize=10)
    return artists


def draw_counts(lab: Lab | None = None) -> Figure:
    """`plot_counts` at 1°, 2°, 5° and 10° from the stored run (runs/counts.json); `lab` is not looked at."""
    run = load_run(STORED / "counts.json")
    figure = new_figure(11, 8.5)
    axes = figure.subplots(2, 2, sharex=True, sharey=True)
    for ax, degrees in zip(axes.flat, run.data["degrees"], strict=True):
        plot_counts(ax, run, int(degrees))
    for ax in axes[1]:
        ax.set_xlabel("dimension n")
    for ax in axes[:, 0]:
        ax.set_ylabel("log2 of the number of vectors")
    axes[0, 0].legend(fontsize=7.5, loc="center left", framealpha=0.95)
    return figure


def draw_count_card(lab: Lab | None = None) -> Figure:
    """At least and at most how many vectors fit at well-known sizes, from the stored run; `lab` is not looked at."""
    data = load_run(STORED / "counts.json").data
    figure = new_figure(11, 2.6)
    ax = figure.subplots()
    ax.axis("off")
    text = [
        [f"{_number(*low)}\nto {_number(*high)}" for low, high in data["card"][:, j]] for j in range(len(data["sizes"]))
    ]
    table = ax.table(
        text,
        rowLabels=[f"n = {int(n):,}" for n in data["sizes"]],
        colLabels=[f"{90 - d:.0f}° to {90 + d:.0f}°" for d in data["degrees"]],
        loc="center",
        cellLoc="center",
    )
    table.auto_set_font_size(False)
    table.set_fontsize(9)
    table.scale(1, 2.4)
    for (row, column), cell in table.get_celld().items():
        cell.set_edgecolor("#b8c0c8")
        if row == 0 or column < 0:
            cell.set_facecolor("#eef2f6")
    ax.set_title("How many unit vectors keep within the angle of each other: at least … to at most …", fontsize=10)
    return figure


def _number(count: float, bits: float) -> str:
    return size(int(count)) if count >= 0 else f"2^{bits:.1f}"
