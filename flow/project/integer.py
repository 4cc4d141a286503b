"""The integer model of a project: committed, of a file, quantized and kept, or random."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitric.golden.errors import UserError

from ..inputs.calibration import calibration_images
from ..inputs.checked import checked
from ..inputs.layer_bits import read_layer_bits
from ..inputs.sources import source_digest
from .file import CONFIGS
from .images import drawn
from .project import Project

if TYPE_CHECKING:
    import torch
    from vitric.golden.integer import IntegerViT

__all__ = ["QUANTIZATION_SOURCES", "about", "calibration_of", "committed_file", "integer_file", "integer_model",
           "key_of", "options_of", "quantization_options", "summary_file", "write_integer"]

QUANTIZATION_SOURCES = ("golden/arith.py", "golden/vit.py", "golden/integer", "golden/quantization", "golden/spec")
"""What an integer model depends on beside the float model and the options."""


_WIDTHS = ("w_bits", "a_bits", "edge_bits", "softmax_bits")
_PLAIN = "integer"  # begins the name of every kept model; that alone is the default quantization


def committed_file(name: str) -> Path:
    """Return where the committed integer model of a built-in project lies: the default quantization, made once.

    Quantization is float arithmetic, whose last bits differ between CPUs, so that another machine may round some
    weights otherwise. The committed model is what `make sim` and `make bitstream` take, and its figures are the ones
    in the documents.
    """
    from vitric.golden.checkpoint import MODELS

    return MODELS / "integer" / f"{name}.safetensors"


def options_of(project: Project, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return all that a project's quantization is asked for, with ``changes`` to what its file says.

    The names are those of ``[quantization]``, with ``calibration_images``, ``calibration_source`` and
    ``calibration_seed`` for those of ``[quantization.calibration]``; ``layer_bits`` is a mapping or None.
    """
    said = project.settings.quantization.model_dump()
    options = {**said, **{f"calibration_{name}": value for name, value in said.pop("calibration").items()}}
    options.pop("calibration", None)
    if options["layer_bits"] is not None:
        options["layer_bits"] = read_layer_bits(project.path(options["layer_bits"]))
    return options | {name: value for name, value in changes.items() if value is not None}


def quantization_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of :func:`options_of` that are arguments of :func:`vitric.golden.quantize`."""
    return {name: value for name, value in options.items() if not name.startswith("calibration_")
            and not (name == "layer_bits" and value is None)}


def integer_file(project: Project, options: Mapping[str, Any]) -> Path:
    """Return where the integer model of these options is kept.

    Its name has every option that is not the default, and every width of the accelerator that is not.
    """
    from vitric.golden.spec.arithmetic import Arithmetic

    words = _different(options, _usual_options())
    if project.has_accelerator:
        ports, plain = asdict(project.spec.arithmetic), asdict(Arithmetic())
        words += [f"port_{name}_{value}" for name, value in ports.items() if value != plain[name]]
    return project.build / f"{'-'.join([_PLAIN, *words])}.safetensors"


def _usual_options() -> dict[str, Any]:
    """Return the options of :func:`options_of` of a file that says nothing."""
    from .schema import Quantization

    usual = Quantization().model_dump()
    return usual | {f"calibration_{name}": value for name, value in usual.pop("calibration").items()}


def _different(options: Mapping[str, Any], usual: Mapping[str, Any]) -> list[str]:
    """Return the parts of a file's name that say which options are not the usual ones."""
    return [f"{name.replace('_bits', '')}_{_short(value)}" for name, value in sorted(options.items())
            if value != usual[name]]


def summary_file(project: Project, changes: Mapping[str, Any], model: Path | None = None, *,
                 command: str = "sim") -> Path:
    """Return where the figures of a command belong: ``sim.json`` if a simulation is of what the project's file says.

    Other options of the quantization (``changes``) are in the name, as is the file of another integer model.
    """
    usual = options_of(project, {})
    words = _different(usual | {name: value for name, value in changes.items() if value is not None}, usual)
    if model is not None:
        words.append(f"model_{model.stem}-{checked(lambda: hashlib.sha256(model.read_bytes()).hexdigest())[:8]}")
    return project.build / f"{'-'.join([command, *words])}.json"


def _short(value: str | int | Mapping) -> str:
    """Return what stands for the value of an option in a file's name: a mapping's digest, everything else itself."""
    if not isinstance(value, Mapping):
        return str(value)
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def integer_model(project: Project, **changes: str | int | Mapping) -> "IntegerViT":
    """Return the integer model that a project stands for.

    That is, in this order: the one in the file that ``[model] integer`` names; random weights of the widths of
    ``[quantization]``, if there is no checkpoint; for a built-in project the committed one; else the float model,
    quantized for the project's accelerator with the options of ``[quantization]``, which is kept in
    :func:`integer_file` and made again when the float model, the quantization code or the kind of CPU has changed.

    Parameters
    ----------
    project : Project
    **changes
        Other options of the quantization, by the names of :func:`options_of`.

    Raises
    ------
    UserError
        The float model or the data is not there; an option is illegal, or there to no effect; or the accelerator has no
        room for such a model, which is known before anything is quantized.
    """
    if project.settings.model.integer is not None:
        if changes:
            raise UserError(f"the integer model of {project.name} is there already, so {', '.join(changes)} cannot be "
                            "chosen")
        return _of_file(project)
    if project.weights is None:
        return _random(project, options_of(project, changes))
    options = options_of(project, changes)
    path = integer_file(project, options)
    if path.stem == _PLAIN and (model := _committed(project)) is not None:
        return model
    if (model := _kept(path, "key", key_of(project, options))) is None:
        model = _quantized(project, options)
        write_integer(model, path)
    return model


def _random(project: Project, options: Mapping[str, Any]) -> "IntegerViT":
    from vitric.golden.integer.random import random_integer_vit
    from vitric.golden.quantization.settings import Settings

    usual = _usual_options()
    if lost := [name for name, value in options.items() if name not in _WIDTHS and value != usual.get(name)]:
        raise UserError(f"{', '.join(lost)}: {project.name} has random weights, so nothing is quantized")
    settings = checked(lambda: Settings(spec=project.spec, **quantization_options(options)))
    widths = {name: getattr(settings, name) for name in _WIDTHS}
    return checked(lambda: random_integer_vit(
        project.vit, seed=project.settings.model.seed, spec=project.spec, **widths))


def _committed(project: Project) -> "IntegerViT | None":
    """Return the committed integer model if it is of the float model that is there, for such an accelerator."""
    if project.folder != CONFIGS:
        return None
    model = _kept(committed_file(project.name), "float_sha256", project.weights_digest)
    ports = {f"port_{name}": str(value) for name, value in asdict(project.spec.arithmetic).items()}
    return model if model is not None and ports.items() <= model.info.items() else None


def _of_file(project: Project) -> "IntegerViT":
    from vitric.golden.integer.storage import load_integer

    path = project.path(project.settings.model.integer)
    try:
        model = load_integer(path)
    except (OSError, ValueError) as error:
        raise UserError(f"[model] integer of {project.name}: {error}") from error
    if (project.settings.network or project.weights) and model.config != project.vit:
        raise UserError(f"[model] integer of {project.name} must be of the network {project.vit}, not {model.config}")
    return model


def calibration_of(project: Project, options: Mapping[str, Any]) -> "torch.Tensor":
    """Return the images to calibrate on."""
    count, source, seed = (options[f"calibration_{name}"] for name in ("images", "source", "seed"))
    if source != "train":
        return calibration_images(source, project.model, count)
    train = project.images("train")
    return checked(lambda: train.take(count, drawn(len(train), seed)))


def _quantized(project: Project, options: Mapping[str, Any]) -> "IntegerViT":
    from vitric.compiler.capacity import check_capacity
    from vitric.golden import quantize
    from vitric.golden.quantization.settings import Settings

    chosen = quantization_options(options)
    checked(lambda: check_capacity(project.vit, project.spec, Settings(spec=project.spec, **chosen)))
    images = calibration_of(project, options)
    model = checked(lambda: quantize(project.model, calibration=images, spec=project.spec, **chosen))
    return replace(model, info=model.info | about(project, options))


def about(project: Project, options: Mapping[str, Any]) -> dict[str, str]:
    """Return what an integer model's info says of what it was made of, so that it can be taken from its file."""
    return {"float_model": project.name, "float_sha256": project.weights_digest, "key": key_of(project, options)}


def _kept(path: Path, name: str, value: str) -> "IntegerViT | None":
    """Return the integer model in a file if it is whole and its info says ``value`` for ``name``."""
    from vitric.golden.integer.storage import load_integer

    try:
        model = load_integer(path)
    except (OSError, ValueError):
        return None
    return model if model.info.get(name) == value else None


def write_integer(model: "IntegerViT", path: Path) -> None:
    """Write an integer model where the user wants it, whole or not at all; its folder is made.

    Raises
    ------
    UserError
        The file cannot be written.
    """
    from vitric.golden.integer.storage import save_integer

    save_integer(model, path)


def key_of(project: Project, options: Mapping[str, Any]) -> str:
    """Return a digest of everything that a quantization depends on."""
    import torch
    from vitric.golden.cpu import float_arithmetic

    spec = repr(project.spec.arithmetic) if project.has_accelerator else ""
    said = json.dumps([options, project.data, spec], sort_keys=True)
    return source_digest(QUANTIZATION_SOURCES, torch.__version__, float_arithmetic(), project.weights_digest, said)
