"""Networks with random weights that are worth to compare: of any library, and of the families that vitric reads."""

from dataclasses import replace

import torch
from vitric.golden.spec.vit import VIT_CONFIGS
from vitric.golden.vit import VisionTransformer

__all__ = ["FAMILIES", "family", "randomised"]

FAMILIES = {
    "registers": {"reg_tokens": 2, "depth": 2},
    "tanh": {"act_layer": "gelu_tanh"},
    "norm before": {"pre_norm": True, "depth": 2},
    "quick": {"act_layer": "quick_gelu", "qkv_bias": False, "reg_tokens": 1},
}
"""What the config of a small network of each kind has that ``tiny`` has not."""


def randomised(model):
    """Return ``model`` with every parameter random, deviations of a trained ViT's order."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * (0.5 if parameter.dim() < 2 else 0.1))
            if "norm" in name and name.endswith("weight"):
                parameter += 1
    return model.eval()


def family(name):
    """Return the network of :data:`FAMILIES`, random."""
    return randomised(VisionTransformer(replace(VIT_CONFIGS["tiny"], **FAMILIES[name])))
