"""`vitric report`: what a project's folder holds, as one page of HTML."""

from pathlib import Path
from typing import Annotated

import typer
from vitric.golden.errors import UserError

from ..inputs.options import BoardName, ProjectName, check_output
from ..reports.console import console

__all__ = ["report_command"]


def report_command(
    project: ProjectName = None,
    board: BoardName = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Page (*.html); by default build/PROJECT/report.html.")] = None,
) -> None:
    """Write one page of HTML about a project: accuracy, images, cycles, area, memory, number formats.

    It shows what `vitric quantize`, `sim` and `bitstream` left in the project's folder, and says for everything that is
    not there which command makes it. The file needs no network and nothing beside it.
    """
    from vitric.golden.files import write_text

    from ..page.accuracy import accuracy
    from ..page.area import area
    from ..page.contract import contract
    from ..page.found import Found
    from ..page.images import images
    from ..page.memory import memory
    from ..page.render import page
    from ..page.summary import summary
    from ..page.time import time
    from ..project.project import open_project

    if out is not None and out.suffix != ".html":
        raise UserError(f"--out must be named *.html, not {out}")
    work = open_project(project).changed({"board": {"name": board}})
    path = check_output(out or work.build / "report.html")
    found = Found(project=work, name=project or work.name, board=board)
    say, sections = console(), []
    with say.status("reading") as status:
        for make in (summary, images, accuracy, time, area, memory, contract):
            status.update(f"{make.__name__} of {work.name}")
            sections.append(make(found))
    write_text(path, page(f"{work.name} · vitric", sections))
    say.print(f"page: {path}", markup=False, soft_wrap=True)
