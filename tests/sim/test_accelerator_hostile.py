"""Streams whose check words are right but whose fields are not, at random: what a hostile host could send."""

import random
from collections import Counter

import numpy as np
import pytest
import torch
from vitric.compiler.compile import compile_model
from vitric.compiler.decode import read_header
from vitric.compiler.operands import operand_words
from vitric.compiler.stream import ModelStream
from vitric.golden.integer.random import random_integer_vit
from vitric.golden.spec.command import COMMAND_FIELDS, ErrorCode, Opcode
from vitric.golden.spec.limits import field_limits

from tests.compiler.machine import Machine
from tests.sim.damage import assemble, blocks_of
from tests.sim.test_accelerator import IMAGES, SPEC, simulate, vit

CONFIG = vit(embed_dim=4, num_heads=1)
MODEL = random_integer_vit(CONFIG, seed=3, spec=SPEC)
COMPILED = compile_model(MODEL, SPEC)
WORDS = COMPILED.stream.words
GOLDEN = MODEL(IMAGES)
COLUMNS = COMPILED.input_words(IMAGES)
STREAMS = 120
LONGEST = 2000  # words of operands that are made to fit
NAMES = [name for name in COMMAND_FIELDS if name not in ("index", "opcode")]


def hostile_value(rng, name, value, opcode):
    """A value at or beyond some limit, or a little wrong."""
    limit = field_limits(SPEC, opcode).get(name, rng.choice([SPEC.act_words, SPEC.residual_words, SPEC.max_classes]))
    edges = [limit - 1, limit, limit + 1, 2 * limit]
    return rng.choice([0, 1, value - 1, value + 1, 2 * value, rng.choice(edges), 0x7FFF, 0x8000, 0xFFFF]) & 0xFFFF


def hostile_stream(rng):
    """The good stream with up to three fields of a command changed, and operands as many as it then asks for."""
    blocks = blocks_of(COMPILED.stream)
    number = rng.randrange(1, len(blocks) - 1)
    fields, operands = blocks[number]
    in_use = [name for name in NAMES if fields[name]]
    for name in rng.sample(rng.choice([in_use, in_use, in_use, NAMES]), rng.choice([1, 1, 2, 3])):
        fields[name] = hostile_value(rng, name, fields[name], Opcode(fields["opcode"] & 0xFF))
    size = SPEC.model_bits // 8
    more = operand_words(fields, SPEC) - len(operands) // size
    if len(operands) // size + more <= LONGEST:
        operands = operands + rng.randbytes(size * more) if more > 0 else operands[:len(operands) + size * more]
        words = blocks[0][0]["words_low"] + more
        blocks[0] = ({**blocks[0][0], "words_low": words & 0xFFFF}, b"")
    blocks[number] = (fields, operands)
    return assemble(blocks, SPEC)


def software(words, columns):
    """Logits as the machine in software computes them.

    None if it cannot, if they depend on what was in memory before, or on which of two comes first: what is not waited
    for, and what a command writes twice.
    """
    data = b"".join(word.to_bytes(SPEC.model_bits // 8, "little") for word in words)
    commands = ModelStream(data, SPEC).commands()
    try:
        first, second = (Machine(SPEC, seed).run(commands, columns) for seed in (0, 1))
    except (AssertionError, IndexError, OverflowError, ValueError):
        return None
    twice = any(len(np.unique(first[tap][["command", "address"]])) < len(first[tap]) for tap in ("act", "residual"))
    if twice or first["logits"].tolist() != second["logits"].tolist():
        return None
    return first["logits"]["value"].tolist()


@pytest.mark.parametrize("stall", [0, 30])
def test_hostile_streams(stall):
    """Each ends in time and with a status, OK only if software accepts it too; the next good one is right."""
    rng = random.Random(stall)
    hostile = [hostile_stream(rng) for _ in range(STREAMS)]
    limit = 1 << read_header(COMPILED.stream.data)["limit"]
    result = simulate(COMPILED, IMAGES, words=[words for bad in hostile for words in (bad, WORDS)], stall=stall,
                      tap=False, cycle_limit=4 * STREAMS * limit)
    cycles = np.diff(result.cycles, prepend=0)
    endings, taken = Counter(), 0
    for number, words in enumerate(hostile):
        (error, _), (after, _) = result.status[2 * number:2 * number + 2]
        transfers = len(words) + 2 * len(COLUMNS[0])  # what is dropped takes a cycle each
        assert cycles[2 * number] <= (limit + transfers) * (1 if stall == 0 else 3), number
        image, taken = COLUMNS[taken % len(IMAGES)], result.images_taken[2 * number + 1]
        assert after == ErrorCode.OK, number
        good = result.logits[2 * number + 1, :result.logit_counts[2 * number + 1]]
        assert torch.equal(good, GOLDEN[(taken - 1) % len(IMAGES)]), number
        logits = result.logits[2 * number, :result.logit_counts[2 * number]].tolist()
        if error != ErrorCode.OK:
            assert logits == []
            endings[error] += 1
        else:
            expected = software(words, image)  # raises StreamError if the stream is none
            assert expected in (None, logits), number
            endings["as in software" if expected is not None else "unknown"] += 1
    assert endings["as in software"] > STREAMS // 20 and endings["unknown"] < STREAMS // 4
    assert endings[ErrorCode.CAPACITY] > STREAMS // 10 and endings[ErrorCode.BAD_COMMAND] > STREAMS // 10
