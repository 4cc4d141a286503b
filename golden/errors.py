"""What ends a command with one line, the user's error and the tool's failure, and the one kind of warning."""

from collections.abc import Iterable
from pathlib import Path

__all__ = ["ModelWarning", "ToolFailure", "UserError"]


class UserError(Exception):
    """Something the user can put right: bad argument, file, board or missing tool.

    The command line prints the message as one line and exits with status 2. The message names the thing, the
    offending value and the legal ones.
    """


class ToolFailure(RuntimeError):
    """An external tool failed. The command line prints :attr:`summary` and :attr:`log` in one line, status 2.

    The message has the end of what the tool said as well, for whoever sees a traceback.

    Attributes
    ----------
    summary : str
        One line: which tool, on what, and its error if that is known.
    log : pathlib.Path
        Everything that it said.
    """

    def __init__(self, summary: str, log: Path, details: Iterable[str] = ()):
        self.summary = summary
        self.log = log
        super().__init__("\n".join([summary, *details, f"log: {log}"]))


class ModelWarning(UserWarning):
    """Something in a model or its data that was decided and that its owner should know; a command prints one line."""
