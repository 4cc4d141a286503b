"""Quantization methods: named combinations of observers and rounding.

A new method is one entry of :data:`METHODS`, and a new observer or rounding if it needs one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..spec.check import check_choice
from .observers import Observer, minmax, mse, percentile
from .weights import ROUNDINGS

__all__ = ["METHODS", "Method", "method"]


@dataclass(frozen=True, kw_only=True)
class Method:
    """How ranges are found and weights are rounded.

    Parameters
    ----------
    weights, activations : Observer
        Ranges of weights (per layer or channel) and of activations (per tensor, head or value channel).
    rounding : str
        Of the weights: a name of :data:`~vitric.golden.quantization.weights.ROUNDINGS`.
    correct_bias : bool
        Choose each bias such that the mean of every output channel over the calibration images is the float model's.
    channel_activations : bool
        Give every channel of the LayerNorms' outputs and of the context a scale and an offset of its own, which the
        LayerNorm's affine, the context's requantizer and the weights behind them absorb (after RepQ-ViT, Li et al.
        2023).
    balance_heads : bool
        Change the basis inside each head first: :mod:`~vitric.golden.quantization.rotate`.
    sensitivity : bool
        Weight errors with the squared gradients of the logits: :mod:`~vitric.golden.quantization.sensitivity`.
    """

    weights: Observer
    activations: Observer
    rounding: str = "nearest"
    correct_bias: bool = False
    channel_activations: bool = False
    balance_heads: bool = False
    sensitivity: bool = False

    def __post_init__(self):
        check_choice("rounding", self.rounding, tuple(ROUNDINGS))


METHODS: Mapping[str, Method] = MappingProxyType({
    "mse": Method(weights=mse, activations=mse, rounding="compensated", correct_bias=True, channel_activations=True,
                  balance_heads=True, sensitivity=True),
    "mse_plain": Method(weights=mse, activations=mse),
    "minmax": Method(weights=minmax, activations=minmax),
    "percentile": Method(weights=percentile, activations=percentile),
})
"""Methods by name; ``mse`` is the default. The last three choose ranges and do nothing else."""


def method(name: str) -> Method:
    """Return the named method; :exc:`ValueError` lists the names if there is none."""
    check_choice("method", name, tuple(METHODS))
    return METHODS[name]
