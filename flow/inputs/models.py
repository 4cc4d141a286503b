"""The integer model of a configuration: quantized from its committed float model, or random."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vitric.golden.errors import UserError

from .configs import Configuration, configuration
from .sources import source_digest

if TYPE_CHECKING:
    from vitric.golden.integer import IntegerViT

__all__ = ["CALIBRATION_IMAGES", "QUANTIZATION_SOURCES", "RANDOM_SEED", "committed_file", "float_file", "float_info",
           "quantized_model", "write_integer"]

CALIBRATION_IMAGES = 64
"""The first images of the training split that configurations with a trained model are calibrated on."""

RANDOM_SEED = 1
"""Of the weights of configurations without a trained model."""

QUANTIZATION_SOURCES = ("golden/arith.py", "golden/vit.py", "golden/integer", "golden/quantization", "golden/spec")
"""What an integer model depends on beside the float model."""


def float_file(entry: Configuration) -> Path:
    """Return the file of the committed float model of a configuration that has a data set.

    Raises
    ------
    UserError
        It is not there; the message says how to make it.
    """
    from vitric.golden.checkpoint import MODELS

    path = MODELS / f"{entry.name}.safetensors"
    if not path.is_file():
        raise UserError(f"models/{path.name} does not exist; `vitric train --config {entry.name} --out "
                        f"models/{path.name}` makes it")
    return path


def committed_file(config: str) -> Path:
    """Return where the committed integer model of a configuration lies: the default quantization, made once.

    Quantization is float arithmetic, whose last bits differ between CPUs, so that another machine may round some
    weights otherwise. The committed model is what `make sim` and `make bitstream` take, and its figures are the ones
    in the documents.
    """
    from vitric.golden.checkpoint import MODELS

    return MODELS / "integer" / f"{config}.safetensors"


def quantized_model(config: str, *, build: Path | str = "build", **options: str | int | Mapping) -> "IntegerViT":
    """Return the integer model that the configuration ``config`` stands for.

    With a trained float model and no options: the committed integer model, if it was made of the float model that is
    there now. Otherwise quantized with ``options`` of :func:`vitric.golden.quantize`, by default W4A4 with the default
    method, from :data:`CALIBRATION_IMAGES` training images, for the accelerator of the configuration. The result is
    kept in ``build/<config>/integer.safetensors`` (other options: a name that says them) and made again when the float
    model, the quantization code or the kind of CPU has changed. Without a float model: random weights with
    :data:`RANDOM_SEED`, not kept.

    Raises
    ------
    UserError
        There is no such configuration, the message lists the names; its float model or its data set is not there; an
        option is illegal, or there to no effect; or the accelerator has no room for such a model, which is known before
        anything is quantized.
    """
    entry = configuration(config)
    if entry.data is None:
        if options:
            raise UserError(f"{', '.join(options)}: {config} has random weights, so nothing is quantized")
        from vitric.golden.integer.random import random_integer_vit

        return random_integer_vit(entry.vit, seed=RANDOM_SEED, spec=entry.spec)
    weights = _sha256(float_file(entry))
    if not options and (model := _kept(committed_file(config), "float_sha256", weights)) is not None:
        return model
    suffix = "".join(f"-{name.replace('_bits', '')}_{_short(value)}" for name, value in sorted(options.items()))
    path = Path(build) / config / f"integer{suffix}.safetensors"
    key = _key(weights)
    if (model := _kept(path, "key", key)) is None:
        from vitric.compiler.capacity import check_capacity
        from vitric.golden import load_float, quantize
        from vitric.golden.data.sets import dataset
        from vitric.golden.quantization.settings import Settings

        try:
            check_capacity(entry.vit, entry.spec, Settings(spec=entry.spec, **options))
            images = dataset(entry.data, "train")[:CALIBRATION_IMAGES]
            model = quantize(load_float(float_file(entry)), calibration=images, spec=entry.spec, **options)
        except (TypeError, ValueError) as error:
            raise UserError(str(error)) from error
        model = replace(model, info=model.info | {"float_model": config, "key": key})
        write_integer(model, path)
    return model


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


def _short(value: str | int | Mapping) -> str:
    """Return what stands for the value of an option in a file's name: a mapping's digest, everything else itself."""
    if not isinstance(value, Mapping):
        return str(value)
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def float_info(name: str, path: Path) -> dict[str, str]:
    """Return what an integer model's info says of the float model in ``path`` that it was made of."""
    return {"float_model": name, "float_sha256": _sha256(path)}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _key(weights: str) -> str:
    """Return a digest of everything that a quantization depends on beside its options."""
    import torch
    from vitric.golden.cpu import float_arithmetic

    return source_digest(QUANTIZATION_SOURCES, torch.__version__, float_arithmetic(), str(CALIBRATION_IMAGES), weights)
