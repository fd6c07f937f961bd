"""The manifest of a sweep: what is computed, so that a store is taken up by the same sweep only, and what computed it."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..theory import InputError
from ..theory._checks import whole

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ._sweep import Task

Manifest = dict[str, Any]
# 1 had a folder for every index of a chunk. The store says itself how it is read; only the present schema is written.
SCHEMA, READABLE = 2, (1, 2)
MANIFEST, RUNS, RUN = "tegum_sweep", "tegum_runs", "run"


def make_manifest(grid: Mapping[str, ArrayLike], task: Task) -> Manifest:
    """What the store is of: everything that the numbers and their layout depend on, as JSON; InputError if something is wrong."""
    if not isinstance(grid, Mapping) or not grid:
        raise InputError(f"grid must have at least one axis, got {grid!r}; give for example {{'seed': range(8)}}")
    if lacking := [
        part for part in ("name", "version", "config", "block", "inner", "variables") if not hasattr(task, part)
    ]:
        raise InputError(f"task must be a Task, but {type(task).__name__} has no {', '.join(lacking)}")
    names = [*grid, *task.inner, *task.variables, RUN]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(
            f"axes, inner dimensions and variables must have names of their own and not {RUN!r}, got {twice!r} twice"
        )
    if odd := [name for name in names if not (isinstance(name, str) and name.isidentifier())]:
        raise InputError(f"axes, inner dimensions and variables must be called by identifiers, got {odd[0]!r}")
    if not isinstance(task.block, Mapping):
        raise InputError(f"task.block must be a dict from axes to cells per block, got {task.block!r}")
    if stray := next((axis for axis in task.block if axis not in grid), None):
        raise InputError(f"task.block must name axes of the grid, which are {list(grid)}, got {stray!r}")
    try:
        config = json.loads(json.dumps(dict(task.config), allow_nan=False, default=_plain))
    except (TypeError, ValueError) as error:
        raise InputError(f"task.config must hold finite numbers, strings, lists and dicts of them: {error}") from None
    if not task.variables:
        raise InputError("task.variables must name at least one result, got none")
    for name, (dims, dtype) in task.variables.items():
        if not _storable(dtype) or not set(dims) <= set(task.inner):
            rule = f"(dimensions among {list(task.inner)}, a numeric dtype)"
            raise InputError(f"task.variables[{name!r}] must be {rule}, got {(dims, dtype)!r}")
    coordinates = {name: _coordinates(name, values) for name, values in {**grid, **task.inner}.items()}
    block = {axis: whole(f"task.block[{axis!r}]", task.block.get(axis, 1), 1) for axis in grid}
    return {
        "schema": SCHEMA,
        "task": task.name,
        "version": task.version,
        "config": config,
        "axes": list(grid),
        "coordinates": coordinates,
        "block": {axis: min(size, len(coordinates[axis])) for axis, size in block.items()},
        "variables": {
            k: {"dims": list(dims), "dtype": np.dtype(dtype).name} for k, (dims, dtype) in task.variables.items()
        },
    }


def _coordinates(name: str, values: ArrayLike) -> list[Any]:
    """Coordinates of a dimension as a list of distinct plain values."""
    array = np.asarray(values)
    finite = (array.dtype.kind in "biuU" and array.dtype != np.uint64) or (
        array.dtype.kind == "f" and bool(np.isfinite(array).all())
    )
    if array.ndim != 1 or not array.size or not finite:
        raise InputError(
            f"axis {name} must be a non-empty sequence of finite numbers (integers below 2**63) or of strings, got {values!r}"
        )
    plain: list[Any] = array.tolist()
    if len(set(plain)) < len(plain):
        twice = next(value for value in plain if plain.count(value) > 1)
        raise InputError(f"axis {name} must have distinct coordinates, got {twice!r} twice; remove one")
    return plain


def _storable(dtype: str) -> bool:
    """Whether zarr has arrays of this type of numbers."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        return False
    return found.kind in "biufc" and found.itemsize <= (16 if found.kind == "c" else 8)


def _plain(value: object) -> object:
    """Numpy values in a config as Python's."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not JSON")


def refuse_other(path: Path, manifest: Manifest) -> None:
    """InputError unless `path` holds a store with exactly this manifest."""
    stored = read_manifest(path)
    if stored["schema"] != manifest["schema"]:
        raise InputError(
            f"{path} is a store of schema {stored['schema']}, which read_sweep reads, but which only the version that wrote it "
            "goes on with; nothing was changed, choose another store"
        )
    if path.is_file():
        raise InputError(f"{path} is a packed sweep, for read_sweep; nothing was changed, choose another store")
    if difference := first_difference(stored, manifest):
        raise InputError(
            f"{path} holds another sweep: {difference}; nothing was changed, choose another store or remove it"
        )


def read_manifest(path: Path) -> Manifest:
    """The manifest of the store at `path`; InputError if there is none or if it is of another schema."""
    try:
        stored: Manifest = attributes(path)[MANIFEST]
        schema = stored["schema"]
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        raise InputError(f"{path} is not the store of a sweep; nothing was changed, choose another path") from None
    if schema not in READABLE:
        raise InputError(
            f"{path} is a store of schema {schema}, this version of tegum reads {' and '.join(map(str, READABLE))}; "
            "nothing was changed, choose another path or use the version that wrote it"
        )
    return stored


def first_difference(stored: Any, given: Any, name: str = "") -> str | None:
    """Where two JSON values first differ, in words; None if they are the same.

    >>> first_difference({"config": {"steps": 100}}, {"config": {"steps": 200}})
    'config.steps is 100 in the store, now 200'
    >>> first_difference([0.1, 0.2], [0.1, 0.2, 0.3], "density")
    'density has 2 entries in the store, now 3'
    """
    if isinstance(stored, dict) and isinstance(given, dict):
        for key in [*stored, *(key for key in given if key not in stored)]:
            inner = f"{name}.{key}" if name else str(key)
            if key not in given or key not in stored:
                return (
                    f"{inner} is in the store, but not given now" if key in stored else f"{inner} is not in the store"
                )
            if found := first_difference(stored[key], given[key], inner):
                return found
        return None
    if isinstance(stored, list) and isinstance(given, list):
        pairs = (first_difference(a, b, f"{name}[{i}]") for i, (a, b) in enumerate(zip(stored, given, strict=False)))
        if found := next(filter(None, pairs), None):
            return found
        return None if len(stored) == len(given) else f"{name} has {len(stored)} entries in the store, now {len(given)}"
    old, new = json.dumps(stored), json.dumps(given)  # 1 and 1.0 are not the same coordinate
    return None if old == new else f"{name} is {old} in the store, now {new}"


def attributes(path: Path) -> dict[str, Any]:
    """Attributes of the group, from the file: zarr would make a group of an empty folder."""
    inside: Path | zipfile.Path = zipfile.Path(path) if path.suffix == ".zip" and path.is_file() else path
    found: dict[str, Any] = json.loads((inside / "zarr.json").read_text(encoding="utf-8"))["attributes"]
    return found


def set_attribute(path: Path, name: str, value: object) -> None:
    """Replace one attribute of the group, whole or not at all, also if the machine stops."""
    file = path / "zarr.json"
    metadata = json.loads(file.read_text(encoding="utf-8"))
    metadata["attributes"][name] = value
    new = file.with_name("zarr.json.partial")
    try:
        with new.open("w", encoding="utf-8") as handle:
            json.dump(metadata, handle, indent=1)
            handle.flush()
            os.fsync(handle.fileno())
        new.replace(file)
    except OSError:
        new.unlink(missing_ok=True)  # on a full disk it would take the room
        raise


@cache
def machine() -> dict[str, Any]:
    """Hardware and versions of this process; asked after the work, when what it uses is loaded."""
    versions = {"python": platform.python_version()}
    for package in ("tegum", "numpy", "scipy", "torch"):
        if package in sys.modules:
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                versions[package] = importlib.metadata.version(package)
    if found := commit():
        versions["commit"] = found
    torch = sys.modules.get("torch")
    gpu = torch.cuda.get_device_name() if torch is not None and torch.cuda.is_initialized() else None
    system = f"{platform.system()} {platform.machine()}"
    return {"system": system, "processor": _processor(), "cores": os.cpu_count(), "gpu": gpu, "versions": versions}


@cache
def commit() -> str | None:
    """The commit, when the package runs from a checkout; with a plus if files differ from it."""
    root = Path(__file__).parent.parent
    if not (root / ".git").exists():
        return None
    git = ["git", "-C", str(root)]
    try:
        name = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return name.stdout.strip() + ("+" if changed.stdout.strip() else "")


def _processor() -> str:
    """Model of the CPU where the system tells it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
