"""An accelerator for a project's model on its board: searched, chosen, or what is missing."""

import time
from typing import TYPE_CHECKING

from vitric.golden.errors import UserError

from ..project.integer import options_of, quantization_options
from ..reports.console import console
from ..tasks import HERE, Workers
from .search import Choice, Demand, Run, front, placed_on, search

if TYPE_CHECKING:
    from vitric.boards.registry import Board

    from ..project.project import Project

__all__ = ["OBJECTIVES", "Found", "choose", "find"]

OBJECTIVES = ("fps", "area")
"""The fastest, or one nearly as fast that is smaller; the smallest."""

_NEARLY = 0.02  # of the images per second that are given away for less area


class Found:
    """What a search found for a project's board.

    Attributes
    ----------
    project : Project
    board : Board
    clock_mhz : float
    choices, front : list of Choice
        All, and those worth having.
    seconds : float
        That the search took.
    """

    def __init__(self, project: "Project", runs: list[Run], *, store: bool, seconds: float):
        said = project.settings.board.clock_mhz
        self.project, self.board, self.runs, self.store, self.seconds = project, project.board, runs, store, seconds
        self.clock_mhz = project.board.clock_mhz if said is None else said
        self.choices = [placed_on(project.board.part, run, store=store) for run in runs]
        self.front = front(self.choices)

    def on(self, board: "Board") -> list[Choice]:
        """Return what is worth having on another board."""
        return front([placed_on(board.part, run, store=self.store) for run in self.runs])


def find(project: "Project", *, store: bool = True, workers: Workers = HERE, stderr: bool = False) -> Found:
    """Search accelerators for a project's network and quantization; show how far it is.

    Raises
    ------
    UserError
        The board's family has no area model, or no array can hold the model.
    """
    from rich.progress import Progress

    part = project.board.part
    if part.family.name != "ecp5":
        raise UserError(f"areas are known for ECP5 alone, not for {part.name} of {project.board.title}")
    demand = Demand(config=project.vit, options=quantization_options(options_of(project, {})), name=project.name)
    started = time.perf_counter()
    with Progress(console=console(stderr=True), transient=True) as progress:
        task = progress.add_task("arrays", total=None)
        runs = search(demand, part, workers=workers,
                      on_shape=lambda done, total: progress.update(task, completed=done, total=total))
    if not runs:
        raise UserError(f"no array that {part.name} could hold runs {project.name}")
    return Found(project, runs, store=store, seconds=round(time.perf_counter() - started, 1))


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
    from vitric.boards.registry import BOARDS

    for board in sorted(BOARDS.values(), key=lambda board: (board.part.lut4, board.part.bram)):
        front = found.on(board)
        if front and front[0].images_per_s(found.clock_mhz) >= target_fps:
            return board.name
    return None


def _what_is_missing(found: Found) -> str:
    nearest = min(found.choices, key=lambda choice: max(need / there for need, there in choice.over.values()))
    needs = ", ".join(f"{need} {name} where it has {there}" for name, (need, there) in nearest.over.items())
    other = _board_that(found, 0)
    hint = f"; {other} would do" if other else "; no board of the list would do"
    if found.store and "block RAMs" in nearest.over:
        hint += f" (the model itself takes {nearest.run.words * nearest.spec.model_bits // 8} bytes, twice)"
    return f"no accelerator for {found.project.name} fits {found.board.title}: the nearest needs {needs}{hint}"
