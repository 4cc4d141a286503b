"""`vitric infer`: run pictures on a board."""

from pathlib import Path
from typing import Annotated

import typer
from vitric.golden.files import write_json

from ..inputs.options import Baud, JsonFile, MaxBaud, ProjectName
from ..reports.console import console

__all__ = ["infer_command"]

_SHOWN = 16  # logits in the table


def infer_command(
    images: Annotated[
        list[Path], typer.Argument(help="Pictures, in any format that Pillow reads.")],
    port: Annotated[str, typer.Option(help="Serial port of the board, for example /dev/ttyUSB0.")],
    project: ProjectName = None,
    baud: Baud = 1_000_000,
    max_baud: MaxBaud = 3_000_000,
    json_file: JsonFile = None,
) -> None:
    """Run pictures on a board; print their classes and logits, and whether they are golden's.

    They are turned upright, put on white where they are transparent, and resized as the model's images were. A board
    with an SDRAM takes all of them first, and then runs them one after the other: images per second without the serial
    line. The comparison is made if the board holds the model of the project; one loaded with `vitric load` is only
    reported. Exit status 1 if the logits differ from golden's.
    """
    from vitric.boards.crc import crc32c
    from vitric.compiler.compile import compile_model

    from ..inputs.device import infer_all, matching_info, open_device, speed_up
    from ..project.integer import integer_model
    from ..project.pictures import label_of, prepared
    from ..project.project import open_project

    work = open_project(project)
    pixels, notes = prepared(work, images)
    model = integer_model(work)
    compiled = compile_model(model, work.spec)
    columns = [words.tobytes() for words in compiled.input_words(pixels)]
    with open_device(port, baud) as device:
        info = matching_info(device, work.spec, f"the project {work.name}")
        if len(columns) > 1 or len(columns[0]) > info.max_payload:
            speed_up(device, max_baud)
        answers, cycles = infer_all(device, columns)
    known = info.model_crc == crc32c(compiled.stream.data)
    expected = model(pixels).tolist() if known else [None] * len(images)
    result = {
        "images": [{
            "image": str(image), "notes": note, "class": answer.label, "label": label_of(work.labels, answer.label),
            "logits": list(answer.logits), "golden": golden,
            "equal": list(answer.logits) == golden if known else None, "cycles": answer.cycles,
            "microseconds": round(answer.cycles / info.clock_hz * 1e6, 2),
        } for image, note, answer, golden in zip(images, notes, answers, expected, strict=True)],
        "cycles": cycles,
        "images_per_second": None if cycles is None else round(len(images) * info.clock_hz / cycles, 2),
        "model_crc32c": f"{info.model_crc:08x}",
    }
    if json_file is not None:
        write_json(json_file, result)
    _show(result, stderr=str(json_file) == "-")
    if any(image["equal"] is False for image in result["images"]):
        raise typer.Exit(1)


def _show(result: dict, *, stderr: bool) -> None:
    from rich.table import Table

    say = console(stderr=stderr)
    for image in result["images"]:
        table = Table("figure", "value", title="\n".join([image["image"], *(f"({note})" for note in image["notes"])]))
        table.add_row("class", image["label"])
        few = image["logits"][:_SHOWN]
        table.add_row("logits", " ".join(map(str, few)) + (" …" if len(few) < len(image["logits"]) else ""))
        wrong = f"[red]differ: {(image['golden'] or [])[:_SHOWN]}[/red]"
        golden = {True: "equal", False: wrong, None: "not compared, another model"}
        table.add_row("golden", golden[image["equal"]])
        table.add_row("cycles", f"{image['cycles']} ({image['microseconds']} µs)")
        say.print(table)
    if result["cycles"] is not None:
        say.print(f"{len(result['images'])} images in {result['cycles']} cycles: "
                  f"{result['images_per_second']} images/s")
