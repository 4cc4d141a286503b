"""Softmax as I-BERT, I-ViT, FQ-ViT, SOLE and ITA compute it, on integers.

Each takes integer logits ``[..., n]`` with a scale and returns the probabilities that its integer outputs stand for,
float64 ``[..., n]``: what is needed to compare errors. Shifts and divisions are those of the published code.
``python bench/softmax.py`` prints their errors beside ours.
"""

import torch

from ..arith import assert_integer
from .exponential import check_scale, i_exp, shift_exp

__all__ = ["i_softmax", "itamax", "log_int_softmax", "shiftmax", "sole_softmax"]


def _from_maximum(q: torch.Tensor) -> torch.Tensor:
    assert_integer(q=q)
    q = q.to(torch.int64)
    return q - q.amax(-1, keepdim=True)


def i_softmax(q: torch.Tensor, scale: float, *, out_bits: int = 8) -> torch.Tensor:
    """I-BERT's i-softmax (Kim et al. 2021): i-exp, requantized to 16 bits, times one reciprocal of the sum.

    The requantization of the published code follows a running range; here it is the range of exp itself, 0 to 1.
    """
    e, unit = i_exp(_from_maximum(q), scale)
    e = torch.floor(e * (unit * (2**15 - 1)) + 0.5).to(torch.int64).clamp(max=2**15 - 1)
    factor = 2**32 // e.sum(-1, keepdim=True)
    return (e * factor >> 32 - out_bits).to(torch.float64) / 2**out_bits


def shiftmax(q: torch.Tensor, scale: float, *, out_bits: int = 8) -> torch.Tensor:
    """I-ViT's Shiftmax (Li and Gu 2023, algorithm 1): Shift-exp, one integer division per row; unit ``2**(1-bits)``."""
    e, _ = shift_exp(_from_maximum(q), scale, octaves=15)
    factor = (2**31 - 1) // e.sum(-1, keepdim=True).clamp(max=2**31 - 1)
    return (e * factor >> 31 - out_bits + 1).to(torch.float64) / 2 ** (out_bits - 1)


def log_int_softmax(q: torch.Tensor, scale: float, *, out_bits: int = 4) -> torch.Tensor:
    """FQ-ViT's log-int-softmax (Lin et al. 2022): i-exp, then the rounded base-2 logarithm of sum over term.

    The logarithm rounds by the bit after the leading one. Beyond ``2**out_bits - 1`` octaves the value is 0.
    """
    e, _ = i_exp(_from_maximum(q), scale)
    ratio = torch.where(e > 0, (2 * e.sum(-1, keepdim=True) + e) // (2 * e).clamp(min=1), 2**62)
    octave = torch.zeros_like(ratio)
    for bit in range(1, 63):
        octave += ratio >= 1 << bit
    octave += ratio - (1 << octave) >= 1 << (octave - 1).clamp(min=0)
    return torch.where(octave < 2**out_bits, 2.0 ** -octave.to(torch.float64), 0.0)


def sole_softmax(q: torch.Tensor, scale: float, *, swapped: bool = False) -> torch.Tensor:
    """SOLE's E2Softmax (Wang et al. 2023): 4-bit power-of-two terms, and a division by two constants.

    ``log2(e)`` is ``1 + 1/2 - 1/16``; the sum ``2**s * (1 + m)`` divides as ``0.818`` or, from m = 1/2 on, ``0.568``
    times ``2**-s``. Products have 8 bits. ``swapped`` exchanges the constants, a mistake that a published
    re-implementation makes.
    """
    check_scale(scale)
    q = _from_maximum(q)
    frac = 8
    x = torch.floor(q * (scale * 2**frac) + 0.5).to(torch.int64)
    k = (-(x + (x >> 1) - (x >> 4)) >> frac).clamp(0, 15)
    total = (1 << 15 - k).sum(-1, keepdim=True)  # in units of 2**-15
    lead = torch.zeros_like(total)
    for bit in range(1, 40):
        lead += total >= 1 << bit
    lower, upper = (145, 209) if swapped else (209, 145)  # 0.818 and 0.568 in units of 2**-8
    constant = torch.where((total >> lead - 1) & 1 == 1, upper, lower)
    return constant.to(torch.float64) * 2.0 ** (-8 - (k + lead - 15).to(torch.float64))


def itamax(q: torch.Tensor, scale: float) -> torch.Tensor:
    """ITA's ITAMax (Islamoglu et al. 2023): powers of two on 8-bit logits whose unit is one octave.

    Logits are rounded to octaves (8 bits, saturated) first. The sum follows a running maximum over blocks of 16; one
    reciprocal of 16 bits per row; outputs of 8 bits.
    """
    check_scale(scale)
    assert_integer(q=q)
    x = torch.floor(q.to(torch.float64) * (scale / 0.6931471805599453) + 0.5).to(torch.int64).clamp(-128, 127)
    maximum = torch.full_like(x[..., :1], -128)
    total = torch.zeros_like(maximum)
    for block in x.split(16, -1):
        top = torch.maximum(maximum, block.amax(-1, keepdim=True))
        rise = (top - maximum).clamp(max=40)
        total = (total + ((1 << rise) >> 1) >> rise) + (256 >> (top - block).clamp(max=40)).sum(-1, keepdim=True)
        maximum = top
    inverse = 255 * 256 // total
    return (inverse >> (maximum - x).clamp(max=40)).to(torch.float64) / 256
