"""`vitric samples`: test images as files, so that a board's owner has something to send.

torch is imported where it is used, so that ``--help`` is quick.
"""

from pathlib import Path
from typing import Annotated

import typer
from vitric.golden.errors import UserError
from vitric.golden.files import write_bytes, write_json

from ..inputs.options import JsonFile, ProjectName, check_output
from ..reports.console import console, printable

__all__ = ["samples_command"]


def samples_command(
    project: ProjectName = None,
    count: Annotated[int, typer.Option(min=1, max=100_000, help="Images, the first of the test split.")] = 10,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder; by default build/PROJECT/samples.")] = None,
    json_file: JsonFile = None,
) -> None:
    """Write test images of a project as PNG files, named by number and class: what the model sees, pixel for pixel."""
    from io import BytesIO

    from PIL import Image
    from vitric.golden.data.pictures import MODES

    from ..project.images import test_images
    from ..project.project import open_project

    work = open_project(project)
    if work.vit.in_chans not in MODES:
        raise UserError(f"images of {work.vit.in_chans} channels cannot be written as files; legal are 1 and 3")
    folder = out or work.build / "samples"
    check_output(folder / "0.png")
    chosen = test_images(work, count, seed=work.settings.model.seed)
    labels = [None] * count if chosen.labels is None else chosen.labels.tolist()
    written = []
    for number, (pixels, label) in enumerate(zip(chosen.images, labels, strict=False)):
        values = pixels.permute(1, 2, 0).to("cpu").numpy().astype("uint8")
        file = BytesIO()
        Image.fromarray(values[..., 0] if values.shape[-1] == 1 else values).save(file, "PNG")
        path = folder / (f"{number}.png" if label is None else f"{number}-class{label}.png")
        write_bytes(path, file.getvalue())
        written.append({"file": str(path), "class": label})
    if json_file is not None:
        write_json(json_file, {"project": work.name, "images": written})
    console(stderr=str(json_file) == "-").print(
        f"{printable(folder)}: {len(written)} images", markup=False)
