"""Lab: the trained models that checks and figures look at, made once per run or taken from the record."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray as Array

from ..numerics._files import write_atomically
from ..theory import Features, InputError, Optimum, PhaseDiagram, optimal_model, phase_boundary, phase_diagram
from ._evidence import provenance

STORED = Path(__file__).parent / "runs"
SCHEMA = "tegum-run/1"
INTRO_SPARSITIES = (0.0, 0.8, 0.9)

# Training per tier: the fast tier trains nothing, the full tier is the paper's own recipe (ten models, 10,000 steps).
RECIPES: dict[str, dict[str, dict[str, Any]]] = {
    "pairs": {
        "slow": {"replicas": 12, "steps": 2400, "batch": 128, "learning_rate": 2e-2},
        "full": {"replicas": 10, "steps": 10_000, "batch": 1024, "learning_rate": 1e-3, "schedule": "constant"},
    },
    "intro": {
        "slow": {"replicas": 16, "steps": 4000, "batch": 512, "learning_rate": 1e-2},
        "full": {"replicas": 64, "steps": 10_000, "batch": 1024, "learning_rate": 1e-3, "schedule": "constant"},
    },
}


@dataclass(frozen=True)
class Run:
    """Trained models as data: `data` holds arrays, `provenance` how and when they were made."""

    name: str
    data: dict[str, Array]
    provenance: dict[str, Any]


@dataclass(frozen=True)
class PairCells:
    """Trained models of n = 2, m = 1 on a grid: the best one per cell, weights and bias (density, importance, 2) and loss, and the exact
    optimum there."""

    weights: Array
    bias: Array
    loss: Array
    theory: PhaseDiagram

    @cached_property
    def hysteresis(self) -> Array:
        """Cells where both the ignored and the superposed state of the boundary are local minima."""
        low, high = phase_boundary(self.theory.density).spinodals.T
        smaller = np.minimum(self.theory.importance, 1 / self.theory.importance)
        inside: Array = (smaller >= low[:, None]) & (smaller <= high[:, None])
        return inside


class Lab:
    """Trained models and theory shared by checks and figures. Nothing is trained or solved before it is asked for."""

    def __init__(self, tier: str, out: Path | None = None, progress: bool = False, device: str = "cpu") -> None:
        self.tier, self.out, self.progress, self.device = tier, out, progress, device
        self.used: list[Run] = []
        self._presets: dict[str, Run] = {}

    @cached_property
    def pairs(self) -> Run:
        """n = 2, m = 1 on a 21 × 21 grid of density 0.05 … 1 and importance 0.1 … 10: the best replica per cell."""
        return self._run("pairs")

    @cached_property
    def pair_cells(self) -> PairCells:
        """The cells of `pairs`."""
        data = self.pairs.data
        theory = phase_diagram(data["density"], data["importance"])
        return PairCells(data["weights"], data["bias"], data["loss"], theory)

    @cached_property
    def published_pair_cells(self) -> PairCells:
        """The same by the published recipe: the stored preset phase-2-1, best of its seeds."""
        data = self.preset("phase-2-1").data
        best = data["loss"].argmin(-1)[..., None, None]
        weights, bias = (np.take_along_axis(a, best, 2)[..., 0, :] for a in (data["weights"][..., 0, :], data["bias"]))
        return PairCells(weights, bias, data["loss"].min(-1), phase_diagram(data["density"], data["importance"]))

    @cached_property
    def intro(self) -> Run:
        """n = 5, m = 2, importance 0.9^i at sparsities 0, 0.8 and 0.9: every replica."""
        return self._run("intro")

    @cached_property
    def intro_theory(self) -> list[Optimum]:
        """The exact optimum at the three sparsities of `intro`."""
        return [optimal_model(Features(1 - s, 0.9 ** np.arange(5)), 2) for s in INTRO_SPARSITIES]

    def preset(self, name: str) -> Run:
        """The stored models of a published setting, e.g. 'phase-3-2': every seed (`tegum train --refresh` makes them again)."""
        if name not in self._presets:
            from ._stored import load_preset

            self._presets[name] = load_preset(name)
            self.used.append(self._presets[name])
        return self._presets[name]

    def _run(self, name: str) -> Run:
        if self.tier == "fast":
            run = load_run(STORED / f"{name}.json")
        else:
            run = _train(name, self.tier, self.progress, self.device)
            if self.out is not None:
                save_run(self.out / "runs" / f"{name}.json", run)
        self.used.append(run)
        return run


def _train(name: str, tier: str, progress: bool, device: str) -> Run:
    from ..numerics import train

    recipe = RECIPES[name][tier]
    if name == "pairs":
        p, weight = np.geomspace(0.05, 1, 21), np.geomspace(0.1, 10, 21)
        features = Features(p[:, None, None], np.stack([np.ones_like(weight), weight], -1)[None])
        models = train(features, 1, seed=0, progress=progress, device=device, **recipe)
        w, b, loss = models.best()
        hit = (models.loss <= 1.05 * loss[..., None]).mean(-1)
        data = {"density": p, "importance": weight, "weights": w[..., 0, :], "bias": b, "loss": loss, "agreeing": hit}
    else:
        p = 1 - np.array(INTRO_SPARSITIES)
        features = Features(p[:, None], 0.9 ** np.arange(5))
        models = train(features, 2, seed=0, progress=progress, device=device, **recipe)
        data = {"density": p, "weights": models.weights, "bias": models.bias, "loss": models.loss}
    return Run(name, data, {**provenance(f"tegum verify --tier {tier}"), "tier": tier, **models.settings})


def save_run(path: Path, run: Run) -> None:
    """Write a run as JSON, floats in full."""
    body = {"schema": SCHEMA, "name": run.name, "provenance": run.provenance}
    text = json.dumps({**body, "data": {k: v.tolist() for k, v in run.data.items()}})
    write_atomically(path, text + "\n")


def load_run(path: Path) -> Run:
    """Read a run; InputError if the file is missing or not a run."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        if body["schema"] != SCHEMA:
            raise KeyError("schema")
        data = {key: np.array(value, dtype=float) for key, value in body["data"].items()}
        return Run(body["name"], data, body["provenance"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"stored run {path.name} must be a {SCHEMA} file, but reading it failed ({type(error).__name__}: {error}); "
            "make it again with tegum verify --tier slow"
        ) from None
