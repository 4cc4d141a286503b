"""Widths layer by layer: the products of a network, and what each of them multiplies.

A ViT is a sequence of matrix products, and every tensor that is quantized is an operand of exactly one of them:

========================  ==============================  =====================================
product                   ``w``: width on the weight port  ``a``: width on the activation port
========================  ==============================  =====================================
``patch_embed``           weights                         pixels, always 8
``blocks.N.attn.qkv``     weights of q, k and v           output of ``norm1``
``blocks.N.attn.scores``  keys                            queries
``blocks.N.attn.context`` values                          probabilities
``blocks.N.attn.proj``    weights                         context
``blocks.N.mlp.fc1``      weights                         output of ``norm2``
``blocks.N.mlp.fc2``      weights                         output of GELU
``head``                  weights                         output of the last ``norm``
========================  ==============================  =====================================

So a pair of widths for every product is all there is to choose.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ..spec.check import check_int
from ..spec.vit import VitConfig
from ..tensors import LINEARS, PRODUCTS, short_name

__all__ = ["PIXEL_BITS", "Bits", "check_layer_bits", "check_names", "most_specific", "product_macs",
           "product_names"]

PIXEL_BITS = 8
"""Width of the activations of ``patch_embed``."""

_WEIGHTS = {layer.product for layer in LINEARS}  # products with weights, which may have 1 bit

_LEGAL = re.compile(rf"patch_embed|pre_proj|head|blocks(\.\d+(\.(attn|mlp|{'|'.join(map(re.escape, PRODUCTS))}))?)?")


class Bits(NamedTuple):
    """Widths of a product's operands, ``w`` on the weight port and ``a`` on the other: 2 to 8, of weights 1 to 8."""

    w: int
    a: int


def product_names(config: VitConfig) -> tuple[str, ...]:
    """Return the names of all products of a network, in order of computation."""
    blocks = (f"blocks.{index}.{product}" for index in range(config.depth) for product in PRODUCTS)
    return ("patch_embed", *(["pre_proj"] if config.pre_norm else []), *blocks, "head")


def product_macs(config: VitConfig) -> dict[str, int]:
    """Return the multiply-accumulates per image of each product."""
    return {name: config.products[short_name(name)].macs for name in product_names(config)}


def check_layer_bits(layer_bits: Mapping[str, tuple[int, int]]) -> dict[str, Bits]:
    """Return ``layer_bits`` with its pairs as :class:`Bits`, in order of the names.

    Raises
    ------
    TypeError, ValueError
        It is not a mapping, a name is not that of a product or of a module above one (``blocks``, ``blocks.N``,
        ``blocks.N.attn``, ``blocks.N.mlp``), or a value is not a pair of widths of 2 to 8 bits (weights: also 1).
    """
    if not isinstance(layer_bits, Mapping):
        raise TypeError(f"layer_bits must be a mapping of names to (w_bits, a_bits), not {layer_bits!r}")
    result = {}
    for name in sorted(layer_bits, key=str):
        if not isinstance(name, str) or not _LEGAL.fullmatch(name):
            raise ValueError("layer_bits must name patch_embed, pre_proj, head, blocks, blocks.N, blocks.N.attn, "
                             f"blocks.N.mlp or blocks.N with one of {', '.join(PRODUCTS)}, not {name!r}")
        pair = layer_bits[name]
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(f"layer_bits of {name} must be a pair (w_bits, a_bits), not {pair!r}")
        for port, bits in zip("wa", pair, strict=True):
            least = 1 if port == "w" and short_name(name) in _WEIGHTS else 2
            check_int(f"{port}_bits of {name} in layer_bits", bits, least, 8)
        result[name] = Bits(*pair)
    if result.get("patch_embed", Bits(PIXEL_BITS, PIXEL_BITS)).a != PIXEL_BITS:
        raise ValueError(f"a_bits of patch_embed in layer_bits must be {PIXEL_BITS}, the width of pixels, not "
                         f"{result['patch_embed'].a}")
    return result


def check_names(layer_bits: Mapping[str, Bits], config: VitConfig) -> None:
    """Raise :exc:`ValueError` if a name of checked ``layer_bits`` is of what the network does not have."""
    for name in layer_bits:
        if name == "pre_proj" and not config.pre_norm:
            raise ValueError("layer_bits must not name pre_proj: this model has no norm before its first block")
        block = re.match(r"blocks\.(\d+)", name)
        if block and int(block[1]) >= config.depth:
            raise ValueError(f"layer_bits must name blocks 0 to {config.depth - 1} of this model, not {name}")


def most_specific(layer_bits: Mapping[str, Bits], name: str) -> Bits | None:
    """Return the widths that checked ``layer_bits`` give to a product: its own, else those of the module above it."""
    return next((layer_bits[module] for module in _upwards(name) if module in layer_bits), None)


def _upwards(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.rpartition(".")[0]
