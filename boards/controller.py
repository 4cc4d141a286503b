"""Carries out the requests of the host link and answers them."""

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.check import check_int
from vitric.golden.spec.command import ErrorCode
from vitric.hdl.accelerator.layouts import input_column
from vitric.hdl.stream_width import Widen
from vitric.hdl.streams import StreamBuffer, connect

from .byte_columns import ByteColumns
from .flash_image import FlashState
from .frame import RECEIVED, SENT
from .inference import OUTCOME
from .link import Kind, LinkError, layout_bytes
from .model_store import COMMIT, WORDS_MAX
from .payload import ABOUT, AnswerPayload
from .requests import ARGUMENTS, IMAGE_REQUESTS, NEEDS_BEGIN, NEEDS_MODEL, NEEDS_NO_RUN, NEEDS_STORE, is_legal_length
from .runner import READ, RUN, RUN_STATUS
from .uart import DIVISOR_MIN

__all__ = ["Controller"]

_ANSWER = 0x80  # added to the kind of a request


class Controller(wiring.Component):
    """Take a request from ``frame`` and ``i``, carry it out, send the answer to ``sent`` and ``o``.

    The requests, what each must look like and what is answered are in :mod:`vitric.boards.link`. A request that is
    refused changes nothing; it is answered with an ERROR frame, as is every bad frame. An answer has the sequence
    number of its request.

    *Handshake*: rules 1 to 4 of :mod:`vitric.hdl.streams`; one request at a time. ``frame`` is taken when the answer
    has left.

    *Latency*: to the first byte of an answer, about 6 cycles and one for each byte of payload; INFER and COMMIT add
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
    divisor : int
        Clock cycles per bit on the serial line, after configuration and after a reset.
    image_words : int
        Model words of the image memory, 0 for none: then there is no IMAGE, RUN, STATUS or READ.

    Members
    -------
    frame : stream of RECEIVED, in
    i : stream of unsigned(8), in
    sent : stream of SENT, out
    o : stream of unsigned(8), out
    write, commit, result : streams to and from the model store
    about : ABOUT, in
        Of the model in use; without a memory in order, or while a flash is being looked at, none is loaded.
    start : 1, out
        Start the model store and the inference.
    image : stream of input_column(spec), out
        Of an image that was sent with INFER.
    put : stream of {address: 32, data: model_bits}, out
        Words for the image memory.
    run : stream of RUN, out
    run_status : RUN_STATUS, in
    read : stream of READ, out
    word : stream of unsigned(model_bits), in
        Words of the image memory that were asked for.
    outcome : stream of OUTCOME, in
    logits : stream of signed(residual_bits), in
    line_divisor : out
        Clock cycles per bit.
    line_idle : 1, in
        Every answer has left.
    busy : 1, out
        A request is being carried out or answered.
    failed : 1, out
        The last answer was an ERROR.
    """

    def __init__(self, spec: AcceleratorSpec, *, capacity: int, max_payload: int, clock_hz: int,
                 divisor: int = DIVISOR_MIN, image_words: int = 0):
        check_int("capacity", capacity, 1, WORDS_MAX)
        check_int("max_payload", max_payload, layout_bytes(ARGUMENTS[Kind.DATA]) + spec.model_bits // 8, 0xFFFF)
        check_int("clock_hz", clock_hz, 1, (1 << 32) - 1)
        self.spec, self.capacity, self.max_payload, self.clock_hz = spec, capacity, max_payload, clock_hz
        self.divisor, self.image_words = divisor, image_words
        word = data.StructLayout({"address": 32, "data": spec.model_bits})
        super().__init__({
            "frame": In(stream.Signature(RECEIVED)), "i": In(stream.Signature(8)),
            "sent": Out(stream.Signature(SENT)), "o": Out(stream.Signature(8)),
            "write": Out(stream.Signature(word)),
            "commit": Out(stream.Signature(COMMIT)), "result": In(stream.Signature(1)),
            "about": In(ABOUT),
            "put": Out(stream.Signature(word)), "run": Out(stream.Signature(RUN)), "run_status": In(RUN_STATUS),
            "read": Out(stream.Signature(READ)), "word": In(stream.Signature(spec.model_bits)),
            "start": Out(1), "image": Out(stream.Signature(input_column(spec))),
            "outcome": In(stream.Signature(OUTCOME)), "logits": In(stream.Signature(signed(spec.residual_bits))),
            "line_divisor": Out(range(divisor + 1), init=divisor), "line_idle": In(1),
            "busy": Out(1), "failed": Out(1),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec, frame = self.spec, self.frame.p
        reason, reply = Signal(LinkError), Signal(8)
        clear, address, past, beyond = Signal(), Signal(32), Signal(), Signal()
        m.submodules.bytes = buffer = StreamBuffer(8)  # no path from what takes a byte to where bytes come from
        connect(m, wiring.flipped(self.i), buffer.i)
        i, left = buffer.o, Signal(16)  # bytes of the request's payload that were not taken
        taken = i.valid & i.ready
        argument, missing = Signal(8 * max(map(layout_bytes, ARGUMENTS.values()))), Signal(4)
        loading, loaded = Signal(), Signal(32, reset_less=True)  # words of the model, from the first on, that are there
        stated = Signal(COMMIT, reset_less=True)  # the model that was begun last
        m.submodules.widen = widen = ResetInserter(clear)(Widen(8, ratio=spec.model_bits // 8))
        m.submodules.columns = columns = ResetInserter(clear)(ByteColumns(spec))
        connect(m, columns.o, wiring.flipped(self.image))
        is_image = Signal()  # like `past` a register: a word takes at least two cycles
        m.d.sync += [
            left.eq(left - taken), is_image.eq(frame.kind == Kind.IMAGE),
            past.eq((address >= Mux(is_image, self.image_words, self.commit.p.words)) | beyond),
        ]
        m.d.comb += [
            self.commit.payload.eq(stated), widen.i.payload.eq(i.payload), columns.i.p.data.eq(i.payload),
            columns.i.p.last.eq(left == 1), widen.o.ready.eq(past | Mux(is_image, self.put.ready, self.write.ready)),
        ]
        m.d.comb += [field.eq(value) for port in (self.write, self.put) for field, value in (
            (port.p.address, address), (port.p.data, widen.o.payload.as_value()))]

        def refuse(why):
            m.d.sync += reason.eq(why)
            m.next = "REFUSE"

        def fields(kind):
            """Return the argument of a request of this kind."""
            layout = data.StructLayout({name: 8 * size for name, size in ARGUMENTS[kind]})
            return data.View(layout, argument[-layout.size:])

        m.submodules.payload = payload = self._payload(m, reply, reason, loaded, fields(Kind.READ).words)
        divisor = fields(Kind.SPEED).divisor

        with m.FSM() as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("IDLE"))
            with m.State("IDLE"):
                m.d.comb += clear.eq(1)
                m.d.sync += [left.eq(frame.length), reply.eq(frame.kind | _ANSWER)]
                with m.If(self.frame.valid):
                    self._dispatch(m, loading, missing, refuse)
                    with m.If(frame.error != 0):
                        m.d.sync += left.eq(0)
                        refuse(frame.error)
            with m.State("REFUSE"):
                m.d.comb += i.ready.eq(left != 0)
                m.d.sync += [reply.eq(Kind.ERROR), self.failed.eq(1)]
                with m.If(left == 0):
                    m.next = "ANSWER"
            with m.State("ARGUMENT"):
                m.d.comb += i.ready.eq(1)
                with m.If(taken):
                    m.d.sync += [argument.eq(Cat(argument, i.payload)[8:]), missing.eq(missing - 1)]
                    with m.If(missing == 1):
                        m.next = "ARGUED"
            with m.State("ARGUED"):
                m.d.sync += [address.eq(fields(Kind.DATA).offset), beyond.eq(0)]
                m.next = "WORDS"
                with m.If(frame.kind == Kind.BEGIN):
                    begin = fields(Kind.BEGIN)
                    m.d.sync += [stated.eq(begin.as_value()), loading.eq(1)]
                    with m.If(begin.as_value() != stated.as_value()):
                        m.d.sync += loaded.eq(0)
                    m.next = "ANSWER"
                    for wrong, why in ((begin.words == 0, LinkError.BAD_MODEL),
                                       (begin.words > self.capacity, LinkError.TOO_LARGE),
                                       (self.about.memory_failed, LinkError.BAD_MEMORY)):
                        with m.If(wrong):
                            m.d.sync += loading.eq(0)
                            refuse(why)
                with m.If(frame.kind == Kind.SPEED):
                    m.next = "ANSWER"
                    with m.If((divisor < DIVISOR_MIN) | (divisor > self.divisor)):
                        refuse(LinkError.BAD_SPEED)
                if self.image_words:
                    self._argued(m, fields, refuse)
            with m.State("WORDS"):
                m.d.comb += [
                    widen.i.valid.eq(i.valid & (left != 0)), i.ready.eq(widen.i.ready & (left != 0)),
                    self.write.valid.eq(widen.o.valid & ~past & ~is_image),
                    self.put.valid.eq(widen.o.valid & ~past & is_image),
                ]
                with m.If(widen.o.valid & widen.o.ready):
                    m.d.sync += [address.eq(address + 1), beyond.eq(past)]
                    with m.If((address == loaded) & ~past & ~is_image):
                        m.d.sync += loaded.eq(loaded + 1)
                with m.If((left == 0) & ~widen.o.valid):
                    m.next = "ANSWER"
                    with m.If(beyond):
                        refuse(LinkError.TOO_LARGE)
            with m.State("COMMIT"):
                m.d.comb += [self.commit.valid.eq(1), self.result.ready.eq(1)]
                m.d.sync += [loading.eq(0), loaded.eq(0)]  # the banks change roles, or the words are wrong
                with m.If(self.result.valid):
                    m.next = "ANSWER"
                    with m.If(~self.result.payload):
                        refuse(LinkError.BAD_MODEL)
            with m.State("INFER"):
                m.d.comb += [columns.i.valid.eq(i.valid & (left != 0)), i.ready.eq(columns.i.ready)]
                with m.If(self.outcome.valid):
                    m.next = "ANSWER"
                    with m.If(self.outcome.p.error != ErrorCode.OK):
                        refuse(LinkError.ACCELERATOR)
            for kind, port in ((Kind.RUN, self.run), (Kind.READ, self.read)):
                with m.State(kind.name):
                    m.d.comb += port.valid.eq(1)
                    with m.If(port.ready):
                        m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += self.sent.valid.eq(1)
                with m.If(reply != Kind.ERROR):
                    m.d.sync += self.failed.eq(0)
                with m.If(self.sent.ready):
                    m.next = "PAYLOAD"
            with m.State("PAYLOAD"):
                m.d.comb += payload.sending.eq(1)
                with m.If(payload.ended):
                    m.next = "DONE"
                    with m.If(reply == Kind.SPEED_ANSWER):
                        m.next = "SPEED"
            with m.State("SPEED"):
                with m.If(self.line_idle):
                    m.d.sync += self.line_divisor.eq(divisor)
                    m.next = "DONE"
            with m.State("DONE"):
                m.d.comb += [self.frame.ready.eq(1), self.outcome.ready.eq(1)]
                m.next = "IDLE"
        return m

    def _dispatch(self, m, loading, missing, refuse):
        """Decide by kind and length what to do with a good frame."""
        states = {Kind.INFO: "ANSWER", Kind.STATUS: "ANSWER", Kind.COMMIT: "COMMIT", Kind.INFER: "INFER"}
        states |= dict.fromkeys(ARGUMENTS, "ARGUMENT")
        with m.Switch(self.frame.p.kind):
            for kind, state in states.items():
                if kind in IMAGE_REQUESTS and not self.image_words:
                    continue
                with m.Case(kind):
                    m.next = state
                    m.d.sync += missing.eq(layout_bytes(ARGUMENTS.get(kind, ())))
                    with m.If(~is_legal_length(kind, self.frame.p.length, self.spec)):
                        refuse(LinkError.BAD_LENGTH)
                    looking = self.about.flash_state == FlashState.LOOKING
                    for kinds, wrong, why in ((NEEDS_STORE, looking, LinkError.BUSY),
                                              (NEEDS_BEGIN, ~loading, LinkError.NOT_BEGUN),
                                              (NEEDS_NO_RUN, self.run_status.running, LinkError.BUSY),
                                              (NEEDS_MODEL, self.about.model_words == 0, LinkError.NO_MODEL)):
                        if kind in kinds:
                            with m.Elif(wrong):
                                refuse(why)
                    if kind == Kind.INFER:
                        with m.Elif(self.frame.p.error == 0):
                            m.d.comb += self.start.eq(1)
            with m.Default():
                refuse(LinkError.BAD_KIND)

    def _argued(self, m, fields, refuse):
        """Decide what to do with an argument that concerns the image memory."""
        read = fields(Kind.READ)
        m.d.sync += [self.run.payload.eq(fields(Kind.RUN).as_value()), self.read.payload.eq(read.as_value())]
        with m.If(self.frame.p.kind == Kind.RUN):
            m.next = Kind.RUN.name
        with m.If(self.frame.p.kind == Kind.READ):
            m.next = Kind.READ.name
            with m.If((read.words == 0) | (read.words > self.max_payload // (self.spec.model_bits // 8))):
                refuse(LinkError.BAD_LENGTH)
            with m.If(read.offset + read.words > self.image_words):
                refuse(LinkError.TOO_LARGE)

    def _payload(self, m, reply, reason, loaded, words) -> AnswerPayload:
        """Return the maker of payloads, connected to all that it tells of."""
        payload = AnswerPayload(self.spec, {
            "capacity": self.capacity, "max_payload": self.max_payload, "clock_hz": self.clock_hz,
            "image_words": self.image_words})
        connect(m, payload.o, wiring.flipped(self.o))
        connect(m, wiring.flipped(self.word), payload.word)
        connect(m, wiring.flipped(self.logits), payload.logits)
        m.d.comb += [
            payload.kind.eq(reply), payload.reason.eq(reason), payload.request.eq(self.frame.p.kind),
            payload.about.eq(self.about), payload.outcome.eq(self.outcome.payload), payload.status.eq(self.run_status),
            payload.loaded.eq(loaded), payload.words.eq(words),
            self.sent.p.kind.eq(reply), self.sent.p.sequence.eq(self.frame.p.sequence),
            self.sent.p.length.eq(payload.length),
        ]
        return payload
