"""The study ``precision``: what fewer bits buy on one part, each width with the largest array that can be routed.

The accelerator is the one that :mod:`vitric.flow.fit` chooses for the network at these widths, models and images being
in the board's SDRAM; it is placed and routed. Weights of the edges and probabilities have 8 bits, or as many as the
machine's four passes allow, see :func:`edge_bits`. Images per second are those of the clock that was reached, by the
cycle model with the SDRAM in the loop.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from vitric.golden.spec.command import MAX_PASSES

from ..project.file import config_names
from ..project.project import open_project
from .evaluate import BITS, bits_label
from .study import Case, Record, Study, markdown_table, name_of

__all__ = ["BOARD", "CLOCK_MHZ", "STUDY", "array_area", "edge_bits", "softmax_bits"]

BOARD = "ulx3s"
CLOCK_MHZ = 50
"""What place and route is asked for."""

_PIXEL_BITS = 8


def edge_bits(w_bits: int, a_bits: int) -> int:
    """Return the width of the edges' weights: twice ``w_bits``, if that is not above 8 and pixels leave the passes.

    A pixel has 8 bits, so it takes ``8 / a_bits`` passes, rounded up, with each digit of a weight.
    """
    digits = 2 if 2 * w_bits <= _PIXEL_BITS and 2 * -(-_PIXEL_BITS // a_bits) <= MAX_PASSES else 1
    return digits * w_bits


def softmax_bits(a_bits: int) -> int:
    """Return the width of probabilities: twice ``a_bits``, if that is not above 8."""
    return a_bits if 2 * a_bits > 8 else 2 * a_bits


def array_area(breakdown: Sequence[Record]) -> Record:
    """Return the row of the array of multipliers in the area by module of a bitstream's report."""
    row, = (row for row in breakdown if row["module"].rpartition(".")[2] == "array")
    return row


def _cases(config: str, images: int | None) -> list[Case]:
    return [{"config": config, "w_bits": w_bits, "a_bits": a_bits, "edge_bits": edge_bits(w_bits, a_bits),
             "softmax_bits": softmax_bits(a_bits), "board": BOARD, "clock_mhz": CLOCK_MHZ} for w_bits, a_bits in BITS]


def _run(case: Case) -> dict[str, Any]:
    from ..bitstream import build_bitstream
    from ..fit.choose import choose, find

    project = open_project(case["config"]).changed({
        "quantization": {name: case[name] for name in ("w_bits", "a_bits", "edge_bits", "softmax_bits")},
        "board": {"name": case["board"], "clock_mhz": case["clock_mhz"], "memory": "sdram"}})
    found = find(project)
    chosen = choose(found, "fps")
    spec = {name: value for name, value in asdict(chosen.spec).items() if name != "name"}
    build = project.build / "precision" / bits_label(case)
    report = build_bitstream(replace(project.changed({"accelerator": spec}), build=build), stderr=True)
    macs, array = chosen.spec.rows * chosen.spec.cols * chosen.spec.depth, array_area(report["breakdown"])
    return {
        "spec": spec, "macs_per_cycle": macs, "cycles": chosen.run.cycles,
        "utilization": chosen.run.beats / chosen.run.cycles,
        "stream_bytes": chosen.run.words * chosen.spec.model_bits // 8,
        "fmax_mhz": report["fmax_mhz"], "sdram_fmax_mhz": report["sdram"]["fmax_mhz"],
        "images_per_s": round(chosen.images_per_s(report["fmax_mhz"]), 2),
        **{name: report[name] for name in ("lut_eq", "ff", "dsp", "bram")},
        "array_lut_eq": array["lut_eq"], "array_dsp": array["dsp"],
    }


def _table(records: Sequence[Record]) -> str:
    parts = []
    for config in dict.fromkeys(record["config"] for record in records):
        rows = [
            [bits_label(record), bits_label(record["spec"]),
             "×".join(str(record["spec"][name]) for name in ("rows", "cols", "depth")),
             str(record["macs_per_cycle"]), f"{record['cycles']:,.0f}", f"{record['utilization']:.0%}",
             f"{record['stream_bytes'] / 1e6:.2f}", f"{record['fmax_mhz']:.1f}", f"{record['sdram_fmax_mhz']:.1f}",
             f"{record['images_per_s']:.1f}", f"{record['lut_eq']:,}", str(record["dsp"]), str(record["bram"]),
             f"{record['array_lut_eq'] / record['macs_per_cycle']:.1f}",
             f"{record['array_dsp'] / record['macs_per_cycle']:.2f}"]
            for record in records if record["config"] == config]
        head = ["bits", "ports", "array", "MAC/cycle", "cycles", "array busy", "stream MB", "MHz", "SDRAM MHz",
                "images/s", "LUT-eq", "mult.", "BRAM", "array LUT-eq/MAC", "array mult./MAC"]
        parts.append(f"**{name_of(config)}**\n\n{markdown_table(head, rows, 3)}")
    return "\n".join(parts)


def _plot(figure, records):
    speed, size = figure.subplots(1, 2)
    labels = list(dict.fromkeys(map(bits_label, records)))
    configs = list(dict.fromkeys(record["config"] for record in records))
    width = 0.8 / len(configs)
    for number, config in enumerate(configs):
        own = [record for record in records if record["config"] == config]
        places = [labels.index(bits_label(record)) + (number - (len(configs) - 1) / 2) * width for record in own]
        speed.bar(places, [record["images_per_s"] for record in own], width, label=name_of(config))
        size.bar(places, [record["macs_per_cycle"] for record in own], width)
    for axes, what in ((speed, "images per second"), (size, "MACs per cycle")):
        axes.set(xlabel="weights, activations", ylabel=what)
        axes.set_xticks(range(len(labels)), labels, fontsize=8)
        axes.grid(axis="y", alpha=0.3)
    speed.legend(fontsize=8)


STUDY = Study(
    name="precision", title="What fewer bits buy on a ULX3S-85F", configs=config_names, default=("deit_tiny",),
    cases=_cases, run=_run, table=_table, plot=_plot, size=(9, 3.6),
    sources=("boards", "compiler", "golden/spec", "hdl", "toolchain", "flow/fit", "flow/bitstream.py",
             "flow/studies/precision.py"),
    measured=False)
