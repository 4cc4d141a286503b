"""The console that every command writes to."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["console", "printable"]


@cache
def console(*, stderr: bool = False) -> "Console":
    """Return the one :class:`rich.console.Console` for stdout (or for stderr) of this process."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=stderr)


def printable(name: object) -> str:
    """Return a name, of a file say, as every terminal can show it: bytes that are no text as their numbers."""
    return str(name).encode(errors="surrogateescape").decode(errors="backslashreplace")
