"""The activations between the two layers of an MLP, by timm's names: of a number, for tables, and of a tensor."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import torch
from torch.nn import functional

__all__ = ["ACTIVATIONS", "CUBIC", "QUICK", "TANH_SCALE", "Activation", "gelu", "gelu_tanh", "quick_gelu"]

CUBIC, TANH_SCALE = 0.044715, math.sqrt(2 / math.pi)
"""Constants of :func:`gelu_tanh`."""

QUICK = 1.702
"""Constant of :func:`quick_gelu`."""


def gelu(x: float) -> float:
    """Return ``x * Phi(x)``, the exact GELU, where Phi is the distribution function of the standard normal.

    Computed as ``0.5 * x * erfc(-x / sqrt(2))``, which keeps full relative precision for negative ``x``, where
    ``1 + erf`` would cancel.
    """
    return 0.5 * x * math.erfc(-x / math.sqrt(2))


def _logistic(x: float) -> float:
    """Return ``1 / (1 + exp(-x))`` to full relative precision."""
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def gelu_tanh(x: float) -> float:
    """Return ``0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))`` (Hendrycks and Gimpel 2016, section 2).

    Computed with ``(1 + tanh(y)) / 2 = 1 / (1 + exp(-2 * y))``, which does not cancel.
    """
    return x * _logistic(2 * TANH_SCALE * (x + CUBIC * x**3))


def quick_gelu(x: float) -> float:
    """Return ``x / (1 + exp(-1.702 * x))`` (Hendrycks and Gimpel 2016, section 2), OpenAI's CLIP's."""
    return x * _logistic(QUICK * x)


@dataclass(frozen=True)
class Activation:
    """One function.

    Attributes
    ----------
    of_number : function
        From a float to a float, to full precision.
    of_tensor : function
        The same, elementwise and differentiable.
    flat : float
        Below it the function is above -0.0002, so that codes need not tell what lies there.
    """

    of_number: Callable[[float], float]
    of_tensor: Callable[[torch.Tensor], torch.Tensor]
    flat: float


ACTIVATIONS: Mapping[str, Activation] = MappingProxyType({
    "gelu": Activation(gelu, functional.gelu, -4.0),
    "gelu_tanh": Activation(gelu_tanh, partial(functional.gelu, approximate="tanh"), -4.0),
    "quick_gelu": Activation(quick_gelu, lambda x: x * torch.sigmoid(QUICK * x), -6.5),
})
"""By the name that :class:`~vitric.golden.spec.vit.VitConfig` has for it, which is timm's."""
