"""How a float ViT is trained: a recipe's parameters, and the recipes of the configs that can be trained."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import cos, pi
from types import MappingProxyType

from .data.sets import DATASETS
from .spec.check import check_choice, check_int

__all__ = ["INITS", "OPTIMIZERS", "OWN_RECIPE", "PRECISIONS", "RECIPES", "Recipe", "recipe_for"]

PRECISIONS = ("float32", "bfloat16")
"""Arithmetic of matrix products in training."""

OPTIMIZERS = ("adamw", "muon")
"""AdamW; or Muon for the matrices of the blocks and AdamW for all else."""

INITS = ("timm", "mimetic")
"""Weights to begin with: as in timm, or attention that looks like trained attention
(:func:`~vitric.golden.mimetic.mimetic_`)."""

_RANGES = (
    ("learning_rate", 1e-6, 1.0), ("warmup", 0.0, 0.5), ("weight_decay", 0.0, 1.0), ("label_smoothing", 0.0, 0.5),
    ("shift", 0.0, 4.0), ("rotation", 0.0, 180.0), ("scale", 0.0, 0.5), ("average", 0.0, 0.99999),
    ("cutmix", 0.0, 1.0),
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train: linear warm-up and cosine decay to zero, augmentation, label smoothing, averaging.

    Parameters
    ----------
    epochs
        Passes over the training split, 1 to 10000.
    seed
        Of weights, order and augmentation, 0 to 2**31 - 1.
    batch_size
        Images per step, 1 to 4096; the last, smaller batch of an epoch is used too.
    learning_rate
        Peak, reached after ``warmup`` (a share of all steps).
    weight_decay
        Of matrices; biases, norms, class token and position embedding do not decay.
    label_smoothing
        Share of the target that is spread over all classes.
    shift, rotation, scale
        Largest augmentation: pixels along each axis, degrees, relative size. Images that are only shifted are shifted
        by whole pixels, and stay as sharp as they are.
    average
        Decay per step of the running average of the weights that is the result.
    flip
        Mirror half of the images.
    data
        Name of the data set, one of :data:`~vitric.golden.data.sets.DATASETS`; None for images of one's own.
    threads
        CPU threads, 1 to 64. Another number may give other weights.
    precision
        Of matrix products in training, one of :data:`PRECISIONS`; weights, sums and the loss stay float32. bfloat16
        halves the time of a step on a CPU that has it.
    cutmix
        Share of the batches in which a rectangle of each image is another image's (Yun et al. 2019).
    optimizer
        One of :data:`OPTIMIZERS`. Muon (Jordan et al. 2024) takes fewer epochs; its steps are scaled to AdamW's.
    init
        One of :data:`INITS`.
    """

    epochs: int
    seed: int = 0
    batch_size: int = 64
    learning_rate: float = 3e-3
    warmup: float = 0.05
    weight_decay: float = 0.05
    label_smoothing: float = 0.05
    shift: float = 0.6
    rotation: float = 10.0
    scale: float = 0.1
    average: float = 0.995
    flip: bool = False
    data: str | None = "digits"
    threads: int = 1
    precision: str = "float32"
    cutmix: float = 0.0
    optimizer: str = "adamw"
    init: str = "timm"

    def __post_init__(self):
        check_int("epochs", self.epochs, 1, 10_000)
        check_int("seed", self.seed, 0, 2**31 - 1)
        check_int("batch_size", self.batch_size, 1, 4096)
        check_int("threads", self.threads, 1, 64)
        check_choice("data set", self.data, (*DATASETS, None))
        check_choice("precision", self.precision, PRECISIONS)
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        check_choice("init", self.init, INITS)
        for name, low, high in _RANGES:
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} must be between {low} and {high}, not {getattr(self, name)!r}")

    def rate(self, step: int, steps: int) -> float:
        """Return the learning rate of ``step`` (0 to ``steps - 1``)."""
        warm = max(round(self.warmup * steps), 1)
        if step < warm:
            return self.learning_rate * (step + 1) / warm
        return self.learning_rate * (1 + cos(pi * (step - warm) / (steps - warm))) / 2


RECIPES: Mapping[str, Recipe] = MappingProxyType({
    "tiny": Recipe(epochs=300, learning_rate=6e-3, shift=0.5, rotation=8.0, scale=0.08),
    "digits": Recipe(epochs=150),
    "fashion": Recipe(
        data="fashion", epochs=40, batch_size=128, learning_rate=2e-3, label_smoothing=0.1, shift=1.5, rotation=0.0,
        scale=0.05, average=0.999, flip=True, threads=2, precision="bfloat16",
    ),
    "photos": Recipe(
        data=None, epochs=40, batch_size=128, learning_rate=2e-3, warmup=0.1, label_smoothing=0.1, shift=4.0,
        rotation=0.0, scale=0.0, average=0.999, flip=True, threads=2, precision="bfloat16", cutmix=0.3,
        optimizer="muon", init="mimetic",
    ),
})
"""Recipe of each config that can be trained; those of the digits were chosen on a part of the training split."""

OWN_RECIPE = Recipe(data=None, epochs=100, learning_rate=1e-3, label_smoothing=0.1, shift=2.0)
"""Recipe to begin with for images of one's own."""


def recipe_for(name: str, recipes: Mapping[str, Recipe] = RECIPES, **changes: int | float) -> Recipe:
    """Return the recipe that ``recipes`` has for the config called ``name``, with ``changes`` made to its parameters.

    Raises
    ------
    TypeError, ValueError
        There is no recipe of that name, or a change is illegal.
    """
    check_choice("config to train", name, tuple(recipes))
    return replace(recipes[name], **changes)
