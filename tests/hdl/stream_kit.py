"""Stream testbenches for Amaranth's simulator: drivers with stalls, a rule checker, and one way to run them.

Typical test::

    outputs, checkers = transform(dut, payloads, send_stall="random", receive_stall="bursts", seed=1)
    assert outputs == expected
    assert latency(checkers["i"], checkers["o"]) == dut.latency

Payloads are plain Python values: integers, dictionaries for struct layouts, lists for array layouts.
"""

import random
from collections.abc import Iterator

from amaranth.hdl import Shape, Value
from amaranth.lib import data, stream
from amaranth.sim import Simulator

STALLS = ("always", "random", "bursts")


def stall_pattern(kind: str, seed: int) -> Iterator[bool]:
    """Yield, per cycle, whether a side is active: every cycle, one in two at random, or in bursts of 1 to 8."""
    rng = random.Random(f"{kind}/{seed}")
    if kind not in STALLS:
        raise ValueError(f"stall pattern must be one of {STALLS}, not {kind!r}")
    active = True
    while True:
        length = rng.randint(1, 8) if kind == "bursts" else 1
        for _ in range(length):
            yield active
        active = kind == "always" or (not active if kind == "bursts" else rng.random() < 0.5)


def check_payload(shape, value, path: str = "payload") -> None:
    """Raise :exc:`ValueError` if ``value`` does not fit ``shape``; the simulator itself would wrap it silently."""
    try:
        layout = data.Layout.cast(shape)
    except TypeError:
        shape = Shape.cast(shape)
        low = -(1 << shape.width - 1) if shape.signed else 0
        high = low + (1 << shape.width) - 1
        if not low <= int(value) <= high:
            raise ValueError(f"{path} = {value} is outside {low}..{high}") from None
        return
    if isinstance(layout, data.UnionLayout):
        return
    items = dict(value.items()) if isinstance(value, dict) else dict(enumerate(value))
    fields = {key: field.shape for key, field in layout}
    if items.keys() != fields.keys():
        raise ValueError(f"{path} has fields {list(items)}, the layout has {list(fields)}")
    for key, item in items.items():
        check_payload(fields[key], item, f"{path}[{key!r}]")


def plain(value):
    """Turn a simulated value (:class:`amaranth.lib.data.Const` or integer) into dictionaries, lists and integers."""
    if not isinstance(value, data.Const):
        return int(value)
    layout = value.shape()
    if isinstance(layout, data.ArrayLayout):
        return [plain(value[index]) for index in range(layout.length)]
    return {key: plain(value[key]) for key, _ in data.Layout.cast(layout)}


async def send(ctx, port, payloads, *, stall: str = "always", seed: int = 0) -> None:
    """Send ``payloads`` to the stream input ``port``; the payload is random while ``valid`` is 0."""
    active = stall_pattern(stall, seed)
    junk = random.Random(f"junk/{seed}")
    raw = Value.cast(port.payload)
    shape = port.payload.shape()
    for payload in payloads:
        check_payload(shape, payload)
        while not next(active):
            ctx.set(port.valid, 0)
            ctx.set(raw, junk.getrandbits(max(len(raw), 1)))
            await ctx.tick()
        ctx.set(port.valid, 1)
        ctx.set(port.payload, payload)
        ready = False
        while not ready:
            _, _, ready = await ctx.tick().sample(port.ready)
    ctx.set(port.valid, 0)
    ctx.set(raw, junk.getrandbits(max(len(raw), 1)))


async def receive(ctx, port, count: int, *, stall: str = "always", seed: int = 0) -> list:
    """Return the next ``count`` payloads of the stream output ``port`` as plain Python values."""
    active = stall_pattern(stall, seed)
    received = []
    while len(received) < count:
        ready = next(active)
        ctx.set(port.ready, ready)
        _, _, valid, payload = await ctx.tick().sample(port.valid, port.payload)
        if ready and valid:
            received.append(plain(payload))
    ctx.set(port.ready, 0)
    return received


class StreamChecker:
    """Background testbench: stream rule 2 on one port, and the cycles in which things happened.

    Attributes
    ----------
    transfers : list of int
        Cycle number of each transfer.
    first_valid : int or None
        First cycle in which ``valid`` was 1.
    """

    def __init__(self, port, name: str):
        self.port = port
        self.name = name
        self.transfers: list[int] = []
        self.first_valid: int | None = None

    async def run(self, ctx):
        held = None
        cycle = 0
        port = self.port
        signals = port.valid, port.ready, Value.cast(port.payload)
        while True:
            _, _, valid, ready, payload = await ctx.tick().sample(*signals)
            if held is not None:
                assert valid, f"{self.name}: valid fell before the transfer, cycle {cycle}"
                assert payload == held, f"{self.name}: payload changed before the transfer, cycle {cycle}"
            held = payload if valid and not ready else None
            if valid and self.first_valid is None:
                self.first_valid = cycle
            if valid and ready:
                self.transfers.append(cycle)
            cycle += 1


def latency(i: StreamChecker, o: StreamChecker) -> int:
    """Return the cycles from the first input transfer to the first valid output."""
    return o.first_valid - i.transfers[0]


def interval(port: StreamChecker) -> int:
    """Return the largest number of cycles between two successive transfers of ``port``."""
    return max(later - earlier for earlier, later in zip(port.transfers, port.transfers[1:], strict=False))


def run(dut, *testbenches, background=(), limit: int = 100_000) -> dict[str, StreamChecker]:
    """Simulate ``dut`` until all ``testbenches`` return, with a :class:`StreamChecker` on each of its stream ports.

    ``background`` holds testbenches without an end, such as models of what surrounds ``dut``.

    Raises :exc:`TimeoutError` after ``limit`` cycles. Returns the checkers by port name.
    """
    sim = Simulator(dut)
    sim.add_clock(1e-6)
    checkers = {}
    for name, member in dut.signature.members.items():
        # A flipped signature counts as an instance, so this finds inputs and outputs.
        if member.is_signature and not member.dimensions and isinstance(member.signature, stream.Signature):
            checkers[name] = StreamChecker(getattr(dut, name), name)

    async def watchdog(ctx):
        for _ in range(limit):  # not tick().repeat(): it cannot be abandoned when the simulation ends
            await ctx.tick()
        raise TimeoutError(f"testbenches did not finish within {limit} cycles")

    for testbench in testbenches:
        sim.add_testbench(testbench)
    for testbench in background:
        sim.add_testbench(testbench, background=True)
    for checker in checkers.values():
        sim.add_testbench(checker.run, background=True)
    sim.add_testbench(watchdog, background=True)
    sim.run()
    return checkers


def transform(
    dut, payloads, *, outputs: int | None = None, send_stall: str = "always", receive_stall: str = "always",
    seed: int = 0, i: str = "i", o: str = "o", limit: int = 100_000,
) -> tuple[list, dict[str, StreamChecker]]:
    """Send ``payloads`` into port ``i`` and return what port ``o`` gave (``outputs`` beats), and the checkers.

    After the last expected beat the output stays ready for 32 cycles and must not give another one.
    """
    payloads = list(payloads)
    count = len(payloads) if outputs is None else outputs
    received = []

    async def sender(ctx):
        await send(ctx, getattr(dut, i), payloads, stall=send_stall, seed=seed)

    async def receiver(ctx):
        port = getattr(dut, o)
        received.extend(await receive(ctx, port, count, stall=receive_stall, seed=seed + 1))
        ctx.set(port.ready, 1)
        for _ in range(32):
            _, _, valid = await ctx.tick().sample(port.valid)
            assert not valid, f"{o}: a beat more than the {count} expected"

    return received, run(dut, sender, receiver, limit=limit)
