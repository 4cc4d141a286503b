"""How much each element of each tensor matters: squared gradients of the logits."""

import torch

from ..vit import VisionTransformer

__all__ = ["sensitivities"]

_PROBES = 8
_FLOOR = 0.2  # share of a tensor's mean that every element keeps


def sensitivities(
    model: VisionTransformer, images: torch.Tensor, generator: torch.Generator,
) -> dict[str, torch.Tensor]:
    """Return the weight of each element of each tapped tensor in the squared error of the logits.

    The squared error that a small error e of a tensor causes is about the sum of ``w * e*e`` with
    ``w = sum over logits of (d logit / d element)**2`` (Gauss-Newton, with errors that are independent of each other).
    It is estimated from gradients of sums of the logits with random signs, whose mean square it is.

    Returns
    -------
    dict of float64 tensors
        By the tap's name, in the tap's shape, each scaled to a mean of about 1 and never 0.
    """
    taps: dict[str, torch.Tensor] = {}

    def record(name, tensor):
        taps[name] = tensor if tensor.requires_grad else tensor.requires_grad_()
        return tensor

    with torch.enable_grad():
        logits = model(images, record)
        squares = [torch.zeros(x.shape, dtype=torch.float64) for x in taps.values()]
        for _ in range(_PROBES):
            signs = torch.randint(0, 2, logits.shape, generator=generator) * 2 - 1
            gradients = torch.autograd.grad((logits * signs).sum(), list(taps.values()), retain_graph=True,
                                            allow_unused=True)
            for square, gradient in zip(squares, gradients, strict=True):
                if gradient is not None:
                    square += gradient.to(torch.float64).square()
    means = [square.mean().clamp(min=1e-300) for square in squares]
    return {name: square / mean + _FLOOR for name, square, mean in zip(taps, squares, means, strict=True)}
