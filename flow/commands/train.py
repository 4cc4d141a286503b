"""`vitric train`: a float ViT from scratch, with a progress bar, a checkpoint and a model card.

What the user can put right (an unknown config, a number out of range, a file that cannot be written) raises
:exc:`~vitric.golden.errors.UserError`. torch is imported where it is used, so that ``--help`` is quick.
"""

import sys
import time
from pathlib import Path
from textwrap import wrap
from typing import Annotated

import typer
from vitric.golden.errors import UserError
from vitric.golden.files import write_json, write_text

from ..inputs.options import EPOCHS, SEED, JsonFile, check_output
from ..reports.console import console
from ..reports.progress import TrainingBar

__all__ = ["train_command"]


_DATA = {
    "digits": ("8x8 digits", "The 8x8 handwritten digits of scikit-learn (`load_digits`; UCI \"Optical Recognition of "
               "Handwritten Digits\"), split by `vitric.golden.data.sets.digits`:"),
    "fashion": ("Fashion-MNIST", "Fashion-MNIST (Xiao, Rasul and Vollgraf 2017; MIT licence), 28x28 grey images of "
                "clothes, as `vitric.golden.data.idx.fashion` reads it:"),
}  # title and description in the model card


def train_command(
    config: Annotated[
        str, typer.Option(help="Named network that has a recipe, for example digits; a wrong name lists them.")
    ] = "digits",
    epochs: Annotated[
        int | None, typer.Option(**EPOCHS, help="Passes over the training split; by default as in the config's recipe.")
    ] = None,
    seed: Annotated[int, typer.Option(**SEED, help="Seed of weights, order and augmentation.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Checkpoint (*.safetensors); by default build/CONFIG/float.safetensors.")
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Train a float ViT on its data set's training split; report accuracy on the test split once, at the end.

    Writes the checkpoint and, beside it, a model card (*.md), each whole or not at all.
    """
    from vitric.golden.spec.vit import vit_config
    from vitric.golden.train import recipe_for, train

    changes = {} if epochs is None else {"epochs": epochs}
    try:
        recipe = recipe_for(config, seed=seed, **changes)
    except (TypeError, ValueError) as error:
        raise UserError(str(error)) from error
    vit = vit_config(config)
    path = Path(out or Path("build") / config / "float.safetensors")
    if path.suffix != ".safetensors":
        raise UserError(f"--out must be named *.safetensors, not {path}")
    check_output(path)

    started = time.process_time()
    try:
        with TrainingBar(f"train {config}") as bar:
            model = train(vit, recipe, on_step=bar.step, on_epoch=bar.epoch)
    except ValueError as error:  # the data set
        raise UserError(str(error)) from error
    figures = _figures(config, recipe, model, time.process_time() - started)
    _write(path, model, figures)
    if json_file is not None:
        write_json(json_file, figures | {"checkpoint": str(path)})
    _show(path, figures, stderr=str(json_file) == "-")


def _figures(name, recipe, model, seconds):
    from dataclasses import asdict

    import torch
    from vitric.golden.data.sets import dataset
    from vitric.golden.train import accuracy

    train, test = (dataset(recipe.data, split) for split in ("train", "test"))
    return {
        "config": name,
        "recipe": asdict(recipe),
        "parameters": model.config.num_parameters,
        "macs_per_image": model.config.total_macs,
        "train_images": len(train),
        "test_images": len(test),
        "train_accuracy": accuracy(model, train),
        "test_accuracy": accuracy(model, test),
        "seconds": round(seconds, 1),
        "torch": torch.__version__,
        "python": ".".join(map(str, sys.version_info[:3])),
    }


def _write(path, model, figures):
    from vitric.golden.checkpoint import save_float

    about = {key: value for key, value in figures.items() if key != "seconds"}  # equal runs give equal files
    path.parent.mkdir(parents=True, exist_ok=True)
    save_float(model, path, about)
    write_text(path.with_suffix(".md"), _card(path, model.config, figures))


def _card(path, vit, figures):
    recipe = figures["recipe"]
    rows = [
        ("image", f"{vit.image_size}x{vit.image_size}, {vit.in_chans} channel, pixels 0 to 255"),
        ("patch", f"{vit.patch_size}x{vit.patch_size}: {vit.num_patches} patches, {vit.num_tokens} tokens"),
        ("embedding", vit.embed_dim),
        ("blocks", vit.depth),
        ("heads", f"{vit.num_heads} of {vit.head_dim} channels"),
        ("MLP hidden", vit.hidden_dim),
        ("classes", vit.num_classes),
        ("parameters", f"{figures['parameters']:,}"),
        ("multiply-accumulates per image", f"{figures['macs_per_image']:,}"),
        ("test accuracy", f"{figures['test_accuracy']:.2%}".replace("%", " %")),
        ("training accuracy", f"{figures['train_accuracy']:.2%}".replace("%", " %")),
        ("training time", f"{figures['seconds']:.0f} s of CPU, {recipe['threads']} threads"),
        ("torch, Python", f"{figures['torch']}, {figures['python']}"),
    ]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    settings = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in recipe.items())
    settings = "\n".join(wrap(
        "**Training.** AdamW, linear warm-up and cosine decay, random shift, rotation, scale and mirroring, running "
        f"average of the weights: {settings}.", width=110))
    title, data = _DATA[recipe["data"]]
    data = "\n".join(wrap(
        f"**Data.** {data} {figures['train_images']} images for training and {figures['test_images']} for the test. "
        "The test split was read once, after training; nothing was chosen on it.",
        width=110))
    return f"""# {path.stem}: float Vision Transformer for {title}

Made by

```shell slow
vitric train --config {figures['config']} --epochs {recipe['epochs']} --seed {recipe['seed']} --out {path}
```

| property | value |
|---|---|
{table}

{data}

{settings}
The same command gives the same weights on one machine and torch version.

**Format.** safetensors with timm's parameter names; the config and these figures are in the file's metadata.
Read it with `vitric.golden.load_float`.
"""


def _show(path, figures, *, stderr):
    from rich.table import Table

    table = Table("figure", "value", title=f"{figures['config']} trained in {figures['seconds']:.0f} s of CPU time")
    table.add_row("parameters", f"{figures['parameters']:,}")
    table.add_row("training accuracy", f"{figures['train_accuracy']:.2%} of {figures['train_images']}")
    table.add_row("test accuracy", f"{figures['test_accuracy']:.2%} of {figures['test_images']}")
    table.add_row("checkpoint", str(path))
    table.add_row("card", str(path.with_suffix('.md')))
    console(stderr=stderr).print(table)
