import random

import pytest
from vitric.boards.host import Device, DeviceError, LinkFailure, SerialTransport
from vitric.boards.link import Kind, LinkError
from vitric.golden.spec.accelerator import SPECS

from tests.boards.software_board import SoftwareBoard

SPEC = SPECS["tiny"]
MODEL = random.Random(1).randbytes(4 * 100)


def test_info():
    info = Device(SoftwareBoard(SPEC, model=MODEL)).info()
    assert (info.spec_hash, info.model_words, info.capacity, info.rows) == (SPEC.hash, 100, 4096, 2)


def test_infer():
    board = SoftwareBoard(SPEC, infer=lambda columns: (-300, sum(columns), -1))
    result = Device(board).infer(bytes([1, 2, 3, 4]))
    assert (result.logits, result.label, result.cycles) == ((-300, 10, -1), 1, 2345)


def test_load_in_pieces():
    board, seen = SoftwareBoard(SPEC, max_payload=64), []
    Device(board).load(MODEL, lambda done, total: seen.append((done, total)))
    assert board.model == MODEL
    assert board.requests == [Kind.INFO, Kind.BEGIN, *[Kind.DATA] * 7, Kind.COMMIT]  # 60 bytes of model a piece
    assert seen == [(min(60 * k, 400), 400) for k in range(1, 8)]


@pytest.mark.parametrize("damage", ["drop", "bad crc", "lose answer"])
@pytest.mark.parametrize("position", range(10))
def test_a_load_survives_one_fault(damage, position):
    board = SoftwareBoard(SPEC, damage=[None] * position + [damage])
    Device(board).load(MODEL)
    assert board.model == MODEL


def test_a_load_that_fails_says_why():
    board = SoftwareBoard(SPEC, model=b"old!")
    device = Device(board)
    with pytest.raises(ValueError, match="whole number of 4-byte words, not 6 bytes"):
        device.load(bytes(6))
    board.damage = [None, None, "drop", "drop", "drop"]
    with pytest.raises(LinkFailure, match="DATA failed 3 times: no answer"):
        device.load(MODEL)
    board.damage = [None, None, "bad crc", "bad crc", "bad crc"]
    with pytest.raises(LinkFailure, match="DATA failed 3 times: the board says: bad crc"):
        device.load(MODEL)
    assert board.model == b"old!"


@pytest.mark.parametrize("lost", [False, True])
def test_commit_of_a_bad_model(lost):
    board = SoftwareBoard(SPEC, model=b"old!")
    board.stuck = ~MODEL[0] & 0xFF
    board.damage = [None] * 9 + (["lose answer"] if lost else [])
    with pytest.raises(DeviceError) as caught:
        Device(board).load(MODEL)
    assert caught.value.reason == (LinkError.NOT_BEGUN if lost else LinkError.BAD_MODEL)
    assert board.model == b"old!"


def test_errors_of_the_accelerator():
    with pytest.raises(DeviceError, match="accelerator error 5 at command 17") as caught:
        Device(SoftwareBoard(SPEC, infer=lambda columns: None)).infer(bytes(2))
    assert (caught.value.reason, caught.value.code, caught.value.command) == (LinkError.ACCELERATOR, 5, 17)


def test_another_protocol():
    board = SoftwareBoard(SPEC)
    board.protocol = 9
    with pytest.raises(LinkFailure, match="version 9 of the link, not 1"):
        Device(board).info()


class Babbling:
    def write(self, data):
        pass

    def read(self, timeout):
        return bytes(4096)


def test_a_line_that_never_falls_silent():
    with pytest.raises(LinkFailure, match="no answer"):
        Device(Babbling()).info()


def test_serial_port():
    transport = SerialTransport("loop://")
    transport.write(b"hello")
    received = b""
    while len(received) < 5:
        received += transport.read(1.0)
    assert received == b"hello"
    assert transport.read(0.01) == b""
    transport.close()
    with pytest.raises(LinkFailure, match="cannot open the serial port"):
        SerialTransport("no/such/port")
