"""The machine that reads a model stream and runs a whole ViT."""

from amaranth.hdl import Array, Cat, Module, Mux, ResetInserter, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import LIMIT_MAX, ErrorCode

from ..streams import Queue
from .core import Core
from .layouts import STATUS, input_column, logit_beat, model_word
from .tap import tap_signature

__all__ = ["Accelerator"]


class Accelerator(wiring.Component):
    """Run the network in ``model`` on the image in ``i``; the logits appear at ``o``, then one word at ``status``.

    One model stream (:mod:`vitric.golden.spec.command`) is consumed per inference, one image with it. The logits
    leave only after the whole stream has been checked, class 0 first. ``status`` then tells ``ErrorCode.OK``. On an
    error no logit leaves; the rest of the stream up to its ``last`` word and the rest of a begun image up to its
    ``last`` column are dropped, ``status`` tells the error and the number of the command being read, and the
    machine is ready for the next stream. It never hangs: if the stream is not finished after the cycles that its
    header allows, that is the error ``STALLED``. Cycles in which a port is not willing do not count: in which the rest
    of the stream is still to come and no word is there, or a column of the image is asked for and not there.

    *Handshake*: rules 1 to 4 of :mod:`vitric.hdl.streams` on all four ports. The next stream and image are accepted
    only after ``status`` was taken. ``tap`` reports writes to memory and cannot stall.

    *Latency and interval*: those of the commands, see ``vitric cycles``.

    Parameters
    ----------
    spec : AcceleratorSpec
    fabric : {None, "generic", "ecp5", "ice40", "gowin"}
        What it is built of: None for simulation, else cells of the family where it has some, see
        :data:`vitric.hdl.fabric.FABRICS`.

    Members
    -------
    model : stream of model_word(spec), in
    i : stream of input_column(spec), in
        Pixels: for each group of ``rows`` tokens, for each channel of a patch, one column; token 0 and tokens past
        the end are zero.
    o : stream of signed(residual_bits), out
    status : stream of STATUS, out
    tap : tap_signature(spec), out
    abort : 1, in
        If a stream has been begun it ends now, with the error ``ABORTED``.
    busy : 1, out
        A stream has been begun and its status not yet been taken.
    restart : 1, in
        While it is 1, and for a few cycles more, nothing is taken; everything that has begun is forgotten, without a
        status, and nothing more of it is waited for: as a reset.
    """

    def __init__(self, spec: AcceleratorSpec, *, fabric: str | None = None):
        self.spec = spec
        self.fabric = fabric
        super().__init__({
            "model": In(stream.Signature(model_word(spec))),
            "i": In(stream.Signature(input_column(spec))),
            "o": Out(stream.Signature(signed(spec.residual_bits))),
            "status": Out(stream.Signature(STATUS)),
            "tap": Out(tap_signature(spec)),
            "abort": In(1),
            "busy": Out(1),
            "restart": In(1),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        m.submodules.core = core = Core(self.spec, fabric=self.fabric)
        m.submodules.control = ResetInserter(self.restart)(self._control(core))
        m.d.comb += [
            core.model.payload.eq(self.model.payload), core.i.payload.eq(self.i.payload),
            *(getattr(self.tap, name).eq(getattr(core.tap, name)) for name in self.tap.signature.members),
        ]
        return m

    def _control(self, core: Core) -> Module:
        """Return what begins and ends inferences on a core, and clears it behind each of them."""
        m = Module()
        clear, empty = Signal(), Signal()
        logits = Queue(logit_beat(self.spec), depth=max(2, -(-self.spec.max_classes // self.spec.drain_cols)))
        m.submodules.logits = ResetInserter(empty)(logits)
        position = Signal(range(self.spec.drain_cols))  # of the present logit among those of its beat
        m.d.comb += [
            logits.i.valid.eq(core.o.valid), logits.i.payload.eq(core.o.payload),
            self.o.payload.eq(Array(logits.o.p.value)[position]),
        ]

        # The core is told to a cycle later, and is cleared a cycle after that.
        cleared = Signal(2, init=0b11)
        m.d.sync += cleared.eq(Cat(clear, cleared))
        m.d.comb += core.clear.eq(cleared[0])

        # What has begun and not ended, to be dropped after an error. An error is seen a cycle late, so that no path
        # leads from where it arises to where words are taken. So after the last word of a stream none is taken, and
        # after the last column of an image none for a cycle: if that was an error the next one is another image's.
        running, flushing, begun = Signal(), Signal(), Signal()
        in_stream, in_image, image_ended = Signal(), Signal(), Signal()
        m.d.sync += image_ended.eq(self.i.valid & self.i.ready & self.i.p.last)
        with m.If(self.model.valid & self.model.ready):
            m.d.sync += [in_stream.eq(~self.model.p.last), begun.eq(1)]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += in_image.eq(~self.i.p.last)
        for outside, inside, goes_on, has_begun in (
                (self.model, core.model, running & (in_stream | ~begun), in_stream),
                (self.i, core.i, running & ~image_ended, in_image)):
            m.d.comb += [
                inside.valid.eq(outside.valid & goes_on),
                outside.ready.eq(inside.ready & goes_on | flushing & has_begun),
            ]

        # Cycles in which every port was willing. The code table is not ready for a word before that is there, so any
        # gap within the stream is a wait for it; of an image only what is asked for, as none may be meant to come.
        cycles = Signal(LIMIT_MAX + 1)
        waits = (in_stream & ~self.model.valid) | (core.i.ready & ~self.i.valid)
        failed, stalled, ends = Signal(), Signal(), Signal()
        m.d.sync += [failed.eq(core.error_valid), stalled.eq(cycles.bit_select(core.limit, 1))]
        m.d.comb += ends.eq(failed | stalled | (self.abort & begun))

        status = self.status.p
        m.d.comb += self.busy.eq(begun)
        with m.FSM():
            with m.State("CLEAR"):
                m.d.comb += empty.eq(1)
                m.d.sync += [failed.eq(0), stalled.eq(0)]
                with m.If(cleared == 0):
                    m.next = "RUN"
            with m.State("RUN"):
                m.d.comb += running.eq(~ends)
                m.d.sync += cycles.eq(cycles + (begun & ~waits))
                with m.If(ends):
                    m.d.sync += [
                        status.command.eq(core.index),
                        status.error.eq(Mux(
                            core.error_valid, core.error,
                            Mux(stalled, ErrorCode.STALLED, ErrorCode.ABORTED))),
                    ]
                    m.next = "FLUSH"
                with m.Elif(core.finished & ~core.error_valid):
                    m.d.sync += [status.error.eq(ErrorCode.OK), status.command.eq(core.index)]
                    m.next = "LOGITS"
            with m.State("LOGITS"):
                last = position == logits.o.p.count
                m.d.comb += [self.o.valid.eq(logits.o.valid), logits.o.ready.eq(self.o.ready & last)]
                with m.If(self.o.valid & self.o.ready):
                    m.d.sync += position.eq(Mux(last, 0, position + 1))
                with m.If(logits.level == 0):
                    m.next = "STATUS"
            with m.State("FLUSH"):
                m.d.comb += [flushing.eq(1), clear.eq(1), empty.eq(1)]
                with m.If(~in_stream & ~in_image):
                    m.next = "STATUS"
            with m.State("STATUS"):  # what is cleared is also what a stream of contradicting sizes leaves behind
                m.d.comb += [self.status.valid.eq(1), clear.eq(1), empty.eq(1)]
                m.d.sync += cycles.eq(0)
                with m.If(self.status.ready):
                    m.d.sync += begun.eq(0)
                    m.next = "CLEAR"
        return m
