"""LayerNorm over rows of a stream: exact moments, normalised reciprocal square root, affine and requantization."""

from .unit import LayerNorm

__all__ = ["LayerNorm"]
