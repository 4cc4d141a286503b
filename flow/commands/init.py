"""`vitric init`: a project's file for one's own checkpoint and pictures.

torch is imported where it is used, so that ``--help`` is quick.
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from vitric.golden.errors import UserError
from vitric.golden.files import write_text

from ..inputs.checked import checked
from ..inputs.options import WIDTH, BoardName, check_output, readable
from ..inputs.specs import named_spec
from ..project.file import FILE
from ..reports.console import console, printable

if TYPE_CHECKING:
    from vitric.golden.spec.accelerator import AcceleratorSpec

    from ..project.project import Project

__all__ = ["init_command"]


def init_command(
    folder: Annotated[Path, typer.Argument(help="Folder of the project, made if it is not there.")],
    weights: Annotated[
        Path, typer.Option(callback=readable, help="Checkpoint of a ViT or DeiT: timm's, Hugging Face's or our own.")],
    data: Annotated[
        str, typer.Option(help="digits, fashion, a folder of MNIST's IDX files, or one with a folder of images per "
                          "class.")],
    board: BoardName = None,
    array: Annotated[
        str, typer.Option(metavar="SPEC", help="Named accelerator whose array and ports to take, without --target-fps; "
                          "the memories become as large as the model needs.")] = "digits",
    target_fps: Annotated[
        float | None, typer.Option(min=0, help="Images per second: `vitric fit` chooses the smallest accelerator that "
                                   "reaches them on the board.")] = None,
    heads: Annotated[
        int | None, typer.Option(min=1, max=64, help="Attention heads, if no file beside the checkpoint says it.")
    ] = None,
    statistics: Annotated[
        str | None, typer.Option(help="Mean and deviation of the pixels: imagenet, half or clip, if no file says it.")
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Side of the images, if not the checkpoint's; its position "
                                 "embedding is resampled.")] = None,
    method: Annotated[str | None, typer.Option(help="Quantization method, as of `vitric quantize`.")] = None,
    w_bits: Annotated[int | None, typer.Option(min=1, max=8, help="Width of the weights; by default 4.")] = None,
    a_bits: Annotated[int | None, typer.Option(**WIDTH, help="Width of the activations; by default 4.")] = None,
) -> None:
    """Write FOLDER/vitric.toml for a checkpoint and pictures of one's own; nothing is quantized yet.

    The checkpoint and the data are opened and must fit each other. docs/project.md says what is in the file.
    """
    path = folder / FILE
    if path.exists():
        raise UserError(f"{path} is there already; remove it, or change it by hand")
    check_output(path)
    shape = named_spec(array, "--array")
    model = {"num_heads": heads, "statistics": statistics, "image_size": image_size}
    project = _project(weights, data, model, {"method": method, "w_bits": w_bits, "a_bits": a_bits}, board)
    spec, why = _accelerator(project, shape, folder) if target_fps is None else _fitted(project, target_fps, folder)
    write_text(path, _text(project, spec, why, folder))
    say = console()
    vit = project.vit
    say.print(f"{printable(path)}: {vit.embed_dim} channels, {vit.depth} blocks, {vit.num_tokens} tokens, "
              f"{vit.num_classes} classes", markup=False, soft_wrap=True)
    if project.pretrained.assumed:
        say.print(f"assumed: {', '.join(project.pretrained.assumed)}", markup=False, soft_wrap=True)
    say.print(f"next: vitric quantize --project {printable(folder)}", markup=False, soft_wrap=True)


def _project(weights: Path, data: str, model: Mapping[str, Any], quantization: Mapping[str, Any],
             board: str | None) -> "Project":
    """Return the project, checked: the data are there and have the model's classes."""
    from vitric.golden.data.sets import DATASETS

    from ..project.project import checkpoint_project

    source = data if data in DATASETS else str(Path(data).absolute())
    project = checkpoint_project(weights.absolute(), {
        "model": model, "data": {"source": source},
        "quantization": quantization, "board": {"name": board}})
    classes = project.vit.num_classes
    for split in ("train", "test"):
        found = project.images(split).num_classes
        if found > classes or project.data not in DATASETS and found != classes:
            raise UserError(f"{data} has {found} classes in the {split} split, the model has {classes}")
    return project


def _accelerator(project: "Project", shape: "AcceleratorSpec", folder: Path) -> tuple["AcceleratorSpec", str]:
    """Return an accelerator with the array of ``shape``, and what to say about it."""
    from vitric.compiler.sizing import sized_spec
    from vitric.golden.quantization.settings import Settings

    from ..project.integer import options_of, quantization_options

    options = quantization_options(options_of(project, {}))
    spec = checked(lambda: sized_spec(
        shape, project.vit, Settings(spec=shape, **options), name=folder.resolve().name))
    return spec, f"array and ports of {shape.name}, memories as large as the model needs"


def _fitted(project: "Project", target_fps: float, folder: Path) -> tuple["AcceleratorSpec", str]:
    """Return the smallest accelerator that is fast enough on the board, and what to say about it."""
    from ..fit.choose import choose, find
    from ..fit.report import reason

    found = find(project)
    chosen = choose(found, "area", target_fps)
    return replace(chosen.spec, name=folder.resolve().name), reason(chosen, found.clock_mhz, project.board.part)


def _text(project: "Project", spec: "AcceleratorSpec", why: str, folder: Path) -> str:
    """Return the file: what was said, the accelerator in full, and what could be said with its default."""
    import tomlkit

    from ..fit.write import accelerator_table

    said = project.settings
    document = tomlkit.document()
    document.add(tomlkit.comment("Made by `vitric init`; docs/project.md of vitric explains every key."))
    model = tomlkit.table()
    model["weights"] = _relative(str(project.weights), folder)
    for key in ("num_heads", "statistics", "image_size"):
        if (value := getattr(said.model, key)) is not None:
            model[key] = value
    data = tomlkit.table()
    data["source"] = _relative(project.data, folder) if os.path.isabs(project.data) else project.data
    quantization = tomlkit.table()
    for key in ("method", "w_bits", "a_bits"):
        quantization[key] = getattr(said.quantization, key)
    if (count := len(project.images("train"))) < said.quantization.calibration.images:
        calibration = tomlkit.table()
        calibration["images"] = count  # all there are
        quantization["calibration"] = calibration
    accelerator = accelerator_table(spec, why)
    board = tomlkit.table()
    board["name"] = said.board.name
    for name, table in (("model", model), ("data", data), ("quantization", quantization), ("accelerator", accelerator),
                        ("board", board)):
        document.add(tomlkit.nl())
        document[name] = table
    return tomlkit.dumps(document)


def _relative(path: str, folder: Path) -> str:
    """Return a path as seen from a folder, so that both can be moved together."""
    return os.path.relpath(path, folder.resolve())
