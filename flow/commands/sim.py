"""`vitric sim`: test images through the generated hardware in Verilator, every written value against golden."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from vitric.golden.errors import UserError
from vitric.golden.files import write_json, write_text
from vitric.toolchain.folders import locked

from ..inputs.layer_bits import read_layer_bits
from ..inputs.options import SEED, WIDTH, JsonFile, ProjectName, check_output, readable
from ..reports.console import console

if TYPE_CHECKING:
    from vitric.golden.integer import IntegerViT

    from ..project.project import Project

__all__ = ["sim_command", "simulate", "write_figures"]

DEFAULT_IMAGES = 32


@dataclass(frozen=True)
class Options:
    """Arguments of :func:`simulate` beyond the configuration; see ``vitric sim --help``."""

    images: int | None = None
    seed: int = 1
    stall: int = 0
    waves: tuple[int, int] | None = None
    build: Path | None = None
    quantization: Mapping[str, str | int | Mapping] = field(default_factory=dict)
    model: Path | None = None


def sim_command(
    project: ProjectName = None,
    method: Annotated[
        str | None, typer.Option(help="Quantization method, as of `vitric quantize`; by default its default.")] = None,
    w_bits: Annotated[
        int | None, typer.Option(min=1, max=8, help="Width of the weights, 1 to 8; by default 4.")] = None,
    a_bits: Annotated[int | None, typer.Option(**WIDTH, help="Width of the activations, 2 to 8; by default 4.")] = None,
    layer_bits: Annotated[
        Path | None, typer.Option(callback=readable, help="Widths of single layers (JSON), as `vitric allocate` writes "
                                  "them.")] = None,
    model: Annotated[
        Path | None, typer.Option(callback=readable, help="Integer model of its network instead, as `vitric qat` "
                                  "or `quantize` writes it.")] = None,
    images: Annotated[
        int | None, typer.Option(min=1, max=1000000, help="Test images to run, from the first; at most the whole "
                                 "split.")] = None,
    seed: Annotated[int, typer.Option(**SEED, help="Seed of the random pauses (and of random images).")] = 1,
    stall: Annotated[
        int, typer.Option(min=0, max=90, help="Pause every port at random in so many percent of the cycles.")] = 0,
    waves: Annotated[bool, typer.Option("--waves", help="Leave a trace of the window below.")] = False,
    waves_begin: Annotated[int, typer.Option(min=0, max=1 << 40, help="First cycle of the trace.")] = 0,
    waves_end: Annotated[int, typer.Option(min=1, max=1 << 40, help="Cycle after the last one of the trace.")] = 5000,
    json_file: JsonFile = None,
) -> None:
    """Run test images through the generated accelerator under Verilator and compare every value with golden.

    Quantizes and compiles the model of the project, generates the hardware, runs it, and compares the logits and every
    intermediate tensor that the accelerator writes to memory. Exit status 1 if any value differs.
    """
    from ..project.integer import summary_file
    from ..project.project import open_project

    chosen = {"method": method, "w_bits": w_bits, "a_bits": a_bits,
              "layer_bits": None if layer_bits is None else read_layer_bits(layer_bits)}
    chosen = {name: value for name, value in chosen.items() if value is not None}
    work = open_project(project)
    summary = check_output(summary_file(work, chosen, model))
    options = Options(images=images, seed=seed, stall=stall, waves=(waves_begin, waves_end) if waves else None,
                      quantization=chosen, model=model)
    to_stdout = str(json_file) == "-"
    figures = simulate(work, options, stderr=to_stdout)
    write_figures(summary, figures)
    if json_file is not None:
        write_json(json_file, figures)
    from ..reports.gallery import show_images
    from ..reports.simulation import show

    show(figures, stderr=to_stdout)
    show_images(work, figures, stderr=to_stdout)
    console(stderr=to_stdout).print(f"look at it: vitric report --project {project or work.name}", markup=False,
                                    soft_wrap=True)
    if figures["values_differ"]:
        raise typer.Exit(1)


def write_figures(summary: Path, figures: dict) -> None:
    """Write figures of :func:`simulate`; ``activity`` goes to ``activity.json`` beside ``sim.json``, not in there."""
    activity = figures.pop("activity")
    write_text(summary.with_name("activity" + summary.name.removeprefix("sim")), json.dumps(activity) + "\n")
    write_json(summary, figures)


def simulate(project: "Project", options: Options = Options(), *, stderr: bool = False) -> dict:
    """Simulate a project and return the figures of its ``sim.json``.

    Raises
    ------
    UserError
        Something of the project is not there or does not fit, or a number is out of range.
    """
    if options.waves and not 0 <= options.waves[0] < options.waves[1]:
        raise UserError(f"--waves-begin and --waves-end must be a window from 0 on, not {options.waves}")
    folder = options.build or project.build / ("waves" if options.waves else "verilator")
    with locked(folder):
        return _simulate(project, options, folder, console(stderr=stderr))


def _simulate(project: "Project", options: Options, folder: Path, say) -> dict:
    from vitric.compiler.compile import compile_model
    from vitric.sim.accelerator import run_stream
    from vitric.sim.runner import BUILD

    from ..project.images import test_images
    from ..reports.simulating import Simulating
    from ..reports.simulation import figures_of

    count = (1 if project.data is None else DEFAULT_IMAGES) if options.images is None else options.images
    chosen = test_images(project, count, seed=options.seed)
    model = _model(project, options)
    info = ", ".join(f"{name} {model.info[name]}" for name in ("method", "w_bits", "a_bits") if name in model.info)
    say.print(f"[bold]model[/]     {project.name}, quantized: {info}")
    spec = project.spec
    compiled = compile_model(model, spec)
    say.print(f"[bold]stream[/]    {len(compiled.stream.data)} bytes, {len(compiled.tensors) + 1} commands for spec "
              f"{spec.name}: {spec.rows} x {spec.cols} x {spec.depth} = {spec.macs_per_cycle} MAC/cycle")

    extra = {}
    if options.waves:
        begin, end = options.waves
        extra = {"VITRIC_WAVES_BEGIN": str(10 * begin), "VITRIC_WAVES_END": str(10 * end)}
    with Simulating(say, len(chosen.images), folder / BUILD) as report:
        run = run_stream(
            compiled, chosen.images, build_dir=folder, stall=options.stall, seed=options.seed,
            waves=options.waves is not None, progress=report, extra_env=extra,
        )
    if options.waves:
        say.print(f"[bold]trace[/]     {next(iter(sorted(folder.glob('dump.*'))), folder)}")
    with say.status("comparing with golden"):
        return figures_of(project, model, compiled, chosen, run, options.seed)


def _model(project: "Project", options: Options) -> "IntegerViT":
    """Return the integer model of the file that the options name, or of the project."""
    from ..project.integer import integer_model

    if options.model is not None:
        project = project.changed({"model": {"integer": str(options.model.absolute())}})
    return integer_model(project, **options.quantization)
