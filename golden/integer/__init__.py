"""The integer ViT and the integer functions its units compute."""

from .layers import IntegerAttention, IntegerBlock, IntegerLayerNorm, IntegerLinear, IntegerMlp
from .requantizer import Requantizer
from .vit import IntegerViT, patchify

__all__ = [
    "IntegerAttention", "IntegerBlock", "IntegerLayerNorm", "IntegerLinear", "IntegerMlp", "IntegerViT",
    "Requantizer", "patchify",
]
