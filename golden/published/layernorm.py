"""Row statistics and normalisation of LayerNorm as I-BERT, I-ViT, FQ-ViT and SOLE compute them, on integers.

Each takes integer rows ``[..., n]`` and returns ``(x - mean) / deviation``, float64: what the integers it yields stand
for. Gamma and beta are left out: they are the same for all.
"""

import torch

from ..arith import assert_integer

__all__ = ["ai_layernorm", "compress", "i_layernorm", "i_sqrt", "i_vit_layernorm", "i_vit_sqrt", "ptf_layernorm"]


def i_sqrt(value: torch.Tensor) -> torch.Tensor:
    """Return ``floor(sqrt(value))`` by Newton's iteration from above (Kim et al. 2021, algorithm 4), int64."""
    assert_integer(value=value)
    zero, value = value == 0, value.to(torch.int64).clamp(min=1)
    bits = torch.zeros_like(value)
    for bit in range(63):
        bits += value >= 1 << bit
    x = 1 << (bits + 1) // 2
    while True:
        following = x + value // x >> 1
        if not bool((following < x).any()):
            return torch.where(zero, 0, x)
        x = torch.minimum(x, following)


def i_vit_sqrt(value: torch.Tensor) -> torch.Tensor:
    """Return I-ViT's square root: exactly ten of Newton's steps from ``2**16``, not converged below about 161**2."""
    assert_integer(value=value)
    value = value.to(torch.int64)
    x = torch.full_like(value, 1 << 16)
    for _ in range(10):
        x = x + value // x >> 1
    return x


def _deviations(q: torch.Tensor) -> tuple[torch.Tensor, int]:
    assert_integer(q=q)
    q = q.to(torch.int64)
    n = q.shape[-1]
    return q - torch.floor(q.sum(-1, keepdim=True) / n + 0.5).to(torch.int64), n


def i_layernorm(q: torch.Tensor) -> torch.Tensor:
    """I-BERT's LayerNorm: rounded mean, exact integer root, reciprocal ``2**31 / root``; unit ``sqrt(n) / 2**30``."""
    y, n = _deviations(q)
    root = i_sqrt((y * y).sum(-1, keepdim=True)).clamp(min=1)
    return (y * (2**31 // root) >> 1).to(torch.float64) * (n**0.5 / 2**30)


def i_vit_layernorm(q: torch.Tensor) -> torch.Tensor:
    """I-ViT's I-LayerNorm (Li and Gu 2023): as I-BERT's with :func:`i_vit_sqrt`."""
    y, n = _deviations(q)
    root = i_vit_sqrt((y * y).sum(-1, keepdim=True)).clamp(min=1)
    return (y * (2**31 // root) >> 1).to(torch.float64) * (n**0.5 / 2**30)


def ptf_layernorm(q: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """FQ-ViT's statistics on power-of-two-factor codes (Lin et al. 2022): ``q << factors`` per channel, exact sums.

    Parameters
    ----------
    q : torch.Tensor
        Codes without zero point ``[..., n]``, int32 or int64.
    factors : torch.Tensor
        Shift of each channel, 0 to 3, ``[n]``.
    """
    assert_integer(q=q, factors=factors)
    x = q.to(torch.int64) << factors.to(torch.int64)
    n = x.shape[-1]
    total = x.sum(-1, keepdim=True)
    variance = n * (x * x).sum(-1, keepdim=True) - total * total
    return (n * x - total).to(torch.float64) / variance.clamp(min=1).to(torch.float64).sqrt()


def compress(x: torch.Tensor, *, rounding: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """SOLE's DynamicCompress (Wang et al. 2023): an 8-bit magnitude as 4 bits and a flag.

    Returns ``y, flag`` with ``x ≈ y << (4 if flag else 2)``. Truncation, as published, lowers the sum of squares of
    uniform inputs by 8.3 %; ``rounding`` by 0.4 %.
    """
    assert_integer(x=x)
    flag = x >> 6 != 0
    shift = torch.where(flag, 4, 2)
    half = (1 << shift) >> 1 if rounding else 0
    return (x + half >> shift).clamp(max=15), flag


def ai_layernorm(q: torch.Tensor, factors: torch.Tensor, *, rounding: bool = False) -> torch.Tensor:
    """SOLE's AILayerNorm: the square of each 8-bit deviation from the zero point by a 16-entry table.

    ``q`` are signed codes of 9 bits at most without zero point, ``factors`` as in :func:`ptf_layernorm`.
    """
    assert_integer(q=q, factors=factors)
    q = q.to(torch.int64)
    y, flag = compress(q.abs().clamp(max=255), rounding=rounding)
    factors = factors.to(torch.int64)
    squares = y * y << torch.where(flag, 8, 4) + 2 * factors
    x = q << factors
    n = x.shape[-1]
    mean = x.sum(-1, keepdim=True).to(torch.float64) / n
    variance = squares.sum(-1, keepdim=True).to(torch.float64) / n - mean**2
    return (x - mean) / variance.clamp(min=1 / n).sqrt()
