"""From a float ViT and calibration images to an integer ViT."""

from .methods import METHODS, Method
from .ptq import quantize, quantize_with_scales

__all__ = ["METHODS", "Method", "quantize", "quantize_with_scales"]
