"""Float checkpoints: safetensors files that carry their config, read and written without pickle.

A checkpoint of ours has one metadata entry ``vitric``: a JSON object with ``config`` (the parameters of
:class:`~vitric.golden.spec.vit.VitConfig`) and ``about`` (what :func:`save_float` was given, such as accuracy).
"""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save

from .files import parse_json, write_bytes
from .spec.vit import VitConfig
from .tensor_files import read_metadata, read_safetensors
from .vit import VisionTransformer

__all__ = ["MODELS", "is_ours", "load_float", "load_state_dict", "model_names", "read_about", "save_float"]

MODELS = Path(__file__).resolve().parents[1] / "models"
"""Folder of the committed checkpoints, beside ``golden/``."""

_KEY = "vitric"
_SUFFIX = ".safetensors"
_LISTED = 30  # faults of a state dict that a message names


def model_names() -> tuple[str, ...]:
    """Return the names of the committed checkpoints."""
    return tuple(sorted(path.stem for path in MODELS.glob(f"*{_SUFFIX}")))


def _find(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if path.suffix == _SUFFIX:
        if not path.is_file():
            raise FileNotFoundError(f"checkpoint {path} does not exist")
        return path
    if str(name_or_path) not in model_names():
        names = ", ".join(model_names()) or f"none in {MODELS}"
        raise ValueError(f"model must be a {_SUFFIX} file or one of the committed names ({names}), not {name_or_path}")
    return MODELS / f"{path.name}{_SUFFIX}"


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict | None]:
    state, metadata = read_safetensors(path), read_metadata(path).get(_KEY)
    if metadata is None:
        return state, None
    try:
        return state, dict(parse_json(metadata))
    except (ValueError, TypeError) as error:
        raise ValueError(f"metadata of checkpoint {path} is not a JSON object: {error}") from error


def is_ours(path: str | Path) -> bool:
    """Return whether a safetensors file says that :func:`save_float` wrote it; ValueError if it is damaged."""
    return _KEY in read_metadata(Path(path))


def load_state_dict(model: VisionTransformer, state: Mapping[str, torch.Tensor]) -> None:
    """Copy ``state`` (timm's names) into ``model``; nothing is changed if anything does not fit.

    Raises
    ------
    ValueError
        Keys are missing or unknown, shapes differ, or values are not finite numbers; one message lists them.
    """
    wanted = model.state_dict()
    faults = [f"missing {name} {list(wanted[name].shape)}" for name in wanted if name not in state]
    faults += [f"unknown {name}" for name in state if name not in wanted]
    for name in wanted.keys() & state.keys():
        if state[name].shape != wanted[name].shape:
            faults.append(f"{name} must be {list(wanted[name].shape)}, not {list(state[name].shape)}")
        elif not state[name].is_floating_point() or not bool(state[name].to(torch.float32).isfinite().all()):
            faults.append(f"{name} must hold finite floating-point numbers")
    if faults:
        more = [f"and {len(faults) - _LISTED} more"] if len(faults) > _LISTED else []
        raise ValueError("state dict does not fit the ViT config: " + "; ".join([*sorted(faults)[:_LISTED], *more]))
    model.load_state_dict({name: tensor.to(torch.float32) for name, tensor in state.items()})


def load_float(name_or_path: str | Path, *, config: VitConfig | None = None) -> VisionTransformer:
    """Return the float model of a checkpoint, in evaluation mode.

    Parameters
    ----------
    name_or_path
        Name of a committed model (``"digits"``, ``"tiny"``), or the path of a ``.safetensors`` file.
    config
        Only for files without our metadata, such as timm's: the config that they belong to.

    Raises
    ------
    FileNotFoundError
        The file does not exist.
    ValueError
        Unknown name, broken file, no config or two different ones, or a state dict that does not fit the config.
    """
    path = _find(name_or_path)
    state, metadata = _read(path)
    if metadata is not None:
        try:
            own = VitConfig.from_dict(metadata.get("config"))
        except (TypeError, ValueError) as error:
            raise ValueError(f"config of checkpoint {path} is not legal: {error}") from error
        if config not in (None, own):
            raise ValueError(f"checkpoint {path} has the config {own}, not {config}")
        config = own
    if config is None:
        raise ValueError(f"checkpoint {path} has no '{_KEY}' metadata; give the config it belongs to")
    model = VisionTransformer(config)
    try:
        load_state_dict(model, state)
    except ValueError as error:
        raise ValueError(f"checkpoint {path}: {error}") from error
    return model.eval()


def read_about(name_or_path: str | Path) -> dict:
    """Return what :func:`save_float` was told about the model; empty for a file of another origin."""
    _, metadata = _read(_find(name_or_path))
    return dict((metadata or {}).get("about", {}))


def save_float(model: VisionTransformer, path: str | Path, about: Mapping | None = None) -> None:
    """Write ``model`` with its config to ``path`` atomically: a broken run leaves the old file in place.

    Parameters
    ----------
    path
        Must end in ``.safetensors``; its folder is created.
    about
        Values that JSON can hold, kept in the file's metadata. Equal models and values give equal bytes.

    Raises
    ------
    UserError
        It cannot be written.
    ValueError
        Another suffix.
    """
    path = Path(path)
    if path.suffix != _SUFFIX:
        raise ValueError(f"a float checkpoint must be named *{_SUFFIX}, not {path}")
    metadata = json.dumps({"config": model.config.to_dict(), "about": dict(about or {})}, sort_keys=True)
    state = {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}
    write_bytes(path, save(state, metadata={_KEY: metadata}))
