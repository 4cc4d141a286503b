# amaranth: UnusedElaboratable=no
import subprocess
from pathlib import Path

import pytest
import vitric.sim
from amaranth.back import verilog
from amaranth.hdl import signed, unsigned
from vitric.flow import tools
from vitric.hdl.activation.multiply import RegisteredProduct

# Yosys has no model of these cells
MODELS = {
    mapping: Path(vitric.sim.__path__[0]) / name
    for mapping, name in {"ecp5": "mult18x18d.v", "gowin": "gowin_multipliers.v"}.items()
}
STEPS = 4  # two registers in a row and an enable: what a register holds has left it after this many


def prove_equal(mapping, shapes, folder, spoil=lambda text: text):
    """Prove with a SAT solver that the cell and its twin agree for all inputs of the first steps."""
    (folder / "model.v").write_text(MODELS[mapping].read_text())
    (folder / "gold.v").write_text(verilog.convert(RegisteredProduct(*shapes), name="gold"))
    (folder / "gate.v").write_text(spoil(verilog.convert(RegisteredProduct(*shapes, mapping=mapping), name="gate")))
    script = (
        "read_verilog gate.v; read_verilog model.v; hierarchy -top gate; proc; flatten; opt -purge; "
        "design -stash gate; read_verilog gold.v; hierarchy -top gold; proc; opt_clean; design -copy-from gate gate; "
        "miter -equiv -flatten -make_assert gold gate miter; opt -full; "
        f"sat -verify -prove-asserts -set-init-zero -seq {STEPS} miter"
    )
    return subprocess.run(
        [tools.require("yosys").path, "-q", "-p", script], cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize("mapping", MODELS)
@pytest.mark.parametrize("shapes", [(unsigned(3), signed(3)), (signed(2), signed(2)), (unsigned(2), unsigned(3))])
def test_cell_equals_its_twin(mapping, shapes, tmp_path):
    done = prove_equal(mapping, shapes, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_wide_cell_equals_its_twin(tmp_path):
    done = prove_equal("gowin", (unsigned(10), signed(2)), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("mapping", "right", "wrong"), [
    ("ecp5", "REG_OUTPUT_CLK(\"CLK0", "REG_OUTPUT_CLK(\"NONE"), ("ecp5", "CE0(en", "CE0(1'h1"),
    ("gowin", "BREG(1'h1", "BREG(1'h0"), ("gowin", "OUT_REG(1'h1", "OUT_REG(1'h0"),
])
def test_proof_finds_a_wrong_cell(mapping, right, wrong, tmp_path):
    def spoil(text):
        assert right in text
        return text.replace(right, wrong)

    done = prove_equal(mapping, (unsigned(2), signed(2)), tmp_path, spoil)
    assert done.returncode != 0 and "proof did fail" in done.stdout + done.stderr
