"""Quantization-aware training: fine-tuning of an integer model, taught by the float model it came from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch
from torch.nn import functional

from ..data.images import ImageData
from ..quantization.lowering.lowered import Lowered
from ..recipe import OWN_RECIPE, RECIPES, Recipe
from ..spec.vit import PIXEL_MAX
from ..threads import torch_threads
from ..train import fit
from ..vit import VisionTransformer, in_float32
from .model import QuantizedTraining
from .oscillation import Freezer

__all__ = ["OWN_TUNING", "TUNING_RECIPES", "Tuning", "fine_tune"]

_SAME = {"weight_decay": 0.0, "label_smoothing": 0.0}

TUNING_RECIPES: Mapping[str, Recipe] = MappingProxyType({
    "tiny": replace(RECIPES["tiny"], epochs=60, learning_rate=2e-3, average=0.99, **_SAME),
    "digits": replace(RECIPES["digits"], epochs=30, learning_rate=1e-3, average=0.99, **_SAME),
    "fashion": replace(RECIPES["fashion"], epochs=3, learning_rate=1e-3, average=0.995, **_SAME),
    "photos": replace(RECIPES["photos"], epochs=3, learning_rate=3e-4, average=0.995, cutmix=0.0, optimizer="adamw",
                      **_SAME),
})
"""Recipe of fine-tuning for each config: augmentation and data are those of the float training.

:func:`vitric.golden.recipe.recipe_for` takes it as ``recipes``.
"""

OWN_TUNING = replace(OWN_RECIPE, epochs=10, learning_rate=3e-4, average=0.995, **_SAME)
"""Recipe to begin with for a network and images of one's own."""


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """How to fine-tune for quantization, beside the :class:`~vitric.golden.recipe.Recipe`.

    Parameters
    ----------
    distillation : float
        Weight, 0 to 1, of the Kullback-Leibler divergence from the float model's class probabilities; the cross
        entropy of the labels has the rest.
    freeze_from : float
        Share of the training, 0 to 1, after which weights that oscillate are frozen; 1 freezes none.
    freeze_threshold : float
        Share of steps in which a weight oscillates, 0 to 1, beyond which it is frozen at the end; from
        ``freeze_from`` on the threshold falls from four times this value to it, along a cosine.
    """

    distillation: float = 0.9
    freeze_from: float = 0.5
    freeze_threshold: float = 0.01

    def __post_init__(self):
        for name in ("distillation", "freeze_from", "freeze_threshold"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1, not {getattr(self, name)!r}")

    def threshold(self, progress: float) -> float:
        """Return the freezing threshold at ``progress`` (0 to 1) of the training; 1 freezes nothing."""
        if progress < self.freeze_from:
            return 1.0
        rest = (progress - self.freeze_from) / (1 - self.freeze_from)
        return self.freeze_threshold * (1 + 3 * (1 + torch.cos(torch.tensor(torch.pi * rest)).item()) / 2)


@torch.inference_mode(False)
def fine_tune(
    lowered: Lowered, teacher: VisionTransformer, data: ImageData, recipe: Recipe, tuning: Tuning = Tuning(),
    *, on_step: Callable[[int, int], None] | None = None, on_epoch: Callable[[int, float, float], None] | None = None,
) -> Lowered:
    """Return the integer model of ``lowered`` after training on ``data``.

    Parameters
    ----------
    lowered : Lowered
        From :func:`~vitric.golden.quantization.quantize_with_scales`; unchanged afterwards.
    teacher : VisionTransformer
        The float model; its class probabilities for the same augmented images are what is learned.
    data : ImageData
        Training images.
    recipe : Recipe
        Epochs, rates, augmentation, averaging, threads.
    tuning : Tuning
    on_step, on_epoch
        As in :func:`~vitric.golden.train.fit`.

    Raises
    ------
    ValueError
        The method of ``lowered`` has power-of-two scales, or a scale left what the units can express.
    """
    freezer = Freezer()
    model = QuantizedTraining(lowered, freezer)
    teacher = in_float32(teacher).eval()

    def loss(pixels: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        images = pixels.round().clamp(0, PIXEL_MAX).to(torch.int64)
        with torch.no_grad():
            wanted = functional.log_softmax(teacher(images).float(), dim=1)
        logits = model(images)
        learned = functional.log_softmax(logits, dim=1)
        error = functional.kl_div(learned, wanted, log_target=True, reduction="batchmean")
        return tuning.distillation * error + (1 - tuning.distillation) * functional.cross_entropy(
            logits, labels, label_smoothing=recipe.label_smoothing), logits

    def step(number: int, steps: int) -> None:
        freezer.threshold = tuning.threshold(number / steps)
        if on_step is not None:
            on_step(number, steps)

    with torch_threads(recipe.threads):
        averaged = fit(model, data, recipe, loss=loss, on_step=step, on_epoch=on_epoch)
    return averaged.lower()
