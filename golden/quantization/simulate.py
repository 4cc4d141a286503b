"""The float model with the roundings of an integer model: simulated quantization.

Weights and activations take the values that their codes stand for; everything between them, softmax, LayerNorm, GELU
and the residual stream included, stays in float. This is what most of the literature reports; here it is also a
check: the integer model must follow it closely.
"""

import copy
from collections.abc import Mapping

import torch

from ..data import check_images
from ..vit import VisionTransformer
from .lower import Lowered
from .quantity import Quantity
from .taps import from_trace, to_trace, traced

__all__ = ["Simulated", "float64", "reference", "rounded_logits", "set_linear", "simulate"]

_NOT_ROUNDED = ("tokens", "residual1", "residual2", "head")  # 16 bits in the integer model


def float64(model: VisionTransformer) -> VisionTransformer:
    """Return a copy of ``model`` that computes in float64."""
    return copy.deepcopy(model).to(torch.float64)


def set_linear(module: torch.nn.Module, weight: torch.Tensor, bias: torch.Tensor) -> None:
    """Give a linear or convolution module other weights, its shape kept, and a bias, which it may have had none of."""
    module.weight.copy_(weight.reshape(module.weight.shape))
    module.bias = torch.nn.Parameter(bias)


def rounded_logits(
    model: VisionTransformer, quantities: Mapping[str, Quantity], images: torch.Tensor,
    trace: dict[str, torch.Tensor] | None = None,
) -> torch.Tensor:
    """Return the logits [B, classes] of a model of :func:`float64`, with some of its tensors rounded.

    Parameters
    ----------
    quantities : mapping of str to Quantity
        Of the tensors to round, by their name in the trace of an integer model. Those that have 16 bits in the integer
        model (residual stream and logits) are never rounded.
    trace : dict, optional
        Gets the model's tensors under the names and in the shapes of an integer model's trace.
    """
    check_images(images, model.config)

    def tap(name, x):
        if not (known := traced(name)):
            return x
        y = to_trace(name, x, model.config.num_prefix_tokens)
        if known in quantities and name.rpartition(".")[2] not in _NOT_ROUNDED:
            y = quantities[known].decode(quantities[known].encode(y))
        if trace is not None:
            trace[known] = y
        return from_trace(name, y, x.shape)

    return model.forward_normalized(model.normalize(images).to(torch.float64), tap)


@torch.no_grad()
def reference(lowered: Lowered, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the float model's tensors, float64, under the names and in the shapes of the integer model's trace.

    The float model is the one that was lowered, in the head bases of the method.
    """
    tensors = {}
    rounded_logits(float64(lowered.source), {}, images, tensors)
    return tensors


class Simulated:
    """The simulated quantized model: ``Simulated(lowered)(images)`` maps pixels to logits, float64 [B, classes]."""

    @torch.no_grad()
    def __init__(self, lowered: Lowered):
        self.quantities = lowered.quantities
        self.model = model = float64(lowered.source)
        set_linear(model.patch_embed.proj, *lowered.drafts["patch_embed"].dequantized())
        weight, bias = lowered.drafts["head"].dequantized()
        heads = (model.head, model.head_dist) if model.config.distilled else (model.head,)
        for head, part in zip(heads, weight.chunk(len(heads), dim=1), strict=True):
            set_linear(head, part * len(heads), bias)  # logits are the mean of the heads'
        for index, block in enumerate(model.blocks):
            name = f"blocks.{index}"
            parts = [lowered.drafts[f"{name}.attn.{part}"].dequantized() for part in "qkv"]
            set_linear(block.attn.qkv, *(torch.cat(tensors) for tensors in zip(*parts, strict=True)))
            for layer in ("attn.proj", "mlp.fc1", "mlp.fc2"):
                set_linear(block.get_submodule(layer), *lowered.drafts[f"{name}.{layer}"].dequantized())

    @torch.no_grad()
    def __call__(self, images: torch.Tensor, trace: dict[str, torch.Tensor] | None = None) -> torch.Tensor:
        """Return the logits; ``trace`` gets every tensor under the name and in the shape of the integer trace."""
        return rounded_logits(self.model, self.quantities, images, trace)


def simulate(lowered: Lowered, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the tensors of the simulated quantized model: as :func:`reference`, with everything rounded."""
    tensors = {}
    Simulated(lowered)(images, tensors)
    return tensors
