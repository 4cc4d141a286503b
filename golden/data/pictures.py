"""Image files as pixels of 8 bits: one reader, so that every command takes and refuses the same files."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import UserError

__all__ = ["MODES", "eight_bits", "open_picture"]

MODES = {1: "L", 3: "RGB"}
"""Pillow's name for the pixels of an image, by its channels."""

_SIXTEEN_BITS = "I;16"  # and I;16B, I;16L, I;16N, which say in what order the bytes are
_WIDER = ("F", "I")


@contextmanager
def open_picture(path: str | Path) -> Iterator[Image.Image]:
    """Open an image file for the block; its pixels are read when they are first used.

    Raises
    ------
    ValueError
        The file cannot be read as an image, now or in the block, or has more pixels than Pillow takes for safe
        (``PIL.Image.MAX_IMAGE_PIXELS``, 89 million).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                yield picture
    except UserError:  # of the block
        raise
    except Exception as error:  # the readers of a damaged file may raise anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{path} cannot be read as an image: {reason}") from error


def eight_bits(picture: Image.Image, channels: int) -> Image.Image:
    """Return a picture with pixels of mode ``MODES[channels]``: grey of 16 bits keeps its upper 8, alpha is left out.

    Raises
    ------
    ValueError
        The pixels are floats or integers of 32 bits, which do not say what white is.
    """
    if picture.mode in _WIDER:
        raise ValueError(f"pixels must have 8 or 16 bits, not 32 (Pillow's mode {picture.mode})")
    if picture.mode.startswith(_SIXTEEN_BITS):
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    return picture.convert(MODES[channels])
