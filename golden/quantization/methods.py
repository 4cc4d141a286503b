"""Quantization methods: named combinations of observers and rounding.

A new method is one entry of :data:`METHODS`, and a new observer or rounding if it needs one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from ..spec.check import check_choice
from .codes.books import HIDDEN, PROBABILITIES
from .codes.channels import CHANNELS
from .codes.observers import Observer, best_percentile, minmax, mse, percentile, rounded_scales
from .lowering.regression import REGRESSIONS
from .lowering.weights import ROUNDINGS

__all__ = ["METHODS", "Method", "method"]


@dataclass(frozen=True, kw_only=True)
class Method:
    """How ranges are found and weights are rounded.

    Parameters
    ----------
    weights, activations : Observer
        Ranges of weights (per layer or channel) and of activations (per tensor, head or value channel).
    rounding : str
        Of the weights: a name of :data:`~vitric.golden.quantization.lowering.weights.ROUNDINGS`.
    correct_bias : bool
        Choose each bias such that the mean of every output channel over the calibration images is the float model's.
    channels : str
        How the channels of the LayerNorms' outputs and of the context may differ in scale and offset, which the
        LayerNorm's affine, the context's requantizer and the weights behind them absorb: a name of
        :data:`~vitric.golden.quantization.codes.channels.CHANNELS`.
    probabilities, hidden : str
        Codes of the attention probabilities and of GELU's outputs: names of
        :data:`~vitric.golden.quantization.codes.books.PROBABILITIES` and ``HIDDEN``.
    balance_heads : bool
        Change the basis inside each head first: :mod:`~vitric.golden.quantization.lowering.rotate`.
    sensitivity : bool
        Weight errors with the squared gradients of the logits: :mod:`~vitric.golden.quantization.lowering.sensitivity`.
    output_search : bool
        Choose the scales of each linear layer's weights and input by the error of its output:
        :mod:`~vitric.golden.quantization.lowering.output_search`. Observers choose the rest, and where the search
        starts.
    regression : str
        How the float weights of each layer are adapted to its rounded inputs before they are rounded themselves: a name
        of :data:`~vitric.golden.quantization.lowering.regression.REGRESSIONS`.
    power_of_two : bool
        Scales that are powers of two, so that every requantization but that of the scores is a shift (P²-ViT, Shi et
        al. 2024).
    """

    weights: Observer
    activations: Observer
    rounding: str = "nearest"
    correct_bias: bool = False
    channels: str = "equal"
    probabilities: str = "uniform"
    hidden: str = "uniform"
    balance_heads: bool = False
    sensitivity: bool = False
    output_search: bool = False
    regression: str = "none"
    power_of_two: bool = False

    def __post_init__(self):
        check_choice("rounding", self.rounding, tuple(ROUNDINGS))
        check_choice("channels", self.channels, tuple(CHANNELS))
        check_choice("probabilities", self.probabilities, tuple(PROBABILITIES))
        check_choice("hidden", self.hidden, tuple(HIDDEN))
        check_choice("regression", self.regression, tuple(REGRESSIONS))
        if self.output_search and self.power_of_two:
            raise ValueError("output_search chooses scales freely, so it cannot be combined with power_of_two")

    @property
    def observer(self) -> Observer:
        """Of the ranges of activations."""
        return self.fitted(self.activations)

    def fitted(self, observer: Observer) -> Observer:
        """Return ``observer``, or with ``power_of_two`` one that rounds its scales."""
        return rounded_scales(observer) if self.power_of_two else observer


_MSE = Method(weights=mse, activations=mse, rounding="compensated", correct_bias=True, channels="free",
              balance_heads=True, sensitivity=True)
_BEST = replace(_MSE, hidden="spare", regression="validated")

METHODS: Mapping[str, Method] = MappingProxyType({
    "mse": _MSE,
    "best": _BEST,
    "best_log": replace(_BEST, probabilities="adaptive_log", hidden="adaptive_log"),
    "mse_plain": Method(weights=mse, activations=mse),
    "minmax": Method(weights=minmax, activations=minmax),
    "percentile": Method(weights=percentile, activations=percentile),
    "hessian": Method(weights=mse, activations=mse, sensitivity=True, output_search=True),
    # The parts of published methods that concern codes and scales; all arithmetic is that of the integer model.
    "fq_vit": Method(weights=minmax, activations=minmax, channels="power_of_two", probabilities="log2"),
    "ptq4vit": Method(weights=mse, activations=mse, sensitivity=True, output_search=True,
                      probabilities="twin_uniform", hidden="twin_uniform"),
    "repq_vit": Method(weights=best_percentile, activations=best_percentile, channels="free",
                       probabilities="log_sqrt2"),
    "packqvit": Method(weights=mse, activations=mse, channels="outliers", probabilities="log2"),
    "adalog": Method(weights=mse, activations=mse, sensitivity=True, output_search=True, channels="free",
                     probabilities="adaptive_log", hidden="adaptive_log"),
    "erq": Method(weights=mse, activations=mse, rounding="compensated", channels="free", regression="ridge"),
    "p2_vit": Method(weights=mse, activations=mse, power_of_two=True),
})
"""Methods by name; ``mse`` is the default, ``best`` does more for networks with outliers, ``best_log`` has AdaLog's
codes besides. The next three choose ranges and do nothing else."""


def method(name: str) -> Method:
    """Return the named method; :exc:`ValueError` lists the names if there is none."""
    check_choice("method", name, tuple(METHODS))
    return METHODS[name]
