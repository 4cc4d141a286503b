# amaranth: UnusedElaboratable=no
import random

import pytest
from vitric.golden.spec.command import Flag, Opcode
from vitric.hdl.accelerator.position import Position

from tests.hdl.accelerator.kit import SPECS, command, name
from tests.hdl.stream_kit import run


def columns_of(fields, spec):
    """The formulas of the docstring, column by column."""
    sets = fields["sets"] if fields["opcode"] & 0xFF == Opcode.MATMUL else 1
    rows = fields["row_tiles"]
    for s in range(sets):
        for g in range(fields["groups"]):
            for t in range(rows):
                j = s * rows + t
                line, step = (j, g) if fields["flags"] & Flag.TRANSPOSE else (g, j)
                for c in range(spec.cols):
                    column = t * spec.cols + c
                    yield {
                        "tile_address": (fields["dst_base"] + line * fields["dst_stride"]) * spec.word_tiles + step,
                        "residual_address": fields["dst_base"] + g * fields["dst_stride"] + j * spec.cols + c,
                        "channel": j * spec.cols + c, "column": column, "first_group": int(g == 0),
                        "last_group": int(g == fields["groups"] - 1), "is_padding": int(column >= fields["columns"]),
                        "end": int((s, g, t, c) == (sets - 1, fields["groups"] - 1, rows - 1, spec.cols - 1)),
                    }


@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_addresses(spec):
    dut = Position(spec)

    async def testbench(ctx):
        rng = random.Random(5)
        for number in range(30):
            row_tiles = rng.randint(1, 4)
            fields = command(
                opcode=rng.choice([Opcode.MATMUL, Opcode.MATMUL, Opcode.NORM, Opcode.INPUT]), sets=rng.randint(1, 3),
                flags=rng.choice([0, int(Flag.TRANSPOSE), int(Flag.SIGNED)]), groups=rng.randint(1, 4),
                row_tiles=row_tiles, columns=rng.randint(1, row_tiles * spec.cols), dst_stride=rng.randrange(200),
                dst_base=rng.choice([rng.randrange(1000), 60000]))
            ctx.set(dut.command, fields)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            for expected in columns_of(fields, spec):
                while rng.random() < 0.3:
                    ctx.set(dut.step, 0)
                    await ctx.tick()
                found = {key: ctx.get(getattr(dut, key)) for key in expected}
                assert found == expected, f"command {number}: {fields}"
                ctx.set(dut.step, 1)
                await ctx.tick()
            ctx.set(dut.step, 0)

    run(dut, testbench)
