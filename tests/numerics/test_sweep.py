"""Sweeps cannot be lost: killed, interrupted, damaged, crowded out, they end with the bytes of an undisturbed one."""

import contextlib
import dataclasses
import errno
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

sys.path.insert(0, str(Path(__file__).parent))  # spawned workers are given it

from sweep_tasks import Walks

from tegum.numerics._store import SweepWarning, fraction_done, read_sweep
from tegum.numerics._sweep import cell_seeds, sweep
from tegum.numerics._sweep_lock import SweepError
from tegum.theory import InputError

GRID = {"density": [0.1, 0.25, 1.0], "kind": ["relu", "abs"], "seed": range(5)}
BLOCK = {"density": 2, "seed": 2}  # 2 x 2 x 3 blocks, those at the edges smaller
BLOCKS = 12
FORK = multiprocessing.get_context("fork")
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of Python 3.12, in processes with threads


def files(store, but=()):
    """Every file of a store, without the list of runs."""
    found = {str(p.relative_to(store)): p.read_bytes() for p in sorted(store.rglob("*")) if p.is_file()}
    root = json.loads(found.pop("zarr.json"))
    root["attributes"].pop("tegum_runs")
    kept = {name: data for name, data in found.items() if not name.startswith(tuple(but))}
    return kept | {"zarr.json": json.dumps(root)}


def same(store, reference):
    """The bytes of all results; `run` says which run computed a cell, and may differ."""
    assert fraction_done(store) == 1
    assert files(store, but=["run/c."]) == files(reference, but=["run/c."])
    assert read_sweep(store).load().identical(read_sweep(reference).load())
    assert not list(store.parent.glob(f".{store.name}.tegum-*"))


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    store = tmp_path_factory.mktemp("reference") / "walks.zarr"
    sweep(GRID, Walks(BLOCK), store=store, progress=False)
    return store


def in_child(store, stderr, *arguments, **keywords):
    """A forked process that sweeps, its stderr in a file; exit 3 after an error, 130 after an interrupt, message on stderr."""

    def run():
        os.setpgrp()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.dup2(os.open(stderr, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        sys.stderr = os.fdopen(2, "w")
        workers = keywords.pop("workers", 0)
        code = 0
        try:
            if workers:
                with ProcessPoolExecutor(workers, mp_context=FORK) as executor:
                    sweep(*arguments, store=store, executor=executor, **keywords)
            else:
                sweep(*arguments, store=store, **keywords)
        except (SweepError, KeyboardInterrupt) as error:
            sys.stderr.write(f"\n{type(error).__name__}: {error}\n")
            code = 130 if isinstance(error, KeyboardInterrupt) else 3
        sys.stderr.flush()
        os._exit(code)

    child = FORK.Process(target=run)
    child.start()
    return child


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def done(store):
    return fraction_done(store) if (store / "zarr.json").exists() else 0


# ---- what comes out


def test_results_are_those_of_the_task_on_the_whole_grid(reference):
    results = read_sweep(reference)
    expected = Walks()({axis: np.asarray(values) for axis, values in GRID.items()})
    assert results.position.dims == ("density", "kind", "seed", "step")
    assert results.total.dims == ("density", "kind", "seed")
    assert {axis: results[axis].values.tolist() for axis in GRID} == {axis: list(v) for axis, v in GRID.items()}
    for name, values in expected.items():
        assert results[name].dtype == values.dtype
        assert np.array_equal(results[name], values)
    assert float(results.total.sel(density=0.25, kind="abs", seed=3)) == expected["total"][1, 1, 3]


def test_plain_xarray_and_zarr_show_everything(reference):
    """Without tegum: results, coordinates and what is done; warnings are errors."""
    plain = xr.open_zarr(reference)
    assert set(plain.data_vars) == {"position", "total", "positive", "run"}
    assert set(plain.coords) == {"density", "kind", "seed", "step"}
    assert (plain.run == 1).all()
    manifest = plain.attrs["tegum_sweep"]
    assert manifest["task"] == "walks"
    assert manifest["config"] == {"length": 6}
    assert manifest["coordinates"]["seed"] == [0, 1, 2, 3, 4]
    (run,) = plain.attrs["tegum_runs"]
    assert run["machines"][0]["versions"]["numpy"] == np.__version__
    assert run["machines"][0]["cores"] == os.cpu_count()
    assert zarr.open_group(reference)["position"].shape == (3, 2, 5, 6)


def test_zarr_writes_the_same_chunks(reference, tmp_path):
    """Chunks are encoded by hand; zarr itself, given the results, makes the same bytes."""
    copy = tmp_path / "copy.zarr"
    shutil.copytree(reference, copy)
    group = zarr.open_group(copy, mode="r+")
    for name in ("position", "total", "positive", "run"):
        values = group[name][...]
        for chunk in (copy / name).glob("c.*"):
            chunk.unlink()
        group[name].with_config({"write_empty_chunks": True})[...] = values
    assert files(copy) == files(reference)


@pytest.mark.parametrize("block", [{}, {"density": 3, "kind": 2, "seed": 5}, {"seed": 99}])
def test_blocks_do_not_change_results(block, reference, tmp_path):
    results = sweep(GRID, Walks(block), store=tmp_path / "a.zarr", progress=False)
    assert results.drop_attrs().identical(read_sweep(reference).drop_attrs())


def test_executors_give_the_same_bytes(reference, tmp_path):
    for number, executor in enumerate([ThreadPoolExecutor(3), ProcessPoolExecutor(2, mp_context=FORK)]):
        with executor:
            store = tmp_path / f"{number}.zarr"
            sweep(GRID, Walks(BLOCK), store=store, executor=executor, progress=False)
        assert files(store) == files(reference)


def test_seeds_belong_to_cells():
    cells = {"density": np.array([0.1, 0.5]), "seed": np.arange(300)}
    seeds = cell_seeds(cells)
    assert len(set(seeds.flat)) == 600
    assert seeds.min() >= 0
    assert np.array_equal(cell_seeds({"density": np.array([0.5]), "seed": np.arange(7, 9)}), seeds[1:, 7:9])
    assert np.array_equal(cell_seeds(dict(reversed(cells.items()))), seeds.T)
    assert cell_seeds({"density": np.array([0.1]), "copy": np.array([0])}) != seeds[0, 0]  # names count


def test_progress_is_on_stderr(tmp_path, capfd):
    task = Walks(BLOCK, fail=4)
    with pytest.raises(SweepError):
        sweep(GRID, task, store=tmp_path / "a.zarr")
    capfd.readouterr()
    sweep(GRID, Walks(BLOCK), store=tmp_path / "a.zarr")
    out, err = capfd.readouterr()
    assert out == ""
    assert "walks:  17%" in err.split("\r")[1]  # taken up at 2 of 12
    assert "12/12" in err
    assert "block/s" in err
    sweep(GRID, Walks(BLOCK), store=tmp_path / "b.zarr", progress=False)
    assert capfd.readouterr() == ("", "")


# ---- stopped, and taken up


@pytest.mark.slow
def test_killed_at_ten_random_moments(tmp_path):
    """Nothing finished is lost, at most one block is computed twice per kill, and the end is the same."""
    grid, moments = {"seed": range(150)}, random.Random(7)
    store, log = tmp_path / "walks.zarr", tmp_path / "log"
    log.touch()
    before = 0.0
    for _ in range(10):
        calls = log.stat().st_size
        child = in_child(store, tmp_path / "stderr", grid, Walks(seconds=0.01, log=str(log)))
        until(lambda calls=calls: log.stat().st_size > calls)  # the start is killed in test_killed_at_every_write
        time.sleep(moments.uniform(0, 0.12))
        child.kill()
        child.join()
        assert child.exitcode == -signal.SIGKILL
        after = done(store)
        assert before <= after < 1
        before = after
    assert before > 0
    sweep(grid, Walks(log=str(log)), store=store, progress=False)
    sweep(grid, Walks(), store=tmp_path / "undisturbed.zarr", progress=False)
    same(store, tmp_path / "undisturbed.zarr")
    calls = log.read_text().splitlines()
    assert len(set(calls)) == 150
    assert len(calls) <= 160


@pytest.mark.slow
def test_killed_at_every_write(tmp_path, monkeypatch):
    """The process dies just before each of its renames, that of the whole new store among them."""
    grid, task = {"seed": range(3)}, Walks({"seed": 2})
    sweep(grid, task, store=tmp_path / "undisturbed.zarr", progress=False)
    count, deaths = 0, 0

    def deadly(original, at):
        def rename(self, target):
            nonlocal count
            count += 1
            if count == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(self, target)

        return rename

    for at in range(1, 40):
        store = tmp_path / f"{at}.zarr"
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", deadly(Path.replace, at))
            patch.setattr(Path, "rename", deadly(Path.rename, at))
            child = in_child(store, tmp_path / "stderr", grid, task)
            child.join()
        if child.exitcode == 0:
            break
        deaths += 1
        assert child.exitcode == -signal.SIGKILL
        finished = done(store)
        sweep(grid, task, store=store, progress=False)
        same(store, tmp_path / "undisturbed.zarr")
        assert (xr.open_zarr(store).run == 1).mean() >= finished
        assert not [p for p in tmp_path.rglob("*") if p.name.endswith((".partial", ".tegum-new"))]
    assert deaths >= 2 * 4 + 3  # four files for each of two blocks, the store, the run and its machine


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_interrupted(workers, tmp_path):
    """Ctrl-C reaches the whole group, workers included."""
    grid = {"seed": range(60)}
    store, stderr = tmp_path / "walks.zarr", tmp_path / "stderr"
    child = in_child(store, stderr, grid, Walks(seconds=0.05), workers=workers)
    until(lambda: done(store) >= 0.1)
    os.killpg(child.pid, signal.SIGINT)
    child.join(30)
    assert child.exitcode == 130
    kept = fraction_done(store)
    message = stderr.read_text().splitlines()[-1]
    assert f"KeyboardInterrupt: stopped; {round(60 * kept)} of 60 blocks are finished and kept in {store}" in message
    assert 0.1 <= kept < 1
    sweep(grid, Walks(), store=store, progress=False)
    sweep(grid, Walks(), store=tmp_path / "undisturbed.zarr", progress=False)
    same(store, tmp_path / "undisturbed.zarr")
    runs = xr.open_zarr(store)
    assert (runs.run == 1).mean() == kept
    assert len(runs.attrs["tegum_runs"]) == 2


def test_unfinished_cells_are_visible(tmp_path):
    store = tmp_path / "a.zarr"
    with pytest.raises(
        SweepError, match=r"2 of 12 blocks are finished and kept in .*a\.zarr, call sweep again to go on"
    ):
        sweep(GRID, Walks(BLOCK, fail=4), store=store, progress=False)
    plain = xr.open_zarr(store).load()
    assert (plain.run > 0).sum() == 8
    assert fraction_done(store) == 8 / 30
    assert np.array_equal(np.isnan(plain.total), plain.run == 0)
    assert np.array_equal(np.isnan(plain.position).all("step"), plain.run == 0)


def test_a_finished_sweep_computes_nothing(reference, tmp_path):
    before = files(reference), (reference / "zarr.json").read_bytes()
    results = sweep(GRID, Walks(BLOCK, log=str(tmp_path / "log")), store=reference, progress=False)
    assert results.identical(read_sweep(reference))
    assert (files(reference), (reference / "zarr.json").read_bytes()) == before
    assert not (tmp_path / "log").exists()


# ---- damage


def truncate(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(data)


DAMAGES = {
    "truncated": truncate,
    "empty": lambda file: file.write_bytes(b""),
    "one bit": flip,
    "removed": Path.unlink,
    "noise": lambda file: file.write_bytes(os.urandom(99)),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["position/c.1.0.2.0", "total/c.0.1.0", "run/c.1.1.1"])
def test_damaged_chunks_are_computed_again(name, damage, reference, tmp_path):
    store, log = tmp_path / "a.zarr", tmp_path / "log"
    sweep(GRID, Walks(BLOCK), store=store, progress=False)
    DAMAGES[damage](store / name)
    again = Walks(BLOCK, log=str(log))
    if (name, damage) == ("run/c.1.1.1", "removed"):  # an unmarked block is an unfinished one
        sweep(GRID, again, store=store, progress=False)
    else:
        with pytest.warns(
            SweepWarning, match=rf"1 finished block was damaged and will be .* first: {name} (cannot|is miss)"
        ):
            sweep(GRID, again, store=store, progress=False)
    assert len(log.read_text().splitlines()) == 1
    same(store, reference)


def test_an_error_of_reading_is_no_damage(reference, tmp_path, monkeypatch):
    """It may pass: nothing finished is removed for it."""
    store = tmp_path / "a.zarr"
    sweep(GRID, Walks(BLOCK), store=store, progress=False)
    read = Path.read_bytes

    def failing(path):
        if path.name == "c.1.0.1.0":
            raise OSError(errno.EMFILE, "Too many open files", str(path))
        return read(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", failing)
        with pytest.raises(SweepError, match=r"cannot read or write .*a.zarr: Too many open files .*c\.1\.0\.1\.0"):
            sweep(GRID, Walks(BLOCK), store=store, progress=False)
    same(store, reference)


def test_a_lost_folder_is_made_again(reference, tmp_path):
    store = tmp_path / "a.zarr"
    sweep(GRID, Walks(BLOCK), store=store, progress=False)
    for chunk in (store / "position").glob("c.*"):
        chunk.unlink()
    metadata = (store / "position" / "zarr.json").read_bytes()
    shutil.rmtree(store / "position")
    with pytest.warns(SweepWarning, match="12 finished blocks were damaged"):
        sweep(GRID, Walks(BLOCK), store=store, progress=False)
    (store / "position" / "zarr.json").write_bytes(metadata)  # also stands in the root, which is what is read
    same(store, reference)


def test_files_beside_the_store_are_left_alone(tmp_path):
    (tmp_path / "poetry.lock").write_text("pins")
    (tmp_path / "poetry.new").mkdir()
    sweep({"seed": range(2)}, Walks(), store=tmp_path / "poetry", progress=False)
    assert (tmp_path / "poetry.lock").read_text() == "pins"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["poetry", "poetry.lock", "poetry.new"]


@pytest.mark.parametrize(
    ("store", "message"), [(None, "store must be the path of a folder"), ("/", "a folder of its own")]
)
def test_bad_stores(store, message):
    with pytest.raises(InputError, match=message):
        sweep(GRID, Walks(BLOCK), store=store, progress=False)


def test_an_interrupted_creation_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(zarr, "consolidate_metadata", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sweep(GRID, Walks(BLOCK), store=tmp_path / "a.zarr", progress=False)
    assert not list(tmp_path.iterdir())


def test_what_is_no_task_and_no_executor(tmp_path):
    with pytest.raises(InputError, match="task must be a Task, but function has no name, version, config"):
        sweep(GRID, lambda cells: cells, store=tmp_path / "a.zarr", progress=False)
    with pytest.raises(InputError, match=r"executor must be None or a concurrent.futures.Executor, got 3"):
        sweep(GRID, Walks(BLOCK), store=tmp_path / "a.zarr", executor=3, progress=False)
    assert not list(tmp_path.iterdir())


def test_damaged_coordinates_are_written_again(reference, tmp_path):
    store = tmp_path / "a.zarr"
    sweep(GRID, Walks(BLOCK), store=store, progress=False)
    truncate(store / "kind" / "c.0")
    with pytest.warns(SweepWarning, match="coordinates of kind were damaged and are written again"):
        sweep(GRID, Walks(BLOCK), store=store, progress=False)
    same(store, reference)


# ---- workers lost, disk full, tasks that fail


@pytest.mark.slow
def test_a_lost_worker_process(reference, tmp_path):
    store, die, log = tmp_path / "a.zarr", tmp_path / "die", tmp_path / "log"
    die.touch()
    with ProcessPoolExecutor(2, mp_context=FORK) as executor, pytest.raises(SweepError) as caught:
        sweep(GRID, Walks(BLOCK, die=str(die)), store=store, executor=executor, progress=False)
    assert "a worker process died (killed, or out of memory); go on with a new executor;" in str(caught.value)
    assert f"{int(xr.open_zarr(store).run.values[::2, :, ::2].astype(bool).sum())} of 12 blocks" in str(caught.value)
    kept = int(xr.open_zarr(store).run.values[::2, :, ::2].astype(bool).sum())
    with ProcessPoolExecutor(2, mp_context=FORK) as executor:
        sweep(GRID, Walks(BLOCK, log=str(log)), store=store, executor=executor, progress=False)
    assert len(log.read_text().splitlines()) == BLOCKS - kept
    same(store, reference)


@pytest.mark.slow
def test_dask_loses_a_worker(reference, tmp_path):
    distributed = pytest.importorskip("distributed", reason="the extra tegum[dask] is not installed")
    store, die = tmp_path / "a.zarr", tmp_path / "die"
    die.touch()
    cluster = distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=None, silence_logs=50)
    with cluster, distributed.Client(cluster) as client:
        sweep(GRID, Walks(BLOCK, die=str(die)), store=store, executor=client.get_executor(), progress=False)
    assert not die.exists()  # a worker removed it and was killed
    assert files(store) == files(reference)


@pytest.mark.slow
def test_a_full_disk(reference, tmp_path, monkeypatch):
    """At every write in turn: half a chunk reaches the disk, then there is no room."""
    original, left = Path.write_bytes, 0

    def write_bytes(self, data):
        nonlocal left
        left -= 1
        if left < 0:
            original(self, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(self, data)

    for left in (0, 1, 5, 11, 30):
        store, before = tmp_path / f"{left}.zarr", left
        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_bytes", write_bytes)
            with pytest.raises(SweepError, match=rf"No space left on device; {before // 4} of 12 blocks are finished"):
                sweep(GRID, Walks(BLOCK), store=store, progress=False)
        assert not list(store.rglob("*.partial"))
        sweep(GRID, Walks(BLOCK), store=store, progress=False)
        same(store, reference)


ON_A_SMALL_DISK = """
import shutil, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from sweep_tasks import Walks
from tegum.numerics._store import fraction_done
from tegum.numerics._sweep import SweepError, sweep
disk, store = Path("disk"), Path("disk/walks.zarr")
(disk / "ballast").write_bytes(bytes(2 << 20))
for room in (20, 150, 700):  # kilobytes: not enough to make the store, and enough for some of its blocks
    (disk / "ballast").write_bytes(bytes((2 << 20) - (room << 10)))
    try:
        sweep({"seed": range(40)}, Walks(length=4000), store=store, progress=False)
    except SweepError as error:
        print(error, fraction_done(store) if store.exists() else 0.0, sep="|")
(disk / "ballast").unlink()
sweep({"seed": range(40)}, Walks(length=4000), store=store, progress=False)
shutil.copytree(store, "copy.zarr")
"""


@pytest.mark.slow
def test_a_full_small_disk(tmp_path):
    """A tmpfs of two megabytes, in a mount namespace of its own."""
    (tmp_path / "disk").mkdir()
    enter = ["unshare", "-m"] if os.getuid() == 0 else ["unshare", "-rm"]
    mount = 'mount -t tmpfs -o size=2m tmpfs disk && exec "$@"'
    inside = [*enter, "sh", "-c", mount, "sh"]
    if subprocess.run([*inside, "true"], cwd=tmp_path, capture_output=True).returncode:
        pytest.skip("this system lets us mount no tmpfs")
    script = [sys.executable, "-W", "error", "-c", ON_A_SMALL_DISK, str(Path(__file__).parent)]
    run = subprocess.run([*inside, *script], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    lines = [line.split("|") for line in run.stdout.splitlines()]
    assert len(lines) == 3
    assert all("No space left on device" in message for message, _ in lines)
    finished = [float(part) for _, part in lines]
    assert finished == sorted(finished)
    assert 0 < finished[-1] < 1
    assert f"{round(40 * finished[-1])} of 40 blocks are finished and kept in disk/walks.zarr" in lines[-1][0]
    sweep({"seed": range(40)}, Walks(length=4000), store=tmp_path / "undisturbed.zarr", progress=False)
    same(tmp_path / "copy.zarr", tmp_path / "undisturbed.zarr")


@dataclasses.dataclass(frozen=True)
class Wrong(Walks):
    how: str = ""
    note: object = None
    more: tuple | None = None

    @property
    def config(self):
        return super().config | ({"note": self.note} if self.note else {})

    @property
    def variables(self):
        return super().variables | ({"more": self.more} if self.more else {})

    def __call__(self, cells):
        results = super().__call__(cells)
        if self.how == "shape":
            results["total"] = results["total"][:1]
        if self.how == "type":
            results["total"] = results["total"].astype(np.float32)
        if self.how == "names":
            del results["total"]
        return results


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("shape", r"total of shape \(1, 1, 2\) of float64 and declares \(2, 1, 2\) of float64"),
        ("type", r"total of shape \(2, 1, 2\) of float32 and declares \(2, 1, 2\) of float64"),
        ("names", r"it returned \['position', 'positive'\] and declares \['position', 'positive', 'total'\]"),
    ],
)
def test_a_task_that_breaks_its_promise(how, message, tmp_path):
    with pytest.raises(SweepError, match=message):
        sweep(GRID, Wrong(BLOCK, how=how), store=tmp_path / "a.zarr", progress=False)
    assert fraction_done(tmp_path / "a.zarr") == 0


@pytest.mark.parametrize("threads", [0, 2])
def test_a_task_that_fails(threads, reference, tmp_path):
    store = tmp_path / "a.zarr"
    with ThreadPoolExecutor(2) as pool, pytest.raises(SweepError) as caught:
        sweep(GRID, Walks(BLOCK, fail=4), store=store, executor=pool if threads else None, progress=False)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert "seed 4 to 4: ZeroDivisionError: seed 4;" in str(caught.value)
    assert fraction_done(store) > 0
    sweep(GRID, Walks(BLOCK), store=store, progress=False)
    same(store, reference)


class AtOnce(Executor):
    """Has computed everything before the sweep looks at the first result."""

    def submit(self, function, /, *arguments):
        future = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future


def test_what_is_finished_beside_a_failure_is_kept(tmp_path):
    with pytest.raises(SweepError, match="8 of 12 blocks are finished and kept"):  # the others have seed 4
        sweep(GRID, Walks(BLOCK, fail=4), store=tmp_path / "a.zarr", executor=AtOnce(), progress=False)


def test_an_executor_that_takes_no_work(tmp_path):
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(SweepError, match=r"after shutdown; 0 of 12 blocks"):
        sweep(GRID, Walks(BLOCK), store=tmp_path / "a.zarr", executor=executor, progress=False)


# ---- one writer, one sweep


@pytest.mark.slow
def test_a_second_process_is_refused_until_the_first_dies(tmp_path):
    """The first has workers: they outlive it for a while, and do not hold its lock."""
    store, grid = tmp_path / "walks.zarr", {"seed": range(40)}
    log = tmp_path / "log"
    child = in_child(store, tmp_path / "stderr", grid, Walks(seconds=0.1, log=str(log)), workers=2)
    try:
        until(log.exists)
        with pytest.raises(
            SweepError, match=rf"is being written by process {child.pid} on \S+ since 20.* UTC \(.*; wait"
        ):
            sweep(grid, Walks(), store=store, progress=False)
        child.kill()
        child.join()
        os.killpg(child.pid, 0)  # its workers are there
        assert (tmp_path / ".walks.zarr.tegum-lock").exists()  # left lying, and held by nobody
        sweep(grid, Walks(), store=store, progress=False)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    sweep(grid, Walks(), store=tmp_path / "undisturbed.zarr", progress=False)
    same(store, tmp_path / "undisturbed.zarr")


@pytest.mark.slow
def test_a_second_thread_is_refused(tmp_path):
    """And its attempt does not open the lock to others."""
    store = tmp_path / "walks.zarr"
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(sweep, {"seed": range(20)}, Walks(seconds=0.05), store=store, progress=False)
        until(lambda: store.exists())
        with pytest.raises(SweepError, match="is being written by another sweep of this process"):
            sweep({"seed": range(20)}, Walks(), store=store, progress=False)
        (tmp_path / "other.zarr").symlink_to(store)
        child = in_child(tmp_path / "other.zarr", tmp_path / "stderr", {"seed": range(20)}, Walks())
        child.join()
        assert child.exitcode == 3
        first.result()
    assert fraction_done(store) == 1


CHANGES = {
    "task": (GRID, {"name": "other"}, r'task is "walks" in the store, now "other"'),
    "version": (GRID, {"version": 2}, "version is 1 in the store, now 2"),
    "config": (GRID, {"length": 7}, r"config\.length is 6 in the store, now 7"),
    "block": (GRID, {"block": {}}, r"block\.density is 2 in the store, now 1"),
    "value": (GRID | {"density": [0.1, 0.3, 1.0]}, {}, r"coordinates\.density\[1\] is 0\.25 in the store, now 0\.3"),
    "type": (GRID | {"seed": np.arange(5.0)}, {}, r"coordinates\.seed\[0\] is 0 in the store, now 0\.0"),
    "size": (GRID | {"seed": range(6)}, {}, r"coordinates\.seed has 5 entries in the store, now 6"),
    "order": (dict(reversed(GRID.items())), {}, r'axes\[0\] is "density" in the store, now "seed"'),
    "axis": (GRID | {"more": [1]}, {}, "axes has 3 entries in the store, now 4"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_sweep_is_refused(change, reference):
    grid, settings, message = CHANGES[change]
    before = files(reference), (reference / "zarr.json").read_bytes()
    with pytest.raises(InputError, match=f"holds another sweep: {message}; nothing was changed"):
        sweep(grid, dataclasses.replace(Walks(BLOCK), **settings), store=reference, progress=False)
    assert (files(reference), (reference / "zarr.json").read_bytes()) == before


def test_another_schema_is_refused(tmp_path):
    """An older one can be read still, not gone on with."""
    store = tmp_path / "a.zarr"
    sweep(GRID, Walks(BLOCK), store=store, progress=False)
    text = (store / "zarr.json").read_text()
    for schema, reading in (
        (1, contextlib.nullcontext()),
        (3, pytest.raises(InputError, match="reads 1 and 2; nothing")),
    ):
        (store / "zarr.json").write_text(text.replace('"schema": 2', f'"schema": {schema}'))
        before = files(store)
        with reading:
            assert read_sweep(store)["total"].notnull().all()
        with pytest.raises(
            InputError, match=r"of schema 1, which read_sweep reads, but|is a store of schema 3, this version"
        ):
            sweep(GRID, Walks(BLOCK), store=store, progress=False)
        assert files(store) == before


def test_what_is_not_a_store_is_not_touched(tmp_path):
    (tmp_path / "file").write_text("notes")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes").write_text("notes")
    zarr.create_group(tmp_path / "group", attributes={"mine": 1})
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "zarr.json").write_text('{"attributes": {"tegum_sweep"')
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for name in ("file", "folder", "group", "broken"):
        with pytest.raises(InputError, match=f"{name} is not the store of a sweep; nothing was changed"):
            sweep(GRID, Walks(BLOCK), store=tmp_path / name, progress=False)
    for use in (read_sweep, fraction_done):
        with pytest.raises(InputError, match="nowhere is not the store of a sweep"):
            use(tmp_path / "nowhere")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("grid", "settings", "message"),
    [
        ({}, {}, "grid must have at least one axis"),
        ("seed", {}, "grid must have at least one axis, got 'seed'"),
        ({"a/b": [1]}, {}, "must be called by identifiers, got 'a/b'"),
        ({1: [1]}, {}, "must be called by identifiers, got 1"),
        ({"seed": np.array([2**63], np.uint64)}, {}, "axis seed must be .*integers below"),
        ({"seed": [1]}, {"block": None}, "task.block must be a dict from axes to cells per block, got None"),
        ({"seed": [1]}, {"more": ((), "float128")}, r"task.variables\['more'\] must be .* a numeric dtype"),
        ({"seed": [1]}, {"more": ((), "nonsense")}, r"task.variables\['more'\] must be .* a numeric dtype"),
        ({"seed": []}, {}, "axis seed must be a non-empty sequence"),
        ({"seed": [[1, 2]]}, {}, "axis seed must be a non-empty sequence"),
        ({"seed": 3}, {}, "axis seed must be a non-empty sequence"),
        ({"seed": [0.1, np.nan]}, {}, "axis seed must be a non-empty sequence of finite numbers"),
        ({"seed": [1, 2, 1]}, {}, "axis seed must have distinct coordinates, got 1 twice"),
        ({"total": [1]}, {}, "names of their own and not 'run', got 'total' twice"),
        ({"run": [1]}, {}, "names of their own and not 'run', got 'run' twice"),
        ({"seed": [1]}, {"block": {"sede": 2}}, r"must name axes of the grid, which are \['seed'\], got 'sede'"),
        ({"seed": [1]}, {"block": {"seed": 0}}, r"task.block\['seed'\] must be an integer >= 1, got 0"),
        ({"seed": [1]}, {"note": [np.inf]}, "task.config must hold finite numbers"),
        ({"seed": [1]}, {"note": {"where": Path()}}, "task.config must hold finite numbers.*Path is not JSON"),
        ({"seed": [1]}, {"more": (("time",), "f4")}, r"task.variables\['more'\] must be \(dimensions among \['step'\]"),
        ({"seed": [1]}, {"more": ((), "U8")}, r"task.variables\['more'\] must be .* a numeric dtype"),
    ],
)
def test_bad_input(grid, settings, message, tmp_path):
    with pytest.raises(InputError, match=message):
        sweep(grid, Wrong(**settings), store=tmp_path / "a.zarr", progress=False)
    assert not list(tmp_path.iterdir())
