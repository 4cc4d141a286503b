"""The LiteX module and the programs for its SoC: what is missing or wrong is said. `tests/sim/benches` boots a SoC."""

import pytest
from typer.testing import CliRunner
from vitric.flow.cli import app
from vitric.golden.errors import ToolFailure
from vitric.integration.litex.accelerator import Vitric, add_vitric
from vitric.integration.litex.firmware import c_array, compile_program
from vitric.integration.litex.simulation import SimulatedSoC


@pytest.fixture(scope="module")
def soc(tmp_path_factory):
    out = tmp_path_factory.mktemp("soc") / "vit.v"
    made = CliRunner().invoke(app, ["generate", "--project", "tiny", "--wrapper", "axis", "--out", str(out)])
    assert made.exit_code == 0, made.output
    finished = SimulatedSoC(out.with_suffix(".json"))
    finished.finalize()
    return finished


def test_what_the_soc_has(soc):
    assert soc.bus.regions["vitric"].size == 4096 and not soc.bus.regions["vitric"].cached
    assert {"vitric", "vitric_model", "vitric_image", "vitric_logits"} <= set(soc.csr_regions)
    assert "vitric" in soc.irq.locs
    assert any(str(source).endswith("vit.v") for source, _, _ in soc.platform.sources)


def test_a_program_with_a_mistake_is_an_error_with_its_line(soc, tmp_path):
    (tmp_path / "wrong.c").write_text("int main(void) { return missing; }\n")
    with pytest.raises(ToolFailure, match="the program for the SoC does not compile"):
        compile_program(soc, [tmp_path / "wrong.c"], tmp_path, files={})
    assert "missing" in (tmp_path / "program.log").read_text()


def test_a_variable_outside_of_functions_is_refused(soc, tmp_path):
    (tmp_path / "data.c").write_text("int kept = 3;\nvoid _start(void) { kept++; }\n")
    with pytest.raises(ToolFailure, match="the program for the SoC does not compile"):
        compile_program(soc, [tmp_path / "data.c"], tmp_path, files={})


def test_arrays():
    text = c_array("a", bytes([1, 2, 3, 4, 5]))
    assert "0x04030201, 0x00000005," in text and "a_bytes = 5;" in text


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(ValueError, match="needs LiteDRAM"):
        add_vitric(object(), tmp_path / "vit.json")
    (tmp_path / "other.json").write_text('{"module": "gelu"}')
    with pytest.raises(ValueError, match="must be the JSON file that `vitric generate --project P --wrapper axis` wri"):
        Vitric(None, tmp_path / "other.json")
