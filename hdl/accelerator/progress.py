"""What is written and what may be read: the only order between the engines."""

from amaranth.hdl import Array, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import FIELD_BITS

from .layouts import PROGRESS

__all__ = ["Completion", "RowWait", "is_complete", "outstanding"]


def outstanding(spec: AcceleratorSpec) -> int:
    """Return how many commands may have begun and not be complete.

    A power of two, more than all queues and engines hold; 1 if there is one command in the machine at a time.
    """
    return 32 if spec.command_queue else 1


def is_complete(spec: AcceleratorSpec, done, index):
    """Return whether a command before the one that asks, and all before it, are complete; ``done`` are so many."""
    return done >= index if spec.command_queue else Const(1)


class Completion(wiring.Component):
    """Counts the commands that are complete, in stream order, from engines that complete theirs at any time.

    Parameters
    ----------
    spec : AcceleratorSpec

    Members
    -------
    product, rows : {valid: 1, index: unsigned(16)}, in
        The command ``index`` is complete.
    done : unsigned(16), out
        Commands whose results are all written. It moves on by 1 per cycle, the first time in the cycle after the next.
    """

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        event = wiring.Signature({"valid": Out(1), "index": Out(FIELD_BITS)})
        super().__init__({"product": In(event), "rows": In(event), "done": Out(FIELD_BITS)})

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        complete = Array(Signal(name=f"complete_{k}") for k in range(outstanding(self.spec)))
        place = len(complete).bit_length() - 1  # low bits of the index
        following = (self.done + 1)[:place]
        with m.If(complete[following]):
            m.d.sync += [complete[following].eq(0), self.done.eq(self.done + 1)]
        for event in (self.product, self.rows):
            with m.If(event.valid):
                m.d.sync += complete[event.index[:place]].eq(1)
        return m


class RowWait(wiring.Component):
    """Tells when the present row group of an operand may be read.

    That is when command ``wait`` has written it, or everything: command ``wait`` and all before it are complete, or an
    engine is at that command and past this row group. Row groups are counted by ``step``; behind ``end``, which goes
    with the step from the last one, the first follows, and waits for nothing until ``start``. With one command in the
    machine at a time, nothing waits.

    *Timing*: ``start`` for one cycle, with ``wait`` and ``whole`` held from then on. ``ok`` holds from the first cycle
    after ``start`` or ``step`` on. Once 1 it stays until the next ``step``, except that it may fall when the engine
    leaves command ``wait`` while an earlier command of the other engine is not complete, until that is.

    Members
    -------
    wait : unsigned(16), in
    whole : 1, in
        Row groups do not count, only the whole command.
    start, step, end : 1, in
    done : unsigned(16), in
    product, rows : PROGRESS, in
    ok : 1, out
    """

    def __init__(self, spec: AcceleratorSpec):
        self.spec = spec
        super().__init__({
            "wait": In(FIELD_BITS), "whole": In(1), "start": In(1), "step": In(1), "end": In(1),
            "done": In(FIELD_BITS), "product": In(PROGRESS), "rows": In(PROGRESS), "ok": Out(1),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        if self.spec.command_queue == 0:
            m.d.comb += self.ok.eq(1)
            return m
        group, following = Signal(FIELD_BITS), Signal(FIELD_BITS, init=1)
        complete, here, beyond, stepped, free = Signal(), Signal(), Signal(), Signal(), Signal()

        def reached(number):
            return Mux(self.product.index == self.wait, self.product.groups > number,
                       (self.rows.index == self.wait) & (self.rows.groups > number))

        m.d.sync += [
            complete.eq(self.done >= self.wait), here.eq(~self.whole & reached(group)),
            beyond.eq(~self.whole & reached(following)), stepped.eq(self.step),
        ]
        m.d.comb += self.ok.eq(free | complete | Mux(stepped, beyond, here))
        with m.If(self.step):
            m.d.sync += [group.eq(following), following.eq(following + 1)]
            with m.If(self.end):
                m.d.sync += [group.eq(0), following.eq(1), free.eq(1)]
        with m.If(self.start):
            m.d.sync += [group.eq(0), following.eq(1), free.eq(0)]
        return m
