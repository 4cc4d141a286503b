"""What a quantization was asked for: bit widths, method, units."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property

import torch

from ..spec.check import check_choice, check_int
from ..spec.layernorm import LayerNormSpec
from ..spec.requantize import RequantizeSpec
from ..spec.softmax import SoftmaxSpec
from ..spec.vit import VitConfig
from .bits import PIXEL_BITS, Bits, check_layer_bits, most_specific
from .codes.maps import BinaryCodes, NarrowCodes
from .lowering.weights import GRANULARITIES
from .methods import METHODS, Method, method

__all__ = ["Settings"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Arguments of :func:`vitric.golden.quantization.quantize`, checked, and what follows from them."""

    method: str = "mse"
    w_bits: int = 4
    a_bits: int = 4
    edge_bits: int = 8
    softmax_bits: int | None = None
    granularity: str = "channel"
    residual_bits: int = 16
    a_plane_bits: int = 4
    w_plane_bits: int = 4
    seed: int = 0
    layer_bits: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    acc_bits = 24
    """Width of the accumulators that every layer has to fit."""

    def __post_init__(self):
        check_choice("method", self.method, tuple(METHODS))
        check_int("a_bits", self.a_bits, 2, 8)
        if self.softmax_bits is None:
            object.__setattr__(self, "softmax_bits", 8 if self.recipe.probabilities == "uniform" else self.a_bits)
        check_int("w_bits", self.w_bits, 1, 8)
        for name in ("edge_bits", "softmax_bits", "a_plane_bits", "w_plane_bits"):
            check_int(name, getattr(self, name), 2, 8)
        check_choice("granularity", self.granularity, GRANULARITIES)
        check_int("residual_bits", self.residual_bits, 10, 16)
        check_int("seed", self.seed, 0, 2**31 - 1)
        object.__setattr__(self, "layer_bits", check_layer_bits(self.layer_bits))
        signed = {name: getattr(self, name) for name in ("w_bits", "a_bits", "edge_bits")}
        signed |= {f"w_bits of {name} in layer_bits": bits.w for name, bits in self.layer_bits.items()}
        for name, bits in signed.items():
            if bits > 2 * self.w_plane_bits:
                raise ValueError(f"{name} must be at most 2 * w_plane_bits ({2 * self.w_plane_bits}), because a signed "
                                 f"code has at most two digits, not {bits}")

    @property
    def recipe(self) -> Method:
        """The method."""
        return method(self.method)

    @cached_property
    def generator(self) -> torch.Generator:
        """Source of all randomness."""
        return torch.Generator().manual_seed(self.seed)

    @property
    def requantize(self) -> RequantizeSpec:
        """Multipliers and shifts of the hardware."""
        return RequantizeSpec(lanes=1, acc_bits=self.acc_bits)

    def bits(self, product: str) -> Bits:
        """Return the widths of a product's operands: :mod:`~vitric.golden.quantization.bits` has the names."""
        defaults = {"patch_embed": Bits(self.edge_bits, PIXEL_BITS), "head": Bits(self.edge_bits, self.edge_bits),
                    "scores": Bits(self.a_bits, self.a_bits), "context": Bits(self.a_bits, self.softmax_bits)}
        return most_specific(self.layer_bits, product) or defaults.get(
            product.rpartition(".")[2], Bits(self.w_bits, self.a_bits))

    def narrow(self, bits: int) -> NarrowCodes:
        """Return the signed narrow codes of ``bits`` bits on the array's weight port."""
        return NarrowCodes(bits, self.w_plane_bits)

    def weights(self, bits: int) -> NarrowCodes:
        """Return the codes of weights of ``bits`` bits; 1 bit is stored as 2."""
        return self.narrow(bits) if bits > 1 else BinaryCodes(2, self.w_plane_bits)

    def softmax(self, config: VitConfig) -> SoftmaxSpec:
        """Return the softmax unit's spec, just long enough."""
        return _softmax_spec(config.num_tokens)

    def layernorm(self, config: VitConfig) -> LayerNormSpec:
        """Return the LayerNorm unit's spec, just long enough."""
        return _layernorm_spec(config.embed_dim, self.residual_bits)


@cache
def _softmax_spec(length: int) -> SoftmaxSpec:
    return SoftmaxSpec(lanes=1, max_length=max(2, length))


@cache
def _layernorm_spec(length: int, in_bits: int) -> LayerNormSpec:
    return LayerNormSpec(lanes=1, max_length=max(2, length), in_bits=in_bits)
