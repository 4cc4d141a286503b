"""A quantized model and its accelerator as a bitstream for a board, with a report."""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from vitric.golden.errors import UserError
from vitric.golden.files import write_json, write_text
from vitric.toolchain.folders import locked

from .inputs.checked import checked
from .inputs.options import check_output
from .reports.console import console
from .tasks import HERE, Workers

if TYPE_CHECKING:
    from vitric.boards.registry import Board
    from vitric.boards.top import Top
    from vitric.compiler.compile import Compiled

    from .project.project import Project
    from .project.schema import BoardChoice

__all__ = ["build_bitstream"]


def build_bitstream(project: "Project", *, seeds: int = 1, until_met: bool = False, workers: Workers = HERE,
                    stderr: bool = False) -> dict:
    """Build the bitstream and its reports in a folder of the project's board; return the report.

    It is placed and routed with ``seeds`` seeds from the project's on, by ``workers``, and the best one counts; with
    ``until_met`` no more are begun when one of them has met the clock. The
    fields of the report are described in ``docs/board.md``. Without a met clock there is a report, but no bitstream.

    Raises
    ------
    UserError
        Something of the project is not there, or a design that does not fit the part.
    vitric.golden.errors.ToolFailure
        A tool failed.
    """
    board, said = project.board, project.settings.board
    clock_mhz = project.clock_mhz
    _check_clock(board, clock_mhz)
    if said.memory == "sdram":
        checked(lambda: board.sdram_spec(project.spec.model_bits))
    elif said.capacity is not None:
        _check_room(board, project.spec, said.capacity)
    folder = project.build / board.name
    check_output(folder / "report.json")
    with locked(folder / "work"):
        return _build(project, folder, clock_mhz, seeds, until_met, workers, console(stderr=stderr))


def _build(project: "Project", folder: Path, clock_mhz: float, seeds: int, until_met: bool, workers: Workers,
           say) -> dict:
    from vitric.boards.registry import smallest_board
    from vitric.compiler.compile import compile_model
    from vitric.compiler.lower import image_bytes
    from vitric.toolchain.parts import over_capacity
    from vitric.toolchain.run import Steps, pack, synthesize
    from vitric.toolchain.spread import SPREAD_ARGUMENTS, SPREAD_NETLIST, empty_rows, spread

    from .project.integer import integer_model
    from .reports.bitstream import markdown, meets, reached, report_of, show
    from .seeds import SCOPES, place_best

    board, said = project.board, project.settings.board
    say.print(f"[bold]board[/]           {board.title}, {project.name}")
    steps, family, work, product = Steps(say), board.part.family, folder / "work", folder / board.product
    with steps.step("model"):
        compiled = compile_model(integer_model(project), project.spec)
    say.print(f"                {len(compiled.stream)} words of {project.spec.model_bits} bits")
    size = image_bytes(project.vit, project.spec)
    top = _design(board, compiled, clock_mhz, said, image_bytes=size)
    with steps.step("generate"):
        plan = board.make_platform().prepare(top, name="top")
        for name in ("top.il", family.constraints):
            content = plan.files[name]
            (work / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        if family.clocks:
            write_text(work / family.clocks, top.clocks)
    with steps.step("synthesize") as tell:
        cells = synthesize(family, work, "top", tell)
    if over := over_capacity(board.part, cells):
        raise UserError(f"the design does not fit {board.part.name}: it needs {', '.join(over)}; " + smallest_board(
            lambda other: other.part.family is family and not over_capacity(other.part, cells)
            and (said.memory != "sdram" or other.sdram is not None), f"no board with a {family.title} would do"))
    netlist, arguments = "top.json", [*board.part.arguments, *family.constrained]
    if rows := empty_rows(board.part, cells):
        with steps.step("spread"):
            spread(work, board.part, rows)
        netlist, arguments = SPREAD_NETLIST, [*arguments, *SPREAD_ARGUMENTS]
        say.print(f"                {len(rows)} rows of logic are kept empty, so that it can be routed")
    inputs = [netlist, family.constraints, *([family.clocks] if family.clocks else []), SCOPES]
    best = place_best(
        family, work, arguments, range(said.seed, said.seed + seeds), inputs=inputs,
        fmax=lambda placed: reached(placed, top),
        steps=steps, workers=workers, enough=(lambda placed: meets(placed, top)) if until_met else None)
    report = report_of(project, board, compiled, top, cells, best, work, rows)
    product.unlink(missing_ok=True)
    if report["timing_met"]:
        with steps.step("pack"):
            packed = pack(board.part, work)
        temporary = product.with_name(f".{product.name}.{os.getpid()}.tmp")
        shutil.copyfile(packed, temporary)
        os.replace(temporary, product)
        report["bitstream"] = str(product)
    report["seconds"] = steps.seconds
    write_json(folder / "report.json", report)
    write_text(folder / "report.md", markdown(report))
    show(report, stderr=say.stderr)
    return report


def _design(board: "Board", compiled: "Compiled", clock_mhz: float, said: "BoardChoice", *, image_bytes: int) -> "Top":
    """Return the top level; raise :exc:`UserError` for what cannot be."""
    from vitric.boards.link import LENGTH_MAX
    from vitric.boards.model_store import WORDS_MAX, usual_capacity
    from vitric.boards.system import MAX_PAYLOAD, System

    spec, words = compiled.spec, compiled.stream.words
    sdram = board.sdram_spec(spec.model_bits) if said.memory == "sdram" else None
    usual = usual_capacity(len(words)) if sdram is None else min(WORDS_MAX, sdram.lines // 4)
    capacity = usual if said.capacity is None else said.capacity
    if capacity < len(words):
        raise UserError(f"--capacity must be at least the {len(words)} words of the model, not {capacity}")
    if sdram is None:
        _check_room(board, spec, capacity)
        if image_bytes > LENGTH_MAX:
            raise UserError(f"an image of this configuration has {image_bytes} bytes, but a frame of the host link "
                            f"carries at most {LENGTH_MAX}; with --model-memory sdram images lie in memory")
    elif capacity > sdram.lines // 4:
        raise UserError(f"--capacity must be at most {sdram.lines // 4}, a quarter of the SDRAM of {board.title}, not "
                        f"{capacity}")
    max_payload = MAX_PAYLOAD if sdram else max(MAX_PAYLOAD, image_bytes)

    def system(clock_hz: int) -> System:
        return System(spec, init=words if sdram is None else (), capacity=capacity, divisor=_divisor(board, clock_hz),
                      clock_hz=clock_hz, max_payload=max_payload, fabric=board.part.family.name, sdram=sdram,
                      flash=None if sdram is None else board.flash_spec(clock_hz), core_domain="core")

    return board.make_top(system, clock_mhz)


def _divisor(board: "Board", clock_hz: int) -> int:
    """Return the divisor of the serial line for a clock; raise :exc:`UserError` if there is none."""
    from vitric.boards.transport import divisor_of
    from vitric.boards.uart import DIVISOR_MIN
    from vitric.golden.spec.check import check_int

    try:
        divisor = divisor_of(clock_hz, board.baud)
        check_int("cycles per bit", divisor, DIVISOR_MIN, 1 << 20)
    except ValueError as error:
        raise UserError(f"{error}; choose another --clock-mhz or --baud") from error
    return divisor


def _check_clock(board: "Board", clock_mhz: float) -> None:
    try:
        _divisor(board, board.pll(clock_mhz).output_hz)
    except ValueError as error:
        raise UserError(f"--clock-mhz: {error}") from error


def _check_room(board: "Board", spec, capacity: int) -> None:
    from vitric.boards.registry import smallest_board

    def blocks(part):
        return -(-2 * capacity * spec.model_bits // part.family.block_bits)

    if blocks(board.part) > board.part.bram:
        hint = smallest_board(lambda other: blocks(other.part) <= other.part.bram, "no board has as many")
        raise UserError(
            f"two banks of {capacity} model words of {spec.model_bits} bits take at least {blocks(board.part)} block "
            f"RAMs, but {board.part.name} has {board.part.bram}; {hint}; or, if the model allows, choose a smaller "
            "--capacity, or --model-memory sdram")
