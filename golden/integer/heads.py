"""Heads that no output depends on leave the integer model, and with it the stream and the hardware's time."""

from dataclasses import replace

import torch

from .layers import IntegerAttention, IntegerLinear
from .requantizer import Requantizer
from .vit import IntegerViT

__all__ = ["without_dead_heads"]


def _rows(requantizer: Requantizer, kept: torch.Tensor) -> Requantizer:
    """Return the requantizer of some channels."""
    parts = {name: getattr(requantizer, name)[kept] for name in ("bias", "multiplier", "pre_shift", "shift")}
    return replace(requantizer, **parts)


def _outputs(layer: IntegerLinear, kept: torch.Tensor) -> IntegerLinear:
    """Return the layer with some of its output channels."""
    return replace(layer, weight=layer.weight[kept], requantizer=_rows(layer.requantizer, kept))


def _attention(attn: IntegerAttention) -> IntegerAttention:
    heads = attn.num_heads
    alive = attn.proj.weight.unflatten(1, (heads, -1)).ne(0).any(2).any(0)  # (H,)
    if alive.all():
        return attn
    if not alive.any():
        alive[0] = True  # an attention without heads has no stream
    kept = alive.repeat_interleave(attn.proj.weight.shape[1] // heads)
    scores = {name: getattr(attn, name)[alive] for name in ("score_multiplier", "score_pre_shift", "score_shift")}
    return replace(attn, q=_outputs(attn.q, kept), k=_outputs(attn.k, kept), v=_outputs(attn.v, kept), **scores,
                   context=_rows(attn.context, kept), proj=replace(attn.proj, weight=attn.proj.weight[:, kept]))


def without_dead_heads(model: IntegerViT) -> IntegerViT:
    """Return the model without the heads whose columns of the projection are all 0; its logits are the same.

    What such a head computes is multiplied by 0, and the zero point of its codes adds 0 to the biases behind it. At
    least one head remains in each block. Blocks may differ in their number of heads afterwards.
    """
    return replace(model, blocks=tuple(replace(block, attn=_attention(block.attn)) for block in model.blocks))
