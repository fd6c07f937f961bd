"""Phases of two features in one dimension: exact, trained and proved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...theory import PhaseDiagram, pair_phase, phase_boundary, phase_diagram, spinodal
from .._lab import Lab, Run
from ._style import COLOURS, WORDS, density_ticks, model_keys, new_figure, plot_models

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_phase_diagram(ax: Axes, theory: PhaseDiagram, run: Run) -> list[Artist]:
    """Exact phases of n = 2, m = 1 as areas, trained models as dots in the same colours, naive and true boundary as lines."""
    from matplotlib.colors import ListedColormap
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    names = list(COLOURS)
    codes = np.searchsorted(sorted(names), theory.label)
    order = [COLOURS[k] for k in sorted(names)]
    areas = ax.pcolormesh(
        theory.density,
        theory.importance,
        codes.T,
        cmap=ListedColormap(order),
        vmin=-0.5,
        vmax=len(names) - 0.5,
        shading="nearest",
        rasterized=True,
    )
    data = run.data
    density_ticks(ax)
    labels = pair_phase(data["weights"], resolution=0.1)
    optimal = phase_diagram(data["density"], data["importance"])
    odd = _stores_other(labels, pair_phase(optimal.weights, resolution=0.1))
    models = plot_models(ax, data["density"], data["importance"], [COLOURS[k] for k in labels.ravel()], odd)
    p = np.unique(np.concatenate([np.geomspace(theory.density[0], 0.95, 60), [4 / 7 - 1e-9, 0.98, 1.0]]))
    true = phase_boundary(p)
    low, high = true.spinodals.T
    lines: list[Artist] = []
    for sign in (1, -1):
        lines.append(ax.fill_between(p, low**sign, high**sign, color="black", alpha=0.12, lw=0, zorder=1.5))
        lines += ax.plot(p, true.importance**sign, color="black", lw=2, zorder=2)
        lines += ax.plot(p, true.naive**sign, color="#c1121f", lw=2, ls=(0, (4, 2)), zorder=2)
    ax.set(yscale="log", xlabel="density p = 1 - sparsity", ylabel="importance of feature 2 (feature 1: 1)")
    ax.set_xlim(theory.density[0] * 0.93, 1.06)
    ax.set_ylim(theory.importance[0] * 0.93, theory.importance[-1] * 1.07)
    keys: list[Artist] = [
        Patch(facecolor=COLOURS[k], edgecolor="#222222", linewidth=0.5, label=WORDS[k]) for k in names
    ]
    keys += [
        Line2D([], [], color="black", lw=2, label="boundary of the exact optimum"),
        Patch(facecolor="black", alpha=0.12, label="hysteresis: both states are local minima"),
        Line2D([], [], color="#c1121f", lw=2, ls=(0, (4, 2)), label="boundary of the three fixed models"),
        *model_keys(odd, "stores other features than the optimum"),
    ]
    legend = ax.legend(handles=keys, loc="center left", fontsize=8, framealpha=0.93)
    ax.set_title("Two features, one dimension: exact phases (areas) and trained models (dots)", fontsize=10)
    return [areas, *models, *lines, legend]


def _stores_other(labels: np.ndarray, optimal: np.ndarray) -> np.ndarray:
    """Where one state stores a feature that the other does not; the superposed ones all store both."""
    single = ("only 1", "only 2")
    other: np.ndarray = (labels != optimal) & (np.isin(labels, single) | np.isin(optimal, single))
    return other


def plot_excess(ax: Axes, density: np.ndarray, importance: np.ndarray, excess: np.ndarray) -> list[Artist]:
    """Residual of a phase diagram: relative excess (density, importance) of the best trained model's exact loss over the optimum."""
    from matplotlib.colors import LogNorm

    image = ax.pcolormesh(
        density,
        importance,
        np.maximum(excess, 1e-7).T,
        norm=LogNorm(1e-6, 1e-1),
        cmap="cividis",
        shading="nearest",
        rasterized=True,
    )
    bar = ax.figure.colorbar(image, ax=ax, extend="both")
    bar.set_label("exact loss of the best trained model / optimum - 1", fontsize=9)
    density_ticks(ax)
    ax.set(yscale="log", xlabel="density p")
    ax.set_title("Residual: how far training stays above the optimum", fontsize=10)
    return [image]


def plot_boundary(ax: Axes, below: Axes) -> list[Artist]:
    """True and naive boundary against density, and under it by how much the naive one is too high."""
    p = np.unique(np.concatenate([np.geomspace(0.01, 0.45, 40), np.linspace(0.45, 1, 56), [4 / 7 - 1e-9]]))
    true = phase_boundary(p)
    jump = np.where(true.order == "first", true.importance, np.nan)
    smooth = np.where(true.order == "continuous", true.importance, np.nan)
    lines: list[Artist] = [
        *ax.plot(p, jump, color="black", lw=2, label="exact optimum, first order (the second weight jumps)"),
        *ax.plot(
            p, smooth, color="#f2b134", lw=3, label="exact optimum, continuous (the second weight grows from zero)"
        ),
        *ax.plot(p, true.naive, color="#c1121f", ls=(0, (4, 2)), label="three fixed models, 2p/(4 - 5p)"),
        *ax.plot(p, spinodal(p), color="#666666", lw=1, ls=":", label="ignored state stops being a local minimum"),
    ]
    ax.set(xscale="log", yscale="log", ylabel="importance I*")
    ax.legend(fontsize=8, frameon=False)
    ax.set_title("Where the less important of two features is stored at all", fontsize=10)
    lines += below.plot(p, 100 * (true.naive / true.importance - 1), color="#c1121f")
    density_ticks(below)
    below.set(xlabel="density p", ylabel="naive too\nhigh by (%)", ylim=(0, None))
    return lines


def draw_phase_diagram(lab: Lab | None = None) -> Figure:
    """`plot_phase_diagram` with its residuals beside it; the recorded trained models without a lab."""
    lab = lab or Lab("fast")
    figure = new_figure(13, 5.4)
    left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
    low, high = lab.pairs.data["importance"][[0, -1]]
    fine = phase_diagram(np.geomspace(lab.pairs.data["density"][0], 1, 61), np.geomspace(low, high, 61))
    plot_phase_diagram(left, fine, lab.pairs)
    cells = lab.pair_cells
    plot_excess(right, cells.theory.density, cells.theory.importance, cells.loss / cells.theory.loss - 1)
    right.set_ylabel("importance of feature 2")
    return figure


def draw_boundary(lab: Lab | None = None) -> Figure:
    """`plot_boundary` as a figure. It shows theory alone: `lab` is not looked at."""
    figure = new_figure(7.5, 6)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    plot_boundary(upper, lower)
    return figure


def draw_proved_phases(lab: Lab | None = None) -> Figure:
    """Cells of density and importance on which the optimal state is proved (runs/pair_proofs.json), over the numeric boundaries.

    The stored certificates are drawn by what they claim; `check_pair` replays them. `lab` is not looked at.
    """
    from fractions import Fraction

    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch, Polygon

    from ...theory import critical_points, exchange_line
    from .._proofs import load_proofs

    figure = new_figure(9, 6.2)
    ax = figure.subplots()
    states = {"ignored": "only 1", "weak": "weak", "antipodal": "antipodal"}
    floor = 1e-3
    proofs, undecided = load_proofs()
    proved: dict[str, Any] = {"facecolor": "white", "edgecolor": "#5a6672", "linewidth": 0.4}
    open_: dict[str, Any] = {"facecolor": "white", "edgecolor": "#8a949e", "hatch": "//////", "linewidth": 0.0}
    cells = [
        (proof["density"], *proof["importance"], proved | {"facecolor": COLOURS[states[proof["state"]]]})
        for proof in proofs
    ]
    for *lines, look in [*((*cell, open_) for cell in undecided), *cells]:
        (p0, p1), lower, upper = ([float(Fraction(x)) for x in line] for line in lines)
        if p0 == p1:  # a single density: the point up to which ignoring is proved
            ax.plot(p0, upper[0], marker="_", ms=7, mew=1.6, color="#b02a2a", zorder=4)
            continue
        share = np.linspace(0, 1, 33)  # a line in p is curved on logarithmic axes
        p = p0 + share * (p1 - p0)
        low, high = (np.maximum(line[0] + share * (line[1] - line[0]), floor) for line in (lower, upper))
        outline = np.concatenate([np.stack([p, low], 1), np.stack([p, high], 1)[::-1]])
        ax.add_patch(Polygon(outline, **look))
    p = np.unique(np.concatenate([np.geomspace(0.01, 0.45, 50), np.linspace(0.45, 1, 56)]))
    ax.plot(p, phase_boundary(p).importance, color="black", lw=1.1)
    ends = [critical_points()[name].density for name in ("triple", "equal triple")]
    q = np.linspace(ends[0] + 1e-4, ends[1] - 1e-4, 15)
    ax.plot(q, exchange_line(q).importance, color="black", lw=1.1, ls="--")
    density_ticks(ax)
    ax.set(yscale="log", xlim=(0.0097, 1.03), ylim=(floor, 1.05))
    ax.set(xlabel="density p = 1 - sparsity", ylabel="importance of feature 2 (feature 1: 1)")
    words = {"only 1": "feature 2 ignored", "weak": WORDS["weak"], "antipodal": WORDS["antipodal"]}
    keys: list[Artist] = [
        Patch(**(proved | {"facecolor": COLOURS[k], "label": f"proved: {v}"})) for k, v in words.items()
    ]
    keys += [
        Patch(**open_, label="undecided"),
        Line2D(
            [], [], color="#b02a2a", marker="_", ms=7, mew=1.6, ls="", label="ignoring proved up to here (one density)"
        ),
        Line2D([], [], color="black", lw=1.1, label="numeric boundary of ignoring"),
        Line2D([], [], color="black", lw=1.1, ls="--", label="numeric exchange of weak and antipodal"),
    ]
    ax.legend(handles=keys, loc="lower right", fontsize=8, framealpha=0.95)
    ax.set_title("Two features, one dimension: the globally optimal state, proved cell by cell", fontsize=10)
    return figure
