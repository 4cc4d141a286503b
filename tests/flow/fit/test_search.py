from dataclasses import replace

import pytest
import torch
from vitric.compiler.capacity import blank_model
from vitric.compiler.compile import compile_model
from vitric.compiler.cycles import predict
from vitric.flow.fit.area import Area
from vitric.flow.fit.search import (
    BLOCKS_MOST,
    LUT_MOST,
    LUT_SHARE,
    MEMORIES,
    Choice,
    Demand,
    Run,
    evaluate,
    front,
    limits,
    over,
    placed_on,
    search,
    shapes,
)
from vitric.golden.quantization.settings import Settings
from vitric.golden.spec.accelerator import SPECS
from vitric.golden.spec.vit import VIT_CONFIGS
from vitric.toolchain.parts import PARTS

DEMAND = Demand(config=VIT_CONFIGS["tiny"], options={}, name="fitted")
SHAPE = next(spec for spec in shapes(4, 4) if (spec.rows, spec.depth) == (4, 8))


def choice(cycles, lut_eq, missing=None, **changes):
    spec = replace(SPECS["digits"], **changes)
    run = Run(spec=spec, sets=2, cycles=cycles, beats=cycles // 2, words=100, image_bytes=64)
    return Choice(run=run, spec=spec, area=Area(lut_eq=lut_eq, ff=1, dsp=1, bram=10), over=missing or {})


def test_every_run_is_what_the_compiler_makes_of_it():
    runs = evaluate(DEMAND, SHAPE)
    assert len({run.place for run in runs}) == len(runs) == 2 * 3 * 3
    for run in runs:
        model = blank_model(DEMAND.config, run.spec, Settings(spec=run.spec))
        stream = compile_model(model, run.spec).stream  # it fits
        prediction = predict(stream.commands(), run.spec)
        assert (run.cycles, run.beats, run.words) == (prediction.cycles, prediction.beats, len(stream))
        pixels = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
        assert run.image_bytes == compile_model(model, run.spec).input_words(pixels).size


def test_shapes_of_wide_codes_have_ports_of_half_the_width():
    assert {(spec.a_bits, spec.w_bits) for spec in shapes(4, 4)} == {(4, 4)}
    assert {(spec.a_bits, spec.w_bits) for spec in shapes(8, 1)} == {(8, 2), (4, 2)}
    assert {(spec.a_bits, spec.w_bits) for spec in shapes(5, 6)} == {(a, w) for a in (3, 5) for w in (3, 6)}


def test_arrays_that_are_far_too_large_are_not_tried():
    largest = {part: max(run.spec.macs_per_cycle for run in search(DEMAND, PARTS[part]))
               for part in ("ecp5-12k", "ecp5-85k")}
    assert largest["ecp5-12k"] < largest["ecp5-85k"]


def test_front_by_hand():
    fast, middle, small = choice(100, 900), choice(200, 500), choice(300, 300)
    worse = [choice(200, 600), choice(250, 500), choice(300, 301), choice(50, 100, {"LUT4": (2, 1)})]
    assert front([small, *worse, fast, middle]) == [fast, middle, small]
    assert front(worse[-1:]) == []


def test_limits_name_what_would_help_and_why_it_is_not_taken():
    here = choice(100, 900, drain_cols=1, model_bits=64)
    others = [
        choice(80, 950, drain_cols=2, model_bits=64),  # one step
        choice(60, 990, drain_cols=1, model_bits=128, missing={"block RAMs": (60, 56)}),  # one step that does not fit
        choice(40, 999, drain_cols=2, model_bits=128),  # two steps
        choice(120, 990, drain_cols=1, model_bits=64, depth=32),  # one step that is slower
    ]
    assert [(limit.what, round(limit.gain, 3), limit.cost) for limit in limits(here, [here, *others])] == [
        ("a wider stream", 0.4, "does not fit: 60 block RAMs of 56"),
        ("more columns drained per cycle", 0.2, "+50 LUT-eq, +0 block RAMs")]


@pytest.mark.parametrize(("name", "there"), [("ecp5-25k", int(LUT_SHARE * 24_288)), ("ecp5-85k", LUT_MOST)])
def test_over_keeps_look_up_tables_free(name, there):
    part = PARTS[name]
    blocks = min(BLOCKS_MOST, part.bram)
    assert over(Area(lut_eq=there, ff=part.ff, dsp=part.dsp, bram=blocks), part) == {}
    assert over(Area(lut_eq=there + 1, ff=part.ff + 1, dsp=1, bram=blocks + 1), part) == {
        "LUT4": (there + 1, there), "flip-flops": (part.ff + 1, part.ff), "block RAMs": (blocks + 1, blocks)}


@pytest.mark.parametrize("memory", MEMORIES)
def test_the_array_takes_the_multipliers_that_are_left(memory):
    run = min(evaluate(DEMAND, SHAPE), key=lambda run: run.spec.drain_cols)
    on = {key: placed_on(PARTS[key], run, memory) for key in ("ecp5-25k", "ecp5-85k")}
    for key, chosen in on.items():
        assert chosen.area.dsp <= PARTS[key].dsp
    assert on["ecp5-85k"].area.dsp > on["ecp5-25k"].area.dsp
    assert on["ecp5-85k"].area.lut_eq < on["ecp5-25k"].area.lut_eq
