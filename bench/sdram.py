"""Measure the SDRAM controller: ``python -m bench.sdram [--json FILE] [--area]``.

For each clock and length of bursts: the share of the bus that carries words while a long stretch is written, while it
is read, while it is read and a host writes a line every 8 µs, and while it is read and as much as possible is written.
The bound of a read is what refreshes leave if each closes all rows, takes tRFC, and one row is opened again. ``--area``
also synthesizes, places and routes controller and queues for an ECP5 of speed grade 6.
"""

import argparse
import json
from pathlib import Path

from amaranth.hdl import DomainRenamer
from rich.table import Column, Table
from vitric.flow.reports.console import console
from vitric.flow.start import run
from vitric.golden.files import write_json, write_text
from vitric.golden.spec.sdram import SdramSpec
from vitric.golden.spec.sdram_pins import PinTiming
from vitric.hdl.memory import Sdram, SdramController
from vitric.sim.chips import sdram_model
from vitric.sim.parameters import environment
from vitric.sim.runner import run_bench
from vitric.sim.sdram import ControllerOnChip
from vitric.toolchain.folders import locked
from vitric.toolchain.harness import Harness
from vitric.toolchain.parts import find_part
from vitric.toolchain.run import Steps, place_and_route, synthesize

__all__ = ["area", "main", "read_bound", "speed"]

FOLDER = Path("build", "bench-sdram")
CASES = ((100_000_000, 4), (133_333_333, 2), (133_333_333, 4), (133_333_333, 8), (142_857_142, 4))
LINES = 1 << 12
HOST_SECONDS = 8e-6  # between two lines of a host
CLOCK_MHZ = 150      # that place and route aims at
PHASE_STEPS = 48     # of a PLL whose oscillator runs at six times the clock

_COLUMNS = "clock", "burst", "read", "share", "bound", "write", "read, host", "read, writes", "phase", "least margin"


def read_bound(spec: SdramSpec) -> float:
    """Return the share of the bus that refreshes leave to a read: all rows close and one opens again for each."""
    lost = spec.rp + spec.rfc + spec.rcd
    return 1 - lost / spec.refresh_period


def speed(spec: SdramSpec, lines: int = LINES) -> dict[str, float]:
    """Return the shares of the bus by name, from a simulation with the chip model."""
    folder = FOLDER / f"{spec.clock_hz}-{spec.burst}"
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / "shares.json").resolve()
    parameters = {"lines": lines, "host_gap": round(HOST_SECONDS * spec.clock_hz), "file": str(file)}
    run_bench(ControllerOnChip(spec), test_module="vitric.sim.benches.sdram_speed", build_dir=folder,
              extra_sources=[sdram_model()], extra_env=environment(spec, **parameters))
    return json.loads(file.read_text())


def area(spec: SdramSpec, say, seeds=(1, 2, 3)) -> dict[str, dict]:
    """Return cells, and the clock in MHz by seed, of the controller, and of all with the queues as if in one clock."""
    from amaranth.back import rtlil

    part, found = find_part("ecp5-85k"), {}
    units = {"controller": SdramController, "with queues": lambda spec: DomainRenamer({"sdram": "sync"})(Sdram(spec))}
    for name, make in units.items():
        folder = FOLDER / name.replace(" ", "-")
        folder.mkdir(parents=True, exist_ok=True)
        steps = Steps(say)
        with locked(folder):
            for file, design in (("unit", make(spec)), ("top", Harness(make(spec)))):
                write_text(folder / f"{file}.il", rtlil.convert(design, name="top", emit_src=False))
                with steps.step(f"synthesize {name}, {file}") as tell:
                    cells = synthesize(part.family, folder, file, tell, bare=file == "unit")
                if file == "unit":
                    found[name] = dict(cells)
            for file, text in part.files.items():
                write_text(folder / file, text)
            clocks = []
            for seed in seeds:
                arguments = [*part.arguments, *part.family.unconstrained, "--freq", str(CLOCK_MHZ), "--seed", str(seed)]
                with steps.step(f"place and route {name}, seed {seed}") as tell:
                    placed = place_and_route(part.family, folder, arguments, tell)
                clocks += [clock["achieved"] for clock in placed["fmax"].values()]
            found[name]["fmax_mhz"] = [round(mhz, 1) for mhz in clocks]
    return found


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", help="write the figures here")
    parser.add_argument("--area", action="store_true", help="synthesize, place and route, too")
    options = parser.parse_args(arguments)
    screen, rows, timing = console(), [], PinTiming()
    table = Table(*(Column(name, no_wrap=True) for name in _COLUMNS), box=None)
    for clock_hz, burst in CASES:
        spec = SdramSpec(clock_hz=clock_hz, burst=burst, capture_cycles=0)
        phase = timing.phase(clock_hz, steps=PHASE_STEPS)
        row = {"clock_hz": clock_hz, "burst": burst, "bound": read_bound(spec), **speed(spec), "phase": phase,
               "margin_ns": timing.margins(clock_hz, phase).least}
        rows.append(row)
        shares = (f"{100 * row[name]:.1f} %" for name in ("read", "bound", "write", "read_and_host", "read_and_writes"))
        table.add_row(f"{clock_hz / 1e6:.0f} MHz", str(burst), f"{row['read'] * clock_hz * 2 / 1e6:.0f} MB/s", *shares,
                      f"{phase:g}°", f"{row['margin_ns']:.2f} ns")
    screen.print(table)
    result = {"lines": LINES, "speed": rows}
    if options.area:
        result["area"] = area(SdramSpec(clock_hz=133_333_333), screen)
        for name, cells in result["area"].items():
            screen.print(f"{name}: {cells['lut_eq']} LUT-eq, {cells['ff']} FF, {cells['bram']} block RAM, "
                         f"{max(cells['fmax_mhz']):.1f} MHz (by seed: {cells['fmax_mhz']})")
    if options.json:
        write_json(options.json, result)


if __name__ == "__main__":
    run(main)
