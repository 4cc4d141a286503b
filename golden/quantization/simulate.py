"""The float model with the roundings of an integer model: simulated quantization.

Weights and activations take the values that their codes stand for; everything between them, softmax, LayerNorm, GELU
and the residual stream included, stays in float. This is what most of the literature reports; here it is also a
check: the integer model must follow it closely.
"""

import copy

import torch

from ..data import check_images
from ..vit import Tap, VisionTransformer
from .lower import Lowered
from .taps import from_trace, to_trace, traced

__all__ = ["reference", "simulate"]

_NOT_ROUNDED = ("tokens", "residual1", "residual2", "head")  # 16 bits in the integer model


def _run(model: VisionTransformer, images: torch.Tensor, tap: Tap) -> None:
    check_images(images, model.config)
    model.forward_normalized(model.normalize(images).to(torch.float64), tap)


@torch.no_grad()
def reference(lowered: Lowered, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the float model's tensors, float64, under the names and in the shapes of the integer model's trace.

    The float model is the one that was lowered, in the head bases of the method.
    """
    tensors = {}

    def tap(name, x):
        if known := traced(name):
            tensors[known] = to_trace(name, x)
        return x

    _run(copy.deepcopy(lowered.source).to(torch.float64), images, tap)
    return tensors


@torch.no_grad()
def simulate(lowered: Lowered, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the tensors of the simulated quantized model: as :func:`reference`, with everything rounded."""
    model = copy.deepcopy(lowered.source).to(torch.float64)
    for name, module in [("patch_embed", model.patch_embed.proj), ("head", model.head)]:
        _set(module, *lowered.drafts[name].dequantized())
    for index, block in enumerate(model.blocks):
        name = f"blocks.{index}"
        parts = [lowered.drafts[f"{name}.attn.{part}"].dequantized() for part in "qkv"]
        _set(block.attn.qkv, *(torch.cat(tensors) for tensors in zip(*parts, strict=True)))
        for layer in ("attn.proj", "mlp.fc1", "mlp.fc2"):
            _set(block.get_submodule(layer), *lowered.drafts[f"{name}.{layer}"].dequantized())
    tensors = {}

    def tap(name, x):
        if not (known := traced(name)):
            return x
        y = to_trace(name, x)
        if name.rpartition(".")[2] not in _NOT_ROUNDED:
            quantity = lowered.quantities[known]
            y = quantity.decode(quantity.encode(y))
        tensors[known] = y
        return from_trace(name, y, x.shape)

    _run(model, images, tap)
    return tensors


def _set(module: torch.nn.Module, weight: torch.Tensor, bias: torch.Tensor) -> None:
    module.weight.copy_(weight.reshape(module.weight.shape))
    module.bias = torch.nn.Parameter(bias)  # the float model may have none
