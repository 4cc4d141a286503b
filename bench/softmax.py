"""Measure the accuracy of the softmax unit: ``python bench/softmax.py [--json FILE]``.

Mean over rows of ``sum |p_code - p|`` for normal logits, against a float64 softmax, and the same for an exact softmax
rounded to the same code (the floor).
"""

import argparse
import math

import torch
from vitric.flow.reports.console import console
from vitric.flow.start import run
from vitric.golden.files import write_json
from vitric.golden.integer.softmax import dequantize, softmax, uniform_offset
from vitric.golden.spec.softmax import SoftmaxSpec

__all__ = ["accuracy", "main"]

CODES = (  # kind, bits, step
    ("uniform", 8, 1 / 255), ("uniform", 8, 0.5 / 255), ("uniform", 4, 0.25 / 15),
    ("log2", 4, 1.0), ("log_sqrt2", 5, 1.0), ("twin_uniform", 4, 2**-4 / 7), ("twin_uniform", 8, 2**-3 / 127),
)
ROW_LENGTH, SIGMA, ROWS = 197, 1.5, 2000


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


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", help="write the figures here")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    screen = console()
    results = {"row_length": ROW_LENGTH, "sigma": SIGMA, "rows": ROWS, "accuracy": []}
    screen.print(f"Mean row L1 error, logits N(0, {SIGMA}), n = {ROW_LENGTH}, {ROWS} rows")
    for code in CODES:
        row = accuracy(*code)
        results["accuracy"].append(row)
        screen.print(
            f"  {row['kind']:9} {row['out_bits']} bits, step {row['step']:.5f}: {row['row_l1']:.5f}, "
            f"floor {row['floor']:.5f}, other code than exact rounding: {100 * row['codes_off']:.2f} %"
        )
    if options.json:
        write_json(options.json, results)


if __name__ == "__main__":
    run(main)
