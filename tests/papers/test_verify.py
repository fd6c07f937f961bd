"""Running checks, writing evidence and the report, and what happens when something is wrong."""

import json
import os
import re
from html.parser import HTMLParser

import pytest

from tegum.papers import Status, claims, verify
from tegum.papers._evidence import RECORDED, age, append_evidence, load_folder, read_evidence
from tegum.papers._lab import STORED, load_run, save_run
from tegum.papers.figures import FIGURES
from tegum.papers.record import record
from tegum.theory import InputError

QUICK = ["lieberum2022.01", "jensen2024.28"]
SHOWN = ["elhage2022.61", "elhage2022.10", "elhage2022.20", "elhage2022.21", "elhage2022.25", "sanderson2024.01"]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report on eight claims, which between them show every figure, drawn from the recorded models."""
    out = tmp_path_factory.mktemp("report")
    return verify([*QUICK, *SHOWN], out=out)


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.targets = []

    def handle_starttag(self, tag, attrs):
        self.targets += [v for k, v in attrs if k in ("href", "src")]


@pytest.mark.slow
def test_report_is_whole(report):
    assert {r.claim.id: r.verdict.status for r in report.results} == {
        "elhage2022.10": Status.SUPPORTED,
        "elhage2022.20": Status.CORRECTED,
        "elhage2022.21": Status.CORRECTED,
        "elhage2022.25": Status.SUPPORTED,
        "elhage2022.61": Status.CORRECTED,
        "lieberum2022.01": Status.CORRECTED,
        "jensen2024.28": Status.CORRECTED,
        "sanderson2024.01": Status.CORRECTED,
    }
    pages = [report.out / "index.html", *sorted((report.out / "claims").glob("*.html"))]
    assert len(pages) == 9
    for page in pages:
        text = page.read_text(encoding="utf-8")
        links = Links()
        links.feed(text)
        for target in links.targets:
            assert not re.match(r"[a-z]+:", target), "the report needs no network"
            assert (page.parent / target.split("#")[0]).exists(), f"{page.name} links {target}"
        assert "{{" not in text
    assert "lieberum2022.01" in (report.out / "report.md").read_text(encoding="utf-8")
    assert not list(report.out.rglob("*.tmp"))
    assert {p.stem for p in (report.out / "figures").iterdir()} == set(FIGURES)
    for name in FIGURES:
        assert (report.out / "figures" / f"{name}.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.slow
def test_replay_scripts_run_without_tegum(report):
    import subprocess
    import sys

    for claim in claims():
        if claim.replay:
            run = subprocess.run([sys.executable, "-I", "-S", "-c", claim.replay], capture_output=True, text=True)
            assert run.returncode == 0, run.stderr
            assert "False" not in run.stdout


@pytest.mark.slow
def test_evidence_is_appended_never_rewritten(report):
    path = report.out / "evidence" / "jensen2024.jsonl"
    before = path.read_text(encoding="utf-8")
    verify(["jensen2024"], out=None)
    assert path.read_text(encoding="utf-8") == before
    append_evidence(report.out / "evidence", read_evidence(path)[:1])
    assert path.read_text(encoding="utf-8").startswith(before)
    assert len(read_evidence(path)) == before.count("\n") + 1


def test_verify_without_a_folder_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    verify(QUICK)
    assert list(tmp_path.iterdir()) == []


def test_stored_evidence_stands_in_for_what_a_tier_does_not_run():
    (result,) = verify(["elhage2022.20"]).results
    assert result.stored == {"trained models"}
    assert result.verdict.status is not Status.UNDECIDED


def test_a_changed_verdict_is_noticed(monkeypatch):
    """If the arithmetic of a check goes wrong, the verdict differs from the recorded one."""
    from fractions import Fraction

    from tegum.papers import lieberum2022

    monkeypatch.setattr(lieberum2022, "P", Fraction(1, 10))
    (result,) = verify(["lieberum2022.01"]).results
    assert result.differs


def test_interrupt_keeps_what_was_finished(tmp_path, monkeypatch):
    from tegum.papers import _verify

    settled = _verify._settle

    def stop_at_second(claim, *rest):
        if claim.id == "jensen2024.28":
            raise KeyboardInterrupt
        return settled(claim, *rest)

    monkeypatch.setattr(_verify, "_settle", stop_at_second)
    report = verify(QUICK, out=tmp_path)
    assert report.interrupted
    assert [r.claim.id for r in report.results] == ["lieberum2022.01"]
    assert "interrupted" in (tmp_path / "index.html").read_text(encoding="utf-8")
    assert len(load_folder(tmp_path / "evidence")) == 6
    assert not (tmp_path / "figures").exists()


@pytest.mark.parametrize(
    ("name", "near"),
    [("elhage2022.51", "elhage2022.61"), ("lieberum", "lieberum2022"), ("sanderson2024.1", "sanderson2024.01")],
)
def test_unknown_claims_get_a_suggestion(name, near):
    with pytest.raises(InputError, match=f"{re.escape(name)}.*nearest is '{re.escape(near)}'"):
        claims([name])


def test_unknown_tier_and_unwritable_folder(tmp_path):
    with pytest.raises(InputError, match="tier must be one of fast, slow, full, got 'quick'"):
        verify(QUICK, tier="quick")
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(InputError, match="out must be a folder that can be written"):
        verify(QUICK, out=blocked / "report")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="Permission denied"):
        verify(QUICK, out=tmp_path)


@pytest.mark.parametrize("damage", ["not json\n", '{"schema": "tegum-evidence/1"}\n', "[]\n", '{"digest": "0"}\n'])
def test_corrupt_evidence_is_refused_before_anything_runs(tmp_path, damage):
    (tmp_path / "evidence").mkdir()
    path = tmp_path / "evidence" / "jensen2024.jsonl"
    path.write_text(damage, encoding="utf-8")
    with pytest.raises(InputError, match=r"jensen2024.jsonl, line 1, is corrupt"):
        verify(QUICK, out=tmp_path)
    assert path.read_text(encoding="utf-8") == damage
    assert not (tmp_path / "index.html").exists()


def test_runs_round_trip_and_damage_is_named(tmp_path):
    run = load_run(STORED / "intro.json")
    save_run(tmp_path / "intro.json", run)
    again = load_run(tmp_path / "intro.json")
    assert (again.data["weights"] == run.data["weights"]).all()
    assert {"command", "when", "seed", "hardware", "versions"} <= set(again.provenance)
    (tmp_path / "bad.json").write_text(json.dumps({"schema": "other"}))
    with pytest.raises(InputError, match=r"bad\.json must be a tegum-run/1 file"):
        load_run(tmp_path / "bad.json")


def test_figures_only_where_a_claim_shows_them(tmp_path):
    verify(QUICK, out=tmp_path)
    assert not (tmp_path / "figures").exists()
    assert (tmp_path / "claims" / "jensen2024.28.html").exists()


@pytest.mark.slow
def test_recording_a_report(report, tmp_path, monkeypatch):
    from tegum.papers import record as module

    monkeypatch.setattr(module, "RECORDED", tmp_path / "evidence")
    monkeypatch.setattr(module, "STORED", tmp_path / "runs")
    first = record(report.out)
    assert first == len(load_folder(tmp_path / "evidence")) > 0
    assert record(report.out) == 0
    with pytest.raises(InputError, match="report must be a folder"):
        record(tmp_path / "nothing")


def test_stored_runs_hold_what_they_say(lab):
    """The exact losses stored with the trained models are those of the stored weights."""
    import numpy as np

    from tegum.theory import Features, expected_loss

    data = lab.pairs.data
    importance = np.stack([np.ones_like(data["importance"]), data["importance"]], -1)
    features = Features(data["density"][:, None, None], importance[None])
    assert np.allclose(expected_loss(data["weights"][:, :, None], data["bias"], features), data["loss"], rtol=1e-12)


def test_age_in_words():
    assert age("2020-01-01T00:00:00Z").endswith("days ago")
    assert RECORDED.is_dir()
