"""Sum of ``2**x`` over a row, with a block exponent that follows the maximum."""

from functools import reduce
from operator import or_

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.softmax import BLOCK_BITS, BLOCK_OCTAVES, SoftmaxSpec

__all__ = ["RowSum", "score_layout", "sum_layout"]


def score_layout(spec: SoftmaxSpec) -> data.StructLayout:
    """Return the layout of a beat of scores: one of each lane, ``last`` of the row, ``offset`` (read with ``last``)."""
    return data.StructLayout({
        "x": data.ArrayLayout(signed(spec.score_bits), spec.lanes),
        "last": 1,
        "offset": signed(spec.offset_bits),
    })


def sum_layout(spec: SoftmaxSpec) -> data.StructLayout:
    """Return the layout of a row's sums: that of lane l is ``total[l] * 2**(8 * block[l] - sum_frac)``."""
    return data.StructLayout({
        "total": data.ArrayLayout(unsigned(spec.sum_bits), spec.lanes),
        "block": data.ArrayLayout(signed(spec.block_index_bits), spec.lanes),
        "offset": signed(spec.offset_bits),
    })


def _drop_blocks(value: Value, distances: Value) -> Value:
    """Shift ``value`` right by ``i`` blocks where bit ``i`` of ``distances`` is 1 (at most one is); 0 if none is."""
    terms = []
    for index, here in enumerate(distances):
        part = value[index * BLOCK_OCTAVES:]
        terms.append(part & here.replicate(len(part)))
    return reduce(or_, terms)


def _block_count(width: int) -> int:
    """Return how many distances, from 0, leave part of ``width`` bits."""
    return -(-width // BLOCK_OCTAVES)


class RowSum(wiring.Component):
    """Sum of ``2**x`` of each lane over a row: ``total = (total >> 8 * d) + (term(x) >> 8 * e)`` per beat.

    A score is block, position (0..7 octaves) and fraction. The largest block so far is the exponent of the sum;
    ``d`` is how far it rises with this beat and ``e`` how far the score lies below it, so one of them is 0. Both
    shifts truncate. ``term`` is ``spec.exp2_table``, one memory per two lanes.

    *Handshake*: rules 1 to 4. One output beat per row, with its last input beat; if it is not taken the input stalls.

    *Latency* 2 cycles from the last beat of a row, *interval* 1 cycle.

    *Number format*: see :class:`vitric.golden.spec.softmax.SoftmaxSpec`; nothing wraps for rows of at most
    ``spec.max_length`` beats.

    Parameters
    ----------
    spec : SoftmaxSpec
        Widths and table.

    Members
    -------
    i : stream of :func:`score_layout`, in
    o : stream of :func:`sum_layout`, out
    """

    latency = 2
    interval = 1

    def __init__(self, spec: SoftmaxSpec):
        self.spec = spec
        super().__init__({"i": In(stream.Signature(score_layout(spec))), "o": Out(stream.Signature(sum_layout(spec)))})

    def elaborate(self, platform):
        """Return the module.

        Stages: *look-up* (table memory; the block waits in a register), *compare* (block against the maximum, selects
        of both shifters), *accumulate*. They advance together.
        """
        m = Module()
        spec = self.spec
        advance = Signal()
        looked_valid, looked_last, sum_valid, sum_last = Signal(), Signal(), Signal(), Signal()
        first = Signal(init=1)
        looked_offset = Signal(signed(spec.offset_bits), reset_less=True)
        sum_offset = Signal(signed(spec.offset_bits), reset_less=True)
        m.d.comb += [
            self.o.valid.eq(sum_valid & sum_last),
            self.o.p.offset.eq(sum_offset),
            advance.eq(~self.o.valid | self.o.ready),
            self.i.ready.eq(advance),
        ]
        with m.If(advance):
            m.d.sync += [
                looked_valid.eq(self.i.valid), looked_last.eq(self.i.p.last), looked_offset.eq(self.i.p.offset),
                sum_valid.eq(looked_valid), sum_last.eq(looked_last), sum_offset.eq(looked_offset),
            ]
            with m.If(looked_valid):
                m.d.sync += first.eq(looked_last)

        for lane in range(spec.lanes):
            if lane % 2 == 0:
                m.submodules[f"table_{lane}"] = table = memory.Memory(
                    shape=unsigned(spec.term_bits), depth=len(spec.exp2_table), init=spec.exp2_table,
                    attrs={"ram_style": "block"},
                )
            port = table.read_port()
            x = Signal(signed(spec.frac_bits + BLOCK_BITS + spec.block_index_bits), name=f"x_{lane}")
            m.d.comb += [
                x.eq(self.i.p.x[lane]),
                port.addr.eq(x[spec.frac_bits - spec.term_fraction_bits:spec.frac_bits + BLOCK_BITS]),
                port.en.eq(advance),
            ]
            self._lane(m, lane, x[spec.frac_bits + BLOCK_BITS:].as_signed(), port.data, advance, looked_valid, first,
                       sum_valid)
        return m

    def _lane(self, m, lane, new_block, new_term, advance, looked_valid, first, sum_valid):
        spec = self.spec
        looked_block = Signal(signed(spec.block_index_bits), name=f"looked_block_{lane}", reset_less=True)
        block = Signal(signed(spec.block_index_bits), name=f"block_{lane}", reset_less=True)
        rise = Signal(signed(spec.block_index_bits + 1), name=f"rise_{lane}")
        falls = rise[-1]
        m.d.comb += rise.eq(looked_block - block)

        # Distance of the sum, one-hot: `rise` if that is positive. All of the sum is dropped when a row begins.
        total = Signal(spec.sum_bits, name=f"total_{lane}", reset_less=True)
        sum_drop = Signal(_block_count(spec.sum_bits), name=f"sum_drop_{lane}", reset_less=True)

        # Distance of the term: `-rise` if that is positive.
        term = Signal(spec.term_bits + spec.guard_bits, name=f"term_{lane}", reset_less=True)
        new_term = Cat(Const(0, spec.guard_bits), new_term)
        term_blocks = _block_count(len(new_term))
        select_bits = (term_blocks - 1).bit_length()
        stays = first | ~falls
        near = Cat(rise == -index for index in range(1, term_blocks)).any()
        choices = [new_term[index * BLOCK_OCTAVES:] for index in range(term_blocks)]
        choices += [choices[0]] * ((1 << select_bits) - term_blocks)
        select = Mux(stays, 0, (-rise)[:select_bits])

        next_total = Signal(spec.sum_bits, name=f"next_total_{lane}")
        m.d.comb += [
            next_total.eq(_drop_blocks(total, sum_drop) + term),
            self.o.p.total[lane].eq(next_total),
            self.o.p.block[lane].eq(block),
        ]
        with m.If(advance):
            m.d.sync += [
                looked_block.eq(new_block),
                sum_drop[0].eq(~first & (falls | (rise == 0))),
                *(sum_drop[index].eq(~first & (rise == index)) for index in range(1, len(sum_drop))),
                term.eq(Mux(stays | near, Array(choices)[select], 0)),
            ]
            with m.If(looked_valid & stays):
                m.d.sync += block.eq(looked_block)
            with m.If(sum_valid):
                m.d.sync += total.eq(next_total)
