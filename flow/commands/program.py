"""`vitric program`: load a bitstream into a board."""

from typing import Annotated

import typer
from vitric.golden.errors import UserError
from vitric.toolchain.loader import run_loader

from ..inputs.options import BoardName, ProjectName
from ..reports.console import console

__all__ = ["program_command"]


def program_command(
    project: ProjectName = None,
    board: BoardName = None,
    flash: Annotated[bool, typer.Option("--flash", help="Write it to the flash: it survives power-off.")] = False,
) -> None:
    """Load the bitstream in build/PROJECT/BOARD into a board that is connected over USB."""
    from ..project.project import open_project

    work = open_project(project).changed({"board": {"name": board}})
    target = work.board
    bitstream = work.build / target.name / target.product
    if not bitstream.is_file():
        raise UserError(f"there is no {bitstream}: run `vitric bitstream` with the same project and board first")
    if status := run_loader(target.loader, ["-f" if flash else "-m", bitstream]):
        console(stderr=True).print(
            f"vitric: openFPGALoader ended with status {status}; is the board connected, and may you use it?",
            style="red", markup=False)
        raise typer.Exit(1)
