"""A linear layer in two steps: its weights become codes, then, once the range of its output is known, it is lowered."""

from dataclasses import dataclass, replace

import torch

from ...arith import integer_matmul
from ...integer.layers import IntegerLinear
from ...integer.requantizer import Requantizer
from ..codes.maps import NarrowCodes
from ..codes.quantity import ENOUGH_SAMPLES, Quantity, check_scale
from ..codes.scales import fit_scaling
from ..settings import Settings
from .output_search import Layer, choose_rows, search_weight_scales
from .regression import REGRESSIONS
from .weights import ROUNDINGS, weight_scales

__all__ = ["LinearDraft", "check_accumulator", "draft_linear", "lower_requantizer"]

_DEAD_FACTOR = 1.0  # of a channel without weights, whose output is its bias
_SPARE = 0.01  # of a weight scale that grows until the accumulator holds its channel, beyond what is missing


def lower_requantizer(
    name: str, unit: torch.Tensor, bias: torch.Tensor, zero_sum: torch.Tensor,
    reach: tuple[torch.Tensor, torch.Tensor], out: Quantity, settings: Settings,
) -> Requantizer:
    """Return what brings accumulators to the codes of ``out``.

    Parameters
    ----------
    name : str
        Of the layer, for error messages.
    unit : float64 tensor (N,)
        Real value of one step of the accumulator.
    bias : float64 tensor (N,)
        Real value to add.
    zero_sum : int64 tensor (N,)
        What the input's zero point adds to the accumulator.
    reach : pair of int64 tensors (N,)
        Least and largest accumulator.
    out : Quantity
        Of the output; its offset is taken off the bias.
    settings : Settings

    Raises
    ------
    ValueError
        A scale has no multiplier and shift, or a bias does not fit 32 bits.
    """
    scale = out.scale.expand(len(unit))
    scaling = fit_scaling(name, unit / scale, (bias - out.offset) / scale, zero_sum, reach,
                          out.zero_point - out.codes.low, out.codes.high - out.zero_point, settings.requantize)
    return Requantizer(bias=scaling.bias, multiplier=scaling.multiplier, pre_shift=scaling.pre_shift,
                       shift=scaling.shift, zero_point=out.zero_point, low=out.codes.low, high=out.codes.high)


def check_accumulator(name: str, low: int, high: int, settings: Settings) -> None:
    """Raise :exc:`ValueError` unless ``low .. high`` fits the signed accumulator."""
    bits = settings.arithmetic.acc_bits
    limit = 1 << bits - 1
    if not -limit <= low <= high < limit:
        raise ValueError(f"{name}: an accumulator must fit the {bits} signed bits of acc_bits ({-limit}..{limit - 1}), "
                         f"not {low}..{high}; use fewer bits for its operands, or an accelerator with wider ones")


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearDraft:
    """A linear layer with integer weights, not yet requantized.

    Parameters
    ----------
    name : str
        Of the layer.
    weight : int64 tensor (N, K)
        Codes.
    unit : float64 tensor (N,)
        Real value of one step of the accumulator, per output channel.
    bias : float64 tensor (N,)
        Real bias; the input's offset is in it, its zero point is not.
    source : Quantity
        Of the input.
    codes : NarrowCodes
        Of the weights.
    settings : Settings
    """

    name: str
    weight: torch.Tensor
    unit: torch.Tensor
    bias: torch.Tensor
    source: Quantity
    codes: NarrowCodes
    settings: Settings

    def __call__(self, a: torch.Tensor) -> torch.Tensor:
        """Return the real output, float64 (..., N), of input codes (..., K)."""
        return _accumulate(a - self.source.zero_point, self.weight) * self.unit + self.bias

    def lower(self, out: Quantity) -> IntegerLinear:
        """Return the integer layer whose output codes are those of ``out``.

        Raises
        ------
        ValueError
            Accumulator, bias or scale do not fit; the message names the layer.
        """
        reach = tuple(_reach(self.weight, self.source.codes.high))
        low, high = self.settings.accumulators(self.weight, self.codes, self.source.codes.bits)
        check_accumulator(self.name, int(low.min()), int(high.max()), self.settings)
        dead = self.weight.abs().amax(1) == 0
        unit = torch.where(dead, out.scale * _DEAD_FACTOR, self.unit)
        requantizer = lower_requantizer(self.name, unit, self.bias, self.source.zero_point * self.weight.sum(1), reach,
                                        out, self.settings)
        return IntegerLinear(
            weight=self.weight, w_bits=self.codes.bits, a_bits=self.source.codes.bits,
            w_plane_bits=self.settings.arithmetic.w_bits, requantizer=requantizer, out_bits=out.codes.bits,
            signed_codes=isinstance(out.codes, NarrowCodes))

    def dequantized(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the real weights (N, K) and bias (N,) that the codes stand for, of inputs without offset."""
        weight = self.weight * self.unit[:, None] / self.source.scale
        return weight, self.bias - weight @ self.source.offset.expand(weight.shape[1])


def _reach(weight: torch.Tensor, top: int) -> torch.Tensor:
    """Return the least and the largest accumulator of each channel, int64 (2, N), of inputs from 0 to ``top``."""
    return top * torch.stack([weight.clamp(max=0).sum(1), weight.clamp(min=0).sum(1)])


def _accumulate(steps: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    bound = weight.shape[1] * int(steps.abs().max()) * int(weight.abs().max())
    return integer_matmul(steps, weight.T, bound=bound).to(torch.float64)


def draft_linear(layer: Layer, a: torch.Tensor, source: Quantity, settings: Settings) -> LinearDraft:
    """Quantize the weights of a layer.

    Where a channel's accumulator could overflow for some input, its scale is enlarged until it cannot.

    Parameters
    ----------
    layer : Layer
        As trained, with what its output should be.
    a : int64 tensor (..., K)
        Input codes for the calibration images, from the integer layers before.
    source : Quantity
        Of the input.
    settings : Settings
    """
    recipe, codes, target = settings.recipe, layer.codes, layer.target
    steps = (a - source.zero_point).reshape(-1, a.shape[-1])  # (S, K)
    real = steps.to(torch.float64)
    bias = layer.bias + layer.weight @ source.offset.expand(layer.weight.shape[1])
    weight = layer.weight * source.scale  # per step of the input code
    rows = layer.importance.reshape(len(real), -1).mean(1, keepdim=True)  # (S, 1)
    rows = rows / rows.sum()
    enough = len(real) >= ENOUGH_SAMPLES
    correct_bias, rounding = recipe.correct_bias and enough, recipe.rounding if enough else "nearest"
    centred = real - (rows * real).sum(0) if correct_bias else real
    moments = centred.T @ (rows * centred)
    if recipe.regression != "none" and enough:
        missing = target.reshape(len(real), -1).to(torch.float64) - centred @ weight.T - bias
        if correct_bias:
            missing = missing - (rows * missing).sum(0)
        weight = REGRESSIONS[recipe.regression](weight, centred, rows, missing)
    if recipe.output_search and enough:
        chosen = choose_rows(len(real), settings.generator)
        searched = replace(layer, weight=weight, bias=bias).rows(chosen)
        scale = search_weight_scales(searched, real[chosen], settings.granularity)
    else:
        scale = weight_scales(weight, codes, recipe.fitted(recipe.weights), settings.granularity, moments.diagonal())
    check_scale(layer.name, scale)
    limit = (1 << settings.arithmetic.acc_bits - 1) - 1
    while True:
        integers = ROUNDINGS[rounding](weight, scale, codes, moments)
        excess = settings.accumulators(integers, codes, source.codes.bits).abs().amax(0) / limit
        if not bool((excess > 1).any()):
            break
        larger = scale * 2 if recipe.power_of_two else scale * (excess + _SPARE)
        scale = torch.where(excess > 1, larger, scale)  # channels too long for the accumulator
    if correct_bias:
        output = _accumulate(steps, integers) * scale
        bias = (rows * (target.reshape(output.shape).to(torch.float64) - output)).sum(0)
    return LinearDraft(name=layer.name, weight=integers, unit=scale, bias=bias, source=source, codes=codes,
                       settings=settings)
