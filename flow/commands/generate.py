"""`vitric generate`: an accelerator or one unit as plain Verilog, with a JSON sidecar of its ports."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from vitric.golden.errors import UserError
from vitric.golden.files import write_json, write_text
from vitric.hdl.fabric import FABRICS
from vitric.hdl.units import UNITS, Unit

from ..inputs.units import find_unit, make_unit, parse_settings
from ..reports.console import console

__all__ = ["generate", "generate_command", "generate_unit"]


def generate_command(
    unit: Annotated[
        str | None,
        typer.Argument(metavar="[UNIT]", help=f"One of {', '.join(UNITS)}; else the accelerator."),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Parameter of the unit (repeatable).")
    ] = None,
    config: Annotated[
        str | None, typer.Option(help="Configuration whose accelerator is generated; by default digits."),
    ] = None,
    fabric: Annotated[
        str, typer.Option(help="generic (any tool), or ecp5, ice40 or gowin (with cells of that family).")] = "generic",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Verilog file; by default build/CONFIG/accelerator.v or "
                                  "build/units/UNIT.v.")] = None,
) -> None:
    """Write UNIT, or the accelerator of a configuration, as Verilog, and beside it FILE.json with its ports.

    The fields of the JSON file are described in docs/synth.md.
    """
    if unit is None:
        if settings:
            raise UserError("--set needs a unit: vitric generate UNIT --set NAME=VALUE")
        config = config or "digits"
        path = out or Path("build") / config / "accelerator.v"
    else:
        if config is not None:
            raise UserError("--config belongs to the accelerator; a unit takes its parameters with --set")
        path = out or Path("build") / "units" / f"{unit}.v"
    if path.suffix != ".v":
        raise UserError(f"--out must be named *.v, not {path}")
    if unit is None:
        text, ports = generate(config, fabric)
    else:
        chosen = find_unit(unit)
        text, ports = generate_unit(chosen, parse_settings(chosen, settings or ()), fabric)
    write_text(path, text)
    write_json(path.with_suffix(".json"), ports)
    console().print(f"{path}: {len(text.splitlines())} lines; ports in {path.with_suffix('.json')}")


def generate(config: str, fabric: str) -> tuple[str, dict]:
    """Return the Verilog text of the accelerator of ``config``, and its ports.

    The ports are a dictionary with ``module``, ``config``, ``spec_hash`` (what the header of a model stream for it
    holds), ``model_bits``, ``rows`` and ``ports`` as :func:`generate_unit` returns them.

    Raises
    ------
    UserError
        Unknown configuration or fabric.
    """
    from ..inputs.configs import configuration

    entry = configuration(config)
    _check_fabric(fabric)
    from vitric.hdl.accelerator import Accelerator

    component = Accelerator(entry.spec, fabric=None if fabric == "generic" else fabric)
    return _verilog(component, "accelerator"), {
        "module": "accelerator", "config": config, "spec_hash": entry.spec.hash, "model_bits": entry.spec.model_bits,
        "rows": entry.spec.rows, "ports": _ports(component),
    }


def generate_unit(unit: Unit, settings: Mapping[str, object], fabric: str) -> tuple[str, dict]:
    """Return the Verilog text of a unit, and its sidecar.

    The sidecar is a dictionary with ``module``, ``unit``, ``golden`` (the function that says what it computes,
    ``module:function``), ``parameters`` (the value of every one), ``fabric`` (what it
    is built for: ``generic`` if the unit has nothing of its own for the one asked for), ``latency`` and ``interval`` in
    cycles, ``clock``, ``reset`` (synchronous, active high) and ``ports``: name to ``dir`` (``in`` or ``out``),
    ``width`` in bits, ``signed``, and ``layout`` where the bits have a structure. A layout is ``{"fields": {name:
    {"offset": bits, ...}}}`` or ``{"length": n, "element": ...}`` around further layouts or ``{"width": bits,
    "signed": true or false}``.

    Raises
    ------
    UserError
        Unknown parameter or fabric, or a value that is not legal.
    """
    _check_fabric(fabric)
    values, component = make_unit(unit, settings, fabric)
    return _verilog(component, unit.name), {
        "module": unit.name, "unit": unit.name, "golden": unit.golden, "parameters": values,
        "fabric": unit.fabric_for(fabric), "latency": component.latency, "interval": component.interval,
        "clock": "clk", "reset": "rst", "ports": _ports(component),
    }


def _check_fabric(fabric: str) -> None:
    if fabric not in FABRICS:
        raise UserError(f"--fabric must be one of {', '.join(FABRICS)}, not {fabric!r}")


def _verilog(component, name: str) -> str:
    from amaranth.back import verilog

    return verilog.convert(component, name=name, emit_src=False, strip_internal_attrs=True)


def _ports(component) -> dict[str, dict]:
    """Return every port of the Verilog module by name."""
    ports = {name: {"dir": "in", "width": 1, "signed": False} for name in ("clk", "rst")}
    for path, member, _ in component.signature.flatten(component):
        layout = _layout(member.shape)
        port = {"dir": member.flow.name.lower(), "width": layout["width"], "signed": layout.get("signed", False)}
        if "signed" not in layout:
            port["layout"] = {key: part for key, part in layout.items() if key != "width"}
        ports["__".join(map(str, path))] = port
    return ports


def _layout(shape) -> dict:
    """Return a shape as plain JSON types: ``width``, and ``signed`` or what it is made of."""
    from amaranth.hdl import Shape
    from amaranth.lib import data

    if isinstance(shape, data.StructLayout):
        fields = {name: {"offset": field.offset, **_layout(field.shape)} for name, field in shape}
        return {"width": shape.size, "fields": fields}
    if isinstance(shape, data.ArrayLayout):
        return {"width": shape.size, "length": shape.length, "element": _layout(shape.elem_shape)}
    shape = Shape.cast(shape)
    return {"width": shape.width, "signed": shape.signed}
