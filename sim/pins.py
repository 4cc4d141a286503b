"""The host driver's transport over simulated pins: a serial line bit by bit."""

from itertools import groupby

import cocotb
from cocotb.simtime import get_sim_time
from cocotb.task import bridge, resume
from cocotb.triggers import Event, FallingEdge, SimTimeoutError, Timer, with_timeout
from vitric.boards.transport import BAUD

from .clock import PERIOD_NS

__all__ = ["PinTransport", "call"]


class PinTransport:
    """Bytes over the pins ``rx`` and ``tx`` of a design: a :class:`~vitric.boards.transport.Transport`.

    Use it inside :func:`call`. A timeout is counted in simulated time, and scaled: the link's seconds would be
    millions of cycles.

    Parameters
    ----------
    dut : cocotb handle
        The top level.
    divisor : int
        Clock cycles per bit.
    cycles_per_second : int
        Simulated cycles that stand for one second of a timeout.

    Attributes
    ----------
    sent, received : bytearray
        Everything that has passed.
    """

    def __init__(self, dut, divisor: int, *, cycles_per_second: int):
        self._dut = dut
        self._bit_ns = self._slowest_ns = divisor * PERIOD_NS
        self._second_ns = cycles_per_second * PERIOD_NS
        self._waiting = bytearray()
        self._arrived = Event()
        self.sent, self.received = bytearray(), bytearray()
        dut.rx.value = 1
        cocotb.start_soon(self._listen())

    def write(self, data: bytes, timeout: float) -> None:
        """Send ``data``; the pins always take it, in the time that it needs on the line."""
        self.sent += data
        resume(self._send)(data)

    def read(self, timeout: float) -> bytes:
        """Return what has arrived; wait up to ``timeout`` seconds for the first byte, then return ``b""``."""
        resume(self._wait)(timeout)
        data = bytes(self._waiting)
        self._waiting.clear()
        return data

    def send_break(self) -> None:
        """Hold the line at 0 for the time of three bytes."""
        resume(self._break)()

    def set_baud(self, baud: int) -> None:
        """Send and receive at another speed; :data:`~vitric.boards.transport.BAUD` is that of ``divisor``."""
        self._bit_ns = round(self._slowest_ns * BAUD / baud)

    def clock(self) -> float:
        """Return the simulated time, in the seconds that timeouts are counted in."""
        return resume(self._now)() / self._second_ns

    async def _now(self) -> float:
        return get_sim_time("ns")

    async def _send(self, data: bytes) -> None:
        for byte in data:
            for level, bits in groupby((0, *(byte >> k & 1 for k in range(8)), 1)):
                self._dut.rx.value = level
                await Timer(len(list(bits)) * self._bit_ns, unit="ns")

    async def _break(self) -> None:
        for level in (0, 1):
            self._dut.rx.value = level
            await Timer(30 * self._bit_ns, unit="ns")

    async def _wait(self, timeout: float) -> None:
        if not self._waiting:
            self._arrived.clear()
            try:
                await with_timeout(self._arrived.wait(), max(1, round(timeout * self._second_ns)), "ns")
            except SimTimeoutError:
                pass

    async def _listen(self) -> None:
        while True:
            await FallingEdge(self._dut.tx)
            await Timer(self._bit_ns // 2, unit="ns")
            byte = 0
            for k in range(8):
                await Timer(self._bit_ns, unit="ns")
                byte |= int(self._dut.tx.value) << k
            await Timer(self._bit_ns, unit="ns")
            assert self._dut.tx.value, "a byte without a stop bit"
            self.received.append(byte)
            self._waiting.append(byte)
            self._arrived.set()


async def call(function, *arguments):
    """Run a function that uses a :class:`PinTransport` while the simulation goes on; return its result."""
    return await bridge(function)(*arguments)
