# amaranth: UnusedElaboratable=no
import random

import pytest
import torch
from vitric.golden.arith import lookup
from vitric.golden.integer.gelu import gelu_table
from vitric.golden.spec.requantize import TableSpec
from vitric.hdl.activation.gelu import Gelu

from tests.hdl.stream_kit import STALLS, interval, latency, receive, run, send


def look_up(dut, tables, beats, *, send_stall="always", receive_stall="always", seed=0):
    """Load each table in turn and send all ``beats`` through it; return the outputs per table, and the checkers."""
    outputs = []
    moment = {"loaded": 0, "received": 0}

    async def sender(ctx):
        for number, table in enumerate(tables):
            while moment["received"] < number:
                await ctx.tick()
            await send(ctx, dut.table, table, stall=send_stall, seed=seed)
            await send(ctx, dut.i, beats, stall=send_stall, seed=seed + 1)

    async def receiver(ctx):
        for _ in tables:
            outputs.append(await receive(ctx, dut.o, len(beats), stall=receive_stall, seed=seed + 2))
            moment["received"] += 1

    return outputs, run(dut, sender, receiver)


def expected(table, beats):
    return [{"y": lookup(torch.tensor(table), torch.tensor(beat["index"])).tolist(), "tag": beat["tag"]}
            for beat in beats]


@pytest.mark.parametrize("index_bits,out_bits,lanes", [(2, 2, 1), (8, 8, 4), (5, 8, 3), (8, 3, 2)])
@pytest.mark.parametrize("send_stall,receive_stall", [("always", "always"), ("random", "bursts"), ("bursts", "random")])
def test_every_index_and_reload(index_bits, out_bits, lanes, send_stall, receive_stall):
    spec = TableSpec(lanes=lanes, index_bits=index_bits, out_bits=out_bits)
    rng = random.Random(index_bits)
    top = 1 << index_bits
    gelu_codes = gelu_table(0.05, top // 2, index_bits, 0.06, 1, out_bits).tolist()
    tables = [gelu_codes, [rng.getrandbits(out_bits) for _ in range(top)]]
    beats = [{"index": [(k * (2 * lane + 1)) % top for lane in range(lanes)], "tag": k % 8} for k in range(top)]
    outputs, _ = look_up(
        Gelu(spec, tag_bits=3), tables, beats, send_stall=send_stall, receive_stall=receive_stall)
    assert outputs == [expected(table, beats) for table in tables]


@pytest.mark.parametrize("send_stall", STALLS)
@pytest.mark.parametrize("receive_stall", STALLS)
def test_back_pressure(send_stall, receive_stall):
    rng = random.Random(1)
    table = [rng.getrandbits(4) for _ in range(16)]
    beats = [{"index": [rng.getrandbits(4) for _ in range(2)], "tag": 0} for _ in range(80)]
    dut = Gelu(TableSpec(lanes=2, index_bits=4, out_bits=4))
    outputs, _ = look_up(dut, [table], beats, send_stall=send_stall, receive_stall=receive_stall, seed=5)
    assert outputs == [expected(table, beats)]


def test_latency_and_interval():
    dut = Gelu(TableSpec(lanes=2, index_bits=3, out_bits=8))
    _, checkers = look_up(dut, [list(range(8))], [{"index": [k, 7 - k], "tag": 0} for k in range(8)])
    assert latency(checkers["i"], checkers["o"]) == dut.latency == dut.spec.latency == 2
    assert interval(checkers["i"]) == dut.interval == 1
    assert interval(checkers["table"]) == 1
    assert checkers["i"].transfers[0] == checkers["table"].transfers[-1] + 1


@pytest.mark.parametrize("change,error", [
    ({"lanes": 0}, ValueError), ({"index_bits": 1}, ValueError), ({"index_bits": 9}, ValueError),
    ({"out_bits": 1}, ValueError), ({"out_bits": 9}, ValueError), ({"lanes": "4"}, TypeError),
])
def test_rejected(change, error):
    with pytest.raises(error, match=next(iter(change))):
        TableSpec(**{"lanes": 4} | change)
    with pytest.raises(ValueError, match="tag_bits"):
        Gelu(TableSpec(lanes=1), tag_bits=-1)
