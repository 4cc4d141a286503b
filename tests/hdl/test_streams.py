# amaranth: UnusedElaboratable=no
import random
import re
from pathlib import Path

import pytest
from amaranth.hdl import Module, signed, unsigned
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.hdl import streams
from vitric.hdl.stream_width import Narrow, Widen
from vitric.hdl.streams import TAPS, DeepQueue, PipelineRegister, Queue, StreamBuffer, connect

from tests.hdl.stream_kit import STALLS, check_payload, interval, latency, plain, run, transform

LAYOUT = data.StructLayout({"lanes": data.ArrayLayout(signed(5), 3), "last": 1})


def random_beats(count, seed):
    rng = random.Random(seed)
    return [{"lanes": [rng.randint(-16, 15) for _ in range(3)], "last": rng.randint(0, 1)} for _ in range(count)]


def units():
    return [
        PipelineRegister(LAYOUT), StreamBuffer(LAYOUT),
        Queue(LAYOUT, depth=1, buffered=False), Queue(LAYOUT, depth=2, buffered=False), Queue(LAYOUT, depth=7),
        Queue(LAYOUT, depth=2), Queue(LAYOUT, depth=3), DeepQueue(LAYOUT, depth=4), DeepQueue(LAYOUT, depth=16),
    ]


@pytest.mark.parametrize("index", range(len(units())))
@pytest.mark.parametrize("send_stall", STALLS)
@pytest.mark.parametrize("receive_stall", STALLS)
def test_order_and_loss(index, send_stall, receive_stall):
    beats = random_beats(60, index)
    outputs, checkers = transform(
        units()[index], beats, send_stall=send_stall, receive_stall=receive_stall, seed=index)
    assert outputs == beats
    assert len(checkers["i"].transfers) == len(checkers["o"].transfers) == 60


@pytest.mark.parametrize("index", range(len(units())))
def test_latency_and_interval(index):
    dut = units()[index]
    _, checkers = transform(dut, random_beats(20, 0))
    assert latency(checkers["i"], checkers["o"]) == dut.latency
    assert interval(checkers["i"]) == dut.interval


def test_buffer_ready_is_registered():
    dut = StreamBuffer(8)

    async def bench(ctx):
        ctx.set(dut.i.valid, 1)
        for ready in (0, 0, 0, 1, 0, 1, 1, 0):
            before = ctx.get(dut.i.ready)
            ctx.set(dut.o.ready, ready)
            assert ctx.get(dut.i.ready) == before
            await ctx.tick()

    run(dut, bench)


@pytest.mark.parametrize("index", range(len(units())))
def test_fills_while_stalled(index):
    """An empty unit accepts beats although its output is never ready."""
    dut = units()[index]
    capacity = {PipelineRegister: 1, StreamBuffer: 2}.get(type(dut)) or dut.depth

    async def bench(ctx):
        ctx.set(dut.i.valid, 1)
        for _ in range(capacity + 4):
            await ctx.tick()

    assert len(run(dut, bench)["i"].transfers) == capacity


@pytest.mark.parametrize("bits", TAPS)
def test_addresses_take_all_states_but_one(bits):
    state, seen = 0, set()
    while state not in seen:
        seen.add(state)
        parity = sum(state >> stage - 1 for stage in TAPS[bits]) & 1
        state = (state << 1 | 1 - parity) & (1 << bits) - 1
    assert state == 0 and len(seen) == (1 << bits) - 1


def test_deep_queue_refuses_other_depths():
    with pytest.raises(ValueError, match="depth must be a power of two from 4 to 65536, not 24"):
        DeepQueue(8, depth=24)


def test_queue_level():
    dut = Queue(8, depth=5)

    async def bench(ctx):
        ctx.set(dut.i.valid, 1)
        for _ in range(10):
            await ctx.tick()
        assert ctx.get(dut.level) == 5
        assert ctx.get(dut.i.ready) == 0
        ctx.set(dut.o.ready, 1)
        await ctx.tick()
        await ctx.tick()
        ctx.set(dut.i.valid, 0)
        for _ in range(10):
            await ctx.tick()
        assert ctx.get(dut.level) == 0
        assert ctx.get(dut.o.valid) == 0

    checkers = run(dut, bench)
    assert len(checkers["i"].transfers) == len(checkers["o"].transfers) == 6


@pytest.mark.parametrize("ratio", [2, 3, 8])
@pytest.mark.parametrize("send_stall,receive_stall", [("always", "always"), ("random", "bursts"), ("bursts", "random")])
def test_width_converters(ratio, send_stall, receive_stall):
    rng = random.Random(ratio)
    narrow = data.ArrayLayout(signed(4), 2)
    beats = [[rng.randint(-8, 7), rng.randint(-8, 7)] for _ in range(12 * ratio)]
    wide = [sum(beats[k:k + ratio], []) for k in range(0, len(beats), ratio)]
    stalls = {"send_stall": send_stall, "receive_stall": receive_stall, "seed": ratio}
    widen, narrower = Widen(narrow, ratio=ratio), Narrow(narrow, ratio=ratio)
    assert widen.wide == narrower.wide == data.ArrayLayout(signed(4), 2 * ratio)
    outputs, up = transform(widen, beats, outputs=len(wide), **stalls)
    assert outputs == wide
    outputs, down = transform(narrower, wide, outputs=len(beats), **stalls)
    assert outputs == beats
    if send_stall == receive_stall == "always":
        assert up["o"].first_valid - up["i"].transfers[ratio - 1] == widen.latency
        assert interval(up["i"]) == widen.interval
        assert latency(down["i"], down["o"]) == narrower.latency
        assert interval(down["i"]) == narrower.interval
        assert interval(down["o"]) == 1


def test_converters_nest_other_shapes():
    assert Widen(unsigned(8), ratio=4).wide == data.ArrayLayout(unsigned(8), 4)
    assert Narrow(LAYOUT, ratio=2).wide == data.ArrayLayout(LAYOUT, 2)


class Chain(wiring.Component):
    i: In(stream.Signature(signed(8)))
    o: Out(stream.Signature(signed(8)))

    def elaborate(self, platform):
        m = Module()
        m.submodules.a = a = PipelineRegister(signed(8))
        m.submodules.b = b = StreamBuffer(signed(8))
        connect(m, wiring.flipped(self.i), a.i)
        connect(m, a.o, b.i)
        connect(m, b.o, wiring.flipped(self.o))
        return m


def test_connect():
    values = list(range(-128, 128, 5))
    outputs, checkers = transform(Chain(), values, send_stall="random", receive_stall="random")
    assert outputs == values
    assert latency(checkers["i"], checkers["o"]) >= PipelineRegister.latency + StreamBuffer.latency


class Mode(enum.Enum, shape=8):
    A = 0


@pytest.mark.parametrize("left,right", [
    (signed(8), unsigned(8)),
    (unsigned(8), unsigned(9)),
    (data.StructLayout({"a": 4, "b": 4}), data.StructLayout({"c": 8})),
    (data.StructLayout({"a": 4, "b": 4}), data.StructLayout({"b": 4, "a": 4})),
    (data.ArrayLayout(4, 2), unsigned(8)),
    (data.ArrayLayout(signed(4), 2), data.ArrayLayout(unsigned(4), 2)),
    (Mode, unsigned(8)),
])
def test_connect_rejects_shapes(left, right):
    for a, b in ((left, right), (right, left)):
        with pytest.raises(ValueError, match=r"o__payload.*i__payload.*same shape"):
            connect(Module(), PipelineRegister(a).o, PipelineRegister(b).i)
        connect(Module(), PipelineRegister(a).o, PipelineRegister(a).i)


def test_connect_rejects_sides():
    a, b = PipelineRegister(8), PipelineRegister(8)
    with pytest.raises(TypeError, match="src must be a stream that produces"):
        connect(Module(), a.i, b.i)
    with pytest.raises(TypeError, match="dst must be a stream that consumes"):
        connect(Module(), a.o, b.o)
    with pytest.raises(TypeError, match="src must be a stream"):
        connect(Module(), a, b.i)


def test_only_the_checked_functions_connect():
    """``streams.connect`` and, for ports of memories, ``ports.join``: both compare shapes, which Amaranth does not."""
    folder = Path(streams.__file__).parent
    callers = {path.relative_to(folder).as_posix() for path in folder.rglob("*.py")
               if re.search(r"\bwiring\.connect\(|\bwiring import .*\bconnect\b", path.read_text())}
    assert callers == {"streams.py", "accelerator/ports.py"}


@pytest.mark.parametrize("build", [
    lambda: Queue(8, depth=0, buffered=False), lambda: Queue(8, depth=1), lambda: Queue(8, depth=1 << 20),
    lambda: DeepQueue(8, depth=2),
    lambda: Widen(8, ratio=0), lambda: Narrow(8, ratio=257),
])
def test_rejected(build):
    with pytest.raises(ValueError, match="must be between"):
        build()


class Faulty(wiring.Component):
    """Drops valid, or changes the payload, while the consumer stalls."""

    i: In(stream.Signature(8))
    o: Out(stream.Signature(8))

    def __init__(self, fault):
        self.fault = fault
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.i.ready.eq(1)
        m.d.sync += self.o.valid.eq(~self.o.valid if self.fault == "valid" else 1)
        m.d.sync += self.o.payload.eq(self.o.payload + (self.fault == "payload"))
        return m


@pytest.mark.parametrize("fault", ["valid", "payload"])
def test_checker_catches(fault):
    with pytest.raises(AssertionError, match=f"o: {fault}"):
        transform(Faulty(fault), [0] * 20, receive_stall="random")


def test_kit_timeout_and_extra_beats():
    with pytest.raises(AssertionError, match="a beat more"):
        transform(PipelineRegister(8), [1, 2, 3], outputs=2)
    with pytest.raises(TimeoutError, match="within 50 cycles"):
        transform(PipelineRegister(8), [1], outputs=2, limit=50)


def test_kit_checks_stimuli():
    for shape, value in ((signed(4), 8), (unsigned(4), -1), (LAYOUT, {"lanes": [0, 0, 16], "last": 0}),
                         (LAYOUT, {"lanes": [0, 0, 0]}), (data.ArrayLayout(1, 2), [0])):
        with pytest.raises(ValueError):
            check_payload(shape, value)
    check_payload(LAYOUT, {"lanes": [0, -16, 15], "last": 1})
    assert plain(LAYOUT.const({"lanes": [0, -16, 15], "last": 1})) == {"lanes": [0, -16, 15], "last": 1}
