"""Run a command for another process, and kill it with everything it started as soon as that process is gone.

``python guard.py FD COMMAND …`` ends with the command's status, 128 plus the signal where one ended it. FD is the
reading end of a pipe to which nothing is ever written: the other end is closed when the other process ends, however it
ends, and then the whole process group is killed. The guard has to lead the group, which it is started to do
(:mod:`vitric.toolchain.processes`). Nothing but the standard library is needed, so that it starts in milliseconds.
"""

import os
import signal
import subprocess
import sys
import threading

__all__ = ["main"]


def _kill_at_the_end_of(pipe: int) -> None:
    os.read(pipe, 1)
    os.killpg(0, signal.SIGKILL)


def main(arguments: list[str]) -> int:
    """Run the command and return its status; 127 and one line if it cannot be started."""
    threading.Thread(target=_kill_at_the_end_of, args=(int(arguments[0]),), daemon=True).start()
    try:
        status = subprocess.call(arguments[1:])
    except OSError as error:
        sys.stderr.write(f"cannot start {arguments[1]}: {error.strerror}\n")
        return 127
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
