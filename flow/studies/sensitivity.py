"""The study ``sensitivity``: which layer or unit loses the accuracy.

One part of the network is rounded and everything else stays in float (*only*), or everything is rounded but that part
(*all but*): simulated quantization, with the codes of one integer model. Parts are kinds of tensors over all blocks,
and layers with everything that belongs to them.
"""

from collections.abc import Callable, Sequence
from typing import Any

from vitric.golden.tensors import tensor

from .evaluate import SOURCES, base_case, bits_label, float_accuracy, float_model, lowered, test_split, trained
from .study import Case, Record, Study, markdown_table, name_of, percent

__all__ = ["COLLAPSE", "EVERYTHING", "KINDS", "STUDY", "parts"]

COLLAPSE = 0.02
"""Loss of accuracy from which the likely cause is looked for."""

KINDS = {
    "weights": "weights", "LayerNorm outputs": "norm", "queries": "queries", "keys": "keys", "values": "values",
    "probabilities": "probabilities", "context": "context", "GELU outputs": "hidden", "residual stream": "residual",
}
"""What is shown for each kind of tensor (:attr:`vitric.golden.tensors.Tensor.kind`), and for weights."""

EVERYTHING = "everything"
"""The part that is the whole network; the logits are never rounded."""

_MODELS = (("mse", 4, 4), ("mse", 3, 3), ("fq_vit", 3, 3), ("mse", 2, 2))  # method, bits of weights and activations
_SEEN = 128  # images that a cause is told from


def parts(depth: int) -> dict[str, Callable[[str], bool]]:
    """Return whether a name (of a tensor, or of a layer's weights) belongs to each part of a network of ``depth``."""
    def layer(prefix, norm):
        return lambda name: name.startswith(f"{prefix}.") or name == norm

    def kind_of(name):
        return "weights" if name.endswith(".weight") else tensor(name).kind

    kinds = {shown: lambda name, kind=kind: kind_of(name) == kind for shown, kind in KINDS.items()}
    layers = {"patch_embed": lambda name: name.startswith("patch_embed")}
    for index in range(depth):
        layers[f"blocks.{index}.attn"] = layer(f"blocks.{index}.attn", f"blocks.{index}.norm1")
        layers[f"blocks.{index}.mlp"] = layer(f"blocks.{index}.mlp", f"blocks.{index}.norm2")
    layers["head"] = layer("head", "norm")
    return {EVERYTHING: lambda name: name != "head", **kinds, **layers}


def _cases(config: str, images: int | None) -> list[Case]:
    base = base_case(config, images)
    names = [name for name in parts(float_model(config).config.depth) if name != EVERYTHING]
    chosen = [(EVERYTHING, "only"), *((name, mode) for name in names for mode in ("only", "all but"))]
    return [{"method": method, "w_bits": w_bits, "a_bits": a_bits, **base, "part": part, "mode": mode}
            for method, w_bits, a_bits in _MODELS for part, mode in chosen]


def _run(case: Case) -> dict[str, Any]:
    from vitric.golden.evaluation import SignalToNoise
    from vitric.golden.quantization import reference, simulate

    from .causes import diagnose

    model = lowered(case["config"], {name: case[name] for name in ("method", "w_bits", "a_bits")})
    network = parts(model.model.config.depth)
    part, whole = network[case["part"]], network[EVERYTHING]
    rounded = part if case["mode"] == "only" else lambda name: whole(name) and not part(name)
    wrong, ratio = 0, SignalToNoise()
    test = test_split(case["config"], case["images"])
    for images, labels in zip(test.images.split(500), test.labels.split(500), strict=True):
        logits, wanted = (f(model, images, *arguments)["head"][:, 0]
                          for f, arguments in ((simulate, (rounded,)), (reference, ())))
        wrong += int((logits.argmax(1) != labels).sum())
        ratio.add(wanted, logits - wanted)
    result = {"float": float_accuracy(case["config"], case["images"]),
              "accuracy": round(1 - wrong / len(test), 6),
              "logit_snr_db": round(ratio.db, 2)}
    if case["mode"] == "only" and case["part"] != EVERYTHING and result["accuracy"] <= result["float"] - COLLAPSE:
        found = diagnose(model, test.images[:_SEEN], part)
        result["cause"] = "few codes" if found is None else str(found)
    return result


def _label(record: Record) -> str:
    return f"{bits_label(record)}, {record['method']}"


def _by_model(records: Sequence[Record]) -> dict[str, dict[tuple[str, str], Record]]:
    return {label: {(r["part"], r["mode"]): r for r in records if _label(r) == label}
            for label in dict.fromkeys(_label(record) for record in records)}


def _table(records: Sequence[Record]) -> str:
    first = records[0]
    pieces = [f"**{name_of(first['config'])}**, {first['images']} test images, float {percent(first['float'])} %. "
              "Simulated accuracy in per cent, and the logits above their error in dB:\n"]
    for label, own in _by_model(records).items():
        rows = []
        whole = own[EVERYTHING, "only"]
        for part, mode in own:
            if mode == "only":
                both = [own.get((part, kind)) for kind in ("only", "all but")]
                cells = [("", "") if r is None else (percent(r["accuracy"]), f"{r['logit_snr_db']:.1f}") for r in both]
                rows.append([part, *cells[0], *cells[1]])
        head = [label, "only it", "dB", "all but it", "dB"]
        pieces.append(_worst(label, own, whole))
        pieces.append(markdown_table(head, rows))
        causes = [f"* {part} loses {100 * (r['float'] - r['accuracy']):.1f} points alone: {r['cause']}.\n"
                  for (part, _), r in own.items() if "cause" in r]
        pieces += ["".join(causes)] if causes else []
    return "\n".join(pieces)


def _worst(label, own, whole):
    single = [(r["logit_snr_db"], part) for (part, mode), r in own.items() if mode == "only" and part != EVERYTHING]
    relief = [(r["logit_snr_db"], part) for (part, mode), r in own.items() if mode == "all but"]
    kinds = [pair for pair in single if pair[1] in KINDS], [pair for pair in relief if pair[1] in KINDS]
    layers = [pair for pair in single if pair[1] not in KINDS], [pair for pair in relief if pair[1] not in KINDS]
    return (f"**{label}**, {whole['logit_snr_db']:.1f} dB with everything rounded. Worst alone: {min(kinds[0])[1]}, "
            f"and of the layers {min(layers[0])[1]}. Most gained in float: {max(kinds[1])[1]} "
            f"({max(kinds[1])[0]:.1f} dB), {max(layers[1])[1]} ({max(layers[1])[0]:.1f} dB).\n")


def _plot(figure, records):
    groups = _by_model(records)
    axes = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
    for panel, (label, own) in zip(axes, groups.items(), strict=True):
        names = [part for part, mode in own if mode == "only" and part != EVERYTHING][::-1]
        for mode, colour in (("only", "C0"), ("all but", "C1")):
            panel.plot([own[part, mode]["logit_snr_db"] for part in names], range(len(names)), marker="o",
                       linestyle="none", color=colour, label=f"{mode} it rounded")
        panel.axvline(own[EVERYTHING, "only"]["logit_snr_db"], color="0.5", linewidth=1, linestyle=":")
        panel.set(title=label, xlabel="logits above their error, dB", xlim=(None, 80))
        panel.set_yticks(range(len(names)), names)
        panel.grid(alpha=0.3)
    axes[0].legend(fontsize=7)


STUDY = Study(
    name="sensitivity", title="Which layer or unit loses the accuracy", configs=trained, default=("digits",),
    cases=_cases, run=_run, table=_table, plot=_plot, size=(13, 5),
    sources=(*SOURCES, "flow/studies/causes.py", "flow/studies/sensitivity.py"), measured=True,
    together=("part", "mode"))
