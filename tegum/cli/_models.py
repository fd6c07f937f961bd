"""Commands of trained models: `tegum train` and `inspect`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ._output import show

if TYPE_CHECKING:
    from ..numerics import Models
    from ..theory import Features
    from ._output import Command


def add(command: Command) -> None:
    """Add the commands to the parser."""
    train = command(
        "train",
        _train,
        "train the models of a published setting",
        "Train the models of a published setting into a zarr store. Stopped in any way, the same command takes it up where it was.",
    )
    train.add_argument("preset", nargs="?", metavar="PRESET", help="e.g. phase-2-1; see --list")
    train.add_argument("--list", action="store_true", help="list the presets, train nothing")
    train.add_argument("--seeds", type=int, metavar="N", help="models per cell, instead of the preset's number")
    train.add_argument("--device", default="cpu", metavar="DEVICE", help="where models train: cpu (default) or cuda")
    train.add_argument("--out", type=Path, metavar="STORE", help="folder of the store (PRESET.zarr)")
    train.add_argument(
        "--refresh",
        action="store_true",
        help="train anew and compare with the results that come with tegum; exit code 1 if they differ",
    )

    inspect = command(
        "inspect",
        _inspect,
        "put trained models beside the theory",
        "Exact loss of trained models x' = ReLU(WᵀW x + b), how far it is above the optimum, their geometry, and the one they should have.",
    )
    inspect.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help=".safetensors, .json or .pt with W and b, (instances, n, m) or (instances, m, n), what tegum saved, or a store of tegum train",
    )
    inspect.add_argument(
        "--density",
        metavar="P[,P…]",
        help="probability that a feature is active, in (0, 1]: one for all, or one for each instance; that in the file if not given",
    )
    inspect.add_argument("--importance", metavar="I,I…", help="importance of every feature (all 1)")
    inspect.add_argument("--ratio", type=float, metavar="R", help="importances 1, R, R², … instead")
    inspect.add_argument(
        "--search",
        action="store_true",
        help="search for the optimum of more than 20 features too: minutes for each density",
    )
    inspect.add_argument("--json", action="store_true", help="results as JSON on stdout")


def _train(arguments: argparse.Namespace) -> int:
    import numpy as np

    from ..numerics import PRESETS, SweepError, train_preset
    from ..papers._stored import compare_preset, refuse_finished, stored_file
    from ..theory import InputError

    if arguments.list:
        for preset in PRESETS.values():
            cells = len(preset.density) * max(1, len(preset.importance))
            print(f"{preset.name:<20} {cells:>5} cells x {preset.seeds:<3} {preset.about}")
        return 0
    if arguments.preset is None:
        raise InputError("PRESET is missing; tegum train --list shows which there are")
    store = arguments.out or Path(f"{arguments.preset}.zarr")
    if arguments.refresh:  # refused before anything is trained
        stored_file(arguments.preset)
        refuse_finished(store)
    try:
        models = train_preset(arguments.preset, store=store, seeds=arguments.seeds, device=arguments.device)
    except SweepError as error:
        print(f"tegum: {error}", file=sys.stderr)
        return 2
    sizes = ", ".join(f"{count} {axis}" for axis, count in models.sizes.items())
    loss = models.loss.values
    finite, kind = loss[np.isfinite(loss)], "sampled" if "loss_error" in models else "exact"
    spread = [f"{kind} loss {finite.min():.3g} to {finite.max():.3g}"] if finite.size else []
    diverged = [f"{loss.size - finite.size} diverged"] if finite.size < loss.size else []
    print(f"{store}: {loss.size} models ({sizes}), {', '.join(spread + diverged)}")
    if not arguments.refresh:
        return 0
    found = compare_preset(arguments.preset, models)
    print(
        f"against the stored models of the same seeds: {found.identical:.2%} of {found.models} are the same bit for bit, "
        f"{found.close:.2%} have the same loss within 1 %, mean losses of cells differ by at most {found.largest:.2%}"
    )
    return 0 if found.agrees else 1


def _inspect(arguments: argparse.Namespace) -> int:
    import numpy as np

    from ..numerics import inspect_models, load_models, preset_models

    stored = arguments.file.is_dir() or arguments.file.suffix in (".zarr", ".zip")
    models = preset_models(arguments.file) if stored else load_models(arguments.file)
    found = inspect_models(models, _features(arguments, models), search=arguments.search or None, progress=True)
    rows = found.rows()
    if arguments.json:
        print(json.dumps({"grade": found.grade.name, "n": models.n, "m": models.m, "models": rows}))
    elif len(rows) == 1:
        keys = (
            "loss",
            "excess",
            "optimum",
            "nearest",
            "geometry",
            "phase",
            "optimum_phase",
            "dimensionality",
            "dimensions_per_feature",
        )
        show({**{key: rows[0][key] for key in keys}, "grade": found.grade.name}, False)
    else:
        width = max(len(row["phase"]) for row in rows)
        print(f"{'model':<10} {'exact loss':>12} {'excess':>9} {'unsettled':>9}  {'is':<{width}}  should be")
        for row in rows:
            place = ",".join(map(str, row["index"]))
            excess, unsettled = ("-" if row[key] is None else f"{row[key]:.2e}" for key in ("excess", "unsettled"))
            should = row["optimum_phase"] or "-"
            print(f"{place:<10} {row['loss']:>12.8f} {excess:>9} {unsettled:>9}  {row['phase']:<{width}}  {should}")
    if not np.isfinite(found.optimum).any():
        print("tegum: the optimum of more than 20 features is searched for with --search only", file=sys.stderr)
    return 0


def _features(arguments: argparse.Namespace, models: Models) -> Features | None:
    """Features as given on the command line; None if nothing was."""
    from ..theory import Features, InputError

    if arguments.density is None:
        if arguments.importance is not None or arguments.ratio is not None:
            raise InputError("--density must be given with --importance or --ratio; add --density P")
        if models.features is None:
            raise InputError(f"--density must be given: {arguments.file} does not say what its models were trained on")
        return None
    if arguments.importance is not None and arguments.ratio is not None:
        raise InputError("either --importance or --ratio can be given, got both; leave one out")
    density = _numbers("--density", arguments.density)
    if len(density) > 1 and models.shape != (len(density),):
        raise InputError(
            f"--density must be one number, or one for each model of a file with one axis of them; got {len(density)} "
            f"for models of shape {models.shape}"
        )
    weights = [(1.0 if arguments.ratio is None else arguments.ratio) ** i for i in range(models.n)]
    if arguments.importance is not None:
        weights = _numbers("--importance", arguments.importance)
        if len(weights) != models.n:
            raise InputError(f"--importance must be {models.n} numbers, one for each feature, got {len(weights)}")
    return Features([[p] for p in density] if len(density) > 1 else density[0], weights)


def _numbers(name: str, text: str) -> list[float]:
    from ..theory import InputError

    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"{name} must be numbers separated by commas, got {text!r}") from None
