from dataclasses import replace

import pytest
from vitric.flow.page.roofline import roofline

from tests.flow.page.kit import found_in

# by hand: 100 beats of 16 products on 50 words of 4 bytes are 8 per byte; 1600 products in 4 us are 0.4e9
SIM = {"macs_per_cycle": 16, "model_bits": 32, "breakdown": [
    {"kind": "mlp.fc1", "commands": 1, "cycles": 200.0, "beats": 100.0, "model_words": 50.0},
    {"kind": "norm1", "commands": 1, "cycles": 30.0, "beats": 0.0, "model_words": 6.0}]}


def lines(plot):
    return [(list(one.data_source.data["x"]), list(one.data_source.data["y"])) for one in plot.model.renderers[:-1]]


def test_products_lie_where_their_work_and_bytes_put_them(tmp_path):
    plot = roofline(found_in(tmp_path, sim=SIM))
    points = plot.model.renderers[-1].data_source.data
    assert (points["kind"], points["busy"]) == (["mlp.fc1"], ["50% of its cycles"])
    assert points["intensity"] == pytest.approx([8.0]) and points["speed"] == pytest.approx([0.4])
    ((x, y),) = lines(plot)
    assert x == pytest.approx([2, 4, 16]) and y == pytest.approx([0.4, 0.8, 0.8])  # 16 a cycle at 50 MHz, 4 per byte


def test_the_roof_of_an_sdram_is_lower(tmp_path):
    found = found_in(tmp_path, sim=SIM)
    found = replace(found, project=found.project.changed({"board": {"memory": "sdram", "clock_mhz": 100}}))
    rate = found.project.board.sdram_spec(32).word_rate(100_000_000).word_cycles
    every, slower = lines(roofline(found))
    assert found.word_cycles == rate > 1
    assert slower[0] == pytest.approx([2, 4 * rate]) and slower[1] == pytest.approx([every[1][0] / rate, every[1][1]])
