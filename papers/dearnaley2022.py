"""Claims in comments by Roger Dearnaley (2022) under a link to the toy-models paper."""

from __future__ import annotations

from ._claim import Claim, Source
from ._counts import FITS, NEAR

SOURCE = Source(
    "dearnaley2022",
    "Dearnaley R.",
    "Comments on Toy Models of Superposition",
    2022,
    "comments under a forum post that links the paper",
)

CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="dearnaley2022.22",
        locator="comment on random directions",
        statement="In spaces of a hundred dimensions or more, randomly chosen unit vectors are almost invariably nearly orthogonal.",
        restatement="Read with 'nearly' as within 5° of a right angle and 'almost invariably' as at least 95 % of pairs, at n = 100.",
        kind="numeric value",
        domain="independent uniform unit vectors",
        claimed={"dimensions": 100, "degrees": 5, "probability": 0.95},
        corrected={"dimensions": 768, "degrees": 5, "probability": 0.95},
        control={"dimensions": 50, "degrees": 5, "probability": 0.95},
        correction="At n = 100 it is 61 % of the pairs; 95 % are within 5° from n = 506 on (98 % at 768), at n = 100 within 11.3°.",
        checks=NEAR,
        replay="""from math import gamma, pi, radians, sin, sqrt
# density of one coordinate of a random unit vector of R^n is K (1 - t²)^((n-3)/2)
n, c, steps = 100, sin(radians(5)), 100000
K = gamma(n / 2) / (sqrt(pi) * gamma((n - 1) / 2))
print(2 * sum(K * (1 - ((i + 0.5) * c / steps) ** 2) ** ((n - 3) / 2) for i in range(steps)) * c / steps)   # 0.6138675
""",
    ),
    Claim(
        id="dearnaley2022.23",
        locator="same comment",
        statement="Thousands or millions of directions can be put into hundreds of dimensions with very little interference.",
        restatement="Read with 'very little' as angles within 4° of a right angle (|cos| <= 0.0698): a million unit vectors in R^512.",
        kind="existence",
        domain="n = 512; any million vectors, not only random ones",
        claimed={"dimensions": 512, "vectors": 10**6, "degrees": 4},
        corrected={"dimensions": 512, "vectors": 10**6, "degrees": 8},
        control={"dimensions": 512, "vectors": 10**18, "degrees": 8},
        correction="Any million vectors of R^512 have a pair more than 4.18° from a right angle. Within 7.2° they fit (quadratic "
        "forms); random ones reach |cos| = 0.306 (17.8°).",
        checks=(FITS,),
        figures=("counts", "count_card"),
    ),
)
