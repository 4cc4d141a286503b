"""A line to a board on which everything can happen: what a request's answer becomes is drawn from a table of faults."""

from vitric.boards.link import (
    ERROR_LAYOUT,
    INFO_LAYOUT,
    LOADED_LAYOUT,
    RECORD_LAYOUT,
    RESULT_LAYOUT,
    STATUS_LAYOUT,
    FrameReader,
    Kind,
    encode,
    layout_bytes,
    pack_layout,
    unpack_layout,
)
from vitric.boards.transport import LinkFailure

from tests.boards.software_board import BYTE_SECONDS

LAYOUTS = {Kind.INFO_ANSWER: INFO_LAYOUT, Kind.BEGIN_ANSWER: LOADED_LAYOUT, Kind.INFER_ANSWER: RESULT_LAYOUT,
           Kind.STATUS_ANSWER: STATUS_LAYOUT, Kind.READ_ANSWER: RECORD_LAYOUT, Kind.ERROR: ERROR_LAYOUT}


class Hostile:
    """A transport with a software board behind it, whose answers are spoiled.

    ``rng`` draws one of ``faults`` for each request. A fault is the name of a method of this class: it gets the request
    and the answer, and gives the bytes that arrive and after how many seconds.
    """

    LINE = ("cut", "repeat", "hold_back", "flip", "babble_before", "silence", "late", "other_number", "other_kind",
            "echo")
    """Whatever the line does to an answer: one that is taken for an answer is the board's."""

    BOARD = ("wrong_field", "wrong_length", "junk", "refuse", "unasked")
    """What a board does that is not sound."""

    END = ("babble", "unplug")
    """What nothing comes back from."""

    def __init__(self, board, rng, faults):
        self.board, self.rng, self.faults = board, rng, faults
        self.now, self._arriving, self._held = 0.0, [], b""
        self._babbles, self._unplugged = False, False
        self._reader = FrameReader()
        self.drawn = []

    def close(self):
        self._unplugged = True  # nothing may be asked of it any more

    def clock(self):
        return self.now

    def send_break(self):
        self._alive()
        self.board.send_break()

    def set_baud(self, baud):
        self._alive()

    def write(self, data, timeout):
        self._alive()
        self.now += len(data) * BYTE_SECONDS
        for request in self._reader.feed(data):
            fault = self.rng.choice(self.faults)
            self.drawn.append(fault)
            for delay, answer in getattr(self, fault)(request, self.board.answer(request)):
                if answer:
                    self._arriving.append((self.now + delay, answer))

    def read(self, timeout):
        self._alive()
        self._arriving.sort()
        if self._arriving and self._arriving[0][0] <= self.now + timeout:
            arrived, data = self._arriving.pop(0)
            self.now = max(self.now, arrived) + len(data) * BYTE_SECONDS
            return data
        if self._babbles:
            self.now += 500 * BYTE_SECONDS
            return self.rng.randbytes(500)
        self.now += timeout
        return b""

    def _alive(self):
        if self._unplugged:
            raise LinkFailure("cannot read from the serial port: Input/output error")

    @staticmethod
    def _whole(request, answer):
        return encode(answer.kind, answer.payload, request.sequence)

    def fine(self, request, answer):
        return [(0.001, self._whole(request, answer))]

    def cut(self, request, answer):
        whole = self._whole(request, answer)
        return [(0.001, whole[:self.rng.randrange(len(whole))])]

    def repeat(self, request, answer):
        return [(delay, self._whole(request, answer)) for delay in (0.001, self.rng.random() * 3)]

    def hold_back(self, request, answer):
        held, self._held = self._held, self._whole(request, answer)
        return [(0.001, held)]

    def flip(self, request, answer):
        whole = bytearray(self._whole(request, answer))
        for _ in range(self.rng.choice((1, 1, 2, 5, 40))):
            whole[self.rng.randrange(len(whole))] ^= 1 << self.rng.randrange(8)
        return [(0.001, bytes(whole))]

    def babble_before(self, request, answer):
        return [(0.001, self.rng.randbytes(self.rng.randrange(300)) + self._whole(request, answer))]

    def silence(self, request, answer):
        return []

    def late(self, request, answer):
        return [(self.rng.random() * 10, self._whole(request, answer))]

    def other_number(self, request, answer):
        number = (request.sequence + self.rng.randrange(1, 256)) % 256
        return [(0.001, encode(answer.kind, answer.payload, number))]

    def other_kind(self, request, answer):
        kind = self.rng.choice([kind for kind in range(255) if kind != answer.kind])
        return [(0.001, encode(kind, answer.payload, request.sequence))]

    def echo(self, request, answer):
        return [(0.001, encode(request.kind, request.payload, request.sequence)), *self.fine(request, answer)]

    def wrong_field(self, request, answer):
        layout = LAYOUTS.get(answer.kind)
        if layout is None:
            return self.wrong_length(request, answer)
        values = unpack_layout(layout, answer.payload)
        name, size = self.rng.choice(layout)
        most = (1 << 8 * size) - 1
        values[name] = self.rng.choice((0, 1, most, values[name] ^ 1, self.rng.randint(0, most)))
        payload = pack_layout(layout, values) + answer.payload[layout_bytes(layout):]
        return [(0.001, encode(answer.kind, payload, request.sequence))]

    def wrong_length(self, request, answer):
        payload = (answer.payload + self.rng.randbytes(40))[:self.rng.randrange(len(answer.payload) + 40)]
        return [(0.001, encode(answer.kind, payload, request.sequence))]

    def junk(self, request, answer):
        kind = self.rng.choice((answer.kind, Kind.ERROR))
        return [(0.001, encode(kind, self.rng.randbytes(self.rng.randrange(60)), request.sequence))]

    def refuse(self, request, answer):
        values = {"reason": self.rng.randrange(17), "request": self.rng.choice((request.kind, self.rng.randrange(256))),
                  "code": self.rng.choice((0, self.rng.randrange(256))), "command": self.rng.choice((0, 7))}
        return [(0.001, encode(Kind.ERROR, pack_layout(ERROR_LAYOUT, values), request.sequence))]

    def unasked(self, request, answer):
        return [(self.rng.random() * 3, encode(self.rng.randrange(256), self.rng.randbytes(9), self.rng.randrange(256)))
                for _ in range(20)]

    def babble(self, request, answer):
        self._babbles = True
        return self.rng.choice(([], self.fine(request, answer)))

    def unplug(self, request, answer):
        self._unplugged = True
        return []
