import pytest
from vitric.sim.benches import board as bench_board
from vitric.sim.runner import run_bench

pytestmark = pytest.mark.long


def test_board(tmp_path):
    result = run_bench(bench_board.make_system(), test_module="vitric.sim.benches.board", build_dir=tmp_path)
    assert [name.rpartition(".")[2] for name in result.tests] == [
        "images", "after_a_damaged_frame", "after_a_break", "broken_load", "another_model"]
