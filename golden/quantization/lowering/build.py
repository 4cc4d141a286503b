"""From what calibration or training has chosen (codes, scales, float parameters) to the integer layers."""

from dataclasses import replace

import torch

from ...activation import ACTIVATIONS
from ...arith import saturate
from ...integer import IntegerLayerNorm, IntegerLinear
from ...integer.gelu import gelu_table
from ...integer.layernorm import quantize_affine
from ...integer.requantizer import Requantizer
from ...spec.softmax import SoftmaxSpec
from ...spec.vit import VitConfig
from ...vit import VisionTransformer
from ..codes.maps import BookCodes, UnsignedCodes
from ..codes.quantity import Quantity
from ..codes.scales import Scaling, fit_scaling
from ..settings import Settings
from .linear import check_accumulator, lower_requantizer

__all__ = ["INDEX_BITS", "build_context", "build_gelu", "build_norm", "build_pos_embed", "build_scores",
           "head_layer", "pixel_quantity", "score_factors", "side_by_side"]

INDEX_BITS = 8
"""Width of the index of the GELU table."""

_LOG2_E = 1.4426950408889634


def pixel_quantity(config: VitConfig, pixel_max: int) -> Quantity:
    """Return what the pixel codes of a patch stand for, (C*p*p,): the normalised image."""
    mean, std = (torch.tensor(x, dtype=torch.float64).expand(config.in_chans).repeat_interleave(
        config.patch_size**2) for x in (config.mean, config.std))
    return Quantity(codes=UnsignedCodes(8), scale=1 / (pixel_max * std), zero_point=0, offset=-mean / std)


def build_pos_embed(model: VisionTransformer, patch_embed: IntegerLinear, residual: Quantity) -> torch.Tensor:
    """Return the initial residual stream, int64 (T, E): see :class:`~vitric.golden.integer.vit.IntegerViT`.

    Parameters
    ----------
    model
        Gives position embedding, class token and distillation token.
    patch_embed
        Its output for the zeros in place of those tokens' patches is taken off.
    residual
        Of the residual stream.
    """
    start = model.pos_embed.detach()[0].to(torch.float64)
    prefix = model.prefix.detach()[0].to(torch.float64)
    start = start + torch.cat([prefix, torch.zeros_like(start[len(prefix):])])
    codes = torch.floor(start / residual.scale + 0.5).to(torch.int64)
    codes[:len(prefix)] -= patch_embed(torch.zeros(1, patch_embed.weight.shape[1], dtype=torch.int64))
    return saturate(codes, residual.codes.low, residual.codes.high)


def head_layer(model: VisionTransformer) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weight and bias of the head; of both, with a distillation token, as one layer on the tokens side by side.

    The mean of two heads' logits is ``[W/2, W_dist/2] @ [class token; distillation token] + (b + b_dist)/2``.
    """
    if not model.config.distilled:
        return model.head.weight, model.head.bias
    heads = model.head, model.head_dist
    return torch.cat([head.weight for head in heads], dim=1) / 2, sum(head.bias for head in heads) / 2


def side_by_side(quantity: Quantity, count: int) -> Quantity:
    """Return what stands for ``count`` tensors of ``quantity`` whose channels lie side by side."""
    repeated = {name: value.repeat(count) if value.dim() else value
                for name, value in (("scale", quantity.scale), ("offset", quantity.offset))}
    return replace(quantity, **repeated)


def build_norm(norm: torch.nn.LayerNorm, out: Quantity, settings: Settings, config: VitConfig) -> IntegerLayerNorm:
    """Return the LayerNorm whose output codes are those of ``out``."""
    spec = settings.layernorm(config)
    gamma, beta = norm.weight.detach().to(torch.float64), norm.bias.detach().to(torch.float64)
    gamma, beta = quantize_affine(gamma / out.scale, (beta - out.offset) / out.scale, 1.0, out.zero_point, spec)
    return IntegerLayerNorm(gamma=gamma, beta=beta, spec=spec, out_bits=out.codes.bits)


def score_factors(q: Quantity, k: Quantity, heads: int, spec: SoftmaxSpec) -> torch.Tensor:
    """Return the steps of the softmax unit's scores per step of the products of queries and keys, float64 (heads,)."""
    head_dim = q.scale.shape[0] // heads
    unit = head_dim**-0.5 * _LOG2_E * (1 << spec.frac_bits)
    return (q.scale * k.scale).reshape(heads, head_dim)[:, 0] * unit


def build_scores(
    name: str, q: Quantity, k: Quantity, heads: int, spec: SoftmaxSpec, settings: Settings,
    steps: torch.Tensor | float = 1.0,
) -> Scaling:
    """Return what brings the products of queries and keys to the softmax unit, (heads,).

    Within each head the scales of ``q`` and ``k``, (E,), have one product. ``steps`` (heads,) are those of
    :func:`~vitric.golden.quantization.lowering.score_range.score_steps`: how much coarser than the unit's own.
    """
    factor = score_factors(q, k, heads, spec) / steps
    bound = q.scale.shape[0] // heads * q.codes.high * k.codes.high
    check_accumulator(name, -bound, bound, settings)
    zero, half = torch.zeros(heads, dtype=torch.int64), 1 << spec.score_bits - 1
    return fit_scaling(name, factor, zero.to(torch.float64), zero, (zero - bound, zero + bound), half, half - 1,
                       settings.requantize)


def build_context(
    name: str, p: Quantity, value: Quantity, bias: torch.Tensor, out: Quantity, tokens: int, settings: Settings,
) -> Requantizer:
    """Return what brings sums over ``tokens`` of probability times value to the codes of ``out``.

    ``bias``, float64 (E,), is what to add to them: the offset of the values, corrected or not.
    """
    bound = tokens * p.codes.high * value.codes.high
    check_accumulator(name, -bound, bound, settings)
    zero = torch.zeros_like(value.scale, dtype=torch.int64)
    return lower_requantizer(name, p.scale * value.scale, bias, zero, (zero - bound, zero + bound), out, settings)


def build_gelu(index: Quantity, out: Quantity, config: VitConfig) -> torch.Tensor:
    """Return the table from codes of ``index`` to the codes of ``out`` that are nearest to their activation."""
    function = ACTIVATIONS[config.act_layer].of_number
    if isinstance(out.codes, BookCodes):
        x = index.decode(torch.arange(1 << INDEX_BITS))
        return out.encode(torch.tensor([function(value) for value in x.tolist()], dtype=torch.float64))
    return gelu_table(float(index.scale), index.zero_point, INDEX_BITS, float(out.scale), out.zero_point,
                      out.codes.bits, function)
