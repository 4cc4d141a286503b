"""Checkpoints that others trained: timm's and Hugging Face's ViT and DeiT."""

from .load import Pretrained, load_pretrained
from .settings import STATISTICS

__all__ = ["Pretrained", "STATISTICS", "load_pretrained"]
