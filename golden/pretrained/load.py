"""From a file of timm's or Hugging Face's to the float model, its config read off the tensors' shapes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt
from pathlib import Path

import torch

from ..checkpoint import is_ours, load_float, load_state_dict, read_about
from ..data.transform import EvalTransform
from ..spec.check import check_choice, check_int
from ..spec.vit import VitConfig
from ..tensor_files import read_safetensors, read_torch
from ..vit import VisionTransformer
from .fold import check_supported, fold
from .names import bare_names, image_encoder, kind_of, timm_names
from .resize import resized
from .settings import STATISTICS, Beside, read_beside

__all__ = ["LAYER_NORM_EPS", "Pretrained", "load_pretrained"]

_HEAD_DIM = 64  # of every ViT and DeiT of timm and Hugging Face up to the large ones
_TORCH = (".bin", ".pt", ".pth")
_WRAPPERS = ("model", "state_dict", "model_state_dict")  # under which training scripts keep the weights
LAYER_NORM_EPS = {"timm": 1e-6, "hugging face": 1e-12, "dinov2": 1e-6, "clip": 1e-5}
"""Epsilon of every LayerNorm by kind of checkpoint, where no file says it: the default of their ViT and DeiT, of
Hugging Face's DINOv2, whose names have a ``layer_scale``, and of CLIP, which has a norm before its blocks."""

_LISTED = 8  # tensors of a foreign architecture that a message names
_NEEDED = {"cls_token": 3, "pos_embed": 3, "patch_embed.proj.weight": 4, "blocks.0.mlp.fc1.weight": 2, "norm.weight": 1}
_OPTIONAL = {"head.weight": 2, "dist_token": 3, "reg_token": 3}


@dataclass(frozen=True, kw_only=True, eq=False)
class Pretrained:
    """A checkpoint as a float model.

    Attributes
    ----------
    model : VisionTransformer
        In evaluation mode.
    kind : str
        Whose names the file used: ``"timm"``, ``"hugging face"`` or ``"vitric"``.
    transform : EvalTransform
        Of image files.
    assumed : tuple of str
        What neither the file nor its neighbours say, with the value that was taken: ``"6 heads"``; and what of them
        was changed.
    labels : tuple of str or None
        Names of the classes, by number, where the file or one beside it has them.
    """

    model: VisionTransformer
    kind: str
    transform: EvalTransform
    assumed: tuple[str, ...]
    labels: tuple[str, ...] | None = None


def _read(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a file by name, without what training puts around them or before their names."""
    found = read_safetensors(path) if path.suffix == ".safetensors" else read_torch(path)
    for wrapper in _WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
    if not isinstance(found, Mapping) or not all(isinstance(name, str) and _dense(x) for name, x in found.items()):
        raise ValueError(f"checkpoint {path} must hold a state dict, dense tensors by name, or one under "
                         f"{', '.join(_WRAPPERS)}")
    return bare_names(found)


def _dense(value: object) -> bool:
    return isinstance(value, torch.Tensor) and value.layout == torch.strided and not (value.is_meta or value.is_nested)


def _check_architecture(path: Path, state: Mapping[str, torch.Tensor]) -> None:
    """Raise :exc:`ValueError` unless the tensors that give the config are there, with their numbers of axes."""
    faults = [f"{name} is missing" for name in _NEEDED if name not in state]
    faults += [f"{name} has shape {list(state[name].shape)}" for name, axes in (_NEEDED | _OPTIONAL).items()
               if name in state and (state[name].dim() != axes or not state[name].numel())]
    if faults:
        there = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in list(state.items())[:_LISTED])
        raise ValueError(f"checkpoint {path} is not a ViT or DeiT with a class token: {'; '.join(faults)}. "
                         f"It holds {len(state)} tensors, the first ones: {there or 'none'}")


def _heads(path: Path, embed: int, heads: int | None, beside: Beside) -> int:
    if heads is not None:
        check_int("heads", heads, 1, embed)
    elif beside.num_heads is None and embed % _HEAD_DIM:
        raise ValueError(f"checkpoint {path} does not say how many attention heads it has: give them (--heads), a "
                         f"divisor of {embed}")
    return heads or beside.num_heads or embed // _HEAD_DIM


def _infer(path: Path, state: Mapping[str, torch.Tensor], heads: int | None, statistics: str | None,
           beside: Beside, layer_norm_eps: float) -> VitConfig:
    """Return the config that the shapes of a state dict imply, which is one that :func:`fold` returned."""
    embed, chans, patch, _ = state["patch_embed.proj.weight"].shape
    distilled, registers = "dist_token" in state, state["reg_token"].shape[1] if "reg_token" in state else 0
    depth = 1 + max(int(found[1]) for name in state if (found := re.match(r"blocks\.(\d+)\.", name)))
    before = 1 + distilled + registers
    patches = state["pos_embed"].shape[1] - before
    if patches < 1 or isqrt(patches) ** 2 != patches:
        raise ValueError(f"checkpoint {path}: pos_embed must have a square number of patches and {before} more tokens, "
                         f"not {patches + before} tokens")
    if state["head.weight"].shape[1] == 2 * embed:
        raise ValueError(f"checkpoint {path}: head.weight reads the class token and the mean of the patches, which is "
                         "not supported; without the head's tensors the result is the class token's features")
    dimensions = {"image_size": isqrt(patches) * patch, "patch_size": patch, "in_chans": chans,
                  "num_classes": len(state["head.weight"]), "embed_dim": embed, "depth": depth}
    hidden = len(state["blocks.0.mlp.fc1.weight"])
    beside.check(dimensions | {"hidden_dim": hidden})
    mean, std = (values[:chans] for values in STATISTICS[statistics or "imagenet"])
    if statistics is None and beside.pixels.mean and beside.pixels.std:
        mean, std = beside.pixels.mean, beside.pixels.std
    return VitConfig(
        **dimensions, num_heads=_heads(path, embed, heads, beside), mlp_ratio=hidden / embed,
        qkv_bias="blocks.0.attn.qkv.bias" in state, distilled=distilled, reg_tokens=registers, mean=mean, std=std,
        pre_norm="norm_pre.weight" in state,
        act_layer=beside.act_layer or "gelu",
        layer_norm_eps=layer_norm_eps if beside.layer_norm_eps is None else beside.layer_norm_eps)


def _ours(path: Path) -> Pretrained:
    model, labels = load_float(path), read_about(path).get("labels")
    config = model.config
    if labels is not None and not (isinstance(labels, list) and len(labels) == config.num_classes
                                   and all(isinstance(label, str) for label in labels)):
        raise ValueError(f"labels of checkpoint {path} must be {config.num_classes} names, not {labels!r}")
    transform = EvalTransform(image_size=config.image_size, in_chans=config.in_chans, resize=config.image_size)
    return Pretrained(model=model, kind="vitric", assumed=(), transform=transform,
                      labels=None if labels is None else tuple(labels))


def load_pretrained(path: str | Path, *, heads: int | None = None, statistics: str | None = None,
                    image_size: int | None = None) -> Pretrained:
    """Return the float model of a checkpoint.

    Width, depth, patch and image size, classes, biases and a distillation token follow from the shapes of the tensors.
    Heads, epsilon, statistics of the pixels and transform come from the arguments, else from ``config.json`` (timm's or
    Hugging Face's) and ``preprocessor_config.json`` beside the file, else they are assumed: heads of 64 channels,
    :data:`LAYER_NORM_EPS`, ImageNet's statistics (DeiT's), a crop of 0.9. Weights of other floating types become
    float32.

    Parameters
    ----------
    path
        A safetensors file, or one of torch's (``.pt``, ``.pth``, ``.bin``), which is read without executing anything
        in it; with timm's or Hugging Face's names, or written by :func:`~vitric.golden.checkpoint.save_float`.
    heads
        Attention heads.
    statistics
        Name of :data:`~vitric.golden.pretrained.settings.STATISTICS`.
    image_size
        Side of the images, if it is not that of the checkpoint: :mod:`~vitric.golden.pretrained.resize`.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        Another kind of file or architecture, missing, unknown, misshapen or non-finite tensors: all are named; or a
        field of the files beside it that is not supported.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint {path} does not exist")
    if path.suffix not in (".safetensors", *_TORCH):
        raise ValueError(f"a checkpoint must be named *.safetensors, {', '.join(f'*{s}' for s in _TORCH)}, not {path}")
    if statistics is not None:
        check_choice("statistics", statistics, tuple(STATISTICS))
    if path.suffix == ".safetensors" and is_ours(path):
        if (heads, statistics, image_size) != (None, None, None):
            raise ValueError(f"heads, statistics and image_size are for checkpoints of others: {path} says its own")
        return _ours(path)
    beside = read_beside(path.parent)
    state = _read(path)
    kind = kind_of(state)
    images = image_encoder(state)
    assumed, state = ["the image encoder alone"] * (len(images) < len(state)), images
    check_supported(f"checkpoint {path}", state)
    family = "dinov2" if any("layer_scale" in name for name in state) else kind or "timm"
    state = timm_names(state) if kind == "hugging face" else state
    epsilon = LAYER_NORM_EPS["clip" if "norm_pre.weight" in state else family]
    _check_architecture(path, state)
    state, folded = fold(state, kind or "timm")
    config = _infer(path, state, heads, statistics, beside, epsilon)
    model = VisionTransformer(config)
    try:
        load_state_dict(model, state)
    except ValueError as error:
        raise ValueError(f"checkpoint {path}: {error}") from error
    if image_size is not None:
        model = resized(model, image_size)
    assumed += [f"{config.num_heads} heads"] * (heads is None and beside.num_heads is None)
    unknown = statistics is None and not (beside.pixels.mean and beside.pixels.std)
    assumed += ["the pixels' statistics of ImageNet"] * unknown
    dtypes = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in state.values()} - {"float32"})
    assumed += [f"float32 for weights of {', '.join(dtypes)}"] * bool(dtypes)
    return Pretrained(model=model.eval(), kind=kind, transform=beside.pixels.transform(model.config, config),
                      assumed=(*assumed, *folded),
                      labels=beside.labels)
