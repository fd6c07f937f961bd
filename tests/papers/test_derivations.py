"""The document of closed forms is what the command writes."""

from pathlib import Path

import pytest

from tegum.papers import derivations
from tegum.theory import closed_forms

STORED = Path(__file__).parent.parent.parent / "docs" / "derivations.md"


@pytest.mark.slow
def test_the_stored_document_is_the_one_that_is_derived():
    assert derivations.document() == STORED.read_text(encoding="utf-8")


def test_the_document_shows_what_a_check_counted(monkeypatch):
    monkeypatch.setattr(derivations, "SAMPLES", 3)
    form = closed_forms()["ignored"]
    assert "Checked: 3 true, 0 undecided, 0 false." in derivations.section(form)
