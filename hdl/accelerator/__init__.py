"""The machine that reads a model stream and runs a whole ViT."""

from .accelerator import Accelerator

__all__ = ["Accelerator"]
