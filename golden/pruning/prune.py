"""What to prune, and training that lets a model recover from it."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from ..data.images import ImageData
from ..recipe import Recipe, recipe_for
from ..threads import torch_threads
from ..train import fit
from ..vit import VisionTransformer, in_float32
from .masks import Masks, apply_masks, combine, head_importance, head_masks, heads_to_prune, n_m_masks

__all__ = ["Pruning", "prune", "recover", "recovery_recipe"]

_RECOVERY_SHARE = 5  # of the epochs of a training from scratch, one fifth
_RECOVERY_RATE = 3  # and a third of its learning rate
_MEASURED_ON = 256  # training images that inputs are measured on


@dataclass(frozen=True)
class Pruning:
    """What to prune.

    Parameters
    ----------
    n_m : pair of int, optional
        Keep N of each M weights of a row.
    heads : float
        Share of all heads to remove.
    importance : str
        Of weights: one of :data:`vitric.golden.pruning.masks.IMPORTANCE`.
    """

    n_m: tuple[int, int] | None = None
    heads: float = 0.0
    importance: str = "magnitude"

    @property
    def label(self) -> str:
        """``none``, or what is pruned: ``2:4 + heads 25 %``."""
        parts = [f"{self.n_m[0]}:{self.n_m[1]}"] if self.n_m else []
        parts += [f"heads {self.heads:.0%}".replace("%", " %")] if self.heads else []
        return " + ".join(parts) or "none"


def recovery_recipe(config: str, epochs: int | None = None, seed: int = 0) -> Recipe:
    """Return how a pruned model of a configuration is trained further.

    A fifth of the epochs of its recipe, unless ``epochs`` says otherwise, at a third of the learning rate.

    Raises
    ------
    ValueError
        There is no recipe of that name, or a number is out of range.
    """
    full = recipe_for(config, seed=seed)
    short = -(-full.epochs // _RECOVERY_SHARE) if epochs is None else epochs
    return recipe_for(config, seed=seed, epochs=short, learning_rate=full.learning_rate / _RECOVERY_RATE)


@torch.inference_mode(False)
def prune(
    model: VisionTransformer, pruning: Pruning, train: ImageData, recipe: Recipe, *,
    on_pruned: Callable[[VisionTransformer], None] | None = None,
    on_step: Callable[[int, int], None] | None = None, on_epoch: Callable[[int, float, float], None] | None = None,
) -> VisionTransformer:
    """Return a pruned copy of ``model``, trained further on ``train``, as is a model without anything to prune.

    Heads go first: weights are then chosen among those that remain.

    Parameters
    ----------
    on_pruned : callable, optional
        Sees the pruned model before it is trained further.
    on_step, on_epoch : callable, optional
        As :func:`~vitric.golden.train.fit`.

    Raises
    ------
    ValueError
        The pruning is illegal for this model.
    """
    model = copy.deepcopy(in_float32(model))
    masks: Masks = {}
    if pruning.heads:
        masks = head_masks(model, heads_to_prune(head_importance(model, train), pruning.heads))
        apply_masks(model, masks)
    if pruning.n_m:
        masks = combine(masks, n_m_masks(model, *pruning.n_m, importance=pruning.importance,
                                         images=train[:_MEASURED_ON]))
    if on_pruned is not None:
        apply_masks(model, masks)
        on_pruned(model)
    return recover(model, masks, train, recipe, on_step=on_step, on_epoch=on_epoch)


def recover(
    model: VisionTransformer, masks: Mapping[str, torch.Tensor], data: ImageData, recipe: Recipe, *,
    on_step: Callable[[int, int], None] | None = None, on_epoch: Callable[[int, float, float], None] | None = None,
) -> VisionTransformer:
    """Prune ``model`` in place, train it further with the masks kept, and return the result, a new model.

    Gradients are masked, so that a weight which is 0 stays exactly 0: neither its moments nor its decay move it.

    Parameters
    ----------
    model : VisionTransformer
    masks : mapping of str to bool tensor
    data : ImageData
        To train on.
    recipe : Recipe
        For example a short one of a low learning rate. Runs on ``recipe.threads`` threads.
    on_step, on_epoch : callable, optional
        As :func:`~vitric.golden.train.fit`.
    """
    apply_masks(model, masks)
    hooks = [model.get_parameter(name).register_hook(lambda gradient, mask=mask: gradient * mask)
             for name, mask in masks.items()]
    try:
        with torch_threads(recipe.threads):
            return fit(model, data, recipe, on_step=on_step, on_epoch=on_epoch)
    finally:
        for hook in hooks:
            hook.remove()
