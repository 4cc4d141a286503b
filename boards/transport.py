"""What the host driver talks through: bytes to and from a board, with a clock, and never waiting without an end."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

__all__ = ["BAUD", "BAUD_ERROR", "LinkFailure", "SerialTransport", "Transport", "divisor_of"]

BAUD = 1_000_000
"""Speed of the line unless the board says otherwise."""

BAUD_ERROR = 0.02
"""By how much the two ends of a line may differ: half of what 10 bits can bear."""


def divisor_of(clock_hz: int, baud: int) -> int:
    """Return the clock cycles per bit for a speed.

    Raises
    ------
    ValueError
        The nearest speed that the clock gives is off by more than :data:`BAUD_ERROR`.
    """
    divisor = max(1, round(clock_hz / baud))
    if abs(clock_hz / divisor / baud - 1) > BAUD_ERROR:
        raise ValueError(f"no divisor of {clock_hz / 1e6:g} MHz comes within {BAUD_ERROR:.0%} of {baud} baud")
    return divisor


class LinkFailure(RuntimeError):
    """The line has failed, or the board does not answer, or not as it must. The message is one line."""


class Transport(Protocol):
    """Bytes to and from a board.

    Raises
    ------
    LinkFailure
        Every method but ``clock``: the line has failed.
    """

    def write(self, data: bytes, timeout: float) -> None:
        """Send ``data``; raise :exc:`LinkFailure` if that is not possible within ``timeout`` seconds."""

    def read(self, timeout: float) -> bytes:
        """Return what has arrived; wait up to ``timeout`` seconds for the first byte, then return ``b""``."""

    def send_break(self) -> None:
        """Hold the line at 0 for longer than two bytes take."""

    def set_baud(self, baud: int) -> None:
        """Send and receive at another speed from now on."""

    def clock(self) -> float:
        """Return the time in seconds, on the clock that timeouts are counted by."""


class SerialTransport:
    """A serial port, which no other process may open at the same time.

    Parameters
    ----------
    port : str
        Its name, for example ``/dev/ttyUSB0``, or a URL that pyserial understands.
    baud : int

    Raises
    ------
    LinkFailure
        The constructor: the port cannot be opened. Every method: it has failed, for example because it was unplugged.
    """

    def __init__(self, port: str, baud: int = BAUD):
        import serial

        try:
            self._serial = serial.serial_for_url(port, baudrate=baud, timeout=0, exclusive=True)
        except Exception as error:  # the handlers of URLs raise what they like
            raise _failure("cannot open the serial port", error) from error

    def write(self, data: bytes, timeout: float) -> None:
        """Send ``data``; return when the operating system has taken it."""
        with _failures("cannot write to the serial port"):
            self._serial.write_timeout = max(timeout, 1e-3)  # 0 would mean: write a part, and say nothing
            self._serial.write(data)

    def read(self, timeout: float) -> bytes:
        """Return what has arrived; wait up to ``timeout`` seconds for the first byte, then return ``b""``."""
        with _failures("cannot read from the serial port"):
            self._serial.timeout = timeout
            first = self._serial.read(1)
            self._serial.timeout = 0
            return first + self._serial.read(self._serial.in_waiting) if first else b""

    def send_break(self) -> None:
        """Hold the line at 0 for longer than two bytes take: 10 ms and 40 bit times."""
        with _failures("cannot send a break on the serial port"):
            self._serial.break_condition = True
            time.sleep(0.01 + 40 / self._serial.baudrate)
            self._serial.break_condition = False

    def set_baud(self, baud: int) -> None:
        """Send and receive at another speed from now on."""
        with _failures("cannot change the speed of the serial port"):
            self._serial.baudrate = baud

    def clock(self) -> float:
        """Return the time in seconds, from some moment on."""
        return time.monotonic()

    def close(self) -> None:
        """Close the port."""
        with _failures("cannot close the serial port"):
            self._serial.close()


def _failure(what: str, error: Exception) -> LinkFailure:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return LinkFailure(f"{what}: {' '.join(reason.split())}")


@contextmanager
def _failures(what: str) -> Iterator[None]:
    """Turn what pyserial and the operating system raise into :exc:`LinkFailure`."""
    import termios

    try:
        yield
    except (OSError, ValueError, termios.error) as error:
        raise _failure(what, error) from error
