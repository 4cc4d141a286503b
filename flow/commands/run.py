"""`vitric run`: one's own pictures through the integer model, and through the simulated hardware.

torch is imported where it is used, so that ``--help`` is quick.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from vitric.golden.errors import UserError
from vitric.golden.files import write_bytes, write_json
from vitric.toolchain.folders import locked

from ..inputs.options import JsonFile, ProjectName, check_output
from ..reports.console import console

if TYPE_CHECKING:
    import torch
    from vitric.golden.integer import IntegerViT

    from ..project.project import Project

__all__ = ["run_command"]

_BEST = 5  # classes that are shown


def run_command(
    images: Annotated[list[Path], typer.Argument(help="Pictures, in any format that Pillow reads.")],
    project: ProjectName = None,
    rtl: Annotated[
        bool, typer.Option("--rtl", help="Run them in the generated hardware, too, under Verilator, and compare.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Picture (*.png) of them with their classes; by default "
                                  "build/PROJECT/run.png.")] = None,
    json_file: JsonFile = None,
) -> None:
    """Classify pictures with the integer model of a project.

    Each one is turned upright, put on white where it is transparent, and resized as the model's images were. Exit
    status 1 if the hardware's logits are not golden's.
    """
    from ..project.integer import integer_model
    from ..project.pictures import likely, prepared
    from ..project.project import open_project
    from ..reports.classes import picture

    for path in images:
        if not path.is_file():
            raise UserError(f"cannot read {path}: it is no file")
    if out is not None and out.suffix != ".png":
        raise UserError(f"--out must be named *.png, not {out}")
    work = open_project(project)
    where = check_output(out or work.build / "run.png")
    pixels, notes = prepared(work, images)
    model = integer_model(work)
    logits = model(pixels)
    results = [{"image": str(path), "notes": note, "best": likely(row, model, work.labels, _BEST)}
               for path, note, row in zip(images, notes, logits, strict=True)]
    figures = {"project": work.name, "images": results, "picture": str(where)}
    if rtl:
        found = _simulated(work, model, pixels)
        figures["rtl_equal"] = bool((found == logits).all())
        for result, row in zip(results, found, strict=True):
            result["rtl_logits"] = row.tolist()
    write_bytes(where, picture(pixels, results))
    if json_file is not None:
        write_json(json_file, figures)
    _show(figures, stderr=str(json_file) == "-")
    if figures.get("rtl_equal") is False:
        raise typer.Exit(1)


def _simulated(project: "Project", model: "IntegerViT", pixels: "torch.Tensor") -> "torch.Tensor":
    """Return the logits of the generated hardware."""
    from vitric.compiler.compile import compile_model
    from vitric.sim.accelerator import run_stream

    folder = project.build / "verilator"
    with locked(folder), console(stderr=True).status("running the generated hardware under Verilator"):
        return run_stream(compile_model(model, project.spec), pixels, build_dir=folder).logits


def _show(figures: dict, *, stderr: bool) -> None:
    from rich.table import Table

    table = Table("picture", "class", "probability", title=f"integer model of {figures['project']}")
    for result in figures["images"]:
        name = "\n".join([result["image"], *(f"({note})" for note in result["notes"])])
        shares = ["–" if one["probability"] is None else f"{one['probability']:.1%}" for one in result["best"]]
        table.add_row(name, "\n".join(one["label"] for one in result["best"]), "\n".join(shares))
    say = console(stderr=stderr)
    say.print(table)
    if "rtl_equal" in figures:
        say.print("hardware: its logits are golden's" if figures["rtl_equal"] else "[red]hardware: logits differ[/red]")
    say.print(f"picture: {figures['picture']}", markup=False)
