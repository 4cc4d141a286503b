"""Scales of a linear layer's weights and input, chosen for the error of its output.

PTQ4ViT (Yuan et al. 2022), Hessian guided metric: of the candidates for a scale, the best is the
one of least ``sum of g**2 * (y_q - y)**2`` over the layer's outputs on the calibration images, with ``g`` the gradient
of the loss with respect to ``y``. Weights and input are searched in turn, each with the other one rounded as it is.

Differences: ``g**2`` is what :mod:`~vitric.golden.quantization.lowering.sensitivity` estimates (ones, if the method has
none); ``y`` is the float model's output, so a search also sees what the layers before did to the input; weights have a
scale per channel, group or layer; the two ends of an asymmetric input are searched together and then each on its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from ..codes.maps import NarrowCodes
from ..codes.observers import minmax
from ..codes.quantity import Quantity
from .weights import group_size, weight_scales

__all__ = ["Layer", "choose_rows", "search_input", "search_weight_scales"]

_ROWS = 1024  # samples that a search sees, at most
_WEIGHT_SHARES = torch.linspace(1.1, 0.25, 32, dtype=torch.float64)  # of the scale that covers every weight
_INPUT_SHARES = torch.linspace(1.3, 0.5, 17, dtype=torch.float64)  # of the range that is there already
_ROUNDS = 2  # of weights, then input


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """A linear layer to search scales for: ``y = x @ weight.T + bias``.

    Parameters
    ----------
    name : str
    weight : float64 tensor (N, K)
    bias : float64 tensor (N,)
    target : float tensor (..., N)
        What the output should be: the float model's.
    importance : float64 tensor (..., N) or (..., 1)
        Of the squared error of each element of the output, ``g**2``, or of all elements of a token.
    codes : NarrowCodes
        Of the weights.
    """

    name: str
    weight: torch.Tensor
    bias: torch.Tensor
    target: torch.Tensor
    importance: torch.Tensor
    codes: NarrowCodes

    @classmethod
    def trained(
        cls, name: str, weight: torch.Tensor, bias: torch.Tensor | None, target: torch.Tensor,
        importance: torch.Tensor, codes: NarrowCodes,
    ) -> "Layer":
        """Return the layer of trained parameters: weights of a convolution are flattened, no bias is one of zeros."""
        bias = torch.zeros(len(weight)) if bias is None else bias.detach()
        return cls(name=name, weight=weight.detach().flatten(1).to(torch.float64), bias=bias.to(torch.float64),
                   target=target, importance=importance, codes=codes)

    def rows(self, chosen: torch.Tensor) -> "Layer":
        """Return the layer with the chosen samples only, (S, N), in float32: candidates are compared, no more."""
        target, importance = (x.reshape(-1, x.shape[-1])[chosen].to(torch.float32)
                              for x in (self.target, self.importance))
        return replace(self, target=target, importance=importance)

    def rounded(self, scale: torch.Tensor) -> torch.Tensor:
        """Return the weights (N, K) rounded with a scale for each output channel (N,)."""
        zero = torch.tensor(0)
        return self.codes.decode(self.codes.encode(self.weight, scale[:, None], zero), scale[:, None], zero)

    def errors(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Return the weighted squared error of each output channel, (N,), for inputs (S, K)."""
        y = torch.addmm(self.bias.to(torch.float32), x.to(torch.float32), weight.T.to(torch.float32))
        return ((y - self.target).square_() * self.importance).sum(0)


def choose_rows(count: int, generator: torch.Generator) -> torch.Tensor:
    """Return the samples that a search sees, of ``count``: all, or 1024 drawn from them."""
    return torch.arange(count) if count <= _ROWS else torch.randperm(count, generator=generator)[:_ROWS]


def search_weight_scales(layer: Layer, x: torch.Tensor, granularity: str) -> torch.Tensor:
    """Return the scale of each output channel's weights, float64 (N,), of least error of the output.

    Parameters
    ----------
    layer : Layer
        With as many samples as ``x``.
    x : float tensor (S, K)
        Rounded inputs.
    granularity : str
        One of :data:`~vitric.golden.quantization.lowering.weights.GRANULARITIES`: the channels of a group have one
        scale.
    """
    widest = weight_scales(layer.weight, layer.codes, minmax, granularity, torch.ones(x.shape[1], dtype=torch.float64))
    group = torch.arange(len(widest)) // group_size(granularity, len(widest))
    best, least = widest, torch.full_like(widest, torch.inf)
    for share in _WEIGHT_SHARES:
        scale = widest * share
        errors = layer.errors(x, layer.rounded(scale)).to(torch.float64)
        errors = torch.zeros_like(errors).index_add(0, group, errors)[group]
        best, least = torch.where(errors < least, scale, best), torch.minimum(errors, least)
    return best


def search_input(
    quantity: Quantity, x: torch.Tensor, layers: Sequence[Layer], granularity: str, generator: torch.Generator, *,
    least: torch.Tensor | float = 0.0,
) -> Quantity:
    """Return ``quantity`` with the scale and the zero point of least error of the outputs of ``layers``.

    Parameters
    ----------
    quantity : Quantity
        Of the input, as an observer chose it: the search goes from half its range to 1.3 times that.
    x : float64 tensor (..., K)
        The input for the calibration images, not rounded.
    layers : sequence of Layer
        All that read the input.
    granularity : str
        Of the weights' scales.
    generator : torch.Generator
        Draws the samples that the search sees, if there are very many.
    least : float or float64 tensor (K,)
        The scale is not made smaller than this.
    """
    x = x.reshape(-1, x.shape[-1])
    chosen = choose_rows(len(x), generator)
    x, layers = x[chosen], [layer.rows(chosen) for layer in layers]
    for _ in range(_ROUNDS):
        inputs = quantity.decode(quantity.encode(x))
        weights = [layer.rounded(search_weight_scales(layer, inputs, granularity)) for layer in layers]

        def error(found: Quantity, weights=weights) -> float:
            inputs = found.decode(found.encode(x))
            return sum(float(layer.errors(inputs, weight).sum()) for layer, weight in zip(layers, weights, strict=True))

        for ends in ((True, True), (True, False), (False, True)):
            quantity = _best_range(quantity, error, ends, least)
    return quantity


def _best_range(
    quantity: Quantity, error: Callable[[Quantity], float], ends: tuple[bool, bool], least: torch.Tensor | float,
) -> Quantity:
    """Return the quantity of least error among those whose chosen ends are moved; the given one if none is better."""
    codes = quantity.codes
    best, smallest = quantity, error(quantity)
    for share in _INPUT_SHARES:
        low, high = (torch.tensor([float(end - quantity.zero_point)], dtype=torch.float64) * (share if moved else 1.0)
                     for end, moved in zip((codes.low, codes.high), ends, strict=True))
        ratio, zero_point = codes.fit(low, high)
        candidate = replace(quantity, scale=quantity.scale * ratio[0], zero_point=int(zero_point[0]))
        if bool((candidate.scale < least).any()):
            continue
        found = error(candidate)
        if found < smallest:
            best, smallest = candidate, found
    return best
