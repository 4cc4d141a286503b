"""Accumulators to codes and to scores: what the requantize unit does, as part of an integer model."""

from dataclasses import dataclass

import torch

from ..arith import assert_fits, assert_integer, requantize
from ..spec.requantize import OPERAND_BITS
from ..spec.softmax import SoftmaxSpec

__all__ = ["Requantizer", "requantize_scores"]


@dataclass(frozen=True, kw_only=True)
class Requantizer:
    """Accumulators to codes: :func:`vitric.golden.arith.requantize` with a multiplier's operand of 18 bits.

    Parameters
    ----------
    bias, multiplier, pre_shift, shift : int64 tensors, shape (N,)
        Per output channel. The zero point of the layer's input is folded into ``bias`` (signed 32 bits, in steps of
        ``2**pre_shift`` of the accumulator); ``multiplier`` is unsigned, at most 16 bits; ``(pre_shift, shift)`` is
        one of the scalings of the requantize unit.
    zero_point, low, high : int
        Of the output code.
    """

    bias: torch.Tensor
    multiplier: torch.Tensor
    pre_shift: torch.Tensor
    shift: torch.Tensor
    zero_point: int
    low: int
    high: int

    def __post_init__(self):
        assert_integer(bias=self.bias, multiplier=self.multiplier, pre_shift=self.pre_shift, shift=self.shift)
        assert_fits("bias", self.bias, 32)
        assert_fits("multiplier", self.multiplier, 16, signed=False)

    def __call__(self, acc: torch.Tensor) -> torch.Tensor:
        """Return the codes, int64, of accumulators of shape (..., N)."""
        return requantize(acc, self.bias, self.multiplier, self.shift, pre_shift=self.pre_shift,
                          operand_bits=OPERAND_BITS, zero_point=self.zero_point, low=self.low, high=self.high)


def requantize_scores(
    acc: torch.Tensor, key_bias: torch.Tensor, multiplier: torch.Tensor, pre_shift: torch.Tensor, shift: torch.Tensor,
    spec: SoftmaxSpec,
) -> torch.Tensor:
    """Bring products of query codes and keys to the scores of the softmax unit.

    Parameters
    ----------
    acc : int64 tensor (B, H, T, T)
        Sums of query code times key.
    key_bias : int64 tensor (B, H, T)
        What the zero point of the queries adds to them, by key.
    multiplier, pre_shift, shift : int64 tensors (H,)
    spec : SoftmaxSpec
    """
    multiplier, pre_shift, shift = (x[:, None, None] for x in (multiplier, pre_shift, shift))
    half = 1 << spec.score_bits - 1
    return requantize(acc, key_bias[:, :, None] >> pre_shift, multiplier, shift, pre_shift=pre_shift,
                      operand_bits=OPERAND_BITS, zero_point=0, low=-half, high=half - 1)
