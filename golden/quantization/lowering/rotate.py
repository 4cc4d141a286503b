"""Change of basis inside attention heads: the same float function, with tensors that quantize better.

Two products inside a head are unchanged by any invertible matrix A: scores, ``(Aᵀq)·(A⁻¹k) = q·k``, and the projected
context, ``(W A⁻ᵀ)(Aᵀv) = W v``. Rounding errors of one factor are weighted with the other one, so with error variances
in proportion to the channels' variances the error of the product is in proportion to the sum over channels c of
``S1[c, c] * S2[c, c]``, where S1 and S2 are the second moments of the two factors. It is least when both are the same
diagonal matrix (balancing, as in model reduction of linear systems) and all channels then have an equal share of it (an
orthonormal matrix with entries of equal magnitude).
"""

import copy
from math import pi

import torch

from ...vit import Attention, VisionTransformer
from .calibration import Calibration

__all__ = ["balance_heads", "balancing", "mixing"]

_FLOOR = 1e-3  # added to the second moments, relative to their mean diagonal


def mixing(size: int) -> torch.Tensor:
    """Return an orthonormal (size, size) matrix whose entries have about equal magnitude.

    The Kronecker product of Hadamard's matrix for the power of two in ``size`` and Hartley's for the odd rest.
    """
    power = size & -size
    index = torch.arange(size // power, dtype=torch.float64)
    angle = 2 * pi * index[:, None] * index / len(index)
    matrix = (torch.cos(angle) + torch.sin(angle)) / len(index) ** 0.5
    while len(matrix) < size:
        matrix = torch.cat([torch.cat([matrix, matrix], 1), torch.cat([matrix, -matrix], 1)]) / 2**0.5
    return matrix


def balancing(first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ``Aᵀ`` and ``A⁻¹``, which give two factors with these second moments (n, n) equal, flat diagonals.

    ``Aᵀ first A`` and ``A⁻¹ second A⁻ᵀ`` are the same matrix, whose diagonal is constant if n is a power of two.
    """
    identity = torch.eye(len(first), dtype=torch.float64)
    first, second = (m / m.diagonal().mean().clamp(min=1e-30) + _FLOOR * identity for m in (first, second))
    root = torch.linalg.cholesky(first)
    values, vectors = torch.linalg.eigh(root.T @ second @ root)
    vectors = vectors * _signs(vectors)
    quarter = values.clamp(min=1e-30) ** 0.25
    mix = mixing(len(first))
    forward = mix @ (quarter[:, None] * vectors.T) @ torch.linalg.inv(root)
    backward = mix @ (vectors.T / quarter[:, None]) @ root.T
    return forward, backward


def _signs(vectors: torch.Tensor) -> torch.Tensor:
    """Return the signs (n,) that make the largest entry of each column positive: LAPACK's differ between CPUs."""
    return vectors.gather(0, vectors.abs().argmax(0, keepdim=True))[0].sign()


def _moments(x: torch.Tensor, heads: int, *, centred: bool) -> torch.Tensor:
    """Return the second moments (H, D, D) of a tensor [B, T, E]."""
    samples = x.to(torch.float64).unflatten(2, (heads, -1)).permute(2, 0, 1, 3).flatten(1, 2)  # [H, B*T, D]
    if centred:
        samples = samples - samples.mean(1, keepdim=True)
    return samples.transpose(1, 2) @ samples / samples.shape[1]


@torch.no_grad()
def balance_heads(model: VisionTransformer, images: torch.Tensor) -> VisionTransformer:
    """Return a model that computes the same function, its heads balanced for the calibration ``images``."""
    calibration, heads = Calibration(model, images), model.config.num_heads
    result = copy.deepcopy(model)
    for index, block in enumerate(result.blocks):
        taps = calibration.block(index)
        q = _moments(taps["attn.q"], heads, centred=False)
        k, v = (_moments(taps[f"attn.{part}"], heads, centred=True) for part in "kv")  # their means cost nothing
        _rotate(block.attn, q, k, v)
    return result


def _mixable(rows: torch.Tensor) -> bool:
    """Return whether sums of the rows are 0 where they are: otherwise single weights were pruned and have to stay 0."""
    zero = rows == 0
    return bool((zero == zero[0]).all())


def _rotate(attn: Attention, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> None:
    heads, head_dim = attn.num_heads, attn.head_dim
    proj = attn.proj.weight.to(torch.float64).unflatten(1, (heads, head_dim))  # [E, H, D]
    rows = attn.qkv.weight.detach().reshape(3, heads, head_dim, -1)  # [3, H, D, E]
    same = (torch.eye(head_dim, dtype=torch.float64),) * 2
    scores = [balancing(q[head], k[head]) if _mixable(rows[0, head]) and _mixable(rows[1, head]) else same
              for head in range(heads)]
    values = [balancing(v[head], proj[:, head].T @ proj[:, head])
              if _mixable(rows[2, head]) and _mixable(proj[:, head].T) else same for head in range(heads)]
    parts = torch.stack([
        torch.stack([forward for forward, _ in scores]), torch.stack([backward for _, backward in scores]),
        torch.stack([forward for forward, _ in values])])  # [3, H, D, D]
    for tensor in (attn.qkv.weight, attn.qkv.bias):
        if tensor is not None:
            split = tensor.to(torch.float64).reshape(3, heads, head_dim, -1)
            tensor.copy_((parts @ split).reshape(tensor.shape))
    projected = [proj[:, head] @ torch.linalg.inv(values[head][0]) for head in range(heads)]
    attn.proj.weight.copy_(torch.stack(projected, dim=1).flatten(1))
