"""What every command shares: the console, the user's error and JSON files that are whole or absent."""

import json
import os
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["UserError", "console", "exit_code", "write_bytes", "write_json", "write_text"]


class UserError(Exception):
    """Something the user can put right: bad argument, file, board or missing tool.

    The command line prints the message as one line and exits with status 2. The message names the thing, the
    offending value and the legal ones.
    """


@cache
def console(*, stderr: bool = False) -> "Console":
    """Return the one :class:`rich.console.Console` for stdout (or for stderr) of this process."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=stderr)


def exit_code(error: BaseException) -> int:
    """Return the exit status for ``error``: 2 for :exc:`UserError`, 1 for everything else."""
    return 2 if isinstance(error, UserError) else 1


def write_text(path: str | os.PathLike, text: str) -> Path:
    """Write ``text`` to ``path`` in UTF-8 so that a reader sees the old file or the whole new one.

    The folder is created. The text goes to a temporary file beside ``path``, which then replaces it; on failure
    the temporary file is removed and ``path`` is as it was.

    Raises
    ------
    UserError
        The folder or the file cannot be written.
    """
    return write_bytes(path, text.encode())


def write_bytes(path: str | os.PathLike, data: bytes) -> Path:
    """Write ``data`` to ``path`` as :func:`write_text` does a text."""
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(data)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"cannot write {target}: {error.strerror}") from error
    return target


def write_json(path: str | os.PathLike, obj: Any) -> None:
    """Write ``obj`` as indented JSON to ``path``, or to stdout when ``path`` is ``-``.

    Files are written as by :func:`write_text`. ``obj`` is serialised before anything is opened, so that an object
    that is not JSON raises :exc:`TypeError` (NaN and infinity: :exc:`ValueError`) and leaves no file.
    """
    text = json.dumps(obj, indent=2, allow_nan=False) + "\n"
    if os.fspath(path) == "-":
        sys.stdout.write(text)
    else:
        write_text(path, text)
