"""The SoC for a ULX3S with everything but the tools that take long: what they would get."""

from rich.console import Console
from typer.testing import CliRunner
from vitric.flow.cli import app
from vitric.integration.c_header import c_header
from vitric.integration.litex import ulx3s
from vitric.integration.litex.firmware import DRIVER, c_array, compile_program
from vitric.sim.benches.litex import data_header
from vitric.toolchain.families import ECP5
from vitric.toolchain.run import Steps


def program(soc, folder):
    files = {"data.h": data_header(c_array), "registers.h": c_header()}
    return compile_program(soc, [DRIVER / "demo.c"], folder, files=files)


def test_what_the_tools_get(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = CliRunner().invoke(app, ["generate", "--project", "tiny", "--wrapper", "axis", "--fabric", "ecp5", "--out",
                                    "vit.v"])
    assert made.exit_code == 0, made.output
    asked = []
    monkeypatch.setattr(ulx3s, "synthesize", lambda *arguments: asked.append(arguments) or {"lut4": 5})
    monkeypatch.setattr(ulx3s, "place_and_route", lambda family, folder, arguments, tell, netlist: (
        asked.append(arguments) or {"fmax": {"sys": {"achieved": 55.5}}}))
    monkeypatch.setattr(ulx3s, "pack", lambda family, folder: asked.append(folder))
    soc = ulx3s.Ulx3sSoC(tmp_path / "vit.json", clock_hz=40_000_000)
    figures = ulx3s.build(soc, tmp_path, program, Steps(Console(quiet=True)), seed=7)
    assert figures == {"lut4": 5, "fmax_mhz": {"sys": 55.5}}
    assert asked[0][:3] == (ECP5, tmp_path, "top") and asked[1][-2:] == ["--seed", "7"] and "--85k" in asked[1]
    assert asked[2] == tmp_path
    netlist, pins = (tmp_path / "top.il").read_text(), (tmp_path / "top.lpf").read_text()
    for cell in ("EHXPLLL", "ODDRX1F", "VexRiscv", "accelerator_tiny_ecp5_axis", "MULT18X18D", "CCU2C"):
        assert f"cell \\{cell} " in netlist, cell
    for port, pin in (("clk25", "G2"), ("serial_tx", "L4"), ("sdram_clock", "F19"), ("sdram_dq[15]", "J17"),
                      ("sdram_a[12]", "G19")):
        assert f'LOCATE COMP "{port}" SITE "{pin}";' in pins
    assert 'FREQUENCY PORT "clk25" 25.0 MHz;' in pins
    rom = (tmp_path / "soc_rom.init").read_text().split()
    assert len(rom) > 1000 and int(rom[0], 16) != 0
