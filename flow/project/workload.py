"""What a quantization starts from: a float model, and the images to calibrate and to measure accuracy on."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitric.golden.errors import ModelWarning, UserError

from ..inputs.checked import checked
from .images import drawn
from .project import Project, checkpoint_project, open_project

if TYPE_CHECKING:
    import torch
    from vitric.golden.data.images import Images
    from vitric.golden.spec.accelerator import AcceleratorSpec
    from vitric.golden.vit import VisionTransformer

__all__ = ["Workload", "open_workload"]

_FOLDER_TEST = 500  # images of a folder that accuracy is measured on, unless told otherwise
_OTHERS = 1500  # training images beyond the calibration that logits are compared on, at most
_SHOWN = 4  # class folders that a warning names
_LEAST_OTHERS = 100  # of those that have to be left of a data set in memory


@dataclass(frozen=True, kw_only=True, eq=False)
class Workload:
    """A project's float model with its images.

    Attributes
    ----------
    project : Project
        With a float model and data.
    train, test : Images
        The splits of its data.
    """

    project: Project
    train: "Images"
    test: "Images"

    @property
    def name(self) -> str:
        """Of the project."""
        return self.project.name

    @property
    def model(self) -> "VisionTransformer":
        """The float model."""
        return self.project.model

    @property
    def spec(self) -> "AcceleratorSpec | None":
        """What the model is quantized for; None, without an accelerator: the arithmetic of the named ones."""
        return self.project.spec if self.project.has_accelerator else None

    @property
    def assumed(self) -> tuple[str, ...]:
        """What nobody said about the checkpoint, and what was taken instead."""
        return self.project.pretrained.assumed

    @cached_property
    def in_memory(self) -> bool:
        """Whether the images are in memory; else they are files."""
        from vitric.golden.data.images import ImageData

        return isinstance(self.train, ImageData)

    def calibration(self, count: int, seed: int | None, others: int) -> "tuple[torch.Tensor, torch.Tensor]":
        """Return images to calibrate on, and others of the same split.

        Parameters
        ----------
        count
            To calibrate on.
        seed
            Draws them; ``None`` takes the first ones.
        others
            Of an image folder, at most; of a data set in memory there are up to 1500.

        Raises
        ------
        UserError
            There are not so many; or files cannot be read, and are not skipped.
        """
        left = _LEAST_OTHERS if self.in_memory else 0
        if not 1 <= count <= len(self.train) - left:
            raise UserError(f"--calibration must be between 1 and {len(self.train) - left}, not {count}")
        order = drawn(len(self.train), seed)
        others = min(_OTHERS if self.in_memory else others, len(self.train) - count)
        return checked(lambda: (self.train.take(count, order), self.train.take(others, order[count:])))

    def test_count(self, count: int | None) -> int:
        """Return how many test images accuracy is measured on: ``count``, or the default for the kind of data."""
        if count is None:
            count = len(self.test) if self.in_memory else min(_FOLDER_TEST, len(self.test))
        if not 0 <= count <= len(self.test):
            raise UserError(f"--test must be between 0 and {len(self.test)}, not {count}")
        classes = self.model.config.num_classes
        if count and not self.in_memory and self.test.num_classes != classes:
            raise UserError(f"{self.project.data} has {self.test.num_classes} class folders, the model has {classes} "
                            "classes, so their order is unknown; --test 0 quantizes without measuring accuracy")
        return count

    @property
    def skipped(self) -> list[str]:
        """Files that could not be read and were left out so far."""
        return [name for split in (self.train, self.test) for name in getattr(split, "bad", [])]


def open_workload(
    project: str | Path | None, weights: Path | None, changes: Mapping[str, Mapping[str, Any]],
) -> Workload:
    """Return what `vitric quantize` works on.

    Parameters
    ----------
    project
        A project, as of :func:`~vitric.flow.project.project.open_project`, unless ``weights`` are given.
    weights
        Checkpoint of timm's, Hugging Face's or our own.
    changes
        What is said otherwise than in the project's file, section by section; None counts as not said.

    Warns
    -----
    ModelWarning
        Nobody says how class folders are numbered, and it matters.

    Raises
    ------
    UserError
        Options that exclude each other, or whatever is wrong with the files; the message names it.
    """
    if weights is None:
        work = open_project(project).changed(changes)
        if work.weights is None:
            raise UserError(f"{work.name} has random weights, so nothing is quantized")
    elif project is not None:
        raise UserError("--project and --weights exclude each other: both say which float model to take")
    elif not changes.get("data", {}).get("source"):
        raise UserError("--weights needs --data: digits, fashion, a folder of IDX files or an image folder")
    else:
        work = checkpoint_project(weights, changes)
    splits = {split: work.images(split) for split in ("train", "test")}
    if work.settings.data.class_order is None:
        _warn_of_order(splits["test"], work)
    return Workload(project=work, **splits)


def _warn_of_order(test: "Images", project: Project) -> None:
    """Warn if other software numbers the class folders of ``test`` otherwise, and no labels decide."""
    from vitric.golden.data.classes import natural_order
    from vitric.golden.data.folder import ImageFolder

    if not isinstance(test, ImageFolder) or test.order == "checkpoint":
        return
    orders = {"natural": natural_order(test.classes), "lexical": sorted(test.classes)}
    if orders["natural"] != orders["lexical"]:
        unnamed = "" if project.labels is None else "; the checkpoint's labels do not name all of them"
        warnings.warn(
            f"class folders are numbered in {test.order} order, {', '.join(orders[test.order][:_SHOWN])}, …{unnamed}; "
            "--class-order natural (timm), lexical (torchvision) or checkpoint (its labels) says which is right",
            ModelWarning, stacklevel=3)
