"""Claims of Grant Sanderson (3Blue1Brown, 2024), "How might LLMs store facts": nearly perpendicular vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..theory import Grade
from ._claim import Check, Claim, Finding, Source
from ._counts import FITS

if TYPE_CHECKING:
    from ._lab import Lab

SOURCE = Source(
    "sanderson2024",
    "Sanderson G. (3Blue1Brown)",
    "How might LLMs store facts (Deep learning, chapter 7)",
    2024,
    "video and lesson page; the demonstration of 10,000 vectors in 100 dimensions",
)


def _float_gram(statement: dict[str, int], lab: Lab) -> Finding:
    """In floats: Welch's floor (tr G)² <= n ‖G‖² excludes too many; three groups of N/3 lines are a Gram matrix of rank N - 2.

    G = (1 + c) I + c J - 2 c B, J all ones, B ones inside groups, c = 1/(2N/3 - 1): -c inside a group, c between groups.
    """
    n, count, degrees = statement["dimensions"], statement["vectors"], statement["degrees"]
    floor = np.sqrt((count - n) / (n * (count - 1)))
    if floor > np.sin(np.radians(degrees)):
        angle = float(np.degrees(np.arccos(floor)))
        found = f"Some pair has |cos| >= {floor:.4f}: their lines meet at {angle:.2f}° or less."
        return Finding(False, Grade.NUMERIC, found, angle - 90 + degrees, "degrees")
    if count % 3:
        return Finding(None, Grade.NUMERIC, "three groups of equal size are needed")
    c = 1 / (2 * count / 3 - 1)
    gram = (1 + c) * np.eye(count) + c - 2 * c * np.kron(np.eye(3), np.ones((count // 3, count // 3)))
    values = np.linalg.eigvalsh(gram)
    rank, angle = int((values > 1e-9).sum()), float(np.degrees(np.arcsin(c)))
    found = f"{count} lines in three groups: rank {rank}, |cos| = {c:.5f}, within {angle:.3f}° of a right angle."
    holds = values[0] > -1e-9 and rank <= n and angle <= degrees
    return Finding(bool(holds) or None, Grade.NUMERIC, found, degrees - angle, "degrees")


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="sanderson2024.01",
        locator="the 100-dimensional demonstration",
        statement="10,000 vectors in 100 dimensions can be pushed until all pairwise angles lie between 89° and 91°.",
        restatement="There are 10,000 unit vectors in R^100 with |<x, y>| <= cos 89° for every pair.",
        kind="existence",
        domain="n = 100, 89° to 91°",
        claimed={"dimensions": 100, "vectors": 10_000, "degrees": 1},
        corrected={"dimensions": 100, "vectors": 102, "degrees": 1},
        control={"dimensions": 100, "vectors": 104, "degrees": 1},
        correction="The largest number is 102: three groups of 34 lines attain it, and Bukh and Cox exclude 103.",
        tolerance="none: cos² 89° enters as rationals on either side from ball arithmetic",
        checks=(
            FITS,
            Check(
                "float Gram matrix",
                "Welch's coherence floor in degrees, and three groups of lines built and measured in floats.",
                "numpy",
                _float_gram,
                independent=True,
            ),
        ),
        figures=("counts", "count_card"),
        replay="""from math import pi, sin, sqrt
# n + k unit vectors of R^n have a pair with |cos| >= 1/((n + k) B - 1) (Bukh and Cox 2018)
n, k = 100, 3
B = (2 + (k - 1) * sqrt(k + 2)) / (k * (k + 1))
print(1 / ((n + k) * B - 1), sin(pi / 180))   # 0.0183 > 0.01745: not even 103 vectors fit
""",
    ),
)
