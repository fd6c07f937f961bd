"""Model files: weights in and out, as safetensors or JSON, and the state dicts of toy models trained elsewhere."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from ..theory import CONSTANT, UNIFORM, Features, InputError, Values, beta_values
from ..theory._checks import real_array
from ._files import write_atomically
from ._instances import add_axis
from ._recipe import MODELS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ._train import TrainedModels

SCHEMA = "tegum-models/1"
# Names that other people's state dicts have for the weights and the bias of a tied model; `weights` and `bias` are ours.
WEIGHTS, BIASES = ("W", "weights"), ("b_final", "b", "bias")
# Names that look like further weights: what they belong to is not x' = ReLU(WᵀW x + b).
WEIGHTY = re.compile(r"weight|bias|coder|^(w|b|u|v)(_|\d|$)", re.IGNORECASE)
LISTED = 8  # names in a message


@dataclass(frozen=True, eq=False)
class Models:
    """Toy models as they are kept in a file, of any leading axes (instances, replicas, ...), at least one model; m, n >= 1.

    weights (..., m, n), bias (..., n) or 0; decoder (..., n, m) of models 'untied' and 'absolute', else None. features: what they were
    trained on, if known, leading axes broadcasting with those of the weights. model: as in `train`. source: where they come
    from, as JSON would have it. All arrays float64. Raises InputError.

    >>> Models([[1.0, -1.0]], [0.0, 0.0], features=Features(0.1, n=2)).shape
    ()
    """

    weights: Float[Array, "*instances m n"]
    bias: Float[Array, "*instances n"] = 0.0  # type: ignore[assignment]
    decoder: Float[Array, "*instances n m"] | None = None
    features: Features | None = None
    model: str = "relu"
    source: dict[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Check, and make the arrays what they are said to be."""
        if self.model not in MODELS:
            raise InputError(f"model must be one of {', '.join(MODELS)}, got {self.model!r}")
        weights, bias = real_array("weights", self.weights), real_array("bias", self.bias)
        if weights.ndim < 2 or weights.size == 0:
            raise InputError(
                f"weights must have shape (..., m, n) with m, n >= 1 and a model or more, got {weights.shape}"
            )
        *lead, m, n = weights.shape
        wanted = {"weights": (weights, (*lead, m, n)), "bias": (bias, (*lead, n))}
        if (self.decoder is None) != MODELS[self.model].tied:
            need = "be None" if MODELS[self.model].tied else "be given"
            raise InputError(f"decoder must {need} for model {self.model!r}, whose other weights are `weights`")
        if self.decoder is not None:
            wanted["decoder"] = real_array("decoder", self.decoder), (*lead, n, m)
        for name, (array, shape) in wanted.items():
            if not (array.shape[-1:] == shape[-1:] or (name == "bias" and array.shape == () and array == 0)):
                raise InputError(f"{name} must have shape {shape} to fit weights {weights.shape}, got {array.shape}")
            try:
                full = np.array(np.broadcast_to(array, shape))
            except ValueError:
                raise InputError(
                    f"{name} must have shape {shape} to fit weights {weights.shape}, got {array.shape}"
                ) from None
            object.__setattr__(self, name, full)
        if self.features is not None:
            fit(self.features, self)

    @property
    def shape(self) -> tuple[int, ...]:
        """The leading axes."""
        return self.weights.shape[:-2]

    @property
    def m(self) -> int:
        """Hidden dimensions."""
        return int(self.weights.shape[-2])

    @property
    def n(self) -> int:
        """Features."""
        return int(self.weights.shape[-1])

    @staticmethod
    def of(run: TrainedModels) -> Models:
        """What `train` returned: its final models, features (one axis more, for the replicas) and settings."""
        model = str(run.settings["model"])
        return Models(run.weights, run.bias, run.decoder, add_axis(run.features), model, {"trained": run.settings})


def fit(features: Features, models: Models) -> tuple[int, ...]:
    """The leading axes that features and models share; InputError if they do not fit."""
    if not isinstance(features, Features):
        raise InputError(f"features must be Features(...), got {features!r}")
    lead = features.density.shape[:-1]
    try:
        shape = np.broadcast_shapes(models.shape, lead)
    except ValueError:
        shape = None
    if shape is None or features.n != models.n:
        raise InputError(
            f"features of shape {features.density.shape} must fit models of shape {(*models.shape, models.n)}, (..., n)"
        )
    return shape


def save_models(path: str | os.PathLike[str], models: Models | TrainedModels) -> None:
    """Write models to a file, in the format of its suffix: '.safetensors', or '.json' for people to read.

    A `TrainedModels` is saved as `Models.of` has it. Weights are kept in float64, bit for bit, in JSON too; features with their law.
    Missing folders are made, and the file is there whole or not at all: it is written under a temporary name and renamed. The tensors
    are named as the fields, and `density` and `importance`; the rest is JSON, in safetensors under the key 'tegum' of the header.

    Raises InputError for another suffix, or values and source that a file cannot hold.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_models(f"{folder}/pair.json", Models([[1.0, -1.0]], features=Features(0.1, n=2)))
    ...     load_models(f"{folder}/pair.json").features
    Features(density=[0.1, 0.1], importance=[1.0, 1.0])
    """
    path = Path(path)
    if path.suffix not in (".safetensors", ".json"):
        raise InputError(f"path must end in .safetensors or .json, got {path.name!r}")
    if not isinstance(models, Models):
        from ._train import TrainedModels

        if not isinstance(models, TrainedModels):
            raise InputError(
                f"models must be Models(weights, bias, ...) or what train returns, got {type(models).__name__}"
            )
        models = Models.of(models)
    arrays = {"weights": models.weights, "bias": models.bias}
    if models.decoder is not None:
        arrays["decoder"] = models.decoder
    facts: dict[str, Any] = {"schema": SCHEMA, "model": models.model, "law": None, "source": models.source}
    if models.features is not None:
        law = models.features.law
        facts["law"] = {"kind": law.kind, "sizes": law.sizes, "values": law.values.name}
        arrays |= {"density": models.features.density, "importance": models.features.importance}
    try:
        header = json.dumps(facts, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"source must be what JSON can hold, got {models.source!r} ({error})") from None
    if path.suffix == ".json":
        everything = json.loads(header) | {name: a.tolist() for name, a in arrays.items()}
        lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in everything.items())
        data = f"{{\n{lines}\n}}\n".encode()
    else:
        from safetensors.numpy import save

        data = save({name: np.ascontiguousarray(a) for name, a in arrays.items()}, {"tegum": header})
    write_atomically(path, data)


def load_models(path: str | os.PathLike[str]) -> Models:
    """Read models: a file of `save_models`, or the state dict of a model trained elsewhere, '.safetensors', '.json', '.pt' or '.pth'.

    Of a state dict, at any depth and under any prefix such as 'model.', these are understood:
    - `W` and `b_final`, `b` or `bias`: x' = ReLU(WᵀW x + b) as in public notebooks, W (..., n, m) in some (Elhage et al. 2022) and
      (..., m, n) in others. The length of the bias says which. Where m = n it cannot, and the file is refused. Without any bias it is
      zero, and the longer axis is that of the features;
    - `weights` (..., m, n) with `bias` (..., n), and with `decoder` (..., n, m) of an untied model: the names and axes of `Models`;
    - `encoder.weight` (m, n), `decoder.weight` (n, m), `decoder.bias` of two `torch.nn.Linear`: 'untied', ReLU(W₂ W₁ x + b).
    `source` tells which tensors were taken and which were ignored. That the model has this form cannot be seen from its weights;
    a file with further weights or biases is refused. Floats of any precision, and integers, become float64.

    Pickles are read as tensors only: nothing in them is executed. Raises InputError for a file that is missing, damaged, of another kind
    or ambiguous, and for weights that are not finite.
    """
    path = Path(path)
    readers = {".safetensors": _safetensors, ".json": _json, ".pt": _torch, ".pth": _torch}
    if path.suffix not in readers:
        raise InputError(f"path must end in {', '.join(readers)}, got {path.name!r}")
    try:
        found, there = path.is_file(), path.exists()
    except OSError:  # no file can have such a name
        found = there = False
    if not found:
        raise InputError(f"path must be a file, got {path}, which {'is something else' if there else 'is not there'}")
    try:
        with path.open("rb"):
            contents = readers[path.suffix](path)
    except (OSError, RecursionError) as error:
        raise InputError(f"path must be a file that can be read, got {path}: {error}") from None
    try:
        return _own(contents) if contents.facts else _foreign(contents)
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from None
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{path.name}: damaged, not the {SCHEMA} file that was written ({error!r})") from None


class _Contents(NamedTuple):
    """What a file holds: names of tensors, how to get one, and what `save_models` wrote besides."""

    names: list[str]
    get: Callable[[str], Any]
    facts: dict[str, Any]


def _safetensors(path: Path) -> _Contents:
    """Only the tensors asked for are read."""
    from safetensors import SafetensorError, safe_open

    def get(name: str) -> Any:
        with safe_open(path, "pt") as file:
            return file.get_tensor(name)

    try:
        with safe_open(path, "pt") as file:
            metadata, names = file.metadata() or {}, list(file.keys())
        return _Contents(names, get, json.loads(metadata.get("tegum", "{}")))
    except (SafetensorError, ValueError) as error:
        raise InputError(f"{path.name}: damaged, or not a safetensors file ({error}); get it again") from None


def _json(path: Path) -> _Contents:
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path.name}: damaged, or not JSON ({error}); get it again") from None
    if not isinstance(body, dict):
        raise InputError(
            f'{path.name}: must hold an object such as {{"W": ..., "b": ...}}, got a {type(body).__name__}'
        )
    if "schema" in body:
        return _Contents(list(body), body.__getitem__, body)
    tensors = dict(_leaves(body, ""))
    return _Contents(list(tensors), tensors.__getitem__, {})


def _torch(path: Path) -> _Contents:
    import torch

    try:
        body = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes raise nearly anything
        what = "holds objects besides tensors, which could run code" if "weights_only" in str(error) else "is damaged"
        raise InputError(f"{path.name}: {what}, or not of torch.save; save model.state_dict()") from None
    if not isinstance(body, dict):
        raise InputError(f"{path.name}: must hold a state dict, got a {type(body).__name__}; save model.state_dict()")
    tensors = dict(_leaves(body, ""))
    return _Contents(list(tensors), tensors.__getitem__, {})


def _leaves(body: dict[Any, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Tensors and lists with their full names; numbers, strings and the like are none."""
    for key, value in body.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        elif isinstance(value, list) or hasattr(value, "detach"):
            yield f"{prefix}{key}", value


def _numbers(contents: _Contents, name: str) -> Array:
    """A tensor as float64."""
    try:
        value = contents.get(name)
        if hasattr(value, "detach"):
            import torch

            kind, value = str(value.dtype), value.detach()
            number = value.dtype != torch.bool and not value.is_complex()
            array = value.to(torch.float64).numpy() if number else np.zeros(())
        else:
            array = np.asarray(value)
            kind, number = str(array.dtype), array.dtype.kind in "iuf"
    except Exception as error:  # of a damaged file, a layout that numpy lacks, or a ragged list
        raise InputError(f"{name} cannot be read ({error})") from None
    if not number:
        raise InputError(f"{name} must hold real numbers, got {kind}")
    return real_array(name, array)


def _own(contents: _Contents) -> Models:
    """What `save_models` wrote."""
    facts = contents.facts
    if facts.get("schema") != SCHEMA:
        raise InputError(
            f"schema must be {SCHEMA!r}, got {facts.get('schema')!r}; read it with the version that wrote it"
        )
    arrays = {name: _numbers(contents, name) for name in ("weights", "bias")}
    if "decoder" in contents.names:
        arrays["decoder"] = _numbers(contents, "decoder")
    features = None
    if facts["law"] is not None:
        kind, sizes, values = facts["law"]["kind"], facts["law"]["sizes"], _values(facts["law"]["values"])
        density, importance = (_numbers(contents, name) for name in ("density", "importance"))
        if kind == "independent":
            features = Features(density, importance, values=values)
        else:
            make = {"correlated": Features.correlated, "anticorrelated": Features.anticorrelated}[kind]
            features = make(density, importance, size=sizes, values=values)
    return Models(**arrays, features=features, model=facts["model"], source=facts["source"])


def _values(name: str) -> Values:
    """The law of values of this name; KeyError if there is none."""
    if beta := re.fullmatch(r"beta\((\d+), (\d+)\)", name):
        return beta_values(int(beta[1]), int(beta[2]))
    return {"uniform": UNIFORM, "constant": CONSTANT}[name]


def _foreign(contents: _Contents) -> Models:
    """The model of a state dict."""
    names = contents.names
    tied = [name for name in names if name.rpartition(".")[2] in WEIGHTS]
    untied = [name for name in names if re.search(r"(^|\.)encoder\.weight$", name)]
    if len(tied) + len(untied) != 1:
        found = _listed(tied + untied or names)
        raise InputError(
            f"holds {'several models' if tied or untied else 'no toy model'}: one tensor W with b or b_final, weights with bias, or "
            f"encoder.weight with decoder.weight is looked for, found {found}; save that model's state dict by itself"
        )
    (key,) = tied or untied
    prefix = key.removesuffix("encoder.weight") if untied else key.rpartition(".")[0] + "." * ("." in key)
    candidates = ("decoder.bias",) if untied else BIASES
    biases = [prefix + name for name in candidates if prefix + name in names]
    decoders = [prefix + name for name in ("decoder.weight", "decoder") if prefix + name in names and name != key]
    taken = [key, *biases[:1], *(decoders[:1] if untied or key == f"{prefix}weights" else [])]
    rest = [name for name in names if name not in taken]
    if further := [name for name in rest if name.startswith(prefix) and WEIGHTY.search(name.rpartition(".")[2])]:
        raise InputError(
            f"holds {_listed(further)} besides {_listed(taken)}: that is not x' = ReLU(WᵀW x + b), or the bias has another name; "
            "name it b, and leave out what the model does not use"
        )
    source: dict[str, Any] = {"taken": taken, "ignored": rest}
    weights = _numbers(contents, key)
    bias = _numbers(contents, biases[0]) if biases else np.zeros(())
    decoder = _numbers(contents, taken[-1]) if decoders and taken[-1] in decoders else None
    if untied and decoder is None:
        raise InputError(
            f"holds {key} without {prefix}decoder.weight; the decoder is needed, or name tied weights 'weights'"
        )
    if key == f"{prefix}W":
        weights, source["axes"] = _oriented(weights, bias, key)
    return Models(weights, bias, decoder, model="relu" if decoder is None else "untied", source=source)


def _oriented(weights: Array, bias: Array, key: str) -> tuple[Float[Array, "*instances m n"], str]:
    """W with the features on the last axis, and how that was seen."""
    if weights.ndim < 2:
        raise InputError(f"{key} must have shape (..., n, m) or (..., m, n), got {weights.shape}")
    first, last = weights.shape[-2:]
    n = bias.shape[-1] if bias.ndim else max(first, last)
    if n not in (first, last):
        raise InputError(
            f"{key} of shape {weights.shape} must have an axis of the length {n} of the bias among its last two"
        )
    if first == last:
        raise InputError(
            f"{key} of shape {weights.shape} does not tell which axis is that of the features; rename it to 'weights' "
            "(..., m, n), transposed if need be, and the bias to 'bias'"
        )
    how = "the length of the bias" if bias.ndim else "the longer axis, without a bias"
    if n == last:
        return weights, f"(..., m, n) by {how}"
    return np.swapaxes(weights, -1, -2), f"(..., n, m) by {how}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:LISTED])) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")
