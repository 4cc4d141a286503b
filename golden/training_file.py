"""The state of a training, in a file that is written after every epoch, so that an interrupted training goes on."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import save

from .files import parse_json, write_bytes
from .tensor_files import read_metadata, read_safetensors

__all__ = ["TrainingFile", "restore", "snapshot"]

_KEY = "vitric_training"


class TrainingFile:
    """A file of one training: tensors by name, and the number of epochs that they are after.

    Parameters
    ----------
    path : Path
    about : mapping
        Everything that the training depends on, as values that JSON can hold.
    """

    def __init__(self, path: Path, about: Mapping):
        self.path, self._about = Path(path), json.loads(json.dumps(dict(about)))

    def save(self, epochs: int, tensors: Mapping[str, torch.Tensor]) -> None:
        """Replace the file by the state after ``epochs``; :exc:`UserError` if it cannot be written."""
        metadata = json.dumps({"about": self._about, "epochs": epochs}, sort_keys=True)
        write_bytes(self.path, save({name: tensor.contiguous() for name, tensor in tensors.items()}, {_KEY: metadata}))

    def load(self) -> tuple[int, dict[str, torch.Tensor]] | None:
        """Return epochs and tensors of the file, None if there is none.

        Raises
        ------
        ValueError
            It is damaged, or belongs to another training: the message says in what they differ.
        """
        if not self.path.exists():
            return None
        try:
            found = parse_json(read_metadata(self.path)[_KEY])
            epochs, about = int(found["epochs"]), dict(found["about"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{self.path} is not the file of a training: {error}") from error
        if about != self._about:
            raise ValueError(f"{self.path} belongs to another training: {_difference(about, self._about)}")
        return epochs, read_safetensors(self.path)


def _difference(there: Mapping, here: Mapping, prefix: str = "") -> str:
    """Return the first value that differs, by its path."""
    name = next(name for name in {**there, **here} if there.get(name) != here.get(name))
    values = there.get(name), here.get(name)
    if all(isinstance(value, Mapping) for value in values):
        return _difference(*values, f"{prefix}{name} ")
    return f"{prefix}{name} {values[0]} there, {values[1]} here"


def snapshot(models: Mapping[str, torch.nn.Module], optimizers: Sequence[torch.optim.Optimizer],
             generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Return everything that a training's next step depends on, as tensors by name; they are not copied."""
    tensors = {f"{name}.{key}": tensor for name, model in models.items() for key, tensor in model.state_dict().items()}
    for place, optimizer in enumerate(optimizers):
        for number, values in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizers.{place}.{number}.{key}": tensor for key, tensor in values.items()}
    return tensors | {"generator": generator.get_state()}


def restore(tensors: Mapping[str, torch.Tensor], models: Mapping[str, torch.nn.Module],
            optimizers: Sequence[torch.optim.Optimizer], generator: torch.Generator) -> None:
    """Put back what :func:`snapshot` returned; :exc:`ValueError` if something is missing or does not fit."""
    states: list[dict[int, dict[str, torch.Tensor]]] = [{} for _ in optimizers]
    try:
        for name, model in models.items():
            model.load_state_dict({key: tensors[f"{name}.{key}"] for key in model.state_dict()})
        for name in tensors:
            if name.startswith("optimizers."):
                _, place, number, key = name.split(".")
                states[int(place)].setdefault(int(number), {})[key] = tensors[name]
        for optimizer, state in zip(optimizers, states, strict=True):
            optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
        generator.set_state(tensors["generator"])
    except (IndexError, KeyError, RuntimeError, ValueError) as error:
        raise ValueError(f"the state of the training is not whole: {error}") from error
