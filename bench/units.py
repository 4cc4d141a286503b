"""Measure every unit on every device: ``make bench-units``, that is ``python -m bench.units``.

Writes ``docs/units/figures.json``, and from it the page ``docs/units/figures.md`` and the plot
``docs/units/lut_per_mac.svg``. Every row is one run of ``vitric synth``. A row that is measured is kept in
``build/bench-units`` and, with the key that says of which hardware and tools it is, in ``figures.json``; it is taken
from there while neither changes. So a run that was interrupted goes on where it was, and a new row costs one
measurement on a fresh clone, too. ``--area`` places and routes nothing: rows whose clock is nowhere get none.
``--stored`` makes page and plot from the stored figures alone.
"""

import argparse
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from vitric.flow.commands.synth import measure
from vitric.flow.reports.console import console
from vitric.flow.start import run
from vitric.golden.errors import ToolFailure, UserError
from vitric.golden.files import write_json, write_text
from vitric.hdl.units import UNITS
from vitric.toolchain import tools
from vitric.toolchain.parts import PARTS

from bench.bounds import bound
from bench.units_page import page, plot
from docs.pages import ROOT

__all__ = ["CACHE", "FOLDER", "PLOT_ROWS", "ROWS", "Row", "collect", "main", "run_row"]

FOLDER = ROOT / "docs" / "units"
CACHE = ROOT / "build" / "bench-units"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measurement.

    Attributes
    ----------
    unit, device : str
    settings : mapping of str to value
        As behind ``--set``.
    pnr : bool
        Place and route too.
    freq : int, optional
        MHz that place and route aims at, if not the family's.
    aim : mapping of str to number
        Name of a figure and what it was meant to be: at most that, for a clock at least that.
    """

    unit: str
    device: str
    settings: Mapping[str, object]
    pnr: bool = True
    freq: int | None = None
    aim: Mapping[str, float] = field(default_factory=dict)


def _mac(size: int, depth: int, bits: int, mapping: str, *, device: str = "ecp5-85k", pnr: bool = True,
         freq: int | None = None, **aim) -> Row:
    settings = {"rows": size, "cols": size, "depth": depth, "a_bits": bits, "w_bits": bits, "mapping": mapping}
    return Row(unit="mac", device=device, settings=settings, pnr=pnr, freq=freq, aim=aim)


_MAC_AIMS = {
    "lut": {4: {"lut_eq_per_mac": 28, "fmax_mhz": 120}, 3: {"lut_eq_per_mac": 18}, 2: {"lut_eq_per_mac": 10.5}},
    "dsp": {4: {"lut_eq_per_mac": 16, "fmax_mhz": 150}, 8: {"lut_eq_per_mac": 18.5, "fmax_mhz": 150}},
}
_MAPPINGS = "generic", "lut", "dsp"  # of the MAC array, with stored figures
_SHAPES = ((4, 4, 16), (3, 2, 16), (2, 2, 32), (8, 2, 16))  # bits, rows and columns, depth

ROWS = (
    *(_mac(size, depth, bits, mapping, **_MAC_AIMS.get(mapping, {}).get(bits, {}))
      for mapping in _MAPPINGS if mapping != "generic" for bits, size, depth in _SHAPES),
    _mac(8, 16, 4, "lut", freq=110, lut_eq_per_mac=28, fmax_mhz=100),
    *(_mac(2, depth, bits, "generic", pnr=False) for bits, _, depth in _SHAPES),
    Row(unit="softmax", device="ecp5-85k", settings={"lanes": 8, "max_length": 1024},
        aim={"lut_eq_per_lane": 200, "fmax_mhz": 100}),
    Row(unit="softmax", device="ecp5-85k", settings={"lanes": 8, "max_length": 1024, "columns": 2}),
    Row(unit="softmax", device="ecp5-85k", settings={"lanes": 8, "max_length": 1024, "kind": "log2", "out_bits": 4}),
    Row(unit="softmax", device="ecp5-85k",
        settings={"lanes": 8, "max_length": 1024, "kind": "log_sqrt2", "out_bits": 5}),
    Row(unit="softmax", device="ecp5-85k",
        settings={"lanes": 8, "max_length": 1024, "kind": "twin_uniform", "out_bits": 4, "twin_shift": 4}),
    Row(unit="layernorm", device="ecp5-85k", settings={"lanes": 8, "max_length": 1024},
        aim={"lut_eq_per_lane": 250, "fmax_mhz": 100}),
    Row(unit="layernorm", device="ecp5-85k", settings={"lanes": 16, "max_length": 1024, "row_products": "fabric"},
        aim={"lut_eq_per_lane": 250, "fmax_mhz": 100}),
    Row(unit="requantize", device="ecp5-85k", settings={"lanes": 4, "acc_bits": 24},
        aim={"lut_eq_per_lane": 150, "fmax_mhz": 120}),
    Row(unit="requantize", device="ecp5-85k", settings={"lanes": 4, "acc_bits": 24, "bias_bits": 24, "out_bits": 8}),
    Row(unit="requantize", device="ecp5-85k",
        settings={"lanes": 4, "acc_bits": 24, "bias_bits": 24, "out_bits": 8, "multiplier_bits": 0}),
    Row(unit="gelu", device="ecp5-85k", settings={"lanes": 4}),
    _mac(2, 16, 4, "lut", device="ecp5-12k"),
    _mac(2, 8, 4, "lut", device="up5k"),
    _mac(2, 4, 4, "dsp", device="up5k"),
    _mac(2, 2, 8, "dsp", device="up5k"),
    Row(unit="softmax", device="up5k", settings={"lanes": 2, "max_length": 256}),
    Row(unit="layernorm", device="up5k", settings={"lanes": 2, "max_length": 256}),
    Row(unit="requantize", device="up5k", settings={"lanes": 4, "acc_bits": 24, "bias_bits": 24, "out_bits": 8}),
    Row(unit="gelu", device="up5k", settings={"lanes": 4}),
    _mac(2, 16, 4, "lut", device="gw1nr-9"),
    _mac(2, 16, 4, "dsp", device="gw1nr-9"),
    _mac(2, 4, 8, "dsp", device="gw1nr-9"),
    Row(unit="softmax", device="gw1nr-9", settings={"lanes": 4, "max_length": 256}),
    Row(unit="layernorm", device="gw1nr-9", settings={"lanes": 2, "max_length": 256}),
    Row(unit="requantize", device="gw1nr-9", settings={"lanes": 4, "acc_bits": 24, "bias_bits": 24, "out_bits": 8}),
    Row(unit="gelu", device="gw1nr-9", settings={"lanes": 4}),
)
"""The rows of the table, by device."""

PLOT_ROWS = tuple(_mac(2, 16, bits, mapping, pnr=False) for mapping in _MAPPINGS for bits in range(2, 9))
"""The points of the plot."""

_STORED = ("lut4", "ccu2c", "dpr16x4", "carry", "lut_eq", "ff", "dsp", "bram", "fits", "fmax_mhz", "seeds",
           "macs_per_cycle", "lut_eq_per_mac", "macs_per_dsp", "lanes", "lut_eq_per_lane", "tools")


def _key(row: Row, seeds: int) -> str:
    """Return a name that changes with the hardware, the tools and what is asked for."""
    from amaranth.back import rtlil

    part = PARTS[row.device]
    text = rtlil.convert(UNITS[row.unit].make(row.settings, part.family.name), name="top", emit_src=False)
    versions = [tools.require(name).version for name in ("yosys", part.family.nextpnr)]
    family = part.family
    freq = row.freq or family.target_mhz
    parts = (text, family.script("unit", bare=True), part.arguments, freq, versions, row.pnr and seeds)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _known(row: Row, seeds: int, cache: Path, stored: Mapping[str, dict]) -> tuple[str, dict | None]:
    """Return the key of a row and its figures, if they are in the cache or among the stored ones by key."""
    key = _key(row, seeds)
    path = cache / f"{key}.json"
    return key, json.loads(path.read_text(encoding="utf-8")) if path.exists() else stored.get(key)


def run_row(row: Row, *, seeds: int = 1, cache: Path = CACHE, stored: Mapping[str, dict] | None = None,
            pnr: bool = True) -> dict:
    """Return the figures of a row, known or measured; ``error`` instead of them if it cannot be built.

    Without ``pnr`` a row that has to be measured is not placed and routed.
    """
    unit, stored = UNITS[row.unit], stored or {}
    entry = {"unit": row.unit, "device": row.device, "settings": dict(row.settings), "aim": dict(row.aim)}
    try:
        key, figures = _known(row, seeds, cache, stored)
        if figures is None and row.pnr and not pnr:
            row = replace(row, pnr=False)
            key, figures = _known(row, seeds, cache, stored)
        if figures is None:
            report = measure(unit, row.settings, PARTS[row.device], pnr=row.pnr, seeds=seeds,
                             freq=row.freq if row.pnr else None, build=ROOT / "build")
            figures = {name: report[name] for name in _STORED if name in report}
            write_json(cache / f"{key}.json", figures)
    except (UserError, ValueError, ToolFailure) as error:
        console(stderr=True).print(str(error), style="red", markup=False)
        return {**entry, "error": str(error).partition("\n")[0]}
    entry["key"], figures = key, {name: figures[name] for name in _STORED if name in figures}
    fabric = PARTS[row.device].family.name
    return {**entry, **figures, "bound": bound(row.unit, unit.make_spec(row.settings), fabric, figures["dsp"])}


def collect(before: Mapping[str, list[dict]], *, seeds: int = 1, pnr: bool = True) -> dict:
    """Measure what is not known, showing how far it is; return what ``figures.json`` holds.

    ``before`` is what it held so far.
    """
    say = console()
    stored = {entry["key"]: entry for rows in before.values() for entry in rows if "key" in entry}
    figures: dict[str, list] = {"rows": [], "plot": []}
    total = len(ROWS) + len(PLOT_ROWS)
    for kind, rows in (("rows", ROWS), ("plot", PLOT_ROWS)):
        for row in rows:
            done = len(figures["rows"]) + len(figures["plot"])
            say.print(f"[bold]{done + 1} of {total}[/]: {row.unit} on {row.device}")
            figures[kind].append(run_row(row, seeds=seeds, stored=stored, pnr=pnr))
    return figures


def main(arguments: list[str] | None = None) -> None:
    """Measure, store the figures, write page and plot."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--stored", action="store_true", help="use docs/units/figures.json as it is")
    parser.add_argument("--area", action="store_true", help="place and route nothing")
    parser.add_argument("--seeds", type=int, default=1, help="seeds of place and route; the best one counts")
    options = parser.parse_args(arguments)
    figures = json.loads((FOLDER / "figures.json").read_text(encoding="utf-8"))
    if not options.stored:
        figures = json.loads(json.dumps(collect(figures, seeds=options.seeds, pnr=not options.area)))
        write_json(FOLDER / "figures.json", figures)
    write_text(FOLDER / "figures.md", page(figures))
    write_text(FOLDER / "lut_per_mac.svg", plot(figures["plot"]))
    console().print(f"{len(figures['rows'])} rows in docs/units/figures.md")


if __name__ == "__main__":
    run(main)
