"""`vitric mutate`: plant faults in a unit and see which of them its bench catches."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from vitric.golden.files import write_json, write_text
from vitric.hdl.units import UNITS, Unit
from vitric.toolchain.folders import locked

from ..inputs.options import SECONDS, SEED, Jobs, JsonFile, Scheduler
from ..inputs.units import find_unit
from ..reports.console import console
from ..tasks import Workers, run_tasks

if TYPE_CHECKING:
    from vitric.sim.mutants import Fault

__all__ = ["NEEDED", "REASONS", "mutate_command", "reason_of"]

NEEDED = 0.95
"""Share of the faults that a bench must catch."""

REASONS = Path(__file__).resolve().parents[2] / "tests" / "mutation"
"""``UNIT.json`` in this folder says why faults survive."""


def _line(source: str) -> str:
    """Return the text of a line of the repository given as ``file:line``; empty if there is none."""
    name, _, number = source.rpartition(":")
    path = REASONS.parents[1] / name
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return lines[int(number) - 1].strip() if 0 < int(number) <= len(lines) else ""


def reason_of(fault, reasons: list[dict]) -> str:
    """Return why a fault survives: the ``reason`` of the first entry that fits it, or an empty string.

    An entry fits if each of its other keys that a fault has (``mode``, ``kind``, ``port``, ``bit``, ``wire``) has the
    fault's value, and if its ``line``, should it have one, is the text of one of the lines that the fault comes from.
    Lines are compared by text, so that an entry outlives changes elsewhere in its file.
    """
    values = asdict(fault)
    lines = {_line(source) for source in fault.sources}
    for entry in reasons:
        wanted = {key: value for key, value in entry.items() if key not in ("reason", "line")}
        if all(values[key] == value for key, value in wanted.items()) and entry.get("line") in (None, *lines):
            return entry["reason"]
    return ""


def _describe(fault) -> str:
    control = f" while bit {fault.control} is {fault.mode[-1]}" if fault.control >= 0 else ""
    place = ", ".join(fault.sources) or "no source"
    return f"{fault.mode} at {fault.kind}.{fault.port}[{fault.bit}]{control} {fault.wire} ({place})"


def _hunted(common: tuple, faults: range) -> dict[int, str]:
    """Return what :func:`~vitric.sim.mutants.hunt` finds among some faults, in a folder of their own."""
    from vitric.sim.mutants import hunt

    unit, seed, netlist, folder = common
    place, chosen = Path(folder, f"sim-{faults[0]}"), UNITS[unit]
    with locked(place):
        path = write_text(place / "mutants.v", netlist)
        return hunt(chosen, chosen.fine, path, faults, place, seed=seed)


def _proved(common: tuple, fault: "Fault") -> bool:
    """Return whether a fault is proved to be none."""
    from vitric.formal.equivalent import is_equivalent

    netlist, folder, seconds = common
    place = Path(folder, f"equal-{fault.number}")
    with locked(place):
        return is_equivalent(write_text(place / "before.il", netlist), fault.change, place, seconds=seconds)


def _hunt(unit: Unit, netlist: Path, count: int, folder: Path, seed: int, workers: Workers, tell) -> dict[int, str]:
    """Hunt all faults, in one simulation here or in as many as there are workers; ``tell`` gets how many are done."""
    from vitric.sim.mutants import hunt

    if workers.here:
        return hunt(unit, unit.fine, netlist, range(1, count + 1), folder / "sim", seed=seed, tell=tell)
    size, done = -(-count // min(workers.count(), count)), 0

    def on_result(faults: range, caught: dict[int, str]) -> None:
        nonlocal done
        done += len(faults)
        tell(done)

    common = unit.name, seed, netlist.read_text(), str(folder.resolve())
    parts = [range(first, min(first + size, count + 1)) for first in range(1, count + 1, size)]
    found = run_tasks(_hunted, common, {part: part for part in parts}, workers, on_result=on_result)
    return {number: test for caught in found.values() for number, test in caught.items()}


def _survivors(unit: str, planted, caught, folder: Path, seconds: int, workers: Workers, say) -> list[dict]:
    """Return the faults that were not caught, with ``equivalent`` (proved to be none) and ``reason``; show them."""
    path = REASONS / f"{unit}.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    alive = {fault.number: fault for fault in planted if fault.number not in caught}
    reasons = {number: reason_of(fault, known) for number, fault in alive.items()}

    def show(number: int, note: str) -> None:
        say.print(f"{number}: {_describe(alive[number])}: {note}", markup=False, highlight=False)

    for number, reason in reasons.items():
        if reason:
            show(number, reason)
    unknown = {number: fault for number, fault in alive.items() if not reasons[number]}
    common = (folder / "before.il").read_text(), str(folder.resolve()), seconds
    proved = run_tasks(_proved, common, unknown, workers, on_result=lambda number, proved: show(
        number, "no fault: proved to change no output" if proved else "NO REASON"))
    return [{**asdict(fault), "sources": list(fault.sources), "equivalent": proved.get(number, False),
             "reason": reasons[number]} for number, fault in alive.items()]


def mutate_command(
    unit: Annotated[str, typer.Argument(metavar="UNIT", help=f"One of {', '.join(UNITS)}.")],
    faults: Annotated[int, typer.Option(min=1, max=100_000, help="How many faults to plant.")] = 100,
    seed: Annotated[
        int, typer.Option(**SEED, help="Chooses the places of the faults and the vectors of the bench.")] = 1,
    seconds: Annotated[int, typer.Option(**SECONDS, help="Time limit of the proof that a survivor is no fault.")] = 20,
    json_file: JsonFile = None,
    jobs: Jobs = 1,
    scheduler: Scheduler = None,
) -> None:
    """Plant FAULTS in the netlist of UNIT, run its bench on each, and list those that it does not see.

    A survivor that provably changes no output is not counted as a fault. The exit status is 1 if less than 95 % of the
    others are caught, or if one of them survives without a reason in tests/mutation/UNIT.json. Files are written to
    build/mutate/UNIT.
    """
    from vitric.sim.mutants import plant

    chosen, workers = find_unit(unit), Workers(jobs, scheduler)
    from rich.progress import Progress

    say, folder = console(stderr=str(json_file) == "-"), Path("build", "mutate", unit)
    with locked(folder):
        netlist, planted = plant(chosen.make(chosen.fine), folder, count=faults, seed=seed)
        with Progress(console=say, transient=True, disable=not say.is_terminal) as progress:
            task = progress.add_task(f"{unit}: {len(planted)} faults", total=len(planted) + 1)
            caught = _hunt(chosen, netlist, len(planted), folder, seed, workers,
                           lambda done: progress.update(task, completed=done))
        survivors = _survivors(unit, planted, caught, folder, seconds, workers, say)
    real = len(planted) - sum(survivor["equivalent"] for survivor in survivors)
    unexplained = [one for one in survivors if not one["equivalent"] and not one["reason"]]
    share = len(caught) / real if real else 1.0
    say.print(f"{unit}: {len(caught)} of {real} faults caught, {share:.1%}; {len(planted) - real} changes proved to be "
              f"no fault; {len(unexplained)} survivors without a reason")
    if json_file is not None:
        write_json(json_file, {
            "unit": unit, "seed": seed, "planted": len(planted), "equivalent": len(planted) - real,
            "caught": len(caught), "share": round(share, 4), "survivors": survivors})
    if share < NEEDED or unexplained:
        raise typer.Exit(1)
