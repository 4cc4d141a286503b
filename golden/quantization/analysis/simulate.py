"""The float model with the roundings of an integer model: simulated quantization.

Weights and activations take the values that their codes stand for; everything between them, softmax, LayerNorm, GELU
and the residual stream included, stays in float. This is what most of the literature reports; here it is also a
check: the integer model must follow it closely.
"""

import copy
from collections.abc import Callable, Mapping
from itertools import groupby

import torch

from ...data.images import check_images
from ...tensors import linears, tapped, tensor
from ...vit import VisionTransformer
from ..codes.quantity import Quantity
from ..lowering.lowered import Lowered

__all__ = ["Simulated", "float64", "reference", "rounded_logits", "set_linear", "simulate", "usual"]


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
        found = tapped(name)
        if found is None or not found.traced:
            return x
        y = found.to_trace(x, model.config.num_head_tokens)
        if found.name in quantities:
            y = quantities[found.name].decode(quantities[found.name].encode(y))
        if trace is not None:
            trace[found.name] = y
        return found.from_trace(y, x.shape)

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
    return name.endswith(".weight") or tensor(name).kind not in ("residual", "logits")


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
                           if tensor(name).traced and only(name)}
        self.model = model = float64(lowered.source)
        drafts = {name: draft for name, draft in lowered.drafts.items() if only(f"{name}.weight")}
        for name, parts in groupby(linears(model.config), key=lambda layer: layer.module):
            parts = [drafts.get(layer.name) for layer in parts]
            if not any(parts):
                continue
            if name == "head" and model.config.distilled:
                self._set_heads(*parts[0].dequantized())
                continue
            module = model.get_submodule(name)
            trained = torch.zeros(len(module.weight), dtype=torch.float64) if module.bias is None else module.bias
            kept = zip(module.weight.flatten(1).chunk(len(parts)), trained.chunk(len(parts)), strict=True)
            found = [draft.dequantized() if draft else trained for draft, trained in zip(parts, kept, strict=True)]
            set_linear(module, *(torch.cat(tensors) for tensors in zip(*found, strict=True)))

    def _set_heads(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        """Give both heads of a distilled model their parts: the logits are the mean of the heads'."""
        heads = self.model.head, self.model.head_dist
        for head, part in zip(heads, weight.chunk(len(heads), dim=1), strict=True):
            set_linear(head, part * len(heads), bias)

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
