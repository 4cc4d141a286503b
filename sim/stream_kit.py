"""Streams in cocotb: drive them, receive from them, stall them at random, check their rules.

A stream is found by name: ``"i"`` stands for ``i__payload``, ``i__valid`` and ``i__ready`` as Amaranth names them. A
stream that is always ready (or always valid) has no such port, and then none is used. All helpers work on rising
edges of ``dut.clk``: they read what was settled before the edge and write what holds after it.
"""

from collections.abc import Iterable, Iterator, Sequence
from random import Random

import cocotb
from cocotb.triggers import Event, RisingEdge
from vitric.golden.packing import pack, unpack

__all__ = ["PATTERNS", "Driver", "Monitor", "ReadyRandomizer", "Scoreboard", "check_stream_rules"]

Beat = int | Sequence[int]

PATTERNS = ("always", "alternate", "random", "rare", "bursts")
"""Stall patterns: never stall; every other cycle; half of the cycles; one in eight; runs of up to 20 cycles."""


class ReadyRandomizer(Iterator[bool]):
    """An endless, seeded row of yes and no, one per cycle, used for ``ready`` and for ``valid`` alike.

    Parameters
    ----------
    pattern : str
        One of :data:`PATTERNS`.
    seed : int, optional
        Default: ``cocotb.RANDOM_SEED``, which differs from test to test and follows from the seed of the run.
    """

    def __init__(self, pattern: str, seed: int | None = None):
        if pattern not in PATTERNS:
            raise ValueError(f"pattern must be one of {', '.join(PATTERNS)}, not {pattern!r}")
        self.pattern = pattern
        self.seed = cocotb.RANDOM_SEED if seed is None else seed
        self._values = getattr(self, f"_{pattern}")(Random(f"{pattern} {self.seed}"))

    def __next__(self) -> bool:
        return next(self._values)

    @staticmethod
    def _always(random: Random) -> Iterator[bool]:
        while True:
            yield True

    @staticmethod
    def _alternate(random: Random) -> Iterator[bool]:
        value = bool(random.getrandbits(1))
        while True:
            yield value
            value = not value

    @staticmethod
    def _random(random: Random) -> Iterator[bool]:
        while True:
            yield bool(random.getrandbits(1))

    @staticmethod
    def _rare(random: Random) -> Iterator[bool]:
        while True:
            yield random.getrandbits(3) == 0

    @staticmethod
    def _bursts(random: Random) -> Iterator[bool]:
        value = bool(random.getrandbits(1))
        while True:
            for _ in range(random.randint(1, 20)):
                yield value
            value = not value


class _Port:
    """One stream of a design: its handles, and how beats lie in its payload."""

    def __init__(self, dut, name: str, *, bits: int | None, signed: bool, count: int | None):
        if bits is None and (signed or count is not None):
            raise ValueError("signed and count need bits")
        self.name = name
        self.payload = getattr(dut, f"{name}__payload")
        self.valid = getattr(dut, f"{name}__valid", None)
        self.ready = getattr(dut, f"{name}__ready", None)
        self.edge = RisingEdge(dut.clk)
        self._bits, self._signed, self._count = bits, signed, count
        width = len(self.payload)
        if bits is not None and width != bits * (count or 1):
            raise ValueError(f"{name}__payload has {width} bits, not {count or 1} lanes of {bits}")
        self.width = width

    def to_word(self, beat: Beat) -> int:
        if self._bits is None:
            return pack([beat], self.width, False)
        lanes = [beat] if self._count is None else list(beat)
        if len(lanes) != (self._count or 1):
            raise ValueError(f"a beat of {self.name} has {self._count} lanes, not {len(lanes)}")
        return pack(lanes, self._bits, self._signed)

    def to_beat(self, word: int) -> Beat:
        if self._bits is None:
            return word
        lanes = unpack(word, self._count or 1, self._bits, self._signed)
        return lanes[0] if self._count is None else lanes


class Driver:
    """Source of a stream: sends beats, with pauses where the pattern says no.

    While ``valid`` is low the payload is random junk, so that a design that looks at it is caught. Once ``valid`` is
    high it stays, with its payload, until the beat is taken.

    Parameters
    ----------
    dut : cocotb handle
        The top level.
    name : str
        Name of the stream.
    bits : int, optional
        Width of a number in the payload. Without it a beat is the raw payload word, 0…2**width - 1.
    signed : bool
        Whether those numbers are two's complement.
    count : int, optional
        Number of lanes: a beat is then a sequence of ``count`` numbers, lane 0 first; otherwise one number.
    pattern : str
        When to offer a beat: one of :data:`PATTERNS`.
    seed : int, optional
        Seed of pattern and junk; default: as for :class:`ReadyRandomizer`.
    """

    def __init__(
        self, dut, name: str, *, bits: int | None = None, signed: bool = False, count: int | None = None,
        pattern: str = "always", seed: int | None = None,
    ):
        self._port = _Port(dut, name, bits=bits, signed=signed, count=count)
        self._pattern = ReadyRandomizer(pattern, seed)
        self._random = Random(f"junk {name} {self._pattern.seed}")
        self.idle()

    def idle(self) -> None:
        """Take ``valid`` away and put junk on the payload."""
        self._port.payload.value = self._random.getrandbits(self._port.width)
        if self._port.valid is not None:
            self._port.valid.value = 0

    async def send(self, beats: Iterable[Beat]) -> None:
        """Send every beat; return after the edge that took the last one.

        Raises
        ------
        OverflowError
            A number does not fit its lane.
        ValueError
            A beat has another number of lanes.
        """
        port = self._port
        for beat in beats:
            word = port.to_word(beat)
            while port.valid is not None and not next(self._pattern):
                self.idle()
                await port.edge
            port.payload.value = word
            if port.valid is not None:
                port.valid.value = 1
            await port.edge
            while port.ready is not None and not port.ready.value:
                await port.edge
        self.idle()


class Monitor:
    """Sink of a stream: receives beats in the background, ready where the pattern says yes.

    With the pattern ``rare`` it is ready only for a beat that it sees, so that a design whose ``valid`` waits for
    ``ready`` never gets on. What comes before the reset, if the design has one, is not received.

    Parameters
    ----------
    dut, name, bits, signed, count, seed
        As for :class:`Driver`.
    pattern : str
        When to be ready: one of :data:`PATTERNS`.
    scoreboard : Scoreboard, optional
        Is given every beat as it arrives.

    Attributes
    ----------
    beats : list
        Everything received so far.
    """

    def __init__(
        self, dut, name: str, *, bits: int | None = None, signed: bool = False, count: int | None = None,
        pattern: str = "always", seed: int | None = None, scoreboard: "Scoreboard | None" = None,
    ):
        self._port = _Port(dut, name, bits=bits, signed=signed, count=count)
        self._pattern = ReadyRandomizer(pattern, seed)
        self._scoreboard = scoreboard
        self._reset = getattr(dut, "rst", None)
        self._arrived = Event()
        self.beats: list[Beat] = []
        if self._port.ready is not None:
            self._port.ready.value = 0
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        port, reset = self._port, self._reset
        patient = self._pattern.pattern == "rare" and port.valid is not None
        await port.edge
        live = reset is None or bool(reset.value)
        while True:
            ready = port.ready is None or (next(self._pattern) and (not patient or bool(port.valid.value)))
            if port.ready is not None:
                port.ready.value = int(ready)
            await port.edge
            if reset is not None and reset.value:
                live = True
            elif live and ready and (port.valid is None or port.valid.value):
                beat = port.to_beat(port.payload.value.to_unsigned())
                self.beats.append(beat)
                if self._scoreboard is not None:
                    self._scoreboard.check(beat)
                self._arrived.set()

    async def receive(self, count: int) -> list[Beat]:
        """Wait until ``count`` beats have arrived in all; return them.

        Give the test a timeout (``@cocotb.test(timeout_time=…, timeout_unit=…)``): a design that stops would leave
        this waiting.
        """
        while len(self.beats) < count:
            self._arrived.clear()
            await self._arrived.wait()
        return self.beats[:count]


class Scoreboard:
    """Compares beats with what golden expects, in order, and stops the test at the first that differs.

    Parameters
    ----------
    expected : iterable
        The beats to come.
    name : str
        What they are, for the message.
    """

    def __init__(self, expected: Iterable[Beat], name: str = "output"):
        self.name = name
        self.expected = list(expected)
        self.seen = 0
        self._complete = Event()
        if not self.expected:
            self._complete.set()

    def check(self, beat: Beat) -> None:
        """Compare the next beat; raise :exc:`AssertionError` naming index, expected and got if it differs."""
        assert self.seen < len(self.expected), f"{self.name}: beat {self.seen} is {beat}, but no more were expected"
        wanted = list(self.expected[self.seen]) if isinstance(beat, list) else self.expected[self.seen]
        assert beat == wanted, f"{self.name}: beat {self.seen} is {beat}, expected {wanted}"
        self.seen += 1
        if self.seen == len(self.expected):
            self._complete.set()

    async def complete(self) -> None:
        """Wait until every expected beat was seen."""
        await self._complete.wait()


def check_stream_rules(dut, name: str) -> None:
    """Watch an output stream in the background for the rest of the test.

    The rules (Amaranth, *Data transfer rules*): once ``valid`` is high it stays high, and the payload stays as it is,
    until the beat is taken. A breach fails the test with the stream, the rule and the values.
    """
    cocotb.start_soon(_watch(dut, name))


async def _watch(dut, name: str) -> None:
    port = _Port(dut, name, bits=None, signed=False, count=None)
    reset = getattr(dut, "rst", None)
    held = None
    while True:
        await port.edge
        if reset is not None and reset.value:
            held = None
            continue
        valid = port.valid is None or bool(port.valid.value)
        payload = port.payload.value if valid else None
        if held is not None:
            assert valid, f"{name}: valid went low before the beat was taken"
            assert payload == held, f"{name}: payload changed from {held} to {payload} before the beat was taken"
        held = payload if valid and not (port.ready is None or port.ready.value) else None
