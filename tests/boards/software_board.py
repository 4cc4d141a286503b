"""A board in software: answers the host link as the gateware does, over a transport that can lose and damage bytes."""

import struct

from vitric.boards.link import (
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

    def __init__(self, spec, *, model=b"", capacity=4096, max_payload=64, infer=lambda columns: (1,), damage=()):
        self.spec, self.model, self.capacity, self.max_payload, self.infer = spec, model, capacity, max_payload, infer
        self.damage = list(damage)
        self.loading = None
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
        self.loading = None

    def read(self, timeout):
        data, self._out = bytes(self._out[:5]), self._out[5:]  # in small pieces
        self.now += len(data) * BYTE_SECONDS if data else timeout
        return data

    def write(self, data, timeout):
        self.now += len(data) * BYTE_SECONDS
        damage = self.damage.pop(0) if self.damage else None
        if damage == "drop":
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
                "model_crc": crc32c(self.model), "clock_hz": 50_000_000} | self.fields))
        if kind == Kind.BEGIN:
            self.loading = unpack_layout(BEGIN_LAYOUT, payload), bytearray(word * self.capacity)
        elif kind == Kind.DATA:
            start = unpack_layout(DATA_LAYOUT, payload)["offset"] * word
            self.loading[1][start:start + len(payload) - 4] = payload[4:]
            self.loading[1][0] |= self.stuck
        elif kind == Kind.COMMIT:
            if self.loading is None:
                return error(kind, LinkError.NOT_BEGUN)
            stated, data = self.loading
            self.loading = None
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
