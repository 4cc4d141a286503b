# amaranth: UnusedElaboratable=no
import random

import pytest
from vitric.golden.spec.command import Flag, Opcode, Target
from vitric.hdl.accelerator.drain import Drain
from vitric.hdl.accelerator.layouts import DRAIN_COMMAND

from tests.hdl.accelerator.kit import SPECS, Recorder, Ring, command, matrix, name, part
from tests.hdl.stream_kit import run, send

LATENCY = 2  # from tile to first columns
COMMAND_GAP = 3  # more cycles between the last tile of a command and the first of the next one
PER_CHANNEL, PER_COMMAND = ("bias", "multiplier", "shift"), ("zero_point", "low", "high")


def channel_word(rng):
    """A word with a legal shift index."""
    return {"bias": rng.randrange(-1 << 31, 1 << 31), "multiplier": rng.randrange(1 << 16), "shift": rng.randrange(4),
            "zero": rng.randrange(256)}


def random_command(rng, spec, **fixed):
    tiles = rng.randint(1, 2)
    target = rng.choice(list(Target))
    columns = rng.randint(1, tiles * spec.cols) if target is Target.SOFTMAX else tiles * spec.cols
    return command(**{
        "opcode": Opcode.MATMUL | target << 8, "flags": int(Flag.TABLE) if rng.random() < 0.3 else 0,
        "sets": rng.randint(1, 3), "groups": rng.randint(1, 3), "set_tiles": tiles, "columns": columns,
        "zero_point": rng.randrange(-99, 99), "low": rng.randrange(-99, 0), "high": rng.randrange(99),
        "offset": rng.randrange(-999, 999), "index": rng.randrange(1 << 16), **fixed})


class Bench:
    """A drain with its ring, and an array that gives tiles as far apart as the drain needs, or ``pause`` more."""

    def __init__(self, spec, commands, rng, *, stall="always"):
        self.spec, self.commands, self.rng, self.stall = spec, commands, rng, stall
        self.dut = dut = Drain(spec)
        length = spec.channel_group
        self.sets = [[channel_word(rng) for _ in range(fields["set_tiles"] * spec.cols)]
                     for fields in commands for _ in range(fields["sets"])]
        words = [word for each in self.sets for word in each]
        self.ring = Ring(dut.channels, [words[at:at + length] for at in range(0, len(words), length)],
                         spec.channel_words // length, stall=stall)
        self.columns = Recorder(dut.valid, *dut.columns, dut.tag)
        self.expected, self.cycles, self.cycle, self.begun, self.freed = [], [], 0, [], []

    def tiles(self):
        """Number of the command, of the set and of the tile in its row, in the order in which the array has them."""
        first = 0
        for number, fields in enumerate(self.commands):
            for at in range(first, first + fields["sets"]):
                for _ in range(fields["groups"]):
                    yield from ((number, at, tile) for tile in range(fields["set_tiles"]))
            first += fields["sets"]

    def expect(self, fields, constants, tile, acc):
        """Note the columns of a tile that comes in the present cycle."""
        spec, columns = self.spec, fields["columns"]
        for beat in range(spec.cols // spec.drain_cols):
            first = tile * spec.cols + beat * spec.drain_cols
            here = [channel for channel in range(first, first + spec.drain_cols) if channel < columns]
            if here:
                self.cycles.append(self.cycle + LATENCY + beat)
                shared = {key: fields[key] for key in PER_COMMAND}
                self.expected.append(([
                    {"acc": [row[channel - tile * spec.cols] for row in acc],
                     **{key: constants[channel][key] for key in PER_CHANNEL}, **shared} for channel in here
                ], {"target": fields["opcode"] >> 8, "table": int(bool(fields["flags"] & Flag.TABLE)),
                    "last": int(first + spec.drain_cols >= columns), "mask": (1 << len(here)) - 1,
                    "offset": fields["offset"], "index": fields["index"]}))

    async def array(self, ctx):
        """The tiles; each stays until the next one."""
        dut, spec, rng = self.dut, self.spec, self.rng
        beats, pauses = spec.cols // spec.drain_cols, self.stall != "always"
        earliest, before, needed = 0, -1, [0]
        for each in self.sets:
            needed.append(needed[-1] + len(each) // spec.channel_group)
        for number, at, tile in self.tiles():
            earliest += COMMAND_GAP if number != before else 0
            earliest += rng.choice([0, 0, 1, 5]) if pauses else 0
            before = number
            while self.cycle < earliest or len(self.begun) <= number or self.ring.top < needed[at + 1]:
                await self.tick(ctx)
            acc = matrix(rng, spec.rows, spec.cols, spec.acc_bits, signed=True)
            ctx.set(dut.i_tile.valid, 1)
            ctx.set(dut.i_tile.payload, {"acc": acc})
            self.expect(self.commands[number], self.sets[at], tile, acc)
            earliest = self.cycle + beats
            await self.tick(ctx)
            ctx.set(dut.i_tile.valid, 0)
        for _ in range(beats + 10):
            await self.tick(ctx)

    async def tick(self, ctx):
        _, _, valid, ready, freed = await ctx.tick().sample(
            self.dut.i.valid, self.dut.i.ready, self.dut.channels.freed)
        if valid and ready:
            self.begun.append(self.cycle)
        if freed != (self.freed[-1][1] if self.freed else 0):
            self.freed.append((self.cycle, freed))
        self.cycle += 1

    def run(self):
        async def sender(ctx):
            await send(ctx, self.dut.i, [part(DRAIN_COMMAND, fields) for fields in self.commands], stall=self.stall)

        run(self.dut, sender, self.array, background=[self.ring.run, self.columns.run],
            limit=20_000)
        assert self.columns.cycles == self.cycles
        for (*columns, tag), (expected, its_tag) in zip(self.columns.values, self.expected, strict=True):
            assert tag == its_tag
            for column, wanted in zip(columns, expected, strict=False):  # the others do not count
                assert {key: column[key] for key in wanted} == wanted
        assert self.ring.base == len(self.ring.words)


@pytest.mark.parametrize("stall", ["always", "random", "bursts"])
@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_columns(spec, stall):
    """In their cycles: two after the tile, ``drain_cols`` per cycle. Tiles and commands as close as they may come."""
    rng = random.Random(f"{spec.name}/{stall}")
    Bench(spec, [random_command(rng, spec) for _ in range(10)], rng, stall=stall).run()


@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_any_number_of_keys(spec):
    """``last`` and ``mask`` at the end of a row, and columns that are dropped."""
    rng = random.Random(2)
    opcode = Opcode.MATMUL | Target.SOFTMAX << 8
    Bench(spec, [random_command(rng, spec, opcode=opcode, sets=1, groups=2, set_tiles=2, columns=columns)
                 for columns in range(1, 2 * spec.cols + 1)], rng).run()


@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_set_as_large_as_the_ring(spec):
    """The next one has room as soon as the last column of this one is out; its words are freed with that."""
    rng = random.Random(3)
    bench = Bench(spec, [random_command(rng, spec, opcode=Opcode.MATMUL, sets=3, groups=2, columns=spec.channel_words,
                                        set_tiles=spec.channel_words // spec.cols)], rng)
    bench.run()
    beats = len(bench.columns.cycles) // 3
    assert [cycle for cycle, _ in bench.freed] == [bench.columns.cycles[beats * n - 1] for n in (1, 2, 3)]
