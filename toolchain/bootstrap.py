"""Set-up: check the system, make ``.venv``, install the locked versions. ``make setup`` runs it with any Python.

Needs nothing but the standard library, and parses on Python 3.8 too, so that an old Python is told what is wrong. A
stamp in ``.venv`` is written last and removed first: an interrupted set-up is never taken for a finished one, and a
finished one costs a hash of two files. What pip says, hundreds of lines, is in ``build/setup.log``.
"""

from __future__ import annotations

import ctypes.util
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

__all__ = ["LOCK", "MINIMUM_PYTHON", "ROOT", "main", "prerequisites", "torch_requirement"]

MINIMUM_PYTHON = (3, 11)
ROOT = Path(__file__).resolve().parents[1]
LOCK, _PROJECT = ROOT / "requirements.lock", ROOT / "pyproject.toml"


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _libpython() -> str | None:
    """Return where the shared library of this Python is (cocotb loads it into the simulator)."""
    names = {sysconfig.get_config_var(name) for name in ("INSTSONAME", "LDLIBRARY")}
    folders = [sysconfig.get_config_var("LIBDIR"), os.path.join(sys.base_prefix, "lib")]
    folders.append(os.path.join(folders[0] or "", sysconfig.get_config_var("MULTIARCH") or ""))
    for folder in filter(None, folders):
        for name in filter(None, names):
            if (".so" in name or ".dylib" in name) and os.path.exists(os.path.join(folder, name)):
                return os.path.join(folder, name)
    return ctypes.util.find_library(f"python{_dotted(sys.version_info[:2])}")


def prerequisites() -> list[tuple[str, str | None, str]]:
    """Look for what the system must bring.

    Returns
    -------
    list of (name, found, debian)
        ``found`` is where it is, or ``None`` if it is missing; ``debian`` is the Debian package that brings it.
    """
    version = _dotted(sys.version_info[:2])
    enough = sys.version_info >= MINIMUM_PYTHON
    has_venv = importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")
    compiler = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
    return [
        (f"Python {_dotted(MINIMUM_PYTHON)} or newer", f"{sys.executable} ({version})" if enough else None, "python3"),
        ("Python's venv module", "venv" if has_venv else None, f"python{version}-venv"),
        ("Python's shared library", _libpython(), f"libpython{version}"),
        ("C++ compiler", compiler, "g++"),
        ("make", shutil.which("make"), "make"),
        ("perl", shutil.which("perl"), "perl"),
    ]


def torch_requirement() -> str:
    """Return the locked line for torch, for example ``torch==2.13.0``."""
    return next(line for line in LOCK.read_text().splitlines() if line.startswith("torch=="))


def _stamp_text() -> str:
    parts = [LOCK.read_bytes(), _PROJECT.read_bytes(), str(ROOT).encode(), sys.version.encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest() + "\n"


def _say(text: str) -> None:
    print("setup: " + text, flush=True)


def _log() -> Path:
    return ROOT / "build" / "setup.log"


def _run(*command: object) -> None:
    words = [str(word) for word in command]
    _say("$ " + " ".join(words))
    with open(_log(), "a", errors="replace") as log, subprocess.Popen(
            words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace") as process:
        _follow(process.stdout, log)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, words)


def _follow(lines: Iterable[str], log: TextIO) -> None:
    """Keep what pip says, and show how far it is: on a terminal in one line, elsewhere now and then."""
    total, found = sum("==" in line for line in LOCK.read_text().splitlines()), 0
    live = sys.stdout.isatty()
    for line in lines:
        log.write(line)
        words = line.split()
        if words[:1] == ["Collecting"] or words[:3] == ["Requirement", "already", "satisfied:"]:
            found += 1
            name = words[3 if words[0] == "Requirement" else 1]
            if live:
                print(f"\rsetup: package {found} of {total}: {name:<40.40}", end="", flush=True)
            elif found % 50 == 0:
                _say(f"{found} of {total} packages are here")
        elif line.startswith("Installing collected packages"):
            print(end="\n" if live else "")
            _say("all packages are here; installing them takes a minute")


def _install(venv: Path, stamp: Path) -> None:
    stamp.unlink(missing_ok=True)
    python = venv / "bin" / "python"
    if not python.exists() or subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode:
        _run(sys.executable, "-m", "venv", "--clear", venv)
    pip = (python, "-m", "pip", "--disable-pip-version-check", "install")
    index = os.environ.get("TORCH_INDEX")
    if index:
        _run(*pip, "--no-deps", "--index-url", index, torch_requirement())
    _run(*pip, "-r", LOCK)
    _run(*pip, "--quiet", "--no-deps", "--no-build-isolation", "-e", ROOT)
    stamp.write_text(_stamp_text())


def main() -> int:
    """Set up ``.venv`` in the repository; return the exit status (2: something is missing, 1: a step failed).

    The variable ``TORCH_INDEX``, if set, is the package index from which torch alone is installed first: PyTorch's
    index of CPU wheels saves gigabytes.
    """
    missing = [(name, debian) for name, found, debian in prerequisites() if found is None]
    for name, debian in missing:
        print(f"setup: {name} is missing; on Debian: apt install {debian}", file=sys.stderr)
    if missing:
        return 2
    venv = ROOT / ".venv"
    stamp = venv / "vitric-setup.sha256"
    if stamp.exists() and stamp.read_text() == _stamp_text():
        return 0
    (ROOT / "build").mkdir(exist_ok=True)
    with open(ROOT / "build" / ".setup.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _say(f"installing the versions of {LOCK.name} into {venv} (once; a few minutes with a cold cache)")
        _log().unlink(missing_ok=True)
        try:
            _install(venv, stamp)
        except subprocess.CalledProcessError as error:
            said = _log().read_text(errors="replace").splitlines() if _log().exists() else []
            print(*said[-15:], f"setup: the command above failed with status {error.returncode}; all it said is in "
                  f"{_log()}", sep="\n", file=sys.stderr)
            return 1
    _say("done")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("setup: interrupted", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        print(f"setup: {error}", file=sys.stderr)
        sys.exit(2)
