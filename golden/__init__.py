"""The contract: specs, integer arithmetic, unit models, float ViT, quantizers, integer ViT and data sets.

The names below are imported on first use, so that hardware code which needs only
:mod:`vitric.golden.spec` does not pay for (or depend on) torch.
"""

from importlib import import_module

_LAZY = {
    "load_float": "vitric.golden.checkpoint",
    "quantize": "vitric.golden.quantization",
    "digits": "vitric.golden.data.sets",
    "IntegerViT": "vitric.golden.integer",
    "VisionTransformer": "vitric.golden.vit",
    "VitConfig": "vitric.golden.spec.vit",
}

__all__ = ["load_float", "quantize", "digits", "IntegerViT", "VisionTransformer", "VitConfig"]


def __getattr__(name: str):
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'vitric.golden' has no attribute {name!r}")
