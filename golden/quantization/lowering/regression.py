"""Float weights adapted to their rounded inputs before they are rounded themselves, by ridge regression."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch

from .weights import rows_of_masks

__all__ = ["REGRESSIONS", "none", "ridge", "validated"]

_RIDGE = 0.1  # of `ridge`, relative to the mean square of the inputs
_RIDGES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)  # of `validated`
_FOLDS = 4
_LEAST_GAIN = 0.01  # share of the error that the change has to save on samples that it was not fitted to

Regression = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def none(weight: torch.Tensor, inputs: torch.Tensor, rows: torch.Tensor, missing: torch.Tensor) -> torch.Tensor:
    """Return the weights as they are."""
    return weight


def ridge(weight: torch.Tensor, inputs: torch.Tensor, rows: torch.Tensor, missing: torch.Tensor) -> torch.Tensor:
    """Return weights (N, K) that give the targets from rounded inputs (S, K), drawn to the given ones.

    Ridge regression of what the weights leave of the target (ERQ, Zhong et al. 2024, its first step): the change has
    the least ``sum over samples of rows * error**2 + ridge * |change|**2``. Weights that are 0 were pruned and stay 0.

    Parameters
    ----------
    weight : float64 tensor (N, K)
    inputs : float64 tensor (S, K)
        Rounded, about their mean if the bias takes care of that.
    rows : float64 tensor (S, 1)
        Importance of the samples, 1 in sum.
    missing : float64 tensor (S, N)
        Target less what the given weights make of the inputs.
    """
    return weight + _change(weight, inputs.T @ (rows * inputs), inputs.T @ (rows * missing), _RIDGE)


def validated(weight: torch.Tensor, inputs: torch.Tensor, rows: torch.Tensor, missing: torch.Tensor) -> torch.Tensor:
    """Return weights as :func:`ridge`, by the ridge that is best on samples that it was not fitted to.

    Four parts of the samples, which follow each other, are left out in turn. Where no ridge saves a hundredth of the
    error on what was left out, the weights stay what they are: rounding errors of the inputs are then nothing that
    other weights could make up for.
    """
    moments, wanted = inputs.T @ (rows * inputs), inputs.T @ (rows * missing)
    scale = _scale(moments)
    errors = dict.fromkeys(_RIDGES, 0.0)
    for part, weights, target in zip(inputs.chunk(_FOLDS), rows.chunk(_FOLDS), missing.chunk(_FOLDS), strict=True):
        values, vectors = torch.linalg.eigh(moments - part.T @ (weights * part))
        turned, seen = vectors.T @ (wanted - part.T @ (weights * target)), part @ vectors
        for strength in _RIDGES:
            change = turned / (values.clamp(min=0.0)[:, None] + strength * scale)
            errors[strength] += float((weights * (target - seen @ change).square()).sum())
    best = min(errors, key=errors.__getitem__)
    if errors[best] > (1 - _LEAST_GAIN) * float((rows * missing.square()).sum()):
        return weight
    return weight + _change(weight, moments, wanted, best)


def _scale(moments: torch.Tensor) -> float:
    return float(moments.diagonal().mean()) or 1.0


def _change(weight: torch.Tensor, moments: torch.Tensor, wanted: torch.Tensor, strength: float) -> torch.Tensor:
    """Return the change (N, K) of the weights that are not 0, from second moments (K, K) and (K, N)."""
    moments = moments + strength * _scale(moments) * torch.eye(len(moments), dtype=torch.float64)
    kept = weight != 0
    if kept.all():
        return torch.linalg.solve(moments, wanted).T
    result = torch.zeros_like(weight)
    for rows in rows_of_masks(kept):  # each has weights of its own to change
        own = torch.nonzero(kept[rows[0]])[:, 0]
        result[rows[:, None], own] = torch.linalg.solve(moments[own][:, own], wanted[own][:, rows]).T
    return result


REGRESSIONS: Mapping[str, Regression] = MappingProxyType({"none": none, "ridge": ridge, "validated": validated})
"""By name; all take (weight, inputs, rows, missing)."""
