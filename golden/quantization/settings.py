"""What a quantization was asked for: bit widths, method, units."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cache, cached_property

import torch

from ..files import parse_json
from ..integer.layers import accumulator_range
from ..spec.accelerator import AcceleratorSpec, arithmetic_of
from ..spec.arithmetic import Arithmetic
from ..spec.check import check_choice, check_int
from ..spec.layernorm import LayerNormSpec
from ..spec.requantize import RequantizeSpec
from ..spec.softmax import SoftmaxSpec
from ..spec.vit import VitConfig
from ..tensors import short_name
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
    seed: int = 0
    layer_bits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    spec: AcceleratorSpec | Arithmetic | None = None

    def __post_init__(self):
        check_choice("method", self.method, tuple(METHODS))
        check_int("a_bits", self.a_bits, 2, 8)
        if self.softmax_bits is None:
            object.__setattr__(self, "softmax_bits", 8 if self.recipe.probabilities == "uniform" else self.a_bits)
        check_int("w_bits", self.w_bits, 1, 8)
        for name in ("edge_bits", "softmax_bits"):
            check_int(name, getattr(self, name), 2, 8)
        check_choice("granularity", self.granularity, GRANULARITIES)
        check_int("seed", self.seed, 0, 2**31 - 1)
        object.__setattr__(self, "layer_bits", check_layer_bits(self.layer_bits))
        signed = {name: getattr(self, name) for name in ("w_bits", "a_bits", "edge_bits")}
        signed |= {f"w_bits of {name} in layer_bits": bits.w for name, bits in self.layer_bits.items()}
        limit = self.arithmetic.signed_bits_max
        for name, bits in signed.items():
            if bits > limit:
                raise ValueError(f"{name} must be at most {limit}, because a signed code has at most two digits of the "
                                 f"{self.arithmetic.w_bits} bits of the weight port, not {bits}")

    @cached_property
    def arithmetic(self) -> Arithmetic:
        """What the accelerator of ``spec`` lets the integers be."""
        return arithmetic_of(self.spec)

    @property
    def options(self) -> dict[str, str]:
        """Every option as text, for the info of the model that is made: what it would take to make it again."""
        plain = {one.name: str(getattr(self, one.name)) for one in fields(self)
                 if one.name not in ("layer_bits", "spec")}
        ports = {f"port_{name}": str(value) for name, value in asdict(self.arithmetic).items()}
        return plain | ports | ({"layer_bits": json.dumps(self.layer_bits)} if self.layer_bits else {})

    @classmethod
    def from_info(cls, info: Mapping[str, str]) -> "Settings":
        """Return the settings that a model was made with, from its info: the inverse of :attr:`options`.

        Raises
        ------
        ValueError
            The info lacks an option: the model was not made by quantization alone, or by another version.
        """
        plain = {one.name for one in fields(cls)} - {"layer_bits", "spec"}
        ports = {f"port_{one.name}" for one in fields(Arithmetic)}
        if missing := sorted((plain | ports) - set(info)):
            raise ValueError(f"the model does not say with which {', '.join(missing)} it was quantized")
        values = {name: int(value) if (value := info[name]).isdecimal() else value for name in plain | ports}
        arithmetic = Arithmetic(**{name.removeprefix("port_"): values.pop(name) for name in ports})
        return cls(**values, layer_bits=parse_json(info.get("layer_bits", "{}")), spec=arithmetic)

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
        return self.arithmetic.requantize()

    def bits(self, product: str) -> Bits:
        """Return the widths of a product's operands: :mod:`~vitric.golden.quantization.bits` has the names."""
        defaults = {
            "patch_embed": Bits(self.edge_bits, PIXEL_BITS), "head": Bits(self.edge_bits, self.edge_bits),
            "pre_proj": Bits(min(self.edge_bits, self.arithmetic.w_bits), self.edge_bits),
            "attn.scores": Bits(self.a_bits, self.a_bits), "attn.context": Bits(self.a_bits, self.softmax_bits)}
        return most_specific(self.layer_bits, product) or defaults.get(
            short_name(product), Bits(self.w_bits, self.a_bits))

    def narrow(self, bits: int) -> NarrowCodes:
        """Return the signed narrow codes of ``bits`` bits on the array's weight port."""
        return NarrowCodes(bits, self.arithmetic.w_bits)

    def weights(self, bits: int) -> NarrowCodes:
        """Return the codes of weights of ``bits`` bits; 1 bit is stored as 2."""
        return self.narrow(bits) if bits > 1 else BinaryCodes(2, self.arithmetic.w_bits)

    def accumulators(self, weight: torch.Tensor, codes: NarrowCodes, a_bits: int) -> torch.Tensor:
        """Return least and largest accumulator of each channel, int64 (2, N), of weight codes (N, K)."""
        return accumulator_range(weight, codes.bits, a_bits, self.arithmetic.w_bits)

    def softmax(self, config: VitConfig) -> SoftmaxSpec:
        """Return the softmax unit's spec, just long enough."""
        return _softmax_spec(self.arithmetic, config.num_tokens)

    def layernorm(self, config: VitConfig) -> LayerNormSpec:
        """Return the LayerNorm unit's spec, just long enough."""
        return _layernorm_spec(self.arithmetic, config.embed_dim)


@cache
def _softmax_spec(arithmetic: Arithmetic, length: int) -> SoftmaxSpec:
    return arithmetic.softmax(length)  # kept with its tables


@cache
def _layernorm_spec(arithmetic: Arithmetic, length: int) -> LayerNormSpec:
    return arithmetic.layernorm(length)
