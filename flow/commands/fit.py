"""`vitric fit`: the accelerator for a model and a board.

torch is imported where it is used, so that ``--help`` is quick.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from vitric.golden.errors import UserError
from vitric.golden.files import write_json, write_text

from ..inputs.options import BoardName, Jobs, JsonFile, ProjectName, Scheduler, check_output
from ..reports.console import console, printable
from ..tasks import Workers

if TYPE_CHECKING:
    from ..fit.choose import Found
    from ..fit.search import Choice
    from ..project.project import Project

__all__ = ["fit_command"]


def fit_command(
    project: ProjectName = None,
    board: BoardName = None,
    target_fps: Annotated[
        float | None, typer.Option(min=0, help="Images per second to reach with the least area.")] = None,
    objective: Annotated[
        str, typer.Option(help="fps: the fastest, or one within 2 % of it that is smaller; area: the smallest.")
    ] = "fps",
    clock_mhz: Annotated[
        float | None, typer.Option("--clock-mhz", min=1, max=400, help="Clock that images per second are told for; by "
                                   "default the board's.")] = None,
    model_memory: Annotated[
        str | None, typer.Option(help="Where models lie: bram, in the part's block RAM; sdram, in that of the board; "
                                 "external, models and images come from a design of one's own. By default as the "
                                 "project says, or bram.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Put the accelerator into the project's vitric.toml.")] = False,
    pnr: Annotated[
        int, typer.Option(min=0, max=20, help="Make bitstreams of so many of the best, and compare.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Seeds of place and route, with --pnr.")] = 1,
    json_file: JsonFile = None,
    jobs: Jobs = 1,
    scheduler: Scheduler = None,
) -> None:
    """Choose array, ports and memories for a project's model on BOARD, by predicted cycles and area.

    Shows what is worth having: accelerators than which none is both faster and smaller; which one is chosen; what
    bounds it, and what more would cost. Writes build/PROJECT/fit/fit.json and front.svg. docs/fit.md says how well
    predictions agree with measurements.
    """
    from ..fit.choose import OBJECTIVES, choose, find
    from ..fit.report import reason
    from ..fit.search import MEMORIES
    from ..fit.write import writable_file, write_accelerator
    from ..project.project import open_project

    work = open_project(project)
    said = work.settings.board.memory
    memory = model_memory or said
    for option, value, legal in (("--model-memory", memory, MEMORIES), ("--objective", objective, OBJECTIVES)):
        if value not in legal:
            raise UserError(f"{option} must be one of {', '.join(legal)}, not {value!r}")
    if write and memory != said:
        raise UserError(f"--write changes the accelerator alone, and [board] memory is {said!r}: change it in the "
                        "file, or leave out --model-memory")
    if pnr and memory == "external":
        raise UserError("--pnr makes whole bitstreams; --model-memory must then be bram or sdram, not 'external'")
    work = work.changed({"board": {"name": board, "clock_mhz": clock_mhz,
                                   "memory": None if memory == "external" else memory}})
    to_stdout = str(json_file) == "-"
    folder = work.build / "fit"
    check_output(folder / "fit.json")
    file = writable_file(project) if write else None
    found = find(work, memory=memory, workers=Workers(jobs, scheduler))
    chosen = choose(found, objective, target_fps)
    figures = _tell(found, chosen, folder, stderr=to_stdout)
    if file is not None:
        write_accelerator(file, chosen.spec, reason(chosen, found.clock_mhz, work.board.part))
        console(stderr=to_stdout).print(f"written to {printable(file)}", markup=False)
    if pnr:
        figures["placed"] = _place(work, found.front, chosen, pnr, seeds=seeds, workers=Workers(jobs, scheduler),
                                   stderr=to_stdout)
        write_json(folder / "fit.json", figures)
    if json_file is not None:
        write_json(json_file, figures)


def _tell(found: "Found", chosen: "Choice", folder: Path, *, stderr: bool) -> dict:
    from ..fit.area import errors, read_measured
    from ..fit.report import plot, show
    from ..fit.search import limits

    part, clock_mhz = found.board.part, found.clock_mhz
    bounds, off = limits(chosen, found.choices), errors(read_measured()).values()
    largest = {name: max(abs(own[name]) for own in off) for name in asdict(chosen.area)}
    figures = {
        "project": found.project.name, "board": found.board.name, "part": part.name, "clock_mhz": clock_mhz,
        "front": [choice.as_dict(clock_mhz) for choice in found.front], "chosen": chosen.as_dict(clock_mhz),
        "limits": [vars(limit) for limit in bounds], "searched": len(found.choices), "seconds": found.seconds,
        "area_error": largest}
    write_json(folder / "fit.json", figures)
    write_text(folder / "front.svg", plot(found.choices, found.front, chosen, part, clock_mhz))
    out = console(stderr=stderr)
    out.print(f"[bold]{found.project.name}[/] on {found.board.title} at {clock_mhz:g} MHz: {len(found.choices)} "
              f"accelerators in {found.seconds:.0f} s", soft_wrap=True)
    show(found.front, chosen, bounds, part, clock_mhz, out)
    out.print(f"areas are predicted; on {len(off)} designs that were held out they were off by at most "
              f"{largest['lut_eq']:.1%} (LUT-eq) and {largest['ff']:.1%} (FF)", markup=False, soft_wrap=True)
    out.print(f"{printable(folder / 'front.svg')}: images/s against area", markup=False, soft_wrap=True)
    return figures


def _place(project: "Project", front: "Sequence[Choice]", chosen: "Choice", count: int, *, seeds: int,
           workers: Workers, stderr: bool) -> list[dict]:
    """Build ``count`` of the front for the project's board, the chosen one first, then the fastest.

    Each is made in ``build/PROJECT/fit/N``, N from 1.

    Returns
    -------
    list of dict
        ``spec``, ``predicted`` and ``measured``: area; ``fmax_mhz`` and whether the clock is met.
    """
    from ..bitstream import build_bitstream
    from ..fit.report import describe
    from ..reports.stream import aligned

    order = [chosen, *(choice for choice in front if choice is not chosen)][:count]
    out, rows = console(stderr=stderr), []
    for number, choice in enumerate(order, start=1):
        out.print(f"[bold]{number} of {len(order)}[/]: {describe(choice)}", soft_wrap=True)
        own = project.changed({"accelerator": {
            name: value for name, value in asdict(choice.spec).items() if name != "name"}})
        report = build_bitstream(replace(own, build=project.build / "fit" / str(number)), seeds=seeds, workers=workers,
                                 stderr=stderr)
        rows.append({
            "spec": asdict(choice.spec), "predicted": asdict(choice.area),
            "measured": {name: report[name] for name in asdict(choice.area)},
            "fmax_mhz": report["fmax_mhz"], "timing_met": report["timing_met"]})
    lines = [("", "LUT-eq", "predicted", "FF", "predicted", "mult.", "BRAM", "MHz")]
    for number, row in enumerate(rows, start=1):
        measured, predicted = row["measured"], row["predicted"]
        lines.append((str(number), str(measured["lut_eq"]), str(predicted["lut_eq"]), str(measured["ff"]),
                      str(predicted["ff"]), str(measured["dsp"]), str(measured["bram"]), f"{row['fmax_mhz']:.1f}"))
    for line in aligned(lines, left=(0,)):
        out.print(line, markup=False, soft_wrap=True)
    return rows
