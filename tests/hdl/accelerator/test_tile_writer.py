# amaranth: UnusedElaboratable=no
import random
from dataclasses import replace

import pytest
import torch
from vitric.golden.arith import nearest_signed_code, signed_code_range, split_signed, split_unsigned
from vitric.hdl.accelerator.tile_writer import TileWriter

from tests.hdl.accelerator.kit import SPECS, name
from tests.hdl.stream_kit import plain, run, send, stall_pattern

WIDE = [replace(SPECS[0], name="weights of 8 bits", w_bits=8), replace(SPECS[0], name="one digit", a_bits=8, w_bits=8)]


class Tile:
    """A random tile: ``beats`` for the port, ``writes`` as (address, elements), which the array's port looks at."""

    def __init__(self, rng, spec, max_planes, *, single=False):
        bits, step = spec.code_bits, 1 if single else spec.drain_cols
        self.signed, self.transpose, self.ends_group = (rng.random() < 0.5 for _ in range(3))
        digit_bits = spec.w_bits if self.signed else spec.a_bits
        most = min(2 if self.signed else -(-bits // digit_bits), -(-bits // digit_bits), max_planes)
        self.planes = rng.randint(1, most)
        address, stride = rng.randrange(spec.act_words * spec.word_tiles), rng.randrange(8)
        if self.signed:
            high = signed_code_range(min(bits, self.planes * digit_bits), digit_bits)
            low = -high if self.planes == 2 else -high - 1
            codes = torch.tensor([[rng.randint(low, high) for _ in range(spec.cols)] for _ in range(spec.rows)])
            digits = [codes]
            if self.planes == 2:
                digits = split_signed(nearest_signed_code(codes, digit_bits, 2), digit_bits, 2)
        else:
            high = (1 << min(bits, self.planes * digit_bits)) - 1
            codes = torch.tensor([[rng.randint(0, high) for _ in range(spec.cols)] for _ in range(spec.rows)])
            digits = split_unsigned(codes, digit_bits, self.planes)
        # of a signed digit those bits that the weight port takes; above an unsigned one zeros
        self.mask = (1 << (digit_bits if self.signed else spec.element_bits)) - 1
        self.writes = [(address + plane * stride * spec.word_tiles,
                        ((digit.T if self.transpose else digit) & self.mask).tolist())
                       for plane, digit in enumerate(digits)]
        self.beats = []
        for col in range(0, spec.cols, step):
            columns = [(codes[:, col + part] & 0xFF).tolist() for part in range(step)]
            columns += [[rng.randrange(256) for _ in range(spec.rows)] for _ in range(spec.drain_cols - step)]
            self.beats.append({
                "code": columns, "single": int(single), "signed": int(self.signed), "planes": self.planes - 1,
                "address": rng.randrange(spec.act_words), "plane_stride": rng.randrange(8),
                "transpose": rng.randrange(2), "ends_group": rng.randrange(2)})
        self.beats[-1] |= {"address": address, "plane_stride": stride, "transpose": int(self.transpose),
                           "ends_group": int(self.ends_group)}  # these are read with the last one


class Bench:
    """A writer at a port that grants as ``grants`` says; ``written`` is (cycle, address, elements, group_done)."""

    def __init__(self, spec, *, grants="always"):
        self.dut, self.grants = TileWriter(spec), grants
        self.written, self.busy, self.ready = [], [], []

    async def watch(self, ctx):
        dut, write, cycle, held = self.dut, self.dut.write, 0, None
        grants = stall_pattern(self.grants, 5)
        while True:
            grant = next(grants)
            ctx.set(dut.grant, grant)
            _, _, en, address, tile, done, busy, ready = await ctx.tick().sample(
                write.en, write.address, write.data, dut.group_done, dut.busy, dut.i.ready)
            assert held is None or en and held == (address, plain(tile)), "a write that waits must hold"
            held = (address, plain(tile)) if en and not grant else None
            if en and grant:
                self.written.append((cycle, address, plain(tile), done))
            else:
                assert not done
            self.busy.append(busy)
            self.ready.append(ready)
            cycle += 1

    def run(self, tiles, *, stall="always", gap=lambda number: 0):
        async def sender(ctx):
            for number, tile in enumerate(tiles):
                for _ in range(gap(number)):
                    await ctx.tick()
                await send(ctx, self.dut.i, tile.beats, stall=stall, seed=number)
            while ctx.get(self.dut.busy):
                await ctx.tick()
            await ctx.tick().repeat(2)

        transfers = iter(run(self.dut, sender, background=[self.watch])["i"].transfers)
        return [[next(transfers) for _ in tile.beats] for tile in tiles]

    def check(self, tiles, transfers):
        """Every plane of every tile in its place and in order; ``group_done`` and ``busy``."""
        expected = [(tile, address, value, plane == tile.planes - 1)
                    for tile in tiles for plane, (address, value) in enumerate(tile.writes)]
        found = [(address, [[element & tile.mask for element in row] for row in elements], done)
                 for (_, address, elements, done), (tile, *_) in zip(self.written, expected, strict=True)]
        assert found == [(address, value, last and tile.ends_group) for tile, address, value, last in expected]
        ends = [cycle for (cycle, *_), (*_, last) in zip(self.written, expected, strict=True) if last]
        under_way = {cycle for beats, end in zip(transfers, ends, strict=True)
                     for cycle in range(beats[0] + 1, end + 1)}
        assert self.busy == [cycle in under_way for cycle in range(len(self.busy))]


@pytest.mark.parametrize(("stall", "grants"), [("random", "always"), ("always", "random")])
@pytest.mark.parametrize("spec", [*SPECS, *WIDE], ids=name)
def test_tiles(spec, stall, grants):
    """Single columns and several at a time, all planes; waiting writes hold."""
    rng = random.Random(f"{spec.name}/{stall}/{grants}")
    tiles = [Tile(rng, spec, 4, single=rng.random() < 0.4) for _ in range(24)]
    bench = Bench(spec, grants=grants)
    transfers = bench.run(tiles, stall=stall)
    bench.check(tiles, transfers)
    if grants == "always":
        cycle, cycles = -1, []
        for tile, beats in zip(tiles, transfers, strict=True):
            first = max(beats[-1] + 2, cycle + 1)  # the second cycle after the last column, or behind the tile before
            cycles += range(first, first + tile.planes)
            cycle = cycles[-1]
        assert [cycle for cycle, *_ in bench.written] == cycles


@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_never_stops_tiles_as_far_apart_as_planes(spec):
    """That is what the products count on: a beat per cycle, plane 0 in the second cycle after the last column."""
    rng = random.Random(1)
    tiles = [Tile(rng, spec, 4, single=rng.random() < 0.4) for _ in range(20)]
    before = [0, *(tile.planes for tile in tiles)]
    bench = Bench(spec)
    transfers = bench.run(tiles, gap=lambda number: max(0, before[number] - len(tiles[number].beats)))
    assert all(bench.ready)
    bench.check(tiles, transfers)
    assert [cycle for cycle, *_ in bench.written] == [
        beats[-1] + 2 + plane for beats, tile in zip(transfers, tiles, strict=True) for plane in range(tile.planes)]
