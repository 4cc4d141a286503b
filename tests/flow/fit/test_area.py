from dataclasses import fields

import pytest
from vitric.flow.fit.area import Area, AreaModel, Measured, block_rams, blocks, cheapest, errors, read_measured
from vitric.golden.spec.accelerator import SPECS

from bench.area import DESIGNS

MEASURED = read_measured()


def test_what_is_stored_is_what_the_bench_measures():
    assert [(item.spec, item.held_out) for item in MEASURED] == list(DESIGNS.values())
    assert sum(item.held_out for item in MEASURED) >= 6 and len(MEASURED) >= 20


@pytest.mark.parametrize("name", ["lut_eq", "ff"])
def test_held_out_designs_are_within_10_percent(name):
    off = {design: own[name] for design, own in errors(MEASURED).items()}
    assert max(map(abs, off.values())) <= 0.10, off


@pytest.mark.parametrize("item", MEASURED, ids=lambda item: item.spec.name)
def test_multipliers_are_exact_and_block_rams_nearly(item):
    told = AreaModel(MEASURED).area(item.spec)
    assert told.dsp == item.area.dsp
    assert abs(told.bram - item.area.bram) <= 1


def test_an_error_is_a_share_of_what_was_measured():
    fitted = [item for item in MEASURED if not item.held_out]
    real = fitted[0].area
    doubled = Area(**{field.name: 2 * getattr(real, field.name) for field in fields(Area)})
    held_out = Measured(spec=fitted[0].spec, area=doubled, array=fitted[0].array, held_out=True)
    off = errors([*fitted, held_out])[held_out.spec.name]
    assert off["dsp"] == off["bram"] == -0.5 and off["lut_eq"] == pytest.approx(-0.5, abs=0.05)


@pytest.mark.parametrize(("width", "depth", "count"), [
    (36, 512, 1), (37, 512, 2), (36, 513, 2), (18, 1024, 1), (9, 2048, 1), (4, 4096, 1), (1, 16384, 1), (1, 16385, 2),
    (64, 512, 2), (128, 2048, 15), (8, 2048, 1), (256, 2560, 29 + 8), (4, 0, 0),
])
def test_blocks_by_hand(width, depth, count):
    assert blocks(width, depth) == count


def test_small_memories_are_made_of_look_up_tables():
    assert (cheapest(64, 32), cheapest(128, 64), cheapest(33, 7), cheapest(16, 999)) == (0, 4, 0, 1)


def test_the_store_can_be_outside():
    spec = SPECS["tiny"]  # 2 * 1024 words of 32 bits are four blocks of 2048 x 9
    assert block_rams(spec, 1024) - block_rams(spec, 0) == 4
