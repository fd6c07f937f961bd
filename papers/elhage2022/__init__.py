"""Claims of Elhage et al. 2022, "Toy Models of Superposition": phase diagrams, geometry of features, uniform superposition."""

from .._claim import Source
from ._counts import COUNT_CLAIMS
from ._geometry import GEOMETRY_CLAIMS
from ._joint import JOINT_CLAIMS
from ._losses import LOSS_CLAIMS
from ._optimum import OPTIMUM_CLAIMS
from ._phases import PHASE_CLAIMS
from ._trained import TRAINED_CLAIMS
from ._uniform import UNIFORM_CLAIMS

SOURCE = Source(
    "elhage2022",
    "Elhage N., Hume T., Olsson C., Schiefer N., et al.",
    "Toy Models of Superposition",
    2022,
    "arXiv:2209.10652; transformer-circuits.pub/2022/toy_model",
)
CLAIMS = tuple(
    sorted(
        (
            *COUNT_CLAIMS,
            *LOSS_CLAIMS,
            *OPTIMUM_CLAIMS,
            *PHASE_CLAIMS,
            *TRAINED_CLAIMS,
            *GEOMETRY_CLAIMS,
            *JOINT_CLAIMS,
            *UNIFORM_CLAIMS,
        ),
        key=lambda claim: claim.id,
    )
)
