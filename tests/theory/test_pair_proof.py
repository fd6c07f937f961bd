"""Proofs of the optimal state of two features: what is true is proved and replayed, what is false is neither proved nor accepted."""

from __future__ import annotations

import copy
import json
import re
from base64 import b85decode
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any
from zlib import decompress

import numpy as np
import pytest
from flint import fmpq

from tegum.theory import (
    CertificateError,
    Features,
    InputError,
    check_pair,
    expected_loss,
    pair_map,
    phase_boundary,
    prove_pair,
    spinodal,
)
from tegum.theory import _exact_row as exact
from tegum.theory._pair_cell import pair_cell
from tegum.theory._pair_check import _Cell, _check_core, _least_tilt
from tegum.theory._pair_core import pair_core
from tegum.theory._row_box import row_error


def law(p):
    return np.array([[(1 - p) ** 2, p * (1 - p), p * (1 - p), p * p]])


# Cells well inside a phase: cheap to prove.
TRUE = [
    (("1/10", "1/10"), ("0", "1/30"), "ignored"),
    (("1/10", "3/25"), ("0", ("1/40", "3/100")), "ignored"),
    (("1/10", "1/10"), ("1/2", "1"), "antipodal"),
    (("1/10", "3/25"), ("1/3", ("2/5", "1/2")), "antipodal"),
    (("7/10", "7/10"), ("39/50", "39/50"), "weak"),
    # From 1 % above the onset on, over a range of densities: by a witness whose b2 moves with the density.
    (("29/50", "59/100"), (("33/50", "17/25"), ("18/25", "37/50")), "weak"),
]


@pytest.fixture(scope="module")
def proofs():
    return [prove_pair(*case) for case in TRUE]


def test_true_claims_are_proved_and_replayed(proofs):
    for (density, _, state), proof in zip(TRUE, proofs, strict=True):
        assert proof is not None
        claim = check_pair(json.loads(json.dumps(proof)))
        assert claim.state == state == proof["state"]
        assert tuple(str(x) for x in claim.density) == density


def test_proved_states_agree_with_descent(proofs):
    """The state left to descent is the one proved: an independent search from random starts finds nothing better or different."""
    rng = np.random.default_rng(0)
    for proof in proofs:
        p, weight = float(Fraction(proof["density"][1])), float(Fraction(proof["importance"][1][1]))
        w = rng.normal(0, 0.8, (4000, 2))
        b = rng.normal(0, 0.3, (4000, 2))
        loss = expected_loss(w[:, None], b, Features(p, [1, weight]))
        ratio = np.abs(w).min(1) / np.abs(w).max(1)
        best = weight * (p / 3 - p**2 / 4)
        if proof["state"] != "ignored":
            w1, w2, b1, *rest = (float(Fraction(x)) for x in proof["witness"])
            b2 = rest[0] if rest else p * (1 - w1 * w2 - w2 * w2) / 2
            witness = float(expected_loss(np.array([[w1, w2]]), [b1, b2], Features(p, [1, weight])))
            assert witness < best
            best = witness
        allowed = {
            "ignored": np.zeros(4000, bool),
            "antipodal": (ratio > 23 / 40) & (w.prod(1) < 0),
            "weak": ratio < 23 / 40,
        }[proof["state"]]
        assert (loss[~allowed] > best).all()


FALSE = [
    (("1/10", "1/10"), ("0", "1/20"), "ignored"),  # I* = 0.04872
    (("1/10", "3/25"), ("0", "1/20"), "ignored"),  # true on part of the cell only
    (("1/10", "1/10"), ("1/25", "1/25"), "antipodal"),
    (("1/10", "1/10"), ("1/2", "1/2"), "weak"),
    (("3/10", "3/10"), ("3/10", "3/10"), "weak"),
    (("7/10", "7/10"), ("39/50", "39/50"), "antipodal"),
    # On the wrong sides of the onset 0.66540 and of the exchange 0.80775.
    (("3/5", "3/5"), ("0", "7/10"), "ignored"),
    (("3/5", "3/5"), ("33/50", "33/50"), "weak"),
    (("3/5", "3/5"), ("41/50", "41/50"), "weak"),
    (("3/5", "3/5"), ("4/5", "4/5"), "antipodal"),
    (("29/50", "61/100"), ("4/5", "4/5"), "weak"),  # true on part of the cell only
]


@pytest.mark.parametrize("case", FALSE)
def test_false_claims_are_not_proved(case):
    assert prove_pair(*case, limit=800) is None


def test_hand_edited_claims_are_refused(proofs):
    """A good certificate cannot be made to claim a false state, by its words or by its numbers."""
    ignored, _, antipodal, _, weak, wide = proofs
    for proof, changes in (
        (ignored, {"importance": [["0", "0"], ["1/20", "1/20"]]}),
        (antipodal, {"state": "weak"}),
        (antipodal, {"importance": [["1/25", "1/25"], ["1", "1"]]}),
        (weak, {"state": "antipodal"}),
        (weak, {"importance": [["3/5", "3/5"], ["39/50", "39/50"]]}),
        (weak, {"density": ["3/10", "3/10"]}),
        (wide, {"state": "antipodal"}),
        (wide, {"importance": [["31/50", "17/25"], ["18/25", "37/50"]]}),
        (wide, {"importance": [["33/50", "17/25"], ["1", "1"]]}),
        (wide, {"density": ["1/2", "59/100"]}),
    ):
        with pytest.raises(CertificateError):
            check_pair(proof | changes)


@pytest.mark.parametrize(
    ("which", "edit"),
    [
        (0, lambda c: c["core"].update(low="99/100")),
        (0, lambda c: c["core"].update(eta="1/1000000")),
        (0, lambda c: c["core"].update(eta="999/1000")),
        (0, lambda c: c["core"].update(shells=[])),
        (0, lambda c: c["core"].update(shells=None)),
        (0, lambda c: c["core"]["shells"][0].update(delta="1/10")),
        (0, lambda c: c["core"]["shells"][0].update(delta="1/1000")),
        (0, lambda c: c["core"]["shells"][0].update(top="1")),
        (0, lambda c: c["core"]["shells"][0].update(bottom="1")),
        (0, lambda c: c["core"]["shells"][0].update(bottom="x")),
        (0, lambda c: c["core"]["shells"][0]["trees"].__setitem__(1, "c")),
        (0, lambda c: c["core"]["shells"][0]["trees"].pop()),
        (0, lambda c: c.pop("core")),
        (2, lambda c: c["extent"].__setitem__(0, "1")),
        (2, lambda c: c["extent"].__setitem__(1, "1")),
        (2, lambda c: c["witness"].__setitem__(0, "3/2")),
        (2, lambda c: c["witness"].__setitem__(3, "1/0")),
        (2, lambda c: c.update(tree=".")),
        (2, lambda c: c.update(tree=c["tree"] + ".")),
        (2, lambda c: c.update(tree=c["tree"][:-1])),
        (2, lambda c: c.update(tree=c["tree"].replace("y", "x", 1))),
        (2, lambda c: c.update(tree=c["tree"].replace("b", "c", 1))),
        (2, lambda c: c.update(tree=None)),
        (2, lambda c: c.update(tree=re.sub("t....", "t////", c["tree"]))),
        (2, lambda c: c.update(tree=c["tree"].replace("t", "t?", 1))),
        (2, lambda c: c.update(tree=c["tree"][: c["tree"].index("t") + 3])),
        (1, lambda c: c.update(density=["1/10", "1/2"])),
        (3, lambda c: c.update(importance=[["1/3", "1/3"], ["2/5", "2"]])),
        (5, lambda c: c["witness"].__setitem__(1, "-3/5")),
        (5, lambda c: c["witness"].__setitem__(2, "0")),
        (5, lambda c: c["witness"].append("0")),
        (5, lambda c: c["witness"].pop()),
    ],
)
def test_changed_certificates_fail(proofs, which, edit):
    changed = copy.deepcopy(proofs[which])
    edit(changed)
    with pytest.raises(CertificateError):
        check_pair(changed)


@pytest.fixture(scope="module")
def core():
    """The core of the ignored state 0.3 % below the onset at density 3/5, a chain of shells, and the check of a changed one."""
    p, weight = Fraction(3, 5), Fraction("0.6634")
    found = pair_core(pair_cell((p, p), [(weight, weight)], None), (p, p), (weight, weight))
    assert found is not None

    def check(core, weight="0.6634"):
        line = [fmpq(*Fraction(weight).as_integer_ratio())] * 2
        return _check_core(json.loads(json.dumps(core)), fmpq(3, 5), line, _Cell([(fmpq(3, 5), fmpq(3, 5))]))

    return found, check


def test_chain_of_shells(core):
    """Every shell is needed, thicker ones are not proved, and nothing is above the onset."""
    (data, delta), check = core
    assert len(data["shells"]) > 5
    assert str(check(data)) == str(Fraction(delta))
    for weight in ("2/3", "67/100"):
        with pytest.raises(CertificateError):
            check(data, weight)
    for k in range(1, len(data["shells"])):
        with pytest.raises(CertificateError):
            check(data | {"shells": [shell for i, shell in enumerate(data["shells"]) if i != k]})
    for change in ({"delta": "1/50"}, {"delta": "1/5"}, {"top": "1"}, {"bottom": "1"}, {"trees": ["c"] * 4}):
        with pytest.raises(CertificateError):
            check(data | {"shells": [data["shells"][0] | change, *data["shells"][1:]]})


def test_no_model_of_the_core_is_better(core):
    """What the core claims, at random models in it."""
    (_, delta), _ = core
    rng = np.random.default_rng(4)
    w1 = rng.uniform(0.3, 1.6, 20000)
    w2 = rng.uniform(-delta, delta, 20000) / w1
    b = np.stack([rng.normal(0.05, 0.05, 20000), 0.3 * (1 - w1 * w2 - w2**2) + rng.normal(0, 0.02, 20000)], 1)
    b[::2, 0] = -0.138 * w2[::2]
    w1[::4] = 1 - 0.122 * w2[::4]
    near = np.abs(w1 * w2) <= delta
    weight = 0.6634
    loss = expected_loss(np.stack([w1, w2], 1)[near][:, None], b[near], Features(0.6, [1, weight]))
    ignored = weight * (0.2 - 0.09)
    assert ignored * (1 - 1e-12) <= loss.min() < ignored * 1.01


def test_core_lemmas_at_random_points():
    """F1(1 + kγ, ±k, kβ)/k² does not rise with k; F2 >= V - V (2d - d² - c²)₊ near c = 0; the bounds by slope alone."""
    rng = np.random.default_rng(1)
    offsets = np.linspace(-8, 5, 2001)
    for _ in range(300):
        p = rng.uniform(0.01, 1)
        variance = p / 3 - p**2 / 4
        gamma, beta = rng.normal(0, 2, 2)
        k = np.sort(rng.uniform(0.02, 0.8, 6))
        k = k[1 + k * gamma >= 0]
        scaled = row_error(1 + k * gamma, k * rng.choice([-1, 1]), k * beta, law(p))[:, 0] / k**2
        assert (np.diff(scaled) <= 1e-9).all()
        reach = 1 - np.cbrt(1 - 0.75 * p)
        c = rng.uniform(-reach, reach)
        d = (reach - abs(c)) * rng.random()
        near = row_error(np.full(2001, d), np.full(2001, c), offsets / 8, law(p))
        assert near.min() >= variance * (1 - max(2 * d - d * d - c * c, 0)) - 1e-12
        a, t = rng.uniform(0, 6), rng.normal(0, 2)
        least = row_error(np.full(2001, a), np.full(2001, t), offsets, law(p)).min()
        assert least >= ((1 - a) ** 2 * variance if a < 1 else p * ((a - 1) / (a + 1)) ** 2 / 3) - 1e-12


def test_row_bound_is_the_least_of_the_vertices():
    rng = np.random.default_rng(2)
    laws = [(fmpq(49, 100), fmpq(21, 100), fmpq(21, 100), fmpq(9, 100)), (fmpq(0), fmpq(1), fmpq(0), fmpq(2))]
    for _ in range(40):
        ends = np.sort(rng.integers(-64, 64, (3, 2)), axis=1)
        ends[0] = np.sort(np.abs(ends[0]))
        box = [(fmpq(int(lo), 32), fmpq(int(hi), 32)) for lo, hi in ends]
        columns = zip(*(values for _, values in exact.vertex_bounds(*box, laws)), strict=True)
        assert exact.row_bound(*box, laws) == [min(column) for column in columns]


def test_tilted_bounds_hold():
    """Point 5: the least of the tilts over a box, and the bound on F - p T over a box of one output, at random models inside."""
    rng = np.random.default_rng(3)
    for _ in range(60):
        corner, p = rng.integers(-48, 48, 2), fmpq(int(rng.integers(1, 64)), 64)
        box = tuple(
            (fmpq(int(x), 32), fmpq(int(x + h), 32)) for x, h in zip(corner, rng.integers(1, 24, 2), strict=True)
        )
        tilts = [tuple(fmpq(int(x), 64) for x in row) for row in rng.integers(-128, 128, (2, 2))]
        u, v = fmpq(int(rng.integers(0, 9)), 8), fmpq(int(rng.integers(0, 9)), 8)
        least = _least_tilt(box, tilts, u, v)
        (x0, x1), (y0, y1) = (tuple(map(float, side)) for side in box)
        w1, w2 = rng.uniform(x0, x1, 400), rng.uniform(y0, y1, 400)
        w1[:4], w2[:4] = [x0, x0, x1, x1], [y0, y1, y0, y1]
        c1, c2 = (x0 + x1) / 2, (y0 + y1) / 2
        t1, t2 = (
            float(r[0]) * (own**2 - c**2) + float(r[1]) * (w1 * w2 - c1 * c2)
            for r, own, c in zip(tilts, (w1, w2), (c1, c2), strict=True)
        )
        values = float(u) * t1 + float(v) * t2
        assert float(least) <= values.min() + 1e-12
        size = sum(abs(float(z)) for row in tilts for z in row) * ((x1 - x0) + (y1 - y0)) * 6
        assert float(least) >= values.min() - size  # no worse than the range of the tilts: not trivially low
        a, t, b = ((z[0], z[1]) for z in ((box[0][0] + 2, box[0][1] + 2), box[1], box[0]))
        weights = ((1 - p) ** 2, p * (1 - p), p * (1 - p), p * p)
        rise = [[p * (tilts[0][0] * x + tilts[0][1] * y) for y in t] for x in a]
        (bound,) = exact.row_bound(a, t, b, [weights], [rise])
        at = [rng.uniform(float(lo), float(hi), 400) for lo, hi in (a, t, b)]
        error = row_error(*at, law(float(p)))[:, 0]
        tilted = error - float(p) * (float(tilts[0][0]) * at[0] + float(tilts[0][1]) * at[1])
        assert float(bound) <= tilted.min() + 1e-12


@pytest.mark.slow
def test_proofs_close_in_on_the_boundary():
    """Where superposition sets in, and where it does so continuously, both sides are proved within 2 %."""
    for p, below, above in ((0.3, 0.98, 1.02), (0.6, 0.98, 1.02)):
        onset = float(phase_boundary(p).importance)
        assert onset <= float(spinodal(p)) + 1e-9
        for factor, states in ((below, {"ignored"}), (above, {"weak", "antipodal"})):
            line = f"{onset * factor:.6f}"
            proof = prove_pair((str(p), str(p)), ("0" if factor < 1 else line, line), "ignored" if factor < 1 else None)
            assert proof is not None
            assert check_pair(proof).state in states


STORED = Path(__file__).parents[2] / "papers" / "runs" / "pair_proofs.json"


def stored_proofs():
    body = json.loads(STORED.read_text(encoding="utf-8"))
    return [{**proof, "tree": decompress(b85decode(proof["tree"])).decode()} for proof in body["proofs"]]


def test_small_stored_proofs_replay():
    small = [proof for proof in stored_proofs() if len(proof["tree"]) < 2000]
    assert len(small) >= 5
    for proof in small:
        assert check_pair(proof).state == proof["state"]


@pytest.mark.slow
def test_stored_proofs_replay():
    """Every ninth, shortest first, so that all sizes and states are among them."""
    proofs = sorted(stored_proofs(), key=lambda proof: len(proof["tree"]))
    for proof in proofs[::9]:
        assert check_pair(proof).state == proof["state"]


def height(lower, upper):
    """Height of a cell, times two: its area per width."""
    return sum(Fraction(y) - Fraction(x) for x, y in zip(lower, upper, strict=True))


def test_stored_cells_tile_the_diagram():
    """Proved and undecided areas add up to all densities from 0.01 to 1 and importances from 0 to 1, exactly."""
    body = json.loads(STORED.read_text(encoding="utf-8"))
    cells = [(proof["density"], *proof["importance"]) for proof in body["proofs"]] + body["undecided"]
    area = sum((Fraction(p[1]) - Fraction(p[0])) * height(lower, upper) / 2 for p, lower, upper in cells)
    assert area == Fraction(99, 100)
    for column in {tuple(p) for p, _, _ in cells if p[0] != p[1]}:
        spans = sorted(tuple(tuple(map(Fraction, line)) for line in lines) for p, *lines in cells if tuple(p) == column)
        assert all(a[1] == b[0] for a, b in pairwise(spans))


@pytest.mark.slow
def test_map_covers_what_it_says():
    """Cells and undecided ones tile the column, and both occur."""
    found = pair_map([0.25, 0.28], limit=600, depth=0)
    proofs: list[Any] = list(found.proofs)
    spans = [tuple(tuple(Fraction(x) for x in line) for line in proof["importance"]) for proof in proofs]
    spans += [cell[1:] for cell in found.undecided]
    ordered = sorted(spans)
    assert ordered[0][0] == (0, 0)
    assert ordered[-1][1] == (1, 1)
    assert all(a[1] == b[0] for a, b in pairwise(ordered))
    assert sum(height(*span) for span in spans) == 2
    assert {check_pair(proof).state for proof in found.proofs} == {"ignored", "antipodal"}


@pytest.mark.parametrize(
    ("density", "importance", "state", "message"),
    [
        ((0.0, 0.1), (0.1, 0.2), None, "density must be"),
        ((0.2, 0.1), (0.1, 0.2), None, "density must be"),
        ((0.1, 0.2), (0.2, 0.1), None, "importance must be"),
        ((0.1, 0.2), (0.2, 1.5), None, "importance must be"),
        ((0.1, 0.1), ((0.1, 0.2), (0.3, 0.4)), None, "importance must be"),
        ((0.1, 0.1), (0.1, 0.2), "aligned", "state must be one of"),
        (("a", "1/2"), (0.1, 0.2), None, "numbers"),
    ],
)
def test_bad_input(density, importance, state, message):
    with pytest.raises(InputError, match=message):
        prove_pair(density, importance, state)
