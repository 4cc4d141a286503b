"""The study ``roofline``: whether a layer is bound by arithmetic or by memory.

Per image and layer: operations (a multiply-accumulate is two), and the bytes of its weights and of its activations,
each counted once, at the widths of the precision. Biases, scales and the vector units are left out. A program that
runs layer by layer cannot move less, so a layer below the ridge is bound by memory. One above it is, too, if the
program moves things twice.
"""

from collections.abc import Sequence
from typing import Any

from vitric.golden.spec.vit import VIT_CONFIGS, VitConfig
from vitric.golden.tensors import LINEARS

from ..project.project import open_project
from .platform import bound, platform, platform_names
from .study import Case, Record, Study, markdown_table, name_of

__all__ = ["PRECISIONS", "STUDY", "layer_work"]

PRECISIONS = ((16, 16), (8, 8), (4, 8), (4, 4))
"""Bits of weights and of activations."""

_MARKS = {"compute": "", "memory": " M", "ridge": " ="}


def layer_work(config: VitConfig, layer: str) -> tuple[int, int, int]:
    """Return multiply-accumulates, weights and activations (read and written) of one layer for one image.

    Layers have the names of :attr:`~vitric.golden.spec.vit.VitConfig.products`. ``attn.scores`` and ``attn.context``
    are those of all heads of a block; both of their operands are activations.
    """
    product = config.products[layer]
    first, second, result = (product.heads * size for size in (
        product.rows * product.terms, product.terms * product.columns, product.rows * product.columns))
    if layer in {trained.product for trained in LINEARS}:
        return product.macs, second, first + result
    return product.macs, 0, first + second + result


def _cases(config: str, images: int | None) -> list[Case]:
    cases = []
    for name in platform_names():
        found = platform(name)
        cases += [{"config": config, "platform": name, "w_bits": w_bits, "a_bits": a_bits, "batch": batch}
                  for w_bits, a_bits in PRECISIONS if found.peak(w_bits, a_bits) is not None
                  for batch in found.batches]
    return cases


def _network(config: str) -> VitConfig:
    return VIT_CONFIGS[config] if config in VIT_CONFIGS else open_project(config).vit


def _run(case: Case) -> dict[str, Any]:
    config, found = _network(case["config"]), platform(case["platform"])
    peak, bandwidth, batch = found.peak(case["w_bits"], case["a_bits"]), found.bandwidth, case["batch"]
    layers, seconds = [], 0.0
    for layer, product in config.products.items():
        macs, weights, activations = layer_work(config, layer)
        operations = 2 * macs * batch
        moved = weights * case["w_bits"] / 8 * ("weights" in found.moves)
        moved += activations * batch * case["a_bits"] / 8 * ("activations" in found.moves)
        seconds += product.count * max(operations / peak, moved / bandwidth) / batch
        layers.append({"layer": layer, "count": product.count, "operations": operations, "bytes": moved,
                       "intensity": operations / moved if moved else None,
                       "bound": bound(operations, moved, peak, bandwidth)})
    return {"peak": peak, "bandwidth": bandwidth, "ridge": peak / bandwidth, "seconds_per_image": seconds,
            "layers": layers}


def _number(value: float | None) -> str:
    return "∞" if value is None else f"{value:,.3g}" if value < 100 else f"{value:,.0f}"


def _rate(seconds: float) -> str:
    return f"{float(f'{1 / seconds:.3g}'):,.10g}"


def _table(records: Sequence[Record]) -> str:
    parts = []
    for config in dict.fromkeys(record["config"] for record in records):
        rows = [
            [record["platform"], f"W{record['w_bits']}A{record['a_bits']}", str(record["batch"]),
             _number(record["ridge"]), *(_number(x["intensity"]) + _MARKS[x["bound"]] for x in record["layers"]),
             _rate(record["seconds_per_image"])]
            for record in records if record["config"] == config]
        layers = (x["layer"].rpartition(".")[2] for x in records[0]["layers"])
        head = ["platform", "bits", "batch", "ridge", *layers, "images/s"]
        parts.append(f"**{name_of(config)}**\n\n{markdown_table(head, rows, 2)}")
    parts.append("Operations per byte of each layer; M: below the ridge, bound by memory; =: on it. *images/s*: the "
                 "most that arithmetic and memory allow, layer after layer.\n")
    parts.append("".join(f"* `{name}`: {platform(name).title}. {platform(name).source}\n"
                         for name in dict.fromkeys(record["platform"] for record in records)))
    return "\n".join(parts)


def _plot(figure, records):
    names = [name for name in platform_names() if any(record["platform"] == name for record in records)]
    grid = figure.subplots(-(-len(names) // 2), 2, squeeze=False).flatten()
    for axes, name in zip(grid, names, strict=False):
        shown = [record for record in records if record["platform"] == name and record["batch"] == 1]
        _panel(axes, platform(name), shown)
    grid[0].legend(fontsize=7, loc="lower right")


def _panel(axes, found, records):
    low, high = 0.05, 3000.0
    for (w_bits, a_bits), peak in found.peaks.items():
        ridge = peak / found.bandwidth
        axes.plot([low, ridge, high], [low * found.bandwidth, peak, peak], color="0.6", linewidth=1)
        axes.annotate(f"W{w_bits}A{a_bits}", (high, peak), fontsize=7, ha="right", va="bottom")
    for index, config in enumerate(dict.fromkeys(record["config"] for record in records)):
        at = [(layer["intensity"], min(record["peak"], layer["intensity"] * record["bandwidth"]))
              for record in records if record["config"] == config and (record["w_bits"], record["a_bits"]) == (8, 8)
              for layer in record["layers"] if layer["intensity"] is not None]
        axes.plot([x for x, _ in at], [y for _, y in at], marker="o", markersize=3, linestyle="none",
                  color=f"C{index}", label=name_of(config))
    axes.set(xscale="log", yscale="log", title=found.title, xlabel="operations per byte",
             ylabel="operations per second")
    axes.title.set_fontsize(9)
    axes.grid(alpha=0.3)


STUDY = Study(
    name="roofline", title="Arithmetic intensity of each layer, and what bounds it", configs=lambda: tuple(VIT_CONFIGS),
    default=tuple(VIT_CONFIGS), cases=_cases, run=_run, table=_table, plot=_plot, size=(9, 7),
    sources=("flow/studies/roofline.py", "flow/studies/platform.py", "flow/studies/platforms", "golden/spec/vit.py"),
    measured=False)
