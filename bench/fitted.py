"""Measure what `vitric fit` chooses for three networks on a ULX3S-85F: ``python -m bench.fitted``.

An image runs through each accelerator in Verilator, a model word in each cycle, every value compared with golden; and
the accelerator is synthesized with its link and store. Where the model is not in block RAM it has a store as small as
in the designs of :mod:`bench.area`. Writes ``docs/fitted.json``, of which `python -m docs.pages` makes the table of
docs/fit.md. Of what ``vitric fit --project NAME --board ulx3s --pnr 1`` placed and routed, the clock is there too.
"""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

from vitric.boards.model_store import usual_capacity
from vitric.compiler.compile import compile_model
from vitric.compiler.cycles import predict
from vitric.flow.commands.sim import Options, simulate
from vitric.flow.fit.area import STORE_WORDS, area_model
from vitric.flow.fit.choose import choose, find
from vitric.flow.project.integer import integer_model
from vitric.flow.project.project import open_project
from vitric.flow.reports.console import console
from vitric.flow.start import run
from vitric.golden.files import write_json
from vitric.toolchain import tools

from docs.pages import FITTED, ROOT

from .area import measure

__all__ = ["PROJECTS", "main"]

PROJECTS = {"digits": "bram", "fashion": "sdram", "deit_tiny": "sdram"}
"""Built-in projects, and where their models lie."""

BOARD = "ulx3s"


def fitted(name: str, memory: str, build: Path) -> dict:
    """Return what was predicted and measured of the fastest accelerator for a project."""
    project = open_project(name).changed({"board": {"name": BOARD}})
    found = find(project, memory=memory)
    chosen = choose(found, "fps")
    parameters = {key: value for key, value in asdict(chosen.spec).items() if key != "name"}
    own = replace(project.changed({"accelerator": parameters}), build=build / name)
    compiled = compile_model(integer_model(own), own.spec)
    figures = simulate(own, Options(images=1))
    design = (usual_capacity(chosen.run.words), chosen.run.image_bytes) if memory == "bram" else (STORE_WORDS, 0)
    measured = measure(tools.require("yosys").version, chosen.spec, *design)
    return {
        "spec": parameters, "memory": memory, "clock_mhz": found.clock_mhz,
        "images_per_s": chosen.images_per_s(found.clock_mhz),
        "predicted": {"cycles": predict(compiled.stream.commands(), own.spec).cycles,
                      **asdict(area_model().area(chosen.spec, *design))},
        "measured": {"cycles": figures["cycles_per_image"], **measured["area"],
                     "values_compared": figures["values_compared"], "values_differ": figures["values_differ"]},
        "placed": _placed(project.build / "fit" / "fit.json", parameters),
    }


def _placed(file: Path, parameters: dict) -> dict | None:
    """Return what `vitric fit --pnr` measured, if it placed this accelerator."""
    if file.is_file():
        for row in json.loads(file.read_text(encoding="utf-8")).get("placed", ()):
            if {key: value for key, value in row["spec"].items() if key != "name"} == parameters:
                return {"fmax_mhz": row["fmax_mhz"], **row["measured"]}
    return None


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("projects", nargs="*", metavar="PROJECT", help=f"of {', '.join(PROJECTS)}; by default all")
    options = parser.parse_args(arguments)
    if unknown := set(options.projects) - set(PROJECTS):
        parser.error(f"projects must be of {', '.join(PROJECTS)}, not {', '.join(sorted(unknown))}")
    kept = json.loads(FITTED.read_text(encoding="utf-8")) if FITTED.is_file() else {}
    for name in options.projects or PROJECTS:
        kept[name] = fitted(name, PROJECTS[name], ROOT / "build" / "bench-fitted")
        write_json(FITTED, {each: kept[each] for each in PROJECTS if each in kept})
        console().print(f"{name}: {kept[name]['predicted']} predicted, {kept[name]['measured']} measured", markup=False)


if __name__ == "__main__":
    run(main)
