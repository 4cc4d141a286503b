"""Integer softmax in the base-2 log domain, exactly as :mod:`vitric.hdl.softmax` computes it.

No multiplier, no divider, no float: table look-ups, shifts, additions and comparisons on integer tensors.
"""

import math

import torch

from ..arith import assert_fits, assert_integer, lookup, round_shift, saturate
from ..spec.check import check_int
from ..spec.softmax import BLOCK_BITS, BLOCK_OCTAVES, SoftmaxSpec

__all__ = ["dequantize", "row_norm", "softmax", "uniform_offset"]


def softmax(x: torch.Tensor, spec: SoftmaxSpec, *, offset: int) -> torch.Tensor:
    """Return the codes of ``2**x / sum(2**x)`` along the last axis.

    Parameters
    ----------
    x : torch.Tensor
        Scores ``[..., n]``, int32 or int64, ``1 <= n <= spec.max_length``, signed ``spec.score_bits`` bits in
        units of ``2**-spec.frac_bits`` octaves.
    spec : SoftmaxSpec
        Widths, tables and kind of code.
    offset : int
        ``log2(1 / step)`` in score units, signed ``spec.offset_bits`` bits: see :func:`uniform_offset`.

    Returns
    -------
    torch.Tensor
        int64 codes ``[..., n]`` between 0 and ``2**spec.out_bits - 1``.

    Raises
    ------
    TypeError
        ``x`` is not an int32 or int64 tensor, or ``offset`` no integer.
    ValueError
        The length of a row or ``offset`` is out of range.
    OverflowError
        A score does not fit its width.
    """
    u = x - row_norm(x, spec, offset=offset)
    if spec.logarithmic:
        return saturate(round_shift(-u, spec.code_shift), 0, spec.code_max)
    unit = 1 << spec.frac_bits
    low = [0] + [1] * unit  # more than an octave below the step; up to an octave below it
    table = torch.tensor([*low, *spec.code_table, spec.code_max])
    return lookup(table, u.add_(len(low)).clamp_(0, len(table) - 1))


def row_norm(x: torch.Tensor, spec: SoftmaxSpec, *, offset: int) -> torch.Tensor:
    """Return ``log2(sum(2**x)) - offset`` of each row in score units, ``[..., 1]``: arguments as :func:`softmax`.

    With M the largest block of the row, the sum is ``sum_i floor(term_i / 2**(8 * (M - block_i)))``: no order of the
    scores is better than another.
    """
    assert_integer(x=x)
    if x.ndim == 0:
        raise ValueError("x must have at least one axis")
    check_int("length of a row", x.shape[-1], 1, spec.max_length)
    check_int("offset", offset, -(1 << spec.offset_bits - 1), (1 << spec.offset_bits - 1) - 1)
    x = assert_fits("x", x, spec.score_bits).to(torch.int64)

    blocks = x >> spec.frac_bits + BLOCK_BITS
    index = (x >> spec.frac_bits - spec.term_fraction_bits) & (BLOCK_OCTAVES << spec.term_fraction_bits) - 1
    block = blocks.amax(-1, keepdim=True)
    terms = lookup(torch.tensor(spec.exp2_table) << spec.guard_bits, index)
    total = (terms >> ((block - blocks) * BLOCK_OCTAVES).clamp(max=63)).sum(-1, keepdim=True)
    assert_fits("sum", total, spec.sum_bits, signed=False)

    lead = torch.bucketize(total, 1 << torch.arange(1, spec.sum_bits), right=True)
    mantissa = (total << spec.frac_bits >> lead) - (1 << spec.frac_bits)
    log = (lead - spec.sum_frac << spec.frac_bits) + lookup(torch.tensor(spec.log2_table), mantissa)
    return (block << spec.frac_bits + BLOCK_BITS) + log - offset


def uniform_offset(step: float, spec: SoftmaxSpec) -> int:
    """Return the offset that makes ``step`` the unit of the codes, to the nearest score unit (lowering time only).

    The realised step is ``2**(-offset / 2**spec.frac_bits)``; for the logarithmic kinds it is the value of code 0.

    Raises
    ------
    ValueError
        ``step`` is not positive, or its logarithm does not fit the offset.
    """
    limit = 1 << spec.offset_bits - 1
    offset = math.floor(-math.log2(step) * (1 << spec.frac_bits) + 0.5) if 0 < step < math.inf else limit
    if not -limit <= offset < limit:
        octaves = limit >> spec.frac_bits
        raise ValueError(f"step must be above 2**-{octaves} and at most 2**{octaves}, not {step!r}")
    return offset


def dequantize(codes: torch.Tensor, spec: SoftmaxSpec, *, offset: int) -> torch.Tensor:
    """Return the probabilities that ``codes`` stand for, float64 (for error measurements, not for lowering)."""
    assert_integer(codes=codes)
    step = 2.0 ** (-offset / (1 << spec.frac_bits))
    if not spec.logarithmic:
        return torch.tensor(spec.code_values)[codes].to(torch.float64) * step
    octaves = codes.to(torch.float64) / (2 if spec.kind == "log_sqrt2" else 1)
    return torch.where(codes == spec.code_max, torch.zeros_like(octaves), step * torch.exp2(-octaves))
