"""Figures: theory and trained models on the same axes. Every function draws on the axes it is given and returns its artists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..theory import (
    Features,
    LossCurves,
    PhaseDiagram,
    loss_curves,
    pair_phase,
    phase_boundary,
    phase_diagram,
    spinodal,
)
from ._lab import INTRO_SPARSITIES, Lab, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

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
    _ticks(ax)
    x, y = np.meshgrid(data["density"], data["importance"], indexing="ij")
    labels = pair_phase(data["weights"], resolution=0.1)
    dots = ax.scatter(
        x,
        y,
        c=[COLOURS[k] for k in labels.ravel()],
        edgecolors="#222222",
        linewidths=0.5,
        s=22,
        zorder=3,
        clip_on=False,
    )
    optimal = phase_diagram(data["density"], data["importance"])
    odd = _stores_other(labels, pair_phase(optimal.weights, resolution=0.1))
    rings = ax.scatter(x[odd], y[odd], s=90, facecolors="none", edgecolors="#d100d1", linewidths=1.6, zorder=4)
    p = np.unique(np.concatenate([np.geomspace(theory.density[0], 0.95, 60), [4 / 7 - 1e-9, 0.98, 1.0]]))
    true = phase_boundary(p)
    low, high = true.spinodals.T
    lines: list[Artist] = [rings]
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
        Line2D(
            [], [], marker="o", ls="", markerfacecolor="white", markeredgecolor="#222222", label="best trained model"
        ),
        Line2D(
            [],
            [],
            marker="o",
            ls="",
            markersize=9,
            markerfacecolor="none",
            markeredgecolor="#d100d1",
            label=f"stores other features than the optimum ({int(odd.sum())} of {odd.size})",
        ),
    ]
    legend = ax.legend(handles=keys, loc="center left", fontsize=8, framealpha=0.93)
    ax.set_title("Two features, one dimension: exact phases (areas) and trained models (dots)", fontsize=10)
    return [areas, dots, *lines, legend]


def _stores_other(labels: np.ndarray, optimal: np.ndarray) -> np.ndarray:
    """Where one state stores a feature that the other does not; the superposed ones all store both."""
    single = ("only 1", "only 2")
    other: np.ndarray = (labels != optimal) & (np.isin(labels, single) | np.isin(optimal, single))
    return other


def plot_excess(ax: Axes, theory: PhaseDiagram, run: Run) -> list[Artist]:
    """Residual of `plot_phase_diagram`: relative excess of the best trained model's exact loss over the optimum, per cell."""
    from matplotlib.colors import LogNorm

    excess = np.maximum(run.data["loss"] / theory.loss - 1, 1e-7)
    image = ax.pcolormesh(
        theory.density,
        theory.importance,
        excess.T,
        norm=LogNorm(1e-6, 1e-1),
        cmap="cividis",
        shading="nearest",
        rasterized=True,
    )
    bar = ax.figure.colorbar(image, ax=ax, extend="both")
    bar.set_label("exact loss of the best trained model / optimum - 1", fontsize=9)
    _ticks(ax)
    ax.set(yscale="log", xlabel="density p", ylabel="importance of feature 2")
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
    _ticks(below)
    below.set(xlabel="density p", ylabel="naive too\nhigh by (%)", ylim=(0, None))
    return lines


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
    _ticks(below)
    below.set(xlabel="density p = 1 - sparsity", ylabel="trained above\nexact optimum (%)")
    below.set_yscale("symlog", linthresh=0.01)
    below.set_ylim(-0.005, None)
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


def draw_phase_diagram(lab: Lab | None = None) -> Figure:
    """`plot_phase_diagram` with its residuals beside it; the recorded trained models without a lab."""
    lab = lab or Lab("fast")
    figure = _figure(13, 5.4)
    left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
    low, high = lab.pairs.data["importance"][[0, -1]]
    fine = phase_diagram(np.geomspace(lab.pairs.data["density"][0], 1, 61), np.geomspace(low, high, 61))
    plot_phase_diagram(left, fine, lab.pairs)
    plot_excess(right, lab.pairs_theory, lab.pairs)
    return figure


def draw_boundary(lab: Lab | None = None) -> Figure:
    """`plot_boundary` as a figure. It shows theory alone: `lab` is not looked at."""
    figure = _figure(7.5, 6)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    plot_boundary(upper, lower)
    return figure


def draw_loss_curves(lab: Lab | None = None) -> Figure:
    """`plot_loss_curves` for the intro figure's five features; the recorded trained models without a lab."""
    lab = lab or Lab("fast")
    figure = _figure(8.5, 6.5)
    curves = loss_curves(Features(1.0, 0.9 ** np.arange(5)), 2, np.geomspace(0.01, 1, 33))
    optima = np.array([best.loss for best in lab.intro_theory])
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    plot_loss_curves(upper, lower, curves, lab.intro, optima)
    return figure


def draw_geometries(lab: Lab | None = None) -> Figure:
    """Predicted and trained weights of five features in two dimensions; the recorded trained models without a lab."""
    lab = lab or Lab("fast")
    from ..theory import describe_geometry

    figure = _figure(8.5, 6.2)
    axes = figure.subplots(2, 3)
    run = lab.intro.data
    for column, (sparsity, best) in enumerate(zip(INTRO_SPARSITIES, lab.intro_theory, strict=True)):
        plot_geometry(axes[0, column], best.weights, f"S = {sparsity:g}, predicted: {best.geometry}")
        weights = run["weights"][column, run["loss"][column].argmin()]
        plot_geometry(axes[1, column], weights, f"trained: {describe_geometry(weights)}")
    return figure


FIGURES: dict[str, tuple[Callable[[Lab], Figure], str]] = {
    "phase_diagram": (
        draw_phase_diagram,
        "Phases of two features in one dimension. Areas: exact optimum over weights and biases. Dots: best trained model of each "
        "cell, in the colours of the areas. Right: how far the trained models stay above the optimum.",
    ),
    "boundary": (
        draw_boundary,
        "The importance at which the second feature is stored at all, against density: the exact optimum, and the line on which "
        "the closed-form losses of three fixed models cross.",
    ),
    "loss_curves": (
        draw_loss_curves,
        "Exact loss of each packing of five features in two dimensions (regular directions, norms and biases optimised) with the "
        "densities where the best one changes, and trained models.",
    ),
    "geometries": (
        draw_geometries,
        "Five features in two dimensions at three sparsities: weights of the exact optimum above, of the best trained model below.",
    ),
}


def save_figures(lab: Lab, folder: Path, names: Collection[str]) -> dict[str, str]:
    """Draw the named figures into `folder` as PNG, in the order of `FIGURES`; the captions by name."""
    chosen = {name: FIGURES[name] for name in FIGURES if name in names}
    for name, (draw, _) in chosen.items():
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{name}.png"
        draw(lab).savefig(temporary, dpi=130, metadata={"Software": None})
        temporary.replace(folder / f"{name}.png")
    return {name: caption for name, (_, caption) in chosen.items()}


def _ticks(ax: Axes) -> None:
    """Plain numbers on logarithmic density axes that span little more than a decade."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator([0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def draw_landscape(lab: Lab | None = None) -> Figure:
    """Shares of runs per state as colours under the spinodals of that state, and predicted against trained shares with residuals.

    Recorded runs (runs/landscape.json); `lab` is not looked at.
    """
    from ..numerics import OUTCOMES, settle
    from ..theory import existence
    from ._lab import STORED, load_run

    data = load_run(STORED / "landscape.json").data
    p, weight, w = data["density"], data["importance"], data["weights"]
    level, scale = (np.broadcast_to(z, w.shape[:3]).ravel() for z in (p[:, None, None], weight[:, None]))
    state = settle(w.reshape(-1, 2), data["bias"].reshape(-1, 2), level, scale)[0].reshape(w.shape[:3])
    foreseen = np.array(OUTCOMES)[data["predicted"].astype(int)]
    fine = np.geomspace(p[0], p[-1], 121)
    curves = existence(fine, weight)
    panels = (
        ("weights of equal sign", ("aligned", "aligned exchanged"), "#8d2f87"),
        ("one feature stored", ("only 1", "only 2"), "#333333"),
        ("antipodal pair", ("antipodal",), "#1b4f8f"),
    )
    figure = _figure(13.5, 8.2)
    parts = figure.add_gridspec(2, 1, height_ratios=[1.15, 1])
    upper, lower = figure.add_subfigure(parts[0]), figure.add_subfigure(parts[1])
    for ax, (title, names, colour) in zip(upper.subplots(1, 3, sharey=True), panels, strict=True):
        share = np.isin(state, names).mean(-1)
        image = ax.pcolormesh(p, weight, share.T, vmin=0, vmax=1, cmap="Greys", shading="nearest", rasterized=True)
        for name in names:
            row = curves.states.index(name)
            for edge in (curves.lower[row], curves.upper[row]):
                ax.plot(fine, np.where((edge > 0) & np.isfinite(edge), edge, np.nan), color=colour, lw=2.2)
                ax.plot(fine, np.where((edge > 0) & np.isfinite(edge), edge, np.nan), color="white", lw=0.7)
        _ticks(ax)
        ax.set(yscale="log", xlabel="density p", xlim=(0.0087, 1.15), ylim=(0.087, 11.5))
        ax.set_title(f"Trained runs that end with {title}", fontsize=10)
    upper.axes[0].set_ylabel("importance of feature 2 (feature 1: 1)")
    upper.colorbar(image, ax=upper.axes, label="share of 16 runs")
    marks = {"aligned": "^", "aligned exchanged": "v", "only 1": "s", "only 2": "D", "antipodal": "o"}
    columns = lower.subplots(2, 2, sharex=True, height_ratios=[2, 1])
    for column, dense in enumerate((True, False)):
        cells = (p > 0.045) == dense
        top, below = columns[0, column], columns[1, column]
        for k, (name, mark) in enumerate(marks.items()):
            x, y = ((z[cells] == name).mean(-1).ravel() for z in (foreseen, state))
            shift = 0.006 * (k - 2)  # shares are sixteenths: keep the states apart
            style = {"s": 14, "marker": mark, "alpha": 0.45, "linewidths": 0, "color": FEATURE_COLOURS[k]}
            top.scatter(x + shift, y, label=name, **style)
            below.scatter(x + shift, y - x, **style)
        grid = np.linspace(0, 1, 101)
        noise = 2 * np.sqrt(grid * (1 - grid) / w.shape[2])
        top.fill_between(grid, grid - noise, grid + noise, color="#cccccc", zorder=0, label="two standard errors")
        below.fill_between(grid, -noise, noise, color="#cccccc", zorder=0)
        top.set(ylabel="trained share", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
        below.set(xlabel="share predicted by noise-free descent from the same starts", ylabel="difference")
        agree = 100 * (foreseen == state)[cells].mean()
        side = "above" if dense else "below"
        top.set_title(f"density {side} 0.045: {agree:.1f} % of runs end as predicted", fontsize=10)
    columns[0, 0].legend(fontsize=8, frameon=False)
    return figure


FIGURES["landscape"] = (
    draw_landscape,
    "Two features in one dimension, sixteen Xavier starts per cell. Above: share of trained runs in a state, under the lines between which "
    "that state is a local minimum of the exact loss. Below: shares per cell against those that noise-free descent from the same "
    "starts predicts; below density 0.045 the sampling noise of small batches kills outputs.",
)


def draw_proved_phases(lab: Lab | None = None) -> Figure:
    """Cells of density and importance on which the optimal state is proved (runs/pair_proofs.json), over the numeric boundaries.

    The stored certificates are drawn by what they claim; `check_pair` replays them. `lab` is not looked at.
    """
    from fractions import Fraction

    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch, Polygon

    from ..theory import critical_points, exchange_line
    from ._proofs import load_proofs

    figure = _figure(9, 6.2)
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
    _ticks(ax)
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


FIGURES["proved_phases"] = (
    draw_proved_phases,
    "Two features in one dimension. In each coloured cell the globally optimal state is proved, over all weights and biases, by a "
    "log of bounds that a small checker replays in rational arithmetic. Hatched: not proved either way. Black: the numeric boundaries.",
)
