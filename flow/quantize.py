"""`vitric quantize`: a committed float model becomes an integer model, with the accuracy of both.

torch is imported where it is used, so that ``--help`` is quick.
"""

import time
from math import log10
from pathlib import Path
from typing import Annotated

import typer

from .layer_bits import read_layer_bits
from .report import UserError, console, write_json
from .synthesize import calibration_images

__all__ = ["quantize_command"]

_LEAST_OTHERS = 100  # training images left to measure the signal-to-noise ratio on


def quantize_command(
    config: Annotated[str, typer.Option(help="Committed float model for the 8x8 digits: tiny or digits.")] = "digits",
    w_bits: Annotated[int, typer.Option(help="Width of the weights, 1 to 8; 1 is the sign alone.")] = 4,
    a_bits: Annotated[int, typer.Option(help="Width of the activations, 2 to 8.")] = 4,
    edge_bits: Annotated[int, typer.Option(help="Width of the patch embedding's and the head's operands.")] = 8,
    softmax_bits: Annotated[
        int | None, typer.Option(help="Width of the attention probabilities, 2 to 8; by default 8 or, for methods with "
                                 "other than uniform codes, that of the activations.")] = None,
    method: Annotated[str, typer.Option(help="How ranges are found and weights rounded; a wrong name lists them.")] =
    "mse",
    granularity: Annotated[str, typer.Option(help="Of the weights' scales: channel, group or layer.")] = "channel",
    layer_bits: Annotated[
        Path | None, typer.Option(help="Widths of single layers (JSON), as `vitric allocate` writes them.")] = None,
    calibration: Annotated[int, typer.Option(help="Images to calibrate on; of the training split the first.")] = 64,
    calibration_source: Annotated[
        str, typer.Option(help="Where they come from: train (the training split), data_free (made from the model, as "
                          "by `vitric synthesize`) or noise (Gaussian).")] = "train",
    out: Annotated[
        Path | None, typer.Option(help="Integer model; by default build/CONFIG/METHOD-wWaA.safetensors.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the figures as JSON; - is stdout.")
    ] = None,
) -> None:
    """Quantize a float model after training and report the accuracy on the test split.

    Three accuracies: of the float model; simulated, with rounded weights and activations but softmax, LayerNorm and
    GELU in float; and of the integer model, which is what the hardware computes. The signal-to-noise ratio of the
    logits, on the training images that were not calibrated on, tells methods apart when a test split of 360 cannot.
    """
    options = {"method": method, "w_bits": w_bits, "a_bits": a_bits, "edge_bits": edge_bits,
               "softmax_bits": softmax_bits, "granularity": granularity}
    if layer_bits is not None:
        options["layer_bits"] = read_layer_bits(layer_bits)
    widths = f"w{w_bits}a{a_bits}" if layer_bits is None else f"{layer_bits.stem}"
    path = out or Path("build") / config / f"{method}-{widths}.safetensors"
    if path.suffix != ".safetensors":
        raise UserError(f"--out must be named *.safetensors, not {path}")
    stderr = json_file is not None and str(json_file) == "-"
    lowered, figures = _quantize(config, calibration, calibration_source, options, stderr=stderr)
    _write(lowered.model, path)
    figures["model"] = str(path)
    if json_file is not None:
        write_json(json_file, figures)
    _show(figures, stderr=stderr)


def _quantize(config, count, source, options, *, stderr):
    from vitric.golden import digits, load_float
    from vitric.golden.quantization import quantize_with_scales, simulate
    from vitric.golden.train import accuracy

    train, test = digits("train"), digits("test")
    if not 1 <= count <= len(train) - _LEAST_OTHERS:
        raise UserError(f"--calibration must be between 1 and {len(train) - _LEAST_OTHERS}, not {count}")
    try:
        model = load_float(config)
        images = calibration_images(source, model, train, count, stderr=stderr)
        started = time.process_time()
        lowered = quantize_with_scales(model, images, **options)
        seconds = time.process_time() - started
    except (TypeError, ValueError, OSError) as error:
        raise UserError(str(error)) from error
    figures = {
        "config": config, **options, "softmax_bits": int(lowered.model.info["softmax_bits"]),
        "calibration_images": count, "calibration_source": source, "test_images": len(test),
        "accuracy": {
            "float": accuracy(model, test),
            "simulated": accuracy(lambda images: simulate(lowered, images)["head"][:, 0], test),
            "integer": accuracy(lowered.model, test),
        },
        "logit_snr_db": round(_snr(lowered, train[count:]), 2),
        "cpu_seconds": round(seconds, 2),
    }
    return lowered, figures


def _snr(lowered, images):
    """Return the ratio of the float logits' power to that of the integer logits' error, in decibels."""
    from vitric.golden.quantization import reference

    wanted = reference(lowered, images)["head"][:, 0]
    error = lowered.quantities["head"].decode(lowered.model(images)) - wanted
    return 10 * log10(float(wanted.square().sum()) / max(float(error.square().sum()), 1e-300))


def _write(model, path):
    from vitric.golden.integer.storage import save_integer

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_integer(model, path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error


def _show(figures, *, stderr):
    from rich.table import Table

    widths = "mixed widths" if "layer_bits" in figures else f"W{figures['w_bits']}A{figures['a_bits']}"
    table = Table("figure", "value", title=f"{figures['config']} at {widths}, method {figures['method']}")
    table.add_row("calibration images", f"{figures['calibration_images']}, source {figures['calibration_source']}")
    table.add_row("quantization", f"{figures['cpu_seconds']:.1f} s of CPU time")
    for kind, share in figures["accuracy"].items():
        table.add_row(f"{kind} accuracy", f"{share:.2%} of {figures['test_images']} test images")
    table.add_row("logits", f"{figures['logit_snr_db']:.1f} dB above their error")
    table.add_row("integer model", figures["model"])
    console(stderr=stderr).print(table)
