# amaranth: UnusedElaboratable=no
import random

import pytest
from vitric.golden.spec.command import FIELD_BITS, Flag, Opcode
from vitric.hdl.accelerator.layouts import ROW_COMMAND, WRITE_COMMAND
from vitric.hdl.accelerator.position import ProductPosition, RowPosition

from tests.hdl.accelerator.kit import SPECS, command, name, part
from tests.hdl.stream_kit import run


def word(value):
    """Addresses of words count modulo 2**16."""
    return value % (1 << FIELD_BITS)


def tile_of(address, tile, spec):
    """Tile ``tile`` from word ``address`` on."""
    return word(word(address) + tile // spec.word_tiles) * spec.word_tiles + tile % spec.word_tiles


def product_steps(fields, spec):
    """The formulas of the docstring of ProductPosition, for each group of ``drain_cols`` columns."""
    rows, last = fields["row_tiles"], (fields["sets"] - 1, fields["row_tiles"] - 1, spec.cols - spec.drain_cols)
    for s in range(fields["sets"]):
        for g in range(fields["groups"]):
            for t in range(rows):
                j = s * rows + t
                line, tile = (j, g) if fields["flags"] & Flag.TRANSPOSE else (g, j)
                for c in range(0, spec.cols, spec.drain_cols):
                    ends_group = (s, t, c) == last
                    yield {
                        "tile_address": tile_of(fields["dst_base"] + line * fields["dst_stride"], tile, spec),
                        "residual_address": word(
                            fields["dst_base"] + g * fields["dst_stride"] + j * spec.cols + c),
                        "first_group": int(g == 0), "ends_group": int(ends_group),
                        "end": int(ends_group and g == fields["groups"] - 1),
                    }


def row_steps(fields, spec, *, single):
    """The same for RowPosition, for one column or ``drain_cols``; and ``column``, the first of them."""
    step = 1 if single else spec.drain_cols
    for g in range(fields["groups"]):
        for column in range(0, fields["row_tiles"] * spec.cols, step):
            ends_group = column == fields["row_tiles"] * spec.cols - step
            last_group = g == fields["groups"] - 1
            yield {
                "tile_address": tile_of(
                    fields["dst_base"] + g * fields["dst_stride"], column // spec.cols, spec),
                "is_padding": int(column >= fields["columns"]),
                "mask": sum((column + c < fields["columns"]) << c for c in range(step)),
                "last_column": int(column == fields["columns"] - 1), "last_group": int(last_group),
                "ends_group": int(ends_group), "end": int(ends_group and last_group), "column": column,
            }


async def walk(ctx, dut, rng, layout, fields, expected, mask=~0):
    """Start, then step at random times; whatever ``expected`` names holds in between."""
    ctx.set(dut.command, part(layout, fields))
    ctx.set(dut.start, 1)
    await ctx.tick()
    ctx.set(dut.start, 0)
    for at in expected:
        while True:
            found = {key: ctx.get(getattr(dut, key)) for key in at}
            if "mask" in found:
                found["mask"] &= mask
            assert found == at, fields
            step = rng.random() < 0.7
            ctx.set(dut.step, step)
            await ctx.tick()
            if step:
                break
    ctx.set(dut.step, 0)


@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_products(spec):
    dut, rng = ProductPosition(spec), random.Random(5)

    async def testbench(ctx):
        for _ in range(30):
            fields = command(
                opcode=Opcode.MATMUL, sets=rng.randint(1, 3), groups=rng.randint(1, 4), row_tiles=rng.randint(1, 4),
                flags=rng.choice([0, int(Flag.TRANSPOSE), int(Flag.SIGNED)]), dst_stride=rng.randrange(200),
                dst_base=rng.choice([rng.randrange(1000), 0xFF80]))
            await walk(ctx, dut, rng, WRITE_COMMAND, fields, product_steps(fields, spec))

    run(dut, testbench)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_rows(spec, single):
    dut, rng = RowPosition(spec), random.Random(6)
    mask = 1 if single else (1 << spec.drain_cols) - 1  # of a single column only its own bit means anything

    async def testbench(ctx):
        ctx.set(dut.single, single)
        for _ in range(30):
            row_tiles = rng.randint(1, 4)
            fields = command(
                opcode=Opcode.NORM, groups=rng.randint(1, 4), row_tiles=row_tiles,
                columns=rng.randint(1, row_tiles * spec.cols), dst_stride=rng.randrange(200),
                dst_base=rng.choice([rng.randrange(1000), 0xFF80]))
            expected = [{key: value for key, value in at.items() if key != "column"}
                        for at in row_steps(fields, spec, single=single)]
            await walk(ctx, dut, rng, ROW_COMMAND, fields, expected, mask)

    run(dut, testbench)
