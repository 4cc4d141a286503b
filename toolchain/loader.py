"""Runs openFPGALoader, which configures boards and writes their flash."""

from collections.abc import Sequence
from pathlib import Path

from . import processes, tools

__all__ = ["run_loader"]


def run_loader(board: str, arguments: Sequence[str | Path]) -> int:
    """Run openFPGALoader for a board, by its name there; its output is the caller's. Return its exit status.

    Raises
    ------
    UserError
        It is not there.
    """
    tool = tools.require("openFPGALoader")
    environment = {**processes.own_environment(), **tool.environment}
    with processes.started([tool.path, "-b", board, *arguments], Path(), environment=environment) as process:
        return process.wait()
