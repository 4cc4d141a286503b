# amaranth: UnusedElaboratable=no
import random

import pytest
import torch
from vitric.golden.arith import nearest_signed_code, signed_code_range, split_signed, split_unsigned
from vitric.hdl.accelerator.tile_writer import TileWriter

from tests.hdl.accelerator.kit import SPECS, name
from tests.hdl.stream_kit import plain, run, send


def random_tile(rng, spec, max_planes):
    """(columns for the port, expected writes)."""
    is_signed, transpose = rng.random() < 0.5, rng.random() < 0.5
    planes = rng.randint(1, min(2, max_planes) if is_signed else min(max_planes, -(-spec.code_bits // spec.a_bits)))
    address, stride = rng.randrange(spec.act_words * spec.word_tiles), rng.randrange(8)
    bits = spec.w_bits if is_signed else spec.a_bits
    if is_signed:
        limit = signed_code_range(min(8, 2 * bits), bits) if planes == 2 else (1 << min(8, bits) - 1) - 1
        codes = torch.tensor([[rng.randint(-limit, limit) for _ in range(spec.cols)] for _ in range(spec.rows)])
        digits = split_signed(nearest_signed_code(codes, bits, planes), bits, planes)
    else:
        high = (1 << min(spec.code_bits, planes * bits)) - 1
        codes = torch.tensor([[rng.randint(0, high) for _ in range(spec.cols)] for _ in range(spec.rows)])
        digits = split_unsigned(codes, bits, planes)
    columns = [
        {"code": [value & 0xFF for value in codes[:, col].tolist()], "address": address, "plane_stride": stride,
         "planes": planes - 1, "signed": int(is_signed), "transpose": int(transpose)} for col in range(spec.cols)]
    for column in columns[:-1]:  # the address is read with the last column
        column["address"] = rng.randrange(spec.act_words)
    writes = [(address + plane * stride * spec.word_tiles,
               ((digit.T if transpose else digit) & (1 << bits) - 1).tolist()) for plane, digit in enumerate(digits)]
    return columns, writes, (1 << bits) - 1


@pytest.mark.parametrize("stall", ["always", "random", "bursts"])
@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_tiles(spec, stall):
    dut, rng = TileWriter(spec), random.Random(f"{spec.name}/{stall}")
    tiles = [random_tile(rng, spec, 4) for _ in range(60)]
    written = []

    async def sender(ctx):
        await send(ctx, dut.i, [column for columns, *_ in tiles for column in columns], stall=stall)
        while ctx.get(dut.busy):
            await ctx.tick()

    async def monitor(ctx):
        cycle = 0
        while True:
            _, _, en, address, tile = await ctx.tick().sample(dut.write.en, dut.write.address, dut.write.data)
            if en:
                written.append((cycle, address, plain(tile)))
            cycle += 1

    checkers = run(dut, sender, background=[monitor])
    expected = [(address, value, mask) for _, writes, mask in tiles for address, value in writes]
    found = [(address, [[element & mask for element in row] for row in tile])
             for (_, address, tile), (*_, mask) in zip(written, expected, strict=True)]
    assert found == [(address, value) for address, value, _ in expected]
    # latency: plane p is written p + 1 cycles after the transfer of the tile's last column
    lasts = checkers["i"].transfers[spec.cols - 1::spec.cols]
    cycles = [last + 1 + plane for last, (_, writes, _) in zip(lasts, tiles, strict=True)
              for plane in range(len(writes))]
    assert [cycle for cycle, *_ in written] == cycles


@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_interval(spec):
    """One column per cycle as long as a tile has at least as many columns as planes."""
    dut, rng = TileWriter(spec), random.Random(1)
    tiles = [random_tile(rng, spec, spec.cols) for _ in range(20)]

    async def sender(ctx):
        await send(ctx, dut.i, [column for columns, *_ in tiles for column in columns])

    transfers = run(dut, sender)["i"].transfers
    assert transfers == list(range(transfers[0], transfers[0] + len(tiles) * spec.cols))
