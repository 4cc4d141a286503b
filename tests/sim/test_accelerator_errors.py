"""Every kind of bad input to the whole accelerator in Verilator; after each a good inference."""

import random

import numpy as np
import pytest
import torch
from vitric.compiler.compile import compile_model
from vitric.golden.integer.random import random_integer_vit
from vitric.golden.spec.command import (
    LIMIT_MAX,
    PASS_LAST,
    VERSION,
    VERSION_BITS,
    ErrorCode,
    Flag,
    Opcode,
    Target,
    pack_pass,
)
from vitric.golden.spec.limits import field_limits

from tests.sim.damage import assemble, blocks_of, changed, find, flipped, operand_positions
from tests.sim.test_accelerator import CONFIG, IMAGES, SPEC, simulate

MODEL = random_integer_vit(CONFIG, seed=1, spec=SPEC)
COMPILED = compile_model(MODEL, SPEC)
STREAM = COMPILED.stream
WORDS = STREAM.words
GOLDEN = MODEL(IMAGES)

HEADER_WORDS = 5  # with its check word
BLOCK_WORDS = 20


def command(opcode, target=None, flag=None):
    return find(STREAM, opcode, target, flag)


CODES = command(Opcode.MATMUL, Target.CODES, Flag.SIGNED)  # keys: of every token
GELU = command(Opcode.MATMUL, Target.CODES, Flag.TABLE)
SCORES = command(Opcode.MATMUL, Target.SOFTMAX)
RESIDUAL = command(Opcode.MATMUL, Target.RESIDUAL)
LOGITS = command(Opcode.MATMUL, Target.LOGITS)
NORM, LOAD, INPUT, END = (command(code) for code in (Opcode.NORM, Opcode.LOAD, Opcode.INPUT, Opcode.END))
POSITIONS = operand_positions(STREAM)


def position(number):
    """Model word at which block ``number`` starts."""
    return 0 if number == 0 else STREAM.commands()[number - 1].position


def check_flip(number):
    """A wrong check word."""
    return flipped(WORDS, position(number) + (HEADER_WORDS if number == 0 else BLOCK_WORDS) - 1, 7)


def field(number, name):
    return blocks_of(STREAM)[number][0][name]


def header_cases():
    word = len(WORDS)
    yield "magic", changed(STREAM, 0, magic_low=0x5455), ErrorCode.BAD_MAGIC, 0
    yield "magic, high half", changed(STREAM, 0, magic_high=0), ErrorCode.BAD_MAGIC, 0
    yield "version", changed(STREAM, 0, version=field(0, "version") ^ 1), ErrorCode.BAD_VERSION, 0
    beyond = VERSION | LIMIT_MAX + 1 << VERSION_BITS
    yield "limit of cycles", changed(STREAM, 0, version=beyond), ErrorCode.BAD_VERSION, 0
    yield "spec", changed(STREAM, 0, spec_low=field(0, "spec_low") ^ 1), ErrorCode.BAD_SPEC, 0
    yield "spec, high half", changed(STREAM, 0, spec_high=field(0, "spec_high") ^ 0x8000), ErrorCode.BAD_SPEC, 0
    yield "header check word", check_flip(0), ErrorCode.BAD_CRC, 0
    yield "one word less stated", changed(STREAM, 0, words_low=word - 1), ErrorCode.BAD_LENGTH, END
    yield "one word more stated", changed(STREAM, 0, words_low=word + 1), ErrorCode.BAD_LENGTH, END
    yield "no words stated", changed(STREAM, 0, words_low=0), ErrorCode.BAD_LENGTH, END
    yield "words stated, high half", changed(STREAM, 0, words_high=1), ErrorCode.BAD_LENGTH, END
    yield "one command less stated", changed(STREAM, 0, commands=END - 1), ErrorCode.BAD_COMMAND, END - 1
    yield "one command more stated", changed(STREAM, 0, commands=END + 1), ErrorCode.BAD_COMMAND, END
    yield "no commands stated", changed(STREAM, 0, commands=0), ErrorCode.BAD_COMMAND, END
    yield "check words all zero", assemble(blocks_of(STREAM), SPEC, check=False), ErrorCode.BAD_CRC, 0


def length_cases():
    for length in (1, 2, HEADER_WORDS - 1, HEADER_WORDS):
        yield f"only {length} words", WORDS[:length], ErrorCode.BAD_LENGTH, 0
    for number in (1, CODES, NORM, END):
        start = position(number)
        for words in (1, BLOCK_WORDS - 1, BLOCK_WORDS):
            if (number, words) != (END, BLOCK_WORDS):
                yield f"ends in block {number} after {words}", WORDS[:start + words], ErrorCode.BAD_LENGTH, None
    for kind, word in POSITIONS.items():
        yield f"ends in {kind}", WORDS[:word], ErrorCode.BAD_LENGTH, None
    yield "one word too many", [*WORDS, 0], ErrorCode.BAD_LENGTH, END
    yield "twice", WORDS * 2, ErrorCode.BAD_LENGTH, END


def damage_cases():
    for number in (1, INPUT, CODES, GELU, SCORES, NORM, LOGITS, END):
        yield f"bit of block {number}", flipped(WORDS, position(number) + 7, 3), ErrorCode.BAD_CRC, number
        yield f"check word of block {number}", check_flip(number), ErrorCode.BAD_CRC, number
    for kind, word in POSITIONS.items():
        yield f"bit of {kind}", flipped(WORDS, word, 5), ErrorCode.BAD_CRC, None
    word = POSITIONS["weights"]
    yield "words swapped", [*WORDS[:word - 1], WORDS[word], WORDS[word - 1], *WORDS[word + 1:]], ErrorCode.BAD_CRC, None


def command_cases():
    def bad(number, **fields):
        return f"{fields} in command {number}", changed(STREAM, number, **fields), ErrorCode.BAD_COMMAND, number

    for opcode in (5, 0x80, 0xFF, Opcode.MATMUL | 4 << 8, Opcode.MATMUL | 1 << 12):
        yield bad(CODES, opcode=opcode)
    yield "END too early", changed(STREAM, CODES, opcode=Opcode.END), ErrorCode.BAD_LENGTH, CODES
    yield "no END", changed(STREAM, END, opcode=Opcode.MATMUL), ErrorCode.BAD_LENGTH, END
    for index in (0, CODES - 1, CODES + 1, CODES + 256):
        yield bad(CODES, index=index)
    for number in (1, CODES, NORM, END):
        yield bad(number, a_wait=number)
        yield bad(number, w_wait=number)
    yield bad(SCORES, a_wait=0xFFFF)
    for number in (LOAD, INPUT, NORM, CODES):
        yield bad(number, groups=0)
        yield bad(number, columns=0)
    for name in ("k_words", "sets", "set_tiles", "set_words", "tile_words", "row_tiles"):
        yield bad(CODES, **{name: 0})
    yield from contradictions(bad)
    repeated = blocks_of(STREAM)
    repeated.insert(NORM, repeated[NORM])
    yield "a command twice", assemble(repeated, SPEC), ErrorCode.BAD_COMMAND, NORM + 1


def contradictions(bad):
    """Fields that do not fit one another."""
    for number in (INPUT, NORM, SCORES):
        yield bad(number, row_tiles=(field(number, "columns") - 1) // SPEC.cols)
    for number in (CODES, RESIDUAL, LOGITS):
        yield bad(number, columns=field(number, "columns") - 1)
        yield bad(number, row_tiles=field(number, "row_tiles") + 1)
    yield bad(SCORES, columns=field(SCORES, "set_tiles") * SPEC.cols + 1, row_tiles=SPEC.max_tokens)
    yield bad(CODES, passes01=field(CODES, "passes01") & ~(PASS_LAST | PASS_LAST << 8), passes23=0)
    for plane in (1, 2):
        yield bad(CODES, passes01=pack_pass(a_plane=0, w_plane=plane, shift=0, last=True))
    yield bad(CODES, tile_words=field(CODES, "tile_words") + 1)
    yield bad(CODES, flags=field(CODES, "flags") | Flag.TABLE)
    yield bad(RESIDUAL, flags=Flag.TABLE | Flag.NEW_TABLE)
    yield bad(LOGITS, flags=Flag.TABLE)
    yield bad(CODES, flags=field(CODES, "flags") | Flag.KEY_BIAS)


def capacity_cases():
    def large(number, **fields):
        return f"{fields} in command {number}", changed(STREAM, number, **fields), ErrorCode.CAPACITY, None

    for number in (LOAD, INPUT, NORM, CODES, SCORES, RESIDUAL, LOGITS):
        opcode, target = Opcode(field(number, "opcode") & 0xFF), Target(field(number, "opcode") >> 8)
        limits = field_limits(SPEC, opcode)
        limits |= field_limits(SPEC, opcode, target) if opcode is Opcode.MATMUL else {}
        for name, limit in limits.items():
            for value in (limit + 1, 0xFFFF):
                yield large(number, **{name: value})
    for name in ("a_base", "a_group_stride"):
        yield large(CODES, **{name: SPEC.act_words})
        yield large(NORM, **{name: SPEC.residual_words})
    for name in ("w_base", "w_tile_stride"):
        yield large(SCORES, **{name: SPEC.act_words})
    for base in (SPEC.act_words, 2 * SPEC.act_words, 0x8000):
        yield large(CODES, dst_base=base)
        yield large(INPUT, dst_base=base)
    yield large(CODES, dst_stride=SPEC.act_words)
    yield large(INPUT, dst_plane_stride=SPEC.act_words)
    for base in (SPEC.residual_words, 4 * SPEC.residual_words):
        yield large(RESIDUAL, dst_base=base)
        yield large(LOAD, dst_base=base)
    yield large(RESIDUAL, dst_stride=SPEC.residual_words)


def run_cases():
    """What is found only while a command runs."""
    fewer = changed(STREAM, SCORES, set_words=field(SCORES, "set_words") - 1)
    yield "set smaller than its tiles", fewer, ErrorCode.BAD_COMMAND, None
    yield "set larger than what is loaded", changed(STREAM, SCORES, set_words=64), ErrorCode.STALLED, None
    short = VERSION | 10 << VERSION_BITS
    yield "more cycles than allowed", changed(STREAM, 0, version=short), ErrorCode.STALLED, None
    yield "no cycles allowed", changed(STREAM, 0, version=VERSION), ErrorCode.STALLED, 0


def pairs(cases):
    """Each bad stream, then a good one."""
    return [words for _, bad, *_ in cases for words in (bad, WORDS)]


def check_recovery(names, result, *, codes=None, commands=None):
    """Inferences alternate between bad and good."""
    taken = 0
    for number, name in enumerate(names):
        (error, index), (after, _) = result.status[2 * number:2 * number + 2]
        if codes is None:
            assert error != ErrorCode.OK, name
        else:
            assert error == codes[number], f"{name}: {error!r} at command {index}"
            assert commands[number] in (None, index), f"{name}: command {index}"
        assert result.logit_counts[2 * number] == 0, name
        assert result.images_taken[2 * number] - taken in (0, 1), name
        taken = result.images_taken[2 * number + 1]
        assert taken - result.images_taken[2 * number] == 1, name
        assert after == ErrorCode.OK, f"after {name}: {after!r}"
        assert torch.equal(result.logits[2 * number + 1], GOLDEN[(taken - 1) % len(IMAGES)]), f"after {name}"


@pytest.mark.parametrize("stall", [0, 30])
@pytest.mark.parametrize("kinds", [
    (header_cases, length_cases, damage_cases), (command_cases, capacity_cases, run_cases),
], ids=["streams", "commands"])
def test_bad_stream(kinds, stall):
    cases = [case for kind in kinds for case in kind()]
    result = simulate(COMPILED, IMAGES, words=pairs(cases), stall=stall, tap=False, cycle_limit=10_000 * len(cases))
    check_recovery([name for name, *_ in cases], result, codes=[case[2] for case in cases],
                   commands=[case[3] for case in cases])


@pytest.mark.parametrize("stall", [0, 30])
def test_any_flipped_bit(stall):
    rng = random.Random(stall)
    places = [(rng.randrange(len(WORDS)), rng.randrange(SPEC.model_bits)) for _ in range(80)]
    cases = [(f"word {word} bit {bit}", flipped(WORDS, word, bit)) for word, bit in places]
    result = simulate(COMPILED, IMAGES, words=pairs(cases), stall=stall, seed=2, tap=False,
                      cycle_limit=20_000 * len(cases))
    check_recovery([name for name, _ in cases], result)


@pytest.mark.parametrize("stall", [0, 30])
def test_image_of_the_wrong_length(stall):
    good = COMPILED.input_words(IMAGES)
    bad = [good[0][:-1], good[0][:1], good[0][:7], np.concatenate([good[0], good[1][:1]]),
           np.concatenate([good[0], good[1], good[2]])]
    columns = [column for number, image in enumerate(bad) for column in (image, good[number % 3])]
    result = simulate(COMPILED, IMAGES, words=[WORDS] * len(columns), columns=columns, stall=stall, tap=False,
                      cycle_limit=200_000)
    assert [error for error, _ in result.status] == [ErrorCode.BAD_IMAGE, ErrorCode.OK] * len(bad)
    assert result.images_taken.tolist() == list(range(1, len(columns) + 1))
    assert result.logit_counts.tolist() == [0, CONFIG.num_classes] * len(bad)
    assert torch.equal(result.logits[1::2], GOLDEN[torch.arange(len(bad)) % 3])
