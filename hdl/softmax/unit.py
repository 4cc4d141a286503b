"""The softmax unit: one pass over the scores for the sums, one over the row buffer for the codes."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.softmax import SoftmaxSpec

from ..streams import DeepQueue, PipelineRegister, connect
from .row_code import RowCode, code_layout, stored_layout
from .row_norm import RowNorm
from .row_sum import RowSum, score_layout, sum_layout

__all__ = ["Softmax"]


class Softmax(wiring.Component):
    """Base-2 softmax ``2**x / sum(2**x)`` over rows, ``lanes`` rows side by side, as integer codes.

    ``code = clamp(round(2**(x - norm)))``, or the nearest twin-uniform code, or, for the logarithmic kinds,
    ``clamp(round(norm - x))`` in octaves or half octaves, with ``norm = log2(sum(2**x)) - offset``. Rounding is half
    up. No multiplier, no divider.

    *Handshake*: rules 1 to 4. A beat holds ``columns`` scores of each lane; a row is 1 to ``spec.max_length`` scores
    and ends with ``last``. Where that beat is not full, ``mask`` is 0 for its upper columns, whose codes are undefined.
    ``offset`` is read with the last beat. Codes leave in the same order with the same ``last``. A row is inside from
    its first beat until its last code has been taken: ``i.ready`` is 0 exactly while ``spec.max_rows`` rows are inside
    and the last of them is complete.

    *Latency* ``spec.latency`` cycles from the last beat of a row to its first code, without stalls. *Interval* 1 cycle
    per beat; a row takes ``spec.row_interval(length)`` cycles, ``spec.max_rows`` rows at least
    ``spec.row_time(length)``.

    *Number format*: score signed ``score_bits``, unit ``2**-frac_bits`` octaves; code unsigned ``out_bits``, unit
    ``2**(-offset / 2**frac_bits)``; both saturate at the code range, nothing else can.

    Parameters
    ----------
    spec : SoftmaxSpec
        Everything.

    Members
    -------
    i : stream of :func:`vitric.hdl.softmax.row_sum.score_layout`, in
    o : stream of :func:`vitric.hdl.softmax.row_code.code_layout`, out

    Notes
    -----
    Why nothing is lost although neither the row buffer nor the sums can stall the input: the buffer has room for
    ``max_rows`` longest rows. Three places hold sums before the logarithm: those of ``RowSum``, ``waiting``, and the
    input register of ``RowNorm``. Each is left as soon as the next one is free. So the sums of a row would find
    theirs taken only by three rows before it, and those would all be inside.

    *Not done*: rows longer than ``max_length`` are not detected; their scores are lost once the row buffer is full.
    Other masked positions are given the lowest score by the producer.
    """

    def __init__(self, spec: SoftmaxSpec):
        self.spec = spec
        super().__init__({
            "i": In(stream.Signature(score_layout(spec))),
            "o": Out(stream.Signature(code_layout(spec))),
        })

    @property
    def latency(self) -> int:
        """Cycles from the last beat of a row to its first code."""
        return self.spec.latency

    @property
    def interval(self) -> int:
        """Cycles per beat in steady state."""
        return self.spec.interval

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        m.submodules.buffer = buffer = DeepQueue(stored_layout(self.spec), depth=self.spec.buffer_depth)
        m.submodules.stored = stored = PipelineRegister(stored_layout(self.spec))
        m.submodules.row_sum = row_sum = RowSum(self.spec)
        m.submodules.waiting = waiting = PipelineRegister(sum_layout(self.spec))
        m.submodules.row_norm = row_norm = RowNorm(self.spec)
        m.submodules.row_code = row_code = RowCode(self.spec)

        rows = Signal(range(self.spec.max_rows + 1))
        begun = Signal()   # the last row inside is not complete
        taken, enters, leaves = Signal(), Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(begun | (rows != self.spec.max_rows)),
            taken.eq(self.i.valid & self.i.ready),
            enters.eq(taken & ~begun),
            leaves.eq(self.o.valid & self.o.ready & self.o.p.last),
        ]
        with m.If(taken):
            m.d.sync += begun.eq(~self.i.p.last)
        with m.If(enters & ~leaves):
            m.d.sync += rows.eq(rows + 1)
        with m.Elif(leaves & ~enters):
            m.d.sync += rows.eq(rows - 1)

        # A beat goes to the buffer and to the sum in the same cycle. Both have room for it.
        m.d.comb += [
            buffer.i.p.x.eq(self.i.p.x),
            buffer.i.p.last.eq(self.i.p.last),
            row_sum.i.payload.eq(self.i.payload),
            buffer.i.valid.eq(taken),
            row_sum.i.valid.eq(taken),
        ]
        connect(m, row_sum.o, waiting.i)
        connect(m, waiting.o, row_norm.i)
        connect(m, row_norm.o, row_code.i_norm)
        connect(m, buffer.o, stored.i)  # block RAM is slow to answer; the score waits for the norm anyway
        connect(m, stored.o, row_code.i)
        connect(m, row_code.o, wiring.flipped(self.o))
        return m
