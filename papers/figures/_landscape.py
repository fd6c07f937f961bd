"""Landscape of two features in one dimension: where trained runs end, and where theory says they can."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._style import FEATURE_COLOURS, density_ticks, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .._lab import Lab


def draw_landscape(lab: Lab | None = None) -> Figure:
    """Shares of runs per state as colours under the spinodals of that state, and predicted against trained shares with residuals.

    Recorded runs (runs/landscape.json); `lab` is not looked at.
    """
    from ...numerics import OUTCOMES, settle
    from ...theory import existence
    from .._lab import STORED, load_run

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
    figure = new_figure(13.5, 8.2)
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
        density_ticks(ax)
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
