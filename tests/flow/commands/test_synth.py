# amaranth: UnusedElaboratable=no
import json
import re
from dataclasses import replace

import pytest
from typer.testing import CliRunner
from vitric.flow.cli import app
from vitric.flow.commands.synth import measure
from vitric.golden.errors import UserError
from vitric.hdl.units import UNITS
from vitric.toolchain.parts import PARTS

TINY = {"rows": 1, "cols": 1, "depth": 2, "a_bits": 2, "w_bits": 3, "acc_bits": 12}
COUNTS = ("lut4", "ccu2c", "dpr16x4", "carry", "lut_eq", "ff", "dsp", "bram")


def synth(*arguments):
    return CliRunner().invoke(app, ["synth", *arguments])


@pytest.mark.parametrize("device", ["ecp5-85k", "gw1nr-9"])
def test_area(device, tmp_path):
    report = measure(UNITS["mac"], TINY, PARTS[device], build=tmp_path)
    assert report["fits"] and report["fmax_mhz"] is None and report["seeds"] == []
    # operands, two levels of the tree at least, accumulator, result, control
    assert report["ff"] >= 2 * 2 + 2 * 3 + 12 + 12 + 3
    assert report["lut_eq"] >= 12 and report["carry"] >= 12 and report["dsp"] == 0
    assert report["macs_per_cycle"] == 2 and report["macs_per_dsp"] is None
    assert report["lut_eq_per_mac"] == report["lut_eq"] / 2
    assert {"vitric", "amaranth", "yosys"} == set(report["tools"])


def test_command_with_place_and_route(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sets = [text for name, value in TINY.items() for text in ("--set", f"{name}={value}")]
    result = synth("mac", *sets, "--device", "up5k", "--pnr", "--seeds", "2", "--freq", "33", "--json", "report.json",
                   "--jobs", "2")
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "report.json").read_text())
    defaults = {"max_terms": 4096, "shifts": [0, 2], "mapping": "lut", "multipliers": 0, "dsp_cols": None}
    assert report["parameters"] == {**TINY, **defaults}
    assert [row["seed"] for row in report["seeds"]] == [1, 2]
    assert report["target_mhz"] == 33
    assert report["fmax_mhz"] == max(row["fmax_mhz"] for row in report["seeds"]) > 10
    assert set(report["tools"]) == {"vitric", "amaranth", "yosys", "nextpnr-ice40"}
    assert f"{report['lut_eq']} LUT-eq" in result.output and f"{report['fmax_mhz']:.1f} MHz" in result.output
    assert re.search(r"place and route, 2 seeds +\d+ s", result.output)
    # the harness holds all of the unit: its flip-flops, and one for each bit of a port
    folder, = (tmp_path / "build" / "synth").iterdir()
    best = max(report["seeds"], key=lambda row: row["fmax_mhz"])["seed"]
    assert "at 33.00 MHz" in (folder / "top.tim").read_text() == (folder / f"seed-{best}" / "top.tim").read_text()
    cells = json.loads((folder / "top.json").read_text())["modules"]["top"]["cells"]
    ports = sum(port["width"] for name, port in sidecar_ports().items() if name not in ("clk", "rst"))
    assert PARTS["up5k"].family.count(cells)["ff"] == report["ff"] + ports


def sidecar_ports():
    from vitric.flow.commands.generate import generate_unit

    return generate_unit(UNITS["mac"], TINY, "generic")[1]["ports"]


def test_multipliers_of_the_ice40(tmp_path):
    report = measure(UNITS["requantize"], {"lanes": 1, "bias_bits": 24, "out_bits": 4}, PARTS["up5k"], build=tmp_path)
    assert report["fabric"] == "ice40" and report["dsp"] == 1
    assert report["lanes"] == 1 and report["lut_eq_per_lane"] == report["lut_eq"]
    assert all(name in report for name in COUNTS)


def test_what_does_not_fit(tmp_path):
    part = replace(PARTS["gw1nr-9"], name="GW1NR-0", lut4=100, ff=20, bram=0, dsp=0)
    assert not measure(UNITS["mac"], TINY, part, build=tmp_path)["fits"]
    with pytest.raises(UserError, match=r"mac with these parameters does not fit GW1NR-0: .* \d+ flip-flops of 20"):
        measure(UNITS["mac"], TINY, part, pnr=True, build=tmp_path)


@pytest.mark.parametrize(("arguments", "message"), [
    (["tanh"], f"unit must be one of {', '.join(UNITS)}, not 'tanh'"),
    (["mac", "--set", "x=1"], "parameter of mac must be one of rows, cols, depth"),
    (["mac", "--set", "rows=0"], "mac: rows must be between 1 and 64, not 0"),
    (["mac", "--set", "mapping=best"], "mac: mapping must be one of"),
    (["mac", "--device", "virtex"], f"--device must be one of {', '.join(PARTS)}, not 'virtex'"),
    (["mac", "--seeds", "3"], "--seeds needs --pnr"),
    (["mac", "--freq", "100"], "--freq needs --pnr"),
    (["mac", "--pnr", "--freq", "0"], "--freq must be between 1 and 1000, not 0"),
    (["mac", "--pnr", "--seeds", "0"], "--seeds must be between 1 and 1000, not 0"),
])
def test_wrong_arguments_end_with_status_2(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = synth(*arguments)
    assert result.exit_code == 2
    assert message in result.output.replace("\n", " ")
    assert not list(tmp_path.iterdir())
