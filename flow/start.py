"""Where programs begin: nothing is imported before Ctrl-C is looked after."""

import sys
from collections.abc import Callable
from typing import NoReturn

__all__ = ["main", "run"]


def run(program: Callable[[], int | None]) -> NoReturn:
    """Run ``program`` and end the process with the status that it returns.

    Errors end it as :func:`vitric.flow.reports.errors.told` says: with one line, and status 2 or, after Ctrl-C, 130.
    """
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(errors="backslashreplace")  # for terminals that cannot show every character
        from typer import Exit

        from .reports.errors import told

        try:
            with told():
                sys.exit(program())
        except Exit as end:
            sys.exit(end.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("vitric: interrupted\n")
        sys.exit(130)


def _command_line() -> None:
    from .cli import app

    app()


def main() -> NoReturn:
    """Run ``vitric``."""
    run(_command_line)
