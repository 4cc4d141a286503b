"""A tensor's codes together with what they stand for."""

from dataclasses import dataclass

import torch

from .codes import CodeMap
from .observers import Observer

__all__ = ["Quantity", "SMALLEST_SCALE", "check_scale", "observe"]

SMALLEST_SCALE = 2.0**-100
"""Scales below it count as an underflow: the range they come from is no more than rounding noise."""

_SAMPLES = 1 << 17  # samples that an observer sees of one tensor, at most


@dataclass(frozen=True, kw_only=True, eq=False)
class Quantity:
    """Codes of one tensor: code ``c`` stands for ``(c - zero_point) * scale + offset``.

    Parameters
    ----------
    codes : CodeMap
    scale : float64 tensor
        () or (N,), per channel of the last axis.
    zero_point : int
    offset : float64 tensor
        () or (N,): what the layers around the tensor add back in their biases. 0 for most.
    """

    codes: CodeMap
    scale: torch.Tensor
    zero_point: int
    offset: torch.Tensor

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Return the codes of real values, int64."""
        return self.codes.encode(x - self.offset, self.scale, torch.tensor(self.zero_point))

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the real values of codes, float64."""
        return self.codes.decode(codes, self.scale, torch.tensor(self.zero_point)) + self.offset


def check_scale(name: str, scale: torch.Tensor) -> torch.Tensor:
    """Return ``scale``; raise :exc:`ValueError` naming the tensor if an element is no usable scale."""
    wrong = ~(scale.isfinite() & (scale >= SMALLEST_SCALE))
    if wrong.any():
        value = float(scale[wrong].reshape(-1)[0])
        raise ValueError(f"{name}: the scale underflows or is not finite: it must be at least {SMALLEST_SCALE:.3g}, "
                         f"not {value:.3g}")
    return scale


def observe(
    name: str, x: torch.Tensor, codes: CodeMap, observer: Observer, generator: torch.Generator,
    *, offset: torch.Tensor | float = 0.0, factor: torch.Tensor | float = 1.0,
) -> Quantity:
    """Return the quantity of a tensor with one range.

    Parameters
    ----------
    name : str
        Of the tensor, for error messages.
    x : float tensor (..., N)
        Its values for the calibration images.
    codes, observer
        Code map, and how its range is found.
    generator : torch.Generator
        Draws the samples that the observer sees, if ``x`` has very many elements.
    offset, factor : float or float64 tensor (N,)
        The codes are those of ``(x - offset) / factor``, which may differ between channels at no cost if the layers
        around the tensor absorb them.
    """
    offset, factor = (torch.as_tensor(value, dtype=torch.float64) for value in (offset, factor))
    samples = ((x.to(torch.float64) - offset) / factor).reshape(-1)
    if len(samples) > _SAMPLES:
        low, high = samples.min(), samples.max()  # the ends are always seen
        chosen = torch.randint(len(samples), (_SAMPLES - 2,), generator=generator)
        samples = torch.cat([samples[chosen], low[None], high[None]])
    scale, zero_point = observer(samples[None], codes, None)
    return Quantity(codes=codes, scale=check_scale(name, scale[0]) * factor, zero_point=int(zero_point[0]),
                    offset=offset)
