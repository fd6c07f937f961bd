"""Experiments: trained toy models beside the theory. Everything that trains takes `device=` and runs on a CPU."""

from ._basins import OUTCOMES as OUTCOMES
from ._basins import Basins as Basins
from ._basins import Reached as Reached
from ._basins import basins as basins
from ._basins import reached_minima as reached_minima
from ._basins import settle as settle
from ._exact import exact_loss as exact_loss
from ._exact import exact_map_loss as exact_map_loss
from ._train import TrainedModels as TrainedModels
from ._train import find_device as find_device
from ._train import train as train
