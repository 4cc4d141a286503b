# amaranth: UnusedElaboratable=no
import subprocess

import pytest
from amaranth.back import verilog
from amaranth.hdl import signed, unsigned
from vitric.hdl.fabric.multiply import RegisteredProduct
from vitric.sim.cells import cell_model
from vitric.toolchain import tools

MODELS = {"ecp5": cell_model("mult18x18d"), "gowin": cell_model("gowin_multipliers")}
YOSYS_MODELS = {"ice40": "-DBLACKBOX +/ice40/cells_sim.v"}  # "+/" is Yosys's own folder; no bodies of flip-flops
STEPS = 4  # two registers in a row and an enable: what a register holds has left it after this many


def prove_equal(fabric, shapes, folder, spoil=lambda text: text):
    """Prove with a SAT solver that the cell and its twin agree for all inputs of the first steps."""
    (folder / "gold.v").write_text(verilog.convert(RegisteredProduct(*shapes), name="gold"))
    (folder / "gate.v").write_text(spoil(verilog.convert(RegisteredProduct(*shapes, fabric=fabric), name="gate")))
    if fabric in MODELS:  # beside it, because packaged tools do not see absolute paths everywhere
        (folder / "model.v").write_text(MODELS[fabric].read_text())
    script = (
        f"read_verilog gate.v; read_verilog {YOSYS_MODELS.get(fabric, 'model.v')}; hierarchy -top gate; proc; flatten; "
        "opt -purge; "
        "design -stash gate; read_verilog gold.v; hierarchy -top gold; proc; opt_clean; design -copy-from gate gate; "
        "miter -equiv -flatten -make_assert gold gate miter; opt -full; "
        f"sat -verify -prove-asserts -set-init-zero -seq {STEPS} miter"
    )
    return subprocess.run(
        [tools.require("yosys").path, "-q", "-p", script], cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize("shapes", [
    (unsigned(3), signed(3)), (signed(2), signed(2)), (unsigned(2), unsigned(3))])
@pytest.mark.parametrize("fabric", ["ecp5", "gowin", "ice40"])
def test_cell_equals_its_twin(fabric, shapes, tmp_path):
    done = prove_equal(fabric, shapes, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_wide_cell_equals_its_twin(tmp_path):
    done = prove_equal("gowin", (unsigned(10), signed(2)), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("fabric", "right", "wrong"), [
    ("ecp5", "REG_OUTPUT_CLK(\"CLK0", "REG_OUTPUT_CLK(\"NONE"), ("ecp5", "CE0(en", "CE0(1'h1"),
    ("ice40", "_REG2(1'h1", "_REG2(1'h0"),
    ("gowin", "BREG(1'h1", "BREG(1'h0"), ("gowin", "OUT_REG(1'h1", "OUT_REG(1'h0"),
])
def test_proof_finds_a_wrong_cell(fabric, right, wrong, tmp_path):
    def spoil(text):
        assert right in text
        return text.replace(right, wrong)

    done = prove_equal(fabric, (unsigned(2), signed(2)), tmp_path, spoil)
    assert done.returncode != 0 and "proof did fail" in done.stdout + done.stderr
