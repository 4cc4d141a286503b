"""From a float ViT and calibration images to an integer ViT."""

from .lower import Lowered
from .methods import METHODS, Method
from .ptq import quantize, quantize_with_scales
from .simulate import Simulated, float64, reference, simulate

__all__ = ["METHODS", "Lowered", "Method", "Simulated", "float64", "quantize", "quantize_with_scales", "reference",
           "simulate"]
