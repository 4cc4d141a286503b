# amaranth: UnusedElaboratable=no
"""`vitric bitstream` with everything but the three tools: those are run by ``tests/test_whole_way.py``."""

import json
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner
from vitric.boards.crc import crc32c
from vitric.boards.registry import BOARDS, Board, find_board
from vitric.compiler.compile import compile_model
from vitric.compiler.cycles import predict
from vitric.compiler.lower import image_bytes
from vitric.flow import seeds
from vitric.flow.cli import app
from vitric.flow.commands import bitstream
from vitric.flow.commands.bitstream import build_bitstream
from vitric.flow.project import integer
from vitric.flow.project.file import config_names
from vitric.flow.project.project import open_project
from vitric.flow.reports import bitstream as bitstream_report
from vitric.golden.errors import UserError
from vitric.golden.integer.random import random_integer_vit
from vitric.toolchain import run as synthesis
from vitric.toolchain.families import ECP5

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


@pytest.fixture
def tools(monkeypatch, tmp_path):
    """Put stand-ins where Amaranth, Yosys, nextpnr and ecppack would work; return what they were asked and give."""
    state = SimpleNamespace(fmax=60.0, fmax_of={}, sdram=105.0, cells=dict(CELLS), pnr=None, used=8364, netlist=None,
                            top=None, packed=None)

    def prepare(top, name):
        state.top = top
        return SimpleNamespace(files={f"{name}.il": "il", f"{name}.ys": "ys", f"{name}.lpf": b"lpf"})

    real = Board.make_platform

    def make_platform(self):
        platform = real(self)
        platform.prepare = prepare
        return platform

    def synthesize(family, folder, name, tell):
        (folder / f"{name}.json").write_text(NETLIST)
        (folder / f"{name}.scopes").write_text("top/system\n")
        return state.cells

    def place_and_route(family, folder, arguments, tell, netlist):
        assert family is ECP5 and (folder / "top.lpf").read_text() == "lpf"
        state.pnr, state.netlist = arguments, json.loads((folder / netlist).read_text())
        (folder / "placed.json").write_text(PLACED)
        (folder / "top.config").write_text(f"placed with seed {arguments[-1]}")
        report = placed(state.fmax_of.get(int(arguments[-1]), state.fmax), float(state.top.pll.output_mhz), state.used)
        if state.top.system.sdram is not None:
            report["fmax"]["memory"] = {"achieved": state.sdram, "constraint": float(state.top.sdram_pll.output_mhz)}
        return report

    def pack(family, folder):
        (folder / "top.bit").write_bytes(b"bits")
        state.packed = (folder / "top.config").read_text()
        return folder / "top.bit"

    monkeypatch.setattr(integer, "integer_model", random_model)
    monkeypatch.setattr(Board, "make_platform", make_platform)
    monkeypatch.setattr(synthesis, "synthesize", synthesize)
    monkeypatch.setattr(seeds, "place_and_route", place_and_route)
    monkeypatch.setattr(synthesis, "pack", pack)
    monkeypatch.setattr(bitstream_report, "breakdown", lambda family, folder: [{"module": "system", **CELLS}])
    monkeypatch.chdir(tmp_path)
    return state


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


def test_another_speed_of_the_line(tools, tmp_path):
    result = CliRunner().invoke(app, ["bitstream", "--config", "tiny", "--baud", "3000000", "--json", "r.json"])
    assert result.exit_code == 0
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["baud"] == 3_000_000 and tools.top.system.divisor == 17


def test_a_missed_clock_fails_and_leaves_no_bitstream(tools, tmp_path):
    folder = tmp_path / "build" / "tiny" / "ulx3s"
    folder.mkdir(parents=True)
    (folder / "top.bit").write_bytes(b"of an earlier model")
    tools.fmax = 49.9
    result = CliRunner().invoke(app, ["bitstream", "--config", "tiny", "--json", str(tmp_path / "out.json")])
    assert result.exit_code == 1
    assert "49.9 MHz does not meet the clock of 50 MHz" in result.output
    report = json.loads((tmp_path / "out.json").read_text())
    assert (report["timing_met"], report["bitstream"]) == (False, None)
    assert not (folder / "top.bit").exists()
    assert "NOT MET" in (folder / "report.md").read_text()


def test_the_best_of_several_seeds_counts(tools, scheduler, tmp_path):
    tools.fmax, tools.fmax_of = 45.0, {5: 51.0, 6: 48.123, 7: 51.0}
    rows = [{"seed": seed, "fmax_mhz": fmax} for seed, fmax in ((4, 45.0), (5, 51.0), (6, 48.12), (7, 51.0))]
    reports = []
    for options in ([], ["--scheduler", scheduler]):
        result = CliRunner().invoke(app, ["bitstream", "--config", "tiny", "--seed", "4", "--seeds", "4", *options,
                                          "--json", str(tmp_path / "out.json")])
        assert result.exit_code == 0 and "4: 45.0, 5: 51.0, 6: 48.1, 7: 51.0" in " ".join(result.output.split())
        reports.append(json.loads((tmp_path / "out.json").read_text()))
        assert tools.packed == "placed with seed 5"
        assert (reports[-1]["seed"], reports[-1]["fmax_mhz"], reports[-1]["seeds"]) == (5, 51.0, rows)
        tools.packed = None
    assert [reports[0] | {"seconds": {}}] == [reports[1] | {"seconds": {}}]


def test_clock_and_divisor(tools):
    report = build_bitstream(on_board("ulx3s_25f", clock_mhz=40))
    assert report["clock_mhz"] == 40.0 and report["device"] == "LFE5U-25F"
    assert tools.top.system.divisor == 40
    assert tools.top.system.clock_hz == 40_000_000
    assert tools.pnr[0] == "--25k"


def test_models_in_sdram(tools, tmp_path):
    arguments = ["bitstream", "--config", "tiny", "--model-memory", "sdram", "--json", str(tmp_path / "out.json")]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["sdram"] == {"clock_mhz": 100.0, "fmax_mhz": 105.0} and report["fmax_mhz"] == 60.0
    assert report["capacity_words"] == 1 << 21 and report["model_words"] > 1000  # 8 MB; two fill half of the chip
    assert tools.top.system.init == () and tools.top.system.sdram.burst == 2
    text = (tmp_path / "build" / "tiny" / "ulx3s" / "report.md").read_text()
    assert "| SDRAM clock | 100 MHz, Fmax 105.0 MHz |" in text
    assert "in SDRAM: `vitric flash` or `vitric load` puts it there" in text
    tools.sdram = 99.0
    missed = CliRunner().invoke(app, arguments)
    assert missed.exit_code == 1 and "99.0 MHz does not meet the SDRAM's clock of 100 MHz" in missed.output
    report = json.loads((tmp_path / "out.json").read_text())
    assert not report["timing_met"] and report["seeds"] == [{"seed": 1, "fmax_mhz": 59.4}]
    assert build_bitstream(on_board(memory="sdram", clock_mhz=100, capacity=9000))["fmax_mhz"] == 60.0


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


@pytest.mark.parametrize(("arguments", "message"), [
    (["--board", "ulx4s"], f"board must be one of {', '.join(BOARDS)}, not 'ulx4s'"),
    (["--config", "huge"], f"--project must be one of {', '.join(config_names())}, a folder"),
    (["--seed", "-1"], "--seed must be between 0 and 2147483647, not -1"),
    (["--clock-mhz", "0"], "--clock-mhz must be between 10 and 400, not 0"),
    (["--clock-mhz", "nan"], "--clock-mhz must be between 10 and 400, not nan"),
    (["--clock-mhz", "10.37"], "of 1000000 baud"),
    (["--baud", "3500000"], "within 2% of 3500000 baud; choose another --clock-mhz or --baud"),
    (["--baud", "1"], "--baud must be between 1200 and 12000000, not 1"),
    (["--capacity", "100"], "--capacity must be at least the"),
    (["--capacity", "60000"], "take at least 235 block RAMs, but LFE5U-85F has 208"),
    (["--config", "digits", "--board", "ulx3s_25f"], "but LFE5U-25F has 56"),
    (["--config", "deit_tiny_block"], "block RAMs, but LFE5U-85F has 208"),
    (["--model-memory", "flash"], "[board] memory: must be 'bram' or 'sdram', not 'flash'"),
    (["--model-memory", "sdram", "--capacity", "5000000"], "at most 2097152, a quarter of the SDRAM of ULX3S"),
])
def test_user_errors(tools, tmp_path, arguments, message):
    base = [] if "--config" in arguments else ["--config", "tiny"]
    result = CliRunner().invoke(app, ["bitstream", *base, *arguments])
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert not list(tmp_path.rglob("top.*")) and not list(tmp_path.rglob("report.*"))


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
