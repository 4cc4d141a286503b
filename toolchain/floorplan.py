"""Where nextpnr put the cells of a design, by module."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from .families import Family

__all__ = ["FLOORPLAN", "floorplan", "module_of"]

FLOORPLAN = "floorplan.json"
"""Name of the file with it."""

_LEVELS = 4
_PLACE = re.compile(r"X(\d+)/Y(\d+)/")
_LOGIC = ("TRELLIS_COMB", "TRELLIS_RAMW")


def module_of(name: str, scopes: Iterable[str], levels: int = _LEVELS) -> str:
    """Return the innermost of ``scopes``, at most ``levels`` deep, that a cell's name lies in, else ``top``."""
    parts = name.split(".")[:levels]
    paths = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((path for path in paths if path in scopes), "top")


def floorplan(family: Family, netlist: Path, scopes: Path) -> dict:
    """Return what lies where in a design that nextpnr wrote to ``netlist``.

    Cells that keep rows empty are left out (:mod:`vitric.toolchain.spread`).

    Parameters
    ----------
    family : Family
    netlist : Path
        With the places that nextpnr chose, ``NEXTPNR_BEL``.
    scopes : Path
        The submodules, a line each: ``name.scopes`` of :func:`~vitric.toolchain.run.synthesize`.

    Returns
    -------
    dict
        ``modules``, their names, and ``places``: for ``logic``, ``ff``, ``dsp`` and ``bram`` a list of
        ``[x, y, module, cells]``: column and row of the tile, from the upper left corner, the module's place in
        ``modules``, and how many of its cells lie there.
    """
    kinds = {cell: kind for kind in ("ff", "dsp", "bram") for cell in family.cells[kind]}
    kinds |= dict.fromkeys(_LOGIC, "logic")
    known = {line.removeprefix("top/") for line in scopes.read_text().splitlines()}
    counts: dict[str, Counter] = {kind: Counter() for kind in ("logic", "ff", "dsp", "bram")}
    modules: dict[str, int] = {}
    for name, cell in json.loads(netlist.read_text())["modules"]["top"]["cells"].items():
        place = _PLACE.match(cell["attributes"].get("NEXTPNR_BEL", ""))
        if place and cell["type"] in kinds and not name.startswith("$empty."):
            module = modules.setdefault(module_of(name, known), len(modules))
            counts[kinds[cell["type"]]][int(place[1]), int(place[2]), module] += 1
    return {"modules": list(modules), "places": {
        kind: [[*place, count] for place, count in sorted(found.items())] for kind, found in counts.items()}}
