"""Digests of the source files that a kept result depends on: it is made again when one of them has changed."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from vitric.golden.errors import UserError

__all__ = ["ROOT", "source_digest"]

ROOT = Path(__file__).resolve().parents[2]
"""Folder that holds ``golden/`` and the other packages."""


def source_digest(names: Iterable[str], *words: str) -> str:
    """Return a digest, hexadecimal, of files below :data:`ROOT` and of ``words``.

    Parameters
    ----------
    names
        Files, or folders, which stand for the Python files and tables (``*.py``, ``*.toml``) below them.
    words
        What else the result depends on, such as the version of a library.

    Raises
    ------
    UserError
        A name is neither.
    """
    digest = hashlib.sha256(" ".join(words).encode())
    for name in names:
        path = ROOT / name
        found = [path] if path.is_file() else sorted(p for s in ("*.py", "*.toml") for p in path.rglob(s))
        if not found:
            raise UserError(f"{name} must be a file of vitric or a folder with sources")
        for file in found:
            digest.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
