"""The host's end of the link: asks a board for inferences and gives it models.

The driver works over any :class:`Transport`: a serial port, or the simulated pins of a testbench.
"""

import struct
from dataclasses import dataclass
from typing import Protocol

from .link import (
    BEGIN_LAYOUT,
    DATA_LAYOUT,
    ERROR_LAYOUT,
    INFO_LAYOUT,
    PROTOCOL,
    RESULT_LAYOUT,
    Frame,
    FrameReader,
    Kind,
    LinkError,
    crc32c,
    encode,
    layout_bytes,
    pack_layout,
    unpack_layout,
)

__all__ = ["Device", "DeviceError", "DeviceInfo", "LinkFailure", "Result", "SerialTransport", "Transport"]


_BABBLE = 1 << 18
"""Bytes without an answer among them after which waiting ends."""


class LinkFailure(RuntimeError):
    """The board does not answer, or not in a way that can be understood."""


class DeviceError(RuntimeError):
    """The board refused a request.

    Attributes
    ----------
    reason : LinkError
    code : int
        Error code of the accelerator's status (:class:`~vitric.golden.spec.command.ErrorCode`), for ACCELERATOR.
    command : int
        The command at which it arose.
    """

    def __init__(self, reason: LinkError, request: int, code: int, command: int):
        self.reason = reason
        self.code = code
        self.command = command
        text = f"the board refused the request {request:#04x}: {reason.name.lower().replace('_', ' ')}"
        if reason == LinkError.ACCELERATOR:
            text += f" error {code} at command {command}"
        super().__init__(text)


class Transport(Protocol):
    """Bytes to and from a board."""

    def write(self, data: bytes) -> None:
        """Send ``data``."""

    def read(self, timeout: float) -> bytes:
        """Return what has arrived; wait up to ``timeout`` seconds for the first byte, then return ``b""``."""


class SerialTransport:
    """A serial port.

    Parameters
    ----------
    port : str
        Its name, for example ``/dev/ttyUSB0``, or a URL that pyserial understands.
    baud : int

    Raises
    ------
    LinkFailure
        The port cannot be opened.
    """

    def __init__(self, port: str, baud: int = 1_000_000):
        import serial

        try:
            self._serial = serial.serial_for_url(port, baudrate=baud, timeout=0)
        except (serial.SerialException, ValueError, OSError) as error:
            raise LinkFailure(f"cannot open the serial port {port}: {error}") from error

    def write(self, data: bytes) -> None:
        """Send ``data``."""
        self._serial.write(data)
        self._serial.flush()

    def read(self, timeout: float) -> bytes:
        """Return what has arrived; wait up to ``timeout`` seconds for the first byte, then return ``b""``."""
        self._serial.timeout = timeout
        first = self._serial.read(1)
        return first + self._serial.read(self._serial.in_waiting) if first else b""

    def close(self) -> None:
        """Close the port."""
        self._serial.close()


@dataclass(frozen=True, kw_only=True)
class DeviceInfo:
    """Answer to INFO; the fields are those of :data:`~vitric.boards.link.INFO_LAYOUT`."""

    protocol: int
    rows: int
    model_bits: int
    max_classes: int
    max_payload: int
    spec_hash: int
    capacity: int
    model_words: int
    model_crc: int
    clock_hz: int


@dataclass(frozen=True)
class Result:
    """Of one inference.

    Attributes
    ----------
    logits : tuple of int
        Class 0 first.
    label : int
        Index of the largest, the first of equal ones, as the board found it.
    cycles : int
        Clock cycles.
    """

    logits: tuple[int, ...]
    label: int
    cycles: int


class Device:
    """A board behind a transport.

    A request whose frame or answer is damaged or lost is sent again: none of them does harm when it is carried out
    twice, except COMMIT, whose outcome is then read from INFO.

    Parameters
    ----------
    transport : Transport
    timeout : float
        Seconds to wait for an answer; longer than the slowest inference and than the board's gap.
    attempts : int
        How often a request is sent before :exc:`LinkFailure`.

    Raises
    ------
    LinkFailure
        Every method: no answer that can be understood.
    DeviceError
        Every method: the board refused.
    """

    def __init__(self, transport: Transport, *, timeout: float = 2.0, attempts: int = 3):
        self.transport = transport
        self.timeout = timeout
        self.attempts = attempts

    def info(self) -> DeviceInfo:
        """Ask what the board is and what it holds."""
        values = unpack_layout(INFO_LAYOUT, self._payload(Kind.INFO, b"", layout_bytes(INFO_LAYOUT)))
        if values["protocol"] != PROTOCOL:
            raise LinkFailure(f"the board speaks version {values['protocol']} of the link, not {PROTOCOL}")
        return DeviceInfo(**values)

    def infer(self, columns: bytes) -> Result:
        """Run one image: the columns of the accelerator's input port, ``rows`` bytes each, in order."""
        head = layout_bytes(RESULT_LAYOUT)
        payload = self._payload(Kind.INFER, columns, head)
        values = unpack_layout(RESULT_LAYOUT, payload)
        logits = struct.unpack(f"<{(len(payload) - head) // 2}h", payload[head:])
        return Result(logits, values["label"], values["cycles"])

    def load(self, model: bytes, progress=lambda done, total: None) -> None:
        """Give the board another model: the bytes of a model stream for its spec.

        If this fails at any point the board goes on with the model it had.

        Parameters
        ----------
        model : bytes
            A whole number of model words.
        progress : callable
            Is given the bytes sent and the bytes in all.
        """
        info = self.info()
        word = info.model_bits // 8
        if len(model) % word:
            raise ValueError(f"model must be a whole number of {word}-byte words, not {len(model)} bytes")
        stated = {"words": len(model) // word, "crc": crc32c(model)}
        self._payload(Kind.BEGIN, pack_layout(BEGIN_LAYOUT, stated), 0)
        piece = (info.max_payload - layout_bytes(DATA_LAYOUT)) // word * word
        for start in range(0, len(model), piece):
            offset = pack_layout(DATA_LAYOUT, {"offset": start // word})
            self._payload(Kind.DATA, offset + model[start:start + piece], 0)
            progress(min(start + piece, len(model)), len(model))
        try:
            self._payload(Kind.COMMIT, b"", 0)
        except DeviceError as error:
            if error.reason != LinkError.NOT_BEGUN:  # that may be a repeated COMMIT whose first answer was lost
                raise
            info = self.info()
            if (info.model_words, info.model_crc) != (stated["words"], stated["crc"]):
                raise

    def _payload(self, kind: Kind, payload: bytes, minimum: int) -> bytes:
        """Return the payload of the answer, which must have ``minimum`` bytes."""
        answer = self._ask(kind, payload)
        if len(answer.payload) < minimum:
            raise LinkFailure(f"the answer to {kind.name} has {len(answer.payload)} bytes, not at least {minimum}")
        return answer.payload

    def _ask(self, kind: Kind, payload: bytes) -> Frame:
        """Send a request until an answer to it arrives; raise what the answer says."""
        last = "no answer"
        for _ in range(self.attempts):
            self.transport.write(encode(kind, payload))
            answer = self._answer(kind)
            if answer is None:
                continue
            if answer.kind != Kind.ERROR:
                return answer
            values = unpack_layout(ERROR_LAYOUT, answer.payload)
            reason = LinkError(values.pop("reason"))
            if reason not in (LinkError.BAD_CRC, LinkError.TOO_LONG, LinkError.CUT_OFF):
                raise DeviceError(reason, **values)
            last = f"the board says: {reason.name.lower().replace('_', ' ')}"
            while self.transport.read(self.timeout / 10):  # let the line fall silent
                pass
        raise LinkFailure(f"{kind.name} failed {self.attempts} times: {last}")

    def _answer(self, kind: Kind) -> Frame | None:
        """Return the next frame that answers ``kind``, or ``None`` if the line falls silent before."""
        reader = FrameReader()
        received = 0
        while received < _BABBLE and (data := self.transport.read(self.timeout)):
            received += len(data)
            for frame in reader.feed(data):
                if frame.kind in (kind | 0x80, Kind.ERROR):
                    return frame
        return None
