import pytest
from typer.testing import CliRunner
from vitric.flow.cli import app
from vitric.integration.c_header import c_header
from vitric.integration.litex.firmware import DRIVER, c_array, compile_program
from vitric.integration.litex.simulation import SimulatedSoC, write_verilog
from vitric.sim.benches.litex import PORTS, data_header
from vitric.sim.runner import run_bench


@pytest.fixture
def sidecar(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where LiteX writes what its memories hold
    made = CliRunner().invoke(app, ["generate", "--project", "tiny", "--wrapper", "axis", "--out", "vit.v"])
    assert made.exit_code == 0, made.output
    return tmp_path / "vit.json"


def program(soc, folder):
    files = {"data.h": data_header(c_array), "registers.h": c_header()}
    return compile_program(soc, [DRIVER / "demo.c"], folder, files=files)


def test_the_soc_boots_and_finds_goldens_logits(sidecar):
    sources = write_verilog(SimulatedSoC(sidecar), sidecar.parent, program)
    result = run_bench(sources, toplevel="soc", public=PORTS, test_module="vitric.sim.benches.litex",
                       build_dir=sidecar.parent)
    assert len(result.tests) == 1
