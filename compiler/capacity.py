"""Whether a network fits an accelerator, known from dimensions and widths alone, before anything is quantized."""

from vitric.golden.integer import IntegerViT
from vitric.golden.quantization.products import check_products, stored_bits
from vitric.golden.quantization.settings import Settings
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.vit import VitConfig

from .blank import blank_integer_vit
from .plan import Planned, plan_model

__all__ = ["blank_model", "check_capacity"]


def blank_model(config: VitConfig, spec: AcceleratorSpec, settings: Settings) -> IntegerViT:
    """Return a model of zeros of these dimensions and widths, for any accelerator with the arithmetic of ``spec``.

    Raises
    ------
    ValueError
        The arithmetic of ``spec`` cannot hold a product: see
        :func:`~vitric.golden.quantization.products.check_products`.
    """
    check_products(config, settings)
    return blank_integer_vit(
        config, spec,
        lambda product: stored_bits(product, settings.bits(product), settings.recipe, settings.arithmetic.a_bits),
        softmax_table=settings.recipe.probabilities != "uniform")


def check_capacity(config: VitConfig, spec: AcceleratorSpec, settings: Settings) -> Planned:
    """Plan a model of zeros of these dimensions and widths; return what a real one will take.

    Raises
    ------
    ValueError
        As of :func:`blank_model`.
    CompileError
        A memory or a buffer is too small; the error lists all of them, with what is needed and what there is.
    """
    return plan_model(blank_model(config, spec, settings), spec)
