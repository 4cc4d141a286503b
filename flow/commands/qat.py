"""`vitric qat`: quantization-aware training of a float model, down to 2 bits.

torch is imported where it is used, so that ``--help`` is quick.
"""

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from vitric.golden.errors import UserError
from vitric.golden.files import write_json

from ..inputs.options import COUNT, EPOCHS, SEED, SHARE, WIDTH, JsonFile, ProjectName, check_output
from ..inputs.training import data_source, in_memory
from ..project.file import CONFIGS
from ..project.integer import write_integer
from ..reports.console import console
from ..reports.progress import PartBars, TrainingBar

__all__ = ["qat_command"]


def qat_command(
    project: ProjectName = None,
    data: Annotated[
        str | None, typer.Option(help="Other images than the project's, of the same classes: a folder with train/ and "
                                 "val/ and in them a folder of images per class, or one of MNIST's IDX files.")] = None,
    w_bits: Annotated[int, typer.Option(min=1, max=8, help="Width of the weights, 1 to 8; 1 is the sign alone.")] = 4,
    a_bits: Annotated[int, typer.Option(**WIDTH, help="Width of the activations, 2 to 8.")] = 4,
    edge_bits: Annotated[
        int, typer.Option(**WIDTH, help="Width of the patch embedding's and the head's operands.")] = 8,
    softmax_bits: Annotated[
        int | None, typer.Option(**WIDTH, help="Width of the probabilities; by default as in vitric quantize.")] = None,
    method: Annotated[str, typer.Option(help="Post-training method to start from; a wrong name lists them.")] = "mse",
    granularity: Annotated[str, typer.Option(help="Of the weights' scales: channel, group or layer.")] = "channel",
    calibration: Annotated[int, typer.Option(**COUNT, help="Training images to start from, from the first.")] = 64,
    epochs: Annotated[
        int | None, typer.Option(**EPOCHS, help="Passes over the training split; by default as in the config's recipe, "
                                 "10 for a project of one's own.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(**SHARE, help="Peak; by default as in the config's recipe.")] = None,
    distillation: Annotated[
        float, typer.Option(**SHARE, help="Share of the loss that is the distance from the float model.")] = 0.9,
    freeze_from: Annotated[
        float, typer.Option(**SHARE, help="Share of the training after which oscillating weights freeze; 1: never.")
    ] = 0.5,
    seed: Annotated[int, typer.Option(**SEED, help="Seed of calibration, order and augmentation.")] = 0,
    threads: Annotated[
        int | None, typer.Option(min=1, max=64, help="CPU threads; by default as in the config's recipe.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Integer model; by default build/PROJECT/qat-wWaA.safetensors.")] = None,
    json_file: JsonFile = None,
) -> None:
    """Fine-tune a float model as the integer model that it becomes; report accuracies on the test split.

    Starts from the post-training quantization that `vitric quantize` makes. Every step of the training runs the integer
    model, so that the result is what the hardware computes; the float model teaches.
    """
    from vitric.golden.qat import OWN_TUNING, TUNING_RECIPES, Tuning, fine_tune
    from vitric.golden.quantization import quantize_with_scales
    from vitric.golden.recipe import recipe_for
    from vitric.golden.train import accuracy

    from ..project.project import open_project

    work = open_project(project).changed({"data": {"source": data_source(data)}})
    path = out or work.build / f"qat-w{w_bits}a{a_bits}.safetensors"
    if path.suffix != ".safetensors":
        raise UserError(f"--out must be named *.safetensors, not {path}")
    check_output(path)
    changes = {"epochs": epochs, "learning_rate": learning_rate, "threads": threads}
    changes = {name: value for name, value in changes.items() if value is not None}
    options = {"method": method, "w_bits": w_bits, "a_bits": a_bits, "edge_bits": edge_bits,
               "softmax_bits": softmax_bits, "granularity": granularity, "seed": seed}
    try:
        recipes = TUNING_RECIPES if work.folder == CONFIGS else {work.name: OWN_TUNING}
        recipe = recipe_for(work.name, recipes, seed=seed, **changes)
        tuning = Tuning(distillation=distillation, freeze_from=freeze_from)
        model, test = work.model, work.images("test")
        with PartBars() as bars:
            train = in_memory(work.images("train"), bars.show)
        if not 1 <= calibration <= len(train):
            raise UserError(f"--calibration must be between 1 and {len(train)}, not {calibration}")
        started = time.process_time()
        lowered = quantize_with_scales(model, train[:calibration], spec=work.spec, **options)
        with TrainingBar(f"train {work.name}") as bar:
            tuned = fine_tune(lowered, model, train, recipe, tuning, on_step=bar.step, on_epoch=bar.epoch)
        seconds = time.process_time() - started
    except (TypeError, ValueError, OSError) as error:
        raise UserError(str(error)) from error
    figures = {
        "config": work.name, **options, "epochs": recipe.epochs, "learning_rate": recipe.learning_rate,
        "distillation": distillation, "freeze_from": freeze_from, "calibration_images": calibration,
        "test_images": len(test),
        "accuracy": {"float": accuracy(model, test), "post_training": accuracy(lowered.model, test),
                     "integer": accuracy(tuned.model, test)},
        "cpu_seconds": round(seconds, 1), "model": str(path),
    }
    about = {f"qat_{name}": str(figures[name]) for name in ("epochs", "learning_rate", "distillation", "freeze_from")}
    write_integer(replace(tuned.model, info=tuned.model.info | about), path)
    if json_file is not None:
        write_json(json_file, figures)
    _show(figures, stderr=str(json_file) == "-")


def _show(figures, *, stderr):
    from rich.table import Table

    table = Table("figure", "value", title=f"{figures['config']} at W{figures['w_bits']}A{figures['a_bits']} after "
                                           f"{figures['epochs']} epochs")
    names = {"float": "float accuracy", "post_training": "integer accuracy before", "integer": "integer accuracy"}
    for kind, share in figures["accuracy"].items():
        table.add_row(names[kind], f"{share:.2%} of {figures['test_images']} test images")
    table.add_row("training", f"{figures['cpu_seconds']:.0f} s of CPU time")
    table.add_row("integer model", figures["model"])
    console(stderr=stderr).print(table)
