import pytest
from vitric.sim.benches import board_sdram
from vitric.sim.chips import sdram_model
from vitric.sim.runner import run_bench

pytestmark = pytest.mark.long


def run(tests, folder):
    result = run_bench(board_sdram.make_system(), test_module="vitric.sim.benches.board_sdram", build_dir=folder,
                       extra_sources=[sdram_model()], test_filter=tests)
    return [name.rpartition(".")[2] for name in result.tests]


def test_board_with_models_in_sdram(tmp_path):
    assert run("^(?!.*no_memory)", tmp_path) == [
        "models_and_images", "reset_in_the_middle", "power_cycle", "queue_of_images", "images_during_a_run",
        "impossible_runs", "damaged_word"]
    assert run("no_memory", tmp_path) == ["no_memory"]  # the memory is tested once, after configuration
