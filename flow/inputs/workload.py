"""What a quantization starts from: a float model, and the images to calibrate and to measure accuracy on."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vitric.golden.errors import ModelWarning, UserError

from .configs import configuration
from .models import float_file
from .specs import named_spec

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
    """A float model with its images.

    Attributes
    ----------
    name : str
        Configuration, or name of the checkpoint's file without its ending.
    model : VisionTransformer
    data : str
        Name or folder of the data set.
    train, test : Images
        Its splits.
    file : Path
        Of the float model.
    spec : AcceleratorSpec or None
        What the model is quantized for; None for the arithmetic of the named accelerators.
    assumed : tuple of str
        What nobody said about the checkpoint, and what was taken instead.
    """

    name: str
    model: "VisionTransformer"
    data: str
    train: "Images"
    test: "Images"
    file: Path
    spec: "AcceleratorSpec | None" = None
    assumed: tuple[str, ...] = ()

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
        import torch
        from vitric.golden.data.images import ImageData

        in_memory = isinstance(self.train, ImageData)
        left = _LEAST_OTHERS if in_memory else 0
        if not 1 <= count <= len(self.train) - left:
            raise UserError(f"--calibration must be between 1 and {len(self.train) - left}, not {count}")
        order = torch.arange(len(self.train))
        if seed is not None:
            order = torch.randperm(len(order), generator=torch.Generator().manual_seed(seed))
        others = min(_OTHERS if in_memory else others, len(self.train) - count)
        try:
            return self.train.take(count, order), self.train.take(others, order[count:])
        except ValueError as error:
            raise UserError(str(error)) from error

    def test_count(self, count: int | None) -> int:
        """Return how many test images accuracy is measured on: ``count``, or the default for the kind of data."""
        from vitric.golden.data.images import ImageData

        in_memory = isinstance(self.test, ImageData)
        if count is None:
            count = len(self.test) if in_memory else min(_FOLDER_TEST, len(self.test))
        if not 0 <= count <= len(self.test):
            raise UserError(f"--test must be between 0 and {len(self.test)}, not {count}")
        classes = self.model.config.num_classes
        if count and not in_memory and self.test.num_classes != classes:
            raise UserError(f"{self.data} has {self.test.num_classes} class folders, the model has {classes} classes, "
                            "so their order is unknown; --test 0 quantizes without measuring accuracy")
        return count

    @property
    def skipped(self) -> list[str]:
        """Files that could not be read and were left out so far."""
        return [name for split in (self.train, self.test) for name in getattr(split, "bad", [])]


def open_workload(
    config: str | None, weights: Path | None, data: str | None, *, heads: int | None = None,
    statistics: str | None = None, skip_bad: bool = False, spec: str | None = None, class_order: str | None = None,
) -> Workload:
    """Return what `vitric quantize` works on.

    Parameters
    ----------
    config
        Name of a configuration with a committed float model; by default ``digits``, unless ``weights`` are given.
    weights
        Checkpoint of timm's, Hugging Face's or our own.
    data
        Name or folder of a data set; by default the configuration's.
    heads, statistics
        As of :func:`vitric.golden.pretrained.load_pretrained`.
    skip_bad
        Leave out image files that cannot be read.
    spec
        Name of the accelerator to quantize for; by default the configuration's.
    class_order
        What class folders are numbered by: a name of :data:`vitric.golden.data.classes.ORDERS`. By default by the
        checkpoint's labels if they name every folder, else in the order of the software that the checkpoint comes from:
        natural for timm, lexical for all others.

    Warns
    -----
    ModelWarning
        Nobody says how class folders are numbered, and it matters.

    Raises
    ------
    UserError
        Options that exclude each other, or whatever is wrong with the files; the message names it.
    """
    from vitric.golden.checkpoint import load_float
    from vitric.golden.data.classes import ORDERS, ClassOrder
    from vitric.golden.data.sets import open_data
    from vitric.golden.pretrained import load_pretrained

    if weights is not None and config is not None:
        raise UserError("--config and --weights exclude each other: both say which float model to take")
    if weights is None and (heads, statistics) != (None, None):
        raise UserError("--heads and --statistics belong to --weights")
    if weights is not None and data is None:
        raise UserError("--weights needs --data: digits, fashion, a folder of IDX files or an image folder")
    if class_order is not None and class_order not in ORDERS:
        raise UserError(f"--class-order must be one of {', '.join(ORDERS)}, not {class_order!r}")
    chosen = None if spec is None else named_spec(spec)
    try:
        if weights is not None:
            found = load_pretrained(weights, heads=heads, statistics=statistics)
            name, model, transform, assumed = weights.stem, found.model, found.transform, found.assumed
            file, labels, usual = weights, found.labels, "natural" if found.kind == "timm" else "lexical"
        else:
            entry = configuration(config or "digits")
            if entry.data is None:
                raise UserError(f"{entry.name} has random weights, so nothing is quantized")
            file = float_file(entry)
            name, model, assumed = entry.name, load_float(file), ()
            chosen = chosen or entry.spec
            transform, data, labels, usual = _transform(entry.vit), data or entry.data, None, "lexical"
        order = ClassOrder(order=class_order, usual=usual, labels=labels)
        splits = {split: open_data(data, split, transform, skip_bad=skip_bad, order=order)
                  for split in ("train", "test")}
    except (TypeError, ValueError, OSError) as error:
        raise UserError(str(error)) from error
    if class_order is None:
        _warn_of_order(splits["test"], labels)
    return Workload(name=name, model=model, data=str(data), file=file, spec=chosen, assumed=assumed, **splits)


def _warn_of_order(test: "Images", labels: tuple[str, ...] | None) -> None:
    """Warn if other software numbers the class folders of ``test`` otherwise, and no labels decide."""
    from vitric.golden.data.classes import natural_order
    from vitric.golden.data.folder import ImageFolder

    if not isinstance(test, ImageFolder) or test.order == "checkpoint":
        return
    orders = {"natural": natural_order(test.classes), "lexical": sorted(test.classes)}
    if orders["natural"] != orders["lexical"]:
        unnamed = "" if labels is None else "; the checkpoint's labels do not name all of them"
        warnings.warn(
            f"class folders are numbered in {test.order} order, {', '.join(orders[test.order][:_SHOWN])}, …{unnamed}; "
            "--class-order natural (timm), lexical (torchvision) or checkpoint (its labels) says which is right",
            ModelWarning, stacklevel=3)


def _transform(vit):
    from vitric.golden.data.transform import EvalTransform

    return EvalTransform(image_size=vit.image_size, in_chans=vit.in_chans)
