"""A checkpoint of odd sizes and pictures of three classes, as a user would have them."""

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from vitric.golden.spec.vit import VitConfig
from vitric.golden.vit import VisionTransformer

ODD = VitConfig(image_size=12, patch_size=4, in_chans=3, num_classes=3, embed_dim=20, depth=1, num_heads=2,
                mlp_ratio=1.5)


def write_own(folder):
    """Write ``vit.safetensors`` and ``pictures`` into ``folder``."""
    torch.manual_seed(5)
    model = VisionTransformer(ODD)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    noise = np.random.default_rng(1)
    for part in ("train", "val"):
        for name in ("bird", "cat", "dog"):
            (folder / "pictures" / part / name).mkdir(parents=True)
            for number in range(4):
                pixels = noise.integers(0, 256, (14, 18, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / "pictures" / part / name / f"{number}.png")
    save_file(model.state_dict(), folder / "vit.safetensors")
