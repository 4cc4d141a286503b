"""Code maps: which integers a tensor may become, and what real value each of them stands for.

A code map has ``encode`` and ``decode`` and, if its scale is chosen by calibration,
``fit(low, high) -> (scale, zero_point)``; observers and rounding know nothing else about it. Scales and zero points
are float64 and int64 tensors that broadcast against the values.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch

from ...arith import nearest_signed_code, signed_code_range
from ...spec.check import check_int

__all__ = [
    "BinaryCodes", "BookCodes", "CentredCodes", "CodeMap", "FittedCodes", "NarrowCodes", "SignedCodes", "UnsignedCodes",
]

_NOISE = 2.0**-24  # of a step, more than sums in float64 differ by between CPUs


@dataclass(frozen=True)
class CodeMap:
    """Uniform codes: the real value of a code is ``(code - zero_point) * scale``.

    Parameters
    ----------
    bits : int
        Width of a code, 2 to 8 (16 for values of the residual stream).
    """

    bits: int

    def __post_init__(self):
        check_int("bits", self.bits, 2, 16)

    @property
    def low(self) -> int:
        """Smallest code."""
        return 0

    @property
    def high(self) -> int:
        """Largest code."""
        return (1 << self.bits) - 1

    @property
    def legal(self) -> torch.Tensor:
        """All codes, int64 (V,), ascending."""
        return torch.arange(self.low, self.high + 1)

    def encode(self, x: torch.Tensor, scale: torch.Tensor, zero_point: torch.Tensor) -> torch.Tensor:
        """Return the nearest codes (halves up), int64."""
        return (torch.floor(x / scale + 0.5) + zero_point).clamp(self.low, self.high).to(torch.int64)

    def decode(self, codes: torch.Tensor, scale: torch.Tensor, zero_point: torch.Tensor) -> torch.Tensor:
        """Return the real values of ``codes``, float64."""
        return (codes - zero_point).to(torch.float64) * scale


class FittedCodes(CodeMap, ABC):
    """A code map whose scale and zero point follow from the range that an observer saw."""

    @abstractmethod
    def fit(self, low: torch.Tensor, high: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return scale and zero point with which the codes cover ``low .. high`` and 0; scale 1 for ``0 .. 0``."""


def _positive(scale: torch.Tensor) -> torch.Tensor:
    return torch.where(scale > 0, scale, torch.ones_like(scale))


class UnsignedCodes(FittedCodes):
    """Asymmetric: ``0 .. 2**bits - 1``, the zero point wherever the range puts it. For activations."""

    def fit(self, low, high):
        """Return scale and zero point: the range is widened to contain 0.

        Halves go up, and what is a half but for the last bits of float sums, as in every symmetric range.
        """
        low, high = low.clamp(max=0.0), high.clamp(min=0.0)
        scale = _positive((high - low) / self.high)
        return scale, torch.floor(-low / scale + (0.5 + _NOISE)).to(torch.int64)


class CentredCodes(FittedCodes):
    """Unsigned codes whose zero point is the middle code, ``2**(bits - 1)``. For queries."""

    def fit(self, low, high):
        """Return scale and zero point: the range is widened to be symmetric."""
        scale = _positive(torch.maximum(-low, high).clamp(min=0.0) / ((1 << self.bits - 1) - 0.5))
        return scale, torch.full_like(scale, 1 << self.bits - 1, dtype=torch.int64)


@dataclass(frozen=True)
class BookCodes(FittedCodes):
    """Some of the unsigned codes: a code book. For probabilities and GELU outputs, which go through a table.

    What is stored, and what the array multiplies, is the value; k bits of information choose among ``2**k`` values.

    Parameters
    ----------
    values : tuple of int
        Legal codes, ascending, 0 to ``2**bits - 1``.
    zero : int
        What stands for 0, whether it is legal or not.
    """

    values: tuple[int, ...]
    zero: int = 0

    @property
    def low(self) -> int:
        """Smallest code."""
        return self.values[0]

    @property
    def high(self) -> int:
        """Largest code."""
        return self.values[-1]

    @property
    def legal(self) -> torch.Tensor:
        """All codes, int64 (V,), ascending."""
        return torch.tensor(self.values)

    def fit(self, low, high):
        """Return the scale with which the codes reach both ends, and the zero point."""
        scale = high.clamp(min=0.0) / (self.high - self.zero)
        if self.zero > self.low:
            scale = torch.maximum(scale, -low.clamp(max=0.0) / (self.zero - self.low))
        scale = _positive(scale)
        return scale, torch.full_like(scale, self.zero, dtype=torch.int64)

    def encode(self, x, scale, zero_point):
        """Return the nearest legal codes (halves up), int64."""
        values = self.legal
        middles = (values[1:] + values[:-1]) / 2
        steps = (x / scale + zero_point).to(torch.float64)
        return values[torch.bucketize(steps, middles.to(torch.float64), right=True)]


@dataclass(frozen=True)
class NarrowCodes(FittedCodes):
    """Signed, symmetric and narrow: what the array's weight port takes. For weights, keys and values.

    Parameters
    ----------
    plane_bits : int
        Width of the port. Codes wider than it have two narrow digits, and values that these cannot form are left out
        (see :func:`vitric.golden.arith.signed_code_range`).
    """

    plane_bits: int

    reach = 0.5
    """Distance from a code to the end of what is rounded to it, in steps."""

    @property
    def low(self) -> int:
        """Smallest code, ``-high``."""
        return -self.high

    @property
    def high(self) -> int:
        """Largest code."""
        return signed_code_range(self.bits, self.plane_bits)

    @property
    def planes(self) -> int:
        """Digits of a code."""
        return 1 if self.bits <= self.plane_bits else 2

    @property
    def legal(self) -> torch.Tensor:
        """All codes, int64 (V,), ascending."""
        codes = super().legal
        return codes[nearest_signed_code(codes, self.plane_bits, self.planes) == codes]

    def fit(self, low, high):
        """Return the scale of the larger magnitude, and zero point 0."""
        scale = _positive(torch.maximum(-low, high).clamp(min=0.0) / self.high)
        return scale, torch.zeros_like(scale, dtype=torch.int64)

    def encode(self, x, scale, zero_point):
        """Return the nearest legal codes, int64."""
        codes = super().encode(x, scale, zero_point)
        if self.planes == 1:  # every code has one digit
            return codes
        upper = nearest_signed_code(codes, self.plane_bits, self.planes)
        return torch.where((upper > codes) & (x < codes * scale), codes - 1, upper)


@dataclass(frozen=True)
class BinaryCodes(NarrowCodes):
    """Two weights, -1 and 1, stored as signed codes of 2 bits: by the sign, 0 counting as positive."""

    reach = 1.0
    """Distance from a code to the middle between the two."""

    @property
    def legal(self) -> torch.Tensor:
        """All codes, int64 (V,), ascending."""
        return torch.tensor([-1, 1])

    def encode(self, x, scale, zero_point):
        """Return -1 and 1, int64."""
        return torch.where(x < 0, -1, 1)


class SignedCodes(CodeMap):
    """Two's complement values of the residual stream and the logits; the scale is given, never fitted."""

    @property
    def low(self) -> int:
        """Smallest code."""
        return -(1 << self.bits - 1)

    @property
    def high(self) -> int:
        """Largest code."""
        return (1 << self.bits - 1) - 1
