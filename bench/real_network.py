"""Measure quantization on a network of one's own: ``python -m bench.real_network WEIGHTS PICTURES [--help]``.

``WEIGHTS`` is a checkpoint as ``vitric quantize --weights`` reads it, ``PICTURES`` an ``.npz`` file with ``train_x``
and ``test_x`` (count, height, width, channels), uint8, and ``test_y`` (count,). Pictures are resized to the network's
size (PIL, bicubic). Calibrated on the first of a fixed permutation of ``train_x``; measured on a slice of ``test_x``:
choose methods on ``0:200``, report on ``200:400``. For each row:

* dB: ``10 log10(|l|**2 / |s o - l|**2)`` of the float logits l and the integer ones o, with the best scalar s;
* accuracy, and the share of pictures whose class is the float model's;
* processor time of the quantization, and the most memory that the process has had so far.
"""

import argparse
import resource
import time
import zipfile
from dataclasses import dataclass
from math import log10
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from vitric.flow.inputs.checked import checked
from vitric.flow.reports.console import console
from vitric.flow.start import run
from vitric.golden.errors import UserError
from vitric.golden.files import write_json
from vitric.golden.pretrained import load_pretrained
from vitric.golden.quantization import METHODS, quantize

__all__ = ["Pictures", "main", "measure", "read_pictures", "scaled_snr"]

WIDTHS = ("8,8", "6,6", "4,8", "4,4")
ARRAYS = {"train_x": 4, "test_x": 4, "test_y": 1}  # their axes
PERMUTATION_SEED = 0


@dataclass(frozen=True, eq=False)
class Pictures:
    """Calibration and test pictures, uint8 (count, C, H, W) of the network's size, and labels (count,) of the test."""

    calibration: torch.Tensor
    test: torch.Tensor
    labels: torch.Tensor


def _array(path: Path, name: str, axes: int) -> np.ndarray:
    """Return one array of an ``.npz`` file; :exc:`UserError` says what is missing or misshapen."""
    if not path.is_file():
        raise UserError(f"{path} does not exist: give an .npz file with {', '.join(ARRAYS)}")
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            found = file[name]
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is no .npz file of numbers: {error}") from error
    except KeyError as error:
        raise UserError(f"{path} has no array {name}; it needs {', '.join(ARRAYS)}") from error
    if found.ndim != axes or not np.issubdtype(found.dtype, np.integer):
        raise UserError(f"{name} of {path} must be integers with {axes} axes, not {found.dtype} {list(found.shape)}")
    return found


def _resized(pictures: np.ndarray, size: int) -> torch.Tensor:
    resized = [np.asarray(Image.fromarray(one.astype(np.uint8)).resize((size, size), Image.Resampling.BICUBIC))
               for one in pictures]
    return torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2).contiguous()


def read_pictures(path: Path, size: int, *, calibration: int, test: slice) -> Pictures:
    """Return the pictures to calibrate on and those to measure on, resized to ``size`` by ``size`` pixels."""
    train_x, test_x, test_y = (_array(path, name, axes) for name, axes in ARRAYS.items())
    if not 1 <= calibration <= len(train_x):
        raise UserError(f"--calibration must be between 1 and {len(train_x)}, not {calibration}")
    if not len(test_x[test]):
        raise UserError(f"--test {test.start}:{test.stop} leaves none of {len(test_x)} pictures")
    chosen = np.random.default_rng(PERMUTATION_SEED).permutation(len(train_x))[:calibration]
    return Pictures(calibration=_resized(train_x[chosen], size), test=_resized(test_x[test], size),
                    labels=torch.from_numpy(test_y[test].astype(np.int64)))


def scaled_snr(wanted: torch.Tensor, found: torch.Tensor) -> float:
    """Return the power of ``wanted`` over that of its error in ``found``, times the scalar that fits best, in dB."""
    wanted, found = wanted.to(torch.float64).flatten(), found.to(torch.float64).flatten()
    error = wanted - found * (wanted @ found / (found @ found).clamp(min=1e-300))
    return 10 * log10(float(wanted @ wanted) / max(float(error @ error), 1e-300))


def _logits(model, images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return torch.cat([model(part) for part in images.split(50)])


def measure(model: torch.nn.Module, pictures: Pictures, logits: torch.Tensor, **options: object) -> dict:
    """Return the row of one quantization; ``logits`` are the float model's for the test pictures."""
    start = time.process_time()
    integer = quantize(model, pictures.calibration, **options)
    seconds = time.process_time() - start
    found = _logits(integer, pictures.test)
    return {
        **options, "calibration": len(pictures.calibration), "snr_db": round(scaled_snr(logits, found), 2),
        "accuracy": float((found.argmax(1) == pictures.labels).double().mean()),
        "agrees": float((found.argmax(1) == logits.argmax(1)).double().mean()),
        "cpu_seconds": round(seconds, 1),
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def _pair(text: str) -> tuple[int, int]:
    first, second = map(int, text.split(","))
    return first, second


def _slice(text: str) -> slice:
    start, stop = map(int, text.split(":"))
    return slice(start, stop)


def main(arguments: list[str] | None = None) -> None:
    """Measure, show a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--method", action="append", choices=tuple(METHODS), help="again for more; default mse")
    parser.add_argument("--bits", action="append", type=_pair, metavar="W,A", help=f"again for more; default {WIDTHS}")
    parser.add_argument("--edge-bits", type=int, default=8)
    parser.add_argument("--softmax-bits", type=int)
    parser.add_argument("--calibration", type=int, default=32, metavar="N")
    parser.add_argument("--test", type=_slice, default=slice(200, 400), metavar="FROM:TO")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args(arguments)
    model = checked(lambda: load_pretrained(options.weights)).model
    pictures = read_pictures(options.pictures, model.config.image_size, calibration=options.calibration,
                             test=options.test)
    torch.set_num_threads(1)
    logits = _logits(model, pictures.test)
    accuracy = float((logits.argmax(1) == pictures.labels).double().mean())
    console().print(f"float {accuracy:.1%} on {len(pictures.labels)} pictures, calibrated on {options.calibration}")
    rows = []
    for method in options.method or ["mse"]:
        for w_bits, a_bits in options.bits or map(_pair, WIDTHS):
            row = checked(lambda method=method, w_bits=w_bits, a_bits=a_bits: measure(
                model, pictures, logits, method=method, w_bits=w_bits, a_bits=a_bits, edge_bits=options.edge_bits,
                softmax_bits=options.softmax_bits))
            rows.append(row)
            console().print(f"{method:10} W{w_bits}A{a_bits} {row['snr_db']:5.1f} dB  {row['accuracy']:6.1%}  agrees "
                            f"{row['agrees']:6.1%}  {row['cpu_seconds']:6.0f} s  {row['peak_gib']:4.1f} GiB")
    if options.json is not None:
        write_json(options.json, {"float_accuracy": accuracy, "rows": rows})


if __name__ == "__main__":
    run(main)
