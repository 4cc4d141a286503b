"""`vitric program`: load a bitstream into a board."""

from pathlib import Path
from typing import Annotated

import typer
from vitric.golden.errors import UserError
from vitric.toolchain import processes, tools

from ..inputs.options import BoardName, ProjectName
from ..reports.console import console

__all__ = ["program_command"]


def program_command(
    project: ProjectName = None,
    board: BoardName = None,
    flash: Annotated[bool, typer.Option("--flash", help="Write it to the flash: it survives power-off.")] = False,
) -> None:
    """Load build/PROJECT/BOARD/top.bit into a board that is connected over USB."""
    from ..project.project import open_project

    work = open_project(project).changed({"board": {"name": board}})
    target = work.board
    bitstream = work.build / target.name / "top.bit"
    if not bitstream.is_file():
        raise UserError(f"there is no {bitstream}: run `vitric bitstream` with the same project and board first")
    tool = tools.require("openFPGALoader")
    command = [tool.path, "-b", target.loader, "-f" if flash else "-m", bitstream]
    environment = {**processes.own_environment(), **tool.environment}
    with processes.started(command, Path(), environment=environment) as process:
        status = process.wait()
    if status:
        console(stderr=True).print(
            f"vitric: openFPGALoader ended with status {status}; is the board connected, and may you use it?",
            style="red", markup=False)
        raise typer.Exit(1)
