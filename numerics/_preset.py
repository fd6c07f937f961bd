"""Presets: the published settings of toy models, as sweeps that can be stopped, taken up and made again."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..theory import Features, InputError
from ..theory._checks import real_array, whole
from ._model_file import Models
from ._recipe import MODELS, Recipe
from ._store import fraction_done, read_sweep
from ._streams import KINDS, SPARSEST
from ._sweep import sweep
from ._train import find_device, train

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from concurrent.futures import Executor

    import xarray as xr

    Arrays = Mapping[str, np.ndarray[Any, Any]]

# Elhage et al. 2022 as released: AdamW at a constant rate of 1e-3 for 10,000 steps of 1,024 samples.
PUBLISHED = Recipe(schedule="constant")
# A block is what a kill can lose, and what its threads share: at least so many models, where there are as many.
MODELS_PER_BLOCK = 8
# All seeds of a cell are in one block.
MOST_SEEDS = 10**6


@dataclass(frozen=True)
class Preset:
    """Toy models on a grid of densities, importances of the last feature (if `importance` is given) and seeds. Raises InputError.

    Its numbers are the same on every machine, as the random numbers of a model start from them.

    about       what it shows, and where it was published. Densities or seeds that the source does not state are ours, and it says so.
    n, m        features and hidden dimensions
    density     p, of all features alike; any sequence of numbers, at least 1e-6 if the loss is sampled
    importance  values of I_n, the other features having 1; without it the importances are 1, ratio, ratio², …, correctly rounded
    kind, size  'independent', 'correlated' or 'anticorrelated' features, in groups of `size`, if independent 1
    seeds       models per cell, of seeds 0, 1, …; at most 10⁶
    """

    name: str
    about: str
    n: int
    m: int
    density: tuple[float, ...]
    importance: tuple[float, ...] = ()
    ratio: float = 1.0
    kind: str = "independent"
    size: int = 1
    seeds: int = 8
    recipe: Recipe = PUBLISHED

    def __post_init__(self) -> None:
        """Check, so that nothing bad is found out after a store was made."""
        for name, kind in (("name", str), ("about", str), ("kind", str), ("recipe", Recipe)):
            if not isinstance(value := getattr(self, name), kind):
                raise InputError(f"{name} must be a {kind.__name__}, got {value!r}")
        for name in ("n", "m", "size", "seeds"):
            whole(name, getattr(self, name), 1)
        if self.seeds > MOST_SEEDS:
            raise InputError(
                f"seeds must be at most {MOST_SEEDS}, got {self.seeds}; all seeds of a cell are trained together"
            )
        if self.kind not in KINDS:
            raise InputError(f"kind must be one of {', '.join(KINDS)}, got {self.kind!r}")
        if self.kind == "independent" and self.size != 1:
            raise InputError(f"size must be 1 for independent features, got {self.size}; or give a kind of dependence")
        for name in ("density", "importance"):
            object.__setattr__(self, name, _axis(name, getattr(self, name)))
        if not self.density:
            raise InputError("density must hold at least one value, got none")
        ratio: Any = self.ratio
        if not (isinstance(ratio, int | float | np.integer | np.floating) and 0 < ratio <= sys.float_info.max):
            raise InputError(f"ratio must be a positive number, got {ratio!r}")
        object.__setattr__(self, "ratio", float(ratio))
        if self.importance and ratio != 1:
            raise InputError(
                f"ratio must be left out where importance is given, got {ratio!r} and {len(self.importance)} importances"
            )
        self.features(np.array(self.density), np.array(self.importance) if self.importance else None)
        if self.recipe.loss == "sampled" and min(self.density) < SPARSEST:
            raise InputError(
                f"density must be at least {SPARSEST:g} to be sampled, got {min(self.density):g}; train sparser features on loss='exact'"
            )

    @property
    def grid(self) -> dict[str, list[float] | list[int]]:
        """The axes of its sweep."""
        extra: dict[str, list[float] | list[int]] = {"importance": list(self.importance)} if self.importance else {}
        return {"density": list(self.density), **extra, "seed": list(range(self.seeds))}

    def features(self, density: np.ndarray[Any, Any], importance: np.ndarray[Any, Any] | None = None) -> Features:
        """Features of the cells at these densities (P,), and importances (R,) if there is that axis: instances (P, 1) or (P, R, 1)."""
        if importance is None:
            weights = np.array(_powers(self.ratio, self.n))[None, None]
        else:
            weights = np.concatenate([np.ones((len(importance), 1, self.n - 1)), importance[:, None, None]], -1)
            density = density[:, None]
        p = np.asarray(density, float)[..., None, None]
        if self.kind == "independent":
            return Features(p, weights, self.n)
        return getattr(Features, self.kind)(p, weights, self.n, size=self.size)  # type: ignore[no-any-return]


def _axis(name: str, values: object) -> tuple[float, ...]:
    """The values of an axis, given as any sequence."""
    if not isinstance(values, Sequence | np.ndarray) or isinstance(values, str):
        raise InputError(f"{name} must be a sequence of numbers, got {values!r}")
    array = real_array(name, values)
    if array.ndim != 1:
        raise InputError(f"{name} must be a sequence of numbers, got an array of shape {array.shape}")
    return tuple(array.tolist())


def _powers(ratio: float, n: int) -> list[float]:
    """1, ratio, ratio², …: correctly rounded powers of the decimal number that is written, where pow depends on the processor."""
    if abs((n - 1) * math.log10(ratio)) > 300:
        raise InputError(f"ratio must have powers up to n - 1 between 1e-300 and 1e300, got {ratio!r} for n = {n}")
    exact = Fraction(str(ratio))
    return [float(exact**i) for i in range(n)]


# Densities and importances equally spaced in logarithm, "LOWEST to HIGHEST in COUNT", as numpy computed them for the stored models on one
# processor. Frozen, because pow differs in the last bit between processors, and every bit of a model's features is in the key of its
# random numbers: computed elsewhere, they would be those of other models.
_GRIDS = {
    name: tuple(values)
    for name, values in json.loads(Path(__file__).with_name("grids.json").read_text(encoding="utf-8")).items()
}
_PANELS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
_DYNAMICS = replace(PUBLISHED, history=64, snapshots=(0, *np.unique(np.geomspace(10, 10_000, 24).astype(int)).tolist()))

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "phase-2-1",
            "Phase diagram of two features in one dimension (superposition as a phase change; there ten models a cell)",
            2,
            1,
            _GRIDS["1/100 to 1 in 64"],
            _GRIDS["1/10 to 10 in 64"],
        ),
        Preset(
            "phase-3-2",
            "Phase diagram of three features in two dimensions, importances (1, 1, I) (superposition as a phase change)",
            3,
            2,
            _GRIDS["1/100 to 1 in 64"],
            _GRIDS["1/10 to 10 in 64"],
        ),
        Preset(
            "intro-5-2",
            "Digons, then a pentagon (introduction; densities of the released notebook)",
            5,
            2,
            _GRIDS["1/20 to 1 in 10"],
            ratio=0.9,
            seeds=64,
        ),
        Preset(
            "basic-20-5", "Basic results, I = 0.7^i (demonstrating superposition)", 20, 5, _PANELS, ratio=0.7, seeds=16
        ),
        Preset("basic-80-20", "Basic results, I = 0.9^i (demonstrating superposition)", 80, 20, _PANELS, ratio=0.9),
        Preset(
            "uniform-40-10", "Uniform superposition, a small one (densities ours)", 40, 10, _GRIDS["1/20 to 1 in 20"]
        ),
        Preset(
            "uniform-200-20",
            "Uniform superposition as in the released notebook",
            200,
            20,
            _GRIDS["1/20 to 1 in 20"],
            seeds=2,
        ),
        Preset(
            "uniform-400-30",
            "Uniform superposition as published: D* and feature dimensionalities (densities ours)",
            400,
            30,
            _GRIDS["1/30 to 1 in 40"],
            seeds=1,
        ),
        Preset(
            "correlated-4-2",
            "Two sets of two features that are active together (correlated sets; densities ours)",
            4,
            2,
            _GRIDS["1/20 to 1 in 10"],
            kind="correlated",
            size=2,
            seeds=32,
        ),
        Preset(
            "anticorrelated-4-2",
            "Two sets of two features that exclude each other (anticorrelated sets; densities ours, 1/2 is the largest there is)",
            4,
            2,
            tuple(p / 2 for p in _GRIDS["1/20 to 1 in 10"]),
            kind="anticorrelated",
            size=2,
            seeds=32,
        ),
        Preset(
            "correlated-6-2",
            "Three sets of two features that are active together: side by side, or collapsed (correlated sets; densities ours)",
            6,
            2,
            _GRIDS["1/50 to 1 in 14"],
            kind="correlated",
            size=2,
            seeds=32,
        ),
        Preset(
            "correlated-20-10",
            "Two sets of ten features that are active together: local almost-orthogonal bases (densities ours)",
            20,
            10,
            _PANELS,
            kind="correlated",
            size=10,
            seeds=16,
        ),
        Preset(
            "dynamics-6-3",
            "Two sets of three correlated features on the way to an octahedron, with history and snapshots (learning dynamics; "
            "densities ours)",
            6,
            3,
            (0.01, 0.03, 0.1, 0.3),
            kind="correlated",
            size=3,
            seeds=32,
            recipe=_DYNAMICS,
        ),
        Preset(
            "absolute-100-40",
            "Absolute values computed in superposition, I = 0.8^i (computation in superposition)",
            100,
            40,
            _PANELS,
            ratio=0.8,
            seeds=1,
            recipe=replace(PUBLISHED, model="absolute"),
        ),
    )
}


def find_preset(name: str) -> Preset:
    """The preset of this name; InputError if there is none.

    >>> find_preset("uniform-400-30").m
    30
    """
    if str(name) not in PRESETS:  # of a list, say, there is no `in`
        near = get_close_matches(str(name), PRESETS, 1, 0.0)[0]
        raise InputError(
            f"no preset is called {name!r}; the nearest is {near!r}, and there are {', '.join(PRESETS)} (tegum train --list)"
        )
    return PRESETS[str(name)]


@dataclass(frozen=True)
class Training:
    """The task of a sweep: the models of a preset at the given cells, on a device."""

    preset: Preset
    device: str = "cpu"

    @property
    def name(self) -> str:
        """Name of the preset."""
        return self.preset.name

    @property
    def version(self) -> int:
        """2 since powers of the ratio are correctly rounded, which changed some of them."""
        return 1 if self.preset.ratio == 1 else 2

    @property
    def config(self) -> dict[str, object]:
        """What the numbers depend on; the device does, by rounding."""
        p = self.preset
        facts = {"n": p.n, "m": p.m, "ratio": p.ratio, "kind": p.kind, "size": p.size, "device": self.device}
        return {**facts, **asdict(p.recipe)}

    @property
    def block(self) -> dict[str, int]:
        """All importances and seeds together, and enough densities."""
        per_density = self.preset.seeds * max(1, len(self.preset.importance))
        sizes = {"density": -(-MODELS_PER_BLOCK // per_density), "seed": self.preset.seeds}
        return {**sizes, **({"importance": len(self.preset.importance)} if self.preset.importance else {})}

    @property
    def inner(self) -> dict[str, list[int]]:
        """Features and hidden dimensions, numbered from 1, and the steps of histories and snapshots."""
        recipe = self.preset.recipe
        steps = {"step": list(recipe.recorded)} if recipe.recorded else {}
        kept = {"snapshot": list(recipe.snapshots)} if recipe.snapshots else {}
        return {"dimension": [*range(1, self.preset.m + 1)], "feature": [*range(1, self.preset.n + 1)], **steps, **kept}

    @property
    def variables(self) -> dict[str, tuple[tuple[str, ...], str]]:
        """Weights and bias as trained, and the loss of the population: exact, or with its standard error where there is no formula."""
        recipe = self.preset.recipe
        model = MODELS[recipe.model]
        found: dict[str, tuple[tuple[str, ...], str]] = {
            "weights": (("dimension", "feature"), "float32"),
            "bias": (("feature",), "float32"),
            "loss": ((), "float64"),
        }
        if not model.tied:
            found["decoder"] = (("feature", "dimension"), "float32")
        if not model.exact:
            found["loss_error"] = ((), "float64")
        if recipe.recorded:
            found["history"] = (("step",), "float64")
        if recipe.snapshots:
            found["snapshots"] = (("snapshot", "dimension", "feature"), "float32")
        return found

    def __call__(self, cells: Arrays) -> Arrays:
        """Train."""
        recipe, shape = asdict(self.preset.recipe), tuple(len(values) for values in cells.values())
        features = self.preset.features(cells["density"], cells.get("importance"))
        # The last axis of the instances is the seed.
        features.density, features.importance = (
            np.broadcast_to(a, (*shape, self.preset.n)) for a in (features.density, features.importance)
        )
        run = train(features, self.preset.m, seed=cells["seed"], device=self.device, **recipe)
        found = {name: getattr(run, name) for name in self.variables}
        if run.snapshots:
            found["snapshots"] = np.stack([snapshot.weights for snapshot in run.snapshots], -3)
        # There is one replica per seed.
        return {name: np.squeeze(found[name], len(shape)).astype(kind) for name, (_, kind) in self.variables.items()}


def train_preset(
    preset: str | Preset,
    *,
    store: str | os.PathLike[str],
    seeds: int | None = None,
    device: str = "cpu",
    executor: Executor | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Train the models of a published setting, named as in `PRESETS`, or of a `Preset` of your own, into the zarr store at `store`.

    A `sweep`: stopped in any way, the same call takes it up. seeds: models per cell, instead of the preset's number; a model is the
    same, bit for bit on one device, however many others there are. device: 'cpu' (in torch.get_num_threads() threads) or 'cuda'.
    executor, progress and what may go wrong: as for `sweep`.

    Returns a Dataset with dimensions density, importance (phase diagrams), seed, and then dimension and feature: `weights` (…, m, n) and
    `bias` (…, n) in float32, `loss` (…): the exact population loss of each model, or with `loss_error` its estimate where a hidden
    ReLU leaves no formula. Grade of the models SAMPLED. Sources: Elhage et al. 2022 and its released notebook, as `about` says.
    Raises InputError for an unknown preset, a device that is not there, or a store of something else.
    """
    chosen = preset if isinstance(preset, Preset) else find_preset(preset)
    if seeds is not None:
        chosen = replace(chosen, seeds=seeds)
    if find_device(device).type == "cuda" and chosen.recipe.loss == "exact":
        raise InputError(f"device must be 'cpu' for loss 'exact', got {device!r}")
    return sweep(chosen.grid, Training(chosen, device), store=store, executor=executor, progress=progress)


def preset_models(store: str | os.PathLike[str]) -> Models:
    """The models that `train_preset` stored, with the features they were trained on, for `inspect_models`.

    Leading axes are those of the store. InputError if it is not the finished store of a preset.
    """
    path = Path(store)
    if (done := fraction_done(path)) < 1:
        raise InputError(f"{path} must hold a finished training, but {done:.1%} of it is done; go on with tegum train")
    found = read_sweep(path)
    config = found.attrs["tegum_sweep"]["config"]
    try:
        preset = Preset(
            found.attrs["tegum_sweep"]["task"],
            "",
            **{key: config[key] for key in ("n", "m", "ratio", "kind", "size")},
            density=tuple(found.density.values.tolist()),
            importance=tuple(found.importance.values.tolist()) if "importance" in found.dims else (),
            recipe=replace(PUBLISHED, loss=config["loss"]),  # an exact one has sparser features
        )
        weights, bias = found.weights.values, found.bias.values
    except (KeyError, AttributeError):
        raise InputError(f"{path} must be the store of a preset's training, but it is that of another task") from None
    features = preset.features(found.density.values, np.array(preset.importance) if preset.importance else None)
    decoder = found.decoder.values if "decoder" in found else None
    return Models(weights, bias, decoder, features, config["model"], {"store": path.name, "device": config["device"]})
