"""The softmax unit: one pass over the scores for the sums, one over the row buffer for the codes."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.softmax import SoftmaxSpec

from ..streams import DeepQueue, PipelineRegister, connect
from .row_code import RowCode, code_layout, stored_layout
from .row_norm import RowNorm
from .row_sum import RowSum, score_layout

__all__ = ["Softmax"]


class Softmax(wiring.Component):
    """Base-2 softmax ``2**x / sum(2**x)`` over rows, ``lanes`` rows side by side, as integer codes.

    ``code = clamp(round(2**(x - norm)))``, or the nearest twin-uniform code, or, for the logarithmic kinds,
    ``clamp(round(norm - x))`` in octaves or half octaves, with ``norm = log2(sum(2**x)) - offset``. Rounding is half
    up. No multiplier, no divider.

    *Handshake*: rules 1 to 4. A beat holds one score of each lane; a row is 1 to ``spec.max_length`` beats and ends
    with ``last``. ``offset`` is read with the last beat. Codes leave in the same order with the same ``last``. While
    a row drains the next ones are accepted as far as the row buffer (``spec.buffer_depth`` beats) has room.

    *Latency* ``spec.latency`` cycles from the last beat of a row to its first code, without stalls. *Interval* 1 cycle
    per beat; a row takes ``spec.row_interval(length)`` cycles.

    *Number format*: score signed ``score_bits``, unit ``2**-frac_bits`` octaves; code unsigned ``out_bits``, unit
    ``2**(-offset / 2**frac_bits)``; both saturate at the code range, nothing else can.

    Parameters
    ----------
    spec : SoftmaxSpec
        Everything.

    Members
    -------
    i : stream of {x: lanes * signed(score_bits), last: 1, offset: signed(offset_bits)}, in
    o : stream of {code: lanes * unsigned(out_bits), last: 1}, out

    Notes
    -----
    *Not done*: rows longer than ``max_length`` are not detected; the input then stalls for ever once the row buffer is
    full. Masked positions are given the lowest score by the producer.
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
        m.submodules.row_norm = row_norm = RowNorm(self.spec)
        m.submodules.row_code = row_code = RowCode(self.spec)

        # A beat goes to the buffer and to the sum in the same cycle.
        m.d.comb += [
            buffer.i.p.x.eq(self.i.p.x),
            buffer.i.p.last.eq(self.i.p.last),
            row_sum.i.payload.eq(self.i.payload),
            buffer.i.valid.eq(self.i.valid & row_sum.i.ready),
            row_sum.i.valid.eq(self.i.valid & buffer.i.ready),
            self.i.ready.eq(row_sum.i.ready & buffer.i.ready),
        ]
        connect(m, row_sum.o, row_norm.i)
        connect(m, row_norm.o, row_code.i_norm)
        connect(m, buffer.o, stored.i)  # block RAM is slow to answer; the score waits for the norm anyway
        connect(m, stored.o, row_code.i)
        connect(m, row_code.o, wiring.flipped(self.o))
        return m
