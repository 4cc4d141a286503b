"""Stream width converters: several narrow beats for one wide one, and back."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.check import check_int

__all__ = ["Narrow", "Widen"]


def _wide_layout(shape, ratio: int) -> data.ArrayLayout:
    """Return the layout of ``ratio`` payloads of ``shape`` side by side; array layouts grow, others nest."""
    check_int("ratio", ratio, 1, 256)
    if isinstance(shape, data.ArrayLayout):
        return data.ArrayLayout(shape.elem_shape, shape.length * ratio)
    return data.ArrayLayout(shape, ratio)


class Widen(wiring.Component):
    """Collect ``ratio`` narrow beats into one wide beat, least significant (lowest index) first.

    *Handshake*: rules 1 to 4; the input stalls while a complete wide beat waits and ``o.ready`` is 0.

    *Latency* 1 cycle from the last of the narrow beats; *interval* 1 cycle per narrow beat.

    Parameters
    ----------
    shape : shape-like
        Shape of a narrow beat. ``ArrayLayout(e, n)`` widens to ``ArrayLayout(e, n * ratio)``, any other shape to
        ``ArrayLayout(shape, ratio)``.
    ratio : int
        Narrow beats per wide beat, 1 to 256.

    Members
    -------
    i : stream of ``shape``, in
    o : stream of ``wide``, out

    Notes
    -----
    There is no flush: the last wide beat appears when its last narrow beat has arrived.
    """

    latency = 1
    interval = 1

    def __init__(self, shape, *, ratio: int):
        self.shape = shape
        self.ratio = ratio
        self.wide = _wide_layout(shape, ratio)
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(self.wide))})

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        beat = Value.cast(self.i.payload)
        collected = Signal(len(beat) * self.ratio, reset_less=True)
        count = Signal(range(self.ratio))
        m.d.comb += [
            Value.cast(self.o.payload).eq(collected),
            self.i.ready.eq(self.o.ready | ~self.o.valid),
        ]
        with m.If(self.i.ready):
            m.d.sync += self.o.valid.eq(self.i.valid & (count == self.ratio - 1))
            with m.If(self.i.valid):
                m.d.sync += [
                    collected.eq(Cat(collected[len(beat):], beat)),
                    count.eq(Mux(count == self.ratio - 1, 0, count + 1)),
                ]
        return m


class Narrow(wiring.Component):
    """Send one wide beat as ``ratio`` narrow beats, least significant (lowest index) first.

    *Handshake*: rules 1 to 4; the next wide beat is accepted in the cycle in which the last narrow beat leaves.

    *Latency* 1 cycle to the first narrow beat; *interval* ``ratio`` cycles per wide beat.

    Parameters
    ----------
    shape : shape-like
        Shape of a narrow beat; the wide layout follows from it as in :class:`Widen`.
    ratio : int
        Narrow beats per wide beat, 1 to 256.

    Members
    -------
    i : stream of ``wide``, in
    o : stream of ``shape``, out
    """

    latency = 1

    def __init__(self, shape, *, ratio: int):
        self.shape = shape
        self.ratio = ratio
        self.wide = _wide_layout(shape, ratio)
        super().__init__({"i": In(stream.Signature(self.wide)), "o": Out(stream.Signature(shape))})

    @property
    def interval(self) -> int:
        """Cycles between accepted wide beats while the output does not stall."""
        return self.ratio

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        beat = Value.cast(self.o.payload)
        remaining = Signal(len(beat) * self.ratio, reset_less=True)
        count = Signal(range(self.ratio))
        last = Signal()
        m.d.comb += [
            beat.eq(remaining[:len(beat)]),
            last.eq(count == self.ratio - 1),
            self.i.ready.eq(~self.o.valid | (self.o.ready & last)),
        ]
        with m.If(self.i.ready):
            m.d.sync += [remaining.eq(self.i.payload), self.o.valid.eq(self.i.valid), count.eq(0)]
        with m.Elif(self.o.ready):
            m.d.sync += [remaining.eq(remaining[len(beat):]), count.eq(count + 1)]
        return m
