"""Execute the tutorial's notebook and keep its outputs: ``python -m docs.notebook``.

A test executes it too and compares every printed line, so whoever changes what it shows must run this.
"""

from pathlib import Path

import nbformat
from nbclient import NotebookClient
from vitric.flow.start import run
from vitric.golden.files import write_text

from .imports import ROOT

__all__ = ["NOTEBOOK", "execute", "main", "printed"]

NOTEBOOK = ROOT / "docs" / "tutorial.ipynb"


def execute(folder: Path) -> nbformat.NotebookNode:
    """Return the notebook with outputs of its cells, run in ``folder``; raise what a cell raises."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": str(folder)}}).execute()
    for cell in notebook.cells:
        cell.metadata.clear()  # when it ran
    return notebook


def printed(notebook: nbformat.NotebookNode) -> list[str]:
    """Return what each cell of code printed."""
    return ["".join(output.text for output in cell.outputs if output.output_type == "stream")
            for cell in notebook.cells if cell.cell_type == "code"]


def main() -> None:
    """Execute the notebook in the root of the repository, whose builds it takes, and write it with its outputs."""
    write_text(NOTEBOOK, nbformat.writes(execute(ROOT)) + "\n")


if __name__ == "__main__":
    run(main)
