"""Measure the softmax unit: accuracy, area, clock. ``python bench/softmax.py [--area] [--fmax] [--json FILE]``.

Accuracy: mean over rows of ``sum |p_code - p|`` for normal logits, against a float64 softmax, and the same for an exact
softmax rounded to the same code (the floor). Area is Yosys ``synth_ecp5 -nodsp -nowidelut``: LUT-eq = LUT4 + 2 CCU2C +
6 DPR16X4. The clock is nextpnr's estimate for an LFE5U-85F, speed grade 6, of the unit alone without pads, one seed.
"""

import argparse
import json
import math
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from amaranth.back import rtlil
from vitric.flow import tools
from vitric.flow.report import console, write_json
from vitric.golden.integer.softmax import dequantize, softmax, uniform_offset
from vitric.golden.spec.softmax import SoftmaxSpec
from vitric.hdl.softmax import Softmax

__all__ = ["accuracy", "area", "frequency", "main"]

CODES = (  # kind, bits, step
    ("uniform", 8, 1 / 255), ("uniform", 8, 0.5 / 255), ("uniform", 4, 0.25 / 15),
    ("log2", 4, 1.0), ("log_sqrt2", 5, 1.0), ("twin_uniform", 4, 2**-4 / 7), ("twin_uniform", 8, 2**-3 / 127),
)
ROW_LENGTH, SIGMA, ROWS = 197, 1.5, 2000

# The queue never reads and writes one address in one cycle, which Yosys cannot see: without this it adds logic.
_SCRIPT = """read_rtlil top.il
delete w:$verilog_initial_trigger
setparam -set COLLISION_X_MASK 1'1 t:$memrd_v2
synth_ecp5 -nodsp -nowidelut -top top -json top.json
tee -q -o stat.json stat -json
"""


def accuracy(kind: str, out_bits: int, step: float, *, seed: int = 1) -> dict:
    """Return the mean row error of one code and its floor."""
    twin_shift = round(-math.log2(step * (2 ** (out_bits - 1) - 1))) if kind == "twin_uniform" else None
    spec = SoftmaxSpec(lanes=8, max_length=256, kind=kind, out_bits=out_bits, twin_shift=twin_shift)
    unit = 1 << spec.frac_bits
    offset = uniform_offset(step, spec)
    logits = torch.randn(ROWS, ROW_LENGTH, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * SIGMA
    p = torch.softmax(logits, -1)
    exact = p * 2 ** (offset / unit)
    if kind == "twin_uniform":
        exact = (exact.unsqueeze(-1) - torch.tensor(spec.code_values)).abs().argmin(-1)
    elif kind != "uniform":
        exact = -torch.log2(exact) * (2 if kind == "log_sqrt2" else 1)
    floor_codes = torch.floor(exact + 0.5).clamp(0, spec.code_max).to(torch.int64)
    codes = softmax(torch.floor(logits * math.log2(math.e) * unit + 0.5).to(torch.int64), spec, offset=offset)
    error, floor = (
        (dequantize(c, spec, offset=offset) - p).abs().sum(-1).mean().item() for c in (codes, floor_codes)
    )
    return {
        "kind": kind, "out_bits": out_bits, "step": step, "row_l1": error, "floor": floor,
        "codes_off": (codes != floor_codes).double().mean().item(),
    }


def _run(arguments: list[str], folder: Path) -> str:
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{arguments[0]} failed:\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout + done.stderr


def area(spec: SoftmaxSpec, folder: Path) -> dict:
    """Synthesize the unit into ``folder/top.json`` and return its cells."""
    (folder / "top.il").write_text(rtlil.convert(Softmax(spec), name="top", emit_src=False))
    (folder / "top.ys").write_text(_SCRIPT)
    _run([tools.require("yosys").path, "-q", "top.ys"], folder)
    cells = json.loads((folder / "stat.json").read_text())["design"]["num_cells_by_type"]
    count = {name: cells.get(name, 0) for name in ("LUT4", "CCU2C", "TRELLIS_FF", "TRELLIS_DPR16X4", "DP16KD")}
    equivalents = count["LUT4"] + 2 * count["CCU2C"] + 6 * count["TRELLIS_DPR16X4"]
    return {
        "kind": spec.kind, "out_bits": spec.out_bits, "lanes": spec.lanes, "max_length": spec.max_length,
        "lut4": count["LUT4"], "ccu2c": count["CCU2C"], "ff": count["TRELLIS_FF"], "ebr": count["DP16KD"],
        "lut_eq_per_lane": round(equivalents / spec.lanes, 1),
    }


def frequency(folder: Path, *, target: int = 150, seed: int = 1) -> float:
    """Place and route ``folder/top.json``; return MHz."""
    log = _run(
        [
            tools.require("nextpnr-ecp5").path, "--85k", "--speed", "6", "--seed", str(seed), "--freq", str(target),
            "--router", "router1", "--json", "top.json", "--out-of-context", "--lpf-allow-unconstrained",
            "--timing-allow-fail",
        ],
        folder,
    )
    return float(re.findall(r"Max frequency for clock.*?: ([\d.]+) MHz", log)[-1])


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--area", action="store_true", help="also synthesize (8 lanes, rows of up to 256)")
    parser.add_argument("--fmax", action="store_true", help="also place and route the uniform unit (implies --area)")
    parser.add_argument("--json", metavar="FILE", help="write the figures here")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    screen = console()
    results = {"row_length": ROW_LENGTH, "sigma": SIGMA, "rows": ROWS, "accuracy": [], "area": []}
    screen.print(f"Mean row L1 error, logits N(0, {SIGMA}), n = {ROW_LENGTH}, {ROWS} rows")
    for code in CODES:
        row = accuracy(*code)
        results["accuracy"].append(row)
        screen.print(
            f"  {row['kind']:9} {row['out_bits']} bits, step {row['step']:.5f}: {row['row_l1']:.5f}, "
            f"floor {row['floor']:.5f}, other code than exact rounding: {100 * row['codes_off']:.2f} %"
        )
    if options.area or options.fmax:
        with tempfile.TemporaryDirectory(dir=".") as name:  # the packaged tools cannot see the system's own
            folder = Path(name)
            for kind, out_bits in (("uniform", 8), ("log2", 4), ("log_sqrt2", 5)):
                row = area(SoftmaxSpec(lanes=8, max_length=256, kind=kind, out_bits=out_bits), folder)
                if options.fmax and kind == "uniform":
                    row["mhz"] = frequency(folder)
                results["area"].append(row)
                screen.print(
                    f"  {kind:9} {out_bits} bits, 8 lanes x 256: {row['lut_eq_per_lane']} LUT-eq per lane "
                    f"({row['lut4']} LUT4, {row['ccu2c']} CCU2C, {row['ff']} FF, {row['ebr']} DP16KD)"
                    + (f", {row['mhz']:.0f} MHz" if "mhz" in row else "")
                )
    if options.json:
        write_json(options.json, results)


if __name__ == "__main__":
    sys.exit(main())
