import random

import pytest
from vitric.golden.spec.softmax import SoftmaxSpec
from vitric.hdl.softmax import Softmax

from tests.hdl.softmax.rows import beats, counting, random_rows
from tests.hdl.stream_kit import plain, run


def feed(spec, lengths, seed, chance):
    """Send rows, each as soon as fewer than ``max_rows`` are inside; the input must be ready for every beat.

    No code is taken while fewer than ``max_rows`` rows have been sent of those that are not out, and then with
    ``chance`` per cycle.
    """
    dut = Softmax(spec)
    sent, expected = beats(spec, random_rows(spec, lengths, seed), seed)
    rng = random.Random(f"feed/{seed}")
    state = {"inside": 0, "sent": 0}
    got = []

    async def source(ctx):
        begun = False
        for beat in sent:
            while not begun and state["inside"] == spec.max_rows:
                ctx.set(dut.i.valid, 0)
                await ctx.tick()
            state["inside"] += not begun
            ctx.set(dut.i.payload, beat)
            ctx.set(dut.i.valid, 1)
            _, _, ready = await ctx.tick().sample(dut.i.ready)
            assert ready, "refused"
            begun = not beat["last"]
            state["sent"] += beat["last"]
        ctx.set(dut.i.valid, 0)

    async def sink(ctx):
        while len(got) < len(expected):
            rows = sum(beat["last"] for beat in got)
            ready = state["sent"] >= min(rows + spec.max_rows, len(lengths)) and rng.random() < chance
            ctx.set(dut.o.ready, ready)
            _, _, valid, payload = await ctx.tick().sample(dut.o.valid, dut.o.payload)
            if valid and ready:
                got.append(plain(payload))
                state["inside"] -= got[-1]["last"]

    run(dut, source, sink)
    assert counting(got, sent) == expected


@pytest.mark.parametrize("columns", [1, 2, 4])
@pytest.mark.parametrize("seed", range(6))
def test_input_is_ready_while_no_more_than_max_rows_are_inside(columns, seed):
    lanes = (1, 3, 8)[seed % 3]
    spec = SoftmaxSpec(lanes=lanes, max_length=(11, 24)[seed % 2], columns=columns)
    rng = random.Random(f"lengths/{seed}")
    longest = spec.max_length
    lengths = [longest] * 4 + [1] * 7 + [longest, 1, 1] * 3 + [1, 1, longest] * 2
    lengths += [rng.choice((1, 2, rng.randint(1, longest))) for _ in range(24)]
    feed(spec, lengths, seed, (1, 0.5)[seed < 3])


@pytest.mark.parametrize("columns", [1, 2])
def test_input_refuses_one_row_more(columns):
    spec = SoftmaxSpec(lanes=2, max_length=16, columns=columns)
    sent, _ = beats(spec, random_rows(spec, [16, 1, 7, 3], 5))
    dut = Softmax(spec)

    async def source(ctx):
        room = spec.beats(16) + spec.beats(1) + spec.beats(7)
        for beat in sent[:room]:
            ctx.set(dut.i.payload, beat)
            ctx.set(dut.i.valid, 1)
            _, _, ready = await ctx.tick().sample(dut.i.ready)
            assert ready
        ctx.set(dut.i.payload, sent[room])
        for _ in range(100):
            _, _, ready = await ctx.tick().sample(dut.i.ready)
            assert not ready
        ctx.set(dut.o.ready, 1)
        last = 0
        while not last:
            assert not ctx.get(dut.i.ready)
            last = ctx.get(dut.o.valid & dut.o.p.last)
            await ctx.tick()
        assert ctx.get(dut.i.ready)

    run(dut, source)
