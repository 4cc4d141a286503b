"""Runs openFPGALoader, which configures boards and writes their flash."""

from collections.abc import Sequence
from pathlib import Path

from . import processes, tools

__all__ = ["run_loader"]


def run_loader(board: Sequence[str], arguments: Sequence[str | Path]) -> int:
    """Run openFPGALoader for a board; its output is the caller's. Return its exit status.

    ``board`` is how it finds that: ``("-b", NAME)``, or a cable.

    Raises
    ------
    UserError
        It is not there.
    """
    tool = tools.require("openFPGALoader")
    environment = {**processes.own_environment(), **tool.environment}
    with processes.started([tool.path, *board, *arguments], Path(), environment=environment) as process:
        return process.wait()
