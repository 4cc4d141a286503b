"""The codes that each tensor of an integer model may have."""

from typing import TYPE_CHECKING

from vitric.golden.tensors import block_of, short_name, tensor

if TYPE_CHECKING:
    from vitric.golden.integer import IntegerViT

__all__ = ["codes_of"]


def codes_of(model: "IntegerViT", name: str) -> tuple[int, int, int | None]:
    """Return the least and the greatest code of a tensor, and its zero point; None where it has none."""
    kind, index, short = tensor(name).kind, block_of(name), short_name(name)
    if kind == "pixels":
        return 0, 255, 0
    if kind in ("residual", "logits"):
        return -(1 << model.residual_bits - 1), (1 << model.residual_bits - 1) - 1, None
    if kind == "norm":
        norm = model.norm if index is None else getattr(model.blocks[index], short)
        return 0, (1 << norm.out_bits) - 1, None
    attn, mlp = model.blocks[index].attn, model.blocks[index].mlp
    if kind == "hidden":
        return 0, (1 << mlp.fc2.a_bits) - 1, None
    if kind == "probabilities":
        return 0, (1 << attn.softmax_bits) - 1, 0
    maker = attn.context if kind == "context" else getattr(attn, short[-1]).requantizer
    return maker.low, maker.high, maker.zero_point
