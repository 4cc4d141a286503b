"""Where calibration images come from when there are no training images: the model alone, or noise."""

from typing import TYPE_CHECKING

from vitric.golden.errors import UserError

from .checked import checked

if TYPE_CHECKING:
    import torch
    from rich.console import Console
    from vitric.golden.vit import VisionTransformer

__all__ = ["SOURCES", "calibration_images", "synthesized"]

SOURCES = ("train", "data_free", "noise")
"""Where calibration images come from: the training split, the model alone, or Gaussian noise."""


def calibration_images(
    source: str, model: "VisionTransformer", count: int, *, say: "Console | None" = None,
) -> "torch.Tensor":
    """Return ``count`` images, uint8 [count, C, S, S], to calibrate ``model`` with.

    Parameters
    ----------
    source : str
        ``"data_free"`` or ``"noise"``.
    say : rich.console.Console, optional
        Show progress there.

    Raises
    ------
    UserError
        There is no such source, or it cannot give so many images.
    """
    from vitric.golden.data_free import STEPS, gaussian_images

    if source not in SOURCES[1:]:
        raise UserError(f"--calibration-source must be one of {', '.join(SOURCES)}, not {source!r}")
    if source == "noise":
        return checked(lambda: gaussian_images(model.config, count))
    return synthesized(model, count, steps=STEPS, seed=0, say=say)


def synthesized(
    model: "VisionTransformer", count: int, *, steps: int, seed: int, say: "Console | None",
) -> "torch.Tensor":
    """Return images made from the model alone (:func:`vitric.golden.data_free.synthesize`), with a progress bar."""
    from rich.progress import Progress
    from vitric.golden.data_free import synthesize

    with Progress(console=say, transient=True, disable=say is None) as progress:
        task = progress.add_task("synthesizing images", total=None)
        return checked(lambda: synthesize(
            model, count, steps=steps, seed=seed,
            on_step=lambda done, total: progress.update(task, completed=done, total=total)))
