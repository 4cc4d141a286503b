"""Accuracy of several models on the same images, read once and in batches; errors in decibels."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import log10

import torch

from .data.images import Images
from .spec.check import check_int

__all__ = ["BATCH", "Evaluation", "SignalToNoise", "evaluate", "ranks"]

BATCH = 500
"""Images at a time, of small models."""

_NOTHING = 1e-300  # power that stands for none


def ranks(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the place of the right class among the logits of each image, int64 [B], 0 for the largest.

    Among equal logits the first class wins, as it does on the board.

    Parameters
    ----------
    logits : tensor [B, classes]
    labels : int64 tensor [B]
    """
    right = logits.gather(1, labels[:, None])
    before = torch.arange(logits.shape[1]) < labels[:, None]
    return ((logits > right) | (before & (logits == right))).sum(1)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Result of :func:`evaluate`.

    Attributes
    ----------
    ranks : dict of int64 tensors [images]
        For each model, the place of the right class among its logits: :func:`ranks`.
    """

    ranks: dict[str, torch.Tensor]

    @property
    def images(self) -> int:
        """Images that were classified."""
        return len(next(iter(self.ranks.values())))

    def accuracy(self, model: str, top: int = 1) -> float:
        """Return the share of images, 0 to 1, whose class is among the ``top`` largest logits of ``model``."""
        return int((self.ranks[model] < top).sum()) / self.images


@dataclass
class SignalToNoise:
    """Power of a signal over that of the errors in it, for all that was added.

    Attributes
    ----------
    signal, noise : float
        Sums of squares.
    """

    signal: float = 0.0
    noise: float = 0.0

    def add(self, wanted: torch.Tensor, error: torch.Tensor) -> "SignalToNoise":
        """Add a part of the signal and the error in it; return self."""
        self.signal += float(wanted.square().sum())
        self.noise += float(error.square().sum())
        return self

    @property
    def db(self) -> float:
        """The ratio in decibels; finite also where one of the two is 0."""
        return 10 * log10(max(self.signal, _NOTHING) / max(self.noise, _NOTHING))


@torch.no_grad()
def evaluate(
    models: Mapping[str, Callable[[torch.Tensor], torch.Tensor]], data: Images, *, batch: int = BATCH,
    count: int | None = None, on_images: Callable[[int], None] | None = None,
) -> Evaluation:
    """Classify images with every model.

    Parameters
    ----------
    models
        By name: maps pixels [B, C, H, W] to logits [B, classes].
    data
        Images and labels.
    batch
        Images at a time.
    count
        How many images, from the first; default: all.
    on_images
        Called after each batch with the number of images in it.

    Raises
    ------
    ValueError
        Image files cannot be read, there are not so many images, or a label has no logit.
    """
    if count is not None:
        check_int("number of images", count, 1, len(data))
    found: dict[str, list[torch.Tensor]] = {name: [] for name in models}
    for images, labels in data.batches(batch, count):
        for name, model in models.items():
            logits = model(images)
            if int(labels.max()) >= logits.shape[1]:
                raise ValueError(f"the data have the label {int(labels.max())}, the model has the classes 0 to "
                                 f"{logits.shape[1] - 1}")
            found[name].append(ranks(logits, labels))
        if on_images is not None:
            on_images(len(images))
    if not all(found.values()):
        raise ValueError("none of the images can be read")
    return Evaluation({name: torch.cat(parts) for name, parts in found.items()})
