"""Output codes: score minus row norm, then a table (uniform) or a shift (logarithmic kinds)."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.softmax import SoftmaxSpec

from ..pipeline import delay
from .row_norm import norm_layout
from .tables import read_ports

__all__ = ["RowCode", "code_layout", "stored_layout"]


def stored_layout(spec: SoftmaxSpec) -> data.StructLayout:
    """Return the layout of a beat in the row buffer: ``x[column][lane]``, ``last`` of the row."""
    lanes = data.ArrayLayout(signed(spec.score_bits), spec.lanes)
    return data.StructLayout({"x": data.ArrayLayout(lanes, spec.columns), "last": 1})


def code_layout(spec: SoftmaxSpec) -> data.StructLayout:
    """Return the layout of an output beat: ``code[column][lane]``, ``last`` of the row."""
    lanes = data.ArrayLayout(unsigned(spec.out_bits), spec.lanes)
    return data.StructLayout({"code": data.ArrayLayout(lanes, spec.columns), "last": 1})


class RowCode(wiring.Component):
    """Codes of a row: with ``u = x - norm``, ``round(2**u)`` from a table, or ``-u`` in whole or half octaves.

    Uniform and twin-uniform: ``spec.code_table`` from u = 0 on (one memory per two codes of a beat), 1 for the octave
    below 0, 0 further down, the largest code beyond the table. Logarithmic: ``(norm - x) >> spec.code_shift``,
    saturated; the norm already holds the half that makes this a rounding.

    *Handshake*: rules 1 to 4. One beat of norms serves the beats of ``i`` up to ``last``.

    *Latency* from a score to its code, the norms being there: 4 cycles (with a table) or 2. *Interval* 1 cycle.

    Parameters
    ----------
    spec : SoftmaxSpec
        Widths, kind and table.

    Members
    -------
    i : stream of :func:`stored_layout`, in
    i_norm : stream of :func:`vitric.hdl.softmax.row_norm.norm_layout`, in
    o : stream of :func:`code_layout`, out
    """

    interval = 1

    def __init__(self, spec: SoftmaxSpec):
        self.spec = spec
        super().__init__({
            "i": In(stream.Signature(stored_layout(spec))),
            "i_norm": In(stream.Signature(norm_layout(spec))),
            "o": Out(stream.Signature(code_layout(spec))),
        })

    @property
    def latency(self) -> int:
        """Cycles from a score to its code."""
        return 2 if self.spec.logarithmic else 4

    def elaborate(self, platform):
        """Return the module: the stages *subtract*, *table*, *entry* (both where there is a table) and *output*."""
        m = Module()
        spec = self.spec
        advance = Signal()
        norm = Signal(norm_layout(spec), reset_less=True)
        norm_valid = Signal()
        done = Signal()
        m.d.comb += [
            advance.eq(~self.o.valid | self.o.ready),
            self.i.ready.eq(advance & norm_valid),
            done.eq(self.i.valid & self.i.ready & self.i.p.last),
            self.i_norm.ready.eq(~norm_valid | done),
        ]
        with m.If(self.i_norm.ready):
            m.d.sync += [norm.eq(self.i_norm.payload), norm_valid.eq(self.i_norm.valid)]

        valid, last = self.i.valid & norm_valid, self.i.p.last
        for stage in range(self.latency):
            final = stage == self.latency - 1
            valid_q = self.o.valid if final else Signal(name=f"valid_{stage}")
            last_q = self.o.p.last if final else Signal(name=f"last_{stage}", reset_less=True)
            with m.If(advance):
                m.d.sync += [valid_q.eq(valid), last_q.eq(last)]
            valid, last = valid_q, last_q

        scores = [(f"{column}_{lane}", self.i.p.x[column][lane], norm[lane], self.o.p.code[column][lane])
                  for column in range(spec.columns) for lane in range(spec.lanes)]
        if spec.logarithmic:
            for score in scores:
                self._logarithmic(m, advance, *score)
        else:
            size = 1 << (len(spec.code_table) - 1).bit_length()
            entries = [*spec.code_table, *[spec.code_max] * (size - len(spec.code_table))]
            tables = read_ports(m, entries, bits=spec.out_bits, count=len(scores))
            for port, score in zip(tables, scores, strict=True):
                self._uniform(m, advance, port, *score)
        return m

    def _logarithmic(self, m, advance, name, x, norm, code):
        spec = self.spec
        below = Signal(signed(max(spec.norm_bits, spec.code_shift + spec.out_bits) + 1), name=f"below_{name}",
                       reset_less=True)
        steps = below[spec.code_shift:]
        beyond = steps[spec.out_bits:-1].any()
        with m.If(advance):
            m.d.sync += [
                below.eq(norm - x),
                code.eq(Mux(steps[-1], 0, steps[:spec.out_bits] | beyond.replicate(spec.out_bits))),
            ]

    def _uniform(self, m, advance, port, name, x, norm, code):
        spec = self.spec
        u = Signal(signed(spec.norm_bits + 1), name=f"u_{name}", reset_less=True)
        # What the table does not hold: u below 0, in the octave below 0, or beyond the last entry.
        outside = Cat(u[-1], u[spec.frac_bits:].all(), ~u[-1] & u[len(port.addr):].any())
        below, one, beyond = delay(m, outside, advance, 2, name=f"outside_{name}")
        entry = Signal(spec.out_bits, name=f"entry_{name}", reset_less=True)   # block RAM is slow to answer
        m.d.comb += [port.addr.eq(u[:len(port.addr)]), port.en.eq(advance)]
        with m.If(advance):
            m.d.sync += [
                u.eq(x - norm),
                entry.eq(port.data),
                code.eq(Mux(below, one, entry | beyond.replicate(spec.out_bits))),
            ]
