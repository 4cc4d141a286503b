"""The float model with the roundings of an integer model: simulated quantization.

Weights and activations take the values that their codes stand for; everything between them, softmax, LayerNorm, GELU
and the residual stream included, stays in float. This is what most of the literature reports; here it is also a
check: the integer model must follow it closely.
"""

import copy
from collections.abc import Callable, Mapping

import torch

from ...data.images import check_images
from ...vit import VisionTransformer
from ..codes.quantity import Quantity
from ..lowering.lower import Lowered
from ..taps import from_trace, to_trace, traced

__all__ = ["Simulated", "float64", "reference", "rounded_logits", "set_linear", "simulate", "usual"]

_WIDE = ("patch_embed", "proj", "fc2", "head")  # residual stream and logits, 16 bits in the integer model


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
        Of the tensors to round, by their name in the trace of an integer model.
    trace : dict, optional
        Gets the model's tensors under the names and in the shapes of an integer model's trace.
    """
    check_images(images, model.config)

    def tap(name, x):
        if not (known := traced(name)):
            return x
        y = to_trace(name, x, model.config.num_prefix_tokens)
        if known in quantities:
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


def usual(name: str) -> bool:
    """Return whether the literature's simulated quantization rounds it: not the residual stream nor the logits."""
    return name.rpartition(".")[2] not in _WIDE


class Simulated:
    """The simulated quantized model: ``Simulated(lowered)(images)`` maps pixels to logits, float64 [B, classes].

    Parameters
    ----------
    lowered : Lowered
    only : function of a name, optional
        Whether to round it. Asked for every tensor of the trace (the names of :func:`reference`; the residual stream
        is ``patch_embed``, ``blocks.N.attn.proj`` and ``blocks.N.mlp.fc2``) and for the weights of every layer, whose
        name is the layer's with ``.weight`` (``blocks.N.attn.q.weight``). A layer whose weights are not rounded keeps
        its trained bias too.
    """

    @torch.no_grad()
    def __init__(self, lowered: Lowered, only: Callable[[str], bool] = usual):
        self.quantities = {name: quantity for name, quantity in lowered.quantities.items()
                           if not name.endswith("fc1") and only(name)}  # the index of GELU's table is no tensor
        self.model = model = float64(lowered.source)
        drafts = {name: draft for name, draft in lowered.drafts.items() if only(f"{name}.weight")}
        if "patch_embed" in drafts:
            set_linear(model.patch_embed.proj, *drafts["patch_embed"].dequantized())
        if "head" in drafts:
            weight, bias = drafts["head"].dequantized()
            heads = (model.head, model.head_dist) if model.config.distilled else (model.head,)
            for head, part in zip(heads, weight.chunk(len(heads), dim=1), strict=True):
                set_linear(head, part * len(heads), bias)  # logits are the mean of the heads'
        for index, block in enumerate(model.blocks):
            name, qkv = f"blocks.{index}", block.attn.qkv
            trained = torch.zeros(len(qkv.weight), dtype=torch.float64) if qkv.bias is None else qkv.bias
            parts = [
                drafts[f"{name}.attn.{part}"].dequantized() if f"{name}.attn.{part}" in drafts else kept
                for part, *kept in zip("qkv", qkv.weight.chunk(3), trained.chunk(3), strict=True)]
            set_linear(qkv, *(torch.cat(tensors) for tensors in zip(*parts, strict=True)))
            for layer in ("attn.proj", "mlp.fc1", "mlp.fc2"):
                if f"{name}.{layer}" in drafts:
                    set_linear(block.get_submodule(layer), *drafts[f"{name}.{layer}"].dequantized())

    @torch.no_grad()
    def __call__(self, images: torch.Tensor, trace: dict[str, torch.Tensor] | None = None) -> torch.Tensor:
        """Return the logits; ``trace`` gets every tensor under the name and in the shape of the integer trace."""
        return rounded_logits(self.model, self.quantities, images, trace)


def simulate(
    lowered: Lowered, images: torch.Tensor, only: Callable[[str], bool] = usual,
) -> dict[str, torch.Tensor]:
    """Return the tensors of the simulated quantized model: as :func:`reference`, with what ``only`` says rounded."""
    tensors = {}
    Simulated(lowered, only)(images, tensors)
    return tensors
