"""A network for images of another size: its position embedding is a picture with a pixel for each patch."""

from dataclasses import replace

import torch
from torch.nn import functional

from ..spec.check import check_int
from ..vit import VisionTransformer

__all__ = ["resized"]


@torch.no_grad()
def resized(model: VisionTransformer, image_size: int) -> VisionTransformer:
    """Return a float model for images of ``image_size`` pixels a side.

    The positions of the patches are resampled as timm does it: bicubic, antialiased. The tokens before the patches keep
    theirs.

    Raises
    ------
    ValueError
        ``image_size`` is not a multiple of the patch size, or is illegal.
    """
    config = model.config
    check_int("image_size", image_size, 1, 1024)
    if image_size % config.patch_size:
        raise ValueError(f"image_size must be a multiple of patch_size, {config.patch_size}, not {image_size}")
    if image_size == config.image_size:
        return model
    result = VisionTransformer(replace(config, image_size=image_size))
    prefix, side = config.num_prefix_tokens, result.config.grid_size
    grid = model.pos_embed[:, prefix:].unflatten(1, (config.grid_size, -1)).permute(0, 3, 1, 2)  # [1, E, grid, grid]
    grid = functional.interpolate(grid, size=(side, side), mode="bicubic", antialias=True)
    pos_embed = torch.cat([model.pos_embed[:, :prefix], grid.flatten(2).transpose(1, 2)], dim=1)
    result.load_state_dict(model.state_dict() | {"pos_embed": pos_embed})
    return result.train(model.training)
