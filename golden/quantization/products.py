"""What the products of a network ask of an accelerator's arithmetic: checked before anything is computed."""

from ..arith import signed_code_range
from ..spec.vit import VitConfig
from ..tensors import LINEARS, short_name
from .bits import Bits, product_names
from .codes.books import HIDDEN, PROBABILITIES
from .methods import Method
from .settings import Settings

__all__ = ["check_products", "stored_bits"]


def stored_bits(product: str, bits: Bits, method: Method, plane_bits: int) -> Bits:
    """Return the widths in which the operands of a product are held in memory and multiplied.

    Codes of a book are held as their values, whose width is that of the book, whatever the width of the codes. Where
    books and uniform codes are tried, it is the larger width, of as many planes. ``plane_bits`` is the width of the
    array's activation port.
    """
    kind = short_name(product)
    if kind == "attn.context":
        return bits._replace(a=PROBABILITIES[method.probabilities](bits.a)[0].bits)
    if kind == "mlp.fc2":
        return bits._replace(a=max(codes.bits for codes in HIDDEN[method.hidden](bits.a, plane_bits)))
    return bits


def check_products(config: VitConfig, settings: Settings) -> None:
    """Raise unless the array can compute every product of a network at the widths of ``settings``.

    Planes and passes must suffice. Products of two activations must fit the accumulator whatever their codes are; of
    weights it must hold at least one step for each, because a quantizer chooses their scale.

    Raises
    ------
    ValueError
        The message names the product, the parameter, what is there and what it would take.
    """
    arithmetic, trained = settings.arithmetic, {layer.product for layer in LINEARS}
    for name in product_names(config):
        kind = short_name(name)
        terms = config.products[kind].terms
        w_bits, a_bits = stored_bits(name, settings.bits(name), settings.recipe, arithmetic.a_bits)
        arithmetic.check_product(name, a_bits, w_bits)
        largest = 1 if kind in trained else signed_code_range(w_bits, arithmetic.w_bits)
        bound = terms * ((1 << a_bits) - 1) * largest
        if bound >= 1 << arithmetic.acc_bits - 1:
            raise ValueError(
                f"{name}: acc_bits must be at least {bound.bit_length() + 1} for {terms} terms of a_bits "
                f"{a_bits} and w_bits {w_bits}, not {arithmetic.acc_bits}; fewer bits or fewer terms need less")
