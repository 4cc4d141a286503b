"""Post-training quantization: the one call that users make."""

from collections.abc import Mapping

import torch

from ..data.images import check_images
from ..integer import IntegerViT
from ..integer.heads import without_dead_heads
from ..spec.accelerator import AcceleratorSpec
from ..spec.arithmetic import Arithmetic
from ..threads import torch_threads
from ..vit import VisionTransformer, in_float32
from .bits import check_names
from .lowering.calibration import Progress
from .lowering.lower import lower
from .lowering.lowered import Lowered
from .products import check_products
from .settings import Settings

__all__ = ["Option", "checked_model", "quantize", "quantize_with_scales"]

Option = str | int | Mapping | AcceleratorSpec | Arithmetic | None
"""Value of an option of :func:`quantize`."""


def checked_model(model: VisionTransformer) -> VisionTransformer:
    """Return ``model`` in float32; :exc:`TypeError` or :exc:`ValueError` unless it is a ViT of finite weights."""
    if not isinstance(model, VisionTransformer):
        raise TypeError(f"model must be a VisionTransformer, not {type(model).__name__}")
    for name, tensor in model.state_dict().items():
        if not bool(tensor.isfinite().all()):
            raise ValueError(f"{name} of the model holds values that are not finite numbers")
    return in_float32(model)


@torch.inference_mode(False)
def quantize_with_scales(
    model: VisionTransformer, calibration: torch.Tensor, *, progress: Progress | None = None,
    **options: Option,
) -> Lowered:
    """Quantize as :func:`quantize` and return also what each integer tensor stands for.

    ``progress`` is called with a part of the work (``"sensitivities"``, in images; ``"blocks"``, anew if few bits need
    a coarser residual stream), the steps that are done and the steps there are.
    """
    settings = Settings(**options)
    model = checked_model(model)
    try:
        check_images(calibration, model.config)
    except (TypeError, ValueError) as error:
        raise type(error)(f"calibration: {error}") from error
    check_names(settings.layer_bits, model.config)
    check_products(model.config, settings)
    info = settings.options | {"calibration_images": str(len(calibration))}
    with torch_threads(1), torch.autocast("cpu", enabled=False):
        return lower(model, calibration, settings, info, progress)


def quantize(
    model: VisionTransformer, calibration: torch.Tensor, *, method: str = "mse", w_bits: int = 4, a_bits: int = 4,
    edge_bits: int = 8, softmax_bits: int | None = None, granularity: str = "channel", seed: int = 0,
    layer_bits: Mapping[str, tuple[int, int]] | None = None, spec: AcceleratorSpec | Arithmetic | None = None,
) -> IntegerViT:
    """Turn a float ViT into an integer ViT, from calibration images alone.

    Parameters
    ----------
    model : VisionTransformer
        Trained; unchanged afterwards. Weights of other floating types (half, bfloat16, double) are converted to
        float32.
    calibration : integer tensor (count, C, H, W)
        Pixels 0..255 of at least one image; a few dozen are enough. Never images that accuracy is measured on.
    method : str
        How ranges are found and weights rounded: a name of :data:`~vitric.golden.quantization.methods.METHODS`.
    w_bits : int
        Weights, 1 to 8; of 2 bits they are ternary (-1, 0, 1), of 1 bit binary (-1, 1).
    a_bits : int
        Activations, keys and values included, 2 to 8.
    edge_bits : int
        Weights of the patch embedding and the head, and the head's input, 2 to 8.
    softmax_bits : int, optional
        Attention probabilities, 2 to 8. By default 8 where the method gives them uniform codes, else ``a_bits``.
    granularity : str
        ``"channel"``: a scale per output channel of the weights; ``"group"``: per 8 of them; ``"layer"``: per layer.
    seed : int
        Of the sampling of very large tensors by the observers; 0 to 2**31 - 1.
    layer_bits : mapping of str to (int, int), optional
        Widths ``(w_bits, a_bits)`` of single products, or of all products of a block or of its ``attn`` or ``mlp``;
        the most specific name counts, and what has none keeps the widths above. The names, and which tensors they
        mean: :mod:`~vitric.golden.quantization.bits`.
    spec : AcceleratorSpec or Arithmetic, optional
        What the model is for: gives the widths of ports, accumulators and residual stream, and the units. By default
        those of the named accelerators.

    Returns
    -------
    IntegerViT
        Equal arguments give an equal model with one version of torch; on different CPUs, too, because everything is
        computed in float64 and no choice is left to the last bits of its sums. Runs on one thread. Weights that are 0
        stay 0, and heads that are 0 throughout are left out. It is the same under ``torch.no_grad`` and
        ``torch.inference_mode``.

    Raises
    ------
    TypeError, ValueError
        An option or the calibration images are illegal, the model holds NaN or infinity, or a layer does not fit the
        integer units (a scale underflows, an accumulator overflows); the message names what, and the legal values.
    """
    return without_dead_heads(quantize_with_scales(
        model, calibration, method=method, w_bits=w_bits, a_bits=a_bits, edge_bits=edge_bits,
        softmax_bits=softmax_bits, granularity=granularity, seed=seed, layer_bits=layer_bits or {}, spec=spec).model)
