"""Bench of the SDRAM controller with the chip model: whatever is asked, every line is right and no rule is broken."""

from random import Random

import cocotb
from cocotb.triggers import Event, RisingEdge
from vitric.golden.spec.sdram import SdramSpec

from ..clock import start_clock
from ..parameters import read_spec
from ..stream_kit import PATTERNS, Driver, ReadyRandomizer
from .faults import watch_sdram

__all__ = ["Client", "period_ps", "random_mix", "streams"]

SPEC = read_spec(SdramSpec)


def period_ps(spec: SdramSpec) -> int:
    """Return the clock period of a spec in picoseconds."""
    return round(10**12 / spec.clock_hz)


class Client:
    """Sends requests, keeps what was written, and checks each line that arrives.

    Parameters
    ----------
    dut : cocotb handle
    source, sink : str
        Patterns of stalls for requests, and for ``room``: when a queue behind the controller is emptied.
    """

    def __init__(self, dut, source: str, sink: str):
        self.dut = dut
        self.memory: dict[int, int] = {}
        self.expected: list[tuple[int | None, bool]] = []
        self.arrived = 0
        self._driver = Driver(dut, "request", pattern=source)
        self._pattern = ReadyRandomizer(sink)
        self._complete = Event()
        dut.flip.value, dut.spot.value, dut.room.value = 0, 0, 0
        cocotb.start_soon(self._receive())
        cocotb.start_soon(watch_sdram(dut))

    @property
    def pending(self) -> int:
        """Lines that have been asked for and have not arrived."""
        return len(self.expected) - self.arrived

    async def write(self, address: int, line: int) -> None:
        """Write a line."""
        self.memory[address] = line
        await self._driver.send([1 | address << 1 | line << 1 + SPEC.address_bits])

    async def read(self, address: int, lines: int) -> None:
        """Ask for lines; they are checked as they arrive, if they have been written."""
        places = [(address + k) % SPEC.lines for k in range(lines)]
        self.expected += [(self.memory.get(place), k == lines - 1) for k, place in enumerate(places)]
        await self._driver.send([address << 1 | lines << 1 + SPEC.address_bits])

    async def complete(self) -> None:
        """Wait until everything has arrived."""
        while self.pending:
            self._complete.clear()
            await self._complete.wait()

    async def _receive(self) -> None:
        dut, held, refused = self.dut, 0, 0
        capacity = 2 * SPEC.lines_in_flight
        while True:
            await RisingEdge(dut.clk)
            if next(self._pattern) and held:
                held -= 1
            if dut.arrives.value:
                self._check(int(dut.line.value))
                held += 1
            refused = 0 if held <= capacity - SPEC.lines_in_flight else refused + 1
            assert held <= capacity, f"{held} lines arrived for a queue of {capacity}, {refused} cycles without room"
            dut.room.value = int(held <= capacity - SPEC.lines_in_flight)

    def _check(self, line: int) -> None:
        assert self.pending, "a line arrives that nobody has asked for"
        wanted, last = self.expected[self.arrived]
        data = line & (1 << SPEC.line_bits) - 1
        assert wanted is None or data == wanted, f"line {self.arrived} is {data:x}, expected {wanted:x}"
        assert line >> SPEC.line_bits == last, f"last is wrong with line {self.arrived}"
        self.arrived += 1
        if not self.pending:
            self._complete.set()


async def _start(dut, source: str, sink: str) -> tuple[Client, Random]:
    client = Client(dut, source, sink)
    await start_clock(dut, reset_cycles=2, period_ps=period_ps(SPEC))
    return client, Random(f"sdram {cocotb.RANDOM_SEED}")


@cocotb.test(timeout_time=20, timeout_unit="ms")
@cocotb.parametrize(source=PATTERNS, sink=PATTERNS)
async def random_mix(dut, source, sink):
    """Reads and writes of every length, in any order, at random places and one after another."""
    client, random = await _start(dut, source, sink)
    reads: list[tuple[int, int]] = []
    for _ in range(120):
        address = random.choice([random.randrange(SPEC.lines), random.randrange(min(SPEC.lines, 4 * SPEC.row_lines))])
        if random.random() < 0.4:
            lines = random.choice([0, 1, 2, random.randrange(SPEC.row_lines), random.randrange(3 * SPEC.row_lines)])
            reads.append((address, lines))
            await client.read(address, lines)
        for k in range(random.choice([1, 3, random.randrange(40)])):
            place = (address + k) % SPEC.lines
            if not client.pending:
                reads.clear()
            if not any((place - start) % SPEC.lines < count for start, count in reads):  # it may come before those
                await client.write(place, random.getrandbits(SPEC.line_bits))
    await client.complete()


@cocotb.test(timeout_time=20, timeout_unit="ms")
@cocotb.parametrize(sink=("always", "bursts"))
async def streams(dut, sink):
    """Rows after rows, written and read back as one stream, and as one of many pieces that follow each other."""
    client, random = await _start(dut, "always", sink)
    lines, start = min(SPEC.lines, 9 * SPEC.row_lines), SPEC.lines - 2 * SPEC.row_lines - 3
    for k in range(lines):
        await client.write((start + k) % SPEC.lines, random.getrandbits(SPEC.line_bits))
    await client.read(start, lines)
    done = 0
    while done < lines:
        piece = min(random.randint(1, SPEC.row_lines), lines - done)
        await client.read((start + done) % SPEC.lines, piece)
        done += piece
    await client.complete()
