"""What it costs to round one operand of one product, everything else in float: the measure behind mixed precision.

Errors that small, independent roundings cause in the logits add up in the mean square (the first term of the Taylor
series that HAWQ-V2, Dong et al. 2020, and OMPQ-like methods work with). They estimate each term as a trace of the
Hessian times the squared rounding error. Here it is measured: a rounding of a whole tensor, made as the method makes
it, is followed through the float model to the logits. That contains the correlations between the elements of a tensor,
on which compensated rounding works and which a trace leaves out, and costs one forward pass per operand and width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf, log10

import torch

from ...integer import patchify
from ...spec.check import check_choice, check_int
from ...tensors import Tensor, linears, tapped, tensors
from ...threads import torch_threads
from ...vit import VisionTransformer, collect
from ..bits import Bits, product_names
from ..codes.books import HIDDEN, PROBABILITIES, fit_book
from ..codes.maps import CodeMap
from ..codes.quantity import Quantity
from ..lowering.calibration import Calibration
from ..lowering.linear import draft_linear
from ..lowering.lowered import Lowered
from ..lowering.output_search import Layer
from ..lowering.sensitivity import ELEMENTS, Sensitivities
from ..ptq import quantize_with_scales
from ..settings import Settings
from .simulate import float64, rounded_logits, set_linear

__all__ = ["WIDTHS", "LayerErrors", "measure_layer_errors"]

WIDTHS = (2, 3, 4, 6, 8)
"""Widths to choose from. On 4-bit digits a signed code of 5 bits has the range of one of 6, so 5 is not among them."""


@dataclass(frozen=True, kw_only=True)
class LayerErrors:
    """Mean squared errors of the logits, summed over the classes, that one rounding at a time causes.

    Parameters
    ----------
    signal : float
        Mean square of the float model's logits, summed over the classes.
    errors : dict of dict of float
        By ``(product, port)`` with the ports ``"w"`` and ``"a"``, and by width.
    """

    signal: float
    errors: dict[tuple[str, str], dict[int, float]]

    def of(self, product: str, bits: Bits) -> float:
        """Return the error of rounding both operands of a product, the sum of that of each; pixels lose nothing.

        Raises
        ------
        ValueError
            A width was not measured.
        """
        total = 0.0
        for port in "w" if product == "patch_embed" else "wa":
            known = self.errors.get((product, port), {})
            check_choice(f"{port}_bits of {product}", getattr(bits, port), tuple(known))
            total += known[getattr(bits, port)]
        return total

    def snr_db(self, error: float) -> float:
        """Return how far, in decibels, the logits are above a mean squared error."""
        return 10 * log10(self.signal / error) if error else inf


class _Measurement:
    """The float model, its tensors for the calibration images, and how each is rounded at 8 bits."""

    def __init__(self, lowered: Lowered, calibration: torch.Tensor, images: torch.Tensor, settings: Settings):
        self.lowered, self.settings, self.images = lowered, settings, images
        self.model = float64(lowered.source)
        self.exact: dict[str, torch.Tensor] = {}
        rounded_logits(self.model, {}, calibration, self.exact)
        self.codes: dict[str, torch.Tensor] = {}
        lowered.model(calibration, self.codes, every_token=True)
        self.codes["input"] = patchify(calibration, self.model.config)[:, self.model.config.num_prefix_tokens:]
        self.taps = collect(lowered.source, calibration)
        weights = Sensitivities(lowered.source, calibration, settings.generator, elements=(*ELEMENTS, "attn.softmax"))
        self.importance = Calibration(lowered.source, calibration,
                                      weights if settings.recipe.sensitivity else None).importance
        self.logits = rounded_logits(self.model, {}, images)

    def error(self, quantities: dict[str, Quantity]) -> float:
        """Return the mean squared error of the logits, with these tensors rounded."""
        return float((rounded_logits(self.model, quantities, self.images) - self.logits).square().sum(1).mean())

    def weights(self, product: str, bits: int) -> float:
        """Return the error of rounding a product's weights."""
        parts = [layer for layer in linears(self.model.config) if layer.product == product]
        module = self.model.get_submodule(parts[0].module)
        weights, bias = module.weight.flatten(1), module.bias
        drafts = []
        for part in parts:
            rows, known = part.rows(len(weights)), tapped(part.tap)
            target = self.taps[part.tap]
            target = target if known is None else known.to_trace(target, self.model.config.num_head_tokens)
            shape = target.shape if len(parts) > 1 else (*target.shape[:2], 1)
            importance = self.importance(part.tap, shape)
            layer = Layer.trained(product, weights[rows], None if bias is None else bias[rows], target, importance,
                                  self.settings.weights(bits))
            drafts.append(draft_linear(layer, self.codes[part.source], self.lowered.quantities[part.source],
                                       self.settings).dequantized())
        kept = module.weight.clone(), bias
        set_linear(module, *(torch.cat(tensors) for tensors in zip(*drafts, strict=True)))
        error = self.error({})
        module.weight.copy_(kept[0])
        module.bias = kept[1]
        return error

    def activation(self, tensor: Tensor, bits: int) -> float:
        """Return the error of rounding a tensor."""
        return self.error({tensor.name: self.rounded(tensor, bits)})

    def rounded(self, tensor: Tensor, bits: int) -> Quantity:
        """Return how a tensor is rounded to ``bits`` bits: as to 8, with the steps that fit this width."""
        recipe, x = self.settings.recipe, self.exact[tensor.name]
        fine = self.lowered.quantities[tensor.name]
        weight = self.importance(tensor.tap, x.shape)
        candidates = self.candidates(tensor, fine.codes, bits)
        if len(candidates) > 1:
            return fit_book(tensor.name, x, candidates, recipe.observer, weight, self.settings.generator)
        groups = self.groups(tensor, x.shape[-1])
        step = fine.scale.expand(x.shape[-1])
        samples, weight = (y.reshape(-1, groups, x.shape[-1] // groups).transpose(0, 1).flatten(1)
                           for y in ((x - fine.offset) / step, weight * step.square()))
        scale, zero_point = recipe.observer(samples, candidates[0], weight)
        return Quantity(codes=candidates[0], scale=step * scale.repeat_interleave(x.shape[-1] // groups),
                        zero_point=int(zero_point[0]), offset=fine.offset)

    def candidates(self, tensor: Tensor, codes: CodeMap, bits: int) -> tuple[CodeMap, ...]:
        """Return the code maps to choose from."""
        recipe = self.settings.recipe
        if tensor.kind == "probabilities":
            return PROBABILITIES[recipe.probabilities](bits)
        if tensor.kind == "hidden":
            return HIDDEN[recipe.hidden](bits, self.settings.arithmetic.a_bits)
        return (replace(codes, bits=bits),)

    def groups(self, tensor: Tensor, channels: int) -> int:
        """Return how many groups of channels have a scale of their own."""
        if tensor.kind == "values":
            return channels
        return self.lowered.source.config.num_heads if tensor.kind in ("queries", "keys") else 1


@torch.inference_mode(False)
@torch.no_grad()
def measure_layer_errors(
    model: VisionTransformer, calibration: torch.Tensor, images: torch.Tensor, *, widths: Sequence[int] = WIDTHS,
    on_product: Callable[[str], None] | None = None, **options: str | int,
) -> LayerErrors:
    """Round one operand at a time and follow the error to the logits.

    Parameters
    ----------
    model : VisionTransformer
    calibration : integer tensor (count, C, H, W)
        Images that ranges are found and weights rounded on.
    images : integer tensor (count, C, H, W)
        Images that errors are measured on; better others, because compensated rounding fits the calibration images.
    widths : sequence of int
        Widths to try, 2 to 8.
    on_product : callable, optional
        Called with the name of each product before it is measured.
    **options
        Of :func:`~vitric.golden.quantization.quantize`: method, granularity, widths of the planes, seed.

    Raises
    ------
    TypeError, ValueError
        As :func:`~vitric.golden.quantization.quantize`, a width is illegal, or there is a distillation token.
    """
    if not widths:
        raise ValueError("widths must hold at least one width of 2 to 8 bits, not none")
    for width in widths:
        check_int("widths", width, 2, 8)
    if model.config.distilled:
        raise ValueError("errors of single layers are not measured for models with a distillation token")
    fine = {"w_bits": 8, "a_bits": 8, "edge_bits": 8, "softmax_bits": 8}
    settings = Settings(**options, **fine)
    lowered = quantize_with_scales(model, calibration, **options, **fine)
    errors = {}
    with torch_threads(1):
        work = _Measurement(lowered, calibration, images, settings)
        for product in product_names(model.config):
            if on_product is not None:
                on_product(product)
            operands = {tensor.port: tensor for tensor in tensors(model.config) if tensor.product == product}
            weights = partial(work.activation, operands["w"]) if "w" in operands else partial(work.weights, product)
            errors[product, "w"] = {width: weights(width) for width in widths}
            if operands["a"].kind != "pixels":
                errors[product, "a"] = {width: work.activation(operands["a"], width) for width in widths}
    return LayerErrors(signal=float(work.logits.square().sum(1).mean()), errors=errors)
