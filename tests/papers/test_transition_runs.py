"""The stored transitions: recomputed for a few families, and the page that they render to."""

import json

import pytest

from tegum.papers import transition_runs
from tegum.papers._transition_families import PROBLEMS
from tegum.papers.transition_runs import PAGE, load_families, main, render, save_families
from tegum.theory import InputError


def test_page_is_what_the_stored_run_renders_to():
    families = load_families()
    assert list(families) == list(PROBLEMS)
    assert PAGE.read_text(encoding="utf-8") == render(families)
    families["pair"]["rows"][0]["parameter"] += 1e-8  # negative control: another number is another page
    assert PAGE.read_text(encoding="utf-8") != render(families)


def test_independent_values_agree_with_the_stored_places():
    """Closed forms and crossings of regular losses, within the digits of both; scipy within what its losses leave."""
    seen = set()
    for family in load_families().values():
        for row in family["rows"]:
            assert row["kink"] <= 0
            if row["check"] is None or row["order"] != "first" or "spinodal" in row["check"]["name"]:
                continue
            seen.add(row["check"]["name"])
            off = abs(row["check"]["value"] - row["parameter"])
            assert off < 1e-7 + row["error"] + 1e-10 / abs(row["kink"]), (family["problem"], row)
    assert seen >= {"critical_points", "phase_boundary", "regular losses", "scipy"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pair", "four in three", "one feature denser, p = 0.05"])
def test_stored_families_are_found_again(name):
    stored, again = load_families()[name], transition_runs.run(name)
    assert [(r["below"], r["above"], r["order"]) for r in again["rows"]] == [
        (r["below"], r["above"], r["order"]) for r in stored["rows"]
    ]
    for old, new in zip(stored["rows"], again["rows"], strict=True):
        assert new["parameter"] == pytest.approx(old["parameter"], abs=1e-10)
        assert abs(new["check"]["value"] - new["parameter"]) < 1e-7
    assert again["loss"] == pytest.approx(stored["loss"], abs=1e-11)


def test_interrupted_run_keeps_what_is_finished(tmp_path, monkeypatch):
    done = []

    def run(name):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(name)
        made = {"seconds": 1.0, "code": transition_runs._digest()}
        return {"provenance": made, "problem": name, "loss": [0.0], "geometry": ["1 digon"], "rows": []}

    monkeypatch.setattr(transition_runs, "run", run)
    with pytest.raises(KeyboardInterrupt):
        main(["--out", str(tmp_path)])
    first = list(PROBLEMS)[:2]
    assert list(load_families(tmp_path / "transitions.json")) == first
    main([*first, "--out", str(tmp_path)])
    assert done == first
    assert first[0] in (tmp_path / "transitions.md").read_text(encoding="utf-8")
    # Made by other code, it is run again.
    families = load_families(tmp_path / "transitions.json")
    families[first[0]]["provenance"]["code"] = "other"
    save_families(tmp_path / "transitions.json", families)
    with pytest.raises(KeyboardInterrupt):
        main([first[0], "--out", str(tmp_path)])


def test_files_and_names_are_checked(tmp_path, capsys):
    (tmp_path / "transitions.json").write_text(json.dumps({"schema": "other"}), encoding="utf-8")
    with pytest.raises(InputError, match="tegum-transitions/1"):
        load_families(tmp_path / "transitions.json")
    with pytest.raises(SystemExit):
        main(["nothing", "--out", str(tmp_path)])
    assert "got nothing" in capsys.readouterr().err
    assert load_families(tmp_path / "none.json") == {}
