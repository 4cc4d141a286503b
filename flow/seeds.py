"""Place and route with several seeds, side by side where there are workers; the best one counts."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vitric.golden.files import write_bytes, write_text
from vitric.toolchain.families import FAMILIES, Family
from vitric.toolchain.floorplan import FLOORPLAN, floorplan
from vitric.toolchain.folders import locked
from vitric.toolchain.run import Steps, place_and_route

from .tasks import HERE, Workers, run_tasks

__all__ = ["SCOPES", "Placed", "place_best"]

SCOPES = "top.scopes"
"""File with the submodules of a design; where it is an input, a floorplan is made."""


@dataclass(frozen=True)
class Placed:
    """The best of several runs.

    Attributes
    ----------
    seed : int
        Of the run that reached the highest clock; of equals the one that was asked for first.
    report : dict
        Its report, as nextpnr writes it.
    seeds : list of dict
        ``seed`` and ``fmax_mhz`` of each run.
    """

    seed: int
    report: dict
    seeds: list[dict]


def _place(common: tuple, seed: int, tell=lambda doing, share=None: None) -> tuple[dict, dict[str, bytes]]:
    """Place and route with one seed in a folder of its own; return nextpnr's report and all files that were written."""
    family, arguments, inputs, folder = common
    place = Path(folder, f"seed-{seed}")
    with locked(place):
        for name, content in inputs.items():
            write_bytes(place / name, content)
        netlist, own = next(iter(inputs)), FAMILIES[family]
        report = place_and_route(own, place, [*arguments, "--seed", str(seed)], tell, netlist)
        if own.placed and SCOPES in inputs:  # the file itself is as large as the netlist
            write_text(place / FLOORPLAN, json.dumps(floorplan(own, place / own.placed, place / SCOPES)) + "\n")
            (place / own.placed).unlink()
        written = (path for path in place.iterdir() if path.name not in (*inputs, ".lock"))
        return report, {path.name: path.read_bytes() for path in written}


def place_best(
    family: Family, folder: Path, arguments: Sequence[str], seeds: Sequence[int], *, inputs: Sequence[str],
    fmax: Callable[[dict], float], steps: Steps, workers: Workers = HERE,
    enough: Callable[[dict], bool] | None = None,
) -> Placed:
    """Place and route a netlist in ``folder`` with each of ``seeds``; the files of the best run are then in ``folder``.

    A run has a folder of its own, ``folder/seed-N``, where its log is.

    Parameters
    ----------
    family : Family
    folder : Path
    arguments : sequence of str
        Of :func:`~vitric.toolchain.run.place_and_route`, without the seed.
    seeds : sequence of int
    inputs : sequence of str
        Names of the files in ``folder`` that nextpnr reads, the netlist first, and :data:`SCOPES` for a floorplan.
    fmax : function
        Returns the clock in MHz that counts, of nextpnr's report.
    steps : Steps
    workers : Workers
    enough : function, optional
        Returns whether a run, by nextpnr's report, is good enough to leave out the seeds that were not begun.

    Raises
    ------
    UserError
        nextpnr or a worker is not there.
    vitric.golden.errors.ToolFailure
        nextpnr failed.
    """
    contents = {name: (folder / name).read_bytes() for name in inputs}
    common = family.name, list(arguments), contents, str(folder.resolve())
    found, best, stop = {}, {}, []

    def keep(seed: int, run: tuple[dict, dict[str, bytes]]) -> None:
        found[seed] = fmax(run[0])
        if max(seeds, key=lambda one: found.get(one, -1.0)) == seed:
            best.clear()
            best[seed] = run
        if enough is not None and enough(run[0]):
            stop.append(seed)

    if workers.here:
        for seed in seeds:
            with steps.step("place and route" if len(seeds) == 1 else f"place and route, seed {seed}") as tell:
                keep(seed, _place(common, seed, tell))
            if stop:
                break
    else:
        together = len(seeds) if enough is None else workers.count()
        with steps.step(f"place and route, {len(seeds)} seeds") as tell:
            def on_result(seed: int, run: tuple[dict, dict[str, bytes]]) -> None:
                keep(seed, run)
                tell(f"{len(found)} of {len(seeds)} seeds", len(found) / len(seeds))

            for begin in range(0, len(seeds), together):
                if not stop:
                    chosen = {seed: seed for seed in seeds[begin:begin + together]}
                    run_tasks(_place, common, chosen, workers, on_result=on_result)
    (seed, (report, files)), = best.items()
    for name, content in files.items():
        write_bytes(folder / name, content)
    return Placed(seed, report, [{"seed": seed, "fmax_mhz": round(found[seed], 2)} for seed in seeds if seed in found])
