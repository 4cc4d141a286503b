"""How the channels of an activation may differ in scale, where the layers around it absorb that.

Each function takes samples (n, N) and returns the offset and the factor of every channel, float64 (N,) or (); the
tensor is quantized as ``(x - offset) / factor``.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch

from .quantity import CONSTANT

__all__ = ["CHANNELS", "equal", "free", "outliers", "power_of_two"]

_LEAST_SPREAD = 2.0**-8  # of a channel, relative to the largest
_LARGEST_POWER = 3  # of two by which the factors of channels differ, as in FQ-ViT
_OUTLIER_RATIO = 2.0  # of the two clusters' centres, from which the upper one counts as outliers


def equal(samples: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """One scale for all channels, no offset."""
    return torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)


def free(samples: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Middle and spread of each channel (after RepQ-ViT, Li et al. 2023).

    The spread is the mean of half the range and of a multiple of the root mean square about the middle, the same
    multiple for all channels: half the range alone follows the few samples of one channel too closely.
    """
    low, high = samples.amin(0), samples.amax(0)
    middle, half = (low + high) / 2, (high - low) / 2
    rms = (samples - middle).square().mean(0).sqrt()
    spread = (half + rms * (half.sum() / rms.sum().clamp(min=1e-300))) / 2
    least = max(float(spread.max()) * _LEAST_SPREAD, float(samples.abs().max()) * CONSTANT)
    return middle, spread.clamp(min=least or 1.0)


def power_of_two(samples: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Factors 1, 1/2, 1/4, 1/8 by the channel's largest magnitude: FQ-ViT's power-of-two factors (Lin et al. 2022)."""
    largest = samples.abs().amax(0)
    octaves = torch.log2(largest.max().clamp(min=1e-300) / largest.clamp(min=1e-300)).floor()
    return torch.zeros((), dtype=torch.float64), torch.exp2(-octaves.clamp(0, _LARGEST_POWER))


def outliers(samples: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A larger power of two for outlier channels alone (after PackQViT, Dong et al. 2023).

    Outliers are the upper of two clusters (k-means) of the channels' largest magnitudes, if its centre is at least
    twice the other's; its factor is the ratio of the centres rounded to a power of two.
    """
    largest = samples.abs().amax(0)
    centres = torch.stack([largest.min(), largest.max()])
    upper = torch.zeros_like(largest, dtype=torch.bool)
    for _ in range(50):
        now = (largest - centres[1]).abs() < (largest - centres[0]).abs()
        if bool((now == upper).all()) or not bool(now.any()) or bool(now.all()):
            break
        upper = now
        centres = torch.stack([largest[~upper].mean(), largest[upper].mean()])
    ratio = float(centres[1] / centres[0].clamp(min=1e-300))
    factor = torch.ones_like(largest)
    if bool(upper.any()) and _OUTLIER_RATIO <= ratio < 2.0**16:
        factor[upper] = 2.0 ** round(torch.log2(torch.tensor(ratio)).item())
    return torch.zeros((), dtype=torch.float64), factor


CHANNELS: Mapping[str, Callable] = MappingProxyType({
    "equal": equal, "free": free, "power_of_two": power_of_two, "outliers": outliers,
})
"""By name."""
