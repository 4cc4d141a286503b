"""Data sets in MNIST's IDX format, plain or gzipped; Fashion-MNIST is one (Debian package dataset-fashion-mnist)."""

import gzip
import os
from functools import cache
from pathlib import Path

import numpy as np
import torch

from ..spec.check import check_choice
from .images import SPLITS, ImageData

__all__ = ["FASHION_FOLDERS", "fashion", "idx_folder", "read_idx"]

FASHION_FOLDERS = ("VITRIC_FASHION", "/usr/share/datasets/fashion-mnist")
"""Where Fashion-MNIST is looked for: an environment variable with its folder, then Debian's place for it."""

_PREFIX = dict(zip(SPLITS, ("train", "t10k"), strict=True))
_UINT8 = 8


def read_idx(path: str | Path) -> torch.Tensor:
    """Return the array of an IDX file of unsigned bytes: uint8 of as many dimensions as the file says.

    The format: two zero bytes, a byte for the type (8: unsigned byte), a byte for the number of dimensions, their
    sizes as big-endian 32-bit words, and the values, last dimension fastest.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        It is not such a file, or is longer or shorter than its header says.
    """
    path = Path(path)
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} is not a complete gzip file: {error}") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _UINT8 or not content[3]:
        raise ValueError(f"{path} must be an IDX file of unsigned bytes (00 00 08 dimensions), "
                         f"not {content[:4].hex(' ')}")
    begin = 4 + 4 * content[3]
    shape = [int.from_bytes(content[at:at + 4], "big") for at in range(4, begin, 4)]
    size = int(np.prod(shape, dtype=np.int64))
    if len(content) != begin + size:
        raise ValueError(f"{path} must hold {begin + size} bytes for dimensions {shape}, not {len(content)}")
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=begin).reshape(shape).copy())


def _find(folder: Path, name: str) -> Path:
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    raise ValueError(f"folder {folder} must hold {name} or {name}.gz")


def idx_folder(folder: str | Path, split: str) -> ImageData:
    """Return one split of a folder with MNIST's file names.

    ``train-images-idx3-ubyte`` and ``train-labels-idx1-ubyte`` for ``"train"``, ``t10k-…`` for ``"test"``; each may
    end in ``.gz``.

    Parameters
    ----------
    folder
        Where the files are.
    split
        ``"train"`` or ``"test"``.

    Returns
    -------
    ImageData
        Images uint8 [count, 1, height, width], labels int64 [count].

    Raises
    ------
    ValueError
        Unknown split, a missing or broken file, or images and labels that do not belong together.
    """
    check_choice("split", split, SPLITS)
    folder = Path(folder)
    images = read_idx(_find(folder, f"{_PREFIX[split]}-images-idx3-ubyte"))
    labels = read_idx(_find(folder, f"{_PREFIX[split]}-labels-idx1-ubyte"))
    if images.dim() != 3 or labels.dim() != 1 or len(images) != len(labels) or not len(images):
        raise ValueError(f"images of {folder} must be [count, height, width] and labels [count] with one count above "
                         f"0, not {list(images.shape)} and {list(labels.shape)}")
    return ImageData(split, images.unsqueeze(1), labels.to(torch.int64))


@cache
def fashion(split: str) -> ImageData:
    """Return Fashion-MNIST (Xiao et al. 2017): 28x28 grey images of clothes in ten classes, 60,000 and 10,000.

    It is looked for in :data:`FASHION_FOLDERS`. The tensors are shared between calls: clone before writing to them.

    Raises
    ------
    ValueError
        Unknown split, or it is not there (the message says how to get it), or a file is broken.
    """
    check_choice("split", split, SPLITS)
    variable, installed = FASHION_FOLDERS
    folder = Path(os.environ.get(variable) or installed)
    if not folder.is_dir():
        raise ValueError(f"Fashion-MNIST is not in {folder}: install Debian's package dataset-fashion-mnist, or set "
                         f"{variable} to a folder with its four IDX files")
    return idx_folder(folder, split)
