"""Measure the accuracy of the LayerNorm unit: ``python bench/layernorm.py [--json FILE]``.

Share of codes that equal a correctly rounded float64 LayerNorm without epsilon, and the largest difference, for
Gaussian rows around random offsets (a deviation of 32768: rows of the two extremes), 8-bit codes, gamma / scale between
9.6 and 41.6.
"""

import argparse

import torch
from vitric.flow.reports.console import console
from vitric.flow.start import run
from vitric.golden.files import write_json
from vitric.golden.integer.layernorm import layernorm, quantize_affine
from vitric.golden.spec.layernorm import LayerNormSpec

__all__ = ["accuracy", "main"]

LENGTHS = (16, 48, 192, 384, 768, 1024)
DEVIATIONS = (1, 2, 5, 20, 100, 1000, 8000, 32768)
ROWS = 400


def accuracy(length: int, deviation: float, *, seed: int = 1) -> dict:
    """Return the share of equal codes and the largest difference for one row length and standard deviation."""
    spec = LayerNormSpec(lanes=8, max_length=1024)
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape):
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    x = torch.randn(ROWS, length, generator=generator, dtype=torch.float64) * deviation
    x += (uniform(ROWS, 1) * 2 - 1) * max(0.0, 32767 - 4 * deviation)
    if deviation == 1 << 15:
        x = torch.where(uniform(ROWS, length) < 0.5, -32768.0, 32767.0)
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


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
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
    if options.json:
        write_json(options.json, results)


if __name__ == "__main__":
    run(main)
