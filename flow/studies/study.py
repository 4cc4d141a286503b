"""What a study is: a list of cases, a function that computes one, a table and a plot of all results."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitric.golden.errors import UserError

from ..project.file import FILE, config_names
from ..project.project import open_project

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Case", "Record", "Study", "chosen", "markdown_table", "name_of", "percent"]

Case = Mapping[str, Any]
"""One experiment: plain JSON values, among them ``config``: a network's name, or where one's own project is."""

Record = Mapping[str, Any]
"""A case and, under further names, what came out of it; plain JSON values."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """One study of ``vitric study``.

    Parameters
    ----------
    name : str
    title : str
        Of table and plot.
    configs : function
        Returns the networks by name that it takes.
    default : tuple of str
        Those that it takes unless a project is given.
    cases : function (config, images)
        Cases of one network, in the order of the table; ``images`` is None where nothing is measured on images.
    run : function (case)
        Computes one case and returns what the record adds. Equal cases give equal results.
    table : function (records)
        Markdown.
    plot : function (figure, records)
        Draws on an empty figure.
    size : pair of float
        Of the plot, in inches.
    sources : tuple of str
        Files and folders, from the top of the repository, that results depend on.
    measured : bool
        Runs a model on test images, so it has ``--images`` and a table of its own for each network. Else one table
        holds all.
    own : bool
        Takes projects of one's own.
    together : tuple of str
        Fields of a case that a table compares, so that one value alone makes none: :func:`chosen` refuses them.
    """

    name: str
    title: str
    configs: Callable[[], tuple[str, ...]]
    default: tuple[str, ...]
    cases: Callable[[str, int | None], Sequence[Case]]
    run: Callable[[Case], dict[str, Any]]
    table: Callable[[Sequence[Record]], str]
    plot: Callable[["Figure", Sequence[Record]], None]
    size: tuple[float, float]
    sources: tuple[str, ...]
    measured: bool
    own: bool = True
    together: tuple[str, ...] = ()

    def config_of(self, project: str | Path) -> str:
        """Return ``config`` of the cases of a network by name, or of a project of one's own by its folder or its file.

        Raises
        ------
        UserError
            The study takes no such network, or there is no such project; the message lists the names.
        """
        if str(project) in self.configs():
            return str(project)
        legal = f"--project of {self.name} must be one of {', '.join(self.configs())}"
        if not self.own:
            raise UserError(f"{legal}, not {str(project)!r}")
        if str(project) in config_names() or not Path(project).exists():
            raise UserError(f"{legal}, or a project of one's own, not {str(project)!r}")
        found = open_project(project)
        if self.measured and (found.weights is None or found.data is None):
            raise UserError(f"{self.name} needs a project with weights and data; {found.name} has not got both")
        path = Path(project).resolve()
        return str(path.parent if path.name == FILE else path)


def chosen(study: Study, cases: Sequence[Case], where: Sequence[str]) -> list[Case]:
    """Return the cases of a study that have every value of ``where``, each ``FIELD=VALUE``, the value as in JSON.

    Raises
    ------
    UserError
        There is no such field, or no case with that value beside the others; the message lists what there is.
    """
    cases = list(cases)
    for condition in where:
        field, _, value = condition.partition("=")
        legal = [name for name in cases[0] if name not in study.together]
        if field not in legal:
            raise UserError(f"--where of {study.name} must be FIELD=VALUE, the field one of {', '.join(legal)}, "
                            f"not {condition!r}")
        there = list(dict.fromkeys(_text(case[field]) for case in cases))
        if value not in there:
            raise UserError(f"--where {field}= must be one of {', '.join(there)}, not {value!r}")
        cases = [case for case in cases if _text(case[field]) == value]
    return cases


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def name_of(config: str) -> str:
    """Return what a network is called in tables and files: ``config`` of its cases, or the project's own name."""
    path = Path(config)
    return path.stem if path.suffix == ".toml" else path.name


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Return a Markdown table whose columns are aligned in the text too.

    The first ``left`` columns go to the left, the others to the right.
    """
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    rule = ["-" * width if column < left else "-" * (width - 1) + ":" for column, width in enumerate(widths)]

    def line(cells):
        return "| " + " | ".join(cell.ljust(width) if column < left else cell.rjust(width)
                                 for column, (cell, width) in enumerate(zip(cells, widths, strict=True))) + " |\n"

    return "".join(line(cells) for cells in (head, rule, *rows))


def percent(share: float | None) -> str:
    """Return a share of 1 as per cent with two digits, a dash for None."""
    return "–" if share is None else f"{100 * share:.2f}"
