"""Sum of ``2**x`` over a row, in the block of its largest score."""

from functools import reduce
from operator import add, or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.softmax import BLOCK_BITS, BLOCK_OCTAVES, SoftmaxSpec

from ..pipeline import delay
from .tables import read_ports

__all__ = ["RowSum", "score_layout", "sum_layout"]


def score_layout(spec: SoftmaxSpec) -> data.StructLayout:
    """Return the layout of a beat of scores: ``x[column][lane]``, ``last`` of the row, ``offset`` (read with ``last``).

    Bit c of ``mask`` says whether column c counts. Bit 0 is 1; only a last beat may have zeros, at the top.
    """
    return data.StructLayout({
        "x": data.ArrayLayout(data.ArrayLayout(signed(spec.score_bits), spec.lanes), spec.columns),
        "mask": unsigned(spec.columns),
        "last": 1,
        "offset": signed(spec.offset_bits),
    })


def sum_layout(spec: SoftmaxSpec) -> data.StructLayout:
    """Return the layout of a row's sums: that of a lane is ``sum_k(digit_k * 2**(8 * k)) * 2**(8 * block - sum_frac)``.

    ``lane[l].digit_k`` is a sum of digits, not a digit: it is wider than 8 bits.
    """
    digits = {f"digit_{k}": unsigned(bits) for k, bits in enumerate(spec.digit_sum_bits)}
    lane = data.StructLayout({**digits, "block": signed(spec.block_index_bits)})
    return data.StructLayout({"lane": data.ArrayLayout(lane, spec.lanes), "offset": signed(spec.offset_bits)})


def _tree(m: Module, values: list, combine, name: str):
    """Return all of ``values`` combined in pairs, one level per cycle."""
    level = 0
    while len(values) > 1:
        pairs = [combine(a, b) for a, b in zip(values[::2], values[1::2], strict=True)]
        values = [Signal(pair.shape(), name=f"{name}_{level}_{k}", reset_less=True) for k, pair in enumerate(pairs)]
        m.d.sync += [value.eq(pair) for value, pair in zip(values, pairs, strict=True)]
        level += 1
    return values[0]


def _choose(values, selects) -> Value:
    """Return the one of ``values`` whose bit of ``selects`` is 1 (at most one is); 0 if none is."""
    return reduce(or_, (value & here.replicate(len(value)) for value, here in zip(values, selects, strict=False)))


class RowSum(wiring.Component):
    """Sum of ``2**x`` of each lane over a row: ``sum_i floor(term_i / 2**(8 * (M - block_i)))``.

    A score is block, position (0..7 octaves) and fraction; M is the largest block of the row. ``term`` is
    ``spec.exp2_table``, one memory per two read ports.

    *Handshake*: a beat is taken in every cycle. One output beat per row, with its last input beat; rule 2 holds for it
    as long as no beat of the next row comes within ``latency`` cycles before it is taken, which is up to the producer.

    *Latency* ``5 + 2 * spec.tree_levels`` cycles from the last beat of a row, *interval* 1 cycle.

    *Number format*: see :class:`vitric.golden.spec.softmax.SoftmaxSpec`; nothing wraps for rows of at most
    ``spec.max_length`` scores.

    Parameters
    ----------
    spec : SoftmaxSpec
        Widths and table.

    Members
    -------
    i : stream of :func:`score_layout`, always ready, in
    o : stream of :func:`sum_layout`, out

    Notes
    -----
    M is not known before the row ends. Shifted right by 8 * d bits, a term loses its d lowest digits to base 256, and
    digit k is what was digit k + d. So the sum is ``sum_k(2**(8 * k) * P_k)``, where ``P_k`` is the sum over the row of
    digit ``k + M - block_i`` of ``term_i``. When M rises by d, ``P_k`` becomes what ``P_(k + d)`` was, to the bit;
    beyond a term's last digit it is 0. So one pass is exact, in any order of the scores.
    """

    interval = 1

    def __init__(self, spec: SoftmaxSpec):
        self.spec = spec
        super().__init__({
            "i": In(stream.Signature(score_layout(spec), always_ready=True)),
            "o": Out(stream.Signature(sum_layout(spec))),
        })

    @property
    def latency(self) -> int:
        """Cycles from the last beat of a row to its sum."""
        return 5 + 2 * self.spec.tree_levels

    def elaborate(self, platform):
        """Return the module.

        Stages: *split* (block and position), a tree for the largest block of the beat, *compare* (that with the one of
        the row so far), *distance* (of each block to it), *shift* (of the terms, whose table is read in time), a tree
        for the sums of digits, *accumulate*.
        """
        m = Module()
        spec = self.spec
        first = Signal(init=1)
        with m.If(self.i.valid):
            m.d.sync += first.eq(self.i.p.last)

        # What goes with the beats; the index of `valid` is the stage.
        always = Const(1)
        compare = 1 + spec.tree_levels
        valid = [self.i.valid]
        for stage in range(1, self.latency):
            valid.append(Signal(name=f"valid_{stage}"))
            m.d.sync += valid[stage].eq(valid[stage - 1])
        begins = delay(m, first, always, compare, name="begins")
        mask = delay(m, self.i.p.mask, always, compare + 1, name="mask")
        ends = delay(m, self.i.p.last, always, self.latency - 1, name="ends")
        offset = delay(m, self.i.p.offset, always, self.latency - 1, name="offset")
        complete = valid[-1] & ends
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(complete):
            m.d.sync += [self.o.valid.eq(1), self.o.p.offset.eq(offset)]

        tables = read_ports(m, spec.exp2_table, bits=spec.term_bits, count=spec.columns * spec.lanes)
        for lane in range(spec.lanes):
            names = [f"{column}_{lane}" for column in range(spec.columns)]
            blocks, terms = [], []
            for column, name in enumerate(names):
                block, index = self._split(m, name, column, lane)
                blocks.append(block)
                terms.append(self._term(m, name, tables[column * spec.lanes + lane], index))
            largest, keep = self._compare(m, lane, blocks, valid[compare], begins)
            shifted = [
                self._shift(m, name, largest, delay(m, block, always, compare, name=f"block_{name}"), here, term)
                for name, block, here, term in zip(names, blocks, mask, terms, strict=True)]
            rest = self.latency - compare - 2
            keep = delay(m, keep, always, rest, name=f"keep_{lane}")
            largest = delay(m, largest, always, rest, name=f"largest_{lane}")
            self._accumulate(m, lane, shifted, keep, valid[-1])
            with m.If(complete):
                m.d.sync += self.o.p.lane[lane].block.eq(largest)
        return m

    def _split(self, m, name, column, lane):
        """Return block and table index of a score, one cycle later; the lowest block if its column does not count."""
        spec = self.spec
        x = Signal(signed(spec.frac_bits + BLOCK_BITS + spec.block_index_bits), name=f"x_{name}")
        block = Signal(signed(spec.block_index_bits), name=f"block_{name}", reset_less=True)
        index = Signal(spec.term_fraction_bits + BLOCK_BITS, name=f"index_{name}", reset_less=True)
        m.d.comb += x.eq(self.i.p.x[column][lane])
        m.d.sync += [block.eq(x[spec.frac_bits + BLOCK_BITS:]), index.eq(x[spec.frac_bits - spec.term_fraction_bits:])]
        if column:
            with m.If(~self.i.p.mask[column]):
                m.d.sync += block.eq(-1 << spec.block_index_bits - 1)
        return block, index

    def _term(self, m, name, port, index):
        """Return the term, so late that its shift is known: block RAM is slow, so a register follows it."""
        spec = self.spec
        term = Signal(spec.term_bits, name=f"term_{name}", reset_less=True)
        m.d.comb += port.addr.eq(delay(m, index, Const(1), spec.tree_levels, name=f"index_{name}"))
        m.d.sync += term.eq(port.data)
        return Cat(Const(0, spec.guard_bits), term)

    def _compare(self, m, lane, blocks, valid, begins):
        """Return the largest block so far, and by which rise of it the digits have become others, one-hot.

        A beat that begins a row keeps no digits at all.
        """
        spec = self.spec
        top = _tree(m, blocks, lambda a, b: Mux(a > b, a, b), f"top_{lane}")
        largest = Signal(signed(spec.block_index_bits), name=f"largest_{lane}", reset_less=True)
        keep = Signal(len(spec.term_digits), name=f"keep_{lane}", reset_less=True)
        rise = Signal(signed(spec.block_index_bits + 1), name=f"rise_{lane}")
        falls = rise[-1]
        m.d.comb += rise.eq(top - largest)
        m.d.sync += [
            keep[0].eq(~begins & (falls | (rise == 0))),
            *(keep[distance].eq(~begins & (rise == distance)) for distance in range(1, len(keep))),
        ]
        with m.If(valid & (begins | ~falls)):
            m.d.sync += largest.eq(top)
        return largest, keep

    def _shift(self, m, name, largest, block, counts, term):
        """Return the term shifted by the blocks that it lies below the largest, 0 where its column does not count."""
        spec = self.spec
        below = Signal(len(spec.term_digits), name=f"below_{name}", reset_less=True)
        shifted = Signal(len(term), name=f"shifted_{name}", reset_less=True)
        distance = (largest - block)[:spec.block_index_bits]
        m.d.sync += [
            *(here.eq(counts & (distance == blocks)) for blocks, here in enumerate(below)),
            shifted.eq(_choose([term[blocks * BLOCK_OCTAVES:] for blocks in range(len(below))], below)),
        ]
        return shifted

    def _accumulate(self, m, lane, shifted, keep, valid):
        """Add the digits of all columns to what is kept of the sums."""
        spec = self.spec
        sums = [Signal(bits, name=f"digit_{k}_{lane}", reset_less=True) for k, bits in enumerate(spec.digit_sum_bits)]
        for k, total in enumerate(sums):
            digits = [term[k * BLOCK_OCTAVES:][:spec.term_digits[k]] for term in shifted]
            added = _tree(m, digits, add, f"digits_{k}_{lane}")
            with m.If(valid):
                m.d.sync += total.eq(_choose(sums[k:], keep) + added)
            m.d.comb += self.o.p.lane[lane][f"digit_{k}"].eq(total)
