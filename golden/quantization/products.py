"""What the products of a network ask of an accelerator's arithmetic: checked before anything is computed."""

from ..arith import signed_code_range
from ..spec.vit import VitConfig
from .bits import Bits, product_names
from .codes.books import HIDDEN, PROBABILITIES
from .methods import Method
from .settings import Settings

__all__ = ["check_products", "stored_bits"]


def stored_bits(product: str, bits: Bits, method: Method) -> Bits:
    """Return the widths in which the operands of a product are held in memory and multiplied.

    Codes of a book are held as their values, whose width is that of the book, whatever the width of the codes.
    """
    books = {"context": PROBABILITIES[method.probabilities], "fc2": HIDDEN[method.hidden]}
    candidates = books.get(product.rpartition(".")[2])
    return bits._replace(a=candidates(bits.a)[0].bits) if candidates else bits


def _terms(config: VitConfig) -> dict[str, int]:
    """Return the length of the dot products of each product by the last part of its name."""
    return {"patch_embed": config.patch_dim, "qkv": config.embed_dim, "scores": config.head_dim,
            "context": config.num_tokens, "proj": config.embed_dim, "fc1": config.embed_dim, "fc2": config.hidden_dim,
            "head": config.num_prefix_tokens * config.embed_dim}


def check_products(config: VitConfig, settings: Settings) -> None:
    """Raise unless the array can compute every product of a network at the widths of ``settings``.

    Planes and passes must suffice. Products of two activations must fit the accumulator whatever their codes are; of
    weights it must hold at least one step for each, because a quantizer chooses their scale.

    Raises
    ------
    ValueError
        The message names the product, the parameter, what is there and what it would take.
    """
    arithmetic, terms = settings.arithmetic, _terms(config)
    for name in product_names(config):
        kind = name.rpartition(".")[2]
        w_bits, a_bits = stored_bits(name, settings.bits(name), settings.recipe)
        arithmetic.check_product(name, a_bits, w_bits)
        largest = signed_code_range(w_bits, arithmetic.w_bits) if kind in ("scores", "context") else 1
        bound = terms[kind] * ((1 << a_bits) - 1) * largest
        if bound >= 1 << arithmetic.acc_bits - 1:
            raise ValueError(
                f"{name}: acc_bits must be at least {bound.bit_length() + 1} for {terms[kind]} terms of a_bits "
                f"{a_bits} and w_bits {w_bits}, not {arithmetic.acc_bits}; fewer bits or fewer terms need less")
