"""Figures of a bitstream: clock, area, speed; as JSON, Markdown and a table."""

import json
import math
import re
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from vitric.boards.crc import crc32c
from vitric.compiler.compile import Compiled
from vitric.compiler.cycles import predict
from vitric.golden.spec.word_rate import EVERY_CYCLE, WordRate
from vitric.toolchain import tools
from vitric.toolchain.families import Family
from vitric.toolchain.parts import PARTS
from vitric.toolchain.run import breakdown
from vitric.toolchain.spread import TILE_CELLS, logic_rows

from ..project.project import Project
from ..seeds import Placed
from .console import console, printable

if TYPE_CHECKING:
    from vitric.boards.top import Top

__all__ = ["clock_of", "cycles_per_image", "markdown", "meets", "reached", "report_of", "show"]

_AGREEMENT = 0.05  # share by which simulated cycles may differ from predicted ones before they count as stale
_PATH_FROM, _PATH_TO = "critical path from", "critical path to"
_AREA = ("lut4", "ccu2c", "ff", "dsp", "bram")


def cycles_per_image(compiled: Compiled, simulated: Path, rate: WordRate = EVERY_CYCLE) -> tuple[float, str]:
    """Return the clock cycles of an inference and where the number comes from.

    The figures of `vitric sim` are taken if the file is there, is for the same accelerator and for a stream of the
    same length, and agrees with the cycle model (a simulation with pauses does not); otherwise the cycle model's, as if
    the model's memory gives words at ``rate``, less than one per cycle.
    """
    predicted = predict(compiled.stream.commands(), compiled.spec, rate).cycles
    if rate.word_cycles > 1:
        return float(predicted), "cycle model, with the SDRAM's rate"
    try:
        figures = json.loads(simulated.read_text())
        same = (figures["spec"], figures["model_words_per_image"]) == (compiled.spec.name, len(compiled.stream))
        cycles = float(figures["cycles_per_image"])
    except (OSError, ValueError, KeyError, TypeError):
        same = False
    if same and math.isclose(cycles, predicted, rel_tol=_AGREEMENT):
        return cycles, f"simulation ({simulated.as_posix()})"
    return float(predicted), "cycle model"


def _signal(cell: str) -> str:
    """Return the name of the signal that Yosys named a cell after."""
    return re.sub(r"_[A-Z][A-Z0-9]+[^.]*$", "", cell)


def _critical_path(placed: dict, clock: str) -> dict | None:
    """Return ends, delay and the cells on the way of the slowest path within ``clock``."""
    for path in placed.get("critical_paths", []):
        if path["from"] == path["to"] == f"posedge {clock}":
            parts = path["path"]
            delays = {"logic": 0.0, "routing": 0.0}
            for part in parts:
                delays["routing" if part["type"] == "routing" else "logic"] += part["delay"]
            return {
                "from": parts[0]["from"]["cell"], "to": parts[-1]["to"]["cell"],
                "delay_ns": round(sum(delays.values()), 2), "logic_ns": round(delays["logic"], 2),
                "routing_ns": round(delays["routing"], 2),
                "nets": [part["net"] for part in parts if part["type"] == "routing"],
            }
    return None


def clock_of(placed: dict, clock_mhz: float) -> tuple[str, float]:
    """Return the name of the clock in nextpnr's report that was asked for ``clock_mhz``, and the MHz it reached.

    Of several, the slowest.
    """
    found = {name: timing["achieved"] for name, timing in placed["fmax"].items()
             if math.isclose(timing["constraint"], clock_mhz, rel_tol=1e-3)}
    if not found:
        raise RuntimeError(f"nextpnr has no clock of {clock_mhz:g} MHz: {placed['fmax']}")
    return min(found.items(), key=lambda pair: pair[1])


def _sdram_clock(placed: dict, top: "Top") -> dict | None:
    """Return the clock of the SDRAM, and the MHz it reached; None without an SDRAM."""
    if top.system.sdram is None:
        return None
    clock_mhz = float(top.sdram_pll.output_mhz)
    return {"clock_mhz": clock_mhz, "fmax_mhz": round(clock_of(placed, clock_mhz)[1], 2)}


def reached(placed: dict, top: "Top") -> float:
    """Return the MHz that the system's clock reached; less if that of the SDRAM fell short, by the same share."""
    fmax, sdram = clock_of(placed, float(top.pll.output_mhz))[1], _sdram_clock(placed, top)
    return fmax if sdram is None else fmax * min(1.0, sdram["fmax_mhz"] / sdram["clock_mhz"])


def meets(placed: dict, top: "Top") -> bool:
    """Return whether the system's clock was met, and that of the SDRAM, if there is one."""
    clock_mhz, sdram = float(top.pll.output_mhz), _sdram_clock(placed, top)
    return clock_of(placed, clock_mhz)[1] >= clock_mhz and (sdram is None or sdram["fmax_mhz"] >= sdram["clock_mhz"])


def report_of(project: Project, board, compiled: Compiled, top: "Top", cells: dict[str, int], best: Placed,
              work: Path, empty_rows: Sequence[int]) -> dict:
    """Return what ``report.json`` holds, but for the names of products and the times; see ``docs/board.md``."""
    clock_mhz, placed, sdram = float(top.pll.output_mhz), best.report, _sdram_clock(best.report, top)
    clock, fmax = clock_of(placed, clock_mhz)
    part = board.part
    family = part.family
    used = {name: cells[name] for name in _AREA}
    there = {name: getattr(part, name) for name in used if name != "ccu2c"} | {"ccu2c": part.lut4 // 2}
    logic = placed["utilization"][family.logic]
    comb = logic["used"] - sum(TILE_CELLS * len(logic_rows(part.name)[row]) for row in empty_rows)
    rate = EVERY_CYCLE if sdram is None else top.system.sdram.word_rate(top.system.clock_hz)
    cycles, source = cycles_per_image(compiled, project.build / "sim.json", rate)
    return {
        "config": project.name, "spec": compiled.spec.name, "board": board.name, "device": part.name,
        "seed": best.seed, "seeds": best.seeds,
        "fmax_mhz": round(fmax, 2), "clock_mhz": clock_mhz,
        "timing_met": meets(placed, top),
        "sdram": sdram,
        **used, "lut_eq": cells["lut_eq"],
        "comb": comb, "empty_rows": len(empty_rows),
        "percent": {name: round(100 * used[name] / there[name], 2) for name in used}
        | {"comb": round(100 * comb / logic["available"], 2)},
        "cycles_per_image": cycles, "cycles_source": source,
        "images_per_second": round(clock_mhz * 1e6 / cycles, 1),
        "baud": board.baud, "model_words": len(compiled.stream), "capacity_words": top.system.capacity,
        "model_crc32c": f"{crc32c(compiled.stream.data):08x}",
        "critical_path": _critical_path(placed, clock), "breakdown": breakdown(family, work),
        "tools": {name: tools.require(name).version for name in ("yosys", family.nextpnr, family.packer.tool)}
        | {name: metadata.version(name) for name in ("amaranth", "amaranth-boards", "vitric")},
        "bitstream": None,
    }


def _family(report: dict) -> Family:
    return next(part.family for part in PARTS.values() if part.name == report["device"])


def _rows(report: dict) -> list[tuple[str, str]]:
    """Return names and values for people."""
    percent, words = report["percent"], _family(report).words
    path, sdram = report["critical_path"], report["sdram"]
    rows = [
        ("clock", f"{report['clock_mhz']:g} MHz, Fmax {report['fmax_mhz']:.1f} MHz: "
                  + ("met" if report["timing_met"] else "NOT MET")),
        *((words[name], f"{report[name]} ({percent[name]:.1f} %)") for name in _AREA),
        ("logic cells", f"{report['comb']} ({percent['comb']:.1f} %)"
                        + (f", {report['empty_rows']} rows kept empty" if report["empty_rows"] else "")),
        ("cycles per image", f"{report['cycles_per_image']:.0f}, from the {report['cycles_source']}"),
        ("images per second", f"{report['images_per_second']:.0f}"),
        ("model", f"{report['model_words']} words, room for {report['capacity_words']}, twice"
                  + (", in SDRAM: `vitric flash` or `vitric load` puts it there" if sdram else "")),
        ("serial line", f"{report['baud']} baud"),
    ]
    if sdram:
        rows.insert(1, ("SDRAM clock", f"{sdram['clock_mhz']:g} MHz, Fmax {sdram['fmax_mhz']:.1f} MHz"))
    if path:
        rows += [("critical path", f"{path['delay_ns']} ns ({path['logic_ns']} logic, {path['routing_ns']} routing)"),
                 (_PATH_FROM, _signal(path["from"])), (_PATH_TO, _signal(path["to"]))]
    rows.append(("tools", ", ".join(f"{name} {version}" for name, version in report["tools"].items())))
    rows.append(("seed", str(report["seed"])))
    if len(report["seeds"]) > 1:
        rows.append(("MHz by seed", ", ".join(f"{row['seed']}: {row['fmax_mhz']:.1f}" for row in report["seeds"])))
    return rows


def markdown(report: dict) -> str:
    """Return the report as Markdown."""
    lines = [f"# {report['config']} on {report['board']} ({report['device']})", "", "| figure | value |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in _rows(report)]
    lines += ["", "| submodule | LUT4 | CCU2C | RAM16 | FF | multipliers | block RAM |",
              "|---|---|---|---|---|---|---|"]
    names = ("module", "lut4", "ccu2c", "dpr16x4", "ff", "dsp", "bram")
    lines += ["| " + " | ".join(str(row[name]) for name in names) + " |" for row in report["breakdown"]]
    return "\n".join(lines) + "\n"


def show(report: dict, *, stderr: bool = False) -> None:
    """Print the report as a table."""
    from rich.table import Table

    table = Table("figure", "value", title=f"{report['config']} on {report['board']} ({report['device']})")
    table.columns[-1].overflow = "fold"
    long = {_PATH_FROM: "", _PATH_TO: "", "bitstream": report["bitstream"] or ""}  # names that a table would cut
    for name, value in _rows(report):
        if name in long:
            long[name] = value
        else:
            table.add_row(name, value)
    out = console(stderr=stderr)
    out.print(table)
    for name, value in long.items():
        if value:
            out.print(f"{name}: {printable(value)}", markup=False, soft_wrap=True)
