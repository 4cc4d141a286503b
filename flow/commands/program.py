"""`vitric program`: load a bitstream into a board."""

import os
import subprocess
from pathlib import Path
from typing import Annotated

import typer
from vitric.golden.errors import UserError
from vitric.toolchain import tools

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
    command = [tool.path, "-b", target.loader, "-f" if flash else "-m", str(bitstream)]
    done = subprocess.run(command, env={**os.environ, **tool.environment})
    if done.returncode:
        console(stderr=True).print(
            f"vitric: openFPGALoader ended with status {done.returncode}; is the board connected, and may you use it?",
            style="red", markup=False)
        raise typer.Exit(1)
