"""`vitric formal`: prove properties of the hardware, or show the inputs that break them."""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import typer
from vitric.golden.errors import UserError
from vitric.golden.files import write_json, write_text
from vitric.toolchain.folders import locked

from ..inputs.options import SECONDS, Jobs, JsonFile, Scheduler
from ..reports.console import console
from ..tasks import Workers, run_tasks

__all__ = ["FOLDER", "choose", "formal_command"]

FOLDER = Path("build", "formal")
"""Where the files of a proof are written, in a folder of its name."""


def choose(names: list[str], known: list[str]) -> list[str]:
    """Return the names of proofs that are meant, in the order of ``known``; all if ``names`` is empty.

    A name stands for the proof of that name, or for all proofs of a unit (``mac`` for ``mac.hold``, ``mac.count`` and
    so on); ``*`` stands for anything.

    Raises
    ------
    UserError
        A name fits nothing.
    """
    def fits(name, proof):
        return fnmatchcase(proof, name) or fnmatchcase(proof.rpartition(".")[0], name)

    for name in names:
        if not any(fits(name, proof) for proof in known):
            units = ", ".join(dict.fromkeys(proof.rpartition(".")[0] for proof in known))
            raise UserError(f"there is no proof {name!r}; there are proofs of {units}")
    return [proof for proof in known if not names or any(fits(name, proof) for name in names)]


def _trace_text(trace) -> str:
    """Return a counterexample as a table, one line per cycle."""
    names = list(trace[0])
    rows = [["cycle", *names], *([str(cycle), *(format(values[name], "x") for name in names)]
                                 for cycle, values in enumerate(trace))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(names) + 1)]
    lines = ("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(lines) + "\n"


def _prove(seconds: int, name: str):
    from vitric.formal.catalogue import PROOFS
    from vitric.formal.prover import prove

    proof, folder = PROOFS[name], FOLDER / name
    with locked(folder):
        return prove(proof.build(), proof.method, folder, sources=proof.sources, seconds=seconds)


def formal_command(
    names: Annotated[list[str] | None, typer.Argument(help="Proofs or units, for example mac or mac.order.")] = None,
    json_file: JsonFile = None,
    seconds: Annotated[int, typer.Option(**SECONDS, help="Time limit of a proof.")] = 120,
    jobs: Jobs = 1,
    scheduler: Scheduler = None,
) -> None:
    """Prove the properties of NAMES, or all of them, for every input; exit with status 1 if one is not proved.

    The inputs of a counterexample, cycle by cycle, are written to build/formal/NAME/counterexample.txt.
    """
    from rich.progress import Progress
    from rich.table import Table
    from vitric.formal.catalogue import PROOFS

    chosen = choose(names or [], list(PROOFS))
    say = console(stderr=str(json_file) == "-")
    table = Table("proof", "result", "method", "gates", "registers", "seconds", box=None)
    with Progress(console=say, transient=True, disable=not say.is_terminal) as progress:
        task = progress.add_task("proving", total=len(chosen))

        def told(name, outcome):
            progress.advance(task)
            if not say.is_terminal:
                say.print(f"{name}: {outcome.status}, {outcome.method}, {outcome.seconds:.1f} s", markup=False)
            if outcome.counterexample:
                path = FOLDER / name / "counterexample.txt"
                write_text(path, _trace_text(outcome.counterexample))
                say.print(f"{name}: {PROOFS[name].says}: broken after {len(outcome.counterexample)} cycles, see {path}",
                          style="red", markup=False)

        found = run_tasks(_prove, seconds, {name: name for name in chosen}, Workers(jobs, scheduler), on_result=told)
    results = []
    for name, outcome in found.items():
        colour = {"proved": "green", "failed": "red"}.get(outcome.status, "yellow")
        table.add_row(name, f"[{colour}]{outcome.status}[/]", outcome.method, str(outcome.gates),
                      str(outcome.registers), f"{outcome.seconds:.1f}")
        results.append({
            "name": name, "says": PROOFS[name].says, "status": outcome.status, "method": outcome.method,
            "seconds": outcome.seconds, "gates": outcome.gates, "registers": outcome.registers,
            "counterexample": list(outcome.counterexample)})
    if say.is_terminal:
        say.print(table)
    proved = sum(result["status"] == "proved" for result in results)
    total = sum(result["seconds"] for result in results)
    say.print(f"{proved} of {len(results)} proved in {total:.0f} s")
    if json_file is not None:
        write_json(json_file, {"proofs": results, "proved": proved, "seconds": round(total, 1)})
    if proved < len(results):
        raise typer.Exit(1)
