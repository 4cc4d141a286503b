"""Weights to begin a training with that make attention look as it does in trained networks."""

import torch

from .vit import VisionTransformer

__all__ = ["mimetic_"]

_LOOKS, _MOVES = 0.7, 0.4  # of identity and noise in queries times keys, and in values times proj


def _noisy(size: int, noise: float, identity: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the singular value decomposition of ``noise`` times a random matrix plus ``identity`` times the unit."""
    random = torch.randn(size, size) * (noise / size**0.5)
    return torch.linalg.svd(random + identity * torch.eye(size))


def _sinusoidal(grid: int, channels: int) -> torch.Tensor:
    """Return [grid * grid, channels]: sines and cosines of the row, then of the column, at falling frequencies.

    Channels that are no multiple of four are filled up with zeros.
    """
    waves = channels // 4
    angles = torch.arange(grid).unsqueeze(1) * 10_000.0 ** (-torch.arange(waves) / max(waves, 1))  # [grid, waves]
    line = torch.cat([angles.sin(), angles.cos()], dim=1)  # [grid, 2 * waves]
    rows, columns = line.repeat_interleave(grid, dim=0), line.repeat(grid, 1)
    spare = torch.zeros(grid * grid, channels - 4 * waves)
    return torch.cat([rows, columns, spare], dim=1)


@torch.no_grad()
def mimetic_(model: VisionTransformer) -> VisionTransformer:
    """Set the weights of attention and the position embedding of a new model, in place; return it.

    Tokens look at what resembles them, and what they bring along lessens what is there: the product of query and key
    weights of each head is a unit matrix with noise, that of value and projection weights its negative, and positions
    are sines and cosines that resemble their neighbours' (Trockman and Kolter 2023, "Mimetic initialization of
    self-attention layers", section 3: factors 0.7 and 0.4). Small networks learn small data sets faster so. Random
    numbers come from torch's global generator.
    """
    config = model.config
    embed, head = config.embed_dim, config.head_dim
    for block in model.blocks:
        weight = block.attn.qkv.weight  # [3 * E, E]
        for begin in range(0, embed, head):
            left, values, right = _noisy(embed, _LOOKS, _LOOKS)
            root = values[:head].sqrt()
            weight[begin:begin + head] = (left[:, :head] * root).T
            weight[embed + begin:embed + begin + head] = root.unsqueeze(1) * right[:head]
        left, values, right = _noisy(embed, _MOVES, -_MOVES)
        weight[2 * embed:] = (left * values.sqrt()).T
        block.attn.proj.weight.copy_((values.sqrt().unsqueeze(1) * right).T)
    model.pos_embed[0, config.num_prefix_tokens:] = _sinusoidal(config.grid_size, embed)
    return model
