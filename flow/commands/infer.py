"""`vitric infer`: run an image on a board."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from vitric.golden.errors import UserError
from vitric.golden.files import write_json

from ..inputs.options import BAUD, JsonFile, ProjectName, readable
from ..reports.console import console

if TYPE_CHECKING:
    import torch
    from vitric.golden.spec.vit import VitConfig

__all__ = ["infer_command", "read_image"]


def infer_command(
    image: Annotated[
        Path, typer.Argument(callback=readable, help="Image of the size that the model takes, grey: 8x8 for digits, "
                             "28x28 for fashion.")],
    port: Annotated[str, typer.Option(help="Serial port of the board, for example /dev/ttyUSB0.")],
    project: ProjectName = None,
    baud: Annotated[int, typer.Option(**BAUD, help="Of the serial line.")] = 1_000_000,
    json_file: JsonFile = None,
) -> None:
    """Run one image on a board; print its class and logits, and whether they are golden's.

    The comparison is made if the board holds the model of the project; one loaded with `vitric load` is only reported.
    Exit status 1 if the logits differ from golden's.
    """
    from vitric.boards.link import crc32c
    from vitric.compiler.compile import compile_model

    from ..inputs.device import matching_info, open_device
    from ..project.integer import integer_model
    from ..project.project import open_project

    work = open_project(project)
    pixels = read_image(image, work.vit)
    model = integer_model(work)
    compiled = compile_model(model, work.spec)
    columns = compiled.input_words(pixels)[0].tobytes()
    with open_device(port, baud) as device:
        info = matching_info(device, work.spec, f"the project {work.name}")
        answer = device.infer(columns)
    known = info.model_crc == crc32c(compiled.stream.data)
    expected = model(pixels)[0].tolist() if known else None
    result = {
        "image": str(image), "class": answer.label, "logits": list(answer.logits), "golden": expected,
        "equal": list(answer.logits) == expected if known else None, "cycles": answer.cycles,
        "microseconds": round(answer.cycles / info.clock_hz * 1e6, 2), "model_crc32c": f"{info.model_crc:08x}",
    }
    if json_file is not None:
        write_json(json_file, result)
    _show(result, stderr=str(json_file) == "-")
    if result["equal"] is False:
        raise typer.Exit(1)


def read_image(path: Path, vit: "VitConfig") -> "torch.Tensor":
    """Return the pixels of an image file as a model of ``vit`` takes them: uint8, shape (1, channels, height, width).

    The file must have 8 bits per pixel and channel, grey for one channel and RGB for three, and exactly the size of
    the model's images.

    Raises
    ------
    UserError
        The file cannot be read, or has another size or kind of pixels.
    """
    import numpy as np
    import torch
    from vitric.golden.data.pictures import MODES, open_picture

    if vit.in_chans not in MODES:
        raise UserError(f"images of {vit.in_chans} channels cannot be read from a file; legal are 1 and 3")
    side = vit.image_size
    try:
        with open_picture(path) as picture:
            if picture.mode != MODES[vit.in_chans]:
                raise UserError(f"{path} must have pixels of mode {MODES[vit.in_chans]} (8 bits), not {picture.mode}")
            if picture.size != (side, side):
                raise UserError(f"{path} must have {side}x{side} pixels, not {picture.width}x{picture.height}")
            values = torch.from_numpy(np.array(picture))
    except ValueError as error:
        raise UserError(str(error)) from error
    return values.reshape(1, side, side, vit.in_chans).permute(0, 3, 1, 2)


def _show(result: dict, *, stderr: bool) -> None:
    from rich.table import Table

    table = Table("figure", "value", title=result["image"])
    table.add_row("class", str(result["class"]))
    table.add_row("logits", " ".join(map(str, result["logits"])))
    golden = {True: "equal", False: f"[red]differ: {result['golden']}[/red]", None: "not compared, another model"}
    table.add_row("golden", golden[result["equal"]])
    table.add_row("cycles", f"{result['cycles']} ({result['microseconds']} µs)")
    console(stderr=stderr).print(table)
