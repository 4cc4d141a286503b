"""The study ``pruning``: N:M sparse weights and fewer heads, each alone and both, with 4-bit quantization.

Pruned models are trained further, with the masks kept, before they are quantized. What is saved is counted twice: in
bytes of the blocks' weights when only kept ones are stored, with the position of each in its group of M; and in what
this hardware makes of it, bytes of the model stream and cycles. The array multiplies zeros like other weights, so N:M
saves nothing there; heads that are gone do.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

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

__all__ = ["EPOCHS", "HEADS", "KINDS", "STUDY", "weight_bytes"]

KINDS = ("dense", "2:4", "1:4", "heads", "2:4 and heads")
"""What is pruned: nothing, all but N of each M weights along the input of a layer, a share of the heads."""

HEADS = 1 / 3
"""Share of the heads that go."""

EPOCHS = {"digits": 20, "fashion": 2}
"""Passes over the training images after pruning, by data set, at a tenth of the recipe's learning rate."""

_BITS = 4
_HEAD_IMAGES = 500  # that heads are judged on


def _cases(config: str, images: int | None) -> list[Case]:
    base = base_case(config, images)
    return [{"pruning": kind, "method": "mse", "w_bits": _BITS, "a_bits": _BITS, **base,
             "epochs": EPOCHS[base["data"]] if kind != "dense" else 0, "seed": 0} for kind in KINDS]


def _masks(model, kind: str, data: str) -> dict:
    from vitric.golden.data import ImageData
    from vitric.golden.pruning import combine, head_importance, head_masks, heads_to_prune, n_m_masks

    parts = []
    if ":" in kind:
        n, m = (int(number) for number in kind.split()[0].split(":"))
        parts.append(n_m_masks(model, n, m, importance="activation", images=calibration_pool(data)[:CALIBRATION]))
    if "heads" in kind:
        train = training_data(data)
        some = ImageData("train", train.images[:_HEAD_IMAGES], train.labels[:_HEAD_IMAGES])
        parts.append(head_masks(model, heads_to_prune(head_importance(model, some), HEADS)))
    return combine(*parts)


def weight_bytes(shapes: Mapping[str, int], masks: Mapping[str, Any], kind: str, bits: int) -> int:
    """Return the bytes of the blocks' weights when those that are kept are stored alone.

    Parameters
    ----------
    shapes
        Number of weights by name.
    masks
        Boolean tensors by name; a name that is missing keeps all.
    kind : str
        One of :data:`KINDS`; with N:M each weight has ``log2(M)`` bits of position.
    bits : int
        Of a weight.
    """
    position = (int(kind.split()[0].split(":")[1]) - 1).bit_length() if ":" in kind else 0
    kept = sum(int(masks[name].sum()) if name in masks else count for name, count in shapes.items())
    return -(-kept * (bits + position) // 8)


def _run(case: Case) -> dict[str, Any]:
    from dataclasses import replace

    from vitric.golden.integer.heads import without_dead_heads
    from vitric.golden.pruning import recover
    from vitric.golden.quantization import quantize_with_scales
    from vitric.golden.spec.accelerator import SPECS
    from vitric.golden.train import accuracy, recipe_for

    from ..compile import compile_model
    from ..cycles import predict

    config, data, kind = case["config"], case["data"], case["pruning"]
    model = copy.deepcopy(float_model(config))
    masks = _masks(model, kind, data)
    if masks:
        recipe = recipe_for(config, epochs=case["epochs"], seed=case["seed"], threads=1)
        recipe = replace(recipe, learning_rate=recipe.learning_rate / 10)
        model = recover(model, masks, training_data(data), recipe)
    shapes = {name: tensor.numel() for name, tensor in model.named_parameters()
              if name.startswith("blocks.") and name.endswith(".weight") and tensor.dim() == 2}
    lowered = quantize_with_scales(model, calibration_pool(data)[:CALIBRATION],
                                   **{name: case[name] for name in ("method", "w_bits", "a_bits")})
    compiled = compile_model(without_dead_heads(lowered.model), SPECS[config])
    return {
        "float": float_accuracy(config, data, case["images"]),
        "pruned": round(accuracy(model, test_split(data, case["images"])), 6),
        **accuracies(lowered, data, case["images"]),
        "weight_bytes": weight_bytes(shapes, masks, kind, case["w_bits"]), "stream_bytes": len(compiled.stream.data),
        "cycles": predict(compiled.stream.commands(), compiled.spec).cycles,
    }


def _table(records: Sequence[Record]) -> str:
    first = records[0]
    rows = [[r["pruning"], percent(r["pruned"]), percent(r["simulated"]), percent(r["integer"]),
             f"{r['logit_snr_db']:.1f}", f"{r['weight_bytes']:,}", f"{r['stream_bytes']:,}", f"{r['cycles']:,}"]
            for r in records]
    head = ["pruned", "float, %", "simulated, %", "integer, %", "dB", "weight bytes", "stream bytes", "cycles"]
    return (f"**{first['config']}**, {first['images']} test images, W{first['w_bits']}A{first['a_bits']}, "
            f"{max(r['epochs'] for r in records)} epochs of training after pruning:\n\n{markdown_table(head, rows)}\n"
            "*Float*: of the pruned model before quantization. *Weight bytes*: of the blocks' weights when only those "
            "that are kept are stored, with their positions. *Stream bytes* and *cycles*: what this hardware needs; it "
            "stores and multiplies the zeros of N:M patterns.\n")


def _plot(figure, records):
    axes = figure.add_subplot()
    for index, record in enumerate(records):
        axes.plot([record["weight_bytes"]] * 2, [100 * record["pruned"], 100 * record["integer"]], color="0.7")
        axes.plot(record["weight_bytes"], 100 * record["pruned"], marker="o", color=f"C{index}", fillstyle="none")
        axes.plot(record["weight_bytes"], 100 * record["integer"], marker="o", color=f"C{index}", linestyle="none",
                  label=record["pruning"])
    axes.set(xlabel="bytes of the blocks' weights", ylabel="accuracy, %: hollow float, solid integer")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)


STUDY = Study(
    name="pruning", title="Pruning with 4-bit quantization", configs=trained, default=("digits",), cases=_cases,
    run=_run, table=_table, plot=_plot, size=(6, 4),
    sources=(*SOURCES, "golden/pruning.py", "golden/train.py", "flow/studies/pruning.py"), measured=True)
