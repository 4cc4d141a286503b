"""`vitric export`: the quantized model in a format of other tools.

torch, onnx and qonnx are imported where they are used: the first so that ``--help`` is quick, the others because they
are optional.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from vitric.golden.errors import UserError
from vitric.golden.files import write_bytes, write_json

from ..inputs.checked import checked
from ..inputs.layer_bits import read_layer_bits
from ..inputs.options import COUNT, WIDTH, JsonFile, ProjectName, check_output, readable
from ..project.file import config_names
from ..project.integer import calibration_of, options_of, quantization_options
from ..project.project import open_project
from ..reports.console import console

if TYPE_CHECKING:
    import torch
    from rich.console import Console
    from vitric.golden.qonnx.check import Comparison
    from vitric.golden.quantization import Lowered

    from ..project.project import Project

__all__ = ["export_command"]

_INSTALL = "run make setup, or pip install '.[qonnx]' in the repository"


def export_command(
    model: Annotated[
        Path | None, typer.Argument(callback=readable, help="Integer model that `vitric quantize` wrote; then none of "
                                    "the options of the quantization. Without it the project's float "
                                    "model is quantized.")] = None,
    qonnx: Annotated[bool, typer.Option("--qonnx", help="Write QONNX: ONNX with Quant nodes.")] = False,
    project: ProjectName = None,
    method: Annotated[str | None, typer.Option(help="As of `vitric quantize`, and so the next seven.")] = None,
    w_bits: Annotated[int | None, typer.Option(min=1, max=8, help="Width of the weights.")] = None,
    a_bits: Annotated[int | None, typer.Option(**WIDTH, help="Width of the activations.")] = None,
    edge_bits: Annotated[
        int | None, typer.Option(**WIDTH, help="Width of patch embedding's and head's operands.")] = None,
    softmax_bits: Annotated[int | None, typer.Option(**WIDTH, help="Width of the attention probabilities.")] = None,
    granularity: Annotated[str | None, typer.Option(help="Of the weights' scales.")] = None,
    layer_bits: Annotated[Path | None, typer.Option(callback=readable, help="Widths of single layers (JSON).")] = None,
    calibration: Annotated[
        int | None, typer.Option(**COUNT, help="Training images to calibrate on; by default 64.")] = None,
    batch: Annotated[int, typer.Option(min=1, max=4096, help="Images that the graph takes at once.")] = 1,
    images: Annotated[
        int, typer.Option(min=0, help="Test images to execute the file on and compare; 0 for none.")] = 8,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File; by default build/PROJECT/METHOD-wWaA.onnx.")] = None,
    json_file: JsonFile = None,
) -> None:
    """Write a quantized model as QONNX, execute it with the qonnx package and compare it with golden.

    The graph is that of simulated quantization: rounded weights and activations, softmax, LayerNorm and GELU in float.
    docs/qonnx.md says what is in it and what differs from the hardware. Exit status 1 if a tensor differs from golden's
    by more than the tolerance of float32.
    """
    if not qonnx:
        raise UserError("say which format to write: --qonnx is the only one")
    if out is not None and out.suffix != ".onnx":
        raise UserError(f"--out must be named *.onnx, not {out}")
    _need("onnx", "writes the file")
    if images:
        _need("qonnx", "executes the file (--images 0 does without)")
    options = {"method": method, "w_bits": w_bits, "a_bits": a_bits, "edge_bits": edge_bits,
               "softmax_bits": softmax_bits, "granularity": granularity, "calibration_images": calibration,
               "layer_bits": None if layer_bits is None else read_layer_bits(layer_bits)}
    if model is None:
        work = open_project(project)
        check_output(out or work.build / "model.onnx")
        chosen = _images(work, images)
        lowered = _quantized(work, options_of(work, options))
    else:
        if given := [name for name, value in options.items() if value is not None]:
            raise UserError(f"{', '.join(given)}: not together with an integer model, which has been quantized")
        names = config_names() if project is None else [project]
        work, lowered = _quantized_again(model, [open_project(name) for name in names])
        check_output(out or work.build / "model.onnx")
        chosen = _images(work, images)
    info = lowered.model.info
    widths = f"w{info['w_bits']}a{info['a_bits']}" if layer_bits is None else layer_bits.stem
    path = out or work.build / f"{info['method']}-{widths}.onnx"
    say = console(stderr=str(json_file) == "-")
    figures, equal = _export(lowered, path, batch, chosen, say)
    figures = {"config": work.name, **figures}
    if json_file is not None:
        write_json(json_file, figures)
    if not equal:
        raise typer.Exit(1)


def _need(package: str, purpose: str) -> None:
    if find_spec(package) is None:
        raise UserError(f"the package {package}, which {purpose}, is not installed: {_INSTALL}")


def _images(project: "Project", count: int) -> "torch.Tensor | None":
    test = project.images("test")
    if not 0 <= count <= len(test):
        raise UserError(f"--images must be between 0 and {len(test)}, not {count}")
    return test.take(count) if count else None


def _quantized(project: "Project", options: Mapping[str, Any]) -> "Lowered":
    from vitric.golden.quantization import quantize_with_scales

    train, count = project.images("train"), options["calibration_images"]
    if not 1 <= count <= len(train):
        raise UserError(f"--calibration must be between 1 and {len(train)}, not {count}")
    chosen = quantization_options(options)
    return checked(lambda: quantize_with_scales(project.model, calibration_of(project, options),
                                                **{"spec": project.spec, **chosen}))


def _quantized_again(path: Path, projects: "list[Project]") -> "tuple[Project, Lowered]":
    """Return project and lowering of an integer model's file: scales are not in it, so they are found anew."""
    from dataclasses import fields

    from vitric.golden.integer.storage import load_integer, model_digest
    from vitric.golden.quantization.settings import Settings

    model = checked(lambda: load_integer(path))
    try:
        settings = Settings.from_info(model.info)
        count = int(model.info["calibration_images"])
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{path} does not hold the real scales of its integers, nor how it was made: export from the "
                        "float model, with --project") from None
    fitting = [one for one in projects if one.weights is not None and one.vit == model.config]
    for project in fitting:
        options = {one.name: getattr(settings, one.name) for one in fields(settings)}
        lowered = _quantized(project, options_of(project, options | {"calibration_images": count}))
        if model_digest(lowered.model) == model_digest(model):
            return project, lowered
    names = ", ".join(one.name for one in fitting) or "none"
    raise UserError(f"{path} does not hold the real scales of its integers, and quantizing the float models of its "
                    f"dimensions ({names}) as it says it was made does not give it again: export from the float model, "
                    "with --project")


def _export(lowered: "Lowered", path: Path, batch: int, images: "torch.Tensor | None",
            say: "Console") -> tuple[dict, bool]:
    """Write the file, execute it, show the figures and return them and whether all is equal."""
    from collections import Counter
    from dataclasses import asdict

    from vitric.golden.qonnx import export

    try:
        made = export(lowered, batch=batch)
    except ValueError as error:
        raise UserError(str(error)) from error
    write_bytes(path, made.proto.SerializeToString(deterministic=True))
    nodes = Counter(node.op_type for node in made.proto.graph.node)
    figures = {"file": str(path), "bytes": path.stat().st_size, "batch": batch,
               "quantization": dict(lowered.model.info), "nodes": dict(sorted(nodes.items())), "images": 0}
    say.print(f"[bold]file[/]      {path}, {figures['bytes']} bytes")
    say.print(f"[bold]nodes[/]     {nodes.total()}, {nodes['Quant']} of them Quant")
    if images is None:
        return figures, True
    from vitric.golden.qonnx.check import TOLERANCE, compare

    with say.status(f"executing it with qonnx on {len(images)} test images"):
        outcome = compare(made, lowered, images)
    _show(outcome, say)
    return figures | {
        "images": outcome.images, "equal": outcome.equal, "tolerance": TOLERANCE, "logits_error": outcome.logits,
        "same_class_as_simulated": outcome.same_class, "same_class_as_integer": outcome.same_class_integer,
        "tensors": [asdict(tensor) for tensor in outcome.tensors]}, outcome.equal


def _show(outcome: "Comparison", say: "Console") -> None:
    from rich.table import Table
    from vitric.golden.tensors import short_name

    kinds: dict[str, list] = {}
    for tensor in outcome.tensors:
        kinds.setdefault(short_name(tensor.name), []).append(tensor)
    table = Table("tensor", "values", "wrong", "as simulated", "as integer, layer", "as integer, all",
                  title=f"executed by qonnx on {outcome.images} test images")
    for kind, tensors in kinds.items():
        values = sum(tensor.values for tensor in tensors)
        if tensors[0].simulated is None:
            shares = [f"± {max(tensor.error for tensor in tensors):.0e}", "–", "–"]
        else:
            shares = [f"{sum(getattr(tensor, of) for tensor in tensors) / values:.2%}"
                      for of in ("simulated", "integer_layer", "integer")]
        table.add_row(kind, str(values), str(sum(tensor.outside for tensor in tensors)), *shares)
    say.print(table)
    say.print(f"[bold]logits[/]    {outcome.logits:.1e} from the simulated model's, relative to the largest")
    say.print(f"[bold]class[/]     as simulated for {outcome.same_class}, as the integer model's for "
              f"{outcome.same_class_integer} of {outcome.images} images")
    say.print("[bold]equal[/]     every layer agrees with the simulated model" if outcome.equal else
              "[bold red]not equal[/] a layer differs from the simulated model by more than float32 explains")
