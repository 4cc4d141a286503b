"""The study ``granularity``: one scale per layer, per group of channels or per channel, beside what it costs.

The costs: bytes of the model stream and cycles per image, from the compiler and the cycle model for the accelerator of
the configuration; the area of the unit that applies the scales, from ``docs/units/figures.json``.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from vitric.golden.errors import UserError

from ..inputs.sources import ROOT
from .evaluate import SOURCES, accuracies, base_case, bits_label, float_accuracy, lowered, project_of, trained
from .study import Case, Record, Study, markdown_table, name_of, percent

__all__ = ["STUDY", "lut_per_lane", "weight_scales"]

_BITS = ((8, 8), (4, 4), (3, 3))
_METHODS = ("mse", "mse_plain")
_POWERS = "p2_vit"  # scales that are powers of two, which need no multiplier
_UNIT = {"lanes": 4, "acc_bits": 24, "bias_bits": 24, "out_bits": 8}  # the requantize unit in docs/units/figures.json
_DEVICE = "ecp5-85k"


def _cases(config: str, images: int | None) -> list[Case]:
    from vitric.golden.quantization.lowering.weights import GRANULARITIES

    base = base_case(config, images)
    chosen = [(method, granularity) for method in _METHODS for granularity in GRANULARITIES]
    return [{"method": method, "granularity": granularity, "w_bits": w_bits, "a_bits": a_bits, **base}
            for w_bits, a_bits in _BITS for method, granularity in [*chosen, (_POWERS, "channel")]]


def lut_per_lane(*, multiplier: bool) -> float:
    """Return the area of a lane of the requantize unit on ECP5 in LUT-eq, with or without its multiplier."""
    path = ROOT / "docs" / "units" / "figures.json"
    wanted = _UNIT if multiplier else _UNIT | {"multiplier_bits": 0}
    for row in json.loads(path.read_text(encoding="utf-8"))["rows"]:
        if (row["unit"], row["device"], row["settings"]) == ("requantize", _DEVICE, wanted):
            return row["lut_eq_per_lane"]
    raise UserError(f"{path} must have a row of requantize with {wanted} on {_DEVICE}; run make bench-units")


def weight_scales(drafts: Mapping[str, Any]) -> int:
    """Return how many different scales the weights have, layer by layer.

    The scales of a layer are what its drafts (query, key and value are one layer) hold in ``unit``: see
    :class:`~vitric.golden.quantization.lowering.linear.LinearDraft`.
    """
    return sum(len(draft.unit.unique()) for draft in drafts.values())


def _run(case: Case) -> dict[str, Any]:
    from vitric.compiler.compile import compile_model
    from vitric.compiler.cycles import predict
    from vitric.compiler.layout import CompileError

    names = ("method", "granularity", "w_bits", "a_bits")
    model = lowered(case["config"], {name: case[name] for name in names})
    cost: dict[str, Any] = {"stream_bytes": None, "cycles": None}
    try:
        compiled = compile_model(model.model, project_of(case["config"]).spec)
        cost = {"stream_bytes": len(compiled.stream.data),
                "cycles": predict(compiled.stream.commands(), compiled.spec).cycles}
    except CompileError as error:  # the memories of one's own accelerator may be as large as its own model needs
        cost["reason"] = str(error)
    return {
        "float": float_accuracy(case["config"], case["images"]),
        **accuracies(model, case["config"], case["images"]),
        "weight_scales": weight_scales(model.drafts), **cost,
        "lut_eq_per_lane": lut_per_lane(multiplier=case["method"] != _POWERS),
    }


def _table(records: Sequence[Record]) -> str:
    first = records[0]
    rows = [
        [bits_label(record), record["method"], record["granularity"], percent(record["integer"]),
         percent(record["simulated"]), f"{record['logit_snr_db']:.1f}", f"{record['weight_scales']:,}",
         *("–" if record[name] is None else f"{record[name]:,}" for name in ("stream_bytes", "cycles")),
         f"{record['lut_eq_per_lane']:.0f}"]
        for record in records]
    head = ["bits", "method", "a scale per", "integer, %", "simulated, %", "dB", "scales", "stream bytes", "cycles",
            "LUT-eq per lane"]
    reasons = "".join(f"\n* {record['method']} at {bits_label(record)}, a scale per {record['granularity']}: "
                      f"{record['reason']}\n" for record in records if "reason" in record)
    return (f"**{name_of(first['config'])}**, {first['images']} test images, float {percent(first['float'])} %:\n\n"
            f"{markdown_table(head, rows, 3)}\n*Scales*: of weights, different ones. *LUT-eq per lane*: of the "
            f"requantize unit on ECP5; the one without a multiplier serves `{_POWERS}` alone.\n{reasons}")


def _plot(figure, records):
    labels = list(dict.fromkeys((record["method"], record["granularity"]) for record in records))
    axes = figure.subplots(1, 2)
    bits = list(dict.fromkeys(bits_label(record) for record in records))
    for panel, key, unit in zip(axes, ("integer", "logit_snr_db"), (100, 1), strict=True):
        for offset, (method, granularity) in enumerate(labels):
            own = {bits_label(record): unit * record[key] for record in records
                   if (record["method"], record["granularity"]) == (method, granularity)}
            at = [bits.index(label) + (offset - len(labels) / 2 + 0.5) * 0.1 for label in own]
            panel.plot(at, list(own.values()), marker="o", linestyle="none", color=f"C{offset}",
                       label=f"{method}, {granularity}")
        panel.set_xticks(range(len(bits)), bits)
        panel.grid(alpha=0.3)
    axes[0].axhline(100 * records[0]["float"], color="0.5", linewidth=1, linestyle=":")
    axes[0].set_ylabel("integer accuracy, %")
    axes[1].set_ylabel("logits above their error, dB")
    axes[1].legend(fontsize=7)


STUDY = Study(
    name="granularity", title="Granularity of the weights' scales", configs=trained, default=("digits",), cases=_cases,
    run=_run, table=_table, plot=_plot, size=(10, 4),
    sources=(*SOURCES, "compiler", "docs/units/figures.json", "flow/studies/granularity.py"),
    measured=True)
