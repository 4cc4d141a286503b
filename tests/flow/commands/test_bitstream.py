# amaranth: UnusedElaboratable=no
"""`vitric bitstream` with everything but the three tools."""

import json

import pytest
from typer.testing import CliRunner
from vitric.boards.registry import BOARDS
from vitric.flow.bitstream import build_bitstream
from vitric.flow.cli import app
from vitric.flow.project.file import config_names

from tests.flow.bitstream_kit import on_board


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
        assert "bitstream: build/tiny/ulx3s/top.bit" in result.output.splitlines()
        assert (reports[-1]["seed"], reports[-1]["fmax_mhz"], reports[-1]["seeds"]) == (5, 51.0, rows)
        tools.packed = None
    assert [reports[0] | {"seconds": {}}] == [reports[1] | {"seconds": {}}]


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
    said = " ".join(missed.output.split())
    assert missed.exit_code == 1 and "99.0 MHz does not meet the SDRAM's clock of 100 MHz" in said
    assert "Try more --seeds or a lower --sdram-mhz." in said
    report = json.loads((tmp_path / "out.json").read_text())
    assert not report["timing_met"] and report["seeds"] == [{"seed": 1, "fmax_mhz": 59.4}]
    slower = CliRunner().invoke(app, [*arguments, "--sdram-mhz", "80"])
    assert slower.exit_code == 0, slower.output
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["sdram"] == {"clock_mhz": 80.0, "fmax_mhz": 99.0} and tools.top.system.sdram.clock_hz == 80_000_000
    assert tools.top.sdram_pll.output_hz == 80_000_000
    assert build_bitstream(on_board(memory="sdram", clock_mhz=100, capacity=9000))["fmax_mhz"] == 60.0


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
    (["--capacity", "60000"], "take at least 235 block RAMs, but LFE5U-85F has 208; no board has as many"),
    (["--config", "digits", "--board", "ulx3s_25f"], "but LFE5U-25F has 56"),
    (["--config", "deit_tiny_block"], "block RAMs, but LFE5U-85F has 208"),
    (["--model-memory", "flash"], "[board] memory: must be 'bram' or 'sdram', not 'flash'"),
    (["--sdram-mhz", "80"], "--sdram-mhz has no effect on models in block RAM"),
    (["--model-memory", "sdram", "--sdram-mhz", "150"], "--sdram-mhz must be between 25 and 143, not 150"),
    (["--model-memory", "sdram", "--capacity", "5000000"], "at most 2097152, a quarter of the SDRAM of ULX3S"),
])
def test_user_errors(tools, tmp_path, arguments, message):
    base = [] if "--config" in arguments else ["--config", "tiny"]
    result = CliRunner().invoke(app, ["bitstream", *base, *arguments])
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert not list(tmp_path.rglob("top.*")) and not list(tmp_path.rglob("report.*"))
