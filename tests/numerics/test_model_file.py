"""Model files: round trips bit for bit, state dicts of public notebooks in either orientation, and what is refused."""

import json
import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.numpy import save_file as save_numpy
from safetensors.torch import save_file

from tegum.numerics import train
from tegum.numerics._model_file import SCHEMA, Models, load_models, save_models
from tegum.theory import CONSTANT, Features, InputError, beta_values, expected_loss

OURS = [".safetensors", ".json"]
FINITE = st.floats(allow_nan=False, allow_infinity=False, width=64)


def identical(a, b):
    """The same shape and the same bits, the sign of zero included."""
    return a.shape == b.shape and a.dtype == b.dtype == np.float64 and a.tobytes() == b.tobytes()


def notebook(instances=3, n=5, m=2, seed=0):
    """W (instances, n, m) and b_final (instances, n) as in the notebook of Elhage et al. 2022."""
    generator = torch.Generator().manual_seed(seed)
    return {
        "W": torch.randn(instances, n, m, generator=generator),
        "b_final": torch.randn(instances, n, generator=generator),
    }


def write(folder, state, suffix):
    path = folder / f"state{suffix}"
    if suffix == ".json":
        path.write_text(json.dumps({k: v.tolist() for k, v in state.items()}))
    elif suffix == ".safetensors":
        save_file({k: v.contiguous().clone() for k, v in state.items()}, path)
    else:
        torch.save(state, path)
    return path


@pytest.mark.parametrize("suffix", OURS)
@given(data=st.data())
def test_weights_come_back_bit_for_bit(suffix, data, tmp_path_factory):
    lead = data.draw(st.lists(st.integers(1, 3), max_size=2).map(tuple))
    m, n = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    weights, bias = (data.draw(arrays(float, s, elements=FINITE)) for s in ((*lead, m, n), (*lead, n)))
    decoder = data.draw(st.none() | arrays(float, (*lead, n, m), elements=FINITE))
    models = Models(weights, bias, decoder, model="relu" if decoder is None else "untied", source={"note": 'W₂ "x"'})
    path = tmp_path_factory.mktemp("trip") / f"models{suffix}"
    save_models(path, models)
    back = load_models(path)
    assert identical(back.weights, weights)
    assert identical(back.bias, bias)
    assert back.decoder is decoder is None or identical(back.decoder, decoder)
    assert (back.model, back.source, back.features) == (models.model, models.source, None)


LAWS = [
    Features(np.array([[0.1], [0.7]]), [1.0, 0.5, 1 / 3, 2.0], values=beta_values(2, 3)),
    Features(0.1, n=4, values=CONSTANT),
    Features.correlated([0.1, 0.1, 0.3, 1 / 3], size=[2, 1, 1]),
    Features.anticorrelated([0.1, 0.2, 1 / 3, 1 / 3], [1.0, 2.0, 3.0, 4.0], size=2, values=beta_values(1, 4)),
]


@pytest.mark.parametrize("suffix", OURS)
@pytest.mark.parametrize("features", LAWS, ids=lambda f: f"{f.law.kind} {f.law.values.name}")
def test_features_survive_with_their_law(features, suffix, tmp_path):
    save_models(tmp_path / f"x{suffix}", Models(np.ones((2, 2, 4)), 0.0, features=features))
    back = load_models(tmp_path / f"x{suffix}").features
    assert back.law == features.law
    assert identical(back.density, np.array(features.density))
    assert identical(back.importance, np.array(features.importance))


@pytest.mark.parametrize("suffix", OURS)
@pytest.mark.parametrize("model", ["relu", "untied"])
def test_a_run_is_saved_with_all_that_its_loss_needs(model, suffix, tmp_path):
    """Features (2, 1, 3), seeds (2,), replicas: the loss computed from the file is the one recorded, in the same places."""
    features = Features.correlated(np.array([0.1, 0.6])[:, None, None], [1.0, 0.7, 0.4], size=[2, 1])
    run = train(features, 2, model=model, steps=30, batch=64, replicas=3, seed=[0, 10], learning_rate=0.03)
    save_models(tmp_path / f"run{suffix}", run)
    back = load_models(tmp_path / f"run{suffix}")
    assert identical(back.weights, run.weights)
    assert back.model == model
    assert back.source["trained"]["steps"] == 30
    if model == "relu":
        assert np.array_equal(expected_loss(back.weights, back.bias, back.features), run.loss)
    else:
        assert identical(back.decoder, run.decoder)


def test_json_is_for_people(tmp_path):
    """One name per line, numbers in full, and nothing but JSON."""
    save_models(tmp_path / "x.json", Models([[0.1, -1 / 3]], [0.0, 1e-300], features=Features(0.1, n=2)))
    text = (tmp_path / "x.json").read_text()
    assert f'"schema": "{SCHEMA}"' in text.splitlines()[1]
    assert '  "weights": [[0.1, -0.3333333333333333]],' in text.splitlines()
    assert json.loads(text, parse_constant=pytest.fail)["law"] == {
        "kind": "independent",
        "sizes": [1, 1],
        "values": "uniform",
    }


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors", ".json"])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("bias", ["b_final", "b", "bias"])
def test_notebook_state_dicts_in_either_orientation(suffix, transposed, bias, tmp_path):
    """The output of the model as loaded is that of the notebook's own einsums, on its own samples."""
    state = notebook()
    w, b = state["W"], state["b_final"]
    x = torch.rand(7, 3, 5)
    hidden = torch.einsum("...if,ifh->...ih", x, w)
    expected = torch.relu(torch.einsum("...ih,ifh->...if", hidden, w) + b)
    path = write(tmp_path, {"W": w.mT if transposed else w, bias: b}, suffix)
    models = load_models(path)
    assert (models.shape, models.m, models.n, models.model) == ((3,), 2, 5, "relu")
    assert models.source["axes"] == f"(..., {'m, n' if transposed else 'n, m'}) by the length of the bias"
    gram = np.swapaxes(models.weights, -1, -2) @ models.weights
    ours = np.maximum(0, np.einsum("ifg,big->bif", gram, x.double().numpy()) + models.bias)
    assert np.allclose(ours, expected.numpy(), rtol=0, atol=1e-5)


def test_more_features_than_dimensions_is_not_assumed(tmp_path):
    """W (2, 3) with two biases has n = 2 features in m = 3 dimensions."""
    models = load_models(write(tmp_path, {"W": torch.arange(6.0).reshape(2, 3), "b": torch.zeros(2)}, ".pt"))
    assert (models.n, models.m) == (2, 3)
    assert models.weights.tolist() == [[0, 3], [1, 4], [2, 5]]


def test_prefixes_checkpoints_and_what_else_they_hold(tmp_path):
    """A training checkpoint: the model under its name, compiled; the optimiser's tensors are ignored and listed."""
    state = notebook()
    other = {"state": {0: {"exp_avg": state["W"] * 0, "weight": state["W"]}}, "lr": 1e-3}
    torch.save(
        {"epoch": 3, "model": {f"_orig_mod.{k}": v for k, v in state.items()}, "optim": other}, tmp_path / "x.pt"
    )
    models = load_models(tmp_path / "x.pt")
    assert models.source["taken"] == ["model._orig_mod.W", "model._orig_mod.b_final"]
    assert models.source["ignored"] == ["optim.state.0.exp_avg", "optim.state.0.weight"]
    assert np.array_equal(models.bias, state["b_final"].double().numpy())


def test_a_module_saved_by_torch(tmp_path):
    """Parameters that need gradients, in half precision, nothing else changed."""

    class Toy(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.W = torch.nn.Parameter(notebook()["W"].bfloat16())
            self.b_final = torch.nn.Parameter(notebook()["b_final"].half())

    toy = Toy()
    torch.save(toy.state_dict(keep_vars=True), tmp_path / "x.pt")
    save_file(toy.state_dict(), tmp_path / "x.safetensors")
    for name in ("x.pt", "x.safetensors"):
        models = load_models(tmp_path / name)
        assert np.array_equal(np.swapaxes(models.weights, 1, 2), toy.W.detach().double().numpy())
        assert np.array_equal(models.bias, toy.b_final.detach().double().numpy())


def test_two_linear_layers_are_an_untied_model(tmp_path):
    """Square ones too: torch says which axis is which."""
    net = torch.nn.ModuleDict({"encoder": torch.nn.Linear(3, 3, bias=False), "decoder": torch.nn.Linear(3, 3)})
    torch.save(net.state_dict(), tmp_path / "x.pt")
    models, x = load_models(tmp_path / "x.pt"), torch.rand(3)
    expected = net["decoder"](net["encoder"](x)).detach().numpy()
    assert models.model == "untied"
    assert np.allclose(models.decoder @ models.weights @ x.numpy() + models.bias, expected, atol=1e-6)


def test_our_names_without_our_schema(tmp_path):
    """The way out where W is square: `weights` is (..., m, n)."""
    models = load_models(write(tmp_path, {"weights": torch.tensor([[1, 2], [3, 4]]), "bias": torch.zeros(2)}, ".pt"))
    assert models.weights.tolist() == [[1, 2], [3, 4]]


def test_without_any_bias_it_is_zero(tmp_path):
    models = load_models(write(tmp_path, {"W": torch.ones(4, 3, 2)}, ".safetensors"))
    assert models.bias.tolist() == [[0.0] * 3] * 4
    assert "without a bias" in models.source["axes"]


def test_files_that_cannot_be_read(tmp_path):
    endless = {"W": torch.ones(3, 2)}
    endless["more"] = endless
    torch.save(endless, tmp_path / "endless.pt")
    for path, message in (
        (tmp_path / "endless.pt", "can be read, got .*recursion"),
        (tmp_path / f"{'x' * 300}.pt", "not there"),
    ):
        with pytest.raises(InputError, match=message):
            load_models(path)


def test_complex_weights_are_refused():
    with pytest.raises(InputError, match="weights must be real, got complex numbers"):
        Models(np.array([[1j, 1.0]]))


W, B = torch.ones(3, 2), torch.zeros(3)
REFUSED_STATES = {
    "square": ({"W": torch.ones(4, 3, 3), "b": torch.zeros(4, 3)}, "rename it to 'weights'"),
    "bias of another length": ({"W": W, "b": torch.zeros(5)}, "axis of the length 5"),
    "bias of other instances": ({"W": torch.ones(4, 3, 2), "b": torch.zeros(2, 3)}, "bias must have shape"),
    "bias of unknown name": ({"W": W, "b_enc": B}, "'b_enc'.*name it b"),
    "two biases": ({"W": W, "b": B, "b_final": B}, "besides"),
    "second layer": ({"W": W, "W2": W, "b": B}, "'W2'"),
    "untied decoder": ({"W": W, "b": B, "decoder": W}, "'decoder'"),
    "further matrix": ({"W": W, "b": B, "V": W}, "'V'"),
    "autoencoder": ({"W_enc": W, "W_dec": W, "b_enc": B}, "no toy model"),
    "hidden bias": ({"encoder.weight": W.T, "decoder.weight": W, "encoder.bias": B, "decoder.bias": B}, "besides"),
    "encoder alone": ({"encoder.weight": W.T, "decoder.bias": B}, "decoder is needed"),
    "two models": ({"a.W": W, "a.b": B, "b.W": W, "b.b": B}, "several models"),
    "nothing": ({"x": B}, "no toy model"),
    "vector": ({"W": B, "b": B}, "must have shape"),
    "no instances": ({"W": torch.ones(0, 3, 2), "b": torch.zeros(0, 3)}, "a model or more"),
    "NaN": ({"W": W * math.nan, "b": B}, "finite"),
    "infinite bias": ({"W": W, "b": B + math.inf}, "finite"),
}


@pytest.mark.parametrize("suffix", [".pt", ".safetensors", ".json"])
@pytest.mark.parametrize("name", REFUSED_STATES)
def test_states_that_are_refused(name, suffix, tmp_path):
    state, message = REFUSED_STATES[name]
    if name == "no instances" and suffix == ".json":
        message = "must have"  # [] has lost its other axes
    with pytest.raises(InputError, match=message):
        load_models(write(tmp_path, state, suffix))


@pytest.mark.parametrize("dtype", [torch.bool, torch.complex64])
def test_numbers_that_are_not_real(dtype, tmp_path):
    with pytest.raises(InputError, match="real numbers"):
        load_models(write(tmp_path, {"W": W.to(dtype), "b": B}, ".pt"))


@pytest.mark.parametrize(
    "text",
    [
        '{"W": [[1, 2], [3]], "b": [0]}',
        '{"W": [["1", "2"]], "b": [0, 0]}',
        '{"W": [[true, false]], "b": [0, 0]}',
        '{"W": [[1' + "0" * 400 + ', 1.0]], "b": [0, 0]}',
        '{"W": [[1e999, 1.0]], "b": [0, 0]}',
        '{"W": [[NaN, 1.0]], "b": [0, 0]}',
        '{"W": [[null, 1.0]], "b": [0, 0]}',
        "[[1.0, 2.0]]",
        "3",
        "",
        "{" * 200_000,
        "[" * 200_000,
        '{"schema": "tegum-models/2"}',
        f'{{"schema": "{SCHEMA}"}}',
        f'{{"schema": "{SCHEMA}", "weights": [[1, -1]], "bias": [0, 0], "law": null, "model": "gelu", "source": {{}}}}',
        f'{{"schema": "{SCHEMA}", "weights": [[1, -1]], "bias": [0, 0], "model": "relu", "source": {{}}}}',
        f'{{"schema": "{SCHEMA}", "weights": [[1, -1]], "bias": [0, 0], "law": 3, "model": "relu", "source": {{}}}}',
    ],
)
def test_json_that_is_refused(text, tmp_path):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match=r"x\.json"):
        load_models(tmp_path / "x.json")


@pytest.mark.parametrize("change", ["law", "density", "values"])
def test_damaged_features_are_refused(change, tmp_path):
    save_models(tmp_path / "x.json", Models([[1.0, -1.0]], features=Features.anticorrelated(0.4, n=2)))
    body = json.loads((tmp_path / "x.json").read_text())
    body["law"] = {"law": {**body["law"], "sizes": [3]}, "values": {**body["law"], "values": "cauchy"}}.get(
        change, body["law"]
    )
    body["density"] = [0.6, 0.6] if change == "density" else body["density"]
    (tmp_path / "x.json").write_text(json.dumps(body))
    with pytest.raises(InputError, match=r"x\.json"):
        load_models(tmp_path / "x.json")


class Bomb:
    """Unpickling this makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (type(self.path).touch, (self.path,))


def test_pickles_run_nothing(tmp_path):
    """Refused, and the file that the pickle would make is not there; pickle itself makes it."""
    mark = tmp_path / "ran"
    torch.save({"W": W, "b": B, "x": Bomb(mark)}, tmp_path / "x.pt")
    (tmp_path / "y.pt").write_bytes(pickle.dumps(Bomb(mark)))
    for name in ("x.pt", "y.pt"):
        with pytest.raises(InputError, match=r"save model\.state_dict"):
            load_models(tmp_path / name)
    assert not mark.exists()
    pickle.loads((tmp_path / "y.pt").read_bytes())
    assert mark.exists()


def test_a_whole_module_or_a_tensor_is_no_state_dict(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pt")
    torch.save(W, tmp_path / "tensor.pt")
    for name in ("module.pt", "tensor.pt"):
        with pytest.raises(InputError, match=r"save model\.state_dict"):
            load_models(tmp_path / name)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors", ".json"])
def test_truncated_files_are_refused_at_every_length(suffix, tmp_path):
    whole = write(tmp_path, notebook(1, 3, 2), suffix).read_bytes()
    for length in {0, 1, 7, 8, 9, *range(0, len(whole) - 1, max(1, len(whole) // 40))}:
        (tmp_path / f"cut{suffix}").write_bytes(whole[:length])
        with pytest.raises(InputError, match=f"cut{suffix}"):
            load_models(tmp_path / f"cut{suffix}")


def test_what_is_no_file_or_has_no_known_suffix(tmp_path):
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(InputError, match="something else"):
        load_models(tmp_path / "folder.json")
    with pytest.raises(InputError, match="not there"):
        load_models(tmp_path / "none.safetensors")
    for name in ("x.npz", "x", "x.JSON", ".json"):
        with pytest.raises(InputError, match="must end in"):
            save_models(tmp_path / name, Models([[1.0]]))
        with pytest.raises(InputError, match="must end in"):
            load_models(tmp_path / name)


def test_huge_claims_cost_nothing(tmp_path):
    """A header that speaks of a terabyte is refused; other models' tensors are not read."""
    header = json.dumps({"W": {"dtype": "F64", "shape": [1 << 20, 1 << 17], "data_offsets": [0, 1 << 40]}}).encode()
    (tmp_path / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(InputError, match="damaged"):
        load_models(tmp_path / "x.safetensors")
    save_numpy({"W": np.ones((3, 2)), "layers.0.mlp": np.ones(1000, np.uint8)}, tmp_path / "y.safetensors")
    assert load_models(tmp_path / "y.safetensors").source["ignored"] == ["layers.0.mlp"]


@pytest.mark.parametrize("suffix", OURS)
def test_a_failed_write_leaves_what_was_there(suffix, tmp_path, monkeypatch):
    """No room on the disk: the old file is whole, and nothing else is left."""
    path = tmp_path / f"x{suffix}"
    save_models(path, Models([[1.0, -1.0]]))
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fdopen", full)
    with pytest.raises(OSError, match="No space"):
        save_models(path, Models([[2.0, -2.0]]))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_what_cannot_be_saved_is_refused_before_a_file_is_made(tmp_path):
    for models, message in (
        (np.eye(2), "Models"),
        (Models([[1.0]], source={"x": np.eye(2)}), "source"),
        (Models([[1.0]], source={"x": math.nan}), "source"),
    ):
        with pytest.raises(InputError, match=message):
            save_models(tmp_path / "x.json", models)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, -1.0], [0.0, 0.0]), "weights must have shape"),
        ((np.zeros((0, 1, 2)),), "a model or more"),
        (([[1.0, -1.0]], 0.5), "bias must have shape"),
        (([[1.0, -1.0]], [0.0]), "bias must have shape"),
        (([[1.0, -1.0]], np.zeros((3, 2))), "bias must have shape"),
        (([[1.0, -1.0]], 0.0, [[1.0], [1.0]]), "decoder must be None"),
        (([[1.0, -1.0]], 0.0, None, None, "untied"), "decoder must be given"),
        (([[1.0, -1.0]], 0.0, [[1.0, 1.0]], None, "untied"), "decoder must have shape"),
        (([[1.0, -1.0]], 0.0, None, None, "gelu"), "model must be"),
        (([[1.0, -1.0]], 0.0, None, Features(0.1, n=3)), "features of shape"),
        ((np.ones((2, 1, 2)), 0.0, None, Features(0.1 * np.ones((3, 1)), n=2)), "features of shape"),
        (([[1.0, -1.0]], 0.0, None, 0.1), "features must be"),
    ],
)
def test_models_check_what_they_are_given(arguments, message):
    with pytest.raises(InputError, match=message):
        Models(*arguments)
