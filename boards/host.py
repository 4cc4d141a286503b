"""The host's end of the link: asks a board for inferences and gives it models.

The driver works over any :class:`~vitric.boards.transport.Transport`: a serial port, or the simulated pins of a
testbench.
"""

import random
from collections.abc import Callable
from contextlib import suppress

from .answers import (
    DeviceError,
    DeviceInfo,
    Result,
    RunStatus,
    read_empty,
    read_error,
    read_info,
    read_loaded,
    read_result,
    read_status,
)
from .crc import crc32c
from .link import (
    BEGIN_LAYOUT,
    DATA_LAYOUT,
    ERROR_LAYOUT,
    INFO_LAYOUT,
    LOADED_LAYOUT,
    PROTOCOL,
    READ_LAYOUT,
    RESULT_LAYOUT,
    RUN_LAYOUT,
    SEQUENCES,
    SPEED_LAYOUT,
    STATUS_LAYOUT,
    Frame,
    FrameReader,
    Kind,
    LinkError,
    encode,
    is_protocol_1,
    layout_bytes,
    pack_layout,
)
from .transport import BAUD, LinkFailure, SerialTransport, Transport, divisor_of

__all__ = ["Device", "DeviceError", "DeviceInfo", "LinkFailure", "Result", "SerialTransport", "Transport"]

_DAMAGED = (LinkError.BAD_CRC, LinkError.TOO_LONG, LinkError.CUT_OFF)
"""What a board says of a frame that it could not read: ask again."""


class Device:
    """A board behind a transport.

    Each request gets the next sequence number, and only an answer with this number is taken for its answer: one that
    comes too late is passed over. A request whose frame or answer is damaged or lost is sent again under the same
    number: none of them does harm when it is carried out twice, except COMMIT, whose outcome is read from INFO, and
    RUN, which the board refuses if the run has begun already.

    *Deadline*: a request ends within ``attempts * timeout`` seconds and the time of a break, whatever the board does.
    :meth:`info` is one request, :meth:`infer` one, or two if :meth:`info` was not called before; :meth:`load` is four,
    and one for each piece; the others are one, or one for each piece. A request without an answer in time is ended by
    :meth:`abort`.

    *Checked*: every field of every answer, as :mod:`vitric.boards.answers` says.

    Parameters
    ----------
    transport : Transport
    timeout : float
        Seconds for one attempt: to send the request and get its answer. Longer than the slowest inference, than both
        frames on the line, and than ``2 * gap``.
    gap : float
        Seconds of silence after which the board gives up a frame that was begun:
        :data:`~vitric.boards.link.GAP_BITS` over the baud rate.
    attempts : int
        How often a request is sent before :exc:`LinkFailure`.
    baud : int
        Speed of the line after configuration and after a break.

    Raises
    ------
    LinkFailure
        Every method: the line has failed, no answer in time, or one that cannot be.
    DeviceError
        Every method: the board refused.
    """

    def __init__(self, transport: Transport, *, timeout: float = 2.0, gap: float = 0.1, attempts: int = 3,
                 baud: int = BAUD):
        self.transport = transport
        self.timeout = timeout
        self.gap = gap
        self.attempts = attempts
        self.baud = baud
        self._sequence = random.randrange(SEQUENCES)  # another one than the process had that asked before
        self._known: DeviceInfo | None = None
        self._repeated = False  # the last request was sent more than once

    def info(self) -> DeviceInfo:
        """Ask what the board is and what it holds."""
        self._known = read_info(self._ask(Kind.INFO, b"", layout_bytes(INFO_LAYOUT)))
        return self._known

    def infer(self, columns: bytes) -> Result:
        """Run one image.

        Parameters
        ----------
        columns : bytes
            The columns of the accelerator's input port, ``rows`` bytes each, in order.

        Raises
        ------
        ValueError
            No whole columns, or more than the board's ``max_payload``.
        """
        info = self._known or self.info()
        if not columns or len(columns) % info.rows or len(columns) > info.max_payload:
            raise ValueError(f"an image must be columns of {info.rows} bytes, at most {info.max_payload} bytes in all, "
                             f"not {len(columns)} bytes")
        longest = layout_bytes(RESULT_LAYOUT) + 2 * info.max_classes
        payload = self._ask(Kind.INFER, columns, longest)
        most = int(info.clock_hz * self.attempts * self.timeout)  # more cannot have passed
        return read_result(payload, max_classes=info.max_classes, max_cycles=most)

    def load(self, model: bytes, progress: Callable[[int, int], object] = lambda done, total: None) -> None:
        """Give the board another model: the bytes of a model stream for its spec.

        If this fails at any point before the end the board goes on with the model it had. What the board has of this
        very model, because a load of it was interrupted, is not sent again.

        Parameters
        ----------
        model : bytes
            A whole number of model words.
        progress : callable
            Is given the bytes sent and the bytes in all.

        Raises
        ------
        ValueError
            No whole number of words.
        """
        info = self.info()
        word = info.model_bits // 8
        if not model or len(model) % word:
            raise ValueError(f"model must be a whole number of {word}-byte words, not {len(model)} bytes")
        stated = {"words": len(model) // word, "crc": crc32c(model)}
        begun = self._ask(Kind.BEGIN, pack_layout(BEGIN_LAYOUT, stated), layout_bytes(LOADED_LAYOUT))
        there = read_loaded(begun, stated["words"]) * word
        self._send_words(Kind.DATA, there // word, model[there:], lambda done, _: progress(there + done, len(model)))
        refusal = None
        try:
            self._order(Kind.COMMIT, b"")
        except DeviceError as error:
            if error.reason == LinkError.BAD_MODEL and there:  # what was there is not whole: now it has nothing of it
                return self.load(model, progress)
            if error.reason != LinkError.NOT_BEGUN:  # that may be a repeated COMMIT whose first answer was lost
                raise
            refusal = error
        info = self.info()
        if (info.model_words, info.model_crc) != (stated["words"], stated["crc"]):
            raise refusal or LinkFailure("the board says that it took the model, and does not have it")

    def write_words(self, offset: int, words: bytes) -> None:
        """Write whole model words into the board's image memory, from word ``offset`` on, in any number of pieces."""
        self._send_words(Kind.IMAGE, offset, words)

    def read_words(self, offset: int, count: int) -> bytes:
        """Read ``count`` model words of the board's image memory, from word ``offset`` on."""
        info = self._known or self.info()
        word, words = info.model_bits // 8, b""
        while left := count - len(words) // word:
            piece = min(left, info.max_payload // word)
            place = pack_layout(READ_LAYOUT, {"offset": offset + len(words) // word, "words": piece})
            answer = self._ask(Kind.READ, place, piece * word)
            if len(answer) != piece * word:
                raise LinkFailure(f"the answer to READ must have {piece * word} bytes, not {len(answer)}")
            words += answer
        return words

    def start_run(self, *, first: int, stride: int, columns: int, count: int) -> None:
        """Start to infer ``count`` images of the image memory, as :data:`~vitric.boards.link.RUN_LAYOUT` has them."""
        run = {"first": first, "stride": stride, "columns": columns, "count": count}
        try:
            self._order(Kind.RUN, pack_layout(RUN_LAYOUT, run))
        except DeviceError as error:
            if error.reason != LinkError.BUSY or not self._repeated:  # the answer of the first attempt was lost
                raise

    def run_status(self) -> RunStatus:
        """Ask how the last run goes."""
        return read_status(self._ask(Kind.STATUS, b"", layout_bytes(STATUS_LAYOUT)))

    def pause(self, seconds: float) -> None:
        """Let time pass; what the board says without being asked is dropped."""
        self._fall_silent(seconds, self.transport.clock() + 2 * seconds)

    def _send_words(self, kind: Kind, offset: int, words: bytes,
                    progress: Callable[[int, int], object] = lambda done, total: None) -> None:
        """Send words to the memory of models or images, in pieces as large as the board takes."""
        info = self._known or self.info()
        word = info.model_bits // 8
        piece = (info.max_payload - layout_bytes(DATA_LAYOUT)) // word * word
        for start in range(0, len(words), piece):
            place = pack_layout(DATA_LAYOUT, {"offset": offset + start // word})
            self._order(kind, place + words[start:start + piece])
            progress(min(start + piece, len(words)), len(words))

    def abort(self) -> None:
        """End whatever the board is doing: it answers nothing, and a load must be begun again.

        The board keeps the model in use, and takes the next request, at the speed that it had after configuration.
        """
        self.transport.send_break()
        self.transport.set_baud(self.baud)

    def set_speed(self, baud: int) -> bool:
        """Go on at another speed, until the next break; return whether that works.

        If the board cannot have that speed, or no answer comes through at it, everything is as after a break.

        Raises
        ------
        ValueError
            No divisor of the board's clock comes near enough.
        """
        info = self._known or self.info()
        divisor = divisor_of(info.clock_hz, baud)
        try:
            self._order(Kind.SPEED, pack_layout(SPEED_LAYOUT, {"divisor": divisor}))
            self.pause(self.gap / 100)  # until the end of the answer's last bit
            self.transport.set_baud(baud)
            self.info()
        except (DeviceError, LinkFailure):
            self.abort()
            return False
        return True

    def _order(self, kind: Kind, payload: bytes) -> None:
        """Send a request whose answer says nothing more than that it was carried out."""
        read_empty(kind, self._ask(kind, payload, 0))

    def _ask(self, kind: Kind, payload: bytes, longest: int) -> bytes:
        """Send a request until its answer arrives, with up to ``longest`` bytes; return its payload, or raise."""
        self._sequence = (self._sequence + 1) % SEQUENCES
        request = encode(kind, payload, self._sequence)
        clock = self.transport.clock
        fault = "no answer"
        for attempt in range(self.attempts):
            self._repeated = attempt > 0
            end = clock() + self.timeout
            if not self._fall_silent(1.5 * self.gap if attempt else 0.0, end):
                fault = "the line does not fall silent"
                continue
            self.transport.write(request, end - clock())
            answer = self._answer(kind, longest, end)
            if answer is None:
                continue
            if answer.kind != Kind.ERROR:
                return answer.payload
            refusal = read_error(kind, answer.payload)
            if refusal.reason not in _DAMAGED:
                raise refusal
            fault = f"the board says: {refusal.reason.name.lower().replace('_', ' ')}"
        with suppress(LinkFailure):  # not every line can carry a break
            self.abort()
        raise LinkFailure(f"{kind.name} failed {self.attempts} times: {fault}")

    def _fall_silent(self, pause: float, end: float) -> bool:
        """Drop what arrives until nothing has for ``pause`` seconds; return whether that was before ``end``."""
        while self.transport.clock() + pause < end:
            if not self.transport.read(pause):
                return True
        return False

    def _answer(self, kind: Kind, longest: int, end: float) -> Frame | None:
        """Return the frame that answers the last request, or ``None`` if there is none until ``end``."""
        reader = FrameReader(max(longest, layout_bytes(INFO_LAYOUT), layout_bytes(ERROR_LAYOUT)))
        heard = b""
        while (left := end - self.transport.clock()) > 0:
            data = self.transport.read(left)
            for frame in reader.feed(data):
                if frame.sequence == self._sequence and frame.kind in (kind | 0x80, Kind.ERROR):
                    return frame
                if frame.kind == Kind.ERROR and frame.payload[:1] in map(bytes, zip(_DAMAGED, strict=True)):
                    return frame  # the number of a damaged frame may be damaged as well
            heard += data
            if kind == Kind.INFO and is_protocol_1(heard):
                raise LinkFailure(f"the board must speak protocol {PROTOCOL} of the link, not 1: load a new bitstream")
            heard = heard[-32:]  # may be the start of such a frame
        return None
