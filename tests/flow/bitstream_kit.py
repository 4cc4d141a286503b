"""A project on a board, and what stand-ins for Yosys and nextpnr give."""

import json

from vitric.flow.project.project import open_project
from vitric.golden.integer.random import random_integer_vit

CELLS = {"lut4": 5000, "ccu2c": 1000, "dpr16x4": 100, "ff": 7000, "dsp": 12, "bram": 22, "lut_eq": 7600}


def random_model(project):
    return random_integer_vit(project.vit, seed=1, spec=project.spec)


def on_board(name="ulx3s", **changes):
    return open_project("tiny").changed({"board": {"name": name, **changes}})


PLACED = json.dumps({"modules": {"top": {"cells": {"system.x": {
    "type": "TRELLIS_FF", "attributes": {"NEXTPNR_BEL": "X3/Y4/SLICEA.FF0"}}}}}})
NETLIST = json.dumps({"modules": {"top": {"cells": {}}}})


def step(kind, delay, **ends):
    return {"type": kind, "delay": delay, "net": "net", **ends}


def placed(fmax, constraint, used):
    clock = "$glbnet$clk"
    path = [step("clk-to-q", 0.5, **{"from": {"cell": "a"}}), step("routing", 9.0)]
    path.append(step("setup", 0.25, to={"cell": "b"}))
    return {
        "fmax": {"other": {"achieved": 999.0, "constraint": 12.0}, clock: {"achieved": fmax, "constraint": constraint}},
        "utilization": {"TRELLIS_COMB": {"used": used, "available": 83640}},
        "critical_paths": [{"from": "async", "to": f"posedge {clock}", "path": []},
                           {"from": f"posedge {clock}", "to": f"posedge {clock}", "path": path}],
    }
