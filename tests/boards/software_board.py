"""A board in software: answers the host link as the gateware does, over a transport that can lose and damage bytes."""

import struct

from vitric.boards.link import (
    BEGIN_LAYOUT,
    DATA_LAYOUT,
    ERROR_LAYOUT,
    INFO_LAYOUT,
    PROTOCOL,
    RESULT_LAYOUT,
    FrameReader,
    Kind,
    LinkError,
    crc32c,
    encode,
    pack_layout,
    unpack_layout,
)


class SoftwareBoard:
    """A transport with a board behind it.

    ``infer`` maps columns to logits. ``damage`` holds one entry per frame that is written: None (deliver it),
    "drop", "bad crc" (the board says so) or "lose answer".
    """

    def __init__(self, spec, *, model=b"", capacity=4096, max_payload=64, infer=lambda columns: (1,), damage=()):
        self.spec, self.model, self.capacity, self.max_payload, self.infer = spec, model, capacity, max_payload, infer
        self.damage = list(damage)
        self.loading = None
        self.stuck = 0  # bits of the first byte of the memory for a new model that are always 1
        self.requests = []
        self.protocol = PROTOCOL
        self._out = bytearray()
        self._reader = FrameReader()

    def close(self):
        self.closed = True

    def read(self, timeout):
        data, self._out = bytes(self._out[:5]), self._out[5:]  # in small pieces
        return data

    def write(self, data):
        damage = self.damage.pop(0) if self.damage else None
        if damage == "drop":
            return
        for frame in self._reader.feed(data):
            self.requests.append(frame.kind)
            answer = self._error(frame.kind, LinkError.BAD_CRC) if damage == "bad crc" else self._answer(frame)
            if damage != "lose answer":
                self._out += b"\x00\x56" + answer

    def _error(self, request, reason, code=0, command=0):
        return encode(Kind.ERROR, pack_layout(
            ERROR_LAYOUT, {"reason": reason, "request": request, "code": code, "command": command}))

    def _answer(self, frame):
        kind, payload, word = frame.kind, frame.payload, self.spec.model_bits // 8
        if kind == Kind.INFO:
            return encode(Kind.INFO_ANSWER, pack_layout(INFO_LAYOUT, {
                "protocol": self.protocol, "rows": self.spec.rows, "model_bits": self.spec.model_bits,
                "max_classes": self.spec.max_classes, "max_payload": self.max_payload, "spec_hash": self.spec.hash,
                "capacity": self.capacity, "model_words": len(self.model) // word,
                "model_crc": crc32c(self.model), "clock_hz": 50_000_000}))
        if kind == Kind.BEGIN:
            self.loading = unpack_layout(BEGIN_LAYOUT, payload), bytearray(word * self.capacity)
        elif kind == Kind.DATA:
            start = unpack_layout(DATA_LAYOUT, payload)["offset"] * word
            self.loading[1][start:start + len(payload) - 4] = payload[4:]
            self.loading[1][0] |= self.stuck
        elif kind == Kind.COMMIT:
            if self.loading is None:
                return self._error(kind, LinkError.NOT_BEGUN)
            stated, data = self.loading
            self.loading = None
            data = bytes(data[:stated["words"] * word])
            if crc32c(data) != stated["crc"]:
                return self._error(kind, LinkError.BAD_MODEL)
            self.model = data
        else:
            logits = self.infer(payload)
            if logits is None:
                return self._error(kind, LinkError.ACCELERATOR, 5, 17)
            head = {"cycles": 2345, "label": logits.index(max(logits))}
            logits = struct.pack(f"<{len(logits)}h", *logits)
            return encode(Kind.INFER_ANSWER, pack_layout(RESULT_LAYOUT, head) + logits)
        return encode(kind | 0x80)
