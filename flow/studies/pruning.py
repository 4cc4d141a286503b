"""The study ``pruning``: N:M sparse weights and fewer heads, each alone and both, with 4-bit quantization.

Pruned models are trained further, with the masks kept, before they are quantized, and so is the dense one, for as
long, so that what training alone gains is seen. What is saved is counted twice: in bytes of the model when only kept
weights are stored, with the position of each in its group of M; and in what this hardware makes of it, bytes of the
model stream and cycles. The array multiplies zeros like other weights, so N:M saves nothing there; heads that are gone
do.
"""

from collections.abc import Sequence
from typing import Any

from vitric.golden.pruning.prune import Pruning, prune, recovery_recipe

from .evaluate import (
    CALIBRATION,
    SOURCES,
    accuracies,
    base_case,
    calibration_pool,
    float_accuracy,
    float_model,
    test_split,
    trained,
    training_data,
)
from .study import Case, Record, Study, markdown_table, percent

__all__ = ["AS_TRAINED", "EPOCHS", "HEADS", "KINDS", "STUDY"]

AS_TRAINED = "as trained"
"""The committed model, neither pruned nor trained further."""

HEADS = 1 / 3
"""Share of the heads that go."""

KINDS = {
    AS_TRAINED: Pruning(),
    "dense": Pruning(),
    "2:4": Pruning(n_m=(2, 4), importance="activation"),
    "1:4": Pruning(n_m=(1, 4), importance="activation"),
    "heads": Pruning(heads=HEADS),
    "2:4 and heads": Pruning(n_m=(2, 4), heads=HEADS, importance="activation"),
}
"""What is pruned: nothing, all but N of each M weights along the input of a layer, a share of the heads."""

EPOCHS = {"digits": 20, "fashion": 2}
"""Passes over the training images after pruning, by data set: a fifth of the recipe's or less."""

_BITS = 4


def _cases(config: str, images: int | None) -> list[Case]:
    base = base_case(config, images)
    return [{"pruning": kind, "method": "mse", "w_bits": _BITS, "a_bits": _BITS, **base,
             "epochs": EPOCHS[base["data"]] if kind != AS_TRAINED else 0, "seed": 0} for kind in KINDS]


def _run(case: Case) -> dict[str, Any]:
    from dataclasses import replace

    from vitric.compiler.compile import compile_model
    from vitric.compiler.cycles import predict
    from vitric.golden.integer.heads import without_dead_heads
    from vitric.golden.pruning.size import model_bytes
    from vitric.golden.quantization import quantize_with_scales
    from vitric.golden.spec.accelerator import SPECS
    from vitric.golden.train import accuracy

    config, pruning = case["config"], KINDS[case["pruning"]]
    model = float_model(config)
    if case["epochs"]:
        recipe = replace(recovery_recipe(config, case["epochs"], case["seed"]), threads=1)
        model = prune(model, pruning, training_data(config), recipe)
    lowered = quantize_with_scales(model, calibration_pool(config)[:CALIBRATION],
                                   spec=SPECS[config], **{name: case[name] for name in ("method", "w_bits", "a_bits")})
    compiled = compile_model(without_dead_heads(lowered.model), SPECS[config])
    return {
        "float": float_accuracy(config, case["images"]),
        "pruned": round(accuracy(model, test_split(config, case["images"])), 6),
        **accuracies(lowered, config, case["images"]),
        "model_bytes": model_bytes(model, case["w_bits"], edge_bits=int(lowered.model.info["edge_bits"]),
                                   n_m=pruning.n_m),
        "stream_bytes": len(compiled.stream.data),
        "cycles": predict(compiled.stream.commands(), compiled.spec).cycles,
    }


def _table(records: Sequence[Record]) -> str:
    first = records[0]
    rows = [[r["pruning"], percent(r["pruned"]), percent(r["simulated"]), percent(r["integer"]),
             f"{r['logit_snr_db']:.1f}", f"{r['model_bytes']:,}", f"{r['stream_bytes']:,}", f"{r['cycles']:,}"]
            for r in records]
    head = ["pruned", "float, %", "simulated, %", "integer, %", "dB", "model bytes", "stream bytes", "cycles"]
    return (f"**{first['config']}**, {first['images']} test images, W{first['w_bits']}A{first['a_bits']}, "
            f"{max(r['epochs'] for r in records)} epochs of training after pruning (but *as trained*):\n\n"
            f"{markdown_table(head, rows)}\n"
            "*Float*: of the pruned model before quantization. *Model bytes*: of the integer model when only the "
            "weights that are kept are stored, with their positions. *Stream bytes* and *cycles*: what this hardware "
            "needs; it stores and multiplies the zeros of N:M patterns.\n")


def _plot(figure, records):
    axes = figure.add_subplot()
    for index, record in enumerate(records):
        axes.plot([record["model_bytes"]] * 2, [100 * record["pruned"], 100 * record["integer"]], color="0.7")
        axes.plot(record["model_bytes"], 100 * record["pruned"], marker="o", color=f"C{index}", fillstyle="none")
        axes.plot(record["model_bytes"], 100 * record["integer"], marker="o", color=f"C{index}", linestyle="none",
                  label=record["pruning"])
    axes.set(xlabel="bytes of the integer model", ylabel="accuracy, %: hollow float, solid integer")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)


STUDY = Study(
    name="pruning", title="Pruning with 4-bit quantization", configs=trained, default=("digits",), cases=_cases,
    run=_run, table=_table, plot=_plot, size=(6, 4),
    sources=(*SOURCES, "golden/pruning/masks.py", "golden/pruning/prune.py", "golden/pruning/size.py",
             "golden/train.py", "flow/studies/pruning.py"), measured=True, own=False)
