"""Measure the LayerNorm unit: accuracy, area, clock. ``python bench/layernorm.py [--area] [--fmax] [--json FILE]``.

Accuracy: share of codes that equal a correctly rounded float64 LayerNorm without epsilon, and the largest difference,
for Gaussian rows around random offsets, 8-bit codes, gamma / scale between 9.6 and 41.6. Area is Yosys ``synth_ecp5
-nodsp`` of the unit alone: LUT-eq = LUT4 + 2 CCU2C + 6 DPR16X4. The clock is nextpnr's estimate for an LFE5U-85F, speed
grade 6, of the unit between shift registers (it has more ports than the part has pins), one seed.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from amaranth.back import rtlil
from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from vitric.flow import tools
from vitric.flow.report import console, write_json
from vitric.golden.integer.layernorm import layernorm, quantize_affine
from vitric.golden.spec.layernorm import LayerNormSpec
from vitric.hdl.layernorm.unit import LayerNorm

__all__ = ["Harness", "accuracy", "area", "frequency", "main"]

LENGTHS = (16, 48, 192, 384, 768)
DEVIATIONS = (1, 3, 10, 100, 1000, 8000, 20000)
ROWS = 400

# The row buffer and the memory of earlier sums never read and write one address in one cycle, which Yosys cannot see.
_SCRIPT = """read_rtlil top.il
delete w:$verilog_initial_trigger
setparam -set COLLISION_X_MASK 1'1 t:$memrd_v2
synth_ecp5 -nodsp {options} -top top -json top.json
tee -q -o stat.json stat -json
"""


class Harness(wiring.Component):
    """The unit between a shift register for its inputs and one for its outputs.

    Members
    -------
    i, o, load : one bit each
        Serial in and out; take the outputs instead of shifting.
    """

    def __init__(self, unit: LayerNorm):
        self.unit = unit
        super().__init__({"i": In(1), "o": Out(1), "load": In(1)})

    def elaborate(self, platform):
        """Connect the registers."""
        m = Module()
        m.submodules.unit = unit = self.unit
        inputs = Cat(Value.cast(unit.i.payload), unit.i.valid, Value.cast(unit.row), Value.cast(unit.affine.payload),
                     unit.affine.valid, unit.o.ready)
        outputs = Cat(unit.i.ready, unit.affine.ready, Value.cast(unit.o.payload), unit.o.valid)
        shifting, stable = Signal(len(inputs), reset_less=True), Signal(len(inputs), reset_less=True)
        taken, leaving = Signal(len(outputs), reset_less=True), Signal(len(outputs), reset_less=True)
        m.d.sync += [
            shifting.eq(Cat(self.i, shifting)), stable.eq(shifting),
            taken.eq(outputs), leaving.eq(Mux(self.load, taken, leaving >> 1)),
        ]
        m.d.comb += [inputs.eq(stable), self.o.eq(leaving[0])]
        return m


def accuracy(length: int, deviation: float, *, seed: int = 1) -> dict:
    """Return the share of equal codes and the largest difference for one row length and standard deviation."""
    spec = LayerNormSpec(lanes=8, max_length=1024)
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape):
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    x = torch.randn(ROWS, length, generator=generator, dtype=torch.float64) * deviation
    x += (uniform(ROWS, 1) * 2 - 1) * max(0.0, 32767 - 4 * deviation)
    x = x.round().clamp(-32768, 32767).to(torch.int64)
    gamma, beta, scale, zero_point = 0.3 + uniform(length), uniform(length) - 0.5, 1 / 32, 128
    codes = layernorm(x, *quantize_affine(gamma, beta, scale, zero_point, spec), spec)
    variance = length * (x * x).sum(-1, keepdim=True) - x.sum(-1, keepdim=True) ** 2
    y = (length * x - x.sum(-1, keepdim=True)).double() / variance.clamp(min=1).double().sqrt()
    exact = (torch.floor((y * gamma + beta) / scale + 0.5) + zero_point).clamp(0, 255)
    difference = (codes - exact).abs()
    return {
        "length": length, "deviation": deviation, "equal": (difference == 0).double().mean().item(),
        "largest_difference": int(difference.max()),
    }


def _run(arguments: list[str], folder: Path) -> str:
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{arguments[0]} failed:\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout + done.stderr


def area(component: wiring.Component, lanes: int, folder: Path, *, options: str = "") -> dict:
    """Synthesize a component into ``folder/top.json`` and return its cells."""
    (folder / "top.il").write_text(rtlil.convert(component, name="top", emit_src=False))
    (folder / "top.ys").write_text(_SCRIPT.format(options=options))
    _run([tools.require("yosys").path, "-q", "top.ys"], folder)
    cells = json.loads((folder / "stat.json").read_text())["design"]["num_cells_by_type"]
    names = {
        "lut4": "LUT4", "ccu2c": "CCU2C", "ff": "TRELLIS_FF", "dpr16x4": "TRELLIS_DPR16X4", "mult18": "MULT18X18D",
        "ebr": "DP16KD",
    }
    count = {name: cells.get(cell, 0) for name, cell in names.items()}
    equivalents = count["lut4"] + 2 * count["ccu2c"] + 6 * count["dpr16x4"]
    return {"lanes": lanes, **count, "lut_eq_per_lane": round(equivalents / lanes, 1)}


def frequency(folder: Path, *, target: int = 130, seed: int = 1) -> float:
    """Place and route ``folder/top.json``; return MHz."""
    log = _run(
        [
            tools.require("nextpnr-ecp5").path, "--85k", "--package", "CABGA381", "--speed", "6", "--seed", str(seed),
            "--freq", str(target), "--json", "top.json", "--lpf-allow-unconstrained", "--timing-allow-fail",
        ],
        folder,
    )
    return float(re.findall(r"Max frequency for clock.*?: ([\d.]+) MHz", log)[-1])


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--area", action="store_true", help="also synthesize 8 lanes, rows of up to 1024, 16 bits in")
    parser.add_argument("--fmax", action="store_true", help="also place and route it (implies --area)")
    parser.add_argument("--json", metavar="FILE", help="write the figures here")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    screen = console()
    results = {"rows": ROWS, "accuracy": []}
    screen.print(f"Codes equal to float64 LayerNorm in % (largest difference), {ROWS} rows each")
    screen.print("length".rjust(7) + "".join(f"std {deviation}".rjust(13) for deviation in DEVIATIONS))
    for length in LENGTHS:
        row = [accuracy(length, deviation) for deviation in DEVIATIONS]
        results["accuracy"] += row
        screen.print(f"{length:7}" + "".join(
            f"{100 * cell['equal']:.2f} ({cell['largest_difference']})".rjust(13) for cell in row))
    if options.area or options.fmax:
        spec = LayerNormSpec(lanes=8, max_length=1024)
        with tempfile.TemporaryDirectory(dir=".") as name:  # the packaged tools cannot see the system's own
            folder = Path(name)
            results["area"] = cells = area(LayerNorm(spec, mapping="ecp5"), spec.lanes, folder)
            if options.fmax:
                area(Harness(LayerNorm(spec, mapping="ecp5")), spec.lanes, folder)
                cells["mhz"] = frequency(folder)
        screen.print(
            f"8 lanes x 1024, 16 bits in: {cells['lut_eq_per_lane']} LUT-eq per lane ({cells['lut4']} LUT4, "
            f"{cells['ccu2c']} CCU2C, {cells['ff']} FF, {cells['mult18']} MULT18X18D, {cells['ebr']} DP16KD)"
            + (f", {cells['mhz']:.0f} MHz" if "mhz" in cells else "")
        )
    if options.json:
        write_json(options.json, results)


if __name__ == "__main__":
    sys.exit(main())
