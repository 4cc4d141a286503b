# amaranth: UnusedElaboratable=no
import random

import pytest
from vitric.golden.spec.command import Flag, Opcode
from vitric.hdl.accelerator.layouts import ROW_COMMAND
from vitric.hdl.accelerator.norm_feeder import NormFeeder

from tests.hdl.accelerator.kit import SPECS, command, matrix, name, part
from tests.hdl.stream_kit import receive, run, stall_pattern


class Bench:
    """Commands one after the other; residual memory, whose port is taken as ``taken`` says; who writes what is read.

    A row group is written at random times unless ``writer`` is None; before that its words are junk. ``writer`` says
    who reports it: an engine's ``product`` or ``rows``, or ``done`` alone, behind the last one.
    """

    def __init__(self, spec, cases, *, taken=None, writer=None, seed=0):
        self.spec, self.dut, self.rng = spec, NormFeeder(spec), random.Random(seed)
        self.cases, self.taken, self.writer = cases, taken, writer
        step = spec.drain_cols
        self.contents = {at: matrix(self.rng, step, spec.rows, spec.residual_bits, signed=True)
                         for at in range(0, spec.residual_words, step)}
        self.reads, self.starts, self.complete = [], [], []
        self.there = set()
        self.clock = 0

    def beats(self, fields):
        """What the docstring says of one command."""
        for g in range(fields["groups"]):
            for c in range(fields["columns"]):
                address = fields["a_base"] + g * fields["a_group_stride"] + c
                at = address % self.spec.drain_cols
                yield {"x": self.contents[address - at][at], "last": int(c == fields["columns"] - 1)}

    async def memory(self, ctx):
        port, step = self.dut.residual, self.spec.drain_cols
        taken = stall_pattern(self.taken or "always", 4)
        junk = matrix(self.rng, step, self.spec.rows, self.spec.residual_bits, signed=True)
        while True:
            busy = bool(self.taken) and next(taken)
            ctx.set(self.dut.taken, busy)
            _, _, en, address, start = await ctx.tick().sample(port.en, port.address, self.dut.start)
            if start:
                self.starts.append(self.clock)
            assert not (en and busy), "a read of a port that is taken"
            if en:
                address -= address % step
                self.reads.append((self.clock, address))
                ctx.set(port.data, self.contents[address] if address in self.there else junk)
            elif busy:
                ctx.set(port.data, junk)  # what somebody else has read
            self.clock += 1

    def words(self, fields, group):
        first = fields["a_base"] + group * fields["a_group_stride"]
        return range(first, first + fields["columns"], self.spec.drain_cols)

    async def write(self, ctx, fields):
        """Command ``a_wait`` writes its row groups, and those that report it do."""
        dut, progress = self.dut, {"product": self.dut.product, "rows": self.dut.rows}.get(self.writer)
        other = {"product": dut.rows, "rows": dut.product}.get(self.writer, dut.product)
        ctx.set(dut.done, fields["a_wait"] - 1)
        ctx.set(other, {"index": fields["a_wait"] - 1, "groups": 9})  # another command
        if progress is not None:
            ctx.set(progress, {"index": fields["a_wait"], "groups": 0})
        for group in range(fields["groups"]):
            await ctx.tick().repeat(self.rng.choice([1, 2, 15]))
            self.there.update(self.words(fields, group))
            if progress is not None:
                ctx.set(progress, {"index": fields["a_wait"], "groups": group + 1})
        await ctx.tick().repeat(self.rng.choice([1, 9]))
        self.complete.append(self.clock)
        if self.writer == "done":
            ctx.set(dut.done, fields["a_wait"])
        # An engine that reports is not complete before all is read, and nothing else ever is.

    def run(self, *, stall="always"):
        taken_beats = []

        async def control(ctx):
            for number, fields in enumerate(self.cases):
                if self.writer is None:
                    for group in range(fields["groups"]):
                        self.there.update(self.words(fields, group))
                    ctx.set(self.dut.done, fields["a_wait"])
                ctx.set(self.dut.command, part(ROW_COMMAND, fields))
                ctx.set(self.dut.start, 1)
                if self.writer:
                    ctx.set(self.dut.done, fields["a_wait"] - 1)
                    for progress in (self.dut.product, self.dut.rows):
                        ctx.set(progress, {"index": fields["a_wait"] - 1, "groups": 9})
                await ctx.tick()
                ctx.set(self.dut.start, 0)
                if self.writer:
                    await self.write(ctx, fields)
                while len(taken_beats) <= number:
                    await ctx.tick()
                self.there.clear()

        async def receiver(ctx):
            for number, fields in enumerate(self.cases):
                found = await receive(ctx, self.dut.o, fields["groups"] * fields["columns"], stall=stall, seed=number)
                assert found == list(self.beats(fields)), fields
                taken_beats.append(len(found))
            ctx.set(self.dut.o.ready, 1)
            for _ in range(8):
                await ctx.tick()
                assert not ctx.get(self.dut.o.valid)

        transfers = iter(run(self.dut, control, receiver, background=[self.memory])["o"].transfers)
        return [[next(transfers) for _ in range(fields["groups"] * fields["columns"])] for fields in self.cases]


def norm(rng, spec, **fields):
    """A random NORM; rows begin at a whole word of the memory."""
    step = spec.drain_cols
    columns = fields.get("columns", rng.randint(1, 9))
    return command(**{
        "opcode": Opcode.NORM, "index": 9, "a_wait": 6, "groups": rng.randint(1, 4), "columns": columns,
        "a_base": step * rng.randrange(4), "a_group_stride": step * (-(-columns // step) + rng.randrange(2)), **fields})


@pytest.mark.parametrize(("stall", "taken"), [("always", None), ("random", "random"), ("bursts", None)])
@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_rows(spec, stall, taken):
    """Channel by channel, also where a row ends within a word; without stalls as fast as the docstring says."""
    rng = random.Random(f"{spec.name}/{stall}")
    cases = [norm(rng, spec) for _ in range(10)]
    cases += [norm(rng, spec, columns=1, groups=3), norm(rng, spec, groups=1), norm(rng, spec, a_wait=0)]
    bench = Bench(spec, cases, taken=taken)
    cycles = bench.run(stall=stall)
    words = [(number, address) for number, fields in enumerate(cases) for group in range(fields["groups"])
             for address in bench.words(fields, group)]
    assert [address for _, address in bench.reads] == [address for _, address in words]  # each word once
    if (stall, taken) == ("always", None):
        assert cycles == [list(range(start + 3, start + 3 + len(beats)))
                          for start, beats in zip(bench.starts, cycles, strict=True)]


@pytest.mark.parametrize("writer", ["product", "rows"])
@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_rows_as_they_are_written(spec, writer):
    """No row group before its writer is past it, and each without waiting for the whole command."""
    rng = random.Random(f"{spec.name}/{writer}")
    Bench(spec, [norm(rng, spec) for _ in range(12)], taken="random", writer=writer).run(stall="random")


@pytest.mark.parametrize("whole", [0, int(Flag.WHOLE)])
@pytest.mark.parametrize("spec", SPECS[2:5], ids=name)
def test_rows_of_a_whole_command(spec, whole):
    """With the flag row groups do not count; an engine that is at another command says nothing anyway."""
    rng = random.Random(f"{spec.name}/{whole}")
    cases = [norm(rng, spec, flags=whole) for _ in range(8)]
    bench = Bench(spec, cases, writer="done")
    if whole:  # the row engine is past all of it, and that is not enough
        bench.write, write = None, bench.write

        async def run_ahead(ctx, fields):
            ctx.set(bench.dut.rows, {"index": fields["a_wait"], "groups": fields["groups"]})
            ctx.set(bench.dut.done, fields["a_wait"] - 1)
            await ctx.tick().repeat(20)
            await write(ctx, fields)

        bench.write = run_ahead
    cycles = bench.run()
    for begin, first in zip(bench.complete, cycles, strict=True):
        assert first[0] > begin
