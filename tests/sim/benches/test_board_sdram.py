from dataclasses import replace

import pytest
from vitric.golden.spec.accelerator import SPECS
from vitric.sim.benches import board_sdram
from vitric.sim.chips import sdram_model
from vitric.sim.parameters import environment
from vitric.sim.runner import run_bench
from vitric.toolchain.verilog import port_names, to_verilog

pytestmark = pytest.mark.long


def run(system, tests, folder, **options):
    result = run_bench(system, test_module="vitric.sim.benches.board_sdram", build_dir=folder,
                       public=port_names(system, "top"), extra_sources=[sdram_model()], test_filter=tests, **options)
    return [name.rpartition(".")[2] for name in result.tests]


def test_board_with_the_accelerator_for_small_parts(tmp_path):
    spec = replace(SPECS["tiny"], rows=1, cols=1, depth=8, command_queue=0)
    system = to_verilog(board_sdram.make_system(spec=spec), tmp_path / "system.v")
    assert run(system, "models_and_images|reset_in_the_middle|queue_of_images", tmp_path,
               extra_env=environment(spec)) == ["models_and_images", "reset_in_the_middle", "queue_of_images"]


def test_board_with_models_in_sdram(tmp_path):
    system = to_verilog(board_sdram.make_system(), tmp_path / "system.v")
    assert run(system, "^(?!.*no_memory)", tmp_path) == [
        "models_and_images", "reset_in_the_middle", "power_cycle", "queue_of_images", "images_during_a_run",
        "impossible_runs", "damaged_word"]
    assert run(system, "no_memory", tmp_path) == ["no_memory"]  # the memory is tested once, after configuration
