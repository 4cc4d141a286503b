"""Data sets by name or folder, as raw integer pixels."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..spec.check import check_choice
from ..spec.vit import PIXEL_MAX
from .images import SPLITS, ImageData, Images

if TYPE_CHECKING:
    from .classes import ClassOrder
    from .transform import EvalTransform

__all__ = ["DATASETS", "dataset", "digits", "open_data"]

DATASETS = ("digits", "fashion")
"""Data sets with a name; :func:`open_data` also takes the path of a folder."""

_DIGITS_MAX = 16  # largest value in scikit-learn's digits
_TEST_SHARE = 0.2
_SPLIT_SEED = 0


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
    """Return one split of a data set of :data:`DATASETS`: :func:`digits` or :func:`~vitric.golden.data.idx.fashion`.

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


def open_data(source: str | Path, split: str, transform: "EvalTransform", *, skip_bad: bool = False,
              order: "ClassOrder | None" = None) -> Images:
    """Return one split of a data set by its name or its folder.

    Parameters
    ----------
    source
        A name of :data:`DATASETS`; or a folder with the four IDX files of MNIST's format
        (:func:`~vitric.golden.data.idx.idx_folder`), or with images in one folder per class
        (:func:`~vitric.golden.data.folder.image_folder`).
    split
        ``"train"`` or ``"test"``.
    transform
        What makes pixels of an image file.
    skip_bad
        Leave out image files that cannot be read, instead of raising.
    order
        What the class folders of an image folder are numbered by.

    Raises
    ------
    ValueError
        There is no such data set, folder or split, the message says how to get the data; or ``order`` cannot number the
        class folders, or there are none and it is asked for.
    """
    folder = Path(source)
    if str(source) in DATASETS or any(folder.glob("*-idx3-ubyte*")):
        if order is not None and order.order is not None:
            raise ValueError(f"class order belongs to a folder of images; the classes of {source} have numbers")
        if str(source) in DATASETS:
            return dataset(str(source), split)
        from .idx import idx_folder

        return idx_folder(folder, split)
    if not folder.is_dir():
        names = ", ".join(DATASETS)
        raise ValueError(
            f"data must be one of {names} or a folder that exists, not {source}: MNIST's four IDX files, or images in "
            "one folder per class below train/ and val/ (ImageNet: its terms have to be accepted on image-net.org, "
            "then ILSVRC2012_img_val.tar is enough, sorted into its 1000 class folders)")
    from .folder import image_folder

    return image_folder(folder, split, transform, skip_bad=skip_bad, order=order)
