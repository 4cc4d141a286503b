"""The host link: frames over a serial line, and the requests and answers that they carry.

This is the contract between the gateware (:mod:`vitric.boards.frame`, :mod:`vitric.boards.controller`) and the host
(:mod:`vitric.boards.host`); ``docs/host-link.md`` describes it for readers who write another host.

A frame is, in bytes::

    0x56 0xA9  kind  sequence  length (2)  payload (length)  CRC-32 (4)

All numbers are little-endian. An answer has the sequence number of its request. The CRC is the common one (zlib's) of
kind, sequence, length and payload. The line carries 8 data bits, no parity, 1 stop bit.
"""

import enum
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

__all__ = [
    "BEGIN_LAYOUT", "DATA_LAYOUT", "ERROR_LAYOUT", "Frame", "FrameReader", "GAP_BITS", "INFO_LAYOUT", "Kind",
    "LENGTH_MAX", "LOADED_LAYOUT", "LinkError", "PROTOCOL", "READ_LAYOUT", "RECORD_LAYOUT", "RESULT_LAYOUT",
    "RUN_LAYOUT", "SEQUENCES", "SPEED_LAYOUT", "STATUS_LAYOUT", "SYNC", "encode", "is_protocol_1",
    "layout_bytes", "pack_layout", "unpack_layout",
]

PROTOCOL = 4
"""Version of this contract, in the answer to INFO. Frames of version 1 had no sequence number; version 2 had no images
in memory, and one speed; version 3 told nothing of a flash."""

SEQUENCES = 256
"""Sequence numbers: 0 and up, then from 0 again."""

GAP_BITS = 100_000
"""Bit times of silence after which a device gives up a frame that was begun: 0.1 s at 1 Mbaud."""

SYNC = b"\x56\xa9"
"""First bytes of every frame: a letter and its complement."""

LENGTH_MAX = 0xFFFF
"""Longest payload that the format allows; a device states its own, smaller one in the answer to INFO."""

_HEADER = struct.Struct("<BBH")
_CRC = struct.Struct("<I")


class Kind(enum.IntEnum):
    """What a frame is. Requests are below 0x80; the answer to a request has bit 7 set in addition."""

    INFO = 0x01
    """No payload."""
    BEGIN = 0x02
    """Start to load a model: :data:`BEGIN_LAYOUT`."""
    DATA = 0x03
    """A piece of the model: :data:`DATA_LAYOUT`, then model words."""
    COMMIT = 0x04
    """Check the model that was loaded and use it from now on. No payload."""
    INFER = 0x05
    """Columns of one image in the order of the accelerator's input port, ``rows`` bytes each."""
    IMAGE = 0x06
    """Words for the image memory: :data:`DATA_LAYOUT`, then the words."""
    RUN = 0x07
    """Start to infer images that lie in the image memory: :data:`RUN_LAYOUT`."""
    STATUS = 0x08
    """How the run goes. No payload."""
    READ = 0x09
    """Words of the image memory, results of a run among them: :data:`READ_LAYOUT`."""
    SPEED = 0x0A
    """Another speed of the line, from the end of the answer to the next break: :data:`SPEED_LAYOUT`."""
    INFO_ANSWER = 0x81
    """:data:`INFO_LAYOUT`."""
    BEGIN_ANSWER = 0x82
    """:data:`LOADED_LAYOUT`."""
    DATA_ANSWER = 0x83
    """No payload."""
    COMMIT_ANSWER = 0x84
    """No payload: the model was whole and is in use."""
    INFER_ANSWER = 0x85
    """:data:`RESULT_LAYOUT`, then the logits, class 0 first, signed 16 bits each."""
    IMAGE_ANSWER = 0x86
    """No payload."""
    RUN_ANSWER = 0x87
    """No payload: the run has begun."""
    STATUS_ANSWER = 0x88
    """:data:`STATUS_LAYOUT`."""
    READ_ANSWER = 0x89
    """The words."""
    SPEED_ANSWER = 0x8A
    """No payload."""
    ERROR = 0xFF
    """:data:`ERROR_LAYOUT`: the request was not carried out, and nothing has changed."""


class LinkError(enum.IntEnum):
    """Reasons in an ERROR frame."""

    BAD_CRC = 1
    """The CRC of a frame is wrong: its kind and sequence number, which the ERROR repeats, may be as well."""
    TOO_LONG = 2
    """A frame states a length beyond the device's ``max_payload``."""
    CUT_OFF = 3
    """A frame was begun, and the line then was silent."""
    BAD_KIND = 4
    """The kind is no request."""
    BAD_LENGTH = 5
    """The length is none that the request can have."""
    TOO_LARGE = 6
    """The model, or the end of a piece of it, is beyond the device's capacity."""
    NOT_BEGUN = 7
    """DATA or COMMIT without a BEGIN before it."""
    BAD_MODEL = 8
    """Length or CRC-32C of the words that were loaded are not those that BEGIN stated."""
    NO_MODEL = 9
    """There is no model to infer with."""
    ACCELERATOR = 10
    """The accelerator ended the inference with an error: its code and command follow."""
    BAD_MEMORY = 11
    """The memory that models and images are loaded into did not pass its test at start."""
    BUSY = 12
    """A run is under way: no other one, no INFER and no COMMIT before its end; or the board still looks for a model in
    its flash: nothing that concerns models before its end."""
    BAD_SLOT = 13
    """An image of a run, or its result, does not fit into its slot, or the slot is beyond the image memory."""
    BAD_SPEED = 14
    """The line cannot have that many clock cycles per bit."""


Layout = tuple[tuple[str, int], ...]

INFO_LAYOUT: Layout = (
    ("protocol", 1),       # PROTOCOL
    ("rows", 1),           # bytes of one column of INFER
    ("model_bits", 2),     # width of a model word
    ("max_classes", 2),    # most logits in an answer
    ("max_payload", 2),    # longest payload of a request
    ("spec_hash", 4),      # AcceleratorSpec.hash
    ("capacity", 4),       # longest model, in model words
    ("model_words", 4),    # length of the model in use, 0 if there is none
    ("model_crc", 4),      # CRC-32C of all its bytes
    ("clock_hz", 4),       # cycles per second
    ("image_words", 4),    # image memory, in model words; 0 if there is none
    ("memory_failed", 1),  # 1 if the memory for models and images did not pass its test at start
    ("flash_state", 1),    # FlashState: what the board has found in its flash
    ("flash_slot", 1),     # slot of the model that was loaded from there
    ("flash_written", 4),  # its time, see vitric.boards.flash_image
)
"""Name and bytes of each field of the answer to INFO."""

BEGIN_LAYOUT: Layout = (("words", 4), ("crc", 4))
"""Length in model words and CRC-32C of all bytes of the model to come: see :func:`~vitric.boards.crc.crc32c`."""

DATA_LAYOUT: Layout = (("offset", 4),)
"""Where in the model, or in the image memory, the words that follow belong, in model words."""

LOADED_LAYOUT: Layout = (("loaded", 4),)
"""Model words from the first on that are there already, because the same model was begun before."""

SPEED_LAYOUT: Layout = (("divisor", 4),)
"""Clock cycles per bit: from 4 to as many as after configuration. Wait a bit time after the answer."""

RUN_LAYOUT: Layout = (("first", 4), ("stride", 4), ("columns", 4), ("count", 2))
"""Where in the image memory the first slot begins and how far it is from one slot to the next, in model words; columns
of one image; number of images. A slot holds an image, from the next word on its :data:`RECORD_LAYOUT`, and its logits,
class 0 first, signed 16 bits each."""

STATUS_LAYOUT: Layout = (("running", 1), ("reason", 1), ("done", 2), ("cycles", 6))
"""Of the last run: 1 until its end; 0, or the LinkError that ended it early, of which ACCELERATOR is told more in the
record of the last image; records that were written; clock cycles from its start to its end, or to now."""

READ_LAYOUT: Layout = (("offset", 4), ("words", 2))
"""Where in the image memory to read, and how much, in model words."""

RECORD_LAYOUT: Layout = (("cycles", 4), ("label", 2), ("count", 2), ("error", 2), ("command", 2), ("reserved", 4))
"""Result of one image of a run: clock cycles of the inference; index of the largest logit, the first of equal ones;
number of logits; error and command of the accelerator's status."""

RESULT_LAYOUT: Layout = (("cycles", 4), ("label", 2))
"""Clock cycles of the inference; index of the largest logit, the first of equal ones."""

ERROR_LAYOUT: Layout = (("reason", 1), ("request", 1), ("code", 1), ("command", 2))
"""LinkError; kind of the frame that was refused (0 where it is not known); code and command of the accelerator's
status (0 but for ACCELERATOR)."""


def layout_bytes(layout: Layout) -> int:
    """Return the length of a layout in bytes."""
    return sum(size for _, size in layout)


def pack_layout(layout: Layout, values: Mapping[str, int]) -> bytes:
    """Return the bytes of the named fields; :exc:`OverflowError` if one does not fit, KeyError if one is missing."""
    return b"".join(values[name].to_bytes(size, "little") for name, size in layout)


def unpack_layout(layout: Layout, data: bytes) -> dict[str, int]:
    """Return the fields at the start of ``data``; :exc:`ValueError` if it is too short."""
    if len(data) < layout_bytes(layout):
        raise ValueError(f"a payload with {layout[0][0]} must have {layout_bytes(layout)} bytes, not {len(data)}")
    values, position = {}, 0
    for name, size in layout:
        values[name] = int.from_bytes(data[position:position + size], "little")
        position += size
    return values


def encode(kind: int, payload: bytes = b"", sequence: int = 0) -> bytes:
    """Return the bytes of one frame.

    Raises
    ------
    ValueError
        ``payload`` is longer than :data:`LENGTH_MAX`.
    """
    if len(payload) > LENGTH_MAX:
        raise ValueError(f"payload must have at most {LENGTH_MAX} bytes, not {len(payload)}")
    body = _HEADER.pack(kind, sequence, len(payload)) + payload
    return SYNC + body + _CRC.pack(zlib.crc32(body))


@dataclass(frozen=True)
class Frame:
    """A frame whose CRC was right."""

    kind: int
    payload: bytes = b""
    sequence: int = 0


class FrameReader:
    """Finds frames in bytes as they arrive, whatever stands between them.

    Bytes that are no part of a good frame are passed over: after a frame with a wrong CRC the search goes on behind
    its first sync byte, so that a frame inside the wreck of another is found.

    Parameters
    ----------
    max_payload : int
        A frame that states a longer payload is no frame.
    """

    def __init__(self, max_payload: int = LENGTH_MAX):
        self.max_payload = max_payload
        self._bytes = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take ``data`` and yield the frames that it completes."""
        self._bytes += data
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> Frame | None:
        prefix = len(SYNC) + _HEADER.size
        while True:
            start = self._bytes.find(SYNC)
            if start < 0:
                del self._bytes[:max(0, len(self._bytes) - len(SYNC) + 1)]
                return None
            del self._bytes[:start]
            if len(self._bytes) < prefix:
                return None
            kind, sequence, length = _HEADER.unpack_from(self._bytes, len(SYNC))
            if length <= self.max_payload:
                end = prefix + length
                if len(self._bytes) < end + _CRC.size:
                    return None
                if _CRC.unpack_from(self._bytes, end)[0] == zlib.crc32(self._bytes[len(SYNC):end]):
                    payload = bytes(self._bytes[prefix:end])
                    del self._bytes[:end + _CRC.size]
                    return Frame(kind, payload, sequence)
            del self._bytes[:1]


def is_protocol_1(data: bytes) -> bool:
    """Return whether an ERROR frame of protocol 1 is among these bytes: a device of that time answers any INFO so."""
    header = SYNC + struct.pack("<BH", Kind.ERROR, layout_bytes(ERROR_LAYOUT))
    size = len(header) + layout_bytes(ERROR_LAYOUT)
    for found in re.finditer(re.escape(header), data):
        frame = data[found.start():found.start() + size + _CRC.size]
        if frame[size:] == _CRC.pack(zlib.crc32(frame[len(SYNC):size])):
            return True
    return False
