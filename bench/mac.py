"""Measure area and clock frequency of the MAC array: ``python bench/mac.py [--fmax] [--json FILE]``.

Area is Yosys ``synth_ecp5 -nodsp`` of the array alone, operand and result registers and control included:
LUT-eq = LUT4 + 2 CCU2C + 6 DPR16X4. The frequency is nextpnr's estimate for an LFE5U-85F, speed grade 6, of the array
between shift registers (it has more ports than the part has pins), for one seed and with no floorplanning.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from amaranth.back import verilog
from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from vitric.flow import tools
from vitric.flow.report import console, write_json
from vitric.golden.spec.mac import MacArraySpec
from vitric.hdl.mac.array import MacArray

__all__ = ["Harness", "frequency", "lut_equivalents", "main", "synthesize"]

SHAPES = (  # rows, cols, depth, a_bits, w_bits
    (4, 4, 16, 4, 4), (2, 2, 8, 4, 4), (2, 2, 16, 4, 4), (2, 2, 32, 4, 4), (2, 2, 16, 3, 3), (2, 2, 16, 2, 2),
    (2, 2, 32, 2, 2), (2, 2, 16, 8, 8),
)


class Harness(wiring.Component):
    """The array between a shift register for its inputs and one for its outputs.

    Members
    -------
    i, o : one bit each
        Serial in and out.
    """

    def __init__(self, array: MacArray):
        self.array = array
        super().__init__({"i": In(1), "o": Out(1)})

    def elaborate(self, platform):
        """Connect the registers."""
        m = Module()
        m.submodules.array = array = self.array
        payload = array.i.payload.as_value()
        inputs = Signal(len(payload) + 2, reset_less=True)
        outputs = Signal(len(array.o.payload.as_value()) + 1, reset_less=True)
        m.d.sync += inputs.eq(Cat(self.i, inputs))
        m.d.comb += Cat(payload, array.i.valid, array.o.ready).eq(inputs)
        with m.If(array.o.valid):
            m.d.sync += outputs.eq(Cat(array.i.ready, array.o.payload.as_value()))
        with m.Else():
            m.d.sync += outputs.eq(Cat(Const(0), outputs))
        m.d.comb += self.o.eq(outputs[-1])
        return m


def _run(arguments: list[str], folder: Path) -> str:
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{arguments[0]} failed:\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout + done.stderr


def synthesize(component: wiring.Component, folder: Path) -> dict[str, int]:
    """Synthesize a component for ECP5 into ``folder/top.json``; return how many cells of each type it took."""
    (folder / "top.v").write_text(verilog.convert(component, name="top", emit_src=False))
    script = "read_verilog top.v; synth_ecp5 -top top -nodsp -json top.json; tee -q -o stat.json stat -json"
    _run([tools.require("yosys").path, "-q", "-p", script], folder)
    return json.loads((folder / "stat.json").read_text())["design"]["num_cells_by_type"]


def lut_equivalents(cells: dict[str, int]) -> int:
    """Return LUT4 + 2 CCU2C + 6 DPR16X4."""
    return cells.get("LUT4", 0) + 2 * cells.get("CCU2C", 0) + 6 * cells.get("TRELLIS_DPR16X4", 0)


def frequency(folder: Path, *, target: int = 150, seed: int = 1) -> tuple[float, int, int]:
    """Place and route ``folder/top.json``; return MHz, and the COMB and FF cells used."""
    output = _run(
        [
            tools.require("nextpnr-ecp5").path, "--85k", "--package", "CABGA381", "--speed", "6", "--seed", str(seed),
            "--freq", str(target), "--json", "top.json", "--lpf-allow-unconstrained", "--timing-allow-fail",
        ],
        folder,
    )
    (folder / "nextpnr.log").write_text(output)
    used = {name: int(count) for name, count in re.findall(r"(TRELLIS_\w+): +(\d+)/", output)}
    return float(re.findall(r"Max frequency for clock.*?: ([\d.]+) MHz", output)[-1]), used["TRELLIS_COMB"], used[
        "TRELLIS_FF"]


def measure(shape: tuple[int, ...], *, shifts: tuple[int, ...], mapping: str, fmax: bool, folder: Path) -> dict:
    """Return the figures of one configuration with 24-bit accumulators."""
    rows, cols, depth, a_bits, w_bits = shape
    spec = MacArraySpec(
        rows=rows, cols=cols, depth=depth, a_bits=a_bits, w_bits=w_bits, acc_bits=24, shifts=shifts, mapping=mapping
    )
    started = time.perf_counter()
    cells = synthesize(MacArray(spec, fabric="ecp5"), folder)
    result = {
        "rows": rows, "cols": cols, "depth": depth, "a_bits": a_bits, "w_bits": w_bits, "acc_bits": 24,
        "shifts": list(shifts), "mapping": mapping, "macs": spec.macs_per_cycle, "latency": spec.latency,
        "lut4": cells.get("LUT4", 0), "ccu2c": cells.get("CCU2C", 0), "ff": cells.get("TRELLIS_FF", 0),
        "lut_eq_per_mac": round(lut_equivalents(cells) / spec.macs_per_cycle, 2),
        "synthesis_s": round(time.perf_counter() - started, 1),
    }
    if fmax:
        started = time.perf_counter()
        synthesize(Harness(MacArray(spec, fabric="ecp5")), folder)
        result["mhz"], result["harness_comb"], result["harness_ff"] = frequency(folder)
        result["place_route_s"] = round(time.perf_counter() - started, 1)
    return result


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", action="append", metavar="R,C,D,A,W", help="only this shape (repeatable)")
    parser.add_argument("--mapping", default="lut", choices=("generic", "lut"))
    parser.add_argument("--fmax", action="store_true", help="place and route the first shape")
    parser.add_argument("--json", metavar="FILE", help="write the figures here (- for stdout)")
    options = parser.parse_args(arguments)
    shapes = [tuple(map(int, shape.split(","))) for shape in options.shape] if options.shape else SHAPES
    results = []
    with tempfile.TemporaryDirectory(dir=".") as folder:
        for index, shape in enumerate(shapes):
            for shifts in ((0, shape[3]), (0,)) if index == 0 else ((0, shape[3]),):
                fmax = options.fmax and index == 0 and len(shifts) == 2
                result = measure(shape, shifts=shifts, mapping=options.mapping, fmax=fmax, folder=Path(folder))
                results.append(result)
                mhz = f"{result['mhz']:.0f} MHz" if fmax else ""
                console(stderr=options.json == "-").print(
                    f"{'x'.join(map(str, shape[3:]))} D={shape[2]} {shape[0]}x{shape[1]} shifts={shifts} "
                    f"{options.mapping}: {result['lut_eq_per_mac']:.2f} LUT-eq/MAC "
                    f"({result['lut4']} LUT4, {result['ccu2c']} CCU2C, {result['ff']} FF) {mhz}"
                )
    if options.json:
        write_json(options.json, results)


if __name__ == "__main__":
    sys.exit(main())
