"""Two published integer exponentials, which the softmaxes and GELUs beside this file share."""

import math

import torch

from ..arith import assert_integer

__all__ = ["check_scale", "i_exp", "shift_exp"]


def check_scale(scale: float) -> None:
    """Raise ValueError unless ``scale`` is a positive finite number."""
    if not (isinstance(scale, (int, float)) and 0 < scale < math.inf):
        raise ValueError(f"scale must be a positive finite number, not {scale!r}")


def i_exp(q: torch.Tensor, scale: float, *, octaves: int = 30) -> tuple[torch.Tensor, float]:
    """Return ``e, unit`` with ``e * unit ≈ exp(q * scale)``: I-BERT's i-exp (Kim et al. 2021, section 3.4).

    ``q = r + z * ln 2`` in units of the scale, ``exp(r)`` by ``0.358 (r + 1.353)**2 + 0.344`` with integer
    coefficients, then a shift by the octaves ``z``.

    Parameters
    ----------
    q : torch.Tensor
        int32 or int64, at most 0, any shape.
    scale : float
        What one unit of ``q`` stands for. At 0.1 and below the absolute error is at most 0.004.
    octaves : int
        ``n`` of the paper: results below ``2**-n`` are cut off. Results take n bits and those of ``2.8 / scale**2``.
    """
    assert_integer(q=q)
    check_scale(scale)
    a, b, c = 0.35815147, 0.96963238 / 0.35815147, 1.0 / 0.35815147
    q_b, q_c, q_ln2 = math.floor(b / scale), math.floor(c / scale**2), math.floor(-0.6931 / scale)
    q = q.to(torch.int64).clamp(min=octaves * q_ln2)
    z = torch.div(q, q_ln2, rounding_mode="floor")
    r = q - z * q_ln2
    return ((r + q_b) * r + q_c << octaves - z).clamp(min=0), a * scale**2 / 2**octaves


def shift_exp(q: torch.Tensor, scale: float, *, octaves: int) -> tuple[torch.Tensor, float]:
    """Return ``e, unit`` with ``e * unit ≈ exp(q * scale)``: I-ViT's Shift-exp (Li and Gu 2023, equations 9 to 13).

    ``log2(e)`` is taken as ``1 + 1/2 - 1/16``, and ``2**-f`` as ``1 - f / 2``.

    Parameters
    ----------
    q : torch.Tensor
        int32 or int64, at most 0, any shape.
    scale : float
        What one unit of ``q`` stands for.
    octaves : int
        ``n`` of the paper: 15 for softmax, 23 for GELU in its code.
    """
    assert_integer(q=q)
    check_scale(scale)
    q = q.to(torch.int64)
    q = q + (q >> 1) - (q >> 4)
    one = math.floor(-1 / scale)
    q = q.clamp(min=octaves * one)
    z = torch.div(q, one, rounding_mode="floor")
    r = q - z * one
    return (r - 2 * one << octaves >> z + 1).clamp(min=0), scale / 2**octaves
