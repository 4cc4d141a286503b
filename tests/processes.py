"""Watching other processes from a test."""

import time


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
