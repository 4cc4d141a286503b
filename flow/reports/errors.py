"""What a command says when it cannot go on: one line for each error that is not a fault of the program."""

import errno
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from vitric.golden.errors import ToolFailure, UserError

from .console import console

__all__ = ["INTERRUPTED", "line_of", "told"]

_KINDS = {"int": "an integer", "float": "a number"}

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


def _one_line(text: str) -> str:
    """Return a text without line breaks, and with everything that cannot be printed as in Python's strings."""
    joined = "; ".join(line.strip() for line in text.splitlines() if line.strip())
    return re.sub(r"[^\n]", lambda found: found[0] if found[0].isprintable() else ascii(found[0])[1:-1], joined)


def _usage(error: typer.TyperException) -> str:
    """Return what is wrong with the arguments: the parameter, its legal values, the one that was given."""
    parameter, context = getattr(error, "param", None), getattr(error, "ctx", None)
    hint = f"; see {context.command_path} --help" if context else ""
    problems = getattr(error.__cause__, "errors", list)()
    if parameter is None or not problems:
        return error.format_message().rstrip(".") + hint
    least, most, problem = parameter.min, parameter.max, problems[0]
    legal = f"between {least} and {most}" if most is not None else f"at least {least}" if least is not None else ""
    if problem["type"].endswith("_than_equal"):
        return f"{parameter.opts[-1]} must be {legal}, not {problem['input']}{hint}"
    kind = problem["type"].partition("_")[0]
    words = " ".join(filter(None, (_KINDS.get(kind, kind), legal)))
    return f"{parameter.opts[-1]} must be {words}, not {problem['input']!r}{hint}"


def line_of(error: BaseException) -> str | None:
    """Return the one line that says what went wrong; None for a fault of the program, which shows its traceback."""
    if isinstance(error, UserError):
        return _one_line(str(error))
    if isinstance(error, ToolFailure):
        return _one_line(f"{error.summary}; the log is {error.log}")
    if isinstance(error, typer.TyperException):
        return _one_line(_usage(error))
    if isinstance(error, OSError) and error.errno != errno.EPIPE:
        name = "" if error.filename is None else f"{error.filename}: "
        return _one_line(f"{name}{error.strerror or error}")
    if isinstance(error, MemoryError) or isinstance(error, RuntimeError) and "allocate memory" in str(error):
        return "there is not enough memory for this"
    return None


@contextmanager
def told() -> Iterator[None]:
    """Turn errors of the user, of tools, of files and of memory into one line and status 2, Ctrl-C into 130.

    Raises
    ------
    typer.Exit
        Instead of the error, which has been shown.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        sys.stderr.write("vitric: interrupted\n")  # rich may be what was being imported
        raise typer.Exit(INTERRUPTED) from error
    except Exception as error:
        if (line := line_of(error)) is None:
            raise
        console(stderr=True).print(f"vitric: {line}", markup=False, style="red")
        raise typer.Exit(2) from error
