"""Derivation: closed forms against ball arithmetic, and wrong ones found out."""

from dataclasses import replace

import pytest

from tegum.theory import DENSITY, InputError, _derivation, closed_forms

NAMES = list(closed_forms())


@pytest.mark.parametrize("name", NAMES)
def test_closed_form_holds(name):
    counted = closed_forms()[name].check(samples=20)
    assert (counted.true, counted.undecided, counted.false) == (20, 0, 0)


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_closed_form_is_found_out(name):
    form = closed_forms()[name]
    # One part in a million of the size of its terms; upwards would leave an inequality true.
    p = DENSITY
    wrong = (
        replace(form, value=form.value - p**2 / 10**6) if form.relation == "=" else replace(form, value=form.value * 0)
    )
    counted = wrong.check(samples=20)
    assert counted.false == 20


def test_assumptions_are_needed():
    form = closed_forms()["unequal norms"]
    assert replace(form, assumptions=()).check(samples=40).false > 5


def test_too_wide_counts_as_undecided(monkeypatch):
    """With 20 bits for the closed form its enclosure meets the loss but cannot decide."""
    monkeypatch.setattr(_derivation, "BITS", 20)
    counted = closed_forms()["triangle best"].check(samples=10)
    assert (counted.true, counted.false) == (0, 0)


def test_latex_names_every_model():
    text = closed_forms()["naive boundary"].latex()
    assert "L_{1}" in text
    assert "L_{1} - L_{2} = 0" in text


def test_samples_must_be_positive():
    with pytest.raises(InputError, match="samples"):
        closed_forms()["ignored"].check(samples=0)
