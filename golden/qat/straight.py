"""The straight-through estimator: values of the integers forward, gradients of the real functions backward."""

from typing import Any

import torch

__all__ = ["replace_learned", "replaced"]


def replaced(x: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Return ``value`` with the gradient of ``x`` (Bengio et al. 2013)."""
    return x + (value - x).detach()


class _Learned(torch.autograd.Function):
    """See :func:`replace_learned`."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, value: torch.Tensor, log_scale: torch.Tensor, low: torch.Tensor,
                high: torch.Tensor, offset: torch.Tensor, live: torch.Tensor | None) -> torch.Tensor:
        inside = (x >= low) & (x <= high)
        if live is not None:
            inside &= live
        ctx.save_for_backward(torch.where(inside, value - x, value - offset), inside)
        ctx.shape = log_scale.shape
        return value

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        step, inside = ctx.saved_tensors
        return gradient * inside, None, (gradient * step).sum_to_size(ctx.shape), None, None, None, None


def replace_learned(
    x: torch.Tensor, value: torch.Tensor, log_scale: torch.Tensor, low: torch.Tensor, high: torch.Tensor,
    offset: torch.Tensor, *, live: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return ``value``, the quantized ``x``, with the gradients of learned step size quantization.

    With codes c and ``value = (c - zero_point) * scale + offset`` (LSQ, Esser et al. 2020, equations 1 to 5, here for
    the logarithm of the scale, so that a step is relative): inside the range of the codes the gradient of x is that of
    the value and the scale's is ``value - x``; outside, x gets none and the scale's is ``value - offset``.

    Parameters
    ----------
    x : float tensor
        The real values.
    value : float tensor, shape of ``x``
        What the codes of ``x`` stand for.
    log_scale : float tensor that broadcasts against ``x``
        Natural logarithm of the scale, up to a constant; only its gradient is used.
    low, high : float tensors that broadcast against ``x``
        Real values half a step beyond the smallest and the largest code.
    offset : float tensor that broadcasts against ``x``
        Real value of the zero point.
    live : bool tensor, shape of ``x``, optional
        Elements that are not live count as outside.
    """
    return _Learned.apply(x, value, log_scale, low, high, offset, live)
