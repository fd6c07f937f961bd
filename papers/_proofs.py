"""Proofs: the stored certificates of two features in one dimension, written and read."""

from __future__ import annotations

import json
from base64 import b85decode, b85encode
from typing import TYPE_CHECKING, Any
from zlib import compress, decompress

from ..numerics._files import write_atomically
from ._evidence import hardware, now, versions
from ._lab import STORED

if TYPE_CHECKING:
    from pathlib import Path

    from ..theory import PairMap

SCHEMA = "tegum-proofs/1"
PROOFS = STORED / "pair_proofs.json"


def save_proofs(path: Path, found: PairMap, **how: object) -> None:
    """Write the certificates with their trees packed (zlib, base 85), and the undecided cells; `how` joins the provenance."""
    proofs = [{**proof, "tree": b85encode(compress(str(proof["tree"]).encode(), 9)).decode()} for proof in found.proofs]
    undecided = [[[str(x) for x in line] for line in cell] for cell in found.undecided]
    made = {
        "command": "python -m tegum.papers.pair_proofs",
        "when": now(),
        "hardware": hardware(),
        "versions": versions(),
        "replayed": "every proof was accepted by check_pair before it was stored",
        **how,
    }
    body = {"schema": SCHEMA, "provenance": made, "undecided": undecided, "proofs": proofs}
    write_atomically(path, json.dumps(body, separators=(",", ":")) + "\n")


def load_proofs(path: Path = PROOFS) -> tuple[list[dict[str, Any]], list[Any]]:
    """Certificates for `check_pair`, and the undecided cells as (density, lower line, upper line) of rationals in words."""
    body = json.loads(path.read_text(encoding="utf-8"))
    proofs = [{**proof, "tree": decompress(b85decode(proof["tree"])).decode()} for proof in body["proofs"]]
    return proofs, body["undecided"]
