"""Training for quantization: the integer model inside the graph, straight-through gradients outside it."""

from .model import QuantizedTraining
from .oscillation import Freezer
from .train import OWN_TUNING, TUNING_RECIPES, Tuning, fine_tune

__all__ = ["TUNING_RECIPES", "Freezer", "OWN_TUNING", "QuantizedTraining", "Tuning", "fine_tune"]
