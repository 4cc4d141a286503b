"""The study ``methods``: every method at every width of :data:`~vitric.flow.studies.evaluate.BITS`."""

from collections.abc import Sequence
from typing import Any

from .evaluate import (
    BITS,
    CALIBRATION,
    SOURCES,
    accuracies,
    base_case,
    bits_label,
    float_accuracy,
    lowered,
    standard_error,
    trained,
)
from .study import Case, Record, Study, markdown_table, name_of, percent

__all__ = ["PUBLISHED", "STUDY", "published_order"]

PUBLISHED = {"erq": 74.35, "adalog": 72.06, "repq_vit": 69.03, "ptq4vit": 34.08, "fq_vit": 0.10}
"""Published top-1 of DeiT-S on ImageNet at W4A4, softmax, LayerNorm and GELU in float (but FQ-ViT's), in per cent.

ERQ, its extended version, whose tables also have RepQ-ViT, PTQ4ViT and FQ-ViT; AdaLog without reconstruction.
"""


def _cases(config: str, images: int | None) -> list[Case]:
    from vitric.golden.quantization import METHODS

    base = base_case(config, images)
    return [{"method": method, "w_bits": w_bits, "a_bits": a_bits, **base, "calibration_images": CALIBRATION}
            for method in METHODS for w_bits, a_bits in BITS]


def _run(case: Case) -> dict[str, Any]:
    where = case["config"], case["images"]
    result = {"float": float_accuracy(*where)}
    try:
        model = lowered(case["config"], {name: case[name] for name in ("method", "w_bits", "a_bits")})
    except ValueError as error:
        return {**result, "simulated": None, "integer": None, "logit_snr_db": None, "reason": str(error)}
    return result | accuracies(model, *where)


def _by_method(records: Sequence[Record]) -> dict[str, list[Record]]:
    return {method: [r for r in records if r["method"] == method] for method in dict.fromkeys(
        record["method"] for record in records)}


def _matrix(records: Sequence[Record], cell) -> str:
    labels = list(dict.fromkeys(bits_label(record) for record in records))
    rows = []
    for method, own in _by_method(records).items():
        cells = {bits_label(record): cell(record) for record in own}
        rows.append([method, *(cells.get(label, "") for label in labels)])
    return markdown_table(["method", *labels], rows)


def _table(records: Sequence[Record]) -> str:
    first = records[0]
    share, images = first["float"], first["images"]
    error = 100 * standard_error(share, images)
    parts = [
        f"**{name_of(first['config'])}**, {images} test images, {first['calibration_images']} calibration images, "
        f"float {percent(share)} %. Integer accuracy in per cent, in brackets the simulated one:\n",
        _matrix(records, lambda r: f"{percent(r['integer'])} ({percent(r['simulated'])})"),
        f"One image is {100 / images:.2f} points; the standard error of an accuracy near the float model's on so many "
        f"images is {error:.2f} points.\n\nLogits above their error, in dB:\n",
        _matrix(records, lambda r: "–" if r["logit_snr_db"] is None else f"{r['logit_snr_db']:.1f}"),
    ]
    reasons = [f"* {record['method']} at {bits_label(record)}: {record['reason']}\n"
               for record in records if "reason" in record]
    parts += ["".join(reasons)] if reasons else []
    return "\n".join(parts)


def _plot(figure, records):
    axes = figure.subplots(1, 2)
    labels = list(dict.fromkeys(bits_label(record) for record in records))
    for index, (method, own) in enumerate(_by_method(records).items()):
        style = {"label": method, "marker": "o" if index < 10 else "s", "markersize": 3, "color": f"C{index % 10}",
                 "linestyle": "-" if index < 10 else "--"}
        for panel, key, unit in zip(axes, ("integer", "logit_snr_db"), (100, 1), strict=True):
            points = [(labels.index(bits_label(r)), unit * r[key]) for r in own if r[key] is not None]
            panel.plot([x for x, _ in points], [y for _, y in points], **style)
    axes[0].axhline(100 * records[0]["float"], color="0.5", linewidth=1, linestyle=":")
    for panel, text in zip(axes, ("integer accuracy, %", "logits above their error, dB"), strict=True):
        panel.set_xticks(range(len(labels)), labels)
        panel.set_ylabel(text)
        panel.grid(alpha=0.3)
    axes[1].legend(fontsize=7)


def published_order(records: Sequence[Record]) -> str:
    """Return the table that sets the order of methods at W4A4 and W3A3 beside the published one."""
    found = {(record["method"], bits_label(record)): record for record in records}
    rows = []
    for method, published in PUBLISHED.items():
        cells = [found[method, label] for label in ("W4A4", "W3A3")]
        rows.append([method, f"{published:.2f}", *(percent(cell["integer"]) for cell in cells),
                     *("–" if cell["logit_snr_db"] is None else f"{cell['logit_snr_db']:.1f}" for cell in cells)])
    return markdown_table(["method", "DeiT-S, W4A4, published", f"{records[0]['config']}, W4A4", "W3A3", "dB, W4A4",
                           "dB, W3A3"], rows)


STUDY = Study(
    name="methods", title="Accuracy of every method", configs=trained, default=("digits",), cases=_cases, run=_run,
    table=_table, plot=_plot, size=(10, 4.2), sources=SOURCES, measured=True)
