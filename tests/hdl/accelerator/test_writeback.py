# amaranth: UnusedElaboratable=no
import random

import pytest
import torch
from vitric.golden.arith import saturate, split_unsigned
from vitric.golden.spec.command import Flag, Opcode, Target
from vitric.hdl.accelerator.writeback import Writeback

from tests.hdl.accelerator.kit import SPECS, command, matrix, memory, name
from tests.hdl.accelerator.test_position import columns_of
from tests.hdl.stream_kit import plain, receive, run, send


def product(rng, spec, target, **fields):
    sets, row_tiles = rng.randint(1, 2), rng.randint(1, 2)
    columns = row_tiles * spec.cols
    if target is Target.SOFTMAX:
        sets, columns = 1, rng.randint(1, columns)
    return command(opcode=Opcode.MATMUL | target << 8, sets=sets, groups=rng.randint(1, 3), row_tiles=row_tiles,
                   columns=columns, **fields)


def random_command(rng, spec):
    kind = rng.choice(["codes", "gelu", "softmax", "residual", "logits", "norm", "input", "load"])
    flags = rng.randrange(2) * Flag.TRANSPOSE | rng.randrange(min(4, -(-8 // spec.a_bits))) << 8
    act = {"dst_base": rng.randrange(8), "dst_stride": rng.randrange(1, 5), "dst_plane_stride": rng.randrange(5)}
    row_tiles = rng.randint(1, 2)
    row = {"groups": rng.randint(1, 3), "row_tiles": row_tiles, "columns": rng.randint(1, row_tiles * spec.cols),
           "code_high": rng.choice([255, 100]), "sets": rng.randrange(3), "flags": flags & 0x300, **act}
    match kind:
        case "codes":
            return product(rng, spec, Target.CODES, flags=flags, **act)
        case "gelu":
            return product(rng, spec, Target.CODES, flags=flags | Flag.TABLE, **act)
        case "softmax":
            flags = flags & 0x300 | rng.choice([0, Flag.TABLE])
            return product(rng, spec, Target.SOFTMAX, flags=flags, code_high=rng.choice([255, 90]), **act)
        case "residual":
            return {**product(rng, spec, Target.RESIDUAL), "dst_base": rng.randrange(4), "dst_stride": 4 * spec.cols}
        case "logits":
            return {**product(rng, spec, Target.LOGITS), "dst_stride": rng.randint(1, 4 * spec.cols)}
        case "norm":
            return command(opcode=Opcode.NORM, **row)
        case "input":
            return command(opcode=Opcode.INPUT, **row)
        case "load":
            return command(opcode=Opcode.LOAD, groups=1, columns=1, row_tiles=1)


def source_of(fields):
    """Port that the columns come from."""
    opcode, target = fields["opcode"] & 0xFF, fields["opcode"] >> 8
    if opcode != Opcode.MATMUL:
        return {Opcode.NORM: "i_norm", Opcode.INPUT: "i_pixels", Opcode.LOAD: None}[opcode]
    return "i_table" if fields["flags"] & Flag.TABLE else "i_softmax" if target == Target.SOFTMAX else "i_direct"


class Expected:
    """What a list of commands takes and writes."""

    def __init__(self, spec, commands, rng, residual):
        self.sources = {port: [] for port in ("i_direct", "i_table", "i_softmax", "i_norm", "i_pixels")}
        self.tiles, self.logits, self.residual_writes = [], [], []
        self.spec, self.rng, self.residual = spec, rng, dict(residual)
        for fields in commands:
            if source_of(fields):
                self.add(fields)

    def add(self, fields):
        spec, port = self.spec, source_of(fields)
        target = fields["opcode"] >> 8 if fields["opcode"] & 0xFF == Opcode.MATMUL else None
        tile = []
        for at in columns_of(fields, spec):
            wide = port == "i_direct" and target != Target.CODES
            y = [self.rng.randrange(-1 << 15, 1 << 15) if wide else self.rng.randrange(256) for _ in range(spec.rows)]
            if not at["is_padding"]:
                last = at["last_group"] and at["column"] == fields["columns"] - 1
                self.sources[port].append({"pixel": y, "last": last} if port == "i_pixels" else y)
            if target == Target.RESIDUAL:
                before = self.residual[at["residual_address"]]
                total = saturate(torch.tensor(before) + torch.tensor(y), -(1 << 15), (1 << 15) - 1).tolist()
                self.residual[at["residual_address"]] = total
                self.residual_writes.append((at["residual_address"], total))
            elif target == Target.LOGITS:
                if at["first_group"] and at["channel"] < fields["dst_stride"]:
                    self.logits.append(y[0])
            else:
                if port in ("i_softmax", "i_norm", "i_pixels"):
                    y = [min(value, fields["code_high"]) for value in y]
                tile.append([0] * spec.rows if at["is_padding"] else y)
                if len(tile) == spec.cols:
                    self.write(fields, at["tile_address"], torch.tensor(tile).T)
                    tile = []

    def write(self, fields, address, codes):
        spec = self.spec
        for plane, digits in enumerate(split_unsigned(codes, spec.a_bits, (fields["flags"] >> 8) + 1)):
            digits = digits.T if fields["flags"] & Flag.TRANSPOSE else digits
            self.tiles.append((address + plane * fields["dst_plane_stride"] * spec.word_tiles, digits.tolist()))


class Bench:
    def __init__(self, spec, seed):
        self.spec, self.dut, self.rng = spec, Writeback(spec), random.Random(seed)
        self.residual = dict(enumerate(matrix(self.rng, spec.residual_words, spec.rows, 15, signed=True)))
        self.initial = dict(self.residual)
        self.tiles, self.residual_writes, self.logits = [], [], []

    async def monitor(self, ctx):
        dut, mask = self.dut, (1 << self.spec.a_bits) - 1
        while True:
            _, _, act, address, tile, en, column, total = await ctx.tick().sample(
                dut.act.en, dut.act.address, dut.act.data, dut.residual_write.en, dut.residual_write.address,
                dut.residual_write.data)
            if act:
                self.tiles.append((address, [[value & mask for value in row] for row in plain(tile)]))
            if en:
                self.residual[column] = plain(total)
                self.residual_writes.append((column, plain(total)))

    def run(self, commands, expected, *, stall="always"):
        dut = self.dut

        def sender(port, payloads, seed):
            async def run(ctx):
                await send(ctx, getattr(dut, port), payloads, stall=stall, seed=seed)
            return run

        async def logits(ctx):
            self.logits = await receive(ctx, dut.o_logits, len(expected.logits), stall=stall, seed=9)
            await ctx.tick().until(dut.done == len(commands))

        reader = memory(dut.residual_read, self.residual,
                        junk=[0] * self.spec.rows)
        senders = [sender(port, payloads, seed) for seed, (port, payloads) in enumerate(expected.sources.items())]
        return run(dut, sender("i", commands, 20), logits, *senders, background=[self.monitor, reader])


@pytest.mark.parametrize("stall", ["always", "random", "bursts"])
@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_commands(spec, stall):
    bench = Bench(spec, f"{spec.name}/{stall}")
    commands = [random_command(bench.rng, spec) for _ in range(24)]
    expected = Expected(spec, commands, bench.rng, bench.initial)
    bench.run(commands, expected, stall=stall)
    assert bench.tiles == expected.tiles
    assert bench.residual_writes == expected.residual_writes
    assert bench.logits == expected.logits


@pytest.mark.parametrize("kind", ["residual", "codes"])
def test_interval(kind):
    """One column per cycle within a command."""
    spec = SPECS[1]
    bench = Bench(spec, kind)
    target = Target.RESIDUAL if kind == "residual" else Target.CODES
    fields = {**product(bench.rng, spec, target), "sets": 2, "groups": 3, "row_tiles": 2, "columns": 16,
              "dst_stride": 32 if kind == "residual" else 4}
    expected = Expected(spec, [fields], bench.rng, bench.initial)
    beats = bench.run([fields], expected)["i_direct"].transfers
    assert beats == list(range(beats[0], beats[0] + 96))


@pytest.mark.parametrize("last", [0, None, "final"], ids=["short", "long", "good"])
@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_length_of_the_image(spec, last):
    dut = Writeback(spec)
    tiles = dict.fromkeys(("groups", "row_tiles"), 1)
    fields = command(opcode=Opcode.INPUT, columns=spec.cols, code_high=255, **tiles)
    end = spec.cols - 1 if last == "final" else last

    async def testbench(ctx):
        await send(ctx, dut.i, [fields])
        await send(ctx, dut.i_pixels, [{"pixel": [1] * spec.rows, "last": int(at == end)} for at in range(spec.cols)])
        await ctx.tick().repeat(6)
        assert ctx.get(dut.bad_image) == (last != "final")

    run(dut, testbench)


@pytest.mark.parametrize("kind", ["codes", "softmax", "norm", "input"])
def test_a_source_is_asked_before_it_is_there(kind):
    """Whoever waits for a column says so, and only at the port that it waits for."""
    spec = SPECS[0]
    dut = Writeback(spec)
    opcode, port = {"codes": (Opcode.MATMUL, "i_direct"), "norm": (Opcode.NORM, "i_norm"),
                    "softmax": (Opcode.MATMUL | Target.SOFTMAX << 8, "i_softmax"),
                    "input": (Opcode.INPUT, "i_pixels")}[kind]

    async def testbench(ctx):
        await send(ctx, dut.i, [command(opcode=opcode, sets=1, groups=1, row_tiles=1, columns=spec.cols)])
        for _ in range(2):
            await ctx.tick()
        for source in ("i_direct", "i_table", "i_softmax", "i_norm", "i_pixels"):
            assert ctx.get(getattr(dut, source).ready) == (source == port)

    run(dut, testbench)
