# amaranth: UnusedElaboratable=no
import random

import pytest
import torch
from vitric.golden.arith import saturate
from vitric.hdl.accelerator.residual_adder import ResidualAdder

from tests.hdl.accelerator.kit import SPECS, matrix, memory, name
from tests.hdl.stream_kit import plain, run, stall_pattern


def order_of(rng, words, count, distance):
    """Words in random order, the same one again not earlier than ``distance`` places later."""
    order = []
    while len(order) < count:
        order.append(rng.choice([at for at in range(words) if at not in order[-distance + 1:]]))
    return order


@pytest.mark.parametrize("stall", ["always", "random"])
@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_sums(spec, stall):
    """Against golden's saturation; each write three cycles after its transfer, each read in its cycle.

    Words come again in the fourth cycle at the earliest, so that what was written is what is read.
    """
    rng = random.Random(f"{spec.name}/{stall}")
    low, high = -1 << spec.residual_bits - 1, (1 << spec.residual_bits - 1) - 1
    value_bits = spec.requantize.code_bits
    words, step = 8, spec.drain_cols
    contents = {at * step: matrix(rng, step, spec.rows, spec.residual_bits, signed=True) for at in range(words)}
    contents[0] = [[high] * spec.rows] * step
    contents[step] = [[low] * spec.rows] * step
    beats = [{"address": at * step, "y": matrix(rng, step, spec.rows, value_bits, signed=True),
              "ends_group": rng.randrange(2)} for at in [0, 1, *order_of(rng, words, 60, 6)]]
    beats[0]["y"], beats[1]["y"] = [[1] * spec.rows] * step, [[-1] * spec.rows] * step

    expected, present = [], dict(contents)
    for beat in beats:
        total = saturate(torch.tensor(present[beat["address"]]) + torch.tensor(beat["y"]), low, high).tolist()
        present[beat["address"]] = total
        expected.append((beat["address"], total, beat["ends_group"]))
    assert expected[0][1] == contents[0]
    assert expected[1][1] == contents[step]

    dut = ResidualAdder(spec)
    transfers, reads, writes, busy = [], [], [], []

    async def sender(ctx):
        active, cycle = stall_pattern(stall, 1), 0
        for beat in beats:
            while not next(active):
                ctx.set(dut.i.valid, 0)
                ctx.set(dut.i.payload, {**beat, "ends_group": 1})
                await ctx.tick()
                cycle += 1
            ctx.set(dut.i.valid, 1)
            ctx.set(dut.i.payload, beat)
            transfers.append(cycle)
            await ctx.tick()
            cycle += 1
        ctx.set(dut.i.valid, 0)
        await ctx.tick().repeat(6)

    async def monitor(ctx):
        cycle = 0
        while True:
            _, _, read, en, address, total, done, active = await ctx.tick().sample(
                dut.read.en, dut.write.en, dut.write.address, dut.write.data, dut.group_done, dut.busy)
            if read:
                reads.append(cycle)
            if en:
                writes.append((cycle, (address, plain(total), done)))
                contents[address] = plain(total)
            else:
                assert not done
            busy.append(active)
            cycle += 1

    run(dut, sender, background=[memory(dut.read, contents, junk=[[0] * spec.rows] * step), monitor])
    assert [write for _, write in writes] == expected
    assert reads == transfers
    assert [cycle for cycle, _ in writes] == [cycle + 3 for cycle in transfers]
    under_way = {cycle + late for cycle in transfers for late in (1, 2, 3)}
    assert busy == [cycle in under_way for cycle in range(len(busy))]
