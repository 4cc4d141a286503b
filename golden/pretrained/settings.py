"""What the tensors of a checkpoint do not say: heads, pixel statistics, transform. Files beside it may."""

import json
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from ..data.folder import CROP_PCT
from ..spec.check import check_choice

__all__ = ["STATISTICS", "Beside", "read_beside"]

STATISTICS = MappingProxyType({
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
})
"""Mean and deviation of the pixels by name: ``imagenet`` for DeiT, ``half`` for timm's and Google's ViT."""

_RESAMPLING = {2: "bilinear", 3: "bicubic"}  # Pillow's numbers, in Hugging Face's preprocessor_config.json
_ARCHITECTURES = ("vit", "deit")
_CONFIG, _PREPROCESSOR = "config.json", "preprocessor_config.json"


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What the files beside a checkpoint say, ``None`` where they say nothing.

    Attributes
    ----------
    num_heads
        Attention heads.
    embed_dim, depth
        To tell whether the files belong to the checkpoint.
    mean, std
        Statistics of the pixels.
    crop_pct, interpolation
        Of :class:`~vitric.golden.data.folder.EvalTransform`.
    """

    num_heads: int | None = None
    embed_dim: int | None = None
    depth: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    crop_pct: float = CROP_PCT
    interpolation: str = "bicubic"


def _read(path: Path) -> dict:
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is not a JSON file: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} must hold a JSON object, not {type(values).__name__}")
    return values


def _side(size: object) -> int | None:
    """Return the side of a size of Hugging Face's preprocessor: a number, or an object."""
    if isinstance(size, dict):
        size = size.get("shortest_edge", size.get("height"))
    return size if isinstance(size, int) else None


def _crop_pct(preprocessor: dict) -> float:
    size, crop = _side(preprocessor.get("size")), _side(preprocessor.get("crop_size"))
    return crop / size if preprocessor.get("do_center_crop") and size and crop else CROP_PCT


def read_beside(folder: Path) -> Beside:
    """Return what ``config.json`` (timm's or Hugging Face's) and ``preprocessor_config.json`` in ``folder`` say.

    Raises
    ------
    ValueError
        A file is no JSON object, or says that the checkpoint has another architecture or activation.
    """
    config, preprocessor = _read(folder / _CONFIG), _read(folder / _PREPROCESSOR)
    if "model_type" in config:
        check_choice(f"model_type in {folder / _CONFIG}", config["model_type"], _ARCHITECTURES)
        check_choice(f"hidden_act in {folder / _CONFIG}", config.get("hidden_act", "gelu"), ("gelu",))
    timm = config.get("pretrained_cfg") or {}
    mean, std = timm.get("mean", preprocessor.get("image_mean")), timm.get("std", preprocessor.get("image_std"))
    interpolation = timm.get("interpolation", _RESAMPLING.get(preprocessor.get("resample"), "bicubic"))
    return Beside(
        num_heads=config.get("num_attention_heads", (config.get("model_args") or {}).get("num_heads")),
        embed_dim=config.get("hidden_size"), depth=config.get("num_hidden_layers"),
        mean=tuple(mean) if mean else None, std=tuple(std) if std else None,
        crop_pct=timm.get("crop_pct", _crop_pct(preprocessor)), interpolation=interpolation)
