"""Training of the float ViT: seeded, on a stated number of CPU threads, the same weights for the same seed.

The test split is read once, after the last step. Nothing is selected on it: the last weights (their running
average, see :attr:`Recipe.average`) are the result.
"""

import copy
import hashlib
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from torch.nn import functional

from .augment import augment, cutmix
from .data.images import ImageData, Images
from .data.sets import dataset
from .evaluation import evaluate
from .mimetic import mimetic_
from .optimizer import optimizers_of
from .recipe import Recipe
from .spec.vit import VitConfig
from .threads import torch_threads
from .training_file import TrainingFile, restore, snapshot
from .vit import VisionTransformer

__all__ = ["accuracy", "fit", "train"]

Loss = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]

M = TypeVar("M", bound=torch.nn.Module)


def _check_trainable(config, data):
    size, channels, classes = data.images.shape[-1], data.images.shape[1], int(data.labels.max()) + 1
    if (config.image_size, config.in_chans, config.num_classes) != (size, channels, classes):
        raise ValueError(
            f"training on these images needs a config with image_size {size}, in_chans {channels} and num_classes "
            f"{classes}, not image_size {config.image_size}, in_chans {config.in_chans} and num_classes "
            f"{config.num_classes}"
        )


def accuracy(model: Callable[[torch.Tensor], torch.Tensor], data: Images) -> float:
    """Return the share of ``data``'s images, 0 to 1, whose largest logit is the label's; 500 images at a time."""
    return evaluate({"model": model}, data).accuracy("model")


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
        Maps augmented pixels [B, C, S, S], float32, and labels, [B] or shares of the classes [B, classes], to the loss
        and the logits [B, classes]; by default the cross entropy of a :class:`~vitric.golden.vit.VisionTransformer`.
        Fine-tuning for quantization passes its own.
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
    optimizers = optimizers_of(model, recipe)
    averaged = copy.deepcopy(model)
    models, begin = {"model": model, "average": averaged}, 0
    if file is not None and (kept := file.load()) is not None:
        begin, tensors = kept
        restore(tensors, models, optimizers, generator)
    per_epoch = -(-len(data) // recipe.batch_size)
    model.train()
    for epoch in range(begin, recipe.epochs):
        loss_sum, right = 0.0, 0
        order = torch.randperm(len(data), generator=generator).split(recipe.batch_size)
        for index, chosen in enumerate(order):
            step = epoch * per_epoch + index
            for group in (group for optimizer in optimizers for group in optimizer.param_groups):
                group["lr"] = recipe.rate(step, recipe.epochs * per_epoch)
            if on_step is not None:
                on_step(step, recipe.epochs * per_epoch)
            labels = data.labels[chosen]
            pixels, targets = _augmented(data.images[chosen], labels, data.num_classes, recipe, generator)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=recipe.precision == "bfloat16"):
                error, logits = loss(pixels, targets)
            model.zero_grad()
            error.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer in optimizers:
                optimizer.step()
            _update_average(averaged, model, min(recipe.average, (step + 1) / (step + 10)))
            loss_sum += error.item() * len(chosen)
            right += int((logits.argmax(dim=1) == labels).sum())
        if file is not None:
            file.save(epoch + 1, snapshot(models, optimizers, generator))
        if on_epoch is not None:
            on_epoch(epoch + 1, loss_sum / len(data), right / len(data))
    model.eval()
    return averaged.eval()


def _augmented(images, labels, classes, recipe, generator):
    pixels = augment(images, recipe, generator)
    if not recipe.cutmix or torch.rand(1, generator=generator).item() >= recipe.cutmix:
        return pixels, labels
    return cutmix(pixels, labels, classes, generator)


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
        model = VisionTransformer(config)
        if recipe.init == "mimetic":
            mimetic_(model)
        return fit(model, data, recipe, on_step=on_step, on_epoch=on_epoch, file=file)


def _about(config: VitConfig, recipe: Recipe, data: ImageData) -> dict:
    """Return what a training depends on."""
    images = hashlib.sha256(data.images.numpy().tobytes() + data.labels.numpy().tobytes()).hexdigest()
    return {"network": config.to_dict(), "recipe": asdict(recipe), "images": images, "torch": torch.__version__}
