"""Theory of superposition: exact losses, packings and phase boundaries, without sampling.

Conventions: n features, m hidden dimensions, density p, importance I, weights W of shape (..., m, n) whose column i is the
direction of feature i, bias b of shape (..., n), model x' = ReLU(WᵀW x + b).
"""

from ._candidates import DENSITY as DENSITY
from ._candidates import IMPORTANCE as IMPORTANCE
from ._candidates import NaiveTheory as NaiveTheory
from ._candidates import integrated_loss as integrated_loss
from ._candidates import naive_theory as naive_theory
from ._checks import InputError as InputError
from ._enclosure import Enclosure as Enclosure
from ._enclosure import enclose_loss as enclose_loss
from ._features import Features as Features
from ._geometry import describe_geometry as describe_geometry
from ._geometry import dimensions_per_feature as dimensions_per_feature
from ._geometry import feature_dimensionality as feature_dimensionality
from ._grade import Grade as Grade
from ._law import CONSTANT as CONSTANT
from ._law import UNIFORM as UNIFORM
from ._law import Law as Law
from ._law import Values as Values
from ._law import beta_values as beta_values
from ._loss import expected_loss as expected_loss
from ._loss import feature_losses as feature_losses
from ._loss import loss_and_gradient as loss_and_gradient
from ._maps import MapLoss as MapLoss
from ._maps import absolute_loss as absolute_loss
from ._maps import linear_loss as linear_loss
from ._maps import rectified_loss as rectified_loss
from ._moment import Moment as Moment
from ._moment import rectified_moment as rectified_moment
from ._moment import second_moment as second_moment
from ._optimum import Optimum as Optimum
from ._optimum import optimal_model as optimal_model
from ._packing import LossCurves as LossCurves
from ._packing import Packing as Packing
from ._packing import loss_curves as loss_curves
from ._packing import packings as packings
from ._pair import spinodal as spinodal
from ._phase import Boundary as Boundary
from ._phase import PhaseDiagram as PhaseDiagram
from ._phase import pair_phase as pair_phase
from ._phase import phase_boundary as phase_boundary
from ._phase import phase_diagram as phase_diagram
from ._polytopes import exact_dimensionality as exact_dimensionality
from ._polytopes import polytope as polytope
from ._polytopes import tegum_product as tegum_product
from ._rational import rational_loss as rational_loss
from ._rational import rational_map_loss as rational_map_loss
from ._rational import rational_moment as rational_moment
from ._symbolic import SymbolicLoss as SymbolicLoss
from ._symbolic import pair_loss as pair_loss
from ._symbolic import symbolic_gram_loss as symbolic_gram_loss
from ._symbolic import symbolic_loss as symbolic_loss
