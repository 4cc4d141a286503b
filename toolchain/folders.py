"""Folders that tools work in: one process at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vitric.golden.errors import UserError

__all__ = ["locked"]

_held: set[Path] = set()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold ``folder``, which is created, for this process alone, for the duration of a block.

    The lock is the file ``.lock`` in it, and ends with this process however that ends. Inside the block the same
    process may lock the folder again.

    Raises
    ------
    UserError
        Another process holds it, or it cannot be written.
    """
    place = folder.resolve()
    if place in _held:
        yield
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / ".lock", "a+")
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner = lock.read().strip()
            raise UserError(f"{folder} is in use by another run of vitric{owner and f', process {owner}'}; wait until "
                            "it has ended, or stop it") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        _held.add(place)
        try:
            yield
        finally:
            _held.discard(place)
