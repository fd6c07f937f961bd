"""Prove the phases of two features in one dimension cell by cell, and replay the proofs: `python -m tegum.papers.pair_proofs`.

Some minutes on one core. Every proof passes the checker in rational arithmetic before runs/pair_proofs.json is written.
"""

from __future__ import annotations

import json
import sys
from base64 import b85decode, b85encode
from pathlib import Path
from typing import Any
from zlib import compress, decompress

from ..theory import PairMap, check_pair, pair_map
from ._evidence import hardware, now, versions, write_atomically
from ._lab import STORED

SCHEMA = "tegum-proofs/1"
# Columns of density; wide ones are cheap for the antipodal pair, ignoring needs narrow ones below density 0.2.
EDGES = (
    *(
        0.01,
        0.015,
        0.024,
        0.036,
        0.05,
        0.055,
        0.06,
        0.067,
        0.075,
        0.085,
        0.094,
        0.105,
        0.117,
        0.13,
        0.145,
        0.16,
        0.18,
        0.2,
    ),
    *(0.25, 0.3, 0.36, 0.42, 0.48, 0.54, 0.6, 0.66, 0.72, 0.8, 0.88, 0.94, 1.0),
)


def save_proofs(path: Path, found: PairMap) -> None:
    """Write the certificates with their trees packed (zlib, base 85), and the undecided cells."""
    proofs = [{**proof, "tree": b85encode(compress(str(proof["tree"]).encode(), 9)).decode()} for proof in found.proofs]
    undecided = [[[str(x) for x in line] for line in cell] for cell in found.undecided]
    how = "certificates of pair_map and prove_pair, each accepted by check_pair before it was stored"
    made = {"how": how, "when": now(), "hardware": hardware(), "versions": versions()}
    body = {"schema": SCHEMA, "provenance": made, "undecided": undecided, "proofs": proofs}
    write_atomically(path, json.dumps(body, separators=(",", ":")) + "\n")


def load_proofs(path: Path = STORED / "pair_proofs.json") -> tuple[list[dict[str, Any]], list[Any]]:
    """Certificates for `check_pair`, and the undecided cells as (density, lower line, upper line) of rationals in words."""
    body = json.loads(path.read_text(encoding="utf-8"))
    return [{**proof, "tree": decompress(b85decode(proof["tree"])).decode()} for proof in body["proofs"]], body[
        "undecided"
    ]


def main() -> None:
    """Prove, replay, store."""
    found = pair_map(EDGES)
    for proof in found.proofs:
        claim = check_pair(proof)
        sys.stdout.write(f"{claim.state} proved and replayed at densities {proof['density']}\n")
    save_proofs(STORED / "pair_proofs.json", found)


if __name__ == "__main__":
    main()
