"""Training of the float ViT: seeded, on a stated number of CPU threads, the same weights for the same seed.

The test split is read once, after the last step. Nothing is selected on it: the last weights (their running
average, see :attr:`Recipe.average`) are the result.
"""

import copy
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from math import cos, pi, radians
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import torch
from torch.nn import functional

from .data.images import ImageData, Images
from .data.sets import DATASETS, dataset
from .evaluation import evaluate
from .spec.check import check_choice, check_int
from .spec.vit import VitConfig
from .threads import torch_threads
from .training_file import TrainingFile, restore, snapshot
from .vit import VisionTransformer

__all__ = ["OWN_RECIPE", "PRECISIONS", "RECIPES", "Recipe", "accuracy", "augment", "fit", "recipe_for", "train"]

Loss = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]

M = TypeVar("M", bound=torch.nn.Module)

PRECISIONS = ("float32", "bfloat16")
"""Arithmetic of matrix products in training."""

_RANGES = (
    ("learning_rate", 1e-6, 1.0), ("warmup", 0.0, 0.5), ("weight_decay", 0.0, 1.0), ("label_smoothing", 0.0, 0.5),
    ("shift", 0.0, 4.0), ("rotation", 0.0, 180.0), ("scale", 0.0, 0.5), ("average", 0.0, 0.99999),
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train: AdamW, linear warm-up and cosine decay to zero, augmentation, label smoothing, averaging.

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
        Largest augmentation: pixels along each axis, degrees, relative size.
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

    def __post_init__(self):
        check_int("epochs", self.epochs, 1, 10_000)
        check_int("seed", self.seed, 0, 2**31 - 1)
        check_int("batch_size", self.batch_size, 1, 4096)
        check_int("threads", self.threads, 1, 64)
        check_choice("data set", self.data, (*DATASETS, None))
        check_choice("precision", self.precision, PRECISIONS)
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


def _check_trainable(config, data):
    size, channels, classes = data.images.shape[-1], data.images.shape[1], int(data.labels.max()) + 1
    if (config.image_size, config.in_chans, config.num_classes) != (size, channels, classes):
        raise ValueError(
            f"training on these images needs a config with image_size {size}, in_chans {channels} and num_classes "
            f"{classes}, not image_size {config.image_size}, in_chans {config.in_chans} and num_classes "
            f"{config.num_classes}"
        )


def augment(images: torch.Tensor, recipe: Recipe, generator: torch.Generator) -> torch.Tensor:
    """Return pixels [B, C, S, S] (any dtype) each rotated, scaled and shifted at random, as float32, bilinear.

    What enters from outside the image is 0, the background of the digits and of Fashion-MNIST.
    """
    count, size = len(images), images.shape[-1]
    if recipe.flip:
        mirrored = torch.rand(count, 1, 1, 1, generator=generator) < 0.5
        images = torch.where(mirrored, images.flip(-1), images)
    uniform = torch.rand(count, 4, generator=generator) * 2 - 1  # [B, 4] in -1..1
    angle = uniform[:, 0] * radians(recipe.rotation)
    scale = 1 + uniform[:, 1] * recipe.scale
    shift = uniform[:, 2:] * recipe.shift * 2 / size  # [B, 2]; the image spans -1..1
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    rows = torch.stack([cosine, -sine, shift[:, 0], sine, cosine, shift[:, 1]], dim=1)
    grid = functional.affine_grid(rows.reshape(count, 2, 3), list(images.shape), align_corners=False)  # [B, S, S, 2]
    return functional.grid_sample(images.to(torch.float32), grid, align_corners=False)


def accuracy(model: Callable[[torch.Tensor], torch.Tensor], data: Images) -> float:
    """Return the share of ``data``'s images, 0 to 1, whose largest logit is the label's; 500 images at a time."""
    return evaluate({"model": model}, data).accuracy("model")


def _optimizer(model: torch.nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    decayed = [p for name, p in model.named_parameters() if p.dim() > 1 and name not in ("cls_token", "pos_embed")]
    others = [p for name, p in model.named_parameters() if p.dim() <= 1 or name in ("cls_token", "pos_embed")]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate)


def fit(
    model: M,
    data: ImageData,
    recipe: Recipe,
    *,
    loss: Loss | None = None,
    on_step: Callable[[int, int], None] | None = None,
    on_epoch: Callable[[int, float, float], None] | None = None,
    file: TrainingFile | None = None,
) -> M:
    """Train ``model`` in place on ``data`` and return the running average of its weights, a new model.

    Parameters
    ----------
    loss
        Maps augmented pixels [B, C, S, S], float32, and labels [B] to the loss and the logits [B, classes]; by
        default the cross entropy of a :class:`~vitric.golden.vit.VisionTransformer`. Fine-tuning for quantization
        passes its own.
    on_step
        Called before each step with its number (from 0) and the number of all steps.
    on_epoch
        Called after each epoch with its number (from 1), its mean loss, and its share of augmented training
        images that were classified right.
    file
        Gets the state after each epoch, before ``on_epoch``; if it is there already, training goes on from it, and the
        result is what it would have been without the interruption. Only for a ``model`` whose state its parameters are,
        and a ``loss`` without one.
    """
    loss = loss or partial(_cross_entropy, model, recipe.label_smoothing)
    generator = torch.Generator().manual_seed(recipe.seed)
    optimizer = _optimizer(model, recipe)
    averaged = copy.deepcopy(model)
    models, begin = {"model": model, "average": averaged}, 0
    if file is not None and (kept := file.load()) is not None:
        begin, tensors = kept
        restore(tensors, models, optimizer, generator)
    per_epoch = -(-len(data) // recipe.batch_size)
    model.train()
    for epoch in range(begin, recipe.epochs):
        loss_sum, right = 0.0, 0
        order = torch.randperm(len(data), generator=generator).split(recipe.batch_size)
        for index, chosen in enumerate(order):
            step = epoch * per_epoch + index
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate(step, recipe.epochs * per_epoch)
            if on_step is not None:
                on_step(step, recipe.epochs * per_epoch)
            labels = data.labels[chosen]
            pixels = augment(data.images[chosen], recipe, generator)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=recipe.precision == "bfloat16"):
                error, logits = loss(pixels, labels)
            optimizer.zero_grad()
            error.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            _update_average(averaged, model, min(recipe.average, (step + 1) / (step + 10)))
            loss_sum += error.item() * len(chosen)
            right += int((logits.argmax(dim=1) == labels).sum())
        if file is not None:
            file.save(epoch + 1, snapshot(models, optimizer, generator))
        if on_epoch is not None:
            on_epoch(epoch + 1, loss_sum / len(data), right / len(data))
    model.eval()
    return averaged.eval()


def _cross_entropy(model, label_smoothing, pixels, labels):
    logits = model.forward_normalized(model.normalize(pixels)).float()
    return functional.cross_entropy(logits, labels, label_smoothing=label_smoothing), logits


@torch.no_grad()
def _update_average(averaged, model, decay):
    for mean, value in zip(averaged.parameters(), model.parameters(), strict=True):
        mean.lerp_(value, 1 - decay)


def train(
    config: VitConfig, recipe: Recipe, data: ImageData | None = None, *, kept: Path | None = None,
    on_step: Callable[[int, int], None] | None = None,
    on_epoch: Callable[[int, float, float], None] | None = None,
) -> VisionTransformer:
    """Return a model of ``config`` trained on ``data``, in evaluation mode.

    Runs on ``recipe.threads`` threads and leaves torch's global random state and thread count as they were. Equal
    arguments give equal weights on one machine and torch version. ``on_step`` and ``on_epoch`` are as in :func:`fit`.

    Parameters
    ----------
    data
        Training images; by default the training split of ``recipe.data``.
    kept
        File for the state after each epoch. One that is there is gone on from.

    Raises
    ------
    ValueError
        ``config`` does not take the images, or the data set is not installed; or ``kept`` is damaged, or the file of
        another training.
    """
    data = dataset(recipe.data, "train") if data is None else data
    _check_trainable(config, data)
    with torch.random.fork_rng(devices=[]), torch_threads(recipe.threads):
        torch.manual_seed(recipe.seed)
        file = None if kept is None else TrainingFile(kept, _about(config, recipe, data))
        return fit(VisionTransformer(config), data, recipe, on_step=on_step, on_epoch=on_epoch, file=file)


def _about(config: VitConfig, recipe: Recipe, data: ImageData) -> dict:
    """Return what a training depends on."""
    images = hashlib.sha256(data.images.numpy().tobytes() + data.labels.numpy().tobytes()).hexdigest()
    return {"network": config.to_dict(), "recipe": asdict(recipe), "images": images, "torch": torch.__version__}
