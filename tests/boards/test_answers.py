import struct

import pytest
from vitric.boards.answers import (
    DeviceError,
    DeviceInfo,
    Result,
    RunStatus,
    read_empty,
    read_error,
    read_info,
    read_loaded,
    read_record,
    read_result,
    read_status,
)
from vitric.boards.link import (
    ERROR_LAYOUT,
    INFO_LAYOUT,
    RECORD_LAYOUT,
    STATUS_LAYOUT,
    Kind,
    LinkError,
    pack_layout,
)
from vitric.boards.transport import LinkFailure
from vitric.golden.spec.accelerator import SPECS
from vitric.golden.spec.command import ErrorCode

SPEC = SPECS["tiny"]
INFO = {"protocol": 4, "rows": 2, "model_bits": 32, "max_classes": SPEC.max_classes, "max_payload": 64,
        "spec_hash": SPEC.hash, "capacity": 100, "model_words": 90, "model_crc": 0xFFFF_FFFF, "clock_hz": 50_000_000,
        "image_words": 1000, "memory_failed": 0, "flash_state": 2, "flash_slot": 1, "flash_written": 1_800_000_000}


def info(**other):
    return read_info(pack_layout(INFO_LAYOUT, INFO | other))


def test_info():
    assert info() == DeviceInfo(**INFO)
    assert info(model_words=0, spec_hash=0, capacity=1, clock_hz=1).model_words == 0
    info().check_spec(SPEC)


@pytest.mark.parametrize(("field", "value", "message"), [
    ("protocol", 1, "must speak protocol 4 of the link, not 1"),
    ("protocol", 255, "must speak protocol 4 of the link, not 255"),
    ("rows", 0, "rows must be between 1 and 255, not 0"),
    ("model_bits", 0, "model_bits must be a multiple of 8, not 0"),
    ("model_bits", 33, "model_bits must be a multiple of 8, not 33"),
    ("max_classes", 0, "max_classes must be between 1 and 65535, not 0"),
    ("max_payload", 7, "max_payload must be between 8 and 65535, not 7"),
    ("capacity", 0, "capacity must be between 1 and 4294967295, not 0"),
    ("model_words", 101, "model_words must be between 0 and 100, not 101"),
    ("clock_hz", 0, "clock_hz must be between 1 and 4294967295, not 0"),
    ("flash_state", 6, "flash_state must be between 0 and 5, not 6"),
    ("memory_failed", 2, "memory_failed must be between 0 and 1, not 2"),
])
def test_info_that_cannot_be(field, value, message):
    with pytest.raises(LinkFailure, match=message):
        info(**{field: value})


@pytest.mark.parametrize("size", [0, 1, 38, 40])
def test_info_of_another_length(size):
    with pytest.raises(LinkFailure, match=f"answer to INFO must have 39 bytes, not {size}"):
        read_info((pack_layout(INFO_LAYOUT, INFO) + b"more")[:size])


@pytest.mark.parametrize(("field", "value"), [("rows", 4), ("model_bits", 64), ("max_classes", 3)])
def test_info_that_contradicts_the_spec(field, value):
    with pytest.raises(LinkFailure, match=f"{field} of the board must be {getattr(SPEC, field)}, .* not {value}"):
        info(**{field: value}).check_spec(SPEC)


def result(label, *logits, cycles=1000, more=b""):
    payload = struct.pack(f"<IH{len(logits)}h", cycles, label, *logits)
    return read_result(payload + more, max_classes=4, max_cycles=5000)


def test_result():
    assert result(1, -300, 7, -1, 2) == Result((-300, 7, -1, 2), 1, 1000)
    assert result(0, -5, -5, cycles=1).label == 0  # the first of equal ones
    assert result(0, -0x8000, cycles=5000).logits == (-0x8000,)


@pytest.mark.parametrize(("arguments", "message"), [
    ((0, -300, 7, -1), "label in the answer to INFER must be 1, the first of the largest logits, not 0"),
    ((1, 7, 7), "must be 0, the first of the largest logits, not 1"),
    ((999, 7, 8), "must be 1, the first of the largest logits, not 999"),
    ((0,), "must have 1 to 4 logits behind 6 bytes, not 6 bytes in all"),
    ((0, 5, 4, 3, 2, 1), "must have 1 to 4 logits behind 6 bytes, not 16 bytes in all"),
])
def test_result_that_cannot_be(arguments, message):
    with pytest.raises(LinkFailure, match=message):
        result(*arguments)


def test_result_of_odd_length_and_without_sense_of_time():
    with pytest.raises(LinkFailure, match="not 11 bytes in all"):
        result(0, 2, 1, more=b"x")
    for size in range(6):
        with pytest.raises(LinkFailure, match=f"not {size} bytes in all"):
            read_result(bytes(size), max_classes=4, max_cycles=5000)
    for cycles in (0, 5001, 0xFFFF_FFFF):
        with pytest.raises(LinkFailure, match=f"cycles in the answer to INFER must be .* 1 and 5000, not {cycles}"):
            result(0, 1, cycles=cycles)


def record(*, logits=(1, 5, 2), **other):
    values = {"cycles": 1000, "label": 1, "count": len(logits), "error": 0, "command": 0, "reserved": 0} | other
    payload = pack_layout(RECORD_LAYOUT, values) + struct.pack(f"<{len(logits)}h", *logits)
    return read_record(payload + b"rest", max_classes=4, max_cycles=5000)


def test_record():
    assert record() == Result((1, 5, 2), 1, 1000)
    with pytest.raises(DeviceError, match=r"refused the request 0x07: accelerator error 9 \(stalled\) at command 17"):
        record(error=ErrorCode.STALLED, command=17)


@pytest.mark.parametrize(("fields", "message"), [
    ({"label": 2}, "label in a record must be 1, the first of the largest logits, not 2"),
    ({"cycles": 0}, "cycles in a record must be between 1 and 5000, not 0"),
    ({"count": 0}, "a record must have 1 to 4 logits, all of them there, not 0"),
    ({"logits": [1, 5, 2, 3, 4]}, "1 to 4 logits, all of them there, not 5"),
    ({"count": 65535}, "1 to 4 logits, all of them there, not 65535"),
    ({"logits": [7], "label": 0, "count": 4}, "1 to 4 logits, all of them there, not 4"),
    ({"error": 99}, "a record cannot be: 99 is not a valid ErrorCode"),
])
def test_record_that_cannot_be(fields, message):
    with pytest.raises(LinkFailure, match=message):
        record(**fields)


def test_record_that_is_too_short():
    with pytest.raises(LinkFailure, match="a record must have at least 16 bytes, not 15"):
        read_record(bytes(15), max_classes=4, max_cycles=5000)


def status(**other):
    return read_status(pack_layout(STATUS_LAYOUT, {"running": 0, "reason": 0, "done": 3, "cycles": 1 << 40} | other))


def test_status():
    assert status() == RunStatus(False, None, 3, 1 << 40)
    assert status(running=1).running
    assert status(reason=LinkError.BAD_SLOT).reason == LinkError.BAD_SLOT


@pytest.mark.parametrize(("fields", "message"), [
    ({"running": 2}, "answer to STATUS cannot be: running must be between 0 and 1, not 2"),
    ({"reason": 99}, "answer to STATUS cannot be: 99 is not a valid LinkError"),
    ({"reason": LinkError.NO_MODEL}, "cannot be: a run with reason no model, running 0"),
    ({"reason": LinkError.BAD_SLOT, "running": 1}, "cannot be: a run with reason bad slot, running 1"),
])
def test_status_that_cannot_be(fields, message):
    with pytest.raises(LinkFailure, match=message):
        status(**fields)


def test_loaded():
    assert read_loaded(struct.pack("<I", 7), 7) == 7
    with pytest.raises(LinkFailure, match="answer to BEGIN cannot be: 8 words of a model of 7"):
        read_loaded(struct.pack("<I", 8), 7)
    with pytest.raises(LinkFailure, match="answer to BEGIN must have 4 bytes, not 0"):
        read_loaded(b"", 7)


def test_empty():
    read_empty(Kind.COMMIT, b"")
    with pytest.raises(LinkFailure, match="answer to COMMIT must have 0 bytes, not 1"):
        read_empty(Kind.COMMIT, b"x")


def error(**other):
    values = {"reason": LinkError.ACCELERATOR, "request": Kind.INFER, "code": ErrorCode.STALLED, "command": 17}
    return read_error(Kind.INFER, pack_layout(ERROR_LAYOUT, values | other))


def test_error():
    found = error()
    assert (found.reason, found.code, found.command) == (LinkError.ACCELERATOR, ErrorCode.STALLED, 17)
    assert str(found) == "the board refused the request 0x05: accelerator error 9 (stalled) at command 17"
    for reason in set(LinkError) - {LinkError.ACCELERATOR}:
        assert error(reason=reason, code=0, command=0).reason == reason
    assert error(reason=LinkError.BAD_CRC, request=0xEE, code=0, command=0).reason == LinkError.BAD_CRC


@pytest.mark.parametrize(("fields", "message"), [
    ({"reason": 0}, "refusal of INFER cannot be: 0 is not a valid LinkError"),
    ({"reason": 200}, "refusal of INFER cannot be: 200 is not a valid LinkError"),
    ({"code": 200}, "refusal of INFER cannot be: 200 is not a valid ErrorCode"),
    ({"request": Kind.DATA}, "refusal of INFER must name the request 0x05, not 0x03"),
    ({"code": 0}, "cannot be: accelerator with the accelerator's code 0 at command 17"),
    ({"reason": LinkError.NO_MODEL}, "cannot be: no model with the accelerator's code 9 at command 17"),
    ({"reason": LinkError.NO_MODEL, "code": 0}, "cannot be: no model with the accelerator's code 0 at command 17"),
])
def test_error_that_cannot_be(fields, message):
    with pytest.raises(LinkFailure, match=message):
        error(**fields)


@pytest.mark.parametrize("size", [0, 4, 6])
def test_error_of_another_length(size):
    with pytest.raises(LinkFailure, match=f"answer to INFO must have 5 bytes, not {size}"):
        read_error(Kind.INFO, bytes([1, 1, 0, 0, 0, 0][:size]))
