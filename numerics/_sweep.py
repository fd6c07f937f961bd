"""Sweeps: a task over a grid, block by block, on any executor, into a store that can be stopped and taken up at any moment."""

from __future__ import annotations

import hashlib
import itertools
import json
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from tqdm import tqdm

from ..theory import InputError
from ._store import Index, Store, read_sweep
from ._sweep_lock import SweepError, locked
from ._sweep_manifest import Manifest, machine, make_manifest

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    import xarray as xr
    from numpy.typing import ArrayLike

Arrays = dict[str, np.ndarray[Any, Any]]
Outcome = tuple["Mapping[str, np.ndarray[Any, Any]]", dict[str, Any]]  # results of a block, and the machine
AT_ONCE = 1024  # blocks submitted and not yet stored: keeps hundreds of workers busy and bounds the results in memory


class Task(Protocol):
    """What a sweep computes. Picklable, if the executor has other processes; the attributes are part of the manifest.

    The value of a cell must be determined by its coordinates and `config`, not by the other cells of its block: random numbers
    start from `cell_seeds`.
    """

    @property
    def name(self) -> str:
        """Name of the task, for the manifest and the progress bar."""

    @property
    def version(self) -> int:
        """To be raised when a change of the code changes the numbers."""

    @property
    def config(self) -> Mapping[str, object]:
        """Every setting that the numbers depend on beside the coordinates, as JSON values."""

    @property
    def block(self) -> Mapping[str, int]:
        """Cells per block along each axis, 1 if not named: one block is one call and is lost or stored whole."""

    @property
    def inner(self) -> Mapping[str, ArrayLike]:
        """Coordinates of the dimensions that results have beyond the axes of the grid, such as the steps of a history."""

    @property
    def variables(self) -> Mapping[str, tuple[tuple[str, ...], str]]:
        """Name -> (dimensions beyond the axes of the grid, numpy dtype) of every result."""

    def __call__(self, cells: Mapping[str, np.ndarray[Any, Any]]) -> Mapping[str, np.ndarray[Any, Any]]:
        """Results on the outer product of the given coordinates: arrays of shape (cells along each axis…, inner…)."""


def sweep(
    grid: Mapping[str, ArrayLike],
    task: Task,
    *,
    store: str | os.PathLike[str],
    executor: Executor | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Compute `task` on every cell of the outer product of the axes of `grid`, into the zarr store at the path `store`.

    grid: axis name -> its coordinates, numbers or strings, distinct and in the order they shall have. executor: where blocks are
    computed: None is this process, one after the other; else any `concurrent.futures.Executor`, a Dask client's
    `client.get_executor()` included. Only this process writes, so workers need no common disk. progress: a bar on stderr.

    A sweep that was stopped in any way is taken up by the same call: finished blocks are checked and kept, and the results are
    those of an uninterrupted sweep bit for bit, if the task keeps its promise and the hardware is the same. Damaged blocks are
    computed again, with a SweepWarning. After a power cut these may be the blocks of the last seconds, which the system had not
    yet brought to the disk.

    Returns the Dataset of `read_sweep`: one dimension per axis, then those of the task. Raises InputError if an argument is bad
    or the store holds something else (the message names the first difference, nothing is changed); SweepError if another sweep
    is writing the store, if the task fails, if a worker process dies or the disk is full; KeyboardInterrupt if interrupted. In each
    case everything finished is kept.
    """
    manifest, path = make_manifest(grid, task), _path(store)
    if executor is not None and not isinstance(executor, Executor):
        raise InputError(
            f"executor must be None or a concurrent.futures.Executor, got {executor!r}; of a Dask client: client.get_executor()"
        )
    try:
        with locked(path):
            data = Store(path, manifest)
            if len(data.finished) < len(data.blocks):
                _compute_missing(data, manifest, task, executor, progress)
    except OSError as error:
        what = f"{error.strerror or error}{f' ({error.filename})' if error.filename else ''}"
        raise SweepError(f"cannot read or write {path}: {what}; call sweep again when it can") from error
    return read_sweep(path)


def _path(store: str | os.PathLike[str]) -> Path:
    """The path of a store; InputError if it is none."""
    try:
        path = Path(store)
    except TypeError:
        raise InputError(f"store must be the path of a folder to be made, got {store!r}") from None
    if path.resolve() == path.resolve().parent or (path.is_dir() and path.samefile(Path.cwd())):
        raise InputError(f"store must be a folder of its own, got {str(path)!r}; give for example 'sweep.zarr'")
    if path.is_symlink() and not path.exists():
        raise InputError(f"store must be a folder or not exist yet, but {path} is a link to nothing")
    return path


def cell_seeds(cells: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """A seed in [0, 2⁶³) for every cell of the outer product: SHA-256 of its named coordinates, whatever grid or block it is in.

    >>> cell_seeds({"density": np.array([0.5, 1.0]), "seed": np.array([0])})
    array([[3634409162892415410],
           [6074530147180182951]])
    """
    names = list(cells)
    seeds = []
    for values in itertools.product(*(np.asarray(cells[name]).tolist() for name in names)):
        cell = json.dumps(dict(zip(names, values, strict=True)), sort_keys=True)
        seeds.append(int.from_bytes(hashlib.sha256(cell.encode()).digest()[:8], "big") >> 1)
    return np.array(seeds, np.int64).reshape([np.size(cells[name]) for name in names])


def _compute_missing(data: Store, manifest: Manifest, task: Task, executor: Executor | None, progress: bool) -> None:
    """Compute and store the unfinished blocks; whatever stops it, what is finished is stored."""
    data.begin_run()
    missing = [index for index in data.blocks if index not in data.finished]
    axes = {axis: np.asarray(manifest["coordinates"][axis]) for axis in manifest["axes"]}

    def cells(index: Index) -> Arrays:
        return {axis: axes[axis][part] for axis, part in zip(axes, data.cells(index), strict=True)}

    def save(index: Index, outcome: Callable[[], Outcome]) -> None:
        try:
            outputs, where = outcome()
            results = _checked(outputs, manifest, [len(part) for part in cells(index).values()])
        except (BrokenExecutor, CancelledError) as error:
            reason = (
                "a worker process died (killed, or out of memory)"
                if isinstance(error, BrokenExecutor)
                else "the executor was closed"
            )
            raise SweepError(f"{reason}; go on with a new executor") from error
        except Exception as error:
            ends = ", ".join(f"{axis} {part[0]} to {part[-1]}" for axis, part in cells(index).items())
            raise SweepError(f"task {task.name} failed on {ends}: {type(error).__name__}: {error}") from error
        data.write(index, results, where)
        bar.update()

    total, done = len(data.blocks), len(data.finished)
    with tqdm(total=total, initial=done, desc=task.name, unit="block", disable=not progress) as bar:
        try:
            if executor is None:
                for index in missing:
                    save(index, partial(_compute, task, cells(index)))
            else:
                _spread(missing, lambda index: executor.submit(_compute, task, cells(index)), save)
        except (
            RuntimeError,
            OSError,
            KeyboardInterrupt,
        ) as stop:  # RuntimeError: also an executor that takes no more work
            kept = f"{len(data.finished)} of {total} blocks are finished and kept in {data.path}, call sweep again to go on"
            if isinstance(stop, KeyboardInterrupt):
                raise KeyboardInterrupt(f"stopped; {kept}") from None
            reason = f"cannot write: {stop.strerror or stop}" if isinstance(stop, OSError) else str(stop)
            raise SweepError(f"{reason}; {kept}") from stop.__cause__ or stop


def _spread(
    missing: list[Index],
    submit: Callable[[Index], Future[Outcome]],
    save: Callable[[Index, Callable[[], Outcome]], None],
) -> None:
    """Keep the executor busy and save what it returns, in the order it comes."""
    pending: dict[Future[Outcome], Index] = {}
    queue = iter(missing)
    try:
        while True:
            for index in itertools.islice(queue, AT_ONCE - len(pending)):
                pending[submit(index)] = index
            if not pending:
                return
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                save(pending[future], future.result)
                del pending[future]
    finally:
        # Stopped by an interrupt or a failure: nothing more is started, and what was finished meanwhile is kept.
        for future in pending:
            future.cancel()
        for future, index in pending.items():
            if future.done() and not future.cancelled() and future.exception() is None:
                save(index, future.result)


def _compute(task: Task, cells: Arrays) -> Outcome:
    """One block, where the executor runs it, and the machine that did it."""
    return task(cells), machine()


def _checked(outputs: Mapping[str, Any], manifest: Manifest, shape: list[int]) -> Arrays:
    """The results of a block, if they are what the task declares."""
    variables = manifest["variables"]
    if set(outputs) != set(variables):
        raise ValueError(f"it returned {sorted(outputs)} and declares {sorted(variables)}")
    results = {name: np.asarray(outputs[name]) for name in variables}
    for name, value in results.items():
        inner = [len(manifest["coordinates"][dim]) for dim in variables[name]["dims"]]
        if value.shape != (*shape, *inner) or value.dtype != variables[name]["dtype"]:
            declared = f"{(*shape, *inner)} of {variables[name]['dtype']}"
            raise ValueError(f"it returned {name} of shape {value.shape} of {value.dtype} and declares {declared}")
    return results
