"""Build a SoC of LiteX with `tiny` for the ULX3S-85F, area and clock: ``python -m bench.litex_soc``.

Writes ``build/litex/ulx3s/top.bit`` and ``figures.json``. Its ROM holds the program that the tests boot: it runs three
digits and writes their logits to the serial line, at 115,200 baud.
"""

import argparse
from contextlib import chdir
from pathlib import Path

from vitric.flow.commands.generate import generate
from vitric.flow.project.project import open_project
from vitric.flow.reports.console import console
from vitric.flow.start import run
from vitric.golden.files import write_json, write_text
from vitric.integration.c_header import c_header
from vitric.integration.litex.firmware import DRIVER, c_array, compile_program
from vitric.integration.litex.ulx3s import Ulx3sSoC, build
from vitric.sim.benches.litex import data_header
from vitric.toolchain.run import Steps

__all__ = ["main"]


def program(soc: Ulx3sSoC, folder: Path) -> list[int]:
    """Return the words of the ROM."""
    files = {"data.h": data_header(c_array), "registers.h": c_header()}
    return compile_program(soc, [DRIVER / "demo.c"], folder, files=files)


def main() -> None:
    """Build it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--clock-mhz", type=float, default=40)
    parser.add_argument("--seed", type=int, default=1, help="of place and route")
    options = parser.parse_args()
    folder = Path("build", "litex", "ulx3s").resolve()
    text, sidecar = generate(open_project("tiny"), "ecp5", name="vit", wrapper="axis")
    write_text(folder / "vit.v", text)
    write_json(folder / "vit.json", sidecar)
    with chdir(folder):  # where LiteX leaves what its memories hold
        soc = Ulx3sSoC(folder / "vit.json", clock_hz=round(options.clock_mhz * 1e6))
        figures = build(soc, folder, program, Steps(console()), seed=options.seed)
    write_json(folder / "figures.json", {"clock_mhz": options.clock_mhz, **figures})
    console().print(f"{folder / 'top.bit'}: {figures}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    run(main)
