"""From a float ViT and calibration images to an integer ViT."""

from .analysis.simulate import Simulated, float64, reference, simulate
from .lowering.lowered import Lowered
from .methods import METHODS, Method
from .ptq import quantize, quantize_with_scales

__all__ = ["METHODS", "Lowered", "Method", "Simulated", "float64", "quantize", "quantize_with_scales", "reference",
           "simulate"]
