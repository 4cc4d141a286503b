"""`vitric synth`: area and clock frequency of one unit on one part, in one way for all of them."""

import zlib
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer
from vitric.golden.errors import UserError
from vitric.golden.files import write_json, write_text
from vitric.hdl.units import UNITS, Unit
from vitric.toolchain import tools
from vitric.toolchain.folders import locked
from vitric.toolchain.parts import PARTS, Part, find_part, over_capacity
from vitric.toolchain.run import Steps, synthesize

from ..inputs.options import Jobs, JsonFile, Scheduler
from ..inputs.units import find_unit, make_unit, parse_settings
from ..reports.console import console
from ..seeds import place_best
from ..tasks import HERE, Workers

__all__ = ["measure", "synth_command"]


def synth_command(
    unit: Annotated[str, typer.Argument(metavar="UNIT", help=f"One of {', '.join(UNITS)}.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Parameter of the unit (repeatable).")
    ] = None,
    device: Annotated[str, typer.Option(help=f"One of {', '.join(PARTS)}.")] = "ecp5-85k",
    pnr: Annotated[bool, typer.Option("--pnr", help="Place and route too, for the clock frequency.")] = False,
    seeds: Annotated[
        int, typer.Option(min=1, max=1000, help="Place and route with so many seeds; the best one counts.")] = 1,
    freq: Annotated[
        int | None, typer.Option(min=1, max=1000, metavar="MHZ", help="Clock that place and route aims at; by default "
                                 "above what units reach.")] = None,
    json_file: JsonFile = None,
    jobs: Jobs = 1,
    scheduler: Scheduler = None,
) -> None:
    """Measure area, and with --pnr the clock frequency, of UNIT on a device.

    Area is that of the unit alone. For the clock it stands between shift registers, because it has more ports than a
    part has pins. The fields of the JSON report are described in docs/synth.md.
    """
    chosen = find_unit(unit)
    report = measure(chosen, parse_settings(chosen, settings or ()), find_part(device), pnr=pnr, seeds=seeds,
                     freq=freq, workers=Workers(jobs, scheduler), stderr=str(json_file) == "-")
    if json_file is not None:
        write_json(json_file, report)


def measure(unit: Unit, settings: Mapping[str, object], part: Part, *, pnr: bool = False, seeds: int = 1,
            freq: int | None = None, workers: Workers = HERE, stderr: bool = False,
            build: Path | str = "build") -> dict:
    """Synthesize a unit, place and route it if ``pnr``, show the figures and return the report of ``docs/synth.md``.

    Everything is written to a folder below ``build/synth``, one for each unit, device and set of parameters.

    Raises
    ------
    UserError
        A parameter that is not legal, ``seeds`` or ``freq`` (MHz) without ``pnr``, a unit that does not fit the part
        and cannot be placed, or another process that works in the folder.
    vitric.golden.errors.ToolFailure
        A tool failed.
    """
    if seeds > 1 and not pnr:
        raise UserError("--seeds needs --pnr: synthesis has no seed")
    if freq is not None and not pnr:
        raise UserError("--freq needs --pnr: synthesis has no clock")
    freq = part.family.target_mhz if freq is None else freq
    values, component = make_unit(unit, settings, part.family.name)
    say = console(stderr=stderr)
    shown = " ".join(f"{name}={_text(value)}" for name, value in values.items())
    say.print(f"[bold]{unit.name}[/] on {part.title}: {shown}", soft_wrap=True)
    folder = Path(build) / "synth" / f"{unit.name}-{part.key}-{zlib.crc32(shown.encode()):08x}"
    steps = Steps(say)
    with locked(folder):
        cells = _synthesize(component, part, folder, "unit", steps, "unit")
        found = _frequencies(unit, settings, part, folder, steps, seeds, freq, workers) if pnr else []
    report = {
        "unit": unit.name, "device": part.key, "part": part.name, "parameters": values,
        "fabric": unit.fabric_for(part.family.name), "latency": component.latency, "interval": component.interval,
        **cells,
        "fits": not over_capacity(part, cells),
        "target_mhz": freq if pnr else None,
        "fmax_mhz": max((row["fmax_mhz"] for row in found), default=None), "seeds": found,
        **_ratios(component.spec, cells), "tools": _versions(part, pnr), "seconds": steps.seconds,
    }
    _show(report, say)
    return report


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _synthesize(component, part: Part, folder: Path, name: str, steps: Steps, step: str) -> dict[str, float]:
    """Synthesize ``component`` into ``folder/name.json``; return its cells by name in reports."""
    from amaranth.back import rtlil

    write_text(folder / f"{name}.il", rtlil.convert(component, name="top", emit_src=False))
    with steps.step(f"synthesize {step}") as tell:
        return synthesize(part.family, folder, name, tell, bare=name == "unit")


def _frequencies(
    unit: Unit, settings, part: Part, folder: Path, steps: Steps, seeds: int, freq: int, workers: Workers,
) -> list[dict]:
    """Place and route the unit in its harness, once for each seed; return ``seed`` and ``fmax_mhz`` of each."""
    from vitric.toolchain.harness import Harness

    harness = Harness(unit.make(settings, part.family.name))
    cells = _synthesize(harness, part, folder, "top", steps, "harness")
    if over := over_capacity(part, cells):
        raise UserError(f"{unit.name} with these parameters does not fit {part.name}: between shift registers "
                        f"it needs {', '.join(over)}")
    for name, text in part.files.items():
        write_text(folder / name, text)
    arguments = [*part.arguments, *part.family.unconstrained, "--freq", str(freq)]
    return place_best(
        part.family, folder, arguments, range(1, seeds + 1), inputs=("top.json", *part.files), steps=steps,
        fmax=lambda report: next(iter(report["fmax"].values()))["achieved"], workers=workers).seeds


def _ratios(spec, cells: Mapping[str, float]) -> dict:
    """Return area per product of an array, per lane of any other unit."""
    if hasattr(spec, "macs_per_cycle"):
        macs = spec.macs_per_cycle
        return {"macs_per_cycle": macs, "lut_eq_per_mac": round(cells["lut_eq"] / macs, 2),
                "macs_per_dsp": round(macs / cells["dsp"], 2) if cells["dsp"] else None}
    return {"lanes": spec.lanes, "lut_eq_per_lane": round(cells["lut_eq"] / spec.lanes, 1)}


def _versions(part: Part, pnr: bool) -> dict[str, str]:
    names = ["yosys"] + [part.family.nextpnr] * pnr
    return {"vitric": metadata.version("vitric"), "amaranth": metadata.version("amaranth"),
            **{name: tools.require(name).version for name in names}}


def _show(report: dict, say) -> None:
    """Print the figures."""
    per = "lut_eq_per_mac" if "lut_eq_per_mac" in report else "lut_eq_per_lane"
    say.print(
        f"[bold]{report['lut_eq']} LUT-eq[/], {report[per]} per {per.rpartition('_')[2]} ({report['lut4']} LUT4, "
        f"{report['carry']} carry, {report['dpr16x4']} LUT RAM), {report['ff']} FF, {report['dsp']} DSP, "
        f"{report['bram']} block RAM" + ("" if report["fits"] else f"; [red]does not fit {report['part']}[/]"),
        soft_wrap=True)
    if report["seeds"]:
        others = ", ".join(f"{row['fmax_mhz']:.1f}" for row in report["seeds"])
        say.print(f"[bold]{report['fmax_mhz']:.1f} MHz[/] (by seed: {others})", soft_wrap=True)
