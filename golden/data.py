"""Data sets as raw integer pixels, and the check that every model makes of its images."""

from dataclasses import dataclass
from functools import cache

import torch

from .spec.check import check_choice
from .spec.vit import PIXEL_MAX, VitConfig

__all__ = ["DATASETS", "SPLITS", "ImageData", "check_images", "dataset", "digits"]

DATASETS = ("digits", "fashion")
"""Data sets that configurations name."""

SPLITS = ("train", "test")

_DIGITS_MAX = 16  # largest value in scikit-learn's digits
_TEST_SHARE = 0.2
_SPLIT_SEED = 0
_PIXEL_DTYPES = (torch.uint8, torch.int16, torch.int32, torch.int64)


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


@cache
def digits(split: str) -> ImageData:
    """Return scikit-learn's 8x8 handwritten digits: 1437 images in ``"train"``, 360 in ``"test"``.

    The test split is stratified by class and fixed (``train_test_split`` with ``test_size=0.2, random_state=0``);
    nothing is ever trained, calibrated or chosen on it. The original values 0 to 16 become pixel codes by rounding
    ``value * 255 / 16`` half up, in integers: ``(value * 255 + 8) // 16``.

    The tensors are shared between calls: clone before writing to them.

    Raises
    ------
    ValueError
        ``split`` is neither name.
    """
    check_choice("split", split, SPLITS)
    from sklearn.datasets import load_digits  # slow to import, and only needed here
    from sklearn.model_selection import train_test_split

    source = load_digits()
    parts = train_test_split(
        source.images, source.target, test_size=_TEST_SHARE, random_state=_SPLIT_SEED, stratify=source.target
    )
    images, labels = parts[SPLITS.index(split)], parts[2 + SPLITS.index(split)]
    values = torch.from_numpy(images).to(torch.int64)
    pixels = (values * PIXEL_MAX + _DIGITS_MAX // 2) // _DIGITS_MAX
    return ImageData(split, pixels.to(torch.uint8).unsqueeze(1), torch.from_numpy(labels).to(torch.int64))


def dataset(name: str, split: str) -> ImageData:
    """Return one split of a data set of :data:`DATASETS`: :func:`digits` or :func:`~vitric.golden.idx.fashion`.

    Raises
    ------
    ValueError
        There is no such data set or split, or it is not installed.
    """
    check_choice("data set", name, DATASETS)
    if name == "digits":
        return digits(split)
    from .idx import fashion  # reads files in terms of this module

    return fashion(split)


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
