"""Image folders: one folder of image files per class, read a batch at a time."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch

from ..spec.check import check_choice
from .classes import ClassOrder
from .images import SPLITS
from .transform import EvalTransform

__all__ = ["ImageFolder", "SUFFIXES", "image_folder"]

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".webp")
"""Endings of file names, upper or lower case, that count as images."""

_FOLDERS = {"train": ("train",), "test": ("val", "validation", "test")}
_ORDER_SEED = 0
_SET_ASIDE = 10  # one image in so many is for calibration if there is no folder train/
_LISTED = 20  # files that a message names
_READ_TOGETHER = 50  # images that are read before bad ones are reported


@dataclass(frozen=True, eq=False)
class ImageFolder:
    """One split of an image folder; images are read when they are asked for.

    Attributes
    ----------
    folder
        With one folder per class.
    classes
        Names of the class folders, in the order of their numbers.
    order
        How they are numbered: one of :data:`~vitric.golden.data.classes.ORDERS`.
    files
        Of the images, relative to ``folder``, in the order of the split.
    labels
        int64 [files].
    transform
        What makes pixels of a file.
    skip_bad
        Leave out files that cannot be read.
    bad
        Those that were left out so far.
    """

    folder: Path
    classes: tuple[str, ...]
    order: str
    files: tuple[str, ...]
    labels: torch.Tensor
    transform: EvalTransform
    skip_bad: bool = False
    bad: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.files)

    @property
    def num_classes(self) -> int:
        """Class folders."""
        return len(self.classes)

    def _read(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return images and labels at ``positions``, without the bad ones if those are skipped."""
        images, kept, bad, reasons = [], [], [], []
        for position in positions.tolist():
            try:
                images.append(self.transform(self.folder / self.files[position]))
                kept.append(position)
            except ValueError as error:
                bad.append(self.files[position])
                reasons.append(error)
        if bad and not self.skip_bad:
            names = ", ".join(bad[:_LISTED]) + (f" and {len(bad) - _LISTED} more" if len(bad) > _LISTED else "")
            raise ValueError(f"these files of {self.folder} cannot be read as images: {names}; skip_bad (--skip-bad) "
                             f"leaves such files out. The first one: {reasons[0]}")
        self.bad.extend(name for name in bad if name not in self.bad)
        size = (self.transform.in_chans, self.transform.image_size, self.transform.image_size)
        return torch.stack(images) if images else torch.zeros(0, *size, dtype=torch.uint8), self.labels[kept]

    def take(self, count: int, order: torch.Tensor | None = None) -> torch.Tensor:
        """Return the first ``count`` images that can be read, of the split or of its positions ``order``.

        Raises
        ------
        ValueError
            Files cannot be read and are not skipped (the message names them), or too few are left.
        """
        positions = torch.arange(len(self)) if order is None else order
        images, found = [self._read(positions[:0])[0]], 0
        while found < count and len(positions):
            missing = count - found
            read, _ = self._read(positions[:missing])
            positions = positions[missing:]
            images.append(read)
            found += len(read)
        if found < count:
            raise ValueError(f"{self.folder} must have {count} images that can be read, not {found} "
                             f"({len(self.bad)} files cannot)")
        return torch.cat(images)

    def batches(self, size: int, count: int | None = None) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield (images, labels) of at most ``size`` images, of the first ``count`` files (default: all).

        Raises
        ------
        ValueError
            Files cannot be read and are not skipped; the message names those among the next 50 or ``size``.
        """
        for positions in torch.arange(len(self))[:count].split(max(size, _READ_TOGETHER)):
            images, labels = self._read(positions)
            if len(images):
                yield from zip(images.split(size), labels.split(size), strict=True)


def _classes(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def image_folder(folder: str | Path, split: str, transform: EvalTransform, *, skip_bad: bool = False,
                 order: ClassOrder | None = None) -> ImageFolder:
    """Return one split of a folder of images.

    ``folder`` holds ``train`` and ``val`` (or ``validation``, or ``test``), and each of those one folder per class.
    Without ``train``, one image in ten of the other folder is set aside as ``"train"``, to calibrate on, and is not in
    ``"test"``; that folder may also be ``folder`` itself. Images are in a mixed order that depends on their names only.

    Parameters
    ----------
    folder
        Where the images are.
    split
        ``"train"`` or ``"test"``.
    transform
        What makes pixels of a file.
    skip_bad
        Leave out files that cannot be read, instead of raising when they are read.
    order
        What the class folders are numbered by; by default the lexical order of their names.

    Raises
    ------
    ValueError
        Unknown split, class folders that ``order`` cannot number, or there are no images where they are looked for.
    """
    check_choice("split", split, SPLITS)
    folder = Path(folder)
    found = {name: next((folder / part for part in parts if (folder / part).is_dir()), None)
             for name, parts in _FOLDERS.items()}
    divided = found["train"] is None
    if divided:
        found["train"] = found["test"] = found["test"] or folder
    root = found[split]
    if root is None:
        raise ValueError(f"folder {folder} has train but none of {', '.join(_FOLDERS['test'])}")
    folders = _classes(root)
    order, numbers = (order or ClassOrder()).number(folders)
    listed = [(f"{name}/{path.name}", label) for label, name in zip(numbers, folders, strict=True)
              for path in sorted((root / name).iterdir()) if path.suffix.lower() in SUFFIXES]
    mixed = torch.randperm(len(listed), generator=torch.Generator().manual_seed(_ORDER_SEED))
    if divided:
        aside = torch.arange(len(mixed)) % _SET_ASIDE == 0
        mixed = mixed[aside if split == "train" else ~aside]
    if not len(mixed):
        raise ValueError(f"folder {root} must hold one folder per class with image files in them "
                         f"({', '.join(SUFFIXES)}), found {len(folders)} folders and {len(listed)} images")
    labels = torch.tensor([label for _, label in listed])
    files = tuple(listed[position][0] for position in mixed.tolist())
    classes = tuple(name for _, name in sorted(zip(numbers, folders, strict=True)))
    return ImageFolder(root, classes, order, files, labels[mixed], transform, skip_bad)
