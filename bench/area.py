"""Measure accelerators for the area model of `vitric fit`: ``python -m bench.area``.

Synthesizes the named accelerators and others drawn at random, each with its link and store as a board has it, for
ECP5. Every third of the drawn ones is held out: the model is fitted to the others and checked on these. Writes
``flow/fit/area.json``; `python -m docs.pages` then makes the table of docs/fit.md. A design that is measured is kept in
``build/bench-area`` while neither its RTL nor Yosys changes, so that a run that was interrupted goes on where it was.
``--sdram`` measures what models and images in SDRAM take more, and nothing else.
"""

import argparse
import hashlib
import json
import random
from dataclasses import asdict, replace

from amaranth.back import rtlil
from amaranth.hdl import DomainRenamer
from vitric.boards.system import MAX_PAYLOAD, System
from vitric.flow.fit.area import MEASURED, STORE_WORDS
from vitric.flow.reports.console import console
from vitric.flow.start import run
from vitric.flow.tasks import Workers, run_tasks
from vitric.golden.files import write_json, write_text
from vitric.golden.spec.accelerator import SPECS, AcceleratorSpec
from vitric.golden.spec.flash import FlashSpec
from vitric.golden.spec.sdram import BUS_BITS, SdramSpec
from vitric.hdl.memory.sdram import MEMORY_DOMAIN
from vitric.toolchain import tools
from vitric.toolchain.families import ECP5
from vitric.toolchain.folders import locked
from vitric.toolchain.run import breakdown, synthesize

from docs.pages import ROOT

__all__ = ["CACHE", "DESIGNS", "main", "measure", "sdram_area"]

CACHE = ROOT / "build" / "bench-area"
_DRAWN = 20
_BITS = range(8 * 16, 400 * 16)  # of all products of a cycle
_KEPT = ("lut_eq", "ff", "dsp", "bram")


def _drawn(rng: random.Random, number: int) -> AcceleratorSpec:
    """Return an accelerator with any parameters that fit each other, of a size that can be synthesized."""
    while True:
        rows = rng.choice([2, 4, 4, 8])
        depth = rows * rng.choice([1, 2, 4, 8])
        parameters = {
            "rows": rows, "cols": rows, "depth": depth, "a_bits": rng.choice([3, 4, 4, 4, 5, 8]),
            "w_bits": rng.choice([3, 4, 4, 4, 5, 8]), "model_bits": rng.choice([32, 64, 128]),
            "max_tokens": rng.choice([8, 20, 65, 200, 260]), "max_embed": rng.choice([24, 64, 192, 384]),
            "max_classes": rng.choice([4, 10, 100, 1000]), "act_words": rng.choice([128, 200, 512, 900, 2048]),
            "residual_words": rng.choice([64, 400, 512, 1024, 4800]), "weight_words": rng.choice([64, 128, 512, 1024]),
            "channel_words": rng.choice([64, 128, 512]), "drain_cols": rng.choice([1, 2, 4]),
            "multipliers": rng.choice([0, 0, 16, 64])}
        if rows * rows * depth * parameters["a_bits"] * parameters["w_bits"] in _BITS:
            try:
                return AcceleratorSpec(name=f"drawn {number}", **parameters)
            except ValueError:
                continue


def _designs() -> dict[str, tuple[AcceleratorSpec, bool]]:
    rng = random.Random(1)
    drawn = [_drawn(rng, number) for number in range(_DRAWN)]
    return {spec.name: (spec, False) for spec in SPECS.values()} | {
        spec.name: (spec, number % 3 == 0) for number, spec in enumerate(drawn)}


DESIGNS = _designs()
"""What is measured, and whether it is held out, by name."""


def measure(version: str, spec: AcceleratorSpec, capacity: int = STORE_WORDS, image_bytes: int = 0, *,
            sdram: bool = False) -> dict:
    """Return ``area`` and ``array`` of an accelerator with its link and store, from the cache if they are there.

    ``version`` is Yosys's; ``image_bytes`` counts if it is more than the link holds anyway. With ``sdram`` models and
    images lie in one, as if all had one clock, and models are looked for in a flash.
    """
    memory = SdramSpec(clock_hz=100_000_000, burst=spec.model_bits // BUS_BITS) if sdram else None
    flash = FlashSpec(clock_hz=50_000_000) if sdram else None
    system = System(spec, init=(), capacity=capacity, divisor=50, clock_hz=50_000_000, fabric=ECP5.name,
                    max_payload=max(MAX_PAYLOAD, image_bytes), sdram=memory, flash=flash)
    text = rtlil.convert(DomainRenamer({MEMORY_DOMAIN: "sync"})(system), name="top", emit_src=False)
    key = hashlib.sha256(repr((text, version, ECP5.script("top", bare=True))).encode()).hexdigest()[:16]
    kept = CACHE / f"{key}.json"
    if not kept.exists():
        folder = CACHE / key
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            write_text(folder / "top.il", text)
            cells = synthesize(ECP5, folder, "top", lambda doing, share=None: None, bare=True)
            inside = [row for row in breakdown(ECP5, folder) if row["module"].startswith("accelerator.core.array")]
        write_json(kept, {"area": {name: cells[name] for name in _KEPT},
                          "array": {name: sum(row[name] for row in inside) for name in _KEPT}})
    return json.loads(kept.read_text(encoding="utf-8"))


def sdram_area(version: str) -> dict[str, int]:
    """Return what models and images in SDRAM, and a flash, take more than a model in block RAM; lines of 64 bits."""
    spec = replace(SPECS["tiny"], name="tiny_64", depth=8, model_bits=64)
    without, with_it = measure(version, spec)["area"], measure(version, spec, sdram=True)["area"]
    return {name: with_it[name] - without[name] for name in ("lut_eq", "ff")}


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=1, help="processes that share the work")
    parser.add_argument("--sdram", action="store_true", help="measure what an SDRAM takes, and nothing else")
    options = parser.parse_args(arguments)
    if options.sdram:
        console().print(sdram_area(tools.require("yosys").version))
        return
    say, specs = console(), {name: spec for name, (spec, _) in DESIGNS.items()}
    found = run_tasks(
        measure, tools.require("yosys").version, specs, Workers(options.jobs),
        on_result=lambda name, row: say.print(f"{name}: {row['area']['lut_eq']} LUT-eq, {row['area']['ff']} FF"))
    write_json(MEASURED, {"designs": [
        {"spec": asdict(DESIGNS[name][0]), "held_out": DESIGNS[name][1], **row} for name, row in found.items()]})


if __name__ == "__main__":
    run(main)
