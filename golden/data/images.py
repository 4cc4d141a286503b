"""Images in memory, what a split of a data set is, and the check that every model makes of its images."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch

from ..spec.vit import PIXEL_MAX, VitConfig

__all__ = ["SPLITS", "ImageData", "Images", "check_images"]

SPLITS = ("train", "test")

_PIXEL_DTYPES = (torch.uint8, torch.int16, torch.int32, torch.int64)


class Images(Protocol):
    """One split of a data set, in memory as an :class:`ImageData`, or not: an ``ImageFolder``."""

    num_classes: int

    def __len__(self) -> int:
        """Return the number of images."""

    def take(self, count: int, order: torch.Tensor | None = None) -> torch.Tensor:
        """Return the first ``count`` images, uint8 [count, C, H, W]: of the split, or of its positions ``order``."""

    def batches(self, size: int, count: int | None = None) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield the images, or the first ``count``, at most ``size`` at a time, each time with their labels."""


@dataclass(frozen=True)
class ImageData:
    """Images and labels of one split; indexing gives images: ``digits("train")[:64]`` is a uint8 tensor.

    Attributes
    ----------
    split
        ``"train"`` or ``"test"``.
    images
        Pixel codes 0 to 255, uint8 [count, channels, height, width].
    labels
        Classes from 0, int64 [count].
    """

    split: str
    images: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index) -> torch.Tensor:
        return self.images[index]

    @property
    def num_classes(self) -> int:
        """Classes, from the largest label."""
        return int(self.labels.max()) + 1

    def take(self, count: int, order: torch.Tensor | None = None) -> torch.Tensor:
        """Return the first ``count`` images, or those at the first ``count`` positions of ``order``."""
        return self.images[:count] if order is None else self.images[order[:count]]

    def batches(self, size: int, count: int | None = None) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield (images, labels) of at most ``size`` images, ``count`` (default: all) together."""
        yield from zip(self.images[:count].split(size), self.labels[:count].split(size), strict=True)


def check_images(images: torch.Tensor, config: VitConfig) -> None:
    """Raise unless ``images`` are what a model of ``config`` takes, float or integer.

    Legal are integer tensors (uint8, int16, int32 or int64) of shape [count, in_chans, image_size, image_size], at
    least one image, with values 0 to 255.

    Raises
    ------
    TypeError
        Not a tensor, or a float or boolean one.
    ValueError
        Wrong shape, no image, or a pixel out of range.
    """
    if not isinstance(images, torch.Tensor):
        raise TypeError(f"images must be a torch tensor of integer pixels, not {type(images).__name__}")
    if images.dtype not in _PIXEL_DTYPES:
        names = ", ".join(str(dtype).removeprefix("torch.") for dtype in _PIXEL_DTYPES)
        raise TypeError(
            f"images must hold integer pixels 0..{PIXEL_MAX} of dtype {names}, not {str(images.dtype)[6:]}"
        )
    size = (config.in_chans, config.image_size, config.image_size)
    if images.dim() != 4 or tuple(images.shape[1:]) != size:
        raise ValueError(
            f"images must have shape [count, {', '.join(map(str, size))}] (count, channels, height, width), "
            f"not {list(images.shape)}"
        )
    if not len(images):
        raise ValueError("images must hold at least one image, not none")
    low, high = int(images.min()), int(images.max())
    if low < 0 or high > PIXEL_MAX:
        raise ValueError(f"pixels of images must be between 0 and {PIXEL_MAX}, not {low}..{high}")
