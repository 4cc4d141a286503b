"""Starting external tools so that none of them outlives whoever started it, and none is steered from outside.

Every tool runs below a guard (:mod:`vitric.toolchain.guard`) in a process group of its own: the compilers that a make
has started and the Python that runs a tool in WebAssembly die with it, even if this process is killed. Ctrl-C reaches
this process alone, which then ends the tool.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from vitric.golden.errors import ToolFailure
from vitric.golden.files import is_writable

__all__ = ["failure", "last_lines", "own_environment", "run", "started", "variables"]

_GUARD = Path(__file__).with_name("guard.py")

_STEERING = re.compile(
    r"(COCOTB|GPI|PYGPI|VERILATOR|VITRIC)_\w+|PYTHON\w*|(GNU)?MAKE(FLAGS|FILES|LEVEL|OVERRIDES)|MFLAGS|YOWASP_MOUNT"
    r"|LIBPYTHON_LOC|SIM|SIM_CMD_(PREFIX|SUFFIX)|WAVES|GUI|TOPLEVEL|MODULE|TESTCASE|RANDOM_SEED|AMARANTH_\w+")

_ERRORS = re.compile(r".*\berror\b.*", re.IGNORECASE), re.compile(r".*\*\*\*.*"), re.compile(r".*\S.*")


def own_environment() -> dict[str, str]:
    """Return the variables of this process without those that would steer a tool otherwise than vitric does.

    Left out are options of cocotb, Verilator, make, Amaranth, Python, packaged tools and of this project's benches,
    such as ``COCOTB_TEST_FILTER`` or ``MAKEFLAGS``: somebody set them for something else. Where the home folder cannot
    be written, tools in WebAssembly keep what they were compiled to in ``build/cache``.
    """
    kept = {name: value for name, value in os.environ.items() if not _STEERING.fullmatch(name)}
    if not is_writable(Path(kept.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "file")):
        kept["XDG_CACHE_HOME"] = str(Path("build", "cache").resolve())
    return kept


@contextmanager
def variables(values: Mapping[str, str]) -> Iterator[None]:
    """Give this process the environment :func:`own_environment` with ``values`` for the duration of a block.

    For libraries that look at :data:`os.environ` themselves.
    """
    before = dict(os.environ)
    _change_to({**own_environment(), **values})
    try:
        yield
    finally:
        _change_to(before)


def _change_to(values: Mapping[str, str]) -> None:
    for name in set(os.environ) - set(values):
        del os.environ[name]
    os.environ.update(values)


@contextmanager
def started(
    command: Sequence[str | os.PathLike], folder: Path, *, environment: Mapping[str, str] | None = None, **streams,
) -> Iterator[subprocess.Popen]:
    """Start ``command`` in ``folder``; the command and all that it started are over at the end of the block.

    Parameters
    ----------
    command
        Program and arguments. One that cannot be started ends with status 127 and says so.
    folder
        Its working directory.
    environment
        All its variables; by default :func:`own_environment`.
    **streams
        Further arguments of :class:`subprocess.Popen`, such as ``stdout``. Standard input is empty.
    """
    watched, held = os.pipe()
    guarded = [sys.executable, "-I", "-S", _GUARD, str(watched), *command]
    try:
        process = subprocess.Popen(
            guarded, cwd=folder, env=own_environment() if environment is None else environment,
            stdin=subprocess.DEVNULL, start_new_session=True, pass_fds=(watched,), **streams)
    except BaseException:
        os.close(held)
        raise
    finally:
        os.close(watched)
    with process:
        try:
            yield process
        finally:
            os.close(held)


def run(
    command: Sequence[str | os.PathLike], folder: Path, *, environment: Mapping[str, str] | None = None, log: Path,
    seconds: float | None = None,
) -> int:
    """Run ``command`` in ``folder`` to its end, with its output in the file ``log``; return its status.

    Raises
    ------
    subprocess.TimeoutExpired
        It took longer than ``seconds``, and was ended.
    """
    with open(log, "wb") as file, started(
            command, folder, environment=environment, stdout=file, stderr=subprocess.STDOUT) as process:
        return process.wait(timeout=seconds)


def last_lines(log: Path, count: int = 40) -> list[str]:
    """Return the last lines of a log, of none if there is no such file."""
    return log.read_text(errors="replace").splitlines()[-count:] if log.is_file() else []


def failure(what: str, status: int, log: Path) -> ToolFailure:
    """Return the error that says that ``what`` ended with ``status``, and the likeliest reason in its log."""
    tail = last_lines(log)
    how = f"was ended by signal {status - 128}" if status > 128 else f"ended with status {status}"
    said = next((line.strip() for kind in _ERRORS for line in tail if kind.fullmatch(line)), "")
    return ToolFailure(f"{what} {how}" + (f": {said}" if said else ""), log, tail)
