# amaranth: UnusedElaboratable=no
import random

import pytest
import torch
from vitric.golden.arith import saturate, split_unsigned
from vitric.golden.spec.command import ErrorCode, Flag, Opcode, Target
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


@pytest.mark.parametrize("case,code", [
    ("act", ErrorCode.CAPACITY), ("act far", ErrorCode.CAPACITY), ("residual", ErrorCode.CAPACITY),
    ("short image", ErrorCode.BAD_IMAGE), ("long image", ErrorCode.BAD_IMAGE), ("good", ErrorCode.OK),
])
@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_errors(spec, case, code):
    bench = Bench(spec, 1)
    tiles = dict.fromkeys(("groups", "sets", "row_tiles"), 1)
    fields = command(opcode=Opcode.MATMUL, columns=spec.cols, **tiles)
    port, columns = "i_direct", [[1] * spec.rows] * spec.cols
    match case:
        case "act":
            fields["dst_base"] = spec.act_words
        case "act far":
            fields["dst_base"] = 0x8000
        case "residual":
            fields.update(opcode=Opcode.MATMUL | Target.RESIDUAL << 8, dst_base=4 * spec.residual_words)
        case "short image" | "long image":
            fields.update(opcode=Opcode.INPUT, code_high=255)
            port, last = "i_pixels", 0 if case == "short image" else None
            columns = [{"pixel": [1] * spec.rows, "last": int(at == last)} for at in range(spec.cols)]
    dut = bench.dut

    async def testbench(ctx):
        await send(ctx, dut.i, [fields])
        await send(ctx, getattr(dut, port), columns)
        await ctx.tick().repeat(6)
        assert ctx.get(dut.error_valid) == (code != ErrorCode.OK)
        assert ctx.get(dut.error) == code

    reader = memory(dut.residual_read, bench.residual,
                    junk=[0] * spec.rows)
    run(dut, testbench, background=[reader])
