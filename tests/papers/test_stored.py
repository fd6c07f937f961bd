"""Stored models of published settings: what they hold, that they can be made again, and that a difference is seen."""

from copy import copy
from dataclasses import replace

import numpy as np
import pytest

from tegum.cli import main
from tegum.numerics import PRESETS, find_preset, read_sweep
from tegum.numerics._preset import Training
from tegum.papers import _stored
from tegum.papers._lab import STORED, Lab
from tegum.papers._stored import compare_preset, load_preset, stored_presets
from tegum.theory import InputError, expected_loss


def cells(preset, density, importance):
    """Training of some cells of a preset, as it is stored: on the CPU."""
    part = replace(preset, density=tuple(density), importance=tuple(importance))
    return Training(part)({key: np.array(values) for key, values in part.grid.items()})


def test_the_asked_ones_are_stored():
    assert {"phase-2-1", "phase-3-2", "uniform-400-30"} <= set(stored_presets())
    assert all((STORED / f"{name}.zip").stat().st_size < 3e6 for name in stored_presets())
    for name in ("phase-2-1", "phase-3-2"):
        sizes = read_sweep(STORED / f"{name}.zip").sizes
        assert (sizes["density"], sizes["importance"], sizes["seed"]) == (64, 64, 8)


@pytest.mark.parametrize("name", stored_presets())
def test_they_are_the_presets_and_say_where_they_come_from(name):
    preset, models = PRESETS[name], read_sweep(STORED / f"{name}.zip")
    for axis, values in preset.grid.items():
        assert np.asarray(values).tobytes() == models[axis].values.tobytes()
    manifest = models.attrs["tegum_sweep"]
    assert manifest["config"] == {**Training(preset).config, "snapshots": list(preset.recipe.snapshots)}
    made = load_preset(name).provenance
    assert made["command"] == f"tegum train {name}"
    assert {"tegum", "torch", "numpy", "commit"} <= set(made["versions"])
    assert not made["versions"]["commit"].endswith("+")  # of a clean checkout
    assert made["when"] < "2100"
    assert "cores" in made["hardware"]


@pytest.mark.parametrize("name", stored_presets())
def test_stored_losses_are_exact(name):
    """Twelve models of each: the loss is that of the stored float32 weights."""
    preset, data = PRESETS[name], load_preset(name).data
    assert all(np.isfinite(data[key]).all() for key in ("weights", "bias", "loss"))
    features = preset.features(data["density"], data.get("importance"))
    rng = np.random.default_rng(7)
    for flat in rng.choice(data["loss"].size, 12 if preset.n < 100 else 2, replace=False):
        at = np.unravel_index(flat, data["loss"].shape)
        one = copy(features)
        one.density, one.importance = (
            np.broadcast_to(a, (*data["loss"].shape, preset.n))[at] for a in (features.density, features.importance)
        )
        exact = expected_loss(data["weights"][at].astype(float), data["bias"][at].astype(float), one)
        assert data["loss"][at] == pytest.approx(exact, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["phase-2-1", "phase-3-2"])
def test_some_cells_made_again_are_those_stored(name):
    """Two densities by four importances by eight seeds; bit for bit where the processor is the same, else by their losses."""
    preset, stored = PRESETS[name], load_preset(name).data
    p, r = [20, 50], [3, 20, 40, 60]
    again = cells(preset, stored["density"][p], stored["importance"][r])
    part = np.ix_(p, r)
    off = np.abs(again["loss"] / stored["loss"][part] - 1)
    assert (off < 0.01).mean() >= 0.95
    other = cells(replace(preset, seeds=9), stored["density"][p[:1]], stored["importance"][r[:1]])["loss"][..., 1:]
    assert not np.array_equal(other, stored["loss"][np.ix_(p[:1], r[:1])])  # other seeds are other models


def test_a_difference_is_seen():
    name = "phase-2-1"
    stored = read_sweep(STORED / f"{name}.zip").load()
    same = compare_preset(name, stored)
    assert (same.identical, same.close, same.agrees) == (1.0, 1.0, True)
    assert same.largest < 1e-12  # rounding of the means
    assert same.models == stored.loss.size
    part = compare_preset(name, stored.sel(seed=[2]))
    assert part.agrees
    assert part.models == stored.loss.size // 8
    off = stored.copy(deep=True)
    off.loss[{"density": slice(0, 8)}] *= 1.02
    found = compare_preset(name, off)
    assert not found.agrees
    assert found.close == pytest.approx(1 - 8 / 64)
    assert found.largest == pytest.approx(0.02)
    noisy = stored.copy(deep=True)
    noisy.weights.values = np.nextafter(noisy.weights.values, 9)
    found = compare_preset(name, noisy)
    assert (found.identical, found.agrees) == (0.0, True)
    with pytest.raises(InputError, match="seed in common"):
        compare_preset(name, stored.assign_coords(seed=range(8, 16)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda d: {"density": np.nextafter(d.density, 2)},
            "density must be that of the stored models, 0.01 at 0, got 0.01000",
        ),
        (
            lambda d: {"importance": d.importance[::-1].values},
            "importance must be that of the stored models, 0.1 at 0, got 10.0",
        ),
    ],
)
def test_other_cells_are_not_compared(change, words):
    stored = read_sweep(STORED / "phase-2-1.zip").load()
    with pytest.raises(InputError, match=words):
        compare_preset("phase-2-1", stored.assign_coords(change(stored)))
    with pytest.raises(InputError, match="density must be that of the stored models, 64 values, got 63"):
        compare_preset("phase-2-1", stored.isel(density=slice(63)))


def test_what_is_not_stored_is_named(tmp_path, monkeypatch, capsys):
    with pytest.raises(InputError, match="preset 'absolute-100-40' is not stored; stored are"):
        _stored.stored_file("absolute-100-40")
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--refresh", "absolute-100-40"]) == 2
    assert "is not stored" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_lab_keeps_what_it_used():
    lab = Lab("fast")
    assert lab.preset("phase-2-1") is lab.preset("phase-2-1")
    assert [run.name for run in lab.used] == ["phase-2-1"]


def test_refresh_compares_and_tells(tmp_path, monkeypatch, capsys):
    """The command on a preset of two cells, once as stored and once against other numbers."""
    tiny = replace(
        find_preset("intro-5-2"), density=(0.05, 0.1), seeds=2, recipe=replace(PRESETS["intro-5-2"].recipe, steps=50)
    )
    monkeypatch.setitem(PRESETS, "intro-5-2", tiny)
    monkeypatch.setattr(_stored, "STORED", tmp_path)
    from tegum.numerics import pack_sweep, train_preset

    train_preset("intro-5-2", store=tmp_path / "a.zarr", progress=False)
    pack_sweep(tmp_path / "a.zarr", tmp_path / "intro-5-2.zip")
    again = ["train", "--refresh", "intro-5-2", "--out"]
    assert main([*again, str(tmp_path / "b.zarr")]) == 0
    assert "100.00% of 4 are the same bit for bit" in capsys.readouterr().out
    # Finished, it trains nothing; it goes on with what is not.
    assert main([*again, str(tmp_path / "b.zarr")]) == 2
    told = capsys.readouterr().err
    assert "b.zarr holds a training that was finished before, started 20" in told
    assert "torch" in told
    assert "give another --out" in told
    next((tmp_path / "b.zarr").glob("run/c.*")).unlink()
    assert main([*again, str(tmp_path / "b.zarr")]) == 0
    assert main([*again, str(tmp_path / "c.zarr"), "--seeds", "1"]) == 0
    monkeypatch.setitem(PRESETS, "intro-5-2", replace(tiny, recipe=replace(tiny.recipe, steps=80)))
    assert main([*again, str(tmp_path / "d.zarr")]) == 1
    assert "0.00% of 4 are the same" in capsys.readouterr().out
