"""Whether a network fits an accelerator, known from dimensions and widths alone, before anything is quantized."""

from vitric.golden.quantization.products import check_products, stored_bits
from vitric.golden.quantization.settings import Settings
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.vit import VitConfig

from .blank import blank_integer_vit
from .compile import Compiled, compile_model

__all__ = ["check_capacity"]


def check_capacity(config: VitConfig, spec: AcceleratorSpec, settings: Settings) -> Compiled:
    """Compile a model of zeros of these dimensions and widths; return what a real one will take.

    Raises
    ------
    ValueError
        The arithmetic of ``spec`` cannot hold a product: see
        :func:`~vitric.golden.quantization.products.check_products`.
    CompileError
        A memory or a buffer is too small; the error lists all of them, with what is needed and what there is.
    """
    check_products(config, settings)
    table = settings.recipe.probabilities != "uniform"
    model = blank_integer_vit(
        config, spec, lambda product: stored_bits(product, settings.bits(product), settings.recipe),
        softmax_table=table)
    return compile_model(model, spec)
