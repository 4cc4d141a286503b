"""What `vitric train` trains on: images of one's own, or of a data set with a name, the training split in memory."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vitric.golden.errors import UserError

from .checked import checked

if TYPE_CHECKING:
    from vitric.golden.data.classes import ClassOrder
    from vitric.golden.data.images import ImageData, Images

__all__ = ["TrainingImages", "data_source", "in_memory", "training_images"]

_TOGETHER = 200  # images that are read at a time


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingImages:
    """The splits of some data.

    Attributes
    ----------
    train : ImageData
        What is trained on.
    test : Images
        What accuracy is measured on.
    labels : tuple of str or None
        Names of the classes, by number, where they are folders.
    """

    train: "ImageData"
    test: "Images"
    labels: tuple[str, ...] | None

    @property
    def dimensions(self) -> dict[str, int]:
        """What the images say of a network: the arguments of a :class:`~vitric.golden.spec.vit.VitConfig`."""
        _, channels, _, size = self.train.images.shape
        return {"image_size": size, "in_chans": channels,
                "num_classes": self.train.num_classes if self.labels is None else len(self.labels)}


def training_images(
    source: str | Path, *, image_size: int, in_chans: int, skip_bad: bool = False, order: "ClassOrder | None" = None,
    tell: Callable[[str, int, int], None] = lambda part, done, total: None,
) -> TrainingImages:
    """Return the images of a folder, or of a data set by its name, to train and to measure on.

    Parameters
    ----------
    source
        As of :func:`vitric.golden.data.sets.open_data`; a folder of images must have both ``train/`` and ``val/``.
    image_size, in_chans
        What image files become: resized to the shorter side, then the middle. IDX files have a size of their own.
    skip_bad, order
        As of :func:`vitric.golden.data.sets.open_data`.
    tell : function (part, done, total)
        Called while files are read.

    Raises
    ------
    UserError
        The data are not there or cannot be read, are not square, or the splits have different classes.
    """
    from vitric.golden.data.folder import ImageFolder
    from vitric.golden.data.images import SPLITS
    from vitric.golden.data.sets import open_data
    from vitric.golden.data.transform import EvalTransform

    transform = checked(lambda: EvalTransform(image_size=image_size, in_chans=in_chans, resize=image_size))
    train, test = (checked(lambda split=split: open_data(source, split, transform, skip_bad=skip_bad, order=order))
                   for split in SPLITS)
    if not isinstance(train, ImageFolder):
        if train.images.shape[-1] != train.images.shape[-2]:
            raise UserError(f"images of {source} must be square, not {train.images.shape[-2]}x{train.images.shape[-1]}")
        return TrainingImages(train=train, test=test, labels=None)
    if train.folder == test.folder:
        raise UserError(f"folder {source} must have train and val, to train and to measure on, with one folder per "
                        "class in each")
    if only := sorted(set(train.classes) ^ set(test.classes)):
        raise UserError(f"train and {test.folder.name} of {source} must have the same class folders; only one of them "
                        f"has {', '.join(only[:8])}")
    return TrainingImages(train=in_memory(train, tell), test=test, labels=train.classes)


def data_source(data: str | None) -> str | None:
    """Return what ``--data`` says as ``[data] source`` takes it: a name, or a folder from the root on; None if nothing.

    What is relative is so to the current folder there, and in a project's file to that of the file.
    """
    from vitric.golden.data.sets import DATASETS

    return data if data in (None, *DATASETS) else str(Path(data).absolute())


def in_memory(split: "Images", tell: Callable[[str, int, int], None]) -> "ImageData":
    """Return the images of a split that can be read, and their labels; what is in memory already as it is.

    ``tell`` is called while files are read, as in :func:`training_images`. :exc:`UserError` if none can be read.
    """
    import torch
    from vitric.golden.data.images import ImageData

    if isinstance(split, ImageData):
        return split
    parts, done = [], 0
    batches = split.batches(_TOGETHER)
    while (part := checked(lambda: next(batches, None))) is not None:
        parts.append(part)
        done += len(part[1])
        tell("images read", done, len(split))
    if not parts:
        raise UserError(f"no image of {split.folder} can be read")
    images, labels = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    return ImageData("train", images, labels)
