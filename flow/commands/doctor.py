"""`vitric doctor`: what is installed, where it came from, and what is missing."""

import os
import platform
import sys
from importlib import metadata
from typing import Annotated

import typer
from vitric.golden.files import write_json
from vitric.toolchain import bootstrap, tools

from ..inputs.options import JsonFile
from ..reports.console import console

__all__ = ["doctor_command", "examine"]

_WIDTH = 80  # columns of a terminal


def _packages() -> list[dict]:
    """Return name, locked and installed version of every package in the lock file, or of vitric's requirements."""
    if bootstrap.LOCK.exists():
        lines = bootstrap.LOCK.read_text().splitlines()
    else:  # installed from a wheel: there is no lock file
        lines = [line.partition(";")[0] for line in metadata.requires("vitric") or [] if "extra ==" not in line]
    packages = []
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        name, _, locked = line.partition("==")
        for separator in "<>=~! ":
            name = name.partition(separator)[0]
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            installed = None
        packages.append({"name": name, "locked": locked.strip() or None, "installed": installed})
    return packages


def _matches(package: dict) -> bool:
    """Whether the package is there in its locked version; a local part (``2.13.0+cpu``) does not count."""
    installed, locked = package["installed"], package["locked"]
    return installed is not None and (locked is None or installed.partition("+")[0] == locked)


def examine() -> dict:
    """Look at everything and return it as plain JSON types.

    Returns
    -------
    dict
        ``vitric``: version. ``python``: ``version`` and ``path``. ``platform``: name of the system. ``system``: list
        of ``name``, ``found`` (path or null) and ``debian`` (package that brings it). ``tools``: list of
        :meth:`vitric.toolchain.tools.Tool.as_dict`. ``packages``: list of ``name``, ``locked`` and ``installed``
        version (null where there is none). ``problems``: list of str, one for each thing that is missing or of another
        version than locked, and that simulation or synthesis needs. ``ok``: whether there are none.
    """
    system = [{"name": n, "found": found, "debian": debian} for n, found, debian in bootstrap.prerequisites()]
    found_tools, packages = tools.find_all(), _packages()
    problems = [f"{one['name']} is missing: apt install {one['debian']}" for one in system if one["found"] is None]
    problems += [f"{tool.name}: {tool.note}" for tool in found_tools if tool.required and not tool.usable]
    for package in packages:
        if not _matches(package):
            installed, locked = package["installed"] or "missing", package["locked"] or "any version"
            problems.append(f"Python package {package['name']} is {installed}, wanted is {locked}: run make setup")
    return {
        "vitric": metadata.version("vitric"),
        "python": {"version": platform.python_version(), "path": sys.executable},
        "platform": platform.platform(),
        "system": system,
        "tools": [tool.as_dict() for tool in found_tools],
        "packages": packages,
        "problems": problems,
        "ok": not problems,
    }


def _short(path: str) -> str:
    """Return ``path`` relative to the working directory if it is below it."""
    return path.removeprefix(os.getcwd() + os.sep)


def _with_path(line: str, path: str) -> list[str]:
    """Return a line with a path behind it, or below it if both together are too wide; a path is never cut."""
    together = f"{line}  {path}"
    return [together] if len(together) <= _WIDTH else [line.rstrip(), f"    {path}"]


def _show(report: dict, *, stderr: bool) -> None:
    from ..reports.stream import aligned

    out = console(stderr=stderr)
    rows = [("tool", "version", "from", "path"),
            *((tool["name"], tool["version"] or "-", tool["source"], _short(tool["path"] or "-"))
              for tool in report["tools"]),
            *((one["name"], "-", "system" if one["found"] else "missing", _short(one["found"] or "-"))
              for one in report["system"])]
    usable = [True, *(tool["usable"] for tool in report["tools"]), *(one["found"] for one in report["system"])]
    for line, row, fine in zip(aligned([row[:3] for row in rows], left=(0, 1, 2)), rows, usable, strict=True):
        for text in _with_path(line, row[3]):
            out.print(text, style=None if fine else "red", markup=False, soft_wrap=True)
    same = [package for package in report["packages"] if _matches(package)]
    out.print(f"vitric {report['vitric']}; {len(same)} of {len(report['packages'])} Python packages as locked")
    for tool in report["tools"]:
        if tool["note"] and not (tool["required"] and not tool["usable"]):
            out.print(f"note: {tool['name']} ({tool['purpose']}): {tool['note']}", markup=False)
    for problem in report["problems"]:
        out.print(f"problem: {problem}", style="red", markup=False)


def doctor_command(
    json_file: JsonFile = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with status 1 if anything is missing.")] = False,
) -> None:
    """Show every tool and package: version, path and where it came from.

    The fields of the JSON report are those of :func:`examine`.
    """
    report = examine()
    _show(report, stderr=str(json_file) == "-")
    if json_file is not None:
        write_json(json_file, report)
    if strict and not report["ok"]:
        raise typer.Exit(1)
