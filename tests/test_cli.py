"""The command line: output, exit codes, and one clear sentence for bad usage."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tegum.cli import EXAMPLES, main


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    """The report goes to ./report."""
    monkeypatch.chdir(tmp_path)


def test_phase_prints_the_boundary(capsys):
    assert main(["phase", "--density", "0.1", "--importance", "0.05", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["state"] == "antipodal"
    assert abs(result["boundary"] - 0.048722) < 1e-6
    assert main(["phase", "--density", "0.9"]) == 0
    assert "none up to importance 1" in capsys.readouterr().out


@pytest.mark.slow
def test_a_proof_is_written_and_checked(capsys):
    assert main(["phase", "--density", "0.1", "--importance", "0.3", "--prove", "proof.json"]) == 0
    assert "proved" in capsys.readouterr().out
    assert main(["check", "proof.json"]) == 0
    assert "every optimum is antipodal" in capsys.readouterr().out
    # A proof of one state is none of another.
    text = Path("proof.json").read_text().replace('"antipodal"', '"weak"')
    Path("changed.json").write_text(text)
    assert main(["check", "changed.json"]) == 1
    assert "not proved" in capsys.readouterr().err
    # Above 1 the features exchange their roles.
    assert main(["phase", "--density", "0.1", "--importance", "4", "--prove", "proof.json"]) == 0
    assert "importance of feature 2 from 1/4" in capsys.readouterr().out


@pytest.mark.slow
def test_a_bound_is_written_and_checked(capsys):
    assert main(["bound", "3", "2", "--density", "0.05", "--ratio", "0.9", "--out", "bound.json", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert 0.5 < result["ratio"] < 1
    assert main(["check", "bound.json"]) == 0
    assert "loses at least" in capsys.readouterr().out
    certificate = json.loads(Path("bound.json").read_text())
    Path("changed.json").write_text(json.dumps({**certificate, "value": "1/100"}))
    assert main(["check", "changed.json"]) == 1


def test_counts_are_shown_written_and_checked(capsys):
    assert main(["count", "100", "--degrees", "1", "--out", "count.json"]) == 0
    out = capsys.readouterr().out
    assert "at least  102" in out
    assert "at most   102" in out
    assert "fewer than the 100 orthogonal vectors" in out
    assert main(["check", "count.json"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "At least 102 unit vectors of R^100 fit within 1° of a right angle to each other.",
        "At most 102 unit vectors of R^100 fit within 1° of a right angle to each other.",
    ]
    Path("count.json").write_text(Path("count.json").read_text().replace('"102"', '"103"'))
    assert main(["check", "count.json"]) == 1
    assert "not proved: digest" in capsys.readouterr().err
    assert main(["count", "8", "--cosine", "1/2", "--race"]) == 0
    assert "needs n = 2" in capsys.readouterr().out
    assert main(["count", "4096", "--degrees", "1", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert int(result["lower"]) == 8392704
    assert {bound["side"] for bound in result["race"]} == {"lower", "upper"}


def test_counts_start_without_heavy_imports():
    script = (
        "import sys; from tegum.cli import main; main(['count', '12288', '--degrees', '1']);"
        "print(sorted({'torch', 'sympy', 'scipy', 'numba', 'cvxpy', 'matplotlib'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"


def test_verify_prints_a_table_and_json(capsys):
    assert main(["verify", "lieberum2022.01"]) == 0
    captured = capsys.readouterr()
    assert "corrected" in captured.out
    assert "it/s" not in captured.out
    assert main(["verify", "lieberum2022.01", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["results"]
    assert row["verdict"] == "corrected"
    assert len(row["evidence"]) == 6


@pytest.mark.slow
def test_verify_shows_the_age_of_stored_evidence(capsys):
    assert main(["verify", "elhage2022.62"]) == 0
    assert Path("report/claims/elhage2022.62.html").exists()
    assert "from the record: trained models (" in capsys.readouterr().out


def test_list(capsys):
    assert main(["verify", "--list"]) == 0
    assert "sanderson2024.01" in capsys.readouterr().out


def notebook(path, n=3, m=2, instances=2):
    """A state dict as public notebooks have it: W (instances, n, m), b_final (instances, n)."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    weights, bias = torch.randn(instances, n, m), torch.zeros(instances, n)
    torch.save({"W": weights, "b_final": bias}, path)
    return weights.numpy().swapaxes(1, 2), bias.numpy()


def test_foreign_models_are_inspected(capsys):
    from tegum.theory import Features, expected_loss, optimal_model

    weights, bias = notebook("models.pt")
    assert main(["inspect", "models.pt", "--density", "0.1,0.5", "--ratio", "0.9", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    features = Features([[0.1], [0.5]], [1.0, 0.9, 0.81])
    exact = expected_loss(weights.astype(float), bias.astype(float), features)
    assert [row["loss"] for row in result["models"]] == pytest.approx(exact.tolist(), rel=1e-12)
    best = optimal_model(Features(0.5, [1.0, 0.9, 0.81]), 2)
    assert result["models"][1]["optimum"] == pytest.approx(best.loss, rel=1e-6)
    assert result["models"][1]["excess"] == pytest.approx(exact[1] / best.loss - 1, rel=1e-5)
    assert main(["inspect", "models.pt", "--density", "0.1", "--importance", "1,0.9,0.81"]) == 0
    captured = capsys.readouterr()
    assert "should be" in captured.out
    assert f"{exact[0]:.8f}" in captured.out
    Path("one.json").write_text(json.dumps({"W": [[1.0, -1.0]], "b": [0.0, 0.0]}))
    assert main(["inspect", "one.json", "--density", "0.1"]) == 0
    assert "antipodal" in capsys.readouterr().out


def test_presets_are_listed_trained_and_inspected(capsys, monkeypatch):
    from dataclasses import replace

    from tegum.numerics import PRESETS, read_sweep

    assert main(["train", "--list"]) == 0
    assert "phase-3-2             4096 cells x 8" in capsys.readouterr().out
    preset = PRESETS["phase-2-1"]
    small = replace(
        preset, density=(0.1, 0.9), importance=(0.02, 1.0), recipe=replace(preset.recipe, steps=60, batch=64)
    )
    monkeypatch.setitem(PRESETS, "phase-2-1", small)
    assert main(["train", "phase-2-1", "--seeds", "2"]) == 0
    assert "phase-2-1.zarr: 8 models (2 density, 2 importance, 2 seed" in capsys.readouterr().out
    assert main(["inspect", "phase-2-1.zarr", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["models"]
    assert [row["loss"] for row in rows] == pytest.approx(
        read_sweep("phase-2-1.zarr").loss.values.ravel().tolist(), rel=1e-6
    )
    assert {tuple(row["index"][:2]): row["optimum_phase"] for row in rows} == {
        (0, 0): "only 1",
        (0, 1): "antipodal",
        (1, 0): "only 1",
        (1, 1): "weak",
    }
    # Another number of seeds is another sweep, and overwrites nothing.
    assert main(["train", "phase-2-1", "--seeds", "1"]) == 2
    assert "holds another sweep: coordinates.seed has 2 entries in the store, now 1" in capsys.readouterr().err
    assert read_sweep("phase-2-1.zarr").sizes["seed"] == 2


def test_trained_models_are_told_as_they_are(capsys, monkeypatch):
    """Sampled losses, models that diverged, and a damaged store."""
    import warnings
    from dataclasses import replace

    from tegum.numerics import PRESETS

    small = {"density": (0.1,), "ratio": 1.0, "n": 3, "m": 2, "seeds": 2}
    for name, rate, words in (
        ("absolute-100-40", 1e-3, "), sampled loss 0."),
        ("intro-5-2", 1e30, "), 2 diverged\n"),
    ):
        recipe = replace(PRESETS[name].recipe, steps=20, batch=16, learning_rate=rate)
        monkeypatch.setitem(PRESETS, name, replace(PRESETS[name], **small, recipe=recipe))
        assert main(["train", name]) == 0
        assert words in capsys.readouterr().out
    chunk = next(Path("intro-5-2.zarr/weights").glob("c.*"))
    chunk.write_bytes(b"other")
    before = warnings.showwarning
    warnings.simplefilter("default")
    assert main(["train", "intro-5-2"]) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "damaged" in line]
    assert told[0].startswith("tegum: warning: intro-5-2.zarr: 1 finished block was damaged")
    assert "_store.py" not in told[0]
    assert warnings.showwarning is before


def test_figures_are_listed_and_drawn(capsys):
    assert main(["figures", "--list"]) == 0
    assert "published_phases" in capsys.readouterr().out
    assert main(["figures", "count_card"]) == 0
    assert capsys.readouterr().out.splitlines() == [str(Path("figures") / "count_card.png")]
    assert Path("figures/count_card.png").stat().st_size > 10_000
    Path("file").write_text("")
    assert main(["figures", "count_card", "--out", "file"]) == 2
    assert "--out must be a folder that can be written" in capsys.readouterr().err


def test_bad_model_files_are_named(capsys):
    notebook("models.pt")
    notebook("square.pt", n=2, m=2)
    Path("broken.safetensors").write_bytes(b"no tensors")
    Path("folder.zarr").mkdir()
    for arguments, words in (
        (["models.pt"], "--density must be given: models.pt does not say what its models were trained on"),
        (["models.pt", "--density", "0.1", "--ratio", "0"], "importance"),
        (["models.pt", "--ratio", "0.9"], "--density must be given with --importance or --ratio"),
        (["models.pt", "--density", "0.1,0.2,0.3"], "got 3 for models of shape (2,)"),
        (["models.pt", "--density", "0.1;0.2"], "--density must be numbers separated by commas"),
        (["models.pt", "--density", "-0.1"], "density must be in (0, 1]"),
        (["models.pt", "--density", "0.1", "--importance", "1,2"], "--importance must be 3 numbers"),
        (["models.pt", "--density", "0.1", "--importance", "1,1,1", "--ratio", "1"], "either --importance or --ratio"),
        (["square.pt", "--density", "0.1"], "rename it to 'weights'"),
        (["broken.safetensors", "--density", "0.1"], "not a safetensors file"),
        (["absent.pt", "--density", "0.1"], "is not there"),
        (["models.csv", "--density", "0.1"], "must end in"),
        (["folder.zarr"], "is not the store of a sweep"),
    ):
        assert main(["inspect", *arguments]) == 2, arguments
        assert words in capsys.readouterr().err, arguments


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train"], "PRESET is missing; tegum train --list"),
        (["train", "phase-21"], "the nearest is 'phase-2-1'"),
        (["train", "phase-2-1", "--seeds", "-1"], "seeds must be an integer >= 1, got -1"),
        (["train", "phase-2-1", "--seeds", "99999999999"], "seeds must be at most 1000000, got 99999999999"),
        (["train", "phase-2-1", "--out", "/"], "store must be a folder of its own, got '/'"),
        (["train", "phase-2-1", "--device", "tpu9"], "device must be 'cpu' or 'cuda', got 'tpu9'"),
        (["figures", "fase_diagram"], "the nearest is 'phase_diagram'"),
        (["count", "0", "--degrees", "1"], "n must be an integer >= 1, got 0"),
        (["count", "10"], "either cosine or degrees, got neither"),
        (["count", "10", "--degrees", "1", "--cosine", "0.1"], "either cosine or degrees, got both"),
        (["count", "10", "--cosine", "1.5"], "cosine must be in (0, 1), got 1.5"),
        (["count", "99999999", "--degrees", "1"], "n must be at most 10000000"),
        (["phase", "--density", "2"], "density must be in (0, 1] (density = 1 - sparsity), got 2"),
        (["phase", "--density", "nan"], "density must be finite, got nan"),
        (["phase", "--density", "0.1", "--importance", "-1"], "importances must be positive"),
        (["phase", "--density", "0.1", "--prove", "x.json"], "--prove needs a point to prove something at"),
        (["bound", "9", "2", "--density", "0.1"], "features must be at most 8, independent and uniform"),
        (["bound", "0", "2", "--density", "0.1"], "N must be at least 1, got 0"),
        (["check", "nothing.json"], "FILE must be a certificate in JSON, but nothing.json cannot be read"),
        (["verify", "elhage2022.99"], "no paper or claim is called 'elhage2022.99'"),
        (
            ["verify", "jensen2024", "--tier", "slow", "--device", "abacus"],
            "device must be 'cpu' or 'cuda', got 'abacus'",
        ),
        (["verify", "jensen2024", "--out", "/dev/null/report"], "out must be a folder that can be written"),
    ],
)
def test_bad_usage_is_one_sentence_and_exit_code_2(arguments, words, capsys, tmp_path):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [["phase", "--density", "many"], ["verify", "--tier", "quick"], ["dance"], []])
def test_argparse_errors_exit_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage: tegum" in capsys.readouterr().err


def test_changed_verdict_gives_exit_code_1(monkeypatch, capsys):
    from fractions import Fraction

    from tegum.papers import lieberum2022

    monkeypatch.setattr(lieberum2022, "P", Fraction(1, 10))
    assert main(["verify", "lieberum2022.01"]) == 1
    assert "on record corrected" in capsys.readouterr().err


def test_interrupt_gives_exit_code_130(monkeypatch, capsys):
    from tegum.papers import _verify

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(_verify, "_settle", stop)
    assert main(["verify", "lieberum2022.01"]) == 130
    assert "interrupted after 0 claims" in capsys.readouterr().err
    monkeypatch.setattr("tegum.papers.verify", stop)
    assert main(["verify", "lieberum2022.01"]) == 130
    assert capsys.readouterr().err == "tegum: interrupted\n"


@pytest.mark.slow
def test_module_runs_and_survives_a_closed_pipe():
    command = f"{sys.executable} -m tegum verify --list | head -1"
    run = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert run.stdout.startswith("elhage2022.01")
    assert run.stderr == ""


def test_help_examples_parse(capsys):
    """Every command line in --help is accepted by the parser."""
    from tegum.cli import _parser

    for line in EXAMPLES.splitlines():
        if line.startswith("  tegum "):
            _parser().parse_args(line.split("  ")[1].split()[1:])
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "exit codes" in capsys.readouterr().out
