"""Carries out the requests of the host link and answers them."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, ResetInserter, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.check import check_int
from vitric.golden.spec.command import ErrorCode
from vitric.hdl.stream_width import Widen

from .frame import RECEIVED, SENT
from .inference import LAST_BYTE, OUTCOME
from .link import (
    BEGIN_LAYOUT,
    DATA_LAYOUT,
    ERROR_LAYOUT,
    INFO_LAYOUT,
    PROTOCOL,
    RESULT_LAYOUT,
    Kind,
    LinkError,
    layout_bytes,
)
from .model_store import COMMIT, WORDS_MAX

__all__ = ["Controller"]

_ANSWER = 0x80  # added to the kind of a request


def _bytes(layout, values):
    """Return the fields of a layout as one Array of bytes."""
    parts = [Cat(values[name], Const(0, 8 * size))[:8 * size] for name, size in layout]
    return Array(part[8 * k:8 * k + 8] for part, (_, size) in zip(parts, layout, strict=True) for k in range(size))


class Controller(wiring.Component):
    """Take a request from ``frame`` and ``i``, carry it out, send the answer to ``sent`` and ``o``.

    The requests, what each must look like and what is answered are in :mod:`vitric.boards.link`. A request that is
    refused changes nothing; it is answered with an ERROR frame, as is every bad frame. An answer has the sequence
    number of its request.

    *Handshake*: rules 1 to 4 of :mod:`vitric.hdl.streams`; one request at a time. ``frame`` is taken when the answer
    has left.

    *Latency*: to the first byte of an answer, about 4 cycles and one for each byte of payload; INFER and COMMIT add
    what the inference and the check of the model take.

    Parameters
    ----------
    spec : AcceleratorSpec
    capacity : int
        Longest model, in model words.
    max_payload : int
        Longest payload that ``frame`` can have.
    clock_hz : int
        Cycles per second, for the host.

    Members
    -------
    frame : stream of RECEIVED, in
    i : stream of unsigned(8), in
    sent : stream of SENT, out
    o : stream of unsigned(8), out
    write, commit, result : streams to and from the model store
    model_words, model_crc : 32, in
        Of the model in use.
    memory_failed : 1, in
        The memory for models is not in order: none is loaded.
    start : 1, out
        Start the model store and the inference.
    image : stream of LAST_BYTE, out
    outcome : stream of OUTCOME, in
    logits : stream of signed(residual_bits), in
    busy : 1, out
        A request is being carried out or answered.
    failed : 1, out
        The last answer was an ERROR.
    """

    def __init__(self, spec: AcceleratorSpec, *, capacity: int, max_payload: int, clock_hz: int):
        check_int("capacity", capacity, 1, WORDS_MAX)
        check_int("max_payload", max_payload, layout_bytes(DATA_LAYOUT) + spec.model_bits // 8, 0xFFFF)
        check_int("clock_hz", clock_hz, 1, (1 << 32) - 1)
        self.spec = spec
        self.capacity = capacity
        self.max_payload = max_payload
        self.clock_hz = clock_hz
        word = data.StructLayout({"address": 32, "data": spec.model_bits})
        super().__init__({
            "frame": In(stream.Signature(RECEIVED)), "i": In(stream.Signature(8)),
            "sent": Out(stream.Signature(SENT)), "o": Out(stream.Signature(8)),
            "write": Out(stream.Signature(word)),
            "commit": Out(stream.Signature(COMMIT)), "result": In(stream.Signature(1)),
            "model_words": In(32), "model_crc": In(32), "memory_failed": In(1),
            "start": Out(1), "image": Out(stream.Signature(LAST_BYTE)), "outcome": In(stream.Signature(OUTCOME)),
            "logits": In(stream.Signature(signed(spec.residual_bits))),
            "busy": Out(1), "failed": Out(1),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec, frame = self.spec, self.frame.p
        reason, reply = Signal(LinkError), Signal(8)
        left = Signal(16)  # bytes of the request's payload that were not taken
        taken = self.i.valid & self.i.ready
        argument = Signal(8 * layout_bytes(BEGIN_LAYOUT))
        loading = Signal()
        with m.If(taken):
            m.d.sync += left.eq(left - 1)

        widen = Widen(8, ratio=spec.model_bits // 8)
        clear = Signal()
        m.submodules.widen = ResetInserter(clear)(widen)
        address, past, beyond = Signal(32), Signal(), Signal()
        m.d.comb += [
            widen.i.payload.eq(self.i.payload), self.image.p.data.eq(self.i.payload), self.image.p.last.eq(left == 1),
            self.write.p.address.eq(address), self.write.p.data.eq(widen.o.payload.as_value()),
            past.eq((address >= self.commit.p.words) | beyond), widen.o.ready.eq(past | self.write.ready),
        ]

        def refuse(why):
            m.d.sync += reason.eq(why)
            m.next = "REFUSE"

        sending = Signal()  # the payload of the answer may leave
        ended = self._answer_bytes(m, sending, reply, reason)

        with m.FSM() as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("IDLE"))
            with m.State("IDLE"):
                m.d.comb += clear.eq(1)
                m.d.sync += [left.eq(frame.length), reply.eq(frame.kind | _ANSWER)]
                with m.If(self.frame.valid):
                    self._dispatch(m, loading, refuse)
                    with m.If(frame.error != 0):
                        m.d.sync += left.eq(0)
                        refuse(frame.error)
            with m.State("REFUSE"):
                m.d.comb += self.i.ready.eq(left != 0)
                m.d.sync += [reply.eq(Kind.ERROR), self.failed.eq(1)]
                with m.If(left == 0):
                    m.next = "ANSWER"

            with m.State("ARGUMENT"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += beyond.eq(0)
                with m.If(taken):
                    m.d.sync += argument.eq(Cat(argument, self.i.payload)[8:])
                    with m.If(frame.kind == Kind.BEGIN):
                        with m.If(left == 1):
                            m.next = "BEGIN"
                    with m.Elif(left == frame.length - (layout_bytes(DATA_LAYOUT) - 1)):
                        m.next = "DATA START"
            with m.State("BEGIN"):
                words = argument[:32]
                m.d.sync += [self.commit.payload.eq(argument), loading.eq(1)]
                m.next = "ANSWER"
                with m.If(self.memory_failed):
                    m.d.sync += loading.eq(0)
                    refuse(LinkError.BAD_MEMORY)
                with m.Elif(words > self.capacity):
                    m.d.sync += loading.eq(0)
                    refuse(LinkError.TOO_LARGE)
                with m.Elif(words == 0):
                    m.d.sync += loading.eq(0)
                    refuse(LinkError.BAD_MODEL)
            with m.State("DATA START"):
                m.d.sync += address.eq(argument[32:])
                m.next = "DATA"
            with m.State("DATA"):
                m.d.comb += [widen.i.valid.eq(self.i.valid & (left != 0)), self.i.ready.eq(widen.i.ready & (left != 0))]
                m.d.comb += self.write.valid.eq(widen.o.valid & ~past)
                with m.If(widen.o.valid & widen.o.ready):
                    m.d.sync += [address.eq(address + 1), beyond.eq(past)]
                with m.If((left == 0) & ~widen.o.valid):
                    m.next = "ANSWER"
                    with m.If(beyond):
                        refuse(LinkError.TOO_LARGE)
            with m.State("COMMIT"):
                m.d.comb += [self.commit.valid.eq(1), self.result.ready.eq(1)]
                m.d.sync += loading.eq(0)
                with m.If(self.result.valid):
                    m.next = "ANSWER"
                    with m.If(~self.result.payload):
                        refuse(LinkError.BAD_MODEL)
            with m.State("INFER"):
                m.d.comb += [self.image.valid.eq(self.i.valid & (left != 0)), self.i.ready.eq(self.image.ready)]
                with m.If(self.outcome.valid):
                    m.next = "ANSWER"
                    with m.If(self.outcome.p.error != ErrorCode.OK):
                        refuse(LinkError.ACCELERATOR)

            with m.State("ANSWER"):
                m.d.comb += self.sent.valid.eq(1)
                with m.If(reply != Kind.ERROR):
                    m.d.sync += self.failed.eq(0)
                with m.If(self.sent.ready):
                    m.next = "PAYLOAD"
            with m.State("PAYLOAD"):
                m.d.comb += sending.eq(1)
                with m.If(ended):
                    m.next = "DONE"
            with m.State("DONE"):
                m.d.comb += [self.frame.ready.eq(1), self.outcome.ready.eq(1)]
                m.next = "IDLE"
        return m

    def _dispatch(self, m, loading, refuse):
        """Decide by kind and length what to do with a good frame."""
        length = self.frame.p.length
        aligned = (length - layout_bytes(DATA_LAYOUT))[:exact_log2(self.spec.model_bits // 8)] == 0
        whole_columns = length[:exact_log2(self.spec.rows)] == 0
        cases = {
            Kind.INFO: (length == 0, "ANSWER"),
            Kind.BEGIN: (length == layout_bytes(BEGIN_LAYOUT), "ARGUMENT"),
            Kind.DATA: ((length > layout_bytes(DATA_LAYOUT)) & aligned, "ARGUMENT"),
            Kind.COMMIT: (length == 0, "COMMIT"),
            Kind.INFER: ((length != 0) & whole_columns, "INFER"),
        }
        with m.Switch(self.frame.p.kind):
            for kind, (is_legal, state) in cases.items():
                with m.Case(kind):
                    m.next = state
                    with m.If(~is_legal):
                        refuse(LinkError.BAD_LENGTH)
                    if kind in (Kind.DATA, Kind.COMMIT):
                        with m.Elif(~loading):
                            refuse(LinkError.NOT_BEGUN)
                    if kind == Kind.INFER:
                        with m.Elif(self.model_words == 0):
                            refuse(LinkError.NO_MODEL)
                        with m.Elif(self.frame.p.error == 0):
                            m.d.comb += self.start.eq(1)
            with m.Default():
                refuse(LinkError.BAD_KIND)

    def _answer_bytes(self, m, sending, reply, reason):
        """Build the payload of the answer; return the signal that is 1 when all of it has left."""
        spec, outcome = self.spec, self.outcome.p
        info = _bytes(INFO_LAYOUT, {
            "protocol": Const(PROTOCOL), "rows": Const(spec.rows), "model_bits": Const(spec.model_bits),
            "max_classes": Const(spec.max_classes), "max_payload": Const(self.max_payload),
            "spec_hash": Const(spec.hash), "capacity": Const(self.capacity), "model_words": self.model_words,
            "model_crc": self.model_crc, "clock_hz": Const(self.clock_hz),
        })
        from_accelerator = reason == LinkError.ACCELERATOR
        error = _bytes(ERROR_LAYOUT, {
            "reason": reason, "request": self.frame.p.kind, "code": Mux(from_accelerator, outcome.error, 0),
            "command": Mux(from_accelerator, outcome.command, 0),
        })
        result = _bytes(RESULT_LAYOUT, {"cycles": outcome.cycles, "label": outcome.label})

        position, length = Signal(16), self.sent.p.length
        moves = self.o.valid & self.o.ready
        ended = position == length
        m.d.comb += [
            self.sent.p.kind.eq(reply), self.sent.p.sequence.eq(self.frame.p.sequence),
            self.o.valid.eq(sending & ~ended), self.o.payload.eq(info[position]),
        ]
        with m.Switch(reply):
            with m.Case(Kind.INFO_ANSWER):
                m.d.comb += length.eq(layout_bytes(INFO_LAYOUT))
            with m.Case(Kind.ERROR):
                m.d.comb += [length.eq(layout_bytes(ERROR_LAYOUT)), self.o.payload.eq(error[position])]
            with m.Case(Kind.INFER_ANSWER):
                head = layout_bytes(RESULT_LAYOUT)
                m.d.comb += [length.eq(head + 2 * outcome.count), self.o.payload.eq(result[position])]
                with m.If(position >= head):
                    odd = position[0] ^ (head & 1)
                    m.d.comb += [
                        self.o.payload.eq(self.logits.payload.word_select(odd, 8)), self.logits.ready.eq(moves & odd),
                    ]
        m.d.sync += position.eq(Mux(sending, position + moves, 0))
        return ended
