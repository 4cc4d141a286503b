"""The accelerator for small parts, bit for bit: one command in the machine at a time, and one row and column."""

from dataclasses import replace

import pytest
import torch
from vitric.compiler.compile import compile_model
from vitric.compiler.cycles import predict
from vitric.golden.integer.random import random_integer_vit
from vitric.golden.spec.accelerator import SPECS
from vitric.golden.spec.command import ErrorCode
from vitric.golden.spec.vit import VIT_CONFIGS
from vitric.sim.accelerator import run_stream

from tests.processes import one_at_a_time
from tests.sim.test_accelerator import FOLDER, check_networks, vit

SMALL = [
    replace(SPECS["tiny"], name="one lane", rows=1, cols=1, depth=8, residual_words=256, command_queue=0),
    replace(SPECS["tiny"], name="one command", drain_cols=2, command_queue=0),
]
specs = pytest.mark.parametrize("spec", SMALL, ids=lambda spec: spec.name)


def simulate(compiled, images, **options):
    folder = FOLDER.with_name(compiled.spec.name.replace(" ", "_"))
    with one_at_a_time(folder):
        return run_stream(compiled, images, build_dir=folder, **options)


@pytest.mark.parametrize("stall", [0, 30])
@specs
def test_random_models(spec, stall):
    check_networks(spec, simulate, stall)


@specs
@pytest.mark.parametrize("config", [VIT_CONFIGS["tiny"], vit(depth=2, mlp_ratio=3.0)], ids=["tiny", "two blocks"])
def test_prediction_is_within_two_percent(spec, config):
    compiled = compile_model(random_integer_vit(config, seed=1, spec=spec), spec)
    images = torch.zeros(2, config.in_chans, config.image_size, config.image_size, dtype=torch.uint8)
    cycles = simulate(compiled, images, tap=False).cycles
    prediction = predict(compiled.stream.commands(), spec).cycles
    assert prediction == pytest.approx(int(cycles[0]), rel=0.02)
    assert prediction == pytest.approx(int(cycles[1] - cycles[0]), rel=0.02)


@specs
def test_a_damaged_stream_gives_no_logits_and_the_next_one_works(spec):
    config = vit()
    model = random_integer_vit(config, seed=2, spec=spec)
    compiled = compile_model(model, spec)
    good = compiled.stream.words
    bad = [*good]
    bad[len(bad) // 2] ^= 4
    images = torch.full((2, 1, 4, 4), 9, dtype=torch.uint8)
    columns = list(compiled.input_words(images))
    result = simulate(compiled, None, words=[bad, good], columns=columns, cycle_limit=200_000)
    assert result.status[0][0] == ErrorCode.BAD_CRC and result.status[1][0] == ErrorCode.OK
    assert result.logit_counts.tolist() == [0, config.num_classes]
    assert result.logits[1, :config.num_classes].tolist() == model(images)[1].tolist()


def test_streams_of_the_same_machine_with_and_without_queues_are_equal():
    with_queues = replace(SMALL[1], command_queue=8)
    model = random_integer_vit(vit(), seed=3, spec=with_queues)
    assert compile_model(model, SMALL[1]).stream.data[32:] == compile_model(model, with_queues).stream.data[32:]
    assert SMALL[1].hash == with_queues.hash
