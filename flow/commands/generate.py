"""`vitric generate`: an accelerator or one unit as plain Verilog, with a JSON sidecar and a FuseSoC core.

With ``--wrapper axis`` its streams are AXI4-Streams, and the accelerator has registers behind AXI4-Lite, a C header and
a testbench with golden's logits.
"""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from vitric.golden.errors import UserError
from vitric.golden.files import write_json, write_text
from vitric.golden.spec.check import check_choice
from vitric.hdl.fabric import FABRICS
from vitric.hdl.units import UNITS, Unit
from vitric.integration.fusesoc import core_file
from vitric.integration.sidecar import FORMAT, axis_streams, ports, register_map
from vitric.toolchain.verilog import verilog_text

from ..inputs.checked import checked
from ..inputs.options import ProjectName, check_output
from ..inputs.units import find_unit, make_unit, parse_settings
from ..project.project import Project, open_project
from ..reports.console import console

__all__ = ["WRAPPERS", "generate", "generate_command", "generate_unit"]

WRAPPERS = ("axis",)
"""Ports that the Verilog can have instead of its own: AXI4-Stream, and AXI4-Lite for the accelerator's registers."""

_NAME = re.compile(r"[A-Za-z_]\w{0,199}", re.ASCII)
_TESTED = 2  # images of the testbench


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
    wrapper: Annotated[
        str | None, typer.Option(help="axis: AXI4-Streams, for the accelerator also registers behind AXI4-Lite, a C "
                                 "header and a testbench.")] = None,
    name: Annotated[
        str | None, typer.Option(help="Of the Verilog module; by default it says what differs from the defaults, so "
                                 "that two of them can be in one design.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Verilog file; by default build/PROJECT/NAME.v or, of a unit, "
                                  "build/units/NAME.v.")] = None,
) -> None:
    """Write UNIT, or the accelerator of a project, as Verilog, and beside it FILE.json and FILE.core.

    FILE.core is for FuseSoC. docs/synth.md describes the fields of the JSON file, docs/integration.md the wrapper.
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
    if wrapper is not None:
        checked(lambda: check_choice("--wrapper", wrapper, WRAPPERS))
    _check_fabric(fabric)
    ending = "" if wrapper is None else f"_{wrapper}"
    if unit is None:
        work = open_project(project)
        module, folder = name or _accelerator_name(work, fabric) + ending, work.build
        made, title = partial(generate, work, fabric), f"Accelerator of {work.name}, by vitric"
    else:
        chosen = find_unit(unit)
        values = parse_settings(chosen, settings or ())
        module, folder = name or _unit_name(chosen, values, fabric) + ending, Path("build", "units")
        made, title = partial(generate_unit, chosen, values, fabric), f"{chosen.title}, by vitric"
    path = check_output(out or folder / f"{module}.v")
    for suffix in (".json", ".core"):
        check_output(path.with_suffix(suffix))
    text, sidecar = made(name=module, wrapper=wrapper)
    beside = _beside(work, module, sidecar["ports"]) if unit is None and wrapper is not None else {}
    files = {path.with_name(file): content for file, content in beside.items()}
    core = core_file(module, title, verilog=path.name, testbench=bool(beside),
                     data=[file for file in beside if file.endswith(".hex")])
    for file, content in {path: text, path.with_suffix(".core"): core, **files}.items():
        write_text(file, content)
    write_json(path.with_suffix(".json"), sidecar)
    lines = [f"{path}: {len(text.splitlines())} lines; ports in {path.with_suffix('.json')}"]
    if beside:
        lines += [f"registers in {path.with_name(f'{module}.h')}", f"testbench {path.with_name(f'{module}_tb.sv')}"]
    console().print("\n".join(lines), markup=False, soft_wrap=True)


def _beside(project: Project, module: str, ports: Mapping[str, Mapping]) -> dict[str, str]:
    """Return what a wrapped accelerator needs beside its Verilog, by the names of files."""
    from vitric.compiler.compile import compile_model
    from vitric.compiler.cycles import predict
    from vitric.integration.c_header import c_header
    from vitric.integration.testbench import hex_lines, testbench

    from ..project.images import test_images
    from ..project.integer import integer_model

    model = integer_model(project)
    compiled = checked(lambda: compile_model(model, project.spec))
    images = test_images(project, _TESTED, seed=project.settings.model.seed).images
    columns = compiled.input_words(images)  # uint8 [images, columns, rows]
    words, logits = compiled.stream.words, model(images)
    pixels = [int.from_bytes(column.tobytes(), "little") for column in columns.reshape(-1, columns.shape[-1])]
    return {
        f"{module}.h": c_header(),
        f"{module}_tb.sv": testbench(
            module, ports, model_beats=len(words), image_beats=columns.shape[1], classes=logits.shape[1],
            images=len(images), cycles=predict(compiled.stream.commands(), project.spec).cycles),
        f"{module}_model.hex": hex_lines(words, ports["s_axis_model_tdata"]["width"]),
        f"{module}_image.hex": hex_lines(pixels, ports["s_axis_image_tdata"]["width"]),
        f"{module}_logits.hex": hex_lines(logits.flatten().tolist(), ports["m_axis_logits_tdata"]["width"]),
    }


def _accelerator_name(project: Project, fabric: str) -> str:
    name = re.sub(r"\W", "_", project.name, flags=re.ASCII)
    return f"accelerator_{name}" + ("" if fabric == "generic" else f"_{fabric}")


def _unit_name(unit: Unit, settings: Mapping[str, object], fabric: str) -> str:
    """Return a name that two units share only if they are the same hardware: ``softmax_lanes4_max_length8``."""
    values = unit.values(settings)
    words = [unit.name]
    for name in unit.parameters:
        if name in settings and values[name] != unit.default(name):
            value = values[name]
            words.append(name + "_".join(map(str, value)) if isinstance(value, tuple) else f"{name}{value}")
    built = unit.fabric_for(fabric)
    return re.sub(r"\W", "_", "_".join(words + [built] * (built != "generic")).replace("-", "m"))


def generate(project: Project, fabric: str, *, name: str = "accelerator",
             wrapper: str | None = None) -> tuple[str, dict]:
    """Return the Verilog text of the accelerator of ``project``, the module ``name``, and its sidecar.

    The sidecar is a dictionary with ``format`` (its version), ``module``, ``config``, ``spec_hash`` (what the header of
    a model stream for it holds), ``model_bits``, ``rows``, ``clock``, ``reset`` and ``ports`` as of
    :func:`~vitric.integration.sidecar.ports`; wrapped also ``wrapper``, ``streams``
    (:func:`~vitric.integration.sidecar.axis_streams`) and ``register_map``
    (:func:`~vitric.integration.sidecar.register_map`).

    Raises
    ------
    UserError
        The project has no accelerator, or the fabric is unknown.
    """
    _check_fabric(fabric)
    from vitric.hdl.accelerator import Accelerator

    spec, built = project.spec, None if fabric == "generic" else fabric
    about = {"format": FORMAT, "module": name, "config": project.name, "spec_hash": spec.hash,
             "model_bits": spec.model_bits, "rows": spec.rows}
    if wrapper is None:
        component = Accelerator(spec, fabric=built)
        return verilog_text(component, name), about | _clocked("clk", "rst") | {"ports": ports(component)}
    from vitric.integration.axis_accelerator import AxisAccelerator

    component = AxisAccelerator(spec, fabric=built)
    return verilog_text(component, name), about | _clocked("aclk", "aresetn") | {
        "wrapper": wrapper, "streams": axis_streams(component.shapes), "register_map": register_map(),
        "ports": ports(component),
    }


def generate_unit(
    unit: Unit, settings: Mapping[str, object], fabric: str, *, name: str | None = None, wrapper: str | None = None,
) -> tuple[str, dict]:
    """Return the Verilog text of a unit, the module ``name`` (by default the unit's), and its sidecar.

    The sidecar is a dictionary with ``format`` (its version), ``module``, ``unit``, ``golden`` (the function that says
    what it computes, ``module:function``), ``parameters`` (the value of every one), ``fabric`` (what it is built for:
    ``generic`` if the unit has nothing of its own for the one asked for), ``latency`` and ``interval`` in cycles,
    ``clock``, ``reset`` (synchronous; active high, ``aresetn`` low) and ``ports`` as of
    :func:`~vitric.integration.sidecar.ports`; wrapped also ``wrapper`` and ``streams``
    (:func:`~vitric.integration.sidecar.axis_streams`).

    Raises
    ------
    UserError
        Unknown parameter or fabric, or a value that is not legal.
    """
    _check_fabric(fabric)
    values, component = make_unit(unit, settings, fabric)
    module = name or unit.name
    about = {"format": FORMAT, "module": module, "unit": unit.name, "golden": unit.golden, "parameters": values,
             "fabric": unit.fabric_for(fabric), "latency": component.latency, "interval": component.interval}
    if wrapper is None:
        return verilog_text(component, module), about | _clocked("clk", "rst") | {"ports": ports(component)}
    from vitric.integration.axis_unit import AxisUnit

    wrapped = AxisUnit(component)
    return verilog_text(wrapped, module), about | _clocked("aclk", "aresetn") | {
        "wrapper": wrapper, "streams": axis_streams(wrapped.shapes), "ports": ports(wrapped)}


def _clocked(clock: str, reset: str) -> dict[str, str]:
    return {"clock": clock, "reset": reset}


def _check_fabric(fabric: str) -> None:
    if fabric not in FABRICS:
        raise UserError(f"--fabric must be one of {', '.join(FABRICS)}, not {fabric!r}")
