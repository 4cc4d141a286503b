"""The console that every command writes to."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["console"]


@cache
def console(*, stderr: bool = False) -> "Console":
    """Return the one :class:`rich.console.Console` for stdout (or for stderr) of this process."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=stderr)
