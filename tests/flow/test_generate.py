# amaranth: UnusedElaboratable=no
import json
import re

import pytest
from typer.testing import CliRunner
from vitric.flow.cli import app
from vitric.golden.spec.accelerator import SPECS


def test_verilog_and_sidecar_agree(tmp_path):
    out = tmp_path / "tiny.v"
    result = CliRunner().invoke(app, ["generate", "--config", "tiny", "--out", str(out)])
    assert result.exit_code == 0, result.output
    sidecar = json.loads(out.with_suffix(".json").read_text())
    module = re.search(r"^module accelerator\((.*?)\);(.*?)^endmodule", out.read_text(), re.DOTALL | re.MULTILINE)
    names = {name.strip() for name in module.group(1).split(",")}
    assert names == set(sidecar["ports"])
    for name, port in sidecar["ports"].items():
        declared = re.search(rf"^  {port['dir']}put (?:\[(\d+):0\] )?{name};", module.group(2), re.MULTILINE)
        assert declared, name
        assert int(declared.group(1) or 0) + 1 == port["width"], name
    assert sidecar["spec_hash"] == SPECS["tiny"].hash


@pytest.mark.parametrize(("arguments", "message"), [
    (["--config", "nano"], "config must be one of tiny, digits, deit_tiny_block, not 'nano'"),
    (["--config", "tiny", "--fabric", "asic"], "--fabric must be one of generic, ecp5, not 'asic'"),
    (["--config", "tiny", "--out", "x.vhd"], "--out must be named *.v, not x.vhd"),
])
def test_wrong_arguments_end_with_status_2(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["generate", *arguments])
    assert result.exit_code == 2
    assert message in result.output.replace("\n", " ")
    assert not list(tmp_path.iterdir())
