"""Measure what images made without data are worth for calibration: ``python -m bench.data_free [--json FILE]``.

The digits model, quantized on 64 images of the training split, made from the model alone, or of Gaussian noise; three
draws of each. Accuracy on the test split; ratio of the logits' power to that of their error on 1000 training images
that were not calibrated on, in decibels.
"""

import argparse
from statistics import mean

from vitric.flow.reports.console import console
from vitric.flow.start import run
from vitric.flow.studies.evaluate import logit_snr
from vitric.golden import digits, load_float
from vitric.golden.data_free import gaussian_images, synthesize
from vitric.golden.files import write_json
from vitric.golden.quantization import quantize_with_scales
from vitric.golden.train import accuracy

__all__ = ["main", "measure"]

WIDTHS = ((8, 8), (6, 6), (4, 4))
METHODS = ("mse", "mse_plain", "minmax")
COUNT, DRAWS, OTHERS = 64, 3, slice(437, 1437)


def measure(w_bits: int, a_bits: int, method: str, source: str, draws: list) -> dict:
    """Return accuracy and ratio of one method for each of ``draws``, calibration images from ``source``."""
    model, others = load_float("digits"), digits("train")[OTHERS]
    row = {"w_bits": w_bits, "a_bits": a_bits, "method": method, "source": source, "integer": [], "logit_snr_db": []}
    for images in draws:
        lowered = quantize_with_scales(model, images, method=method, w_bits=w_bits, a_bits=a_bits)
        row["integer"].append(accuracy(lowered.model, digits("test")))
        row["logit_snr_db"].append(logit_snr(lowered, others))
    return row


def main(arguments: list[str] | None = None) -> None:
    """Measure, show a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args(arguments)
    model, train = load_float("digits"), digits("train")
    draws = {
        "train": [train[COUNT * draw:COUNT * (draw + 1)] for draw in range(DRAWS)],
        "data_free": [synthesize(model, COUNT, seed=draw) for draw in range(DRAWS)],
        "noise": [gaussian_images(model.config, COUNT, seed=draw) for draw in range(DRAWS)],
    }
    rows = []
    for w_bits, a_bits in WIDTHS:
        for method in METHODS:
            for source, images in draws.items():
                rows.append(measure(w_bits, a_bits, method, source, images))
                console().print(f"W{w_bits}A{a_bits} {method:10} {source:10} {mean(rows[-1]['integer']):.2%} "
                                f"{mean(rows[-1]['logit_snr_db']):.1f} dB")
    if options.json is not None:
        write_json(options.json, rows)


if __name__ == "__main__":
    run(main)
