"""`vitric images`: calibration images made from the model alone.

torch is imported where it is used, so that ``--help`` is quick.
"""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from vitric.golden.errors import UserError
from vitric.golden.files import write_bytes, write_json

from ..inputs.calibration import synthesized
from ..inputs.options import SEED, JsonFile, ProjectName, check_output, readable
from ..reports.console import console

if TYPE_CHECKING:
    import torch
    from PIL import Image

__all__ = ["contact_sheet", "images_command"]

_SHOWN = 100  # images on a contact sheet, at most
_CELL = 32  # pixels of the sheet for an image, at least


def images_command(
    project: ProjectName = None,
    weights: Annotated[
        Path | None, typer.Option(callback=readable, help="Checkpoint of a ViT or DeiT instead.")] = None,
    count: Annotated[int, typer.Option(min=1, max=100_000, help="Images.")] = 64,
    steps: Annotated[int | None, typer.Option(min=1, max=100_000, help="Of the optimisation; by default 200.")] = None,
    seed: Annotated[int, typer.Option(**SEED, help="Of the noise that images start from, and of random shifts.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Images; by default build/PROJECT/synthetic.safetensors. A contact sheet for "
                                  "people, *.png, is written beside it.")] = None,
    json_file: JsonFile = None,
) -> None:
    """Make images to calibrate a model with from the model alone (PSAQ-ViT): no data is read.

    `vitric quantize --calibration-source data_free` makes the same images, seed 0, and uses them.
    """
    from safetensors.torch import save
    from vitric.golden.data_free import STEPS
    from vitric.golden.train import accuracy

    from ..project.project import checkpoint_project, open_project

    if weights is not None and project is not None:
        raise UserError("--project and --weights exclude each other: both say which float model to take")
    work = open_project(project) if weights is None else checkpoint_project(weights, {})
    path = out or work.build / "synthetic.safetensors"
    if path.suffix != ".safetensors":
        raise UserError(f"--out must be named *.safetensors, not {path}")
    check_output(path)
    stderr = str(json_file) == "-"
    model = work.model
    about = {"config": work.name, "count": count, "steps": STEPS if steps is None else steps, "seed": seed}
    started = time.process_time()
    images = synthesized(model, count, steps=about["steps"], seed=seed, say=console(stderr=stderr))
    seconds = time.process_time() - started
    metadata = {"vitric": json.dumps(about)}
    write_bytes(path, save({"images": images}, metadata))
    sheet = write_bytes(path.with_suffix(".png"), _png(contact_sheet(images, model.config.num_classes)))
    figures = about | {
        "as_wanted": accuracy(model, _labelled(images, model.config.num_classes)), "cpu_seconds": round(seconds, 2),
        "images": str(path), "contact_sheet": str(sheet),
    }
    if json_file is not None:
        write_json(json_file, figures)
    _show(figures, stderr=stderr)


def contact_sheet(images: "torch.Tensor", columns: int) -> "Image.Image":
    """Return a picture of the first images, at most 100, ``columns`` beside each other, enlarged by a whole factor.

    ``images`` are uint8 [count, C, S, S]; three channels are shown as colours, any other number by its mean as grey.
    """
    import torch
    from PIL import Image
    from torch.nn import functional

    shown = images[:_SHOWN]
    if shown.shape[1] != 3:
        shown = shown.to(torch.float32).mean(1, keepdim=True).round().to(torch.uint8)
    factor = max(1, -(-_CELL // shown.shape[-1]))
    shown = shown.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    columns = min(columns, len(shown))
    rows = -(-len(shown) // columns)
    shown = functional.pad(shown, (1, 1, 1, 1, 0, 0, 0, rows * columns - len(shown)), value=128)
    count, channels, size, _ = shown.shape
    sheet = shown.reshape(rows, columns, channels, size, size).permute(0, 3, 1, 4, 2)  # [rows, S, columns, S, channels]
    sheet = sheet.reshape(rows * size, columns * size, channels)
    return Image.fromarray(sheet.numpy() if channels == 3 else sheet[..., 0].numpy())


def _png(picture: "Image.Image") -> bytes:
    from io import BytesIO

    file = BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()


def _labelled(images, classes):
    import torch
    from vitric.golden.data.images import ImageData

    return ImageData("train", images, torch.arange(len(images)) % classes)


def _show(figures, *, stderr):
    from rich.table import Table

    table = Table("figure", "value", title=f"{figures['count']} images from {figures['config']} alone")
    table.add_row("synthesis", f"{figures['steps']} steps, {figures['cpu_seconds']:.1f} s of CPU time")
    table.add_row("classified as wanted", f"{figures['as_wanted']:.2%}")
    table.add_row("images", figures["images"])
    table.add_row("contact sheet", figures["contact_sheet"])
    console(stderr=stderr).print(table)
