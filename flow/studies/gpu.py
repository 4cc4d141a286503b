"""The study ``gpu``: what 8-bit integers save a GPU, beside half precision, in time and in energy.

The survey's second experiment. Networks have random weights, whose values cost a GPU what any others do. In ``int8``
the linear layers multiply 8-bit integers with :func:`torch._int_mm`: weights with a scale per channel, activations with
one scale per layer, found on the first batch; everything else, attention as well, is computed in float16. What a
program with fused kernels would save beyond that is not seen here.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vitric.golden.errors import UserError
from vitric.golden.spec.vit import VIT_CONFIGS

from ..project.project import open_project
from .study import Case, Record, Study, markdown_table, name_of

if TYPE_CHECKING:
    from vitric.golden.spec.vit import VitConfig

__all__ = ["BATCHES", "PRECISIONS", "STUDY"]

PRECISIONS = ("float32", "float16", "int8")
BATCHES = (1, 8, 64, 256)
_SECONDS = 3.0  # each case is measured for so long at least: power is told some times a second


def _configs() -> tuple[str, ...]:
    return tuple(VIT_CONFIGS)


def _cases(config: str, images: int | None) -> list[Case]:
    return [{"config": config, "precision": precision, "batch": batch}
            for batch in BATCHES for precision in PRECISIONS]


def _network(config: str) -> "VitConfig":
    return VIT_CONFIGS[config] if config in VIT_CONFIGS else open_project(config).vit


def _run(case: Case) -> dict[str, Any]:
    import torch

    from .gpu_measure import measure

    if not torch.cuda.is_available():
        raise UserError("study gpu needs a CUDA device, and torch sees none")
    return measure(_network(case["config"]), case["precision"], case["batch"], torch.device("cuda"), seconds=_SECONDS)


def _joule(value: float | None) -> str:
    return "–" if value is None else f"{1e3 * value:.2f}"


def _table(records: Sequence[Record]) -> str:
    parts = []
    for config in dict.fromkeys(record["config"] for record in records):
        own = [record for record in records if record["config"] == config]
        half = {record["batch"]: record for record in own if record["precision"] == "float16"}
        rows = []
        for record in own:
            beside = half.get(record["batch"])
            rows.append([
                str(record["batch"]), record["precision"], f"{record['latency_ms']:.3f}",
                f"{record['images_per_s']:,.0f}",
                f"{record['images_per_s'] / beside['images_per_s']:.2f}" if beside else "–",
                _joule(record["joule_per_image"]), f"{record['error_db']:.1f}"])
        head = ["batch", "precision", "ms", "images/s", "to float16", "mJ/image", "dB"]
        parts.append(f"**{name_of(config)}** on {own[0]['device']}\n\n{markdown_table(head, rows, 2)}")
    return "\n".join(parts)


def _plot(figure, records):
    speed, energy = figure.subplots(1, 2)
    for index, config in enumerate(dict.fromkeys(record["config"] for record in records)):
        for precision, style in zip(PRECISIONS, (":", "--", "-"), strict=True):
            own = [record for record in records if (record["config"], record["precision"]) == (config, precision)]
            batches = [record["batch"] for record in own]
            line = {"color": f"C{index}", "linestyle": style, "marker": "o", "markersize": 3}
            speed.plot(batches, [record["images_per_s"] for record in own], label=f"{name_of(config)}, {precision}",
                       **line)
            known = [record for record in own if record["joule_per_image"] is not None]
            energy.plot([record["batch"] for record in known],
                        [1e3 * record["joule_per_image"] for record in known], **line)
    known = any(record["joule_per_image"] is not None for record in records)
    panels = (speed, "images per second", "log"), (energy, "mJ per image", "log" if known else "linear")
    for axes, what, scale in panels:
        axes.set(xscale=scale, yscale=scale, xlabel="batch", ylabel=what)
        axes.grid(alpha=0.3)
    speed.legend(fontsize=6)


STUDY = Study(
    name="gpu", title="8-bit integers beside half precision on a GPU", configs=_configs,
    default=("deit_tiny", "deit_small", "deit_base"), cases=_cases, run=_run, table=_table, plot=_plot, size=(9, 4),
    sources=("golden/spec/vit.py", "golden/vit.py", "flow/studies/gpu.py", "flow/studies/gpu_measure.py"),
    measured=False)
