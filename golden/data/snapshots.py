"""A picture that somebody took, as the pixels of a model: turned upright, on white, its first frame."""

from pathlib import Path

import torch
from PIL import Image, ImageOps

from .pictures import open_picture
from .transform import EvalTransform

__all__ = ["snapshot"]

_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
_ORIENTATION = 0x0112  # Exif


def snapshot(path: str | Path, transform: EvalTransform) -> tuple[torch.Tensor, list[str]]:
    """Return the pixels of a picture, uint8 [1, in_chans, image_size, image_size], and what was done to it, in words.

    Data sets are read as they are; a picture from a phone or a web page is first turned as its Exif data say, put on
    white where it is transparent, and of an animation the first frame is taken.

    Raises
    ------
    ValueError
        The file cannot be read as an image, or its pixels have 32 bits.
    """
    notes = []
    with open_picture(path) as picture:
        if (frames := getattr(picture, "n_frames", 1)) > 1:
            notes.append(f"the first of {frames} frames")
            picture.seek(0)
        if picture.getexif().get(_ORIENTATION, 1) != 1:
            notes.append("turned as its Exif data say")
            picture = ImageOps.exif_transpose(picture)
        if picture.mode in _ALPHA or "transparency" in picture.info:
            notes.append("put on white where it is transparent")
            picture = picture.convert("RGBA")
            white = Image.new("RGBA", picture.size, "white")
            picture = Image.alpha_composite(white, picture).convert("RGB")
        elif picture.mode.startswith("I;16"):
            notes.append("16 bits became 8")
        pixels = transform.of_picture(picture)
    return pixels[None], notes
