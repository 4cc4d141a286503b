# amaranth: UnusedElaboratable=no
import random

import numpy as np
import pytest
from vitric.compiler.words import pack_rows
from vitric.hdl.accelerator.assembler import Assembler
from vitric.hdl.accelerator.layouts import affine_group, channel_group

from tests.hdl.accelerator.kit import SPECS, matrix, name
from tests.hdl.stream_kit import plain, run


def model_words(values, bits, model_bits, *, signed):
    """One operand word as its model words."""
    raw = pack_rows(np.array(values), bits, model_bits, signed=signed).tobytes()
    size = model_bits // 8
    return [int.from_bytes(raw[at:at + size], "little") for at in range(0, len(raw), size)]


def random_value(rng, shape):
    low = -(1 << shape.width - 1) if shape.signed else 0
    return rng.randrange(low, low + (1 << shape.width))


def pairs(rng, group, model_bits):
    """Channel words or affine constants side by side, without gaps, and their model words."""
    layout = group.elem_shape
    values = [{key: random_value(rng, field.shape) for key, field in layout} for _ in range(group.length)]
    raw = [value[key] >> at & 0xFF for value in values for key, field in layout for at in range(0, field.width, 8)]
    return values, model_words(raw, 8, model_bits, signed=False)


def operands(rng, spec):
    """(kind, expected value, model words)."""
    weight = matrix(rng, spec.cols, spec.depth, spec.w_bits, signed=True)
    flat = [value for row in weight for value in row]
    yield "weight", weight, model_words(flat, spec.w_bits, spec.model_bits, signed=True)
    columns = matrix(rng, spec.drain_cols, spec.rows, spec.residual_bits, signed=True)
    yield "residual", columns, [word for column in columns for word in model_words(
        column, spec.residual_bits, spec.model_bits, signed=True)]
    yield "channels", *pairs(rng, channel_group(spec), spec.model_bits)
    yield "affine", *pairs(rng, affine_group(spec), spec.model_bits)


@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_operand_words(spec):
    """In any order, with pauses in which the word port holds something else."""
    dut = Assembler(spec)

    async def testbench(ctx):
        rng = random.Random(3)
        for _ in range(40):
            kind, expected, words = rng.choice(list(operands(rng, spec)))
            for count, word in enumerate(words):
                while rng.random() < 0.3:
                    ctx.set(dut.word, rng.getrandbits(spec.model_bits))
                    ctx.set(dut.take, 0)
                    await ctx.tick()
                ctx.set(dut.word, word)
                ctx.set(dut.count, count)
                ctx.set(dut.take, 1)
                assert ctx.get(getattr(dut, f"{kind}_last")) == (count == len(words) - 1)
                if count == len(words) - 1:
                    assert plain(ctx.get(getattr(dut, kind))) == expected
                await ctx.tick()

    run(dut, testbench)


@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_table_entries(spec):
    dut = Assembler(spec)

    async def testbench(ctx):
        rng, entries = random.Random(4), spec.model_bits // 8
        for _ in range(5):
            values = [rng.randrange(256) for _ in range(entries)]
            ctx.set(dut.word, int.from_bytes(bytes(values), "little"))
            for count, value in enumerate(values):
                ctx.set(dut.count, count)
                assert ctx.get(dut.entry) == value
                assert ctx.get(dut.entry_last) == (count == entries - 1)
                await ctx.tick()

    run(dut, testbench)
