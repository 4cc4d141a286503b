"""The whole accelerator in Verilator: random models bit for bit, and every kind of bad input.

All tests share one build: precision and network are properties of the stream.
"""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from vitric.compiler.compile import compile_model
from vitric.golden.integer.code_table import log2_values, twin_uniform_values
from vitric.golden.integer.random import random_integer_vit
from vitric.golden.spec.accelerator import SPECS
from vitric.golden.spec.command import ErrorCode, Flag, Opcode, Target
from vitric.golden.spec.vit import VIT_CONFIGS, VitConfig
from vitric.hdl.accelerator import Accelerator
from vitric.sim.accelerator import run_stream

from tests.sim.damage import assemble, blocks_of, changed, find, flipped, operand_positions

FOLDER = Path(__file__).parents[2] / "build" / "tests" / "accelerator"
SPEC = SPECS["tiny"]
STALL_LIMIT = 4096


@pytest.fixture(autouse=True)
def short_patience(monkeypatch):
    monkeypatch.setattr(Accelerator, "stall_limit", STALL_LIMIT)


def images_for(config, count, seed=5):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, config.in_chans, config.image_size, config.image_size), generator=generator)


def simulate(compiled, images, **options):
    return run_stream(compiled, images, build_dir=FOLDER, **options)


def vit(**values):
    return VitConfig(**{"image_size": 4, "patch_size": 2, "in_chans": 1, "num_classes": 3, "embed_dim": 8, "depth": 1,
                        "num_heads": 2, "mlp_ratio": 1.0, **values})


NETWORKS = [  # network, bits of weights and of activations, what probabilities may be worth
    (VIT_CONFIGS["tiny"], (4, 4), None),
    (VIT_CONFIGS["tiny"], (4, 4), twin_uniform_values(4, 4)),
    (vit(embed_dim=12, num_heads=3, mlp_ratio=1.5), (8, 8), None),
    (vit(embed_dim=10, num_classes=5, mlp_ratio=2.0), (3, 3), log2_values(3)),  # heads of 5 channels
    (vit(embed_dim=9, num_heads=3, depth=2, mlp_ratio=1.0), (2, 2), log2_values(4)),  # heads of 3 channels
    (vit(image_size=2, in_chans=3, num_classes=1), (4, 8), None),  # two tokens: a whole row group
    (vit(num_classes=13, mlp_ratio=3.0, embed_dim=6, num_heads=1), (8, 4), None),
    (vit(embed_dim=4, num_heads=4, mlp_ratio=0.5), (4, 4), None),  # heads of one channel
    (vit(image_size=4, patch_size=4, embed_dim=32, num_heads=2), (3, 8), twin_uniform_values(3, 5)),  # longest
    (vit(distilled=True, depth=2), (4, 4), None),  # the head reads two tokens side by side
]


@pytest.mark.parametrize("stall", [0, 30])
def test_random_models(stall):
    """One after the other on one machine, two images each: every value that is written, and the logits."""
    runs, streams, columns = [], [], []
    for config, (w_bits, a_bits), values in NETWORKS:
        model = random_integer_vit(config, seed=w_bits + a_bits, spec=SPEC, w_bits=w_bits, a_bits=a_bits,
                                   probability_values=values)
        compiled = compile_model(model, SPEC)
        images = images_for(config, 2)
        trace = {}
        golden = model(images, trace)
        runs += [(compiled, trace, image, golden[image]) for image in range(2)]
        streams += [compiled.stream.words] * 2
        columns += list(compiled.input_words(images))
    result = simulate(runs[0][0], None, words=streams, columns=columns, stall=stall, seed=3, cycle_limit=500_000)
    assert result.status == [(ErrorCode.OK, len(compiled.stream.commands())) for compiled, *_ in runs]
    assert result.images_taken.tolist() == list(range(1, len(runs) + 1))
    for number, (compiled, trace, image, golden) in enumerate(runs):
        network = NETWORKS[number // 2]
        assert result.logits[number, :result.logit_counts[number]].tolist() == golden.tolist(), network
        comparison = compiled.compare(trace, image, **result.records(number))
        assert comparison.mismatches == [] and comparison.ok, network


# Bad input. The network is small but has every kind of command.

CONFIG = vit()
MODEL = random_integer_vit(CONFIG, seed=1, spec=SPEC)
COMPILED = compile_model(MODEL, SPEC)
STREAM = COMPILED.stream
WORDS = STREAM.words
IMAGES = images_for(CONFIG, 3)
GOLDEN = MODEL(IMAGES)

HEADER_WORDS = 5  # with its check word
BLOCK_WORDS = 20


def command(opcode, target=None, flag=None):
    return find(STREAM, opcode, target, flag)


CODES = command(Opcode.MATMUL, Target.CODES)
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
    yield "version", changed(STREAM, 0, version=3), ErrorCode.BAD_VERSION, 0
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
    for name in ("k_words", "sets", "set_tiles", "set_words", "tile_words"):
        yield bad(CODES, **{name: 0})
    repeated = blocks_of(STREAM)
    repeated.insert(NORM, repeated[NORM])
    yield "a command twice", assemble(repeated, SPEC), ErrorCode.BAD_COMMAND, NORM + 1


def capacity_cases():
    def large(number, **fields):
        return f"{fields} in command {number}", changed(STREAM, number, **fields), ErrorCode.CAPACITY, None

    yield large(CODES, set_words=SPEC.weight_words + 1)
    yield large(CODES, set_tiles=SPEC.channel_words // SPEC.cols + 1)
    yield large(CODES, set_tiles=0x8000)
    yield large(SCORES, columns=SPEC.max_tokens + 1)
    yield large(NORM, columns=SPEC.max_embed + 1)
    yield large(LOGITS, dst_stride=SPEC.max_classes + 1)
    for base in (SPEC.act_words, 2 * SPEC.act_words, 0x8000):
        yield large(CODES, dst_base=base)
        yield large(INPUT, dst_base=base)
    yield large(CODES, dst_stride=SPEC.act_words)
    yield large(INPUT, dst_plane_stride=SPEC.act_words)
    for base in (SPEC.residual_words, 4 * SPEC.residual_words):
        yield large(RESIDUAL, dst_base=base)
        yield large(LOAD, dst_base=base)
    yield large(RESIDUAL, dst_stride=SPEC.residual_words)


def stall_cases():
    columns = field(SCORES, "columns")
    assert columns + 2 <= SPEC.max_tokens
    longer = changed(STREAM, SCORES, columns=columns + 2, row_tiles=field(SCORES, "row_tiles") + 2)
    yield "softmax waits for more scores", longer, ErrorCode.STALLED, None
    yield "set larger than what is loaded", changed(STREAM, SCORES, set_words=64), ErrorCode.STALLED, None
    more = {"row_tiles": field(LOGITS, "row_tiles") + 1, "columns": field(LOGITS, "columns") + SPEC.cols}
    yield "last product waits behind END", changed(STREAM, LOGITS, **more), ErrorCode.STALLED, END


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
def test_bad_stream(stall):
    kinds = header_cases, length_cases, damage_cases, command_cases, capacity_cases, stall_cases
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


def test_what_a_wrong_but_consistent_stream_leaves_behind():
    """Sizes that contradict each other under right check words: the result is worthless, the next one is not."""
    fewer = field(SCORES, "set_words") - 1
    cases = [
        ("weights left in the ring", changed(STREAM, SCORES, set_words=fewer)),
        ("columns left in the pipeline", changed(STREAM, SCORES, row_tiles=field(SCORES, "row_tiles") // 2)),
    ]
    result = simulate(COMPILED, IMAGES, words=pairs(cases), tap=False, cycle_limit=100_000)
    for number, (name, _) in enumerate(cases):
        assert result.status[2 * number + 1][0] == ErrorCode.OK, name
        assert torch.equal(result.logits[2 * number + 1], GOLDEN[(2 * number + 1) % len(IMAGES)]), name


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
