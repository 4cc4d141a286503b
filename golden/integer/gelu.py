"""GELU, or another activation, as a table from code to code: requantization included, it is one look-up.

With at most 8 bits of index a table is exact (every entry is the correctly rounded value of the float function at
that code) and smaller than any arithmetic. Building the table is lowering and uses floats; applying it does not.
"""

import math
from collections.abc import Callable

import torch

from ..activation import gelu
from ..spec.check import check_int

__all__ = ["gelu_table"]


def _round_half_up(x: float) -> int:
    floor = math.floor(x)
    return floor + (x - floor >= 0.5)  # not floor(x + 0.5): that sum rounds, and 0.5 - 2**-54 would become 1


def gelu_table(
    scale_in: float, zero_point_in: int, index_bits: int, scale_out: float, zero_point_out: int, out_bits: int,
    function: Callable[[float], float] = gelu,
) -> torch.Tensor:
    """Return the table ``clamp(round_half_up(gelu((index - zero_point_in) * scale_in) / scale_out) + zero_point_out)``.

    Parameters
    ----------
    scale_in, zero_point_in : float, int
        The index stands for the real value ``(index - zero_point_in) * scale_in``.
    index_bits : int
        Width of the unsigned index, 2 to 8.
    scale_out, zero_point_out : float, int
        An entry stands for the real value ``(entry - zero_point_out) * scale_out``.
    out_bits : int
        Width of the unsigned entries, 2 to 8; the clamp is to ``0 .. 2**out_bits - 1``.
    function
        Instead of the exact GELU.

    Returns
    -------
    torch.Tensor
        int64, shape (2**index_bits,).

    Raises
    ------
    TypeError, ValueError
        A width or zero point is out of range, or a scale is not a positive finite number.
    """
    check_int("index_bits", index_bits, 2, 8)
    check_int("out_bits", out_bits, 2, 8)
    check_int("zero_point_in", zero_point_in, -(1 << 16), 1 << 16)
    check_int("zero_point_out", zero_point_out, -(1 << 16), 1 << 16)
    for name, scale in (("scale_in", scale_in), ("scale_out", scale_out)):
        if not (math.isfinite(scale) and scale > 0):
            raise ValueError(f"{name} must be a positive finite number, not {scale!r}")
    top = (1 << out_bits) - 1
    entries = []
    for index in range(1 << index_bits):
        value = function((index - zero_point_in) * scale_in) / scale_out
        value = min(max(value, -(1 << 20)), 1 << 20)
        entries.append(min(max(_round_half_up(value) + zero_point_out, 0), top))
    return torch.tensor(entries, dtype=torch.int64)
