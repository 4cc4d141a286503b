# amaranth: UnusedElaboratable=no
import random

import pytest
import torch
from vitric.golden.arith import saturate
from vitric.hdl.accelerator.residual_adder import ResidualAdder

from tests.hdl.accelerator.kit import SPECS, matrix, memory, name
from tests.hdl.stream_kit import plain, run, stall_pattern


@pytest.mark.parametrize("stall", ["always", "random"])
@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_sums(spec, stall):
    """Against golden's saturation; each write two cycles after its transfer."""
    rng = random.Random(7)
    count = spec.residual_words
    before = matrix(rng, count, spec.rows, 16, signed=True)
    values = matrix(rng, count, spec.rows, 17, signed=True)
    before[0], values[0] = [0x7FFF] * spec.rows, [1] * spec.rows
    before[1], values[1] = [-0x8000] * spec.rows, [-1] * spec.rows
    order = rng.sample(range(count), count)
    dut = ResidualAdder(spec)
    transfers, writes = {}, {}

    async def testbench(ctx):
        active, todo, cycle = stall_pattern(stall, 1), list(order), 0
        while todo or ctx.get(dut.busy):
            valid = bool(todo) and next(active)
            ctx.set(dut.i.valid, valid)
            address = todo[0] if todo else 0
            ctx.set(dut.i.payload, {"address": address, "y": values[address]})
            if valid:
                transfers[todo.pop(0)] = cycle
            _, _, en, target, total = await ctx.tick().sample(dut.write.en, dut.write.address, dut.write.data)
            if en:
                writes[target] = (cycle, plain(total))
            cycle += 1

    contents = memory(dut.read, dict(enumerate(before)), junk=None)
    run(dut, testbench, background=[contents])
    expected = saturate(torch.tensor(before) + torch.tensor(values), -(1 << 15), (1 << 15) - 1).tolist()
    assert {address: total for address, (_, total) in writes.items()} == dict(enumerate(expected))
    assert {address: cycle - 2 for address, (cycle, _) in writes.items()} == transfers
