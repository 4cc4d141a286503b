"""Watching other processes from a test, and waiting for those that run other tests."""

import fcntl
import time
from contextlib import contextmanager


def wait_for(condition, seconds=10):
    end = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.01)
    return answer


def alive(process):
    """Return whether a process runs; one that has ended and that nobody has asked for its status does not."""
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def one_at_a_time(folder):
    """Wait until no other process that runs tests is in such a block for the same folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".tests"), "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
