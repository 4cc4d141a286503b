# amaranth: UnusedElaboratable=no
import random

import pytest
from vitric.golden.spec.command import Opcode
from vitric.hdl.accelerator.norm_feeder import NormFeeder

from tests.hdl.accelerator.kit import SPECS, command, matrix, memory, name
from tests.hdl.stream_kit import receive, run


@pytest.mark.parametrize("stall", ["always", "random", "bursts"])
@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_rows(spec, stall):
    rng = random.Random(f"{spec.name}/{stall}")
    contents = matrix(rng, spec.residual_words, spec.rows, 16, signed=True)
    cases = [command(opcode=Opcode.NORM, groups=rng.randint(1, 4), columns=rng.randint(1, 6), a_base=rng.randrange(10),
                     a_group_stride=rng.randrange(10)) for _ in range(12)]
    cases += [command(opcode=Opcode.NORM, groups=1, columns=1), command(opcode=Opcode.NORM, groups=3, columns=1)]
    dut = NormFeeder(spec)
    starts, ends, received = [], [], []
    expected = [
        {"x": contents[f["a_base"] + g * f["a_group_stride"] + c], "last": int(c == f["columns"] - 1)}
        for f in cases for g in range(f["groups"]) for c in range(f["columns"])]

    async def control(ctx):
        cycle = 0
        for fields in cases:
            ctx.set(dut.command, fields)
            ctx.set(dut.start, 1)
            starts.append(cycle)
            await ctx.tick()
            cycle += 1
            ctx.set(dut.start, 0)
            done = False
            while not done:
                _, _, done = await ctx.tick().sample(dut.done)
                cycle += 1
            ends.append(cycle - 1)

    async def receiver(ctx):
        received.extend(await receive(ctx, dut.o, len(expected), stall=stall, seed=1))

    checkers = run(dut, control, receiver, background=[
        memory(dut.residual, dict(enumerate(contents)),
               junk=[0] * spec.rows)])
    assert received == expected
    counts = [fields["groups"] * fields["columns"] for fields in cases]
    beats = [checkers["o"].transfers[sum(counts[:at]):][:count] for at, count in enumerate(counts)]
    assert [cycles[-1] for cycles in beats] == ends  # `done` comes with the last transfer
    if stall == "always":
        assert [cycles[0] - start for cycles, start in zip(beats, starts, strict=True)] == [2] * len(cases)
        assert all(cycles == list(range(cycles[0], cycles[0] + len(cycles))) for cycles in beats)
