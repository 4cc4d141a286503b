"""Calibration images without data: PSAQ-ViT (Li, Ma, Chen, Xiao and Gu, ECCV 2022, arXiv 2203.02250).

Images start as Gaussian noise and descend on three terms, for which only the model is needed:

* **Patch similarity entropy.** In a real image some patches belong together and others do not, so the cosine
  similarities between what the patches get from attention spread widely; for noise they are all alike. The spread is
  the differential entropy of their density, estimated with Gaussian kernels, summed over the blocks.
* **Class.** The cross entropy of a given label, so that the images hold what the model looks for.
* **Prior.** The total variation of an image is drawn towards a value.

The published program estimates the density with kernels of width 0.01 at 10 points, which are up to 0.2 apart: most
similarities lie near none of them and have no gradient. Here points are as close as kernels are wide, so that the sum
over them is the integral. Its terms are means over a batch, while here every image has a loss of its own, and the
weight of the prior is converted accordingly. Images are shifted at random (wrapped around) as there, but not mirrored:
a mirrored digit is none.
"""

from collections.abc import Callable
from math import cos, pi, sqrt

import torch
from torch.nn import functional

from .quantization.ptq import check_model, one_thread
from .spec.check import check_int
from .spec.vit import PIXEL_MAX, VitConfig
from .vit import VisionTransformer

__all__ = ["STEPS", "VARIATION", "gaussian_images", "similarity_entropy", "synthesize", "total_variation"]

STEPS = 500
"""Of the optimisation."""

VARIATION = 0.31
"""Difference of neighbouring pixels that the prior wants: root mean square, in standard deviations of a pixel.

PSAQ-ViT draws the sum of four norms for a batch of 32 images of 3x224x224 to a number from 2500 to 3000, which is 0.28
to 0.34 per difference.
"""

_BATCH = 32  # images at a time
_RATE, _BETAS, _WARMUP = 0.2, (0.5, 0.9), 0.2  # of Adam: peak, decays, share of the steps until the peak
_CLASS_WEIGHT = 1.0
_PRIOR_WEIGHT = 0.05 * sqrt(32)  # published: 0.05, for norms over a batch of 32
_SHIFT = 30 / 224  # largest shift, of the image's size
_BANDWIDTH = 0.05  # of the kernels
_REACH = 4  # bandwidths by which the integral goes beyond the range of a cosine


def similarity_entropy(x: torch.Tensor) -> torch.Tensor:
    """Return the differential entropy of the patch similarities of each image, float [B], in nats.

    Over all pairs of different patches, with ``u`` their vectors: the integral of ``-f(s) * log(f(s))``, where ``f`` is
    the density of ``cos(u_i, u_j)``, estimated with Gaussian kernels of width 0.05 (PSAQ-ViT, equations 5 to 8).

    Parameters
    ----------
    x : float tensor [B, N, E]
        A vector for each of at least two patches.
    """
    unit = functional.normalize(x, dim=-1)
    first, second = torch.triu_indices(x.shape[1], x.shape[1], offset=1)
    pairs = (unit @ unit.transpose(1, 2))[:, first, second]  # [B, pairs]
    reach = 1 + _REACH * _BANDWIDTH
    points = torch.linspace(-reach, reach, round(2 * reach / _BANDWIDTH) + 1, dtype=x.dtype)
    distance = (pairs[:, None] - points[:, None]) / _BANDWIDTH  # [B, points, pairs]
    density = torch.exp(-distance.square() / 2).mean(-1) / (_BANDWIDTH * sqrt(2 * pi))  # [B, points]
    return torch.trapezoid(torch.special.entr(density + 1e-12), points, dim=-1)


def total_variation(x: torch.Tensor) -> torch.Tensor:
    """Return the sum of the norms of an image's differences to the right, down and along both diagonals, float [B].

    ``x`` is [B, C, S, S].
    """
    differences = (x[..., :-1] - x[..., 1:], x[..., :-1, :] - x[..., 1:, :],
                   x[..., 1:, :-1] - x[..., :-1, 1:], x[..., :-1, :-1] - x[..., 1:, 1:])
    return sum((d.square().sum((1, 2, 3)) + 1e-12).sqrt() for d in differences)


def _limits(config: VitConfig) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return mean, deviation, and the normalised values of pixels 0 and 255, each [C or 1, 1, 1]."""
    mean, std = (torch.tensor(value).reshape(-1, 1, 1) for value in (config.mean, config.std))
    return mean, std, -mean / std, (1 - mean) / std


def _pixels(x: torch.Tensor, config: VitConfig) -> torch.Tensor:
    """Return the pixels, uint8, of normalised images."""
    mean, std, _, _ = _limits(config)
    return ((x * std + mean) * PIXEL_MAX).round().clamp(0, PIXEL_MAX).to(torch.uint8)


def _noise(config: VitConfig, count: int, generator: torch.Generator) -> torch.Tensor:
    """Return normalised Gaussian noise that pixels can show."""
    _, _, low, high = _limits(config)
    shape = (count, config.in_chans, config.image_size, config.image_size)
    return torch.randn(shape, generator=generator).clamp(low, high)


def gaussian_images(config: VitConfig, count: int, *, seed: int = 0) -> torch.Tensor:
    """Return Gaussian noise of the mean and deviation that ``config`` normalises by: uint8 [count, C, S, S].

    What synthesized images are compared with, and start from.

    Raises
    ------
    TypeError, ValueError
        ``count`` is not 1 to 100000, or ``seed`` not 0 to 2**31 - 1.
    """
    check_int("count", count, 1, 100_000)
    check_int("seed", seed, 0, 2**31 - 1)
    return _pixels(_noise(config, count, torch.Generator().manual_seed(seed)), config)


def synthesize(
    model: VisionTransformer, count: int, *, seed: int = 0, steps: int = STEPS, variation: float = VARIATION,
    on_step: Callable[[int, int], None] | None = None,
) -> torch.Tensor:
    """Return images that serve to calibrate ``model``, made from the model alone.

    Image ``n`` is of class ``n % num_classes``. The first images do not depend on how many follow within their batch
    of 32 only up to rounding; equal arguments give equal images on one machine and torch version. Runs on one thread.

    Parameters
    ----------
    model : VisionTransformer
        Trained, with at least two patches; unchanged afterwards.
    count : int
        Images, 1 to 100000.
    seed : int
        Of noise and shifts, 0 to 2**31 - 1.
    steps : int
        Of Adam for each batch, 1 to 100000.
    variation : float
        Difference of neighbouring pixels that the prior wants, see :data:`VARIATION`; above 0, at most 2.
    on_step : callable, optional
        Called after each step with the steps done so far and those of all batches.

    Returns
    -------
    uint8 tensor [count, C, S, S]
        Pixels 0 to 255.

    Raises
    ------
    TypeError, ValueError
        An argument is illegal, or the model holds NaN or infinity.
    """
    check_model(model)
    check_int("count", count, 1, 100_000)
    check_int("seed", seed, 0, 2**31 - 1)
    check_int("steps", steps, 1, 100_000)
    if not 0 < variation <= 2:
        raise ValueError(f"variation must be above 0 and at most 2, not {variation!r}")
    if model.config.num_tokens < 3:
        raise ValueError(f"the model must have at least two patches, not {model.config.num_tokens - 1}")
    generator = torch.Generator().manual_seed(seed)
    labels = (torch.arange(count) % model.config.num_classes).split(_BATCH)
    with one_thread():
        done = []
        for number, batch in enumerate(labels):
            report = None if on_step is None else (
                lambda step, before=number * steps: on_step(before + step, len(labels) * steps))
            done.append(_descend(model, batch, generator, steps, variation, report))
    return torch.cat(done)


def _rate(step: int, steps: int) -> float:
    """Return the learning rate: linear warm-up, then a cosine."""
    warm = max(round(_WARMUP * steps), 1)
    if step < warm:
        return _RATE * (step + 1) / warm
    return _RATE * (1 + cos(pi * (step - warm) / (steps - warm))) / 2


def _descend(model, labels, generator, steps, variation, report):
    config = model.config
    _, _, low, high = _limits(config)
    images = _noise(config, len(labels), generator).requires_grad_()
    size = config.image_size
    wanted = variation * 2 * sqrt(config.in_chans) * (sqrt(size * (size - 1)) + size - 1)
    reach = round(_SHIFT * size)
    optimizer = torch.optim.Adam([images], betas=_BETAS)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = _rate(step, steps)
        shift = torch.randint(-reach, reach + 1, (2,), generator=generator).tolist()
        entropy = []

        def watch(name, x, entropy=entropy):
            if name.endswith(".attn.context"):
                entropy.append(similarity_entropy(x[:, 1:]))  # of the patches: the class token is left out
            return x

        with torch.enable_grad():
            moved = images.roll(shift, dims=(2, 3))
            logits = model.forward_normalized(moved, watch)
            loss = -sum(entropy) + _CLASS_WEIGHT * functional.cross_entropy(logits, labels, reduction="none")
            loss = loss + _PRIOR_WEIGHT * (total_variation(moved) - wanted).abs()
            images.grad, = torch.autograd.grad(loss.sum(), images)
        optimizer.step()
        with torch.no_grad():
            images.clamp_(low, high)
        if report is not None:
            report(step + 1)
    return _pixels(images.detach(), config)
