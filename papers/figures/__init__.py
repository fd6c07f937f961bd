"""Figures: theory and trained models on the same axes. Every `plot_` function draws on the axes it is given and returns its artists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._counts import draw_count_card as draw_count_card
from ._counts import draw_counts as draw_counts
from ._counts import plot_counts as plot_counts
from ._joint import draw_joint as draw_joint
from ._joint import plot_joint as plot_joint
from ._landscape import draw_landscape as draw_landscape
from ._packings import draw_geometries as draw_geometries
from ._packings import draw_loss_curves as draw_loss_curves
from ._packings import plot_geometry as plot_geometry
from ._packings import plot_loss_curves as plot_loss_curves
from ._phases import draw_boundary as draw_boundary
from ._phases import draw_phase_diagram as draw_phase_diagram
from ._phases import draw_proved_phases as draw_proved_phases
from ._phases import plot_boundary as plot_boundary
from ._phases import plot_excess as plot_excess
from ._phases import plot_phase_diagram as plot_phase_diagram
from ._published import draw_published_phases as draw_published_phases
from ._uniform import draw_uniform as draw_uniform
from ._uniform import plot_dimensionalities as plot_dimensionalities
from ._uniform import plot_uniform as plot_uniform

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from matplotlib.figure import Figure

    from .._lab import Lab

FIGURES: dict[str, tuple[Callable[[Lab], Figure], str]] = {
    "phase_diagram": (
        draw_phase_diagram,
        "Phases of two features in one dimension. Areas: exact optimum over weights and biases. Dots: best trained model of each "
        "cell, in the colours of the areas. Right: how far the trained models stay above the optimum.",
    ),
    "published_phases": (
        draw_published_phases,
        "Two features in one dimension by the published recipe (10,000 steps of AdamW), 64 × 64 cells of eight models. Left: what the "
        "best of each cell stores, under the exact boundary. Middle: how many arrive at the optimum; between importances 1/3 and 3 many "
        "are caught with weights of equal sign, and beside the boundary both states are minima (dotted: where that ends). Right: exact "
        "loss of the best over the optimum.",
    ),
    "boundary": (
        draw_boundary,
        "The importance at which the second feature is stored at all, against density: the exact optimum, and the line on which "
        "the closed-form losses of three fixed models cross.",
    ),
    "joint": (
        draw_joint,
        "Three features in two dimensions. Areas: how the exact optimum stores them. Dots: the best of eight models by the published "
        "recipe. Black: boundaries of the four fixed models of the closed forms, which leave joint superposition out.",
    ),
    "uniform": (
        draw_uniform,
        "Uniform superposition, 400 equal features in 30 dimensions. Left: dimensions per feature of trained models, of the best mixture "
        "of blocks and of the limit of many dimensions; below their exact losses over the better of the two. Right: dimensionality of "
        "every stored feature of the trained models, and those of regular polytopes.",
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
    "landscape": (
        draw_landscape,
        "Two features in one dimension, sixteen Xavier starts per cell. Above: share of trained runs in a state, under the lines between "
        "which that state is a local minimum of the exact loss. Below: shares per cell against those that noise-free descent from the same "
        "starts predicts; below density 0.045 the sampling noise of small batches kills outputs.",
    ),
    "proved_phases": (
        draw_proved_phases,
        "Two features in one dimension. In each coloured cell the globally optimal state is proved, over all weights and biases, by a "
        "log of bounds that a small checker replays in rational arithmetic. Hatched: not proved either way. Black: the numeric boundaries.",
    ),
    "counts": (
        draw_counts,
        "How many unit vectors of R^n keep within an angle of each other: band between proved bounds, and what formulas give. Vertical "
        "lines: the first dimensions in which n + 1, 2n and n² vectors are known.",
    ),
    "count_card": (
        draw_count_card,
        "The same at well-known sizes: the proved lower and upper bounds.",
    ),
}


def save_figures(lab: Lab, folder: Path, names: Collection[str], *, progress: bool = False) -> dict[str, str]:
    """Draw the named figures into `folder` as PNG, in the order of `FIGURES`; the captions by name. `progress`: a bar on stderr."""
    from tqdm import tqdm

    chosen = {name: FIGURES[name] for name in FIGURES if name in names}
    for name, (draw, _) in tqdm(chosen.items(), desc="figures", unit="figure", disable=not progress):
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{name}.png"
        try:
            draw(lab).savefig(temporary, dpi=130, metadata={"Software": None})
            temporary.replace(folder / f"{name}.png")
        finally:
            temporary.unlink(missing_ok=True)
    return {name: caption for name, (_, caption) in chosen.items()}
