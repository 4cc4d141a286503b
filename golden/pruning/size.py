"""Bytes of a model: float or integer, dense or packed without what was pruned."""

from math import ceil

from ..vit import Attention, VisionTransformer
from .masks import LAYERS

__all__ = ["FLOAT_BITS", "live_heads", "model_bytes"]

FLOAT_BITS = 32
"""Width of the numbers of a float model."""

_CHANNEL_BYTES = 8  # of an output channel: bias, multiplier and shifts, as in the model stream
_AFFINE_BYTES = 8  # of a LayerNorm's channel, as in the model stream
_STREAM_BYTES = 2  # of a value of the position embedding
_TABLE_BYTES = 256  # of a GELU table


def live_heads(attn: Attention) -> int:
    """Return how many heads have a column of the projection that is not 0."""
    columns = attn.proj.weight.detach().unflatten(1, (attn.num_heads, attn.head_dim))
    return int(columns.ne(0).any(2).any(0).sum())


def model_bytes(
    model: VisionTransformer, w_bits: int = FLOAT_BITS, *, edge_bits: int = 8, n_m: tuple[int, int] | None = None,
) -> int:
    """Return the bytes that a model needs.

    Pruned heads are left out. With ``n_m``, each group of the blocks' weights is stored as its N kept weights, each
    with an index of ``ceil(log2(M))`` bits into its group, as in the sparse tensor cores' format; a weight among the
    N that happens to be 0 is stored all the same.

    Parameters
    ----------
    model : VisionTransformer
    w_bits : int
        Width of the blocks' weights. :data:`FLOAT_BITS`: all parameters are float32. Else: what the integer model holds
        beside its weights (channel and LayerNorm constants of 8 bytes, position embedding of 16 bits, GELU tables).
    edge_bits : int
        Width of the weights of patch embedding and head of an integer model.
    n_m : pair of int, optional
        N and M.
    """
    config = model.config
    weight_bits = channels = dense = 0  # channels: with constants of their own
    for block in model.blocks:
        kept = live_heads(block.attn) * config.head_dim
        for name in LAYERS:
            rows, columns = block.get_submodule(name).weight.shape
            dense += rows * columns
            rows = 3 * kept if name == "attn.qkv" else rows
            weight_bits += rows * _row_bits(kept if name == "attn.proj" else columns, w_bits, n_m)
            channels += rows
        channels += kept  # requantizer of the context
    if w_bits == FLOAT_BITS:
        heads = config.depth * config.num_heads - sum(live_heads(block.attn) for block in model.blocks)
        gone = 3 * heads * config.head_dim * config.qkv_bias
        return ceil(weight_bits / 8) + (config.num_parameters - dense - gone) * FLOAT_BITS // 8
    channels += config.embed_dim + config.num_classes
    edges = config.embed_dim * (config.patch_dim + config.num_classes)
    return (ceil(weight_bits / 8) + ceil(edges * edge_bits / 8) + channels * _CHANNEL_BYTES
            + (2 * config.depth + 1) * config.embed_dim * _AFFINE_BYTES
            + config.num_tokens * config.embed_dim * _STREAM_BYTES + config.depth * _TABLE_BYTES)


def _row_bits(columns: int, w_bits: int, n_m: tuple[int, int] | None) -> int:
    """Return the bits of a row of weights."""
    if n_m is None:
        return columns * w_bits
    n, m = n_m
    return ceil(columns / m) * n * (w_bits + (m - 1).bit_length())
