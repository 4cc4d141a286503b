"""What a lowering returns: the integer model, and what its integers stand for."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from ...integer import IntegerViT
from ...vit import VisionTransformer
from ..codes.quantity import Quantity
from .linear import LinearDraft

__all__ = ["Lowered", "logit_info"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Lowered:
    """An integer model, and what its integers stand for.

    Parameters
    ----------
    model : IntegerViT
    quantities : dict of Quantity
        By the name of the tensor in the model's trace; ``blocks.N.mlp.fc1`` for the index of the GELU table.
    drafts : dict of LinearDraft
        By the layer's name; ``blocks.N.attn.q``, ``k`` and ``v`` for the parts of ``qkv``.
    context_bias : dict of float64 tensors (E,)
        Real value that the requantizer of each context adds, by the context's name.
    source : VisionTransformer
        The float model that was lowered: the given one, in the head bases of the method, in float64.
    """

    model: IntegerViT
    quantities: dict[str, Quantity]
    drafts: dict[str, LinearDraft]
    context_bias: dict[str, torch.Tensor]
    source: VisionTransformer

    def decode(self, trace: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the real values, float64, of a trace of the integer model, by name."""
        return {name: self.quantities[name].decode(codes) for name, codes in trace.items()}


def logit_info(quantities: Mapping[str, Quantity]) -> dict[str, str]:
    """Return what an integer model's info says of its logits: ``logit_scale``, what a step of them is worth."""
    return {"logit_scale": repr(float(quantities["head"].scale))}
