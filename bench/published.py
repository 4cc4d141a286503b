"""Errors of published integer softmax, GELU and LayerNorm beside vitric's: ``python bench/published.py [--json FILE]``.

Softmax: mean over 2000 rows of ``sum |p' - p|``, logits N(0, 1.5), n = 197, against a float64 softmax. GELU: largest
error over -6 ... 6. LayerNorm: largest error of ``(x - mean) / deviation`` over 400 rows of 192 integers.
"""

import argparse
import math

import torch
from rich.table import Table
from vitric.flow.reports.console import console
from vitric.flow.start import run
from vitric.golden.activation import gelu
from vitric.golden.files import write_json
from vitric.golden.integer.gelu import gelu_table
from vitric.golden.integer.layernorm import normalise
from vitric.golden.integer.softmax import dequantize, softmax, uniform_offset
from vitric.golden.published.gelu import i_gelu, shift_gelu
from vitric.golden.published.layernorm import i_layernorm, i_vit_layernorm
from vitric.golden.published.softmax import i_softmax, itamax, log_int_softmax, shiftmax, sole_softmax
from vitric.golden.spec.layernorm import LayerNormSpec
from vitric.golden.spec.softmax import SoftmaxSpec

DEVIATIONS = (1, 10, 100, 1000, 8000)


def softmax_errors(*, seed: int = 1) -> list[dict]:
    """Return name, source and mean row error of each softmax."""
    logits = torch.randn(2000, 197, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 1.5
    scale = math.log(2) / 256
    q = torch.floor(logits / scale + 0.5).to(torch.int64)
    p = torch.softmax(logits, -1)
    found = {}
    for kind, bits, step in (("uniform", 8, 0.5 / 255), ("log2", 4, 1.0), ("log_sqrt2", 5, 1.0)):
        spec = SoftmaxSpec(lanes=1, max_length=256, kind=kind, out_bits=bits)
        offset = uniform_offset(step, spec)
        found[f"vitric {kind} {bits} bits"] = dequantize(softmax(q, spec, offset=offset), spec, offset=offset)
    found |= {
        "I-BERT i-softmax 8 bits": i_softmax(q, scale), "I-ViT Shiftmax 8 bits": shiftmax(q, scale),
        "FQ-ViT log-int-softmax 4 bits": log_int_softmax(q, scale), "SOLE E2Softmax": sole_softmax(q, scale),
        "ITA ITAMax 8 bits": itamax(q, scale),
    }
    return [{"unit": "softmax", "name": name, "error": (value - p).abs().sum(-1).mean().item()}
            for name, value in found.items()]


def gelu_errors() -> list[dict]:
    """Return name and largest error of each GELU, at the scale of its input that suits it."""
    table = gelu_table(12 / 255, 128, 8, 6.2 / 255, 7, 8)
    index = torch.arange(256)
    rows = [("vitric table, 8 bits in and out", (table - 7).double() * (6.2 / 255), (index - 128) * (12 / 255))]
    for name, function, scale in (("I-BERT i-GELU, input scale 1e-4", i_gelu, 1e-4),
                                  ("I-ViT ShiftGELU, input scale 0.1", shift_gelu, 0.1)):
        x = torch.arange(-int(6 / scale), int(6 / scale) + 1)
        y, unit = function(x.unsqueeze(0), scale)
        rows.append((name, y[0] * unit, x * scale))
    return [
        {"unit": "gelu", "name": name,
         "error": (y - torch.tensor([gelu(value) for value in x.tolist()])).abs().max().item()} for name, y, x in rows
    ]


def layernorm_errors(*, seed: int = 1) -> list[dict]:
    """Return name, deviation and largest error of each LayerNorm's normalisation."""
    generator = torch.Generator().manual_seed(seed)
    spec = LayerNormSpec(lanes=1, max_length=1024)
    rows = []
    for deviation in DEVIATIONS:
        x = torch.randn(400, 192, generator=generator, dtype=torch.float64) * deviation
        x = x.round().clamp(-32768, 32767).to(torch.int64)
        exact = (x - x.double().mean(-1, keepdim=True)) / x.double().std(-1, keepdim=True, unbiased=False)
        for name, y in (("vitric", normalise(x, spec) / 2**spec.y_fraction), ("I-BERT", i_layernorm(x)),
                        ("I-ViT", i_vit_layernorm(x))):
            rows.append({"unit": "layernorm", "name": f"{name}, deviation {deviation}",
                         "error": (y - exact).abs().max().item()})
    return rows


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON; - is stdout")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = softmax_errors() + gelu_errors() + layernorm_errors()
    table = Table("unit", "method", "error")
    for row in rows:
        table.add_row(row["unit"], row["name"], f"{row['error']:.4f}")
    console(stderr=arguments.json == "-").print(table)
    if arguments.json:
        write_json(arguments.json, rows)
    return 0


if __name__ == "__main__":
    run(main)
