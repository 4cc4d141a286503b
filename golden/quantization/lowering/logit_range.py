"""Classes whose logits would take the range from all others: a class that is masked by a bias of -100000, say.

All logits have one scale, so that the largest is found by comparing codes. It must suit the classes that compete.
"""

import warnings

import torch

from ...errors import ModelWarning

__all__ = ["HEADROOM", "OUTLIER", "clamp_logits"]

OUTLIER = 64
"""A class is an outlier if its largest logit, in magnitude, is more than so many times that of the median class."""

HEADROOM = 16
"""The logits of an outlier are clamped to so many times the largest logit of the other classes."""


def clamp_logits(bias: torch.Tensor, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return bias and logits with outliers clamped; as they are where there is none.

    A clamped class stays where it was: below all others, or above them.

    Parameters
    ----------
    bias : float tensor (classes,)
        Of the head.
    logits : float tensor (B, 1, classes)
        Of the float model on the calibration images.

    Warns
    -----
    ModelWarning
        Names the classes, their logits and what they are clamped to.
    """
    extent = logits.abs().amax((0, 1))
    outlier = extent > OUTLIER * extent.median()
    if not (extent.median() > 0 and outlier.any()):
        return bias, logits
    limit = float(HEADROOM * extent[~outlier].max())
    classes = outlier.nonzero()[:, 0].tolist()
    named = ", ".join(map(str, classes[:8])) + (f" and {len(classes) - 8} more" if len(classes) > 8 else "")
    warnings.warn(
        f"head: logits of class {named} reach {float(extent.max()):.3g}, those of the others {limit / HEADROOM:.3g}; "
        f"they are clamped to {limit:.3g} in magnitude, so that the scale of all logits suits the others",
        ModelWarning, stacklevel=2)
    return torch.where(outlier, bias.clamp(-limit, limit), bias), logits.clamp(-limit, limit)
