# amaranth: UnusedElaboratable=no
"""A bitstream with everything but the three tools."""

import json

import pytest
from vitric.boards.crc import crc32c
from vitric.boards.registry import find_board
from vitric.compiler.compile import compile_model
from vitric.compiler.cycles import predict
from vitric.compiler.lower import image_bytes
from vitric.flow import bitstream
from vitric.flow.bitstream import build_bitstream
from vitric.flow.project.project import open_project
from vitric.flow.reports import bitstream as bitstream_report
from vitric.golden.errors import UserError

from tests.flow.bitstream_kit import NETLIST, on_board, random_model


def test_report_and_products(tools, tmp_path):
    report = build_bitstream(on_board(seed=7))
    folder = tmp_path / "build" / "tiny" / "ulx3s"
    assert (folder / "top.bit").read_bytes() == b"bits"
    assert json.loads((folder / "report.json").read_text()) == report
    assert tools.pnr == ["--85k", "--package", "CABGA381", "--speed", "6", "--lpf", "top.lpf",
                         "--textcfg", "top.config", "--write", "placed.json", "--seed", "7"]
    assert json.loads((folder / "work" / "floorplan.json").read_text()) == {
        "modules": ["system"], "places": {"logic": [], "ff": [[3, 4, 0, 1]], "dsp": [], "bram": []}}
    assert not list((folder / "work").rglob("placed.json"))
    compiled = compile_model(random_model(open_project("tiny")), open_project("tiny").spec)
    cycles = predict(compiled.stream.commands(), compiled.spec).cycles
    expected = {
        "config": "tiny", "board": "ulx3s", "device": "LFE5U-85F", "seed": 7,
        "seeds": [{"seed": 7, "fmax_mhz": 60.0}], "fmax_mhz": 60.0, "clock_mhz": 50.0,
        "timing_met": True, "lut4": 5000, "ccu2c": 1000, "ff": 7000, "dsp": 12, "bram": 22, "lut_eq": 7600,
        "comb": 8364, "empty_rows": 0, "cycles_per_image": cycles, "cycles_source": "cycle model",
        "images_per_second": round(50e6 / cycles, 1),
        "model_words": len(compiled.stream), "capacity_words": 2048, "baud": 1_000_000,
        "model_crc32c": f"{crc32c(compiled.stream.data):08x}", "bitstream": "build/tiny/ulx3s/top.bit",
    }
    assert {name: report[name] for name in expected} == expected
    assert tools.netlist == json.loads(NETLIST)
    assert report["percent"] == {"lut4": 5.98, "ccu2c": 2.39, "ff": 8.37, "dsp": 7.69, "bram": 10.58, "comb": 10.0}
    assert report["critical_path"] == {
        "from": "a", "to": "b", "delay_ns": 9.75, "logic_ns": 0.75, "routing_ns": 9.0, "nets": ["net"]}
    assert set(report["tools"]) >= {"yosys", "nextpnr-ecp5", "ecppack", "amaranth"}
    text = (folder / "report.md").read_text()
    assert "| clock | 50 MHz, Fmax 60.0 MHz: met |" in text
    assert "| system | 5000 | 1000 | 100 | 7000 | 12 | 22 |" in text
    assert not list(folder.glob(".*"))


def test_a_gowin_part(tools, tmp_path):
    """Its PLLs' clocks are given to nextpnr, and the bitstream has another name."""
    report = build_bitstream(on_board(name="tang_nano_20k", clock_mhz=54))
    folder = tmp_path / "build" / "tiny" / "tang_nano_20k"
    assert (folder / "top.fs").read_bytes() == b"bits" and report["bitstream"] == "build/tiny/tang_nano_20k/top.fs"
    assert tools.pnr == ["--device", "GW2AR-LV18QN88C8/I7", "--vopt", "family=GW2A-18C", "--vopt", "cst=top.cst",
                         "--sdc", "top.sdc", "--write", "top.pnr", "--seed", "1"]
    assert tools.clocks == "create_clock -name pll -period 18.5185 [get_pins {pll/CLKOUT}]\n"
    assert tools.top.system.fabric == "gowin" and report["timing_met"] and report["device"] == "GW2AR-18"
    tools.fmax = 50.0
    assert build_bitstream(on_board(name="tang_nano_20k", clock_mhz=54))["bitstream"] is None
    assert not (folder / "top.fs").exists()


def test_a_large_design_is_spread(tools, tmp_path):
    """Cells that keep rows empty are in the netlist that is placed, and are not counted."""
    empty = 34 * 123 * 8
    tools.cells |= {"lut4": 26_000, "lut_eq": 30_000}
    tools.used = 31_000 + empty
    report = build_bitstream(on_board(seed=7))
    assert report["empty_rows"] == 34 and report["comb"] == 31_000
    assert len(tools.netlist["modules"]["top"]["cells"]) == 2 * empty
    assert tools.pnr[-6:] == ["--placer", "static", "--router", "router2", "--seed", "7"]
    assert "| logic cells | " in (text := (tmp_path / "build" / "tiny" / "ulx3s" / "report.md").read_text())
    assert "34 rows kept empty" in text


def test_clock_and_divisor(tools):
    report = build_bitstream(on_board("ulx3s_25f", clock_mhz=40))
    assert report["clock_mhz"] == 40.0 and report["device"] == "LFE5U-25F"
    assert tools.top.system.divisor == 40
    assert tools.top.system.clock_hz == 40_000_000
    assert tools.pnr[0] == "--25k"


def test_the_slowest_of_the_clocks_of_one_frequency_counts():
    fmax = {name: {"achieved": mhz, "constraint": 100.0} for name, mhz in (("a", 120.0), ("b", 110.0))}
    assert bitstream_report.clock_of({"fmax": fmax}, 100.0) == ("b", 110.0)


def test_cycles_come_from_a_simulation_of_the_same_thing(tmp_path):
    compiled = compile_model(random_model(open_project("tiny")), open_project("tiny").spec)
    predicted = predict(compiled.stream.commands(), compiled.spec).cycles
    path = tmp_path / "sim.json"
    good = {"spec": "tiny", "model_words_per_image": len(compiled.stream), "cycles_per_image": predicted * 1.02}
    path.write_text(json.dumps(good))
    assert bitstream_report.cycles_per_image(compiled, path) == (predicted * 1.02, f"simulation ({path})")
    others = ({"spec": "digits"}, {"model_words_per_image": 5}, {"cycles_per_image": predicted * 1.5},
              {"cycles_per_image": None})
    for other in others:
        path.write_text(json.dumps(good | other))
        assert bitstream_report.cycles_per_image(compiled, path) == (predicted, "cycle model")
    path.write_text("{")
    assert bitstream_report.cycles_per_image(compiled, path) == (predicted, "cycle model")
    assert bitstream_report.cycles_per_image(compiled, tmp_path / "none.json") == (predicted, "cycle model")


@pytest.mark.parametrize(("cells", "message"), [
    ({"ff": 90000}, "LFE5U-85F: it needs 90000 flip-flops of 83640"),
    ({"lut_eq": 84600}, "it needs 84600 LUT4 of 83640"),
    ({"bram": 209, "dsp": 157}, "it needs 209 block RAMs of 208, 157 multipliers of 156"),
])
def test_a_design_that_does_not_fit(tools, cells, message):
    tools.cells |= cells
    with pytest.raises(UserError, match=message):
        build_bitstream(on_board())
    assert tools.pnr is None


def test_image_beyond_the_link():
    assert image_bytes(open_project("digits").vit, open_project("digits").spec) == 80
    compiled = compile_model(random_model(open_project("tiny")), open_project("tiny").spec)
    with pytest.raises(UserError, match="an image of this configuration has 70000 bytes"):
        bitstream._design(find_board("ulx3s"), compiled, 50, on_board().settings.board, image_bytes=70000)
