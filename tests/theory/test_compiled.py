"""Compiled loops: cached where a folder can be written to, compiled without the cache where none can, with the same numbers."""

import json
import os
import subprocess
import sys
from typing import Any

import numba
import pytest
from numba.core.caching import CacheImpl, NullCache

from tegum.theory._compiled import compiler


def third(x):
    return x / 3


def test_the_cache_is_used():
    compiled: Any = compiler(nogil=True, error_model="numpy")(third)
    assert not isinstance(compiled._cache, NullCache)
    assert compiled.targetoptions == numba.njit(nogil=True, error_model="numpy")(third).targetoptions


def test_without_a_folder_it_compiles_all_the_same(monkeypatch):
    monkeypatch.setattr(CacheImpl, "_locator_classes", [])
    with pytest.raises(RuntimeError, match="no locator available"):
        numba.njit(cache=True)(third)
    compiled: Any = compiler(nogil=True, error_model="numpy")(third)
    assert isinstance(compiled._cache, NullCache)
    assert compiled.targetoptions == numba.njit(nogil=True, error_model="numpy")(third).targetoptions
    assert compiled(1.0) == 1 / 3


def test_other_errors_are_not_hidden(monkeypatch):
    def fail(**options):
        raise RuntimeError("another reason")

    monkeypatch.setattr(numba, "njit", fail)
    with pytest.raises(RuntimeError, match="another reason"):
        compiler()(third)


TRAIN = """
from tegum.numerics import train
from tegum.theory import Features
run = train(Features(0.3, n=2), 1, steps=30, batch=64, seed=3)
print([*run.weights.ravel().tolist(), *run.bias.ravel().tolist(), run.loss.item()])
"""
REFUSE = "from numba.core.caching import CacheImpl; CacheImpl._locator_classes = []"


@pytest.mark.slow
def test_a_read_only_installation_trains_the_same_model(tmp_path):
    """Numba finds no folder for its cache: home is nowhere, and no place is suitable."""
    nowhere = str(tmp_path / "file" / "home")
    (tmp_path / "file").write_text("")
    bare = {**os.environ, "HOME": nowhere, "XDG_CACHE_HOME": nowhere}
    bare.pop("NUMBA_CACHE_DIR", None)
    cached, refused = (
        json.loads(subprocess.run([sys.executable, "-c", script], env=env, stdout=subprocess.PIPE, check=True).stdout)
        for script, env in ((TRAIN, None), (REFUSE + TRAIN, bare))
    )
    # To rounding of float32: the linker takes the copy of a called loop that it meets first, another one than from the cache.
    assert refused == pytest.approx(cached, rel=1e-5)
    assert len(refused) == 5
