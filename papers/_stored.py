"""Stored: trained models of published settings that come with tegum, one packed sweep each, and how models made again compare with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..numerics import find_preset, fraction_done, read_runs, read_sweep
from ..theory import InputError
from ._lab import STORED, Run

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr

# On another processor rounding differs, and training amplifies it: some models then end in another minimum.
SAME_LOSS, SAME_SHARE = 0.01, 0.98


@dataclass(frozen=True)
class Comparison:
    """Models made again against the stored ones: how many are compared, the share that is the same bit for bit, the share whose losses
    differ by less than 1 % (`SAME_LOSS`), and the largest relative difference of the mean loss of a cell."""

    models: int
    identical: float
    close: float
    largest: float

    @property
    def agrees(self) -> bool:
        """Whether at least 98 % (`SAME_SHARE`) of the losses are the same within 1 %."""
        return self.close >= SAME_SHARE


def stored_presets() -> list[str]:
    """Names of the presets that are stored."""
    return sorted(path.stem for path in STORED.glob("*.zip"))


def stored_file(name: str) -> Path:
    """Where the models of a preset are stored; InputError if they are not."""
    find_preset(name)
    if name not in stored_presets():
        raise InputError(f"preset {name!r} is not stored; stored are {', '.join(stored_presets())}")
    return STORED / f"{name}.zip"


def load_preset(name: str) -> Run:
    """The stored models of a preset: axes, weights, bias and loss as arrays, and how and when they were made."""
    file = stored_file(name)
    models, (*_, last) = read_sweep(file), read_runs(file)
    machine, recipe = last["machines"][-1], models.attrs["tegum_sweep"]["config"]
    kept = [key for key in models.variables if key not in ("dimension", "feature")]
    data = {str(key): np.asarray(models[key]) for key in kept}
    facts = ("steps", "batch", "learning_rate", "schedule", "device")
    provenance = {
        "command": last["command"],
        "when": last["started"],
        "hardware": f"{machine['system']}, {machine['processor']}, {machine['cores']} logical cores",
        "versions": machine["versions"],
        "torch": machine["versions"]["torch"],
        "replicas": models.sizes["seed"],
        "seed": 0,
        "dtype": str(models.weights.dtype),
        **{fact: recipe[fact] for fact in facts},
    }
    return Run(name, data, provenance)


def compare_preset(name: str, again: xr.Dataset) -> Comparison:
    """Compare models of a preset with the stored ones of the same seeds.

    InputError if the preset is not stored, a density or importance differs, or no seed is common.
    """
    stored = read_sweep(stored_file(name))
    for axis in (axis for axis in stored.loss.dims if axis != "seed"):
        old_axis, new_axis = (models[axis].values.tolist() if axis in models.dims else [] for models in (stored, again))
        if old_axis != new_axis:
            at = next((i for i, (a, b) in enumerate(zip(old_axis, new_axis, strict=False)) if a != b), None)
            first = (
                f"{len(old_axis)} values, got {len(new_axis)}"
                if at is None
                else f"{old_axis[at]} at {at}, got {new_axis[at]}"
            )
            raise InputError(
                f"{axis} must be that of the stored models, {first}; only models of the same cells can be compared"
            )
    seeds = np.intersect1d(stored.seed, again.seed)
    if not len(seeds):
        raise InputError(f"the models must have a seed in common with the stored ones, {stored.seed.values.tolist()}")
    old, new = (models.sel(seed=seeds).load() for models in (stored, again))
    same = np.ones(old.loss.shape, bool)
    for key in old.data_vars:
        equal = np.equal(old[key].values, new[key].values)
        same &= equal.reshape(*old.loss.shape, -1).all(-1)
    # Of xarray's arithmetic cells that do not match would drop out.
    losses, stored_losses = (models.loss.values for models in (new, old))
    off = np.abs(losses / stored_losses - 1)
    means = np.abs(losses.mean(-1) / stored_losses.mean(-1) - 1)
    return Comparison(losses.size, float(same.mean()), float((off < SAME_LOSS).mean()), float(means.max()))


def refuse_finished(store: Path) -> None:
    """InputError if a sweep at `store` is finished: nothing would be made again."""
    if not (store / "zarr.json").exists() or fraction_done(store) < 1:
        return
    last = read_runs(store)[-1]
    versions = last["machines"][-1]["versions"] if last["machines"] else {}
    by = ", ".join(f"{package} {version}" for package, version in versions.items())
    raise InputError(
        f"{store} holds a training that was finished before, started {last['started']} by {by}: nothing would be made again; "
        "give another --out, or remove it"
    )
