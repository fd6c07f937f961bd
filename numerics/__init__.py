"""Experiments: trained toy models beside the theory. Everything that trains takes `device=` and runs on a CPU."""

from ._exact import exact_loss as exact_loss
from ._exact import exact_map_loss as exact_map_loss
from ._train import TrainedModels as TrainedModels
from ._train import find_device as find_device
from ._train import train as train
