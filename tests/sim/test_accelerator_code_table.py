"""The code table behind the softmax unit and behind requantization, in the build of ``test_accelerator``."""

from dataclasses import replace

import pytest
from vitric.compiler.compile import compile_model
from vitric.compiler.stream import StreamWriter
from vitric.golden.integer.code_table import log2_values
from vitric.golden.integer.random import random_integer_vit
from vitric.golden.spec.command import ErrorCode, Flag, Opcode, Target

from tests.compiler.machine import Machine
from tests.sim.damage import blocks_of, find
from tests.sim.test_accelerator import CONFIG, IMAGES, SPEC, simulate


@pytest.mark.parametrize("stall", [0, 30])
def test_codes_of_two_commands_do_not_mix_in_the_table(stall):
    """Probabilities between GELU codes, all by one table, each ready before its turn: no compiled model has that."""
    model = random_integer_vit(replace(CONFIG, mlp_ratio=4.0), seed=1, spec=SPEC, probability_values=log2_values(3))
    compiled = compile_model(model, SPEC)
    blocks = blocks_of(compiled.stream)[1:]
    scores = find(compiled.stream, Opcode.MATMUL, Target.SOFTMAX, Flag.NEW_TABLE)
    gelu = find(compiled.stream, Opcode.MATMUL, Target.CODES, Flag.NEW_TABLE)
    again = {**blocks[scores - 1][0], "dst_base": compiled.act_words}  # where nothing is that the other command reads
    fields, operands = blocks[gelu - 1]
    fields = {**fields, "flags": fields["flags"] & ~Flag.NEW_TABLE | Flag.WHOLE}
    again = {**again, "flags": again["flags"] & ~Flag.NEW_TABLE | Flag.WHOLE}
    more = [(fields, operands[256:]), (again, b""), (fields, operands[256:])]
    done = {"a_wait": len(blocks) - 1, "w_wait": len(blocks) - 1}
    writer = StreamWriter(SPEC)
    for fields, operands in [*blocks[:-1], *(({**fields, **done}, operands) for fields, operands in more)]:
        writer.command({name: value for name, value in fields.items() if name != "index"}, operands)
    stream = writer.finish()
    columns = compiled.input_words(IMAGES)[0]
    expected = Machine(SPEC).run(stream.commands(), columns)
    result = simulate(compiled, None, words=[stream.words], columns=[columns], stall=stall, seed=3, cycle_limit=100_000)
    assert result.status == [(ErrorCode.OK, len(stream.commands()))]
    got = result.records(0)
    for kind in ("act", "residual"):
        key = [name for name in expected[kind].dtype.names if name != "data"]
        records = [[(*item[key].tolist(), item["data"].tobytes()) for item in taps[kind]] for taps in (expected, got)]
        assert sorted(records[0]) == sorted(records[1]), kind
