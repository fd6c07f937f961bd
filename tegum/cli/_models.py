"""Commands of trained models: `tegum train` and `inspect`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
        help="compare with the results that come with tegum; exit code 1 if they differ",
    )


def _train(arguments: argparse.Namespace) -> int:
    from ..numerics import PRESETS, SweepError, train_preset
    from ..papers._stored import compare_preset, stored_file
    from ..theory import InputError

    if arguments.list:
        for preset in PRESETS.values():
            cells = len(preset.density) * max(1, len(preset.importance))
            print(f"{preset.name:<20} {cells:>5} cells x {preset.seeds:<3} {preset.about}")
        return 0
    if arguments.preset is None:
        raise InputError("PRESET is missing; tegum train --list shows which there are")
    if arguments.refresh:
        stored_file(arguments.preset)  # refused before anything is trained
    store = arguments.out or Path(f"{arguments.preset}.zarr")
    try:
        models = train_preset(arguments.preset, store=store, seeds=arguments.seeds, device=arguments.device)
    except SweepError as error:
        print(f"tegum: {error}", file=sys.stderr)
        return 2
    sizes = ", ".join(f"{count} {axis}" for axis, count in models.sizes.items())
    print(
        f"{store}: {models.loss.size} models ({sizes}), exact loss {float(models.loss.min()):.3g} to {float(models.loss.max()):.3g}"
    )
    if not arguments.refresh:
        return 0
    found = compare_preset(arguments.preset, models)
    print(
        f"against the stored models of the same seeds: {found.identical:.2%} of {found.models} are the same bit for bit, "
        f"{found.close:.2%} have the same loss within 1 %, mean losses of cells differ by at most {found.largest:.2%}"
    )
    return 0 if found.agrees else 1
