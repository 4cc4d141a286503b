"""Integer models as files: safetensors for the tensors, JSON metadata for everything else, no pickle.

The metadata entry ``vitric_integer`` describes the model as a tree: ``{"type": name, "fields": {...}}`` for a
dataclass of :data:`TYPES`, ``{"tensor": key}`` for a tensor, a list for a tuple, ``{"info": {...}}`` for the info, and
plain values. Tensors are stored in the narrowest signed integer type that holds them and are int64 again when loaded.
"""

import hashlib
import json
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import save

from ..files import parse_json, write_bytes
from ..spec.layernorm import LayerNormSpec
from ..spec.softmax import SoftmaxSpec
from ..spec.vit import VitConfig
from ..tensor_files import read_metadata, read_safetensors
from .layers import IntegerAttention, IntegerBlock, IntegerLayerNorm, IntegerLinear, IntegerMlp
from .requantizer import Requantizer
from .vit import IntegerViT

__all__ = ["TYPES", "load_integer", "model_digest", "save_integer"]

TYPES = {
    cls.__name__: cls
    for cls in (IntegerAttention, IntegerBlock, IntegerLayerNorm, IntegerLinear, IntegerMlp, IntegerViT,
                LayerNormSpec, Requantizer, SoftmaxSpec, VitConfig)
}
"""The dataclasses that a file may hold."""

_KEY = "vitric_integer"
_FORMAT = 2
_LATER = {name: getattr(cls, name) for cls, names in (
    (VitConfig, ("layer_norm_eps", "reg_tokens", "act_layer", "pre_norm")), (IntegerViT, ("norm_pre", "pre_proj")))
          for name in names}  # later than format 2: left out at their default
_DTYPES = (torch.int8, torch.int16, torch.int32, torch.int64)


def _narrow(tensor: torch.Tensor) -> torch.Tensor:
    """Return the tensor in the narrowest signed type that holds it."""
    low, high = (int(tensor.min()), int(tensor.max())) if tensor.numel() else (0, 0)
    dtype = next(d for d in _DTYPES if torch.iinfo(d).min <= low and high <= torch.iinfo(d).max)
    return tensor.to(dtype).contiguous()


def _flatten(node: object, path: str, tensors: dict[str, torch.Tensor]) -> object:
    """Return the JSON form of ``node`` and put its tensors into ``tensors``."""
    if isinstance(node, torch.Tensor):
        tensors[path] = _narrow(node)
        return {"tensor": path}
    if is_dataclass(node):
        parts = {field.name: getattr(node, field.name) for field in fields(node)}
        parts = {name: value for name, value in parts.items() if name not in _LATER or value != _LATER[name]}
        flat = {name: _flatten(value, f"{path}.{name}" if path else name, tensors) for name, value in parts.items()}
        return {"type": type(node).__name__, "fields": flat}
    if isinstance(node, tuple):
        return [_flatten(value, f"{path}.{index}", tensors) for index, value in enumerate(node)]
    return {"info": node} if isinstance(node, dict) else node


def _build(node: object, tensors: dict[str, torch.Tensor]) -> object:
    """Return what :func:`_flatten` was given."""
    if isinstance(node, list):
        return tuple(_build(value, tensors) for value in node)
    if not isinstance(node, dict):
        return node
    if "tensor" in node:
        return tensors[node["tensor"]].to(torch.int64)
    if "info" in node:
        return dict(node["info"])
    return TYPES[node["type"]](**{name: _build(value, tensors) for name, value in node["fields"].items()})


def model_digest(model: IntegerViT) -> str:
    """Return a SHA-256, hexadecimal, of everything that the logits of ``model`` depend on.

    The info does not count, nor do the sizes of the units that the specs in it describe.
    """
    tensors: dict[str, torch.Tensor] = {}
    tree = _flatten(_canonical(model), "", tensors)
    digest = hashlib.sha256(json.dumps(tree, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {list(tensors[name].shape)}".encode())
        digest.update(tensors[name].numpy().tobytes())
    return digest.hexdigest()


def _canonical(node: object) -> object:
    """Return ``node`` with the specs of units in canonical form and without info."""
    if isinstance(node, LayerNormSpec | SoftmaxSpec):
        return node.canonical
    if isinstance(node, tuple):
        return tuple(_canonical(value) for value in node)
    if isinstance(node, dict):
        return {}
    if isinstance(node, VitConfig):
        of_float = ("layer_norm_eps", "act_layer")  # the integer model has a table, and no epsilon
        return replace(node, **{name: getattr(VitConfig, name) for name in of_float})
    if is_dataclass(node):
        return replace(node, **{one.name: _canonical(getattr(node, one.name)) for one in fields(node)})
    return node


def save_integer(model: IntegerViT, path: str | Path) -> None:
    """Write ``model`` to ``path`` (``*.safetensors``), whole or not at all.

    Raises
    ------
    ValueError
        ``path`` is not named ``*.safetensors``.
    UserError
        It cannot be written.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"an integer model's file must be named *.safetensors, not {path}")
    tensors: dict[str, torch.Tensor] = {}
    tree = {"format": _FORMAT, "model": _flatten(model, "", tensors)}
    write_bytes(path, save(tensors, metadata={_KEY: json.dumps(tree)}))


def load_integer(path: str | Path) -> IntegerViT:
    """Read a model that :func:`save_integer` wrote; every part validates itself again.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file is damaged, truncated, or no integer model.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"integer model {path} does not exist")
    tensors, metadata = read_safetensors(path), read_metadata(path).get(_KEY)
    if metadata is None:
        raise ValueError(f"{path} is not an integer model: it has no metadata {_KEY!r}")
    try:
        tree = parse_json(metadata)
        if tree["format"] != _FORMAT:
            raise ValueError(f"format {tree['format']}, this software reads format {_FORMAT}")
        model = _build(tree["model"], tensors)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{path} is not a valid integer model: {error!r}") from error
    if not isinstance(model, IntegerViT):
        raise ValueError(f"{path} is not an integer model but a {type(model).__name__}")
    return model
