"""Integer models of zeros: as long and as slow as a real one, made without weights or images.

The length of a model stream and the cycles it takes depend on dimensions and widths alone.
"""

from collections.abc import Callable

import torch
from vitric.golden.integer import (
    IntegerAttention,
    IntegerBlock,
    IntegerLayerNorm,
    IntegerLinear,
    IntegerMlp,
    IntegerViT,
    Requantizer,
)
from vitric.golden.quantization.bits import Bits
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.vit import VitConfig

__all__ = ["blank_integer_vit"]


class _Blank:
    """Parts of zeros for one accelerator."""

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec

    def requantizer(self, channels: int) -> Requantizer:
        zeros = torch.zeros(channels, dtype=torch.int64)
        pre_shift, shift = self.spec.requantize.scalings[0]
        return Requantizer(bias=zeros, multiplier=zeros, pre_shift=zeros + pre_shift, shift=zeros + shift, zero_point=0,
                           low=0, high=0)

    def linear(self, inputs: int, outputs: int, bits: Bits, out_bits: int, *, signed: bool = False) -> IntegerLinear:
        return IntegerLinear(
            weight=torch.zeros(outputs, inputs, dtype=torch.int64), w_bits=bits.w, a_bits=bits.a,
            w_plane_bits=self.spec.w_bits, requantizer=self.requantizer(outputs), out_bits=out_bits,
            signed_codes=signed)

    def norm(self, embed: int, bits: int) -> IntegerLayerNorm:
        zeros = torch.zeros(embed, dtype=torch.int64)
        return IntegerLayerNorm(gamma=zeros, beta=zeros, spec=self.spec.layernorm, out_bits=bits)

    def attention(self, config: VitConfig, bits: Callable[[str], Bits], table: bool) -> IntegerAttention:
        embed, zeros = config.embed_dim, torch.zeros(config.num_heads, dtype=torch.int64)
        qkv, scores, context, proj = (bits(f"attn.{name}") for name in ("qkv", "scores", "context", "proj"))
        pre_shift, shift = self.spec.requantize.scalings[0]
        return IntegerAttention(
            q=self.linear(embed, embed, qkv, scores.a), k=self.linear(embed, embed, qkv, scores.w, signed=True),
            v=self.linear(embed, embed, qkv, context.w, signed=True), score_multiplier=zeros,
            score_pre_shift=zeros + pre_shift, score_shift=zeros + shift, softmax_offset=0,
            softmax_spec=self.spec.softmax, softmax_bits=context.a, context=self.requantizer(embed),
            proj=self.linear(embed, embed, proj, self.spec.residual_bits),
            softmax_table=torch.zeros(1 << self.spec.softmax.out_bits, dtype=torch.int64) if table else None)

    def mlp(self, config: VitConfig, bits: Callable[[str], Bits], entry: int) -> IntegerMlp:
        embed, hidden, fc1, fc2 = config.embed_dim, config.hidden_dim, bits("mlp.fc1"), bits("mlp.fc2")
        index_bits = self.spec.index_bits
        return IntegerMlp(
            fc1=self.linear(embed, hidden, fc1, index_bits),
            gelu=torch.full((1 << index_bits,), entry, dtype=torch.int64),
            fc2=self.linear(hidden, embed, fc2, self.spec.residual_bits))


def blank_integer_vit(
    config: VitConfig, spec: AcceleratorSpec, bits: Callable[[str], Bits], *, softmax_table: bool = False,
) -> IntegerViT:
    """Return an integer model of zeros that compiles to a stream of the size and the cycles of a real one.

    Parameters
    ----------
    config : VitConfig
    spec : AcceleratorSpec
    bits : callable
        Gives the widths of each product: see :mod:`~vitric.golden.quantization.bits` for the names.
    softmax_table : bool
        The probabilities go through a table, as those of methods with other than uniform codes do.
    """
    blank = _Blank(spec)
    embed, head = config.embed_dim, bits("head")
    pre = {}
    if config.pre_norm:
        pre = {"norm_pre": blank.norm(embed, bits("pre_proj").a),
               "pre_proj": blank.linear(embed, embed, bits("pre_proj"), spec.residual_bits)}

    def block(index: int) -> IntegerBlock:
        def own(product: str) -> Bits:
            return bits(f"blocks.{index}.{product}")

        return IntegerBlock(
            norm1=blank.norm(embed, own("attn.qkv").a), attn=blank.attention(config, own, softmax_table),
            norm2=blank.norm(embed, own("mlp.fc1").a),
            mlp=blank.mlp(config, own, 1 + index % 2),  # the stream repeats no table, and real ones all differ
            residual_bits=spec.residual_bits)

    return IntegerViT(
        config=config, patch_embed=blank.linear(config.patch_dim, embed, bits("patch_embed"), spec.residual_bits),
        pos_embed=torch.zeros(config.num_tokens, embed, dtype=torch.int64),
        blocks=tuple(block(index) for index in range(config.depth)), norm=blank.norm(embed, head.a),
        head=blank.linear(config.num_head_tokens * embed, config.num_classes, head, spec.residual_bits),
        residual_bits=spec.residual_bits,
        a_plane_bits=spec.a_bits, w_plane_bits=spec.w_bits, info={"method": "blank"}, **pre)
