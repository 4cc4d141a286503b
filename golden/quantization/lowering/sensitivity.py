"""How much each element of each tensor matters: squared gradients of the logits."""

from collections import defaultdict
from collections.abc import Callable

import torch

from ...tensors import LINEARS, TENSORS, short_name, tapped
from ...vit import VisionTransformer

__all__ = ["ELEMENTS", "ROWS", "Sensitivities"]

ELEMENTS = tuple(tensor.tap for tensor in TENSORS
                 if tensor.product and tensor.kind not in ("pixels", "probabilities"))
"""Taps, without their blocks, of tensors whose codes are chosen by it: kept for every element."""

ROWS = tuple(layer.tap for layer in LINEARS if layer.tap not in ELEMENTS)
"""Taps whose layer only has to know how much each token matters: the mean over the channels is kept."""

_PROBES = 8
_FLOOR = 0.2  # share of a tensor's mean that every element keeps
_CHUNK = 1 << 26  # elements of the tensors of all blocks that are differentiated together
_DOUBLE = 1 << 26  # elements of those tensors for all images, up to which roots are kept in double precision


class Sensitivities:
    """Weight of each element of each tensor in the squared error of the logits.

    The squared error that a small error e of a tensor causes is about the sum of ``w * e*e`` with
    ``w = sum over logits of (d logit / d element)**2`` (Gauss-Newton, with errors that are independent of each other).
    It is estimated from gradients of sums of the logits with random signs, whose mean square it is.

    Images are differentiated a few at a time. Kept are the roots of the weights, for large models as float32 numbers.

    Parameters
    ----------
    model : VisionTransformer
    images : integer tensor (B, C, H, W)
    generator : torch.Generator
        Of the signs.
    progress : function, optional
        Called with the number of images that are done.
    elements : tuple of str
        Names instead of :data:`ELEMENTS`; those of :data:`ROWS` among them are kept for every element, too.
    """

    def __init__(self, model: VisionTransformer, images: torch.Tensor, generator: torch.Generator,
                 progress: Callable[[int], None] | None = None, *, elements: tuple[str, ...] = ELEMENTS):
        shape = (len(images), model.config.num_classes)
        signs = torch.stack([torch.randint(0, 2, shape, generator=generator) * 2 - 1 for _ in range(_PROBES)], dim=1)
        per_image = model.config.depth * model.config.block_elements
        size = max(1, _CHUNK // per_image)
        kept = torch.float64 if per_image * len(images) <= _DOUBLE else torch.float32
        parts = defaultdict(list)
        done = 0
        for chunk, chunk_signs in zip(images.split(size), signs.split(size), strict=True):
            for name, square in _squares(model, chunk, chunk_signs, (*elements, *ROWS)).items():
                parts[name].append(_reduced(name, square, elements).sqrt().to(kept))
            done += len(chunk)
            if progress is not None:
                progress(done)
        self._roots = {name: torch.cat(found) for name, found in parts.items()}
        self._means = {name: root.to(torch.float64).square().mean().clamp(min=1e-300)
                       for name, root in self._roots.items()}

    def __call__(self, name: str) -> torch.Tensor:
        """Return the weights of the tapped tensor ``name``, float64, scaled to a mean of about 1 and never 0.

        For :data:`ELEMENTS` (B, T, N), with heads side by side, for ``norm`` (B, N); for :data:`ROWS` (B, T, 1), the
        mean over the channels; for ``head`` (B, 1).
        """
        return self._roots[name].to(torch.float64).square() / self._means[name] + _FLOOR


def _reduced(name: str, square: torch.Tensor, elements: tuple[str, ...]) -> torch.Tensor:
    if short_name(name) not in elements:
        return square.mean(-1, keepdim=True)
    found = tapped(name)
    return found.to_trace(square, 1) if found is not None and found.layout == "heads" else square


def _squares(
    model: VisionTransformer, images: torch.Tensor, signs: torch.Tensor, names: tuple[str, ...],
) -> dict[str, torch.Tensor]:
    """Return the summed squares of the gradients, float64, of the tensors ``names``; ``signs`` is (B, probes, N)."""
    taps: dict[str, torch.Tensor] = {}

    def record(name, x):
        x = x if x.requires_grad else x.requires_grad_()
        if short_name(name) in names:
            taps[name] = x
        return x

    with torch.enable_grad():
        logits = model(images, record)
        squares = {name: torch.zeros(x.shape, dtype=torch.float64) for name, x in taps.items()}
        for probe in range(_PROBES):
            gradients = torch.autograd.grad((logits * signs[:, probe]).sum(), list(taps.values()), retain_graph=True,
                                            allow_unused=True)
            for square, gradient in zip(squares.values(), gradients, strict=True):
                if gradient is not None:
                    square += gradient.to(torch.float64).square()
    return squares
