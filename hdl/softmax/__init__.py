"""Softmax in the base-2 log domain: row sums, their logarithm, codes, and the unit that joins them."""

from .unit import Softmax

__all__ = ["Softmax"]
