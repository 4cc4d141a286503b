"""`vitric train`: a float ViT from scratch, on a project's data or one's own, resumable, with a model card.

What the user can put right (an unknown config, a number out of range, a file that cannot be written) raises
:exc:`~vitric.golden.errors.UserError`. torch is imported where it is used, so that ``--help`` is quick.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from vitric.golden.errors import UserError
from vitric.golden.files import write_json, write_text

from ..inputs.checked import checked
from ..inputs.options import EPOCHS, SEED, JsonFile, ProjectName, check_output
from ..inputs.training import TrainingImages, data_source, training_images
from ..project.file import CONFIGS, FILE
from ..project.project import open_project
from ..reports.progress import PartBars, TrainingBar
from ..reports.training import card, figures_of, show

if TYPE_CHECKING:
    from vitric.golden.recipe import Recipe
    from vitric.golden.spec.vit import VitConfig

__all__ = ["train_command"]

_SIZES = {"image_size": 32, "in_chans": 3, "patch_size": 4, "embed_dim": 64, "depth": 4, "num_heads": 4,
          "mlp_ratio": 4.0}  # of a network for --data, unless told otherwise


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What to train, on what, and where it goes."""

    name: str
    vit: "VitConfig"
    recipe: "Recipe"
    images: TrainingImages
    source: str | None  # a folder of one's own
    out: Path
    options: dict[str, Any]  # of the command

    @property
    def command(self) -> tuple[str, ...]:
        """Words of the command that does it again."""
        again = self.options | {"epochs": self.recipe.epochs, "seed": self.recipe.seed, "out": self.out}
        return "vitric", "train", *_words(again)


def train_command(
    project: ProjectName = None,
    data: Annotated[
        str | None, typer.Option(help="Images of one's own: a folder of MNIST's IDX files, or one with train/ and val/ "
                                 "and in them a folder of images per class. Without --project, also what the network "
                                 "follows from.")] = None,
    image_size: Annotated[
        int | None, typer.Option(min=1, max=1024, help="With --data: side of an image; by default 32, or that of IDX "
                                 "files.")] = None,
    in_chans: Annotated[
        int | None, typer.Option(min=1, max=3, help="With --data: 3 for colour (a folder's default), 1 for grey.")
    ] = None,
    patch_size: Annotated[
        int | None, typer.Option(min=1, max=1024, help="With --data: side of a patch; by default 4.")] = None,
    embed_dim: Annotated[
        int | None, typer.Option(min=1, max=4096, help="With --data: channels; by default 64.")] = None,
    depth: Annotated[int | None, typer.Option(min=1, max=64, help="With --data: encoder blocks; by default 4.")] = None,
    num_heads: Annotated[
        int | None, typer.Option(min=1, max=64, help="With --data: attention heads; by default 4.")] = None,
    mlp_ratio: Annotated[
        float | None, typer.Option(min=0.01, max=16, help="With --data: hidden channels of the MLP by channels; by "
                                   "default 4.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out image files that cannot be read.")] = False,
    epochs: Annotated[
        int | None, typer.Option(**EPOCHS, help="Passes over the training split; by default as in the recipe, 100 for "
                                 "data of one's own.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, max=4096, help="Images per step; by default 64.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(min=1e-6, max=1, help="Peak; by default as in the recipe.")] = None,
    shift: Annotated[
        float | None, typer.Option(min=0, max=4, help="Augmentation: largest shift in pixels.")] = None,
    rotation: Annotated[
        float | None, typer.Option(min=0, max=180, help="Augmentation: largest rotation in degrees.")] = None,
    scale: Annotated[
        float | None, typer.Option(min=0, max=0.5, help="Augmentation: largest change of size.")] = None,
    flip: Annotated[
        bool | None, typer.Option("--flip/--no-flip", show_default=False, help="Augmentation: mirror half of the "
                                  "images.")] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, max=64, help="CPU threads; another number may give other weights.")] = None,
    seed: Annotated[int, typer.Option(**SEED, help="Seed of weights, order and augmentation.")] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a training that was interrupted; all else as before.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Checkpoint (*.safetensors); by default the project's weights if they are not "
                                  "there yet, else float.safetensors in build/PROJECT or build/FOLDER.")] = None,
    json_file: JsonFile = None,
) -> None:
    """Train a float ViT from scratch; report accuracy on the test split (val/) once, at the end.

    Writes the checkpoint and, beside it, a model card (*.md), each whole or not at all. After every epoch the state is
    kept beside it, too, for --resume. The network is the project's, or follows from the images and the options.
    """
    from vitric.golden.checkpoint import save_float
    from vitric.golden.train import train

    changes = _said(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, shift=shift, rotation=rotation,
                    scale=scale, flip=flip, threads=threads) | {"seed": seed}
    sizes = _said(image_size=image_size, in_chans=in_chans, patch_size=patch_size, embed_dim=embed_dim, depth=depth,
                  num_heads=num_heads, mlp_ratio=mlp_ratio)
    if sizes and (data is None or project is not None):
        option = next(iter(sizes)).replace("_", "-")
        raise UserError(f"--{option} needs --data without --project: a project's file says its network")
    if skip_bad and data is None:
        raise UserError("--skip-bad needs --data: a project's file says its data")
    if out is not None and out.suffix != ".safetensors":
        raise UserError(f"--out must be named *.safetensors, not {out}")
    with PartBars() as bars:
        plan = (_of_project(project, data, changes, skip_bad, out, bars.show) if data is None or project is not None
                else _of_data(data, sizes, changes, skip_bad, out, bars.show))
    kept = plan.out.with_suffix(".training.safetensors")
    check_output(plan.out)
    _check_kept(kept, resume)
    started = time.process_time()
    with TrainingBar(f"train {plan.name}") as bar:
        model = checked(lambda: train(plan.vit, plan.recipe, plan.images.train, kept=kept, on_step=bar.step,
                                      on_epoch=bar.epoch))
    figures = figures_of(plan.name, plan.recipe, plan.images, model, time.process_time() - started, plan.source)
    about = {key: value for key, value in figures.items() if key != "seconds"}  # equal runs give equal files
    save_float(model, plan.out, about)
    write_text(plan.out.with_suffix(".md"), card(plan.out, model.config, figures, plan.command))
    kept.unlink(missing_ok=True)
    if json_file is not None:
        write_json(json_file, figures | {"checkpoint": str(plan.out)})
    show(plan.out, figures, stderr=str(json_file) == "-")


def _said(**options: Any) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def _words(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return options as words of a command."""
    words = []
    for name, value in options.items():
        option = name.replace("_", "-")
        words += [f"--{'' if value else 'no-'}{option}"] if isinstance(value, bool) else [f"--{option}", str(value)]
    return tuple(words)


def _of_project(project: str | None, source: str | None, changes: dict, skip_bad: bool, out: Path | None,
                tell: Callable) -> _Plan:
    """Return how a project's network is trained, on its own data or on those of ``source``."""
    from vitric.golden.data.classes import ClassOrder
    from vitric.golden.data.sets import DATASETS
    from vitric.golden.recipe import OWN_RECIPE, RECIPES, recipe_for

    work = open_project(project).changed({"data": {"source": data_source(source), "skip_bad": skip_bad or None}})
    built_in = work.folder == CONFIGS
    recipes = RECIPES if built_in else {work.name: OWN_RECIPE}
    said, named = work.settings.data, {"data": work.data} if work.data in DATASETS else {}
    recipe = checked(lambda: recipe_for(work.name, recipes, **changes | named))
    if work.data is None:
        raise UserError(f"{work.name} has no data to train on; name a data set or a folder in [data] source of its "
                        f"{FILE}")
    vit = work.vit
    images = training_images(
        work.data, image_size=vit.image_size, in_chans=vit.in_chans, skip_bad=said.skip_bad, tell=tell,
        order=checked(lambda: ClassOrder(order=said.class_order, labels=said.labels and tuple(said.labels))))
    there = work.weights is None or work.weights.is_file()
    return _Plan(
        name=work.name, vit=vit, recipe=recipe, images=images, source=None if named else source or said.source,
        out=out or (work.build / "float.safetensors" if there or built_in else work.weights),
        options={"config" if built_in else "project": work.name if built_in else project or FILE}
        | _said(data=source, skip_bad=skip_bad or None) | changes)


def _of_data(source: str, sizes: dict, changes: dict, skip_bad: bool, out: Path | None, tell: Callable) -> _Plan:
    """Return how a new network is trained on images of one's own."""
    from vitric.golden.recipe import OWN_RECIPE
    from vitric.golden.spec.vit import VitConfig

    wanted = _SIZES | sizes
    images = training_images(source, image_size=wanted["image_size"], in_chans=wanted["in_chans"], skip_bad=skip_bad,
                             tell=tell)
    vit = checked(lambda: VitConfig(**wanted | images.dimensions | sizes))
    name = Path(source).resolve().name
    return _Plan(
        name=name, vit=vit, recipe=checked(lambda: replace(OWN_RECIPE, **changes)), images=images, source=source,
        out=out or Path("build", name, "float.safetensors"),
        options={"data": source} | sizes | ({"skip_bad": True} if skip_bad else {}) | changes)


def _check_kept(kept: Path, resume: bool) -> None:
    """Raise unless the state of an interrupted training is there just if it is wanted."""
    if kept.exists() and not resume:
        raise UserError(f"{kept} is what a training that was interrupted has left: --resume goes on with it; remove it "
                        "to begin anew")
    if resume and not kept.exists():
        raise UserError(f"--resume needs the state of a training that was interrupted, {kept}, which is not there")
