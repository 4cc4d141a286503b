"""Training for quantization: the integer model inside the graph, straight-through gradients outside it."""

from .model import QuantizedTraining
from .oscillation import Freezer
from .train import Tuning, fine_tune, train_quantized

__all__ = ["Freezer", "QuantizedTraining", "Tuning", "fine_tune", "train_quantized"]
