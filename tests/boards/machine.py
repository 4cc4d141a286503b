# amaranth: UnusedElaboratable=no
"""A small machine in the accelerator's place, and the other end of the two pins."""

import struct
from dataclasses import replace

from amaranth.hdl import Const, Module, Mux, ResetInserter, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.boards.crc import crc32c
from vitric.boards.link import (
    ERROR_LAYOUT,
    INFO_LAYOUT,
    RESULT_LAYOUT,
    SEQUENCES,
    Frame,
    Kind,
    encode,
    layout_bytes,
    unpack_layout,
)
from vitric.boards.model_store import model_bytes
from vitric.golden.spec.accelerator import SPECS
from vitric.golden.spec.command import ErrorCode
from vitric.hdl.accelerator.layouts import STATUS, input_column, model_word

SPEC = SPECS["tiny"]  # rows = 2, 32-bit model words
DIVISOR = 4
CAPACITY = 24
MAX_PAYLOAD = 64
GAP = 600  # cycles: 15 byte times
MODEL = [0x11, 0x22, 0x33, 0xFFFF_0044]
IMAGE = bytes([200, 1, 100, 2, 50, 3])
REFUSES = 0xE  # first word of a model that the machine below ends with an error, before it takes the image
STARVES = 0xF  # first word of a model of which it takes no more
HANGS = 0x1F  # first word of a model with which it takes no image


class Machine(wiring.Component):
    """Takes a model, then an image; its logits are -1, and the sums of the model, of row 0, of row 1."""

    def __init__(self, spec, *, fabric=None):
        super().__init__({
            "model": In(stream.Signature(model_word(spec))),
            "i": In(stream.Signature(input_column(spec))),
            "o": Out(stream.Signature(signed(spec.residual_bits))),
            "status": Out(stream.Signature(STATUS)),
            "restart": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.machine = ResetInserter(self.restart)(self._machine())
        return m

    def _machine(self):
        m = Module()
        sums = [Signal(signed(16), name=f"sum{k}") for k in range(3)]
        first, refuses, starves, hangs, index = Signal(init=1), Signal(), Signal(), Signal(), Signal(3)
        with m.FSM():
            with m.State("MODEL"):
                m.d.comb += self.model.ready.eq(first | ~starves)
                with m.If(self.model.valid):
                    m.d.sync += [sums[0].eq(sums[0] + self.model.p.data), first.eq(0)]
                    with m.If(first):
                        m.d.sync += [refuses.eq(self.model.p.data == REFUSES), hangs.eq(self.model.p.data == HANGS),
                                     starves.eq(self.model.p.data == STARVES)]
                    with m.If(self.model.p.last):
                        m.next = "IMAGE"
            with m.State("IMAGE"):
                with m.If(refuses):
                    m.next = "STATUS"
                with m.Elif(~hangs):
                    m.d.comb += self.i.ready.eq(1)
                    with m.If(self.i.valid):
                        m.d.sync += [sums[1 + row].eq(sums[1 + row] + self.i.p.pixel[row]) for row in range(2)]
                        with m.If(self.i.p.last):
                            m.next = "LOGITS"
            with m.State("LOGITS"):
                m.d.comb += self.o.valid.eq(1)
                with m.Switch(index):
                    with m.Case(0):
                        m.d.comb += self.o.payload.eq(Const(-1, signed(16)))
                    for k in range(3):
                        with m.Case(k + 1):
                            m.d.comb += self.o.payload.eq(sums[k])
                with m.If(self.o.ready):
                    m.d.sync += index.eq(index + 1)
                    with m.If(index == 3):
                        m.next = "STATUS"
            with m.State("STATUS"):
                m.d.comb += [
                    self.status.valid.eq(1), self.status.p.error.eq(Mux(refuses, ErrorCode.BAD_CRC, ErrorCode.OK)),
                    self.status.p.command.eq(0x1234),
                ]
                m.d.sync += [first.eq(1), index.eq(0), *(one.eq(0) for one in sums)]
                with m.If(self.status.ready):
                    m.next = "MODEL"
        return m


class Host:
    """The other end of the two pins, in a testbench."""

    def __init__(self, ctx, dut, received):
        self.ctx, self.dut, self.received, self.divisor = ctx, dut, received, dut.divisor
        self.sequence = 0xFD

    async def send(self, data, *, pause=0):
        """Send bytes, with so many cycles of silence behind each."""
        for byte in data:
            for level in (0, *(byte >> k & 1 for k in range(8)), 1):
                self.ctx.set(self.dut.rx, level)
                await self.ctx.tick().repeat(self.divisor)
            if pause:
                await self.ctx.tick().repeat(pause)

    async def send_break(self, *, bits=22):
        """Hold the line at 0 for so many bit times."""
        for level in (0, 1):
            self.ctx.set(self.dut.rx, level)
            await self.ctx.tick().repeat(bits * self.dut.divisor)
        self.divisor = self.dut.divisor

    async def answer(self):
        for _ in range(20_000):
            if self.received:
                return self.received.pop(0)
            await self.ctx.tick()
        raise TimeoutError("no answer")

    async def ask(self, kind, payload=b"", *, pause=0):
        """Return the answer to a request, whose sequence number it must have, as if that were 0."""
        self.sequence = (self.sequence + 1) % SEQUENCES
        await self.send(encode(kind, payload, self.sequence), pause=pause)
        answer = await self.answer()
        assert answer.sequence == self.sequence
        return replace(answer, sequence=0)

    async def check_refused(self, kind, payload, reason, *, code=0, command=0):
        """Assert that the request is refused for this reason."""
        check_error(await self.ask(kind, payload), kind, reason, code=code, command=command)

    async def infer(self, model, image, *, pause=0):
        """Assert that an inference gives what this model and image must give; return its cycles."""
        answer = await self.ask(Kind.INFER, image, pause=pause)
        assert answer.kind == Kind.INFER_ANSWER
        head = unpack_layout(RESULT_LAYOUT, answer.payload)
        logits = struct.unpack("<4h", answer.payload[layout_bytes(RESULT_LAYOUT):])
        sums = [sum(model), sum(image[0::2]), sum(image[1::2])]
        assert logits == (-1, *((value + 0x8000) % 0x10000 - 0x8000 for value in sums))
        assert head["label"] == logits.index(max(logits))
        assert self.ctx.get(self.dut.leds) & 0xBF == head["label"]  # the answer is still being sent: busy or not
        return head["cycles"]

    async def load(self, model, *, piece=3):
        """Load a model in pieces of so many words; return the answer to COMMIT."""
        data = model_bytes(model, SPEC.model_bits)
        begin = struct.pack("<II", len(model), crc32c(data))
        assert await self.ask(Kind.BEGIN, begin) == Frame(Kind.BEGIN_ANSWER, bytes(4))
        for offset in range(0, len(model), piece):
            words = data[4 * offset:4 * (offset + piece)]
            assert await self.ask(Kind.DATA, struct.pack("<I", offset) + words) == Frame(Kind.DATA_ANSWER)
        return await self.ask(Kind.COMMIT)

    async def info(self):
        answer = await self.ask(Kind.INFO)
        assert answer.kind == Kind.INFO_ANSWER and len(answer.payload) == layout_bytes(INFO_LAYOUT)
        return unpack_layout(INFO_LAYOUT, answer.payload)


def check_error(answer, request, reason, *, code=0, command=0):
    assert answer.kind == Kind.ERROR
    assert unpack_layout(ERROR_LAYOUT, answer.payload) == {
        "reason": reason, "request": request, "code": code, "command": command}
