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

__all__ = ["reference", "simulate"]

_TRACE_NAMES = {
    "tokens": "patch_embed", "residual1": "attn.proj", "residual2": "mlp.fc2", "gelu": "act",
    **{name: name for name in ("norm1", "norm2", "q", "k", "v", "softmax", "context", "norm", "head")},
}
_NOT_ROUNDED = ("tokens", "residual1", "residual2", "head")  # 16 bits in the integer model


def _heads_to_channels(tap: str, x: torch.Tensor) -> torch.Tensor:
    """Return [B, H, T, D] as [B, T, E]; the other tensors as they are, the class token's with a token axis."""
    if tap.endswith((".q", ".k", ".v")):
        return x.transpose(1, 2).flatten(2)
    return x[:, None] if tap in ("norm", "head") else x


def _run(model: VisionTransformer, images: torch.Tensor, tap: Tap) -> None:
    check_images(images, model.config)
    model.forward_normalized(model.normalize(images).to(torch.float64), tap)


def _traced(tap: str) -> str | None:
    """Return what the tensor of a tap is called in the trace of an integer model, ``None`` if it is not in there."""
    prefix, _, last = tap.rpartition(".")
    name = _TRACE_NAMES.get(last)
    return name and (f"{prefix}.{name}" if prefix else name)


@torch.no_grad()
def reference(lowered: Lowered, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the float model's tensors, float64, under the names and in the shapes of the integer model's trace.

    The float model is the one that was lowered, in the head bases of the method.
    """
    tensors = {}

    def tap(name, x):
        if traced := _traced(name):
            tensors[traced] = _heads_to_channels(name, x)
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
        if not (traced := _traced(name)):
            return x
        if name.rpartition(".")[2] in _NOT_ROUNDED:
            tensors[traced] = _heads_to_channels(name, x)
            return x
        quantity = lowered.quantities[traced]
        y = _heads_to_channels(name, x)
        y = tensors[traced] = quantity.decode(quantity.encode(y))
        return y.unflatten(2, (x.shape[1], -1)).transpose(1, 2) if name.endswith((".q", ".k", ".v")) else y.reshape(
            x.shape)

    _run(model, images, tap)
    return tensors


def _set(module: torch.nn.Module, weight: torch.Tensor, bias: torch.Tensor) -> None:
    module.weight.copy_(weight.reshape(module.weight.shape))
    module.bias = torch.nn.Parameter(bias)  # the float model may have none
