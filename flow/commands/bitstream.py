"""`vitric bitstream`: a quantized model and its accelerator as a bitstream for a board, with a report."""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from vitric.golden.errors import UserError
from vitric.golden.files import write_json, write_text
from vitric.toolchain.folders import locked

from ..inputs.options import SEED, JsonFile, check_output
from ..reports.console import console

if TYPE_CHECKING:
    from vitric.boards.registry import Board
    from vitric.compiler.compile import Compiled

__all__ = ["BANK_STEP", "bitstream_command", "build_bitstream"]

BANK_STEP = 2048
"""The capacity for models is the length of the present one rounded up to a multiple of so many words."""

_BAUD_ERROR = 0.02  # largest share by which the serial line may be off


def bitstream_command(
    config: Annotated[str, typer.Option(help="Configuration; a wrong name lists them.")] = "digits",
    board: Annotated[str, typer.Option(help="Board; a wrong name lists them.")] = "ulx3s",
    seed: Annotated[int, typer.Option(**SEED, help="Seed of place and route.")] = 1,
    clock_mhz: Annotated[
        float | None, typer.Option("--clock-mhz", min=10, max=400,
                                   help="Clock of the system; by default the board's.")] = None,
    capacity: Annotated[
        int | None, typer.Option(min=1, max=1 << 24, help="Longest model that can be loaded, in model words; two of "
                                 "them are held.")] = None,
    json_file: JsonFile = None,
) -> None:
    """Make a bitstream of the model of CONFIG and its accelerator for BOARD, with a report.

    Writes build/CONFIG/BOARD/top.bit, report.json and report.md. Exit status 1, and no bitstream, if the clock is
    not met.
    """
    to_stdout = str(json_file) == "-"
    report = build_bitstream(config, board, seed=seed, clock_mhz=clock_mhz, capacity=capacity, stderr=to_stdout)
    if json_file is not None:
        write_json(json_file, report)
    if not report["timing_met"]:
        console(stderr=True).print(
            f"vitric: {report['fmax_mhz']:.1f} MHz does not meet the clock of {report['clock_mhz']:g} MHz; no "
            "bitstream was written. Try another --seed or a lower --clock-mhz.", style="red", markup=False)
        raise typer.Exit(1)


def build_bitstream(config: str, board: str, *, seed: int = 1, clock_mhz: float | None = None,
                    capacity: int | None = None, stderr: bool = False, build: Path | str = "build") -> dict:
    """Build ``build/<config>/<board>/top.bit`` and its reports; return the report.

    The fields of the report are described in ``docs/board.md``. Without a met clock there is a report, but no
    ``top.bit``.

    Raises
    ------
    UserError
        An unknown configuration or board, an option out of range, or a design that does not fit the part.
    vitric.golden.errors.ToolFailure
        A tool failed.
    """
    from vitric.boards.registry import find_board

    from ..inputs.configs import configuration

    entry = configuration(config)
    try:
        target = find_board(board)
    except ValueError as error:
        raise UserError(str(error)) from error
    clock_mhz = target.clock_mhz if clock_mhz is None else clock_mhz
    _check_clock(target, clock_mhz)
    if capacity is not None:
        _check_room(target, entry.spec, capacity)
    folder = Path(build) / config / board
    check_output(folder / "report.json")
    with locked(folder / "work"):
        return _build(entry, target, folder, seed, clock_mhz, capacity, console(stderr=stderr), Path(build))


def _build(entry, target: "Board", folder: Path, seed: int, clock_mhz: float, capacity: int | None, say,
           build: Path) -> dict:
    from vitric.compiler.compile import compile_model
    from vitric.toolchain.parts import over_capacity
    from vitric.toolchain.run import Steps, pack, place_and_route, synthesize

    from ..inputs.models import quantized_model
    from ..reports.bitstream import markdown, report_of, show

    say.print(f"[bold]board[/]           {target.title}, {entry.name}")
    steps, family, work, product = Steps(say), target.part.family, folder / "work", folder / "top.bit"
    with steps.step("model"):
        compiled = compile_model(quantized_model(entry.name, build=build), entry.spec)
    say.print(f"                {len(compiled.stream)} words of {entry.spec.model_bits} bits")
    top, settings = _design(target, compiled, clock_mhz, capacity, image_bytes=_image_bytes(entry))
    with steps.step("generate"):
        plan = target.make_platform().prepare(top, name="top")
        for name in ("top.il", family.constraints):
            content = plan.files[name]
            (work / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with steps.step("synthesize") as tell:
        cells = synthesize(family, work, "top", tell)
    if over := over_capacity(target.part, cells):
        raise UserError(f"the design does not fit {target.part.name}: it needs {', '.join(over)}")
    with steps.step("place and route") as tell:
        arguments = [*target.part.arguments, *family.constrained, "--seed", str(seed)]
        placed = place_and_route(family, work, arguments, tell)
    report = report_of(entry, target, compiled, top.system, settings, cells, placed, work, seed=seed, build=build)
    product.unlink(missing_ok=True)
    if report["timing_met"]:
        with steps.step("pack"):
            packed = pack(family, work)
        temporary = product.with_name(f".{product.name}.{os.getpid()}.tmp")
        shutil.copyfile(packed, temporary)
        os.replace(temporary, product)
        report["bitstream"] = str(product)
    report["seconds"] = steps.seconds
    write_json(folder / "report.json", report)
    write_text(folder / "report.md", markdown(report))
    show(report, stderr=say.stderr)
    return report


def _image_bytes(entry) -> int:
    groups = -(-entry.vit.num_tokens // entry.spec.rows)
    return groups * entry.vit.patch_dim * entry.spec.rows


def _design(board: "Board", compiled: "Compiled", clock_mhz: float, capacity: int | None, *, image_bytes: int):
    """Return the top level and the settings of its clock; raise :exc:`UserError` for what cannot be."""
    from vitric.boards.system import MAX_PAYLOAD, System

    spec, words = compiled.spec, compiled.stream.words
    if capacity is None:
        capacity = -(-len(words) // BANK_STEP) * BANK_STEP
    if capacity < len(words):
        raise UserError(f"--capacity must be at least the {len(words)} words of the model, not {capacity}")
    _check_room(board, spec, capacity)
    if image_bytes > 0xFFFF:
        raise UserError(f"an image of this configuration has {image_bytes} bytes; the host link carries at most 65535")

    def system(clock_hz: int) -> System:
        return System(spec, init=words, capacity=capacity, divisor=_divisor(board, clock_hz), clock_hz=clock_hz,
                      max_payload=max(MAX_PAYLOAD, image_bytes), fabric=board.part.family.name)

    return board.make_top(system, clock_mhz)


def _divisor(board: "Board", clock_hz: int) -> int:
    """Return the divisor of the serial line for a clock; raise :exc:`UserError` if there is none."""
    from vitric.boards.uart import DIVISOR_MIN

    divisor = max(DIVISOR_MIN, round(clock_hz / board.baud))
    if abs(clock_hz / divisor / board.baud - 1) > _BAUD_ERROR:
        raise UserError(f"no divisor of {clock_hz / 1e6:g} MHz comes within {_BAUD_ERROR:.0%} of {board.baud} baud; "
                        "choose another --clock-mhz")
    return divisor


def _check_clock(board: "Board", clock_mhz: float) -> None:
    try:
        _divisor(board, board.pll(clock_mhz).output_hz)
    except ValueError as error:
        raise UserError(f"--clock-mhz: {error}") from error


def _check_room(board: "Board", spec, capacity: int) -> None:
    blocks = -(-2 * capacity * spec.model_bits // board.part.family.block_bits)
    if blocks > board.part.bram:
        raise UserError(
            f"two banks of {capacity} model words of {spec.model_bits} bits take at least {blocks} block RAMs, but "
            f"{board.part.name} has {board.part.bram}; choose a larger board or, if the model allows, a smaller "
            "--capacity")
