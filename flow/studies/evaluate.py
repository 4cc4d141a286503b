"""What the studies that run images share: data, quantized models kept in memory, and what is measured on them.

torch is imported where it is used, so that tables and plots of stored results do not need it.
"""

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from math import sqrt
from typing import TYPE_CHECKING, Any

from vitric.golden.errors import UserError

from ..inputs.checked import checked
from ..project.integer import QUANTIZATION_SOURCES
from ..project.project import Project, open_project

if TYPE_CHECKING:
    import torch
    from vitric.golden.data.images import ImageData
    from vitric.golden.quantization import Lowered
    from vitric.golden.vit import VisionTransformer

__all__ = ["BITS", "CALIBRATION", "DEFAULT_IMAGES", "HELD", "SOURCES", "accuracies", "base_case", "bits_label",
           "calibration_pool", "float_accuracy", "float_model", "logit_snr", "lowered", "project_of", "standard_error",
           "test_split", "trained", "training_data"]

CALIBRATION = 64
"""The first images of the training split: what models are calibrated on where the study does not vary it."""

HELD = 400
"""The last images of the training split, on which the signal-to-noise ratio of the logits is measured; a third of the
split, if it is small."""

DEFAULT_IMAGES = 2000
"""Test images without ``--images``, if there are so many."""

_TOGETHER = 64  # images read at a time

BITS = ((8, 8), (6, 6), (4, 8), (4, 4), (3, 3), (2, 2))
"""Bits of weights and of activations that are compared."""

SOURCES = (*QUANTIZATION_SOURCES, "golden/data/sets.py", "golden/data/idx.py", "golden/evaluation.py",
           "flow/studies/evaluate.py")
"""What every measured result depends on."""


def trained() -> tuple[str, ...]:
    """Return the names of the committed float models."""
    from vitric.golden.checkpoint import model_names

    return model_names()


@cache
def project_of(config: str) -> Project:
    """Return the project of a case: ``config`` is the name of a built-in one, a folder, or a file."""
    return open_project(config)


@cache
def _split(config: str, split: str) -> "ImageData":
    import torch
    from vitric.golden.data.images import ImageData

    parts = checked(lambda: list(project_of(config).images(split).batches(_TOGETHER)))
    if not parts:
        raise UserError(f"no {split} image of {config} can be read")
    return ImageData(split, *(torch.cat(part) for part in zip(*parts, strict=True)))


@cache
def float_model(config: str) -> "VisionTransformer":
    """Return a project's float model; shared, so not to be changed."""
    return project_of(config).model


def base_case(config: str, images: int | None) -> dict[str, Any]:
    """Return the part that the cases of a network share: ``config``, ``data`` and ``images``, checked.

    Raises
    ------
    UserError
        ``images`` is below 1 or more than there are, or the data set is not installed.
    """
    data = project_of(config).data
    count = len(_split(config, "test"))
    images = min(DEFAULT_IMAGES, count) if images is None else images
    if not 1 <= images <= count:
        raise UserError(f"--images must be between 1 and {count}, the size of the test split of {data}, not {images}")
    return {"config": config, "data": data, "images": images}


@cache
def test_split(config: str, images: int) -> "ImageData":
    """Return the first ``images`` of the test split."""
    from vitric.golden.data.images import ImageData

    split = _split(config, "test")
    return ImageData("test", split.images[:images], split.labels[:images])


def _held(config: str) -> int:
    return min(HELD, -(-len(_split(config, "train")) // 3))


@cache
def training_data(config: str) -> "ImageData":
    """Return the training split but for the last :data:`HELD`."""
    from vitric.golden.data.images import ImageData

    split, held = _split(config, "train"), _held(config)
    return ImageData("train", split.images[:-held], split.labels[:-held])


def calibration_pool(config: str) -> "torch.Tensor":
    """Return the images of :func:`training_data`."""
    return training_data(config).images


@lru_cache(maxsize=2)
def _lowered(config: str, options: tuple, chosen: tuple[int, ...] | None) -> "Lowered":
    from vitric.golden.quantization import quantize_with_scales

    pool = calibration_pool(config)
    return quantize_with_scales(float_model(config), pool[:CALIBRATION] if chosen is None else pool[list(chosen)],
                                spec=project_of(config).spec, **dict(options))


def lowered(config: str, options: Mapping[str, Any], chosen: Sequence[int] | None = None) -> "Lowered":
    """Return the quantized model; ``chosen`` are images of :func:`calibration_pool`, else its first ones.

    The last two are kept in memory. :exc:`ValueError` if the method cannot express it.
    """
    return _lowered(config, tuple(sorted(options.items())), None if chosen is None else tuple(chosen))


@cache
def float_accuracy(config: str, images: int) -> float:
    """Return the float model's accuracy on the first ``images`` of the test split."""
    from vitric.golden.train import accuracy

    return round(accuracy(float_model(config), test_split(config, images)), 6)


def logit_snr(model: "Lowered", images: "torch.Tensor") -> float:
    """Return the ratio of the float logits' power to that of the integer logits' error, in decibels."""
    from vitric.golden.evaluation import SignalToNoise
    from vitric.golden.quantization import reference

    wanted = reference(model, images)["head"][:, 0]
    return SignalToNoise().add(wanted, model.quantities["head"].decode(model.model(images)) - wanted).db


def accuracies(model: "Lowered", config: str, images: int) -> dict[str, float]:
    """Return ``simulated`` and ``integer`` accuracy, and ``logit_snr_db`` on the last :data:`HELD` training images."""
    from vitric.golden.quantization import Simulated
    from vitric.golden.train import accuracy

    test = test_split(config, images)
    return {
        "simulated": round(accuracy(Simulated(model), test), 6),
        "integer": round(accuracy(model.model, test), 6),
        "logit_snr_db": round(logit_snr(model, _split(config, "train")[-_held(config):]), 2),
    }


def standard_error(share: float, images: int) -> float:
    """Return the standard deviation of an accuracy measured on ``images`` independent images (binomial)."""
    return sqrt(share * (1 - share) / images)


def bits_label(record: Mapping[str, Any]) -> str:
    """Return ``W4A8`` for 4-bit weights and 8-bit activations."""
    return f"W{record['w_bits']}A{record['a_bits']}"
