# amaranth: UnusedElaboratable=no
import random

import pytest
import torch
from vitric.golden.arith import nearest_signed_code, saturate, signed_code_range, split_signed, split_unsigned
from vitric.golden.spec.command import Flag, Opcode, Target
from vitric.hdl.accelerator.layouts import WRITE_COMMAND
from vitric.hdl.accelerator.writeback import Writeback

from tests.hdl.accelerator.kit import SPECS, command, matrix, memory, name, part
from tests.hdl.accelerator.test_position import product_steps
from tests.hdl.stream_kit import plain, run, send

KINDS = ["codes", "signed", "table", "residual", "logits"]


def random_command(rng, spec, index, kind):
    target = {"residual": Target.RESIDUAL, "logits": Target.LOGITS}.get(kind, Target.CODES)
    planes = rng.randint(1, 2 if kind == "signed" else -(-spec.code_bits // spec.a_bits))
    fields = {"index": index, "sets": rng.randint(1, 2), "groups": rng.randint(1, 3), "row_tiles": rng.randint(1, 2),
              "flags": Flag.WHOLE * rng.randrange(2) | planes - 1 << 8, "dst_base": rng.randrange(8),
              "dst_stride": rng.randrange(1, 5), "dst_plane_stride": rng.randrange(5)}
    match kind:
        case "codes" | "signed" | "table":
            fields["flags"] |= (Flag.TRANSPOSE * rng.randrange(2) | Flag.TABLE * (kind == "table")
                                | Flag.SIGNED * (kind == "signed"))
        case "residual":
            fields |= {"dst_base": spec.drain_cols * rng.randrange(2), "dst_stride": 4 * spec.cols}
        case "logits":
            fields |= {"dst_stride": rng.randint(1, 5 * spec.cols)}
    return command(opcode=Opcode.MATMUL | target << 8, **fields)


class Product:
    """A command with random columns: ``beats`` for its port, and what they write and give out.

    ``tiles`` and ``sums`` are lists of (address, value, whether a row group ends with it); ``present`` is the residual
    memory, in which the sums are entered. ``mask``: the bits of an element that its reader looks at.
    """

    def __init__(self, rng, spec, fields, present):
        self.fields, self.spec, self.present = fields, spec, present
        self.target, self.flags = Target(fields["opcode"] >> 8), Flag(fields["flags"] & 0xFF)
        self.port = "i_table" if Flag.TABLE in self.flags else "i_direct"
        self.tile_beats = spec.cols // spec.drain_cols
        self.planes = (fields["flags"] >> 8) + 1 if self.target is Target.CODES else 1
        self.mask = (1 << (spec.w_bits if Flag.SIGNED in self.flags else spec.element_bits)) - 1
        self.beats, self.tiles, self.sums, self.logits, columns = [], [], [], [], []
        for step in product_steps(fields, spec):
            values = self._values(rng)
            self.beats.append(values)
            if self.target is Target.RESIDUAL:
                self._add(step, values)
            elif self.target is Target.CODES:
                columns += values
                if len(columns) == spec.cols:
                    self._write(step, torch.tensor(columns).T)
                    columns = []
            elif step["first_group"]:
                self.logits += [column[0] for column in values]
        self.logits = self.logits[:fields["dst_stride"]]

    def _values(self, rng):
        spec = self.spec
        if self.target is not Target.CODES:
            return matrix(rng, spec.drain_cols, spec.rows, spec.residual_bits, signed=True)
        if Flag.SIGNED not in self.flags:
            return matrix(rng, spec.drain_cols, spec.rows, spec.code_bits)
        limit = signed_code_range(min(spec.code_bits, self.planes * spec.w_bits), spec.w_bits)
        return [[rng.randint(-limit, limit) for _ in range(spec.rows)] for _ in range(spec.drain_cols)]

    def _add(self, step, values):
        address = step["residual_address"]
        total = torch.tensor(self.present[address]) + torch.tensor(values)
        self.present[address] = saturate(total, -(1 << 15), (1 << 15) - 1).tolist()
        self.sums.append((address, self.present[address], bool(step["ends_group"])))

    def _write(self, step, codes):
        spec, planes = self.spec, self.planes
        if Flag.SIGNED in self.flags:
            split = split_signed(nearest_signed_code(codes, spec.w_bits, planes), spec.w_bits, planes)
        else:
            split = split_unsigned(codes & (1 << planes * spec.a_bits) - 1, spec.a_bits, planes)
        for plane, digits in enumerate(split):
            digits = (digits.T if Flag.TRANSPOSE in self.flags else digits) & self.mask
            address = step["tile_address"] + plane * self.fields["dst_plane_stride"] * spec.word_tiles
            self.tiles.append((address, digits.tolist(), bool(step["ends_group"] and plane == planes - 1)))


class Bench:
    """The writeback with its memory; sends the columns of products as close as the feeder lets them come."""

    def __init__(self, spec, seed):
        self.spec, self.dut, self.rng = spec, Writeback(spec), random.Random(seed)
        self.memory = {at: matrix(self.rng, spec.drain_cols, spec.rows, spec.residual_bits, signed=True)
                       for at in range(0, spec.residual_words, spec.drain_cols)}
        self.products, self.expected = [], dict(self.memory)
        self.tiles, self.sums, self.logits, self.complete = [], [], [], []

    def add(self, kind, **fields):
        fields = random_command(self.rng, self.spec, len(self.products) + 1, kind) | fields
        self.products.append(Product(self.rng, self.spec, fields, self.expected))

    def run(self, *, pauses):
        async def commands(ctx):
            await send(ctx, self.dut.i, [part(WRITE_COMMAND, product.fields) for product in self.products])

        async def columns(ctx):
            await ctx.tick().until(self.dut.i.valid & self.dut.i.ready)
            await ctx.tick()
            for number, product in enumerate(self.products):
                await self.columns(ctx, product, self.products[number - 1] if number else None, pauses)
            await ctx.tick().repeat(20)

        reader = memory(self.dut.residual_read, self.memory, junk=None)
        return run(self.dut, commands, columns, background=[self.watch, reader])

    async def columns(self, ctx, product, before, pauses):
        """Behind the last columns of ``before``: ``command_gap`` cycles without one at requantize."""
        if before is not None:
            table = [one.port == "i_table" for one in (before, product)]  # those come ``gelu.latency`` cycles later
            gap = self.spec.command_gap + self.spec.gelu.latency * (table[1] - table[0])
            await ctx.tick().repeat(gap + max(0, before.planes - before.tile_beats))
        port = getattr(self.dut, product.port)
        for number, payload in enumerate(product.beats):
            pause = self.rng.choice([0, 0, 3]) if pauses else 0
            if number and number % product.tile_beats == 0:
                pause += max(0, product.planes - product.tile_beats)
            for _ in range(pause):
                await ctx.tick()
            ctx.set(port.valid, 1)
            ctx.set(port.payload, payload)
            await ctx.tick()
            ctx.set(port.valid, 0)

    async def watch(self, ctx):
        """Record; compare progress in each cycle with what was written in the cycles before."""
        dut, act_port, sum_port = self.dut, self.dut.act, self.dut.residual_write
        ends = {product.fields["index"]: (product, [end for *_, end in product.tiles + product.sums])
                for product in self.products}
        written = groups = present = 0
        while True:
            _, _, act, tile_at, tile, add, at, total, logit, beat, progress, complete, index = await ctx.tick().sample(
                act_port.en, act_port.address, act_port.data, sum_port.en, sum_port.address, sum_port.data,
                dut.o_logits.valid, dut.o_logits.payload, dut.progress, dut.complete, dut.index)
            if progress.index != present:
                assert progress.index == present + 1
                present, written, groups = progress.index, 0, 0
            assert progress.groups == groups
            if act:
                mask = ends[present][0].mask
                self.tiles.append((tile_at, [[value & mask for value in row] for row in plain(tile)]))
            if add:
                self.memory[at] = plain(total)
                self.sums.append((at, plain(total)))
            if act or add:
                groups += ends[present][1][written]
                written += 1
            if logit:
                self.logits += plain(beat.value)[:plain(beat.count) + 1]
            if complete:
                product, writes = ends[index]
                assert written == len(writes) and index == present
                self.complete.append(index)

    def check(self):
        assert self.tiles == [write[:2] for product in self.products for write in product.tiles]
        assert self.sums == [write[:2] for product in self.products for write in product.sums]
        assert self.logits == [logit for product in self.products for logit in product.logits]
        assert self.complete == [product.fields["index"] for product in self.products]
        assert self.memory == self.expected


@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_commands(spec):
    """Every kind behind every other one, as early as it may come: writes, sums, logits, progress, completion."""
    bench = Bench(spec, spec.name)
    order = "aabacadaebbcbdbeccdceddeea"  # each pair of five once
    for letter in order:
        bench.add(KINDS["abcde".index(letter)])
    bench.run(pauses=False)
    bench.check()


@pytest.mark.parametrize("spec", SPECS[2:4], ids=name)
def test_pauses(spec):
    """Columns that come at any time."""
    bench = Bench(spec, spec.name)
    for kind in [*KINDS, *KINDS]:
        bench.add(kind)
    bench.run(pauses=True)
    bench.check()


@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_most_planes(spec):
    """A product with the most planes that a code has, and behind its last column the next one at once."""
    bench = Bench(spec, spec.name)
    planes = -(-spec.code_bits // spec.a_bits)
    for kind in ("table", "codes", "table", "residual", "codes", "logits"):
        more = {"flags": planes - 1 << 8 | Flag.TABLE * (kind == "table")} if kind in ("table", "codes") else {}
        bench.add(kind, **more)
    bench.run(pauses=False)
    bench.check()


@pytest.mark.parametrize("count", [0, 1, 5])
@pytest.mark.parametrize("spec", SPECS[3:5], ids=name)
def test_logits(spec, count):
    """As many as the command says, in the cycle of their columns, of row group 0 only."""
    bench = Bench(spec, count)
    bench.add("logits", dst_stride=count, groups=2, sets=2, row_tiles=2)
    checkers = bench.run(pauses=False)
    bench.check()
    beats = -(-count // spec.drain_cols)
    of_group = 2 * bench.products[0].tile_beats
    columns = checkers["i_direct"].transfers
    first_group = columns[:of_group] + columns[2 * of_group:3 * of_group]  # of both sets
    assert checkers["o_logits"].transfers == first_group[:beats]


@pytest.mark.parametrize("kind", ["codes", "residual"])
def test_interval(kind):
    """``drain_cols`` columns per cycle within a command."""
    spec = SPECS[4]
    bench = Bench(spec, kind)
    bench.add(kind, flags=0, sets=2, groups=3, row_tiles=2)
    columns = bench.run(pauses=False)["i_direct"].transfers
    bench.check()
    assert columns == list(range(columns[0], columns[0] + 2 * 3 * 2 * spec.cols // spec.drain_cols))
