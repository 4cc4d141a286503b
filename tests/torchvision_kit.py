"""torchvision, which timm and transformers import, where torch has no CUDA: :func:`import_torchvision` comes first."""

import sys

import torch

__all__ = ["import_torchvision"]


def import_torchvision() -> None:
    """Import torchvision.

    Its package on the registry is built for CUDA. Without that its operators cannot be loaded, and its import fails
    because two of them, which it extends, do not exist; nothing here uses them.
    """
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision

        torchvision.operators = library  # they exist as long as it does
