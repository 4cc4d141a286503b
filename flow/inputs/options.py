"""Options that many commands have, and checks of options that come before any work."""

from pathlib import Path
from typing import Annotated

import typer
from vitric.golden.errors import UserError
from vitric.golden.files import is_writable

__all__ = ["COUNT", "EPOCHS", "SECONDS", "SEED", "SHARE", "WIDTH", "Baud", "BoardName", "Jobs", "JsonFile", "MaxBaud",
           "ProjectName", "Scheduler", "check_output", "readable"]

SEED = {"min": 0, "max": (1 << 31) - 1}
"""Bounds of every seed."""

COUNT = {"min": 1}
"""Bounds of numbers of images of which there are only so many: commands know how many."""

EPOCHS = {"min": 1, "max": 10_000}
"""Bounds of passes over training data, as of :class:`vitric.golden.recipe.Recipe`."""

SECONDS = {"min": 1, "max": 86_400}
"""Bounds of time limits."""

SHARE = {"min": 0, "max": 1}
"""Bounds of shares."""

WIDTH = {"min": 2, "max": 8}
"""Bounds of bit widths; weights may have 1."""


def check_output(path: Path) -> Path:
    """Return ``path``; raise :exc:`UserError` if it cannot be written, so that no work is done in vain."""
    if not is_writable(path):
        what = "it is a folder" if path.is_dir() else "its folder cannot be written"
        raise UserError(f"cannot write {path}: {what}")
    return path


def readable(parameter: typer.CallbackParam, path: Path | None) -> Path | None:
    """Return the value of an option, a file to read; raise :exc:`UserError` unless it is a regular file.

    Devices and pipes have no end, or none yet.
    """
    if path is not None and not path.is_file():
        what = "it is a folder" if path.is_dir() else "it is no regular file" if path.exists() else "it does not exist"
        raise UserError(f"{parameter.opts[-1]}: cannot read {path}: {what}")
    return path


def _checked(path: Path | None) -> Path | None:
    return path if path is None or str(path) == "-" else check_output(path)


ProjectName = Annotated[
    str | None,
    typer.Option("--project", "--config", metavar="PROJECT", show_default=False,
                 help="Built-in project (a wrong name lists them), or a folder with a vitric.toml, or such a file; by "
                      "default ./vitric.toml if it is there, else digits."),
]
"""Type of the option that says what a command works on."""

Baud = Annotated[
    int, typer.Option(min=1, max=12_000_000, help="Speed of the serial line at first, that of the bitstream.")]
"""Type of the option that says how fast a board's serial line is after power-on, in bits per second."""

MaxBaud = Annotated[
    int, typer.Option(min=1, max=12_000_000, help="Speed to go on with, if board and line can have it.")]
"""Type of the option that says how fast the line may become."""


def _known_board(name: str | None) -> str | None:
    if name is not None:
        from vitric.boards.registry import BOARDS

        if name not in BOARDS:
            raise UserError(f"--board must be one of {', '.join(BOARDS)}, not {name!r}")
    return name


BoardName = Annotated[
    str | None,
    typer.Option("--board", callback=_known_board, show_default=False,
                 help="Board, a wrong name lists them; by default the project's, or ulx3s."),
]
"""Type of the option that says which board."""

JsonFile = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", callback=_checked, help="Write the figures as JSON; - is stdout."),
]
"""Type of the option that writes what a command found."""

Jobs = Annotated[
    int, typer.Option(min=1, max=256, help="Processes of this machine that share the work, one thread each.")]
"""Type of the option that says how many tasks run at once; see :class:`vitric.flow.tasks.Workers`."""

Scheduler = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", show_default=False,
                 help="Scheduler of dask, tcp://host:port, whose workers share the work instead."),
]
"""Type of the option that names one's own cluster; see :class:`vitric.flow.tasks.Workers`."""
