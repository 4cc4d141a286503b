"""An accelerator for a project's model on its board: searched, chosen, or what is missing."""

import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from vitric.golden.errors import UserError

from ..inputs.checked import checked
from ..project.integer import options_of, quantization_options
from ..reports.console import console
from ..tasks import HERE, Workers
from .search import MODEL_BITS, Choice, Demand, Run, front, placed_on, search

if TYPE_CHECKING:
    from vitric.boards.registry import Board
    from vitric.toolchain.parts import Part

    from ..project.project import Project

__all__ = ["OBJECTIVES", "Found", "choose", "find"]

OBJECTIVES = ("fps", "area")
"""The fastest, or one nearly as fast that is smaller; the smallest."""

_NEARLY = 0.02  # of the images per second that are given away for less area


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """What a search found for a project's board.

    Attributes
    ----------
    project : Project
    demand : Demand
    workers : Workers
        That searched.
    runs : list of Run
        The model on every array that the board's part could hold.
    seconds : float
        That the search took.
    """

    project: "Project"
    demand: Demand
    workers: Workers
    runs: list[Run]
    seconds: float

    @property
    def board(self) -> "Board":
        """The project's."""
        return self.project.board

    @property
    def clock_mhz(self) -> float:
        """Clock that images per second are told for."""
        return self.project.clock_mhz

    @cached_property
    def choices(self) -> list[Choice]:
        """All, on the board's part."""
        return [placed_on(self.board.part, run, self.demand.memory) for run in self.runs]

    @cached_property
    def front(self) -> list[Choice]:
        """Those worth having, fastest first."""
        return front(self.choices)


def find(project: "Project", *, memory: str | None = None, workers: Workers = HERE) -> Found:
    """Search accelerators for a project's network, quantization and board; show how far it is.

    ``memory`` is as :class:`~vitric.flow.fit.search.Demand` has it, by default what the project says.

    Raises
    ------
    UserError
        The board's family has no area model, it has no SDRAM and the project wants one, or no array can hold the model.
    """
    board, said = project.board, project.settings.board
    part, rates = board.part, {}
    memory = said.memory if memory is None else memory
    if part.family.name != "ecp5":
        raise UserError(f"areas are known for ECP5 alone, not for {part.name} of {project.board.title}")
    if memory == "sdram":
        clock_hz = round(1e6 * project.clock_mhz)
        rates = checked(lambda: {bits: board.sdram_spec(bits).word_rate(clock_hz) for bits in MODEL_BITS})
    demand = Demand(config=project.vit, options=quantization_options(options_of(project, {})), name=project.name,
                    memory=memory, rates=rates)
    started = time.perf_counter()
    runs = _searched(demand, part, workers)
    if not runs:
        raise UserError(f"no array that {part.name} could hold runs {project.name}")
    return Found(project=project, demand=demand, workers=workers, runs=runs,
                 seconds=round(time.perf_counter() - started, 1))


def _searched(demand: Demand, part: "Part", workers: Workers) -> list[Run]:
    from rich.progress import Progress

    with Progress(console=console(stderr=True), transient=True) as progress:
        task = progress.add_task("arrays", total=None)
        return search(demand, part, workers=workers,
                      on_shape=lambda done, total: progress.update(task, completed=done, total=total))


def choose(found: Found, objective: str, target_fps: float | None = None) -> Choice:
    """Return the accelerator that the objective asks for.

    Raises
    ------
    UserError
        None fits, or none that fits is as fast; the message says what is missing, and which board would do.
    """
    if not found.front:
        raise UserError(_what_is_missing(found))
    best = found.front[0].images_per_s(found.clock_mhz)
    if target_fps is not None and best < target_fps:
        other = _board_that(found, target_fps)
        raise UserError(
            f"no accelerator that fits {found.board.title} reaches {target_fps:g} images/s at {found.clock_mhz:g} MHz: "
            f"the fastest does {best:.1f}; " + (f"{other} would do" if other else "no board of the list would do"))
    least = target_fps if target_fps is not None else best * (1 - _NEARLY) if objective == "fps" else 0
    return [choice for choice in found.front if choice.images_per_s(found.clock_mhz) >= least][-1]


def _board_that(found: Found, target_fps: float) -> str | None:
    """Return the smallest board on which an accelerator is that fast, larger arrays than were searched among them."""
    from vitric.boards.registry import BOARDS

    memory = found.demand.memory
    boards = sorted((board for board in BOARDS.values() if board.sdram or memory != "sdram"),
                    key=lambda board: (board.part.lut4, board.part.bram))
    runs = _searched(found.demand, boards[-1].part, found.workers)
    for board in boards:
        fitting = front([placed_on(board.part, run, memory) for run in runs])
        if fitting and fitting[0].images_per_s(found.clock_mhz) >= target_fps:
            return board.name
    return None


def _what_is_missing(found: Found) -> str:
    nearest = min(found.choices, key=lambda choice: max(need / there for need, there in choice.over.values()))
    needs = ", ".join(f"{need} {name} where it has {there}" for name, (need, there) in nearest.over.items())
    other = _board_that(found, 0)
    hint = f"; {other} would do" if other else "; no board of the list would do"
    if "block RAMs" in nearest.over and found.demand.memory == "bram":
        model = nearest.run.words * nearest.spec.model_bits // 8
        hint += f" (in block RAM: the model {model} bytes, twice, an image {nearest.run.image_bytes} bytes)"
    return f"no accelerator for {found.project.name} fits {found.board.title}: the nearest needs {needs}{hint}"
