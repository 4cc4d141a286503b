"""One inference: an image to the accelerator, its logits collected, counted, timed and compared."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import ErrorCode
from vitric.hdl.accelerator.layouts import STATUS, input_column
from vitric.hdl.streams import Queue, StreamBuffer, connect

__all__ = ["OUTCOME", "Inference"]

OUTCOME = data.StructLayout({"error": 8, "command": 16, "cycles": 32, "label": 16, "count": 16})
"""Of one inference: error code and command of the accelerator's status; clock cycles from ``start`` to the status;
index of the largest logit (the first of equal ones); number of logits."""

_DISTRIBUTED = 64  # a queue up to this depth needs no block RAM


class Inference(wiring.Component):
    """Feed one image to the accelerator and collect what comes out.

    After ``start`` the columns of ``i`` are passed on to ``columns``, until the one with ``last``. The logits are held;
    when the status arrives the outcome is offered at ``outcome``. If the accelerator ended before it took the whole
    image, the rest is dropped first.

    *Handshake*: rules 1 to 4 of :mod:`vitric.hdl.streams`, except that a column is withdrawn when the status arrives
    (the accelerator then takes none). ``start`` is 1 for one cycle, between inferences only. Take every logit from
    ``o`` before the next ``start``.

    *Latency*: a column is passed on in the cycle after it was taken; no path leads from ``columns`` to ``i``.
    ``outcome`` is valid one cycle after the status, if the image was taken. *Interval*: one column per cycle.

    Parameters
    ----------
    spec : AcceleratorSpec

    Members
    -------
    start : 1, in
    i : stream of input_column(spec), in
    columns : stream of input_column(spec), out
    logits : stream of signed(residual_bits), in
    status : stream of STATUS, in
    outcome : stream of OUTCOME, out
    o : stream of signed(residual_bits), out
        Logits of the last inference, class 0 first.
    label : 16, out
        Class of the last inference without error.
    """

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        logit = signed(spec.residual_bits)
        super().__init__({
            "start": In(1),
            "i": In(stream.Signature(input_column(spec))),
            "columns": Out(stream.Signature(input_column(spec))),
            "logits": In(stream.Signature(logit)),
            "status": In(stream.Signature(STATUS)),
            "outcome": Out(stream.Signature(OUTCOME)),
            "o": Out(stream.Signature(logit)),
            "label": Out(16),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        spec = self.spec
        logit = signed(spec.residual_bits)
        m.submodules.queue = queue = Queue(
            logit, depth=max(2, spec.max_classes), buffered=spec.max_classes > _DISTRIBUTED)
        connect(m, wiring.flipped(self.logits), queue.i)
        connect(m, queue.o, wiring.flipped(self.o))

        m.submodules.image = image = StreamBuffer(input_column(spec))
        taking = Signal()  # columns of this inference are still to be taken
        m.d.comb += [
            image.i.payload.eq(self.i.payload), image.i.valid.eq(self.i.valid & taking),
            self.i.ready.eq(image.i.ready & taking), self.columns.payload.eq(image.o.payload),
        ]
        with m.If(self.i.valid & self.i.ready & self.i.p.last):
            m.d.sync += taking.eq(0)
        with m.If(self.start):
            m.d.sync += taking.eq(1)

        ended = Signal()  # the last column was passed on, or dropped
        outcome = self.outcome.p
        with m.If(image.o.valid & image.o.ready):
            m.d.sync += ended.eq(image.o.p.last)

        best = Signal(logit)
        leader = Signal(16)
        with m.If(self.logits.valid & self.logits.ready):
            m.d.sync += outcome.count.eq(outcome.count + 1)
            with m.If((outcome.count == 0) | (self.logits.payload > best)):
                m.d.sync += [best.eq(self.logits.payload), leader.eq(outcome.count)]

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [outcome.cycles.eq(0), ended.eq(0)]
                with m.If(self.start):
                    m.d.sync += outcome.count.eq(0)
                    m.next = "RUN"
            with m.State("RUN"):
                m.d.sync += outcome.cycles.eq(outcome.cycles + 1)
                m.d.comb += [
                    self.columns.valid.eq(image.o.valid & ~ended), image.o.ready.eq(self.columns.ready & ~ended),
                    self.status.ready.eq(1),
                ]
                with m.If(self.status.valid):
                    m.d.sync += [
                        outcome.error.eq(self.status.p.error), outcome.command.eq(self.status.p.command),
                        outcome.label.eq(leader),
                    ]
                    with m.If(self.status.p.error == ErrorCode.OK):
                        m.d.sync += self.label.eq(leader)
                    m.next = "DRAIN"
            with m.State("DRAIN"):
                m.d.comb += image.o.ready.eq(~ended)
                with m.If(ended):
                    m.next = "OUTCOME"
            with m.State("OUTCOME"):
                m.d.comb += self.outcome.valid.eq(1)
                with m.If(self.outcome.ready):
                    m.next = "IDLE"
        return m
