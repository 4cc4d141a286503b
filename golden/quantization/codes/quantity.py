"""A tensor's codes together with what they stand for."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from .maps import CodeMap
from .observers import Observer

Channels = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]

__all__ = ["CONSTANT", "Channels", "ENOUGH_FOR_CHANNELS", "ENOUGH_SAMPLES", "Quantity", "SMALLEST_SCALE", "check_scale",
           "observe"]

SMALLEST_SCALE = 2.0**-100
"""Scales below it count as an underflow: the range they come from is no more than rounding noise."""

CONSTANT = 2.0**-12
"""A tensor that varies by less than this, relative to its largest magnitude, counts as constant."""

ENOUGH_SAMPLES = 64
"""Samples per channel from which weights and biases are fitted to them: compensation, bias correction, search."""

ENOUGH_FOR_CHANNELS = 256
"""Samples per channel from which each channel of a tensor gets a range of its own.

A range that is too narrow for images unseen costs more than weights that fit too closely: on the digits, with 5 and 10
images of 17 tokens, ranges per channel cost 3.8 and 0.5 dB of the logits at W4A4; with 16 it is even, with 64 they gain
1.1 dB.
"""

_SAMPLES = 1 << 16  # samples that an observer sees of one tensor, at most


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
    *, channels: Channels | None = None, importance: torch.Tensor | None = None, least: torch.Tensor | float = 0.0,
) -> Quantity:
    """Return the quantity of a tensor.

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
    channels : function of :data:`~vitric.golden.quantization.codes.channels.CHANNELS`, optional
        Normalises every channel first, by an offset and a factor of its own that the layers around the tensor have to
        absorb. Without it, and for too few samples to tell, the tensor has one scale and no offset.
    importance : float64 tensor, shape of ``x``, optional
        Of each element's squared error; without it all count the same.
    least : float or float64 tensor (N,)
        The scale is not made smaller than this.
    """
    samples = x.to(torch.float64).reshape(-1, x.shape[-1])  # (n, N)
    weights = torch.ones_like(samples) if importance is None else importance.reshape(samples.shape)
    offset, factor = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)
    if channels is not None and len(samples) >= ENOUGH_FOR_CHANNELS:
        offset, factor = channels(samples)
    samples, weights = ((samples - offset) / factor).reshape(-1), (weights * factor.square()).reshape(-1)
    if len(samples) > _SAMPLES:
        chosen = torch.randint(len(samples), (_SAMPLES - 2,), generator=generator)
        chosen = torch.cat([chosen, torch.stack([samples.argmin(), samples.argmax()])])  # the ends are always seen
        samples, weights = samples[chosen], weights[chosen]
    scale, zero_point = observer(samples[None], codes, weights[None])
    least = torch.as_tensor(least, dtype=torch.float64)
    scale = torch.maximum(scale[0] * factor, least if factor.dim() else least.max())
    return Quantity(codes=codes, scale=check_scale(name, scale), zero_point=int(zero_point[0]),
                    offset=offset)
