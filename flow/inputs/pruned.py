"""Pruned float models and what they are worth: size, accuracy and cycles, alone and with quantization."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vitric.golden.errors import UserError

if TYPE_CHECKING:
    import torch
    from vitric.golden.data.images import ImageData
    from vitric.golden.spec.accelerator import AcceleratorSpec
    from vitric.golden.train import Recipe
    from vitric.golden.vit import VisionTransformer

__all__ = ["Pruning", "float_row", "integer_row", "parse_n_m", "prune", "recovery_recipe"]

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
        Of weights: one of :data:`vitric.golden.pruning.IMPORTANCE`.
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


def parse_n_m(text: str) -> tuple[int, int]:
    """Return N and M of ``N:M``; :exc:`UserError` says what it must look like."""
    found = re.fullmatch(r"(\d+):(\d+)", text)
    if not found:
        raise UserError(f"--n-m must be N:M, for example 2:4, not {text}")
    return int(found[1]), int(found[2])


def recovery_recipe(config: str, epochs: int | None = None, seed: int = 0) -> "Recipe":
    """Return how a pruned model of a configuration is trained further.

    A fifth of the epochs of its recipe, unless ``epochs`` says otherwise, at a third of the learning rate.

    Raises
    ------
    UserError
        There is no recipe of that name, or a number is out of range.
    """
    from vitric.golden.train import recipe_for

    try:
        full = recipe_for(config, seed=seed)
        short = -(-full.epochs // _RECOVERY_SHARE) if epochs is None else epochs
        return recipe_for(config, seed=seed, epochs=short, learning_rate=full.learning_rate / _RECOVERY_RATE)
    except (TypeError, ValueError) as error:
        raise UserError(str(error)) from error


def prune(
    model: "VisionTransformer", pruning: Pruning, train: "ImageData", recipe: "Recipe", *,
    on_pruned: Callable[["VisionTransformer"], None] | None = None,
    on_step: Callable[[int, int], None] | None = None, on_epoch: Callable[[int, float, float], None] | None = None,
) -> "VisionTransformer":
    """Return a pruned copy of ``model``, trained further on ``train``, as is a model without anything to prune.

    Heads go first: weights are then chosen among those that remain.

    Parameters
    ----------
    on_pruned : callable, optional
        Sees the pruned model before it is trained further.
    on_step, on_epoch : callable, optional
        As :func:`vitric.golden.train.fit`.

    Raises
    ------
    UserError
        The pruning is illegal for this model.
    """
    import copy

    from vitric.golden.pruning import (
        apply_masks,
        combine,
        head_importance,
        head_masks,
        heads_to_prune,
        n_m_masks,
        recover,
    )

    model = copy.deepcopy(model)
    try:
        masks = {}
        if pruning.heads:
            masks = head_masks(model, heads_to_prune(head_importance(model, train), pruning.heads))
            apply_masks(model, masks)
        if pruning.n_m:
            masks = combine(masks, n_m_masks(model, *pruning.n_m, importance=pruning.importance,
                                             images=train[:_MEASURED_ON]))
    except (TypeError, ValueError) as error:
        raise UserError(str(error)) from error
    if on_pruned is not None:
        apply_masks(model, masks)
        on_pruned(model)
    return recover(model, masks, train, recipe, on_step=on_step, on_epoch=on_epoch)


def float_row(model: "VisionTransformer", pruning: Pruning, test: "ImageData") -> dict[str, Any]:
    """Return size and accuracy of a float model, in the form of :func:`integer_row`."""
    from vitric.golden.model_size import FLOAT_BITS, live_heads, model_bytes
    from vitric.golden.train import accuracy

    return {
        "pruning": pruning.label, "w_bits": FLOAT_BITS, "a_bits": FLOAT_BITS,
        "bytes": model_bytes(model, n_m=pruning.n_m), "accuracy_float": accuracy(model, test), "accuracy_integer": None,
        "cycles": None, "stream_bytes": None, "heads": [live_heads(block.attn) for block in model.blocks],
    }


def integer_row(
    model: "VisionTransformer", pruning: Pruning, calibration: "torch.Tensor", test: "ImageData",
    spec: "AcceleratorSpec | None", w_bits: int, a_bits: int, **options: str | int,
) -> dict[str, Any]:
    """Return size, accuracy and cycles of a pruned and quantized model.

    Bytes are those of the packed model, indices of N:M included. The accelerator does not pack: cycles and
    ``stream_bytes`` are what it takes, so N:M changes neither, and removed heads change both.

    Parameters
    ----------
    model : VisionTransformer
        From :func:`prune`.
    pruning : Pruning
    calibration : integer tensor
        Images.
    test : ImageData
    spec : AcceleratorSpec, optional
        Without one there are no cycles.
    w_bits, a_bits
        Widths; further ``options`` as of :func:`vitric.golden.quantize`.

    Raises
    ------
    UserError
        The model cannot be quantized like this, or does not fit the accelerator.
    """
    from vitric.compiler.compile import compile_model
    from vitric.compiler.cycles import predict
    from vitric.golden import quantize
    from vitric.golden.model_size import model_bytes
    from vitric.golden.train import accuracy

    try:
        integer = quantize(model, calibration, w_bits=w_bits, a_bits=a_bits, spec=spec, **options)
    except (TypeError, ValueError) as error:
        raise UserError(str(error)) from error
    cycles = size = None
    if spec is not None:
        stream = compile_model(integer, spec).stream
        cycles, size = predict(stream.commands(), spec).cycles, len(stream.data)
    return float_row(model, pruning, test) | {
        "w_bits": w_bits, "a_bits": a_bits,
        "bytes": model_bytes(model, w_bits, edge_bits=int(integer.info["edge_bits"]), n_m=pruning.n_m),
        "accuracy_integer": accuracy(integer, test), "cycles": cycles, "stream_bytes": size,
    }
