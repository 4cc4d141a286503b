"""`vitric generate`: an accelerator or one unit as plain Verilog, with a JSON sidecar of its ports."""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from vitric.golden.errors import UserError
from vitric.golden.files import write_json, write_text
from vitric.hdl.fabric import FABRICS
from vitric.hdl.units import UNITS, Unit
from vitric.toolchain.verilog import verilog_text

from ..inputs.options import ProjectName, check_output
from ..inputs.units import find_unit, make_unit, parse_settings
from ..project.project import Project, open_project
from ..reports.console import console

__all__ = ["generate", "generate_command", "generate_unit"]

_NAME = re.compile(r"[A-Za-z_]\w{0,199}", re.ASCII)


def generate_command(
    unit: Annotated[
        str | None,
        typer.Argument(metavar="[UNIT]", help=f"One of {', '.join(UNITS)}; else the accelerator."),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Parameter of the unit (repeatable).")
    ] = None,
    project: ProjectName = None,
    fabric: Annotated[
        str, typer.Option(help="generic (any tool), or ecp5, ice40 or gowin (with cells of that family).")] = "generic",
    name: Annotated[
        str | None, typer.Option(help="Of the Verilog module; by default it says what differs from the defaults, so "
                                 "that two of them can be in one design.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Verilog file; by default build/PROJECT/NAME.v or, of a unit, "
                                  "build/units/NAME.v.")] = None,
) -> None:
    """Write UNIT, or the accelerator of a project, as Verilog, and beside it FILE.json with its ports.

    The fields of the JSON file are described in docs/synth.md.
    """
    if unit is None:
        if settings:
            raise UserError("--set needs a unit: vitric generate UNIT --set NAME=VALUE")
    elif project is not None:
        raise UserError("--project belongs to the accelerator; a unit takes its parameters with --set")
    if out is not None and out.suffix != ".v":
        raise UserError(f"--out must be named *.v, not {out}")
    if name is not None and not _NAME.fullmatch(name):
        raise UserError(f"--name must be letters, digits and _, beginning with no digit, not {name!r}")
    if unit is None:
        work = open_project(project)
        module, folder, made = name or _accelerator_name(work, fabric), work.build, partial(generate, work, fabric)
    else:
        chosen = find_unit(unit)
        values = parse_settings(chosen, settings or ())
        module, folder = name or _unit_name(chosen, values, fabric), Path("build", "units")
        made = partial(generate_unit, chosen, values, fabric)
    path = check_output(out or folder / f"{module}.v")
    check_output(path.with_suffix(".json"))
    text, ports = made(name=module)
    write_text(path, text)
    write_json(path.with_suffix(".json"), ports)
    console().print(f"{path}: {len(text.splitlines())} lines; ports in {path.with_suffix('.json')}")


def _accelerator_name(project: Project, fabric: str) -> str:
    _check_fabric(fabric)
    name = re.sub(r"\W", "_", project.name, flags=re.ASCII)
    return f"accelerator_{name}" + ("" if fabric == "generic" else f"_{fabric}")


def _unit_name(unit: Unit, settings: Mapping[str, object], fabric: str) -> str:
    """Return a name that two units share only if they are the same hardware: ``softmax_lanes4_max_length8``."""
    _check_fabric(fabric)
    values = unit.values(settings)
    words = [unit.name]
    for name in unit.parameters:
        if name in settings and values[name] != unit.default(name):
            value = values[name]
            words.append(name + "_".join(map(str, value)) if isinstance(value, tuple) else f"{name}{value}")
    built = unit.fabric_for(fabric)
    return re.sub(r"\W", "_", "_".join(words + [built] * (built != "generic")).replace("-", "m"))


def generate(project: Project, fabric: str, *, name: str = "accelerator") -> tuple[str, dict]:
    """Return the Verilog text of the accelerator of ``project``, the module ``name``, and its ports.

    The ports are a dictionary with ``module``, ``config``, ``spec_hash`` (what the header of a model stream for it
    holds), ``model_bits``, ``rows`` and ``ports`` as :func:`generate_unit` returns them.

    Raises
    ------
    UserError
        The project has no accelerator, or the fabric is unknown.
    """
    _check_fabric(fabric)
    from vitric.hdl.accelerator import Accelerator

    component = Accelerator(project.spec, fabric=None if fabric == "generic" else fabric)
    return verilog_text(component, name), {
        "module": name, "config": project.name, "spec_hash": project.spec.hash, "model_bits": project.spec.model_bits,
        "rows": project.spec.rows, "ports": _ports(component),
    }


def generate_unit(
    unit: Unit, settings: Mapping[str, object], fabric: str, *, name: str | None = None,
) -> tuple[str, dict]:
    """Return the Verilog text of a unit, the module ``name`` (by default the unit's), and its sidecar.

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
    module = name or unit.name
    return verilog_text(component, module), {
        "module": module, "unit": unit.name, "golden": unit.golden, "parameters": values,
        "fabric": unit.fabric_for(fabric), "latency": component.latency, "interval": component.interval,
        "clock": "clk", "reset": "rst", "ports": _ports(component),
    }


def _check_fabric(fabric: str) -> None:
    if fabric not in FABRICS:
        raise UserError(f"--fabric must be one of {', '.join(FABRICS)}, not {fabric!r}")


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
