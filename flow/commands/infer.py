"""`vitric infer`: run an image on a board."""

from pathlib import Path
from typing import Annotated

import typer
from vitric.golden.files import write_json

from ..inputs.options import BAUD, JsonFile, ProjectName, readable
from ..reports.console import console

__all__ = ["infer_command"]


def infer_command(
    image: Annotated[
        Path, typer.Argument(callback=readable, help="Picture, in any format that Pillow reads.")],
    port: Annotated[str, typer.Option(help="Serial port of the board, for example /dev/ttyUSB0.")],
    project: ProjectName = None,
    baud: Annotated[int, typer.Option(**BAUD, help="Of the serial line.")] = 1_000_000,
    json_file: JsonFile = None,
) -> None:
    """Run one picture on a board; print its class and logits, and whether they are golden's.

    It is turned upright, put on white where it is transparent, and resized as the model's images were.
    The comparison is made if the board holds the model of the project; one loaded with `vitric load` is only reported.
    Exit status 1 if the logits differ from golden's.
    """
    from vitric.boards.link import crc32c
    from vitric.compiler.compile import compile_model

    from ..inputs.device import matching_info, open_device
    from ..project.integer import integer_model
    from ..project.pictures import label_of, prepared
    from ..project.project import open_project

    work = open_project(project)
    pixels, (notes,) = prepared(work, [image])
    model = integer_model(work)
    compiled = compile_model(model, work.spec)
    columns = compiled.input_words(pixels)[0].tobytes()
    with open_device(port, baud) as device:
        info = matching_info(device, work.spec, f"the project {work.name}")
        answer = device.infer(columns)
    known = info.model_crc == crc32c(compiled.stream.data)
    expected = model(pixels)[0].tolist() if known else None
    result = {
        "image": str(image), "notes": notes, "class": answer.label, "label": label_of(work.labels, answer.label),
        "logits": list(answer.logits), "golden": expected,
        "equal": list(answer.logits) == expected if known else None, "cycles": answer.cycles,
        "microseconds": round(answer.cycles / info.clock_hz * 1e6, 2), "model_crc32c": f"{info.model_crc:08x}",
    }
    if json_file is not None:
        write_json(json_file, result)
    _show(result, stderr=str(json_file) == "-")
    if result["equal"] is False:
        raise typer.Exit(1)


def _show(result: dict, *, stderr: bool) -> None:
    from rich.table import Table

    table = Table("figure", "value", title="\n".join([result["image"], *(f"({note})" for note in result["notes"])]))
    table.add_row("class", result["label"])
    table.add_row("logits", " ".join(map(str, result["logits"])))
    golden = {True: "equal", False: f"[red]differ: {result['golden']}[/red]", None: "not compared, another model"}
    table.add_row("golden", golden[result["equal"]])
    table.add_row("cycles", f"{result['cycles']} ({result['microseconds']} µs)")
    console(stderr=stderr).print(table)
