"""What the tasks of the tests do: workers import it by name."""

import os
import threading
import time
from pathlib import Path

from vitric.golden.errors import ToolFailure, UserError

_RUNNING = set()


def power(exponent, number):
    return number ** exponent


def count_bytes(data, more):
    return len(data) + more


def whereabouts(common, number):
    """Return the process, the threads that libraries may start there, and the tasks that ran beside this one."""
    _RUNNING.add(threading.get_ident())
    time.sleep(0.05)
    beside = len(_RUNNING)
    _RUNNING.discard(threading.get_ident())
    return os.getpid(), os.environ.get("OMP_NUM_THREADS"), beside


def killed_once(folder, number):
    """Wait to be killed the first time that task 1 runs, and say where; return the square."""
    told = Path(folder, "victim")
    if number == 1 and not told.exists():
        told.with_suffix(".part").write_text(str(os.getpid()))
        told.with_suffix(".part").rename(told)
        time.sleep(60)
    return number ** 2


def killed_always(common, number):
    os.kill(os.getpid(), 9)


def fails(common, kind):
    if kind == "user":
        raise UserError("rows must be at least 1")
    raise ToolFailure("yosys ended with status 1", Path("top.log"), ["its last line"])


def waits(common, seconds):
    time.sleep(seconds)
