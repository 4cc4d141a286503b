"""From a file of timm's or Hugging Face's to the float model, its config read off the tensors' shapes."""

import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from ..checkpoint import is_ours, load_float, load_state_dict
from ..data.folder import EvalTransform
from ..spec.check import check_choice
from ..spec.vit import VitConfig
from ..vit import VisionTransformer
from .names import kind_of, timm_names
from .settings import STATISTICS, Beside, read_beside

__all__ = ["Pretrained", "load_pretrained"]

_HEAD_DIM = 64  # of every ViT and DeiT of timm and Hugging Face up to the large ones
_TORCH = (".bin", ".pt", ".pth")
_WRAPPERS = ("model", "state_dict", "model_state_dict")  # under which training scripts keep the weights
_LISTED = 8  # tensors of a foreign architecture that a message names
_NEEDED = {"cls_token": 3, "pos_embed": 3, "patch_embed.proj.weight": 4, "blocks.0.mlp.fc1.weight": 2, "head.weight": 2}


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
        What neither the file nor its neighbours say, with the value that was taken: ``"6 heads"``.
    """

    model: VisionTransformer
    kind: str
    transform: EvalTransform
    assumed: tuple[str, ...]


def _read(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a file by name."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(f"checkpoint {path} cannot be read as tensors alone (weights_only): {first}") from error
    for wrapper in _WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
    if not isinstance(found, Mapping) or not all(isinstance(x, torch.Tensor) for x in found.values()):
        raise ValueError(f"checkpoint {path} must hold a state dict, tensors by name, or one under "
                         f"{', '.join(_WRAPPERS)}")
    return {name.removeprefix("module."): tensor for name, tensor in found.items()}


def _check_architecture(path: Path, state: Mapping[str, torch.Tensor]) -> None:
    """Raise :exc:`ValueError` unless the tensors that give the config are there, with their numbers of axes."""
    faults = [f"{name} is missing" if name not in state else f"{name} has shape {list(state[name].shape)}"
              for name, axes in _NEEDED.items() if name not in state or state[name].dim() != axes]
    if faults:
        there = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in list(state.items())[:_LISTED])
        raise ValueError(f"checkpoint {path} is not a ViT or DeiT with a class token and a head: {'; '.join(faults)}. "
                         f"It holds {len(state)} tensors, the first ones: {there or 'none'}")


def _heads(path: Path, embed: int, heads: int | None, beside: Beside) -> int:
    if heads is None and beside.num_heads is None and embed % _HEAD_DIM:
        raise ValueError(f"checkpoint {path} does not say how many attention heads it has: give them (--heads), a "
                         f"divisor of {embed}")
    return heads or beside.num_heads or embed // _HEAD_DIM


def _infer(path: Path, state: Mapping[str, torch.Tensor], heads: int | None, statistics: str | None,
           beside: Beside) -> VitConfig:
    """Return the config that the shapes of ``state`` (timm's names) imply."""
    _check_architecture(path, state)
    embed, chans, patch, _ = state["patch_embed.proj.weight"].shape
    distilled = "dist_token" in state
    depth = 1 + max(int(found[1]) for name in state if (found := re.match(r"blocks\.(\d+)\.", name)))
    patches = state["pos_embed"].shape[1] - 1 - distilled
    if patches < 1 or isqrt(patches) ** 2 != patches:
        raise ValueError(f"checkpoint {path}: pos_embed must have a square number of patches and {1 + distilled} more "
                         f"tokens, not {patches + 1 + distilled} tokens")
    for name, said, is_so in (("hidden_size", beside.embed_dim, embed), ("num_hidden_layers", beside.depth, depth)):
        if said not in (None, is_so):
            raise ValueError(f"config.json beside checkpoint {path} belongs to another model: its {name} is {said}, "
                             f"the tensors have {is_so}")
    mean, std = STATISTICS[statistics or "imagenet"]
    if statistics is None and beside.mean and beside.std:
        mean, std = beside.mean, beside.std
    return VitConfig(
        image_size=isqrt(patches) * patch, patch_size=patch, in_chans=chans, num_classes=len(state["head.weight"]),
        embed_dim=embed, depth=depth, num_heads=_heads(path, embed, heads, beside),
        mlp_ratio=len(state["blocks.0.mlp.fc1.weight"]) / embed, qkv_bias="blocks.0.attn.qkv.bias" in state,
        distilled=distilled, mean=mean[:chans], std=std[:chans])


def load_pretrained(path: str | Path, *, heads: int | None = None, statistics: str | None = None) -> Pretrained:
    """Return the float model of a checkpoint.

    Width, depth, patch and image size, classes, biases and a distillation token follow from the shapes of the tensors.
    Heads, statistics of the pixels and transform come from the arguments, else from ``config.json`` (timm's or Hugging
    Face's) and ``preprocessor_config.json`` beside the file, else they are assumed: heads of 64 channels, ImageNet's
    statistics (DeiT's), a crop of 0.9.

    Parameters
    ----------
    path
        A safetensors file, or one of torch's (``.pt``, ``.pth``, ``.bin``), which is read without executing anything
        in it; with timm's or Hugging Face's names, or written by :func:`~vitric.golden.checkpoint.save_float`.
    heads
        Attention heads.
    statistics
        Name of :data:`~vitric.golden.pretrained.settings.STATISTICS`.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        Another kind of file or architecture, missing, unknown, misshapen or non-finite tensors: all are named.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint {path} does not exist")
    if path.suffix not in (".safetensors", *_TORCH):
        raise ValueError(f"a checkpoint must be named *.safetensors, {', '.join(f'*{s}' for s in _TORCH)}, not {path}")
    if statistics is not None:
        check_choice("statistics", statistics, tuple(STATISTICS))
    if path.suffix == ".safetensors" and is_ours(path):
        model = load_float(path)
        return Pretrained(model=model, kind="vitric", assumed=(), transform=EvalTransform(
            image_size=model.config.image_size, in_chans=model.config.in_chans))
    beside = read_beside(path.parent)
    state = _read(path)
    kind = kind_of(state)
    state = timm_names(state) if kind == "hugging face" else state
    config = _infer(path, state, heads, statistics, beside)
    model = VisionTransformer(config)
    try:
        load_state_dict(model, state)
    except ValueError as error:
        raise ValueError(f"checkpoint {path}: {error}") from error
    assumed = [f"{config.num_heads} heads"] * (heads is None and beside.num_heads is None)
    assumed += ["the pixels' statistics of ImageNet"] * (statistics is None and not (beside.mean and beside.std))
    transform = EvalTransform(image_size=config.image_size, in_chans=config.in_chans, crop_pct=beside.crop_pct,
                              interpolation=beside.interpolation)
    return Pretrained(model=model.eval(), kind=kind, transform=transform, assumed=tuple(assumed))
