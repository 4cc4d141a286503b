"""Pruning of the float model: N:M sparse weights and whole heads, by masks that training keeps.

A mask is a boolean tensor of a parameter's shape; ``False`` stands for a weight that is 0 from now on. Masks are by
parameter name (``blocks.0.attn.qkv.weight``), so that those of two ways to prune can be combined. Quantization needs no
masks: weights that are exactly 0 stay 0 (:mod:`~vitric.golden.quantization.lowering.weights`), and heads that are 0
throughout leave the integer model (:mod:`~vitric.golden.integer.heads`).
"""

from collections.abc import Mapping

import torch
from torch.nn import functional

from ..data.images import ImageData
from ..spec.check import check_choice, check_int
from ..tensors import LINEARS, TENSORS, short_name
from ..vit import VisionTransformer, collect

__all__ = ["IMPORTANCE", "LAYERS", "Masks", "apply_masks", "combine", "head_importance", "head_masks", "heads_to_prune",
           "n_m_masks", "pruned_share"]

IMPORTANCE = ("magnitude", "activation")
"""How much a weight counts in N:M pruning: ``|w|``, or ``|w|`` times the root mean square of its input (Wanda, Sun et
al. 2023)."""

LAYERS = tuple(dict.fromkeys(linear.product for linear in LINEARS if linear.block))
"""Layers of a block that N:M pruning thins out."""

_INPUTS = {tensor.product: tensor.tap for tensor in TENSORS if tensor.product in LAYERS}
_BATCH = 128  # images of one gradient

Masks = dict[str, torch.Tensor]
"""What to keep, by parameter name."""


@torch.no_grad()
def n_m_masks(
    model: VisionTransformer, n: int, m: int, *, importance: str = "magnitude", images: torch.Tensor | None = None,
) -> Masks:
    """Return masks that keep the ``n`` most important of each ``m`` consecutive weights of a row.

    Rows run along the input of a layer, as in the sparse tensor cores' 2:4 (Mishra et al. 2021). The linear layers of
    the blocks are pruned; patch embedding and head, which are small and keep 8 bits, are not.

    Parameters
    ----------
    model : VisionTransformer
    n, m : int
        ``1 <= n < m <= 16``.
    importance : str
        One of :data:`IMPORTANCE`.
    images : integer tensor (count, C, H, W), optional
        For ``"activation"``: what the inputs are measured on.

    Raises
    ------
    ValueError
        An argument is illegal, or a layer's inputs are not a multiple of ``m``.
    """
    check_int("m", m, 2, 16)
    check_int("n", n, 1, m - 1)
    check_choice("importance", importance, IMPORTANCE)
    if importance == "activation" and images is None:
        raise ValueError("images must be given to measure the inputs that importance 'activation' needs")
    taps = collect(model, images) if importance == "activation" else {}
    masks = {}
    for index, block in enumerate(model.blocks):
        for layer, tap in _INPUTS.items():
            weight = block.get_submodule(layer).weight
            if weight.shape[1] % m:
                raise ValueError(f"m must divide the {weight.shape[1]} inputs of blocks.{index}.{layer}, not {m}")
            score = weight.abs()
            if taps:
                score = score * taps[f"blocks.{index}.{tap}"].flatten(0, 1).square().mean(0).sqrt()
            groups = score.unflatten(1, (-1, m))
            kept = torch.zeros_like(groups, dtype=torch.bool)
            kept.scatter_(2, groups.argsort(dim=2, descending=True, stable=True)[:, :, :n], True)
            masks[f"blocks.{index}.{layer}.weight"] = kept.flatten(1)
    return masks


def head_importance(model: VisionTransformer, data: ImageData) -> torch.Tensor:
    """Return the importance of each head, float64 (depth, heads), the squares of a block's summing to 1.

    ``mean over images of |sum over tokens and channels of context * d loss / d context|``: the first-order change of
    the loss when the head is gated off (Michel et al. 2019, equation 2), with the cross entropy of the labels as loss,
    normalised by block as they do.
    """
    config = model.config
    total = torch.zeros(config.depth, config.num_heads, dtype=torch.float64)
    for images, labels in zip(data.images.split(_BATCH), data.labels.split(_BATCH), strict=True):
        contexts = []

        def record(name, tensor, contexts=contexts):
            if short_name(name) == "attn.context":
                contexts.append(tensor)
            return tensor

        with torch.enable_grad():
            loss = functional.cross_entropy(model(images, record), labels, reduction="sum")
            gradients = torch.autograd.grad(loss, contexts)
        for index, (context, gradient) in enumerate(zip(contexts, gradients, strict=True)):
            by_head = (context.detach() * gradient).to(torch.float64).unflatten(2, (config.num_heads, -1))
            total[index] += by_head.sum((1, 3)).abs().sum(0)
    return total / total.norm(dim=1, keepdim=True).clamp(min=1e-300)


def heads_to_prune(importance: torch.Tensor, share: float) -> list[tuple[int, int]]:
    """Return (block, head) of the least important ``share`` (0 to 1) of all heads; every block keeps its best one.

    Raises
    ------
    ValueError
        ``share`` is out of range, or more than all but one head of every block.
    """
    depth, heads = importance.shape
    count = round(share * depth * heads) if 0 <= share <= 1 else -1
    if not 0 <= count <= depth * (heads - 1):
        raise ValueError(f"heads must be a share between 0 and {(heads - 1) / heads:.3g}, because each of the {depth} "
                         f"blocks keeps one of its {heads}, not {share}")
    best = importance.argmax(1)
    free = [(block, head) for block in range(depth) for head in range(heads) if head != best[block]]
    return sorted(sorted(free, key=lambda place: float(importance[place]))[:count])


def head_masks(model: VisionTransformer, heads: list[tuple[int, int]]) -> Masks:
    """Return masks without the heads (block, head): their queries, keys, values and columns of the projection."""
    config, masks = model.config, {}
    for block in sorted({block for block, _ in heads}):
        kept = torch.ones(config.num_heads, dtype=torch.bool)
        kept[[head for place, head in heads if place == block]] = False
        channels = kept.repeat_interleave(config.head_dim)  # [E]
        attn = model.blocks[block].attn
        rows = channels.repeat(3)  # [3 * E]
        masks[f"blocks.{block}.attn.qkv.weight"] = rows[:, None].expand_as(attn.qkv.weight).clone()
        if attn.qkv.bias is not None:
            masks[f"blocks.{block}.attn.qkv.bias"] = rows
        masks[f"blocks.{block}.attn.proj.weight"] = channels.expand_as(attn.proj.weight).clone()
    return masks


def combine(*several: Mapping[str, torch.Tensor]) -> Masks:
    """Return masks that keep what all of them keep."""
    result: Masks = {}
    for masks in several:
        for name, mask in masks.items():
            result[name] = result[name] & mask if name in result else mask
    return result


@torch.no_grad()
def apply_masks(model: VisionTransformer, masks: Mapping[str, torch.Tensor]) -> None:
    """Set what the masks do not keep to 0, in place."""
    for name, mask in masks.items():
        model.get_parameter(name).mul_(mask)


def pruned_share(model: VisionTransformer) -> float:
    """Return the share, 0 to 1, of the weights of the blocks' linear layers that are exactly 0."""
    weights = [block.get_submodule(layer).weight for block in model.blocks for layer in LAYERS]
    return sum(int((weight == 0).sum()) for weight in weights) / sum(weight.numel() for weight in weights)
