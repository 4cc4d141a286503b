"""Fill the table of measured figures in the README: ``python -m bench.readme [--stored]``.

Reads ``build/CONFIG/sim.json`` (``make sim``) and ``build/CONFIG/BOARD/report.json`` (``make bitstream``), stores the
figures that the table shows in ``docs/figures.json``, and writes the table into the README. What has no result in
``build/`` keeps its stored figures. New figures get the name of the commit that is checked out, so measure first, then
run this, then commit. ``--stored`` writes the table from the stored figures alone.
"""

import argparse
import json
import subprocess
from pathlib import Path

from vitric.flow.project.file import config_names
from vitric.flow.reports.console import console
from vitric.flow.start import run
from vitric.golden.files import write_json, write_text

from docs.pages import ROOT, fill

__all__ = ["FIGURES", "bitstream_figures", "collect", "main", "sim_figures", "table"]

FIGURES = ROOT / "docs" / "figures.json"

SIM = ("images", "values_compared", "values_differ", "accuracy", "cycles_per_image", "mac_bound_cycles",
       "array_utilization", "array_busy", "verilator_cycles_per_second")
BITSTREAM = ("fmax_mhz", "clock_mhz", "timing_met", "lut4", "ccu2c", "ff", "dsp", "bram", "cycles_per_image",
             "images_per_second")


def _chosen(path: Path, names: tuple[str, ...]) -> dict:
    """Return the named figures of a report; :exc:`ValueError` names the file and what it lacks."""
    report = json.loads(path.read_text(encoding="utf-8"))
    if missing := [name for name in names if name not in report]:
        raise ValueError(f"{path} lacks {', '.join(missing)}; run the command that writes it again")
    return {name: report[name] for name in names}


def sim_figures(build: Path) -> dict[str, dict]:
    """Return the figures of every ``CONFIG/sim.json`` below ``build``, by configuration."""
    return {path.parent.name: _chosen(path, SIM) for path in sorted(build.glob("*/sim.json"))}


def bitstream_figures(build: Path) -> dict[str, dict]:
    """Return the figures of every ``CONFIG/BOARD/report.json`` below ``build``, by ``CONFIG/BOARD``."""
    return {path.parent.relative_to(build).as_posix(): _chosen(path, BITSTREAM)
            for path in sorted(build.glob("*/*/report.json")) if path.parent.parent.name in config_names()}


def collect(stored: dict, build: Path, commit: str) -> dict:
    """Return ``stored`` with the results below ``build`` entered; those that are new or differ get ``commit``."""
    result = {kind: dict(stored[kind]) for kind in ("sim", "bitstream")}
    for kind, found in (("sim", sim_figures(build)), ("bitstream", bitstream_figures(build))):
        for name, figures in found.items():
            before = stored[kind].get(name, {})
            if {**before, **figures} != before:
                result[kind][name] = {"commit": commit, **figures}
    return result


def _number(value: float | int | None, digits: int = 0) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f} %"


def table(figures: dict) -> str:
    """Return the tables of the README as Markdown: one of simulations, one of bitstreams."""
    lines = [
        "Simulation (`make sim CONFIG=…`):", "",
        "| configuration | images | values compared | differ | accuracy float / golden / RTL | cycles per image | "
        "MAC bound | array utilization | Verilator cycles/s | commit |",
        "|---|---:|---:|---:|---|---:|---:|---:|---:|---|",
    ]
    for name, row in figures["sim"].items():
        accuracy = " / ".join(_percent(row["accuracy"][kind]) for kind in ("float", "golden", "rtl"))
        cells = (name, _number(row["images"]), _number(row["values_compared"]), _number(row["values_differ"]), accuracy,
                 _number(row["cycles_per_image"]), _number(row["mac_bound_cycles"]),
                 f"{100 * row['array_utilization']:.1f} %", _number(row["verilator_cycles_per_second"]), row["commit"])
        lines.append(f"| {' | '.join(cells)} |")
    if not figures["sim"]:
        lines.append("| none stored yet |" + " |" * 9)
    lines += [
        "", "Bitstream (`make bitstream CONFIG=… BOARD=…`):", "",
        "| configuration and board | Fmax | clock | timing | LUT4 | CCU2C | FF | multipliers | block RAMs | "
        "cycles per image | images per second | commit |",
        "|---|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for name, row in figures["bitstream"].items():
        cells = (name, f"{row['fmax_mhz']:.1f} MHz", f"{row['clock_mhz']:g} MHz",
                 "met" if row["timing_met"] else "not met",
                 *(_number(row[key]) for key in ("lut4", "ccu2c", "ff", "dsp", "bram", "cycles_per_image")),
                 _number(row["images_per_second"], 1), row["commit"])
        lines.append(f"| {' | '.join(cells)} |")
    if not figures["bitstream"]:
        lines.append("| none stored yet |" + " |" * 11)
    return "\n".join(lines) + "\n"


def _commit() -> str:
    """Return the short name of the commit, with ``+`` if tracked files differ from it."""
    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")


def main(arguments: list[str] | None = None) -> None:
    """Collect the figures, store them, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--stored", action="store_true", help="use docs/figures.json as it is")
    options = parser.parse_args(arguments)
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    if not options.stored:
        figures = collect(figures, ROOT / "build", _commit())
        write_json(FIGURES, figures)
    readme = ROOT / "README.md"
    write_text(readme, fill(readme.read_text(encoding="utf-8"), "measured figures", table(figures)))
    console().print(f"{len(figures['sim'])} simulations, {len(figures['bitstream'])} bitstreams in the README")


if __name__ == "__main__":
    run(main)
