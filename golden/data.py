"""Data sets as raw integer pixels, and the check that every model makes of its images."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch

from .spec.check import check_choice
from .spec.vit import PIXEL_MAX, VitConfig

if TYPE_CHECKING:
    from .folder import EvalTransform

__all__ = ["DATASETS", "SPLITS", "ImageData", "Images", "check_images", "dataset", "digits", "open_data"]

DATASETS = ("digits", "fashion")
"""Data sets with a name; :func:`open_data` also takes the path of a folder."""

SPLITS = ("train", "test")

_DIGITS_MAX = 16  # largest value in scikit-learn's digits
_TEST_SHARE = 0.2
_SPLIT_SEED = 0
_PIXEL_DTYPES = (torch.uint8, torch.int16, torch.int32, torch.int64)


class Images(Protocol):
    """One split of a data set, in memory (:class:`ImageData`) or not (:class:`~vitric.golden.folder.ImageFolder`)."""

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


def open_data(source: str | Path, split: str, transform: "EvalTransform", *, skip_bad: bool = False) -> Images:
    """Return one split of a data set by its name or its folder.

    Parameters
    ----------
    source
        A name of :data:`DATASETS`; or a folder with the four IDX files of MNIST's format
        (:func:`~vitric.golden.idx.idx_folder`), or with images in one folder per class
        (:func:`~vitric.golden.folder.image_folder`).
    split
        ``"train"`` or ``"test"``.
    transform
        What makes pixels of an image file.
    skip_bad
        Leave out image files that cannot be read, instead of raising.

    Raises
    ------
    ValueError
        There is no such data set, folder or split; the message says how to get the data.
    """
    if str(source) in DATASETS:
        return dataset(str(source), split)
    folder = Path(source)
    if not folder.is_dir():
        names = ", ".join(DATASETS)
        raise ValueError(
            f"data must be one of {names} or a folder that exists, not {source}: MNIST's four IDX files, or images in "
            "one folder per class below train/ and val/ (ImageNet: its terms have to be accepted on image-net.org, "
            "then ILSVRC2012_img_val.tar is enough, sorted into its 1000 class folders)")
    from .folder import image_folder
    from .idx import idx_folder

    if any(folder.glob("*-idx3-ubyte*")):
        return idx_folder(folder, split)
    return image_folder(folder, split, transform, skip_bad=skip_bad)


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
