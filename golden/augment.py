"""Augmentation of training images: moved, turned, scaled and mirrored at random, and pieces of one put into another."""

from math import radians

import torch
from torch.nn import functional

from .recipe import Recipe

__all__ = ["augment", "cutmix"]


def augment(images: torch.Tensor, recipe: Recipe, generator: torch.Generator) -> torch.Tensor:
    """Return pixels [B, C, S, S] (any dtype) each rotated, scaled and shifted at random, as float32, bilinear.

    What enters from outside the image is 0, the background of the digits and of Fashion-MNIST. With neither rotation
    nor scale, shifts are whole pixels.
    """
    count, size = len(images), images.shape[-1]
    if recipe.flip:
        mirrored = torch.rand(count, 1, 1, 1, generator=generator) < 0.5
        images = torch.where(mirrored, images.flip(-1), images)
    uniform = torch.rand(count, 4, generator=generator) * 2 - 1  # [B, 4] in -1..1
    angle = uniform[:, 0] * radians(recipe.rotation)
    scale = 1 + uniform[:, 1] * recipe.scale
    shift = uniform[:, 2:] * recipe.shift  # [B, 2], pixels
    if not recipe.rotation and not recipe.scale:
        shift = shift.round()
    shift = shift * 2 / size  # the image spans -1..1
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    rows = torch.stack([cosine, -sine, shift[:, 0], sine, cosine, shift[:, 1]], dim=1)
    grid = functional.affine_grid(rows.reshape(count, 2, 3), list(images.shape), align_corners=False)  # [B, S, S, 2]
    return functional.grid_sample(images.to(torch.float32), grid, align_corners=False)


def cutmix(images: torch.Tensor, labels: torch.Tensor, classes: int,
           generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Put a rectangle of another image of the batch into each image, and mix their labels by area.

    The rectangle is the same for the whole batch: of the image's shape, its share of the area uniform in 0..1, its
    centre anywhere, cut off at the borders (Yun et al. 2019, algorithm A1 with alpha 1).

    Parameters
    ----------
    images
        [B, C, S, S].
    labels
        [B], int64.
    classes
        Number of them.
    generator
        Of the random numbers.

    Returns
    -------
    images : torch.Tensor
        A new tensor of the same shape.
    targets : torch.Tensor
        [B, classes], float32: the share of each class.
    """
    size = images.shape[-1]
    area, row, column = torch.rand(3, generator=generator).tolist()
    half = area**0.5 * size / 2
    top, left = (max(round(centre * size - half), 0) for centre in (row, column))
    bottom, right = (min(round(centre * size + half), size) for centre in (row, column))
    others = torch.randperm(len(images), generator=generator)
    mixed = images.clone()
    mixed[..., top:bottom, left:right] = images[others, :, top:bottom, left:right]
    share = (bottom - top) * (right - left) / size**2
    one_hot = functional.one_hot(labels, classes).to(torch.float32)
    return mixed, one_hot.lerp(one_hot[others], share)
