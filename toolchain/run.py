"""Yosys, nextpnr and a packer, one after the other, showing what they are doing.

All three run inside the folder of the design and get relative names, because packaged tools do not see absolute
paths everywhere.
"""

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

from vitric.golden.errors import UserError
from vitric.golden.files import write_text

from . import processes, tools
from .families import Family
from .floorplan import module_of
from .parts import Part

__all__ = ["Steps", "breakdown", "pack", "place_and_route", "run_script", "run_tool", "run_yosys",
           "synthesize"]

Tell = Callable[[str, float | None], None]
"""Takes what a tool is doing and, where it is known, the share that is done."""


class Steps:
    """Shows one step after the other: a live line on a terminal, a line that stays when the step is done.

    Parameters
    ----------
    say : rich.console.Console
    """

    def __init__(self, say):
        self._say = say
        self.seconds: dict[str, float] = {}
        """Wall time of each step that is done, by its name."""

    @contextmanager
    def step(self, name: str) -> Iterator[Tell]:
        """Run one step; what it tells is shown beside its name."""
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        started = perf_counter()
        columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn(
            "{task.fields[doing]}")
        last = ""
        with Progress(*columns, console=self._say, transient=True, disable=not self._say.is_terminal) as bar:
            task = bar.add_task(name, total=None, doing="")

            def tell(doing: str, share: float | None = None) -> None:
                nonlocal last
                bar.update(task, doing=doing, total=None if share is None else 1.0, completed=share or 0.0)
                stage = doing.partition(":")[0]
                if not self._say.is_terminal and stage != last:  # a log gets each stage once
                    self._say.print(f"  {name}: {stage} ({perf_counter() - started:.0f} s)", markup=False)
                last = stage

            yield tell
        self.seconds[name] = round(perf_counter() - started, 1)
        self._say.print(f"[bold]{name:<15}[/] {self.seconds[name]:.0f} s")


def run_tool(name: str, arguments: Sequence[str], folder: Path, log: str, on_line: Callable[[str], None]) -> None:
    """Run a tool of :mod:`vitric.toolchain.tools` in ``folder``; give every line of its output to ``on_line``.

    The output is the file ``log`` in ``folder`` as well.

    Raises
    ------
    UserError
        The tool is not there.
    ToolFailure
        It ended with an error.
    """
    tool = tools.require(name)
    with open(folder / log, "w", encoding="utf-8") as file, processes.started(
            [tool.path, *arguments], folder, environment={**processes.own_environment(), **tool.environment},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace") as process:
        for line in process.stdout:
            file.write(line)
            on_line(line.rstrip())
        status = process.wait()
    if status:
        raise processes.failure(name, status, folder / log)


def run_script(folder: Path, name: str, *, seconds: float | None = None) -> None:
    """Run Yosys on ``name.ys`` in ``folder``; the log is ``name.log``.

    Raises
    ------
    UserError
        There is no Yosys.
    ToolFailure
        It ended with an error.
    subprocess.TimeoutExpired
        It took longer than ``seconds``, and was ended.
    """
    tool, log = tools.require("yosys"), folder / f"{name}.log"
    environment = {**processes.own_environment(), **tool.environment}
    if status := processes.run([tool.path, "-q", "-s", f"{name}.ys"], folder, environment=environment, log=log,
                               seconds=seconds):
        raise processes.failure(f"yosys {name}.ys", status, log)


def run_yosys(folder: Path, name: str, tell: Tell) -> dict[str, dict]:
    """Run Yosys on ``name.ys``, which must write ``name.json``; return the cells of module ``top``.

    ``name.rpt`` is the log.
    """

    def on_line(line: str) -> None:
        if found := re.match(r"[\d.]+ Executing (\w+) pass", line):
            tell(f"yosys: {found[1].lower()}", None)

    run_tool("yosys", [f"{name}.ys"], folder, f"{name}.rpt", on_line)
    return json.loads((folder / f"{name}.json").read_text())["modules"]["top"]["cells"]


def synthesize(family: Family, folder: Path, name: str, tell: Tell, *, bare: bool = False) -> dict[str, float]:
    """Synthesize ``name.il`` into ``name.json``; return its cells as :meth:`Family.count` gives them."""
    write_text(folder / f"{name}.ys", family.script(name, bare=bare))
    return family.count(run_yosys(folder, name, tell))


def breakdown(family: Family, folder: Path, levels: int = 4) -> list[dict]:
    """Return the cells of ``top.json`` by submodule of ``top.scopes``, ``levels`` deep, largest first.

    A look-up table is counted where the signal it drives is declared, so that logic at the border of two submodules
    may be counted in either.

    Returns
    -------
    list of dict
        ``module`` (path with dots), the names of ``family.cells`` and ``lut_eq``.
    """
    cells = json.loads((folder / "top.json").read_text())["modules"]["top"]["cells"]
    scopes = {line.removeprefix("top/") for line in (folder / "top.scopes").read_text().splitlines()}
    known = {kind for kinds in family.cells.values() for kind in kinds}
    modules: dict[str, dict[str, dict]] = {}
    for name, cell in cells.items():
        if cell["type"] in known:
            modules.setdefault(module_of(name, scopes, levels), {})[name] = cell
    rows = [{"module": path, **family.count(own)} for path, own in modules.items()]
    return sorted(rows, key=lambda row: -(row["lut_eq"] + row["ff"]))


def place_and_route(family: Family, folder: Path, arguments: Sequence[str], tell: Tell,
                    netlist: str = "top.json") -> dict:
    """Run the family's nextpnr on ``netlist``, with ``arguments`` for the part and its files; return nextpnr's report.

    ``top.tim`` is the log. A clock that is missed is no error here: see ``fmax`` of the report.
    """
    arcs = 0

    def on_line(line: str) -> None:
        nonlocal arcs
        text = line.removeprefix("Info: ").strip()
        if found := re.match(r"at (?:initial placer iter|iteration #)\s*(\d+)|iter=(\d+) steplen", text):
            tell(f"placing: step {found[1] or found[2]}", None)
        elif found := re.match(r"iter=(\d+) wires=\d+ overused=(\d+)", text):
            tell(f"routing: round {found[1]}, {found[2]} wires overused", None)
        elif found := re.match(r"Routing (\d+) arcs", text):
            arcs = int(found[1])
        elif arcs and (found := re.match(r"\d+ \|.*\|\s*(\d+)\s*\|", text)):
            tell(f"routing: {found[1]} of {arcs} arcs left", max(0.0, 1 - int(found[1]) / arcs))
        elif text.startswith("Packing"):
            tell("packing: " + text.removeprefix("Packing ").rstrip("."), None)

    run_tool(family.nextpnr, [
        *arguments, "--json", netlist, "--report", "report.json", "--timing-allow-fail",
    ], folder, "top.tim", on_line)
    return json.loads((folder / "report.json").read_text())


def pack(part: Part, folder: Path) -> Path:
    """Run the packer of the part's family on what nextpnr wrote; return the bitstream.

    Raises
    ------
    UserError
        The family has none here.
    """
    packer = part.family.packer
    if packer is None:
        raise UserError(f"there is no packer for {part.family.title}: no board of that family is known")
    run_tool(packer.tool, [*part.packing, *packer.arguments], folder, "pack.log", lambda line: None)
    return folder / packer.product
