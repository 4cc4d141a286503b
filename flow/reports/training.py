"""What a training gave: figures, a model card, a table."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

from .console import console, printable

if TYPE_CHECKING:
    from vitric.golden.recipe import Recipe
    from vitric.golden.spec.vit import VitConfig
    from vitric.golden.vit import VisionTransformer

    from ..inputs.training import TrainingImages

__all__ = ["card", "figures_of", "show"]

_DATA = {
    "digits": ("8x8 digits", "The 8x8 handwritten digits of scikit-learn (`load_digits`; UCI \"Optical Recognition of "
               "Handwritten Digits\"), split by `vitric.golden.data.sets.digits`:"),
    "fashion": ("Fashion-MNIST", "Fashion-MNIST (Xiao, Rasul and Vollgraf 2017; MIT licence), 28x28 grey images of "
                "clothes, as `vitric.golden.data.idx.fashion` reads it:"),
}  # title and description in the model card


def figures_of(name: str, recipe: "Recipe", images: "TrainingImages", model: "VisionTransformer", seconds: float,
               source: str | None) -> dict:
    """Return what ``--json`` writes, but for the checkpoint's name; ``source`` is a folder of one's own."""
    import torch
    from vitric.golden.train import accuracy

    own = {} if source is None else {"data": source}
    labels = {} if images.labels is None else {"labels": list(images.labels)}
    return {
        "config": name, **own, **labels,
        "recipe": asdict(recipe),
        "parameters": model.config.num_parameters,
        "macs_per_image": model.config.total_macs,
        "train_images": len(images.train),
        "test_images": len(images.test),
        "train_accuracy": accuracy(model, images.train),
        "test_accuracy": accuracy(model, images.test),
        "seconds": round(seconds, 1),
        "torch": torch.__version__,
        "python": ".".join(map(str, sys.version_info[:3])),
    }


def card(path: Path, vit: "VitConfig", figures: dict, command: Sequence[str]) -> str:
    """Return the model card, Markdown: ``command`` are the words that make the checkpoint ``path`` again."""
    recipe = figures["recipe"]
    rows = [
        ("image", f"{vit.image_size}x{vit.image_size}, {vit.in_chans} channel{'s'[:vit.in_chans > 1]}, "
                  "pixels 0 to 255"),
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
    settings = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in recipe.items() if value is not None)
    optimizer = "Muon and AdamW" if recipe["optimizer"] == "muon" else "AdamW"
    mixed = " pieces of other images," if recipe["cutmix"] else ""
    settings = "\n".join(wrap(
        f"**Training.** {optimizer}, linear warm-up and cosine decay, random shift, rotation, scale and mirroring,"
        f"{mixed} running average of the weights: {settings}.", width=110))
    fence = "shell slow" if "data" not in figures else "shell needs pictures"
    title, data = _DATA.get(recipe["data"]) or (figures["config"], f"Images of `{figures['data']}`:")
    data = "\n".join(wrap(
        f"**Data.** {data} {figures['train_images']} images for training and {figures['test_images']} for the test. "
        "The test split was read once, after training; nothing was chosen on it.",
        width=110))
    return f"""# {path.stem}: float Vision Transformer for {title}

Made by

```{fence}
{' '.join(command)}
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


def show(path: Path, figures: dict, *, stderr: bool = False) -> None:
    """Print accuracy and the names of the files."""
    from rich.table import Table

    table = Table("figure", "value", title=f"{figures['config']} trained in {figures['seconds']:.0f} s of CPU time")
    table.add_row("parameters", f"{figures['parameters']:,}")
    table.add_row("training accuracy", f"{figures['train_accuracy']:.2%} of {figures['train_images']}")
    table.add_row("test accuracy", f"{figures['test_accuracy']:.2%} of {figures['test_images']}")
    out = console(stderr=stderr)
    out.print(table)
    for name, file in (("checkpoint", path), ("card", path.with_suffix(".md"))):
        out.print(f"{name}: {printable(file)}", markup=False, soft_wrap=True)
