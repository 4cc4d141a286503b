"""`vitric quantize`: a float model becomes an integer model, with the accuracy of both.

torch is imported where it is used, so that ``--help`` is quick.
"""

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer
from vitric.golden.errors import UserError
from vitric.golden.files import write_json

from ..inputs.calibration import calibration_images
from ..inputs.checked import checked
from ..inputs.layer_bits import read_layer_bits
from ..inputs.options import COUNT, SEED, WIDTH, JsonFile, ProjectName, check_output, readable
from ..inputs.training import data_source
from ..project.integer import about, integer_file, options_of, quantization_options, summary_file, write_integer
from ..project.workload import Workload, open_workload
from ..reports.console import console
from ..reports.progress import PartBars

__all__ = ["quantize_command"]

_BATCH_ELEMENTS = 1 << 25  # of the largest tensors of a block, all images of a batch together
_TOP5_CLASSES = 100  # from so many classes on, the five largest logits are counted too
_LISTED = 20  # skipped files that the table shows
_LOOKED_AT = 32  # images on which the errors of tensors are measured


def quantize_command(
    project: ProjectName = None,
    weights: Annotated[
        Path | None, typer.Option(help="Checkpoint of a ViT or DeiT instead: timm's or Hugging Face's, *.safetensors, "
                                  "*.pt, *.pth or *.bin.")] = None,
    data: Annotated[
        str | None, typer.Option(help="digits, fashion, a folder of MNIST's IDX files, or one with train/ and val/ and "
                                 "in them a folder of images per class.")] = None,
    w_bits: Annotated[
        int | None, typer.Option(min=1, max=8, help="Width of the weights, 1 to 8; 1 is the sign alone; by default 4."
                                 )] = None,
    a_bits: Annotated[int | None, typer.Option(**WIDTH, help="Width of the activations, 2 to 8; by default 4.")] = None,
    edge_bits: Annotated[
        int | None, typer.Option(**WIDTH, help="Width of the patch embedding's and the head's operands; by default 8.")
    ] = None,
    softmax_bits: Annotated[
        int | None, typer.Option(**WIDTH, help="Width of the attention probabilities, 2 to 8; by default 8 or, for "
                                 "methods with other than uniform codes, that of the activations.")] = None,
    method: Annotated[
        str | None, typer.Option(help="How ranges are found and weights rounded; a wrong name lists them; by default "
                                 "mse.")] = None,
    granularity: Annotated[
        str | None, typer.Option(help="Of the weights' scales: channel (the default), group or layer.")] = None,
    layer_bits: Annotated[
        Path | None, typer.Option(callback=readable, help="Widths of single layers (JSON), as `vitric allocate` writes "
                                  "them.")] = None,
    calibration: Annotated[int | None, typer.Option(**COUNT, help="Images to calibrate on; by default 64.")] = None,
    calibration_source: Annotated[
        str | None, typer.Option(help="Where they come from: train (the training split, the default), data_free (made "
                                 "from the model, as by `vitric images`) or noise (Gaussian).")] = None,
    draw: Annotated[
        int | None, typer.Option(**SEED, metavar="SEED", help="Draw the calibration images with this seed; by default "
                                 "they are the first ones.")] = None,
    test: Annotated[
        int | None, typer.Option(min=0, help="Test images to measure accuracy on, from the first; by "
                                 "default all, or 500 of an image folder; 0: none.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out image files that cannot be read.")] = False,
    heads: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Attention heads of the checkpoint; by default as config.json "
                                 "beside it says, or one per 64 channels.")] = None,
    statistics: Annotated[
        str | None, typer.Option(help="Mean and deviation of the checkpoint's pixels: imagenet, half or clip; by "
                                 "default as the JSON files beside it say, or imagenet.")] = None,
    image_size: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Side of the checkpoint's images, if not its own; its position "
                                 "embedding is resampled.")] = None,
    class_order: Annotated[
        str | None, typer.Option(help="How class folders are numbered: checkpoint (by its labels), natural (0, 1, 2, "
                                 "10, as timm does) or lexical (0, 1, 10, 2, as torchvision does).")] = None,
    spec: Annotated[
        str | None, typer.Option(help="Named accelerator to quantize for; by default the project's.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Integer model; by default build/PROJECT/integer-OPTIONS.safetensors, where "
                                  "other commands look for it.")] = None,
    json_file: JsonFile = None,
) -> None:
    """Quantize a float model after training and report the accuracy on the test split.

    Three accuracies: of the float model; simulated, with rounded weights and activations but softmax, LayerNorm and
    GELU in float; and of the integer model, which is what the hardware computes. The signal-to-noise ratio of the
    logits, on training images that were not calibrated on, tells methods apart when a small test split cannot.
    """
    from vitric.golden.data.classes import ORDERS
    from vitric.golden.integer.heads import without_dead_heads
    from vitric.golden.quantization.settings import Settings

    if class_order is not None and class_order not in ORDERS:
        raise UserError(f"--class-order must be one of {', '.join(ORDERS)}, not {class_order!r}")
    if weights is None and (heads, statistics, image_size) != (None, None, None):
        raise UserError("--heads, --statistics and --image-size belong to --weights")
    if out is not None and out.suffix != ".safetensors":
        raise UserError(f"--out must be named *.safetensors, not {out}")
    to_stdout = str(json_file) == "-"
    work = open_workload(project, weights, {
        "model": {"num_heads": heads, "statistics": statistics, "image_size": image_size},
        "accelerator": {"spec": spec},
        "data": {"source": data_source(data), "skip_bad": skip_bad or None, "class_order": class_order}})
    changes = {
        "method": method, "w_bits": w_bits, "a_bits": a_bits, "edge_bits": edge_bits, "softmax_bits": softmax_bits,
        "granularity": granularity, "layer_bits": None if layer_bits is None else read_layer_bits(layer_bits),
        "calibration_images": calibration, "calibration_source": calibration_source, "calibration_seed": draw}
    asked = options_of(work.project, changes)
    options = quantization_options(asked)
    path = check_output(out or integer_file(work.project, asked))
    summary = check_output(summary_file(work.project, changes, command="quantize"))
    checked(lambda: Settings(spec=work.spec, **options))
    count = work.test_count(test)
    images, others = work.calibration(asked["calibration_images"], asked["calibration_seed"], count)
    if asked["calibration_source"] != "train":
        images = calibration_images(
            asked["calibration_source"], work.model, asked["calibration_images"], say=console(stderr=to_stdout))
    lowered, figures = _quantize(work, images, others, options, count)
    figures |= {name: asked[name] for name in ("calibration_source", "calibration_seed")}
    model = without_dead_heads(lowered.model)
    write_integer(replace(model, info=model.info | about(work.project, asked)), path)
    figures["model"] = str(path)
    write_json(summary, figures)
    if json_file is not None:
        write_json(json_file, figures)
    _show(figures, work, stderr=to_stdout)


def _quantize(work: Workload, images, others, options: dict, test: int):
    """Return the lowered model and its figures."""
    from vitric.golden.quantization import quantize_with_scales

    with PartBars() as bars:
        try:
            started = time.process_time()
            lowered = quantize_with_scales(work.model, images, progress=bars.show, spec=work.spec, **options)
            seconds = time.process_time() - started
            accuracy, top5, test = _accuracy(work, lowered, test, bars)
            snr = _snr(lowered, others, bars)
            errors = _tensors(lowered, others[:min(_LOOKED_AT, _batch(work.model.config))])
        except (TypeError, ValueError, OSError) as error:
            raise UserError(str(error)) from error
    return lowered, {
        "config": work.name, "data": work.project.data, **options,
        "softmax_bits": int(lowered.model.info["softmax_bits"]),
        "calibration_images": len(images), "test_images": test, "accuracy": accuracy,
        "accuracy_top5": top5, "logit_snr_db": snr, "tensors": errors,
        "skipped_files": work.skipped, "assumed": list(work.assumed), "class_order": getattr(work.test, "order", None),
        "cpu_seconds": round(seconds, 2),
    }


def _batch(config) -> int:
    """Return how many images to compute at a time, 1 to 500, so that memory stays bounded for large models."""
    elements = config.num_tokens * (config.hidden_dim + config.num_heads * config.num_tokens)
    return max(1, min(500, _BATCH_ELEMENTS // elements))


def _accuracy(work, lowered, count, bars):
    """Return top-1 and top-5 accuracies of the three models, ``None`` if not measured, and the number of images."""
    from vitric.golden.evaluation import evaluate
    from vitric.golden.quantization import Simulated

    names = ("float", "simulated", "integer")
    if not count:
        return dict.fromkeys(names), None, 0
    models = dict(zip(names, (work.model, Simulated(lowered), lowered.model), strict=True))
    done = 0

    def told(images):
        nonlocal done
        done += images
        bars.show("accuracy", done, count)

    result = evaluate(models, work.test, batch=_batch(work.model.config), count=count, on_images=told)
    many = work.model.config.num_classes >= _TOP5_CLASSES
    return ({name: result.accuracy(name) for name in names},
            {name: result.accuracy(name, 5) for name in names} if many else None, result.images)


def _snr(lowered, images, bars):
    """Return the ratio of the float logits' power to that of the integer logits' error, in decibels."""
    import torch
    from vitric.golden.evaluation import SignalToNoise
    from vitric.golden.quantization import float64

    if not len(images):
        return None
    model, ratio, done = float64(lowered.source), SignalToNoise(), 0
    with torch.no_grad():
        for part in images.split(_batch(model.config)):
            wanted = model.forward_normalized(model.normalize(part).to(torch.float64))
            ratio.add(wanted, lowered.quantities["head"].decode(lowered.model(part)) - wanted)
            done += len(part)
            bars.show("logits", done, len(images))
    return round(ratio.db, 2)


def _tensors(lowered, images) -> dict[str, dict]:
    """Return how far each tensor is from the float model's; empty without images."""
    from vitric.golden.quantization.analysis.tensor_errors import tensor_errors

    return {name: asdict(error) for name, error in tensor_errors(lowered, images).items()} if len(images) else {}


def _show(figures, work, *, stderr):
    from rich.table import Table

    widths = "mixed widths" if "layer_bits" in figures else f"W{figures['w_bits']}A{figures['a_bits']}"
    table = Table("figure", "value", title=f"{figures['config']} at {widths}, method {figures['method']}")
    if work.assumed:
        table.add_row("assumed", ", ".join(work.assumed))
    table.add_row("calibration images", f"{figures['calibration_images']}, source {figures['calibration_source']}")
    table.add_row("quantization", f"{figures['cpu_seconds']:.1f} s of CPU time")
    for kind, share in figures["accuracy"].items():
        if share is not None:
            top5 = f", {figures['accuracy_top5'][kind]:.2%} in the first five" if figures["accuracy_top5"] else ""
            table.add_row(f"{kind} accuracy", f"{share:.2%} of {figures['test_images']} test images{top5}")
    if figures["logit_snr_db"] is not None:
        table.add_row("logits", f"{figures['logit_snr_db']:.1f} dB above their error")
    if skipped := figures["skipped_files"]:
        names = "\n".join(skipped[:_LISTED] + ["…"] * (len(skipped) > _LISTED))
        table.add_row("files skipped", f"{len(skipped)}:\n{names}")
    table.add_row("integer model", figures["model"])
    console(stderr=stderr).print(table)
