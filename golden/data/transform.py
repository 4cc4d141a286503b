"""From an image file to the pixels of a model: timm's and Hugging Face's transforms for evaluation."""

from dataclasses import dataclass
from math import floor
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ..spec.check import check_choice, check_int
from .pictures import MODES, eight_bits, open_picture

__all__ = ["CROP_PCT", "EvalTransform", "INTERPOLATIONS", "resize_for_crop"]

CROP_PCT = 0.9
"""Side of the crop relative to the resized image's shorter side, for timm's DeiT and ViT models of 224 pixels."""

INTERPOLATIONS = {filter.name.lower(): filter for filter in Image.Resampling}
"""Pillow's filters by name: nearest, bilinear, bicubic and so on."""


def resize_for_crop(image_size: int, crop_pct: float) -> int:
    """Return timm's size to resize to, ``floor(image_size / crop_pct)``, for a share above 0, up to 1."""
    if not 0 < crop_pct <= 1:
        raise ValueError(f"crop_pct must be above 0 and at most 1, not {crop_pct!r}")
    return floor(image_size / crop_pct)


@dataclass(frozen=True, kw_only=True)
class EvalTransform:
    """Resize an image, then cut out its centre.

    Pixels stay integers 0 to 255: the model takes those and normalises them itself. The defaults are those of timm's
    ViT and DeiT.

    Parameters
    ----------
    image_size
        Side of the result in pixels, 1 to 1024.
    in_chans
        1 (grey) or 3 (RGB).
    resize
        Length of the shorter side after resizing, ``image_size`` to 4096; by default
        ``floor(image_size / CROP_PCT)``.
    squash
        Resize both sides to ``resize``, whatever the shape of the image.
    interpolation
        A name of :data:`INTERPOLATIONS`, with antialiasing as Pillow does it.
    centre_down
        Where half a pixel would be cut off, start at the pixel before (Hugging Face), not at the even one (timm).
    """

    image_size: int
    in_chans: int = 3
    resize: int | None = None
    squash: bool = False
    interpolation: str = "bicubic"
    centre_down: bool = False

    def __post_init__(self):
        check_int("image_size", self.image_size, 1, 1024)
        check_choice("in_chans of an image file", self.in_chans, tuple(MODES))
        check_choice("interpolation", self.interpolation, tuple(INTERPOLATIONS))
        if self.resize is not None:
            check_int("resize", self.resize, self.image_size, 4096)

    def _sizes(self, width: int, height: int) -> tuple[int, int]:
        """Return the width and height to resize an image of ``width`` times ``height`` to."""
        short = self.resize or resize_for_crop(self.image_size, CROP_PCT)
        if self.squash:
            return short, short
        return (short, int(short * height / width)) if width <= height else (int(short * width / height), short)

    def __call__(self, path: str | Path) -> torch.Tensor:
        """Return the pixels of an image file, uint8 [in_chans, image_size, image_size].

        Raises
        ------
        ValueError
            The file cannot be read as an image.
        """
        with open_picture(path) as picture:
            return self.of_picture(picture)

    def of_picture(self, picture: Image.Image) -> torch.Tensor:
        """Return the pixels of an open picture; :exc:`ValueError` if they have 32 bits, or would be too many."""
        picture = eight_bits(picture, self.in_chans)
        size = self._sizes(*picture.size)
        if size[0] * size[1] > Image.MAX_IMAGE_PIXELS:
            raise ValueError(f"resized to {size[0]}x{size[1]} it exceeds {Image.MAX_IMAGE_PIXELS} pixels")
        picture = picture.resize(size, INTERPOLATIONS[self.interpolation])
        left, top = (spare // 2 if self.centre_down else round(spare / 2)
                     for spare in (side - self.image_size for side in size))
        picture = picture.crop((left, top, left + self.image_size, top + self.image_size))
        pixels = np.array(picture).reshape(self.image_size, self.image_size, self.in_chans)
        return torch.from_numpy(pixels).permute(2, 0, 1)
