"""Room in the softmax unit, which stalls nothing behind its input, as properties."""

from amaranth.hdl import Assert, Assume, Cat, Mux, ResetSignal, Signal
from vitric.hdl.softmax import Softmax

__all__ = ["SoftmaxRoom"]


class SoftmaxRoom(Softmax):
    """The unit, and assertions that its row buffer and its row sums have room for each beat that comes.

    Assumed: no row is too long, and no reset comes between.
    """

    def elaborate(self, platform):
        """Return the module."""
        m = super().elaborate(platform)
        i, buffer, row_sum = self.i, m.submodules.buffer.i, m.submodules.row_sum
        beats = self.spec.beats(self.spec.max_length)
        begun = Signal(range(beats + 1))
        taken = i.valid & i.ready
        with m.If(taken):
            m.d.sync += begun.eq(Mux(i.p.last, 0, begun + 1))
        arriving = Signal(row_sum.latency - 1)   # beats on their way to the sums
        m.d.sync += arriving.eq(Cat(taken, arriving))
        m.d.comb += [
            Assume(~i.valid | i.p.last | (begun < beats - 1)), Assume(~ResetSignal()),
            Assert(~buffer.valid | buffer.ready, "the row buffer is full"),
            Assert(~arriving[-1] | ~row_sum.o.valid | row_sum.o.ready, "a beat changes sums that are not taken"),
        ]
        return m
