# amaranth: UnusedElaboratable=no
import random

import pytest
import torch
from vitric.golden.arith import split_unsigned
from vitric.golden.spec.command import Flag, Opcode, Target
from vitric.hdl.accelerator.layouts import ROW_COMMAND
from vitric.hdl.accelerator.row_engine import RowEngine

from tests.hdl.accelerator.kit import SPECS, command, matrix, name, part
from tests.hdl.accelerator.test_position import row_steps
from tests.hdl.stream_kit import plain, run, send, stall_pattern

PORTS = {"input": "i_pixels", "norm": "i_norm", "softmax": "i_softmax", "table": "i_table", "load": None}
SINGLE = ("input", "norm")  # kinds whose columns come one by one


def random_command(rng, spec, index, kind):
    row_tiles, planes = rng.randint(1, 3), rng.randint(1, -(-spec.code_bits // spec.a_bits))
    opcode = {"input": Opcode.INPUT, "norm": Opcode.NORM, "load": Opcode.LOAD}.get(kind, Opcode.MATMUL)
    return command(
        opcode=opcode | (Target.SOFTMAX << 8 if opcode == Opcode.MATMUL else 0), index=index, row_tiles=row_tiles,
        columns=rng.randint(1, row_tiles * spec.cols), groups=rng.randint(1, 3), code_high=rng.choice([255, 100]),
        flags=planes - 1 << 8 | Flag.TABLE * (kind == "table"), dst_base=rng.randrange(8), dst_stride=rng.randrange(5),
        dst_plane_stride=rng.randrange(5))


class Rows:
    """A command with random columns: ``beats`` for its port; ``tiles`` as (address, elements, ends a row group)."""

    def __init__(self, rng, spec, fields, kind):
        self.fields, self.kind, self.port, self.beats, self.tiles = fields, kind, PORTS[kind], [], []
        columns = []
        for step in row_steps(fields, spec, single=kind in SINGLE) if self.port else ():
            values = matrix(rng, 1 if kind in SINGLE else spec.drain_cols, spec.rows, spec.code_bits)
            if not step["is_padding"]:
                last = step["last_group"] and step["column"] == fields["columns"] - 1
                self.beats.append({"input": {"pixel": values[0], "last": last}, "norm": values[0]}.get(kind, values))
            high = 255 if kind == "table" else fields["code_high"]
            columns += [[min(value, high) if step["column"] + at < fields["columns"] else 0 for value in column]
                        for at, column in enumerate(values)]
            if len(columns) == spec.cols:
                self._write(spec, step, torch.tensor(columns).T)
                columns = []

    def _write(self, spec, step, codes):
        planes = (self.fields["flags"] >> 8) + 1
        for plane, digits in enumerate(split_unsigned(codes & (1 << planes * spec.a_bits) - 1, spec.a_bits, planes)):
            address = step["tile_address"] + plane * self.fields["dst_plane_stride"] * spec.word_tiles
            self.tiles.append((address, digits.tolist(), bool(step["ends_group"] and plane == planes - 1)))


class Bench:
    def __init__(self, spec, seed):
        self.spec, self.dut, self.rng = spec, RowEngine(spec), random.Random(seed)
        self.commands, self.tiles, self.complete, self.started = [], [], [], []

    def add(self, kind, **fields):
        fields = random_command(self.rng, self.spec, len(self.commands) + 1, kind) | fields
        self.commands.append(Rows(self.rng, self.spec, fields, kind))

    async def watch(self, ctx, grants):
        """Record; compare progress, in each cycle, with what was written in the cycles before."""
        dut, write, by_index = self.dut, self.dut.act, {rows.fields["index"]: rows for rows in self.commands}
        written = groups = present = 0
        active = stall_pattern(grants, 8)
        while True:
            grant = next(active)
            ctx.set(dut.grant, grant)
            _, _, en, address, tile, progress, complete, index, norm, now, bad, *ready = await ctx.tick().sample(
                write.en, write.address, write.data, dut.progress, dut.complete, dut.index, dut.start_norm,
                dut.command.index, dut.bad_image, *(getattr(dut, port).ready for port in PORTS.values() if port))
            assert not bad
            if progress.index != present:
                assert progress.index == present + 1
                present, written, groups = progress.index, 0, 0
            assert progress.groups == groups
            rows = by_index.get(present)
            asked = [port for port, is_ready in zip(filter(None, PORTS.values()), ready, strict=True) if is_ready]
            assert not asked or asked == [rows.port], "another port than that of the present command is ready"
            if norm:
                self.started.append(now)
            if en and grant:
                self.tiles.append((address, plain(tile)))
                groups += rows.tiles[written][2]
                written += 1
            if complete:
                assert written == len(rows.tiles)
                assert index == present
                self.complete.append(index)

    def run(self, *, stall="always", grants="always"):
        dut = self.dut

        def sender(port, seed):
            beats = [beat for rows in self.commands if rows.port == port for beat in rows.beats]

            async def testbench(ctx):
                await send(ctx, getattr(dut, port), beats, stall=stall, seed=seed)
            return testbench

        async def commands(ctx):
            await send(ctx, dut.i, [part(ROW_COMMAND, rows.fields) for rows in self.commands], stall=stall, seed=20)
            while len(self.complete) < len(self.commands):
                await ctx.tick()
            await ctx.tick().repeat(5)

        async def watch(ctx):
            await self.watch(ctx, grants)

        senders = [sender(port, seed) for seed, port in enumerate(filter(None, PORTS.values()))]
        checkers = run(dut, commands, *senders, background=[watch])
        assert self.tiles == [tile[:2] for rows in self.commands for tile in rows.tiles]
        assert self.complete == [rows.fields["index"] for rows in self.commands]
        assert self.started == [rows.fields["index"] for rows in self.commands if rows.kind == "norm"]
        return checkers


@pytest.mark.parametrize(("stall", "grants"), [("always", "always"), ("random", "random")])
@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_commands(spec, stall, grants):
    """Every kind, codes beyond the limit, padding within a word and of whole tiles; progress and completion."""
    bench = Bench(spec, f"{spec.name}/{stall}")
    for kind in [*bench.rng.sample(list(PORTS), 5), *bench.rng.sample(list(PORTS), 5)]:
        bench.add(kind)
    bench.add("softmax", row_tiles=2, columns=2 * spec.cols - 1)  # the last columns are there in part
    bench.add("table", row_tiles=2, columns=1)
    bench.run(stall=stall, grants=grants)


@pytest.mark.parametrize("kind", ["input", "norm", "softmax", "table"])
@pytest.mark.parametrize("spec", SPECS[2:4], ids=name)
def test_interval(spec, kind):
    """A column per cycle, of softmax ``drain_cols``, as long as a tile has at least as many beats as planes."""
    bench = Bench(spec, kind)
    bench.add(kind, groups=3, row_tiles=2, columns=2 * spec.cols, flags=Flag.TABLE * (kind == "table"))
    cycles = bench.run()[PORTS[kind]].transfers
    count = 3 * 2 * spec.cols // (1 if kind in SINGLE else spec.drain_cols)
    assert cycles == list(range(cycles[0], cycles[0] + count))


@pytest.mark.parametrize("last", [0, "middle", None, "final"])
@pytest.mark.parametrize("spec", SPECS[2:5], ids=name)
def test_length_of_the_image(spec, last):
    """``last`` too early or not at all, seen in the cycle after; padding behind it is no column."""
    dut, columns, found = RowEngine(spec), 2 * spec.cols - 1, []
    fields = command(opcode=Opcode.INPUT, index=1, groups=2, columns=columns, row_tiles=2, code_high=255)
    end = {"middle": columns - 1, "final": 2 * columns - 1}.get(last, last)
    bad = {None: 2 * columns - 1, "final": None}.get(last, end)

    async def testbench(ctx):
        ctx.set(dut.grant, 1)
        await send(ctx, dut.i, [part(ROW_COMMAND, fields)])
        for at in range(2 * columns):
            await send(ctx, dut.i_pixels, [{"pixel": [1] * spec.rows, "last": int(at == end)}])
            found.append(ctx.get(dut.bad_image))
        await ctx.tick().repeat(6)
        found.append(ctx.get(dut.bad_image))

    run(dut, testbench)
    assert found == [int(bad is not None and at >= bad) for at in range(2 * columns + 1)]


@pytest.mark.parametrize("kind", ["norm", "softmax", "table", "input"])
def test_a_source_is_asked_before_it_is_there(kind):
    """Whoever waits for a column says so, and only at the port that it waits for; the command is at its port."""
    spec = SPECS[3]
    dut = RowEngine(spec)
    fields = random_command(random.Random(1), spec, 1, kind)

    async def testbench(ctx):
        await send(ctx, dut.i, [part(ROW_COMMAND, fields)])
        assert ctx.get(dut.start_norm) == (kind == "norm")
        assert plain(ctx.get(dut.command)) == part(ROW_COMMAND, fields)
        await ctx.tick()
        for _ in range(5):
            for source in filter(None, PORTS.values()):
                assert ctx.get(getattr(dut, source).ready) == (source == PORTS[kind])
            assert not ctx.get(dut.start_norm)
            assert not ctx.get(dut.act.en)
            await ctx.tick()

    run(dut, testbench)
