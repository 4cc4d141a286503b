"""A board in software: answers the host link as the gateware does, over a transport that can lose and damage bytes.

Its image memory, if it has one, is made of bytes; a run takes one STATUS for each image.
"""

import struct

from vitric.boards.crc import crc32c
from vitric.boards.link import (
    BEGIN_LAYOUT,
    DATA_LAYOUT,
    ERROR_LAYOUT,
    INFO_LAYOUT,
    LOADED_LAYOUT,
    PROTOCOL,
    READ_LAYOUT,
    RECORD_LAYOUT,
    RESULT_LAYOUT,
    RUN_LAYOUT,
    SPEED_LAYOUT,
    STATUS_LAYOUT,
    Frame,
    FrameReader,
    Kind,
    LinkError,
    encode,
    pack_layout,
    unpack_layout,
)

BYTE_SECONDS = 1e-5


def error(request, reason, code=0, command=0):
    """Return an ERROR."""
    return Frame(Kind.ERROR, pack_layout(
        ERROR_LAYOUT, {"reason": reason, "request": request, "code": code, "command": command}))


class SoftwareBoard:
    """A transport with a board behind it, and a clock of its own: a second is gone when one was waited for.

    ``infer`` maps columns to logits. ``damage`` holds one entry per frame that is written: None (deliver it),
    "drop", "bad crc" (the board says so) or "lose answer".
    """

    CLOCK_HZ = 50_000_000

    def __init__(self, spec, *, model=b"", capacity=4096, max_payload=64, infer=lambda columns: (1,), damage=(),
                 image_words=0, speeds=()):
        self.spec, self.model, self.capacity, self.max_payload, self.infer = spec, model, capacity, max_payload, infer
        self.memory = bytearray(image_words * spec.model_bits // 8)
        self.run, self.status, self.left = None, dict.fromkeys(dict(STATUS_LAYOUT), 0), 0
        self.speeds, self.baud, self.line_baud, self.slowest = speeds, 1_000_000, 1_000_000, 1_000_000
        self.damage = list(damage)
        self.loading, self.begun = None, None
        self.stuck = 0  # bits of the first byte of the memory for a new model that are always 1
        self.requests = []
        self.fields = {}  # of the answer to INFO, in place of the right ones
        self._out = bytearray()
        self._reader = FrameReader()
        self.now = 0.0
        self.breaks = 0

    def close(self):
        self.closed = True

    def deliver(self, data):
        """Let bytes arrive that nobody asked for."""
        self._out += data

    def clock(self):
        return self.now

    def send_break(self):
        self.breaks += 1
        self.loading, self.left, self.status["running"] = None, 0, 0
        self.baud = self.slowest

    def set_baud(self, baud):
        self.line_baud = baud

    def read(self, timeout):
        data, self._out = bytes(self._out[:5]), self._out[5:]  # in small pieces
        self.now += len(data) * BYTE_SECONDS if data else timeout
        return data

    def write(self, data, timeout):
        self.now += len(data) * BYTE_SECONDS
        damage = self.damage.pop(0) if self.damage else None
        if damage == "drop" or self.line_baud != self.baud:
            return
        for frame in self._reader.feed(data):
            self.requests.append(frame.kind)
            answer = error(frame.kind, LinkError.BAD_CRC) if damage == "bad crc" else self.answer(frame)
            if damage != "lose answer":
                self._out += b"\x00\x56" + encode(answer.kind, answer.payload, frame.sequence)

    def answer(self, frame):
        """Return the answer to a request, with sequence number 0."""
        kind, payload, word = frame.kind, frame.payload, self.spec.model_bits // 8
        if kind == Kind.INFO:
            return Frame(Kind.INFO_ANSWER, pack_layout(INFO_LAYOUT, {
                "protocol": PROTOCOL, "rows": self.spec.rows, "model_bits": self.spec.model_bits,
                "max_classes": self.spec.max_classes, "max_payload": self.max_payload, "spec_hash": self.spec.hash,
                "capacity": self.capacity, "model_words": len(self.model) // word,
                "model_crc": crc32c(self.model), "clock_hz": self.CLOCK_HZ,
                "image_words": len(self.memory) // word, "memory_failed": 0,
                **dict.fromkeys(("flash_state", "flash_slot", "flash_written"), 0)} | self.fields))
        if kind == Kind.BEGIN:
            stated = unpack_layout(BEGIN_LAYOUT, payload)
            if self.begun is None or self.begun[0] != stated:
                self.begun = [stated, bytearray(word * self.capacity), 0]
            self.loading = self.begun[:2]
            return Frame(Kind.BEGIN_ANSWER, pack_layout(LOADED_LAYOUT, {"loaded": self.begun[2] // word}))
        if kind == Kind.DATA:
            start = unpack_layout(DATA_LAYOUT, payload)["offset"] * word
            self.loading[1][start:start + len(payload) - 4] = payload[4:]
            self.loading[1][0] |= self.stuck
            if start <= self.begun[2]:
                self.begun[2] = max(self.begun[2], start + len(payload) - 4)
        elif kind == Kind.SPEED:
            baud = self.CLOCK_HZ / unpack_layout(SPEED_LAYOUT, payload)["divisor"]
            near = [speed for speed in self.speeds if abs(baud / speed - 1) < 0.02]
            if not near:
                return error(kind, LinkError.BAD_SPEED)
            self.baud = near[0]
        elif kind in (Kind.IMAGE, Kind.RUN, Kind.STATUS, Kind.READ):
            return self.answer_images(kind, payload, word) if self.memory else error(kind, LinkError.BAD_KIND)
        elif kind == Kind.COMMIT:
            if self.loading is None:
                return error(kind, LinkError.NOT_BEGUN)
            stated, data = self.loading
            self.loading, self.begun = None, None
            data = bytes(data[:stated["words"] * word])
            if crc32c(data) != stated["crc"]:
                return error(kind, LinkError.BAD_MODEL)
            self.model = data
        else:
            logits = self.infer(payload)
            if logits is None:
                return error(kind, LinkError.ACCELERATOR, 5, 17)
            head = {"cycles": 2345, "label": logits.index(max(logits))}
            logits = struct.pack(f"<{len(logits)}h", *logits)
            return Frame(Kind.INFER_ANSWER, pack_layout(RESULT_LAYOUT, head) + logits)
        return Frame(kind | 0x80)

    def answer_images(self, kind, payload, word):
        """Return the answer to a request that concerns the image memory."""
        if kind == Kind.IMAGE:
            start = unpack_layout(DATA_LAYOUT, payload)["offset"] * word
            if start + len(payload) - 4 > len(self.memory):
                return error(kind, LinkError.TOO_LARGE)
            self.memory[start:start + len(payload) - 4] = payload[4:]
        elif kind == Kind.READ:
            place = unpack_layout(READ_LAYOUT, payload)
            data = self.memory[place["offset"] * word:(place["offset"] + place["words"]) * word]
            return Frame(Kind.READ_ANSWER, bytes(data))
        elif kind == Kind.RUN:
            if self.status["running"]:
                return error(kind, LinkError.BUSY)
            self.run = unpack_layout(RUN_LAYOUT, payload)
            self.left = self.run["count"]
            self.status |= {"running": 1, "reason": 0, "done": 0, "cycles": 0}
        else:
            self.step(word)
            return Frame(Kind.STATUS_ANSWER, pack_layout(STATUS_LAYOUT, self.status))
        return Frame(kind | 0x80)

    def step(self, word):
        """Infer the next image of the run, or end it."""
        if self.status["running"] and not self.left:
            self.status["running"] = 0
        elif self.status["running"]:
            start = (self.run["first"] + self.status["done"] * self.run["stride"]) * word
            size = self.run["columns"] * self.spec.rows
            logits = self.infer(bytes(self.memory[start:start + size]))
            record = {"cycles": 1000, "label": 0, "count": 0, "error": 0, "command": 0, "reserved": 0}
            if logits is None:
                record |= {"error": 5, "command": 17}
                self.status |= {"running": 0, "reason": LinkError.ACCELERATOR}
            else:
                record |= {"label": logits.index(max(logits)), "count": len(logits)}
            packed = pack_layout(RECORD_LAYOUT, record) + struct.pack(f"<{record['count']}h", *(logits or ()))
            start += -(-size // word) * word
            self.memory[start:start + len(packed)] = packed
            self.left -= 1
            self.status |= {"done": self.status["done"] + 1, "cycles": self.status["cycles"] + 1010}
