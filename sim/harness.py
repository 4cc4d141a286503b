"""The files of the harness around the accelerator, and what they say: see ``benches/harness.sv``."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from vitric.compiler.compare import act_records, residual_records
from vitric.golden.spec.accelerator import AcceleratorSpec

from .runner import BenchResult, run_bench

if TYPE_CHECKING:
    from vitric.hdl.accelerator import Accelerator

__all__ = ["ACTIVITY", "EVENTS", "LIVE", "OUTPUTS", "model_lines", "pixel_lines", "run_harness", "table", "tap_records",
           "write_inputs"]

EVENTS = ("image", "command", "cycle", "beats", "model_words")
"""Columns of ``events.txt``."""

ACTIVITY = ("image", "engine", "command", "first", "last", "active")
"""Columns of ``activity.txt``."""

OUTPUTS = ("logits", "status", "act", "residual", "events", "activity")
"""Files that the simulation writes, without ``.txt``."""

LIVE = "pixels.fifo"
"""Where the columns of images come from one after another, if they are not there from the beginning."""

_HARNESS = Path(__file__).with_name("benches") / "harness.sv"


def model_lines(streams: Iterable[Sequence[int]], spec: AcceleratorSpec) -> list[str]:
    """Return the lines of ``model.hex``: words of one stream after the other, ``last`` on the final one of each."""
    return [f"{word | last << spec.model_bits:x}" for stream in streams for word, last in _with_last(stream)]


def pixel_lines(images: Iterable[np.ndarray]) -> list[str]:
    """Return the lines of ``pixels.hex``: uint8 columns (n, rows) of each image, row 0 in the lowest bits."""
    return [f"{last}{column[::-1].tobytes().hex()}"
            for image in images for column, last in _with_last(np.asarray(image, dtype=np.uint8))]


def write_inputs(folder: Path, model: Sequence[str], pixels: Sequence[str], settings: Sequence[int]) -> None:
    """Write the files that the harness reads: ``settings`` as it says, without the two numbers of lines."""
    numbers = [f"{value:x}" for value in (len(model), len(pixels), *settings)]
    for name, lines in (("model", model), ("pixels", pixels), ("settings", numbers)):
        (folder / f"{name}.hex").write_text("\n".join(lines) + "\n")


def run_harness(folder: Path, spec: AcceleratorSpec, model: Sequence[str], pixels: Sequence[str], *,
                waves: bool = False, environment: Mapping[str, str] | None = None) -> BenchResult:
    """Build the accelerator of ``spec`` in its harness, for so many lines, and simulate what lies in ``folder``."""
    accelerator = _accelerator(spec)
    return run_bench(
        accelerator, name="accelerator", toplevel="harness", extra_sources=[_HARNESS],
        parameters=_parameters(accelerator, len(model), len(pixels)), public=["clk", "rst", "done", "image", "cycle"],
        test_module="vitric.sim.benches.accelerator", build_dir=folder, waves=waves, extra_env=environment)


@lru_cache(maxsize=8)
def _accelerator(spec: AcceleratorSpec) -> "Accelerator":
    """Return the same component for the same spec, which is then elaborated once."""
    from vitric.hdl.accelerator import Accelerator

    return Accelerator(spec)


def _parameters(accelerator: "Accelerator", model: int, pixels: int) -> dict[str, int]:
    spec, tap = accelerator.spec, accelerator.tap
    return {
        "MODEL_BITS": spec.model_bits, "MODEL_DEPTH": _depth(model),
        "PIXEL_BITS": spec.rows * spec.code_bits, "PIXEL_DEPTH": _depth(pixels), "LOGIT_BITS": spec.residual_bits,
        "ACT_ADDRESS_BITS": len(tap.act_address), "ACT_BITS": spec.tile_bits,
        "RESIDUAL_ADDRESS_BITS": len(tap.residual_address),
        "RESIDUAL_BITS": spec.residual_word_bits * spec.drain_cols, "ENGINES": len(tap.active),
    }


def tap_records(texts: Mapping[str, bytes], spec: AcceleratorSpec) -> tuple[np.ndarray, np.ndarray]:
    """Return what ``act.txt`` and ``residual.txt`` say: the tap's records with the field ``image``, one column each."""
    act = _records(texts["act"], act_records(spec))
    return act, _columns(_records(texts["residual"], residual_records(spec, spec.drain_cols)), spec)


def _depth(count: int) -> int:
    """Return a power of two for ``count`` lines; the same for all small models, which then share one build."""
    return max(1 << 18, 1 << (count - 1).bit_length())


def _with_last(items: Sequence) -> Iterator[tuple]:
    """Yield every item with 1 for the final one, else 0."""
    for number, item in enumerate(items, 1):
        yield item, int(number == len(items))


def table(text: bytes, columns: int) -> np.ndarray:
    """Return lines of hexadecimal columns as int64."""
    rows = [[int(field, 16) for field in line.split()] for line in text.splitlines()]
    return np.array(rows, dtype=np.int64).reshape(-1, columns)


def _with_image(dtype: np.dtype) -> np.dtype:
    return np.dtype([("image", "<u4"), *((name, dtype[name]) for name in dtype.names)])


def _records(text: bytes, dtype: np.dtype) -> np.ndarray:
    """Return lines "<image 8> <command 4> <address 8> <data>" as records; every line has the same length."""
    wide = _with_image(dtype)
    raw = np.frombuffer(text, dtype=np.uint8)
    if not len(raw):
        return np.zeros(0, dtype=wide)
    lines = raw.reshape(-1, int(np.argmax(raw == ord("\n"))) + 1)
    digits = np.where(lines >= ord("a"), lines - ord("a") + 10, lines - ord("0")).astype(np.uint8)

    def number(start: int, stop: int) -> np.ndarray:
        powers = 16 ** np.arange(stop - start - 1, -1, -1, dtype=np.int64)
        return digits[:, start:stop].astype(np.int64) @ powers

    result = np.zeros(len(lines), dtype=wide)
    result["image"], result["command"], result["address"] = number(0, 8), number(9, 13), number(14, 22)
    data = digits[:, 23:-1]
    size = dtype["data"].shape[0]
    if data.shape[1] < 2 * size:
        data = np.pad(data, ((0, 0), (2 * size - data.shape[1], 0)))
    result["data"] = (data[:, ::2] << 4 | data[:, 1::2])[:, ::-1]
    return result


def _columns(records: np.ndarray, spec: AcceleratorSpec) -> np.ndarray:
    """Return records of several residual columns each as records of one."""
    parts = np.zeros((len(records), spec.drain_cols), dtype=_with_image(residual_records(spec)))
    for name in ("image", "command"):
        parts[name] = records[name][:, None]
    parts["address"] = records["address"][:, None] + np.arange(spec.drain_cols)
    parts["data"] = records["data"].reshape(parts["data"].shape)
    return parts.reshape(-1)
