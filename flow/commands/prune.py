"""`vitric prune`: a float model without some of its weights or heads, trained further, as a checkpoint.

torch is imported where it is used, so that ``--help`` is quick.
"""

import re
import time
from pathlib import Path
from typing import Annotated

import typer
from vitric.golden.errors import UserError
from vitric.golden.files import write_json

from ..inputs.options import EPOCHS, SEED, SHARE, WIDTH, JsonFile, ProjectName, check_output
from ..reports.console import console
from ..reports.progress import TrainingBar
from ..reports.pruning import float_row, integer_row

__all__ = ["parse_n_m", "prune_command"]

_CALIBRATION = 64  # training images, the first


def parse_n_m(text: str) -> tuple[int, int]:
    """Return N and M of ``N:M``; :exc:`UserError` says what it must look like."""
    found = re.fullmatch(r"(\d+):(\d+)", text)
    if not found:
        raise UserError(f"--n-m must be N:M, for example 2:4, not {text}")
    return int(found[1]), int(found[2])


def prune_command(
    project: ProjectName = None,
    n_m: Annotated[
        str | None, typer.Option(help="Keep N of each M consecutive weights of a row, for example 2:4.")] = None,
    heads: Annotated[float, typer.Option(**SHARE, help="Share of all attention heads to remove, 0 to below 1.")] = 0.0,
    importance: Annotated[
        str, typer.Option(help="Of weights: magnitude, or activation (times the rms of the input).")] = "magnitude",
    epochs: Annotated[
        int | None, typer.Option(**EPOCHS, help="Passes over the training split afterwards; by default a fifth of the "
                                 "recipe's.")] = None,
    seed: Annotated[int, typer.Option(**SEED, help="Seed of order and augmentation.")] = 0,
    w_bits: Annotated[int, typer.Option(min=1, max=8, help="Width of the weights in the table's integer models.")] = 4,
    a_bits: Annotated[int, typer.Option(**WIDTH, help="Width of the activations there.")] = 4,
    out: Annotated[
        Path | None, typer.Option(help="Checkpoint (*.safetensors); by default build/PROJECT/pruned.safetensors.")
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Prune weights or whole heads of a float ViT, train it further with what was pruned kept at 0, and save it.

    The table compares size, accuracy and cycles with the model as it was, and with it trained further for as long, in
    float and quantized. `vitric quantize --weights FILE.safetensors --data DATA` takes the checkpoint: pruned weights
    stay 0 in the integer model, and pruned heads leave it.
    """
    from vitric.compiler.capacity import check_capacity
    from vitric.golden.checkpoint import save_float
    from vitric.golden.pruning.prune import Pruning, recovery_recipe
    from vitric.golden.quantization.settings import Settings
    from vitric.golden.train import accuracy

    from ..project.project import open_project

    if n_m is None and not heads:
        raise UserError("there is nothing to prune: give --n-m, --heads or both")
    pruning = Pruning(None if n_m is None else parse_n_m(n_m), heads, importance)
    work = open_project(project)
    path = out or work.build / "pruned.safetensors"
    if path.suffix != ".safetensors":
        raise UserError(f"--out must be named *.safetensors, not {path}")
    check_output(path)
    dense = work.model
    try:
        recipe = recovery_recipe(work.name, epochs, seed)
        check_capacity(dense.config, work.spec, Settings(spec=work.spec, w_bits=w_bits, a_bits=a_bits))
    except (TypeError, ValueError, OSError) as error:
        raise UserError(str(error)) from error
    train, test = work.images("train"), work.images("test")
    started = time.process_time()
    before = []
    pruned = _with_progress(f"train pruned {work.name}", recipe, dense, pruning, train,
                            lambda model: before.append(accuracy(model, test)))
    seconds = time.process_time() - started
    control = _with_progress(f"train {work.name} as long", recipe, dense, Pruning(), train)
    rows = []
    for model, what, more in ((dense, Pruning(), 0), (control, Pruning(), recipe.epochs),
                              (pruned, pruning, recipe.epochs)):
        own = [float_row(model, what, test),
               integer_row(model, what, train[:_CALIBRATION], test, work.spec, w_bits, a_bits)]
        rows += [{**row, "more_epochs": more} for row in own]
    figures = {
        "config": work.name, "data": work.data, "n_m": n_m, "heads": heads, "importance": importance, "seed": seed,
        "epochs": recipe.epochs, "accuracy_before_training": before[0], "test_images": len(test), "rows": rows,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_float(pruned, path, figures)
    figures |= {"checkpoint": str(path), "cpu_seconds": round(seconds, 1)}
    if json_file is not None:
        write_json(json_file, figures)
    _show(figures, stderr=str(json_file) == "-")


def _with_progress(what, recipe, model, pruning, train, on_pruned=None):
    from vitric.golden.pruning.prune import prune

    try:
        with TrainingBar(what) as bar:
            return prune(model, pruning, train, recipe, on_pruned=on_pruned, on_step=bar.step, on_epoch=bar.epoch)
    except (TypeError, ValueError) as error:
        raise UserError(str(error)) from error


def _show(figures: dict, *, stderr: bool) -> None:
    from rich.table import Table

    table = Table("pruning", "more epochs", "bits", "bytes", "accuracy", "cycles", "stream bytes",
                  title=f"{figures['config']}, {figures['test_images']} test images")
    for row in figures["rows"]:
        integer = row["accuracy_integer"]
        table.add_row(
            row["pruning"], str(row["more_epochs"]),
            "float" if integer is None else f"W{row['w_bits']}A{row['a_bits']}", f"{row['bytes']:,}",
            f"{row['accuracy_float'] if integer is None else integer:.2%}",
            *("–" if row[name] is None else f"{row[name]:,}" for name in ("cycles", "stream_bytes")))
    out = console(stderr=stderr)
    out.print(table)
    out.print(f"float accuracy before it was trained further: {figures['accuracy_before_training']:.2%}; "
              f"{figures['epochs']} epochs, {figures['cpu_seconds']} s of CPU time", markup=False)
    out.print(f"checkpoint {figures['checkpoint']}", markup=False)
