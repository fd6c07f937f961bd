"""Verdicts: the rules on made-up evidence, and every registered claim turned over by its control."""

import dataclasses
import json

import pytest

from tegum.papers import Check, Claim, Finding, Status, claims, derive
from tegum.papers._evidence import RECORDED, Evidence, latest, load_folder
from tegum.papers._lab import Lab
from tegum.papers._report import grade
from tegum.papers._verify import run_check
from tegum.theory import Grade


def claim_of(*checks, corrected=None):
    return Claim(
        id="made.01",
        locator="",
        statement="",
        restatement="",
        kind="",
        domain="",
        claimed=1,
        control=2,
        corrected=corrected,
        checks=tuple(checks),
    )


def check_of(outcomes, grade=Grade.EXACT, whole=True, independent=False, name="c"):
    """A check with a fixed answer per statement."""
    return Check(name, "", "", lambda s, _: Finding(outcomes[s], grade, "found"), whole=whole, independent=independent)


def settle(claim):
    lab = Lab("fast")
    return derive(claim, [run_check(claim, c, role, lab, "") for c in claim.checks for role in claim.statements])


YES, NO, WEAK = {1: True, 2: False}, {1: False, 2: True}, {1: True, 2: True}
TABLE = [
    (claim_of(check_of(YES)), Status.PROVED),
    (claim_of(check_of(YES, Grade.ENCLOSED)), Status.PROVED),
    (claim_of(check_of(YES, whole=False)), Status.CERTIFIED_ON_SUBDOMAIN),
    (claim_of(check_of(YES, Grade.SAMPLED, independent=True)), Status.SUPPORTED),
    (claim_of(check_of(YES, Grade.NUMERIC)), Status.CONSISTENT),
    (claim_of(check_of(WEAK)), Status.UNDECIDED),
    (claim_of(check_of({1: None, 2: False})), Status.UNDECIDED),
    (claim_of(check_of({1: True, 2: None})), Status.UNDECIDED),
    (claim_of(check_of(NO)), Status.REFUTED),
    (claim_of(check_of({1: False, 2: False})), Status.UNDECIDED),
    (claim_of(check_of(NO, Grade.NUMERIC)), Status.UNDECIDED),
    (claim_of(check_of({1: False, 2: False, 3: True}), corrected=3), Status.CORRECTED),
    (claim_of(check_of({1: False, 2: True, 3: True}), corrected=3), Status.UNDECIDED),
    (claim_of(check_of({1: False, 2: False, 3: False}), corrected=3), Status.UNDECIDED),
    (claim_of(check_of({1: False, 2: False, 3: None}), corrected=3), Status.UNDECIDED),
    (claim_of(check_of(YES), check_of(NO, name="d")), Status.REFUTED),
    (claim_of(check_of(YES), check_of(NO, Grade.SAMPLED, name="d")), Status.UNDECIDED),
    (claim_of(check_of(WEAK), check_of(YES, Grade.NUMERIC, name="d")), Status.CONSISTENT),
    (dataclasses.replace(claim_of(), untestable="needs a language model"), Status.NOT_TESTABLE),
]


@pytest.mark.parametrize(("claim", "status"), TABLE)
def test_rules(claim, status):
    assert settle(claim).status is status


def test_missing_evidence_is_undecided_and_says_what_is_missing():
    verdict = derive(claim_of(check_of(YES)), [])
    assert verdict.status is Status.UNDECIDED
    assert "c (claimed)" in verdict.reason


def test_corrected_has_the_lower_grade_of_its_two_findings():
    def run(statement, _):
        return Finding(statement == 3, Grade.NUMERIC if statement == 3 else Grade.EXACT, "found")

    verdict = settle(claim_of(Check("c", "", "", run), corrected=3))
    assert (verdict.status, verdict.grade) == (Status.CORRECTED, Grade.NUMERIC)


@pytest.mark.parametrize(("whole", "shown"), [(True, "EXACT / EXACT"), (False, "EXACT / EXACT in part")])
def test_a_restatement_certified_in_part_says_so(whole, shown):
    def run(statement, _):
        return Finding(statement == 3, Grade.EXACT, "found")

    assert grade(settle(claim_of(Check("c", "", "", run, whole=whole), corrected=3))) == shown


def test_ids_are_unique_and_every_claim_has_a_control_that_differs():
    everything = claims()
    assert len({c.id for c in everything}) == len(everything) >= 10
    for claim in everything:
        assert claim.checks
        assert claim.control != claim.claimed
        assert claim.control != claim.corrected
        assert bool(claim.correction) is (claim.corrected is not None)
        for statement in claim.statements.values():
            assert json.loads(json.dumps(statement)) == statement


# Samples contradict these, which refutes nothing: they stay undecided, and visible.
OPEN = {"elhage2022.29"}


@pytest.mark.slow
@pytest.mark.parametrize("claim", [c for c in claims() if c.id not in OPEN], ids=lambda c: c.id)
def test_every_verdict_turns_over_when_the_control_takes_its_place(claim, lab):
    """The statement that carries the verdict and the control exchange places; checks run anew on recorded models."""
    roles = {"corrected": claim.control} if claim.corrected is not None else {"claimed": claim.control}
    true = claim.claimed if claim.corrected is None else claim.corrected
    upright, turned = claim, dataclasses.replace(claim, control=true, **roles)
    found = {}
    for name, one in (("upright", upright), ("turned", turned)):
        found[name] = derive(one, [run_check(one, c, role, lab, "") for c in one.checks for role in one.statements])
    assert found["upright"].status not in (Status.UNDECIDED, Status.NOT_TESTABLE)
    assert found["turned"].status is not found["upright"].status
    if claim.corrected is None:
        assert found["turned"].status in (Status.REFUTED, Status.UNDECIDED)


@pytest.mark.parametrize("claim", claims(sorted(OPEN)), ids=lambda c: c.id)
def test_what_is_open_could_have_been_settled(claim, lab):
    """Its checks reject the statement without a verified counterexample, accept what was seen, and tell that from the control."""

    def status(one):
        return derive(one, [run_check(one, c, role, lab, "") for c in one.checks for role in one.statements]).status

    seen = dataclasses.replace(claim, claimed=claim.corrected, corrected=None)
    assert status(claim) is Status.UNDECIDED
    assert status(seen) is Status.SUPPORTED
    assert status(dataclasses.replace(seen, claimed=claim.control, control=claim.corrected)) is not Status.SUPPORTED


def test_recorded_evidence_settles_every_claim_but_the_open_ones():
    """The record is read, every claim is on it, and at least two of them are found wrong."""
    records = latest(load_folder(RECORDED))
    verdicts = {}
    for claim in claims():
        wanted = [(claim.id, c.name, r, json.dumps(s)) for c in claim.checks for r, s in claim.statements.items()]
        assert all(key in records for key in wanted), f"{claim.id} is not on record; run make record"
        verdicts[claim.id] = derive(claim, [records[key] for key in wanted]).status
    assert {claim for claim, status in verdicts.items() if status is Status.UNDECIDED} == OPEN
    assert sum(v in (Status.CORRECTED, Status.REFUTED) for v in verdicts.values()) >= 2


def test_a_record_changed_by_hand_changes_nothing_silently():
    """A verdict cannot be typed: evidence whose answer is edited no longer matches its digest."""
    from tegum.papers._evidence import read_evidence
    from tegum.theory import InputError

    path = sorted(RECORDED.glob("*.jsonl"))[0]
    text = path.read_text(encoding="utf-8")
    assert '"holds": false' in text
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        forged = Path(folder) / path.name
        forged.write_text(text.replace('"holds": false', '"holds": true', 1), encoding="utf-8")
        with pytest.raises(InputError, match="corrupt"):
            read_evidence(forged)


def test_evidence_is_complete():
    for record in load_folder(RECORDED):
        assert isinstance(record, Evidence)
        assert record.versions["tegum"]
        assert record.command.startswith("tegum verify")
        assert record.measured
        assert record.hardware
