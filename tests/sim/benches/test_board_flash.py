import pytest
from vitric.sim.benches import board_flash
from vitric.sim.chips import flash_model, sdram_model
from vitric.sim.runner import run_bench
from vitric.toolchain.verilog import port_names, to_verilog

pytestmark = pytest.mark.long


def test_board_with_a_model_in_flash(tmp_path):
    system = to_verilog(board_flash.make_system(), tmp_path / "system.v")
    for test in ("newest_model", "older_model", "one_lane", "reset_in_the_middle", "empty_flash", "foreign_model",
                 "damaged_model", "no_memory"):  # a board looks once, after configuration
        result = run_bench(system, test_module="vitric.sim.benches.board_flash", build_dir=tmp_path,
                           public=port_names(system, "top"), extra_sources=[sdram_model(), flash_model()],
                           test_filter=f"{test}$")
        assert [name.rpartition(".")[2] for name in result.tests] == [test]
