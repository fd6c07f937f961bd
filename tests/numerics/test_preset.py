"""Presets: what is published, trained in small; packed sweeps."""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.storage import ZipStore

from tegum.numerics import PRESETS, Preset, Recipe, find_preset, pack_sweep, read_runs, read_sweep, train_preset
from tegum.numerics._preset import _GRIDS, Training, preset_models
from tegum.numerics._sweep import sweep
from tegum.theory import InputError, expected_loss

# Features, dimensions, importances of the first features and of the last, kind and size of groups, as the sources state them.
PUBLISHED = {
    "phase-2-1": (2, 1, [1.0], "independent", 1),
    "phase-3-2": (3, 2, [1.0, 1.0], "independent", 1),
    "intro-5-2": (5, 2, [1.0, 0.9, 0.81], "independent", 1),
    "basic-20-5": (20, 5, [1.0, 0.7, 0.49], "independent", 1),
    "basic-80-20": (80, 20, [1.0, 0.9, 0.81], "independent", 1),
    "uniform-40-10": (40, 10, [1.0, 1.0, 1.0], "independent", 1),
    "uniform-200-20": (200, 20, [1.0, 1.0, 1.0], "independent", 1),
    "uniform-400-30": (400, 30, [1.0, 1.0, 1.0], "independent", 1),
    "correlated-4-2": (4, 2, [1.0, 1.0, 1.0], "correlated", 2),
    "anticorrelated-4-2": (4, 2, [1.0, 1.0, 1.0], "anticorrelated", 2),
    "correlated-6-2": (6, 2, [1.0, 1.0, 1.0], "correlated", 2),
    "correlated-20-10": (20, 10, [1.0, 1.0, 1.0], "correlated", 10),
    "dynamics-6-3": (6, 3, [1.0, 1.0, 1.0], "correlated", 3),
    "absolute-100-40": (100, 40, [1.0, 0.8, 0.64], "independent", 1),
}


def small(name, steps=4, seeds=2):
    """The preset with two densities, two importances and a few steps."""
    preset = replace(find_preset(name), seeds=seeds)
    kept = tuple(step for step in preset.recipe.snapshots if step <= steps)
    recipe = replace(preset.recipe, steps=steps, batch=32, snapshots=kept)
    return replace(preset, density=preset.density[-2:], importance=preset.importance[:2], recipe=recipe)


def run(preset, path):
    return sweep(preset.grid, Training(preset), store=path, progress=False)


def test_every_preset_is_in_the_table():
    assert set(PUBLISHED) == set(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_settings_are_the_published_ones(name):
    n, m, first, kind, size = PUBLISHED[name]
    preset = PRESETS[name]
    recipe = preset.recipe
    assert (preset.n, preset.m) == (n, m)
    assert (recipe.optimiser, recipe.learning_rate, recipe.batch, recipe.steps) == ("adamw", 1e-3, 1024, 10_000)
    assert recipe.schedule == "constant"
    assert recipe.model == ("absolute" if name.startswith("absolute") else "relu")
    axis = np.array(preset.importance) if preset.importance else None
    features = preset.features(np.array(preset.density), axis)
    assert features.importance.reshape(-1, n)[0, : len(first)] == pytest.approx(first)
    assert (features.law.kind, set(features.law.sizes)) == (kind, {size})
    if axis is not None:
        assert features.importance[..., -1].shape[-2:] == (len(axis), 1)
        assert np.array_equal(features.importance[0, :, 0, -1], axis)
    assert list(preset.density) == sorted(set(preset.density))


def numbers():
    """Hash of every density, importance and step of every preset, to the last bit."""
    found = hashlib.sha256()
    for name, preset in sorted(PRESETS.items()):
        features = preset.features(np.array(preset.density), np.array(preset.importance) if preset.importance else None)
        steps = preset.recipe.recorded, preset.recipe.snapshots
        found.update(repr((name, preset.grid, features.density.tolist(), features.importance.tolist(), steps)).encode())
    return found.hexdigest()[:16]


NUMBERS = "14bb5a44afbfc0fd"


def test_the_numbers_of_every_preset_are_those_they_were():
    assert numbers() == NUMBERS


@pytest.mark.slow
def test_they_do_not_depend_on_the_processor():
    """Without AVX-512 numpy's pow and geomspace round some of them differently."""
    script = f"import runpy; print(runpy.run_path({__file__!r})['numbers']())"
    environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512F AVX512_SKX"}
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert run.stdout.split() == [NUMBERS]


@pytest.mark.parametrize("name", _GRIDS)
def test_frozen_grids_are_what_they_are_called(name):
    lowest, _, highest, _, count = name.split()
    with localcontext(prec=50):
        low = Decimal(Fraction(lowest).numerator) / Fraction(lowest).denominator
        exact = [float(low * (int(highest) / low) ** (Decimal(i) / (int(count) - 1))) for i in range(int(count))]
    # The rounding of the exponent counts ln 100 times.
    assert _GRIDS[name] == pytest.approx(exact, rel=1e-15, abs=0)


@pytest.mark.parametrize("ratio", [0.7, 0.9])
def test_powers_of_the_ratio_are_correctly_rounded(ratio):
    found = Preset("mine", "", 80, 2, (0.5,), ratio=ratio).features(np.array([0.5])).importance.ravel().tolist()
    with localcontext(prec=200):
        assert found == [float(Decimal(str(ratio)) ** i) for i in range(80)]


@pytest.mark.parametrize("name", PRESETS)
def test_a_small_one_trains(name, tmp_path):
    preset = small(name)
    found = run(preset, tmp_path / "a.zarr")
    assert next(iter(found.sizes)) == "density"
    cells = (2, 2, 2) if preset.importance else (2, 2)
    assert found.weights.shape == (*cells, preset.m, preset.n)
    assert found.weights.dims[-2:] == ("dimension", "feature")
    assert np.isfinite(found.loss).all()
    features = preset.features(found.density.values, found.importance.values if preset.importance else None)
    if preset.recipe.model == "relu":
        # Stored weights are those trained in float32; the loss is exact for them.
        for at in np.ndindex(cells):
            one = features.density[at[:-1]][0], features.importance[at[:-1]][0]
            again = replace_instance(features, *one)
            exact = expected_loss(found.weights.values[at].astype(float), found.bias.values[at].astype(float), again)
            assert found.loss.values[at] == pytest.approx(exact, rel=1e-6)
    else:
        assert found.decoder.shape == (*cells, preset.n, preset.m)
        assert (found.loss_error > 0).all()
    if preset.recipe.snapshots:
        last = found.snapshots.sel(snapshot=0)
        assert not np.array_equal(last, found.weights)
        assert np.array_equal(found.history.sel(step=preset.recipe.steps), found.loss)


def replace_instance(features, density, importance):
    from copy import copy

    one = copy(features)
    one.density, one.importance = density, importance
    return one


def test_seeds_do_not_know_of_each_other(tmp_path):
    two, one = (run(small("intro-5-2", seeds=seeds), tmp_path / f"{seeds}.zarr") for seeds in (2, 1))
    assert np.array_equal(two.weights.sel(seed=[0]), one.weights)
    assert not np.array_equal(two.weights.sel(seed=0), two.weights.sel(seed=1))


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(sorted(PRESETS)), st.integers(1, 100))
def test_blocks_hold_enough_models(name, seeds):
    preset = replace(PRESETS[name], seeds=seeds)
    block = Training(preset).block
    held = min(block["density"], len(preset.density)) * block["seed"] * block.get("importance", 1)
    assert held >= min(8, len(preset.density) * seeds * max(1, len(preset.importance)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"preset": "phase-21"}, "no preset is called 'phase-21'; the nearest is 'phase-2-1'"),
        ({"seeds": 0}, "seeds must be an integer >= 1, got 0"),
        ({"device": "cuda"}, "cuda"),
        ({"device": "tpu9"}, "device must be 'cpu' or 'cuda'"),
        ({"preset": None}, "no preset is called None"),
        ({"preset": 3}, "no preset is called 3"),
        ({"preset": ["intro-5-2"]}, r"no preset is called \['intro-5-2'\]"),
        ({"seeds": 99999999999}, "seeds must be at most 1000000, got 99999999999"),
    ],
)
def test_bad_arguments_are_named(change, words, tmp_path):
    if change.get("device") == "cuda":
        torch = pytest.importorskip("torch")
        if torch.cuda.is_available():
            pytest.skip("there is a CUDA device here")
    with pytest.raises(InputError, match=words):
        train_preset(**{"preset": "intro-5-2", "store": tmp_path / "a.zarr", **change})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"density": (0.1, -0.2)}, r"density must be in \(0, 1\]"),
        ({"density": ()}, "density must hold at least one value"),
        ({"importance": (1.0, 0.0)}, "importance"),
        ({"m": 0}, "m must be an integer >= 1, got 0"),
        ({"kind": "entangled"}, "kind must be one of independent, correlated, anticorrelated, got 'entangled'"),
        ({"kind": "correlated", "size": 3}, "size"),
        ({"density": 0.1}, "density must be a sequence of numbers, got 0.1"),
        ({"density": "0.1"}, "density must be a sequence of numbers, got '0.1'"),
        ({"density": ("a",)}, r"density must be .* numbers, got \('a',\)"),
        ({"density": np.ones((2, 2))}, r"density must be a sequence of numbers, got an array of shape \(2, 2\)"),
        ({"density": (1e-7, 0.1)}, "density must be at least 1e-06 to be sampled, got 1e-07"),
        ({"importance": 1.0}, "importance must be a sequence of numbers, got 1.0"),
        ({"importance": None}, "importance must be a sequence of numbers, got None"),
        ({"importance": (1.0, 2.0)}, "ratio must be left out where importance is given, got 0.9 and 2 importances"),
        ({"ratio": "a"}, "ratio must be a positive number, got 'a'"),
        ({"ratio": None}, "ratio must be a positive number, got None"),
        ({"ratio": float("nan")}, "ratio must be a positive number, got nan"),
        ({"ratio": 1e-100}, "ratio must have powers .*, got 1e-100 for n = 5"),
        ({"kind": ["correlated"]}, r"kind must be a str, got \['correlated'\]"),
        ({"recipe": None}, "recipe must be a Recipe, got None"),
        ({"name": None}, "name must be a str, got None"),
        ({"size": "two"}, "size must be an integer >= 1, got 'two'"),
        ({"size": 3}, "size must be 1 for independent features, got 3"),
        ({"seeds": 10**7}, "seeds must be at most 1000000, got 10000000"),
    ],
)
def test_bad_presets_are_refused_when_made(change, words):
    with pytest.raises(InputError, match=words):
        replace(find_preset("intro-5-2"), **change)


def test_a_preset_of_ones_own(tmp_path):
    mine = Preset("mine", "", 3, 2, (0.1, 0.2), (0.5, 1.0, 2.0), seeds=2, recipe=Recipe(steps=5, batch=16))
    found = train_preset(mine, store=tmp_path / "a.zarr", seeds=1, progress=False)
    assert dict(found.sizes) == {"density": 2, "importance": 3, "seed": 1, "dimension": 2, "feature": 3}


def test_arrays_are_axes():
    preset = Preset("mine", "", 3, 2, np.array([0.1, 0.2]), [1, 2])
    assert preset == Preset("mine", "", 3, 2, (0.1, 0.2), (1.0, 2.0))
    assert preset.grid["importance"] == [1.0, 2.0]


def test_sparser_features_train_on_the_exact_loss(tmp_path):
    mine = Preset("mine", "", 3, 2, (1e-7,), seeds=2, recipe=Recipe(loss="exact", steps=5))
    found = train_preset(mine, store=tmp_path / "a.zarr", progress=False)
    assert np.isfinite(found.loss).all()
    assert preset_models(tmp_path / "a.zarr").shape == (1, 2)


def test_another_preset_is_not_overwritten(tmp_path):
    run(small("intro-5-2"), tmp_path / "a.zarr")
    before = read_sweep(tmp_path / "a.zarr").load()
    with pytest.raises(InputError, match=r"holds another sweep: .*nothing was changed"):
        run(small("correlated-4-2"), tmp_path / "a.zarr")
    assert before.identical(read_sweep(tmp_path / "a.zarr").load())


def test_a_packed_sweep_is_the_sweep(tmp_path):
    folder, file = tmp_path / "a.zarr", tmp_path / "a.zip"
    found = run(small("dynamics-6-3"), folder)
    pack_sweep(folder, file)
    assert read_sweep(file).load().identical(found.load())
    assert read_runs(file) == read_runs(folder)
    assert read_runs(file)[0]["machines"]
    assert xr.open_zarr(ZipStore(file, mode="r")).weights.shape == found.weights.shape
    first = file.read_bytes()
    pack_sweep(folder, file)
    assert file.read_bytes() == first


def test_what_cannot_be_packed_or_read_is_named(tmp_path):
    folder = tmp_path / "a.zarr"
    run(small("intro-5-2"), folder)
    with pytest.raises(InputError, match=r"file must be called ….zip, got a.tar"):
        pack_sweep(folder, tmp_path / "a.tar")
    next(folder.glob("run/c.*")).unlink()
    with pytest.raises(InputError, match="finished"):
        pack_sweep(folder, tmp_path / "a.zip")
    for name, content in (("text.zip", b"text"), ("empty.zip", None)):
        if content is None:
            with zipfile.ZipFile(tmp_path / name, "w") as archive:
                archive.writestr("zarr.json", json.dumps({"attributes": {}}))
        else:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="is not the store of a sweep"):
            read_sweep(tmp_path / name)
    with pytest.raises(InputError, match="is not the store of a sweep"):
        read_sweep(tmp_path / "absent.zip")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zarr", "empty.zip", "text.zip"]
