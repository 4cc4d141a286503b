"""Weights to signed narrow codes: scales, and rounding with or without compensation of its error."""

import torch

from ...spec.check import check_choice
from ..codes.maps import NarrowCodes
from ..codes.observers import Observer

__all__ = ["GRANULARITIES", "GROUP", "ROUNDINGS", "compensated", "group_size", "nearest", "rows_of_masks",
           "weight_scales"]

GRANULARITIES = ("layer", "group", "channel")
"""One scale for a layer's weights, one per group of output channels (Q-BERT, Shen et al. 2020), or one per channel."""

GROUP = 8
"""Consecutive output channels of a group; the last group may have fewer."""

_DAMPING = 0.01  # of the mean square of the inputs, added to the Hessian's diagonal
_RANKS = 1 << 24  # of importance that columns are ordered by: no more, or the last bits of sums would order equal ones
_ROWS = 64  # that are rounded at a time, if each has a Hessian of its own
_BLOCK = 64  # columns that are rounded before the others hear of it
_SMALLEST_RATIO = 2.0**-12  # of a channel's scale to the layer's largest: keeps the multipliers of all channels exact


def group_size(granularity: str, count: int) -> int:
    """Return how many of ``count`` output channels share a scale; the last group may have fewer."""
    check_choice("granularity", granularity, GRANULARITIES)
    return {"layer": count, "group": GROUP, "channel": 1}[granularity]


def weight_scales(
    weight: torch.Tensor, codes: NarrowCodes, observer: Observer, granularity: str, importance: torch.Tensor,
) -> torch.Tensor:
    """Return one scale per output channel, float64 (N,).

    Parameters
    ----------
    weight : float64 tensor (N, K)
    codes, observer
        Code map, and how the range is found.
    granularity : str
        One of :data:`GRANULARITIES`.
    importance : float64 tensor (K,)
        Of each input channel: the mean square of what it is multiplied with.
    """
    size = group_size(granularity, len(weight))
    whole = len(weight) // size * size
    scales, unused = [], []  # the scale of a group without weights has no meaning
    for part in (weight[:whole], weight[whole:]):
        if len(part):
            rows = min(size, len(part))
            groups = part.reshape(len(part) // rows, -1)
            found, _ = observer(groups, codes, importance.repeat(rows)[None])
            scales.append(found.repeat_interleave(rows))
            unused.append((groups.abs().amax(1) == 0).repeat_interleave(rows))
    scale, dead = torch.cat(scales), torch.cat(unused)
    if dead.all():
        return torch.ones(len(weight), dtype=torch.float64)
    scale = torch.where(dead, scale[~dead].max(), scale)
    return scale.clamp(min=float(scale.max()) * _SMALLEST_RATIO)


def nearest(weight: torch.Tensor, scale: torch.Tensor, codes: NarrowCodes, moments: torch.Tensor) -> torch.Tensor:
    """Return the nearest codes, int64 (N, K)."""
    return codes.encode(weight, scale[:, None], torch.tensor(0))


def compensated(weight: torch.Tensor, scale: torch.Tensor, codes: NarrowCodes, moments: torch.Tensor) -> torch.Tensor:
    """Return codes whose rounding errors cancel in the layer's output, int64 (N, K).

    Column by column, most important first, each rounding error is spread over the columns still to be rounded so
    that the squared error of the output grows least (GPTQ, Frantar et al. 2022, after optimal brain surgery). Weights
    that are 0 were pruned: they stay 0, and errors are spread over the other weights of their row alone.

    Parameters
    ----------
    weight : float64 tensor (N, K)
    scale : float64 tensor (N,)
    codes : NarrowCodes
    moments : float64 tensor (K, K)
        Second moments of the layer's inputs about their mean (the bias takes care of the mean).
    """
    diagonal = moments.diagonal()
    damping = _DAMPING * float(diagonal.mean())
    if not damping > 0:  # constant inputs, or none: only the bias matters
        return nearest(weight, scale, codes, moments)
    order = (diagonal / diagonal.max() * _RANKS).round().argsort(descending=True, stable=True)
    hessian = moments[order][:, order] + damping * torch.eye(len(order), dtype=torch.float64)
    ordered = weight[:, order]
    kept = ordered != 0
    if kept.all():
        return _rounded_columns(ordered, scale, codes, hessian)[:, order.argsort()]
    result = torch.zeros_like(ordered, dtype=torch.int64)
    alone = []
    for rows in rows_of_masks(kept):
        if len(rows) == 1:
            alone.append(rows)
            continue
        own = torch.nonzero(kept[rows[0]])[:, 0]
        part = _rounded_columns(ordered[rows][:, own], scale[rows], codes, hessian[own][:, own])
        result[rows[:, None], own] = part
    alone = torch.cat(alone) if alone else torch.zeros(0, dtype=torch.int64)
    counts = kept[alone].sum(1)
    for count in counts.unique().tolist():  # with N:M there is one
        for rows in alone[counts == count].split(_ROWS):
            own = torch.nonzero(kept[rows])[:, 1].reshape(len(rows), count)  # (R, count): columns of each row
            rounded = _rounded_columns(ordered[rows].gather(1, own), scale[rows], codes,
                                       hessian[own[:, :, None], own[:, None, :]])
            result[rows] = result[rows].scatter(1, own, rounded)
    return result[:, order.argsort()]


def rows_of_masks(kept: torch.Tensor) -> list[torch.Tensor]:
    """Return the rows of each different mask among those of ``kept``, bool (N, K), that is not all False."""
    masks, member = kept.unique(dim=0, return_inverse=True)
    order = member.argsort(stable=True)
    groups = order.split(member.bincount(minlength=len(masks)).tolist())
    return [rows for mask, rows in zip(masks, groups, strict=True) if bool(mask.any())]


def _rounded_columns(
    weight: torch.Tensor, scale: torch.Tensor, codes: NarrowCodes, hessian: torch.Tensor,
) -> torch.Tensor:
    """Return the codes of weights (N, K), column by column, with one Hessian (K, K) or one per row (N, K, K)."""
    # upper Cholesky factor of the inverse: row k holds how an error of column k spreads
    spread = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(hessian)), upper=True)
    remaining = weight.clone()
    result = torch.empty_like(remaining, dtype=torch.int64)
    for start in range(0, weight.shape[1], _BLOCK):  # what a block leaves reaches the later ones in one product
        block = slice(start, min(start + _BLOCK, weight.shape[1]))
        errors = torch.empty_like(remaining[:, block])
        for column in range(block.start, block.stop):
            result[:, column] = codes.encode(remaining[:, column], scale, torch.tensor(0))
            error = (remaining[:, column] - result[:, column] * scale) / spread[..., column, column]
            remaining[:, column + 1:block.stop] -= error[:, None] * spread[..., column, column + 1:block.stop]
            errors[:, column - start] = error
        remaining[:, block.stop:] -= (errors[:, None] @ spread[..., block, block.stop:])[:, 0]
    return result


ROUNDINGS = {"nearest": nearest, "compensated": compensated}
"""Ways to round weights by name; all take (weight, scale, codes, moments)."""
