"""`vitric bitstream`: a quantized model and its accelerator as a bitstream for a board, with a report."""

from typing import Annotated

import typer
from vitric.golden.errors import UserError
from vitric.golden.files import write_json

from ..bitstream import build_bitstream
from ..inputs.options import SEED, BoardName, Jobs, JsonFile, ProjectName, Scheduler
from ..reports.console import console
from ..tasks import Workers

__all__ = ["bitstream_command"]


def bitstream_command(
    project: ProjectName = None,
    board: BoardName = None,
    seed: Annotated[
        int | None, typer.Option(**SEED, help="Seed of place and route; by default the project's, or 1.")] = None,
    seeds: Annotated[
        int, typer.Option(min=1, max=1000, help="Place and route with so many seeds from --seed on; the best one "
                          "counts.")] = 1,
    until_met: Annotated[
        bool, typer.Option("--until-met", help="With --seeds: begin no more of them when one has met the clock.")
    ] = False,
    clock_mhz: Annotated[
        float | None, typer.Option("--clock-mhz", min=10, max=400,
                                   help="Clock of the system; by default the board's.")] = None,
    baud: Annotated[
        int | None, typer.Option(min=1200, max=12_000_000, help="Speed of the serial line after power-on; by default "
                                 "the board's.")] = None,
    capacity: Annotated[
        int | None, typer.Option(min=1, max=1 << 24, help="Longest model that can be loaded, in model words; two of "
                                 "them are held.")] = None,
    model_memory: Annotated[
        str | None, typer.Option(help="Where models lie: bram, in block RAM, and the project's is there from power-on; "
                                 "sdram, in the board's SDRAM, once `vitric load` has put one there. By default as the "
                                 "project says, or bram.")] = None,
    sdram_mhz: Annotated[
        float | None, typer.Option("--sdram-mhz", min=25, max=143, help="Clock of the SDRAM; by default the board's.")
    ] = None,
    json_file: JsonFile = None,
    jobs: Jobs = 1,
    scheduler: Scheduler = None,
) -> None:
    """Make a bitstream of the model of a project and its accelerator for BOARD, with a report.

    Writes build/PROJECT/BOARD/top.bit (top.fs for Gowin), report.json and report.md. Exit status 1, and no bitstream,
    if the clock is not met.
    """
    from ..project.project import open_project

    to_stdout = str(json_file) == "-"
    changes = {"name": board, "seed": seed, "clock_mhz": clock_mhz, "baud": baud, "capacity": capacity,
               "memory": model_memory, "sdram_mhz": sdram_mhz}
    work = open_project(project).changed({"board": changes})
    if sdram_mhz is not None and work.settings.board.memory != "sdram":
        raise UserError("--sdram-mhz has no effect on models in block RAM; --model-memory sdram puts them elsewhere")
    if until_met and seeds == 1:
        raise UserError("--until-met needs --seeds, of which it leaves out those that are not needed")
    report = build_bitstream(work, seeds=seeds, until_met=until_met, workers=Workers(jobs, scheduler), stderr=to_stdout)
    if json_file is not None:
        write_json(json_file, report)
    if not report["timing_met"]:
        sdram = report["sdram"]
        own = report["fmax_mhz"] >= report["clock_mhz"] and sdram
        missed, what = (sdram, "SDRAM's clock") if own else (report, "clock")
        console(stderr=True).print(
            f"vitric: {missed['fmax_mhz']:.1f} MHz does not meet the {what} of {missed['clock_mhz']:g} MHz; no "
            f"bitstream was written. Try more --seeds or a lower {'--sdram-mhz' if own else '--clock-mhz'}.",
            style="red", markup=False)
        raise typer.Exit(1)
