"""Claims of the paper about the number of almost-orthogonal directions."""

from __future__ import annotations

from .._claim import Claim
from .._counts import growth_claim

COUNT_CLAIMS: tuple[Claim, ...] = (
    growth_claim(
        "elhage2022.01",
        "superposition hypothesis, almost orthogonal vectors",
        "An n-dimensional space has room for exp(n) many vectors whose cosine similarity stays below ε.",
        "every ε in (0, 1), every n >= 3",
    ),
)
