"""Calibration images without data: PSAQ-ViT (Li, Ma, Chen, Xiao and Gu, ECCV 2022, arXiv 2203.02250).

Images start as Gaussian noise and descend on three terms, for which only the model is needed:

* **Patch similarity entropy.** In a real image some patches belong together and others do not, so the cosine
  similarities between what the patches get from attention spread widely; for noise they are all alike. The spread is
  the differential entropy of their density, estimated with Gaussian kernels, summed over the blocks.
* **Class.** The cross entropy of a given label, so that the images hold what the model looks for.
* **Prior.** The total variation of an image is drawn towards a value.

What differs from the published program, and why:

* It estimates the density with kernels of width 0.01 at 10 points, which are up to 0.2 apart: most similarities lie
  near none of them and have no gradient. Here points are as close as kernels are wide: their sum is the integral.
* It averages the heads first; here their outputs lie side by side, as they enter the projection.
* Its terms are means over a batch, while here every image has a loss of its own; the prior's weight is converted.
* Weight of the class 12 instead of 1, 200 steps instead of 1000, and a prior that depends on the image's size: with the
  published ones the similarities of images of 8x8 pixels spread far wider than those of real images.
* Images are shifted at random (wrapped around) as there, but not mirrored: a mirrored digit is none.
"""

from collections.abc import Callable, Iterator
from math import cos, pi, sqrt

import torch
from torch.nn import functional

from .quantization.ptq import checked_model
from .spec.check import check_int
from .spec.vit import PIXEL_MAX, VitConfig
from .tensors import short_name
from .threads import torch_threads
from .vit import VisionTransformer

__all__ = [
    "STEPS", "batch_size", "default_variation", "gaussian_images", "similarity_entropy", "synthesize",
    "total_variation",
]

STEPS = 200
"""Of the optimisation."""

_RATE, _BETAS, _WARMUP = 0.2, (0.5, 0.9), 0.2  # of Adam: peak, decays, share of the steps until the peak
_CLASS_WEIGHT = 12.0  # published: 1
_PRIOR_WEIGHT = 0.05 * sqrt(32)  # published: 0.05, for norms over a batch of 32
_VARIATION, _SIZE = 0.31, 224  # published: 2500 to 3000 for four norms of 32x3x224x224, 0.28 to 0.34 per difference
_SHIFT = 30 / 224  # largest shift, of the image's size
_BANDWIDTH = 0.05  # of the kernels
_REACH = 4  # bandwidths by which the integral goes beyond the range of a cosine
_BATCH, _MEMORY = 64, 1 << 27  # images at a time: at most; elements of the densities' tensors


def default_variation(config: VitConfig) -> float:
    """Return the difference of neighbouring pixels that the prior wants: its root mean square, in deviations.

    That is 0.31 at 224 pixels as in PSAQ-ViT, and larger in proportion to ``size ** (-1/3)`` for smaller images, whose
    pixels show more: 0.62 at 28 pixels, 0.94 at 8. The real images of Fashion-MNIST and the digits have 0.5 and 1.0.
    """
    return _VARIATION * (_SIZE / config.image_size) ** (1 / 3)


def batch_size(config: VitConfig) -> int:
    """Return how many images are made at a time: 64, or as many as keep the densities' tensors at 0.5 GiB each."""
    per_image = config.depth * config.num_patches * (config.num_patches - 1) // 2 * len(_points())
    return max(1, min(_BATCH, _MEMORY // per_image))


def _points() -> torch.Tensor:
    """Return where densities are evaluated."""
    reach = 1 + _REACH * _BANDWIDTH
    return torch.linspace(-reach, reach, round(2 * reach / _BANDWIDTH) + 1)


def similarity_entropy(x: torch.Tensor) -> torch.Tensor:
    """Return the differential entropy of the patch similarities of each image, float [B], in nats.

    Over all pairs of different patches, with ``u`` their vectors: the integral of ``-f(s) * log(f(s))``, where ``f`` is
    the density of ``cos(u_i, u_j)``, estimated with Gaussian kernels of width 0.05.

    Parameters
    ----------
    x : float tensor [B, N, E]
        A vector for each of at least two patches.
    """
    unit = functional.normalize(x, dim=-1)
    first, second = torch.triu_indices(x.shape[1], x.shape[1], offset=1)
    pairs = (unit @ unit.transpose(1, 2))[:, first, second]  # [B, pairs]
    points = _points().to(x.dtype)
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


@torch.inference_mode(False)
def synthesize(
    model: VisionTransformer, count: int, *, seed: int = 0, steps: int = STEPS, variation: float | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> torch.Tensor:
    """Return images that serve to calibrate ``model``, made from the model alone.

    Image ``n`` is made for class ``n % num_classes``. Equal arguments give equal images on one machine and torch
    version. Runs on one thread.

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
    variation : float, optional
        Difference of neighbouring pixels that the prior wants, above 0 and at most 2; by default
        :func:`default_variation`.
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
    model = checked_model(model)
    check_int("count", count, 1, 100_000)
    check_int("seed", seed, 0, 2**31 - 1)
    check_int("steps", steps, 1, 100_000)
    config = model.config
    variation = default_variation(config) if variation is None else variation
    if not 0 < variation <= 2:
        raise ValueError(f"variation must be above 0 and at most 2, not {variation!r}")
    if config.num_patches < 2:
        raise ValueError(f"the model must have at least two patches, not {config.num_patches}")
    generator = torch.Generator().manual_seed(seed)
    batches = (torch.arange(count) % config.num_classes).split(batch_size(config))
    done = []
    with torch_threads(1):
        for number, labels in enumerate(batches):
            descent = _descent(model, labels, generator, steps, variation)
            for step in range(1, steps + 1):
                images = next(descent)
                if on_step is not None:
                    on_step(number * steps + step, len(batches) * steps)
            done.append(_pixels(images, config))
    return torch.cat(done)


def _rate(step: int, steps: int) -> float:
    """Return the learning rate: linear warm-up, then a cosine."""
    warm = max(round(_WARMUP * steps), 1)
    if step < warm:
        return _RATE * (step + 1) / warm
    return _RATE * (1 + cos(pi * (step - warm) / (steps - warm))) / 2


def _descent(
    model: VisionTransformer, labels: torch.Tensor, generator: torch.Generator, steps: int, variation: float,
) -> Iterator[torch.Tensor]:
    """Yield the normalised images for ``labels`` after each step."""
    config = model.config
    _, _, low, high = _limits(config)
    size = config.image_size
    wanted = variation * 2 * sqrt(config.in_chans) * (sqrt(size * (size - 1)) + size - 1)
    reach = round(_SHIFT * size)
    images = _noise(config, len(labels), generator).requires_grad_()
    optimizer = torch.optim.Adam([images], betas=_BETAS)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = _rate(step, steps)
        shift = torch.randint(-reach, reach + 1, (2,), generator=generator).tolist()
        with torch.enable_grad():
            loss = _loss(model, images.roll(shift, dims=(2, 3)), labels, wanted)
            images.grad, = torch.autograd.grad(loss.sum(), images)
        optimizer.step()
        with torch.no_grad():
            images.clamp_(low, high)
        yield images.detach()


def _loss(model: VisionTransformer, images: torch.Tensor, labels: torch.Tensor, wanted: float) -> torch.Tensor:
    """Return the loss of each normalised image, float [B]."""
    entropy = []

    def watch(name, x):
        if short_name(name) == "attn.context":
            entropy.append(similarity_entropy(x[:, model.config.num_prefix_tokens:]))  # of the patches alone
        return x

    logits = model.forward_normalized(images, watch)
    mistaken = functional.cross_entropy(logits, labels, reduction="none")
    prior = (total_variation(images) - wanted).abs()
    return -sum(entropy) + _CLASS_WEIGHT * mistaken + _PRIOR_WEIGHT * prior
