# amaranth: UnusedElaboratable=no
import random
from dataclasses import replace

import pytest
from vitric.golden.spec.command import Opcode
from vitric.hdl.accelerator.affine import Affine
from vitric.hdl.accelerator.layouts import ROW_COMMAND, affine_group

from tests.hdl.accelerator.kit import SPECS, command, name, part
from tests.hdl.stream_kit import receive, run

CASES = [*SPECS[:3], replace(SPECS[2], name="an odd number of channels", max_embed=15)]


def constants(rng, count):
    return [{"beta": rng.randrange(-1 << 31, 1 << 31), "gamma": rng.randrange(-1 << 15, 1 << 15),
             "zero": rng.randrange(1 << 16)} for _ in range(count)]


class Bench:
    """Loads and streams the constants of several commands, one after the other."""

    def __init__(self, spec, seed):
        self.spec, self.dut, self.rng = spec, Affine(spec), random.Random(seed)
        self.cases, self.starts = [], []

    def add(self, columns, groups):
        self.cases.append((constants(self.rng, columns), groups))

    async def load(self, ctx, values):
        size, write = affine_group(self.spec).length, self.dut.write
        values = [*values, *constants(self.rng, -len(values) % size)]
        for at in self.rng.sample(range(0, len(values), size), len(values) // size):
            ctx.set(write.en, 1)
            ctx.set(write.address, at // size)
            ctx.set(write.data, values[at:at + size])
            await ctx.tick()
            ctx.set(write.en, 0)
            ctx.set(write.data, constants(self.rng, size))  # what is at the port does not count now

    def run(self, *, stall):
        """Return the cycles of each command's beats, compared with what was loaded."""
        cycles = []

        async def watch(ctx):
            cycle = 0
            while True:
                _, _, start = await ctx.tick().sample(self.dut.start)
                if start:
                    self.starts.append(cycle)
                cycle += 1

        async def testbench(ctx):
            for number, (values, groups) in enumerate(self.cases):
                await self.load(ctx, values)
                fields = command(opcode=Opcode.NORM, columns=len(values), groups=groups)
                ctx.set(self.dut.command, part(ROW_COMMAND, fields))
                ctx.set(self.dut.start, 1)
                await ctx.tick()
                ctx.set(self.dut.start, 0)
                found = await receive(ctx, self.dut.o, len(values) * groups, stall=stall, seed=number)
                assert found == values * groups

            ctx.set(self.dut.o.ready, 1)
            for _ in range(5):
                await ctx.tick()
                assert not ctx.get(self.dut.o.valid)

        transfers = iter(run(self.dut, testbench, background=[watch])["o"].transfers)
        for values, groups in self.cases:
            cycles.append([next(transfers) for _ in range(len(values) * groups)])
        assert not list(transfers)
        return cycles


@pytest.mark.parametrize("stall", ["always", "random", "bursts"])
@pytest.mark.parametrize("spec", CASES, ids=name)
def test_constants(spec, stall):
    """Every channel of every row group, in order; with one that is always ready: two cycles behind, without gaps."""
    bench = Bench(spec, f"{spec.name}/{stall}")
    for columns in (spec.max_embed, 1, 2, spec.max_embed - 1, *bench.rng.sample(range(1, spec.max_embed), 4)):
        bench.add(columns, bench.rng.randint(1, 4))
    cycles = bench.run(stall=stall)
    if stall == "always":
        assert cycles == [list(range(start + 2, start + 2 + len(beats)))
                          for start, beats in zip(bench.starts, cycles, strict=True)]


def test_loaded_once_for_all_commands():
    """What is in the memory stays there: a second command reads the same, without a write."""
    spec = SPECS[1]
    bench = Bench(spec, 3)
    bench.add(7, 2)
    bench.cases.append((bench.cases[0][0][:5], 3))
    load, loads = bench.load, []

    async def first_only(ctx, values):
        if not loads:
            await load(ctx, values)
        loads.append(values)

    bench.load = first_only
    bench.run(stall="random")
