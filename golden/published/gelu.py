"""GELU as I-BERT and I-ViT compute it, on integers. Each returns integer outputs and their scale."""

import math

import torch

from ..arith import assert_integer
from .exponential import check_scale, shift_exp

__all__ = ["i_gelu", "shift_gelu"]


def i_gelu(q: torch.Tensor, scale: float) -> tuple[torch.Tensor, float]:
    """I-BERT's i-GELU (Kim et al. 2021, section 3.4): erf by a polynomial of degree 2 in integers.

    Parameters
    ----------
    q : torch.Tensor
        int32 or int64, any shape, standing for ``q * scale``.
    scale : float
        Unit of ``q``.

    Returns
    -------
    tuple of torch.Tensor, float
        int64 outputs and their unit. The largest absolute error against the exact GELU is 0.0182.
    """
    assert_integer(q=q)
    check_scale(scale)
    a, b, c = -0.2888, -1.769, 1 / -0.2888
    s_erf = scale / 1.4142
    q = q.to(torch.int64)
    q_b, q_c = math.floor(b / s_erf), math.floor(c / s_erf**2)
    y = q.sign() * ((q.abs().clamp(max=-q_b) + q_b) ** 2 + q_c) >> 14
    s_y = a * s_erf**2 * 2**14
    return q * (y + math.floor(1 / s_y)), scale * s_y / 2


def shift_gelu(q: torch.Tensor, scale: float, *, out_bits: int = 8) -> tuple[torch.Tensor, float]:
    """I-ViT's ShiftGELU (Li and Gu 2023, algorithm 2): ``x * sigmoid(1.702 x)`` with Shift-exp and one division.

    Parameters and result as :func:`i_gelu`; the maximum is taken along the last axis, as in the published code. The
    function itself differs from GELU by up to 0.0203.
    """
    assert_integer(q=q)
    check_scale(scale)
    q = q.to(torch.int64)
    top = q.amax(-1, keepdim=True).clamp(min=0)
    e_x, _ = shift_exp(q - top, 1.702 * scale, octaves=23)
    e_0, _ = shift_exp(-top, 1.702 * scale, octaves=23)
    factor = (2**31 - 1) // (e_x + e_0).clamp(1, 2**31 - 1)
    sigmoid = e_x * factor >> 31 - out_bits + 1
    return q * sigmoid, scale / 2 ** (out_bits - 1)
