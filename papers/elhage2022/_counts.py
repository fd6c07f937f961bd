"""Claims of the paper about the number of almost-orthogonal directions."""

from __future__ import annotations

from .._claim import Claim
from .._counts import EXPONENTIAL, GROWTH, GROWTH_WORDS, TOO_FAST

COUNT_CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="elhage2022.01",
        locator="superposition hypothesis, almost orthogonal vectors",
        statement="An n-dimensional space has room for exp(n) many vectors whose cosine similarity stays below ε.",
        restatement=GROWTH_WORDS,
        kind="asymptotic",
        domain="every ε in (0, 1), every n >= 3",
        checks=EXPONENTIAL,
        figures=("counts", "count_card"),
        claimed=GROWTH,
        control=TOO_FAST,
    ),
)
