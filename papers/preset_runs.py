"""Train the stored presets again and store them: `python -m tegum.papers.preset_runs [PRESET …]`, an hour and a half on two cores.

The sweeps are in build/, so that an interrupted run goes on where it stopped; the packed results replace those in runs/ of the checkout.
What is finished in build/ is packed as it is: remove it to train again.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ..numerics import pack_sweep, train_preset
from ..theory import InputError
from ._lab import STORED
from ._stored import stored_presets

if __name__ == "__main__":
    try:
        for name in sys.argv[1:] or stored_presets():
            store = Path("build") / f"{name}.zarr"
            train_preset(name, store=store)
            pack_sweep(store, STORED / f"{name}.zip")
    except InputError as error:
        sys.exit(f"tegum: {error}")
