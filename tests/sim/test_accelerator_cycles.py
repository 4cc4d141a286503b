"""The cycle model against the simulated hardware, in the build of ``test_accelerator``."""

from collections import Counter

import pytest
import torch
from vitric.compiler.compile import compile_model
from vitric.compiler.cycles import predict
from vitric.golden.integer.code_table import log2_values
from vitric.golden.integer.random import random_integer_vit
from vitric.golden.spec.command import Flag, Opcode, Target
from vitric.golden.spec.vit import VIT_CONFIGS
from vitric.hdl.accelerator.tap import ENGINES
from vitric.sim.harness import EVENTS

from tests.sim.test_accelerator import SPEC, simulate, vit


@pytest.mark.parametrize("config,bits,values", [
    pytest.param(VIT_CONFIGS["tiny"], (4, 4), None, id="tiny"),
    pytest.param(VIT_CONFIGS["tiny"], (4, 4), log2_values(4), id="probabilities by a table"),
    pytest.param(vit(embed_dim=12, num_heads=3, mlp_ratio=1.5), (8, 8), None, id="8 x 8 bits, three heads"),
    pytest.param(vit(depth=2, embed_dim=16, mlp_ratio=3.0, image_size=4), (4, 4), None, id="two wide blocks"),
])
def test_prediction_is_within_two_percent(config, bits, values):
    model = random_integer_vit(config, seed=1, spec=SPEC, w_bits=bits[0], a_bits=bits[1],
                               probability_values=values)
    compiled = compile_model(model, SPEC)
    images = torch.zeros(2, config.in_chans, config.image_size, config.image_size, dtype=torch.uint8)
    result = simulate(compiled, images, tap=False)
    prediction = predict(compiled.stream.commands(), SPEC)
    measured = int(result.cycles[0])
    assert prediction.cycles == pytest.approx(measured, rel=0.02)
    first = result.events[result.events[:, 0] == 0]
    command, cycle, beats = (first[:, EVENTS.index(column)] for column in ("command", "cycle", "beats"))
    products = command < len(prediction.commands)  # END is complete when its status is there
    assert command[products].tolist() == [c.index for c in prediction.commands[:-1]]
    done = [c.done for c in prediction.commands[:-1]]
    assert done == pytest.approx(cycle[products].tolist(), abs=0.02 * measured)
    assert prediction.beats == beats[products][-1]
    # the second image takes as long as the first
    assert int(result.cycles[1]) - measured == pytest.approx(prediction.cycles, rel=0.02)


@pytest.mark.parametrize("stall,values", [(0, None), (40, log2_values(4))], ids=["tiny", "pauses, a table for softmax"])
def test_activity_is_what_each_engine_did(stall, values):
    config = VIT_CONFIGS["tiny"]
    compiled = compile_model(random_integer_vit(config, seed=1, spec=SPEC, probability_values=values), SPEC)
    images = torch.zeros(2, config.in_chans, config.image_size, config.image_size, dtype=torch.uint8)
    result = simulate(compiled, images, stall=stall)
    commands = predict(compiled.stream.commands(), SPEC).commands
    for image in range(2):
        rows = result.activity[result.activity[:, 0] == image, 1:]
        worked = {engine: Counter() for engine in ENGINES}
        for number, engine in enumerate(ENGINES):
            stretches = rows[rows[:, 0] == number]
            for (_, command, first, last, active), (_, following, begin, *_) in zip(
                    stretches, [*stretches[1:], (number, -1, 1 << 40, 0, 0)], strict=True):
                assert 1 <= active <= last - first + 1 and begin > last
                assert following != command or begin - last > 16
                worked[engine][command] += active
        begin = int(result.cycles[0]) if image else 0
        assert begin <= rows[:, 2].min() and rows[:, 3].max() <= result.cycles[image]
        assert worked["feeder"] == {c.index: c.beats for c in commands if c.beats}
        assert sum(worked["front end"].values()) == len(compiled.stream.words)
        act, residual = (records["command"][records["image"] == image] for records in (result.act, result.residual))
        own = {c.fields["index"]: c for c in compiled.stream.commands()}
        of = {kind: {index: c for index, c in own.items() if c.opcode is kind} for kind in Opcode}
        columns = Counter(residual.tolist())
        written = Counter(act.tolist()) + Counter({index: count // SPEC.drain_cols for index, count in columns.items()
                                                   if index not in of[Opcode.LOAD]})
        assert worked["writeback"] + worked["row engine"] == written
        assert worked["layernorm"] == {index: c.fields["groups"] * config.embed_dim
                                       for index, c in of[Opcode.NORM].items()}
        scores = {index: c for index, c in of[Opcode.MATMUL].items() if c.target is Target.SOFTMAX}
        softmax = Counter({index: c.fields["groups"] * -(-c.fields["columns"] // SPEC.drain_cols)
                           for index, c in scores.items()})
        assert worked["softmax"] == softmax
        taken = Counter({index: c.fields["sets"] * c.fields["groups"] * c.fields["set_tiles"] * SPEC.cols
                         // SPEC.drain_cols for index, c in of[Opcode.MATMUL].items()})
        assert worked["drain"] == taken
        assert worked["requantize"] == {index: softmax.get(index, count) for index, count in taken.items()}
        by_table = [index for index, c in own.items() if Flag.TABLE in c.flags]
        assert worked["code table"] == {index: worked["requantize"][index] for index in by_table}
        assert by_table and bool(set(by_table) & set(scores)) == (values is not None)
        # A write counts for its writer; a read that meets none, for the reader.
        assert worked["act memory"] >= Counter(act.tolist())
        reads = worked["loader"] + worked["feeder"]
        assert max(reads.total(), len(act)) <= worked["act memory"].total() <= reads.total() + len(act)
        assert set(worked["act memory"]) <= set(reads) | set(act)
        assert worked["residual memory"] >= Counter({index: count // SPEC.drain_cols
                                                     for index, count in columns.items()})
        assert set(of[Opcode.NORM]) <= set(worked["residual memory"]) <= set(of[Opcode.NORM]) | set(columns)
        assert set(worked["loader"]) == {index for index, c in of[Opcode.MATMUL].items()
                                         if Flag.WEIGHTS_ACT in c.flags}
