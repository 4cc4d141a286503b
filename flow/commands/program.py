"""`vitric program`: load a bitstream into a board."""

from pathlib import Path
from typing import Annotated

import typer
from vitric.golden.errors import UserError
from vitric.toolchain import processes, tools

from ..reports.console import console

__all__ = ["program_command"]


def program_command(
    config: Annotated[str, typer.Option(help="Configuration whose bitstream to load.")] = "digits",
    board: Annotated[str, typer.Option(help="Board; a wrong name lists them.")] = "ulx3s",
    flash: Annotated[bool, typer.Option("--flash", help="Write it to the flash: it survives power-off.")] = False,
) -> None:
    """Load build/CONFIG/BOARD/top.bit into a board that is connected over USB."""
    from vitric.boards.registry import find_board

    from ..inputs.configs import configuration

    configuration(config)
    try:
        target = find_board(board)
    except ValueError as error:
        raise UserError(str(error)) from error
    bitstream = Path("build") / config / board / "top.bit"
    if not bitstream.is_file():
        raise UserError(f"there is no {bitstream}: run `make bitstream CONFIG={config} BOARD={board}` first")
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
