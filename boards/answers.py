"""What a board answers, checked: nothing reaches the caller that a sound board could not have said."""

import struct
from dataclasses import dataclass

from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.check import check_int
from vitric.golden.spec.command import ErrorCode

from .flash_image import FlashState
from .link import (
    DATA_LAYOUT,
    ERROR_LAYOUT,
    INFO_LAYOUT,
    LENGTH_MAX,
    LOADED_LAYOUT,
    PROTOCOL,
    RECORD_LAYOUT,
    RESULT_LAYOUT,
    STATUS_LAYOUT,
    Kind,
    LinkError,
    layout_bytes,
    unpack_layout,
)
from .transport import LinkFailure

__all__ = [
    "DeviceError", "DeviceInfo", "Result", "RunStatus", "read_empty", "read_error", "read_info", "read_loaded",
    "read_record", "read_result", "read_status",
]


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
    image_words: int
    memory_failed: int
    flash_state: int
    flash_slot: int
    flash_written: int

    def __post_init__(self):
        check_int("rows", self.rows, 1, 0xFF)
        if self.model_bits % 8 or not self.model_bits:
            raise ValueError(f"model_bits must be a multiple of 8, not {self.model_bits}")
        check_int("max_classes", self.max_classes, 1, 0xFFFF)
        check_int("max_payload", self.max_payload, layout_bytes(DATA_LAYOUT) + self.model_bits // 8, LENGTH_MAX)
        check_int("capacity", self.capacity, 1, 0xFFFF_FFFF)
        check_int("model_words", self.model_words, 0, self.capacity)
        check_int("clock_hz", self.clock_hz, 1, 0xFFFF_FFFF)
        check_int("memory_failed", self.memory_failed, 0, 1)
        check_int("flash_state", self.flash_state, 0, max(FlashState))

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


@dataclass(frozen=True)
class RunStatus:
    """Of a run over images in the board's memory.

    Attributes
    ----------
    running : bool
        It has not ended.
    reason : LinkError or None
        Why it ended early.
    done : int
        Images of which there is a result.
    cycles : int
        Clock cycles from its start to its end, or to now.
    """

    running: bool
    reason: LinkError | None
    done: int
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


def read_loaded(payload: bytes, words: int) -> int:
    """Return what the payload of the answer to BEGIN says: how many of so many words the board has already.

    Raises
    ------
    LinkFailure
        The length is wrong, or there are more words than the model has.
    """
    _check_length(Kind.BEGIN, payload, layout_bytes(LOADED_LAYOUT))
    loaded = unpack_layout(LOADED_LAYOUT, payload)["loaded"]
    if loaded > words:
        raise LinkFailure(f"the answer to BEGIN cannot be: {loaded} words of a model of {words}")
    return loaded


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
    return _result("the answer to INFER", unpack_layout(RESULT_LAYOUT, payload), payload[head:], max_cycles)


def read_record(payload: bytes, *, max_classes: int, max_cycles: int) -> Result:
    """Return what a record in the image memory says.

    Raises
    ------
    DeviceError
        The accelerator ended the inference with an error.
    LinkFailure
        What :func:`read_result` raises it for, an error that is none of the accelerator's, or too few bytes.
    """
    head = layout_bytes(RECORD_LAYOUT)
    if len(payload) < head:
        raise LinkFailure(f"a record must have at least {head} bytes, not {len(payload)}")
    values = unpack_layout(RECORD_LAYOUT, payload)
    try:
        code = ErrorCode(values["error"])
    except ValueError as error:
        raise LinkFailure(f"a record cannot be: {error}") from error
    if code != ErrorCode.OK:
        raise DeviceError(LinkError.ACCELERATOR, Kind.RUN, code, values["command"])
    logits = payload[head:head + 2 * values["count"]]
    if not 1 <= values["count"] <= max_classes or len(logits) != 2 * values["count"]:
        raise LinkFailure(f"a record must have 1 to {max_classes} logits, all of them there, not {values['count']}")
    return _result("a record", values, logits, max_cycles)


def _result(where: str, values: dict[str, int], logits: bytes, max_cycles: int) -> Result:
    """Return a result whose logits, label and cycles agree with each other and with ``max_cycles``."""
    numbers = struct.unpack(f"<{len(logits) // 2}h", logits)
    label = numbers.index(max(numbers))
    if values["label"] != label:
        raise LinkFailure(f"label in {where} must be {label}, the first of the largest logits, not {values['label']}")
    try:
        check_int(f"cycles in {where}", values["cycles"], 1, max_cycles)
    except ValueError as error:
        raise LinkFailure(str(error)) from error
    return Result(numbers, label, values["cycles"])


def read_status(payload: bytes) -> RunStatus:
    """Return what the payload of the answer to STATUS says.

    Raises
    ------
    LinkFailure
        The length, or a field, is none that a board can answer.
    """
    _check_length(Kind.STATUS, payload, layout_bytes(STATUS_LAYOUT))
    values = unpack_layout(STATUS_LAYOUT, payload)
    try:
        check_int("running", values["running"], 0, 1)
        reason = LinkError(values["reason"]) if values["reason"] else None
    except ValueError as error:
        raise LinkFailure(f"the answer to STATUS cannot be: {error}") from error
    if reason and (values["running"] or reason not in (LinkError.BAD_SLOT, LinkError.ACCELERATOR)):
        raise LinkFailure(f"the answer to STATUS cannot be: a run with reason {_words(reason)}, "
                          f"running {values['running']}")
    return RunStatus(bool(values["running"]), reason, values["done"], values["cycles"])


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
