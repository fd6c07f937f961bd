"""Claims of Jan Jensen's highlight (2024) of the toy-models paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sympy

from ..theory import Grade
from ._claim import Check, Claim, Finding, Source
from ._counts import growth_claim

if TYPE_CHECKING:
    from ._lab import Lab

SOURCE = Source(
    "jensen2024", "Jensen J.", "Highlight of Toy Models of Superposition", 2024, "blog post, 29 September 2024"
)


def _least_support(statement: dict[str, int], lab: Lab) -> Finding:
    """Does every vector of every orthonormal basis of R^n have at least `entries` non-zero entries?"""
    n, entries = statement["dimension"], statement["entries"]
    basis = sympy.eye(n)
    orthonormal = basis.T * basis == sympy.eye(n)
    fewest = min(sum(1 for x in basis.col(i) if x != 0) for i in range(n))
    # A unit vector is not zero, so one entry is a lower bound for every basis; the standard basis attains it.
    return Finding(
        entries <= 1 if orthonormal else None,
        Grade.EXACT,
        f"The standard basis of R^{n} is orthonormal and each of its vectors has {fewest} non-zero entry.",
        float(fewest - entries),
        "non-zero entries",
    )


CLAIMS: tuple[Claim, ...] = (
    growth_claim(
        "jensen2024.27",
        "third paragraph",
        "The number of almost orthogonal vectors, at 89° to 91° to each other, increases exponentially with the dimension.",
        "every angle, every n >= 3; at 1° the number doubles at least every 4,551 dimensions",
    ),
    Claim(
        id="jensen2024.28",
        locator="fourth paragraph",
        statement="Features stored in orthogonal vectors necessarily have many non-zero contributions, so none belongs to one neuron.",
        restatement="Every vector of an orthonormal basis of R^n has at least two non-zero entries (n = 8).",
        kind="identity",
        domain="n = 8; the counterexample works in every dimension",
        claimed={"dimension": 8, "entries": 2},
        corrected={"dimension": 8, "entries": 1},
        control={"dimension": 8, "entries": 3},
        correction="Orthogonal vectors can have a single non-zero entry each; it is a rotation, not orthogonality, "
        "that spreads a feature over neurons.",
        checks=(
            Check(
                "standard basis",
                "Count the non-zero entries of the standard basis, whose orthonormality is verified exactly.",
                "linear algebra over the integers",
                _least_support,
                whole=True,
            ),
        ),
    ),
)
