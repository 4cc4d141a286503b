"""Integer ViTs with random weights: test material for the compiler and the hardware, no training, no data."""

import math

import torch

from ..arith import nearest_signed_code, saturate, signed_code_range
from ..spec.accelerator import AcceleratorSpec, arithmetic_of
from ..spec.arithmetic import Arithmetic
from ..spec.layernorm import LayerNormSpec
from ..spec.requantize import RequantizeSpec
from ..spec.vit import VitConfig
from .code_table import nearest_table
from .layernorm import quantize_affine
from .layers import IntegerAttention, IntegerBlock, IntegerLayerNorm, IntegerLinear, IntegerMlp
from .requantizer import Requantizer
from .softmax import uniform_offset
from .vit import IntegerViT

__all__ = ["random_integer_vit"]

_SPREAD = 5.0  # unsigned codes have 2**bits / 5 as deviation: 1 % of a normal distribution saturates
_SCORE_OCTAVES = 1.5  # deviation of the scores
_NARROW_DEVIATION = 2**11  # of accumulators; from here on some of their low bits can go
_INDEX_BITS = 8  # of the GELU table
_INDEX_DEVIATION = 40.0  # index steps per unit of GELU's argument


class _Maker:
    """Random parts of one model; all randomness comes from one seeded generator."""

    def __init__(self, seed: int, w_plane_bits: int, requantize: RequantizeSpec):
        self.generator = torch.Generator().manual_seed(seed)
        self.w_plane_bits = w_plane_bits
        self.requantize = requantize

    def integers(self, shape: tuple[int, ...], low: int, high: int) -> torch.Tensor:
        """Return uniform integers ``low .. high``."""
        return torch.randint(low, high + 1, shape, generator=self.generator)

    def normal(self, shape: tuple[int, ...], deviation: float, limit: int) -> torch.Tensor:
        """Return rounded normal numbers, clamped to ``-limit .. limit``."""
        values = torch.randn(shape, generator=self.generator, dtype=torch.float64) * deviation
        return saturate(torch.floor(values + 0.5).to(torch.int64), -limit, limit)

    def scaling(self, target: float, deviation: float, count: int) -> dict[str, torch.Tensor]:
        """Return multipliers and shifts that bring ``count`` channels to 0.7 to 1.3 times ``target``.

        Accumulators whose deviation leaves them many steps after the shift are narrowed, fitting or not.
        """
        spec = self.requantize
        pre = spec.narrow_shift if deviation > _NARROW_DEVIATION else 0
        factor = target / deviation * 2**pre
        factors = factor * (0.7 + 0.6 * torch.rand(count, generator=self.generator, dtype=torch.float64))
        top = (1 << spec.multiplier_bits) - 1
        shift = max((s for s in spec.shifts if float(factors.max()) * 2**s <= top), default=spec.shifts[0])
        multiplier = torch.floor(factors * 2.0**shift + 0.5).to(torch.int64).clamp(1, top)
        return {"multiplier": multiplier, "pre_shift": torch.full_like(multiplier, pre),
                "shift": torch.full_like(multiplier, shift)}

    def linear(self, inputs: int, outputs: int, *, w_bits: int, a_bits: int, a_zero: int, a_deviation: float,
               deviation: float, out_bits: int, out: str) -> IntegerLinear:
        """Return a layer whose output codes have about ``deviation``; ``out``: unsigned, digits or signed."""
        limit = signed_code_range(w_bits, self.w_plane_bits)
        planes = 1 if w_bits <= self.w_plane_bits else 2
        weight = nearest_signed_code(self.integers((outputs, inputs), -limit, limit), self.w_plane_bits, planes)
        acc = math.sqrt(inputs) * limit / math.sqrt(3) * a_deviation
        scaling = self.scaling(deviation, acc, outputs)
        bias = self.normal((outputs,), acc / 8, 1 << 30) - a_zero * weight.sum(1) >> scaling["pre_shift"]
        half = 1 << out_bits - 1
        code_limit = signed_code_range(out_bits, self.w_plane_bits)
        zero, low, high = {
            "unsigned": (half, 0, 2 * half - 1), "digits": (0, -code_limit, code_limit), "signed": (0, -half, half - 1),
        }[out]
        requantizer = Requantizer(bias=bias, **scaling, zero_point=zero, low=low, high=high)
        return IntegerLinear(weight=weight, w_bits=w_bits, a_bits=a_bits, w_plane_bits=self.w_plane_bits,
                             requantizer=requantizer, out_bits=out_bits, signed_codes=out == "digits")

    def norm(self, embed: int, bits: int, spec: LayerNormSpec) -> IntegerLayerNorm:
        """Return a LayerNorm whose codes are spread around the middle of ``bits`` bits."""
        gamma = 0.8 + 0.4 * torch.rand(embed, generator=self.generator)
        beta = 0.2 * torch.randn(embed, generator=self.generator)
        gamma, beta = quantize_affine(gamma, beta, _SPREAD / (1 << bits), 1 << bits - 1, spec)
        return IntegerLayerNorm(gamma=gamma, beta=beta, spec=spec, out_bits=bits)


def _gelu_table(bits: int) -> tuple[torch.Tensor, int, float]:
    """Return the table, the code of 0, and the root mean square of the codes about it for normal indices."""
    x = (torch.arange(1 << _INDEX_BITS, dtype=torch.float64) - (1 << _INDEX_BITS - 1)) / _INDEX_DEVIATION
    y = x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))
    step = 3.0 / (1 << bits)
    zero = math.floor(0.17 / step + 0.5)
    table = saturate(torch.floor(y / step + 0.5).to(torch.int64) + zero, 0, (1 << bits) - 1)
    density = torch.exp(-x * x / 2)
    mean_square = float((density * (table - zero) ** 2).sum() / density.sum())
    return table, zero, math.sqrt(mean_square)


def random_integer_vit(
    config: VitConfig, *, seed: int, spec: AcceleratorSpec | Arithmetic | None = None, w_bits: int = 4,
    a_bits: int = 4, edge_bits: int = 8, softmax_bits: int = 8, probability_values: tuple[int, ...] | None = None,
) -> IntegerViT:
    """Return an integer ViT with random parameters whose codes are well spread and hardly saturate.

    The scales follow from the deviation of each accumulator, ``sqrt(K) * deviation(a) * deviation(w)``.

    Parameters
    ----------
    config : VitConfig
        Dimensions.
    seed : int
        Equal seeds give equal models.
    spec : AcceleratorSpec or Arithmetic, optional
        What the model is for: gives the units, the widths of ports, accumulators and residual stream. By default those
        of the named accelerators.
    w_bits, a_bits : int
        Weights, keys and values; activations. 2 to 8.
    edge_bits : int
        Weights of the patch embedding and the head, and the head's input.
    softmax_bits : int
        Probabilities.
    probability_values : tuple of int, optional
        What probability codes may be worth: :mod:`~vitric.golden.integer.code_table`. Without it, every step.
    """
    E, T, M, H = config.embed_dim, config.num_tokens, config.hidden_dim, config.num_heads
    arithmetic = arithmetic_of(spec)
    w_plane_bits, residual_bits = arithmetic.w_bits, arithmetic.residual_bits
    softmax_spec, norm_spec = arithmetic.softmax(T), arithmetic.layernorm(E)
    make = _Maker(seed, w_plane_bits, arithmetic.requantize())

    centred = {"a_zero": 1 << a_bits - 1, "a_deviation": (1 << a_bits) / _SPREAD}  # codes of LayerNorm and context
    codes = {"w_bits": w_bits, "a_bits": a_bits, "deviation": (1 << a_bits) / _SPREAD, "out_bits": a_bits,
             "out": "unsigned"}
    key_deviation = signed_code_range(w_bits, w_plane_bits) / 2.2
    digits = {"w_bits": w_bits, "a_bits": a_bits, "deviation": key_deviation, "out_bits": w_bits, "out": "digits"}
    increments = {"w_bits": w_bits, "a_bits": a_bits, "deviation": float(1 << residual_bits - 6),
                  "out_bits": residual_bits, "out": "signed"}

    def attention() -> IntegerAttention:
        q = make.linear(E, E, **centred, **codes)
        k, v = (make.linear(E, E, **centred, **digits) for _ in "kv")
        scores = math.sqrt(E // H) * codes["deviation"] * key_deviation
        scaling = make.scaling(_SCORE_OCTAVES * (1 << softmax_spec.frac_bits), scores, H)
        top = min(1.0, 8 / T)  # the probability that gets the largest code
        steps = ((1 << softmax_bits) - 1) / top
        sums = steps * math.sqrt(3 / T) * key_deviation  # mean square of p is 3 times the squared mean at 1.5 octaves
        to_context = make.scaling((1 << a_bits) / _SPREAD, sums, E)
        context = Requantizer(bias=make.normal((E,), sums / 8, 1 << 30) >> to_context["pre_shift"], **to_context,
                              zero_point=1 << a_bits - 1, low=0, high=(1 << a_bits) - 1)
        return IntegerAttention(
            q=q, k=k, v=v, **{f"score_{key}": value for key, value in scaling.items()},
            softmax_offset=uniform_offset(1 / steps, softmax_spec), softmax_spec=softmax_spec,
            softmax_bits=softmax_bits, context=context, proj=make.linear(E, E, **centred, **increments),
            softmax_table=None if probability_values is None else nearest_table(probability_values))

    def mlp() -> IntegerMlp:
        table, zero, deviation = _gelu_table(a_bits)
        indices = {**codes, "deviation": _INDEX_DEVIATION, "out_bits": _INDEX_BITS}
        return IntegerMlp(fc1=make.linear(E, M, **centred, **indices), gelu=table,
                          fc2=make.linear(M, E, a_zero=zero, a_deviation=deviation, **increments))

    patch_embed = make.linear(config.patch_dim, E, a_zero=128, a_deviation=255 / math.sqrt(12),
                              **{**increments, "w_bits": edge_bits, "a_bits": 8})
    limit = (1 << residual_bits - 1) - 1
    pos_embed = make.normal((T, E), 1 << residual_bits - 6, limit)
    pre = {}
    if config.pre_norm:
        bits = {"w_bits": min(edge_bits, w_plane_bits), "a_bits": edge_bits}
        pre = {"norm_pre": make.norm(E, edge_bits, norm_spec),
               "pre_proj": make.linear(E, E, a_zero=1 << edge_bits - 1, a_deviation=(1 << edge_bits) / _SPREAD,
                                       **increments | bits)}
    blocks = tuple(
        IntegerBlock(norm1=make.norm(E, a_bits, norm_spec), attn=attention(), norm2=make.norm(E, a_bits, norm_spec),
                     mlp=mlp(), residual_bits=residual_bits)
        for _ in range(config.depth))
    head = make.linear(config.num_head_tokens * E, config.num_classes, a_zero=1 << edge_bits - 1,
                       a_deviation=(1 << edge_bits) / _SPREAD,
                       **{**increments, "w_bits": edge_bits, "a_bits": edge_bits,
                          "deviation": float(1 << residual_bits - 4)})
    return IntegerViT(
        config=config, patch_embed=patch_embed, pos_embed=pos_embed, blocks=blocks,
        norm=make.norm(E, edge_bits, norm_spec), head=head, residual_bits=residual_bits, a_plane_bits=arithmetic.a_bits,
        w_plane_bits=w_plane_bits, info={"method": "random", "seed": str(seed)}, **pre)
