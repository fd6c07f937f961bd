"""The store of a sweep: a zarr group whose blocks are written whole, checked when read, and marked when complete.

The store alone is the truth; there is no journal that could disagree with it. Each variable is a zarr array over the grid, one
chunk per block, each chunk file with a CRC-32C, written under a temporary name and renamed. The array `run` has the same blocks
and is written last: a block is finished if its chunk of `run` is there and the checksums of all its chunks fit. The manifest
(what is computed) and the list of runs (when, by which command, versions and hardware) are attributes of the group.

Chunks are encoded here (padding, little endian, zstd, CRC-32C: three lines) and their checksums compared, because zarr takes ten
times as long for either; they are read by zarr.
"""

from __future__ import annotations

import itertools
import shutil
import warnings
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..theory import InputError
from ._sweep_lock import command_line
from ._sweep_manifest import MANIFEST, RUN, RUNS, Manifest, attributes, read_manifest, refuse_other, set_attribute

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    import xarray as xr
    import zarr
    from zarr.storage import ZipStore

Index = tuple[int, ...]
ZSTD_LEVEL = 3


class SweepWarning(UserWarning):
    """A store was damaged, and what is done about it."""


class Store:
    """An open store, to be used while its lock is held. `blocks` are the indices of all blocks, `finished` those in the store."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        """Open the store at `path`, or make it; InputError if what is there is not the store of this manifest."""
        coordinates, self._axes = manifest["coordinates"], list(manifest["axes"])
        self._block = [manifest["block"][axis] for axis in self._axes]
        counts = [-(-len(coordinates[axis]) // b) for axis, b in zip(self._axes, self._block, strict=True)]
        self.path = path
        self.blocks: list[Index] = list(itertools.product(*map(range, counts)))
        self.finished: set[Index] = set()
        # Shape of a whole chunk, and type, of every array that is written block by block.
        self._chunks = {
            name: ((*self._block, *(len(coordinates[dim]) for dim in variable["dims"])), np.dtype(variable["dtype"]))
            for name, variable in manifest["variables"].items()
        }
        self._chunks[RUN] = (tuple(self._block), np.dtype(np.int32))
        if not path.is_file() and not (path.is_dir() and any(path.iterdir())):
            _create(path, manifest)
            return
        refuse_other(path, manifest)
        for name in self._chunks:
            (path / name).mkdir(exist_ok=True)
        for litter in path.rglob("*.partial"):  # temporary names of a writer that was killed
            litter.unlink()
        if damaged := self._repair(coordinates):
            count = f"{len(damaged)} finished block{'s were' if len(damaged) > 1 else ' was'}"
            message = f"{path}: {count} damaged and will be computed again; the first: {damaged[0]}"
            warnings.warn(message, SweepWarning, stacklevel=3)

    def cells(self, index: Index) -> tuple[slice, ...]:
        """The cells of a block, as one slice per axis."""
        return tuple(slice(i * b, (i + 1) * b) for i, b in zip(index, self._block, strict=True))

    def begin_run(self) -> None:
        """Append this run to the list of runs; blocks written from now on carry its number."""
        self._runs: list[dict[str, Any]] = attributes(self.path)[RUNS]
        started = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        self._runs.append({"started": started, "command": command_line(), "machines": []})
        set_attribute(self.path, RUNS, self._runs)

    def write(self, index: Index, results: Mapping[str, np.ndarray[Any, Any]], machine: dict[str, Any]) -> None:
        """Write a block: its machine if new, its variables, and last the mark that it is finished."""
        if machine not in self._runs[-1]["machines"]:
            self._runs[-1]["machines"].append(machine)
            set_attribute(self.path, RUNS, self._runs)
        for name, value in results.items():
            self._write_chunk(name, index, value)
        cells = next(iter(results.values())).shape[: len(index)]
        self._write_chunk(RUN, index, np.full(cells, len(self._runs), np.int32))
        self.finished.add(index)

    def _write_chunk(self, name: str, index: Index, value: np.ndarray[Any, Any]) -> None:
        """Write the file of one chunk under a temporary name, and rename it."""
        import google_crc32c
        from numcodecs.zstd import Zstd

        shape, dtype = self._chunks[name]
        whole = np.full(shape, _fill(dtype), dtype.newbyteorder("<"))  # zarr keeps chunks at the edge in full size
        whole[tuple(map(slice, value.shape))] = value
        data = Zstd(level=ZSTD_LEVEL).encode(whole)
        file = self._file(name, index)
        new = file.with_name(file.name + ".partial")
        try:
            new.write_bytes(data + google_crc32c.value(data).to_bytes(4, "little"))
            new.replace(file)
        except OSError:
            new.unlink(missing_ok=True)  # on a full disk it would take the room
            raise

    def _file(self, name: str, index: Index) -> Path:
        """The file of a chunk; a block is one chunk, so it is the first along inner dimensions."""
        inner = [0] * (len(self._chunks[name][0]) - len(index))
        return self.path / name / ".".join(map(str, ["c", *index, *inner]))

    def _repair(self, coordinates: Mapping[str, list[Any]]) -> list[str]:
        """Find the finished blocks; remove what is left of others, and tell what is wrong with those that were finished once."""
        import zarr

        try:
            group = zarr.open_group(self.path, mode="r+", use_consolidated=True)
        except ValueError as error:
            raise InputError(
                f"{self.path} has lost metadata of zarr ({error}); nothing was changed, choose another path"
            ) from None
        for name, values in coordinates.items():
            if not _reads_as(_array(group, name), values):
                message = f"{self.path}: coordinates of {name} were damaged and are written again"
                warnings.warn(message, SweepWarning, stacklevel=4)
                _array(group, name)[...] = np.asarray(values)
        damaged = []
        for index in self.blocks:
            marked = self._file(RUN, index).exists()
            if marked and not (faults := [f for name in self._chunks if (f := self._fault(name, index))]):
                self.finished.add(index)
                continue
            damaged += faults[:1] if marked else []
            for name in (RUN, *self._chunks):  # the mark first
                self._file(name, index).unlink(missing_ok=True)
        return damaged

    def _fault(self, name: str, index: Index) -> str | None:
        """What is wrong with a chunk of a block that is marked as finished."""
        import google_crc32c

        file = self._file(name, index)
        chunk = file.relative_to(self.path)
        try:
            stored = file.read_bytes()
        except FileNotFoundError:  # any other error may pass, and is no reason to remove what is finished
            return f"{chunk} is missing"
        data, checksum = stored[:-4], stored[-4:]
        whole = len(data) and google_crc32c.value(data).to_bytes(4, "little") == checksum
        return None if whole else f"{chunk} cannot be read (its checksum is of other bytes)"


def fraction_done(store: str | os.PathLike[str]) -> float:
    """Fraction of the cells of a sweep that are finished, also while it is being written.

    In the store (plain zarr or xarray) these are the cells where `run` is positive: the number, in the attribute `tegum_runs`,
    of the run that computed them. Unfinished cells hold NaN in floats and 0 elsewhere. InputError if `store` is not a sweep's.
    """
    import zarr

    read_manifest(Path(store))
    return float(np.mean(np.asarray(_array(zarr.open_group(_source(Path(store)), mode="r"), RUN)[...]) > 0))


def read_sweep(store: str | os.PathLike[str]) -> xr.Dataset:
    """The results of a sweep, finished or not, read from the store as they are used; its manifest is the attribute `tegum_sweep`.

    `store` is the folder of a sweep, or the file that `pack_sweep` made of it. Holds what grid and task determine, so that repeated
    sweeps are identical; who computed what and when is in the variable `run` and the attribute `tegum_runs`, see `fraction_done` and
    `read_runs`. InputError if `store` is not a sweep's.
    """
    import xarray as xr

    path = Path(store)
    manifest = read_manifest(path)
    dataset: xr.Dataset = xr.open_zarr(_source(path), chunks=None, consolidated=True).drop_vars(RUN)
    dataset.attrs = {MANIFEST: manifest}
    return dataset


def read_runs(store: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Who computed a sweep: for each run when it started, its command, and the machines that took part. InputError as for `read_sweep`."""
    read_manifest(Path(store))
    runs: list[dict[str, Any]] = attributes(Path(store))[RUNS]
    return runs


def pack_sweep(store: str | os.PathLike[str], file: str | os.PathLike[str]) -> None:
    """Put a finished sweep into one file, `….zip`, that `read_sweep` and xarray read: for keeping, not for going on.

    The bytes of the file depend on the store alone. Raises InputError if the sweep is not finished or the name does not end in .zip.
    """
    path, target = Path(store), Path(file)
    if target.suffix != ".zip":
        raise InputError(f"file must be called ….zip, got {target.name}")
    if (done := fraction_done(path)) < 1:
        raise InputError(f"store must hold a finished sweep, but {path} is {done:.1%} done; finish it first")
    new = target.with_name(target.name + ".partial")
    try:
        with zipfile.ZipFile(new, "w", zipfile.ZIP_STORED) as archive:  # chunks are compressed already
            for each in sorted(p for p in path.rglob("*") if p.is_file()):
                archive.writestr(zipfile.ZipInfo(each.relative_to(path).as_posix()), each.read_bytes())
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)


def _source(path: Path) -> Path | ZipStore:
    """What zarr reads: the folder, or the packed file."""
    from zarr.storage import ZipStore

    return ZipStore(path, mode="r") if path.is_file() else path


def _create(path: Path, manifest: Manifest) -> None:
    """Make the empty store beside `path` and rename it: there is never half a store."""
    import zarr
    from zarr.codecs import Crc32cCodec, ZstdCodec

    new = path.with_name(f".{path.name}.tegum-new")  # hidden, and nobody else's name
    shutil.rmtree(new, ignore_errors=True)
    axes, coordinates, block = manifest["axes"], manifest["coordinates"], manifest["block"]

    def array(name: str, dims: list[str], dtype: np.dtype[Any], chunks: list[int], **more: Any) -> zarr.Array[Any]:
        return group.create_array(
            name,
            shape=[len(coordinates[dim]) for dim in dims],
            chunks=tuple(chunks),
            dtype=str if dtype.kind == "U" else dtype,
            fill_value=_fill(dtype),
            compressors=[ZstdCodec(level=ZSTD_LEVEL), Crc32cCodec()],
            chunk_key_encoding={"name": "default", "separator": "."},  # folders would cost as much again as the files
            dimension_names=dims,
            **more,
        )

    try:
        group = zarr.create_group(new, attributes={MANIFEST: manifest, RUNS: []})
        for name, values in coordinates.items():
            array(name, [name], np.asarray(values).dtype, [len(values)])[...] = np.asarray(values)
        cells = [block[axis] for axis in axes]
        for name, variable in manifest["variables"].items():
            inner = [len(coordinates[dim]) for dim in variable["dims"]]
            array(name, [*axes, *variable["dims"]], np.dtype(variable["dtype"]), [*cells, *inner])
        meaning = {"description": f"number, in {RUNS}, of the run that computed the cell; 0: unfinished"}
        array(RUN, axes, np.dtype(np.int32), cells, attributes=meaning)
        with warnings.catch_warnings():
            # zarr warns that format 3 does not specify consolidated metadata yet; xarray warns if they are absent.
            warnings.simplefilter("ignore")
            zarr.consolidate_metadata(new)
        new.rename(path)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


def _fill(dtype: np.dtype[Any]) -> Any:
    """What unfinished cells hold."""
    return np.nan if dtype.kind in "fc" else dtype.type(0) if dtype.kind != "U" else ""


def _array(group: zarr.Group, name: str) -> zarr.Array[Any]:
    """An array of the group, by its name."""
    import zarr

    found = group[name]
    assert isinstance(found, zarr.Array)
    return found


def _reads_as(array: zarr.Array[Any], values: list[Any]) -> bool:
    """Whether a coordinate can be read and is what it should be."""
    try:
        return bool(np.array_equal(np.asarray(array[...]), np.asarray(values)))
    except Exception:  # each codec has errors of its own for bytes that make no sense
        return False
