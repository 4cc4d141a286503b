"""How far each tensor of an integer model is from the float model's, through the depth."""

from dataclasses import dataclass

import torch

from ...evaluation import SignalToNoise
from ..lowering.lowered import Lowered
from .simulate import reference

__all__ = ["TensorError", "tensor_errors"]


@dataclass(frozen=True)
class TensorError:
    """What one tensor has lost at its place in the integer model, errors of everything before it included.

    Attributes
    ----------
    snr_db : float
        Power of the float model's values over that of their error.
    scale : (float, float)
        Smallest and largest value of a step of the code among the channels.
    zero_point : int
    saturated : float
        Share of the values whose code is the least or the greatest.
    outlier : float
        Largest magnitude of any channel of the float model, over the median of the channels'.
    """

    snr_db: float
    scale: tuple[float, float]
    zero_point: int
    saturated: float
    outlier: float


@torch.no_grad()
def tensor_errors(lowered: Lowered, images: torch.Tensor) -> dict[str, TensorError]:
    """Return the error of each tensor of the trace, in the order of computation; of all tokens in the last block too.

    Parameters
    ----------
    lowered : Lowered
    images : integer tensor (count, C, H, W)
        Better others than those that it was calibrated on.
    """
    trace: dict[str, torch.Tensor] = {}
    lowered.model(images, trace, every_token=True)
    exact, found = reference(lowered, images), lowered.decode(trace)
    errors = {}
    for name, codes in trace.items():
        if name in exact:
            quantity, x = lowered.quantities[name], exact[name]
            low, high = quantity.codes.low, quantity.codes.high
            channels = x.reshape(-1, x.shape[-1]).abs().amax(0)
            median = float(channels.median())
            errors[name] = TensorError(
                snr_db=SignalToNoise().add(x, found[name] - x).db,
                scale=(float(quantity.scale.min()), float(quantity.scale.max())), zero_point=quantity.zero_point,
                saturated=float(((codes <= low) | (codes >= high)).double().mean()),
                outlier=float(channels.max()) / median if median else 1.0)
    return errors
