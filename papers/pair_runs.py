"""Train the models that the landscape of two features in one dimension is compared with: `python -m tegum.papers.pair_runs`.

Sixteen seeds in every cell of 16 densities by 17 importances, about five minutes on one core, and where noise-free descent from the
same starts ends. Writes runs/landscape.json of the checkout.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..numerics import OUTCOMES, basins, train
from ..theory import Features
from ._evidence import provenance
from ._lab import STORED, Run, save_run

DENSITIES, IMPORTANCES, SEEDS = np.geomspace(0.01, 1, 16), np.geomspace(0.1, 10, 17), 16
RECIPE: dict[str, Any] = {"steps": 4000, "learning_rate": 1e-2}


def train_landscape(*, progress: bool = False) -> Run:
    """Weights and biases (density, importance, seed, 2) of every trained model, to five decimals, and the predicted outcomes.

    predicted (density, importance, seed): position in `OUTCOMES` of the state in which `basins` ends from the same start.
    """
    pairs = np.stack([np.ones_like(IMPORTANCES), IMPORTANCES], -1)[None]
    features = Features(DENSITIES[:, None, None], pairs)
    models = train(features, 1, replicas=SEEDS, batch=256, seed=0, progress=progress, **RECIPE)
    state = basins(DENSITIES, IMPORTANCES, seeds=SEEDS, seed=0, **RECIPE).state
    data = {
        "density": DENSITIES,
        "importance": IMPORTANCES,
        "weights": models.weights[..., 0, :].round(5),
        "bias": models.bias.round(5),
        "predicted": (state[..., None] == np.array(OUTCOMES)).argmax(-1),
    }
    return Run("landscape", data, {**provenance("python -m tegum.papers.pair_runs"), **models.settings})


if __name__ == "__main__":
    save_run(STORED / "landscape.json", train_landscape(progress=True))
