"""`vitric generate`: the accelerator of a configuration as plain Verilog, with a JSON sidecar of its ports."""

from pathlib import Path
from typing import Annotated

import typer

from .report import UserError, console, write_json, write_text

__all__ = ["generate", "generate_command"]

FABRICS = ("generic", "ecp5")


def generate_command(
    config: Annotated[str, typer.Option(help="tiny, digits or deit_tiny_block.")] = "digits",
    fabric: Annotated[str, typer.Option(help="generic (any tool) or ecp5 (with the part's primitives).")] = "generic",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Verilog file; by default build/CONFIG/accelerator.v.")] = None,
) -> None:
    """Write the accelerator of CONFIG as Verilog, and beside it FILE.json with every port's direction and width."""
    path = out or Path("build") / config / "accelerator.v"
    if path.suffix != ".v":
        raise UserError(f"--out must be named *.v, not {path}")
    text, ports = generate(config, fabric)
    write_text(path, text)
    write_json(path.with_suffix(".json"), ports)
    console().print(f"{path}: {len(text.splitlines())} lines; ports in {path.with_suffix('.json')}")


def generate(config: str, fabric: str) -> tuple[str, dict]:
    """Return the Verilog text of the accelerator of ``config``, and its ports.

    The ports are a dictionary with ``module``, ``config``, ``spec_hash`` (what the header of a model stream for it
    holds), ``model_bits``, ``rows`` and ``ports``: name to ``{"dir": "in" or "out", "width": bits}``.

    Raises
    ------
    UserError
        Unknown configuration or fabric.
    """
    from .configs import configuration

    entry = configuration(config)
    if fabric not in FABRICS:
        raise UserError(f"--fabric must be one of {', '.join(FABRICS)}, not {fabric!r}")
    from amaranth.back import verilog
    from amaranth.hdl import Value
    from vitric.hdl.accelerator import Accelerator

    component = Accelerator(entry.spec, fabric=None if fabric == "generic" else fabric)
    ports = {"clk": {"dir": "in", "width": 1}, "rst": {"dir": "in", "width": 1}}
    for path, member, value in component.signature.flatten(component):
        name = "__".join(map(str, path))
        ports[name] = {"dir": member.flow.name.lower(), "width": len(Value.cast(value))}
    text = verilog.convert(component, name="accelerator", emit_src=False, strip_internal_attrs=True)
    return text, {
        "module": "accelerator", "config": config, "spec_hash": entry.spec.hash, "model_bits": entry.spec.model_bits,
        "rows": entry.spec.rows, "ports": ports,
    }
