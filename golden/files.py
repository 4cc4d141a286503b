"""Files that are whole or absent: a reader sees the old content or all of the new one. JSON, both ways."""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from .errors import UserError

__all__ = ["is_writable", "parse_json", "write_bytes", "write_json", "write_text"]


def write_bytes(path: str | os.PathLike, data: bytes) -> Path:
    """Write ``data`` to ``path`` so that a reader sees the old file or the whole new one.

    The folder is created. The data go to a temporary file beside ``path``, which then replaces it; on failure the
    temporary file is removed and ``path`` is as it was. A symbolic link stays, and what it points to is replaced. What
    is no regular file, such as ``/dev/null`` or a FIFO, is written to as it is.

    Raises
    ------
    UserError
        The folder or the file cannot be written.
    """
    target = Path(path)
    try:
        place = Path(os.path.realpath(target))
        if place.exists() and not place.is_file() and not place.is_dir():
            place.write_bytes(data)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            _replace(place, data)
    except OSError as error:
        raise UserError(f"cannot write {target}: {error.strerror}") from error
    return target


def is_writable(path: str | os.PathLike) -> bool:
    """Tell whether ``path`` can be written as :func:`write_bytes` does: its folder is there, or can be made."""
    place = Path(os.path.realpath(path))
    if place.is_dir():
        return False
    if place.exists() and not place.is_file():
        return os.access(place, os.W_OK)
    folder = next(parent for parent in place.parents if parent.exists())
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _replace(place: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        temporary.chmod(0o644)
        temporary.replace(place)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: str | os.PathLike, text: str) -> Path:
    """Write ``text`` in UTF-8 as :func:`write_bytes` writes bytes."""
    return write_bytes(path, text.encode())


def parse_json(text: str) -> Any:
    """Return the value of a JSON text; :exc:`ValueError` if it is none, or is nested too deeply to be read."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("its values are nested too deeply") from None


def write_json(path: str | os.PathLike, obj: Any) -> None:
    """Write ``obj`` as indented JSON to ``path``, or to stdout when ``path`` is ``-``.

    ``obj`` is serialised before anything is opened, so that an object that is not JSON raises :exc:`TypeError` (NaN and
    infinity: :exc:`ValueError`) and leaves no file.
    """
    text = json.dumps(obj, indent=2, allow_nan=False) + "\n"
    if os.fspath(path) == "-":
        sys.stdout.write(text)
    else:
        write_text(path, text)
