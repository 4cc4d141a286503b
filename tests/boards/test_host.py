import random
import struct
import zlib

import pytest
from vitric.boards.host import Device, DeviceError, LinkFailure
from vitric.boards.link import Frame, FrameReader, Kind, LinkError, encode
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
    pieces = [Kind.DATA] * 7  # of 60 bytes
    assert board.requests == [Kind.INFO, Kind.BEGIN, *pieces, Kind.COMMIT, Kind.INFO]
    assert seen == [(min(60 * k, 400), 400) for k in range(1, 8)]


@pytest.mark.parametrize("damage", ["drop", "bad crc", "lose answer"])
@pytest.mark.parametrize("position", range(11))
def test_a_load_survives_one_fault(damage, position):
    board = SoftwareBoard(SPEC, damage=[None] * position + [damage])
    Device(board).load(MODEL)
    assert board.model == MODEL


def test_a_load_goes_on_where_it_was_interrupted():
    board, seen = SoftwareBoard(SPEC, max_payload=64, damage=[None] * 5 + ["drop"] * 3), []
    with pytest.raises(LinkFailure, match="DATA failed 3 times"):
        Device(board).load(MODEL)
    before = board.requests.count(Kind.DATA)
    Device(board).load(MODEL, lambda done, total: seen.append((done, total)))
    assert board.model == MODEL
    assert board.requests.count(Kind.DATA) == before + 4  # three of seven were there
    assert seen == [(min(180 + 60 * k, 400), 400) for k in range(1, 5)]


def test_a_load_begins_anew_if_what_is_there_is_not_whole():
    board = SoftwareBoard(SPEC, max_payload=64, damage=[None] * 5 + ["drop"] * 3)
    with pytest.raises(LinkFailure, match="DATA failed 3 times"):
        Device(board).load(MODEL)
    board.begun[1][7] ^= 1  # a word that was on its way when the break came
    before = board.requests.count(Kind.DATA)
    Device(board).load(MODEL)
    assert board.model == MODEL
    assert board.requests.count(Kind.DATA) == before + 4 + 7


def test_a_load_of_what_is_there_already():
    """Everything but the answer to COMMIT's first attempt was there: no DATA again."""
    board = SoftwareBoard(SPEC, damage=[None] * 9 + ["drop"] * 3)
    with pytest.raises(LinkFailure, match="COMMIT failed 3 times"):
        Device(board).load(MODEL)
    count = board.requests.count(Kind.DATA)
    Device(board).load(MODEL)
    assert board.model == MODEL and board.requests.count(Kind.DATA) == count


def test_another_speed():
    board = SoftwareBoard(SPEC, model=MODEL, speeds=(2_000_000, 3_000_000))
    device = Device(board)
    assert device.set_speed(2_000_000) and board.baud == board.line_baud == 2_000_000
    assert device.info().model_words == 100
    device.abort()
    assert board.baud == board.line_baud == 1_000_000
    assert device.info().model_words == 100


def test_a_speed_that_the_board_refuses_or_the_line_cannot_carry():
    board = SoftwareBoard(SPEC, model=MODEL, speeds=(2_000_000,))
    device = Device(board)
    assert not device.set_speed(1_500_000) and board.breaks == 1
    board.damage = [None, "drop", "drop", "drop"]
    assert not device.set_speed(2_000_000)
    assert device.info().model_words == 100 and board.baud == board.line_baud == 1_000_000
    with pytest.raises(ValueError, match="no divisor of 50 MHz comes within 2% of 3500000 baud"):
        device.set_speed(3_500_000)


def test_a_load_that_fails_says_why():
    board = SoftwareBoard(SPEC, model=b"old!")
    device = Device(board)
    with pytest.raises(ValueError, match="whole number of 4-byte words, not 6 bytes"):
        device.load(bytes(6))
    board.damage = [None, None, "drop", "drop", "drop"]
    with pytest.raises(LinkFailure, match="DATA failed 3 times: no answer"):
        device.load(MODEL)
    assert board.breaks == 1 and board.loading is None
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
    with pytest.raises(DeviceError, match=r"accelerator error 5 \(bad crc\) at command 17") as caught:
        Device(SoftwareBoard(SPEC, infer=lambda columns: None)).infer(bytes(2))
    assert (caught.value.reason, caught.value.code, caught.value.command) == (LinkError.ACCELERATOR, 5, 17)


@pytest.mark.parametrize("size", [0, 3, 66])
def test_an_image_that_the_board_cannot_take(size):
    board = SoftwareBoard(SPEC)
    with pytest.raises(ValueError, match=f"columns of 2 bytes, at most 64 bytes in all, not {size} bytes"):
        Device(board).infer(bytes(size))
    assert board.requests == [Kind.INFO]


def test_a_board_that_says_it_took_a_model_and_did_not():
    board = SoftwareBoard(SPEC, model=b"old!")
    whole = board.answer
    board.answer = lambda frame: Frame(Kind.COMMIT_ANSWER) if frame.kind == Kind.COMMIT else whole(frame)
    with pytest.raises(LinkFailure, match="says that it took the model, and does not have it"):
        Device(board).load(MODEL)


def test_a_later_protocol():
    board = SoftwareBoard(SPEC)
    board.fields = {"protocol": 9}
    with pytest.raises(LinkFailure, match="must speak protocol 4 of the link, not 9"):
        Device(board).info()


class Line:
    """A transport at whose other end ``board(request)`` returns (seconds until it arrives, bytes) for each answer."""

    def __init__(self, board):
        self.board, self.now, self.arriving = board, 0.0, []

    def clock(self):
        return self.now

    def set_baud(self, baud):
        pass

    def send_break(self):
        raise LinkFailure("this line cannot carry a break")

    def write(self, data, timeout):
        for request in FrameReader().feed(data):
            self.arriving += [(self.now + delay, answer) for delay, answer in self.board(request)]

    def read(self, timeout):
        self.arriving.sort()
        if self.arriving and self.arriving[0][0] <= self.now + timeout:
            arrived, data = self.arriving.pop(0)
            self.now = max(self.now, arrived)
            return data
        self.now += timeout
        return b""


@pytest.mark.parametrize("reason", [LinkError.BAD_CRC, LinkError.CUT_OFF, LinkError.BAD_LENGTH])
def test_a_board_of_protocol_1(reason):
    """It cannot read the request, and says so in a frame of its own kind."""
    body = bytes([Kind.ERROR, 5, 0, reason, Kind.INFO, 0, 0, 0])
    line = Line(lambda request: [(0.1, b"\x56\xa9" + body + zlib.crc32(body).to_bytes(4, "little"))])
    with pytest.raises(LinkFailure, match="must speak protocol 4 of the link, not 1: load a new bitstream"):
        Device(line).info()
    assert line.now < 0.2


def late(delay, board):
    """Return a line whose answers come late: each label is the first byte of the image."""
    def answers(request):
        answer = board.answer(request)
        return [(delay if request.kind == Kind.INFER else 0.01, encode(answer.kind, answer.payload, request.sequence))]

    return Line(answers)


@pytest.mark.parametrize("delay", [0.15, 0.3, 0.45, 0.9, 2.5])
def test_a_late_answer_is_no_answer_to_the_next_image(delay):
    """With 0.2 s for each of three attempts: late for the first, the second, the third, and for all."""
    board = SoftwareBoard(SPEC, infer=lambda columns: [columns[0] == label for label in range(16)])
    line = late(delay, board)
    device = Device(line, timeout=0.2, gap=0.01)
    device.info()
    for image in (1, 2, 3, 4, 5):
        start = line.now
        if delay < 0.6:
            assert device.infer(bytes([image, 0])).label == image
        else:
            with pytest.raises(LinkFailure, match="INFER failed 3 times: no answer"):
                device.infer(bytes([image, 0]))
        assert line.now - start <= 0.6 + 1e-9
        line.now += 0.5


def test_a_late_refusal_is_no_answer_to_the_next_request():
    board = SoftwareBoard(SPEC, infer=lambda columns: None if columns[0] == 1 else (5, 6))
    device = Device(late(0.7, board), timeout=0.2, gap=0.01)
    with pytest.raises(LinkFailure, match="INFER failed 3 times: no answer"):
        device.infer(bytes([1, 0]))
    device.transport.board = late(0.15, board).board
    assert device.infer(bytes([2, 0])).label == 1


@pytest.mark.parametrize("kind", [Kind.INFO, Kind.INFER, Kind.INFER_ANSWER, Kind.COMMIT_ANSWER])
def test_an_answer_of_another_kind_is_passed_over(kind):
    board = SoftwareBoard(SPEC)
    line = Line(lambda request: [(0.01, encode(kind, board.answer(request).payload, request.sequence))])
    with pytest.raises(LinkFailure, match="INFO failed 3 times: no answer"):
        Device(line).info()


def test_what_arrived_before_the_request_is_dropped():
    board = SoftwareBoard(SPEC, infer=lambda columns: (1, 2))
    device = Device(board)
    device.info()
    forged = encode(Kind.INFER_ANSWER, struct.pack("<IHhh", 1, 0, 2, 1), (device._sequence + 1) % 256)
    board.deliver(forged)
    assert device.infer(bytes(2)).label == 1


class Babbling(Line):
    def __init__(self):
        super().__init__(lambda request: [])

    def read(self, timeout):
        self.now += 0.04
        return bytes(4096)


def test_a_line_that_never_falls_silent():
    line = Babbling()
    with pytest.raises(LinkFailure, match="INFO failed 3 times: the line does not fall silent"):
        Device(line).info()
    assert line.now <= 6.2
