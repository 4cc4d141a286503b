"""What a study is: a list of cases, a function that computes one, a table and a plot of all results."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vitric.golden.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Case", "Record", "Study", "markdown_table", "percent"]

Case = Mapping[str, Any]
"""One experiment: plain JSON values, among them ``config``, the name of a network."""

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
        Returns the legal values of ``--config``.
    default : tuple of str
        Those without ``--config``.
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

    def check_config(self, config: str) -> None:
        """Raise :exc:`UserError` unless the study takes the network; the message lists those that it does."""
        if config not in self.configs():
            raise UserError(f"--config of {self.name} must be one of {', '.join(self.configs())}, not {config!r}")


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
