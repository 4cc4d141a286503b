"""What a board answers, checked: nothing reaches the caller that a sound board could not have said."""

import struct
from dataclasses import dataclass

from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.check import check_int
from vitric.golden.spec.command import ErrorCode

from .link import (
    DATA_LAYOUT,
    ERROR_LAYOUT,
    INFO_LAYOUT,
    LENGTH_MAX,
    PROTOCOL,
    RESULT_LAYOUT,
    Kind,
    LinkError,
    layout_bytes,
    unpack_layout,
)
from .transport import LinkFailure

__all__ = ["DeviceError", "DeviceInfo", "Result", "read_empty", "read_error", "read_info", "read_result"]


class DeviceError(RuntimeError):
    """The board refused a request.

    Attributes
    ----------
    reason : LinkError
    code : ErrorCode
        Of the accelerator's status, for ACCELERATOR; OK for every other reason.
    command : int
        The command at which it arose.
    """

    def __init__(self, reason: LinkError, request: int, code: ErrorCode, command: int):
        self.reason = reason
        self.code = code
        self.command = command
        text = f"the board refused the request {request:#04x}: {_words(reason)}"
        if reason == LinkError.ACCELERATOR:
            text += f" error {int(code)} ({_words(code)}) at command {command}"
        super().__init__(text)


def _words(member: LinkError | ErrorCode) -> str:
    return member.name.lower().replace("_", " ")


@dataclass(frozen=True, kw_only=True)
class DeviceInfo:
    """Answer to INFO; the fields are those of :data:`~vitric.boards.link.INFO_LAYOUT`.

    Raises
    ------
    ValueError
        A field has a value that no board can have.
    """

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

    def __post_init__(self):
        check_int("rows", self.rows, 1, 0xFF)
        if self.model_bits % 8 or not self.model_bits:
            raise ValueError(f"model_bits must be a multiple of 8, not {self.model_bits}")
        check_int("max_classes", self.max_classes, 1, 0xFFFF)
        check_int("max_payload", self.max_payload, layout_bytes(DATA_LAYOUT) + self.model_bits // 8, LENGTH_MAX)
        check_int("capacity", self.capacity, 1, 0xFFFF_FFFF)
        check_int("model_words", self.model_words, 0, self.capacity)
        check_int("clock_hz", self.clock_hz, 1, 0xFFFF_FFFF)

    def check_spec(self, spec: AcceleratorSpec) -> None:
        """Check a board with the hash of ``spec`` for the fields that follow from it.

        Raises
        ------
        LinkFailure
            One differs.
        """
        for name in ("rows", "model_bits", "max_classes"):
            if getattr(self, name) != getattr(spec, name):
                raise LinkFailure(f"{name} of the board must be {getattr(spec, name)}, as its spec {spec.name} has it, "
                                  f"not {getattr(self, name)}")


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


def _check_length(kind: Kind, payload: bytes, length: int) -> None:
    if len(payload) != length:
        raise LinkFailure(f"the answer to {kind.name} must have {length} bytes, not {len(payload)}")


def read_empty(kind: Kind, payload: bytes) -> None:
    """Check the payload of an answer that has none; raise :exc:`LinkFailure` if it has one."""
    _check_length(kind, payload, 0)


def read_info(payload: bytes) -> DeviceInfo:
    """Return what the payload of the answer to INFO says.

    Raises
    ------
    LinkFailure
        The board speaks another version of the link, or the length or a field is none that a board can answer.
    """
    if payload and payload[0] != PROTOCOL:
        raise LinkFailure(f"the board must speak protocol {PROTOCOL} of the link, not {payload[0]}")
    _check_length(Kind.INFO, payload, layout_bytes(INFO_LAYOUT))
    try:
        return DeviceInfo(**unpack_layout(INFO_LAYOUT, payload))
    except ValueError as error:
        raise LinkFailure(f"the answer to INFO cannot be: {error}") from error


def read_result(payload: bytes, *, max_classes: int, max_cycles: int) -> Result:
    """Return what the payload of the answer to INFER says.

    Raises
    ------
    LinkFailure
        No whole number of logits from 1 to ``max_classes``, a label that is not the first of the largest, or cycles
        that are not between 1 and ``max_cycles``.
    """
    head = layout_bytes(RESULT_LAYOUT)
    count, odd = divmod(len(payload) - head, 2)
    if odd or not 1 <= count <= max_classes:
        raise LinkFailure(f"the answer to INFER must have 1 to {max_classes} logits behind {head} bytes, "
                          f"not {len(payload)} bytes in all")
    values = unpack_layout(RESULT_LAYOUT, payload)
    logits = struct.unpack_from(f"<{count}h", payload, head)
    label = logits.index(max(logits))
    if values["label"] != label:
        raise LinkFailure(f"label in the answer to INFER must be {label}, the first of the largest logits, "
                          f"not {values['label']}")
    try:
        check_int("cycles in the answer to INFER", values["cycles"], 1, max_cycles)
    except ValueError as error:
        raise LinkFailure(str(error)) from error
    return Result(logits, label, values["cycles"])


def read_error(kind: Kind, payload: bytes) -> DeviceError:
    """Return what the payload of an ERROR that answers ``kind`` says.

    Raises
    ------
    LinkFailure
        The length, the reason, the request or the accelerator's code is none that a board can answer.
    """
    _check_length(kind, payload, layout_bytes(ERROR_LAYOUT))
    values = unpack_layout(ERROR_LAYOUT, payload)
    try:
        reason, code = LinkError(values["reason"]), ErrorCode(values["code"])
    except ValueError as error:
        raise LinkFailure(f"the refusal of {kind.name} cannot be: {error}") from error
    damaged = reason in (LinkError.BAD_CRC, LinkError.TOO_LONG, LinkError.CUT_OFF)
    if values["request"] != kind and not damaged:
        raise LinkFailure(f"the refusal of {kind.name} must name the request {kind:#04x}, not {values['request']:#04x}")
    if (reason == LinkError.ACCELERATOR) == (code == ErrorCode.OK) or (code == ErrorCode.OK and values["command"]):
        raise LinkFailure(f"the refusal of {kind.name} cannot be: {_words(reason)} with the accelerator's code "
                          f"{int(code)} at command {values['command']}")
    return DeviceError(reason, values["request"], code, values["command"])
