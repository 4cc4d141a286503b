"""The payloads of answers: what the board says of itself, of an inference, of a run, and why it refused."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.hdl.stream_width import Narrow
from vitric.hdl.streams import PipelineRegister, connect

from .flash_image import FlashState
from .inference import OUTCOME
from .link import (
    ERROR_LAYOUT,
    INFO_LAYOUT,
    LOADED_LAYOUT,
    PROTOCOL,
    READ_LAYOUT,
    RESULT_LAYOUT,
    STATUS_LAYOUT,
    Kind,
    LinkError,
    layout_bytes,
)
from .runner import RUN_STATUS

__all__ = ["ABOUT", "AnswerPayload"]

ABOUT = data.StructLayout({"model_words": 32, "model_crc": 32, "memory_failed": 1, "flash_state": FlashState,
                           "flash_slot": 8, "flash_written": 32})
"""The fields of INFO that change: length and CRC-32C of the model in use; the memory for models is not in order; what
:class:`~vitric.boards.flash_loader.FlashLoader` has found."""


def _bytes(layout, values):
    """Return the fields of a layout as one Array of bytes."""
    parts = [Cat(values[name], Const(0, 8 * size))[:8 * size] for name, size in layout]
    return Array(part[8 * k:8 * k + 8] for part, (_, size) in zip(parts, layout, strict=True) for k in range(size))


class AnswerPayload(wiring.Component):
    """Make the payload of the answer ``kind``, byte by byte, while ``sending``.

    *Handshake*: rules 1 to 4 of :mod:`vitric.hdl.streams`; ``length`` belongs to ``kind`` and what is answered, which
    stay as they are until ``ended``.

    *Latency*: 1 cycle from ``sending`` to the first byte. *Interval*: 1 cycle a byte.

    Parameters
    ----------
    spec : AcceleratorSpec
    constants : dict of int
        The fields of INFO that never change: ``capacity``, ``max_payload``, ``clock_hz``, ``image_words``.

    Members
    -------
    kind : 8, in
    sending : 1, in
    length : 16, out
    ended : 1, out
        All of the payload has left.
    o : stream of unsigned(8), out
    about : ABOUT, in
        For INFO.
    reason, request : 8, in
        For ERROR.
    outcome : OUTCOME, in
    logits : stream of signed(residual_bits), in
        For INFER, and ``outcome`` for the accelerator's errors.
    status : RUN_STATUS, in
        For STATUS.
    loaded : 32, in
        For BEGIN.
    words : 16, in
    word : stream of unsigned(model_bits), in
        For READ: the number of words, and the words.
    """

    latency = 1

    def __init__(self, spec: AcceleratorSpec, constants: dict[str, int]):
        self.spec = spec
        self.constants = constants
        super().__init__({
            "kind": In(8), "sending": In(1), "length": Out(16), "ended": Out(1), "o": Out(stream.Signature(8)),
            "about": In(ABOUT), "reason": In(8), "request": In(8),
            "outcome": In(OUTCOME), "logits": In(stream.Signature(signed(spec.residual_bits))),
            "status": In(RUN_STATUS), "loaded": In(32),
            "words": In(READ_LAYOUT[-1][1] * 8), "word": In(stream.Signature(spec.model_bits)),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec, outcome = self.spec, self.outcome
        own = {"protocol": PROTOCOL, "rows": spec.rows, "model_bits": spec.model_bits,
               "max_classes": spec.max_classes, "spec_hash": spec.hash}
        info = _bytes(INFO_LAYOUT, {name: Const(value) for name, value in (own | self.constants).items()} | {
            name: self.about[name] for name in ABOUT.members})
        from_accelerator = self.reason == LinkError.ACCELERATOR
        error = _bytes(ERROR_LAYOUT, {
            "reason": self.reason, "request": self.request, "code": Mux(from_accelerator, outcome.error, 0),
            "command": Mux(from_accelerator, outcome.command, 0),
        })
        result = _bytes(RESULT_LAYOUT, {"cycles": outcome.cycles, "label": outcome.label})
        loaded = _bytes(LOADED_LAYOUT, {"loaded": self.loaded})
        status = _bytes(STATUS_LAYOUT, {name: self.status[name] for name, _ in STATUS_LAYOUT})

        m.submodules.narrow = narrow = Narrow(8, ratio=spec.model_bits // 8)
        m.d.comb += [
            narrow.i.payload.as_value().eq(self.word.payload), narrow.i.valid.eq(self.word.valid),
            self.word.ready.eq(narrow.i.ready),
        ]
        m.submodules.byte = byte = PipelineRegister(8)  # the CRC of the frame is behind it
        connect(m, byte.o, wiring.flipped(self.o))
        position, there = Signal(16), Signal(init=1)
        moves = byte.i.valid & byte.i.ready
        through = position == self.length
        m.d.comb += [
            self.ended.eq(through & ~byte.o.valid), byte.i.valid.eq(self.sending & ~through & there),
            byte.i.payload.eq(info[position[:len(info).bit_length()]]),
        ]
        with m.Switch(self.kind):
            with m.Case(Kind.INFO_ANSWER):
                m.d.comb += self.length.eq(len(info))
            with m.Case(Kind.ERROR):
                m.d.comb += [self.length.eq(len(error)), byte.i.payload.eq(error[position[:3]])]
            with m.Case(Kind.BEGIN_ANSWER):
                m.d.comb += [self.length.eq(len(loaded)), byte.i.payload.eq(loaded[position[:2]])]
            with m.Case(Kind.STATUS_ANSWER):
                m.d.comb += [self.length.eq(len(status)), byte.i.payload.eq(status[position[:4]])]
            with m.Case(Kind.READ_ANSWER):
                m.d.comb += [
                    self.length.eq(self.words * (spec.model_bits // 8)), there.eq(narrow.o.valid),
                    byte.i.payload.eq(narrow.o.payload), narrow.o.ready.eq(moves),
                ]
            with m.Case(Kind.INFER_ANSWER):
                head = layout_bytes(RESULT_LAYOUT)
                m.d.comb += [self.length.eq(head + 2 * outcome.count), byte.i.payload.eq(result[position[:3]])]
                with m.If(position >= head):
                    odd = position[0] ^ (head & 1)
                    m.d.comb += [
                        byte.i.payload.eq(self.logits.payload.word_select(odd, 8)), self.logits.ready.eq(moves & odd),
                    ]
        m.d.sync += position.eq(Mux(self.sending, position + moves, 0))
        return m
